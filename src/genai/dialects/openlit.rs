//! GenAI dialect table: OpenLIT.

use RuleAction::{To, Total};

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, RuleAction, rule};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "openlit",
    detection: DialectSigns {
        beginnings: &["openlit."],
        attributes: &[
            "gen_ai.usage.cost",
            "gen_ai.environment",
            "gen_ai.application_name",
            "gen_ai.server.time_per_output_token",
        ],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("gen_ai.llm.model", To(GenAiField::RequestModel)),
        rule("gen_ai.llm.provider", To(GenAiField::ProviderName)),
        rule("gen_ai.token.usage.input", To(GenAiField::InputTokens)),
        rule("gen_ai.token.usage.output", To(GenAiField::OutputTokens)),
        rule("gen_ai.token.usage.total", Total),
        rule("gen_ai.client.token.usage", Total),
        rule("gen_ai.request.user", To(GenAiField::UserId)),
        rule("gen_ai.retrieval.query", To(GenAiField::RetrievalQuery)),
        rule("gen_ai.tool.args", To(GenAiField::ToolArguments)),
    ],
    excludes_cache_of: &["anthropic"],
    content: ContentNames {
        names: &[
            "gen_ai.tool.args",
            "gen_ai.tool.arguments",
            "gen_ai.tool.input",
            "gen_ai.tool.output",
            "gen_ai.tool.result",
            "gen_ai.tool.message",
            "gen_ai.retrieval.query",
            "gen_ai.workflow.input",
            "gen_ai.workflow.output",
            "gen_ai.agent.instructions",
            "gen_ai.agent.goal",
            "gen_ai.agent.backstory",
            "gen_ai.task.description",
            "gen_ai.task.expected_output",
            "gen_ai.task.output",
            "gen_ai.guardrail.input",
            "gen_ai.guardrail.output",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
