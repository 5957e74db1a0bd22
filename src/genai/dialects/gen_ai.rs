//! GenAI dialect table: names that the OpenTelemetry GenAI conventions 1.28 to 1.41 had, or that
//! later ones have (semantic-conventions-genai 0.1.0).

use RuleAction::{Messages, To, Total};

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, RuleAction, rule};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "gen_ai",
    detection: DialectSigns { beginnings: &["gen_ai.", "gen_ai_"], ..DialectSigns::NONE },
    rules: &[
        rule("gen_ai.system", To(GenAiField::ProviderName)),
        rule("gen_ai.usage.prompt_tokens", To(GenAiField::InputTokens)),
        rule("gen_ai.usage.completion_tokens", To(GenAiField::OutputTokens)),
        rule("gen_ai.response.prompt_tokens", To(GenAiField::InputTokens)),
        rule("gen_ai.response.completion_tokens", To(GenAiField::OutputTokens)),
        rule("gen_ai.response.input_tokens", To(GenAiField::InputTokens)),
        rule("gen_ai.response.output_tokens", To(GenAiField::OutputTokens)),
        rule("gen_ai.usage.cache_read_input_tokens", To(GenAiField::CacheReadTokens)),
        rule("gen_ai.usage.cache_creation_input_tokens", To(GenAiField::CacheCreationTokens)),
        rule("gen_ai.usage.reasoning_tokens", To(GenAiField::ReasoningTokens)),
        rule("gen_ai.usage.cached_tokens", To(GenAiField::CacheReadTokens)),
        rule("gen_ai.usage.cache_write.input_tokens", To(GenAiField::CacheCreationTokens)),
        // The names of 1.41, for the release after it.
        rule("gen_ai.usage.cache_creation.input_tokens", To(GenAiField::CacheCreationTokens)),
        rule("gen_ai.workflow.name", To(GenAiField::WorkflowName)),
        rule("gen_ai.usage.total_tokens", Total),
        rule("gen_ai.client.operation.time_to_first_chunk", To(GenAiField::TimeToFirstChunk)),
        rule("gen_ai.response.finish_reason", To(GenAiField::FinishReasons)),
        rule("gen_ai.response.stop_reason", To(GenAiField::FinishReasons)),
        rule("gen_ai.request.max_completion_tokens", To(GenAiField::MaxTokens)),
        rule("gen_ai.request.n", To(GenAiField::ChoiceCount)),
        rule("gen_ai.tool.input", To(GenAiField::ToolArguments)),
        rule("gen_ai.tool.output", To(GenAiField::ToolResult)),
        rule("gen_ai.tool.call_id", To(GenAiField::ToolCallId)),
        rule("gen_ai.openai.request.service_tier", To(GenAiField::OpenaiRequestTier)),
        rule("gen_ai.openai.response.service_tier", To(GenAiField::OpenaiResponseTier)),
        rule("gen_ai.openai.response.system_fingerprint", To(GenAiField::OpenaiFingerprint)),
        rule("gen_ai.request.is_stream", To(GenAiField::Stream)),
        rule("gen_ai.openai.request.seed", To(GenAiField::Seed)),
        rule("gen_ai.openai.request.response_format", To(GenAiField::OutputType)),
        rule("gen_ai.prompt", Messages(GenAiField::InputMessages, "user")),
        rule("gen_ai.completion", Messages(GenAiField::OutputMessages, "assistant")),
    ],
    content: ContentNames {
        names: &[
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.system_instructions",
            "gen_ai.tool.call.arguments",
            "gen_ai.tool.call.result",
            "gen_ai.tool.definitions",
            "gen_ai.tool.description",
            "gen_ai.retrieval.query.text",
            "gen_ai.retrieval.documents",
            "gen_ai.memory.query.text",
            "gen_ai.memory.records",
            "gen_ai.evaluation.explanation",
            "gen_ai.event.content",
            "gen_ai.prompt",
            "gen_ai.completion",
            "gen_ai.content",
            "gen_ai.request.messages",
            "gen_ai.request.instructions",
            "gen_ai.agent.input",
            "gen_ai.agent.output",
            // Spelled with underscores by some.
            "gen_ai.input_messages",
            "gen_ai.output_messages",
            "gen_ai.tool_definitions",
        ],
        // The fields of the content events, where a pipeline has put them at the top of a log.
        common_words: &["content", "parts", "tool_calls"],
        events: &["gen_ai.client.inference.operation.details"],
        exceptions: &["gen_ai.prompt.name", "gen_ai.prompt.version"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
