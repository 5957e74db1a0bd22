//! The YAML file of `ai_sampling`: policies that flat options cannot express.

use regex::bytes::Regex;
use serde_json::Value;

use crate::codec::records::StatusCode;
use crate::condition::Condition;
use crate::config::{Node, Notes};
use crate::sampling::Threshold;
use crate::sampling::policy::{
    Policies, Policy, PolicyAction, PolicyRule, SpanTest, SpanTests, ValueTest,
};

/// How deep policies may be nested.
const MAX_DEPTH: usize = 8;
/// Labels of counters, so policies cannot have these names.
const TAKEN: [&str; 2] = ["no_trace_id", "not_sampled"];

/// The problem of too many tests of single spans.
pub(super) const TOO_MANY_TESTS: &str =
    "the policies have more than 64 tests of statuses and attributes; allowed: up to 64";

/// Policies as they are collected from options and file.
#[derive(Debug, Default)]
pub(super) struct PolicyList {
    policies: Vec<Policy>,
    tests: SpanTests,
}

impl PolicyList {
    /// A rule that asks for a span that passes the test; `None` when there are too many tests.
    pub(super) fn span_test(&mut self, test: SpanTest) -> Option<PolicyRule> {
        self.tests.add(test).map(PolicyRule::SpanTest)
    }

    /// Adds a policy that keeps traces.
    pub(super) fn keep(&mut self, name: &str, rule: PolicyRule) {
        self.push(name, rule, PolicyAction::Keep);
    }

    /// Adds a policy; a name that is there already gets a number.
    fn push(&mut self, name: &str, rule: PolicyRule, action: PolicyAction) {
        let is_free = |name: &str| self.policies.iter().all(|policy| policy.name != name);
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let name = std::iter::once(name.to_owned()).chain(numbered).find(|name| is_free(name));
        self.policies.push(Policy { name: name.unwrap_or_default(), rule, action });
    }

    /// Whether there is no policy at all.
    pub(super) const fn has_none(&self) -> bool {
        self.policies.is_empty()
    }

    /// Whether no policy keeps anything.
    pub(super) fn is_empty(&self) -> bool {
        self.policies.iter().all(|policy| policy.action == PolicyAction::Drop)
    }

    /// The policies.
    pub(super) fn finish(self) -> Policies {
        Policies::new(self.policies, self.tests)
    }
}

/// Reads the section `policies` of the file into the list, and notes every mistake in it.
pub(super) fn read(root: Node<'_>, list: &mut PolicyList) -> Notes {
    let mut walk = Walk { notes: Notes::default(), list };
    for (index, policy) in walk.notes.list(root, "policies").iter().enumerate() {
        walk.policy(policy, &format!("policies[{index}]"));
    }
    walk.notes
}

struct Walk<'l> {
    notes: Notes,
    list: &'l mut PolicyList,
}

impl Walk<'_> {
    fn policy(&mut self, value: &Value, at: &str) {
        let Value::Object(map) = value else {
            self.notes.problem(format!("{at} must be a map with 'name' and 'type'"));
            return;
        };
        let node = Node { map, at };
        let name = self.notes.text(node, "name").unwrap_or_default();
        if name.is_empty() || TAKEN.contains(&name.as_str()) {
            self.notes.refuse(
                node,
                "name",
                "allowed: a text other than no_trace_id and not_sampled",
            );
        }
        if self.list.policies.iter().any(|policy| policy.name == name) {
            self.notes.refuse(node, "name", "allowed: a name that no other policy has");
        }
        if let Some((rule, action)) = self.rule(node, 0) {
            self.list.push(&name, rule, action);
        }
    }

    /// The rules under `policies` of an `and` or `drop`.
    fn rules(&mut self, node: Node<'_>, depth: usize) -> Vec<PolicyRule> {
        let values = self.notes.list(node, "policies");
        if values.is_empty() {
            self.notes.refuse(node, "policies", "allowed: a list of at least one policy");
        }
        let mut rules = Vec::new();
        for (index, value) in values.iter().enumerate() {
            rules.extend(self.inner(value, &format!("{}.policies[{index}]", node.at), depth));
        }
        rules
    }

    fn inner(&mut self, value: &Value, at: &str, depth: usize) -> Option<PolicyRule> {
        let Value::Object(map) = value else {
            self.notes.problem(format!("{at} must be a map with 'type'"));
            return None;
        };
        self.rule(Node { map, at }, depth).map(|(rule, _)| rule)
    }

    /// A policy's rule, and what becomes of the traces that it matches. Inside other policies there are none
    /// that drop.
    fn rule(&mut self, node: Node<'_>, depth: usize) -> Option<(PolicyRule, PolicyAction)> {
        if depth > MAX_DEPTH {
            self.notes.problem(format!("{} is nested deeper than {MAX_DEPTH} levels", node.at));
            return None;
        }
        let kind = self.notes.text(node, "type")?;
        let types =
            POLICY_TYPES.iter().filter(|policy| depth == 0 || policy.action == PolicyAction::Keep);
        let Some(policy) = types.clone().find(|policy| policy.name == kind) else {
            let names: Vec<&str> = types.map(|policy| policy.name).collect();
            self.notes.refuse(node, "type", &format!("allowed: {}", names.join(", ")));
            return None;
        };
        let all: Vec<&str> = ["name", "type"].iter().chain(policy.keys).copied().collect();
        self.notes.known(node, &all);
        Some(((policy.read)(self, node, depth)?, policy.action))
    }

    fn probability(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let percentage = self.notes.number(node, "sampling_percentage", (0.0, 100.0))?;
        Some(PolicyRule::Probability(Threshold::from_percentage(percentage)))
    }

    fn latency(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let upper = match node.map.get("upper_threshold") {
            Some(_) => Some(self.notes.duration(node, "upper_threshold")?),
            None => None,
        };
        let lower = self.notes.duration(node, "threshold")?;
        if upper.is_some_and(|upper| upper <= lower) {
            self.notes.refuse(node, "upper_threshold", "allowed: more than 'threshold'");
        }
        Some(PolicyRule::Latency(lower, upper))
    }

    fn cel(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let text = self.notes.text(node, "expression")?;
        match Condition::compile(&text) {
            Ok(condition) => Some(PolicyRule::Cel(Box::new(condition))),
            Err(error) => {
                self.notes.refuse(node, "expression", &error.to_string());
                None
            }
        }
    }

    fn drop(&mut self, node: Node<'_>, depth: usize) -> PolicyRule {
        let rules = self.rules(node, depth + 1);
        if rules.iter().any(PolicyRule::is_probabilistic) {
            self.notes.refuse(node, "policies", "a drop policy cannot be probabilistic");
        }
        PolicyRule::All(rules)
    }

    fn not(&mut self, node: Node<'_>, depth: usize) -> Option<PolicyRule> {
        let Some(value) = node.map.get("policy") else {
            self.notes.refuse(node, "policy", "it is missing");
            return None;
        };
        let rule = self.inner(value, &format!("{}.policy", node.at), depth + 1)?;
        if rule.is_probabilistic() {
            self.notes.refuse(node, "policy", "a 'not' cannot be probabilistic");
        }
        Some(PolicyRule::Not(Box::new(rule)))
    }

    fn status(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let mut statuses = Vec::new();
        for text in self.notes.texts(node, "status_codes") {
            match text.to_ascii_lowercase().as_str() {
                "error" => statuses.push(StatusCode::Error),
                "ok" => statuses.push(StatusCode::Ok),
                "unset" => statuses.push(StatusCode::Unset),
                _ => self.notes.refuse(node, "status_codes", "allowed: error, ok, unset"),
            }
        }
        self.span_test(SpanTest::Status(statuses))
    }

    fn trace_state(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        let key = self.notes.text(node, "key")?;
        if key.is_empty() || key.contains(['=', ',', ' ']) {
            self.notes.refuse(node, "key", "allowed: the key of a member of the W3C tracestate");
            return None;
        }
        let values = match node.map.get("values") {
            Some(_) => self.notes.texts(node, "values"),
            None => Vec::new(),
        };
        self.span_test(SpanTest::TraceState { key, values })
    }

    fn number_test(&mut self, node: Node<'_>) -> Option<ValueTest> {
        let mut bound = |name: &str, default: f64| match node.map.get(name) {
            Some(_) => self.notes.number(node, name, (f64::MIN, f64::MAX)),
            None => Some(default),
        };
        let (low, high) = (bound("min", f64::MIN), bound("max", f64::MAX));
        low.zip(high).map(|(low, high)| ValueTest::Between(low, high))
    }

    fn flag_test(&mut self, node: Node<'_>) -> Option<ValueTest> {
        self.notes.flag(node, "value", true).map(ValueTest::Is)
    }

    fn attribute(
        &mut self,
        node: Node<'_>,
        test: fn(&mut Self, Node<'_>) -> Option<ValueTest>,
    ) -> Option<PolicyRule> {
        let key = self.notes.text(node, "key");
        let value = test(self, node);
        let invert = self.notes.flag(node, "invert_match", false)?;
        let rule = self.span_test(SpanTest::Attribute { key: key?, value: value? })?;
        Some(if invert { PolicyRule::Not(Box::new(rule)) } else { rule })
    }

    fn text_test(&mut self, node: Node<'_>) -> Option<ValueTest> {
        let texts = self.notes.texts(node, "values");
        if !self.notes.flag(node, "regex", false)? {
            return Some(ValueTest::Texts(texts));
        }
        let mut patterns = Vec::new();
        for text in texts {
            match Regex::new(&text) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => self.notes.refuse(node, "values", &error.to_string()),
            }
        }
        Some(ValueTest::Matches(patterns))
    }

    fn span_test(&mut self, test: SpanTest) -> Option<PolicyRule> {
        let rule = self.list.span_test(test);
        if rule.is_none() {
            self.notes.problem(TOO_MANY_TESTS.to_owned());
        }
        rule
    }
}

/// A type of policies: a row without a reader does not compile.
struct PolicyType {
    name: &'static str,
    /// The keys that it has beside `name` and `type`.
    keys: &'static [&'static str],
    /// What becomes of the traces that it matches.
    action: PolicyAction,
    /// Reads a policy; the number is how deep it is nested.
    read: fn(&mut Walk<'_>, Node<'_>, usize) -> Option<PolicyRule>,
}

const fn policy_type(
    name: &'static str,
    keys: &'static [&'static str],
    read: fn(&mut Walk<'_>, Node<'_>, usize) -> Option<PolicyRule>,
) -> PolicyType {
    PolicyType { name, keys, action: PolicyAction::Keep, read }
}

const POLICY_TYPES: [PolicyType; 13] = [
    policy_type("always_sample", &[], |_, _, _| Some(PolicyRule::Always)),
    policy_type("status_code", &["status_codes"], |walk, node, _| walk.status(node)),
    policy_type("error", &[], |walk, _, _| walk.span_test(SpanTest::Failure)),
    policy_type("trace_state", &["key", "values"], |walk, node, _| walk.trace_state(node)),
    policy_type("latency", &["threshold", "upper_threshold"], |walk, node, _| walk.latency(node)),
    policy_type(
        "string_attribute",
        &["key", "values", "regex", "invert_match"],
        |walk, node, _| walk.attribute(node, Walk::text_test),
    ),
    policy_type("numeric_attribute", &["key", "min", "max", "invert_match"], |walk, node, _| {
        walk.attribute(node, Walk::number_test)
    }),
    policy_type("boolean_attribute", &["key", "value", "invert_match"], |walk, node, _| {
        walk.attribute(node, Walk::flag_test)
    }),
    policy_type("probabilistic", &["sampling_percentage"], |walk, node, _| walk.probability(node)),
    policy_type("cel", &["expression"], |walk, node, _| walk.cel(node)),
    policy_type("and", &["policies"], |walk, node, depth| {
        Some(PolicyRule::All(walk.rules(node, depth + 1)))
    }),
    policy_type("not", &["policy"], |walk, node, depth| walk.not(node, depth)),
    PolicyType {
        action: PolicyAction::Drop,
        ..policy_type("drop", &["policies"], |walk, node, depth| Some(walk.drop(node, depth)))
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Policies, Vec<String>) {
        let mut list = PolicyList::default();
        let root: Value = serde_saphyr::from_str(text).unwrap();
        let notes = read(Node { map: root.as_object().unwrap(), at: "" }, &mut list);
        (list.finish(), notes.finish())
    }

    #[test]
    fn every_type_of_policy_is_read() {
        let (policies, problems) = parsed(
            r#"
policies:
  - {name: all, type: always_sample}
  - {name: failed, type: status_code, status_codes: [ERROR, unset]}
  - {name: slow, type: latency, threshold: 5s, upper_threshold: 1m}
  - {name: model, type: string_attribute, key: gen_ai.request.model, values: ["^gpt-"], regex: true}
  - {name: tokens, type: numeric_attribute, key: gen_ai.usage.input_tokens, min: 1000}
  - {name: cached, type: boolean_attribute, key: cached, value: true, invert_match: true}
  - {name: some, type: probabilistic, sampling_percentage: 10}
  - {name: many, type: cel, expression: 'size(spans) > 100'}
  - {name: broken, type: error}
  - {name: vendor, type: trace_state, key: vendor, values: [a, b]}
  - name: both
    type: and
    policies:
      - {type: status_code, status_codes: [error]}
      - {type: not, policy: {type: latency, threshold: 1}}
  - name: health
    type: drop
    policies:
      - {type: string_attribute, key: url.path, values: [/health]}
"#,
        );
        assert_eq!(problems, [""; 0]);
        let names: Vec<&str> = policies.list().iter().map(|policy| policy.name.as_str()).collect();
        let all = [
            "all", "failed", "slow", "model", "tokens", "cached", "some", "many", "broken",
            "vendor", "both", "health",
        ];
        assert_eq!(names, all);
        assert_eq!(policies.list()[11].action, PolicyAction::Drop);
        assert!(matches!(&policies.list()[5].rule, PolicyRule::Not(_)));
        assert!(matches!(&policies.list()[10].rule, PolicyRule::All(rules) if rules.len() == 2));
    }

    /// Scenario: the example file, with what is commented out in it, and the guide. Guarantees: each
    /// type of policy is in both, and the file as a whole is right.
    #[test]
    fn every_type_of_policy_has_an_example_and_a_row() {
        let example =
            include_str!("../../../fluent-bit-conf/policies.yaml").replace("\n#  ", "\n  ");
        let guide = include_str!("../../../docs/ai_sampling.md");
        let (policies, problems) = parsed(&example);
        assert_eq!(problems, [""; 0]);
        assert!(policies.list().len() >= POLICY_TYPES.len(), "{policies:?}");
        for name in POLICY_TYPES.iter().map(|policy| policy.name) {
            assert!(example.contains(&format!("type: {name}")), "no example of {name}");
            assert!(guide.contains(&format!("\n| `{name}` |")), "no row for {name}");
        }
    }

    #[test]
    fn every_mistake_is_reported_with_its_place() {
        let (_, problems) = parsed(
            r#"
policies:
  - {name: a, type: latncy}
  - {name: a, type: latency}
  - {type: probabilistic, sampling_percentage: 120}
  - {name: c, type: cel, expression: 'size(spans'}
  - {name: d, type: string_attribute, key: k, values: ['('], regex: true}
  - {name: number, type: cel, expression: 'size(spans) + 1'}
  - {name: state, type: trace_state, key: 'a=b'}
  - {name: e, type: not, policy: {type: probabilistic, sampling_percentage: 1}}
  - {name: f, type: and, policies: []}
  - 5
"#,
        );
        let all = problems.join("\n");
        for part in [
            r#"policies[0].type: "latncy" is not allowed; allowed: always_sample"#,
            "policies[1].threshold: nothing",
            "policies[2].name: nothing",
            "policies[2].sampling_percentage: 120",
            "policies[3].expression",
            "policies[4].values",
            "policies[5].expression: \"size(spans) + 1\" is not allowed; line 1, column",
            "policies[6].key: \"a=b\"",
            "policies[7].policy",
            "policies[8].policies",
            "policies[9] must be a map",
        ] {
            assert!(all.contains(part), "{part} in\n{all}");
        }
    }

    #[test]
    fn policies_nest_to_a_bounded_depth() {
        let inner = (0..20).fold("{type: always_sample}".to_owned(), |inner, _| {
            format!("{{type: and, policies: [{inner}]}}")
        });
        let (_, problems) = parsed(&format!("policies: [{{name: x, type: not, policy: {inner}}}]"));
        assert!(problems[0].ends_with("is nested deeper than 8 levels"), "{problems:?}");
        assert_eq!(parsed("policies: {}").1, ["policies: {} is not allowed; allowed: a list"]);
    }
}
