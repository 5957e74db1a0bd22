//! Findings: what goes wrong with calls to models, seen while they pass. Pure.
//!
//! [`Findings`] is told of each call and of each call of a tool. Of content it keeps hashes only. What it finds is
//! counted in a metric, and by how each check is set said in a line of the log, or told as a log event with
//! evidence and hinted to the sampler. docs/FINDINGS.md has the delays and the rates of false findings.

mod budgets;
mod call;
mod changes;
mod config;
mod counts;
mod drift;
mod drift_bins;
mod drift_windows;
mod finding;
mod level;
mod log2;
mod pairs;
mod pairs_sequence;
mod prompts;
mod report;
mod reported;
mod runaway;
mod served;
mod share;
mod usage;

pub use self::budgets::{BUDGET_METRIC, BudgetConfig, BudgetUnit, ObservedSpending};
pub use self::call::{CallOrigin, ObservedCall, ObservedEvaluation, ObservedTool, UsedTokens};
pub use self::config::{Check, CheckMode, FindingsConfig, ModelPair, PromptSecret};
pub use self::counts::METRIC;
pub use self::report::{FindingsTally, KeptFinding};
pub use self::reported::ReportedDifference;
pub use self::runaway::{ConversationState, ToldRunaway};

use std::collections::HashMap;

use foldhash::fast::RandomState;

use self::budgets::BudgetWatch;
use self::changes::Changes;
use self::drift::DriftWatch;
use self::finding::Subject;
use self::pairs::PairWatch;
use self::prompts::{PromptNorms, PromptWatch};
use self::report::Report;
use self::runaway::Runaways;
use self::served::ServedModels;
use self::usage::UsageWatch;
use crate::model::{Emission, TraceId};

/// What is known of the calls of one service to one model.
#[derive(Debug)]
struct KeyState {
    subject: Subject,
    /// When it was last told of, in Unix nanoseconds.
    used: u64,
    changes: Option<Box<Changes>>,
    served: Option<Box<ServedModels>>,
    prompts: Option<Box<PromptNorms>>,
}

/// How long a key is kept that nothing comes of when there is no room for another, in nanoseconds.
const IDLE: u64 = 3600 * 1_000_000_000;
/// How often room is looked for.
const MAKE_ROOM: u64 = 60 * 1_000_000_000;

/// Finds what goes wrong.
#[derive(Debug)]
pub struct Findings {
    config: FindingsConfig,
    keys: HashMap<u64, KeyState, RandomState>,
    made_room: u64,
    usage: Option<UsageWatch>,
    runaways: Option<Runaways>,
    drift: Option<DriftWatch>,
    pairs: Option<PairWatch>,
    prompts: Option<Box<PromptWatch>>,
    budgets: Option<Box<BudgetWatch>>,
    report: Report,
}

impl Findings {
    /// One that begins now.
    #[must_use]
    pub fn new(config: FindingsConfig, unix_nanos: u64) -> Self {
        let is_on = |check| config.mode(check) != CheckMode::Off;
        Self {
            keys: HashMap::default(),
            made_room: 0,
            usage: is_on(Check::Usage).then(UsageWatch::default),
            runaways: is_on(Check::Runaway).then(|| Runaways::new(config.tokens_per_minute)),
            drift: is_on(Check::Drift).then(|| DriftWatch::new(config.max_keys)),
            pairs: is_on(Check::Pairs).then(|| PairWatch::new(&config.pairs)),
            prompts: is_on(Check::Prompts)
                .then(|| Box::new(PromptWatch::new(config.prompt_secret, config.max_prompts))),
            budgets: is_on(Check::Budgets).then(|| {
                let (keys, position) = (config.max_keys, config.position);
                Box::new(BudgetWatch::new(&config.budgets, keys, position, unix_nanos))
            }),
            report: Report::new(&config, unix_nanos),
            config,
        }
    }

    /// Looks at a call to a model.
    pub fn call(&mut self, call: &ObservedCall<'_>) {
        if let Some(usage) = &mut self.usage {
            usage.call(call, &mut self.report);
        }
        if let Some(runaways) = &mut self.runaways {
            runaways.call(call, &mut self.report);
        }
        let hash = call.key();
        if let Some(drift) = &mut self.drift {
            drift.call(call, hash, &mut self.report);
        }
        if let Some(pairs) = &mut self.pairs {
            pairs.call(call, &mut self.report);
        }
        if !self.keys.contains_key(&hash) && !self.add_key(hash, call) {
            return;
        }
        let Some(key) = self.keys.get_mut(&hash) else { return };
        key.used = key.used.max(call.unix_nanos);
        if let Some(changes) = &mut key.changes {
            changes.call(call, &key.subject, &mut self.report);
        }
        if let Some(served) = &mut key.served {
            served.call(call, &key.subject, &mut self.report);
        }
        if let Some((watch, norms)) = self.prompts.as_mut().zip(key.prompts.as_mut()) {
            watch.call(call, hash, (norms, &key.subject), &mut self.report);
        }
    }

    /// Looks at a call of a tool.
    pub fn tool(&mut self, tool: &ObservedTool<'_>) {
        if let Some(runaways) = &mut self.runaways {
            runaways.tool(tool, &mut self.report);
        }
    }

    /// Looks at an evaluation.
    pub fn evaluation(&mut self, evaluation: &ObservedEvaluation<'_>) {
        if let Some(drift) = &mut self.drift {
            drift.evaluation(evaluation, &mut self.report);
        }
    }

    /// Who spends, by the encoded values of [`FindingsConfig::budget_attributes`], in their order; empty ones for missing
    /// ones.
    pub fn spender(&mut self, values: &[&[u8]], unix_nanos: u64) -> u64 {
        let budgets = self.budgets.as_mut();
        budgets.map_or(0, |budgets| budgets.spender(values, unix_nanos, &mut self.report))
    }

    /// Adds what a call spends to the budgets of its spender, or takes it back.
    pub fn spend(&mut self, spending: &ObservedSpending, is_taken_back: bool) {
        if let Some(budgets) = &mut self.budgets {
            budgets.spend(spending, is_taken_back, &mut self.report);
        }
    }

    /// Whether budgets are watched.
    #[must_use]
    pub const fn watches_budgets(&self) -> bool {
        self.budgets.is_some()
    }

    /// Whether evaluations are looked at.
    #[must_use]
    pub const fn wants_evaluations(&self) -> bool {
        self.drift.is_some()
    }

    /// Whether conversations are watched.
    #[must_use]
    pub const fn watches_conversations(&self) -> bool {
        self.runaways.is_some()
    }

    /// What is known of a conversation, or of a trace by its hexadecimal digits, if anything of it was seen and is
    /// remembered.
    #[must_use]
    pub fn conversation(&self, id: &str) -> Option<ConversationState> {
        self.runaways.as_ref()?.state(id)
    }

    /// Tells that a service reports something else than is measured, if token counts are looked at.
    pub fn reported(&mut self, difference: &ReportedDifference<'_>) {
        if self.config.mode(Check::Usage) != CheckMode::Off {
            reported::tell(difference, &mut self.report);
        }
    }

    /// Adds a key, if there is room and anything is looked for by keys.
    #[cold]
    fn add_key(&mut self, hash: u64, call: &ObservedCall<'_>) -> bool {
        let is_on = |check| self.config.mode(check) != CheckMode::Off;
        let (changes, served) = (is_on(Check::Changes), is_on(Check::ServedModel));
        let prompts = is_on(Check::Prompts);
        if !changes && !served && !prompts {
            return false;
        }
        let now = call.unix_nanos;
        if self.keys.len() >= self.config.max_keys
            && now.saturating_sub(self.made_room) >= MAKE_ROOM
        {
            self.made_room = now;
            self.keys.retain(|_, key| now.saturating_sub(key.used) < IDLE);
        }
        if self.keys.len() >= self.config.max_keys {
            self.report.note_unwatched();
            return false;
        }
        let key = KeyState {
            subject: call.subject(),
            used: now,
            changes: changes.then(|| Box::new(Changes::new(now))),
            served: served.then(Box::default),
            prompts: prompts.then(Box::default),
        };
        self.keys.insert(hash, key);
        true
    }

    /// Says which chunk the calls to come are of.
    pub fn set_tag(&mut self, tag: &[u8]) {
        self.report.set_tag(tag);
    }

    /// The log events of what was found since.
    pub fn take_events(&mut self) -> Vec<Emission> {
        self.report.take_events()
    }

    /// Takes back what could not be emitted.
    pub fn put_back(&mut self, emission: Emission) {
        self.report.put_back(emission);
    }

    /// The lines for the log of what was found since.
    pub fn take_lines(&mut self) -> Vec<String> {
        self.report.take_lines()
    }

    /// The traces that a sampler should keep for what was found in them.
    pub fn take_hints(&mut self) -> Vec<TraceId> {
        self.report.take_hints()
    }

    /// From now on the last findings are kept.
    pub fn keep(&mut self) {
        self.report.keep();
    }

    /// The last findings, the newest at the end, if they are kept.
    #[must_use]
    pub fn kept(&self) -> &[KeptFinding] {
        self.report.kept()
    }

    /// Writes the points of the metrics, and says how many records that are.
    pub fn export(&mut self, out: &mut Vec<u8>, unix_nanos: u64) -> usize {
        let budgets = self.budgets.as_ref().map_or(0, |one| one.export(out, unix_nanos));
        budgets + self.report.export(out, unix_nanos)
    }

    /// Writes what was told so far, since each series began, for a page that is scraped, and says how many records
    /// that is.
    pub fn export_page(&self, out: &mut Vec<u8>, unix_nanos: u64) -> usize {
        self.report.export_page(out, unix_nanos)
    }

    /// The tag to emit under.
    #[must_use]
    pub fn tag(&self) -> &[u8] {
        self.report.tag()
    }

    /// What has happened so far.
    #[must_use]
    pub fn tally(&self) -> FindingsTally {
        let mut tally = self.report.tally();
        let of_drift = self.drift.as_ref().map_or(0, DriftWatch::keys);
        let of_budgets = self.budgets.as_ref().map_or(0, |budgets| budgets.keys());
        tally.keys = (self.keys.len() + of_drift + of_budgets) as u64;
        tally
    }
}

#[cfg(test)]
mod drift_tests;
#[cfg(test)]
mod pairs_tests;
#[cfg(test)]
pub(crate) mod tests;
