//! Plain text of a log, read for what it says of its trace: fields such as `trace_id=...` and
//! `traceparent: ...`, and the brackets that Spring writes.

use std::sync::LazyLock;

use aho_corasick::packed::Searcher;
use memchr::{memchr, memmem};

use super::text::log_texts;
use super::text_fields::{TextFields, fields_text};
use super::trace_context::{TraceContext, trace_context_of};
use super::trace_keys::{TraceKey, spelling};
use crate::codec::msgpack;
use crate::model::{SpanId, TraceId};

/// Brackets are looked for in so much of a text, and are so long at most.
const MAX_START: usize = 512;
const MAX_BRACKET: usize = 160;
/// Two ids of 16 digits, each after a comma.
const SHORTEST_IDS: usize = 34;
/// What every key of a trace id has one of.
const MARKS: [&[u8]; 4] = [b"race", b"RACE", b"b3", b"B3"];

/// All marks in one pass over a text, as most texts have none; `None` where the machine has no instructions
/// for that.
static MARK_SEARCHER: LazyLock<Option<Searcher>> = LazyLock::new(|| Searcher::new(MARKS));

fn has_mark(text: &[u8]) -> bool {
    match &*MARK_SEARCHER {
        Some(searcher) => searcher.find(text).is_some(),
        None => MARKS.iter().any(|mark| memmem::find(text, mark).is_some()),
    }
}

/// Finds the trace context in the plain texts of a log's encoded body, under `body_key` too: by the keys
/// of `find_trace_context`, as `key=value` or `key: value`, and as `[service,trace,span]` or
/// `[trace-span]`. What begins as a JSON object does is left to [`super::JsonText`].
#[must_use]
pub fn find_trace_context_in_text(body: &[u8], body_key: &[u8]) -> Option<TraceContext> {
    let mut texts = log_texts(body, body_key);
    texts.find_map(|text| {
        if text.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        of_fields(text).or_else(|| of_brackets(text))
    })
}

fn of_fields(text: &[u8]) -> Option<TraceContext> {
    if !has_mark(fields_text(text)) {
        return None;
    }
    let mut pairs = Pairs::default();
    for field in TextFields::new(text) {
        match spelling(field.key) {
            None | Some((_, TraceKey::Container)) => {}
            // A header of X-Ray's has separators in it.
            Some((key, TraceKey::Xray)) => pairs.add(key, field.long_value),
            Some((key, _)) => pairs.add(key, field.value),
        }
    }
    trace_context_of(&pairs.into_map())
}

/// Text pairs on their way into an encoded map.
#[derive(Default)]
struct Pairs {
    count: u32,
    encoded: Vec<u8>,
}

impl Pairs {
    fn add(&mut self, key: &str, value: &[u8]) {
        self.count = self.count.saturating_add(1);
        msgpack::str(&mut self.encoded, key);
        msgpack::str_bytes(&mut self.encoded, value);
    }

    fn into_map(self) -> Vec<u8> {
        let mut map = Vec::with_capacity(self.encoded.len().saturating_add(5));
        msgpack::map_header(&mut map, self.count);
        map.extend_from_slice(&self.encoded);
        map
    }
}

/// `[service,trace,span]`, `[service,trace,span,exported]` and `[trace-span]`: the patterns of Spring Cloud
/// Sleuth and of Spring Boot from 3 on.
fn of_brackets(text: &[u8]) -> Option<TraceContext> {
    let mut rest = text.get(..MAX_START).unwrap_or(text);
    while let Some(open) = memchr(b'[', rest) {
        rest = rest.get(open.saturating_add(1)..)?;
        let inside = rest.get(..MAX_BRACKET).unwrap_or(rest);
        let inside = memchr(b']', inside).and_then(|close| inside.get(..close));
        if let Some((trace, span)) = inside.and_then(ids_in_brackets) {
            let mut pairs = Pairs::default();
            pairs.add("X-B3-TraceId", trace);
            pairs.add("span_id", span);
            return trace_context_of(&pairs.into_map());
        }
    }
    None
}

fn ids_in_brackets(inside: &[u8]) -> Option<(&[u8], &[u8])> {
    if inside.len() < SHORTEST_IDS {
        return None;
    }
    let is_span = |text: &&[u8]| SpanId::from_hex(text).is_some();
    let is_trace = |text: &[u8]| TraceId::from_hex(text).is_some();
    if let Some((trace, span)) = inside.split_at_checked(32)
        && let Some(span) = span.strip_prefix(b"-").filter(is_span)
    {
        return is_trace(trace).then_some((trace, span));
    }
    let mut parts = inside.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let _service = parts.next()?;
    let trace = parts.next().filter(|trace| is_trace(trace) || is_span(trace))?;
    Some((trace, parts.next().filter(is_span)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TRACE: &str = "80f198ee56343ba864fe8b2a57d3eff7";
    const SPAN: &str = "e457b5a2e4d86bd1";

    fn find(text: &str) -> Option<(String, Option<String>, Option<u8>)> {
        let body = rmp_serde::to_vec(&json!({ "stream": "stdout", "log": text })).unwrap();
        let found = find_trace_context_in_text(&body, b"")?;
        assert!(found.keys.is_empty() && found.metadata_keys.is_empty());
        let span = found.span_id.map(|span| format!("{span:?}"));
        Some((format!("{:?}", found.trace_id), span, found.flags))
    }

    #[test]
    fn every_spelling_is_found_in_plain_text() {
        let (upper, lower) = TRACE.split_at(16);
        let (time, rest) = TRACE.split_at(8);
        let half = format!("{}{lower}", "0".repeat(upper.len()));
        let (low, number) = (u64::from_str_radix(lower, 16), u64::from_str_radix(SPAN, 16));
        let (low, number) = (low.unwrap(), number.unwrap());
        let xray = format!("1-{time}-{rest}");
        for (text, trace, flags) in [
            (format!("level=info trace_id={TRACE} span_id={SPAN} msg=x"), TRACE, None),
            (format!("INFO x [traceId={TRACE}, spanId={SPAN}] done"), TRACE, None),
            (format!("sent traceparent: 00-{TRACE}-{SPAN}-01"), TRACE, Some(1)),
            (format!("headers {{'traceparent': '00-{TRACE}-{SPAN}-01'}}"), TRACE, Some(1)),
            (format!("b3: {TRACE}-{SPAN}-1"), TRACE, Some(1)),
            (format!("b3={lower}-{SPAN}"), &*half, None),
            (
                format!("X-B3-TraceId: {TRACE}, X-B3-SpanId: {SPAN}, X-B3-Sampled: 1"),
                TRACE,
                Some(1),
            ),
            (format!("X-Amzn-Trace-Id: Root={xray};Parent={SPAN};Sampled=0"), TRACE, Some(0)),
            (format!("AWS-XRAY-TRACE-ID: {xray}@{SPAN} working"), TRACE, None),
            (format!("REPORT XRAY TraceId: {xray}\tSegmentId: {SPAN}\tSampled: true"), TRACE, None),
            (format!("[dd.service=a dd.trace_id={low} dd.span_id={number}] x"), &*half, None),
            (format!("x-datadog-trace-id: {low} x-datadog-parent-id: {number}"), &*half, None),
            (format!("INFO [shop,{TRACE},{SPAN}] 1 --- [main] x"), TRACE, None),
            (format!("INFO [shop,{lower},{SPAN},true] x"), &*half, None),
            (format!("INFO [shop] [  main] [{TRACE}-{SPAN}] x"), TRACE, None),
            (
                format!(
                    "2026-11-28T10:00:00Z stdout F {{\"trace_id\":\"{TRACE}\",\"span_id\":\"{SPAN}\"}}"
                ),
                TRACE,
                None,
            ),
        ] {
            let expected = (trace.to_owned(), Some(SPAN.to_owned()), flags);
            assert_eq!(find(&text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_ids_is_not_taken() {
        for text in [
            format!("md5 {TRACE} of {SPAN}"),
            format!("[{TRACE}]"),
            format!("[{SPAN},{SPAN}]"),
            format!("[a,{TRACE}{SPAN}]"),
            format!("[,,] [a,b,c] [{TRACE}-x] ["),
            "trace_id=0 span_id=0".to_owned(),
            format!("trace_id={}", "0".repeat(32)),
            format!("my_trace_id={TRACE}"),
            "b3=0 tracing".to_owned(),
            format!("{}trace_id={TRACE}", " ".repeat(16 * 1024)),
            format!("{{\"deep\":{{\"in\":\"trace_id={TRACE}\"}}}}"),
        ] {
            assert_eq!(find(&text), None, "{text}");
        }
    }
}
