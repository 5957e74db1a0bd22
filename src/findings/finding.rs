//! Finding: what was found, of what, and the evidence.

use std::borrow::Cow;

use super::config::Check;
use crate::codec::msgpack::text_of;
use crate::model::{SpanId, TraceId};

/// A trace and a span.
pub(super) type Ids = (TraceId, SpanId);

/// How long a name of a subject may be, in bytes.
const MAX_NAME: usize = 128;
/// What kind of finding it is, and of what.
pub(super) const TYPE: &str = "fluentbit.ai.finding.type";
pub(super) const SIGNAL: &str = "fluentbit.ai.finding.signal";

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FindingKind {
    Spike,
    LevelShift,
    Usage,
    ServedModel,
    Fingerprint,
    RepeatedToolCall,
    ToolCycle,
    TokenVelocity,
    Drift,
    PairDifference,
    SamePrompt,
    SimilarPrompts,
    ReportedDifference,
    Budget,
}

impl FindingKind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Spike => "spike",
            Self::LevelShift => "level_shift",
            Self::Usage => "usage",
            Self::ServedModel => "served_model",
            Self::Fingerprint => "fingerprint",
            Self::RepeatedToolCall => "repeated_tool_call",
            Self::ToolCycle => "tool_cycle",
            Self::TokenVelocity => "token_velocity",
            Self::Drift => "drift",
            Self::PairDifference => "pair_difference",
            Self::SamePrompt => "same_prompt",
            Self::SimilarPrompts => "similar_prompts",
            Self::ReportedDifference => "reported_difference",
            Self::Budget => "budget",
        }
    }
}

/// At most so much of a name as is kept.
pub(super) fn cut(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    name.get(..end).unwrap_or_default()
}

/// Whose finding it is, in attributes.
#[derive(Debug, Clone, Default)]
pub(super) struct Subject(Vec<(Cow<'static, str>, Box<str>)>);

impl Subject {
    /// That of these encoded values, as far as they are texts.
    pub(super) fn of(pairs: &[(&'static str, &[u8])]) -> Self {
        let texts = pairs.iter().filter_map(|(key, value)| Some((*key, text_of(value)?)));
        let known = texts.filter(|(_, text)| !text.is_empty());
        Self(known.map(|(key, text)| (Cow::Borrowed(key), cut(text).into())).collect())
    }

    /// The same of this one too, if its encoded value is a text.
    pub(super) fn and(self, key: &'static str, value: &[u8]) -> Self {
        match text_of(value) {
            Some(text) if !text.is_empty() => self.named(key, text),
            _ => self,
        }
    }

    /// The same of this one too.
    pub(super) fn named(mut self, key: &'static str, text: &str) -> Self {
        self.0.push((Cow::Borrowed(key), cut(text).into()));
        self
    }

    /// The same of an attribute whose name is configured.
    pub(super) fn of_attribute(mut self, key: &str, text: &str) -> Self {
        self.0.push((Cow::Owned(key.to_owned()), cut(text).into()));
        self
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, text)| (&**key, &**text))
    }

    pub(super) fn service(&self) -> Option<&str> {
        self.pairs().find(|(key, _)| *key == "service.name").map(|(_, name)| name)
    }
}

/// Something that was found.
pub(super) struct Finding<'f> {
    pub(super) check: Check,
    pub(super) kind: FindingKind,
    /// Of what; empty where the kind says it.
    pub(super) signal: &'static str,
    pub(super) subject: &'f Subject,
    /// Evidence; what is no number is left out.
    pub(super) numbers: &'f [(&'static str, f64)],
    /// Likewise; empty ones are left out.
    pub(super) texts: &'f [(&'static str, &'f str)],
    /// A sentence without its subject.
    pub(super) says: String,
    pub(super) span: Option<Ids>,
    pub(super) unix_nanos: u64,
}
