//! Our option tables -> the host's, with the stride of the release that runs.
//!
//! No entry asks the host to store the value (`set_property` is false): the host checks names and
//! repetitions and shows the help, and we read the values ourselves and check them all at once.

use std::ffi::{c_int, c_void};

use super::abi::structs::ConfigMap;
use super::host_struct::HostStruct;
use super::lend;
use crate::plugin::{OptionKind, OptionSpec};

/// `FLB_CONFIG_MAP_MULT`.
const REPEATS: c_int = 1;

/// The host's number for the type of an option (`FLB_CONFIG_MAP_STR` and so on).
const fn number(kind: OptionKind) -> c_int {
    match kind {
        OptionKind::Str => 0,
        OptionKind::Prefix => 1,
        OptionKind::Int => 2,
        OptionKind::Bool => 3,
        OptionKind::Double => 4,
        OptionKind::Size => 5,
        OptionKind::Time => 6,
        OptionKind::CommaList => 30,
    }
}

/// The host's table for `options`, which lives as long as the process, as descriptors do.
pub(super) fn table(options: &[OptionSpec], row: &ConfigMap) -> *mut c_void {
    let entries = options.len().saturating_add(1);
    let words = entries.saturating_mul(row.size).div_ceil(size_of::<u64>());
    let memory: &'static mut [u64] = Box::leak(vec![0_u64; words].into_boxed_slice());
    let start: *mut c_void = memory.as_mut_ptr().cast();
    for (index, option) in options.iter().enumerate() {
        let at = start.cast::<u8>().wrapping_add(index.saturating_mul(row.size)).cast();
        // SAFETY: the table has room for all entries and one that is zero, and is not used
        // otherwise.
        let entry = unsafe { HostStruct::new(at, row.size) };
        entry.set(row.kind, number(option.kind));
        entry.set(row.name, lend::eternal(option.name));
        if let Some(default) = option.default {
            entry.set(row.def_value, lend::eternal(default));
        }
        entry.set(row.flags, if option.repeats { REPEATS } else { 0 });
        entry.set(row.desc, lend::eternal(option.help));
    }
    start
}

#[cfg(test)]
mod tests {
    use super::super::abi::rows::ROWS;
    use super::*;

    #[test]
    fn each_entry_is_where_each_release_expects_it() {
        let options = [
            OptionSpec::new("first", OptionKind::Time, Some("10s"), "The first."),
            OptionSpec::new("family.", OptionKind::Prefix, None, "The second.").repeated(),
        ];
        for row in ROWS {
            let start = table(&options, &row.config_map);
            let entry = |index: usize| {
                let at = start.cast::<u8>().wrapping_add(index * row.config_map.size).cast();
                // SAFETY: the table has three entries and lives for ever.
                unsafe { HostStruct::new(at, row.config_map.size) }
            };
            let text = |view: HostStruct, field: usize| {
                // SAFETY: the table's strings live for ever.
                unsafe { lend::text(view.get::<*mut c_void>(field)) }
            };
            assert_eq!(text(entry(0), row.config_map.name).as_deref(), Some("first"));
            assert_eq!(text(entry(0), row.config_map.def_value).as_deref(), Some("10s"));
            assert_eq!(entry(0).get::<c_int>(row.config_map.kind), 6);
            assert_eq!(entry(0).get::<c_int>(row.config_map.set_property), 0);
            assert_eq!(text(entry(1), row.config_map.name).as_deref(), Some("family."));
            assert_eq!(entry(1).get::<c_int>(row.config_map.flags), REPEATS);
            assert_eq!(text(entry(1), row.config_map.def_value), None);
            assert_eq!(text(entry(2), row.config_map.name), None);
        }
    }
}
