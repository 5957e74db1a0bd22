//! GenAI dialect table: DeepEval and Confident AI.

use RuleAction::{Kind, Part, To};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, NameFamily, NameParts, PartForm, PartMeaning,
    RuleAction, SpanPart, kind, rule,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "deepeval",
    detection: DialectSigns {
        beginnings: &["confident."],
        attributes: &[
            "confident.trace.name",
            "confident.trace.environment",
            "confident.span.metric_collection",
            "confident.span.integration",
        ],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("confident.span.type", Kind),
        rule("confident.llm.model", To(GenAiField::RequestModel)),
        rule("confident.llm.input_token_count", To(GenAiField::InputTokens)),
        rule("confident.llm.output_token_count", To(GenAiField::OutputTokens)),
        rule("confident.span.provider", To(GenAiField::ProviderName)),
        rule("confident.trace.thread_id", To(GenAiField::ConversationId)),
        rule("confident.trace.user_id", To(GenAiField::UserId)),
        rule("confident.span.name", Part(SpanPart::Name)),
        rule("confident.span.input", Part(SpanPart::Input)),
        rule("confident.span.output", Part(SpanPart::Output)),
    ],
    kinds: &[KindNames {
        key: "confident.span.type",
        names: &[
            kind("llm", "chat").with(PartMeaning::CONVERSATION),
            kind("agent", "invoke_agent").with(&[PartMeaning {
                part: SpanPart::Name,
                form: PartForm::Last(GenAiField::AgentName),
            }]),
            kind("tool", "execute_tool").with(PartMeaning::TOOL_CALL),
            kind("retriever", "retrieval"),
        ],
    }],
    content: ContentNames {
        families: &[NameFamily {
            root: "confident.",
            parts: NameParts::Only(&[
                "input",
                "output",
                "inputs",
                "outputs",
                "expected_output",
                "context",
                "retrieval_context",
                "prompt",
                "prompt_template",
                "messages",
                "description",
                "input_parameters",
                "output_parameters",
                "tools_called",
                "expected_tools",
                "reasoning",
            ]),
        }],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
