//! What a GenAI span says: picked up while its attributes are read.

use crate::codec::msgpack::{MapView, text_of};
use crate::codec::records::layout::keys;
use crate::codec::records::{AttributeVisitor, StatusCode};
use crate::model::{LatencyPart, MODEL_CALLS};

use super::number::amount;

/// The keys of the dimensions that every metric has, in the order in which they are written.
pub(super) const OPERATION: &str = "gen_ai.operation.name";
pub(super) const PROVIDER: &str = "gen_ai.provider.name";
pub(super) const REQUEST_MODEL: &str = "gen_ai.request.model";
pub(super) const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub(super) const ADDRESS: &str = "server.address";
pub(super) const PORT: &str = "server.port";
pub(super) const ERROR_TYPE: &str = "error.type";

/// The encoded values of the attributes that count; an empty slice for what is missing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SpanFields<'a> {
    pub(super) operation: &'a [u8],
    pub(super) provider: &'a [u8],
    pub(super) request_model: &'a [u8],
    pub(super) response_model: &'a [u8],
    pub(super) response_id: &'a [u8],
    pub(super) address: &'a [u8],
    pub(super) port: &'a [u8],
    pub(super) error_type: &'a [u8],
    system: &'a [u8],
    input: &'a [u8],
    output: &'a [u8],
    prompt: &'a [u8],
    completion: &'a [u8],
    /// Those of the input that a cache had, or got, and got for an hour.
    pub(super) cache_read: &'a [u8],
    pub(super) cache_write: &'a [u8],
    pub(super) cache_write_1h: &'a [u8],
    /// What the call cost, and in which currency; a number, a text or a JSON object.
    pub(super) cost: &'a [u8],
    pub(super) currency: &'a [u8],
    /// The service tier, that of the response first.
    pub(super) tier: &'a [u8],
    /// In the order of [`LatencyPart::ALL`].
    latency: [&'a [u8]; LatencyPart::ALL.len()],
}

impl SpanFields<'_> {
    /// Whether the span is one of a GenAI operation.
    pub(super) fn is_operation(&self) -> bool {
        text_of(self.operation).is_some_and(|name| !name.is_empty())
    }

    /// The tokens that the span's own call to a model took in and gave out, if it is one.
    pub(super) fn tokens(&self) -> Option<(Option<f64>, Option<f64>)> {
        let operation = text_of(self.operation)?;
        if !MODEL_CALLS.contains(&operation) {
            return None;
        }
        let input = amount(self.input).or_else(|| amount(self.prompt));
        let output = amount(self.output).or_else(|| amount(self.completion));
        (input.is_some() || output.is_some()).then_some((input, output))
    }

    /// Whether the span says any part of what the call took.
    pub(super) fn is_split(&self) -> bool {
        self.latency.iter().any(|part| !part.is_empty())
    }

    /// A part of what the call took, in seconds, if the span was split.
    pub(super) fn latency(&self, part: LatencyPart) -> Option<f64> {
        amount(self.latency.get(part.index())?)
    }

    /// The provider, also under its name before semantic conventions 1.37.
    pub(super) const fn provider_or_system(&self) -> &[u8] {
        if self.provider.is_empty() { self.system } else { self.provider }
    }

    /// The error of the span as an encoded value; empty when there is none.
    pub(super) fn error(&self, status: StatusCode) -> &[u8] {
        // By the general semantic conventions `_OTHER` is an error without a known type.
        const OTHER: &[u8] = b"\xa6_OTHER";
        match (self.error_type, status) {
            ([], StatusCode::Error) => OTHER,
            (error, _) => error,
        }
    }
}

/// Collects [`SpanFields`] and the values of further dimensions.
#[derive(Debug)]
pub(super) struct SpanFieldVisitor<'d, 'a> {
    dimensions: &'d [String],
    /// The fields.
    pub(super) fields: SpanFields<'a>,
    /// The values of the further dimensions, in their order; empty slices for missing ones.
    pub(super) further: Vec<&'a [u8]>,
}

impl<'d, 'a> SpanFieldVisitor<'d, 'a> {
    pub(super) fn new(dimensions: &'d [String]) -> Self {
        Self { dimensions, fields: SpanFields::default(), further: vec![&[]; dimensions.len()] }
    }

    /// Forgets the last span.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.fields = SpanFields::default();
        self.further.fill(&[]);
    }

    #[inline]
    fn gen_ai(&mut self, key: &[u8], value: &'a [u8]) {
        let fields = &mut self.fields;
        let field = match key {
            b"operation.name" => &mut fields.operation,
            b"provider.name" => &mut fields.provider,
            b"request.model" => &mut fields.request_model,
            b"response.model" => &mut fields.response_model,
            b"response.id" => &mut fields.response_id,
            b"usage.input_tokens" => &mut fields.input,
            b"usage.output_tokens" => &mut fields.output,
            b"usage.prompt_tokens" => &mut fields.prompt,
            b"usage.completion_tokens" => &mut fields.completion,
            b"usage.cache_read.input_tokens" => &mut fields.cache_read,
            b"usage.cache_creation.input_tokens" | b"usage.cache_write.input_tokens" => {
                &mut fields.cache_write
            }
            b"usage.cost" | b"usage.cost.amount" | b"cost.total_cost" => &mut fields.cost,
            b"usage.cost.currency" => &mut fields.currency,
            b"system" => &mut fields.system,
            _ if is_write_of_an_hour(key) => &mut fields.cache_write_1h,
            _ => return,
        };
        *field = value;
    }

    #[cold]
    fn latency(&mut self, key: &[u8], value: &'a [u8]) {
        let part = LatencyPart::ALL.into_iter().find(|part| part.key().as_bytes() == key);
        if let Some(slot) = part.and_then(|part| self.fields.latency.get_mut(part.index())) {
            *slot = value;
        }
    }
}

impl<'a> AttributeVisitor<'a> for SpanFieldVisitor<'_, 'a> {
    #[inline]
    fn attribute(&mut self, key: &'a [u8], value: &'a [u8]) {
        if let Some(rest) = key.strip_prefix(b"gen_ai.") {
            self.gen_ai(rest, value);
        } else {
            match key {
                b"server.address" => self.fields.address = value,
                b"server.port" => self.fields.port = value,
                b"error.type" => self.fields.error_type = value,
                b"openai.response.service_tier" => self.fields.tier = value,
                b"openai.request.service_tier" if self.fields.tier.is_empty() => {
                    self.fields.tier = value;
                }
                b"llm.cost.total"
                | b"operation.cost"
                | b"langfuse.observation.cost_details"
                | b"mlflow.llm.cost" => self.fields.cost = value,
                _ if key.starts_with(LatencyPart::PREFIX.as_bytes()) => self.latency(key, value),
                _ => {}
            }
        }
        for (dimension, slot) in self.dimensions.iter().zip(&mut self.further) {
            if dimension.as_bytes() == key {
                *slot = value;
            }
        }
    }
}

/// Whether a name, after `gen_ai.`, is that of tokens that were written to a cache for an hour. The
/// conventions have none; emitters have `usage.cache_write_1h_input_tokens`,
/// `usage.cache_creation_1h.input_tokens`, `usage.cache_creation.ephemeral_1h_input_tokens` and their likes.
fn is_write_of_an_hour(key: &[u8]) -> bool {
    let rest = key.strip_prefix(b"usage.cache_write").or(key.strip_prefix(b"usage.cache_creation"));
    rest.is_some_and(|rest| rest.starts_with(b"_1h") || rest.starts_with(b".ephemeral_1h"))
}

/// The values of the further dimensions that a resource has.
pub(super) fn of_resource<'a>(dimensions: &[String], resource: Option<&'a [u8]>) -> Vec<&'a [u8]> {
    let attributes = resource.and_then(|resource| MapView::new(resource).get(keys::ATTRIBUTES));
    let attributes = MapView::new(attributes.unwrap_or_default());
    dimensions.iter().map(|key| attributes.get(key.as_bytes()).unwrap_or_default()).collect()
}
