//! Finding the trace that an ordinary log belongs to.
//!
//! The ids' form is that of the W3C Trace Context specification, sections "trace-id", "parent-id"
//! and "traceparent header field values". The spellings are those of the log libraries and
//! instrumentations that put ids into log records: OpenTelemetry's log appenders, its Python and
//! Node.js logging instrumentations, the Elastic Common Schema, Datadog's and Google Cloud's.

use crate::codec::msgpack::{MapView, Reader, Token};
use crate::model::{SpanId, TraceId, hex_digit};

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

/// What a key says about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Trace,
    Span,
    Flags,
    Traceparent,
    /// A map that may have the ids.
    Container,
}

/// The spellings that are known, by the lengths that most keys do not have.
const SPELLINGS: &[(&str, Word)] = &[
    ("trace_id", Word::Trace),
    ("traceId", Word::Trace),
    ("TraceId", Word::Trace),
    ("traceID", Word::Trace),
    ("TraceID", Word::Trace),
    ("traceid", Word::Trace),
    ("trace.id", Word::Trace),
    ("trace-id", Word::Trace),
    ("TRACE_ID", Word::Trace),
    ("otelTraceID", Word::Trace),
    ("otel.trace_id", Word::Trace),
    ("otel_trace_id", Word::Trace),
    ("dd.trace_id", Word::Trace),
    ("logging.googleapis.com/trace", Word::Trace),
    ("span_id", Word::Span),
    ("spanId", Word::Span),
    ("SpanId", Word::Span),
    ("spanID", Word::Span),
    ("SpanID", Word::Span),
    ("spanid", Word::Span),
    ("span.id", Word::Span),
    ("span-id", Word::Span),
    ("SPAN_ID", Word::Span),
    ("otelSpanID", Word::Span),
    ("otel.span_id", Word::Span),
    ("otel_span_id", Word::Span),
    ("dd.span_id", Word::Span),
    ("logging.googleapis.com/spanId", Word::Span),
    ("trace_flags", Word::Flags),
    ("traceFlags", Word::Flags),
    ("TraceFlags", Word::Flags),
    ("trace.flags", Word::Flags),
    ("trace-flags", Word::Flags),
    ("TRACE_FLAGS", Word::Flags),
    ("trace_sampled", Word::Flags),
    ("otelTraceSampled", Word::Flags),
    ("logging.googleapis.com/trace_sampled", Word::Flags),
    ("traceparent", Word::Traceparent),
    ("traceParent", Word::Traceparent),
    ("Traceparent", Word::Traceparent),
    ("context", Word::Container),
    ("trace", Word::Container),
    ("span", Word::Container),
    ("otel", Word::Container),
    ("mdc", Word::Container),
    ("contextMap", Word::Container),
    ("trace_context", Word::Container),
    ("traceContext", Word::Container),
];

/// In a map `trace` or `span` the ids may be called just so.
fn short_word(within: &str, key: &[u8]) -> Option<(&'static str, Word)> {
    match (within, key) {
        ("trace", b"id") => Some(("id", Word::Trace)),
        ("trace", b"flags") => Some(("flags", Word::Flags)),
        ("span", b"id") => Some(("id", Word::Span)),
        _ => None,
    }
}

fn spelling(key: &[u8]) -> Option<(&'static str, Word)> {
    SPELLINGS.iter().find(|(spelling, _)| spelling.as_bytes() == key).copied()
}

/// What one map says; the first valid value of a kind counts.
#[derive(Debug, Default)]
struct Found {
    trace: Option<(TraceId, UsedKey)>,
    span: Option<(SpanId, UsedKey)>,
    flags: Option<(u8, UsedKey)>,
    traceparent: Option<((TraceId, SpanId, u8), UsedKey)>,
}

impl Found {
    fn read(map: &[u8]) -> Self {
        let mut found = Self::default();
        let mut containers = false;
        for entry in MapView::new(map) {
            match spelling(entry.key) {
                Some((_, Word::Container)) => containers = true,
                Some((key, word)) => found.take(UsedKey { within: None, key }, word, entry.value),
                None => {}
            }
        }
        if containers {
            found.read_containers(map);
        }
        found
    }

    /// Reads one level deeper, for what the top has not said.
    fn read_containers(&mut self, map: &[u8]) {
        for outer in MapView::new(map) {
            let Some((within, Word::Container)) = spelling(outer.key) else { continue };
            for entry in MapView::new(outer.value) {
                let known = short_word(within, entry.key).or_else(|| spelling(entry.key));
                if let Some((key, word)) = known {
                    self.take(UsedKey { within: Some(within), key }, word, entry.value);
                }
            }
        }
    }

    fn take(&mut self, key: UsedKey, word: Word, value: &[u8]) {
        let Ok(token) = Reader::new(value).token() else { return };
        match word {
            Word::Trace => self.trace = self.trace.or_else(|| trace_id(token).map(|id| (id, key))),
            Word::Span => self.span = self.span.or_else(|| span_id(token).map(|id| (id, key))),
            Word::Flags => {
                self.flags = self.flags.or_else(|| flags(token).map(|flags| (flags, key)));
            }
            Word::Traceparent => {
                let read = || traceparent(token).map(|parsed| (parsed, key));
                self.traceparent = self.traceparent.or_else(read);
            }
            Word::Container => {}
        }
    }
}

/// Finds the trace context in a log's encoded body and metadata maps.
///
/// The metadata is asked first, as Fluent Bit's own output does. Ids are 32 and 16 hex digits of
/// either case (after `0x`, or after the last `/` of a Google Cloud trace name), or 16 and 8 bytes;
/// ids that are all zero are none. A span id counts only together with a trace id, and what a
/// `traceparent` says only for the trace that was found. A key with a value of another form, such
/// as Datadog's decimal ids, is not used.
#[must_use]
pub fn find_trace_context(body: &[u8], metadata: &[u8]) -> Option<TraceContext> {
    complete_trace_context(body, metadata, &Given::default())
}

/// What is known before the common keys are looked at, and outranks what they say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) trace_id: Option<TraceId>,
    pub(super) span_id: Option<SpanId>,
    pub(super) flags: Option<u32>,
}

/// The same where a part is known already: a key that says something else is not used. `flags` of
/// the result are what the keys say.
pub(super) fn complete_trace_context(
    body: &[u8],
    metadata: &[u8],
    given: &Given,
) -> Option<TraceContext> {
    let sources = [Found::read(metadata), Found::read(body)];
    let explicit = sources.iter().find_map(|found| found.trace.map(|(id, _)| id));
    let parent = |found: &Found| found.traceparent.map(|((id, ..), _)| id);
    let explicit = given.trace_id.or(explicit);
    let trace_id = explicit.or_else(|| sources.iter().find_map(parent))?;
    let may_be = |flags: u8| given.flags.is_none_or(|given| given == u32::from(flags));
    let mut used = [UsedKeys::default(); 2];
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
        if let Some(((id, span, flags), key)) = found.traceparent
            && id == trace_id
            && may_be(flags)
            && *context.span_id.get_or_insert(span) == span
        {
            context.flags.get_or_insert(flags);
            keys.add(key);
        }
    }
    [context.metadata_keys, context.keys] = used;
    Some(context)
}

fn trace_id(token: Token<'_>) -> Option<TraceId> {
    match token {
        Token::Bin(bytes) => bytes.try_into().ok().map(TraceId).filter(|id| id.0 != [0; 16]),
        Token::Str(text) => {
            let name = text.rsplit(|&byte| byte == b'/').next().unwrap_or(text);
            TraceId::from_hex(without_0x(name))
        }
        _ => None,
    }
}

fn span_id(token: Token<'_>) -> Option<SpanId> {
    match token {
        Token::Bin(bytes) => bytes.try_into().ok().map(SpanId).filter(|id| id.0 != [0; 8]),
        Token::Str(text) => SpanId::from_hex(without_0x(text)),
        _ => None,
    }
}

fn without_0x(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"0x").unwrap_or(text)
}

/// Flags as a number, as the two hex digits of a `traceparent`, or as "sampled: yes or no".
fn flags(token: Token<'_>) -> Option<u8> {
    match token {
        Token::Uint(flags) => u8::try_from(flags).ok(),
        Token::Int(flags) => u8::try_from(flags).ok(),
        Token::Bool(sampled) => Some(u8::from(sampled)),
        Token::Str(&[high, low]) => hex_byte(high, low),
        Token::Str(&[digit]) => hex_digit(digit),
        Token::Str(text) if text.eq_ignore_ascii_case(b"true") => Some(1),
        Token::Str(text) if text.eq_ignore_ascii_case(b"false") => Some(0),
        _ => None,
    }
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    Some((hex_digit(high)? << 4) | hex_digit(low)?)
}

/// `version-traceid-parentid-flags`; later versions may add fields, version `ff` is forbidden.
fn traceparent(token: Token<'_>) -> Option<(TraceId, SpanId, u8)> {
    let Token::Str(text) = token else { return None };
    let mut parts = text.split(|&byte| byte == b'-');
    let version = two_digits(parts.next()?).filter(|&version| version != 0xff)?;
    let trace = TraceId::from_hex(parts.next()?)?;
    let span = SpanId::from_hex(parts.next()?)?;
    let flags = two_digits(parts.next()?)?;
    (version > 0 || parts.next().is_none()).then_some((trace, span, flags))
}

fn two_digits(text: &[u8]) -> Option<u8> {
    match text {
        &[high, low] => hex_byte(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";
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
        for (key, word) in SPELLINGS {
            let body = match word {
                Word::Trace => serde_json::json!({"msg": "x", *key: TRACE}),
                Word::Span => serde_json::json!({"trace_id": TRACE, *key: SPAN}),
                Word::Flags => serde_json::json!({"trace_id": TRACE, *key: "01"}),
                Word::Traceparent => serde_json::json!({*key: PARENT}),
                Word::Container => serde_json::json!({*key: {"trace_id": TRACE}}),
            };
            let found = find(&body).unwrap_or_else(|| panic!("{key}"));
            assert_eq!(found.0, trace, "{key}");
            let wanted = match word {
                Word::Trace | Word::Container => (None, None),
                Word::Span => (Some(span), None),
                Word::Flags => (None, Some(1)),
                Word::Traceparent => (Some(span), Some(1)),
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
            serde_json::json!({"dd.trace_id": "5678901234567890123"}),
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
