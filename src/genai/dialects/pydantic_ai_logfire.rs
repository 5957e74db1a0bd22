//! GenAI dialect table: Logfire and Pydantic AI.

use RuleAction::{Sign, To};

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, RuleAction, common, rule};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "pydantic_ai_logfire",
    detection: DialectSigns {
        beginnings: &["pydantic_ai", "pydantic-ai", "logfire"],
        attributes: &[
            "gen_ai.agent.call.id",
            "gen_ai.aggregated_usage.input_tokens",
            "gen_ai.aggregated_usage.output_tokens",
            "model_request_parameters",
            "pydantic_ai.all_messages",
            "all_messages_events",
            "operation.cost",
        ],
        values: &[("logfire.msg", "running tool")],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("gen_ai.usage.details.reasoning_tokens", To(GenAiField::ReasoningTokens)),
        rule("gen_ai.usage.details.cache_read_tokens", To(GenAiField::CacheReadTokens)),
        rule("gen_ai.usage.details.cache_write_tokens", To(GenAiField::CacheCreationTokens)),
        rule("gen_ai.usage.details.cache_read_input_tokens", To(GenAiField::CacheReadTokens)),
        rule(
            "gen_ai.usage.details.cache_creation_input_tokens",
            To(GenAiField::CacheCreationTokens),
        ),
        common("model_name", To(GenAiField::RequestModel)),
        common("agent_name", To(GenAiField::AgentName)),
        common("tool_arguments", To(GenAiField::ToolArguments)),
        common("tool_response", To(GenAiField::ToolResult)),
        common("logfire.msg", Sign),
    ],
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
