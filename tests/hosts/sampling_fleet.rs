//! Several instances of a sampler, tenants that share a goal, and files of other samplers that change, on hosts.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::task::block_in_place;

use crate::arrived;
use crate::hosts::{Host, free_port};
use crate::meters::{page_when, start};
use crate::sampling::send_spans;
use crate::sampling_runtime::until_log;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// A span of a trace whose randomness is that high, with a text under a key.
fn span(trace: u8, randomness: u8, id: u8, (key, text): (&str, &str)) -> Span {
    let value = Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    Span {
        trace_id: [[trace; 8], [randomness; 8]].concat(),
        span_id: vec![id; 8],
        name: format!("{trace}.{id}"),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        attributes: vec![KeyValue { key: key.to_owned(), value, ..KeyValue::default() }],
        ..Span::default()
    }
}

/// A policy of a name that keeps what has a text under `k`, in the files of other samplers.
fn tail_sampling(name: &str, text: &str) -> String {
    format!(
        "receivers: {{otlp: {{}}}}\nprocessors:\n  tail_sampling:\n    decision_wait: 1s\n    policies:\n      \
         - name: {name}\n        type: string_attribute\n        string_attribute: {{key: k, values: [{text}]}}\n"
    )
}

fn adaptive_tail_sampling(name: &str, text: &str) -> String {
    format!(
        "processors:\n  adaptive_tail_sampling:\n    trace_timeout: 500ms\n    decision_delay: 500ms\n    \
         rules:\n      - name: {name}\n        conditions: ['span.attributes[\"k\"] == \"{text}\"']\n        \
         sampler: {{type: always_sample}}\n"
    )
}

fn refinery(name: &str, text: &str) -> String {
    format!(
        "RulesVersion = 2\n[[Samplers.__default__.RulesBasedSampler.Rules]]\nName = \"{name}\"\nSampleRate = 1\n\
         Conditions = [{{ Field = \"k\", Operator = \"=\", Value = \"{text}\" }}]\n\
         [[Samplers.__default__.RulesBasedSampler.Rules]]\nName = \"rest\"\nDrop = true\n"
    )
}

/// Scenario: a Collector's `tail_sampling`, its `adaptive_tail_sampling` and rules of Refinery in TOML, each of which
/// changes to what is wrong and then to what keeps other traces, while traces come. Guarantees: what is wrong is
/// refused with its line and changes nothing, what is right decides without a restart, and each kept trace arrives
/// once, counted under the rule that kept it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn files_of_other_samplers_change_without_a_restart() {
    let _together = together();
    let plugins = linked();
    type Text = fn(&str, &str) -> String;
    let kinds: [(&str, Text, &str, &str); 3] = [
        ("rules.toml", refinery, "Operator = \"=\"", "Operator = \"==\""),
        ("collector.yaml", tail_sampling, "string_attribute\n", "string_attributes\n"),
        ("adaptive.yaml", adaptive_tail_sampling, "always_sample", "always"),
    ];
    for host in all_hosts() {
        for (name, text, right, wrong) in kinds {
            let what = format!("{}, {name}", host.title());
            let path = plugins.path().join(name);
            std::fs::write(&path, text("one", "a")).unwrap();
            let sink = Sink::start(0, Keep::Requests).await;
            let http = free_port();
            let file = format!("config_file: {}", path.display());
            let mut filter = vec!["name: ai_sampling", "match: 'ai*'", "mode: tail", &file];
            if name == "rules.toml" {
                filter.push("decision_wait: 1s");
            }
            let pipeline = Pipeline::default().otlp_in(http, 0).filter(&filter).otlp_out(&[(
                "sink",
                sink.port,
                "http/protobuf",
            )]);
            let (running, port) = start(&host, plugins.path(), pipeline, http);
            let pair =
                |trace| vec![span(trace, 9, 1, ("k", "a")), span(trace + 1, 9, 1, ("k", "b"))];
            let decided = |spans| {
                let (host, running, what) = (&host, &running, &what);
                async move {
                    page_when((host, running, port), what, |page| {
                        let of = |name| page.sum_of(name, &[]).unwrap_or_default();
                        of("kept_spans_total") + of("dropped_spans_total") == spans
                    })
                    .await
                }
            };
            send_spans(http, pair(1)).await;
            decided(2).await;
            let mistake = text("one", "b").replacen(right, wrong, 1);
            let line =
                mistake.lines().position(|line| line.contains(wrong.trim_end())).unwrap() + 1;
            std::fs::write(&path, mistake).unwrap();
            until_log(&running, &what, "but what it said before holds").await;
            let log = running.log_text();
            assert!(log.contains(&format!("line {line}: ")), "{what}: {line}: {log}");
            send_spans(http, pair(3)).await;
            decided(4).await;
            std::fs::write(&path, text("two", "b")).unwrap();
            until_log(&running, &what, "policies decide from now on").await;
            send_spans(http, pair(5)).await;
            let page = decided(6).await;
            for (policy, spans) in [("one", 2), ("two", 1)] {
                let kept = page.sum("kept_spans_total", &[("policy", policy)]);
                assert_eq!(kept, spans, "{what}: {policy}");
            }
            for (outcome, changes) in [("taken", 1), ("refused", 1)] {
                let found = page.sum("config_file_changes_total", &[("outcome", outcome)]);
                assert_eq!(found, changes, "{what}: {outcome}");
            }
            let (code, log) = block_in_place(|| running.stop());
            assert_eq!(code, Some(0), "{what}: {log}");
            let spans = arrived::spans(&sink);
            let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
            names.sort_unstable();
            assert_eq!(names, ["1.1", "3.1", "6.1"], "{what}: {log}");
        }
    }
}

const TENANTS: &str = "
policies:
  - name: tenants
    type: tenant_throughput
    tenant_attribute: tenant.id
    spans_per_second: 1000
    max_tenants: 2
    tenants: [{tenant: acme, weight: 2, minimum: 10, priority: 1}]
";

/// Scenario: traces of three tenants, of which two have room, and a fleet whose size is in a file that changes.
/// Guarantees: what stays says the rate of its tenant, decisions are counted by tenant within the bound, and the
/// size is followed without a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tenants_are_counted_and_the_size_of_a_fleet_is_followed() {
    let _together = together();
    let plugins = linked();
    let (path, size) = (plugins.path().join("tenants.yaml"), plugins.path().join("replicas"));
    std::fs::write(&path, TENANTS).unwrap();
    let files = [
        format!("config_file: {}", path.display()),
        format!("fleet_size_file: {}", size.display()),
    ];
    for host in all_hosts() {
        let what = host.title();
        std::fs::write(&size, "3").unwrap();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let filter = [
            "name: ai_sampling",
            "match: 'ai*'",
            "mode: tail",
            "decision_wait: 1s",
            &files[0],
            &files[1],
        ];
        let pipeline = Pipeline::default().otlp_in(http, 0).filter(&filter).otlp_out(&[(
            "sink",
            sink.port,
            "http/protobuf",
        )]);
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        let of = |trace, randomness, tenant| span(trace, randomness, 1, ("tenant.id", tenant));
        send_spans(http, vec![of(1, 0xf5, "acme"), of(2, 0x11, "acme"), of(3, 0xf5, "globex")])
            .await;
        let decided = |spans| {
            let (host, running, what) = (&host, &running, &what);
            async move {
                page_when((host, running, port), what, |page| {
                    page.sum_of("tenant_spans_total", &[]) == Some(spans)
                })
                .await
            }
        };
        let page = decided(3).await;
        assert_eq!(page.sum("fleet_size", &[]), 3, "{what}");
        std::fs::write(&size, "5").unwrap();
        page_when((&host, &running, port), &what, |page| page.sum_of("fleet_size", &[]) == Some(5))
            .await;
        send_spans(http, vec![of(4, 0xf5, "initech")]).await;
        let page = decided(4).await;
        for (tenant, decision, spans) in [
            ("acme", "keep", 1),
            ("acme", "drop", 1),
            ("globex", "keep", 1),
            ("other", "keep", 1),
            ("initech", "keep", 0),
        ] {
            let labels = [("policy", "tenants"), ("tenant", tenant), ("decision", decision)];
            let found = page.sum_of("tenant_spans_total", &labels).unwrap_or_default();
            assert_eq!(found, spans, "{what}: {tenant} {decision}");
        }
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        assert!(log.contains("the fleet has 5 instances"), "{what}: {log}");
        let spans = arrived::spans(&sink);
        // Rates are there after the first seconds; before, it is one in 10.
        let first = spans.iter().find(|span| span.name == "1.1").map(|span| &span.trace_state);
        assert_eq!(first.map(String::as_str), Some("ot=th:e666"), "{what}: {log}");
    }
}

/// What an instance lets through of these spans, by trace.
async fn through(
    host: &Host,
    what: &str,
    mode: &[&str],
    spans: Vec<Span>,
) -> BTreeMap<String, BTreeSet<String>> {
    let plugins = linked();
    let sink = Sink::start(0, Keep::Requests).await;
    let http = free_port();
    let options =
        [&["name: ai_sampling", "match: 'ai*'", "sampling_percentage: 40"], mode].concat();
    let pipeline = Pipeline::default().otlp_in(http, 0).filter(&options).otlp_out(&[(
        "sink",
        sink.port,
        "http/protobuf",
    )]);
    let (running, port) = start(host, plugins.path(), pipeline, http);
    let all = spans.len() as u64;
    send_spans(http, spans).await;
    page_when((host, &running, port), what, |page| {
        let of = |name| page.sum_of(name, &[]).unwrap_or_default();
        of("kept_spans_total") + of("dropped_spans_total") == all
    })
    .await;
    let (code, log) = block_in_place(|| running.stop());
    assert_eq!(code, Some(0), "{what}: {log}");
    let mut kept: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for span in arrived::spans(&sink) {
        let trace = span.name.split('.').next().unwrap().to_owned();
        kept.entry(trace).or_default().insert(span.trace_state);
    }
    kept
}

/// Scenario: 60 traces of four spans, half of them in sessions of three; two instances get two spans of each, in
/// head and in tail mode. Guarantees: both decide about every trace and every session alike, with the same
/// threshold and the same randomness, and so do both modes and all hosts.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn instances_with_disjoint_spans_of_traces_agree() {
    let _together = together();
    let of = |wanted: bool| -> Vec<Span> {
        let mut spans = Vec::new();
        for trace in 1..=60_u8 {
            let session = format!("session {}", trace / 6);
            let key = if trace % 2 == 0 { "session.id" } else { "other.id" };
            let randomness = trace.wrapping_mul(89);
            let all = (1..=4).map(|id| span(trace, randomness, id, (key, session.as_str())));
            spans
                .extend(all.zip([true, false].into_iter().cycle()).filter(|(_, it)| *it == wanted));
        }
        spans.into_iter().map(|(span, _)| span).collect()
    };
    let sessions = ["session_attributes: session.id", "session_hash_key: sixteen bytes at least"];
    let mut agreed = None;
    for host in all_hosts() {
        for mode in [&["mode: head"][..], &["mode: tail", "decision_wait: 1s"]] {
            let what = format!("{}, {mode:?}", host.title());
            let options = [mode, &sessions].concat();
            let one = through(&host, &what, &options, of(true)).await;
            let other = through(&host, &what, &options, of(false)).await;
            assert_eq!(one, other, "{what}");
            assert!((10..50).contains(&one.len()), "{what}: {one:?}");
            assert!(one.values().all(|states| states.len() == 1), "{what}: {one:?}");
            for session in 0..10_u8 {
                let traces = (1..=60_u8).filter(|trace| trace % 2 == 0 && trace / 6 == session);
                let kept: BTreeSet<_> = traces.map(|it| one.get(&it.to_string())).collect();
                assert_eq!(kept.len(), 1, "{what}: session {session}: {kept:?}");
            }
            let former = agreed.get_or_insert_with(|| one.clone());
            assert_eq!(*former, one, "{what}");
        }
    }
}
