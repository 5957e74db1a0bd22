//! GenAI dialect table: Semantic Kernel for .NET, Python and Java, and Microsoft.Extensions.AI.

use RuleAction::{To, ToolNames};

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, RuleAction, rule};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "semantic_kernel",
    detection: DialectSigns {
        beginnings: &[
            "semantic_kernel",
            "sk.",
            "Microsoft.SemanticKernel",
            "Microsoft.Extensions.AI",
        ],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("sk.available_functions", ToolNames),
        // Of the SDK for Java.
        rule("semantic_kernel.function.invocation.name", To(GenAiField::ToolName)),
    ],
    tool_sign: Some(GenAiField::ToolName),
    content: ContentNames {
        names: &[
            "gen_ai.agent.invocation_input",
            "gen_ai.agent.invocation_output",
            "sk.available_functions",
            "semantic_kernel.function.arguments",
            "semantic_kernel.function.result",
        ],
        // What the .NET loggers call the holes of their templates.
        common_words: &[
            "Arguments",
            "Messages",
            "Prompt",
            "RenderedPrompt",
            "Response",
            "Result",
            "ResultValue",
            "FunctionResult",
            "ChatOptions",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
