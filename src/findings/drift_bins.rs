//! Drift bins: which bin a value of a distribution lies in, and what the bin is called.
//!
//! Numbers go to the nearest of a few fixed ones: powers of two for tokens, and for scores the tenths up to one, the
//! whole numbers up to ten, and three up to a hundred. A number between two goes now to one and now to the other, more
//! often to the nearer (linear binning by a dither), so that a level that moves little moves few calls, wherever the
//! bounds lie.

use super::finding::cut;
use super::log2;
use crate::model::listed_enum;

listed_enum! {
    /// What may drift.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum DriftSignal {
        /// Why answers that were given ended.
        FinishReasons,
        /// Answers that were refused.
        Refusals,
        /// Tokens of answers.
        OutputLength,
        /// Scores of an evaluation.
        Score,
        /// Labels of an evaluation that has no score.
        Label,
    }
}

/// Names that are told apart, the last of which stands for the others.
const NAMES: usize = 8;
/// How long such a name is at most, in bytes; longer ones are among the others.
const MAX_NAME: usize = 64;
const OTHER: &str = "_OTHER";
/// Bins of the powers of two, and of scores with one for those below zero.
const POWERS: usize = 16;
const SCORES: usize = 24;

impl DriftSignal {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::FinishReasons => "finish_reasons",
            Self::Refusals => "refusals",
            Self::OutputLength => "output_length",
            Self::Score => "evaluation_score",
            Self::Label => "evaluation_label",
        }
    }

    pub(super) const fn bins(self) -> usize {
        match self {
            Self::FinishReasons | Self::Label => NAMES,
            Self::Refusals => 2,
            Self::OutputLength => POWERS,
            Self::Score => SCORES,
        }
    }

    /// Which part of the calls has to lie elsewhere at least: less is no drift, however sure it is.
    pub(super) const fn least(self) -> f32 {
        match self {
            Self::FinishReasons => 0.03,
            Self::Refusals => 0.02,
            Self::Label => 0.05,
            Self::OutputLength | Self::Score => 0.15,
        }
    }
}

/// Numbers from 0 to 1 that fill the range evenly: multiples of the golden ratio.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Dither(u32);

impl Dither {
    /// The bin of a position, of so many.
    pub(super) fn bin(&mut self, position: f32, bins: usize) -> usize {
        self.0 = self.0.wrapping_add(2_654_435_769);
        let within = self.0 as f32 / 4_294_967_296.0;
        whole(position + within).min(bins.saturating_sub(1))
    }
}

/// Where a number of tokens lies: at a power of two in the bin of its exponent.
pub(super) fn tokens_position(tokens: f64) -> f32 {
    log2::of(tokens.max(1.0))
}

/// Where a score lies.
#[expect(clippy::cast_possible_truncation, reason = "a bin needs few digits")]
pub(super) fn score_position(score: f64) -> f32 {
    let score = score as f32;
    match score {
        ..0.0 => 0.0,
        0.0..=1.0 => 1.0 + 10.0 * score,
        1.0..=10.0 => 10.0 + score,
        _ => 20.0 + (score - 10.0).min(90.0) / 30.0,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and gives 0 for what is negative or no number"
)]
const fn whole(number: f32) -> usize {
    number as usize
}

/// Which names have which bins.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<Box<str>>);

impl Names {
    /// The bin of a name, which gets one if there is any left.
    pub(super) fn bin(&mut self, name: &str) -> usize {
        if let Some(at) = self.0.iter().position(|known| **known == *name) {
            return at;
        }
        if self.0.len() + 1 < NAMES && name.len() <= MAX_NAME && cut(name) == name {
            self.0.push(name.into());
            return self.0.len() - 1;
        }
        NAMES - 1
    }

    /// What a bin is called.
    pub(super) fn of_bin(&self, signal: DriftSignal, bin: usize) -> String {
        let name = self.0.get(bin).map_or(OTHER, |name| name);
        match (signal, bin) {
            (DriftSignal::FinishReasons | DriftSignal::Label, _) => name.to_owned(),
            (DriftSignal::Refusals, 0) => "answered".to_owned(),
            (DriftSignal::Refusals, _) => "refused".to_owned(),
            (DriftSignal::OutputLength, _) => (1_u64 << bin.min(63)).to_string(),
            (DriftSignal::Score, 0) => "below 0".to_owned(),
            (DriftSignal::Score, 1..=11) => ((bin - 1) as f64 / 10.0).to_string(),
            (DriftSignal::Score, 12..=20) => (bin - 10).to_string(),
            (DriftSignal::Score, _) => (bin * 30 - 590).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: what a bin is called lies in it, however often, and what lies between two bins goes to both.
    #[test]
    fn numbers_go_to_the_nearest() {
        let (names, mut dither) = (Names::default(), Dither::default());
        for (signal, numbers) in [
            (DriftSignal::OutputLength, &[1.0, 2.0, 64.0, 4096.0, 32_768.0][..]),
            (DriftSignal::Score, &[0.0, 0.5, 1.0, 2.0, 7.0, 10.0, 40.0, 100.0][..]),
        ] {
            for number in numbers {
                let position = match signal {
                    DriftSignal::OutputLength => tokens_position(*number),
                    _ => score_position(*number),
                };
                for _ in 0..50 {
                    let bin = dither.bin(position + 0.001, signal.bins());
                    let name: f64 = names.of_bin(signal, bin).parse().unwrap();
                    assert!((name - number).abs() < 0.01, "{number} in {name}");
                }
            }
        }
        let mut bins = [0; SCORES];
        (0..1000).for_each(|_| bins[dither.bin(score_position(0.825), SCORES)] += 1);
        assert!((700..800).contains(&bins[9]) && bins[9] + bins[10] == 1000, "{bins:?}");
        for odd in [f64::NAN, f64::INFINITY, -5.0, 1e300] {
            let bin = dither.bin(score_position(odd), SCORES);
            assert!(bin == 0 || bin >= SCORES - 1, "{odd}: {bin}");
            assert!(dither.bin(tokens_position(odd), POWERS) < POWERS);
        }
    }

    #[test]
    fn so_many_names_are_told_apart() {
        let mut names = Names::default();
        let bins: Vec<usize> = (0..20).map(|number| names.bin(&number.to_string())).collect();
        assert_eq!(bins[..9], [0, 1, 2, 3, 4, 5, 6, 7, 7]);
        assert_eq!((names.bin("3"), names.bin(&"x".repeat(65))), (3, 7));
        let called = |bin| names.of_bin(DriftSignal::Label, bin);
        assert_eq!((called(3), called(7)), ("3".to_owned(), OTHER.to_owned()));
    }
}
