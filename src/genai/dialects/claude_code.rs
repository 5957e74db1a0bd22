//! GenAI dialect table: Claude Code. Its events' names have the prefix in the body, and not in
//! `event.name`.

use RuleAction::{Event, Kind, Millis, To};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, RuleAction, common, kind, rule,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "claude_code",
    detection: DialectSigns {
        beginnings: &["claude_code", "claude-code", "com.anthropic.claude_code"],
        attributes: &["prompt.id", "query_source", "user.account_uuid", "app.entrypoint"],
        values: &[("span.type", "llm_request"), ("event.name", "claude_code.")],
        ..DialectSigns::NONE
    },
    rules: &[
        common("span.type", Kind),
        common("event.name", Event),
        common("model", To(GenAiField::RequestModel)),
        common("input_tokens", To(GenAiField::InputTokens)),
        common("output_tokens", To(GenAiField::OutputTokens)),
        rule("cache_read_tokens", To(GenAiField::CacheReadTokens)),
        rule("cache_creation_tokens", To(GenAiField::CacheCreationTokens)),
        common("ttft_ms", Millis(GenAiField::TimeToFirstChunk)),
        common("request_id", To(GenAiField::ResponseId)),
        common("stop_reason", To(GenAiField::FinishReasons)),
        common("tool_name", To(GenAiField::ToolName)),
        rule("tool_use_id", To(GenAiField::ToolCallId)),
        common("tool_input", To(GenAiField::ToolArguments)),
        common("agent_id", To(GenAiField::AgentId)),
        common("error_type", To(GenAiField::ErrorType)),
        common("session.id", To(GenAiField::ConversationId)).session(),
    ],
    kinds: &[
        KindNames {
            key: "span.type",
            names: &[kind("llm_request", "chat"), kind("tool", "execute_tool")],
        },
        KindNames {
            key: "event.name",
            names: &[
                kind("api_request", "chat"),
                kind("claude_code.api_request", "chat"),
                kind("tool_result", "execute_tool"),
                kind("claude_code.tool_result", "execute_tool"),
            ],
        },
    ],
    excludes_cache: true,
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
