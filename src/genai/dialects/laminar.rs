//! GenAI dialect table: Laminar.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "laminar",
    detection: DialectSigns { beginnings: &["lmnr."], ..DialectSigns::NONE },
    content: ContentNames {
        names: &["lmnr.span.input", "lmnr.span.output", "lmnr.span.prompt", "lmnr.span.messages"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
