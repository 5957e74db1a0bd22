//! Content names of platforms' SDKs and of model servers.

use super::{ContentNames, Family, Parts};

/// LangSmith's OpenTelemetry export, and LangGraph.
pub(super) const LANGSMITH: ContentNames = ContentNames {
    dialect: "langsmith",
    names: &[
        "gen_ai.prompt",
        "gen_ai.completion",
        "gen_ai.tools",
        "gen_ai.serialized",
        "langsmith.inputs",
        "langsmith.outputs",
        "langsmith.prompt",
        "langsmith.completion",
    ],
    marks: &["langsmith."],
    ..ContentNames::NONE
};

/// Langfuse.
pub(super) const LANGFUSE: ContentNames = ContentNames {
    dialect: "langfuse",
    names: &[
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.trace.input",
        "langfuse.trace.output",
        "langfuse.experiment.item.input",
        "langfuse.experiment.item.expected_output",
    ],
    marks: &["langfuse"],
    ..ContentNames::NONE
};

/// MLflow.
pub(super) const MLFLOW: ContentNames = ContentNames {
    dialect: "mlflow",
    names: &[
        "mlflow.spanInputs",
        "mlflow.spanOutputs",
        "mlflow.traceInputs",
        "mlflow.traceOutputs",
        "mlflow.chat.messages",
        "mlflow.chat.tools",
        "mlflow.llm.reasoning",
    ],
    marks: &["mlflow."],
    ..ContentNames::NONE
};

/// Logfire and Pydantic AI.
pub(super) const LOGFIRE: ContentNames = ContentNames {
    dialect: "pydantic_ai_logfire",
    names: &[
        "pydantic_ai.all_messages",
        "pydantic_ai.new_messages",
        "pydantic_ai.final_result",
        "pydantic_ai.instructions",
    ],
    words: &[
        "all_messages_events",
        "tool_arguments",
        "tool_response",
        "final_result",
        "model_request_parameters",
        "request_data",
        "response_data",
    ],
    common_words: &["events"],
    marks: &["pydantic_ai", "pydantic-ai", "logfire"],
    ..ContentNames::NONE
};

/// DeepEval and Confident AI.
pub(super) const DEEPEVAL: ContentNames = ContentNames {
    dialect: "deepeval",
    families: &[Family {
        root: "confident.",
        parts: Parts::Only(&[
            "input",
            "output",
            "inputs",
            "outputs",
            "expected_output",
            "context",
            "retrieval_context",
            "prompt",
            "prompt_template",
            "messages",
            "description",
            "input_parameters",
            "output_parameters",
            "tools_called",
            "expected_tools",
            "reasoning",
        ]),
    }],
    marks: &["confident."],
    ..ContentNames::NONE
};

/// Braintrust.
pub(super) const BRAINTRUST: ContentNames = ContentNames {
    dialect: "braintrust",
    names: &[
        "braintrust.input",
        "braintrust.input_json",
        "braintrust.output",
        "braintrust.output_json",
        "braintrust.expected",
        "braintrust.expected_json",
    ],
    marks: &["braintrust."],
    ..ContentNames::NONE
};

/// Laminar.
pub(super) const LAMINAR: ContentNames = ContentNames {
    dialect: "laminar",
    names: &["lmnr.span.input", "lmnr.span.output", "lmnr.span.prompt", "lmnr.span.messages"],
    marks: &["lmnr."],
    ..ContentNames::NONE
};

/// Azure AI Foundry's projects and agents SDKs.
pub(super) const AZURE_AI_FOUNDRY: ContentNames = ContentNames {
    dialect: "azure_ai_foundry",
    names: &[
        "gen_ai.event.content",
        "gen_ai.request.structured_inputs",
        "gen_ai.request.tools",
        "gen_ai.request.response_format",
    ],
    events: &[
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system.instructions",
        "gen_ai.workflow.action",
        "gen_ai.conversation.item",
        "gen_ai.agent.workflow",
    ],
    marks: &["az.ai.", "azure.ai."],
    ..ContentNames::NONE
};

/// vLLM, SGLang, TGI and Triton: their spans have no content, their request logs do, see
/// [`super::text`].
pub(super) const MODEL_SERVERS: ContentNames = ContentNames {
    dialect: "model_servers",
    words: &["generated_text", "prompt_token_ids"],
    marks: &["vllm.", "sglang.", "triton."],
    ..ContentNames::NONE
};

/// Amazon Bedrock AgentCore: the spans are those of the agent's framework.
pub(super) const AGENTCORE: ContentNames = ContentNames {
    dialect: "aws_bedrock_agentcore",
    names: &["aws.bedrock.invocation.input", "aws.bedrock.invocation.output"],
    marks: &["aws.bedrock.", "aws.agentcore.", "aws.genai."],
    ..ContentNames::NONE
};
