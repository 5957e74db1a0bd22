//! Contexts of the host's own, appended at once or through the host's structures.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use super::{Notes, SPEC, host, instance, note, string};
use crate::host::abi::row::{HostAbi, Release};
use crate::host::abi::rows::ROWS;
use crate::host::host_struct::HostPointer;
use crate::host::kind::PluginKind;
use crate::host::lend;
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
    let statuses = note(|notes| notes.statuses);
    let paused = statuses.is_some_and(|(instance, offsets)| {
        offsets.iter().any(|status| instance.get::<c_int>(*status) == 0)
    });
    -c_int::from(paused)
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

/// Fails on context 9, keeps 8 if it can, makes 17 of 7, and leaves others as they are.
pub(super) unsafe extern "C" fn run_processors(
    _: *mut c_void,
    _: usize,
    kind: c_int,
    tag: *const c_char,
    length: usize,
    context: *mut c_void,
    _: usize,
    out: *mut *mut c_void,
    _: *mut usize,
) -> c_int {
    assert_eq!(string(tag).len(), length);
    note(|notes| notes.contexts.push(format!("{kind} {} {}", string(tag), context.addr())));
    let changed = match context.addr() {
        9 => return -1,
        8 => ptr::null_mut(),
        7 => ptr::without_provenance_mut(17),
        _ => context,
    };
    if !out.is_null() {
        // SAFETY: the code under test passes a place of its own, or null.
        unsafe { out.write(changed) };
    }
    0
}

/// Encodes a context as the byte of its number.
pub(super) unsafe extern "C" fn encode_context(
    context: *mut c_void,
    bytes: *mut *mut c_char,
    length: *mut usize,
) -> c_int {
    let encoded = lend::give(vec![u8::try_from(context.addr()).unwrap()]);
    // SAFETY: the code under test passes a place of its own.
    unsafe { bytes.write(encoded.cast()) };
    // SAFETY: as above.
    unsafe { length.write(1) };
    0
}

pub(super) unsafe extern "C" fn free_encoded(bytes: *mut c_char) {
    // SAFETY: the bytes are what was given by `encode_context`.
    unsafe { lend::free(bytes.cast()) };
}

/// Context 6 has no metrics.
pub(super) unsafe extern "C" fn is_empty(context: *mut c_void) -> c_int {
    c_int::from(context.addr() == 6)
}

fn native_sink(row: &HostAbi, processor: usize) -> HostSink {
    note(|notes| *notes = Notes::default());
    let (instance, config) = instance(PluginKind::Input, row, SPEC.name, &[]);
    let processor: *mut c_void = ptr::without_provenance_mut(processor);
    instance.set(row.input.processor, processor);
    let host = host(row);
    let functions = *host.symbols.input.as_ref().unwrap();
    HostSink::new(host, functions, HostPointer(instance.pointer()), HostPointer(config.pointer()))
        .for_callback(true)
}

/// Guarantees: the rest of what is stored in part is appended although the input is paused, which it
/// is again afterwards; anything else is refused.
#[test]
fn the_rest_is_appended_under_every_row() {
    for row in ROWS {
        let mut sink = native_sink(row, 0);
        let instance = sink.view();
        for paused in [row.input.mem_buf_status, row.input.storage_buf_status] {
            let offsets = [row.input.mem_buf_status, row.input.storage_buf_status];
            offsets.iter().for_each(|status| instance.set::<c_int>(*status, 1));
            instance.set::<c_int>(paused, 0);
            note(|notes| notes.statuses = Some((instance, offsets)));
            let mut append = |rest| {
                sink.rest_follows(rest);
                sink.append_native(b"t", NativeKind::Metrics, &[1])
            };
            assert_eq!(append(false), Err(NotAppended::Refused), "{}", row.since);
            assert_eq!(append(true), Ok(()), "{}", row.since);
            assert_eq!(append(false), Err(NotAppended::Refused), "{}", row.since);
            assert_eq!(
                offsets.map(|status| instance.get::<c_int>(status)).iter().sum::<c_int>(),
                1
            );
        }
        note(|notes| notes.statuses = None);
    }
}

/// Guarantees: contexts are appended in one call, all or none; where there are processors, each
/// context goes through them first and is destroyed once, by us or by who keeps it; what they fail
/// on is refused for good, and before anything is appended.
#[test]
fn contexts_are_appended_under_every_row() {
    for row in ROWS {
        let taken = || note(|notes| std::mem::take(&mut notes.appended));
        let seen = || note(|notes| std::mem::take(&mut notes.contexts));
        for processor in [0, 0x1111] {
            let mut sink = native_sink(row, processor);
            sink.append_native(b"t", NativeKind::Metrics, &[1, 2]).unwrap();
            sink.append_native(b"", NativeKind::Traces, &[1]).unwrap();
            sink.append_native(b"", NativeKind::Traces, &[]).unwrap();
            assert_eq!(taken(), [("1 t".to_owned(), 1, 2), ("2 ".to_owned(), 1, 1)]);
        }
        let mut sink = native_sink(row, 0x5678);
        sink.append_native(b"t", NativeKind::Metrics, &[1, 7, 6, 8]).unwrap();
        let expected = [
            "2 t 1",
            "destroyed 1",
            "2 t 7",
            "destroyed 7",
            "destroyed 17",
            "2 t 6",
            "destroyed 6",
            "2 t 8",
            "destroyed 8",
        ];
        assert_eq!(seen(), expected, "{}", row.since);
        assert_eq!(taken(), [("1 t".to_owned(), 1, 3)]);
        sink.append_native(b"t", NativeKind::Metrics, &[6]).unwrap();
        let failed = sink.append_native(b"t", NativeKind::Metrics, &[3, 9, 4]);
        assert!(matches!(failed, Err(NotAppended::Processors(_))));
        let unreadable = sink.append_native(b"t", NativeKind::Metrics, &[5, 0xff]);
        assert!(matches!(unreadable, Err(NotAppended::Unsupported(_))));
        assert!(taken().is_empty());
        let expected = [
            "2 t 6",
            "destroyed 6",
            "2 t 3",
            "destroyed 3",
            "2 t 9",
            "destroyed 9",
            "destroyed 4",
            "destroyed 5",
        ];
        assert_eq!(seen(), expected, "{}", row.since);
        sink.append_native(b"", NativeKind::Traces, &[8]).unwrap();
        let failed = sink.append_native(b"t", NativeKind::Traces, &[9]);
        assert!(matches!(failed, Err(NotAppended::Processors(_))));
        // Before 4.0 a processor changes traces where they are, and keeps none.
        let in_place = row.first < Release::new(4, 0, 0);
        assert_eq!(taken().len(), usize::from(in_place), "{}", row.since);
        let own: &[&str] = if in_place { &["destroyed 8"] } else { &[] };
        let expected = [&["4  8"], own, &["4 t 9", "destroyed 9"]].concat();
        assert_eq!(seen(), expected, "{}", row.since);
    }
}
