//! Bodies of held spans in fewer bytes. Span records have the same pairs in the same order before their attributes;
//! those take one byte for each key here, and ids and times are binary. What has another form stays as it came, so
//! that every body comes back byte for byte.
//!
//! A packed body is its map's header and then a byte for each pair, which says what follows:
//!
//! | byte | follows |
//! |---|---|
//! | 0 | all that is left of the body |
//! | 1 and the index of a key | the value as it came; after the key of the attributes all that is left of the body |
//! | the same and [`SHORT`] | the value in binary: nothing, 5 bytes or 8 |
//!
//! A body that is no map begins with 0.

use crate::codec::msgpack::Reader;
use crate::codec::records::EventTime;
use crate::codec::records::layout::keys;
use crate::model::{SpanId, TraceId, write_hex};

const VERBATIM: u8 = 0;
/// Added to the byte of a key whose value is in binary.
const SHORT: u8 = 0x20;

/// How the value of a key may be written in binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// No value is.
    AsItCame,
    /// Nothing is written where it is the trace's id.
    TraceId,
    /// 8 bytes for 16 hexadecimal digits.
    SpanId,
    /// Nothing is written where it is the time of the event.
    EventTime,
    /// 5 bytes where it is up to 18 minutes after the time of the event.
    AfterEventTime,
    /// All that is left follows.
    Last,
}

/// The keys of a span in the order in which its record has them, up to the attributes.
const KEYS: [(&[u8], Form); 11] = [
    (keys::TRACE_ID, Form::TraceId),
    (keys::SPAN_ID, Form::SpanId),
    (keys::PARENT_SPAN_ID, Form::SpanId),
    (keys::TRACE_STATE, Form::AsItCame),
    (keys::FLAGS, Form::AsItCame),
    (keys::NAME, Form::AsItCame),
    (keys::KIND, Form::AsItCame),
    (keys::START_TIME, Form::EventTime),
    (keys::END_TIME, Form::AfterEventTime),
    (keys::STATUS, Form::AsItCame),
    (keys::ATTRIBUTES, Form::Last),
];

/// What bodies are packed against: what their trace and their event say already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) id: TraceId,
    pub(super) time: EventTime,
}

/// Appends how a body begins in its packed form, and gives what follows it as it came.
pub(super) fn pack<'a>(body: &'a [u8], known: Known, out: &mut Vec<u8>) -> &'a [u8] {
    let mut reader = Reader::new(body);
    let (mut rest, mut key) = (body, 0);
    if reader.map().is_ok() {
        rest = reader.rest();
        copy_before(body, rest, out);
        while let Some((at, after)) = pack_pair(rest, key, known, out) {
            rest = after;
            key = at + 1;
            if key == KEYS.len() {
                return rest;
            }
        }
    }
    out.push(VERBATIM);
    rest
}

/// Packs the pair that comes next, if its key is one of those from `first` on. Gives the index of the key and what
/// follows.
fn pack_pair<'a>(
    rest: &'a [u8],
    first: usize,
    known: Known,
    out: &mut Vec<u8>,
) -> Option<(usize, &'a [u8])> {
    let (head, tail) = rest.split_first()?;
    let mut later = KEYS.iter().enumerate().skip(first);
    let (at, (key, form)) =
        later.find(|(_, (key, _))| head_of(key) == *head && tail.starts_with(key))?;
    let after_key = tail.get(key.len()..)?;
    let token = u8::try_from(at).ok()? + 1;
    if *form == Form::Last {
        out.push(token);
        return Some((at, after_key));
    }
    let mut reader = Reader::new(after_key);
    let value = reader.skip().ok()?;
    let start = out.len();
    out.push(token | SHORT);
    if !shorten(value, *form, known, out) {
        out.truncate(start);
        out.push(token);
        out.extend_from_slice(value);
    }
    Some((at, reader.rest()))
}

/// Appends a value in binary; says whether it has such a form.
fn shorten(value: &[u8], form: Form, known: Known, out: &mut Vec<u8>) -> bool {
    match form {
        Form::TraceId => value == encoded_trace_id(known.id),
        Form::SpanId => {
            let id = value.strip_prefix(&[0xb0]).and_then(SpanId::from_hex);
            let Some(SpanId(id)) = id.filter(|id| value == encoded_span_id(*id)) else {
                return false;
            };
            out.extend_from_slice(&id);
            true
        }
        Form::EventTime => value == encoded_time(known.time.unix_nanos()),
        Form::AfterEventTime => {
            let Some(([0xcf], nanos)) = value.split_first_chunk::<1>() else { return false };
            let Ok(nanos) = nanos.try_into().map(u64::from_be_bytes) else { return false };
            let after = nanos.checked_sub(known.time.unix_nanos()).map(u64::to_be_bytes);
            let Some([0, 0, 0, after @ ..]) = after else { return false };
            out.extend_from_slice(&after);
            true
        }
        Form::AsItCame | Form::Last => false,
    }
}

/// Appends a body as it came. What is no packed body gives less.
pub(super) fn unpack(packed: &[u8], known: Known, out: &mut Vec<u8>) {
    let mut rest = packed;
    if packed.first() != Some(&VERBATIM) {
        let mut reader = Reader::new(packed);
        if reader.map().is_err() {
            return;
        }
        rest = reader.rest();
        copy_before(packed, rest, out);
    }
    while let Some((token, tail)) = rest.split_first() {
        rest = if *token == VERBATIM { None } else { unpack_pair(*token, tail, known, out) }
            .unwrap_or_else(|| {
                out.extend_from_slice(tail);
                &[]
            });
    }
}

/// Appends a pair and gives what follows; `None` if that is as it came.
fn unpack_pair<'a>(token: u8, tail: &'a [u8], known: Known, out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (key, form) = KEYS.get(usize::from(token & !SHORT).checked_sub(1)?)?;
    out.push(head_of(key));
    out.extend_from_slice(key);
    match form {
        Form::Last => None,
        Form::TraceId if token & SHORT > 0 => {
            out.extend_from_slice(&encoded_trace_id(known.id));
            Some(tail)
        }
        Form::SpanId if token & SHORT > 0 => {
            let (id, rest) = tail.split_first_chunk::<8>()?;
            out.extend_from_slice(&encoded_span_id(SpanId(*id)));
            Some(rest)
        }
        Form::EventTime if token & SHORT > 0 => {
            out.extend_from_slice(&encoded_time(known.time.unix_nanos()));
            Some(tail)
        }
        Form::AfterEventTime if token & SHORT > 0 => {
            let ([a, b, c, d, e], rest) = tail.split_first_chunk::<5>()?;
            let after = u64::from_be_bytes([0, 0, 0, *a, *b, *c, *d, *e]);
            out.extend_from_slice(&encoded_time(known.time.unix_nanos().saturating_add(after)));
            Some(rest)
        }
        _ => {
            let mut reader = Reader::new(tail);
            out.extend_from_slice(reader.skip().ok()?);
            Some(reader.rest())
        }
    }
}

/// The first byte of a key, all of which have fewer than 32.
const fn head_of(key: &[u8]) -> u8 {
    0xa0 | (key.len() & 0x1f).to_le_bytes()[0]
}

fn copy_before(bytes: &[u8], rest: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(crate::codec::msgpack::before(bytes, rest));
}

fn encoded_trace_id(id: TraceId) -> [u8; 34] {
    let mut text = [0; 34];
    let [head, length, digits @ ..] = &mut text;
    (*head, *length) = (0xd9, 32);
    write_hex(&id.0, digits);
    text
}

fn encoded_span_id(id: SpanId) -> [u8; 17] {
    let mut text = [0; 17];
    let [head, digits @ ..] = &mut text;
    *head = 0xb0;
    write_hex(&id.0, digits);
    text
}

fn encoded_time(nanos: u64) -> [u8; 9] {
    let [a, b, c, d, e, f, g, h] = nanos.to_be_bytes();
    [0xcf, a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::records::testing::{SpanRecord, chunk};
    use crate::codec::records::{Events, SpanView};

    fn again(body: &[u8], known: Known) -> (usize, Vec<u8>) {
        let mut packed = Vec::new();
        let rest = pack(body, known, &mut packed);
        packed.extend_from_slice(rest);
        let mut out = Vec::new();
        unpack(&packed, known, &mut out);
        (packed.len(), out)
    }

    fn event(span: SpanRecord) -> (Vec<u8>, Known) {
        let chunk = chunk(&[span]);
        let event = Events::new(&chunk).next().unwrap().unwrap();
        let id = SpanView::new(event.body).trace_id().unwrap();
        (event.body.to_vec(), Known { id, time: event.time })
    }

    /// What a span that came over OTLP looks like.
    fn transcoded(after: u64) -> (Vec<u8>, Known) {
        use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
        use opentelemetry_proto::tonic::common::v1::KeyValue;
        use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
        use prost::Message;
        let start = 1_700_000_000_123_456_789;
        let span = Span {
            trace_id: vec![0xab; 16],
            span_id: vec![1; 8],
            parent_span_id: vec![2; 8],
            trace_state: "ot=th:8".to_owned(),
            flags: 0x101,
            name: "chat".to_owned(),
            kind: 3,
            start_time_unix_nano: start,
            end_time_unix_nano: start + after,
            attributes: vec![KeyValue { key: "k".to_owned(), ..KeyValue::default() }],
            status: Some(Status { code: 2, message: "no".to_owned() }),
            ..Span::default()
        };
        let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        let request = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let mut chunk = Vec::new();
        crate::codec::records::traces_to_records(&request, &mut chunk).unwrap();
        let event = Events::new(&chunk).next().unwrap().unwrap();
        (event.body.to_vec(), Known { id: TraceId([0xab; 16]), time: event.time })
    }

    /// Guarantees: of a span as `ai_otlp` writes it every pair before the attributes is packed, whatever its
    /// duration, and it comes back.
    #[test]
    fn spans_as_they_are_received_take_fewer_bytes() {
        for (after, saved) in [(0, 172), (5_000_000_000, 172), ((1 << 40) - 1, 172), (1 << 40, 168)]
        {
            let (body, known) = transcoded(after);
            let (packed, unpacked) = again(&body, known);
            assert_eq!(unpacked, body);
            assert_eq!(body.len() - packed, saved, "{after}");
        }
    }

    /// Guarantees: what is nearly of the usual form is not taken for it.
    #[test]
    fn other_forms_come_back_too() {
        let (body, known) = event(SpanRecord::new(7, 0xabcd).parent(0xef).error().with("k", "v"));
        let other = Known { id: TraceId([1; 16]), time: EventTime { seconds: 5, nanos: 6 } };
        let upper: Vec<u8> = body.to_ascii_uppercase();
        let digits = body.iter().map(|byte| if *byte == b'a' { b'A' } else { *byte }).collect();
        for body in
            [body, upper, digits, vec![], vec![0], vec![0x81], vec![0xde, 0, 1], vec![0xc0; 9]]
        {
            for known in [known, other] {
                assert_eq!(again(&body, known).1, body);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            cut in 0..400_usize,
            at in 0..200_usize,
            byte in any::<u8>(),
        ) {
            let (mut body, known) = transcoded(17);
            let end = cut.min(body.len());
            body.splice(..end, bytes.iter().copied());
            prop_assert_eq!(&again(&body, known).1, &body);
            prop_assert_eq!(&again(&bytes, known).1, &bytes);
            let (mut body, known) = transcoded(17);
            let at = at % body.len();
            body[at] = byte;
            prop_assert_eq!(&again(&body, known).1, &body);
            let mut out = Vec::new();
            unpack(&bytes, known, &mut out);
        }
    }
}
