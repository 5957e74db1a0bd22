//! Made clients: days of calls of agents with a daily rhythm, whose libraries say the usual tokens, whose models are those
//! that answer usually and whose tools are called as usual, or in which one of these becomes otherwise; and what
//! `ai_metrics` finds in them.

use fluent_bit_ai::findings::{
    CallOrigin, Check, Findings, ObservedCall, ObservedTool, UsedTokens,
};
use fluent_bit_ai::model::{SpanId, TraceId};

use crate::made_calls::{Drawn, Found, MadeCalls, USUAL, empty_call, finder, text};

const DAY: f64 = 86_400.0;
/// Names of tools, and how many arguments each is called with.
const TOOLS: [&str; 5] = ["search", "read_file", "write_file", "run", "fetch"];
const ARGUMENTS: f64 = 1000.0;
/// How often a call of a tool is made again at most.
const RETRIES: u32 = 3;

/// Calls of agents: each calls a model, and then a tool with a probability of 0.8.
#[derive(Debug, Clone, Copy)]
pub struct MadeClients {
    /// When calls of models come, and how many fail.
    pub calls: MadeCalls,
    /// The share of calls that succeed and say no tokens.
    pub silent: f64,
    /// The share of calls that the second of two snapshots of the model answers, each with two fingerprints.
    pub second: f64,
    /// The share of calls of tools that are made again with the same arguments, up to three times.
    pub retried: f64,
}

/// What usual traffic looks like.
pub const USUAL_CLIENTS: MadeClients =
    MadeClients { calls: USUAL, silent: 0.005, second: 0.0, retried: 0.1 };

/// What is so from a moment on.
#[derive(Debug, Clone, Copy)]
pub enum ClientChange {
    /// So large a share of the calls says no tokens.
    Missing(f64),
    /// So large a share takes no tokens in.
    Zero(f64),
    /// So large a share says fewer tokens than none.
    Negative(f64),
    /// So large a share reasons with more tokens than it has.
    Impossible(f64),
    /// Another model answers so large a share.
    OtherModel(f64),
    /// Another snapshot of the model answers so large a share.
    OtherSnapshot(f64),
    /// Another fingerprint comes with so large a share.
    OtherFingerprint(f64),
    /// A tool is called with the same arguments so often.
    Repeated(f64),
    /// Tools are called in a circle of so many.
    Circle(usize),
    /// Calls take so many tokens each, a call in three seconds.
    Tokens(f64),
}

impl ClientChange {
    /// What finds it.
    pub const fn check(self) -> Check {
        match self {
            Self::Missing(_) | Self::Zero(_) | Self::Negative(_) | Self::Impossible(_) => {
                Check::Usage
            }
            Self::OtherModel(_) | Self::OtherSnapshot(_) | Self::OtherFingerprint(_) => {
                Check::ServedModel
            }
            Self::Repeated(_) | Self::Circle(_) | Self::Tokens(_) => Check::Runaway,
        }
    }
}

/// The tool that an agent called last.
#[derive(Default)]
struct LastTool {
    tool: usize,
    arguments: u32,
    retries: u32,
    /// Calls within a circle.
    steps: usize,
}

impl MadeClients {
    /// Makes calls of so many days. The change comes on `at`, also in days; calls are those of models, and of tools where
    /// it is one of tools.
    pub fn run(
        &self,
        check: Check,
        seed: u64,
        days: f64,
        change: Option<(f64, ClientChange)>,
    ) -> Found {
        let mut drawn = Drawn::new(seed);
        let (mut findings, mut found) = (finder(check), Found::default());
        let (start, mut time, mut since) = (drawn.uniform() * DAY, 0.0, 0);
        let at = change.map_or(f64::MAX, |(at, _)| at * DAY);
        let (mut conversation, mut last) = (0_u64, LastTool::default());
        while time < days * DAY {
            let day = ((start + time) / DAY * std::f64::consts::TAU).sin();
            let change = change.filter(|_| time >= at).map(|(_, change)| change);
            let rate = match change {
                Some(ClientChange::Tokens(_)) => 1.0 / 3.0,
                _ => self.calls.per_second * (1.0 + 0.8 * day),
            };
            time += -drawn.uniform().max(1e-12).ln() / rate;
            // A conversation has fifteen calls on average, and an agent that ran away does not end its own.
            if change.is_none() && drawn.uniform() < 1.0 / 15.0 {
                (conversation, last) = (conversation + 1, LastTool::default());
            }
            found.calls += 1;
            let about = (time, conversation, found.calls);
            self.call(&mut findings, &mut drawn, change, about);
            let mut is_counted =
                check != Check::Runaway || matches!(change, Some(ClientChange::Tokens(_)));
            if check == Check::Runaway && drawn.uniform() < 0.8 {
                self.tool(&mut findings, (&mut drawn, &mut last), change, about);
                is_counted = true;
            }
            since += u64::from(change.is_some() && is_counted);
            let lines = findings.take_lines().len() as u64;
            if lines > 0 && change.is_some() {
                found.after = Some((since, time - at));
                break;
            }
            found.before += lines;
        }
        found
    }

    fn call(
        &self,
        findings: &mut Findings,
        drawn: &mut Drawn,
        change: Option<ClientChange>,
        (time, conversation, number): (f64, u64, u64),
    ) {
        let (operation, requested) = (text("chat"), text("model-4"));
        let mut tokens = UsedTokens {
            input: Some((6.0 + drawn.normal()).exp().round().max(1.0)),
            output: Some((5.0 + 0.8 * drawn.normal()).exp().round().max(1.0)),
            cached: None,
            reasoning: None,
        };
        if drawn.uniform() < self.silent {
            tokens = UsedTokens::default();
        }
        let is_second = drawn.uniform() < self.second;
        let mut model = if is_second { "model-4-2026-05-01" } else { "model-4-2026-01-01" };
        let mut fingerprint = ["fp_a", "fp_b"][usize::from(drawn.uniform() < 0.4)];
        let mut is_so = |share| drawn.uniform() < share;
        match change {
            Some(ClientChange::Missing(share)) if is_so(share) => tokens = UsedTokens::default(),
            Some(ClientChange::Zero(share)) if is_so(share) => tokens.input = Some(0.0),
            Some(ClientChange::Negative(share)) if is_so(share) => tokens.output = Some(-1.0),
            Some(ClientChange::Impossible(share)) if is_so(share) => {
                tokens.reasoning = tokens.output.map(|output| output + 1.0);
            }
            Some(ClientChange::OtherModel(share)) if is_so(share) => model = "small-1",
            Some(ClientChange::OtherSnapshot(share)) if is_so(share) => {
                model = "model-4-2026-09-01";
            }
            Some(ClientChange::OtherFingerprint(share)) if is_so(share) => fingerprint = "fp_c",
            Some(ClientChange::Tokens(each)) => tokens.input = Some(each),
            _ => {}
        }
        findings.call(&ObservedCall {
            unix_nanos: (time * 1e9) as u64,
            operation: &operation,
            request_model: &requested,
            response_model: &text(model),
            fingerprint: &text(fingerprint),
            conversation: &text(&format!("conversation {conversation}")),
            seconds: Some(1.0),
            tokens,
            has_failed: drawn.uniform() < self.calls.failing,
            ids: Some((TraceId(u128::from(number).to_be_bytes()), SpanId([1; 8]))),
            ..empty_call(&CallOrigin::default())
        });
    }

    fn tool(
        &self,
        findings: &mut Findings,
        (drawn, last): (&mut Drawn, &mut LastTool),
        change: Option<ClientChange>,
        (time, conversation, number): (f64, u64, u64),
    ) {
        let fresh =
            ((drawn.uniform() * TOOLS.len() as f64) as usize, (drawn.uniform() * ARGUMENTS) as u32);
        let is_again =
            drawn.uniform() < self.retried && last.retries < RETRIES && last.arguments > 0;
        let (tool, arguments) = match change {
            Some(ClientChange::Repeated(share)) if drawn.uniform() < share => (0, 1),
            Some(ClientChange::Circle(length)) => (last.steps % length % TOOLS.len(), 1),
            _ if is_again => (last.tool, last.arguments),
            _ => (fresh.0, fresh.1 + 1),
        };
        let retries = if is_again { last.retries + 1 } else { 0 };
        *last = LastTool { tool, arguments, retries, steps: last.steps + 1 };
        findings.tool(&ObservedTool {
            origin: &CallOrigin::default(),
            unix_nanos: (time * 1e9) as u64,
            conversation: &text(&format!("conversation {conversation}")),
            name: &text(TOOLS.get(tool).copied().unwrap_or_default()),
            arguments: &text(&format!("{{\"of\":{arguments}}}")),
            ids: Some((TraceId(u128::from(number).to_be_bytes()), SpanId([2; 8]))),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKS: [Check; 3] = [Check::Usage, Check::ServedModel, Check::Runaway];

    /// Guarantees: usual weeks make less than one finding for each key, of each kind of check.
    #[test]
    fn usual_weeks_make_less_than_one_finding() {
        let few = MadeClients { calls: MadeCalls { per_second: 0.05, ..USUAL }, ..USUAL_CLIENTS };
        let cases = [few, MadeClients { silent: 0.02, second: 0.3, ..few }];
        for traffic in cases {
            for check in CHECKS {
                let found: u64 =
                    (1..=2).map(|seed| traffic.run(check, seed, 7.0, None).before).sum();
                assert!(found < 2, "{found} in 2 weeks of {check:?}, {traffic:?}");
            }
        }
    }

    /// Guarantees: what becomes otherwise is found, nineteen times of twenty at least, within the documented number of calls.
    #[test]
    fn changes_are_found_in_time() {
        for (change, within) in [
            (ClientChange::Missing(1.0), 60),
            (ClientChange::Missing(0.2), 200),
            (ClientChange::Zero(1.0), 60),
            (ClientChange::Negative(0.1), 60),
            (ClientChange::Impossible(0.1), 120),
            (ClientChange::OtherModel(0.1), 60),
            (ClientChange::OtherSnapshot(0.1), 60),
            (ClientChange::OtherFingerprint(0.1), 60),
            (ClientChange::Repeated(1.0), 8),
            (ClientChange::Repeated(0.5), 30),
            (ClientChange::Circle(3), 12),
            (ClientChange::Tokens(100_000.0), 20),
        ] {
            let run =
                |seed| USUAL_CLIENTS.run(change.check(), seed, 0.2, Some((0.1, change))).after;
            let after: Vec<u64> = (1..=20).filter_map(run).map(|(calls, _)| calls).collect();
            let in_time = after.iter().filter(|calls| **calls <= within).count();
            assert!(in_time >= 19, "{change:?}: found after {after:?} calls");
        }
    }
}
