//! Envelope walker: what is around the items of a request, which has the same field numbers for all
//! signals.

use std::borrow::Cow;

use super::scan::{FieldScan, WriteProblem, WriteResult, each, known};
use super::value::OutputBuffer;
use super::written;
use crate::codec::records::{DecodeError, DecodeKind, Transcoded};
use crate::codec::wire::WireFields;

/// Contexts of one request take at most this much and [`MAX_GROWTH`] times its length: a field of
/// two bytes can stand for a map with many keys.
const MAX_BYTES: usize = 16 << 20;
/// See [`MAX_BYTES`].
const MAX_GROWTH: usize = 16;

/// How long the contexts of a request may become.
const fn largest(request: &[u8]) -> usize {
    MAX_BYTES.saturating_add(request.len().saturating_mul(MAX_GROWTH))
}

/// A `ResourceSpans` or `ScopeSpans`, or its like of another signal.
#[derive(Debug)]
pub(super) struct ContextEnvelope<'a> {
    /// The resource or scope, if there is one.
    pub(super) header: Option<Cow<'a, [u8]>>,
    pub(super) schema_url: &'a [u8],
    pub(super) has_unknown: bool,
    bytes: &'a [u8],
}

impl<'a> ContextEnvelope<'a> {
    fn read(bytes: &'a [u8]) -> WriteResult<Self> {
        let scan = FieldScan::new(bytes, known(&[1, 2, 3]))?;
        Ok(Self {
            header: scan.sub(1)?,
            schema_url: scan.bytes(3)?,
            has_unknown: scan.has_unknown,
            bytes,
        })
    }
}

/// Writes the items of one signal.
pub(super) trait ItemSink {
    /// The names of a request's parts, for paths.
    const NAMES: [&'static str; 3];

    /// A resource begins.
    fn resource(&mut self, resource: &ContextEnvelope<'_>) -> WriteResult;

    /// A scope of it begins.
    fn scope(&mut self, scope: &ContextEnvelope<'_>) -> WriteResult;

    /// Writes one item and says for how many it counts.
    fn item(&mut self, item: &[u8], done: &mut Transcoded) -> WriteResult<usize>;

    /// How many items an item that is not valid counts for.
    fn count_invalid(&self, item: &[u8]) -> usize;

    /// The scope ends.
    fn scope_end(&mut self);

    /// The resource ends.
    fn resource_end(&mut self);

    /// The request ends: what was written, and how many contexts it is.
    fn end(self) -> (OutputBuffer, usize);
}

/// Appends the contexts of a request to `out`, by a sink that is made for the buffer.
///
/// # Errors
/// The request itself or an envelope is not valid; nothing is appended.
pub(super) fn write<S: ItemSink>(
    request: &[u8],
    out: &mut Vec<u8>,
    sink: impl FnOnce(OutputBuffer) -> S,
) -> Result<written::WrittenRequest, DecodeError> {
    let start = out.len();
    let limit = start.saturating_add(largest(request));
    let mut sink =
        sink(OutputBuffer { bytes: std::mem::take(out), limit, ..OutputBuffer::default() });
    let walked = walk(request, &mut sink);
    let (done, contexts) = sink.end();
    *out = done.bytes;
    if walked.is_err() {
        out.truncate(start);
    }
    let transcoded = Transcoded { records: contexts, events: contexts, ..walked? };
    Ok(written::WrittenRequest { transcoded, losses: done.losses })
}

/// Walks through a request.
fn walk<S: ItemSink>(request: &[u8], sink: &mut S) -> Result<Transcoded, DecodeError> {
    let mut walk = Walk { sink, done: Transcoded::default(), at: [0; 3] };
    let mut last = request;
    // The host's own form has no place for what stands beside the envelopes.
    let mut fields = WireFields::new(request);
    while let Ok(Some(field)) = fields.read() {
        if field.number != 1 {
            walk.done.lost_fields = walk.done.lost_fields.saturating_add(field.raw.len());
        }
    }
    let walked = each(request, 1, |resource| {
        last = resource;
        walk.resource(resource)?;
        walk.at[0] = walk.at[0].saturating_add(1);
        Ok(())
    });
    match walked {
        Ok(()) => Ok(walk.done),
        Err(problem) => {
            let kind = match problem {
                WriteProblem::Otlp(kind) => kind,
                WriteProblem::Form(_) => DecodeKind::Growth,
            };
            let [resources, scopes, _] = S::NAMES;
            let [resource, scope, _] = walk.at;
            let path = format!("{resources}[{resource}].{scopes}[{scope}]");
            let offset = last.as_ptr().addr().saturating_sub(request.as_ptr().addr());
            Err(DecodeError { kind, path, offset })
        }
    }
}

struct Walk<'s, S> {
    sink: &'s mut S,
    done: Transcoded,
    /// The indexes of the resource, the scope and the item.
    at: [u32; 3],
}

impl<S: ItemSink> Walk<'_, S> {
    fn resource(&mut self, bytes: &[u8]) -> WriteResult {
        let envelope = ContextEnvelope::read(bytes)?;
        self.at = [self.at[0], 0, 0];
        self.sink.resource(&envelope)?;
        each(envelope.bytes, 2, |scope| {
            self.scope(scope)?;
            self.at[1] = self.at[1].saturating_add(1);
            Ok(())
        })?;
        self.sink.resource_end();
        Ok(())
    }

    fn scope(&mut self, bytes: &[u8]) -> WriteResult {
        let envelope = ContextEnvelope::read(bytes)?;
        self.at[2] = 0;
        self.sink.scope(&envelope)?;
        each(envelope.bytes, 2, |item| {
            match self.sink.item(item, &mut self.done) {
                Ok(items) => self.done.items = self.done.items.saturating_add(items),
                Err(problem) => self.reject(problem, self.sink.count_invalid(item)),
            }
            self.at[2] = self.at[2].saturating_add(1);
            Ok(())
        })?;
        self.sink.scope_end();
        Ok(())
    }

    #[cold]
    fn reject(&mut self, problem: WriteProblem, items: usize) {
        self.done.rejected = self.done.rejected.saturating_add(items);
        let ([resources, scopes, names], [resource, scope, item]) = (S::NAMES, self.at);
        self.done.reason.get_or_insert_with(|| {
            format!("{resources}[{resource}].{scopes}[{scope}].{names}[{item}]: {problem}")
        });
    }
}
