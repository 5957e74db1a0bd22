//! Made calls: days of calls to a model with a daily rhythm, in which something changes or nothing does, and what
//! `ai_metrics` finds in them.

use fluent_bit_ai::aggregation::Temporality;
use fluent_bit_ai::codec::msgpack;
use fluent_bit_ai::findings::{
    BudgetConfig, CallOrigin, Check, CheckMode, Findings, FindingsConfig, ModelPair, ObservedCall,
    PromptSecret, UsedTokens,
};
use fluent_bit_ai::model::{Position, SpanId, TraceId};

const DAY: f64 = 86_400.0;

/// Calls of one service to one model.
#[derive(Debug, Clone, Copy)]
pub struct MadeCalls {
    /// Calls a second, on average over a day. By night there are a fifth of them, and nine times as many by day.
    pub per_second: f64,
    /// How far the level of what calls take goes up and down in a day, as a natural logarithm.
    pub rhythm: f64,
    /// The standard deviation of the logarithm of what a call takes.
    pub spread: f64,
    /// That of a part that calls within a minute share.
    pub shared_spread: f64,
    /// The share of calls that take twenty times as long.
    pub outliers: f64,
    /// The share of calls that fail.
    pub failing: f64,
}

/// What usual traffic looks like.
pub const USUAL: MadeCalls = MadeCalls {
    per_second: 0.2,
    rhythm: 0.28,
    spread: 0.5,
    shared_spread: 0.0,
    outliers: 0.01,
    failing: 0.02,
};

/// What changes at a moment.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// Calls take so many times as long.
    Duration(f64),
    /// Answers are so many times as long.
    Output(f64),
    /// So many calls fail.
    Failing(f64),
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Calls that there were.
    pub calls: u64,
    /// Findings before the change.
    pub before: u64,
    /// The calls and the seconds from the change to the first finding after it.
    pub after: Option<(u64, f64)>,
}

/// Numbers that look drawn (xorshift64*).
#[derive(Debug, Clone)]
pub struct Drawn(u64);

impl Drawn {
    pub fn new(seed: u64) -> Self {
        let mut new = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            new.uniform();
        }
        new
    }

    /// From 0 to 1.
    pub fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of the standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().max(1e-12).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

pub(crate) fn finder(check: Check) -> Findings {
    finder_of(check, Vec::new())
}

/// The same with budgets.
pub(crate) fn finder_of(check: Check, budgets: Vec<BudgetConfig>) -> Findings {
    let mut modes = [CheckMode::Off; Check::ALL.len()];
    modes[check as usize] = CheckMode::Warn;
    let config = FindingsConfig {
        modes,
        max_keys: 100,
        tokens_per_minute: 1_000_000,
        pairs: vec![ModelPair { primary: "model".into(), shadow: "shadow".into() }],
        max_prompts: 5000,
        budgets,
        prompt_secret: PromptSecret([1, 2]),
        tag: None,
        temporality: Temporality::Delta,
        position: Position { run: 1, after: 1 },
    };
    Findings::new(config, 0)
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    msgpack::str(&mut out, text);
    out
}

/// A call that says nothing.
pub(crate) const fn empty_call<'a>(origin: &'a CallOrigin<'a>) -> ObservedCall<'a> {
    ObservedCall {
        origin,
        unix_nanos: 0,
        operation: &[],
        provider: &[],
        request_model: &[],
        response_model: &[],
        fingerprint: &[],
        conversation: &[],
        input_messages: &[],
        system_instructions: &[],
        finish_reasons: &[],
        events: &[],
        prompt_name: &[],
        prompt_version: &[],
        response_id: &[],
        seconds: None,
        first_chunk: None,
        tokens: UsedTokens { input: None, output: None, cached: None, reasoning: None },
        cost: None,
        has_failed: false,
        ids: None,
    }
}

impl MadeCalls {
    /// Makes calls of so many days. The change comes on `at`, also in days.
    pub fn run(&self, seed: u64, days: f64, change: Option<(f64, Change)>) -> Found {
        let mut drawn = Drawn::new(seed);
        let (mut findings, mut found) = (finder(Check::Changes), Found::default());
        let (operation, model) = (text("chat"), text("model"));
        let (start, mut time) = (drawn.uniform() * DAY, 0.0);
        let (mut shared, mut since) = (0.0_f64, 0);
        let at = change.map_or(f64::MAX, |(at, _)| at * DAY);
        let origin = CallOrigin::default();
        while time < days * DAY {
            let day = ((start + time) / DAY * std::f64::consts::TAU).sin();
            let gap = -drawn.uniform().max(1e-12).ln() / (self.per_second * (1.0 + 0.8 * day));
            time += gap;
            let kept = (-gap / 60.0).exp();
            shared = kept * shared + (1.0 - kept * kept).sqrt() * drawn.normal();
            let level = self.rhythm * day + self.shared_spread * shared;
            let mut duration = (level + self.spread * drawn.normal()).exp();
            let first_chunk = 0.3 * duration * (0.3 * drawn.normal()).exp();
            if drawn.uniform() < self.outliers {
                duration *= 20.0;
            }
            let input = (6.0 + drawn.normal()).exp().round();
            let mut output = (5.0 + 0.8 * drawn.normal()).exp().round();
            let mut failing = self.failing;
            match change.filter(|_| time >= at) {
                Some((_, Change::Duration(factor))) => duration *= factor,
                Some((_, Change::Output(factor))) => output *= factor,
                Some((_, Change::Failing(share))) => failing = share,
                None => {}
            }
            since += u64::from(time >= at);
            found.calls += 1;
            findings.call(&ObservedCall {
                unix_nanos: (time * 1e9) as u64,
                operation: &operation,
                request_model: &model,
                seconds: Some(duration),
                first_chunk: Some(first_chunk),
                tokens: UsedTokens {
                    input: Some(input),
                    output: Some(output),
                    ..UsedTokens::default()
                },
                cost: Some(input * 2e-6 + output * 8e-6),
                has_failed: drawn.uniform() < failing,
                ids: Some((TraceId([1; 16]), SpanId([1; 8]))),
                ..empty_call(&origin)
            });
            let lines = findings.take_lines().len() as u64;
            if lines > 0 && time >= at {
                found.after = Some((since, time - at));
                break;
            }
            found.before += lines;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: usual traffic of a week, whatever its rate and noise, makes less than one finding for each key. What
    /// is documented is of many more weeks: `make findings`.
    #[test]
    fn usual_weeks_make_less_than_one_finding() {
        let cases = [
            (MadeCalls { per_second: 0.005, ..USUAL }, 20),
            (MadeCalls { per_second: 0.02, spread: 1.0, ..USUAL }, 10),
            (MadeCalls { shared_spread: 0.14, ..USUAL }, 3),
        ];
        for (calls, weeks) in cases {
            let found: u64 = (1..=weeks).map(|seed| calls.run(seed, 7.0, None).before).sum();
            assert!(found * 4 < weeks, "{found} in {weeks} weeks of {calls:?}");
        }
    }

    /// Guarantees: twice the duration, twice the length of answers and six times the failures are found, nineteen
    /// times of twenty at least, within the documented number of calls.
    #[test]
    fn changes_are_found_in_time() {
        for (change, within) in
            [(Change::Duration(2.0), 160), (Change::Output(2.0), 250), (Change::Failing(0.12), 300)]
        {
            let found = |seed| USUAL.run(seed, 1.3, Some((1.0, change))).after;
            let in_time =
                (1..=20).filter(|seed| found(*seed).is_some_and(|(calls, _)| calls <= within));
            let in_time = in_time.count();
            assert!(in_time >= 18, "{change:?}: {in_time} of 20");
        }
    }
}
