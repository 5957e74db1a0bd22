//! GenAI dialect table: OpenInference, `openinference.span.kind`, `llm.token_count.*`,
//! `llm.input_messages.N.*`.

use RuleAction::{Kind, MediaType, Model, Parameters, Part, Prompts, To, Total};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, IndexedList, KindNames, ListForm, PartForm, PartMeaning,
    RuleAction, SpanPart, common, kind, rule,
};
use crate::genai::normalize::field::GenAiField;
use crate::genai::normalize::messages;

/// The parts of spans whose input and output are messages.
const MESSAGES: &[PartMeaning] = &[
    PartMeaning {
        part: SpanPart::Input,
        form: PartForm::Message(GenAiField::InputMessages, "user"),
    },
    PartMeaning {
        part: SpanPart::Output,
        form: PartForm::Message(GenAiField::OutputMessages, "assistant"),
    },
    PartMeaning { part: SpanPart::Output, form: PartForm::Response },
];

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "openinference",
    detection: DialectSigns {
        beginnings: &["openinference.", "llm."],
        first_token_event: Some("First Token Stream Event"),
        ..DialectSigns::NONE
    },
    rules: &[
        rule("openinference.span.kind", Kind),
        rule("llm.provider", To(GenAiField::ProviderName)),
        // The software, which often is the provider too.
        rule("llm.system", To(GenAiField::ProviderName)).tier(1),
        rule("llm.request.model_name", To(GenAiField::RequestModel)),
        rule("embedding.model_name", To(GenAiField::RequestModel)),
        rule("reranker.model_name", To(GenAiField::RequestModel)),
        rule("llm.response.model_name", To(GenAiField::ResponseModel)),
        rule("llm.model_name", Model),
        rule("llm.token_count.prompt", To(GenAiField::InputTokens)),
        rule("llm.token_count.completion", To(GenAiField::OutputTokens)),
        rule("llm.token_count.prompt_details.cache_read", To(GenAiField::CacheReadTokens)),
        rule("llm.token_count.prompt_details.cache_input", To(GenAiField::CacheReadTokens)),
        rule("llm.token_count.prompt_details.cache_write", To(GenAiField::CacheCreationTokens)),
        rule("llm.token_count.prompt_details.cache_creation", To(GenAiField::CacheCreationTokens)),
        rule("llm.token_count.completion_details.reasoning", To(GenAiField::ReasoningTokens)),
        rule("llm.token_count.total", Total),
        rule("llm.finish_reason", To(GenAiField::FinishReasons)),
        rule("llm.invocation_parameters", Parameters),
        rule("embedding.invocation_parameters", Parameters),
        // A session joins other signals too.
        common("session.id", To(GenAiField::ConversationId)).session(),
        common("tool.name", To(GenAiField::ToolName)),
        common("tool.id", To(GenAiField::ToolCallId)),
        common("tool.description", To(GenAiField::ToolDescription)),
        // The arguments, or a declaration.
        common("tool.parameters", To(GenAiField::ToolArguments)).stays(),
        common("agent.name", To(GenAiField::AgentName)),
        common("input.value", Part(SpanPart::Input)),
        common("output.value", Part(SpanPart::Output)),
        common("input.mime_type", MediaType(SpanPart::Input)),
        common("output.mime_type", MediaType(SpanPart::Output)),
        rule("llm.prompts", Prompts),
    ],
    lists: &[
        IndexedList {
            prefix: "llm.input_messages.",
            field: GenAiField::InputMessages,
            form: ListForm::Messages(messages::of_open_inference, "user"),
            is_common: false,
        },
        IndexedList {
            prefix: "llm.output_messages.",
            field: GenAiField::OutputMessages,
            form: ListForm::Messages(messages::of_open_inference, "assistant"),
            is_common: false,
        },
        IndexedList {
            prefix: "llm.tools.",
            field: GenAiField::ToolDefinitions,
            form: ListForm::Value(messages::tools),
            is_common: false,
        },
        IndexedList {
            prefix: "retrieval.documents.",
            field: GenAiField::RetrievalDocuments,
            form: ListForm::Value(messages::documents),
            is_common: true,
        },
    ],
    kinds: &[KindNames {
        key: "openinference.span.kind",
        names: &[
            kind("LLM", "chat").with(MESSAGES),
            kind("EMBEDDING", "embeddings"),
            kind("TOOL", "execute_tool").with(&[
                PartMeaning {
                    part: SpanPart::Input,
                    form: PartForm::First(GenAiField::ToolArguments),
                },
                PartMeaning {
                    part: SpanPart::Output,
                    form: PartForm::First(GenAiField::ToolResult),
                },
            ]),
            kind("AGENT", "invoke_agent").with(MESSAGES),
            kind("RETRIEVER", "retrieval").with(&[PartMeaning {
                part: SpanPart::Input,
                form: PartForm::First(GenAiField::RetrievalQuery),
            }]),
            kind("RERANKER", "rerank"),
        ],
    }],
    content: ContentNames {
        names: &[
            "input.value",
            "output.value",
            "input.audio",
            "output.audio",
            "input.images",
            "audio.transcript",
            "image.url",
            "llm.input_messages",
            "llm.output_messages",
            "llm.prompts",
            "llm.completions",
            "llm.choices",
            "llm.function_call",
            "llm.tools",
            "llm.prompt_template",
            // Instrumentations put tool definitions and system prompts among the parameters.
            "llm.invocation_parameters",
            "tool.parameters",
            "tool.description",
            "tool.json_schema",
            "tool_call.function.arguments",
            "message.content",
            "message.contents",
            "message.tool_calls",
            "message.function_call_arguments_json",
            "message_content.text",
            "message_content.image",
            "embedding.text",
            "embedding.vector",
            "embedding.embeddings",
            "document.content",
            "document.metadata",
            "retrieval.documents",
            "reranker.query",
            "reranker.input_documents",
            "reranker.output_documents",
            "prompt.template",
        ],
        exceptions: &["llm.prompt_template.name", "llm.prompt_template.version"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
