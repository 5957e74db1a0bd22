//! GenAI dialect table: Strands Agents; its messages are the events of the GenAI conventions.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "strands",
    detection: DialectSigns { beginnings: &["strands.", "event_loop."], ..DialectSigns::NONE },
    content: ContentNames {
        names: &["gen_ai.tool.json_schema"],
        words: &["system_prompt"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
