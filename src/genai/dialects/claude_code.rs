//! GenAI dialect table: Claude Code. Its events' names have the prefix in the body, and not in
//! `event.name`.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "claude_code",
    detection: DialectSigns {
        beginnings: &["claude_code", "claude-code", "com.anthropic.claude_code"],
        ..DialectSigns::NONE
    },
    content: ContentNames {
        names: &["response.model_output", "response.thinking_output"],
        words: &[
            "prompt",
            "user_prompt",
            "system_prompt",
            "system_prompt_preview",
            "user_system_prompt",
            "new_context",
            "tool_input",
            "tool_parameters",
            "tool_output",
            "tool_result",
            "tool_response",
            "bash_command",
            "full_command",
            "hook_definitions",
        ],
        common_words: &["response", "body", "tools", "content", "command", "result", "messages"],
        events: &["tool.output"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
