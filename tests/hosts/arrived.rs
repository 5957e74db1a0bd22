//! What of spans has arrived at a receiver.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::sink::Sink;

/// The attributes that begin with a prefix, without it, by the first byte of their span's id. Each span comes
/// once.
pub fn span_attributes(sink: &Sink, prefix: &str) -> BTreeMap<u8, BTreeMap<String, Value>> {
    let mut arrived = BTreeMap::new();
    for span in spans(sink) {
        let named = |pair: KeyValue| {
            let name = pair.key.strip_prefix(prefix)?.to_owned();
            Some((name, pair.value.and_then(|value| value.value).unwrap()))
        };
        let attributes = span.attributes.into_iter().filter_map(named).collect();
        assert!(arrived.insert(span.span_id[0], attributes).is_none(), "{} twice", span.name);
    }
    arrived
}

/// All spans, in the order in which they came.
pub fn spans(sink: &Sink) -> Vec<Span> {
    let received = sink.received.lock().unwrap();
    let messages = received.requests.get("/v1/traces").into_iter().flatten();
    messages
        .flat_map(|message| {
            ExportTraceServiceRequest::decode(message.clone()).unwrap().resource_spans
        })
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect()
}
