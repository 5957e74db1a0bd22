//! GenAI dialect for backends: `OpenInference`, as its semantic conventions 0.1.42 have it.

use super::messages::{self, Message, SpreadForm};
use super::rendering::Rendering;
use crate::codec::msgpack::text_of;
use crate::genai::json_value::{Arena, Json, Members, Pair, Text};
use crate::genai::normalize::field::GenAiField;
use crate::genai::normalize::parts::parsed;
use crate::genai::normalize::provider;

/// The kinds of spans by operation, and whether the operation follows from the kind.
const KINDS: &[(&str, &str, bool)] = &[
    ("chat", "LLM", true),
    ("text_completion", "LLM", false),
    ("generate_content", "LLM", false),
    ("embeddings", "EMBEDDING", true),
    ("execute_tool", "TOOL", true),
    ("invoke_agent", "AGENT", true),
    ("create_agent", "AGENT", false),
    ("retrieval", "RETRIEVER", true),
    ("rerank", "RERANKER", true),
    ("invoke_workflow", "CHAIN", false),
    ("execute_task", "CHAIN", false),
];

/// Providers by their name in the conventions: `llm.provider` and, of those that make models,
/// `llm.system`.
const PROVIDERS: &[(&str, &str, Option<&str>)] = &[
    ("openai", "openai", Some("openai")),
    ("anthropic", "anthropic", Some("anthropic")),
    ("cohere", "cohere", Some("cohere")),
    ("mistral_ai", "mistralai", Some("mistralai")),
    ("azure.ai.openai", "azure", Some("openai")),
    ("azure.ai.inference", "azure", None),
    ("aws.bedrock", "aws", None),
    ("gcp.gen_ai", "google", None),
    ("gcp.gemini", "google", None),
    ("gcp.vertex_ai", "google", Some("vertexai")),
    ("x_ai", "xai", None),
    ("moonshot_ai", "moonshot", None),
];

/// Request parameters, by their names in `llm.invocation_parameters`.
const PARAMETERS: &[(GenAiField, &str)] = &[
    (GenAiField::Temperature, "temperature"),
    (GenAiField::TopP, "top_p"),
    (GenAiField::TopK, "top_k"),
    (GenAiField::MaxTokens, "max_tokens"),
    (GenAiField::ChoiceCount, "n"),
    (GenAiField::FrequencyPenalty, "frequency_penalty"),
    (GenAiField::PresencePenalty, "presence_penalty"),
    (GenAiField::StopSequences, "stop"),
    (GenAiField::Seed, "seed"),
    (GenAiField::Stream, "stream"),
];

/// What has another name, and nothing else.
const RENAMED: &[(GenAiField, &str)] = &[
    (GenAiField::InputTokens, "llm.token_count.prompt"),
    (GenAiField::OutputTokens, "llm.token_count.completion"),
    (GenAiField::CacheReadTokens, "llm.token_count.prompt_details.cache_read"),
    (GenAiField::CacheCreationTokens, "llm.token_count.prompt_details.cache_write"),
    (GenAiField::ReasoningTokens, "llm.token_count.completion_details.reasoning"),
    (GenAiField::ConversationId, "session.id"),
    (GenAiField::ToolName, "tool.name"),
    (GenAiField::ToolCallId, "tool.id"),
    (GenAiField::ToolDescription, "tool.description"),
    (GenAiField::AgentName, "agent.name"),
];

/// What goes into a span, and what comes out.
#[derive(Debug, Clone, Copy)]
enum Side {
    Input,
    Output,
}

/// Says all that it can.
pub(super) fn render(span: &mut Rendering<'_>) {
    let kind = kind(span);
    if let Some(total) = total(span) {
        span.put_int("llm.token_count.total", total);
    }
    RENAMED.iter().for_each(|(field, key)| span.rename(*field, key));
    models(span, kind);
    provider_names(span);
    parameters(span);
    reasons(span);
    match kind {
        Some("LLM") => conversation(span),
        Some("TOOL") => {
            value(span, Side::Input, GenAiField::ToolArguments);
            value(span, Side::Output, GenAiField::ToolResult);
        }
        Some("RETRIEVER" | "RERANKER") => value(span, Side::Input, GenAiField::RetrievalQuery),
        Some("AGENT" | "CHAIN") => {
            whole_messages(span, Side::Input, GenAiField::InputMessages);
            whole_messages(span, Side::Output, GenAiField::OutputMessages);
        }
        _ => {}
    }
    tools(span);
    documents(span);
}

fn kind(span: &mut Rendering<'_>) -> Option<&'static str> {
    let operation = span.text(GenAiField::OperationName)?;
    let (_, kind, follows) = KINDS.iter().find(|(known, ..)| *known == operation)?;
    if span.put_text("openinference.span.kind", kind) && *follows {
        span.take(GenAiField::OperationName);
    }
    Some(kind)
}

fn total(span: &Rendering<'_>) -> Option<i64> {
    let input = span.int(GenAiField::InputTokens)?;
    Some(input.saturating_add(span.int(GenAiField::OutputTokens)?))
}

fn models(span: &mut Rendering<'_>, kind: Option<&str>) {
    let request = span.text(GenAiField::RequestModel);
    let response = span.text(GenAiField::ResponseModel);
    match kind {
        Some("EMBEDDING") => span.rename(GenAiField::RequestModel, "embedding.model_name"),
        Some("RERANKER") => span.rename(GenAiField::RequestModel, "reranker.model_name"),
        _ => {
            let Some(model) = response.or(request) else { return };
            let is_said = span.put_text("llm.model_name", model);
            if is_said && response.is_some() {
                span.take(GenAiField::ResponseModel);
            }
            if request.is_some_and(|request| is_said && response == Some(request)) {
                span.take(GenAiField::RequestModel);
            }
        }
    }
}

fn provider_names(span: &mut Rendering<'_>) {
    let Some(name) = span.text(GenAiField::ProviderName) else { return };
    let known = PROVIDERS.iter().find(|(known, ..)| *known == name);
    let said = known.map_or(name, |(_, said, _)| said);
    if span.put_text("llm.provider", said) && provider(said) == name {
        span.take(GenAiField::ProviderName);
    }
    if let Some((.., Some(system))) = known {
        span.put_text("llm.system", system);
    }
}

fn parameters(span: &mut Rendering<'_>) {
    const KEY: &str = "llm.invocation_parameters";
    // What the conventions have no name for is there already.
    let arena = span.arena;
    let known = match span.other(KEY).map(text_of) {
        None => Members::default(),
        Some(known) => {
            let known = known.and_then(|known| parsed(arena, known)?.as_object());
            let Some(known) = known else { return };
            known
        }
    };
    let mut said = arena.building::<Pair<'_>>(known.len().saturating_add(PARAMETERS.len()));
    said.extend(known.pairs().iter().copied());
    let mut added = 0;
    for (field, name) in PARAMETERS {
        if let Some(value) = span.json(*field).filter(|_| !known.has(name)) {
            said.push((Text::word(name), value));
            added |= field.bit();
        }
    }
    if added != 0 {
        span.put_instead(KEY, &Json::Object(Members::of(said)).to_text());
        GenAiField::of_bits(added).for_each(|field| span.take(field));
    }
}

/// The dialect has room for one reason.
fn reasons(span: &mut Rendering<'_>) {
    let Some(Json::List(reasons)) = span.json(GenAiField::FinishReasons) else { return };
    if let [Json::Text(reason)] = reasons
        && span.put_text("llm.finish_reason", reason)
    {
        span.take(GenAiField::FinishReasons);
    }
}

/// Messages below `llm.input_messages.N.message.`.
const MESSAGES: SpreadForm = SpreadForm {
    message: ".message.",
    call: ".tool_call.",
    function: "function.",
    parts: |span, base, parts| {
        for (number, part) in parts.iter().enumerate() {
            content(span, &format!("{base}contents.{number}.message_content."), part);
        }
    },
};

/// The messages of a model call, and for the lists of spans what was asked last and answered.
fn conversation(span: &mut Rendering<'_>) {
    let input = messages::take_input(span);
    let asked = input.iter().rev().find(|message| message.role == "user");
    let asked = asked.and_then(Message::all_text);
    MESSAGES.spread(span, "llm.input_messages.", &input);
    if let Some(output) = messages::take_output(span) {
        if let Some(answer) = output.first().and_then(Message::all_text) {
            text(span, Side::Output, &answer);
        }
        MESSAGES.spread(span, "llm.output_messages.", &output);
    }
    if let Some(asked) = asked {
        text(span, Side::Input, &asked);
    }
}

/// One part of a message: text and images have a form, others keep their members.
fn content(span: &mut Rendering<'_>, base: &str, part: &Members<'_>) {
    let member = |key: &str| part.get(key).and_then(Json::as_str);
    let said: &[&str] = match (member("type"), member("content"), member("uri")) {
        (Some("text"), Some(text), _) => {
            span.put_text(&format!("{base}type"), "text");
            span.put_text(&format!("{base}text"), text);
            &["type", "content"]
        }
        (Some("uri"), _, Some(uri)) if member("modality") == Some("image") => {
            span.put_text(&format!("{base}type"), "image");
            span.put_text(&format!("{base}image.image.url"), uri);
            &["type", "uri", "modality"]
        }
        _ => &[],
    };
    for (key, value) in part.iter().filter(|(key, _)| !said.contains(key)) {
        span.put_json(&format!("{base}{key}"), value);
    }
}

/// `input.value` or `output.value`, with its media type.
fn text(span: &mut Rendering<'_>, side: Side, text: &str) -> bool {
    let (key, media_type) = match side {
        Side::Input => ("input.value", "input.mime_type"),
        Side::Output => ("output.value", "output.mime_type"),
    };
    let is_said = span.put_text(key, text);
    if is_said {
        let form = if parsed(&Arena::default(), text).is_some() {
            "application/json"
        } else {
            "text/plain"
        };
        span.put_text(media_type, form);
    }
    is_said
}

/// A field as input or output.
fn value(span: &mut Rendering<'_>, side: Side, field: GenAiField) {
    let Some(value) = span.json(field) else { return };
    let is_said = match value {
        Json::Text(given) => text(span, side, &given),
        other => text(span, side, &other.to_text()),
    };
    if is_said {
        span.take(field);
    }
}

/// Messages as one value: the text of a single one, or their JSON.
fn whole_messages(span: &mut Rendering<'_>, side: Side, field: GenAiField) {
    let Some(given) = span.json(field) else { return };
    let role = match side {
        Side::Input => "user",
        Side::Output => "assistant",
    };
    let single = messages::read(span.arena, given).filter(|read| read.len() == 1);
    let single = single.and_then(|mut read| read.pop());
    let is_plain = |message: &Message<'_>| {
        let has_more = message.finish_reason.is_some() || !message.others.is_empty();
        message.role == role && message.calls.is_empty() && !has_more
    };
    let plain = single.filter(is_plain).and_then(|message| message.plain_text(span.arena));
    // A text that begins so would be read as one of JSON.
    match plain.filter(|text| !text.trim_start().starts_with(['{', '[', '"'])) {
        Some(plain) if text(span, side, plain) => span.take(field),
        Some(_) => {}
        None => value(span, side, field),
    }
}

fn tools(span: &mut Rendering<'_>) {
    let arena = span.arena;
    let tools = span.json(GenAiField::ToolDefinitions);
    let Some(tools) = tools.and_then(|tools| messages::list_of(arena, tools)) else { return };
    if !span.has_list("llm.tools.") {
        for (number, tool) in tools.iter().enumerate() {
            let schema = nested(arena, *tool).unwrap_or(*tool);
            span.put_text(&format!("llm.tools.{number}.tool.json_schema"), &schema.to_text());
        }
    }
    span.take(GenAiField::ToolDefinitions);
}

/// The definition of a function in the form that the dialect's readers know best, that of OpenAI.
fn nested<'a>(arena: &'a Arena, tool: Json<'a>) -> Option<Json<'a>> {
    const MEMBERS: [&str; 5] = ["type", "name", "description", "parameters", "strict"];
    let is_known =
        |tool: &Members<'_>| tool.has("name") && tool.names().all(|name| MEMBERS.contains(&name));
    let mut function = tool.as_object().filter(is_known)?;
    let kind = function.take(arena, "type").filter(|kind| kind.as_str() == Some("function"))?;
    Some(Json::object(arena, [("type", kind), ("function", Json::Object(function))]))
}

fn documents(span: &mut Rendering<'_>) {
    let arena = span.arena;
    let documents = span.json(GenAiField::RetrievalDocuments);
    let Some(documents) = documents.and_then(|given| messages::list_of(arena, given)) else {
        return;
    };
    let documents = documents.iter().map(|document| document.as_object());
    let Some(documents) = documents.collect::<Option<Vec<_>>>() else { return };
    if !span.has_list("retrieval.documents.") {
        for (number, document) in documents.iter().enumerate() {
            for (key, value) in document.iter() {
                let key = format!("retrieval.documents.{number}.document.{key}");
                span.put_json(&key, value);
            }
        }
    }
    span.take(GenAiField::RetrievalDocuments);
}
