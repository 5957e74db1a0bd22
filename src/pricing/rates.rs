//! Rates: what a token of each type costs, and what a call cost by them.

/// What a token costs, in picodollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// An input token that no cache has to do with.
    pub input: u64,
    /// An output token; tokens of reasoning are output.
    pub output: u64,
    /// An input token that was read from a cache.
    pub cache_read: u64,
    /// An input token that was written to a cache that lives as long as the issuer's do by default.
    pub cache_write: u64,
    /// An input token that was written to a cache that lives for an hour.
    pub cache_write_1h: u64,
}

/// The tokens of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsedTokens {
    /// All input tokens, as the conventions count them: those of the cache are among them.
    pub input: u64,
    /// All output tokens.
    pub output: u64,
    /// Those of the input that were read from a cache.
    pub cache_read: u64,
    /// Those of the input that were written to a cache.
    pub cache_write: u64,
    /// Those of `cache_write` that were written for an hour.
    pub cache_write_1h: u64,
}

/// The input tokens of a call, each in one place.
struct InputTokens {
    plain: u64,
    written: u64,
}

impl UsedTokens {
    /// What of the input is not read from a cache or written for an hour.
    fn split(&self) -> InputTokens {
        let write = self.cache_write.max(self.cache_write_1h);
        let cached = self.cache_read.saturating_add(write);
        // An input that is less than what the cache had of it was counted without the cache.
        let plain = self.input.checked_sub(cached).unwrap_or(self.input);
        InputTokens { plain, written: write.saturating_sub(self.cache_write_1h) }
    }

    /// The length of the prompt, by which issuers tell long contexts.
    fn prompt(&self) -> u64 {
        let InputTokens { plain, written } = self.split();
        [plain, written, self.cache_read, self.cache_write_1h]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

impl Rates {
    /// What the tokens cost, in picodollars.
    fn cost(&self, used: &UsedTokens) -> u64 {
        let InputTokens { plain, written } = used.split();
        let parts = [
            (plain, self.input),
            (written, self.cache_write),
            (used.cache_write_1h, self.cache_write_1h),
            (used.cache_read, self.cache_read),
            (used.output, self.output),
        ];
        let cost = |(tokens, rate): (u64, u64)| u128::from(tokens).saturating_mul(u128::from(rate));
        let sum = parts.into_iter().map(cost).fold(0, u128::saturating_add);
        u64::try_from(sum).unwrap_or(u64::MAX)
    }
}

/// The rates of one service tier, from one length of the prompt on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TierRates {
    /// In lower case; empty for the standard tier.
    pub(super) tier: String,
    /// They hold for prompts of more tokens than this, and from the first on where it is 0.
    pub(super) above: u64,
    pub(super) rates: Rates,
    /// The line of the list that they are from.
    pub(super) line: usize,
}

/// What a model costs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelPrice {
    pub(super) rates: Vec<TierRates>,
}

/// Names of the standard tier.
const STANDARD: [&str; 5] = ["default", "auto", "standard", "on_demand", "none"];

impl ModelPrice {
    /// What a call cost, in picodollars. `None` where the service tier has no price here: that of
    /// another one would be a guess.
    #[must_use]
    pub fn cost(&self, tier: &str, used: &UsedTokens) -> Option<u64> {
        let is_standard = STANDARD.iter().any(|name| name.eq_ignore_ascii_case(tier));
        let tier = if is_standard { "" } else { tier };
        let prompt = used.prompt();
        let rates = self.rates.iter().filter(|rates| {
            rates.tier.eq_ignore_ascii_case(tier) && (rates.above == 0 || prompt > rates.above)
        });
        rates.max_by_key(|rates| rates.above).map(|rates| rates.rates.cost(used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATES: Rates =
        Rates { input: 3, output: 15, cache_read: 1, cache_write: 4, cache_write_1h: 6 };

    fn used(input: u64, output: u64, cache_read: u64, writes: (u64, u64)) -> UsedTokens {
        UsedTokens { input, output, cache_read, cache_write: writes.0, cache_write_1h: writes.1 }
    }

    #[test]
    fn each_token_is_paid_once() {
        for (used, cost) in [
            (used(100, 10, 0, (0, 0)), 300 + 150),
            (used(100, 10, 60, (0, 0)), 40 * 3 + 60 + 150),
            (used(100, 0, 60, (30, 0)), 10 * 3 + 60 + 30 * 4),
            (used(100, 0, 60, (30, 20)), 10 * 3 + 60 + 10 * 4 + 20 * 6),
            // Those of an hour alone.
            (used(100, 0, 0, (0, 20)), 80 * 3 + 20 * 6),
            // All of it from the cache.
            (used(60, 0, 60, (0, 0)), 60),
            // Counted without the cache.
            (used(10, 0, 60, (30, 0)), 10 * 3 + 60 + 30 * 4),
            (used(0, 7, 0, (0, 0)), 105),
        ] {
            assert_eq!(RATES.cost(&used), cost, "{used:?}");
        }
        assert_eq!(RATES.cost(&used(u64::MAX, u64::MAX, 0, (0, 0))), u64::MAX);
    }

    #[test]
    fn tiers_and_long_contexts_have_rates_of_their_own() {
        let rates = |tier: &str, above, input| TierRates {
            tier: tier.to_owned(),
            above,
            rates: Rates { input, ..RATES },
            line: 0,
        };
        let price = ModelPrice {
            rates: vec![
                rates("", 0, 10),
                rates("", 100, 20),
                rates("", 200, 30),
                rates("batch", 0, 5),
            ],
        };
        let cost = |tier: &str, tokens| price.cost(tier, &used(tokens, 0, 0, (0, 0)));
        assert_eq!(["", "default", "AUTO"].map(|tier| cost(tier, 100)), [Some(1000); 3]);
        assert_eq!([101, 200, 201].map(|tokens| cost("", tokens)), [2020, 4000, 6030].map(Some));
        assert_eq!(cost("Batch", 1000), Some(5000));
        assert_eq!((cost("priority", 1), cost("", 0)), (None, Some(0)));
        // The cache is part of the prompt, also where it was counted aside.
        assert_eq!(price.cost("", &used(50, 0, 60, (0, 0))), Some(50 * 20 + 60));
    }

    proptest! {
        /// Scenario: any numbers of tokens. Guarantees: what they cost is what each, counted in its own place, costs.
        #[test]
        fn the_whole_is_the_sum_of_its_parts(
            plain in 1_u64..1 << 40,
            output in 0_u64..1 << 40,
            read in 0_u64..1 << 40,
            written in 0_u64..1 << 40,
            hour in 0_u64..1 << 40,
        ) {
            let used = used(plain + read + written + hour, output, read, (written + hour, hour));
            let sum = plain * 3 + output * 15 + read + written * 4 + hour * 6;
            prop_assert_eq!(RATES.cost(&used), sum);
            prop_assert_eq!(used.prompt(), used.input);
        }
    }
}
