//! GenAI dialect table: Langtrace.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "langtrace",
    detection: DialectSigns { beginnings: &["langtrace."], ..DialectSigns::NONE },
    content: ContentNames {
        names: &[
            "llm.responses",
            "llm.function.prompt",
            "llm.retrieved.documents",
            "llm.embedding_inputs",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
