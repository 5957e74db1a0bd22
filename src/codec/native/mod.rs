//! What Fluent Bit itself writes, turned into OTLP: `CTraces`, `CMetrics`, and ordinary logs.
//!
//! A chunk of traces or metrics is a concatenation of contexts, each one msgpack map. Fluent Bit's
//! own readers give up at the first context that they do not like; these readers frame each context
//! first, so that a context that cannot be read costs itself and nothing else. They are more
//! lenient, too: keys may come in any order, unknown keys are ignored, nil is the empty value, text
//! may hold any byte.

mod cmetrics;
mod context;
mod ctraces;
mod fields;
mod ids;
mod json_text;
mod message;
mod pb;
mod plain;
mod tally;
mod values;
pub mod write;

use self::tally::{Bad, Place, Tally};
use super::msgpack::{Accessor, Reader};
use super::records::Events;
pub use cmetrics::cmetrics_to_otlp;
pub use context::{TraceContext, UsedKey, UsedKeys, find_trace_context, find_trace_context_with};
pub use ctraces::ctraces_to_otlp;
pub use json_text::JsonText;
pub use plain::{LogAccessors, LogSeverity, Places, PlainLog, plain_log};

/// A chunk of traces or metrics as an OTLP request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NativeRequest {
    /// An encoded `ExportTraceServiceRequest` or `ExportMetricsServiceRequest`. Empty if there is
    /// no item.
    pub request: Vec<u8>,
    /// The spans or data points in it.
    pub items: usize,
    /// The contexts that were read.
    pub contexts: usize,
    /// What could not be read: contexts, or within a context envelopes, metrics, spans, points,
    /// events, links, exemplars, attributes and labels.
    pub skipped: usize,
    /// Why and where the first one of them could not be read.
    pub reason: Option<String>,
}

/// Reads one context, which may be anything that is msgpack.
type ReadContext = fn(&mut Vec<u8>, &[u8], Place, &mut Tally) -> Result<(), Bad>;

fn read_chunk(chunk: &[u8], read: ReadContext) -> NativeRequest {
    let mut reader = Reader::new(chunk);
    let mut tally = Tally::default();
    let mut request = Vec::with_capacity(chunk.len());
    for number in 0.. {
        if reader.is_empty() {
            break;
        }
        let place = Place::context(number);
        let Ok(raw) = reader.skip() else {
            tally.skip(place, Bad::new("", "is cut off or is not msgpack; what follows is lost"));
            break;
        };
        if !fields::is_map(raw) {
            tally.skip(place, Bad::new("", "is not a map"));
            continue;
        }
        match read(&mut request, raw, place, &mut tally) {
            Ok(()) => tally.contexts = tally.contexts.saturating_add(1),
            Err(bad) => tally.skip(place, bad),
        }
    }
    let Tally { items, contexts, skipped, reason } = tally;
    NativeRequest { request, items, contexts, skipped, reason }
}

/// Reads arbitrary bytes in every way that this module has, for fuzzing: nothing may panic, hang or
/// take memory out of proportion.
pub fn exercise(bytes: &[u8]) {
    let requests = [ctraces_to_otlp(bytes), cmetrics_to_otlp(bytes)];
    drop(std::hint::black_box(requests));
    for forms in ["3.0.0", "5.1.1"].map(write::Forms::of_release) {
        let (mut traces, mut metrics) = (Vec::new(), Vec::new());
        drop(std::hint::black_box(write::traces_to_ctraces(bytes, &mut traces, forms)));
        drop(std::hint::black_box(write::metrics_to_cmetrics(bytes, &mut metrics, forms)));
        drop(std::hint::black_box([ctraces_to_otlp(&traces), cmetrics_to_otlp(&metrics)]));
    }
    let accessors = [LogAccessors::default(), exercised_accessors()];
    for event in Events::new(bytes).flatten() {
        for accessors in &accessors {
            drop(std::hint::black_box(plain_log(&event, bytes, 1, accessors)));
        }
    }
}

/// Accessors of short names, so that arbitrary bytes meet them.
fn exercised_accessors() -> LogAccessors {
    let read = |text: &str| Accessor::parse(text).ok();
    let places = |metadata, message| Places { metadata: read(metadata), message: read(message) };
    LogAccessors {
        body: ["$a['b']", "$l[1]['a']", "$a"].into_iter().filter_map(read).collect(),
        body_attributes: true,
        timestamp: places("$t", "$a['t']"),
        observed_timestamp: places("$a['t']", "$l[0]"),
        severity_text: places("$s", "$a['b']['s']"),
        severity_number: places("$n", "$a['b']['n']"),
        trace_id: places("$a['i']", "$a['b']['i']"),
        span_id: places("$a['i']", "$context['i']"),
        trace_flags: places("$f", "$context['f']"),
        attributes: read("$a"),
    }
}
