//! GenAI dialect table: Azure AI Foundry's projects and agents SDKs.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "azure_ai_foundry",
    detection: DialectSigns { beginnings: &["az.ai.", "azure.ai."], ..DialectSigns::NONE },
    content: ContentNames {
        names: &[
            "gen_ai.event.content",
            "gen_ai.request.structured_inputs",
            "gen_ai.request.tools",
            "gen_ai.request.response_format",
        ],
        events: &[
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.system.instructions",
            "gen_ai.workflow.action",
            "gen_ai.conversation.item",
            "gen_ai.agent.workflow",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
