//! Level detector: a two-sided CUSUM (Page 1954) over blocks of values, against a baseline that follows a daily
//! rhythm.
//!
//! Values are logarithms, so that what is looked for is a factor. They are put together in blocks, whose
//! spread is learned with whatever correlation and rhythm they have, and only what lies beyond half
//! of the least change that counts adds up.

/// Values that make a block.
pub(super) const BLOCK_VALUES: u16 = 8;
/// Seconds that a block lasts at least.
pub(super) const BLOCK_SECONDS: f32 = 20.0;
/// Blocks that are learned from before anything is found.
pub(super) const LEARNED_BLOCKS: u16 = 32;

/// How fast the baseline follows: its time constant in seconds, and the largest weight of a block.
const FOLLOWS_SECONDS: f32 = 3600.0;
const LARGEST_WEIGHT: f32 = 1.0 / 16.0;
/// The largest weight of a block in the spread.
const SPREAD_WEIGHT: f32 = 1.0 / 64.0;
/// The least spread of blocks: what is more regular than that is not judged by less.
const LEAST_SPREAD: f32 = 0.05;
/// What of a block counts as chance, and how much has to add up, in spreads.
const SLACK: f32 = 0.75;
const LIMIT: f32 = 10.0;
/// How much a block adds at most.
const MOST: f32 = 6.0;
/// How alike blocks that follow each other are taken to be at most.
const MOST_CORRELATION: f32 = 0.85;
/// Beyond how many spreads of values a value counts as if it lay there: none makes a change alone.
const FAR_VALUE: f32 = 4.0;
/// The least distance of that, as a logarithm.
const LEAST_FAR: f32 = 2.0;
/// Beyond how many spreads a block is a spike.
const FAR_BLOCK: f32 = 8.0;

/// A change of a level, in logarithms to base 2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LevelChange {
    /// Whether it is one block that lies apart, or the level itself.
    pub(super) is_spike: bool,
    /// What was usual.
    pub(super) from: f32,
    /// What is seen since the change.
    pub(super) to: f32,
    /// How many values that is of.
    pub(super) values: u32,
    /// How far away from the usual that lies, in spreads of a block.
    pub(super) spreads: f32,
}

/// What adds up on one side.
#[derive(Debug, Clone, Copy, Default)]
struct Excursion {
    sum: f32,
    /// Of the blocks since it began.
    blocks: u16,
    level: f32,
    values: u32,
}

/// Watches the level of one quantity.
#[derive(Debug, Clone, Copy)]
pub(super) struct LevelDetector {
    /// Of the block that is open.
    sum: f32,
    squares: f32,
    count: u16,
    /// Blocks that were learned from, up to [`LEARNED_BLOCKS`].
    blocks: u16,
    mean: f32,
    /// Variances of blocks and of values.
    block_variance: f32,
    value_variance: f32,
    /// Of each block and the one before it, and how far that one was off.
    covariance: f32,
    last_off: f32,
    /// Between which values count for what they are.
    low: f32,
    high: f32,
    up: Excursion,
    down: Excursion,
    told_spike: bool,
}

impl Default for LevelDetector {
    fn default() -> Self {
        Self {
            sum: 0.0,
            squares: 0.0,
            count: 0,
            blocks: 0,
            mean: 0.0,
            block_variance: 0.0,
            value_variance: 0.0,
            covariance: 0.0,
            last_off: 0.0,
            low: f32::MIN,
            high: f32::MAX,
            up: Excursion::default(),
            down: Excursion::default(),
            told_spike: false,
        }
    }
}

impl Excursion {
    /// Adds a block that lies `beyond` the slack, in spreads, and says whether that is too much.
    fn add(&mut self, beyond: f32, level: f32, values: u32) -> bool {
        self.sum += beyond.min(MOST);
        if self.sum <= 0.0 {
            *self = Self::default();
            return false;
        }
        self.blocks = self.blocks.saturating_add(1);
        self.level += (level - self.level) / f32::from(self.blocks);
        self.values = self.values.saturating_add(values);
        self.sum > LIMIT
    }
}

impl LevelDetector {
    /// Adds a value, as a logarithm to base 2.
    #[inline]
    pub(super) fn add(&mut self, value: f32) {
        let value = value.max(self.low).min(self.high);
        self.sum += value;
        self.squares += value * value;
        self.count = self.count.saturating_add(1);
    }

    /// Whether the values so far make a block.
    pub(super) const fn is_full(&self) -> bool {
        self.count >= BLOCK_VALUES
    }

    /// What is usual, once it was learned.
    pub(super) fn usual(&self) -> Option<f32> {
        (self.blocks >= LEARNED_BLOCKS).then_some(self.mean)
    }

    /// Ends a block that took so many seconds, and says what changed. `least` is the least change that counts, as a
    /// logarithm.
    pub(super) fn close(&mut self, seconds: f32, least: f32) -> Option<LevelChange> {
        let count = f32::from(self.count.max(1));
        let level = self.sum / count;
        let variance = (self.squares / count - level * level).max(0.0);
        let values = u32::from(self.count);
        (self.sum, self.squares, self.count) = (0.0, 0.0, 0);
        let change = match self.usual() {
            Some(_) => self.judge(level, least, values),
            None => None,
        };
        match change {
            Some(change) if !change.is_spike => self.adopt(change.to),
            _ => self.learn(level, variance, seconds),
        }
        change
    }

    /// The spread of blocks, as far as sums of them spread: what follows each other alike adds up further.
    fn spread(&self) -> f32 {
        let correlation =
            (self.covariance / self.block_variance.max(1e-6)).clamp(0.0, MOST_CORRELATION);
        let longer = (1.0 + correlation) / (1.0 - correlation);
        (self.block_variance * longer).sqrt().max(LEAST_SPREAD)
    }

    fn judge(&mut self, level: f32, least: f32, values: u32) -> Option<LevelChange> {
        let spread = self.spread();
        let own = self.block_variance.sqrt();
        let slack = (SLACK * own).max(least / 2.0);
        let off = level - self.mean;
        let is_up = self.up.add((off - slack) / spread, level, values);
        let is_down = self.down.add((-off - slack) / spread, level, values);
        let change = |is_spike, to: f32, values| LevelChange {
            is_spike,
            from: self.mean,
            to,
            values,
            spreads: (to - self.mean) / spread,
        };
        let of = |excursion: &Excursion| change(false, excursion.level, excursion.values);
        if is_up || is_down {
            let found = of(if is_up { &self.up } else { &self.down });
            // What added up may be less than what counts.
            return Some(found).filter(|found| (found.to - found.from).abs() >= least * 0.75);
        }
        let is_spike = off > FAR_BLOCK * spread && off > 2.0 * least;
        if is_spike && !self.told_spike {
            let spike = change(true, level, values);
            self.told_spike = true;
            return Some(spike);
        }
        if self.up.blocks == 0 {
            self.told_spike = false;
        }
        None
    }

    fn learn(&mut self, level: f32, variance: f32, seconds: f32) {
        let is_learning = self.blocks < LEARNED_BLOCKS;
        let first = 1.0 / (f32::from(self.blocks) + 1.0);
        let mut weight = (seconds / FOLLOWS_SECONDS).min(LARGEST_WEIGHT);
        let is_excursion = !is_learning && self.up.sum.max(self.down.sum) > LIMIT / 3.0;
        if is_excursion {
            // What may be a change is not to become usual before it is found.
            weight /= 4.0;
        }
        if is_learning {
            weight = first;
        }
        let mut spread_weight = if is_learning { first } else { SPREAD_WEIGHT };
        if is_excursion {
            spread_weight /= 2.0;
        }
        let mut off = level - self.mean;
        if self.blocks == 0 {
            (self.mean, self.value_variance) = (level, variance);
            off = 0.0;
        } else if !is_learning {
            let far = FAR_VALUE * self.block_variance.sqrt().max(LEAST_SPREAD);
            off = off.clamp(-far, far);
        }
        self.mean += weight * off;
        self.block_variance += spread_weight * (off * off - self.block_variance);
        self.covariance += spread_weight * (off * self.last_off - self.covariance);
        self.last_off = off;
        self.value_variance += spread_weight * (variance - self.value_variance);
        self.blocks = self.blocks.saturating_add(1).min(LEARNED_BLOCKS);
        self.bound();
    }

    /// Takes a level as the usual one.
    fn adopt(&mut self, level: f32) {
        self.mean = level;
        (self.up, self.down) = (Excursion::default(), Excursion::default());
        self.last_off = 0.0;
        self.told_spike = false;
        self.bound();
    }

    /// Bounds the values to come.
    fn bound(&mut self) {
        let far = FAR_VALUE * self.value_variance.sqrt().max(LEAST_FAR / FAR_VALUE);
        let is_known = self.blocks >= LEARNED_BLOCKS / 4;
        (self.low, self.high) =
            if is_known { (self.mean - far, self.mean + far) } else { (f32::MIN, f32::MAX) };
    }
}
