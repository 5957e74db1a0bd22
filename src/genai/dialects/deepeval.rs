//! GenAI dialect table: DeepEval and Confident AI.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, NameFamily, NameParts};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "deepeval",
    detection: DialectSigns { beginnings: &["confident."], ..DialectSigns::NONE },
    content: ContentNames {
        families: &[NameFamily {
            root: "confident.",
            parts: NameParts::Only(&[
                "input",
                "output",
                "inputs",
                "outputs",
                "expected_output",
                "context",
                "retrieval_context",
                "prompt",
                "prompt_template",
                "messages",
                "description",
                "input_parameters",
                "output_parameters",
                "tools_called",
                "expected_tools",
                "reasoning",
            ]),
        }],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
