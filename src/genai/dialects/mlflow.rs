//! GenAI dialect table: MLflow.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "mlflow",
    detection: DialectSigns { beginnings: &["mlflow."], ..DialectSigns::NONE },
    content: ContentNames {
        names: &[
            "mlflow.spanInputs",
            "mlflow.spanOutputs",
            "mlflow.traceInputs",
            "mlflow.traceOutputs",
            "mlflow.chat.messages",
            "mlflow.chat.tools",
            "mlflow.llm.reasoning",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
