//! Made prompts: days of calls with prompts that come again and again, their versions and those that come once, in which one
//! prompt becomes different or none does, and what `ai_metrics` finds in them.

use fluent_bit_ai::codec::msgpack;
use fluent_bit_ai::findings::{CallOrigin, Check, Findings, ObservedCall, UsedTokens};
use fluent_bit_ai::model::{SpanId, TraceId};

use crate::made_calls::{Drawn, Found, MadeCalls, USUAL, empty_call, finder, text};

const DAY: f64 = 86_400.0;
/// Words of a prompt.
const WORDS: usize = 120;
/// Words that there are, of three letters each.
const VOCABULARY: usize = 3000;
/// Calls of the changing version after which a change is not found in time.
const IN_TIME: u64 = 200;

/// All words, one after another.
static ALL_WORDS: [u8; 3 * VOCABULARY] = {
    let mut words = [0; 3 * VOCABULARY];
    let mut at = 0;
    while at < VOCABULARY {
        let letters = [at % 26, at / 26 % 26, at / 676 % 26];
        let mut letter = 0;
        while letter < 3 {
            words[3 * at + letter] = b'a' + letters[letter] as u8;
            letter += 1;
        }
        at += 1;
    }
    words
};

/// Calls of one service to one model by their prompts.
#[derive(Debug, Clone, Copy)]
pub struct MadePrompts {
    /// When they come, and what they take.
    pub calls: MadeCalls,
    /// How many prompts come again and again, in two versions each, of which one word is another. The first ones come
    /// more often.
    pub prompts: usize,
    /// The share of calls whose prompt comes once.
    pub single: f64,
    /// The share of calls that end with a call of a tool.
    pub tools: f64,
    /// The share of calls that are refused.
    pub refused: f64,
}

/// What usual traffic looks like.
pub const USUAL_PROMPTS: MadePrompts =
    MadePrompts { calls: USUAL, prompts: 100, single: 0.3, tools: 0.2, refused: 0.01 };

/// What a share of the calls of one version of a prompt are from a moment on.
#[derive(Debug, Clone, Copy)]
pub enum PromptChange {
    /// They take so many times as long.
    Duration(f64),
    /// Their answers are so many times as long.
    Output(f64),
    /// They take so many times as many tokens in.
    Input(f64),
    /// They fail.
    Failing,
    /// They are refused.
    Refused,
    /// They end at the limit of tokens.
    Cut,
}

/// One call as it is made.
struct Made {
    duration: f64,
    input: f64,
    output: f64,
    has_failed: bool,
    reason: &'static str,
}

/// Encoded messages.
fn messages(drawn: &mut Drawn, version: Option<&str>) -> Vec<u8> {
    let mut words = String::with_capacity(WORDS * 4 + 80);
    words.push_str(r#"[{"role":"user","parts":[{"type":"text","content":""#);
    for at in 0..WORDS {
        let number = (drawn.uniform() * VOCABULARY as f64) as usize;
        let word = std::str::from_utf8(&ALL_WORDS[3 * number..][..3]).unwrap_or_default();
        words.push_str(version.filter(|_| at == WORDS / 2).unwrap_or(word));
        words.push(' ');
    }
    words.push_str(r#""}]}]"#);
    text(&words)
}

fn reasons(reason: &str) -> Vec<u8> {
    let mut out = Vec::new();
    msgpack::array_header(&mut out, 1);
    msgpack::str(&mut out, reason);
    out
}

impl MadePrompts {
    /// Makes calls of so many days. The change comes on `at`, also in days, to a share of the calls of one prompt; the
    /// calls until it is found are those of that prompt.
    pub fn run(&self, seed: u64, days: f64, change: Option<(f64, PromptChange, f64)>) -> Found {
        let mut drawn = Drawn::new(seed);
        let (mut findings, mut found) = (finder(Check::Prompts), Found::default());
        let known = self.known(seed);
        let levels: Vec<f64> = known.iter().map(|_| drawn.normal()).collect();
        let (start, mut time, mut since, mut shared) = (drawn.uniform() * DAY, 0.0, 0, 0.0_f64);
        let at = change.map_or(f64::MAX, |(at, ..)| at * DAY);
        // The fifth prompt, which is neither the most usual one nor rare.
        let changing = 4.min(self.prompts.saturating_sub(1));
        while time < days * DAY {
            let day = ((start + time) / DAY * std::f64::consts::TAU).sin();
            let rate = self.calls.per_second * (1.0 + 0.8 * day);
            let gap = -drawn.uniform().max(1e-12).ln() / rate;
            time += gap;
            let kept = (-gap / 60.0).exp();
            shared = kept * shared + (1.0 - kept * kept).sqrt() * drawn.normal();
            let single = drawn.uniform() < self.single || known.is_empty();
            // The logarithm of the number of a prompt is even, so that it comes by its rank (Zipf).
            let prompt = ((self.prompts as f64).powf(drawn.uniform()) as usize).max(1) - 1;
            let version = usize::from(drawn.uniform() < 0.5);
            let once = single.then(|| messages(&mut drawn, None));
            let asked = once.as_ref().or_else(|| Some(&known.get(prompt)?[version]));
            let level = levels.get(prompt).copied().unwrap_or_default();
            let shift = self.calls.rhythm * day + self.calls.shared_spread * shared;
            let mut made = self.made(&mut drawn, level, shift);
            if let Some((_, change, share)) = change.filter(|_| time >= at)
                && !single
                && (prompt, version) == (changing, 1)
            {
                since += 1;
                if since > IN_TIME {
                    break;
                }
                if drawn.uniform() < share {
                    made.change(change);
                }
            }
            found.calls += 1;
            tell(&mut findings, &made, asked.map_or(&[], Vec::as_slice), (time, found.calls));
            let lines = findings.take_lines().len() as u64;
            if lines > 0 && time >= at {
                found.after = Some((since, time - at));
                break;
            }
            found.before += lines;
        }
        found
    }

    /// The prompts that come again and again, in two versions each.
    fn known(&self, seed: u64) -> Vec<[Vec<u8>; 2]> {
        let of = |prompt: usize, version| {
            messages(&mut Drawn::new(seed * 1000 + prompt as u64), Some(version))
        };
        (0..self.prompts).map(|prompt| ["first", "second"].map(|it| of(prompt, it))).collect()
    }

    fn made(&self, drawn: &mut Drawn, level: f64, shift: f64) -> Made {
        let mut duration = (shift + 0.3 * level + self.calls.spread * drawn.normal()).exp();
        if drawn.uniform() < self.calls.outliers {
            duration *= 20.0;
        }
        let output = (5.0 + 0.7 * level + 0.8 * drawn.normal()).exp().round().max(1.0);
        let ends = drawn.uniform();
        let reason = if ends < self.refused {
            "content_filter"
        } else if ends < self.refused + self.tools {
            "tool_calls"
        } else {
            "stop"
        };
        let has_failed = drawn.uniform() < self.calls.failing;
        Made { duration, input: 180.0, output, has_failed, reason }
    }
}

impl Made {
    fn change(&mut self, change: PromptChange) {
        match change {
            PromptChange::Duration(factor) => self.duration *= factor,
            PromptChange::Output(factor) => self.output *= factor,
            PromptChange::Input(factor) => self.input *= factor,
            PromptChange::Failing => self.has_failed = true,
            PromptChange::Refused => self.reason = "content_filter",
            PromptChange::Cut => self.reason = "length",
        }
    }
}

fn tell(findings: &mut Findings, made: &Made, messages: &[u8], (time, number): (f64, u64)) {
    let (operation, model) = (text("chat"), text("model"));
    findings.call(&ObservedCall {
        unix_nanos: (time * 1e9) as u64,
        operation: &operation,
        request_model: &model,
        input_messages: messages,
        finish_reasons: &reasons(made.reason),
        seconds: Some(made.duration),
        tokens: UsedTokens {
            input: Some(made.input),
            output: Some(made.output),
            ..UsedTokens::default()
        },
        cost: Some(made.input * 2e-6 + made.output * 8e-6),
        has_failed: made.has_failed,
        ids: Some((TraceId(u128::from(number).to_be_bytes()), SpanId([1; 8]))),
        ..empty_call(&CallOrigin::default())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: a usual week makes less than one finding, whatever the prompts are.
    #[test]
    fn usual_weeks_make_less_than_one_finding() {
        let cases = [
            MadePrompts { calls: MadeCalls { per_second: 0.05, ..USUAL }, ..USUAL_PROMPTS },
            MadePrompts {
                calls: MadeCalls { per_second: 0.05, spread: 1.0, ..USUAL },
                prompts: 5,
                single: 0.0,
                tools: 0.5,
                ..USUAL_PROMPTS
            },
        ];
        for traffic in cases {
            let found: u64 = (1..=2).map(|seed| traffic.run(seed, 7.0, None).before).sum();
            assert!(found < 2, "{found} of {traffic:?}");
        }
    }

    /// Guarantees: ten times the duration of half of the calls of a prompt, and refusals of one version, are found nine
    /// times of ten at least, within the documented number of calls of that prompt.
    #[test]
    fn changes_are_found_in_time() {
        for (change, share, within) in
            [(PromptChange::Duration(10.0), 0.5, 60), (PromptChange::Refused, 0.9, 40)]
        {
            let run = |seed| USUAL_PROMPTS.run(seed, 2.0, Some((1.0, change, share))).after;
            let after: Vec<u64> = (1..=10).filter_map(run).map(|(calls, _)| calls).collect();
            let in_time = after.iter().filter(|calls| **calls <= within).count();
            assert!(in_time >= 9, "{change:?}: found after {after:?} calls");
        }
    }
}
