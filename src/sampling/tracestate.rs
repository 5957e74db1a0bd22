//! The `ot` member of the W3C tracestate.
//!
//! OpenTelemetry specification, "`TraceState` Handling" (specification/trace/tracestate-handling.md):
//! `ot=th:c;rv:...`, sub-keys separated by semicolons, at most 256 characters, unknown ones kept.
//! W3C Trace Context, section "tracestate Header": a changed member moves to the front.

use super::threshold::{Randomness, Threshold};

/// The most characters of the value of `ot`.
const MAX_VALUE: usize = 256;
/// The most members of a tracestate.
const MAX_MEMBERS: usize = 32;

/// What the `ot` member says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OtState {
    /// The threshold of the sampler before us; `None` when it is missing or invalid.
    pub threshold: Option<Threshold>,
    /// Explicit randomness; `None` when it is missing or invalid.
    pub randomness: Option<Randomness>,
}

impl OtState {
    /// Reads a tracestate.
    #[must_use]
    pub fn read(trace_state: &[u8]) -> Self {
        let mut state = Self::default();
        if trace_state.is_empty() {
            return state;
        }
        let (mut seen_th, mut seen_rv) = (false, false);
        for field in fields(ot_value(trace_state).unwrap_or_default()) {
            if let Some(value) = field.strip_prefix(b"th:")
                && !std::mem::replace(&mut seen_th, true)
            {
                state.threshold = Threshold::parse(value);
            } else if let Some(value) = field.strip_prefix(b"rv:")
                && !std::mem::replace(&mut seen_rv, true)
            {
                state.randomness = Randomness::parse(value);
            }
        }
        state
    }

    /// Whether a span may still get randomness that its trace id does not have: it has none, and no
    /// sampler before went by that of the trace id.
    #[must_use]
    pub fn takes_randomness(&self) -> bool {
        self.randomness.is_none() && self.threshold.is_none_or(|before| before == Threshold::ALWAYS)
    }
}

/// How many spans one with this tracestate stands for; `None` where it was sampled in a way that does not say so: with a
/// threshold that is none, or by the probability of 2^-p of OpenTelemetry's older form without one.
#[must_use]
pub fn adjusted_count(trace_state: &[u8]) -> Option<f64> {
    let sampled = fields(ot_value(trace_state).unwrap_or_default());
    let mut sampled = sampled.filter(|field| field.starts_with(b"th:") || field.starts_with(b"p:"));
    match (OtState::read(trace_state).threshold, sampled.next()) {
        (Some(threshold), _) => Some(threshold.adjusted_count()),
        (None, sampled) => sampled.is_none().then_some(1.0),
    }
}

/// Appends `trace_state` with the threshold of `state`, or without one, and with its randomness, if it
/// has one, and says whether there was anything to change. When there was not, or when the result would
/// break the limit of 256 characters, nothing is appended: the tracestate stays as it was.
pub fn with_ot_state(out: &mut Vec<u8>, trace_state: &[u8], state: OtState) -> bool {
    let old = ot_value(trace_state);
    let mut value = Vec::new();
    if let Some(threshold) = state.threshold {
        value.extend_from_slice(b"th:");
        threshold.write(&mut value);
    }
    if let Some(randomness) = state.randomness {
        value.extend_from_slice(if value.is_empty() { b"rv:" } else { b";rv:" });
        randomness.write(&mut value);
    }
    let is_replaced = |field: &&[u8]| {
        field.starts_with(b"th:") || (state.randomness.is_some() && field.starts_with(b"rv:"))
    };
    for field in fields(old.unwrap_or_default()).filter(|field| !is_replaced(field)) {
        if !value.is_empty() {
            value.push(b';');
        }
        value.extend_from_slice(field);
    }
    let had = old.is_some_and(|old| fields(old).any(|field| field.starts_with(b"th:")));
    let nothing_to_erase = state == OtState::default() && !had;
    if nothing_to_erase || old == Some(&value) || value.len() > MAX_VALUE {
        return false;
    }
    let mut room = MAX_MEMBERS;
    if !value.is_empty() {
        out.extend_from_slice(b"ot=");
        out.extend_from_slice(&value);
        room -= 1;
    }
    let others = members(trace_state).filter(|member| !member.starts_with(b"ot="));
    for (index, member) in others.take(room).enumerate() {
        if index > 0 || !value.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(member);
    }
    true
}

fn members(trace_state: &[u8]) -> impl Iterator<Item = &[u8]> {
    trace_state
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

/// The value of the first member with this key; `None` if there is none.
#[must_use]
pub(super) fn member<'s>(trace_state: &'s [u8], key: &[u8]) -> Option<&'s [u8]> {
    members(trace_state)
        .find_map(|member| member.strip_prefix(key).and_then(|rest| rest.strip_prefix(b"=")))
}

fn ot_value(trace_state: &[u8]) -> Option<&[u8]> {
    member(trace_state, b"ot")
}

fn fields(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b';').filter(|field| !field.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_stands_for_so_many() {
        for (state, expected) in [
            ("", Some(1.0)),
            ("other=1", Some(1.0)),
            ("ot=rv:00000000000001", Some(1.0)),
            ("ot=th:8", Some(2.0)),
            ("a=b,ot=p:3;th:c", Some(4.0)),
            ("ot=th:xyz", None),
            ("ot=th:", None),
            ("ot=r:5;p:3", None),
        ] {
            assert_eq!(adjusted_count(state.as_bytes()), expected, "{state}");
        }
    }

    fn changed(state: &str, th: Option<&str>) -> Option<String> {
        let threshold = th.map(|th| Threshold::parse(th.as_bytes()).unwrap());
        let mut out = Vec::new();
        with_ot_state(&mut out, state.as_bytes(), OtState { threshold, randomness: None })
            .then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_threshold_is_set_and_everything_else_is_kept() {
        for (state, th, want) in [
            ("", "8", Some("ot=th:8")),
            ("a=1, b=2", "c", Some("ot=th:c,a=1,b=2")),
            ("a=1,ot=rv:6e6d1a75832a2f", "8", Some("ot=th:8;rv:6e6d1a75832a2f,a=1")),
            ("ot=x:y;th:4;z:1,b=2", "8", Some("ot=th:8;x:y;z:1,b=2")),
            ("ot=th:XX", "8", Some("ot=th:8")),
            ("ot=th:8,b=2", "8", None),
        ] {
            assert_eq!(changed(state, Some(th)).as_deref(), want, "{state}");
        }
    }

    #[test]
    fn a_threshold_is_erased() {
        for (state, want) in [
            ("", None),
            ("a=1 , b=2", None),
            ("a=1,ot=rv:6e6d1a75832a2f", None),
            ("a=1,ot=th:8", Some("a=1")),
            ("ot=th:8", Some("")),
            ("a=1,ot=th:;x:y", Some("ot=x:y,a=1")),
        ] {
            assert_eq!(changed(state, None).as_deref(), want, "{state}");
        }
    }

    #[test]
    fn randomness_is_set_in_place_of_what_cannot_be_read() {
        for (state, th, want) in [
            ("", None, "ot=rv:6e6d1a75832a2f"),
            ("a=1", Some("8"), "ot=th:8;rv:6e6d1a75832a2f,a=1"),
            ("ot=th:0;rv:XX;x:y", Some("8"), "ot=th:8;rv:6e6d1a75832a2f;x:y"),
        ] {
            let threshold = th.map(|th: &str| Threshold::parse(th.as_bytes()).unwrap());
            let randomness = Randomness::parse(b"6e6d1a75832a2f");
            let mut out = Vec::new();
            assert!(with_ot_state(&mut out, state.as_bytes(), OtState { threshold, randomness }));
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
        for (state, takes) in [
            ("", true),
            ("ot=th:0", true),
            ("ot=rv:XX", true),
            ("ot=th:8", false),
            ("ot=rv:6e6d1a75832a2f", false),
        ] {
            assert_eq!(OtState::read(state.as_bytes()).takes_randomness(), takes, "{state}");
        }
    }

    #[test]
    fn the_limits_hold() {
        let full = format!("ot=x:{}", "y".repeat(254));
        assert_eq!(changed(&full, Some("8")), None);
        let room = format!("ot=x:{}", "y".repeat(249));
        assert_eq!(changed(&room, Some("8")).map(|state| state.len()), Some(3 + 256));
        let many: Vec<String> = (0..32).map(|index| format!("k{index}=v")).collect();
        let state = changed(&many.join(","), Some("8")).unwrap();
        assert_eq!(state.split(',').count(), 32);
        assert!(state.starts_with("ot=th:8,k0=v") && state.ends_with("k30=v"));
    }

    #[test]
    fn the_first_of_doubled_keys_counts_and_what_is_invalid_does_not() {
        let state = OtState::read(b"a=1, ot=th:8;th:c;rv:6e6d1a75832a2f");
        assert_eq!(state.threshold, Threshold::parse(b"8"));
        assert_eq!(state.randomness, Randomness::parse(b"6e6d1a75832a2f"));
        assert_eq!(OtState::read(b"ot=th:8A;rv:6E6d1a75832a2f"), OtState::default());
        assert_eq!(OtState::read(b"not=th:8"), OtState::default());
        assert_eq!(OtState::read(&[0xff, b',', b'=']), OtState::default());
    }
}
