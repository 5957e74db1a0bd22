//! Pair sequence: how far two models are apart in one quantity, by a confidence sequence over blocks of calls.
//!
//! A block gives the difference of the means of both. The sequence holds for all blocks at once (normal mixture: Robbins
//! 1970; Johari et al. 2017), so that it may be looked at after each: where there is no difference, the chance that it is
//! ever outside is [`ERROR`] at most.

/// The chance of a wrong finding in a run of blocks.
const ERROR: f32 = 0.0005;
/// Blocks before anything is found, and after which a run begins anew.
const FIRST_BLOCKS: u16 = 8;
const LAST_BLOCKS: u16 = 512;
/// How alike blocks that follow each other are taken to be at most.
const MOST_CORRELATION: f32 = 0.85;
/// Beyond how many standard deviations a difference counts as if it lay there, once some are known.
const FAR: f32 = 6.0;

/// How a quantity is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct PairBounds {
    /// The least difference that counts.
    pub(super) least: f32,
    /// The difference that is found soonest: the spread of the mixture.
    pub(super) likely: f32,
    /// The least standard deviation of a block.
    pub(super) spread: f32,
}

/// A difference, and between which bounds it lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Difference {
    /// The level of the primary.
    pub(super) level: f32,
    pub(super) mean: f32,
    pub(super) low: f32,
    pub(super) high: f32,
    /// How many blocks that is of.
    pub(super) blocks: u16,
}

/// Watches one quantity of two models.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PairSequence {
    blocks: u16,
    mean: f32,
    /// The mean of the primary.
    level: f32,
    /// Of the differences, over all runs: how many, their variance, and that of each with the one before it.
    known: u16,
    variance: f32,
    covariance: f32,
    last: f32,
    /// What was told, and half of the width that it had: what differences are held against from then on.
    told: f32,
    told_half: f32,
}

impl PairSequence {
    /// Adds the means of a block, and says what the difference is if it is not what was told.
    pub(super) fn add(
        &mut self,
        primary: f32,
        shadow: f32,
        bounds: &PairBounds,
    ) -> Option<Difference> {
        let far = FAR * self.variance.sqrt().max(bounds.spread);
        let mut off = shadow - primary - self.mean;
        if self.blocks == 0 {
            (self.mean, self.level, off) = (shadow - primary, primary, 0.0);
        } else if self.known >= FIRST_BLOCKS {
            off = off.clamp(-far, far);
        }
        self.learn(off);
        self.blocks += 1;
        let blocks = f32::from(self.blocks);
        self.mean += off / blocks;
        self.level += (primary - self.level) / blocks;
        if self.blocks < FIRST_BLOCKS {
            return None;
        }
        let half = self.half_width(bounds);
        let found = (self.mean - self.told).abs() - half - self.told_half > bounds.least;
        let (mean, level) = (self.mean, self.level);
        let (low, high) = (mean - half, mean + half);
        let difference = Difference { level, mean, low, high, blocks: self.blocks };
        if found {
            (self.told, self.told_half) = (mean, half);
        }
        if found || self.blocks >= LAST_BLOCKS {
            self.blocks = 0;
        }
        found.then_some(difference)
    }

    /// Learns how far the differences of blocks are from their mean.
    fn learn(&mut self, off: f32) {
        if self.blocks == 0 {
            // Nothing says yet how far the first one is from a mean.
            self.last = 0.0;
            return;
        }
        self.known = self.known.saturating_add(1).min(256);
        let weight = 1.0 / f32::from(self.known);
        // The mean of few is nearer to each than the true one.
        let off = off * (f32::from(self.blocks) / (f32::from(self.blocks) + 1.0)).sqrt();
        self.variance += weight * (off * off - self.variance);
        self.covariance += weight * (off * self.last - self.covariance);
        self.last = off;
    }

    /// Half of the width of the sequence.
    fn half_width(&self, bounds: &PairBounds) -> f32 {
        let own = self.variance.max(bounds.spread * bounds.spread);
        let correlation = (self.covariance / own).clamp(0.0, MOST_CORRELATION);
        let variance = own * (1.0 + correlation) / (1.0 - correlation);
        let blocks = f32::from(self.blocks);
        let mixture = bounds.likely * bounds.likely;
        let sum = variance + blocks * mixture;
        let chance = 2.0 * (1.0 / ERROR).ln() + (sum / variance).ln();
        (variance * sum * chance / mixture).sqrt() / blocks
    }
}
