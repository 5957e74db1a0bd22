//! GenAI dialect table: OpenAI's Codex CLI.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "codex",
    detection: DialectSigns { beginnings: &["codex.", "codex-", "codex_"], ..DialectSigns::NONE },
    content: ContentNames {
        words: &["prompt"],
        common_words: &["arguments", "output", "input", "instructions", "command"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
