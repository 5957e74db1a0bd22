//! Span records written again with what a decision adds to them.

use memchr::memmem;

use super::threshold::{Randomness, Threshold};
use super::tracestate::{OtState, with_ot_state};
use crate::codec::msgpack::{MapView, map_header, str, str_bytes};
use crate::codec::records::layout::keys;
use crate::codec::records::{ContentHint, Event, Patch, SpanView};

/// The attribute that says which policy kept a span.
pub const POLICY_ATTRIBUTE: &str = "fluentbit.ai.sampling.policy";

/// The attribute that says what would have become of a span that a dry run let through: `keep` or `drop`.
pub const DRY_RUN_ATTRIBUTE: &str = "fluentbit.ai.sampling.dry_run";

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
    /// The randomness of its session, for spans that may still get one.
    pub randomness: Option<Randomness>,
    /// The policy to name in [`POLICY_ATTRIBUTE`].
    pub policy: Option<&'a str>,
    /// What would have become of the span, for [`DRY_RUN_ATTRIBUTE`].
    pub dry_run: Option<&'static str>,
    /// What is to become of its content, for the metadata.
    pub content: Option<ContentHint>,
}

impl Mark<'_> {
    /// Nothing is changed.
    pub const NONE: Self = Self {
        probability: Probability::Unchanged,
        randomness: None,
        policy: None,
        dry_run: None,
        content: None,
    };

    /// Notes in a patch of the event what is to change in its metadata.
    pub(super) fn note_metadata(self, event: &Event<'_>, patch: &mut Patch) {
        let (Some(content), Some(otlp)) = (self.content, event.otlp()) else { return };
        let mut fewer = 0;
        for entry in MapView::new(otlp).filter(|entry| entry.key == keys::CONTENT) {
            patch.replace(entry.raw, |_| {});
            fewer += 1;
        }
        patch.edit_map(otlp, fewer, 1, |out| {
            str_bytes(out, keys::CONTENT);
            str(out, content.name());
        });
    }

    /// The tracestate as it shall be, empty if there is to be none; `None` if that is as it is.
    fn state(self, text: &[u8]) -> Option<Vec<u8>> {
        if self.probability == Probability::Unchanged && self.randomness.is_none() {
            return None;
        }
        let before = OtState::read(text);
        let threshold = match self.probability {
            Probability::AtLeast(wanted) => before.threshold.max(Some(wanted)),
            Probability::Unknown => None,
            Probability::Unchanged => before.threshold,
        };
        let randomness = self.randomness.filter(|_| before.takes_randomness());
        let mut changed = Vec::new();
        with_ot_state(&mut changed, text, OtState { threshold, randomness }).then_some(changed)
    }

    /// Notes in a patch of the event, or of the body, what is to change in a span.
    pub fn note(self, body: &[u8], span: &SpanView<'_>, patch: &mut Patch) {
        let state = self.state(span.trace_state());
        let (mut fewer, mut more) = (0, 0);
        let mut new_state = None;
        match state.as_deref() {
            None => {}
            Some([]) => {
                for entry in MapView::new(body).filter(|entry| entry.key == keys::TRACE_STATE) {
                    patch.replace(entry.raw, |_| {});
                    fewer += 1;
                }
            }
            Some(state) if span.trace_state.is_empty() => {
                new_state = Some(state);
                more += 1;
            }
            Some(state) => patch.replace(span.trace_state, |out| str_bytes(out, state)),
        }
        let said = [(POLICY_ATTRIBUTE, self.policy), (DRY_RUN_ATTRIBUTE, self.dry_run)];
        let is_new = span.attributes.is_empty() && said.iter().any(|(_, value)| value.is_some());
        if is_new {
            more += 1;
        } else {
            note_attributes(span.attributes, &said, patch);
        }
        if fewer + more == 0 {
            return;
        }
        patch.edit_map(body, fewer, more, |out| {
            if let Some(state) = new_state {
                str_bytes(out, keys::TRACE_STATE);
                str_bytes(out, state);
            }
            if is_new {
                str_bytes(out, keys::ATTRIBUTES);
                map_header(
                    out,
                    u32::from(self.policy.is_some()) + u32::from(self.dry_run.is_some()),
                );
                write_attributes(&said, out);
            }
        });
    }
}

/// What is said of a span in its attributes: keys, and values where there are any.
type Said<'a> = [(&'static str, Option<&'a str>); 2];

fn write_attributes(said: &Said<'_>, out: &mut Vec<u8>) {
    for (key, value) in said {
        if let Some(value) = value {
            str(out, key);
            str(out, value);
        }
    }
}

/// Notes what is said of a span in its attributes, in place of what an earlier sampler wrote.
fn note_attributes(attributes: &[u8], said: &Said<'_>, patch: &mut Patch) {
    let (mut fewer, mut more) = (0, 0);
    for (key, value) in said {
        if value.is_none() {
            continue;
        }
        more += 1;
        if memmem::find(attributes, key.as_bytes()).is_some() {
            let former = MapView::new(attributes);
            for entry in former.filter(|entry| entry.key == key.as_bytes()) {
                patch.replace(entry.raw, |_| {});
                fewer += 1;
            }
        }
    }
    if more > 0 {
        patch.edit_map(attributes, fewer, more, |out| write_attributes(said, out));
    }
}

/// Appends a span's body with its mark.
pub fn marked_body(body: &[u8], mark: Mark<'_>, patch: &mut Patch, out: &mut Vec<u8>) {
    patch.begin(body);
    mark.note(body, &SpanView::new(body), patch);
    patch.apply(body, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{Reader, int, text_of};

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
        marked_body(
            body,
            Mark { probability, policy, ..Mark::NONE },
            &mut Patch::default(),
            &mut out,
        );
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
    fn a_session_s_randomness_is_for_spans_that_have_none() {
        let randomness = Randomness::parse(b"6e6d1a75832a2f");
        let eight = Probability::AtLeast(Threshold::parse(b"8").unwrap());
        for (before, probability, want) in [
            (None, Probability::Unchanged, Some("ot=rv:6e6d1a75832a2f")),
            (None, Probability::Unknown, Some("ot=rv:6e6d1a75832a2f")),
            (Some("a=b"), eight, Some("ot=th:8;rv:6e6d1a75832a2f,a=b")),
            (Some("ot=th:0"), eight, Some("ot=th:8;rv:6e6d1a75832a2f")),
            (Some("ot=th:c"), eight, Some("ot=th:c")),
            (Some("ot=th:c"), Probability::Unchanged, Some("ot=th:c")),
            (Some("ot=th:c"), Probability::Unknown, None),
            (Some("ot=rv:ffffffffffffff"), eight, Some("ot=th:8;rv:ffffffffffffff")),
        ] {
            let body = body(before, 1, 1);
            let mut out = Vec::new();
            let mark = Mark { probability, randomness, ..Mark::NONE };
            marked_body(&body, mark, &mut Patch::default(), &mut out);
            assert_eq!(state(&out), want, "{before:?} {probability:?}");
        }
    }

    #[test]
    fn a_policy_of_an_earlier_sampler_is_replaced() {
        let first = marked(&body(None, 2, 1), Probability::Unchanged, Some("first"));
        let second = marked(&first, Probability::Unchanged, Some("second"));
        assert_eq!(second, marked(&body(None, 2, 1), Probability::Unchanged, Some("second")));
    }
}
