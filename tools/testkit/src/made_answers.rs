//! Made answers: days of answers with a daily rhythm, whose distributions drift or do not, and of two models that differ
//! or do not; and what `ai_metrics` finds in them.

use fluent_bit_ai::findings::{
    CallOrigin, Check, Findings, ObservedCall, ObservedEvaluation, UsedTokens,
};
use fluent_bit_ai::model::{SpanId, TraceId};

use crate::made_calls::{Drawn, Found, empty_call, finder, text};

const DAY: f64 = 86_400.0;

/// What answers are like. Lengths have a logarithm with a standard deviation `spread`, scores one of 0.15 around 0.8; of
/// the answers 15 in a hundred call tools, 3 are cut and one is refused.
#[derive(Debug, Clone, Copy)]
pub struct MadeAnswers {
    /// Calls a second, on average over a day. By night there are a fifth of them, and nine times as many by day.
    pub per_second: f64,
    /// How far levels and shares go up and down in a day, as a natural logarithm.
    pub rhythm: f64,
    /// The standard deviation of the logarithm of a length.
    pub spread: f64,
    /// That of a part that calls within a minute share.
    pub shared_spread: f64,
}

/// What usual answers are like.
pub const USUAL_ANSWERS: MadeAnswers =
    MadeAnswers { per_second: 0.2, rhythm: 0.28, spread: 0.8, shared_spread: 0.0 };

/// What drifts at a moment.
#[derive(Debug, Clone, Copy)]
pub enum AnswerDrift {
    /// Answers are so many times as long.
    Length(f64),
    /// Lengths spread so many times as far.
    Spread(f64),
    /// Such a share is cut.
    Cut(f64),
    /// Such a share is refused.
    Refused(f64),
    /// Scores are so much less.
    Score(f64),
}

/// How the second of two models differs.
#[derive(Debug, Clone, Copy)]
pub enum ModelDifference {
    /// It takes so many times as long.
    Duration(f64),
    /// Its answers are so many times as long.
    Output(f64),
    /// Such a share of its calls fails; two in a hundred of the other.
    Failing(f64),
    /// Such a share of its answers is cut; three in a hundred of the other.
    Cut(f64),
}

/// Moments of calls, with the part of their level that the time gives.
struct Times {
    drawn: Drawn,
    per_second: f64,
    rhythm: f64,
    shared_spread: f64,
    shared: f64,
    start: f64,
    /// Seconds since the first.
    time: f64,
}

impl Times {
    fn new(seed: u64, answers: &MadeAnswers) -> Self {
        let mut drawn = Drawn::new(seed);
        let start = 100.0 * DAY + (drawn.uniform() * DAY).floor();
        let MadeAnswers { per_second, rhythm, shared_spread, .. } = *answers;
        Self { drawn, per_second, rhythm, shared_spread, shared: 0.0, start, time: 0.0 }
    }

    /// Goes on to the next call, and says how much higher its level is.
    fn advance(&mut self) -> f64 {
        let day = ((self.start + self.time) / DAY * std::f64::consts::TAU).sin();
        let rate = self.per_second * (1.0 + 0.8 * day);
        let gap = -self.drawn.uniform().max(1e-12).ln() / rate;
        self.time += gap;
        let kept = (-gap / 60.0).exp();
        self.shared = kept * self.shared + (1.0 - kept * kept).sqrt() * self.drawn.normal();
        self.rhythm * day + self.shared_spread * self.shared
    }

    fn unix_nanos(&self) -> u64 {
        ((self.start + self.time) * 1e9) as u64
    }
}

/// Reads what was found since; says whether that is all that was asked for.
fn note(findings: &mut Findings, found: &mut Found, (since, time, at): (u64, f64, f64)) -> bool {
    let lines = findings.take_lines().len() as u64;
    if time < at {
        found.before += lines;
    } else if lines > 0 {
        found.after = Some((since, time - at));
    }
    found.after.is_some()
}

fn ids(number: u64) -> Option<(TraceId, SpanId)> {
    Some((TraceId(u128::from(number + 1).to_be_bytes()), SpanId([1; 8])))
}

/// A call that says no more than what it is of.
fn plain<'a>(
    origin: &'a CallOrigin<'a>,
    [operation, model]: [&'a [u8]; 2],
    (unix_nanos, number): (u64, u64),
) -> ObservedCall<'a> {
    ObservedCall {
        unix_nanos,
        operation,
        request_model: model,
        ids: ids(number),
        ..empty_call(origin)
    }
}

/// An answer: its tokens, which reason it ended for (refused, cut, tools, done), and its score.
struct Answer {
    output: f64,
    reason: usize,
    score: f64,
}

impl AnswerDrift {
    /// Draws an answer, of a level, from lengths that spread so.
    fn draw(drift: Option<Self>, drawn: &mut Drawn, level: f64, mut spread: f64) -> Answer {
        let (mut length, mut score, mut cut, mut refused) = (1.0, 0.8, 0.03, 0.01);
        match drift {
            Some(Self::Length(factor)) => length = factor,
            Some(Self::Spread(factor)) => spread *= factor,
            Some(Self::Cut(share)) => cut = share,
            Some(Self::Refused(share)) => refused = share,
            Some(Self::Score(less)) => score -= less,
            None => {}
        }
        let output = ((5.0 + level + spread * drawn.normal()).exp() * length).round();
        let one = drawn.uniform() / level.exp();
        let bounds = [refused, refused + cut, refused + cut + 0.15];
        let reason = bounds.iter().position(|bound| one < *bound).unwrap_or(3);
        let score = (score + 0.1 * level + 0.15 * drawn.normal()).clamp(0.0, 1.0);
        Answer { output, reason, score }
    }
}

impl ModelDifference {
    /// How many times as long the second model takes, how many times as much it says, and which part fails and is cut.
    const fn levels(difference: Option<Self>) -> [f64; 4] {
        match difference {
            Some(Self::Duration(factor)) => [factor, 1.0, 0.02, 0.03],
            Some(Self::Output(factor)) => [1.0, factor, 0.02, 0.03],
            Some(Self::Failing(share)) => [1.0, 1.0, share, 0.03],
            Some(Self::Cut(share)) => [1.0, 1.0, 0.02, share],
            None => [1.0, 1.0, 0.02, 0.03],
        }
    }
}

impl MadeAnswers {
    /// Makes answers with an evaluation each, of so many days. The drift comes on `at`, also in days.
    pub fn run(&self, seed: u64, days: f64, drift: Option<(f64, AnswerDrift)>) -> Found {
        let (mut times, mut found) = (Times::new(seed, self), Found::default());
        let mut findings = finder(Check::Drift);
        let (operation, model, evaluation) = (text("chat"), text("model"), text("relevance"));
        let reasons = ["content_filter", "length", "tool_call", "stop"].map(text);
        let at = drift.map_or(f64::MAX, |(at, _)| at * DAY);
        let (origin, mut since) = (CallOrigin::default(), 0);
        while times.time < days * DAY {
            let level = times.advance();
            let drift = drift.filter(|_| times.time >= at).map(|(_, drift)| drift);
            let answer = AnswerDrift::draw(drift, &mut times.drawn, level, self.spread);
            since += u64::from(times.time >= at);
            found.calls += 1;
            let call = ObservedCall {
                finish_reasons: &reasons[answer.reason],
                tokens: UsedTokens { output: Some(answer.output), ..UsedTokens::default() },
                ..plain(&origin, [&operation, &model], (times.unix_nanos(), found.calls))
            };
            findings.call(&call);
            findings.evaluation(&ObservedEvaluation {
                origin: &origin,
                unix_nanos: call.unix_nanos,
                name: &evaluation,
                score: Some(answer.score),
                label: &[],
                response_id: &[],
                ids: call.ids,
            });
            if note(&mut findings, &mut found, (since, times.time, at)) {
                break;
            }
        }
        found
    }

    /// Makes calls of two models, of so many days. Both answer each request, or the second one such a share of them
    /// alone. Says when a difference was found, in calls of the second one; or of equal ones, how many were.
    pub fn compare(
        &self,
        seed: u64,
        days: f64,
        canary: Option<f64>,
        difference: Option<ModelDifference>,
    ) -> Found {
        let (mut times, mut found) = (Times::new(seed, self), Found::default());
        let mut findings = finder(Check::Pairs);
        let (operation, models) = (text("chat"), ["model", "shadow"].map(text));
        let reasons = ["length", "stop"].map(text);
        let (origin, mut since) = (CallOrigin::default(), 0);
        let at = if difference.is_some() { 0.0 } else { f64::MAX };
        while times.time < days * DAY {
            let request = times.advance() + 0.5 * times.drawn.normal();
            let alone = canary.map(|share| usize::from(times.drawn.uniform() < share));
            let unix_nanos = times.unix_nanos();
            for (side, model) in models.iter().enumerate() {
                if alone.is_some_and(|alone| alone != side) {
                    continue;
                }
                let difference = difference.filter(|_| side == 1);
                let [slower, longer, failing, cut] = ModelDifference::levels(difference);
                let drawn = &mut times.drawn;
                let outlier = if drawn.uniform() < 0.01 { 20.0 } else { 1.0 };
                let duration = (request + 0.3 * drawn.normal()).exp() * slower * outlier;
                let input = (6.0 + request).exp().round();
                let output = ((5.0 + request + 0.4 * drawn.normal()).exp() * longer).round();
                since += side as u64;
                found.calls += 1;
                findings.call(&ObservedCall {
                    finish_reasons: &reasons[usize::from(drawn.uniform() >= cut)],
                    seconds: Some(duration),
                    first_chunk: Some(0.3 * duration),
                    tokens: UsedTokens {
                        input: Some(input),
                        output: Some(output),
                        ..UsedTokens::default()
                    },
                    cost: Some(input * 2e-6 + output * 8e-6),
                    has_failed: drawn.uniform() < failing,
                    ..plain(&origin, [&operation, model], (unix_nanos, found.calls))
                });
            }
            if note(&mut findings, &mut found, (since, times.time, at)) {
                break;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: usual answers of a week, whatever their rate and noise, make less than one finding for each key, and so
    /// do two models that are alike. What is documented is of many more weeks: `make findings`.
    #[test]
    fn usual_weeks_make_less_than_one_finding() {
        let cases = [
            (MadeAnswers { per_second: 0.02, ..USUAL_ANSWERS }, 8),
            (MadeAnswers { spread: 0.07, rhythm: 0.42, ..USUAL_ANSWERS }, 2),
            (MadeAnswers { shared_spread: 0.14, ..USUAL_ANSWERS }, 2),
        ];
        for (answers, weeks) in cases {
            let found: u64 = (1..=weeks).map(|seed| answers.run(seed, 7.0, None).before).sum();
            assert!(found * 4 < weeks, "{found} drifts in {weeks} weeks of {answers:?}");
            let found = answers.compare(1, 7.0, None, None).before;
            assert_eq!(found, 0, "differences of {answers:?}");
        }
    }

    /// Guarantees: drifts and differences are found, nine times of ten at least, within the documented number of calls.
    #[test]
    fn drifts_and_differences_are_found_in_time() {
        for (drift, within) in [
            (AnswerDrift::Length(2.0), 400),
            (AnswerDrift::Refused(0.1), 1200),
            (AnswerDrift::Cut(0.2), 800),
            (AnswerDrift::Score(0.2), 400),
        ] {
            let found = |seed| USUAL_ANSWERS.run(seed, 2.8, Some((2.5, drift))).after;
            let in_time =
                (1..=10).filter(|seed| found(*seed).is_some_and(|(calls, _)| calls <= within));
            let in_time = in_time.count();
            assert!(in_time >= 9, "{drift:?}: {in_time} of 10");
        }
        for (difference, within) in
            [(ModelDifference::Duration(1.5), 400), (ModelDifference::Failing(0.2), 800)]
        {
            let found = |seed| USUAL_ANSWERS.compare(seed, 1.0, None, Some(difference)).after;
            let in_time =
                (1..=10).filter(|seed| found(*seed).is_some_and(|(calls, _)| calls <= within));
            let in_time = in_time.count();
            assert!(in_time >= 9, "{difference:?}: {in_time} of 10");
        }
    }
}
