//! GenAI dialect table: LiveKit Agents.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "livekit",
    detection: DialectSigns { beginnings: &["lk."], ..DialectSigns::NONE },
    content: ContentNames {
        names: &[
            "lk.pii",
            "lk.user_input",
            "lk.user_transcript",
            "lk.input_text",
            "lk.chat_ctx",
            "lk.instructions",
            "lk.response.text",
            "lk.response.function_calls",
            "lk.function_tool.arguments",
            "lk.function_tool.output",
            "lk.function_tools",
            "lk.amd.transcript",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
