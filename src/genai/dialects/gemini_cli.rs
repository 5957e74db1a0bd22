//! GenAI dialect table: Gemini CLI.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "gemini_cli",
    detection: DialectSigns { beginnings: &["gemini_cli", "gemini-cli"], ..DialectSigns::NONE },
    content: ContentNames {
        words: &[
            "prompt",
            "request_text",
            "response_text",
            "function_args",
            "hook_input",
            "hook_output",
            "system_instruction",
        ],
        common_words: &["args", "request", "response", "query", "reasoning"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
