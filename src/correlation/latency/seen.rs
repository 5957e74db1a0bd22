//! What is remembered of a span: where it stands, how long it took, and what a model server says of it.

use std::time::Duration;

use crate::codec::msgpack::{Reader, Token, int_of, text_of};
use crate::codec::records::{AttributeVisitor, SpanView};
use crate::model::{LatencyPart, MODEL_CALLS, SpanId};

/// Which side of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallSide {
    /// Who calls.
    Client,
    /// Who is called.
    Server,
    /// Neither.
    Other,
}

/// The process that a span is from, by its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ProcessId(pub(super) u64);

/// What is remembered of a span.
#[derive(Debug)]
pub(super) struct SeenSpan {
    pub(super) span: SpanId,
    pub(super) parent: Option<SpanId>,
    /// Whether its parent is in another process, if the span says it.
    pub(super) parent_is_remote: Option<bool>,
    pub(super) process: ProcessId,
    pub(super) side: CallSide,
    /// Nanoseconds since the Unix epoch by the clock of its process; 0 if it is not known.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) is_model_call: bool,
    /// What a model server says of the call.
    pub(super) engine: Option<Box<EngineTimes>>,
}

impl SeenSpan {
    /// What is to be remembered of a span; `None` if it has no id.
    pub(super) fn new(span: &SpanView<'_>, process: ProcessId, said: &CallVisitor) -> Option<Self> {
        /// OTLP's flags: whether it is known if the parent is in another process, and whether it is.
        const KNOWN: i64 = 0x100;
        const REMOTE: i64 = 0x200;
        let flags = int_of(span.flags).unwrap_or(0);
        let side = match text_of(span.kind) {
            Some("client" | "producer") => CallSide::Client,
            Some("server" | "consumer") => CallSide::Server,
            _ => CallSide::Other,
        };
        Some(Self {
            span: span.span_id()?,
            parent: span.parent_span_id(),
            parent_is_remote: (flags & KNOWN != 0).then_some(flags & REMOTE != 0),
            process,
            side,
            start: span.start_unix_nanos(),
            end: span.end_unix_nanos(),
            is_model_call: said.is_model_call(),
            engine: said.engine.map(Box::new),
        })
    }

    /// How long it took, in nanoseconds.
    pub(super) fn duration(&self) -> Option<u64> {
        self.end.checked_sub(self.start).filter(|_| self.start > 0)
    }

    /// Whether it is how its process was called from that of its parent.
    pub(super) fn is_entry(&self, parent: &Self) -> bool {
        let is_other_process = self.process != parent.process;
        match (self.parent_is_remote, self.side) {
            (Some(is_remote), _) => is_remote,
            // That a model server's own span is of kind server says nothing below another of its spans.
            (None, CallSide::Server) => is_other_process || self.engine.is_none(),
            (None, CallSide::Client) => false,
            (None, CallSide::Other) => is_other_process,
        }
    }
}

/// What a model server says of the time that a request took, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct EngineTimes {
    queue: Option<u64>,
    prefill: Option<u64>,
    decode: Option<u64>,
    inference: Option<u64>,
    first_token: Option<u64>,
    total: Option<u64>,
}

/// The stages of a request in a model server, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EngineStages {
    pub(super) queue: Option<u64>,
    pub(super) prefill: Option<u64>,
    pub(super) decode: Option<u64>,
}

impl EngineTimes {
    /// Notes an attribute `gen_ai.latency.NAME`, in seconds. Returns whether it is one of those.
    fn note(&mut self, name: &[u8], value: &[u8]) -> bool {
        let slot = match name {
            b"time_in_queue" => &mut self.queue,
            b"time_in_model_prefill" => &mut self.prefill,
            b"time_in_model_decode" => &mut self.decode,
            b"time_in_model_inference" => &mut self.inference,
            b"time_to_first_token" => &mut self.first_token,
            b"e2e" => &mut self.total,
            _ => return false,
        };
        *slot = nanos_of(value);
        slot.is_some()
    }

    /// The stages: as they are said, or as what is said makes them. A server that took `duration` in all
    /// begins to decode with the first token.
    pub(super) fn stages(&self, duration: Option<u64>) -> EngineStages {
        let until_first = || self.first_token?.checked_sub(self.queue?);
        let after_prefill = || self.inference?.checked_sub(self.prefill?);
        let after_first = || self.total.or(duration)?.checked_sub(self.first_token?);
        EngineStages {
            queue: self.queue,
            prefill: self.prefill.or_else(until_first),
            decode: self.decode.or_else(after_prefill).or_else(after_first),
        }
    }
}

/// Nanoseconds of a number of seconds that is not negative.
fn nanos_of(seconds: &[u8]) -> Option<u64> {
    let duration = match Reader::new(seconds).token().ok()? {
        Token::Uint(seconds) => Duration::from_secs(seconds),
        Token::Float(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        _ => return None,
    };
    u64::try_from(duration.as_nanos()).ok()
}

/// Picks up what a span says while it is read.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::correlation) struct CallVisitor {
    calls_model: bool,
    engine: Option<EngineTimes>,
    /// The parts are on it already.
    is_split: bool,
}

impl CallVisitor {
    /// Whether the span is a model server's.
    pub(in crate::correlation) const fn is_engine(&self) -> bool {
        self.engine.is_some()
    }

    /// Whether the span is one of a call to a model, and not the model server's.
    pub(super) const fn is_model_call(&self) -> bool {
        self.calls_model && self.engine.is_none()
    }

    /// Whether it may be the client's span of a call, and has no parts yet.
    pub(super) const fn is_open_call(&self) -> bool {
        self.is_model_call() && !self.is_split
    }
}

impl<'a> AttributeVisitor<'a> for CallVisitor {
    #[inline]
    fn attribute(&mut self, key: &'a [u8], value: &'a [u8]) {
        if let Some(rest) = key.strip_prefix(b"gen_ai.") {
            if rest == b"operation.name" {
                self.calls_model = text_of(value).is_some_and(|name| MODEL_CALLS.contains(&name));
            } else if let Some(name) = rest.strip_prefix(b"latency.") {
                let mut times = self.engine.unwrap_or_default();
                if times.note(name, value) {
                    self.engine = Some(times);
                }
            }
        } else if key.starts_with(LatencyPart::PREFIX.as_bytes()) {
            self.is_split = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{f64, str, uint};

    fn times(said: &[(&str, f64)]) -> EngineTimes {
        let mut times = EngineTimes::default();
        for (name, seconds) in said {
            let mut value = Vec::new();
            f64(&mut value, *seconds);
            assert!(times.note(name.as_bytes(), &value), "{name}");
        }
        times
    }

    #[test]
    fn stages_are_said_or_follow() {
        const SECOND: u64 = 1_000_000_000;
        let stages = |times: EngineTimes, duration| {
            let EngineStages { queue, prefill, decode } = times.stages(duration);
            [queue, prefill, decode].map(|stage| stage.map(|nanos| nanos / SECOND))
        };
        let vllm = times(&[
            ("time_in_queue", 1.0),
            ("time_in_model_prefill", 2.0),
            ("time_in_model_decode", 4.0),
            ("time_in_model_inference", 6.5),
            ("time_to_first_token", 3.5),
            ("e2e", 8.0),
        ]);
        assert_eq!(stages(vllm, None), [Some(1), Some(2), Some(4)]);
        let inference = times(&[("time_in_model_prefill", 2.0), ("time_in_model_inference", 6.0)]);
        assert_eq!(stages(inference, None), [None, Some(2), Some(4)]);
        let trtllm = times(&[("time_in_queue", 1.0), ("time_to_first_token", 3.0), ("e2e", 8.0)]);
        assert_eq!(stages(trtllm, Some(99 * SECOND)), [Some(1), Some(2), Some(5)]);
        let first = times(&[("time_to_first_token", 3.0)]);
        assert_eq!(stages(first, Some(8 * SECOND)), [None, None, Some(5)]);
        assert_eq!(stages(first, None), [None, None, None]);
        let late = times(&[("time_in_queue", 4.0), ("time_to_first_token", 3.0), ("e2e", 2.0)]);
        assert_eq!(stages(late, None), [Some(4), None, None], "what contradicts itself");
    }

    #[test]
    fn what_is_no_time_is_not_noted() {
        let mut times = EngineTimes::default();
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            let mut value = Vec::new();
            f64(&mut value, wrong);
            assert!(!times.note(b"e2e", &value), "{wrong}");
        }
        let mut text = Vec::new();
        str(&mut text, "1.0");
        assert!(!times.note(b"e2e", &text) && !times.note(b"time_in_bed", b"\x01"));
        let mut whole = Vec::new();
        uint(&mut whole, 2);
        assert!(times.note(b"e2e", &whole));
        assert_eq!(times, EngineTimes { total: Some(2_000_000_000), ..EngineTimes::default() });
    }
}
