//! GenAI dialect table: Strands Agents; its messages are the events of the GenAI conventions.

use RuleAction::To;

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, RuleAction, rule};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "strands",
    detection: DialectSigns {
        beginnings: &["strands.", "event_loop."],
        attributes: &[
            "event_loop.cycle_id",
            "gen_ai.event.start_time",
            "gen_ai.event.end_time",
            "gen_ai.agent.tools",
            "gen_ai.tool.status",
        ],
        ..DialectSigns::NONE
    },
    rules: &[rule("gen_ai.usage.cache_write_input_tokens", To(GenAiField::CacheCreationTokens))],
    content: ContentNames {
        names: &["gen_ai.tool.json_schema"],
        words: &["system_prompt"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
