//! Span records written again with what a decision adds to them.

use memchr::memmem;

use super::threshold::Threshold;
use super::tracestate::{OtState, with_threshold};
use crate::codec::msgpack::{
    MapView, Reader, Token, array_header, ext, map_header, str, str_bytes,
};
use crate::codec::records::EventTime;
use crate::codec::records::edit::{Pairs, insert_otlp, write_position};
use crate::model::Position;

/// The attribute that says which policy kept a span.
pub const POLICY_ATTRIBUTE: &str = "fluentbit.ai.sampling.policy";

/// What happens to the threshold in the tracestate of a kept span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probability {
    /// It stays as it is.
    Unchanged,
    /// The span was kept with this threshold or, if it had a higher one before, with that one.
    AtLeast(Threshold),
    /// The probability is not known, so no threshold may stay.
    Unknown,
}

/// What is changed in a kept span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark<'a> {
    /// The threshold.
    pub probability: Probability,
    /// The policy to name in [`POLICY_ATTRIBUTE`].
    pub policy: Option<&'a str>,
}

/// Appends the start of a log event with this time and metadata; its body is to follow.
pub fn event_start(out: &mut Vec<u8>, time: EventTime, metadata: &[u8]) {
    array_header(out, 2);
    array_header(out, 2);
    let mut bytes = [0_u8; 8];
    let (seconds, nanos) = bytes.split_at_mut(4);
    seconds.copy_from_slice(&time.seconds.to_be_bytes());
    nanos.copy_from_slice(&time.nanos.to_be_bytes());
    ext(out, 0, &bytes);
    out.extend_from_slice(metadata);
}

/// Appends a span's body with its mark.
pub fn marked_body(out: &mut Vec<u8>, body: &[u8], mark: Mark<'_>) {
    let view = MapView::new(body);
    let header = Header::start(out, view.len(), 2);
    let mut pairs = 0;
    let (mut stated, mut attributed) = (false, mark.policy.is_none());
    for entry in view {
        match entry.key {
            b"trace_state" => {
                stated = true;
                pairs += u32::from(state_pair(out, entry.raw, entry.value, mark.probability));
                continue;
            }
            b"attributes" if !attributed => {
                attributed = true;
                str(out, "attributes");
                with_attribute(out, entry.value, mark.policy.unwrap_or_default());
            }
            _ => out.extend_from_slice(entry.raw),
        }
        pairs += 1;
    }
    if !stated {
        pairs += u32::from(state_pair(out, &[], &[], mark.probability));
    }
    if let (false, Some(policy)) = (attributed, mark.policy) {
        str(out, "attributes");
        map_header(out, 1);
        str(out, POLICY_ATTRIBUTE);
        str(out, policy);
        pairs += 1;
    }
    header.finish(out, pairs);
}

/// Appends the pair `trace_state` as it shall be, and says whether there is one.
fn state_pair(out: &mut Vec<u8>, raw: &[u8], value: &[u8], probability: Probability) -> bool {
    let text = match Reader::new(value).token() {
        Ok(Token::Str(text)) => text,
        _ => &[],
    };
    let threshold = match probability {
        Probability::AtLeast(wanted) => {
            let before = OtState::read(text).threshold;
            if before.is_some_and(|before| before >= wanted) { before } else { Some(wanted) }
        }
        Probability::Unknown => None,
        Probability::Unchanged => {
            out.extend_from_slice(raw);
            return !raw.is_empty();
        }
    };
    let mut changed = Vec::new();
    if !with_threshold(&mut changed, text, threshold) {
        out.extend_from_slice(raw);
        return !raw.is_empty();
    }
    if changed.is_empty() {
        return false;
    }
    str(out, "trace_state");
    str_bytes(out, &changed);
    true
}

/// Appends the attributes with the policy, replacing one that an earlier sampler wrote.
fn with_attribute(out: &mut Vec<u8>, attributes: &[u8], policy: &str) {
    let view = MapView::new(attributes);
    let header = Header::start(out, view.len(), 1);
    let mut pairs = view.len();
    if memmem::find(attributes, POLICY_ATTRIBUTE.as_bytes()).is_none() {
        let mut reader = Reader::new(attributes);
        if reader.map().is_ok() {
            out.extend_from_slice(reader.rest());
        }
    } else {
        pairs = 0;
        for entry in view.filter(|entry| entry.key != POLICY_ATTRIBUTE.as_bytes()) {
            out.extend_from_slice(entry.raw);
            pairs += 1;
        }
    }
    str(out, POLICY_ATTRIBUTE);
    str(out, policy);
    header.finish(out, pairs.saturating_add(1));
}

/// Appends a metadata map with the position at which the record is emitted.
pub fn positioned_metadata(out: &mut Vec<u8>, metadata: &[u8], position: Position) {
    let mut pairs = Pairs::new();
    write_position(position, &mut pairs);
    insert_otlp(metadata, &pairs, out);
}

/// A map header whose number of pairs is written when it is known.
struct Header {
    at: usize,
    length: usize,
}

impl Header {
    /// Makes room for a map that has `pairs` pairs now and gets at most `more`.
    fn start(out: &mut Vec<u8>, pairs: u32, more: u32) -> Self {
        let at = out.len();
        map_header(out, pairs.saturating_add(more));
        Self { at, length: out.len().saturating_sub(at) }
    }

    fn finish(&self, out: &mut [u8], pairs: u32) {
        let [a, b, high, low] = pairs.to_be_bytes();
        let bytes: &[u8] = match self.length {
            1 => &[0x80 | low],
            3 => &[0xde, high, low],
            _ => &[0xdf, a, b, high, low],
        };
        let end = self.at.saturating_add(self.length);
        if let Some(header) = out.get_mut(self.at..end) {
            header.copy_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{int, text_of};

    fn body(trace_state: Option<&str>, attributes: usize, extra: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let pairs = usize::from(trace_state.is_some()) + usize::from(attributes > 0) + extra;
        map_header(&mut out, u32::try_from(pairs).unwrap());
        for index in 0..extra {
            str(&mut out, &format!("field{index}"));
            int(&mut out, 1);
        }
        if let Some(state) = trace_state {
            str(&mut out, "trace_state");
            str(&mut out, state);
        }
        if attributes > 0 {
            str(&mut out, "attributes");
            map_header(&mut out, u32::try_from(attributes).unwrap());
            for index in 0..attributes {
                str(&mut out, &format!("key{index}"));
                int(&mut out, 2);
            }
        }
        out
    }

    fn marked(body: &[u8], probability: Probability, policy: Option<&str>) -> Vec<u8> {
        let mut out = b"before".to_vec();
        marked_body(&mut out, body, Mark { probability, policy });
        let out = out.split_off(6);
        assert_eq!(Reader::new(&out).skip(), Ok(&out[..]), "one whole object");
        out
    }

    fn state(body: &[u8]) -> Option<&str> {
        MapView::new(body).get(b"trace_state").and_then(text_of)
    }

    #[test]
    fn every_size_of_map_reads_back() {
        let eight = Probability::AtLeast(Threshold::parse(b"8").unwrap());
        for count in [0, 1, 12, 13, 14, 15, 16, 17, 40, 65_533, 65_534, 65_535] {
            let out = marked(&body(None, 0, count), eight, Some("slow"));
            assert_eq!(MapView::new(&out).count(), count + 2);
            assert_eq!(state(&out), Some("ot=th:8"));
            let out = marked(&body(Some("a=b"), count, 3), eight, Some("slow"));
            let attributes = MapView::new(&out).get(b"attributes").unwrap();
            assert_eq!(MapView::new(attributes).count(), count + 1);
            let policy = MapView::new(attributes).get(POLICY_ATTRIBUTE.as_bytes());
            assert_eq!(policy.and_then(text_of), Some("slow"));
        }
    }

    #[test]
    fn the_threshold_is_raised_kept_or_erased() {
        let eight = Probability::AtLeast(Threshold::parse(b"8").unwrap());
        for (before, probability, want) in [
            (Some("a=b,ot=th:4"), eight, Some("ot=th:8,a=b")),
            (Some("a=b,ot=th:c"), eight, Some("a=b,ot=th:c")),
            (None, eight, Some("ot=th:8")),
            (Some("a=b,ot=th:c"), Probability::Unknown, Some("a=b")),
            (Some("ot=th:c"), Probability::Unknown, None),
            (None, Probability::Unknown, None),
            (Some("ot=th:c"), Probability::Unchanged, Some("ot=th:c")),
        ] {
            let body = body(before, 2, 1);
            let out = marked(&body, probability, None);
            assert_eq!(state(&out), want, "{before:?} {probability:?}");
            assert_eq!(MapView::new(&out).len(), 2 + u32::from(want.is_some()));
            if before == want {
                assert_eq!(out, body);
            }
        }
    }

    #[test]
    fn a_policy_of_an_earlier_sampler_is_replaced() {
        let first = marked(&body(None, 2, 1), Probability::Unchanged, Some("first"));
        let second = marked(&first, Probability::Unchanged, Some("second"));
        assert_eq!(second, marked(&body(None, 2, 1), Probability::Unchanged, Some("second")));
    }

    #[test]
    fn the_position_is_written_once() {
        let mut metadata = Vec::new();
        map_header(&mut metadata, 2);
        str(&mut metadata, "other");
        int(&mut metadata, 1);
        str(&mut metadata, "otlp");
        map_header(&mut metadata, 1);
        str(&mut metadata, "v");
        int(&mut metadata, 1);
        let mut once = Vec::new();
        positioned_metadata(&mut once, &metadata, Position { run: 1, after: 1 });
        let (mut twice, mut direct) = (Vec::new(), Vec::new());
        let position = Position { run: u64::MAX >> 1, after: 9 };
        positioned_metadata(&mut twice, &once, position);
        positioned_metadata(&mut direct, &metadata, position);
        assert_eq!(twice, direct);
        let event = [&[0x92, 0x92, 0xd7, 0, 0, 0, 0, 1, 0, 0, 0, 0][..], &twice, &[0x80]].concat();
        let event = crate::codec::records::Events::new(&event).next().unwrap().unwrap();
        assert_eq!(event.telemetry().and_then(|telemetry| telemetry.position), Some(position));
    }
}
