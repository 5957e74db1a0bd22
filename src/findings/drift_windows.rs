//! Drift windows: counts of the bins of one distribution, and windows of them held against the days before.
//!
//! What a window is to be like is reckoned from the days before for the times of day of its calls (direct
//! standardisation), so that a daily rhythm is no drift. How far it is from that says the G-test of two samples (Wilks
//! 1938). How far neighbouring windows are from each other, beyond what chance does to calls that have nothing to do
//! with each other, is learned, and corrects it to the second order (Rao and Scott 1984, by Satterthwaite's
//! approximation); the tail is that of Wilson and Hilferty (1931).

/// Parts of a day, in UTC, whose counts are apart.
const SLOTS: usize = 8;
const DAY: u64 = 86_400_000_000_000;
const SLOT: u64 = DAY / SLOTS as u64;
/// Kinds of windows, each made of so many of the one before.
const LEVELS: usize = 3;
const WINDOWS_OF_NEXT: u32 = 4;
/// Calls of the shortest window, and how long it is at least.
const WINDOW_CALLS: u32 = 100;
const WINDOW_NANOS: u64 = 600_000_000_000;
/// What is learned before windows are made, beside a day.
const LEARNED_CALLS: u32 = 400;
/// Windows of each kind whose differences are learned before one of them is found.
const LEARNED_WINDOWS: [u32; LEVELS] = [16, 4, 1];
/// Windows that the differences are an average of.
const REMEMBERED_WINDOWS: f32 = 64.0;
/// What stands for the windows that were not seen yet: as many without any surplus.
const PRIOR_WINDOWS: f32 = 8.0;
/// Calls of the whole day that are added to each part of it.
const PRIOR_CALLS: f32 = 2.0;
/// Beyond how many standard deviations a difference counts as if it lay there.
const FAR_SURPLUS: f32 = 4.0;
/// How many standard deviations away a window is found: by chance 2 windows in 100 million are.
const LIMIT: f32 = 5.5;
/// How far ahead of its calls a window may begin before its begin is taken for a mistake.
const AHEAD: u64 = 300_000_000_000;
/// After so many folds the counts of the reference are halved.
const FOLDS: u32 = 7;

/// A moment, and where in its day it lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    unix_nanos: u64,
    day: u64,
    slot: usize,
    /// The slot whose middle is the next nearest, and how much that one counts.
    other: usize,
    part: f32,
}

impl Moment {
    pub(super) fn new(unix_nanos: u64) -> Self {
        let of_day = unix_nanos % DAY;
        let slot = usize::try_from(of_day / SLOT).unwrap_or(0);
        let within = (of_day % SLOT) as f32 / SLOT as f32;
        let other = if within < 0.5 { slot + SLOTS - 1 } else { slot + 1 } % SLOTS;
        Self { unix_nanos, day: unix_nanos / DAY, slot, other, part: (within - 0.5).abs() }
    }

    pub(super) const fn unix_nanos(&self) -> u64 {
        self.unix_nanos
    }
}

/// A window that is not like the days before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Drift {
    /// Which part of the calls lies in other bins than it was to lie in: the total variation distance.
    pub(super) moved: f32,
    /// The statistic of the G-test, and its degrees of freedom.
    pub(super) statistic: f32,
    pub(super) degrees: f32,
    /// How far away that is, in standard deviations, after what neighbouring windows differ by.
    pub(super) spreads: f32,
    /// The calls of the window, and what the reference is worth.
    pub(super) calls: f32,
    pub(super) reference_calls: f32,
    /// How long the window was, in nanoseconds.
    pub(super) nanos: u64,
    /// Which kind of window it was.
    level: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Window {
    /// When it began, in Unix nanoseconds.
    began: u64,
    /// Of how many windows of the kind before, or calls of the shortest.
    parts: u32,
    /// Its calls by the parts of the day.
    weights: [f32; SLOTS],
    /// The calls of the one before.
    last_calls: f32,
    /// What the statistic is for a degree of freedom, of windows that follow each other: mean and variance.
    learned: u32,
    mean: f32,
    variance: f32,
}

/// The counts of one distribution, and what is learned of it.
#[derive(Debug)]
pub(super) struct DriftWindows {
    bins: usize,
    /// Rows of bins: the reference by parts of the day, what came since, the windows.
    counts: Box<[u32]>,
    /// The residuals of the last window of each kind: its shares less those that it was to have.
    residuals: Box<[f32]>,
    windows: [Window; LEVELS],
    /// The day of each part of what came since.
    days: [u64; SLOTS],
    folds: u32,
    /// When learning began, in Unix nanoseconds, and of how many calls; `None` when it is over.
    learning: Option<(u64, u32)>,
    /// When it was found that it drifted, and when that was last seen.
    found: Option<(u64, u64)>,
    /// The shares that the last window was to have.
    expected: Box<[f32]>,
}

/// What a window is held against.
struct Comparison {
    drift: Drift,
    /// The surplus of the difference to the window before for a degree of freedom.
    surplus: Option<f32>,
}

impl DriftWindows {
    /// One for a distribution of so many bins.
    pub(super) fn new(bins: usize, moment: &Moment) -> Self {
        Self {
            bins,
            counts: vec![0; bins * (2 * SLOTS + LEVELS)].into(),
            residuals: vec![0.0; bins * LEVELS].into(),
            windows: [Window::default(); LEVELS],
            days: [0; SLOTS],
            folds: 0,
            learning: Some((moment.unix_nanos, 0)),
            found: None,
            expected: vec![0.0; bins].into(),
        }
    }

    /// What it takes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let of_bins = size_of_val(&*self.counts) + size_of_val(&*self.residuals);
        size_of::<Self>() + of_bins + size_of_val(&*self.expected)
    }

    fn row(&self, row: usize) -> &[u32] {
        self.counts.get(row * self.bins..(row + 1) * self.bins).unwrap_or_default()
    }

    fn row_mut(&mut self, row: usize) -> &mut [u32] {
        self.counts.get_mut(row * self.bins..(row + 1) * self.bins).unwrap_or_default()
    }

    #[inline]
    fn count(&mut self, row: usize, bin: usize) {
        if let Some(count) = self.counts.get_mut(row * self.bins + bin) {
            *count = count.saturating_add(1);
        }
    }

    /// Counts a call, and says what drifted by `least` of all calls at least.
    #[inline]
    pub(super) fn add(&mut self, bin: usize, moment: &Moment, least: f32) -> Option<Drift> {
        if let Some((began, calls)) = &mut self.learning {
            if *began > moment.unix_nanos.saturating_add(AHEAD) {
                *began = moment.unix_nanos;
            }
            *calls = calls.saturating_add(1);
            let is_over =
                *calls >= LEARNED_CALLS && moment.unix_nanos.saturating_sub(*began) >= DAY;
            self.count(moment.slot, bin);
            if is_over {
                self.begin(moment);
            }
            return None;
        }
        if self.found.is_none() {
            self.fold(moment);
            self.count(SLOTS + moment.slot, bin);
        }
        self.count(2 * SLOTS, bin);
        let window = self.windows.first_mut()?;
        let parts = [(moment.slot, 1.0 - moment.part), (moment.other, moment.part)];
        for (slot, part) in parts {
            if let Some(weight) = window.weights.get_mut(slot) {
                *weight += part;
            }
        }
        window.parts = window.parts.saturating_add(1);
        if window.began > moment.unix_nanos.saturating_add(AHEAD) {
            window.began = moment.unix_nanos;
        }
        let is_over = window.parts >= WINDOW_CALLS
            && moment.unix_nanos.saturating_sub(window.began) >= WINDOW_NANOS;
        if is_over { self.close(moment, least) } else { None }
    }

    /// Ends learning.
    #[cold]
    fn begin(&mut self, moment: &Moment) {
        self.learning = None;
        self.days = [moment.day; SLOTS];
        for window in &mut self.windows {
            *window = Window { began: moment.unix_nanos, ..Window::default() };
        }
    }

    /// Begins to learn anew.
    fn forget(&mut self, moment: &Moment) {
        *self = Self::new(self.bins, moment);
    }

    /// Puts what came a day ago in the same part of the day to the reference.
    #[inline]
    fn fold(&mut self, moment: &Moment) {
        let Some(day) = self.days.get_mut(moment.slot) else { return };
        if moment.day == *day {
            return;
        }
        let is_next = moment.day > *day;
        if is_next || moment.day + 1 < *day {
            *day = moment.day;
        }
        if is_next {
            self.fold_slot(moment.slot);
        }
    }

    #[cold]
    fn fold_slot(&mut self, slot: usize) {
        for bin in 0..self.bins {
            let since = self.counts.get_mut((SLOTS + slot) * self.bins + bin).map(std::mem::take);
            if let Some(count) = self.counts.get_mut(slot * self.bins + bin) {
                *count = count.saturating_add(since.unwrap_or(0));
            }
        }
        self.folds += 1;
        if self.folds < FOLDS * u32::try_from(SLOTS).unwrap_or(0) {
            return;
        }
        self.folds = 0;
        for slot in 0..SLOTS {
            // Rounded up in every other part of the day, so that rare bins stay as rare as they are.
            let up = u32::from(slot % 2 == 1);
            self.row_mut(slot).iter_mut().for_each(|count| *count = count.saturating_add(up) / 2);
        }
    }

    /// Ends the shortest window, and those that it completes.
    #[cold]
    fn close(&mut self, moment: &Moment, least: f32) -> Option<Drift> {
        let now = moment.unix_nanos;
        let (mut drift, mut is_longest) = (None, false);
        let mut noise = (1.0_f32, 0.0_f32);
        for level in 0..LEVELS {
            let comparison = self.compare(level);
            let of_level = self.judge(level, comparison, (&mut noise, now), least);
            drift = drift.or(of_level);
            self.pass_on(level, now);
            is_longest = level + 1 == LEVELS;
            let next = self.windows.get(level + 1);
            // What is told of a window that drifted is not to be that of a longer one.
            let is_told = drift.is_some() && self.found.is_none();
            if is_told || next.is_none_or(|next| next.parts < WINDOWS_OF_NEXT) {
                break;
            }
        }
        let Some((since, last)) = self.found else {
            if drift.is_some() {
                self.found = Some((now, now));
                (SLOTS..2 * SLOTS).for_each(|row| self.row_mut(row).fill(0));
            }
            return drift;
        };
        // What was found is told once. A day later it is usual, or over.
        let last = if drift.is_some() { now } else { last };
        self.found = Some((since, last));
        if is_longest && now.saturating_sub(since) >= DAY {
            self.found = None;
            self.days = [moment.day; SLOTS];
            if now.saturating_sub(last) < DAY / 4 {
                self.forget(moment);
            }
        }
        None
    }

    /// The share of each bin that a window was to have, and the one that it had; of the last one that drifted.
    pub(super) fn shares(&self, drift: &Drift) -> impl Iterator<Item = (f32, f32)> {
        let residuals = self.residuals.get(drift.level * self.bins..).unwrap_or_default();
        self.expected.iter().zip(residuals).map(|(share, off)| (*share, share + off))
    }

    /// Adds a window to the next longer one, and begins another.
    fn pass_on(&mut self, level: usize, now: u64) {
        let (row, next) = (2 * SLOTS + level, level + 1);
        let Some(window) = self.windows.get_mut(level) else { return };
        let weights = std::mem::replace(&mut window.weights, [0.0; SLOTS]);
        (window.parts, window.began) = (0, now);
        window.last_calls = weights.iter().sum();
        if let Some(next) = self.windows.get_mut(next) {
            next.parts += 1;
            next.weights.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
            for bin in 0..self.bins {
                let count = self.counts.get(row * self.bins + bin).copied().unwrap_or(0);
                if let Some(sum) = self.counts.get_mut((row + 1) * self.bins + bin) {
                    *sum = sum.saturating_add(count);
                }
            }
        }
        self.row_mut(row).fill(0);
    }

    /// The shares that a window is to have, and how many calls that is known from.
    fn expected(&self, weights: &[f32; SLOTS], out: &mut [f32]) -> f32 {
        let sum = |row: &[u32]| row.iter().sum::<u32>() as f32;
        let of_slots: [f32; SLOTS] = std::array::from_fn(|slot| sum(self.row(slot)));
        let total: f32 = of_slots.iter().sum::<f32>().max(1.0);
        let calls: f32 = weights.iter().sum();
        let mut inverse = 0.0;
        out.fill(0.0);
        let of_day: Vec<f32> = (0..self.bins)
            .map(|bin| {
                let counts = (0..SLOTS).map(|slot| self.row(slot).get(bin).copied().unwrap_or(0));
                counts.sum::<u32>() as f32 / total
            })
            .collect();
        for (slot, (weight, known)) in weights.iter().zip(of_slots).enumerate() {
            let known = known + PRIOR_CALLS;
            let share = weight / calls;
            inverse += share * share / known;
            for ((out, count), of_day) in out.iter_mut().zip(self.row(slot)).zip(&of_day) {
                *out += share * (*count as f32 + PRIOR_CALLS * of_day) / known;
            }
        }
        1.0 / inverse.max(f32::MIN_POSITIVE)
    }

    /// Holds a window against what it is to be, and against the one before.
    fn compare(&mut self, level: usize) -> Option<Comparison> {
        let window = *self.windows.get(level)?;
        let calls: f32 = window.weights.iter().sum();
        let mut shares = std::mem::take(&mut self.expected);
        let known = self.expected(&window.weights, &mut shares);
        let (mut statistic, mut moved, mut used, mut apart) = (0.0, 0.0, 0.0, 0.0);
        let last = 1.0 / window.last_calls.max(1.0) + 1.0 / calls;
        let row = self.counts.get((2 * SLOTS + level) * self.bins..).unwrap_or_default();
        let residuals = self.residuals.get_mut(level * self.bins..).unwrap_or_default();
        for ((count, share), residual) in row.iter().zip(&shares).zip(residuals) {
            let (count, expected) = (*count as f32, share * known);
            let both = (count + expected) / (calls + known);
            if both > 0.0 {
                statistic += part(count, calls * both) + part(expected, known * both);
                used += f32::from(u8::from(calls * both >= 1.0));
            }
            let off = count / calls - share;
            moved += off.abs() / 2.0;
            let difference = off - *residual;
            let level = (both + share + residual.abs()).max(2.0 / calls) / 2.0;
            apart += difference * difference / (level * last);
            *residual = off;
        }
        self.expected = shares;
        let degrees = (used - 1.0_f32).max(1.0);
        let has_last = window.last_calls > 0.0;
        let drift = Drift {
            moved,
            statistic: 2.0 * statistic,
            degrees,
            spreads: 0.0,
            calls,
            reference_calls: known,
            nanos: 0,
            level,
        };
        Some(Comparison { drift, surplus: has_last.then_some(apart / degrees) })
    }

    /// Whether a window drifted; learns from it if not.
    fn judge(
        &mut self,
        level: usize,
        comparison: Option<Comparison>,
        (noise, now): (&mut (f32, f32), u64),
        least: f32,
    ) -> Option<Drift> {
        let Comparison { mut drift, surplus } = comparison?;
        let window = self.windows.get_mut(level)?;
        // As long as little is known of windows of this kind, they are taken for what shorter ones are.
        let seen = (window.learned as f32).min(REMEMBERED_WINDOWS);
        let prior = PRIOR_WINDOWS / (PRIOR_WINDOWS + seen);
        let chance = 2.0 / drift.degrees;
        let mean = (window.mean + prior * (noise.0 - window.mean)).max(1.0);
        let variance = window.variance + prior * (noise.1.max(chance) - window.variance);
        let variance = variance.max(chance * mean * mean);
        *noise = (mean, variance);
        let degrees = 2.0 * mean * mean / variance;
        let spread = (2.0 / (9.0 * degrees)).sqrt();
        let ratio = drift.statistic / drift.degrees / mean;
        drift.spreads = (ratio.cbrt() - 1.0 + spread * spread) / spread;
        drift.nanos = now.saturating_sub(window.began);
        let is_known = LEARNED_WINDOWS.get(level).is_some_and(|least| window.learned >= *least);
        if is_known && drift.spreads > LIMIT && drift.moved >= least {
            return Some(drift);
        }
        if let Some(surplus) = surplus {
            window.learned = window.learned.saturating_add(1);
            let weight = 1.0 / (window.learned as f32).min(REMEMBERED_WINDOWS);
            let most = mean + FAR_SURPLUS * variance.sqrt();
            let off = surplus.min(most) - window.mean;
            window.mean += weight * off;
            window.variance += weight * (off * off - window.variance);
        }
        None
    }
}

/// What a bin adds to half the statistic.
fn part(count: f32, expected: f32) -> f32 {
    if count > 0.0 { count * (count / expected).ln() } else { 0.0 }
}
