//! GenAI dialect table: The Model Context Protocol: the conventions have no names of their own for
//! what it carries, its instrumentations do.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "mcp",
    detection: DialectSigns { beginnings: &["mcp.", "jsonrpc."], ..DialectSigns::NONE },
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
