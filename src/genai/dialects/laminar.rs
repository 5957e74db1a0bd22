//! GenAI dialect table: Laminar.

use RuleAction::{ApiBase, Kind, Part, To};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, PartMeaning, RuleAction, SpanPart, kind, rule,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "laminar",
    detection: DialectSigns { beginnings: &["lmnr."], ..DialectSigns::NONE },
    rules: &[
        rule("lmnr.span.type", Kind),
        rule("lmnr.span.input", Part(SpanPart::Input)),
        rule("lmnr.span.output", Part(SpanPart::Output)),
        rule("lmnr.association.properties.session_id", To(GenAiField::ConversationId)),
        rule("lmnr.association.properties.user_id", To(GenAiField::UserId)),
        rule("gen_ai.request.base_url", ApiBase),
    ],
    kinds: &[KindNames {
        key: "lmnr.span.type",
        names: &[
            kind("LLM", "chat").of_any_model().with(PartMeaning::CONVERSATION),
            kind("TOOL", "execute_tool").with(PartMeaning::TOOL_CALL),
        ],
    }],
    content: ContentNames {
        names: &["lmnr.span.input", "lmnr.span.output", "lmnr.span.prompt", "lmnr.span.messages"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
