//! How long tests wait for what has to happen: one factor for all of them, as emulated code is slow.

#![expect(clippy::panic, reason = "a test may stop")]

use std::sync::OnceLock;
use std::time::Duration;

/// The environment variable with the factor, a whole number from 1 on; without it the factor is 1.
const FACTOR: &str = "FLUENT_BIT_AI_TEST_TIMEOUT_FACTOR";

/// `limit` times the factor. For waiting alone: what a test measures has no factor.
pub fn at_most(limit: Duration) -> Duration {
    static READ: OnceLock<u32> = OnceLock::new();
    limit.saturating_mul(*READ.get_or_init(|| {
        let text = std::env::var(FACTOR).unwrap_or_else(|_| "1".to_owned());
        factor(&text)
            .unwrap_or_else(|| panic!("{FACTOR} is '{text}', not a whole number from 1 on"))
    }))
}

fn factor(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::factor;

    #[test]
    fn the_factor_is_a_whole_number_from_1_on() {
        assert_eq!((factor("1"), factor("10")), (Some(1), Some(10)));
        for wrong in ["", "0", "-2", "1.5", "ten"] {
            assert_eq!(factor(wrong), None, "{wrong}");
        }
    }
}
