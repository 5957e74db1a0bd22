//! Nested usage: where what an operation says of its tokens is not what the calls within it say.
//!
//! Tokens count where the deepest span tells of them. Agents, workflows, frameworks and gateways repeat the sum, and
//! what they repeat is no use of its own; but where it is another sum, a span is missing, sampled or late beyond the
//! window, or a library counts otherwise.

use super::usage::Tokens;

/// What of a sum is compared: input and output tokens.
pub(super) const TOKEN_TYPES: [&str; 2] = ["input", "output"];

/// By how much an operation and the calls within it differ: of input and of output tokens, how many more it says, and
/// how many more they say.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct UsageDifference {
    pub(super) missing: [f64; TOKEN_TYPES.len()],
    pub(super) surplus: [f64; TOKEN_TYPES.len()],
}

impl UsageDifference {
    /// The difference between what an operation says and the sum of the calls within it. What it does not say is not
    /// compared. `None` where there is none.
    pub(super) fn of(said: &Tokens, within: [f64; TOKEN_TYPES.len()]) -> Option<Self> {
        let mut difference = Self::default();
        let sides = difference.missing.iter_mut().zip(&mut difference.surplus);
        for ((said, within), (missing, surplus)) in
            [said.input(), said.output()].into_iter().zip(within).zip(sides)
        {
            let more = said.map_or(0.0, |said| said - within);
            (*missing, *surplus) = (more.max(0.0), (-more).max(0.0));
        }
        (difference != Self::default()).then_some(difference)
    }
}

/// Adds the tokens of a call to a sum.
pub(super) fn add(sum: &mut [f64; TOKEN_TYPES.len()], call: &Tokens) {
    for (sum, tokens) in sum.iter_mut().zip([call.input(), call.output()]) {
        *sum += tokens.unwrap_or(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_not_compared() {
        let said = Tokens::new(Some(100.0), None);
        assert_eq!(UsageDifference::of(&said, [100.0, 7.0]), None);
        let missing = UsageDifference { missing: [40.0, 0.0], surplus: [0.0; 2] };
        assert_eq!(UsageDifference::of(&said, [60.0, 7.0]), Some(missing));
        let surplus = UsageDifference { missing: [0.0; 2], surplus: [20.0, 0.0] };
        assert_eq!(UsageDifference::of(&said, [120.0, 0.0]), Some(surplus));
    }
}
