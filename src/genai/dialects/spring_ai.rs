//! GenAI dialect table: Spring AI; what its advisors log is text, see `content/text.rs`.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "spring_ai",
    detection: DialectSigns { beginnings: &["spring.ai."], ..DialectSigns::NONE },
    content: ContentNames {
        names: &[
            "spring.ai.tool.call.arguments",
            "spring.ai.tool.call.result",
            "spring.ai.tool.definition.schema",
            "spring.ai.tool.definition.description",
            "spring.ai.chat.client.system.text",
            "spring.ai.chat.client.system.params",
            "spring.ai.chat.client.user.text",
            "spring.ai.chat.client.user.params",
            "db.vector.query.content",
            "db.vector.query.response.documents",
        ],
        events: &["gen_ai.content.prompt", "gen_ai.content.completion"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
