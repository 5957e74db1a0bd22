//! GenAI dialect table: VoltAgent.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, NameFamily, NameParts};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "voltagent",
    detection: DialectSigns { beginnings: &["voltagent.", "@voltagent/"], ..DialectSigns::NONE },
    content: ContentNames {
        names: &[
            "llm.messages",
            "agent.messages",
            "agent.systemPrompt",
            "agent.instructions",
            "tool.arguments",
            "tool.result",
        ],
        common_words: &["input", "output", "inputs", "outputs", "instructions"],
        families: &[NameFamily {
            root: "voltagent.",
            parts: NameParts::Only(&["input", "output", "messages", "instructions", "context"]),
        }],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
