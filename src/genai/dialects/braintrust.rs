//! GenAI dialect table: Braintrust.

use RuleAction::{Details, Kind, Parameters, Part};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, PartMeaning, RuleAction, SpanPart, kind, rule,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "braintrust",
    detection: DialectSigns {
        beginnings: &["braintrust."],
        attributes: &["braintrust.parent", "braintrust.context_json"],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("braintrust.span_attributes", Kind),
        rule(
            "braintrust.metrics",
            Details(&[
                ("prompt_tokens", GenAiField::InputTokens),
                ("completion_tokens", GenAiField::OutputTokens),
                ("prompt_cached_tokens", GenAiField::CacheReadTokens),
                ("prompt_cache_creation_tokens", GenAiField::CacheCreationTokens),
                ("completion_reasoning_tokens", GenAiField::ReasoningTokens),
            ]),
        ),
        rule("braintrust.metadata", Parameters),
        rule("braintrust.input_json", Part(SpanPart::Input)),
        rule("braintrust.output_json", Part(SpanPart::Output)),
        rule("braintrust.input", Part(SpanPart::Input)).tier(1),
        rule("braintrust.output", Part(SpanPart::Output)).tier(1),
    ],
    kinds: &[KindNames {
        key: "braintrust.span_attributes",
        names: &[
            kind("llm", "chat").with(PartMeaning::CONVERSATION),
            kind("tool", "execute_tool").with(PartMeaning::TOOL_CALL),
        ],
    }],
    content: ContentNames {
        names: &[
            "braintrust.input",
            "braintrust.input_json",
            "braintrust.output",
            "braintrust.output_json",
            "braintrust.expected",
            "braintrust.expected_json",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
