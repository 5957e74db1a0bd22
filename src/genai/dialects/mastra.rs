//! GenAI dialect table: Mastra.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, NameFamily, NameParts};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "mastra",
    detection: DialectSigns { beginnings: &["mastra."], ..DialectSigns::NONE },
    content: ContentNames {
        names: &["gen_ai.tool.input", "gen_ai.tool.output"],
        common_words: &["input", "output"],
        families: &[NameFamily {
            root: "mastra.",
            parts: NameParts::Only(&[
                "input",
                "output",
                "instructions",
                "messages",
                "prompt",
                "text",
                "object",
                "reasoning",
                "args",
                "result",
                "toolDescription",
            ]),
        }],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
