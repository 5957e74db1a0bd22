//! GenAI dialect for backends: `OpenLLMetry`, by the names that it had before it took those of the
//! conventions, which backends for it read.

use super::messages::{self, SpreadForm};
use super::rendering::Rendering;
use crate::genai::json_value::Json;
use crate::genai::normalize::field::GenAiField;

/// Operations of model calls, and their `llm.request.type`.
const REQUEST_TYPES: &[(&str, &str)] = &[
    ("chat", "chat"),
    ("text_completion", "completion"),
    ("embeddings", "embedding"),
    ("rerank", "rerank"),
];

/// Operations of applications, and their `traceloop.span.kind`; whether they follow from it.
const KINDS: &[(&str, &str, bool)] = &[
    ("invoke_workflow", "workflow", true),
    ("invoke_agent", "agent", true),
    ("create_agent", "agent", false),
    ("execute_tool", "tool", true),
    ("execute_task", "task", false),
];

/// What has another name, and nothing else.
const RENAMED: &[(GenAiField, &str)] = &[
    (GenAiField::ProviderName, "gen_ai.system"),
    (GenAiField::InputTokens, "gen_ai.usage.prompt_tokens"),
    (GenAiField::OutputTokens, "gen_ai.usage.completion_tokens"),
    (GenAiField::CacheReadTokens, "gen_ai.usage.cache_read_input_tokens"),
    (GenAiField::CacheCreationTokens, "gen_ai.usage.cache_creation_input_tokens"),
    (GenAiField::ReasoningTokens, "gen_ai.usage.reasoning_tokens"),
    (GenAiField::Stream, "llm.is_streaming"),
    (GenAiField::TopK, "llm.top_k"),
    (GenAiField::FrequencyPenalty, "llm.frequency_penalty"),
    (GenAiField::PresencePenalty, "llm.presence_penalty"),
    (GenAiField::StopSequences, "llm.chat.stop_sequences"),
    (GenAiField::OpenaiFingerprint, "gen_ai.openai.system_fingerprint"),
    (GenAiField::ConversationId, "traceloop.association.properties.session_id"),
    (GenAiField::UserId, "traceloop.association.properties.user_id"),
    (GenAiField::PromptName, "traceloop.prompt.key"),
    (GenAiField::PromptVersion, "traceloop.prompt.version"),
];

/// The members of a function's definition.
const FUNCTION: [&str; 3] = ["name", "description", "parameters"];

/// Says all that it can.
pub(super) fn render(span: &mut Rendering<'_>) {
    let operation = span.text(GenAiField::OperationName).unwrap_or_default();
    if let Some((_, said)) = REQUEST_TYPES.iter().find(|(known, _)| *known == operation)
        && span.put_text("llm.request.type", said)
    {
        span.take(GenAiField::OperationName);
    }
    if let Some((_, kind, follows)) = KINDS.iter().find(|(known, ..)| *known == operation) {
        let is_said = span.put_text("traceloop.span.kind", kind);
        if is_said && *follows {
            span.take(GenAiField::OperationName);
        }
        entity(span, kind);
    }
    let input = span.int(GenAiField::InputTokens).unwrap_or(0);
    if let Some(output) = span.int(GenAiField::OutputTokens) {
        span.put_int("llm.usage.total_tokens", input.saturating_add(output));
    }
    RENAMED.iter().for_each(|(field, key)| span.rename(*field, key));
    conversation(span);
    tools(span);
}

/// The name of a tool, an agent or a workflow, and what went in and came out of a tool.
fn entity(span: &mut Rendering<'_>, kind: &str) {
    match kind {
        "workflow" => {
            span.rename(GenAiField::WorkflowName, "traceloop.entity.name");
            if let Some(name) = span.text(GenAiField::WorkflowName) {
                span.put_text("traceloop.workflow.name", name);
            }
        }
        "agent" => span.rename(GenAiField::AgentName, "traceloop.entity.name"),
        "tool" => {
            span.rename(GenAiField::ToolName, "traceloop.entity.name");
            value(span, GenAiField::ToolArguments, "traceloop.entity.input");
            value(span, GenAiField::ToolResult, "traceloop.entity.output");
        }
        _ => {}
    }
}

/// A field as text, as JSON if it is none.
fn value(span: &mut Rendering<'_>, field: GenAiField, key: &str) {
    let Some(value) = span.json(field) else { return };
    let text = value.as_str().map_or_else(|| value.to_text(), str::to_owned);
    if span.put_text(key, &text) {
        span.take(field);
    }
}

/// Messages below `gen_ai.prompt.N.`.
const MESSAGES: SpreadForm = SpreadForm {
    message: ".",
    call: ".",
    function: "",
    parts: |span, base, parts| {
        let parts = span.arena.list(parts.iter().copied().map(Json::Object));
        span.put_text(&format!("{base}content"), &Json::List(parts).to_text());
    },
};

fn conversation(span: &mut Rendering<'_>) {
    let input = messages::take_input(span);
    MESSAGES.spread(span, "gen_ai.prompt.", &input);
    if let Some(output) = messages::take_output(span) {
        MESSAGES.spread(span, "gen_ai.completion.", &output);
    }
}

/// Definitions of functions; a list with others stays as it is.
fn tools(span: &mut Rendering<'_>) {
    let arena = span.arena;
    let tools = span.json(GenAiField::ToolDefinitions);
    let Some(tools) = tools.and_then(|tools| messages::list_of(arena, tools)) else { return };
    let functions = tools.iter().map(|tool| {
        let is_function = tool.get("type").is_none_or(|kind| kind.as_str() == Some("function"));
        let function = tool.get("function").unwrap_or(*tool);
        function.as_object().filter(|function| is_function && function.has("name"))
    });
    let Some(functions) = functions.collect::<Option<Vec<_>>>() else { return };
    let is_whole = |key: &str| key == "type" || FUNCTION.contains(&key);
    if functions.iter().any(|function| !function.names().all(is_whole)) {
        return;
    }
    if !span.has_list("llm.request.functions.") {
        for (number, function) in functions.into_iter().enumerate() {
            for (key, value) in function.iter().filter(|(key, _)| *key != "type") {
                let text = value.as_str().map_or_else(|| value.to_text(), str::to_owned);
                span.put_text(&format!("llm.request.functions.{number}.{key}"), &text);
            }
        }
    }
    span.take(GenAiField::ToolDefinitions);
}
