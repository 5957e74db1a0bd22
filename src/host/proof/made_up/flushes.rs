//! A made-up host that flushes.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsRawFd;

use super::super::super::abi::row::HostAbi;
use super::super::flush::Flushing;
use super::super::memory::ProcessMemory;
use super::super::report::ProofReport;
use super::instances::engine;
use super::memory::{Blocks, Rest, put, put_int};
use super::truth::Truth;

/// Two log events.
const EVENTS: &[u8] = b"\x92\x92\x01\x80\x80\x92\x92\x02\x80\x81\xa1n\x07";
const NUMBER: i32 = 5;

/// Links the node of an only entry to its list.
fn link(truth: &Truth, head: usize, node: usize) {
    for (from, to) in [(head, node), (node, head)] {
        put(from + truth.at("list.next"), to);
        put(from + truth.at("list.prev"), to);
    }
}

/// What a row is found to be at a flush in a host that is laid out as the truth says.
///
/// Either the host's coroutines have no identifier of Valgrind's, or the output's processors have made
/// the chunk.
pub(super) fn prove(truth: &Truth, row: &HostAbi, rest: Rest, processed: bool) -> ProofReport {
    let mut blocks = Blocks::new(rest);
    let at = |field: &str| truth.at(field);
    let config = engine(truth, &mut blocks);
    let [flush, task, chunk, route, output, input, ic, coro, active, caller] = [
        "flush",
        "task",
        "event_chunk",
        "route",
        "output",
        "input",
        "task",
        "coro",
        "task",
        "task",
    ]
    .map(|structure| blocks.block(at(&format!("{structure}.size")) + 64));
    put(flush + at("flush.task"), task);
    put(flush + at("flush.config"), config);
    put(flush + at("flush.o_ins"), output);
    put(flush + at("flush.coro"), coro);
    let passed = if processed { blocks.block(at("event_chunk.size")) } else { chunk };
    put(flush + at("flush.processed_event_chunk"), if processed { passed } else { 0 });
    let less = if processed { 0 } else { 8 };
    put(coro + at("coro.caller") - less, caller);
    put(coro + at("coro.callee") - less, active);
    put(coro + at("coro.data") - less, flush);
    put_int(task + at("task.id"), NUMBER);
    put(task + at("task.event_chunk"), chunk);
    put(task + at("task.ic"), ic);
    put(task + at("task.i_ins"), input);
    put(task + at("task.config"), config);
    put(ic + 48, input);
    put(ic + 56, task);
    link(truth, task + at("task.routes"), route + at("route.head"));
    put_int(route + at("route.status"), 1);
    put(route + at("route.out"), output);
    if let (Some(records), Some(bytes)) = (truth.find("route.records"), truth.find("route.bytes")) {
        put_int(route + records, 2);
        put(route + bytes, EVENTS.len());
    }
    fill_chunk(truth, &mut blocks, chunk);
    fill_chunk(truth, &mut blocks, passed);
    map_task(truth, &mut blocks, config, task);
    let pipes = [std::io::pipe().unwrap(), std::io::pipe().unwrap()];
    let worker = make_worker(truth, &mut blocks, &pipes, [output, config]);
    let memory = ProcessMemory::own().unwrap();
    Flushing {
        memory: &memory,
        abi: row,
        chunk: passed,
        flush,
        input,
        config,
        output,
        active,
        worker,
    }
    .prove()
}

/// A worker of the output, with the engine's pipe and its own.
fn make_worker(
    truth: &Truth,
    blocks: &mut Blocks,
    pipes: &[(PipeReader, PipeWriter); 2],
    [output, config]: [usize; 2],
) -> usize {
    let at = |field: &str| truth.at(&format!("out_thread.{field}"));
    let worker = blocks.block(at("size"));
    put_int(worker, pipes[0].0.as_raw_fd());
    for (field, pipe) in ["ch_parent_events", "ch_thread_events"].into_iter().zip(pipes) {
        put_int(worker + at(field), pipe.0.as_raw_fd());
        put_int(worker + at(field) + 4, pipe.1.as_raw_fd());
    }
    put(worker + at("ins"), output);
    put(worker + at("config"), config);
    worker
}

/// A chunk of logs.
fn fill_chunk(truth: &Truth, blocks: &mut Blocks, chunk: usize) {
    let at = |field: &str| truth.at(field);
    let (tag, data) = (blocks.text("a.tag"), blocks.block(EVENTS.len()));
    super::memory::poke(data, EVENTS);
    put_int(chunk + at("event_chunk.kind"), 0);
    put(chunk + at("event_chunk.tag"), tag);
    put(chunk + at("event_chunk.data"), data);
    put(chunk + at("event_chunk.length"), EVENTS.len());
    put(chunk + at("event_chunk.total_events"), 2);
    put(chunk + at("event_chunk.trace"), 0);
}

/// Before 4.0 the tasks are in the configuration itself, since then behind a pointer.
fn map_task(truth: &Truth, blocks: &mut Blocks, config: usize, task: usize) {
    const TASKS: usize = 2048;
    let ahead = usize::try_from(NUMBER).unwrap() * 8;
    let size = truth.at("config.size");
    if size > TASKS * 8 {
        let map = config + size - TASKS * 8 - 64;
        (0..TASKS).for_each(|number| put(map + number * 8, 0));
        return put(map + ahead, task);
    }
    let map = blocks.block(64 * 8);
    put(map + ahead, task);
    put(config + size - 64, map);
}
