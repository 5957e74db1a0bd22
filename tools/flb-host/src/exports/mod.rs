//! The host's functions under the host's names.
//!
//! An address stands for every pointer: it is passed as one.

/// Keeps functions in the program although nothing here calls them.
macro_rules! kept {
    ($([$($function:ident),* $(,)?]: $type:ty;)*) => {
        $(const _: () = {
            #[used]
            static KEPT: &[$type] = &[$($function),*];
        };)*
    };
}

mod coroutines;
mod engine;
mod instances;
mod metrics;

use std::ffi::c_char;
use std::sync::OnceLock;

use fluent_bit_ai::host::abi::row::Release;

use crate::memory::Addr;
use crate::report;

static ROW: OnceLock<(std::ffi::CString, Release)> = OnceLock::new();

/// Says which release is imitated, before the first plugin is loaded.
pub(crate) fn set_row(release: Release) {
    if let Ok(name) = std::ffi::CString::new(release.to_string()) {
        ROW.get_or_init(|| (name, release));
    }
}

/// The release that this host imitates; null before it is known.
#[unsafe(no_mangle)]
extern "C" fn fluent_bit_ai_bundled_host_row() -> *const c_char {
    ROW.get().map_or(std::ptr::null(), |(name, _)| name.as_ptr())
}

static LACKED: OnceLock<Vec<String>> = OnceLock::new();

/// Hides functions from plugins, as if the release had none of these names.
pub(crate) fn set_lacking(names: Vec<String>) {
    LACKED.get_or_init(|| names);
}

/// Whether a plugin is to believe that this host lacks a function: 1 if so.
#[unsafe(no_mangle)]
extern "C" fn fluent_bit_ai_bundled_host_lacks(name: Addr) -> i32 {
    let (Some(name), Some(lacked)) = (name.text(), LACKED.get()) else { return 0 };
    i32::from(lacked.contains(&name))
}

/// Takes a line of a plugin's log from the shim.
#[unsafe(no_mangle)]
extern "C" fn flb_host_log_line(level: i32, text: Addr, length: usize) {
    report::print(level, &String::from_utf8_lossy(&text.bytes(length)));
}

unsafe extern "C" {
    fn flb_log_print(kind: i32, file: Addr, line: i32, format: Addr, ...);
    fn co_switch(to: Addr);
    safe fn co_active() -> Addr;
    fn co_create(size: u32, entry: Addr, out: Addr) -> Addr;
    fn co_delete(coroutine: Addr);
}

kept! {
    [flb_log_print]: unsafe extern "C" fn(i32, Addr, i32, Addr, ...);
    [co_switch, co_delete]: unsafe extern "C" fn(Addr);
    [co_active]: extern "C" fn() -> Addr;
    [co_create]: unsafe extern "C" fn(u32, Addr, Addr) -> Addr;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_and_what_is_lacked_are_reported() {
        set_row(Release::new(4, 2, 4));
        set_lacking(vec!["flb_log_print".to_owned()]);
        let name = Addr::of(fluent_bit_ai_bundled_host_row());
        assert_eq!(name.text().as_deref(), Some("4.2.4"));
        let lacks =
            |name: &std::ffi::CStr| fluent_bit_ai_bundled_host_lacks(Addr::of(name.as_ptr()));
        assert_eq!(lacks(c"flb_log_print"), 1);
        assert_eq!(lacks(c"co_switch"), 0);
    }
}
