//! Finish reasons: how often each came, of one series.

use super::export::attribute_of;
use super::instruments::{Accumulator, FINISH_REASONS};
use crate::codec::msgpack::{elements, text_of};

/// How many reasons a series tells apart; the conventions know six.
const MAX_REASONS: usize = 16;
/// How long a reason may be, in bytes.
const MAX_LENGTH: usize = 64;
/// What stands for the others.
const OTHER: &str = "_OTHER";

/// Reasons with how often they came.
#[derive(Debug, Default)]
pub(super) struct FinishReasons {
    /// The reasons as the attributes of their points.
    totals: Vec<(Vec<u8>, Accumulator)>,
}

impl FinishReasons {
    /// How many series the reasons of a response may begin at most.
    pub(super) fn most(encoded: &[u8]) -> usize {
        match text_of(encoded) {
            Some(_) => 1,
            None => elements(encoded).take(MAX_REASONS).count(),
        }
    }

    /// Adds the reasons of a response, `weight` times; less than none takes them back. Says how many series
    /// that began.
    pub(super) fn add(&mut self, encoded: &[u8], weight: f64) -> usize {
        match text_of(encoded) {
            Some(reason) => self.add_one(reason, weight),
            None => {
                let reasons = elements(encoded).filter_map(text_of);
                reasons.map(|reason| self.add_one(reason, weight)).sum()
            }
        }
    }

    fn add_one(&mut self, reason: &str, weight: f64) -> usize {
        let reason = if reason.len() <= MAX_LENGTH { reason } else { OTHER };
        if let Some((_, total)) = self.totals.iter_mut().find(|(pair, _)| is_of(pair, reason)) {
            return total.add(1.0, weight, || None);
        }
        if self.totals.len() + 1 >= MAX_REASONS && reason != OTHER {
            return self.add_one(OTHER, weight);
        }
        let mut total = FINISH_REASONS.accumulator(false);
        let begun = total.add(1.0, weight, || None);
        self.totals.push((attribute_of(&FINISH_REASONS, reason), total));
        begun
    }

    /// How many series there are.
    pub(super) const fn series(&self) -> usize {
        self.totals.len()
    }

    /// The totals with the attributes of their points.
    pub(super) fn by_pair(&mut self) -> impl Iterator<Item = (&[u8], &mut Accumulator)> {
        self.totals.iter_mut().map(|(pair, total)| (pair.as_slice(), total))
    }
}

/// Whether an encoded pair ends with this reason. No key ends as a reason does with its length before it.
fn is_of(pair: &[u8], reason: &str) -> bool {
    let mut rest = crate::codec::msgpack::Reader::new(pair);
    rest.str().is_ok() && rest.str() == Ok(reason.as_bytes())
}
