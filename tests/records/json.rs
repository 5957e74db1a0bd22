//! Differential tests: OTLP/JSON <-> protobuf, against prost and against the JSON of the
//! OpenTelemetry project's own crate.
//!
//! `PROPTEST_CASES` sets the number of requests for each signal.

use fluent_bit_ai::codec::json::{from_protobuf, fuzz_logic, to_protobuf};
use fluent_bit_ai::model::Signal;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::generate;

/// Requests for each signal if `PROPTEST_CASES` says nothing else.
const CASES: u32 = 1000;

fn config(cases: u32) -> ProptestConfig {
    let wanted = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: wanted.unwrap_or(cases), ..ProptestConfig::default() }
}

fn json(signal: Signal, request: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(from_protobuf(signal, request, &mut out), Ok(0));
    out
}

fn protobuf(signal: Signal, json: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let converted = to_protobuf(signal, json, &mut out, usize::MAX).unwrap();
    assert_eq!(converted.rejected, 0, "{:?}", converted.reason);
    out
}

/// There and back is equal, and what comes back is encoded as prost encodes it, but for the order of
/// fields.
fn there_and_back<M: Message + Default + PartialEq>(signal: Signal, request: &M) {
    let encoded = request.encode_to_vec();
    let text = json(signal, &encoded);
    let back = protobuf(signal, &text);
    assert!(M::decode(&back[..]).unwrap() == *request);
    assert_eq!(back.len(), encoded.len());
    // The text is JSON for others too.
    assert!(serde_json::from_slice::<serde_json::Value>(&text).unwrap().is_object());
}

proptest! {
    #![proptest_config(config(CASES))]

    #[test]
    fn traces(request in generate::traces()) {
        there_and_back(Signal::Traces, &request);
    }

    #[test]
    fn metrics(request in generate::metrics()) {
        there_and_back(Signal::Metrics, &request);
    }

    #[test]
    fn logs(request in generate::logs()) {
        there_and_back(Signal::Logs, &request);
    }
}

/// What the OpenTelemetry project's crate writes is read as what it means. It cannot say everything
/// (infinities, string indexes): only requests that survive its own way there and back are compared.
/// What it reads of ours is right too; how many it reads is returned, because it refuses numbers of
/// 64 bits in text in some places and asks for some fields that are empty. Metrics whose data it
/// cannot read it takes for metrics without: `parts` counts what is there.
fn with_others<M>(signal: Signal, requests: &BoxedStrategy<M>, parts: fn(&M) -> usize) -> u32
where
    M: Message + Default + PartialEq + Serialize + DeserializeOwned + std::fmt::Debug,
{
    let mut runner = TestRunner::deterministic();
    let (mut compared, mut read_by_them) = (0, 0);
    for _ in 0..config(300).cases {
        let request = requests.new_tree(&mut runner).unwrap().current();
        let theirs = serde_json::to_vec(&request).unwrap();
        if !serde_json::from_slice::<M>(&theirs).is_ok_and(|back| back == request) {
            continue;
        }
        compared += 1;
        let read = protobuf(signal, &theirs);
        assert!(M::decode(&read[..]).unwrap() == request, "{}", String::from_utf8_lossy(&theirs));
        let ours = json(signal, &request.encode_to_vec());
        if let Ok(read) = serde_json::from_slice::<M>(&ours)
            && parts(&read) == parts(&request)
        {
            read_by_them += 1;
            assert!(read == request, "{}", String::from_utf8_lossy(&ours));
        }
    }
    assert!(compared > config(300).cases / 20, "{compared}");
    read_by_them
}

#[test]
fn the_json_of_others() {
    let data = |request: &ExportMetricsServiceRequest| {
        let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        scopes.flat_map(|scope| &scope.metrics).filter(|metric| metric.data.is_some()).count()
    };
    assert!(with_others(Signal::Traces, &generate::traces(), |_| 0) > 0);
    assert!(with_others(Signal::Metrics, &generate::metrics(), data) > 0);
    assert!(with_others(Signal::Logs, &generate::logs(), |_| 0) > 0);
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn random_and_changed_text_is_survived(
        request in generate::logs(),
        random in "\\PC{0,60}",
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        fuzz_logic::json_requests(random.as_bytes());
        let mut text = json(Signal::Logs, &request.encode_to_vec());
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        fuzz_logic::json_requests(&text);
    }

    #[test]
    fn random_protobuf_is_survived(bytes in vec(any::<u8>(), 0..200)) {
        fuzz_logic::protobuf_requests(&bytes);
    }
}
