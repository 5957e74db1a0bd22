//! The proof of what the host copies from us, by the plugins that it has of its own.
//!
//! Each of them is a symbol with a size, and in it stand a name that the symbol has too, a text, a
//! table of options and functions. Nothing but the host's headers decides where.

use std::ffi::{CStr, c_int};
use std::ops::Range;

use super::super::abi::row::HostAbi;
use super::super::abi::structs::ConfigMap;
use super::super::kind::PluginKind;
use super::memory::{ProcessMemory, int_in, word_in};
use super::report::ProofReport;

/// Plugins that builds usually have.
pub(in crate::host) const OWN: &[(PluginKind, &CStr)] = &[
    (PluginKind::Input, c"in_lib_plugin"),
    (PluginKind::Input, c"in_dummy_plugin"),
    (PluginKind::Input, c"in_tail_plugin"),
    (PluginKind::Input, c"in_forward_plugin"),
    (PluginKind::Filter, c"filter_grep_plugin"),
    (PluginKind::Filter, c"filter_modify_plugin"),
    (PluginKind::Filter, c"filter_nest_plugin"),
    (PluginKind::Output, c"out_null_plugin"),
    (PluginKind::Output, c"out_stdout_plugin"),
    (PluginKind::Output, c"out_forward_plugin"),
    (PluginKind::Output, c"out_http_plugin"),
];
/// Entries of a table of options that are looked at.
const ENTRIES: usize = 12;
/// The host's numbers for types of options: single ones, and lists by comma or blank.
const KINDS: [Range<c_int>; 3] = [0..12, 30..35, 40..51];

/// A plugin of the host's.
#[derive(Debug, Clone)]
pub(in crate::host) struct OwnPlugin {
    pub(in crate::host) kind: PluginKind,
    /// What it is called, as its symbol says.
    pub(in crate::host) name: String,
    pub(in crate::host) at: usize,
    pub(in crate::host) size: usize,
}

impl OwnPlugin {
    /// The plugin of a symbol such as `in_lib_plugin`.
    pub(in crate::host) fn new(kind: PluginKind, symbol: &CStr, at: usize, size: usize) -> Self {
        let symbol = symbol.to_string_lossy();
        let name = symbol.split_once('_').map_or("", |(_, rest)| rest);
        Self { kind, name: name.trim_end_matches("_plugin").to_owned(), at, size }
    }
}

/// Where a kind of plugin keeps what all kinds have.
struct Common {
    size: usize,
    name: usize,
    description: usize,
    config_map: usize,
    flags: usize,
    /// Functions that every plugin of the kind has.
    always: Vec<usize>,
    /// Functions that some have.
    sometimes: Vec<usize>,
}

impl Common {
    fn of(kind: PluginKind, abi: &HostAbi) -> Self {
        let (input, filter, output) = (&abi.input_plugin, &abi.filter_plugin, &abi.output_plugin);
        match kind {
            PluginKind::Input => Self {
                size: input.size,
                name: input.name,
                description: input.description,
                config_map: input.config_map,
                flags: input.flags,
                always: vec![input.cb_init],
                sometimes: vec![input.cb_exit, input.cb_pause, input.cb_resume],
            },
            PluginKind::Filter => Self {
                size: filter.size,
                name: filter.name,
                description: filter.description,
                config_map: filter.config_map,
                flags: filter.flags,
                always: vec![filter.cb_init, filter.cb_filter],
                sometimes: vec![filter.cb_exit],
            },
            PluginKind::Output => Self {
                size: output.size,
                name: output.name,
                description: output.description,
                config_map: output.config_map,
                flags: output.flags,
                always: vec![output.cb_init, output.cb_flush],
                sometimes: vec![output.cb_exit],
            },
        }
    }
}

/// Compares what the row says of plugins and of tables of options with the host's own.
pub(in crate::host) fn prove(
    memory: &ProcessMemory,
    abi: &HostAbi,
    code: &[Range<usize>],
    plugins: &[OwnPlugin],
) -> ProofReport {
    let mut report = ProofReport::default();
    for (kind, name) in [
        (PluginKind::Input, "flb_input_plugin"),
        (PluginKind::Filter, "flb_filter_plugin"),
        (PluginKind::Output, "flb_output_plugin"),
    ] {
        let mut own = plugins.iter().filter(|plugin| plugin.kind == kind).peekable();
        if own.peek().is_none() {
            report.leave(name);
            continue;
        }
        let fields = Common::of(kind, abi);
        report.note(name, own.all(|plugin| is_plugin(memory, abi, &fields, code, plugin)));
    }
    let tables: Vec<usize> = plugins
        .iter()
        .filter_map(|plugin| {
            let at = plugin.at.checked_add(Common::of(plugin.kind, abi).config_map)?;
            memory.word(at).filter(|table| *table != 0)
        })
        .collect();
    if tables.is_empty() {
        report.leave("flb_config_map");
    } else {
        let all = tables.iter().all(|table| is_table(memory, &abi.config_map, *table));
        report.note("flb_config_map", all);
    }
    report
}

fn is_plugin(
    memory: &ProcessMemory,
    abi: &HostAbi,
    fields: &Common,
    code: &[Range<usize>],
    plugin: &OwnPlugin,
) -> bool {
    let Some(content) = memory.bytes(plugin.at, plugin.size) else { return false };
    let word = |offset| word_in(&content, offset);
    let is_code = |address: usize| code.iter().any(|range| range.contains(&address));
    let names = word(fields.name).is_some_and(|at| memory.says(at, plugin.name.as_bytes()));
    let describes = word(fields.description).is_some_and(|at| is_text(memory, at));
    let has = fields.always.iter().all(|offset| word(*offset).is_some_and(is_code));
    let may_have = fields
        .sometimes
        .iter()
        .all(|offset| word(*offset).is_some_and(|at| at == 0 || is_code(at)));
    let flags = int_in(&content, fields.flags).is_some_and(|flags| (0..0x10000).contains(&flags));
    // None resumes that does not pause.
    let pauses = plugin.kind != PluginKind::Input
        || word(abi.input_plugin.cb_resume) == Some(0)
        || word(abi.input_plugin.cb_pause) != Some(0);
    let works = plugin.kind != PluginKind::Output
        || int_in(&content, abi.output_plugin.workers).is_some_and(|all| (0..1000).contains(&all));
    plugin.size == fields.size && names && describes && has && may_have && flags && pauses && works
}

fn is_text(memory: &ProcessMemory, at: usize) -> bool {
    memory.text(at).is_some_and(|text| !text.is_empty() && !text.contains(char::is_control))
}

/// Whether a table of options has entries of this length.
fn is_table(memory: &ProcessMemory, row: &ConfigMap, table: usize) -> bool {
    for index in 0..ENTRIES {
        let at = index.checked_mul(row.size).and_then(|from| table.checked_add(from));
        let Some(entry) = at.and_then(|at| memory.bytes(at, row.size)) else { return false };
        let Some(name) = word_in(&entry, row.name) else { return false };
        if name == 0 {
            // The last has nothing at all.
            return index > 0 && entry.iter().all(|byte| *byte == 0);
        }
        let text = |offset| word_in(&entry, offset).filter(|at| *at != 0);
        let number = |offset| int_in(&entry, offset).unwrap_or(-1);
        let key = memory.text(name).unwrap_or_default();
        let is_entry = !key.is_empty()
            && key.bytes().all(|byte| byte.is_ascii_graphic())
            && KINDS.iter().any(|kinds| kinds.contains(&number(row.kind)))
            && (0..8).contains(&number(row.flags))
            && (0..2).contains(&number(row.set_property))
            && word_in(&entry, row.offset).is_some_and(|offset| offset < 0x10000)
            && text(row.def_value).is_none_or(|at| memory.text(at).is_some())
            && text(row.desc).is_none_or(|at| memory.text(at).is_some());
        if !is_entry {
            return false;
        }
    }
    true
}
