//! GenAI dialect table: AutoGen; its event log writes whole calls as JSON.

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns};

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "autogen",
    detection: DialectSigns {
        beginnings: &["autogen", "sender_agent_type", "recipient_agent_type"],
        ..DialectSigns::NONE
    },
    content: ContentNames {
        names: &["messaging.message.payload"],
        common_words: &["payload"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
