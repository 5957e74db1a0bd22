use super::merge::{KeyMeaning, KeyTable, LISTS};
use super::*;
use crate::genai::dialect::RuleAction;
use crate::genai::normalize::field::Conventions;

fn keys() -> &'static [KeyMeaning] {
    KeyTable::of(Conventions::V1_41).keys()
}

fn known(key: &str) -> &'static KeyMeaning {
    keys().iter().find(|known| known.key == key).unwrap_or_else(|| panic!("{key}"))
}

#[test]
fn no_key_is_named_twice_and_ranks_are_unique() {
    for table in [Conventions::V1_41, Conventions::GenAi0_1].map(KeyTable::of) {
        let mut keys: Vec<&str> = table.keys().iter().map(|known| known.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), table.keys().len());
        let ranks = table.keys().iter().map(|known| known.rank).filter(|rank| *rank > 0);
        assert!(ranks.clone().count() > 100 && ranks.is_sorted_by(|one, next| one < next));
    }
    let mut prefixes: Vec<&str> = LISTS.iter().map(|known| known.list.prefix).collect();
    prefixes.sort_unstable();
    assert!(prefixes.is_sorted_by(|one, next| !next.starts_with(one)), "{prefixes:?}");
    assert!(prefixes.iter().all(|prefix| prefix.ends_with('.')));
}

#[test]
fn dialects_are_whole() {
    let mut names: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), DIALECTS.len());
    for dialect in DIALECTS {
        assert!(!dialect.name.is_empty() && !dialect.detection.beginnings.is_empty());
        for kinds in dialect.kinds {
            let action = known(kinds.key).action;
            assert!(matches!(action, RuleAction::Kind | RuleAction::Event), "{}", kinds.key);
        }
        // A kind that no table knows would mean nothing.
        for rule in dialect.rules.iter().filter(|rule| rule.action == RuleAction::Kind) {
            assert!(dialect.kinds.iter().any(|kinds| kinds.key == rule.key), "{}", rule.key);
        }
        // A name that several dialects have means one thing.
        for rule in dialect.rules {
            let known = known(rule.key);
            let is_current = matches!(known.action, RuleAction::Own(_));
            assert!(is_current || known.action == rule.action, "{}", rule.key);
            assert!(is_current || known.stays == rule.stays, "{}", rule.key);
        }
        for (key, _) in dialect.detection.values {
            assert!(known(key).is_common && known(key).shows_by_value, "{key}");
        }
        // A media type is that of a part.
        for rule in dialect.rules {
            if let RuleAction::MediaType(part) = rule.action {
                assert!(dialect.rules.iter().any(|rule| rule.action == RuleAction::Part(part)));
            }
        }
    }
}

/// Scenario: the pages that name dialects. Guarantees: each stands where content is explained, and each
/// that is mapped in the table of those.
#[test]
fn every_dialect_is_written_down() {
    let content = include_str!("../../../docs/multi_otlp.md");
    let mapped = include_str!("../../../docs/ai_context.md");
    for dialect in DIALECTS {
        let name = dialect.name;
        assert!(content.contains(&format!("`{name}`")), "{name} is not in docs/multi_otlp.md");
        let row = mapped.contains(&format!("\n| `{name}` |"));
        assert_eq!(row, dialect.is_mapped(), "{name} in docs/ai_context.md");
    }
}

/// Scenario: attributes of several dialects that say the same. Guarantees: the tier counts, then the
/// order of the list, then that of the file.
#[test]
fn of_several_that_say_the_same_one_ranks_first() {
    for keys in [
        &["llm.provider", "gen_ai.system", "llm.system"][..],
        &["llm.token_count.prompt", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"],
        &[
            "llm.token_count.prompt_details.cache_read",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.cached_tokens",
            "gen_ai.usage.input_token_details",
        ],
        &[
            "llm.invocation_parameters",
            "gen_ai.is_streaming",
            "llm.is_streaming",
            "gen_ai.request.is_stream",
            "langsmith.request.streaming",
        ],
        &[
            "traceloop.association.properties.user_id",
            "litellm.end_user.id",
            "llm.user",
            "gen_ai.user",
            "metadata.user_api_key_end_user_id",
            "metadata.user_api_key_user_id",
        ],
        &[
            "openinference.span.kind",
            "traceloop.span.kind",
            "langsmith.span.kind",
            "llm.request.type",
        ],
        &["session.id", "traceloop.association.properties.session_id"],
        &["llm.prompts", "gen_ai.prompt"],
    ] {
        assert!(keys.is_sorted_by_key(|key| known(key).rank), "{keys:?}");
    }
}

#[test]
fn spans_count_as_of_their_first_dialect() {
    let index = |name| DIALECTS.iter().position(|dialect| dialect.name == name).unwrap();
    let mut counts = DialectCounts::default();
    let of = |name| DialectSet::of(index(name));
    counts.count(of("gen_ai").and(of("traceloop")).and(of("litellm")));
    counts.count(of("gen_ai").and(of("openinference")));
    counts.count(of("gen_ai"));
    counts.count(DialectSet::NONE);
    for (name, count) in [("litellm", 1), ("openinference", 1), ("traceloop", 0), ("retyped", 1)] {
        assert_eq!(counts.of(name), count, "{name}");
    }
    assert_eq!((counts.of("gen_ai"), counts.of("mlflow"), counts.of("")), (1, 0, 0));
    assert_eq!(counts.values().sum::<u64>(), 4);
    let names: Vec<&str> = DialectCounts::names().collect();
    assert_eq!((names.first(), names.last()), (Some(&"litellm"), Some(&"retyped")));
}
