//! GenAI dialect table: OpenLLMetry and the Traceloop SDK, `traceloop.*`, `gen_ai.prompt.N.*`.

use RuleAction::{ApiBase, Kind, Part, To, Total};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, IndexedList, KindNames, ListForm, PartForm, PartMeaning,
    RuleAction, SpanPart, kind, rule,
};
use crate::genai::normalize::field::GenAiField;
use crate::genai::normalize::messages;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "traceloop",
    detection: DialectSigns {
        beginnings: &["traceloop."],
        attributes: &["traceloop.entity.path"],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("traceloop.span.kind", Kind),
        rule("llm.request.type", Kind).tier(1),
        rule("llm.usage.prompt_tokens", To(GenAiField::InputTokens)).tier(1),
        rule("llm.usage.completion_tokens", To(GenAiField::OutputTokens)).tier(1),
        rule("llm.usage.reasoning_tokens", To(GenAiField::ReasoningTokens)),
        rule("llm.usage.total_tokens", Total),
        rule("llm.response.finish_reason", To(GenAiField::FinishReasons)),
        rule("gen_ai.openai.system_fingerprint", To(GenAiField::OpenaiFingerprint)).tier(1),
        rule("gen_ai.is_streaming", To(GenAiField::Stream)),
        rule("llm.is_streaming", To(GenAiField::Stream)),
        rule("llm.request.temperature", To(GenAiField::Temperature)),
        rule("llm.top_k", To(GenAiField::TopK)),
        rule("llm.top_p", To(GenAiField::TopP)),
        rule("llm.frequency_penalty", To(GenAiField::FrequencyPenalty)),
        rule("llm.presence_penalty", To(GenAiField::PresencePenalty)),
        rule("llm.chat.stop_sequences", To(GenAiField::StopSequences)),
        rule("gen_ai.openai.api_base", ApiBase),
        rule("traceloop.association.properties.session_id", To(GenAiField::ConversationId)),
        rule("traceloop.association.properties.user_id", To(GenAiField::UserId)),
        rule("llm.user", To(GenAiField::UserId)).tier(1),
        rule("gen_ai.user", To(GenAiField::UserId)).tier(1),
        rule("traceloop.workflow.name", To(GenAiField::WorkflowName)),
        rule("traceloop.prompt.key", To(GenAiField::PromptName)),
        rule("traceloop.prompt.version", To(GenAiField::PromptVersion)),
        rule("traceloop.entity.name", Part(SpanPart::Name)),
        rule("traceloop.entity.input", Part(SpanPart::Input)),
        rule("traceloop.entity.output", Part(SpanPart::Output)),
    ],
    lists: &[
        IndexedList {
            prefix: "gen_ai.prompt.",
            field: GenAiField::InputMessages,
            form: ListForm::Messages(messages::of_traceloop, "user"),
            is_common: false,
        },
        IndexedList {
            prefix: "gen_ai.completion.",
            field: GenAiField::OutputMessages,
            form: ListForm::Completions(messages::of_traceloop, "assistant"),
            is_common: false,
        },
        IndexedList {
            prefix: "llm.request.functions.",
            field: GenAiField::ToolDefinitions,
            form: ListForm::Value(messages::functions),
            is_common: false,
        },
    ],
    kinds: &[
        KindNames {
            key: "traceloop.span.kind",
            names: &[
                kind("workflow", "invoke_workflow").with(&[PartMeaning {
                    part: SpanPart::Name,
                    form: PartForm::Last(GenAiField::WorkflowName),
                }]),
                kind("agent", "invoke_agent").with(&[PartMeaning {
                    part: SpanPart::Name,
                    form: PartForm::Last(GenAiField::AgentName),
                }]),
                kind("tool", "execute_tool").with(&[
                    PartMeaning {
                        part: SpanPart::Name,
                        form: PartForm::Last(GenAiField::ToolName),
                    },
                    PartMeaning {
                        part: SpanPart::Input,
                        form: PartForm::Last(GenAiField::ToolArguments),
                    },
                    PartMeaning {
                        part: SpanPart::Output,
                        form: PartForm::Last(GenAiField::ToolResult),
                    },
                ]),
            ],
        },
        KindNames {
            key: "llm.request.type",
            names: &[
                kind("chat", "chat"),
                kind("completion", "text_completion"),
                kind("embedding", "embeddings"),
                kind("rerank", "rerank"),
            ],
        },
    ],
    content: ContentNames {
        names: &[
            "traceloop.entity.input",
            "traceloop.entity.output",
            "traceloop.prompt.template",
            "traceloop.prompt.template_variables",
            "llm.prompts",
            "llm.completions",
            "llm.request.functions",
            "llm.request.structured_output_schema",
            "gen_ai.request.structured_output_schema",
            "llm.content",
            "db.query.result",
            "db.query.embeddings",
            "db.pinecone.query.result",
        ],
        events: &[
            "llm.content.prompt",
            "llm.content.completion",
            "db.query.result",
            "db.query.embeddings",
        ],
        exceptions: &["traceloop.prompt.template.version"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
