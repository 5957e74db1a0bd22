//! GenAI dialect table: Haystack.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "haystack",
    detection: DialectSigns { beginnings: &["haystack."], ..DialectSigns::NONE },
    content: ContentNames {
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
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
