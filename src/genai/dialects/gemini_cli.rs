//! GenAI dialect table: Gemini CLI.

use RuleAction::{Details, Event, To, Total};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, RuleAction, common, kind,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "gemini_cli",
    detection: DialectSigns {
        beginnings: &["gemini_cli", "gemini-cli"],
        values: &[("event.name", "gemini_cli.")],
        ..DialectSigns::NONE
    },
    rules: &[
        common("event.name", Event),
        common("model", To(GenAiField::RequestModel)),
        common("input_token_count", To(GenAiField::InputTokens)),
        common("output_token_count", To(GenAiField::OutputTokens)),
        common("cached_content_token_count", To(GenAiField::CacheReadTokens)),
        common("thoughts_token_count", To(GenAiField::ReasoningTokens)),
        common("total_token_count", Total),
        common("finish_reasons", To(GenAiField::FinishReasons)),
        // The answer's chunks. Its id joins the event with that of the conventions.
        common(
            "response_text",
            Details(&[
                ("responseId", GenAiField::ResponseId),
                ("modelVersion", GenAiField::ResponseModel),
            ]),
        ),
        common("function_name", To(GenAiField::ToolName)),
        common("function_args", To(GenAiField::ToolArguments)),
        common("error_type", To(GenAiField::ErrorType)),
        common("session.id", To(GenAiField::ConversationId)).session(),
    ],
    kinds: &[KindNames {
        key: "event.name",
        names: &[
            kind("gemini_cli.tool_call", "execute_tool"),
            kind("gemini_cli.api_response", "generate_content"),
        ],
    }],
    excludes_reasoning: true,
    content: ContentNames {
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
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
