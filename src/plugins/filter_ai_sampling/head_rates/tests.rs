//! The section `rates`: what is read, what is refused, and what is counted.

use crate::codec::records::Events;
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::plugin::{Filter, GivenOptions};
use crate::plugins::filter_ai_sampling::AiSampling;
use crate::plugins::testing::{counter, environment, pass, problems};

const RATES: &str = r#"
sampling_percentage: 0
rates:
  - {name: gold, key: tenant.id, values: [acme, globex], sampling_percentage: 100}
  - {name: failed, where: 'status == "error"', sampling_percentage: 50}
  - {name: embeddings, key: 'span.attributes["gen_ai.operation.name"]', values: [embeddings], sampling_percentage: 0}
  - {name: inner, where: '!is_root && kind != "server"', sampling_percentage: 0}
  - {name: per_tenant, key: tenant.id, keys: [tenant.id], spans_per_second: 100}
  - {name: volume, where: 'kind == "server"', keys: [service.name], bytes_per_second: 1000, algorithm: windowed}
  - {name: per_model, keys: [gen_ai.request.model, gen_ai.operation.name], goal_percentage: 100}
"#;

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn rates_are_read_and_counted() {
    let file = file(RATES);
    let options = GivenOptions::of(&[("config_file", file.path().to_str().unwrap())]);
    let environment = environment(false);
    let mut filter = AiSampling::open(&options, environment.clone()).unwrap();
    let span = |id| SpanRecord::new(0x00ff_ffff_ffff_ff00 | id, id);
    let spans = [
        span(1).with("tenant.id", "acme"),
        span(2).error(),
        span(3).with("gen_ai.operation.name", "embeddings"),
        span(4).with("tenant.id", "other"),
        span(5).kind("server"),
        span(6).with("gen_ai.request.model", "gpt-4o"),
        SpanRecord::new(7, 7).error(),
        span(8).parent(1),
    ];
    let out = pass(&mut filter, &chunk(&spans));
    assert_eq!(Events::new(&out).count(), 5);
    for (name, rate, spans) in [
        ("kept_spans_total", "gold", 1),
        ("kept_spans_total", "failed", 1),
        ("dropped_spans_total", "failed", 1),
        ("dropped_spans_total", "embeddings", 1),
        ("dropped_spans_total", "inner", 1),
        ("kept_spans_total", "per_tenant", 1),
        ("kept_spans_total", "volume", 1),
        ("kept_spans_total", "per_model", 1),
        ("kept_spans_total", "sampling_percentage", 0),
        ("rate_condition_errors_total", "failed", 0),
    ] {
        assert_eq!(counter(&environment, name, rate), spans, "{name} {rate}");
    }
}

#[test]
fn mistakes_are_named_with_their_line() {
    for (rate, part) in [
        ("5", "rates[0] must be a map"),
        ("{sampling_percentage: 5}", "rates[0].name: nothing"),
        ("{name: not_sampled, sampling_percentage: 5}", "rates[0].name: \"not_sampled\""),
        ("{name: a}", "rates[0].sampling_percentage: nothing"),
        ("{name: a, sampling_percentage: 120}", "sampling_percentage: 120"),
        ("{name: a, sampling_percentage: 5, keys: [b]}", "rates[0].keys"),
        (
            "{name: a, sampling_percentage: 5, spans_per_second: 5, keys: [b]}",
            "allowed: a number, here",
        ),
        ("{name: a, traces_per_second: 5, keys: [b]}", "traces_per_second: this key is not known"),
        ("{name: a, spans_per_second: 5}", "rates[0].keys: nothing"),
        ("{name: a, where: 'size(spans) > 1', sampling_percentage: 5}", "without its trace"),
        ("{name: a, where: 'name', sampling_percentage: 5}", "rates[0].where"),
        ("{name: a, where: 'true', key: b, sampling_percentage: 5}", "one of 'where' and 'key'"),
        ("{name: a, values: [b], sampling_percentage: 5}", "it needs 'key'"),
        ("{name: a, key: root.b, sampling_percentage: 5}", "without its root"),
        ("{name: a, key: meta.b, sampling_percentage: 5}", "it is not supported"),
        ("{name: a, key: b, values: [], sampling_percentage: 5}", "rates[0].values"),
    ] {
        let file = file(&format!("sampling_percentage: 1\nrates:\n  - {rate}\n"));
        let path = file.path().to_str().unwrap();
        let found = problems::<AiSampling>(&[("config_file", path)], false);
        assert!(found.iter().any(|problem| problem.contains(part)), "{rate}: {found:?}");
        assert!(found.iter().all(|problem| problem.contains("line 3: ")), "{rate}: {found:?}");
    }
    let file = file("rates: [{name: a, sampling_percentage: 5}]\nkeep_errors: on\n");
    let path = file.path().to_str().unwrap();
    let found = problems::<AiSampling>(&[("config_file", path), ("mode", "tail")], true);
    assert!(found.iter().any(|problem| problem.contains("need 'mode: head'")), "{found:?}");
}
