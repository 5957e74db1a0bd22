//! What the section `policies` means, and how its mistakes are told.

use super::*;
use crate::sampling::policy::Policies;

mod arrivals;

fn parsed(text: &str) -> (Policies, Vec<String>) {
    let mut list = PolicyList::default();
    let root: Value = serde_saphyr::from_str(text).unwrap();
    let node = Node { map: root.as_object().unwrap(), at: "" };
    let notes = read(node, Layout::Flat, &mut list);
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
        "all", "failed", "slow", "model", "tokens", "cached", "some", "many", "broken", "vendor",
        "both", "health",
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
        include_str!("../../../../../fluent-bit-conf/policies.yaml").replace("\n#  ", "\n  ");
    let guide = include_str!("../../../../../docs/ai_sampling.md");
    let (policies, problems) = parsed(&example);
    assert_eq!(problems, [""; 0]);
    assert!(policies.list().len() + 1 >= POLICY_TYPES.len(), "{policies:?}");
    let ours = POLICY_TYPES.iter().filter(|policy| policy.flat.is_some());
    for name in ours.map(|policy| policy.name) {
        assert!(example.contains(&format!("type: {name}")), "no example of {name}");
        assert!(guide.contains(&format!("\n| `{name}` |")), "no row for {name}");
    }
}

/// Guarantees: the page that compares samplers has every type of policy, of ours and of the Collector's, and each key of
/// the Collector's; and the guide says of each of ours what is known of it before the end.
#[test]
fn every_type_of_policy_is_compared() {
    let page = include_str!("../../../../../docs/SAMPLERS.md");
    let guide = include_str!("../../../../../docs/ai_sampling.md");
    let of_early =
        guide.split("\n## ").find(|section| section.starts_with("Early decisions")).unwrap();
    let lacks = |text: &'static str| move |name: &&str| !text.contains(&format!("`{name}`"));
    let types = || POLICY_TYPES.iter().map(|policy| policy.name);
    let keys = POLICY_TYPES.iter().filter_map(|policy| policy.collector).flat_map(|form| form.keys);
    assert_eq!(types().filter(lacks(page)).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(keys.copied().filter(lacks(page)).collect::<Vec<_>>(), [""; 0]);
    let ours = POLICY_TYPES.iter().filter(|policy| policy.flat.is_some());
    let ours = ours.filter(|policy| policy.place != Place::TopDrops).map(|policy| policy.name);
    assert_eq!(ours.filter(lacks(of_early)).collect::<Vec<_>>(), [""; 0]);
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
fn mistakes_in_limits_and_combinations_are_reported_with_their_place() {
    let (_, problems) = parsed(
        "
policies:
  - {name: g, type: span_count}
  - {name: h, type: span_count, min_spans: 5, max_spans: 4}
  - {name: i, type: not, policy: {type: rate_limiting, spans_per_second: 5}}
  - {name: j, type: or, policies: [{type: bytes_limiting, bytes_per_second: 5}]}
  - {name: k, type: tokens}
  - {name: l, type: cost, min: 0}
  - {name: m, type: numeric_attribute, key: k, min: 2, max: 1}
  - {name: n, type: numeric_attribute, key: k}
  - {name: o, type: and, policies: [{type: composite}]}
  - {name: p, type: ottl_condition, span: [x]}
  - name: q
    type: composite
    max_total_spans_per_second: 10
    policy_order: [a, c]
    policies: [{name: a, type: always_sample}, {name: b, type: always_sample}]
    rate_allocation: [{policy: b, percent: 10}]
  - {name: r, type: rate_limiting}
",
    );
    let all = problems.join("\n");
    for part in [
        "policies[0].min_spans: nothing is not allowed",
        "policies[1].max_spans: 4 is not allowed; allowed: not less than 'min_spans'",
        "policies[2].policy: {",
        "a 'not' cannot have a limit",
        "policies[3].policies",
        "an 'or' cannot have a limit",
        "policies[4].min_total: nothing",
        "policies[5].min: 0",
        "policies[6].max: 1",
        "policies[7].min: nothing",
        "policies[8].policies[0].type: \"composite\"",
        "policies[9].type: \"ottl_condition\"",
        "policies[10].rate_allocation[0].policy: \"b\"",
        "policies[10].policy_order: [\"a\",\"c\"]",
        "policies[11].spans_per_second: nothing",
    ] {
        assert!(all.contains(part), "{part} in\n{all}");
    }
}

/// Guarantees: limits hold two seconds' worth where no burst is given; the shares of a composite are
/// those of its allocation, and what is left is for the others.
#[test]
fn limits_and_shares_are_what_the_file_says() {
    let mut list = PolicyList::default();
    let text = "
policies:
  - {name: spans, type: rate_limiting, spans_per_second: 35}
  - {name: bytes, type: bytes_limiting, bytes_per_second: 1000, burst_capacity: 5000}
  - name: shared
    type: composite
    max_total_spans_per_second: 1000
    policy_order: [c, a, b]
    policies: [{name: a, type: always_sample}, {name: b, type: error}, {name: c, type: trace_flags}]
    rate_allocation: [{policy: a, percent: 50}, {policy: c, percent: 30}]
";
    let root: Value = serde_saphyr::from_str(text).unwrap();
    let node = Node { map: root.as_object().unwrap(), at: "" };
    assert_eq!(read(node, Layout::Flat, &mut list).finish(), [""; 0]);
    let limit = |rate, burst| Limit { rate, burst };
    let shares = [300.0, 500.0, 200.0, 1000.0].map(|rate| limit(rate, rate));
    let all = [&[limit(35.0, 70.0), limit(1000.0, 5000.0)], &shares[..]].concat();
    assert_eq!(list.limits(), all);
    let policies = list.finish();
    let PolicyRule::Composite(composite) = &policies.list()[2].rule else { panic!("{policies:?}") };
    assert!(matches!(composite.rules[1], PolicyRule::Always), "in the order that is given");
    assert_eq!((&composite.shares[..], composite.total), (&[2, 3, 4][..], 5));
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
