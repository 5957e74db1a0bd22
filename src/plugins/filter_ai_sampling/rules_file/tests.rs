//! Refinery's rules: its published cases, its files, and what is refused.

use serde_json::json;

use super::*;
use crate::clock::Tick;
use crate::codec::records::Events;
use crate::codec::records::testing::{SpanRecord, Value as Attribute, chunk};
use crate::hub::Drain;
use crate::plugin::{Filter, GivenOptions};
use crate::plugins::filter_ai_sampling::AiSampling;
use crate::plugins::testing::{counter, environment, pass, problems};
use crate::sampling::policy::{Policies, SpanParts};

/// The randomness of traces that every rate here keeps.
const HIGH: u64 = 0x11ff_ffff_ffff_ff00;

fn loaded(text: &str, environment: Option<&str>) -> (Policies, Vec<String>) {
    let root: Value = serde_saphyr::from_str(text).unwrap();
    let mut list = PolicyList::default();
    let notes = read(Node { map: root.as_object().unwrap(), at: "" }, environment, &mut list);
    (list.finish(), notes.finish())
}

/// Rules of an environment, with their names; the last one is that no rule matched.
fn rules(rules: &Value) -> Policies {
    let root =
        json!({"RulesVersion": 2, "Samplers": {"__default__": {"RulesBasedSampler": rules}}});
    let (policies, problems) = loaded(&root.to_string(), None);
    assert_eq!(problems, [""; 0], "{rules}");
    policies
}

/// A span of these attributes; it is the root if `is_root`.
fn span(attributes: &Value, is_root: bool) -> SpanRecord {
    let span = SpanRecord::new(1, 1).parent(if is_root { 0 } else { 9 });
    attributes.as_object().unwrap().iter().fold(span, |span, (key, value)| {
        let value = match value {
            Value::String(text) => Attribute::from(text.as_str()),
            Value::Bool(value) => Attribute::from(*value),
            Value::Number(number) => match number.as_i64() {
                Some(number) => Attribute::from(number),
                None => Attribute::from(number.as_f64().unwrap()),
            },
            other => panic!("{other}"),
        };
        span.with(key, value)
    })
}

/// The rule that matches: conditions of one rule, and spans of which the first may be the root.
fn matches(rule: &Value, spans: &[Value], has_root: bool) -> bool {
    let mut rule = rule.clone();
    rule["SampleRate"] = json!(10);
    let policies = rules(&json!({"Rules": [rule]}));
    let records: Vec<_> =
        spans.iter().enumerate().map(|(at, span_of)| span(span_of, has_root && at == 0)).collect();
    let chunk = chunk(&records);
    let events: Vec<_> = Events::new(&chunk).map(Result::unwrap).collect();
    let parts: Vec<_> = events.iter().map(SpanParts::of_event).collect();
    match &policies.list()[0].rule {
        PolicyRule::All(rules) => match &rules[0] {
            PolicyRule::Spans(rule) => rule.matches(&parts),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn condition(field: &str, operator: &str, value: Value, datatype: &str) -> Value {
    json!({"Field": field, "Operator": operator, "Value": value, "Datatype": datatype})
}

/// Cases: Refinery, `sample/rules_test.go`: `TestRules`, `TestRulesDatatypes`, `TestRegexpRules`.
#[test]
fn the_published_operators_decide_alike() {
    let cases = [
        (json!(1), "=", json!(1), "", true),
        (json!(2), ">", json!(1), "", true),
        (json!(1), "<", json!(2), "", true),
        (json!(1), "<", json!(2.2), "", true),
        (json!(1), ">", json!(2.2), "", false),
        (json!(3.5), ">", json!(2), "", true),
        (json!(9), "!=", json!(10), "", true),
        (json!(9), "exists", Value::Null, "", true),
        (json!(9), "not-exists", Value::Null, "", false),
        (json!("honeycomb"), "starts-with", json!("honey"), "", true),
        (json!("honeycomb"), "contains", json!("eyco"), "", true),
        (json!("honeycomb"), "does-not-contain", json!("noteyco"), "", true),
        (json!(1), "=", json!(1), "int", true),
        (json!(1.01), "=", json!(1.01), "float", true),
        (json!("foo"), "=", json!("foo"), "string", true),
        (json!(true), "=", json!("true"), "string", true),
        (json!(true), "=", json!(true), "bool", true),
        (json!(true), "contains", json!("ru"), "string", true),
        (json!(10.5), "=", json!(10), "int", true),
        (json!(100), "<", json!(100.01), "float", true),
        (json!("500"), "=", json!("500"), "string", true),
        (json!("500"), "=", json!(500), "int", true),
        (json!(2), ">", json!("1"), "string", true),
        (json!(9.3), ">", json!("10.3"), "string", true),
        (json!("4.13"), "<=", json!(4.13), "float", true),
        (json!("fourPointOneThree"), ">=", json!(4.13), "float", false),
        (json!("rightValue"), "!=", json!("notRightValue"), "string", true),
        (json!(777), "!=", json!("667"), "string", true),
        (json!(11), "!=", json!(1), "int", true),
        (json!(123), "matches", json!("^[0-9]+$"), "", true),
        (json!("abc"), "matches", json!("^[0-9]+$"), "", false),
        (json!("b"), "in", json!(["a", "b"]), "", true),
        (json!("c"), "in", json!(["a", "b"]), "", false),
        (json!(2), "in", json!(["1", "2"]), "string", true),
        (json!("2"), "in", json!([1, 2]), "int", true),
        (json!(2.5), "in", json!(2.5), "float", true),
        (json!(3), "not-in", json!([1, 2]), "int", true),
        (json!(2), "not-in", json!([1, 2]), "int", false),
    ];
    for (value, operator, operand, datatype, want) in cases {
        let rule = json!({"Conditions": [condition("test", operator, operand.clone(), datatype)]});
        let found = matches(&rule, &[json!({"test": value})], true);
        assert_eq!(found, want, "{value} {operator} {operand} {datatype}");
    }
    // What is not there has no value, and the text <nil>.
    for (operator, operand, datatype, want) in [
        ("not-exists", Value::Null, "", true),
        ("!=", json!(1), "", false),
        ("!=", json!(1), "int", false),
        ("!=", json!("a"), "string", true),
        ("does-not-contain", json!("a"), "", true),
        ("not-in", json!(["a"]), "", true),
        ("=", json!(false), "bool", false),
    ] {
        let rule = json!({"Conditions": [condition("first", operator, operand.clone(), datatype)]});
        assert_eq!(matches(&rule, &[json!({"second": 9})], true), want, "{operator} {operand}");
    }
}

/// Cases: Refinery, `TestRules`, those of several conditions, fields and spans.
#[test]
fn the_published_rules_over_several_spans_decide_alike() {
    let two = |value: i64| condition("test", if value == 0 { "<=" } else { ">=" }, json!(2.2), "");
    let many = json!({"Conditions": [two(0), two(1), condition("test_two", "=", json!(true), "")]});
    let spans = [json!({"test": 2.2, "test_two": false}), json!({"test_two": true})];
    assert!(matches(&many, &spans, true));
    let both = json!({"Conditions": [
        condition("first", "=", json!(1), ""), condition("second", "=", json!(2), ""),
    ]});
    assert!(!matches(&both, &[json!({"first": 1}), json!({"first": 1})], true));
    let fields =
        json!({"Conditions": [{"Fields": ["test", "test2"], "Operator": "=", "Value": 17}]});
    assert!(matches(&fields, &[json!({"test2": 17})], true));
    assert!(!matches(&fields, &[json!({"test2": 16})], true));
    assert!(!matches(&fields, &[json!({"test": 2, "test2": 17})], true), "the first that is there");
    let has_root = |value| json!({"Conditions": [{"Operator": "has-root-span", "Value": value}]});
    for (wanted, has, want) in
        [(true, true, true), (true, false, false), (false, false, true), (false, true, false)]
    {
        assert_eq!(matches(&has_root(wanted), &[json!({"test": 2}), json!({})], has), want);
    }
    let count = |operator| json!({"Conditions": [condition("?.NUM_DESCENDANTS", operator, json!(3), "int")]});
    let four = [json!({}), json!({}), json!({}), json!({})];
    assert!(matches(&count(">"), &four, false) && !matches(&count("<"), &four, false));
    assert!(!matches(&count(">"), &four[..3], false) && matches(&count("="), &four[..3], false));
}

/// Cases: Refinery, `TestRuleMatchesSpanMatchingSpan`.
#[test]
fn the_published_scopes_decide_alike() {
    let rule = |scope: &str| {
        json!({"Scope": scope, "Conditions": [
            condition("rule_test", "=", json!(1), ""),
            condition("http.status_code", "=", json!("200"), ""),
        ]})
    };
    let one = [
        json!({"rule_test": 1, "http.status_code": "200"}),
        json!({"rule_test": 5, "http.status_code": "500"}),
    ];
    let apart = [
        json!({"rule_test": 1, "http.status_code": "500"}),
        json!({"rule_test": 5, "http.status_code": "200"}),
    ];
    for (spans, scope, want) in [
        (&one, "span", true),
        (&one, "trace", true),
        (&apart, "span", false),
        (&apart, "trace", true),
    ] {
        assert_eq!(matches(&rule(scope), spans, true), want, "{scope}");
    }
}

/// Cases: Refinery, `TestRulesRootSpanContext`.
#[test]
fn the_published_root_fields_decide_alike() {
    let exists = |field| json!({"Field": field, "Operator": "exists"});
    let status = |fields: [&str; 2]| json!({"Fields": fields, "Operator": "=", "Value": "500"});
    let foo = json!({"Field": "root.test", "Operator": "contains", "Value": "foo"});
    let absent = json!({"Field": "root.service.id", "Operator": "not-exists"});
    let root = json!({"Operator": "has-root-span", "Value": true});
    let rest = [json!({"http.status_code": "200"}), json!({"test1": 1, "test": "foo"})];
    let with = |first: Value| [vec![first], rest.to_vec()].concat();
    let ok_then_failed = [json!({"http.status_code": "200"}), json!({"http.status_code": "500"})];
    let other = |operator, value| condition("anotherField", operator, value, "");
    let decides = |conditions: Vec<Value>, spans: Vec<Value>, has_root, want| {
        let rule = json!({"Conditions": conditions});
        assert_eq!(matches(&rule, &spans, has_root), want, "{rule} {spans:?}");
    };
    let root_has_test = |more: &[Value], first, want| {
        decides([&[exists("root.test")], more].concat(), with(first), true, want);
    };
    root_has_test(&[], json!({"test": "foo"}), true);
    root_has_test(&[other("=", json!("bar"))], json!({"test": "foo"}), false);
    root_has_test(&[other(">", json!(1.0))], json!({"test": "foo", "anotherField": 3.5}), true);
    let fifty = json!({"test": "foo", "anotherField": 50});
    root_has_test(&[exists("root.nope"), other("<", json!(100))], fifty, false);
    decides(vec![foo], with(json!({"test": "nope"})), true, false);
    let three = [vec![json!({"test": "nope"})], ok_then_failed.to_vec()].concat();
    for fields in [
        ["http.status_code", "root.http.status_code"],
        ["root.http.status_code", "http.status_code"],
    ] {
        decides(vec![status(fields)], three.clone(), true, true);
    }
    let of_root = json!({"Fields": ["root.http.status_code"], "Operator": "=", "Value": "500"});
    decides(vec![of_root], ok_then_failed.to_vec(), false, false);
    let either = json!({"Fields": ["root.foo", "foo"], "Operator": "=", "Value": 100.01});
    decides(vec![either], vec![json!({"foo": 100.01}), json!({"foo": 99.1})], false, true);
    let two = vec![json!({"x": "y"}), json!({})];
    decides(vec![root, absent.clone()], two.clone(), true, true);
    decides(vec![absent], two, false, true);
}

/// Parts of spans and resources under the names that Refinery has them by, and names that lead into maps.
#[test]
fn fields_are_parts_of_spans_resources_and_scopes() {
    let record = |error: bool| {
        let span = SpanRecord::new(1, 1).times(0, 1500).kind("server").with("http.route", "/x");
        if error { span.error() } else { span }
    };
    let rule = |field: &str, operator: &str, value: Value| json!({"Rules": [{"Conditions": [condition(field, operator, value, "")], "SampleRate": 1}]});
    for (field, operator, value, error, want) in [
        ("duration_ms", ">=", json!(1500), false, true),
        ("duration_ms", ">", json!(1500), false, false),
        ("name", "=", json!("chat"), false, true),
        ("span.kind", "=", json!("server"), false, true),
        ("service.name", "=", json!("shop"), false, true),
        ("library.name", "=", json!("tests"), false, true),
        ("http.route", "=", json!("/x"), false, true),
        ("status_code", "=", json!(2), true, true),
        ("error", "=", json!(true), true, true),
        ("error", "exists", Value::Null, false, false),
        ("trace.parent_id", "not-exists", Value::Null, false, true),
        ("root.trace.parent_id", "exists", Value::Null, false, false),
    ] {
        let policies = rules(&rule(field, operator, value.clone()));
        let chunk = chunk(&[record(error)]);
        let events: Vec<_> = Events::new(&chunk).map(Result::unwrap).collect();
        let parts: Vec<_> = events.iter().map(SpanParts::of_event).collect();
        let PolicyRule::All(all) = &policies.list()[0].rule else { panic!() };
        let PolicyRule::Spans(spans) = &all[0] else { panic!() };
        assert_eq!(spans.matches(&parts), want, "{field} {operator} {value}");
    }
}

/// Refinery's example with every sampler and rule, `rules_complete.yaml`: figures and names of its own.
const COMPLETE: &str = "
RulesVersion: 2
Samplers:
    __default__:
        DeterministicSampler: {SampleRate: 1}
    env1:
        DynamicSampler:
            SampleRate: 2
            ClearFrequency: 1m0s
            FieldList: [request.method, root.http.target, response.status_code]
            UseTraceLength: true
    env2:
        EMADynamicSampler:
            GoalSampleRate: 2
            AdjustmentInterval: 15s
            Weight: 0.5
            AgeOutValue: 0.5
            BurstMultiple: 2
            BurstDetectionDelay: 3
            FieldList: [request.method, root.http.target, response.status_code]
            UseTraceLength: true
    env4:
        RulesBasedSampler:
            Rules:
                - Name: drop healthchecks
                  Drop: true
                  Conditions: [{Field: http.route, Operator: '=', Value: /health-check}]
                - Name: drop everything from specific services
                  Drop: true
                  Conditions:
                    - {Field: service.name, Operator: in, Value: [noisy-service, overly-chatty-service17]}
                - Name: keep slow 500 errors across semantic conventions
                  SampleRate: 1
                  Conditions:
                    - Fields: [http.status_code, http.response.status_code]
                      Operator: =
                      Value: 500
                      Datatype: int
                    - {Field: duration_ms, Operator: '>=', Value: 1000, Datatype: float}
                - Name: dynamically sample 200 responses across semantic conventions
                  Conditions:
                    - Fields: [http.status_code, http.response.status_code]
                      Operator: =
                      Value: 200
                      Datatype: int
                  Sampler: {EMADynamicSampler: {GoalSampleRate: 15, FieldList: [request.method]}}
                - Name: sample traces originating from the users service
                  SampleRate: 5
                  Scope: span
                  Conditions:
                    - {Field: service.name, Operator: '=', Value: users}
                    - {Field: trace.parent_id, Operator: not-exists}
                - Name: drop incomplete traces from the buggy service
                  Drop: true
                  Conditions:
                    - {Operator: has-root-span, Value: false}
                    - {Field: service.name, Operator: '=', Value: buggy-service}
                - {Name: default rule, SampleRate: 10}
    env5:
        EMAThroughputSampler: {GoalThroughputPerSec: 100, FieldList: [request.method]}
    env6:
        TotalThroughputSampler: {GoalThroughputPerSec: 50, ClearFrequency: 5s, FieldList: [title]}
    env7:
        WindowedThroughputSampler: {GoalThroughputPerSec: 50, LookbackFrequency: 20s, FieldList: [title]}
";

#[test]
fn the_published_example_loads_and_one_environment_is_chosen() {
    for (environment, rules, first) in [
        (None, 1, "DeterministicSampler"),
        (Some("env1"), 1, "DynamicSampler"),
        (Some("env2"), 1, "EMADynamicSampler"),
        (Some("env4"), 8, "drop healthchecks"),
        (Some("env5"), 1, "EMAThroughputSampler"),
        (Some("env6"), 1, "TotalThroughputSampler"),
        (Some("env7"), 1, "WindowedThroughputSampler"),
    ] {
        let (policies, problems) = loaded(COMPLETE, environment);
        assert_eq!(problems, [""; 0], "{environment:?}");
        assert_eq!(policies.list().len(), rules, "{environment:?}");
        assert_eq!(policies.list()[0].name, first);
    }
    let (_, problems) = loaded(COMPLETE, Some("env9"));
    assert!(problems[0].contains("Samplers.env9: nothing"), "{problems:?}");
    let (policies, problems) = loaded("mode: tail", None);
    assert!(problems.is_empty() && policies.list().is_empty());
    assert!(loaded("mode: tail", Some("env1")).1[0].contains("needs a rules file"));
}

/// Scenario: the published example on whole traces. Guarantees: each rule keeps and drops what it says,
/// counts it under its name, and writes the threshold of its rate.
#[test]
fn the_published_example_decides() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), COMPLETE).unwrap();
    let options = GivenOptions::of(&[
        ("mode", "tail"),
        ("config_file", file.path().to_str().unwrap()),
        ("rules_environment", "env4"),
    ]);
    let environment = environment(true);
    let mut filter = AiSampling::open(&options, environment.clone()).unwrap();
    let root = |trace: u64| SpanRecord::new(HIGH | trace, trace).times(0, 2000);
    let spans = [
        root(1).with("http.route", "/health-check").error(),
        root(2).service("noisy-service"),
        root(3).with("http.response.status_code", "500"),
        root(4).with("http.status_code", 200),
        root(5).service("users"),
        root(6).parent(99).service("buggy-service"),
        root(7).service("buggy-service"),
    ];
    pass(&mut filter, &chunk(&spans));
    let source = environment.hub.sources().pop().unwrap();
    let released = source.take(Drain::Everything, Tick(1), 0);
    let text = String::from_utf8_lossy(&released[0].events).into_owned();
    for (name, policy, spans) in [
        ("dropped_spans_total", "drop healthchecks", 1),
        ("dropped_spans_total", "drop everything from specific services", 1),
        ("kept_spans_total", "keep slow 500 errors across semantic conventions", 1),
        ("kept_spans_total", "dynamically sample 200 responses across semantic conventions", 1),
        ("kept_spans_total", "sample traces originating from the users service", 1),
        ("dropped_spans_total", "drop incomplete traces from the buggy service", 1),
        ("kept_spans_total", "default rule", 1),
        ("kept_spans_total", "no_rule_matched", 0),
    ] {
        assert_eq!(counter(&environment, name, policy), spans, "{name} {policy}");
    }
    // Thresholds of one in 1, 15, 5 and 10.
    for threshold in ["ot=th:0", "ot=th:eeef", "ot=th:cccd", "ot=th:e666"] {
        assert_eq!(text.matches(threshold).count(), 1, "{threshold} in {text}");
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let of = |sampler: &str| format!("Samplers: {{__default__: {sampler}}}");
    let rule = |rule: &str| of(&format!("{{RulesBasedSampler: {{Rules: [{rule}]}}}}"));
    let on = |condition: &str| rule(&format!("{{Conditions: [{{{condition}}}], SampleRate: 1}}"));
    for (text, part) in [
        ("RulesVersion: 2".to_owned(), "Samplers: nothing"),
        (
            "RulesVersion: 1\nSamplers: {__default__: {DeterministicSampler: {SampleRate: 1}}}"
                .to_owned(),
            "RulesVersion: 1 is not allowed",
        ),
        ("Samplers: {a: {}}".to_owned(), "Samplers.__default__: nothing"),
        (of("{RandomSampler: {}}"), "Samplers.__default__.RandomSampler: this key is not known"),
        (of("{}"), "Samplers.__default__: allowed: one sampler"),
        (of("{DeterministicSampler: {SampleRate: x}}"), "DeterministicSampler.SampleRate: \"x\""),
        (of("{DynamicSampler: {SampleRate: 0, FieldList: [a]}}"), "SampleRate: 0 is not"),
        (of("{DynamicSampler: {SampleRate: 2}}"), "FieldList: nothing"),
        (of("{DynamicSampler: {SampleRate: 2, FieldList: [a], MaxKeys: 20000}}"), "MaxKeys: 20000"),
        (of("{DynamicSampler: {SampleRate: 2, FieldList: ['?.X']}}"), "'?.X': allowed"),
        (
            of("{DynamicSampler: {SampleRate: 2, FieldList: [a], ClearFrequency: 5}}"),
            "ClearFrequency: 5",
        ),
        (of("{EMADynamicSampler: {GoalSampleRate: 2, FieldList: [a], Weight: 1}}"), "Weight: 1"),
        (
            of(
                "{TotalThroughputSampler: {GoalThroughputPerSec: 5, FieldList: [a], UseClusterSize: 3}}",
            ),
            "UseClusterSize: 3 is not allowed; allowed: true, false",
        ),
        (
            of(
                "{WindowedThroughputSampler: {GoalThroughputPerSec: 5, FieldList: [a], LookbackFrequency: 1h}}",
            ),
            "LookbackFrequency: \"1h\" is not allowed; allowed: 1 to 120 times",
        ),
        (rule("{Scope: root}"), "Rules[0].Scope: \"root\""),
        (rule("{Sampler: {RulesBasedSampler: {}}}"), "Sampler.RulesBasedSampler: this key is not"),
        (rule("{Drop: 1}"), "Rules[0].Drop: 1"),
        (rule("5"), "Rules[0] must be a map"),
        (
            rule("{Scope: span, Conditions: [{Operator: has-root-span, Value: true}]}"),
            "never matches",
        ),
        (
            on("Field: a, Operator: like, Value: x"),
            "Operator: \"like\" is not allowed; allowed: =, !=",
        ),
        (on("Field: a, Fields: [b], Operator: exists"), "one of 'Field' and 'Fields'"),
        (on("Operator: exists"), "Conditions[0].Field: nothing"),
        (on("Field: meta.annotation_type, Operator: exists"), "it is not supported"),
        (on("Field: '?.NUM_LINKS', Operator: exists"), "Field: \"?.NUM_LINKS\""),
        (on("Field: a, Operator: '=', Value: x, Datatype: int"), "Value: \"x\" is not allowed"),
        (on("Field: a, Operator: '=', Value: [1]"), "Value: [1] is not allowed"),
        (on("Field: a, Operator: '=', Value: 1, Datatype: date"), "Datatype: \"date\""),
        (on("Field: a, Operator: in, Value: [true], Datatype: bool"), "allowed with this operator"),
        (on("Field: a, Operator: matches, Value: '('"), "Conditions[0].Value: \"(\""),
    ] {
        let (_, problems) = loaded(&text, None);
        assert!(problems.iter().any(|problem| problem.contains(part)), "{text}: {problems:?}");
    }
}

/// Guarantees: a start says the line, and rules do not stand beside policies.
#[test]
fn a_start_that_fails_says_the_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "RulesVersion: 2\nSamplers:\n  __default__:\n    RulesBasedSampler:\n      Rules:\n        - \
                Name: a\n          Conditions:\n            - Field: x\n              Operator: like\n";
    std::fs::write(file.path(), text).unwrap();
    let path = file.path().to_str().unwrap();
    let options = [("mode", "tail"), ("config_file", path), ("keep_errors", "on")];
    let found = problems::<AiSampling>(&options, true);
    let line = format!(
        "config_file '{path}': line 9: Samplers.__default__.RulesBasedSampler.Rules[0].Conditions[0].Operator"
    );
    assert!(found[0].starts_with(&line), "{found:?}");
    assert!(found[1].contains("rules under Samplers"), "{found:?}");
    assert_eq!(found.len(), 2, "{found:?}");
}

/// Cases: Refinery, `TestRulesWithNestedFields`.
#[test]
fn names_lead_into_maps_only_where_that_is_asked_for() {
    use crate::codec::msgpack::{map_header, str};
    let mut body = Vec::new();
    map_header(&mut body, 1);
    str(&mut body, "attributes");
    map_header(&mut body, 1);
    str(&mut body, "test");
    map_header(&mut body, 1);
    str(&mut body, "test1");
    str(&mut body, "a");
    let span = SpanParts::new(crate::codec::records::SpanView::new(&body), None);
    for (nested, operator, fields, want) in [
        (true, "=", json!(["test.test1"]), true),
        (true, "=", json!(["test.test2", "test.test1"]), true),
        (true, "not-exists", json!(["test.test2"]), true),
        (false, "exists", json!(["test.test1"]), false),
    ] {
        let condition = json!({"Fields": fields, "Operator": operator, "Value": "a"});
        let policies = rules(&json!({
            "CheckNestedFields": nested, "Rules": [{"Conditions": [condition], "SampleRate": 1}],
        }));
        let PolicyRule::All(all) = &policies.list()[0].rule else { panic!() };
        let PolicyRule::Spans(rule) = &all[0] else { panic!() };
        assert_eq!(rule.matches(&[span]), want, "{operator} {fields}");
    }
}

/// Guarantees: the page that compares samplers has each sampler, setting, key, operator and datatype of a rules file.
#[test]
fn every_key_and_operator_is_compared() {
    let page = include_str!("../../../../docs/SAMPLERS.md");
    let words = |text: &'static str| text.trim_start_matches("allowed: ").split(", ");
    let of_samplers = SAMPLERS.iter().flat_map(|(name, keys, _)| keys.iter().chain([name]));
    let keys = SECTIONS.iter().chain(&RULE_KEYS).chain(&condition::KEYS).chain(of_samplers);
    let of_rules =
        [RULES, "Rules", "CheckNestedFields", "UseClusterSize", "string", "int", "float", "bool"];
    let all = keys.copied().chain(of_rules).chain(words(condition::OPERATORS));
    let missing: Vec<_> = all.filter(|word| !page.contains(&format!("`{word}`"))).collect();
    assert_eq!(missing, [""; 0]);
    assert_eq!(words(condition::OPERATORS).count(), 15);
}
