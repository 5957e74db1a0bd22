//! GenAI dialect table: vLLM, SGLang, TensorRT-LLM, TGI and Triton: their spans have no content,
//! their request logs do, see `content/text.rs`.

use RuleAction::To;

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, RuleAction, rule};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "model_servers",
    detection: DialectSigns {
        beginnings: &["vllm.", "sglang.", "triton.", "trt.llm"],
        attributes: &[
            "gen_ai.latency.time_to_first_token",
            "gen_ai.latency.e2e",
            "gen_ai.latency.time_in_queue",
            "gen_ai.latency.time_in_model_prefill",
            "gen_ai.latency.time_in_model_decode",
            "gen_ai.latency.time_in_model_inference",
            "gen_ai.latency.time_in_scheduler",
            "gen_ai.latency.time_in_model_forward",
            "gen_ai.latency.time_in_model_execute",
            "gen_ai.latency.kv_cache_transfer_time",
            "gen_ai.usage.num_sequences",
        ],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("gen_ai.request.id", To(GenAiField::ResponseId)),
        rule("triton.model_name", To(GenAiField::RequestModel)),
    ],
    serves_models: true,
    content: ContentNames { words: &["generated_text", "prompt_token_ids"], ..ContentNames::NONE },
    ..Dialect::NONE
};
