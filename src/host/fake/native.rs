//! Contexts of the host's own, appended at once or through the host's structures.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use super::{Notes, SPEC, host, instance, note, string};
use crate::host::abi::row::{HostAbi, Release};
use crate::host::abi::rows::ROWS;
use crate::host::kind::Kind;
use crate::host::lend;
use crate::host::raw::HostPointer;
use crate::host::sink::HostSink;
use crate::plugin::{NativeKind, NotAppended, Sink};

pub(super) unsafe extern "C" fn append_raw(
    _: *mut c_void,
    kind: c_int,
    records: usize,
    tag: *const c_char,
    _: usize,
    _: *const c_void,
    bytes: usize,
) -> c_int {
    note(|notes| notes.appended.push((format!("{kind} {}", string(tag)), records, bytes)));
    0
}

pub(super) unsafe extern "C" fn processor_is_active(processor: *mut c_void) -> c_int {
    c_int::from(processor.addr() == 0x5678)
}

/// A context of the fake host: one byte each; 0xff is none. Its address tells its number.
pub(super) unsafe extern "C" fn decode_context(
    out: *mut *mut c_void,
    bytes: *const c_char,
    size: usize,
    offset: *mut usize,
) -> c_int {
    // SAFETY: the code under test passes this many bytes.
    let bytes = unsafe { lend::bytes(bytes.cast_mut().cast(), size) };
    // SAFETY: the code under test passes a place of its own.
    let at = unsafe { offset.read() };
    if bytes[at] == 0xff {
        return 1;
    }
    // SAFETY: as above.
    unsafe { out.write(ptr::without_provenance_mut(usize::from(bytes[at]))) };
    // SAFETY: as above.
    unsafe { offset.write(at + 1) };
    0
}

pub(super) unsafe extern "C" fn destroy_context(context: *mut c_void) {
    note(|notes| notes.contexts.push(format!("destroyed {}", context.addr())));
}

/// Refuses the context with the number 9.
pub(super) unsafe extern "C" fn append_context(
    _: *mut c_void,
    tag: *const c_char,
    _: usize,
    context: *mut c_void,
) -> c_int {
    note(|notes| notes.contexts.push(format!("{} {}", string(tag), context.addr())));
    if context.addr() == 9 { -1 } else { 0 }
}

fn native_sink(row: &HostAbi, processor: usize) -> HostSink {
    note(|notes| *notes = Notes::default());
    let (instance, config) = instance(Kind::Input, row, SPEC.name, &[]);
    let processor: *mut c_void = ptr::without_provenance_mut(processor);
    instance.set(row.input.processor, processor);
    let host = host(row);
    let functions = *host.symbols.input.as_ref().unwrap();
    HostSink::new(host, functions, HostPointer(instance.pointer()), HostPointer(config.pointer()))
}

/// Guarantees: contexts are appended at once where there are no processors, and one by one where
/// there are; each is destroyed once, by us or by the release that does it itself.
#[test]
fn contexts_are_appended_under_every_row() {
    for row in ROWS {
        for processor in [0, 0x1111] {
            let mut sink = native_sink(row, processor);
            sink.append_native(b"t", NativeKind::Metrics, &[1, 2]).unwrap();
            sink.append_native(b"", NativeKind::Traces, &[1]).unwrap();
            sink.append_native(b"", NativeKind::Traces, &[]).unwrap();
            let appended = note(|notes| std::mem::take(&mut notes.appended));
            assert_eq!(appended, [("1 t".to_owned(), 1, 2), ("2 ".to_owned(), 1, 1)]);
        }
        let mut sink = native_sink(row, 0x5678);
        sink.append_native(b"t", NativeKind::Metrics, &[1, 2]).unwrap();
        let refused = sink.append_native(b"t", NativeKind::Metrics, &[3, 9, 4]);
        assert_eq!(refused, Err(NotAppended::Refused));
        let unreadable = sink.append_native(b"t", NativeKind::Metrics, &[5, 0xff]);
        assert!(matches!(unreadable, Err(NotAppended::Unsupported(_))));
        let contexts = note(|notes| std::mem::take(&mut notes.contexts));
        let expected = [
            "t 1",
            "destroyed 1",
            "t 2",
            "destroyed 2",
            "t 3",
            "destroyed 3",
            "t 9",
            "destroyed 9",
            "destroyed 4",
            "destroyed 5",
        ];
        assert_eq!(contexts, expected, "{}", row.since);
        sink.append_native(b"t", NativeKind::Traces, &[1]).unwrap();
        assert_eq!(sink.append_native(b"t", NativeKind::Traces, &[9]), Err(NotAppended::Refused));
        let contexts = note(|notes| std::mem::take(&mut notes.contexts));
        let own: &[&str] = if row.first < Release::new(4, 0, 0) { &["destroyed 1"] } else { &[] };
        let expected = [&["t 1"], own, &["t 9", "destroyed 9"]].concat();
        assert_eq!(contexts, expected, "{}", row.since);
    }
}
