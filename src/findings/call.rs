//! Observed call: what a span or a log event says of a call, as checks take it.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::finding::Subject;
use crate::codec::msgpack::{MapView, text_of};
use crate::codec::records::layout::keys;
use crate::model::{SpanId, TraceId};

/// Where calls come from: the same for all spans that follow each other with the same metadata.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallOrigin<'a> {
    /// The encoded name of the service.
    service: &'a [u8],
    /// The encoded name of the instrumentation library, and its version.
    library: &'a [u8],
    version: &'a [u8],
    service_hash: u64,
    library_hash: u64,
}

impl<'a> CallOrigin<'a> {
    /// What an encoded resource and scope say.
    #[must_use]
    pub fn new(resource: Option<&'a [u8]>, scope: Option<&'a [u8]>) -> Self {
        let attributes = resource.and_then(|resource| MapView::new(resource).get(keys::ATTRIBUTES));
        let service =
            attributes.and_then(|attributes| MapView::new(attributes).get(b"service.name"));
        let scope = MapView::new(scope.unwrap_or_default());
        let (service, library, version) = (
            service.unwrap_or_default(),
            scope.get(b"name").unwrap_or_default(),
            scope.get(b"version").unwrap_or_default(),
        );
        let library_hash = xxh3_64_with_seed(version, xxh3_64(library));
        Self { service, library, version, service_hash: xxh3_64(service), library_hash }
    }

    /// A hash of the library and its version.
    pub(super) const fn library_hash(&self) -> u64 {
        self.library_hash
    }

    /// Whose findings those of the library are.
    pub(super) fn library(&self) -> Subject {
        Subject::of(&[
            ("fluentbit.ai.finding.library", self.library),
            ("fluentbit.ai.finding.library.version", self.version),
        ])
    }

    /// Whose findings those of the service are.
    pub(super) fn service(&self) -> Subject {
        Subject::of(&[("service.name", self.service)])
    }
}

/// Numbers of tokens as a call says them, be they possible or not.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct UsedTokens {
    /// Taken in, those of the cache included.
    pub input: Option<f64>,
    /// Given out, those of reasoning included.
    pub output: Option<f64>,
    /// Read from a cache or written into one.
    pub cached: Option<f64>,
    /// Spent on reasoning.
    pub reasoning: Option<f64>,
}

/// A call to a model; encoded values, empty for what is missing.
#[derive(Debug, Clone, Copy)]
pub struct ObservedCall<'a> {
    /// Where it comes from.
    pub origin: &'a CallOrigin<'a>,
    /// When it ended, in Unix nanoseconds.
    pub unix_nanos: u64,
    /// `gen_ai.operation.name`
    pub operation: &'a [u8],
    /// `gen_ai.provider.name`
    pub provider: &'a [u8],
    /// `gen_ai.request.model`
    pub request_model: &'a [u8],
    /// `gen_ai.response.model`
    pub response_model: &'a [u8],
    /// The fingerprint of the configuration that served it.
    pub fingerprint: &'a [u8],
    /// `gen_ai.conversation.id`
    pub conversation: &'a [u8],
    /// `gen_ai.input.messages`
    pub input_messages: &'a [u8],
    /// `gen_ai.system_instructions`
    pub system_instructions: &'a [u8],
    /// `gen_ai.response.finish_reasons`
    pub finish_reasons: &'a [u8],
    /// The array of events of its span.
    pub events: &'a [u8],
    /// What it took.
    pub seconds: Option<f64>,
    /// How long after its start the answer began.
    pub first_chunk: Option<f64>,
    /// Its tokens.
    pub tokens: UsedTokens,
    /// What it cost in US dollars, if that is known.
    pub cost: Option<f64>,
    /// Whether it failed.
    pub has_failed: bool,
    /// Its trace and span.
    pub ids: Option<(TraceId, SpanId)>,
}

impl<'a> ObservedCall<'a> {
    /// The model that was asked for, or else the one that answered.
    pub(super) const fn model(&self) -> &'a [u8] {
        if self.request_model.is_empty() { self.response_model } else { self.request_model }
    }

    /// A hash of what the levels of calls are learned for.
    pub(super) fn key(&self) -> u64 {
        let parts = [self.operation, self.provider, self.model()];
        parts.iter().fold(self.origin.service_hash, |hash, part| xxh3_64_with_seed(part, hash))
    }

    /// The same in words.
    pub(super) fn subject(&self) -> Subject {
        Subject::of(&[
            ("service.name", self.origin.service),
            ("gen_ai.operation.name", self.operation),
            ("gen_ai.provider.name", self.provider),
            ("gen_ai.request.model", self.model()),
        ])
    }

    /// A hash of the conversation, or else of the trace.
    pub(super) fn conversation_hash(&self) -> Option<u64> {
        conversation_hash(self.conversation, self.ids)
    }
}

/// A call of a tool; encoded values, empty for what is missing.
#[derive(Debug, Clone, Copy)]
pub struct ObservedTool<'a> {
    /// Where it comes from.
    pub origin: &'a CallOrigin<'a>,
    /// When it ended, in Unix nanoseconds.
    pub unix_nanos: u64,
    /// `gen_ai.conversation.id`
    pub conversation: &'a [u8],
    /// `gen_ai.tool.name`
    pub name: &'a [u8],
    /// `gen_ai.tool.call.arguments`
    pub arguments: &'a [u8],
    /// Its trace and span.
    pub ids: Option<(TraceId, SpanId)>,
}

impl ObservedTool<'_> {
    /// A hash of the conversation, or else of the trace.
    pub(super) fn conversation_hash(&self) -> Option<u64> {
        conversation_hash(self.conversation, self.ids)
    }

    /// A hash of the tool and its arguments; `None` where the arguments are not there.
    pub(super) fn call_hash(&self) -> Option<u64> {
        let is_known = !self.name.is_empty() && !self.arguments.is_empty();
        is_known.then(|| xxh3_64_with_seed(self.arguments, xxh3_64(self.name)))
    }
}

fn conversation_hash(conversation: &[u8], ids: Option<(TraceId, SpanId)>) -> Option<u64> {
    match text_of(conversation) {
        Some(id) if !id.is_empty() => Some(hash_of_id(id)),
        _ => ids.map(|(trace, _)| hash_of_trace(&trace)),
    }
}

/// The hash of a conversation by its id.
pub(super) fn hash_of_id(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// The hash of a trace that has no conversation.
pub(super) fn hash_of_trace(trace: &TraceId) -> u64 {
    xxh3_64_with_seed(&trace.0, 1)
}
