//! GenAI dialect table: Haystack.

use RuleAction::{Replies, To};

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, RuleAction, rule};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "haystack",
    detection: DialectSigns {
        beginnings: &["haystack."],
        attributes: &[
            "haystack.component.type",
            "haystack.component.name",
            "haystack.agent.steps_taken",
        ],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("haystack.tool.name", To(GenAiField::ToolName)),
        rule("haystack.tool.call.id", To(GenAiField::ToolCallId)),
        rule("haystack.tool.description", To(GenAiField::ToolDescription)),
        rule("haystack.component.output", Replies),
        rule("haystack.agent.step.llm.output", Replies),
        rule("haystack.agent.step.tool.input", To(GenAiField::ToolArguments)),
        rule("haystack.agent.step.tool.output", To(GenAiField::ToolResult)),
    ],
    // Spans of who confirms a tool have its name, too.
    tool_sign: Some(GenAiField::ToolDescription),
    content: ContentNames {
        names: &[
            "haystack.component.input",
            "haystack.component.output",
            "haystack.pipeline.input_data",
            "haystack.pipeline.output_data",
            "haystack.agent.input",
            "haystack.agent.output",
            "haystack.agent.tools",
            "haystack.agent.step.llm.input",
            "haystack.agent.step.llm.output",
            "haystack.agent.step.tool.input",
            "haystack.agent.step.tool.output",
            "haystack.agent.hook.compaction.summary",
            "haystack.agent.hook.human_in_the_loop.strategy.input",
            "haystack.agent.hook.human_in_the_loop.strategy.output",
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
