//! Usage: token counts that are missing, zero, negative or impossible, by the library that says them.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::call::{ObservedCall, UsedTokens};
use super::config::Check;
use super::finding::{Finding, FindingKind, Subject};
use super::report::Report;
use crate::codec::msgpack::text_of;
use crate::model::listed_enum;

listed_enum! {
    /// What is wrong with the token counts of a call.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum UsageProblem {
        /// There are none.
        Missing,
        /// Nothing was taken in.
        Zero,
        /// A count is less than zero.
        Negative,
        /// Counts contradict each other or the time.
        Impossible,
    }
}

/// Libraries that are watched at most.
const MAX_LIBRARIES: usize = 500;
/// How long calls are counted together, and how long the same is not told again, in nanoseconds.
const WINDOW: u64 = 3600 * 1_000_000_000;
const TOLD_AGAIN: u64 = 24 * WINDOW;
/// More tokens than any call has.
const TOO_MANY: f64 = 1e8;

impl UsageProblem {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Zero => "zero",
            Self::Negative => "negative",
            Self::Impossible => "impossible",
        }
    }

    /// How many calls it takes, of how many calls at least, and how many calls may come to one that has it.
    const fn least(self) -> (u32, u32, u32) {
        match self {
            Self::Missing | Self::Zero => (15, 20, 20),
            Self::Negative => (1, 1, u32::MAX),
            Self::Impossible => (3, 3, 100),
        }
    }
}

/// What a call that succeeded says wrongly.
fn problem_of(call: &ObservedCall<'_>) -> Option<UsageProblem> {
    let UsedTokens { input, output, cached, reasoning } = call.tokens;
    let counts = [input, output, cached, reasoning];
    if counts.iter().flatten().any(|count| *count < 0.0) {
        return Some(UsageProblem::Negative);
    }
    if input.is_none() && output.is_none() {
        return Some(UsageProblem::Missing);
    }
    let is_more = |part: Option<f64>, whole: Option<f64>| {
        part.zip(whole).is_some_and(|(part, whole)| part > whole)
    };
    // An input without its cached part is told by some libraries, and a zero by others.
    let is_impossible = is_more(reasoning, output)
        || (is_more(cached, input) && input.is_some_and(|input| input > 0.0))
        || is_more(call.first_chunk, call.seconds)
        || counts.iter().flatten().any(|count| *count > TOO_MANY);
    if is_impossible {
        return Some(UsageProblem::Impossible);
    }
    (input == Some(0.0)).then_some(UsageProblem::Zero)
}

/// The calls that one version of a library told of.
#[derive(Debug)]
struct Library {
    subject: Subject,
    /// When the window began, in Unix nanoseconds.
    began: u64,
    calls: u32,
    counts: [u32; UsageProblem::ALL.len()],
    /// When each was last told.
    told: [Option<u64>; UsageProblem::ALL.len()],
}

/// Watches what libraries say.
#[derive(Debug, Default)]
pub(super) struct UsageWatch {
    libraries: HashMap<u64, Library, RandomState>,
}

impl UsageWatch {
    pub(super) fn call(&mut self, call: &ObservedCall<'_>, report: &mut Report) {
        if call.has_failed {
            return;
        }
        let hash = call.origin.library_hash();
        if !self.libraries.contains_key(&hash) {
            self.add(hash, call);
        }
        let Some(library) = self.libraries.get_mut(&hash) else {
            return report.note_unwatched();
        };
        if call.unix_nanos.saturating_sub(library.began) >= WINDOW {
            (library.began, library.calls) = (call.unix_nanos, 0);
            library.counts = [0; UsageProblem::ALL.len()];
        }
        library.calls = library.calls.saturating_add(1);
        if let Some(problem) = problem_of(call) {
            library.note(problem, call, report);
        }
    }

    #[cold]
    fn add(&mut self, hash: u64, call: &ObservedCall<'_>) {
        if self.libraries.len() >= MAX_LIBRARIES {
            let now = call.unix_nanos;
            self.libraries.retain(|_, one| now.saturating_sub(one.began) < WINDOW);
        }
        if self.libraries.len() < MAX_LIBRARIES {
            let library = Library {
                subject: call.origin.library(),
                began: call.unix_nanos,
                calls: 0,
                counts: [0; UsageProblem::ALL.len()],
                told: [None; UsageProblem::ALL.len()],
            };
            self.libraries.insert(hash, library);
        }
    }
}

impl Library {
    #[cold]
    fn note(&mut self, problem: UsageProblem, call: &ObservedCall<'_>, report: &mut Report) {
        let (calls, now) = (self.calls, call.unix_nanos);
        let (Some(count), Some(told)) =
            (self.counts.get_mut(problem as usize), self.told.get_mut(problem as usize))
        else {
            return;
        };
        *count = count.saturating_add(1);
        let (least, of_calls, one_in) = problem.least();
        let is_enough =
            *count >= least && calls >= of_calls && count.saturating_mul(one_in) >= calls;
        if !is_enough || told.is_some_and(|told| now.saturating_sub(told) < TOLD_AGAIN) {
            return;
        }
        *told = Some(now);
        let (name, count) = (problem.name(), *count);
        report.add(&Finding {
            check: Check::Usage,
            kind: FindingKind::Usage,
            signal: name,
            subject: &self.subject,
            numbers: &[
                ("fluentbit.ai.finding.calls", f64::from(calls)),
                ("fluentbit.ai.finding.affected_calls", f64::from(count)),
                ("fluentbit.ai.finding.input_tokens", call.tokens.input.unwrap_or(f64::NAN)),
                ("fluentbit.ai.finding.output_tokens", call.tokens.output.unwrap_or(f64::NAN)),
            ],
            texts: &[("gen_ai.request.model", text_of(call.model()).unwrap_or_default())],
            says: format!("token counts are {name} in {count} of {calls} calls"),
            span: call.ids,
            unix_nanos: now,
        });
    }
}
