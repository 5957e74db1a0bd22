//! Ingestion: data on its way in is refused, filtered, and put into chunks.

use std::sync::Arc;

use fluent_bit_ai::codec::msgpack::Reader;
use fluent_bit_ai::codec::records::Events;
use fluent_bit_ai::codec::records::layout::GROUP_END;

use super::Engine;
use super::flush::stack_size;
use super::inputs::OpenChunk;
use crate::coroutine;
use crate::faults;
use crate::instance::Instance;
use crate::memory::{self, Addr, Block};
use crate::plugin_calls::{self, FilterCall};
use crate::report;

/// The event type of logs.
pub(crate) const LOGS: i32 = 0;
const CHUNK_BYTES: usize = 2_000_000;
const MODIFIED: i32 = 1;
const NOT_TOUCHED: i32 = 2;

impl Engine {
    /// Takes events in; -1 if they are refused. Without `tag` the input's own tag is used.
    pub(crate) fn append(
        &self,
        index: usize,
        kind: i32,
        tag: Option<&[u8]>,
        records: usize,
        bytes: &[u8],
    ) -> i32 {
        let Some(input) = self.inputs.get(index) else { return -1 };
        let appends = self.appends.get() + 1;
        self.appends.set(appends);
        if input.instance.is_paused() || faults::hits(appends, self.faults.append_refused) {
            return -1;
        }
        let own = input.instance.tag();
        let tag = tag.filter(|tag| !tag.is_empty()).unwrap_or(own.as_bytes());
        let mut content = bytes.to_vec();
        let mut records = if records == 0 { self.count(kind, bytes) } else { records };
        if kind == LOGS {
            for filter in &input.processors {
                self.filter(filter, &input.instance, tag, &mut content);
            }
            for filter in self.filters.iter().filter(|filter| filter.matches(tag)) {
                self.filter(filter, &input.instance, tag, &mut content);
            }
            records = self.count(kind, &content);
        }
        if !content.is_empty() {
            self.store(index, OpenChunk { kind, tag: tag.to_vec(), bytes: content, records });
        }
        input.appends.set(input.appends.get() + 1);
        self.protect(index);
        0
    }

    /// The events of a buffer as the release counts them.
    fn count(&self, kind: i32, bytes: &[u8]) -> usize {
        if kind == LOGS && self.row.first.major >= 5 {
            let marker = |seconds: u32| seconds >= GROUP_END;
            let events = Events::new(bytes).flatten();
            return events.filter(|event| !marker(event.time.seconds)).count();
        }
        let mut reader = Reader::new(bytes);
        let mut count = 0;
        while !reader.is_empty() && reader.skip().is_ok() {
            count += 1;
        }
        count
    }

    fn store(&self, index: usize, arrived: OpenChunk) {
        let Some(input) = self.inputs.get(index) else { return };
        if !self.outputs.iter().any(|output| Self::wants(&output.instance, &arrived)) {
            let tag = String::from_utf8_lossy(&arrived.tag).into_owned();
            report::line(report::DEBUG, &format!("[flb-host] no output takes the tag {tag}"));
            return;
        }
        input.hold(input.held.get() + arrived.bytes.len());
        let mut chunks = input.chunks.borrow_mut();
        let open = chunks.iter_mut().find(|chunk| {
            chunk.kind == arrived.kind
                && chunk.tag == arrived.tag
                && chunk.bytes.len() < CHUNK_BYTES
        });
        match open {
            Some(chunk) => {
                chunk.bytes.extend_from_slice(&arrived.bytes);
                chunk.records += arrived.records;
            }
            None => chunks.push(arrived),
        }
    }

    /// Whether an output takes chunks of this tag and type.
    pub(super) fn wants(output: &Instance, chunk: &OpenChunk) -> bool {
        let bit = 1_i32.checked_shl(u32::try_from(chunk.kind).unwrap_or(31)).unwrap_or(0);
        output.event_types() & bit != 0 && output.matches(&chunk.tag)
    }

    /// Lets a filter change the content, with the host's rules for who owns the new bytes.
    fn filter(
        &self,
        filter: &Arc<Instance>,
        input: &Arc<Instance>,
        tag: &[u8],
        content: &mut Vec<u8>,
    ) {
        if content.is_empty() {
            return;
        }
        let Some(function) = filter.callback(self.row.filter_plugin.cb_filter) else { return };
        let out = Block::zeroed(2 * size_of::<Addr>());
        let out_size = out.addr().plus(size_of::<Addr>());
        let mut text = tag.to_vec();
        text.push(0);
        let call = FilterCall {
            data: Addr::of(content.as_ptr()),
            size: content.len(),
            tag: Addr::of(text.as_ptr()),
            tag_length: i32::try_from(tag.len()).unwrap_or(i32::MAX),
            out: out.addr(),
            out_size,
            filter: filter.addr(),
            input: input.addr(),
            context: filter.context(),
            config: self.config.addr(),
        };
        let verdict = if self.faults.coro_filters {
            let what = format!("the filter {}", filter.name);
            coroutine::on_small_stack(stack_size(self.row), &what, || {
                plugin_calls::filter(function, call)
            })
        } else {
            Some(plugin_calls::filter(function, call))
        };
        let made: Addr = out.get(0);
        match verdict {
            Some(MODIFIED) => {
                *content = made.bytes(out_size.read::<Addr>().0);
                memory::free(made);
            }
            Some(NOT_TOUCHED) if made.is_null() => {}
            Some(NOT_TOUCHED) => {
                report::problem(&format!("{} left a buffer that nobody frees", filter.name));
            }
            other => report::problem(&format!("{}: {other:?} is no verdict", filter.name)),
        }
    }
}
