//! Settings of policies that know what a model call is, and of those that keep what is new.

use super::adaptive_settings::max_keys;
use super::policy_settings::Settings;
use crate::condition::Condition;
use crate::config::{Node, Notes};
use crate::model::REFUSALS;
use crate::sampling::adaptive::KeyFields;
use crate::sampling::policy::{
    Field, MAX_REMEMBERED, Novelty, NoveltyConfig, PassedTests, PolicyRule, SpanTest, ValueTest,
};

/// What says that a guardrail was hit: a truth value.
const TRIGGERED: [&str; 3] =
    ["gen_ai.guardrail.triggered", "guardrail.triggered", "agent.guardrail.triggered"];
/// The same as a text, of Traceloop's gateway.
const GUARDRAIL_STATUS: &str = "gen_ai.guardrail.status";
const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// What tells traces apart where no keys are given.
const SHAPE: [&str; 6] = [
    "service.name",
    "name",
    "gen_ai.request.model",
    "gen_ai.tool.name",
    "gen_ai.response.finish_reasons",
    "error.type",
];
const DEFAULT_FINGERPRINTS: usize = 1000;
/// The keys of `rare`.
pub(super) const RARE_KEYS: [&str; 4] = ["keys", "window", "count", "max_keys"];
/// The keys of `diverse`.
pub(super) const DIVERSE_KEYS: [&str; 4] = ["keys", "window", "min_distance", "remember"];

/// A call that ended because somebody refused to answer.
pub(super) fn refusal(settings: &mut Settings<'_>) -> Option<PolicyRule> {
    let value = ValueTest::Contains(REFUSALS.map(str::to_owned).into());
    settings.span_test(SpanTest::Attribute { key: FINISH_REASONS.to_owned(), value })
}

/// A guardrail that stepped in.
pub(super) fn guardrail(settings: &mut Settings<'_>) -> Option<PolicyRule> {
    let is_true = TRIGGERED.map(|key| (key, ValueTest::Is(true)));
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let of_texts = [
        (GUARDRAIL_STATUS, ValueTest::Texts(texts(&["FAILED"]))),
        (FINISH_REASONS, ValueTest::Contains(texts(&["guardrail_intervened"]))),
    ];
    let mut rules = Vec::new();
    for (key, value) in is_true.into_iter().chain(of_texts) {
        rules.push(settings.span_test(SpanTest::Attribute { key: key.to_owned(), value })?);
    }
    Some(PolicyRule::Any(rules))
}

/// A prompt by its name, its version or both, of one span.
pub(super) fn prompt(settings: &mut Settings<'_>, node: Node<'_>) -> Option<PolicyRule> {
    let mut both = PassedTests::default();
    for (key, attribute) in [("names", "gen_ai.prompt.name"), ("versions", "gen_ai.prompt.version")]
    {
        if node.map.contains_key(key) {
            let value = ValueTest::Texts(settings.notes.texts(node, key));
            both.add(settings.test(SpanTest::Attribute { key: attribute.to_owned(), value })?);
        }
    }
    if both.is_empty() {
        settings.notes.refuse(node, "names", "allowed: a list of texts, here or in 'versions'");
        return None;
    }
    settings.span_test(SpanTest::Both(both))
}

/// The result of an evaluation, in an event of a span or in a span's attributes.
pub(super) fn evaluation(settings: &mut Settings<'_>, node: Node<'_>) -> Option<PolicyRule> {
    let notes = &mut settings.notes;
    let mut tests = Vec::new();
    for (key, compared) in [("min_score", ">="), ("max_score", "<=")] {
        if node.map.contains_key(key) {
            let bound = notes.number(node, key, (f64::MIN, f64::MAX))?;
            tests.push(has("score.value", &format!("double({{}}) {compared} {bound:?}")));
        }
    }
    if node.map.contains_key("labels") {
        tests.push(has("score.label", &format!("{{}} in {}", list(node, "labels", notes))));
    }
    if tests.is_empty() {
        let allowed = "allowed: a number, here or in 'max_score', or a list of 'labels'";
        notes.refuse(node, "min_score", allowed);
        return None;
    }
    if node.map.contains_key("evaluations") {
        tests.push(has("name", &format!("{{}} in {}", list(node, "evaluations", notes))));
    }
    let of = |item: &str| tests.join(" && ").replace("@", item);
    let text = format!("spans.exists(s, {} || s.events.exists(e, {}))", of("s"), of("e"));
    match Condition::compile(&text) {
        Ok(condition) => Some(PolicyRule::Cel(Box::new(condition))),
        Err(error) => {
            notes.problem(format!("{}: {error}", node.at));
            None
        }
    }
}

/// An expression over an attribute that has to be there; `{}` is its value, `@` who has it.
fn has(attribute: &str, test: &str) -> String {
    let key = format!("'gen_ai.evaluation.{attribute}'");
    let test = test.replace("{}", &format!("@.attributes[{key}]"));
    format!("{key} in @.attributes && {test}")
}

/// Texts as an expression has them. `@` stands for an item there.
fn list(node: Node<'_>, key: &str, notes: &mut Notes) -> String {
    let texts = notes.texts(node, key);
    if texts.iter().any(|text| text.contains(['@', '{'])) {
        notes.refuse(node, key, "allowed: texts without @ and {");
    }
    serde_json::Value::from(texts).to_string()
}

/// The first of a fingerprint in a window.
pub(super) fn rare(settings: &mut Settings<'_>, node: Node<'_>) -> Option<PolicyRule> {
    let count = settings.whole(node, "count", (1, u64::MAX), 1);
    let most = max_keys(node, "max_keys", DEFAULT_FINGERPRINTS, &mut settings.notes);
    novelty(settings, node, Novelty::Rare(count?, most?))
}

/// What is unlike all that was kept lately.
pub(super) fn diverse(settings: &mut Settings<'_>, node: Node<'_>) -> Option<PolicyRule> {
    let distance = settings.whole(node, "min_distance", (1, 32), 8);
    let remembered = settings.whole(node, "remember", (1, MAX_REMEMBERED as u64), 256);
    let distance = u32::try_from(distance?).ok()?;
    novelty(settings, node, Novelty::Diverse(distance, usize::try_from(remembered?).ok()?))
}

fn novelty(settings: &mut Settings<'_>, node: Node<'_>, novelty: Novelty) -> Option<PolicyRule> {
    let notes = &mut settings.notes;
    let names = match node.map.contains_key("keys") {
        true => notes.texts(node, "keys"),
        false => SHAPE.map(str::to_owned).into(),
    };
    let mut fields = Vec::new();
    for name in &names {
        match Field::parse(name) {
            Ok(field) => fields.push(field),
            Err(allowed) => notes.refuse(node, "keys", &format!("'{name}': {allowed}")),
        }
    }
    let window = match node.map.contains_key("window") {
        true => notes.duration(node, "window")?,
        false => std::time::Duration::from_secs(600),
    };
    if window.is_zero() {
        notes.refuse(node, "window", "allowed: a duration over 0");
    }
    let config = NoveltyConfig { fields: KeyFields::new(fields, false), novelty, window };
    Some(PolicyRule::Novel(settings.list.novelty(config)))
}

#[cfg(test)]
mod tests;
