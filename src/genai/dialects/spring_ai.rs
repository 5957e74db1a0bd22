//! GenAI dialect table: Spring AI; what its advisors log is text, see `content/text.rs`.

use RuleAction::{Kind, To};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, RuleAction, kind, rule,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "spring_ai",
    detection: DialectSigns {
        beginnings: &["spring.ai."],
        attributes: &["spring.ai.model.request.tool.names"],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("spring.ai.kind", Kind),
        rule("gen_ai.request.embedding.dimensions", To(GenAiField::EmbeddingDimensions)),
        rule("spring.ai.chat.client.conversation.id", To(GenAiField::ConversationId)),
        rule("spring.ai.tool.definition.name", To(GenAiField::ToolName)),
        rule("spring.ai.tool.definition.description", To(GenAiField::ToolDescription)),
        rule("spring.ai.tool.call.id", To(GenAiField::ToolCallId)),
        rule("spring.ai.tool.call.arguments", To(GenAiField::ToolArguments)),
        rule("spring.ai.tool.call.result", To(GenAiField::ToolResult)),
    ],
    kinds: &[KindNames { key: "spring.ai.kind", names: &[kind("tool_call", "execute_tool")] }],
    content: ContentNames {
        names: &[
            "spring.ai.tool.call.arguments",
            "spring.ai.tool.call.result",
            "spring.ai.tool.definition.schema",
            "spring.ai.tool.definition.description",
            "spring.ai.chat.client.system.text",
            "spring.ai.chat.client.system.params",
            "spring.ai.chat.client.user.text",
            "spring.ai.chat.client.user.params",
            "db.vector.query.content",
            "db.vector.query.response.documents",
        ],
        events: &["gen_ai.content.prompt", "gen_ai.content.completion"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
