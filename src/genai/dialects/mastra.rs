//! GenAI dialect table: Mastra.

use RuleAction::{Kind, To};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, NameFamily, NameParts, RuleAction, kind, rule,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "mastra",
    detection: DialectSigns {
        beginnings: &["mastra."],
        attributes: &["mastra.trace_id", "mastra.span_id", "gen_ai.tool.success"],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("mastra.span.type", Kind),
        rule("gen_ai.usage.cached_input_tokens", To(GenAiField::CacheReadTokens)),
    ],
    kinds: &[KindNames {
        key: "mastra.span.type",
        names: &[
            kind("llm_generation", "chat"),
            kind("model_generation", "chat"),
            kind("model_inference", "chat"),
            kind("tool_call", "execute_tool"),
            kind("mcp_tool_call", "execute_tool"),
            kind("provider_tool_call", "execute_tool"),
            kind("client_tool_call", "execute_tool"),
            kind("rag_embedding", "embeddings"),
            kind("agent_run", "invoke_agent"),
            kind("workflow_run", "invoke_workflow"),
        ],
    }],
    content: ContentNames {
        names: &["gen_ai.tool.input", "gen_ai.tool.output"],
        common_words: &["input", "output"],
        families: &[NameFamily {
            root: "mastra.",
            parts: NameParts::Only(&[
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
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
