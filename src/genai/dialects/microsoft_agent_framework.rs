//! GenAI dialect table: The Microsoft Agent Framework.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "microsoft_agent_framework",
    detection: DialectSigns {
        beginnings: &["agent_framework", "Microsoft.Agents"],
        ..DialectSigns::NONE
    },
    content: ContentNames {
        names: &["workflow.definition", "executor.input", "executor.output", "message.payload"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
