//! GenAI dialect table: Braintrust.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "braintrust",
    detection: DialectSigns { beginnings: &["braintrust."], ..DialectSigns::NONE },
    content: ContentNames {
        names: &[
            "braintrust.input",
            "braintrust.input_json",
            "braintrust.output",
            "braintrust.output_json",
            "braintrust.expected",
            "braintrust.expected_json",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
