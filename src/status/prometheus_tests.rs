//! `/metrics` and `/verdict/` over real sockets.

use std::io::Read as _;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use prost::Message;
use serde_json::{Value, json};

use super::tests::{ask, ask_bytes, serve};
use crate::clock::Tick;
use crate::codec::records::metrics_to_records;
use crate::hub::{ConversationVerdict, StatusSection, StatusSource};
use crate::model::LastMetrics;
use crate::sync::Mutex;

/// A filter that emitted a counter, and what it says of one conversation.
struct Emitted {
    last: Mutex<LastMetrics>,
    known: Option<(&'static str, ConversationVerdict)>,
}

fn emitted(value: i64, unix_nanos: u64) -> LastMetrics {
    let point = NumberDataPoint {
        start_time_unix_nano: 1,
        time_unix_nano: unix_nanos,
        value: Some(Number::AsInt(value)),
        ..NumberDataPoint::default()
    };
    let data_points = vec![point];
    let sum = Sum { data_points, aggregation_temporality: 2, is_monotonic: true };
    let data = Some(Data::Sum(sum));
    let metrics = vec![Metric { name: "calls".to_owned(), data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    let request = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
    let mut events = Vec::new();
    metrics_to_records(&request, &mut events, unix_nanos).unwrap();
    LastMetrics { unix_nanos, events: Arc::new(events), is_whole: true }
}

impl StatusSource for Emitted {
    fn rows(&self, _: Tick, _: u64) -> Vec<(StatusSection, Value)> {
        Vec::new()
    }

    fn metrics(&self) -> Option<LastMetrics> {
        Some(self.last.lock().clone())
    }

    fn verdict(&self, id: &str) -> Option<ConversationVerdict> {
        let (known, verdict) = self.known.as_ref()?;
        Some(if id == *known { verdict.clone() } else { ConversationVerdict::Unknown })
    }
}

fn source(last: LastMetrics, known: Option<(&'static str, ConversationVerdict)>) -> Arc<Emitted> {
    Arc::new(Emitted { last: Mutex::new(last), known })
}

/// Scenario: pages in both formats before anything is emitted, of one filter, of two, and after the next emission; then
/// one with too many series. Guarantees: the media type is that which was asked for, series of both filters are one, a page
/// is of what was emitted last, and where not all fits it says so.
#[test]
fn metrics_are_those_that_were_emitted_last() {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    let served = serve();
    let get = |accept: &str| {
        let request = format!(
            "GET /metrics HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
        );
        let answer = ask(served.server.address(), &request);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    };
    let page = |accept: &str, media_type: &str| {
        let (head, body) = get(accept);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains(&format!("content-type: {media_type}")), "{head}");
        body
    };
    let is_open = "application/openmetrics-text;version=1.0.0";
    assert_eq!(page(is_open, OPEN_METRICS), "# EOF\n");
    assert_eq!(page("*/*", TEXT), "");
    let first = source(emitted(3, 10), None);
    served.hub.add_status_source("ai_metrics.0", Arc::<Emitted>::clone(&first));
    let open = |value: &str| {
        format!("# TYPE calls counter\ncalls_total {value}\ncalls_created 0.000\n# EOF\n")
    };
    assert_eq!(page(is_open, OPEN_METRICS), open("3.0"));
    assert_eq!(page("text/plain", TEXT), "# TYPE calls_total counter\ncalls_total 3.0\n");
    served.hub.add_status_source("ai_metrics.1", source(emitted(4, 11), None));
    assert_eq!(page(is_open, OPEN_METRICS), open("7.0"));
    *first.last.lock() = emitted(5, 20);
    assert_eq!(page(is_open, OPEN_METRICS), open("9.0"));
    // Twice: made, and as it was made.
    for _ in 0..2 {
        let request = format!(
            "GET /metrics HTTP/1.1\r\nhost: localhost\r\naccept: {is_open}\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n"
        );
        let answer = ask_bytes(served.server.address(), &request);
        let end = answer.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]);
        assert!(head.contains("content-encoding: gzip") && head.contains(OPEN_METRICS), "{head}");
        let mut body = String::new();
        flate2::read::GzDecoder::new(&answer[end + 4..]).read_to_string(&mut body).unwrap();
        assert_eq!(body, open("9.0"));
    }
    assert_eq!(page(is_open, OPEN_METRICS), open("9.0"));
    *first.last.lock() = LastMetrics { is_whole: false, unix_nanos: 30, ..LastMetrics::default() };
    let (head, body) = get(is_open);
    assert!(head.starts_with("HTTP/1.1 503 ") && body.contains("max_series"), "{head}\n{body}");
}

/// Scenario: verdicts where nobody watches, of conversations that are unknown, well, run away, and called by any text; of
/// two filters. Guarantees: one JSON object with the worst of them, which says only what the filters say and was asked.
#[test]
fn verdicts_are_the_worst_of_all_filters() {
    let served = serve();
    let verdict = |path: &str, status: u16| {
        let answer = served.get(path);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    let json = |path: &str| -> Value { serde_json::from_str(&verdict(path, 200)).unwrap() };
    assert!(verdict("/verdict/a", 404).contains("find_runaway"));
    served.hub.add_status_source("0", source(LastMetrics::default(), None));
    assert!(verdict("/verdict/a", 404).contains("find_runaway"));
    let well = ConversationVerdict::Ok(json!({ "tool_calls": 3 }));
    served
        .hub
        .add_status_source("1", source(LastMetrics::default(), Some(("a/ü\"", well.clone()))));
    let unknown = json!({ "conversation": "a", "verdict": "unknown" });
    assert_eq!(json("/verdict/a"), unknown);
    let expected = json!({ "conversation": "a/ü\"", "verdict": "ok", "tool_calls": 3 });
    assert_eq!(json("/verdict/a%2F%C3%BC%22"), expected);
    assert_eq!(json("/verdict/a/%C3%BC%22?x=1"), expected);
    let runaway = ConversationVerdict::Runaway(json!({ "tool_calls": 9 }));
    served.hub.add_status_source("2", source(LastMetrics::default(), Some(("a/ü\"", runaway))));
    served.hub.add_status_source("3", source(LastMetrics::default(), Some(("a", well))));
    let expected = json!({ "conversation": "a/ü\"", "verdict": "runaway", "tool_calls": 9 });
    assert_eq!(json("/verdict/a%2F%C3%BC%22"), expected);
    assert_eq!(json("/verdict/a")["verdict"], "ok");
    for path in ["/verdict/", "/verdict/%ff"] {
        verdict(path, 400);
    }
}
