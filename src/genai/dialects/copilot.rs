//! GenAI dialect table: GitHub Copilot in its editors and as a command.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, NameFamily, NameParts};

/// The last parts of Copilot's names that are content, under the former namespace and the new one.
const COPILOT_PARTS: &[&str] = &[
    "user_request",
    "user_message",
    "reasoning_content",
    "markdown_content",
    "content",
    "text",
    "prompt",
    "messages",
    "request",
    "response",
    "input",
    "output",
    "arguments",
    "tool_args",
    "tool_arguments",
    "result",
    "tool_result",
    "hook_input",
    "hook_output",
    "instructions",
    "system_message",
    "diff",
    "code",
    "body",
];

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "copilot",
    detection: DialectSigns {
        beginnings: &[
            "copilot_chat.",
            "copilot-chat",
            "github.copilot.",
            "github-copilot",
            "copilotcli",
        ],
        ..DialectSigns::NONE
    },
    content: ContentNames {
        families: &[
            NameFamily { root: "copilot_chat.", parts: NameParts::Only(COPILOT_PARTS) },
            NameFamily { root: "github.copilot.", parts: NameParts::Only(COPILOT_PARTS) },
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
