//! What a Collector's block asks of scopes, and policies of its extensions.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::tests::{decide, of, text};
use crate::codec::records::{Events, traces_to_records};
use crate::hub::Drain;
use crate::plugin::{Filter, GivenOptions};
use crate::plugins::filter_ai_sampling::AiSampling;
use crate::plugins::testing::{environment, pass, problems};

/// A trace of one span in a scope.
fn scoped(scope: Option<InstrumentationScope>) -> Vec<u8> {
    let span = Span { trace_id: vec![1; 16], span_id: vec![1; 8], ..Span::default() };
    let scope_spans = vec![ScopeSpans { scope, spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let mut records = Vec::new();
    let request = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    traces_to_records(&request, &mut records).unwrap();
    records
}

/// Guarantees: conditions ask scopes for attributes, name and version, by both of their names; what is missing is nil,
/// or an empty text, and is no mistake.
#[test]
fn conditions_ask_scopes() {
    let lib = || {
        let attributes = vec![text("tier", "gold")];
        let (name, version) = ("lib".to_owned(), "1.2".to_owned());
        scoped(Some(InstrumentationScope { name, version, attributes, ..Default::default() }))
    };
    for (condition, of_lib, of_none) in [
        (r#"scope.attributes["tier"] == "gold""#, 1, 0),
        (r#"instrumentation_scope.attributes["tier"] == "gold""#, 1, 0),
        (r#"scope.attributes["tier"] == nil"#, 0, 1),
        (r#"scope.attributes["other"] == "gold""#, 0, 0),
        (r#"scope.attributes["tier"] != "gold""#, 0, 1),
        (r#"scope.name == "lib" and scope.version != "1.3""#, 1, 0),
        (r#"instrumentation_scope.name == """#, 0, 1),
        (r#"IsMatch(scope.version, "^1\\.")"#, 1, 0),
        (r#"span.instrumentation_scope.name == "lib""#, 1, 0),
    ] {
        let policy = of("ottl_condition", &format!("span: ['{condition}']"));
        decide([(policy.clone(), lib(), of_lib), (policy, scoped(None), of_none)]);
    }
}

const FILE: &str = "tail_sampling:\n  policies:\n    - name: theirs\n      type: my_extension/a\n      \
                    my_extension/a: {anything: [1]}\n    - name: both\n      type: and\n      and:\n        \
                    and_sub_policy:\n          - {name: x, type: my_extension/a}\n          \
                    - {name: y, type: always_sample}\n";

/// Guarantees: a block with an extension's policies stops the start with its line, and loads as it stands where an option
/// gives an expression for their type, which decides, inside an `and` too; expressions that nothing uses, that are none
/// or that come twice are refused.
#[test]
fn an_expression_stands_for_an_extension() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), FILE).unwrap();
    let path = file.path().to_str().unwrap();
    let base = [("mode", "tail"), ("config_file", path)];
    let with = |more: &[&'static str]| {
        let more = more.iter().map(|text| ("extension_policy", *text));
        base.into_iter().chain(more).collect::<Vec<_>>()
    };
    let found = problems::<AiSampling>(&base, true);
    assert!(found.len() >= 2, "{found:?}");
    assert!(
        found[0].contains("line 4: tail_sampling.policies[0].type: \"my_extension/a\"")
            && found[0].contains("'extension_policy' may give an expression"),
        "{found:?}"
    );
    const RULE: &str = "my_extension/a = size(spans) == 1";
    for (options, part) in [
        (with(&[RULE, "other=errors > 0"]), "'extension_policy': 'other'"),
        (with(&[RULE, "my_extension/a=true"]), "one expression for each type"),
        (with(&["my_extension/a=size(spans)"]), "size(spans)"),
        (with(&["errors > 0"]), "allowed: TYPE=EXPRESSION"),
        (with(&[RULE, "latency=errors > 0"]), "'extension_policy': 'latency'"),
    ] {
        let found = problems::<AiSampling>(&options, true);
        assert!(found.iter().any(|problem| problem.contains(part)), "{part}: {found:?}");
    }
    for (rule, wanted) in [(RULE, 1), ("my_extension/a=size(spans) > 1", 0)] {
        let environment = environment(true);
        let options = GivenOptions::of(&with(&[rule]));
        let mut filter = AiSampling::open(&options, environment.clone()).unwrap();
        let mut out = Events::new(&pass(&mut filter, &scoped(None))).count();
        let source = environment.hub.sources().pop().unwrap();
        let released = source.take(Drain::Everything, crate::clock::now(), 0);
        out += released.iter().map(|emission| emission.records).sum::<usize>();
        assert_eq!(out, wanted, "{rule}");
    }
}
