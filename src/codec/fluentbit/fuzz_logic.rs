//! Fuzz logic: feeds any bytes through every reader of Fluent Bit's own formats, for fuzz targets and
//! tests.

use super::{FieldAccessors, LogAccessors, cmetrics_to_otlp, ctraces_to_otlp, plain_log, write};
use crate::codec::msgpack::Accessor;
use crate::codec::records::Events;

/// Reads arbitrary bytes in every way that this folder has: nothing may panic, hang or
/// take memory out of proportion.
pub fn chunks(bytes: &[u8]) {
    let requests = [ctraces_to_otlp(bytes), cmetrics_to_otlp(bytes)];
    drop(std::hint::black_box(requests));
    for forms in ["3.0.0", "5.1.1"].map(write::ReaderCapabilities::of_release) {
        let (mut traces, mut metrics) = (Vec::new(), Vec::new());
        drop(std::hint::black_box(write::traces_to_ctraces(bytes, &mut traces, forms)));
        drop(std::hint::black_box(write::metrics_to_cmetrics(bytes, &mut metrics, forms)));
        drop(std::hint::black_box([ctraces_to_otlp(&traces), cmetrics_to_otlp(&metrics)]));
    }
    let accessors = [LogAccessors::default(), short_accessors()];
    for event in Events::new(bytes).flatten() {
        for accessors in &accessors {
            drop(std::hint::black_box(plain_log(&event, bytes, 1, accessors)));
        }
    }
}

/// Accessors of short names, so that arbitrary bytes meet them.
fn short_accessors() -> LogAccessors {
    let read = |text: &str| Accessor::parse(text).ok();
    let pair =
        |metadata, message| FieldAccessors { metadata: read(metadata), message: read(message) };
    LogAccessors {
        body: ["$a['b']", "$l[1]['a']", "$a"].into_iter().filter_map(read).collect(),
        body_attributes: true,
        timestamp: pair("$t", "$a['t']"),
        observed_timestamp: pair("$a['t']", "$l[0]"),
        severity_text: pair("$s", "$a['b']['s']"),
        severity_number: pair("$n", "$a['b']['n']"),
        trace_id: pair("$a['i']", "$a['b']['i']"),
        span_id: pair("$a['i']", "$context['i']"),
        trace_flags: pair("$f", "$context['f']"),
        attributes: read("$a"),
    }
}
