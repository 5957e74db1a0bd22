//! GenAI dialect table: Google's Agent Development Kit.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "google_adk",
    detection: DialectSigns { beginnings: &["gcp.vertex.agent"], ..DialectSigns::NONE },
    content: ContentNames {
        names: &[
            "gcp.vertex.agent.llm_request",
            "gcp.vertex.agent.llm_response",
            "gcp.vertex.agent.tool_call_args",
            "gcp.vertex.agent.tool_response",
            "gcp.vertex.agent.data",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
