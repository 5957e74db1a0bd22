//! Runaway agents: the same tool with the same arguments again and again, calls of tools in circles, and more tokens in
//! a minute than a conversation should take.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::call::{CallOrigin, ObservedCall, ObservedTool, hash_of_id, hash_of_trace};
use super::config::Check;
use super::finding::{Finding, FindingKind, Ids, cut};
use super::report::Report;
use crate::codec::msgpack::text_of;
use crate::model::TraceId;

/// Conversations of one generation: those of the last are known too, so that twice as many are.
const MAX_CONVERSATIONS: usize = 4096;
/// Calls of tools that are remembered of a conversation.
const REMEMBERED: usize = 24;
/// How often the same one among these is too often.
const TOO_OFTEN: usize = 6;
/// The longest circle, and how often it comes in a row.
const LONGEST_CIRCLE: usize = 8;
const ROUNDS: usize = 3;
/// A minute in nanoseconds.
const MINUTE: u64 = 60_000_000_000;

/// What a conversation did of late.
#[derive(Debug, Clone, Copy, Default)]
struct Conversation {
    /// The last calls of tools as hashes, the newest last.
    calls: [u32; REMEMBERED],
    count: usize,
    /// When the minute that is counted began, in Unix nanoseconds, and the tokens of it and of the one before.
    minute: u64,
    tokens: [u64; 2],
    /// When each finding was told, in Unix nanoseconds (0 where it was not), and its number, in the order of [`TELLS`].
    told: [(u64, u64); TELLS.len()],
    /// Calls of tools in all, and when the last call of a tool or a model ended, in Unix nanoseconds.
    tool_calls: u64,
    last: u64,
}

/// The kinds of findings, and what their numbers are.
const TELLS: [(FindingKind, &str); 3] = [
    (FindingKind::RepeatedToolCall, "calls"),
    (FindingKind::ToolCycle, "calls"),
    (FindingKind::TokenVelocity, "tokens_per_minute"),
];
const OFTEN: usize = 0;
const CIRCLE: usize = 1;
const TOKENS: usize = 2;

/// A finding that was told of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldRunaway {
    /// The type of the finding.
    pub name: &'static str,
    /// When the call ended that gave it away, in Unix nanoseconds.
    pub unix_nanos: u64,
    /// What was counted then, and how many.
    pub counts: &'static str,
    /// See `counts`.
    pub number: u64,
}

/// What is known of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationState {
    /// What was told of it; nothing as long as it is well.
    pub told: Vec<ToldRunaway>,
    /// Calls of tools whose arguments are known.
    pub tool_calls: u64,
    /// Tokens of the minute before the last call of a model, as the limit counts them.
    pub tokens_per_minute: u64,
    /// When its last call ended, in Unix nanoseconds.
    pub last_unix_nanos: u64,
}

/// What is found in the calls of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Often(usize),
    Circle(usize),
}

impl Conversation {
    fn push(&mut self, call: u32) {
        self.calls.rotate_left(1);
        if let Some(last) = self.calls.last_mut() {
            *last = call;
        }
        self.count = (self.count + 1).min(REMEMBERED);
        self.tool_calls = self.tool_calls.saturating_add(1);
    }

    fn is_told(&self, finding: usize) -> bool {
        self.told.get(finding).is_some_and(|(unix_nanos, _)| *unix_nanos > 0)
    }

    fn note(&mut self, finding: usize, unix_nanos: u64, number: u64) {
        if let Some(told) = self.told.get_mut(finding) {
            *told = (unix_nanos.max(1), number);
        }
    }

    /// The calls that are remembered, the newest first.
    fn newest(&self) -> impl Iterator<Item = u32> + Clone {
        self.calls.into_iter().rev().take(self.count)
    }

    fn rounds(&self) -> Option<Round> {
        let mut calls = self.newest();
        let last = calls.next()?;
        let often = 1 + calls.filter(|call| *call == last).count();
        if often >= TOO_OFTEN && !self.is_told(OFTEN) {
            return Some(Round::Often(often));
        }
        if self.is_told(CIRCLE) || often < ROUNDS {
            return None;
        }
        let is_circle = |length: &usize| {
            let whole = length * ROUNDS;
            let repeats = self.newest().zip(self.newest().skip(*length)).take(whole - length);
            self.count >= whole && repeats.clone().all(|(one, other)| one == other)
        };
        (2..=LONGEST_CIRCLE)
            .find(is_circle)
            .filter(|length| self.has_several(*length))
            .map(Round::Circle)
    }

    /// Whether the last calls are of more than one.
    fn has_several(&self, calls: usize) -> bool {
        let mut newest = self.newest().take(calls);
        newest.next().is_some_and(|first| newest.any(|call| call != first))
    }

    /// Adds tokens, and gives those of the last minute.
    fn spend(&mut self, tokens: u64, now: u64) -> u64 {
        let passed = now.saturating_sub(self.minute);
        if passed >= 2 * MINUTE {
            (self.minute, self.tokens) = (now, [0, 0]);
        } else if passed >= MINUTE {
            self.minute += MINUTE;
            self.tokens = [0, self.tokens[0]];
        }
        self.tokens[0] = self.tokens[0].saturating_add(tokens);
        self.velocity(now)
    }

    /// The tokens of the minute before a time at which, or after which, the last ones were spent.
    fn velocity(&self, now: u64) -> u64 {
        let passed = now.saturating_sub(self.minute);
        let ([this, before], since) = match passed / MINUTE {
            0 => (self.tokens, 0),
            1 => ([0, self.tokens[0]], MINUTE),
            _ => return 0,
        };
        // The minute before counts by what of it is within the last sixty seconds.
        let left = MINUTE.saturating_sub(passed - since) as f64 / MINUTE as f64;
        this.saturating_add(whole(before as f64 * left))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and the number is not negative"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

/// Watches conversations.
#[derive(Debug)]
pub(super) struct Runaways {
    young: HashMap<u64, Conversation, RandomState>,
    old: HashMap<u64, Conversation, RandomState>,
    tokens_per_minute: u64,
}

impl Runaways {
    pub(super) fn new(tokens_per_minute: u64) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), tokens_per_minute }
    }

    /// What is known of a conversation. Those of which nothing came for long go first.
    fn conversation(&mut self, hash: u64) -> &mut Conversation {
        if !self.young.contains_key(&hash) {
            if self.young.len() >= MAX_CONVERSATIONS {
                self.old = std::mem::take(&mut self.young);
            }
            let known = self.old.remove(&hash).unwrap_or_default();
            self.young.insert(hash, known);
        }
        self.young.entry(hash).or_default()
    }

    /// What is known of a conversation or a trace.
    pub(super) fn state(&self, id: &str) -> Option<ConversationState> {
        let of = |hash: u64| self.young.get(&hash).or_else(|| self.old.get(&hash));
        let by_trace = || of(hash_of_trace(&TraceId::from_hex(id.as_bytes())?));
        let known = of(hash_of_id(id)).or_else(by_trace)?;
        let told = known.told.iter().zip(TELLS).filter(|((unix_nanos, _), _)| *unix_nanos > 0);
        let told = told.map(|((unix_nanos, number), (kind, counts))| {
            let (name, unix_nanos, number) = (kind.name(), *unix_nanos, *number);
            ToldRunaway { name, unix_nanos, counts, number }
        });
        Some(ConversationState {
            told: told.collect(),
            tool_calls: known.tool_calls,
            tokens_per_minute: known.velocity(known.last),
            last_unix_nanos: known.last,
        })
    }

    pub(super) fn tool(&mut self, tool: &ObservedTool<'_>, report: &mut Report) {
        let Some((hash, call)) = tool.conversation_hash().zip(tool.call_hash()) else { return };
        let conversation = self.conversation(hash);
        conversation.push(low(call));
        conversation.last = conversation.last.max(tool.unix_nanos);
        let Some(round) = conversation.rounds() else { return };
        let name = cut(text_of(tool.name).unwrap_or_default());
        let (kind, calls, says) = match round {
            Round::Often(often) => {
                conversation.note(OFTEN, tool.unix_nanos, often as u64);
                let says = format!(
                    "tool '{name}' was called {often} times with the same arguments in one conversation"
                );
                (FindingKind::RepeatedToolCall, often, says)
            }
            Round::Circle(length) => {
                conversation.note(CIRCLE, tool.unix_nanos, length as u64);
                let says = format!(
                    "the same {length} calls of tools came {ROUNDS} times in a row in one conversation"
                );
                (FindingKind::ToolCycle, length, says)
            }
        };
        let told = Told { origin: tool.origin, ids: tool.ids, unix_nanos: tool.unix_nanos };
        let texts = [
            ("gen_ai.tool.name", name),
            ("gen_ai.conversation.id", text_of(tool.conversation).unwrap_or_default()),
        ];
        told.tell(kind, ("fluentbit.ai.finding.calls", calls as f64), &texts, says, report);
    }

    #[inline]
    pub(super) fn call(&mut self, call: &ObservedCall<'_>, report: &mut Report) {
        if self.tokens_per_minute == 0 {
            return;
        }
        let Some(hash) = call.conversation_hash() else { return };
        let count = |tokens: Option<f64>| tokens.map_or(0, |tokens| whole(tokens.max(0.0)));
        let tokens = count(call.tokens.input)
            .saturating_sub(count(call.tokens.cached))
            .saturating_add(count(call.tokens.output));
        let limit = self.tokens_per_minute;
        let conversation = self.conversation(hash);
        let spent = conversation.spend(tokens, call.unix_nanos);
        conversation.last = conversation.last.max(call.unix_nanos);
        if spent <= limit || conversation.is_told(TOKENS) {
            return;
        }
        conversation.note(TOKENS, call.unix_nanos, spent);
        let told = Told { origin: call.origin, ids: call.ids, unix_nanos: call.unix_nanos };
        let texts = [("gen_ai.conversation.id", text_of(call.conversation).unwrap_or_default())];
        let says = format!("one conversation took {spent} tokens in a minute, more than {limit}");
        let number = ("fluentbit.ai.finding.tokens_per_minute", spent as f64);
        told.tell(FindingKind::TokenVelocity, number, &texts, says, report);
    }
}

/// What a finding is of.
struct Told<'t> {
    origin: &'t CallOrigin<'t>,
    ids: Option<Ids>,
    unix_nanos: u64,
}

impl Told<'_> {
    #[cold]
    fn tell(
        &self,
        kind: FindingKind,
        number: (&'static str, f64),
        texts: &[(&'static str, &str)],
        says: String,
        report: &mut Report,
    ) {
        report.add(&Finding {
            check: Check::Runaway,
            kind,
            signal: "",
            subject: &self.origin.service(),
            numbers: &[number],
            texts,
            says,
            span: self.ids,
            unix_nanos: self.unix_nanos,
        });
    }
}

/// The lowest bits of a hash.
#[expect(clippy::cast_possible_truncation, reason = "the lowest bits of a hash are one too")]
const fn low(hash: u64) -> u32 {
    hash as u32
}
