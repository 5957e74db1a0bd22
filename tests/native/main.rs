//! OTLP through Fluent Bit's own contexts and back, for every layout that its readers ever had.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod expected;
#[expect(dead_code, reason = "shared with the tests of records")]
#[path = "../records/generate.rs"]
mod generate;

use fluent_bit_ai::codec::native::write::{Forms, metrics_to_cmetrics, traces_to_ctraces};
use fluent_bit_ai::codec::native::{cmetrics_to_otlp, ctraces_to_otlp};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message as _;

/// One release of each layout of metrics and of spans.
const RELEASES: [&str; 7] = ["3.0.0", "3.2.7", "4.2.8", "5.0.0", "5.0.1", "5.0.5", "5.1.1"];

fn release() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&RELEASES[..])
}

fn points(request: &ExportMetricsServiceRequest) -> usize {
    expected::flat_metrics(request.clone()).len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn traces(request in generate::traces(), release in release()) {
        let mut chunk = b"kept".to_vec();
        let forms = Forms::of_release(release);
        let written = traces_to_ctraces(&request.encode_to_vec(), &mut chunk, forms).unwrap();
        let expected = expected::traces(request, expected::release(release));
        prop_assert_eq!((written.transcoded.items, written.transcoded.rejected), (expected.len(), 0));
        let read = ctraces_to_otlp(chunk.strip_prefix(b"kept").unwrap());
        prop_assert_eq!((read.items, read.skipped, read.reason), (expected.len(), 0, None));
        prop_assert_eq!(read.contexts, written.transcoded.records);
        let back = ExportTraceServiceRequest::decode(&read.request[..]).unwrap();
        prop_assert_eq!(expected::flat_traces(&back), expected);
    }

    #[test]
    fn metrics(request in generate::metrics(), release in release()) {
        let request = expected::sensible(request);
        let mut chunk = b"kept".to_vec();
        let forms = Forms::of_release(release);
        let written = metrics_to_cmetrics(&request.encode_to_vec(), &mut chunk, forms).unwrap();
        let all = points(&request);
        let mut expected = expected::metrics(request, expected::release(release));
        let done = written.transcoded;
        prop_assert_eq!(done.items, expected.len(), "{:?}", done.reason);
        prop_assert_eq!(done.items + done.rejected, all);
        let read = cmetrics_to_otlp(chunk.strip_prefix(b"kept").unwrap());
        prop_assert_eq!((read.items, read.skipped, read.reason), (expected.len(), 0, None));
        prop_assert_eq!(read.contexts, done.records);
        let back = ExportMetricsServiceRequest::decode(&read.request[..]).unwrap();
        let mut back = expected::flat_metrics(back);
        expected.sort();
        back.sort();
        prop_assert_eq!(back, expected);
    }

    #[test]
    fn whatever_comes_is_written_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for release in RELEASES {
            let mut chunk = Vec::new();
            let forms = Forms::of_release(release);
            if traces_to_ctraces(&bytes, &mut chunk, forms).is_err() {
                prop_assert!(chunk.is_empty());
            }
            chunk.clear();
            if metrics_to_cmetrics(&bytes, &mut chunk, forms).is_err() {
                prop_assert!(chunk.is_empty());
            }
        }
    }
}

fn golden(name: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/native/");
    std::fs::read(format!("{path}{name}.msgpack")).unwrap()
}

/// What Fluent Bit wrote says the same after it was read and written again.
#[test]
fn what_fluent_bit_wrote_is_written_again() {
    for release in ["4.0.14", "4.2.8", "5.1.1"] {
        let forms = Forms::of_release(release);
        let first = ctraces_to_otlp(&golden(&format!("v{release}_traces_0")));
        let mut chunk = Vec::new();
        traces_to_ctraces(&first.request, &mut chunk, forms).unwrap();
        let second = ctraces_to_otlp(&chunk);
        let decode = |request: &[u8]| ExportTraceServiceRequest::decode(request).unwrap();
        assert_eq!(decode(&first.request), decode(&second.request), "{release}");
        let first = cmetrics_to_otlp(&golden(&format!("v{release}_metrics_0")));
        let mut chunk = Vec::new();
        metrics_to_cmetrics(&first.request, &mut chunk, forms).unwrap();
        let second = cmetrics_to_otlp(&chunk);
        let decode = |request: &[u8]| ExportMetricsServiceRequest::decode(request).unwrap();
        assert_eq!(decode(&first.request), decode(&second.request), "{release}");
    }
}
