//! GenAI dialect table: LangChain4j; its names are those of the GenAI conventions.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "langchain4j",
    detection: DialectSigns {
        beginnings: &["langchain4j", "dev.langchain4j"],
        ..DialectSigns::NONE
    },
    content: ContentNames {
        names: &["langchain4j.request.messages", "langchain4j.response.text"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
