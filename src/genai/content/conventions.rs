//! Content names of conventions and of the instrumentations that go by them.

use super::{ContentNames, Family, Parts};

/// The OpenTelemetry GenAI conventions 1.28 to 1.41, and semantic-conventions-genai 0.1.0.
pub(super) const GEN_AI: ContentNames = ContentNames {
    dialect: "gen_ai",
    names: &[
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.tool.definitions",
        "gen_ai.tool.description",
        "gen_ai.retrieval.query.text",
        "gen_ai.retrieval.documents",
        "gen_ai.memory.query.text",
        "gen_ai.memory.records",
        "gen_ai.evaluation.explanation",
        "gen_ai.event.content",
        "gen_ai.prompt",
        "gen_ai.completion",
        "gen_ai.content",
        "gen_ai.request.messages",
        "gen_ai.request.instructions",
        "gen_ai.agent.input",
        "gen_ai.agent.output",
        // Spelled with underscores by some.
        "gen_ai.input_messages",
        "gen_ai.output_messages",
        "gen_ai.tool_definitions",
    ],
    // The fields of the content events, where a pipeline has put them at the top of a log.
    common_words: &["content", "parts", "tool_calls"],
    events: &["gen_ai.client.inference.operation.details"],
    marks: &["gen_ai.", "gen_ai_"],
    ..ContentNames::NONE
};

/// The Model Context Protocol: the conventions have no names of their own for what it carries, its
/// instrumentations do.
pub(super) const MCP: ContentNames = ContentNames {
    dialect: "mcp",
    names: &[
        "mcp.request.argument",
        "mcp.request.arguments",
        "mcp.request.params",
        "mcp.response.value",
        "mcp.response.result",
        "mcp.tool.arguments",
        "mcp.tool.result",
        "mcp.tool.description",
        "mcp.prompt.arguments",
        "mcp.resource.content",
    ],
    marks: &["mcp.", "jsonrpc."],
    ..ContentNames::NONE
};

/// OpenInference.
pub(super) const OPEN_INFERENCE: ContentNames = ContentNames {
    dialect: "openinference",
    names: &[
        "input.value",
        "output.value",
        "input.audio",
        "output.audio",
        "input.images",
        "audio.transcript",
        "image.url",
        "llm.input_messages",
        "llm.output_messages",
        "llm.prompts",
        "llm.completions",
        "llm.choices",
        "llm.function_call",
        "llm.tools",
        "llm.prompt_template",
        // Instrumentations put tool definitions and system prompts among the parameters.
        "llm.invocation_parameters",
        "tool.parameters",
        "tool.description",
        "tool.json_schema",
        "tool_call.function.arguments",
        "message.content",
        "message.contents",
        "message.tool_calls",
        "message.function_call_arguments_json",
        "message_content.text",
        "message_content.image",
        "embedding.text",
        "embedding.vector",
        "embedding.embeddings",
        "document.content",
        "document.metadata",
        "retrieval.documents",
        "reranker.query",
        "reranker.input_documents",
        "reranker.output_documents",
        "prompt.template",
    ],
    marks: &["openinference.", "llm."],
    ..ContentNames::NONE
};

/// OpenLLMetry and the Traceloop SDK.
pub(super) const OPEN_LLMETRY: ContentNames = ContentNames {
    dialect: "openllmetry",
    names: &[
        "traceloop.entity.input",
        "traceloop.entity.output",
        "traceloop.prompt.template",
        "traceloop.prompt.template_variables",
        "llm.prompts",
        "llm.completions",
        "llm.request.functions",
        "llm.request.structured_output_schema",
        "gen_ai.request.structured_output_schema",
        "llm.content",
        "db.query.result",
        "db.query.embeddings",
        "db.pinecone.query.result",
    ],
    events: &[
        "llm.content.prompt",
        "llm.content.completion",
        "db.query.result",
        "db.query.embeddings",
    ],
    marks: &["traceloop."],
    ..ContentNames::NONE
};

/// OpenLIT.
pub(super) const OPENLIT: ContentNames = ContentNames {
    dialect: "openlit",
    names: &[
        "gen_ai.tool.args",
        "gen_ai.tool.arguments",
        "gen_ai.tool.input",
        "gen_ai.tool.output",
        "gen_ai.tool.result",
        "gen_ai.tool.message",
        "gen_ai.retrieval.query",
        "gen_ai.workflow.input",
        "gen_ai.workflow.output",
        "gen_ai.agent.instructions",
        "gen_ai.agent.goal",
        "gen_ai.agent.backstory",
        "gen_ai.task.description",
        "gen_ai.task.expected_output",
        "gen_ai.task.output",
        "gen_ai.guardrail.input",
        "gen_ai.guardrail.output",
    ],
    marks: &["openlit."],
    ..ContentNames::NONE
};

/// LiteLLM. The raw fields of requests and answers, `llm.PROVIDER.FIELD`, are told apart by
/// [`super::lookup`].
pub(super) const LITELLM: ContentNames = ContentNames {
    dialect: "litellm",
    names: &[
        "metadata.mcp_tool_call_metadata",
        "metadata.vector_store_request_metadata",
        "metadata.prompt_management_metadata",
        "metadata.guardrail_information",
        "metadata.standard_logging_guardrail_information",
    ],
    words: &["guardrail_request", "guardrail_response"],
    families: &[Family {
        root: "litellm.",
        parts: Parts::Only(&["messages", "prompt", "input", "output", "response", "tools"]),
    }],
    marks: &["litellm."],
    ..ContentNames::NONE
};

/// Langtrace.
pub(super) const LANGTRACE: ContentNames = ContentNames {
    dialect: "langtrace",
    names: &[
        "llm.responses",
        "llm.function.prompt",
        "llm.retrieved.documents",
        "llm.embedding_inputs",
    ],
    marks: &["langtrace."],
    ..ContentNames::NONE
};
