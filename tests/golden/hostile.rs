use fluent_bit_ai::codec::fluentbit::{
    LogAccessors, cmetrics_to_otlp, ctraces_to_otlp, fuzz_logic, plain_log,
};
use fluent_bit_ai::codec::records::Events;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message as _;

use crate::build::golden;

/// Whatever the bytes are, what comes out is protobuf and has the items that are counted.
fn check(bytes: &[u8]) {
    let read = ctraces_to_otlp(bytes);
    let request = ExportTraceServiceRequest::decode(&read.request[..]).unwrap();
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    assert_eq!(scopes.map(|scope| scope.spans.len()).sum::<usize>(), read.items);
    assert_eq!(read.reason.is_some(), read.skipped > 0);
    let read = cmetrics_to_otlp(bytes);
    let request = ExportMetricsServiceRequest::decode(&read.request[..]).unwrap();
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let data = scopes.flat_map(|scope| &scope.metrics).filter_map(|metric| metric.data.as_ref());
    let points = data.map(|data| match data {
        Data::Gauge(data) => data.data_points.len(),
        Data::Sum(data) => data.data_points.len(),
        Data::Histogram(data) => data.data_points.len(),
        Data::ExponentialHistogram(data) => data.data_points.len(),
        Data::Summary(data) => data.data_points.len(),
    });
    assert_eq!(points.sum::<usize>(), read.items);
    assert_eq!(read.reason.is_some(), read.skipped > 0);
    for event in Events::new(bytes).flatten() {
        let log = plain_log(&event, b"tag", 1, &LogAccessors::default());
        LogRecord::decode(&log.record[..]).unwrap();
        Resource::decode(&log.resource[..]).unwrap();
    }
}

fn vectors() -> Vec<Vec<u8>> {
    let names = ["v4.0.14_metrics_0", "v5.1.1_metrics_0", "v5.1.1_traces_0"];
    let mut vectors: Vec<Vec<u8>> = names.iter().map(|name| golden(name)).collect();
    let log = serde_json::json!({
        "log": "hello", "level": "warn", "trace_id": "0a".repeat(16), "span": {"id": "0b".repeat(8)},
        "kubernetes": {"pod_name": "p", "labels": {"app": "a"}, "container_image": "r/i:t@d"},
        "service": {"name": "s"}, "_HOSTNAME": "h", "PRIORITY": "3",
    });
    let group = serde_json::json!({"resource": {"attributes": {"k": "v"}}});
    let mut chunk = rmp_serde::to_vec(&((-1, serde_json::json!({})), group)).unwrap();
    chunk.extend(rmp_serde::to_vec(&((5, serde_json::json!({"x": 1})), log)).unwrap());
    vectors.push(chunk);
    vectors
}

#[test]
fn cuts_at_every_byte_are_survived() {
    for vector in vectors() {
        for length in 0..=vector.len() {
            check(&vector[..length]);
        }
    }
}

#[test]
fn every_byte_may_be_wrong() {
    for vector in vectors() {
        for at in 0..vector.len() {
            let mut vector = vector.clone();
            vector[at] = [0x00, 0x80, 0x91, 0xc0, 0xc1, 0xdf, 0xff][at % 7];
            check(&vector);
        }
    }
}

#[test]
fn deep_nesting_and_huge_lengths_are_survived() {
    for head in [&[0x91_u8][..], &[0x81, 0xa1, b'k']] {
        let mut spans =
            b"\x81\xadresourceSpans\x91\x81\xabscope_spans\x91\x81\xa5spans\x91".to_vec();
        spans.extend(b"\x82\xa4name\xa1n\xaaattributes\x81\xa1k");
        spans.extend(head.repeat(100_000));
        spans.push(0);
        check(&spans);
        let read = ctraces_to_otlp(&spans);
        assert_eq!((read.items, read.skipped), (1, 1));
        assert!(read.reason.unwrap().contains("nested deeper"));
    }
    check(&[0xdf, 0xff, 0xff, 0xff, 0xff, 0xa0]);
    check(&[0xdd, 0xff, 0xff, 0xff, 0xff]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz_logic::chunks(&bytes);
        check(&bytes);
    }

    #[test]
    fn mutations_are_survived(
        which in 0..4_usize,
        edits in proptest::collection::vec((any::<u16>(), any::<u8>(), 0..3_u8), 1..12),
    ) {
        let mut vector = vectors().swap_remove(which);
        for (at, byte, edit) in edits {
            let at = usize::from(at) % vector.len();
            match edit {
                0 => vector[at] = byte,
                1 => vector.insert(at, byte),
                _ => drop(vector.remove(at)),
            }
        }
        check(&vector);
        // What is before and after a broken part is read as if it stood alone.
        let good = golden("v5.1.1_traces_0");
        let read = ctraces_to_otlp(&[&good[..], &vector].concat());
        prop_assert_eq!(read.items, 3 + ctraces_to_otlp(&vector).items);
    }
}
