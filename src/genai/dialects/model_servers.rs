//! GenAI dialect table: vLLM, SGLang, TGI and Triton: their spans have no content, their request
//! logs do, see `content/text.rs`.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "model_servers",
    detection: DialectSigns { beginnings: &["vllm.", "sglang.", "triton."], ..DialectSigns::NONE },
    content: ContentNames { words: &["generated_text", "prompt_token_ids"], ..ContentNames::NONE },
    ..Dialect::NONE
};
