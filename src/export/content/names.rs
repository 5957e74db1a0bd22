//! The names under which content is known.

/// Attributes that are content: of the current conventions, of older ones, and of the widespread
/// instrumentations.
const NAMES: [&str; 45] = [
    // OpenTelemetry GenAI, current and older.
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.tool.definitions",
    "gen_ai.retrieval.query.text",
    "gen_ai.retrieval.documents",
    "gen_ai.evaluation.explanation",
    "gen_ai.event.content",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.request.messages",
    // Traceloop (OpenLLMetry).
    "traceloop.entity.input",
    "traceloop.entity.output",
    "llm.prompts",
    "llm.completions",
    // OpenInference.
    "input.value",
    "output.value",
    "llm.function_call",
    "llm.tools",
    "tool.parameters",
    "tool_call.function.arguments",
    "embedding.text",
    "document.content",
    "message.content",
    "reranker.query",
    // Vercel AI SDK.
    "ai.prompt",
    "ai.response.text",
    "ai.response.object",
    "ai.response.reasoning",
    "ai.response.toolCalls",
    "ai.toolCall.args",
    "ai.toolCall.result",
    "ai.value",
    "ai.values",
    // Logfire, MLflow, Langfuse, LangSmith, LangGraph.
    "all_messages_events",
    "tool_arguments",
    "tool_response",
    "final_result",
    "mlflow.spanInputs",
    "mlflow.spanOutputs",
    "langsmith.inputs",
    "langsmith.outputs",
    "gen_ai.agent.input",
];

/// Beginnings of such names.
const PREFIXES: [&str; 20] = [
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "gen_ai.content.",
    "gen_ai.input.messages.",
    "gen_ai.output.messages.",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompts.",
    "llm.completions.",
    "llm.prompt_template.",
    "llm.tools.",
    "retrieval.documents",
    "embedding.embeddings",
    "reranker.input_documents",
    "reranker.output_documents",
    "ai.prompt.",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.trace.input",
    "langfuse.trace.output",
];

/// Names with one of the beginnings above that are no content.
const HARMLESS: [&str; 2] = ["gen_ai.prompt.name", "gen_ai.prompt.version"];

/// Ends of indexed names (`gen_ai.completion.0.finish_reason`) that are no content.
const HARMLESS_ENDS: [&str; 2] = [".finish_reason", ".role"];

/// What the events that carry messages keep; everything else of theirs may be content.
pub(super) const EVENT_KEYS: [&str; 9] = [
    "gen_ai.system",
    "gen_ai.provider.name",
    "gen_ai.operation.name",
    "gen_ai.response.finish_reasons",
    "event.name",
    "role",
    "index",
    "finish_reason",
    "id",
];

/// Whether an attribute holds content.
pub(in crate::export) fn is_content(name: &str) -> bool {
    if NAMES.contains(&name) {
        return true;
    }
    if HARMLESS.contains(&name) {
        return false;
    }
    let indexed = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let harmless = HARMLESS_ENDS.iter().any(|end| name.ends_with(end));
    (indexed && !harmless)
        || (name.starts_with("llm.") && name.contains("stringified_raw_response"))
}

/// Whether an event of a span, or a log record, of this name carries messages.
pub(super) fn is_content_event(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("gen_ai.") else { return false };
    rest == "choice"
        || rest.starts_with("content.")
        || rest.ends_with(".message")
        || rest == "client.inference.operation.details"
}
