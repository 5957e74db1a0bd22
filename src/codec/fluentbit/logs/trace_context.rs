//! Trace context extraction: finds the trace that an ordinary log belongs to.
//!
//! The ids' form is that of the W3C Trace Context specification, sections "trace-id", "parent-id"
//! and "traceparent header field values".

use super::ids::{
    WholeContext, b3, b3_sampled, b3_trace, datadog_span, datadog_trace, flags, span_id, trace_id,
    traceparent, xray,
};
use super::json_text::JsonText;
use super::trace_keys::{TraceKey, key_within, spelling};
use crate::codec::msgpack::{MapView, Reader};
use crate::model::{SpanId, TraceId};

/// The trace, and mostly the span, during which a log was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span, if the log names one.
    pub span_id: Option<SpanId>,
    /// The W3C trace flags; bit 0 is "sampled".
    pub flags: Option<u8>,
    /// The keys of the body that say so. Who moves the ids into the log record's own fields removes
    /// these, so that nothing is said twice.
    pub keys: UsedKeys,
    /// The keys of the record's metadata that say so.
    pub metadata_keys: UsedKeys,
}

/// A key that held an id or the flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedKey {
    /// The key of the map that `key` is in; `None` for a key at the top.
    pub within: Option<&'static str>,
    /// The key.
    pub key: &'static str,
}

/// Up to three keys: of the trace id, the span id and the flags, or of a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsedKeys {
    keys: [Option<UsedKey>; 3],
}

impl UsedKeys {
    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = UsedKey> + '_ {
        self.keys.iter().flatten().copied()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.iter().all(Option::is_none)
    }

    /// Whether `key` at the top of the map was used.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.iter().any(|used| used.within.is_none() && used.key.as_bytes() == key)
    }

    /// Whether `key` in the map under the top key `within` was used.
    #[must_use]
    pub fn contains_within(&self, within: &[u8], key: &[u8]) -> bool {
        self.iter().any(|used| {
            used.key.as_bytes() == key && used.within.is_some_and(|map| map.as_bytes() == within)
        })
    }

    /// Whether something in the map under the top key `within` was used.
    #[must_use]
    pub fn touches(&self, within: &[u8]) -> bool {
        self.iter().any(|used| used.within.is_some_and(|map| map.as_bytes() == within))
    }

    fn add(&mut self, key: UsedKey) {
        if self.iter().any(|used| used == key) {
            return;
        }
        if let Some(free) = self.keys.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(key);
        }
    }
}

/// What one map says; the first valid value of a kind counts.
#[derive(Debug, Default)]
struct Found {
    trace: Option<(TraceId, UsedKey)>,
    span: Option<(SpanId, UsedKey)>,
    flags: Option<(u8, UsedKey)>,
    /// What says all at once: a `traceparent`, or a header of X-Ray's or B3's.
    whole: Option<(WholeContext, UsedKey)>,
    datadog_trace: Option<(TraceId, UsedKey)>,
    datadog_span: Option<(SpanId, UsedKey)>,
}

impl Found {
    fn read(map: &[u8]) -> Self {
        let mut found = Self::default();
        let mut containers = false;
        for entry in MapView::new(map) {
            match spelling(entry.key) {
                Some((_, TraceKey::Container)) => containers = true,
                Some((key, means)) => found.take(UsedKey { within: None, key }, means, entry.value),
                None => {}
            }
        }
        if containers {
            found.read_containers(map);
        }
        if found.trace.is_none() && found.whole.is_none() {
            found.trace = found.datadog_trace;
        }
        found.span = found.span.or(found.datadog_span);
        found
    }

    /// Reads one level deeper, for what the top has not said.
    fn read_containers(&mut self, map: &[u8]) {
        for outer in MapView::new(map) {
            let Some((within, TraceKey::Container)) = spelling(outer.key) else { continue };
            for entry in MapView::new(outer.value) {
                if let Some((key, means)) = key_within(within, entry.key) {
                    self.take(UsedKey { within: Some(within), key }, means, entry.value);
                }
            }
        }
    }

    fn take(&mut self, key: UsedKey, means: TraceKey, value: &[u8]) {
        let Ok(token) = Reader::new(value).token() else { return };
        match means {
            TraceKey::Trace => {
                self.trace = self.trace.or_else(|| trace_id(token).map(|id| (id, key)))
            }
            TraceKey::Span => self.span = self.span.or_else(|| span_id(token).map(|id| (id, key))),
            TraceKey::Flags => {
                self.flags = self.flags.or_else(|| flags(token).map(|flags| (flags, key)));
            }
            TraceKey::Traceparent => {
                self.whole = self.whole.or_else(|| traceparent(token).map(|all| (all, key)));
            }
            TraceKey::B3 => self.whole = self.whole.or_else(|| b3(token).map(|all| (all, key))),
            TraceKey::B3Trace => {
                self.trace = self.trace.or_else(|| b3_trace(token).map(|id| (id, key)));
            }
            TraceKey::B3Sampled => {
                self.flags = self.flags.or_else(|| b3_sampled(token).map(|flags| (flags, key)));
            }
            TraceKey::Xray => self.whole = self.whole.or_else(|| xray(token).map(|all| (all, key))),
            TraceKey::DatadogTrace => {
                let read = || datadog_trace(token).map(|id| (id, key));
                self.datadog_trace = self.datadog_trace.or_else(read);
            }
            TraceKey::DatadogSpan => {
                let read = || datadog_span(token).map(|id| (id, key));
                self.datadog_span = self.datadog_span.or_else(read);
            }
            TraceKey::Container => {}
        }
    }
}

/// Finds the trace context in a log's encoded body and metadata maps.
///
/// The metadata is asked first, as Fluent Bit's own output does. Ids are 32 and 16 hex digits of
/// either case (after `0x`, or after the last `/` of a Google Cloud trace name), or 16 and 8 bytes;
/// ids that are all zero are none. A span id counts only together with a trace id, and what a
/// `traceparent` says only for the trace that was found. Datadog's ids may be decimal and are taken
/// where there are no others; those of X-Ray have their own form. A key with a value of another form
/// is not used. What the log's text says, if it is JSON, comes last.
#[must_use]
pub fn find_trace_context(body: &[u8], metadata: &[u8]) -> Option<TraceContext> {
    let given = KnownContext::default();
    complete_trace_context(body, metadata, &[], &given)
        .or_else(|| complete_trace_context(&[], &[], JsonText::of(body).pairs(), &given))
}

/// The same, where the log's text was read already.
#[must_use]
pub fn find_trace_context_with(
    body: &[u8],
    metadata: &[u8],
    text: &JsonText,
) -> Option<TraceContext> {
    complete_trace_context(body, metadata, text.pairs(), &KnownContext::default())
}

/// The trace context that the fields of a log's plain text say.
pub(super) fn trace_context_of(text: &[u8]) -> Option<TraceContext> {
    complete_trace_context(&[], &[], text, &KnownContext::default())
}

/// What is known before the common keys are looked at, and outranks what they say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct KnownContext {
    pub(super) trace_id: Option<TraceId>,
    pub(super) span_id: Option<SpanId>,
    pub(super) flags: Option<u32>,
}

/// The same where a part is known already: a key that says something else is not used. `flags` of
/// the result are what the keys say. `text` is the encoded map of what the log's text says.
pub(super) fn complete_trace_context(
    body: &[u8],
    metadata: &[u8],
    text: &[u8],
    given: &KnownContext,
) -> Option<TraceContext> {
    // Of most logs none has: that is seen without anything else.
    let has_key = |map: &&[u8]| MapView::new(map).any(|entry| spelling(entry.key).is_some());
    if given.trace_id.is_none() && ![metadata, body, text].iter().any(has_key) {
        return None;
    }
    let mut sources = [Found::read(metadata), Found::read(body), Found::read(text)];
    let explicit = sources.iter().find_map(|found| found.trace.map(|(id, _)| id));
    let parent = |found: &Found| found.whole.map(|((id, ..), _)| id);
    let explicit = given.trace_id.or(explicit);
    let trace_id = explicit.or_else(|| sources.iter().find_map(parent))?;
    // A text that speaks of another trace says nothing of this one's span.
    let [.., of_text] = &mut sources;
    if of_text.trace.map(|(id, _)| id).or_else(|| parent(of_text)) != Some(trace_id) {
        *of_text = Found::default();
    }
    let may_be = |flags: u8| given.flags.is_none_or(|given| given == u32::from(flags));
    let mut used = [UsedKeys::default(); 3];
    let mut context = TraceContext {
        trace_id,
        span_id: given.span_id,
        flags: None,
        keys: UsedKeys::default(),
        metadata_keys: UsedKeys::default(),
    };
    for (found, keys) in sources.iter().zip(&mut used) {
        if let Some((id, key)) = found.trace
            && id == trace_id
        {
            keys.add(key);
        }
        if let Some((id, key)) = found.span
            && *context.span_id.get_or_insert(id) == id
        {
            keys.add(key);
        }
        if let Some((flags, key)) = found.flags
            && may_be(flags)
            && *context.flags.get_or_insert(flags) == flags
        {
            keys.add(key);
        }
    }
    for (found, keys) in sources.iter().zip(&mut used) {
        if let Some(((id, span, flags), key)) = found.whole
            && id == trace_id
            && flags.is_none_or(may_be)
            && span.is_none_or(|span| *context.span_id.get_or_insert(span) == span)
        {
            context.flags = context.flags.or(flags);
            keys.add(key);
        }
    }
    [context.metadata_keys, context.keys, _] = used;
    Some(context)
}

#[cfg(test)]
mod tests {
    use super::super::trace_keys::SPELLINGS;
    use super::*;
    use crate::codec::msgpack;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";
    const XRAY: &str = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn map(json: &serde_json::Value) -> Vec<u8> {
        rmp_serde::to_vec(json).unwrap()
    }

    fn find(body: &serde_json::Value) -> Option<(TraceId, Option<SpanId>, Option<u8>)> {
        let found = find_trace_context(&map(body), &[])?;
        Some((found.trace_id, found.span_id, found.flags))
    }

    #[test]
    fn every_spelling_is_found() {
        let trace = TraceId::from_hex(TRACE.as_bytes()).unwrap();
        let span = SpanId::from_hex(SPAN.as_bytes()).unwrap();
        for (key, means) in SPELLINGS {
            let body = match means {
                TraceKey::Trace | TraceKey::B3Trace => {
                    serde_json::json!({"msg": "x", *key: TRACE})
                }
                TraceKey::B3 => serde_json::json!({*key: format!("{TRACE}-{SPAN}-1")}),
                TraceKey::B3Sampled => serde_json::json!({"trace_id": TRACE, *key: "1"}),
                TraceKey::Span => serde_json::json!({"trace_id": TRACE, *key: SPAN}),
                TraceKey::Flags => serde_json::json!({"trace_id": TRACE, *key: "01"}),
                TraceKey::Traceparent => serde_json::json!({*key: PARENT}),
                TraceKey::DatadogTrace => serde_json::json!({*key: TRACE}),
                TraceKey::DatadogSpan => serde_json::json!({"trace_id": TRACE, *key: SPAN}),
                TraceKey::Xray => serde_json::json!({*key: XRAY}),
                TraceKey::Container => serde_json::json!({*key: {"trace_id": TRACE}}),
            };
            let found = find(&body).unwrap_or_else(|| panic!("{key}"));
            assert_eq!(found.0, trace, "{key}");
            let wanted = match means {
                TraceKey::Trace
                | TraceKey::B3Trace
                | TraceKey::DatadogTrace
                | TraceKey::Container => (None, None),
                TraceKey::Span | TraceKey::DatadogSpan => (Some(span), None),
                TraceKey::Flags | TraceKey::B3Sampled => (None, Some(1)),
                TraceKey::Traceparent | TraceKey::Xray | TraceKey::B3 => (Some(span), Some(1)),
            };
            assert_eq!((found.1, found.2), wanted, "{key}");
        }
    }

    #[test]
    fn used_keys_are_named() {
        let body = map(&serde_json::json!({"traceId": TRACE, "span": {"id": SPAN}, "x": 1}));
        let metadata = map(&serde_json::json!({"trace_flags": 3}));
        let found = find_trace_context(&body, &metadata).unwrap();
        let used: Vec<_> = found.keys.iter().map(|used| (used.within, used.key)).collect();
        assert_eq!(used, [(None, "traceId"), (Some("span"), "id")]);
        assert!(found.keys.contains(b"traceId") && !found.keys.contains(b"id"));
        assert!(found.keys.contains_within(b"span", b"id") && found.keys.touches(b"span"));
        assert!(found.metadata_keys.contains(b"trace_flags"));
        assert_eq!(found.flags, Some(3));
    }

    #[test]
    fn metadata_wins_and_other_ids_of_the_body_stay() {
        let other = "1111111111111111".repeat(2);
        let body = map(&serde_json::json!({"trace_id": other, "traceparent": PARENT}));
        let metadata = map(&serde_json::json!({"trace_id": TRACE}));
        let found = find_trace_context(&body, &metadata).unwrap();
        assert_eq!(found.trace_id, TraceId::from_hex(TRACE.as_bytes()).unwrap());
        assert_eq!(found.span_id, SpanId::from_hex(SPAN.as_bytes()));
        assert!(!found.keys.contains(b"trace_id") && found.keys.contains(b"traceparent"));
    }

    #[test]
    fn datadogs_ids_count_where_there_are_no_others() {
        let ids = serde_json::json!({"trace_id": "5678901234567890123", "span_id": "17"});
        let half = format!("{:032x}", 5_678_901_234_567_890_123_u64);
        let half = TraceId::from_hex(half.as_bytes());
        let span = Some(SpanId(17_u64.to_be_bytes()));
        for body in [
            serde_json::json!({"dd": ids}),
            serde_json::json!({"dd.trace_id": "5678901234567890123", "dd.span_id": "17"}),
            serde_json::json!({"dd_trace_id": 5_678_901_234_567_890_123_u64, "dd_span_id": 17}),
        ] {
            let found = find(&body).unwrap();
            assert_eq!((Some(found.0), found.1), (half, span), "{body}");
            let mut both = body.clone();
            both["trace_id"] = TRACE.into();
            both["span_id"] = SPAN.into();
            let found = find(&both).unwrap();
            let expected = (TraceId::from_hex(TRACE.as_bytes()), SpanId::from_hex(SPAN.as_bytes()));
            assert_eq!((Some(found.0), found.1), expected, "{both}");
        }
    }

    #[test]
    fn bytes_prefixes_and_names_are_read() {
        let mut body = Vec::new();
        msgpack::map_header(&mut body, 2);
        msgpack::str(&mut body, "trace_id");
        msgpack::bin(&mut body, &[7; 16]);
        msgpack::str(&mut body, "span_id");
        msgpack::bin(&mut body, &[8; 8]);
        let found = find_trace_context(&body, &[]).unwrap();
        assert_eq!((found.trace_id.0, found.span_id), ([7; 16], Some(SpanId([8; 8]))));
        let named = format!("projects/p/traces/{TRACE}");
        let google = serde_json::json!({"logging.googleapis.com/trace": named});
        assert!(find(&google).is_some());
        let prefixed = serde_json::json!({"context": {"trace_id": format!("0x{TRACE}")}});
        assert!(find(&prefixed).is_some());
    }

    #[test]
    fn what_is_no_id_is_not_taken() {
        for body in [
            serde_json::json!({"dd.trace_id": "0", "dd.span_id": "0"}),
            serde_json::json!({"xray_trace_id": "1-0af76519"}),
            serde_json::json!({"trace_id": "0".repeat(32)}),
            serde_json::json!({"otelTraceID": "0", "otelSpanID": "0"}),
            serde_json::json!({"trace_id": 7}),
            serde_json::json!({"span_id": SPAN}),
            serde_json::json!({"traceparent": PARENT.replace("00-0", "ff-0")}),
            serde_json::json!({"traceparent": format!("{PARENT}-more")}),
            serde_json::json!({"trace_id": TRACE.get(1..).unwrap()}),
            serde_json::json!({"other": {"trace_id": TRACE}}),
            serde_json::json!("trace_id"),
        ] {
            assert_eq!(find(&body), None, "{body}");
        }
        let bad_span = serde_json::json!({"trace_id": TRACE, "span_id": "x"});
        assert_eq!(find(&bad_span).unwrap().1, None);
        let later = serde_json::json!({"traceparent": PARENT.replace("00-0", "01-0") + "-more"});
        assert!(find(&later).is_some());
    }
}
