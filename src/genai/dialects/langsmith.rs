//! GenAI dialect table: LangSmith's OpenTelemetry export, `langsmith.*`, and LangGraph.

use RuleAction::{Details, Kind, To};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, RuleAction, kind, rule,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "langsmith",
    detection: DialectSigns {
        beginnings: &["langsmith."],
        attributes: &["langsmith.trace.name"],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("langsmith.span.kind", Kind),
        rule(
            "gen_ai.usage.input_token_details",
            Details(&[
                ("cache_read", GenAiField::CacheReadTokens),
                ("cache_creation", GenAiField::CacheCreationTokens),
            ]),
        )
        .tier(1),
        rule(
            "gen_ai.usage.output_token_details",
            Details(&[("reasoning", GenAiField::ReasoningTokens)]),
        )
        .tier(1),
        rule(
            "langsmith.metadata.usage_metadata",
            Details(&[
                ("input_tokens", GenAiField::InputTokens),
                ("output_tokens", GenAiField::OutputTokens),
                ("input_token_details/cache_read", GenAiField::CacheReadTokens),
                ("input_token_details/cache_creation", GenAiField::CacheCreationTokens),
                ("output_token_details/reasoning", GenAiField::ReasoningTokens),
            ]),
        )
        .tier(2),
        rule("gen_ai.response.service_tier", To(GenAiField::OpenaiResponseTier)).tier(1),
        rule("gen_ai.response.system_fingerprint", To(GenAiField::OpenaiFingerprint)).tier(1),
        rule("langsmith.request.streaming", To(GenAiField::Stream)).tier(1),
        rule("langsmith.metadata.conversation_id", To(GenAiField::ConversationId)),
        rule("langsmith.metadata.thread_id", To(GenAiField::ConversationId)),
        rule("langsmith.metadata.session_id", To(GenAiField::ConversationId)),
        rule("langsmith.metadata.lc_agent_name", To(GenAiField::AgentName)),
        rule("langsmith.metadata.ls_provider", To(GenAiField::ProviderName)).tier(1),
        rule("langsmith.metadata.ls_model_name", To(GenAiField::RequestModel)).tier(1),
        rule("langsmith.metadata.ls_temperature", To(GenAiField::Temperature)),
        rule("langsmith.metadata.ls_max_tokens", To(GenAiField::MaxTokens)),
        rule("langsmith.metadata.ls_stop", To(GenAiField::StopSequences)),
    ],
    kinds: &[KindNames {
        key: "langsmith.span.kind",
        names: &[
            kind("llm", "chat"),
            kind("tool", "execute_tool"),
            kind("retriever", "retrieval"),
            kind("embedding", "embeddings"),
        ],
    }],
    content: ContentNames {
        names: &[
            "gen_ai.prompt",
            "gen_ai.completion",
            "gen_ai.tools",
            "gen_ai.serialized",
            "langsmith.inputs",
            "langsmith.outputs",
            "langsmith.prompt",
            "langsmith.completion",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
