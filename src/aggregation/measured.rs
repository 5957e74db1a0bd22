//! A measured item: what a span or a log event says, as metrics take it.

use std::time::Duration;

use super::attribute::Attribute;
use super::cost::PricedCall;
use super::fields::SpanFields;
use super::histogram::Exemplar;
use super::number::whole;
use super::usage::Tokens;
use crate::codec::msgpack::text_of;
use crate::codec::records::StatusCode;
use crate::model::{SpanId, TraceId};
use crate::pricing::UsedTokens;

/// A span or a log event of a GenAI operation.
#[derive(Clone, Copy)]
pub(super) struct MeasuredSpan<'m, 'a> {
    pub(super) fields: &'m SpanFields<'a>,
    pub(super) further: &'m [&'a [u8]],
    pub(super) status: StatusCode,
    /// The encoded kind of a span.
    pub(super) kind: &'a [u8],
    /// The encoded array of events of a span.
    pub(super) events: &'a [u8],
    /// When it began and ended, in Unix nanoseconds; 0 where that is not known.
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) ids: Option<(TraceId, SpanId)>,
    pub(super) weight: f64,
    /// Whether its trace is known to be kept.
    pub(super) is_kept: bool,
    /// Whose budgets it is of, if it calls a model and these are watched.
    pub(super) spender: u64,
}

impl<'a> MeasuredSpan<'_, 'a> {
    /// What it took.
    #[inline]
    pub(super) fn seconds(&self) -> Option<f64> {
        let is_known = self.from > 0 && self.to >= self.from;
        is_known.then(|| Duration::from_nanos(self.to - self.from).as_secs_f64())
    }

    /// The mean time per token after the first, which came `first` seconds after the start, until `last`.
    pub(super) fn per_token(&self, first: f64, last: f64) -> Option<f64> {
        let tokens = self.fields.tokens()?.output()? - 1.0;
        let has_succeeded =
            self.status != StatusCode::Error && self.fields.error(self.status).is_empty();
        (has_succeeded && tokens >= 1.0 && last >= first).then(|| (last - first) / tokens)
    }

    /// Whether it is an operation that tells tokens without calling a model itself.
    pub(super) fn is_sum(&self) -> bool {
        const TOKENS: u64 = Attribute::Input.bit()
            | Attribute::Output.bit()
            | Attribute::Prompt.bit()
            | Attribute::Completion.bit();
        self.fields.has_any(TOKENS) && self.fields.is_operation() && !self.fields.calls_model()
    }

    pub(super) fn is_operation(&self, name: &str) -> bool {
        self.fields.is_text(Attribute::Operation, name)
    }

    /// Whether it says a method of the Model Context Protocol.
    #[inline]
    pub(super) const fn is_mcp(&self) -> bool {
        self.fields.has_any(Attribute::McpMethod.bit())
    }

    /// Whether it is a span of this kind.
    pub(super) fn is_kind(&self, kind: &str) -> bool {
        text_of(self.kind) == Some(kind)
    }

    /// The encoded value of an attribute of a series; empty where there is none.
    pub(super) fn dimension(&self, attribute: Attribute) -> &'a [u8] {
        match (attribute, self.fields.get(attribute)) {
            (Attribute::Provider, []) => self.fields.get(Attribute::System),
            (Attribute::Port, _) if !self.fields.has_any(Attribute::Address.bit()) => &[],
            (Attribute::ErrorType, _) => self.fields.error(self.status),
            (_, value) => value,
        }
    }

    /// What it says of the cost of its call.
    pub(super) fn priced(&self, tokens: &Tokens) -> PricedCall<'a> {
        let count = |tokens: Option<f64>| tokens.map_or(0, whole);
        let tokens_of = |attribute| count(self.fields.amount(attribute));
        let tier = match self.fields.get(Attribute::ServiceTier) {
            [] => self.fields.get(Attribute::RequestedTier),
            tier => tier,
        };
        PricedCall {
            provider: self.dimension(Attribute::Provider),
            response_model: self.fields.get(Attribute::ResponseModel),
            request_model: self.fields.get(Attribute::RequestModel),
            tier,
            cost: self.fields.get(Attribute::Cost),
            currency: self.fields.get(Attribute::Currency),
            used: UsedTokens {
                input: count(tokens.input()),
                output: count(tokens.output()),
                cache_read: tokens_of(Attribute::CacheRead),
                cache_write: tokens_of(Attribute::CacheWrite),
                cache_write_1h: tokens_of(Attribute::CacheWriteHour),
            },
        }
    }

    #[inline]
    pub(super) fn exemplar(&self, value: f64) -> Option<Exemplar> {
        let (trace_id, span_id) = self.ids?;
        let time_unix_nano = self.to.max(self.from);
        let is_kept = self.is_kept;
        Some(Exemplar { time_unix_nano, value, trace_id: trace_id.0, span_id: span_id.0, is_kept })
    }
}
