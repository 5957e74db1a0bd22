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
    /// Adds the reasons of a response, `weight` times; less than none takes them back.
    pub(super) fn add(&mut self, encoded: &[u8], weight: f64) {
        match text_of(encoded) {
            Some(reason) => self.add_one(reason, weight),
            None => {
                elements(encoded).filter_map(text_of).for_each(|one| self.add_one(one, weight));
            }
        }
    }

    fn add_one(&mut self, reason: &str, weight: f64) {
        let reason = if reason.len() <= MAX_LENGTH { reason } else { OTHER };
        if let Some((_, total)) = self.totals.iter_mut().find(|(pair, _)| is_of(pair, reason)) {
            total.add(1.0, weight, || None);
            return;
        }
        if self.totals.len() + 1 >= MAX_REASONS && reason != OTHER {
            return self.add_one(OTHER, weight);
        }
        let mut total = FINISH_REASONS.accumulator(false);
        total.add(1.0, weight, || None);
        self.totals.push((attribute_of(&FINISH_REASONS, reason), total));
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
