//! GenAI dialect table: The Vercel AI SDK.

use RuleAction::{Answer, AnthropicUsage, Kind, Messages, Millis, To, ToolTexts, Total};

use crate::genai::dialect::{
    AnswerPart, ContentNames, Dialect, DialectSigns, KindNames, RuleAction, kind, rule,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "vercel_ai_sdk",
    detection: DialectSigns { beginnings: &["ai."], ..DialectSigns::NONE },
    rules: &[
        rule("ai.operationId", Kind),
        rule("ai.model.id", To(GenAiField::RequestModel)),
        rule("ai.model.provider", To(GenAiField::ProviderName)).tier(1),
        rule("ai.response.model", To(GenAiField::ResponseModel)),
        rule("ai.response.id", To(GenAiField::ResponseId)),
        rule("ai.response.finishReason", To(GenAiField::FinishReasons)),
        rule("ai.usage.inputTokens", To(GenAiField::InputTokens)),
        rule("ai.usage.promptTokens", To(GenAiField::InputTokens)),
        rule("ai.usage.tokens", To(GenAiField::InputTokens)),
        rule("ai.usage.outputTokens", To(GenAiField::OutputTokens)),
        rule("ai.usage.completionTokens", To(GenAiField::OutputTokens)),
        rule("ai.usage.inputTokenDetails.cacheReadTokens", To(GenAiField::CacheReadTokens)),
        rule("ai.usage.cachedInputTokens", To(GenAiField::CacheReadTokens)),
        rule("ai.usage.inputTokenDetails.cacheWriteTokens", To(GenAiField::CacheCreationTokens)),
        rule("ai.usage.outputTokenDetails.reasoningTokens", To(GenAiField::ReasoningTokens)),
        rule("ai.usage.reasoningTokens", To(GenAiField::ReasoningTokens)),
        // Of version 5 the input tokens are those that the provider gave.
        rule("ai.response.providerMetadata", AnthropicUsage("anthropic/usage")).tier(1),
        rule("ai.usage.totalTokens", Total),
        rule("ai.usage.inputTokenDetails.noCacheTokens", Total),
        rule("ai.usage.outputTokenDetails.textTokens", Total),
        rule("ai.response.msToFirstChunk", Millis(GenAiField::TimeToFirstChunk)),
        rule("ai.stream.msToFirstChunk", Millis(GenAiField::TimeToFirstChunk)),
        rule("ai.settings.temperature", To(GenAiField::Temperature)),
        rule("ai.settings.topP", To(GenAiField::TopP)),
        rule("ai.settings.topK", To(GenAiField::TopK)),
        rule("ai.settings.maxOutputTokens", To(GenAiField::MaxTokens)),
        rule("ai.settings.maxTokens", To(GenAiField::MaxTokens)),
        rule("ai.settings.stopSequences", To(GenAiField::StopSequences)),
        rule("ai.settings.seed", To(GenAiField::Seed)),
        rule("ai.settings.frequencyPenalty", To(GenAiField::FrequencyPenalty)),
        rule("ai.settings.presencePenalty", To(GenAiField::PresencePenalty)),
        rule("ai.prompt.messages", Messages(GenAiField::InputMessages, "user")),
        rule("ai.prompt.tools", ToolTexts),
        rule("ai.response.reasoning", Answer(AnswerPart::Reasoning)),
        rule("ai.response.text", Answer(AnswerPart::Text)),
        rule("ai.response.object", Answer(AnswerPart::Text)).tier(1),
        rule("ai.response.toolCalls", Answer(AnswerPart::ToolCalls)),
        rule("ai.toolCall.name", To(GenAiField::ToolName)),
        rule("ai.toolCall.id", To(GenAiField::ToolCallId)),
        rule("ai.toolCall.args", To(GenAiField::ToolArguments)),
        rule("ai.toolCall.result", To(GenAiField::ToolResult)),
        rule("ai.telemetry.metadata.sessionId", To(GenAiField::ConversationId)),
        rule("ai.telemetry.metadata.userId", To(GenAiField::UserId)),
    ],
    kinds: &[KindNames {
        key: "ai.operationId",
        names: &[
            kind("ai.generateText.doGenerate", "chat"),
            kind("ai.streamText.doStream", "chat"),
            kind("ai.generateObject.doGenerate", "chat"),
            kind("ai.streamObject.doStream", "chat"),
            kind("ai.embed.doEmbed", "embeddings"),
            kind("ai.embedMany.doEmbed", "embeddings"),
            kind("ai.rerank.doRerank", "rerank"),
            kind("ai.toolCall", "execute_tool"),
        ],
    }],
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
