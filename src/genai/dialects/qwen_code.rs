//! GenAI dialect table: Qwen Code, which took Gemini CLI's names along.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, KindNames, kind};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "qwen_code",
    detection: DialectSigns {
        beginnings: &["qwen-code", "qwen_code"],
        values: &[("event.name", "qwen-code.")],
        ..DialectSigns::NONE
    },
    rules: super::gemini_cli::DIALECT.rules,
    kinds: &[KindNames {
        key: "event.name",
        names: &[
            kind("qwen-code.tool_call", "execute_tool"),
            kind("qwen-code.api_response", "chat"),
        ],
    }],
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
