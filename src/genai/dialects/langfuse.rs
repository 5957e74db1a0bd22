//! GenAI dialect table: Langfuse.

use RuleAction::{Details, Kind, Model, Parameters, Part, Quoted, To};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, PartMeaning, RuleAction, SpanPart, common,
    kind, rule,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "langfuse",
    detection: DialectSigns {
        beginnings: &["langfuse"],
        attributes: &[
            "langfuse.observation.level",
            "langfuse.observation.cost_details",
            "langfuse.trace.name",
            "langfuse.internal.as_root",
            "langfuse.internal.is_app_root",
        ],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("langfuse.observation.type", Kind),
        // That of the answer as soon as there is one.
        rule("langfuse.observation.model.name", Model),
        rule("langfuse.observation.metadata.finish_reason", Quoted(GenAiField::FinishReasons)),
        rule("langfuse.observation.model.parameters", Parameters),
        rule(
            "langfuse.observation.usage_details",
            Details(&[
                ("input", GenAiField::InputTokens),
                ("output", GenAiField::OutputTokens),
                ("input_tokens", GenAiField::InputTokens),
                ("output_tokens", GenAiField::OutputTokens),
                ("prompt_tokens", GenAiField::InputTokens),
                ("completion_tokens", GenAiField::OutputTokens),
                ("cache_read_input_tokens", GenAiField::CacheReadTokens),
                ("input_cached_tokens", GenAiField::CacheReadTokens),
                ("cache_creation_input_tokens", GenAiField::CacheCreationTokens),
                ("output_reasoning_tokens", GenAiField::ReasoningTokens),
                ("reasoning", GenAiField::ReasoningTokens),
                ("prompt_tokens_details/cached_tokens", GenAiField::CacheReadTokens),
                ("input_tokens_details/cached_tokens", GenAiField::CacheReadTokens),
                ("completion_tokens_details/reasoning_tokens", GenAiField::ReasoningTokens),
                ("output_tokens_details/reasoning_tokens", GenAiField::ReasoningTokens),
            ]),
        ),
        rule("langfuse.observation.prompt.name", To(GenAiField::PromptName)),
        rule("langfuse.observation.prompt.version", To(GenAiField::PromptVersion)),
        common("session.id", To(GenAiField::ConversationId)).session(),
        rule("langfuse.session.id", To(GenAiField::ConversationId)),
        rule("langfuse.user.id", To(GenAiField::UserId)),
        rule("langfuse.observation.input", Part(SpanPart::Input)),
        rule("langfuse.observation.output", Part(SpanPart::Output)),
    ],
    kinds: &[KindNames {
        key: "langfuse.observation.type",
        names: &[
            kind("generation", "chat").with(PartMeaning::CONVERSATION),
            kind("embedding", "embeddings"),
            kind("tool", "execute_tool").with(PartMeaning::TOOL_CALL),
            kind("retriever", "retrieval"),
            kind("agent", "invoke_agent"),
            kind("chain", "invoke_workflow"),
        ],
    }],
    content: ContentNames {
        names: &[
            "langfuse.observation.input",
            "langfuse.observation.output",
            "langfuse.trace.input",
            "langfuse.trace.output",
            "langfuse.experiment.item.input",
            "langfuse.experiment.item.expected_output",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
