//! Encoded request: made once for every endpoint that gets it.

mod body;
pub(super) mod items;
mod json;
pub(super) mod metric_kinds;

use std::sync::OnceLock;

use bytes::Bytes;

use crate::export::settings::Compression;
use crate::model::Signal;
use body::EncodedBody;
pub(super) use json::JsonRequest;

/// An encoded export request.
#[derive(Debug)]
pub(in crate::export) struct EncodedRequest {
    pub(in crate::export) signal: Signal,
    /// Spans, data points or log records in it.
    pub(in crate::export) items: usize,
    /// Whether all of it is what our own filters derived: metrics that travel apart from those of
    /// applications, so that an endpoint that refuses the one still gets the other.
    pub(in crate::export) is_derived: bool,
    protobuf: EncodedBody,
    json: OnceLock<Option<Box<JsonRequest>>>,
}

impl EncodedRequest {
    pub(in crate::export) fn new(signal: Signal, items: usize, body: Vec<u8>) -> Self {
        Self {
            signal,
            items,
            is_derived: false,
            protobuf: EncodedBody::new(body),
            json: OnceLock::new(),
        }
    }

    /// The same, known as derived or not.
    pub(in crate::export) const fn derived(mut self, is_derived: bool) -> Self {
        self.is_derived = is_derived;
        self
    }

    /// The request as JSON, written when it is first asked for; `None` if it is not OTLP.
    pub(in crate::export) fn json(&self) -> Option<&JsonRequest> {
        self.json.get_or_init(|| JsonRequest::new(self.signal, self.bytes())).as_deref()
    }

    /// The same items, rewritten.
    pub(in crate::export) fn with(&self, rewrite: impl FnOnce(Signal, &[u8]) -> Vec<u8>) -> Self {
        let body = rewrite(self.signal, self.bytes());
        Self::new(self.signal, self.items, body).derived(self.is_derived)
    }

    /// The same request for another endpoint.
    pub(in crate::export) fn again(&self) -> Self {
        Self {
            signal: self.signal,
            items: self.items,
            is_derived: self.is_derived,
            protobuf: self.protobuf.clone(),
            json: OnceLock::new(),
        }
    }

    /// The request in protobuf.
    pub(in crate::export) fn bytes(&self) -> &[u8] {
        self.protobuf.plain()
    }

    /// The uncompressed length.
    pub(in crate::export) fn size(&self) -> usize {
        self.protobuf.plain().len()
    }

    /// The body in the given compression; compressed when it is first asked for.
    pub(in crate::export) fn body(&self, compression: Compression) -> Bytes {
        self.protobuf.in_compression(compression)
    }
}
