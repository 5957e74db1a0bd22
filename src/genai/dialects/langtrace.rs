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
            "llm.function.prompts",
            "llm.retrieved.documents",
            "llm.documents",
            "llm.search_results",
            "llm.citations",
            "llm.tool_calls",
            "llm.tool_results",
            "llm.embedding_inputs",
            // What it calls the inputs and outputs of frameworks.
            "langchain.inputs",
            "langchain.outputs",
            "llamaindex.inputs",
            "llamaindex.outputs",
            "dspy.signature.args",
            "dspy.signature.result",
            "dspy.evaluate.args",
            "dspy.evaluate.devset",
            "dspy.evaluate.result",
            "dspy.optimizer.trainset",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
