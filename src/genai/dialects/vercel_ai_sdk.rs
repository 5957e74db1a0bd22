//! GenAI dialect table: The Vercel AI SDK.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "vercel_ai_sdk",
    detection: DialectSigns { beginnings: &["ai."], ..DialectSigns::NONE },
    content: ContentNames {
        names: &[
            "ai.prompt",
            "ai.schema",
            "ai.response.text",
            "ai.response.object",
            "ai.response.reasoning",
            "ai.response.toolCalls",
            "ai.response.files",
            "ai.result.text",
            "ai.result.object",
            "ai.result.toolCalls",
            "ai.toolCall.args",
            "ai.toolCall.result",
            "ai.value",
            "ai.values",
            "ai.embedding",
            "ai.embeddings",
            "ai.documents",
            "ai.ranking",
            "ai.decision",
            "ai.transcript",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
