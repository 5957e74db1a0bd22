//! GenAI dialect table: OpenLIT.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "openlit",
    detection: DialectSigns { beginnings: &["openlit."], ..DialectSigns::NONE },
    content: ContentNames {
        names: &[
            "gen_ai.tool.args",
            "gen_ai.tool.arguments",
            "gen_ai.tool.input",
            "gen_ai.tool.output",
            "gen_ai.tool.result",
            "gen_ai.tool.message",
            "gen_ai.retrieval.query",
            "gen_ai.workflow.input",
            "gen_ai.workflow.output",
            "gen_ai.agent.instructions",
            "gen_ai.agent.goal",
            "gen_ai.agent.backstory",
            "gen_ai.task.description",
            "gen_ai.task.expected_output",
            "gen_ai.task.output",
            "gen_ai.guardrail.input",
            "gen_ai.guardrail.output",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
