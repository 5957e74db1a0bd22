//! Value mapping: values of the dialects -> values of the conventions.

use crate::codec::msgpack::{elements, text_of};

/// Providers by the names that dialects give them, in lower case and with `_` for `-`, and their
/// name in `gen_ai.provider.name`.
const PROVIDERS: &[(&str, &str)] = &[
    ("aws", "aws.bedrock"),
    ("aws.anthropic", "aws.bedrock"),
    ("aws_bedrock", "aws.bedrock"),
    ("amazon_bedrock", "aws.bedrock"),
    ("amazon.bedrock", "aws.bedrock"),
    ("bedrock", "aws.bedrock"),
    ("bedrock_converse", "aws.bedrock"),
    ("az.ai.inference", "azure.ai.inference"),
    ("azure_ai", "azure.ai.inference"),
    ("azure_ai_inference", "azure.ai.inference"),
    ("az.ai.openai", "azure.ai.openai"),
    ("azure", "azure.ai.openai"),
    ("azure.openai", "azure.ai.openai"),
    ("azure_openai", "azure.ai.openai"),
    ("gemini", "gcp.gemini"),
    ("google.generative_ai", "gcp.gemini"),
    ("google_genai", "gcp.gemini"),
    ("google_gla", "gcp.gemini"),
    ("google", "gcp.gen_ai"),
    ("gcp.anthropic", "gcp.vertex_ai"),
    ("gcp.vertex.agent", "gcp.vertex_ai"),
    ("google.vertex", "gcp.vertex_ai"),
    ("google_vertex", "gcp.vertex_ai"),
    ("google_vertexai", "gcp.vertex_ai"),
    ("vertex_ai", "gcp.vertex_ai"),
    ("vertexai", "gcp.vertex_ai"),
    ("ibm.watson.ai", "ibm.watsonx.ai"),
    ("ibm_watsonx", "ibm.watsonx.ai"),
    ("watsonx", "ibm.watsonx.ai"),
    ("mistral", "mistral_ai"),
    ("mistralai", "mistral_ai"),
    ("moonshot", "moonshot_ai"),
    ("moonshotai", "moonshot_ai"),
    ("az.ai.agents", "microsoft.foundry"),
    ("azure.ai.agents", "microsoft.foundry"),
    ("xai", "x_ai"),
];

/// The values of `gen_ai.provider.name` that the conventions have.
pub(super) const fn current_provider(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        b"openai" => "openai",
        b"anthropic" => "anthropic",
        b"aws.bedrock" => "aws.bedrock",
        b"azure.ai.openai" => "azure.ai.openai",
        b"azure.ai.inference" => "azure.ai.inference",
        b"gcp.gemini" => "gcp.gemini",
        b"gcp.gen_ai" => "gcp.gen_ai",
        b"gcp.vertex_ai" => "gcp.vertex_ai",
        b"cohere" => "cohere",
        b"deepseek" => "deepseek",
        b"groq" => "groq",
        b"ibm.watsonx.ai" => "ibm.watsonx.ai",
        b"mistral_ai" => "mistral_ai",
        b"moonshot_ai" => "moonshot_ai",
        b"perplexity" => "perplexity",
        b"x_ai" => "x_ai",
        _ => return None,
    })
}

/// What the Vercel AI SDK writes after a provider's name: which of its APIs.
const APIS: [&str; 12] = [
    "chat",
    "completion",
    "responses",
    "messages",
    "embedding",
    "embeddings",
    "textembedding",
    "image",
    "speech",
    "transcription",
    "reranking",
    "generative_ai",
];

/// The longest name of a provider that is looked for.
const LONGEST: usize = 48;

/// The provider's name in the conventions; a name that they do not know stays as it is.
#[must_use]
pub fn provider(name: &str) -> &str {
    if name.len() > LONGEST || current_provider(name.as_bytes()).is_some() {
        return name;
    }
    let known = |plain: &[u8]| {
        let listed = || PROVIDERS.iter().find(|(known, _)| known.as_bytes() == plain);
        current_provider(plain).or_else(|| listed().map(|(_, current)| *current))
    };
    let mut room = [0; LONGEST];
    let plain = plain(name, &mut room);
    let of_api = || {
        let dot = plain.iter().rposition(|byte| *byte == b'.')?;
        let (before, api) = (plain.get(..dot)?, plain.get(dot.saturating_add(1)..)?);
        APIS.iter().any(|known| known.as_bytes() == api).then(|| known(before))?
    };
    known(plain).or_else(of_api).unwrap_or(name)
}

/// A word of at most [`LONGEST`] bytes in lower case and with `_` for `-`.
fn plain<'r>(word: &str, room: &'r mut [u8; LONGEST]) -> &'r [u8] {
    for (plain, byte) in room.iter_mut().zip(word.bytes()) {
        *plain = if byte == b'-' { b'_' } else { byte.to_ascii_lowercase() };
    }
    room.get(..word.len()).unwrap_or_default()
}

/// The bytes of a short encoded text; nothing but its first byte is looked at.
#[inline]
fn short_text(value: &[u8]) -> Option<&[u8]> {
    let (first, text) = value.split_first()?;
    (matches!(first, 0xa0..=0xbf) && text.len() == usize::from(first & 0x1f)).then_some(text)
}

/// Whether an encoded provider has another name in the conventions.
#[inline]
pub(super) fn is_other_provider(value: &[u8]) -> bool {
    short_text(value).is_none_or(|text| current_provider(text).is_none())
        && text_of(value).is_some_and(|text| provider(text) != text)
}

/// Operations by the names that dialects give them, in lower case, and their name in
/// `gen_ai.operation.name`.
const OPERATIONS: &[(&str, &str)] = &[
    ("chat.completion", "chat"),
    ("chat.completions", "chat"),
    ("chat_completion", "chat"),
    ("chat_completions", "chat"),
    ("chatcompletion", "chat"),
    ("acompletion", "chat"),
    ("messages", "chat"),
    ("anthropic_messages", "chat"),
    ("response", "chat"),
    ("responses", "chat"),
    ("aresponses", "chat"),
    ("llm_call", "chat"),
    ("completion", "text_completion"),
    ("completions", "text_completion"),
    ("text.completions", "text_completion"),
    ("atext_completion", "text_completion"),
    ("embed", "embeddings"),
    ("embedding", "embeddings"),
    ("aembedding", "embeddings"),
    ("text.embeddings", "embeddings"),
    ("text_embedding", "embeddings"),
    ("generatecontent", "generate_content"),
    ("agenerate_content", "generate_content"),
    ("generate_content_stream", "generate_content"),
    ("agenerate_content_stream", "generate_content"),
    ("image", "generate_content"),
    ("image_generation", "generate_content"),
    ("aimage_generation", "generate_content"),
    ("images_generate", "generate_content"),
    ("audio", "generate_content"),
    ("speech", "generate_content"),
    ("aspeech", "generate_content"),
    ("transcription", "generate_content"),
    ("atranscription", "generate_content"),
    ("arerank", "rerank"),
    ("tool_call", "execute_tool"),
    ("agent_call", "invoke_agent"),
];

/// The operations that the conventions have, and those of ours that stay.
pub const CURRENT_OPERATIONS: [&str; 11] = [
    "chat",
    "text_completion",
    "generate_content",
    "embeddings",
    "retrieval",
    "create_agent",
    "invoke_agent",
    "invoke_workflow",
    "execute_tool",
    "execute_task",
    "rerank",
];

/// The operation of this name, if the conventions have it or it is one of ours that stays.
pub(super) const fn current_operation(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        b"chat" => "chat",
        b"text_completion" => "text_completion",
        b"generate_content" => "generate_content",
        b"embeddings" => "embeddings",
        b"retrieval" => "retrieval",
        b"create_agent" => "create_agent",
        b"invoke_agent" => "invoke_agent",
        b"invoke_workflow" => "invoke_workflow",
        b"execute_tool" => "execute_tool",
        b"execute_task" => "execute_task",
        b"rerank" => "rerank",
        _ => return None,
    })
}

/// Whether [`current_operation`] knows a name.
const fn is_current_operation(name: &[u8]) -> bool {
    current_operation(name).is_some()
}

/// The operation's name in the conventions; a name that they do not know stays as it is. `own` are
/// the names of the dialects that the item speaks.
pub(super) fn operation(
    name: &str,
    own: impl IntoIterator<Item = &'static (&'static str, &'static str)>,
) -> &str {
    if name.len() > LONGEST || is_current_operation(name.as_bytes()) {
        return name;
    }
    let mut known = own.into_iter().chain(OPERATIONS);
    known.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or(name, |(_, current)| current)
}

/// Whether an encoded operation has another name in the conventions.
#[inline]
pub(super) fn is_other_operation(value: &[u8]) -> bool {
    short_text(value).is_none_or(|text| !is_current_operation(text))
        && text_of(value).is_some_and(|text| operation(text, []) != text)
}

/// Why a model stopped, as the conventions' messages say it; a word that they do not know stays as
/// it is.
pub(super) fn finish_reason(reason: &str) -> &str {
    const REASONS: &[(&str, &str)] = &[
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("eos", "stop"),
        ("eos_token", "stop"),
        ("complete", "stop"),
        ("max_tokens", "length"),
        ("max_output_tokens", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_call"),
        ("tool_use", "tool_call"),
        ("function_call", "tool_call"),
        ("safety", "content_filter"),
        ("refusal", "content_filter"),
        ("recitation", "content_filter"),
        ("guardrail_intervened", "content_filter"),
        ("abort", "error"),
        ("failed", "error"),
        ("cancelled", "error"),
    ];
    const CURRENT: [&str; 5] = ["stop", "length", "tool_call", "content_filter", "error"];
    if reason.len() > LONGEST || CURRENT.contains(&reason) {
        return reason;
    }
    let mut room = [0; LONGEST];
    let plain = plain(reason, &mut room);
    let plain = plain.strip_prefix(b"finishreason.").unwrap_or(plain);
    let is_plain = |known: &str| known.as_bytes() == plain;
    let current = CURRENT.into_iter().find(|known| is_plain(known));
    let listed = || REASONS.iter().find(|(known, _)| is_plain(known)).map(|(_, current)| *current);
    current.or_else(listed).unwrap_or(reason)
}

/// The encoded list of reasons that most have.
pub(super) const STOPPED: &[u8] = b"\x91\xa4stop";

/// Whether an encoded list of reasons has one that the conventions call otherwise.
#[inline]
pub(super) fn has_other_reason(list: &[u8]) -> bool {
    list != STOPPED
        && elements(list).filter_map(text_of).any(|reason| finish_reason(reason) != reason)
}

/// The operation of a model call that names none.
pub(super) fn inferred_operation(
    provider: Option<&str>,
    model: Option<&str>,
    answers: bool,
) -> &'static str {
    if !answers && model.is_some_and(|model| model.to_ascii_lowercase().contains("embed")) {
        return "embeddings";
    }
    match provider {
        Some("gcp.gemini" | "gcp.vertex_ai" | "gcp.gen_ai") => "generate_content",
        _ => "chat",
    }
}

/// `gen_ai.output.type` of an `OpenAI` response format.
pub(super) fn output_type(format: &str) -> &str {
    match format {
        "json_object" | "json_schema" => "json",
        other => other,
    }
}

/// Other spellings of a word of [`finish_reason`] that mean no more and no less.
pub(super) fn spellings(reason: &str) -> &'static [&'static str] {
    match reason {
        "tool_call" => &["tool_calls", "tool-calls", "tool_use", "function_call"],
        _ => &[],
    }
}

/// Whether operations of this name are part of a conversation by the conventions.
pub(super) fn has_conversation(operation: &str) -> bool {
    matches!(
        operation,
        "chat" | "text_completion" | "generate_content" | "invoke_agent" | "invoke_workflow"
    )
}

/// Whether what a span of this operation reports sums up the model calls beneath it, so that its
/// token counts must not be added to theirs.
pub(super) fn sums_up(operation: &str) -> bool {
    matches!(
        operation,
        "invoke_agent"
            | "invoke_workflow"
            | "create_agent"
            | "execute_tool"
            | "execute_task"
            | "retrieval"
            | "rerank"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_of_all_dialects() {
        assert_eq!(provider("OpenAI"), "openai");
        assert_eq!(provider("bedrock"), "aws.bedrock");
        assert_eq!(provider("xai"), "x_ai");
        assert_eq!(provider("My Provider"), "My Provider");
        assert_eq!(provider("openai.chat"), "openai");
        assert_eq!(provider("google.generative-ai"), "gcp.gemini");
        assert_eq!(provider("google.vertex.chat"), "gcp.vertex_ai");
        assert_eq!(provider("Azure-OpenAI.responses"), "azure.ai.openai");
        assert_eq!(provider("aws.sagemaker"), "aws.sagemaker");
        assert_eq!(provider(&"x".repeat(100)), "x".repeat(100));
        for (given, current) in PROVIDERS {
            assert_eq!(current_provider(given.as_bytes()), None, "{given}");
            assert!(
                current_provider(current.as_bytes()).is_some() || *current == "microsoft.foundry"
            );
        }
    }

    #[test]
    fn encoded_values_are_compared_with_those_of_the_conventions() {
        let encoded = |text: &str| {
            let mut out = Vec::new();
            crate::codec::msgpack::str(&mut out, text);
            out
        };
        for (name, is_other) in [("chat", false), ("acompletion", true), ("plan", false)] {
            assert_eq!(is_other_operation(&encoded(name)), is_other, "{name}");
        }
        for (name, is_other) in [("openai", false), ("bedrock", true), ("own", false)] {
            assert_eq!(is_other_provider(&encoded(name)), is_other, "{name}");
        }
        assert!(!is_other_operation(&encoded(&"chat".repeat(20))));
        assert!(!is_other_provider(&[]) && !is_other_provider(&[0xa6, b'o']));
    }

    #[test]
    fn operations_and_reasons_of_all_dialects() {
        for (given, expected) in [
            ("acompletion", "chat"),
            ("Completion", "text_completion"),
            ("aembedding", "embeddings"),
            ("aresponses", "chat"),
            ("plan", "plan"),
        ] {
            assert_eq!(operation(given, []), expected);
        }
        assert_eq!(operation("completion", &[("completion", "chat")]), "chat");
        assert!(OPERATIONS.iter().all(|(_, current)| is_current_operation(current.as_bytes())));
        assert!(CURRENT_OPERATIONS.iter().all(|current| is_current_operation(current.as_bytes())));
        assert!(OPERATIONS.iter().all(|(_, current)| CURRENT_OPERATIONS.contains(current)));
        for (given, expected) in [
            ("tool-calls", "tool_call"),
            ("FinishReason.STOP", "stop"),
            ("end_turn", "stop"),
            ("MAX_TOKENS", "length"),
            ("other", "other"),
        ] {
            assert_eq!(finish_reason(given), expected);
        }
        assert_eq!(inferred_operation(None, Some("text-Embed-3"), false), "embeddings");
        assert_eq!(inferred_operation(Some("gcp.gemini"), None, true), "generate_content");
        assert_eq!(inferred_operation(None, None, true), "chat");
    }
}
