//! GenAI dialect table: The Model Context Protocol: the conventions have no names of their own for
//! what it carries, its instrumentations do.

use RuleAction::{Kind, To};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, RuleAction, kind, rule,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "mcp",
    detection: DialectSigns { beginnings: &["mcp.", "jsonrpc."], ..DialectSigns::NONE },
    rules: &[
        rule("mcp.method.name", Kind).stays(),
        rule("mcp.tool.name", To(GenAiField::ToolName)).tier(1),
        rule("mcp.tool.arguments", To(GenAiField::ToolArguments)).tier(1),
        rule("mcp.tool.result", To(GenAiField::ToolResult)).tier(1),
    ],
    kinds: &[KindNames { key: "mcp.method.name", names: &[kind("tools/call", "execute_tool")] }],
    content: ContentNames {
        names: &[
            "mcp.request.argument",
            "mcp.request.arguments",
            "mcp.request.params",
            "mcp.response.value",
            "mcp.response.result",
            "mcp.tool.arguments",
            "mcp.tool.result",
            "mcp.tool.description",
            "mcp.prompt.arguments",
            "mcp.resource.content",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
