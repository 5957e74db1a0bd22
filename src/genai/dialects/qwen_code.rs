//! GenAI dialect table: Qwen Code, which took Gemini CLI's names along.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "qwen_code",
    detection: DialectSigns { beginnings: &["qwen-code", "qwen_code"], ..DialectSigns::NONE },
    content: ContentNames {
        words: &[
            "prompt",
            "request_text",
            "response_text",
            "function_args",
            "hook_input",
            "hook_output",
        ],
        common_words: &["args", "request", "response", "result", "text"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
