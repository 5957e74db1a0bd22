//! `http/json`: the same requests, and answers in JSON.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::data::{log_chunk, logs, metric_chunk, metrics, span, text, trace_chunk, traces};
use super::receiver::{Receiver, Say};
use super::{Bench, Fate, endpoint};
use crate::codec::json::to_protobuf;
use crate::export::{Compression, EndpointSettings, Protocol};
use crate::model::Signal;

fn over_json(name: &str, receiver: &Receiver) -> EndpointSettings {
    EndpointSettings { protocol: Protocol::HttpJson, ..endpoint(name, receiver) }
}

fn requests<M: Message + Default>(receiver: &Receiver, signal: Signal) -> Vec<M> {
    let seen = receiver.seen();
    let matching = seen.iter().filter(|seen| seen.path == signal.http_path());
    let decode = |body: &[u8]| {
        let mut request = Vec::new();
        let converted = to_protobuf(signal, body, &mut request, usize::MAX).unwrap();
        assert_eq!(converted.rejected, 0);
        M::decode(request.as_slice()).unwrap()
    };
    matching.map(|seen| decode(&seen.body)).collect()
}

fn says(body: &'static str, status: u16) -> Say {
    let headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
    Say::Http(status, headers, body.as_bytes().to_vec())
}

#[test]
fn every_signal_is_delivered_unchanged() {
    let receiver = Receiver::start(|_, _| says("{}", 200));
    let packed =
        EndpointSettings { compression: Compression::Gzip, ..over_json("packed", &receiver) };
    let bench = Bench::new(vec![over_json("plain", &receiver), packed]);
    let spans = traces((0..50).map(|number| span(number, vec![text("k", "v\n\"")])).collect());
    let (points, records) = (metrics(3), logs(&["a", "\u{1f600}"]));
    assert_eq!(bench.deliver(1, &trace_chunk(&spans)), Fate::Done);
    assert_eq!(bench.deliver(2, &metric_chunk(&points)), Fate::Done);
    assert_eq!(bench.deliver(3, &log_chunk(&records)), Fate::Done);
    let got: Vec<ExportTraceServiceRequest> = requests(&receiver, Signal::Traces);
    assert_eq!(got, vec![spans; 2]);
    let got: Vec<ExportMetricsServiceRequest> = requests(&receiver, Signal::Metrics);
    assert_eq!(got, vec![points; 2]);
    let got: Vec<ExportLogsServiceRequest> = requests(&receiver, Signal::Logs);
    assert_eq!(got, vec![records; 2]);
    let seen = receiver.seen();
    assert!(seen.iter().all(|seen| seen.headers["content-type"] == "application/json"));
    assert!(seen.iter().all(|seen| seen.headers["accept"] == "application/json"));
    assert_eq!(seen.iter().filter(|seen| seen.headers.contains_key("content-encoding")).count(), 3);
    for name in ["plain", "packed"] {
        assert_eq!(bench.count("sent_items_total", &[name, "traces"]), 50);
        assert_eq!(bench.count("lost_fields_total", &[name]), 0);
    }
}

#[test]
fn answers_in_json_are_understood() {
    let receiver = Receiver::start(|number, _| match number {
        0 => says(r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"two are bad"}}"#, 200),
        1 => says(r#"{"code":3,"message":"never this"}"#, 400),
        2 => says(r#"{"code":14,"message":"later"}"#, 503),
        _ => says("{}", 200),
    });
    let bench = Bench::new(vec![over_json("main", &receiver)]);
    let chunk = trace_chunk(&traces((0..5).map(|number| span(number, vec![])).collect()));
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    assert_eq!(bench.count("sent_items_total", &["main", "traces"]), 3);
    assert_eq!(bench.count("dropped_items_total", &["main", "rejected"]), 2);
    assert_eq!(bench.deliver(2, &chunk), Fate::Done);
    assert_eq!(bench.count("dropped_items_total", &["main", "refused"]), 5);
    assert_eq!(bench.deliver(3, &chunk), Fate::Retry);
    let log = bench.log();
    for expected in ["two are bad", "HTTP status 400: never this", "HTTP status 503: later"] {
        assert!(log.contains(expected), "{log}");
    }
}
