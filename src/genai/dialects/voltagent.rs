//! GenAI dialect table: VoltAgent. Spans below an agent's inherit what names the agent.

use RuleAction::{Kind, Part, To};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, NameFamily, NameParts, PartForm, PartMeaning,
    RuleAction, SpanPart, common, kind, rule, step,
};
use crate::genai::normalize::field::GenAiField;

/// The parts of tool calls.
const TOOL: &[PartMeaning] =
    &[PartMeaning { part: SpanPart::Input, form: PartForm::Last(GenAiField::ToolArguments) }];

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "voltagent",
    detection: DialectSigns {
        beginnings: &["voltagent.", "@voltagent/"],
        attributes: &["voltagent.operation_id", "voltagent.label"],
        values: &[("entity.type", "agent")],
        ..DialectSigns::NONE
    },
    rules: &[
        common("span.type", Kind),
        // Of a span without a type, which is that of the agent or workflow itself.
        common("entity.type", Kind).tier(1),
        rule("voltagent.conversation_id", To(GenAiField::ConversationId)),
        common("conversation.id", To(GenAiField::ConversationId)).tier(1),
        common("llm.model", To(GenAiField::RequestModel)),
        common("llm.stream", To(GenAiField::Stream)),
        common("llm.temperature", To(GenAiField::Temperature)),
        common("llm.max_output_tokens", To(GenAiField::MaxTokens)),
        common("llm.usage.cached_tokens", To(GenAiField::CacheReadTokens)),
        common("usage.prompt_tokens", To(GenAiField::InputTokens)).tier(1),
        common("usage.completion_tokens", To(GenAiField::OutputTokens)).tier(1),
        common("tool.name", To(GenAiField::ToolName)),
        common("tool.call.id", To(GenAiField::ToolCallId)),
        common("tool.description", To(GenAiField::ToolDescription)),
        common("input", Part(SpanPart::Input)),
    ],
    kinds: &[
        KindNames {
            key: "span.type",
            names: &[
                kind("llm", "chat"),
                kind("tool", "execute_tool").with(TOOL),
                kind("agent", "invoke_agent"),
                kind("embedding", "embeddings"),
                kind("retriever", "retrieval"),
                step("vector"),
                step("memory"),
                step("guardrail"),
                step("middleware"),
                step("summary"),
                step("scorer"),
                step("workflow-step"),
            ],
        },
        KindNames {
            key: "entity.type",
            names: &[kind("agent", "invoke_agent"), kind("workflow", "invoke_workflow")],
        },
    ],
    content: ContentNames {
        names: &[
            "llm.messages",
            "agent.messages",
            "agent.systemPrompt",
            "agent.instructions",
            "tool.arguments",
            "tool.result",
        ],
        common_words: &["input", "output", "inputs", "outputs", "instructions"],
        families: &[NameFamily {
            root: "voltagent.",
            parts: NameParts::Only(&["input", "output", "messages", "instructions", "context"]),
        }],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
