//! GenAI dialect table: crewAI. It has many names, and most of them are texts; so it is the others
//! that are listed.

use RuleAction::To;

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, NameFamily, NameParts, RuleAction, rule,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "crewai",
    detection: DialectSigns {
        beginnings: &["crewai."],
        attributes: &[
            "crewai.crew.id",
            "crewai.crew.key",
            "crewai.task.id",
            "crewai.llm.call_id",
            "crewai.flow.id",
        ],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("crewai.agent.role", To(GenAiField::AgentName)).tier(1),
        rule("crewai.mcp.tool_name", To(GenAiField::ToolName)).tier(1),
        rule("crewai.crew.name", To(GenAiField::WorkflowName)).tier(1),
    ],
    content: ContentNames {
        words: &[
            "crew_inputs",
            "crew_output",
            "crew_tasks",
            "crew_agents",
            "formatted_description",
            "formatted_expected_output",
            "task_output",
        ],
        families: &[NameFamily {
            root: "crewai.",
            parts: NameParts::AllBut(&[
                "key",
                "process",
                "num_agents",
                "num_tasks",
                "usage_metrics",
                "aggregated_crew_usage_metrics",
                "call_type",
                "code",
                "retryable",
                "transport_type",
                "role",
                "type",
                "status",
                "model",
                "provider",
                "version",
                "source",
                "success",
                "truncated",
            ]),
        }],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
