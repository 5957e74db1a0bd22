//! GenAI dialect table: Azure AI Foundry's projects and agents SDKs.

use RuleAction::To;

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, RuleAction, rule};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "azure_ai_foundry",
    detection: DialectSigns {
        beginnings: &["az.ai.", "azure.ai."],
        attributes: &["az.namespace", "gen_ai.thread.run.id", "gen_ai.run_step.type"],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("gen_ai.thread.id", To(GenAiField::ConversationId)).tier(1),
        rule("gen_ai.request.max_output_tokens", To(GenAiField::MaxTokens)),
        rule("gen_ai.request.response_format", To(GenAiField::OutputType)),
    ],
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
