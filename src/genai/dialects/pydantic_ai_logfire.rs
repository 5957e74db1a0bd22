//! GenAI dialect table: Logfire and Pydantic AI.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "pydantic_ai_logfire",
    detection: DialectSigns {
        beginnings: &["pydantic_ai", "pydantic-ai", "logfire"],
        ..DialectSigns::NONE
    },
    content: ContentNames {
        names: &[
            "pydantic_ai.all_messages",
            "pydantic_ai.new_messages",
            "pydantic_ai.final_result",
            "pydantic_ai.instructions",
        ],
        words: &[
            "all_messages_events",
            "tool_arguments",
            "tool_response",
            "final_result",
            "model_request_parameters",
            "request_data",
            "response_data",
        ],
        common_words: &["events"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
