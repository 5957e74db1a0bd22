//! GenAI dialect table: Langfuse.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "langfuse",
    detection: DialectSigns { beginnings: &["langfuse"], ..DialectSigns::NONE },
    content: ContentNames {
        names: &[
            "langfuse.observation.input",
            "langfuse.observation.output",
            "langfuse.trace.input",
            "langfuse.trace.output",
            "langfuse.experiment.item.input",
            "langfuse.experiment.item.expected_output",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
