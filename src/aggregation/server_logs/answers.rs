//! Answers and payloads: logs that are JSON, or maps that parsers made of such.

use std::borrow::Cow;

use super::facts::{LogFacts, ServerFacts, number};
use super::format::{ServerLogFormat, ServerLogFormats};
use super::lines::tgi_times;
use super::measures::ServerMeasure as M;
use super::node::Node;
use super::text::duration;
use crate::codec::msgpack::{array_header, str};
use crate::codec::records::edit::Pairs;

/// The longest name that becomes the value of an attribute.
const MAX_TEXT: usize = 256;

/// What the conventions have for a value that is not known.
const OTHER: &str = "_OTHER";

/// Members below which applications log answers and payloads.
const WRAPPERS: [&str; 5] =
    ["response", "body", "response_body", "payload", "standard_logging_object"];

/// What a log that is an object says, if it is of a known kind.
pub(super) fn read<'t>(node: Node<'t>, formats: ServerLogFormats) -> Option<LogFacts<'t>> {
    if let Some(facts) = server(node, formats) {
        return Some(facts);
    }
    let call = |node| {
        let payload = formats.has(ServerLogFormat::LiteLlm).then(|| payload(node)).flatten();
        payload.or_else(|| formats.has(ServerLogFormat::OpenAi).then(|| answer(node)).flatten())
    };
    call(node).or_else(|| node.members(&WRAPPERS).into_iter().flatten().find_map(call))
}

/// Logs of servers as JSON.
fn server<'t>(node: Node<'t>, formats: ServerLogFormats) -> Option<LogFacts<'t>> {
    let [event, out, message, target, span] =
        node.members(&["event", "out", "message", "target", "span"]);
    let is = |node: Option<Node<'_>>, wanted: &str| {
        node.and_then(Node::text).is_some_and(|text| text == wanted)
    };
    if formats.has(ServerLogFormat::Sglang) && is(event, "request.finished") {
        let meta = out.and_then(|out| out.get("meta_info"));
        return Some(sglang(meta));
    }
    if formats.has(ServerLogFormat::Tgi)
        && is(message, "Success")
        && is(target, "text_generation_router::server")
    {
        return Some(tgi(node, span));
    }
    None
}

/// `{"event": "request.finished", "rid": "...", "out": {"meta_info": {...}}}`.
fn sglang<'t>(meta: Option<Node<'t>>) -> LogFacts<'t> {
    let mut facts = ServerFacts::new(ServerLogFormat::Sglang);
    let Some(meta) = meta else { return LogFacts::Incomplete };
    let [input, output, cached, latency, reason] = meta.members(&[
        "prompt_tokens",
        "completion_tokens",
        "cached_tokens",
        "e2e_latency",
        "finish_reason",
    ]);
    let value = |node: Option<Node<'_>>| node.and_then(Node::number);
    if let Some(Cow::Borrowed(reason)) = reason.and_then(|it| it.get("type")).and_then(Node::text) {
        facts.finish(reason);
    }
    facts.set(M::Duration, value(latency));
    facts.set(M::CachedTokens, value(cached));
    let input = facts.set(M::InputTokens, value(input));
    match input.or(facts.set(M::OutputTokens, value(output))) {
        Some(()) => LogFacts::Server(facts),
        None => LogFacts::Incomplete,
    }
}

/// `{"message": "Success", "target": "text_generation_router::server", "span": {"total_time": "1s", ..., "name": "generate"}, "spans": [...]}`.
fn tgi<'t>(node: Node<'t>, span: Option<Node<'t>>) -> LogFacts<'t> {
    let mut facts = ServerFacts::new(ServerLogFormat::Tgi);
    let spans = node.get("spans").map(Node::objects).unwrap_or_default();
    let names = span.iter().chain(&spans).filter_map(|span| span.get("name")?.text());
    let is_chat = names.into_iter().any(|name| name == "chat_completions");
    let operation = if is_chat { "chat" } else { "text_completion" };
    let times = |span: &Node<'_>| {
        let names = ["total_time", "queue_time", "inference_time", "time_per_token"];
        let times = span.members(&names);
        times.map(|time| time.and_then(Node::text).and_then(|text| duration(&text)))
    };
    let mut times = span.iter().chain(&spans).map(times);
    let times = times.find(|[total, ..]| total.is_some()).unwrap_or_default();
    match tgi_times(&mut facts, operation, times) {
        Some(()) => LogFacts::Server(facts),
        None => LogFacts::Incomplete,
    }
}

/// An answer of the OpenAI API.
fn answer<'t>(node: Node<'t>) -> Option<LogFacts<'t>> {
    let [object, error, usage, model, id, choices, tier, fingerprint] = node.members(&[
        "object",
        "error",
        "usage",
        "model",
        "id",
        "choices",
        "service_tier",
        "system_fingerprint",
    ]);
    let (operation, is_whole) = match object.and_then(Node::text).as_deref() {
        Some("chat.completion" | "response") => ("chat", true),
        Some("text_completion") => ("text_completion", true),
        Some("chat.completion.chunk") => ("chat", false),
        Some("list") => ("embeddings", false),
        Some("error") => return failure(node),
        Some(_) => return None,
        None => return failure(error?),
    };
    let mut pairs = Pairs::new();
    pairs.text("gen_ai.operation.name", operation);
    if let Some(error) = error.and_then(error_type) {
        pairs.text("error.type", &error);
    }
    match usage.and_then(|usage| tokens(usage, &mut pairs)) {
        Some(true) => {}
        Some(false) => return Some(LogFacts::Incomplete),
        // The parts of a stream have none, but for the last one; lists are of many things.
        None if is_whole => {}
        None => return None,
    }
    for (key, value) in [
        ("gen_ai.response.model", model),
        ("gen_ai.response.id", id),
        ("openai.response.service_tier", tier),
        ("openai.response.system_fingerprint", fingerprint),
    ] {
        text(&mut pairs, key, value);
    }
    if let Some(choices) = choices {
        finish_reasons(choices, &mut pairs);
    }
    Some(LogFacts::Call(ServerLogFormat::OpenAi, pairs))
}

/// An error in place of an answer, which does not say what was asked for.
fn failure(error: Node<'_>) -> Option<LogFacts<'_>> {
    // Errors in other programs' logs name no parameter, not even none.
    error.get("param")?;
    let mut pairs = Pairs::new();
    pairs.text("gen_ai.operation.name", OTHER);
    pairs.text("error.type", &error_type(error)?);
    Some(LogFacts::Call(ServerLogFormat::OpenAi, pairs))
}

/// Why a call failed; `None` if the node is no error.
fn error_type(error: Node<'_>) -> Option<Cow<'_, str>> {
    let [message, kind, code] = error.members(&["message", "type", "code"]);
    message.and_then(Node::text)?;
    let mut names = [code, kind].into_iter().flatten().filter_map(Node::text);
    Some(names.find(|name| name.len() <= MAX_TEXT).unwrap_or(Cow::Borrowed(OTHER)))
}

fn finish_reasons(choices: Node<'_>, pairs: &mut Pairs) {
    let reasons: Vec<_> = choices
        .objects()
        .into_iter()
        .filter_map(|choice| choice.get("finish_reason")?.text())
        .collect();
    if let Ok(count @ 1..) = u32::try_from(reasons.len()) {
        let out = pairs.key("gen_ai.response.finish_reasons");
        array_header(out, count);
        reasons.iter().for_each(|reason| str(out, reason));
    }
}

/// Notes the tokens of `usage`, and says whether it says any; `None` if it is no object.
fn tokens(usage: Node<'_>, pairs: &mut Pairs) -> Option<bool> {
    let [
        prompt,
        input,
        completion,
        output,
        prompt_details,
        input_details,
        details,
        output_details,
        total,
    ] = usage.members(&[
        "prompt_tokens",
        "input_tokens",
        "completion_tokens",
        "output_tokens",
        "prompt_tokens_details",
        "input_tokens_details",
        "completion_tokens_details",
        "output_tokens_details",
        "total_tokens",
    ]);
    let value = |node: Option<Node<'_>>| node.and_then(Node::number);
    let of = |node: Option<Node<'_>>, name: &str| node.and_then(|node| node.get(name)?.number());
    let (input, output) = (value(prompt.or(input)), value(completion.or(output)));
    let input_details = prompt_details.or(input_details);
    let output_details = details.or(output_details);
    for (key, value) in [
        ("gen_ai.usage.input_tokens", input),
        ("gen_ai.usage.output_tokens", output),
        ("gen_ai.usage.cache_read.input_tokens", of(input_details, "cached_tokens")),
        ("gen_ai.usage.audio.input_tokens", of(input_details, "audio_tokens")),
        ("gen_ai.usage.reasoning.output_tokens", of(output_details, "reasoning_tokens")),
        ("gen_ai.usage.audio.output_tokens", of(output_details, "audio_tokens")),
    ] {
        number(pairs, key, value);
    }
    (total.is_some() || input.is_some() || output.is_some())
        .then_some(input.is_some() || output.is_some())
}

/// Calls of LiteLLM, by the end of their names; with `a` before it they are asynchronous.
const CALL_TYPES: [(&str, &str); 6] = [
    ("text_completion", "text_completion"),
    ("completion", "chat"),
    ("responses", "chat"),
    ("anthropic_messages", "chat"),
    ("generate_content", "generate_content"),
    ("embedding", "embeddings"),
];

/// Providers that the conventions call otherwise than LiteLLM.
const PROVIDERS: [(&str, &str); 8] = [
    ("azure", "azure.ai.openai"),
    ("azure_ai", "azure.ai.inference"),
    ("vertex_ai", "gcp.vertex_ai"),
    ("gemini", "gcp.gemini"),
    ("bedrock", "aws.bedrock"),
    ("mistral", "mistral_ai"),
    ("xai", "x_ai"),
    ("watsonx", "ibm.watsonx.ai"),
];

/// LiteLLM's standard logging payload.
fn payload<'t>(node: Node<'t>) -> Option<LogFacts<'t>> {
    let [kind, start, end] = node.members(&["call_type", "startTime", "endTime"]);
    let (kind, start, end) = (kind?.text()?, start?.number(), end?.number());
    let known = CALL_TYPES
        .iter()
        .find(|(name, _)| kind.strip_suffix(name).is_some_and(|before| matches!(before, "" | "a")));
    let (_, operation) = known?;
    let Some((start, end)) = start.zip(end).filter(|(start, end)| start <= end) else {
        return Some(LogFacts::Incomplete);
    };
    let [id, model, group, provider, stream, first, cost, cached, status, error] = node.members(&[
        "id",
        "model",
        "model_group",
        "custom_llm_provider",
        "stream",
        "completionStartTime",
        "response_cost",
        "cache_hit",
        "status",
        "error_information",
    ]);
    let mut pairs = Pairs::new();
    pairs.text("gen_ai.operation.name", operation);
    let provider = provider.and_then(Node::text);
    if let Some(provider) = provider.filter(|provider| provider.len() <= MAX_TEXT) {
        let known = PROVIDERS.iter().find(|(name, _)| *name == provider);
        pairs.text("gen_ai.provider.name", known.map_or(&*provider, |(_, name)| name));
    }
    text(&mut pairs, "gen_ai.response.id", id);
    text(&mut pairs, "gen_ai.request.model", group.filter(|it| it.text().is_some()).or(model));
    text(&mut pairs, "gen_ai.response.model", model);
    number(&mut pairs, "duration_ms", Some((end - start) * 1e3));
    if stream.is_some_and(Node::is_true) {
        let first = first.and_then(Node::number).filter(|first| (start..=end).contains(first));
        number(&mut pairs, "gen_ai.response.time_to_first_chunk", first.map(|first| first - start));
    }
    if status.and_then(Node::text).is_some_and(|status| status == "failure") {
        let class = error.and_then(|error| error.get("error_class")?.text());
        pairs.text(
            "error.type",
            class.as_deref().filter(|it| it.len() <= MAX_TEXT).unwrap_or(OTHER),
        );
    } else if !cached.is_some_and(Node::is_true) {
        // What came out of LiteLLM's own cache no model was called for.
        tokens(node, &mut pairs);
        number(&mut pairs, "gen_ai.usage.cost", cost.and_then(Node::number));
    }
    let answer = node.get("response");
    if let Some(choices) = answer.and_then(|answer| answer.get("choices")) {
        finish_reasons(choices, &mut pairs);
    }
    Some(LogFacts::Call(ServerLogFormat::LiteLlm, pairs))
}

/// Notes a text, if there is one of a reasonable length.
fn text(pairs: &mut Pairs, key: &str, value: Option<Node<'_>>) {
    let text = value.and_then(Node::text).filter(|text| text.len() <= MAX_TEXT);
    if let Some(text) = text {
        pairs.text(key, &text);
    }
}
