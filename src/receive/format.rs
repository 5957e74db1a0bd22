//! Format conversion: JSON becomes protobuf before anything else.

use bytes::Bytes;

use super::media_type::PayloadFormat;
use super::memory_budget::HeldMemory;
use super::refusal::Refusal;
use crate::codec::json::{JsonConversion, JsonError, to_protobuf};
use crate::model::Signal;

/// How much more work a byte of JSON is.
const JSON_WORK: usize = 4;
/// How much larger protobuf can be: `0,` in a list of numbers becomes eight bytes.
const MAX_GROWTH: usize = 4;

impl PayloadFormat {
    /// How many bytes of protobuf are as much work as so many bytes in this format.
    pub(super) const fn weight(self, bytes: usize) -> usize {
        match self {
            Self::Protobuf => bytes,
            Self::Json => bytes.saturating_mul(JSON_WORK),
        }
    }

    /// The request as protobuf, of at most `limit` bytes, and what of it was not valid.
    ///
    /// # Errors
    /// The JSON is not valid, its protobuf is too large, or the budget is used up.
    pub(super) fn protobuf(
        self,
        signal: Signal,
        request: Bytes,
        limit: usize,
        held: &mut HeldMemory,
    ) -> Result<(Bytes, JsonConversion), Refusal> {
        match self {
            Self::Protobuf => Ok((request, JsonConversion::default())),
            Self::Json => convert(signal, &request, limit, held),
        }
    }
}

/// Protobuf is nearly always smaller than JSON, so that as much memory is held first. Long lists of
/// numbers can be larger: they get a second try.
fn convert(
    signal: Signal,
    json: &[u8],
    limit: usize,
    held: &mut HeldMemory,
) -> Result<(Bytes, JsonConversion), Refusal> {
    let usual = json.len().min(limit);
    match attempt(signal, json, usual, held) {
        Err(Attempt::Larger) => {}
        Err(Attempt::Refused(refusal)) => return Err(refusal),
        Ok(done) => return Ok(done),
    }
    let max_bytes = json.len().saturating_mul(MAX_GROWTH).min(limit);
    attempt(signal, json, max_bytes, held).map_err(|attempt| match attempt {
        Attempt::Larger => Refusal::TooLarge { limit, when: " as protobuf" },
        Attempt::Refused(refusal) => refusal,
    })
}

enum Attempt {
    /// The protobuf takes more than what was held for it.
    Larger,
    Refused(Refusal),
}

fn attempt(
    signal: Signal,
    json: &[u8],
    limit: usize,
    held: &mut HeldMemory,
) -> Result<(Bytes, JsonConversion), Attempt> {
    held.grow(limit).map_err(Attempt::Refused)?;
    let mut out = Vec::with_capacity(limit);
    let converted = to_protobuf(signal, json, &mut out, limit).map_err(|error| match error {
        JsonError::Limit(_) => Attempt::Larger,
        error => Attempt::Refused(Refusal::Malformed(error.to_string())),
    })?;
    // The last element may have gone beyond.
    held.grow(out.capacity().saturating_sub(limit)).map_err(Attempt::Refused)?;
    Ok((out.into(), converted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::memory_budget::MemoryBudget;
    use crate::stats::Counter;

    fn histogram(buckets: usize) -> Bytes {
        let counts = vec!["0"; buckets].join(",");
        format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[
            {{"bucketCounts":[{counts}]}}]}}}}]}}]}}]}}"#
        )
        .into()
    }

    fn run(json: Bytes, limit: usize, budget: usize) -> Result<(usize, u64), Refusal> {
        let gauge = Counter::default();
        let mut held = MemoryBudget::new(
            budget,
            gauge.clone(),
            crate::receive::memory::WaitingMemory::unlimited(),
        )
        .share();
        let (out, _) = PayloadFormat::Json.protobuf(Signal::Metrics, json, limit, &mut held)?;
        Ok((out.len(), gauge.value()))
    }

    #[test]
    fn content_types_name_formats() {
        assert_eq!(PayloadFormat::of("application/json"), Some(PayloadFormat::Json));
        assert_eq!(PayloadFormat::of("application/protobuf"), Some(PayloadFormat::Protobuf));
        assert_eq!(PayloadFormat::of("text/plain"), None);
    }

    #[test]
    fn lists_of_numbers_get_a_second_try_within_limit_and_budget() {
        let json = histogram(10_000);
        let (length, held) = run(json.clone(), 1 << 20, 1 << 20).unwrap();
        assert!(length > 80_000 && length > json.len());
        assert!(held >= length as u64 && held <= 5 * json.len() as u64, "{held}");
        let refusal = run(json.clone(), 50_000, 1 << 20).unwrap_err();
        assert_eq!(refusal, Refusal::TooLarge { limit: 50_000, when: " as protobuf" });
        let budget = MemoryBudget::new(
            100_000,
            Counter::default(),
            crate::receive::memory::WaitingMemory::unlimited(),
        );
        let (mut held, mut other) = (budget.share(), budget.share());
        // One request at a time may go beyond the budget.
        other.grow(160_000).unwrap();
        let refused = PayloadFormat::Json.protobuf(Signal::Metrics, json, 1 << 20, &mut held);
        assert_eq!(refused.unwrap_err(), Refusal::QueueFull);
    }

    #[test]
    fn the_place_of_an_error_is_reported() {
        let refusal = run(Bytes::from_static(b"{\"resourceMetrics\":[{]}"), 100, 1000).unwrap_err();
        let Refusal::Malformed(message) = refusal else { panic!("{refusal}") };
        assert!(message.starts_with("resourceMetrics[0]: not JSON: "), "{message}");
        assert!(message.ends_with("(line 1, column 22)"), "{message}");
    }
}
