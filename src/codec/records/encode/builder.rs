//! Request builder: requests from items, with as few envelopes as their order allows.

use super::raw::{RestoredRecord, restored, restored_map};
use super::value::ProtobufEncoder;
use crate::codec::msgpack::{MapView, Reader, Token};
use crate::codec::records::decode::metric_points;
use crate::codec::records::error::{EncodeError, ValueError};
use crate::codec::records::layout::{VERSION, keys};
use crate::codec::records::record::Event;
use crate::codec::records::record_reader::OpenLogRecord;
use crate::codec::records::schema::{METRIC, MessageLayout, RESOURCE, SCOPE, SPAN};
use crate::codec::records::telemetry::{CommonPairs, Telemetry};
use crate::codec::wire::{self, NestedMessage};
use crate::model::Signal;

/// Builds one `ExportTraceServiceRequest`, `ExportMetricsServiceRequest` or
/// `ExportLogsServiceRequest` in protobuf.
///
/// Items that follow each other and have equal resources and scopes share their envelopes, unless
/// they say that they came in different ones; the order of the items is kept.
#[derive(Debug)]
pub struct RequestBuilder {
    signal: Signal,
    encoder: ProtobufEncoder,
    resource: Level,
    scope: Level,
    /// Where resource and scope of an item are encoded before they are compared.
    side: ProtobufEncoder,
    /// What [`Telemetry::envelope`] said of the item before.
    envelope: [u64; 2],
    /// What [`RecordReader::context`] said of the item before; 0 if it said nothing.
    context: u64,
    pushed: usize,
    items: usize,
    /// How long the last open body was, which the next one probably is too.
    usual: usize,
    /// About how long envelopes will be.
    estimate: usize,
}

/// What an open body was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddedRecord {
    /// Spans, data points or log records.
    pub items: usize,
    /// Bytes of the body.
    pub length: usize,
}

/// An envelope that is open.
#[derive(Debug, Default)]
struct Level {
    /// The envelope's fields before its contents, encoded.
    prefix: Vec<u8>,
    /// What the prefix was encoded from, so that an equal one need not be encoded again.
    source: Vec<u8>,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    start: usize,
    nested: NestedMessage,
    contents: usize,
}

/// Envelopes are mostly longer than 16 KiB and shorter than 2 MiB, where nothing says more: their
/// lengths take 3 bytes.
const ESTIMATE: usize = 1 << 16;

impl Level {
    fn open(&mut self, out: &mut Vec<u8>, number: u32, estimate: usize) {
        let start = out.len();
        let nested = NestedMessage::open(out, number, estimate);
        out.extend_from_slice(&self.prefix);
        self.open = Some(Open { start, nested, contents: 0 });
    }

    /// Ends the envelope; one without contents vanishes. Returns whether it stays.
    fn close(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(open) = self.open.take() else { return false };
        if open.contents == 0 {
            out.truncate(open.start);
            return false;
        }
        open.nested.close(out);
        true
    }

    fn count(&mut self) {
        if let Some(open) = &mut self.open {
            open.contents += 1;
        }
    }
}

impl RequestBuilder {
    /// An empty request.
    #[must_use]
    pub fn new(signal: Signal) -> Self {
        Self {
            signal,
            encoder: ProtobufEncoder::default(),
            resource: Level::default(),
            scope: Level::default(),
            side: ProtobufEncoder::default(),
            envelope: [0, 0],
            context: 0,
            pushed: 0,
            items: 0,
            usual: 1024,
            estimate: ESTIMATE,
        }
    }

    /// An empty request with room for `bytes`, so that it need not grow while it is built.
    #[must_use]
    pub fn with_capacity(signal: Signal, bytes: usize) -> Self {
        let mut builder = Self::new(signal);
        // Room is asked for as much as the records take, which carry their resource each.
        builder.estimate = builder.estimate.max(bytes / 4 * 3);
        builder.encoder.out.reserve_exact(bytes);
        builder
    }

    /// Adds the item of a record, and returns how many spans, data points or log records it is.
    /// `telemetry` is what [`Event::telemetry`] says. On an error nothing is added.
    ///
    /// # Errors
    /// The record is of another signal, of a newer layout, or not what the layout says.
    pub fn push(
        &mut self,
        event: &Event<'_>,
        telemetry: &Telemetry<'_>,
    ) -> Result<usize, EncodeError> {
        let length = event.body.len() + telemetry.otlp.len();
        self.push_within(event, telemetry, 0, length).map(|added| added.items)
    }

    /// The same for a span or metric whose body is at the start of [`Event::body`], of which
    /// the end was not looked for. `context` is what [`RecordReader::context`] says of it.
    ///
    /// # Errors
    /// As [`RequestBuilder::push`].
    pub fn push_open(
        &mut self,
        event: &Event<'_>,
        telemetry: &Telemetry<'_>,
        context: u64,
    ) -> Result<AddedRecord, EncodeError> {
        let added = self.push_within(event, telemetry, context, self.usual)?;
        self.usual = added.length;
        Ok(added)
    }

    /// The same for a log record; [`AddedRecord::length`] counts from its `otlp` map on. `None`, with
    /// nothing added, where the record has to be read in the general way.
    pub fn push_open_log(&mut self, log: &OpenLogRecord<'_>) -> Option<AddedRecord> {
        self.check(&log.known).ok()?;
        self.enter(&Source::own(&log.known), log.known.envelope, log.context).ok()?;
        let (before, repaired) = (self.encoder.out.len(), self.encoder.repaired);
        self.encoder.out.reserve(self.usual + 64);
        let item = NestedMessage::open(&mut self.encoder.out, 2, self.usual);
        let mut reader = Reader::new(log.otlp);
        if self.encoder.open_log(log, &mut reader).is_none() {
            self.encoder.out.truncate(before);
            self.encoder.repaired = repaired;
            return None;
        }
        item.close(&mut self.encoder.out);
        self.count(1);
        let length = log.otlp.len().saturating_sub(reader.rest().len());
        self.usual = length;
        Some(AddedRecord { items: 1, length })
    }

    fn push_within(
        &mut self,
        event: &Event<'_>,
        telemetry: &Telemetry<'_>,
        context: u64,
        expected: usize,
    ) -> Result<AddedRecord, EncodeError> {
        if !telemetry.raw_values.is_empty() {
            return self.push_restored(event, telemetry, context, expected);
        }
        self.check(telemetry)?;
        self.enter(&Source::of(event, telemetry), telemetry.envelope, context)?;
        let before = self.encoder.out.len();
        self.encoder.out.reserve(expected + 64);
        self.encoder.points = 0;
        let item = NestedMessage::open(&mut self.encoder.out, 2, expected);
        let body = &mut Reader::new(event.body);
        let encoded = match self.signal {
            Signal::Traces => self.encoder.map(&SPAN, body),
            Signal::Metrics => self.encoder.map(&METRIC, body),
            Signal::Logs => self.encoder.log(event, telemetry),
            // They are requests already.
            Signal::Profiles => Err(EncodeError::Signal(self.signal)),
        };
        if let Err(error) = encoded {
            self.encoder.out.truncate(before);
            return Err(error);
        }
        item.close(&mut self.encoder.out);
        let items = if self.signal == Signal::Metrics { self.encoder.points } else { 1 };
        self.count(items);
        Ok(AddedRecord { items, length: event.body.len().saturating_sub(body.rest().len()) })
    }

    /// The same for a record that has something beside its values.
    #[cold]
    fn push_restored(
        &mut self,
        event: &Event<'_>,
        telemetry: &Telemetry<'_>,
        context: u64,
        expected: usize,
    ) -> Result<AddedRecord, EncodeError> {
        let form = (telemetry.body_form, telemetry.body_key());
        let form = (self.signal == Signal::Logs).then_some(form);
        let RestoredRecord { otlp, body, is_value } =
            restored(telemetry.otlp, event.body, telemetry.raw_values, form);
        let whole = Event { body: &body, ..*event };
        let said = Telemetry {
            otlp: &otlp,
            common: CommonPairs::default(),
            raw_values: &[],
            body_form: if is_value { &[] } else { telemetry.body_form },
            ..*telemetry
        };
        let added = self.push_within(&whole, &said, context, expected)?;
        let length = Reader::new(event.body).skip().map_or(event.body.len(), <[u8]>::len);
        Ok(AddedRecord { length, ..added })
    }

    /// Adds an item that is encoded already: a `Span`, `Metric` or `LogRecord` in protobuf.
    /// `resource` and `scope` are encoded messages; an empty slice is none.
    pub fn push_encoded(
        &mut self,
        resource: &[u8],
        resource_schema_url: &str,
        scope: &[u8],
        scope_schema_url: &str,
        item: &[u8],
    ) {
        if self.envelope != [0, 0] {
            self.leave([0, 0]);
        }
        self.context = 0;
        self.resource.source.clear();
        self.scope.source.clear();
        self.side.out.clear();
        encoded_prefix(resource, resource_schema_url, &mut self.side.out);
        self.enter_resource();
        self.side.out.clear();
        encoded_prefix(scope, scope_schema_url, &mut self.side.out);
        self.enter_scope();
        wire::bytes(&mut self.encoder.out, 2, item);
        self.count(if self.signal == Signal::Metrics { metric_points(item) } else { 1 });
    }

    /// The spans, data points or log records in the request.
    #[must_use]
    pub const fn items(&self) -> usize {
        self.items
    }

    /// Whether nothing was added.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pushed == 0
    }

    /// The length of the request so far, right to a few bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.encoder.out.len()
    }

    /// How many texts had to be repaired because they were not UTF-8, and how many ids of log
    /// records were dropped because they were none.
    #[must_use]
    pub const fn repaired(&self) -> usize {
        self.encoder.repaired + self.side.repaired
    }

    /// The request.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.close_resource();
        self.encoder.out.extend_from_slice(&self.side.request_fields);
        self.encoder.out
    }

    fn check(&self, telemetry: &Telemetry<'_>) -> Result<(), EncodeError> {
        if let Some(version) = telemetry.version.filter(|version| *version > VERSION) {
            return Err(EncodeError::Version(version));
        }
        let stock_log = telemetry.version.is_none() && telemetry.signal.is_none();
        if telemetry.signal == Some(self.signal) || (stock_log && self.signal == Signal::Logs) {
            return Ok(());
        }
        Err(EncodeError::Signal(self.signal))
    }

    fn count(&mut self, items: usize) {
        // The first item of a scope makes the scope count for its resource.
        if self.scope.open.is_some_and(|open| open.contents == 0) {
            self.resource.count();
        }
        self.scope.count();
        self.pushed += 1;
        self.items += items;
    }

    /// Opens the envelopes of an item where they are not open.
    #[inline]
    fn enter(
        &mut self,
        source: &Source<'_>,
        envelope: [u64; 2],
        context: u64,
    ) -> Result<(), EncodeError> {
        if context != 0 && context == self.context {
            return Ok(());
        }
        self.context = 0;
        if self.envelope != envelope {
            self.leave(envelope);
        }
        self.enter_envelopes(source)?;
        self.context = context;
        Ok(())
    }

    fn enter_envelopes(&mut self, source: &Source<'_>) -> Result<(), EncodeError> {
        let open = self.scope.open.is_some();
        let same_resource = open && source.is(&self.resource.source);
        if !same_resource {
            self.resource.source.clear();
            self.scope.source.clear();
            self.side.out.clear();
            self.side.prefix(&RESOURCE, source.resource, source.root_schema_url)?;
            self.enter_resource();
            source.keep(&mut self.resource.source);
        }
        if !(same_resource && self.scope.source == source.scope && !source.scope.is_empty()) {
            self.scope.source.clear();
            self.side.out.clear();
            self.side.prefix(&SCOPE, source.scope, &[])?;
            self.enter_scope();
            self.scope.source.extend_from_slice(source.scope);
        }
        Ok(())
    }

    /// Closes what the next item does not share with the one before, although it may be equal.
    #[cold]
    fn leave(&mut self, next: [u64; 2]) {
        if self.envelope[0] == next[0] {
            self.scope.close(&mut self.encoder.out);
        } else {
            self.close_resource();
        }
        self.scope.source.clear();
        self.envelope = next;
    }

    /// Makes the resource in `side` the open one.
    fn enter_resource(&mut self) {
        if self.resource.open.is_some() && self.resource.prefix == self.side.out {
            return;
        }
        self.close_resource();
        self.resource.prefix.clone_from(&self.side.out);
        self.resource.open(&mut self.encoder.out, 1, self.estimate);
    }

    /// Makes the scope in `side` the open one.
    fn enter_scope(&mut self) {
        if self.scope.open.is_some() && self.scope.prefix == self.side.out {
            return;
        }
        self.scope.close(&mut self.encoder.out);
        self.scope.prefix.clone_from(&self.side.out);
        self.scope.open(&mut self.encoder.out, 2, self.estimate);
    }

    fn close_resource(&mut self) {
        self.scope.close(&mut self.encoder.out);
        self.resource.close(&mut self.encoder.out);
    }
}

fn encoded_prefix(message: &[u8], schema_url: &str, out: &mut Vec<u8>) {
    if !message.is_empty() {
        wire::bytes(out, 1, message);
    }
    if !schema_url.is_empty() {
        wire::bytes(out, 3, schema_url.as_bytes());
    }
}

/// Where a record's resource and scope are: encoded maps, or nothing.
struct Source<'a> {
    resource: &'a [u8],
    scope: &'a [u8],
    /// The encoded schema URL beside the resource, where Fluent Bit up to 4.0.3 writes it.
    root_schema_url: &'a [u8],
}

impl<'a> Source<'a> {
    /// The record itself first; the group only for records that are not ours, because a record of
    /// ours without a resource has none.
    #[inline]
    fn of(event: &Event<'a>, telemetry: &Telemetry<'a>) -> Self {
        let mut source = Self::own(telemetry);
        let Some(group) = event.group.filter(|_| telemetry.version.is_none()) else {
            return source;
        };
        let schema = MapView::new(group.metadata).get(b"schema").map(Reader::new);
        if schema.map(|mut schema| schema.str()) != Some(Ok(b"otlp")) {
            return source;
        }
        for entry in MapView::new(group.body) {
            match entry.key {
                keys::RESOURCE if telemetry.resource.is_none() => source.resource = entry.value,
                keys::SCOPE if telemetry.scope.is_none() => source.scope = entry.value,
                keys::SCHEMA_URL => source.root_schema_url = entry.value,
                _ => {}
            }
        }
        source
    }

    /// What the record itself says.
    #[inline]
    fn own(telemetry: &Telemetry<'a>) -> Self {
        Self {
            resource: telemetry.resource.unwrap_or_default(),
            scope: telemetry.scope.unwrap_or_default(),
            root_schema_url: &[],
        }
    }

    /// Whether resource and URL are those that were kept.
    #[inline]
    fn is(&self, kept: &[u8]) -> bool {
        kept.strip_prefix(self.resource) == Some(self.root_schema_url) && !kept.is_empty()
    }

    fn keep(&self, kept: &mut Vec<u8>) {
        kept.extend_from_slice(self.resource);
        kept.extend_from_slice(self.root_schema_url);
    }
}

impl ProtobufEncoder {
    /// Keeps fields of the request itself for its end. All records of a request have the same, so
    /// that equal ones in a row count once.
    #[cold]
    fn keep_request_fields(&mut self, encoded: &[u8]) -> Result<(), ValueError> {
        let start = self.out.len();
        self.raw_fields(encoded)?;
        let fields = self.out.get(start..).unwrap_or_default();
        if !self.request_fields.ends_with(fields) {
            self.request_fields.extend_from_slice(fields);
        }
        self.out.truncate(start);
        Ok(())
    }

    /// Appends the fields of an envelope before its contents: the resource or scope of `map`, and
    /// the schema URL, that of the map or else `other_url`.
    fn prefix(
        &mut self,
        message: &'static MessageLayout,
        map: &[u8],
        other_url: &[u8],
    ) -> Result<(), EncodeError> {
        let (mut unset, mut url, mut unknown) = (map.is_empty(), other_url, &[][..]);
        let (mut beside, mut raw_values) = (&[][..], &[][..]);
        for entry in MapView::new(map) {
            match entry.key {
                b"unset" => unset = Reader::new(entry.value).token() == Ok(Token::Bool(true)),
                keys::SCHEMA_URL => url = entry.value,
                b"envelope_unknown_fields" => unknown = entry.value,
                b"request_unknown_fields" => beside = entry.value,
                keys::RAW_VALUES => raw_values = entry.value,
                _ => {}
            }
        }
        let start = self.out.len();
        let header = NestedMessage::open(&mut self.out, 1, map.len());
        if !raw_values.is_empty() {
            self.map(message, &mut Reader::new(&restored_map(map, raw_values)))?;
        } else if !map.is_empty() {
            self.map(message, &mut Reader::new(map))?;
        }
        // A filter may have put something into a resource that was unset.
        if unset && self.out.len() == header.start() {
            self.out.truncate(start);
        } else {
            header.close(&mut self.out);
        }
        if let Ok(Token::Str(url)) = Reader::new(url).token()
            && !url.is_empty()
        {
            let url = self.text(url);
            wire::bytes(&mut self.out, 3, &url);
        }
        if !unknown.is_empty() {
            let field = "envelope_unknown_fields";
            self.raw_fields(unknown)
                .map_err(|error: ValueError| EncodeError::Field { field, error })?;
        }
        if !beside.is_empty() {
            let field = "request_unknown_fields";
            self.keep_request_fields(beside)
                .map_err(|error: ValueError| EncodeError::Field { field, error })?;
        }
        Ok(())
    }
}
