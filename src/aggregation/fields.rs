//! What a GenAI span or log event says: picked up while its attributes are read.

use crate::codec::msgpack::{MapView, Reader};
use crate::codec::records::layout::keys;
use crate::codec::records::{AttributeVisitor, StatusCode};
use crate::model::{LatencyPart, MODEL_CALLS};

use super::attribute::Attribute;
use super::number::amount;
use super::usage::{TokenKind, Tokens};

/// The encoded values of the attributes that count.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpanFields<'a> {
    /// The bits of those that there are; of others the values are those of an earlier item.
    seen: u64,
    values: [&'a [u8]; Attribute::ALL.len()],
}

impl Default for SpanFields<'_> {
    fn default() -> Self {
        Self { seen: 0, values: [&[]; Attribute::ALL.len()] }
    }
}

impl<'a> SpanFields<'a> {
    /// The encoded value of an attribute; an empty slice where it is missing.
    #[inline]
    pub(super) fn get(&self, attribute: Attribute) -> &'a [u8] {
        if !self.has_any(attribute.bit()) {
            return &[];
        }
        self.values.get(attribute.index()).copied().unwrap_or_default()
    }

    /// Whether any attribute of a set of bits is there.
    #[inline]
    pub(super) const fn has_any(&self, bits: u64) -> bool {
        self.seen & bits != 0
    }

    /// The attributes of a set of bits that are there, with their values.
    #[inline]
    pub(super) fn of_bits(&self, bits: u64) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut left = self.seen & bits;
        std::iter::from_fn(move || {
            let index = left.trailing_zeros();
            let value = self.values.get(index as usize)?;
            left &= left - 1;
            Some((u8::try_from(index).unwrap_or(u8::MAX), *value))
        })
    }

    #[inline]
    fn set(&mut self, attribute: Attribute, value: &'a [u8]) {
        if let Some(slot) = self.values.get_mut(attribute.index()) {
            *slot = value;
            self.seen |= attribute.bit();
        }
    }

    /// Whether it is one of a GenAI operation.
    #[inline]
    pub(super) fn is_operation(&self) -> bool {
        let name = Reader::new(self.get(Attribute::Operation)).str();
        name.is_ok_and(|name| !name.is_empty())
    }

    /// Whether an attribute is this text.
    #[inline]
    pub(super) fn is_text(&self, attribute: Attribute, text: &str) -> bool {
        Reader::new(self.get(attribute)).str() == Ok(text.as_bytes())
    }

    /// Whether the operation calls a model itself.
    pub(super) fn calls_model(&self) -> bool {
        MODEL_CALLS.iter().any(|name| self.is_text(Attribute::Operation, name))
    }

    /// The number that an attribute has, if it is not negative.
    #[inline]
    pub(super) fn amount(&self, attribute: Attribute) -> Option<f64> {
        amount(self.get(attribute))
    }

    /// The tokens that it says, if it says any of those taken in or given out.
    #[inline]
    pub(super) fn tokens(&self) -> Option<Tokens> {
        let input = self.amount(Attribute::Input).or_else(|| self.amount(Attribute::Prompt));
        let output = self.amount(Attribute::Output).or_else(|| self.amount(Attribute::Completion));
        if input.is_none() && output.is_none() {
            return None;
        }
        let mut tokens = Tokens::new(input, output);
        if self.has_any(TokenKind::ATTRIBUTES) {
            for kind in TokenKind::ALL {
                if let Some(amount) = self.amount(kind.attribute()) {
                    tokens.set(kind, amount);
                }
            }
        }
        Some(tokens)
    }

    /// Whether the span says any part of what the call took.
    #[inline]
    pub(super) fn is_split(&self) -> bool {
        self.has_any(Attribute::LATENCY)
    }

    /// A part of what the call took, in seconds, if the span was split.
    pub(super) fn latency(&self, part: LatencyPart) -> Option<f64> {
        self.amount(Attribute::of_latency(part))
    }

    /// The error as an encoded value; empty when there is none.
    pub(super) fn error(&self, status: StatusCode) -> &'a [u8] {
        // By the general semantic conventions `_OTHER` is an error without a known type.
        const OTHER: &[u8] = b"\xa6_OTHER";
        match (self.get(Attribute::ErrorType), status) {
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

    /// Forgets the last item.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.fields.seen = 0;
        if !self.further.is_empty() {
            self.further.fill(&[]);
        }
    }

    #[inline(never)]
    fn dimension(&mut self, key: &[u8], value: &'a [u8]) {
        for (dimension, slot) in self.dimensions.iter().zip(&mut self.further) {
            if dimension.as_bytes() == key {
                *slot = value;
            }
        }
    }
}

impl<'a> AttributeVisitor<'a> for SpanFieldVisitor<'_, 'a> {
    #[inline(always)]
    fn attribute(&mut self, key: &'a [u8], value: &'a [u8]) {
        if let Some(attribute) = Attribute::of_key(key) {
            self.fields.set(attribute, value);
        }
        if !self.dimensions.is_empty() {
            self.dimension(key, value);
        }
    }
}

/// The values of the further dimensions that a resource has.
pub(super) fn of_resource<'a>(dimensions: &[String], resource: Option<&'a [u8]>) -> Vec<&'a [u8]> {
    if dimensions.is_empty() {
        return Vec::new();
    }
    let attributes = resource.and_then(|resource| MapView::new(resource).get(keys::ATTRIBUTES));
    let attributes = MapView::new(attributes.unwrap_or_default());
    dimensions.iter().map(|key| attributes.get(key.as_bytes()).unwrap_or_default()).collect()
}

/// The values of further dimensions, and those of the attributes of budgets, which follow them.
pub(super) fn divided<'v, 'a>(
    values: &'v [&'a [u8]],
    dimensions: usize,
) -> (&'v [&'a [u8]], &'v [&'a [u8]]) {
    values.split_at_checked(dimensions).unwrap_or((values, &[]))
}
