//! Data on its way in, collectors, and the engine.

use std::ffi::c_long;
use std::time::Duration;

use fluent_bit_ai::clock;

use crate::engine::CollectorTrigger;
use crate::engine::current;
use crate::memory::Addr;

const METRICS: i32 = 1;
const TRACES: i32 = 2;

struct Append {
    input: Addr,
    kind: i32,
    records: usize,
    tag: Addr,
    tag_length: usize,
    bytes: Addr,
    length: usize,
}

fn append(function: &str, what: &Append) -> i32 {
    let Some(engine) = current::engine(function) else { return -1 };
    let Some(index) = engine.index_of(what.input) else { return -1 };
    let tag = (!what.tag.is_null()).then(|| what.tag.bytes(what.tag_length));
    let bytes = what.bytes.bytes(what.length);
    engine.append(index, what.kind, tag.as_deref(), what.records, &bytes)
}

/// The name of a task's chunk, which is all that this host keeps there.
#[unsafe(no_mangle)]
extern "C" fn flb_input_chunk_get_name(chunk: Addr) -> Addr {
    chunk
}

#[unsafe(no_mangle)]
extern "C" fn flb_input_log_append(
    input: Addr,
    tag: Addr,
    tag_length: usize,
    bytes: Addr,
    length: usize,
) -> i32 {
    let what = Append { input, kind: 0, records: 0, tag, tag_length, bytes, length };
    append("flb_input_log_append", &what)
}

#[unsafe(no_mangle)]
extern "C" fn flb_input_log_append_records(
    input: Addr,
    records: usize,
    tag: Addr,
    tag_length: usize,
    bytes: Addr,
    length: usize,
) -> i32 {
    let what = Append { input, kind: 0, records, tag, tag_length, bytes, length };
    append("flb_input_log_append_records", &what)
}

/// Appends encoded events of any type: 0 logs, 1 metrics, 2 traces.
#[unsafe(no_mangle)]
extern "C" fn flb_input_chunk_append_raw(
    input: Addr,
    kind: i32,
    records: usize,
    tag: Addr,
    tag_length: usize,
    bytes: Addr,
    length: usize,
) -> i32 {
    if !(0..=TRACES.max(METRICS)).contains(&kind) {
        return -1;
    }
    let what = Append { input, kind, records, tag, tag_length, bytes, length };
    append("flb_input_chunk_append_raw", &what)
}

#[unsafe(no_mangle)]
extern "C" fn flb_input_set_collector_time(
    input: Addr,
    callback: Addr,
    seconds: libc::time_t,
    nanos: c_long,
    _config: Addr,
) -> i32 {
    let Some(engine) = current::engine("flb_input_set_collector_time") else { return -1 };
    let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u64::try_from(nanos)) else {
        return -1;
    };
    let period = Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos));
    let period = period.max(Duration::from_millis(1));
    engine.add_collector(input, callback, CollectorTrigger::Every(period))
}

#[unsafe(no_mangle)]
extern "C" fn flb_input_set_collector_event(
    input: Addr,
    callback: Addr,
    descriptor: i32,
    _config: Addr,
) -> i32 {
    let Some(engine) = current::engine("flb_input_set_collector_event") else { return -1 };
    engine.add_collector(input, callback, CollectorTrigger::Readable(descriptor))
}

#[unsafe(no_mangle)]
extern "C" fn flb_input_set_collector_socket(
    input: Addr,
    callback: Addr,
    descriptor: i32,
    _config: Addr,
) -> i32 {
    let Some(engine) = current::engine("flb_input_set_collector_socket") else { return -1 };
    engine.add_collector(input, callback, CollectorTrigger::Readable(descriptor))
}

#[unsafe(no_mangle)]
extern "C" fn flb_input_collector_start(number: i32, input: Addr) -> i32 {
    current::engine("flb_input_collector_start")
        .map_or(-1, |engine| engine.start_collector(input, number))
}

#[unsafe(no_mangle)]
extern "C" fn flb_input_collector_resume(number: i32, input: Addr) -> i32 {
    current::engine("flb_input_collector_resume")
        .map_or(-1, |engine| engine.start_collector(input, number))
}

#[unsafe(no_mangle)]
extern "C" fn flb_input_collector_pause(number: i32, input: Addr) -> i32 {
    current::engine("flb_input_collector_pause")
        .map_or(-1, |engine| engine.pause_collector(input, number))
}

#[unsafe(no_mangle)]
extern "C" fn flb_input_collector_running(number: i32, input: Addr) -> i32 {
    current::engine("flb_input_collector_running")
        .map_or(0, |engine| i32::from(engine.collector_runs(input, number)))
}

#[unsafe(no_mangle)]
extern "C" fn flb_input_pause(input: Addr) -> i32 {
    current::engine("flb_input_pause").map_or(-1, |engine| engine.pause_at(input))
}

#[unsafe(no_mangle)]
extern "C" fn flb_input_resume(input: Addr) -> i32 {
    current::engine("flb_input_resume").map_or(-1, |engine| engine.resume_at(input))
}

#[unsafe(no_mangle)]
extern "C" fn flb_engine_flush(_config: Addr, _only: Addr) -> i32 {
    let Some(engine) = current::engine("flb_engine_flush") else { return -1 };
    engine.dispatch();
    0
}

#[unsafe(no_mangle)]
extern "C" fn cfl_time_now() -> u64 {
    clock::unix_nanos()
}

kept! {
    [flb_input_chunk_get_name]: extern "C" fn(Addr) -> Addr;
    [flb_input_log_append]: extern "C" fn(Addr, Addr, usize, Addr, usize) -> i32;
    [flb_input_log_append_records]: extern "C" fn(Addr, usize, Addr, usize, Addr, usize) -> i32;
    [flb_input_chunk_append_raw]: extern "C" fn(Addr, i32, usize, Addr, usize, Addr, usize) -> i32;
    [flb_input_set_collector_time]: extern "C" fn(Addr, Addr, libc::time_t, c_long, Addr) -> i32;
    [
        flb_input_set_collector_event,
        flb_input_set_collector_socket,
    ]: extern "C" fn(Addr, Addr, i32, Addr) -> i32;
    [
        flb_input_collector_start,
        flb_input_collector_resume,
        flb_input_collector_pause,
        flb_input_collector_running,
    ]: extern "C" fn(i32, Addr) -> i32;
    [flb_input_pause, flb_input_resume]: extern "C" fn(Addr) -> i32;
    [flb_engine_flush]: extern "C" fn(Addr, Addr) -> i32;
    [cfl_time_now]: extern "C" fn() -> u64;
}
