//! Content names of coding agents, whose telemetry is log events for the most part.

use super::{ContentNames, Family, Parts};

/// Claude Code. Its events' names have the prefix in the body, and not in `event.name`.
pub(super) const CLAUDE_CODE: ContentNames = ContentNames {
    dialect: "claude_code",
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
    marks: &["claude_code", "claude-code", "com.anthropic.claude_code"],
    ..ContentNames::NONE
};

/// OpenAI's Codex CLI.
pub(super) const CODEX: ContentNames = ContentNames {
    dialect: "codex",
    words: &["prompt"],
    common_words: &["arguments", "output", "input", "instructions", "command"],
    marks: &["codex.", "codex-", "codex_"],
    ..ContentNames::NONE
};

/// Gemini CLI.
pub(super) const GEMINI_CLI: ContentNames = ContentNames {
    dialect: "gemini_cli",
    words: &[
        "prompt",
        "request_text",
        "response_text",
        "function_args",
        "hook_input",
        "hook_output",
        "system_instruction",
    ],
    common_words: &["args", "request", "response", "query", "reasoning"],
    marks: &["gemini_cli", "gemini-cli"],
    ..ContentNames::NONE
};

/// Qwen Code, which took Gemini CLI's names along.
pub(super) const QWEN_CODE: ContentNames = ContentNames {
    dialect: "qwen_code",
    words: &[
        "prompt",
        "request_text",
        "response_text",
        "function_args",
        "hook_input",
        "hook_output",
    ],
    common_words: &["args", "request", "response", "result", "text"],
    marks: &["qwen-code", "qwen_code"],
    ..ContentNames::NONE
};

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

/// GitHub Copilot in its editors and as a command.
pub(super) const COPILOT: ContentNames = ContentNames {
    dialect: "copilot",
    families: &[
        Family { root: "copilot_chat.", parts: Parts::Only(COPILOT_PARTS) },
        Family { root: "github.copilot.", parts: Parts::Only(COPILOT_PARTS) },
    ],
    marks: &["copilot_chat.", "copilot-chat", "github.copilot.", "github-copilot", "copilotcli"],
    ..ContentNames::NONE
};
