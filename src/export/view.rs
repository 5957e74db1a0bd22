//! What an endpoint gets of a chunk: which items, and what of them.

use std::sync::Arc;

use super::settings::{Content, EndpointSettings, OnError};
use crate::codec::msgpack::{MapView, Reader, Token, text_of};
use crate::codec::records::{Event, Telemetry};
use crate::condition::{Condition, Item, Record};
use crate::model::{Signal, TraceId};

/// How an endpoint looks at the items of a chunk.
#[derive(Debug, Clone)]
pub(super) struct View {
    condition: Option<Arc<Condition>>,
    on_error: OnError,
    pub(super) content: Content,
    threshold: Option<u64>,
    signals: Vec<Signal>,
    pub(super) selective: bool,
    pub(super) max_request_size: usize,
}

/// What happens to an item.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    Send,
    Filter,
    /// The condition had no answer, for this reason; whether the item is sent.
    Undecided(bool, String),
}

impl View {
    pub(super) fn of(endpoint: &EndpointSettings) -> Self {
        Self {
            condition: endpoint.condition.clone(),
            on_error: endpoint.on_error,
            content: endpoint.content,
            threshold: endpoint.sampling_percentage.map(threshold),
            signals: endpoint.signals.clone(),
            selective: endpoint.is_selective(),
            max_request_size: endpoint.max_request_size,
        }
    }

    pub(super) fn wants(&self, signal: Signal) -> bool {
        self.signals.contains(&signal)
    }

    /// Whether two endpoints get the very same requests. What is selective is compared no further;
    /// signals are sorted out request by request.
    pub(super) fn shares_with(&self, other: &Self) -> bool {
        !self.selective && !other.selective && self.max_request_size == other.max_request_size
    }

    /// Whether an item is for this endpoint.
    pub(super) fn decide(
        &self,
        event: &Event<'_>,
        telemetry: Option<&Telemetry<'_>>,
        tag: &[u8],
    ) -> Decision {
        let signal = telemetry.and_then(|telemetry| telemetry.signal).unwrap_or(Signal::Logs);
        if !self.wants(signal) || !self.samples(signal, event, telemetry) {
            return Decision::Filter;
        }
        let Some(condition) = &self.condition else { return Decision::Send };
        let record = Record::new(*event, telemetry.copied(), tag);
        match condition.evaluate(&Item::One(record)) {
            Ok(true) => Decision::Send,
            Ok(false) => Decision::Filter,
            Err(error) => Decision::Undecided(self.on_error == OnError::Keep, error.to_string()),
        }
    }

    /// The consistent probability rule of the OpenTelemetry specification, "TraceState: Probability
    /// Sampling": keep what has a randomness at or above the threshold. What belongs to no trace is
    /// kept.
    fn samples(
        &self,
        signal: Signal,
        event: &Event<'_>,
        telemetry: Option<&Telemetry<'_>>,
    ) -> bool {
        let Some(threshold) = self.threshold else { return true };
        let randomness = match signal {
            Signal::Traces => {
                let body = MapView::new(event.body);
                let state = body.get(b"trace_state").and_then(text_of);
                state.and_then(explicit_randomness).or_else(|| body.get(b"trace_id").and_then(low))
            }
            Signal::Logs => telemetry
                .and_then(|telemetry| MapView::new(telemetry.otlp).get(b"trace_id"))
                .and_then(low),
            Signal::Metrics => None,
        };
        randomness.is_none_or(|randomness| randomness >= threshold)
    }
}

/// The rejection threshold of a percentage: 56 bits.
fn threshold(percentage: f64) -> u64 {
    const MAX: u64 = 1 << 56;
    let rejected = (1.0 - percentage / 100.0).clamp(0.0, 1.0);
    // 56 bits are taken in two halves, each of which a `f64` and an `u32` hold without loss.
    let scaled = rejected * 268_435_456.0;
    let high = whole(scaled);
    let low = whole(((scaled - scaled.floor()) * 268_435_456.0).round());
    ((high << 28) + low).min(MAX)
}

/// The whole part of a number from 0 to 2^28.
fn whole(number: f64) -> u64 {
    std::time::Duration::try_from_secs_f64(number.max(0.0)).map_or(0, |seconds| seconds.as_secs())
}

/// The last 56 bits of a trace id, as hex text or as bytes.
fn low(encoded: &[u8]) -> Option<u64> {
    let id = match Reader::new(encoded).token().ok()? {
        Token::Str(text) => TraceId::from_hex(text)?.0,
        Token::Bin(bytes) => <[u8; 16]>::try_from(bytes).ok()?,
        _ => return None,
    };
    let [.., a, b, c, d, e, f, g] = id;
    Some(u64::from_be_bytes([0, a, b, c, d, e, f, g]))
}

/// `rv` of the `ot` member of a trace state: exactly 14 lower-case hex digits.
fn explicit_randomness(state: &str) -> Option<u64> {
    let member = state.split(',').find_map(|member| member.trim().strip_prefix("ot="))?;
    let value = member.split(';').find_map(|part| part.strip_prefix("rv:"))?;
    let lower = value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (value.len() == 14 && lower).then(|| u64::from_str_radix(value, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{bin, str};

    #[test]
    fn thresholds_are_those_of_the_specification() {
        for (percentage, expected) in [
            (100.0, 0),
            (50.0, 0x80_0000_0000_0000),
            (25.0, 0xc0_0000_0000_0000),
            (75.0, 0x40_0000_0000_0000),
            (6.25, 0xf0_0000_0000_0000),
            (0.0, 1 << 56),
        ] {
            assert_eq!(threshold(percentage), expected, "{percentage}");
        }
        let tenth = threshold(10.0);
        assert!(tenth.abs_diff(0xe6_6666_6666_6666) < 64, "{tenth:x}");
    }

    #[test]
    fn randomness_is_explicit_or_the_end_of_the_id() {
        let mut id = Vec::new();
        str(&mut id, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(low(&id), Some(0x48_eb21_1c80_319c));
        let mut id = Vec::new();
        bin(&mut id, &[9; 16]);
        assert_eq!(low(&id), Some(0x09_0909_0909_0909));
        assert_eq!(low(&[0xc0]), None);
        assert_eq!(explicit_randomness("a=b,ot=th:8;rv:0000000000000a"), Some(10));
        assert_eq!(explicit_randomness("ot=rv:0A000000000000"), None);
        assert_eq!(explicit_randomness("ot=rv:1"), None);
    }
}
