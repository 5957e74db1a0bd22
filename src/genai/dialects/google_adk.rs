//! GenAI dialect table: Google's Agent Development Kit.

use RuleAction::{Messages, To};

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, RuleAction, rule};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "google_adk",
    detection: DialectSigns {
        beginnings: &["gcp.vertex.agent"],
        attributes: &[
            "gcp.vertex.agent.invocation_id",
            "gcp.vertex.agent.event_id",
            "gcp.vertex.agent.llm_response",
        ],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("gcp.vertex.agent.llm_request", Messages(GenAiField::InputMessages, "user")),
        rule("gcp.vertex.agent.session_id", To(GenAiField::ConversationId)),
        rule("gcp.vertex.agent.tool_call_args", To(GenAiField::ToolArguments)),
        rule("gcp.vertex.agent.tool_response", To(GenAiField::ToolResult)),
    ],
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
