//! Which names hold content: prompts, completions, tool arguments, tool results, tool definitions.
//!
//! There is one list, by dialect. It holds for every item, because instrumentations of several
//! dialects meet in one trace, and because whoever must not see content must not see it under
//! another one's name either.

mod agents;
mod conventions;
mod frameworks;
mod lookup;
mod platforms;
mod text;

pub use text::{is_content_text, is_text_key};

use super::dialect::Dialect;
use lookup::TABLE;

/// What a dialect calls content.
#[derive(Debug)]
pub struct ContentNames {
    /// Whose names they are.
    pub dialect: &'static str,
    /// Names of attributes. What goes on after one with a dot is content, too.
    pub names: &'static [&'static str],
    /// Plain words, which are content if the value is a text or a structure, but not if it is a
    /// number.
    pub words: &'static [&'static str],
    /// Plain words that others use, too: they are content only in items that speak a dialect.
    pub common_words: &'static [&'static str],
    /// Beginnings of names that are told by their last part.
    pub families: &'static [Family],
    /// Names of span events and log records that carry nothing but content.
    pub events: &'static [&'static str],
    /// Beginnings of attribute names, event names, span names, scopes and services by which an item
    /// shows that it speaks this dialect.
    pub marks: &'static [&'static str],
}

impl ContentNames {
    /// A list of nothing.
    const NONE: Self = Self {
        dialect: "",
        names: &[],
        words: &[],
        common_words: &[],
        families: &[],
        events: &[],
        marks: &[],
    };
}

/// Names with a common beginning, told by their last part.
#[derive(Debug)]
pub struct Family {
    /// The beginning, with its dot.
    pub root: &'static str,
    /// Which last parts are content.
    pub parts: Parts,
}

/// Which of a family's last parts are content.
#[derive(Debug)]
pub enum Parts {
    /// These.
    Only(&'static [&'static str]),
    /// All but these, and but those that end as a number, an id or a name does.
    AllBut(&'static [&'static str]),
}

/// All lists.
pub const CONTENT_NAMES: &[&ContentNames] = &[
    &conventions::GEN_AI,
    &conventions::MCP,
    &conventions::OPEN_INFERENCE,
    &conventions::OPEN_LLMETRY,
    &conventions::OPENLIT,
    &conventions::LITELLM,
    &conventions::LANGTRACE,
    &platforms::LANGSMITH,
    &platforms::LANGFUSE,
    &platforms::MLFLOW,
    &platforms::LOGFIRE,
    &platforms::DEEPEVAL,
    &platforms::BRAINTRUST,
    &platforms::LAMINAR,
    &platforms::AZURE_AI_FOUNDRY,
    &frameworks::VERCEL_AI,
    &frameworks::STRANDS,
    &frameworks::GOOGLE_ADK,
    &frameworks::CREW_AI,
    &frameworks::HAYSTACK,
    &frameworks::AUTOGEN,
    &frameworks::SEMANTIC_KERNEL,
    &frameworks::AGENT_FRAMEWORK,
    &frameworks::SPRING_AI,
    &frameworks::LANGCHAIN4J,
    &frameworks::MASTRA,
    &frameworks::LIVEKIT,
    &frameworks::VOLTAGENT,
    &platforms::MODEL_SERVERS,
    &platforms::AGENTCORE,
    &agents::CLAUDE_CODE,
    &agents::CODEX,
    &agents::GEMINI_CLI,
    &agents::QWEN_CODE,
    &agents::COPILOT,
];

/// What a name says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentClass {
    /// It is no content, as far as the lists know.
    Unlisted,
    /// It is content.
    Content,
    /// It is content if it is a text or a structure.
    Word,
    /// It is content if it is a text or a structure, and the item speaks a dialect.
    CommonWord,
}

/// What a name says of its value.
#[must_use]
pub fn content_class(name: &[u8]) -> ContentClass {
    TABLE.class(name)
}

/// Whether an attribute of this name holds content, whatever the item.
#[must_use]
pub fn is_content(name: &str) -> bool {
    matches!(content_class(name.as_bytes()), ContentClass::Content | ContentClass::Word)
}

/// Whether a span event or a log record of this name carries nothing but content.
#[must_use]
pub fn is_content_event(name: &str) -> bool {
    let of_messages =
        |rest: &str| rest == "choice" || rest.starts_with("content.") || rest.ends_with(".message");
    name.strip_prefix("gen_ai.").is_some_and(of_messages) || TABLE.is_event(name)
}

/// Whether the name of an attribute, an event, a span, a scope or a service shows that an item
/// speaks a dialect.
#[must_use]
pub fn is_dialect_mark(name: &[u8]) -> bool {
    TABLE.is_mark(name)
}

impl Dialect {
    /// What the dialect calls content.
    #[must_use]
    pub const fn content_names(self) -> &'static ContentNames {
        match self {
            Self::OpenInference => &conventions::OPEN_INFERENCE,
            Self::Traceloop => &conventions::OPEN_LLMETRY,
            Self::LiteLlm => &conventions::LITELLM,
            Self::LangSmith => &platforms::LANGSMITH,
            Self::GenAi | Self::Retyped => &conventions::GEN_AI,
        }
    }
}

#[cfg(test)]
mod tests;
