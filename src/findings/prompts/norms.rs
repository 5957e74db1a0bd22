//! Prompt norms: how far calls of one prompt, and of similar ones, usually differ, of the calls of one key.

use super::super::log2;
use crate::model::listed_enum;

/// What is compared of one prompt, and of similar ones.
pub(super) const SIGNALS: usize = 5;
/// The calls that are remembered to see what others do at the same time.
const RECENT: usize = 16;
/// Of these, how many of other prompts say enough.
const LEAST_OTHERS: u8 = 4;
/// How many calls that differ are assumed beside those that were seen, and of how many calls.
const ASSUMED: (f32, f32) = (2.5, 50.0);
/// How much higher than it was seen the share of calls that differ is taken for: a quarter and half a point.
const MARGIN: (f32, f32) = (1.25, 0.005);
/// Up to so many calls little is known.
const LITTLE: f32 = 300.0;
/// After so many calls what was seen counts half.
const MAX_CALLS: f32 = 4096.0;
/// A value differs when it is so many times the median distance away: three standard deviations of a normal
/// distribution.
const SPREADS: f32 = 4.5;
/// The first guess of the median distance, as a logarithm to base 2, and how far a call moves it.
const FIRST_SPREAD: f32 = 0.3;
const STEP: f32 = 0.02;
/// The first and the last step of the usual value of a group, in median distances.
const FIRST_STEP: f32 = 3.0;
const LAST_STEP: f32 = 0.1;

listed_enum! {
    /// Which prompts are compared.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum Compared {
        /// The same one.
        Same,
        /// Similar ones.
        Similar,
    }
}

/// How one signal usually differs.
#[derive(Debug, Clone, Copy)]
struct Usual {
    calls: f32,
    different: f32,
    spread: f32,
}

/// How all signals usually differ.
#[derive(Debug)]
pub(super) struct Norms {
    usual: [Usual; SIGNALS],
    /// The last calls: in the lowest bits the signals that differ, above them whose they are.
    recent: [u32; RECENT],
    /// The place of the next one, which is that of the oldest.
    next: usize,
}

/// The norms of one key.
#[derive(Debug)]
pub(in crate::findings) struct PromptNorms([Norms; Compared::ALL.len()]);

impl Default for PromptNorms {
    fn default() -> Self {
        let usual = Usual { calls: 0.0, different: 0.0, spread: FIRST_SPREAD };
        let norms = || Norms { usual: [usual; SIGNALS], recent: [0; RECENT], next: 0 };
        Self([norms(), norms()])
    }
}

impl PromptNorms {
    pub(super) fn of(&mut self, compared: Compared) -> &mut Norms {
        let [same, similar] = &mut self.0;
        match compared {
            Compared::Same => same,
            Compared::Similar => similar,
        }
    }
}

impl Norms {
    /// How far away a value differs, if it has to be `least` away at least.
    pub(super) fn reach(&self, signal: usize, least: f32) -> f32 {
        self.usual.get(signal).map_or(least, |usual| least.max(usual.spread * SPREADS))
    }

    /// How far a value moves the usual one of its group at most, after so many calls: towards the median, by steps that
    /// become smaller (Robbins and Monro 1951).
    pub(super) fn step(&self, signal: usize, calls: u16) -> f32 {
        let spread = self.usual.get(signal).map_or(0.0, |usual| usual.spread);
        spread * (FIRST_STEP / f32::from(calls.saturating_add(1))).max(LAST_STEP)
    }

    /// Learns how far a value was away.
    pub(super) fn learn_distance(&mut self, signal: usize, away: f32) {
        if let Some(usual) = self.usual.get_mut(signal) {
            let step = if away > usual.spread { STEP } else { -STEP };
            usual.spread = (usual.spread + step).max(0.0);
        }
    }

    /// Learns whether a call differed. Those that are not telling, as they are of a group of which many were learned, count
    /// only while little is known.
    pub(super) fn learn(&mut self, signal: usize, is_different: bool, is_telling: bool) {
        let usual = self.usual.get_mut(signal);
        if let Some(usual) = usual.filter(|usual| is_telling || usual.calls < LITTLE) {
            if usual.calls >= MAX_CALLS {
                (usual.calls, usual.different) = (usual.calls / 2.0, usual.different / 2.0);
            }
            usual.calls += 1.0;
            usual.different += f32::from(u8::from(is_different));
        }
    }

    /// Notes which signals of a call differ, by bits.
    pub(super) fn note(&mut self, group: u32, different: u8) {
        if let Some(oldest) = self.recent.get_mut(self.next) {
            *oldest = (group << 8) | u32::from(different);
        }
        self.next = (self.next + 1) % RECENT;
    }

    /// By how many bits it is likelier that calls of this group differ by a half more than others than that this one
    /// differs by chance. What other groups do at the same time is no property of this one.
    #[cold]
    pub(super) fn likelihood(&self, signal: usize, group: u32) -> f32 {
        let share = self.usual.get(signal).map_or(1.0, |usual| {
            let seen = (usual.different + ASSUMED.0) / (usual.calls + ASSUMED.1);
            seen.mul_add(MARGIN.0, MARGIN.1)
        });
        let others =
            self.recent.iter().filter(|call| **call != 0 && **call >> 8 != group & 0x00ff_ffff);
        let (all, different) = others.fold((0_u8, 0_u8), |(all, different), call| {
            (all + 1, different + u8::from(call >> signal & 1 == 1))
        });
        let at_once = f32::from(different) / f32::from(all.max(LEAST_OTHERS));
        let share = share.max(at_once).min(1.0);
        log2::of(f64::from((1.0 + share) / (2.0 * share)))
    }
}

/// By how many bits a call that does not differ is less likely where more do: a half of those that do not remain, by
/// what [`Norms::likelihood`] compares.
pub(super) const NOT_DIFFERENT: f32 = -1.0;
