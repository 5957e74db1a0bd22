//! GenAI dialect table: MLflow.

use RuleAction::{Details, Kind, Part, Quoted};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, PartMeaning, RuleAction, SpanPart, kind, rule,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "mlflow",
    detection: DialectSigns {
        beginnings: &["mlflow."],
        attributes: &["mlflow.traceRequestId", "mlflow.spanFunctionName", "mlflow.llm.cost"],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("mlflow.spanType", Kind),
        rule(
            "mlflow.chat.tokenUsage",
            Details(&[
                ("input_tokens", GenAiField::InputTokens),
                ("output_tokens", GenAiField::OutputTokens),
                ("cache_read_input_tokens", GenAiField::CacheReadTokens),
                ("cache_creation_input_tokens", GenAiField::CacheCreationTokens),
            ]),
        ),
        rule("mlflow.llm.model", Quoted(GenAiField::RequestModel)),
        rule("mlflow.llm.provider", Quoted(GenAiField::ProviderName)),
        rule("mlflow.chat.tools", Quoted(GenAiField::ToolDefinitions)),
        rule("mlflow.trace.session", Quoted(GenAiField::ConversationId)),
        rule("mlflow.trace.user", Quoted(GenAiField::UserId)),
        rule("mlflow.spanInputs", Part(SpanPart::Input)),
        rule("mlflow.spanOutputs", Part(SpanPart::Output)),
    ],
    kinds: &[KindNames {
        key: "mlflow.spanType",
        names: &[
            kind("CHAT_MODEL", "chat").with(PartMeaning::CONVERSATION),
            kind("LLM", "chat").with(PartMeaning::CONVERSATION),
            kind("EMBEDDING", "embeddings"),
            kind("TOOL", "execute_tool").with(PartMeaning::TOOL_CALL),
            kind("AGENT", "invoke_agent"),
            kind("RETRIEVER", "retrieval"),
            kind("RERANKER", "rerank"),
            kind("WORKFLOW", "invoke_workflow"),
        ],
    }],
    content: ContentNames {
        names: &[
            "mlflow.spanInputs",
            "mlflow.spanOutputs",
            "mlflow.traceInputs",
            "mlflow.traceOutputs",
            "mlflow.chat.messages",
            "mlflow.chat.tools",
            "mlflow.llm.reasoning",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
