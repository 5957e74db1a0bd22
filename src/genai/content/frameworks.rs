//! Content names of agent and application frameworks.

use super::{ContentNames, Family, Parts};

/// The Vercel AI SDK.
pub(super) const VERCEL_AI: ContentNames = ContentNames {
    dialect: "vercel_ai_sdk",
    names: &[
        "ai.prompt",
        "ai.schema",
        "ai.response.text",
        "ai.response.object",
        "ai.response.reasoning",
        "ai.response.toolCalls",
        "ai.response.files",
        "ai.result.text",
        "ai.result.object",
        "ai.result.toolCalls",
        "ai.toolCall.args",
        "ai.toolCall.result",
        "ai.value",
        "ai.values",
        "ai.embedding",
        "ai.embeddings",
        "ai.documents",
        "ai.ranking",
        "ai.decision",
        "ai.transcript",
    ],
    marks: &["ai."],
    ..ContentNames::NONE
};

/// Strands Agents; its messages are the events of the GenAI conventions.
pub(super) const STRANDS: ContentNames = ContentNames {
    dialect: "strands",
    names: &["gen_ai.tool.json_schema"],
    words: &["system_prompt"],
    marks: &["strands.", "event_loop."],
    ..ContentNames::NONE
};

/// Google's Agent Development Kit.
pub(super) const GOOGLE_ADK: ContentNames = ContentNames {
    dialect: "google_adk",
    names: &[
        "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.llm_response",
        "gcp.vertex.agent.tool_call_args",
        "gcp.vertex.agent.tool_response",
        "gcp.vertex.agent.data",
    ],
    marks: &["gcp.vertex.agent"],
    ..ContentNames::NONE
};

/// crewAI. It has many names, and most of them are texts; so it is the others that are listed.
pub(super) const CREW_AI: ContentNames = ContentNames {
    dialect: "crewai",
    words: &[
        "crew_inputs",
        "crew_output",
        "crew_tasks",
        "crew_agents",
        "formatted_description",
        "formatted_expected_output",
        "task_output",
    ],
    families: &[Family {
        root: "crewai.",
        parts: Parts::AllBut(&[
            "key",
            "process",
            "num_agents",
            "num_tasks",
            "usage_metrics",
            "aggregated_crew_usage_metrics",
            "call_type",
            "code",
            "retryable",
            "transport_type",
            "role",
            "type",
            "status",
            "model",
            "provider",
            "version",
            "source",
            "success",
            "truncated",
        ]),
    }],
    marks: &["crewai."],
    ..ContentNames::NONE
};

/// Haystack.
pub(super) const HAYSTACK: ContentNames = ContentNames {
    dialect: "haystack",
    names: &[
        "haystack.component.input",
        "haystack.component.output",
        "haystack.pipeline.input_data",
        "haystack.pipeline.output_data",
        "haystack.agent.input",
        "haystack.agent.output",
        "haystack.agent.tools",
        "haystack.agent.hook.compaction.summary",
        "haystack.tool.description",
        "haystack.tool.arguments",
        "haystack.tool.input",
        "haystack.tool.output",
        "haystack.tool.result",
    ],
    marks: &["haystack."],
    ..ContentNames::NONE
};

/// AutoGen; its event log writes whole calls as JSON.
pub(super) const AUTOGEN: ContentNames = ContentNames {
    dialect: "autogen",
    names: &["messaging.message.payload"],
    common_words: &["payload"],
    marks: &["autogen", "sender_agent_type", "recipient_agent_type"],
    ..ContentNames::NONE
};

/// Semantic Kernel for .NET, Python and Java, and Microsoft.Extensions.AI.
pub(super) const SEMANTIC_KERNEL: ContentNames = ContentNames {
    dialect: "semantic_kernel",
    names: &[
        "gen_ai.agent.invocation_input",
        "gen_ai.agent.invocation_output",
        "sk.available_functions",
        "semantic_kernel.function.arguments",
        "semantic_kernel.function.result",
    ],
    // What the .NET loggers call the holes of their templates.
    common_words: &[
        "Arguments",
        "Messages",
        "Prompt",
        "RenderedPrompt",
        "Response",
        "Result",
        "ResultValue",
        "FunctionResult",
        "ChatOptions",
    ],
    marks: &["semantic_kernel", "sk.", "Microsoft.SemanticKernel", "Microsoft.Extensions.AI"],
    ..ContentNames::NONE
};

/// The Microsoft Agent Framework.
pub(super) const AGENT_FRAMEWORK: ContentNames = ContentNames {
    dialect: "microsoft_agent_framework",
    names: &["workflow.definition", "executor.input", "executor.output", "message.payload"],
    marks: &["agent_framework", "Microsoft.Agents"],
    ..ContentNames::NONE
};

/// Spring AI; what its advisors log is text, see [`super::text`].
pub(super) const SPRING_AI: ContentNames = ContentNames {
    dialect: "spring_ai",
    names: &[
        "spring.ai.tool.call.arguments",
        "spring.ai.tool.call.result",
        "spring.ai.tool.definition.schema",
        "spring.ai.tool.definition.description",
        "spring.ai.chat.client.system.text",
        "spring.ai.chat.client.system.params",
        "spring.ai.chat.client.user.text",
        "spring.ai.chat.client.user.params",
        "db.vector.query.content",
        "db.vector.query.response.documents",
    ],
    events: &["gen_ai.content.prompt", "gen_ai.content.completion"],
    marks: &["spring.ai."],
    ..ContentNames::NONE
};

/// LangChain4j; its names are those of the GenAI conventions.
pub(super) const LANGCHAIN4J: ContentNames = ContentNames {
    dialect: "langchain4j",
    names: &["langchain4j.request.messages", "langchain4j.response.text"],
    marks: &["langchain4j", "dev.langchain4j"],
    ..ContentNames::NONE
};

/// Mastra.
pub(super) const MASTRA: ContentNames = ContentNames {
    dialect: "mastra",
    names: &["gen_ai.tool.input", "gen_ai.tool.output"],
    common_words: &["input", "output"],
    families: &[Family {
        root: "mastra.",
        parts: Parts::Only(&[
            "input",
            "output",
            "instructions",
            "messages",
            "prompt",
            "text",
            "object",
            "reasoning",
            "args",
            "result",
            "toolDescription",
        ]),
    }],
    marks: &["mastra."],
    ..ContentNames::NONE
};

/// LiveKit Agents.
pub(super) const LIVEKIT: ContentNames = ContentNames {
    dialect: "livekit",
    names: &[
        "lk.pii",
        "lk.user_input",
        "lk.user_transcript",
        "lk.input_text",
        "lk.chat_ctx",
        "lk.instructions",
        "lk.response.text",
        "lk.response.function_calls",
        "lk.function_tool.arguments",
        "lk.function_tool.output",
        "lk.function_tools",
        "lk.amd.transcript",
    ],
    marks: &["lk."],
    ..ContentNames::NONE
};

/// VoltAgent.
pub(super) const VOLTAGENT: ContentNames = ContentNames {
    dialect: "voltagent",
    names: &[
        "llm.messages",
        "agent.messages",
        "agent.systemPrompt",
        "agent.instructions",
        "tool.arguments",
        "tool.result",
    ],
    common_words: &["input", "output", "inputs", "outputs", "instructions"],
    families: &[Family {
        root: "voltagent.",
        parts: Parts::Only(&["input", "output", "messages", "instructions", "context"]),
    }],
    marks: &["voltagent.", "@voltagent/"],
    ..ContentNames::NONE
};
