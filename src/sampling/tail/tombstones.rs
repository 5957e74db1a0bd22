//! Tombstones: what is told of traces that were dropped, one small span or log for each, or counts by their shape.

use super::dropped_counts::DroppedCounts;
use super::interner::Interner;
use super::trace::Trace;
use crate::codec::msgpack::{self, MapView, text_of};
use crate::codec::records::edit::{Pairs, write_position};
use crate::codec::records::layout::{VERSION, keys};
use crate::codec::records::{EventTime, SpanView, StatusCode, Telemetry, event_head};
use crate::model::{Emission, Position, SCOPE_NAME, Signal, hex};
use crate::sampling::rewrite::POLICY_ATTRIBUTE;
use crate::sampling::threshold::Threshold;
use crate::sampling::tracestate::{OtState, with_ot_state};
use xxhash_rust::xxh3::xxh3_64;

/// The most bytes that wait to be taken, where so many have room.
const MAX_WAITING: usize = 1 << 20;
/// How large a batch grows before the next one is begun.
const BATCH: usize = 1 << 18;
/// Spans whose names make the shape; more are not looked at.
const MAX_NAMES: usize = 1000;
/// `SEVERITY_NUMBER_INFO` of OTLP.
const SEVERITY_INFO: u64 = 9;

/// The name of the log event.
const EVENT_NAME: &str = "fluentbit.ai.sampling.dropped";
/// The attribute that says what became of the trace.
const DECISION: &str = "fluentbit.ai.sampling.decision";
/// The attribute with how many spans the trace had.
const SPANS: &str = "fluentbit.ai.sampling.spans";
/// The attribute with how many of them had an error as their status.
const ERRORS: &str = "fluentbit.ai.sampling.errors";
/// The attribute with the seconds from the first start to the last end.
const DURATION: &str = "fluentbit.ai.sampling.duration";
/// The attribute with how many traces the trace stood for.
const ADJUSTED_COUNT: &str = "fluentbit.ai.sampling.adjusted_count";
/// The attribute with the name of the root span.
const ROOT: &str = "fluentbit.ai.sampling.root";
/// The attribute with the shape: traces of one shape have spans of the same services and names.
const SHAPE: &str = "fluentbit.ai.sampling.shape";
/// What is said where no policy kept the trace.
const NOT_SAMPLED: &str = "not_sampled";

/// What is told of a dropped trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TombstoneSettings {
    /// A span.
    Span,
    /// A log event.
    Log,
    /// Counts by shape, as metrics.
    Counts,
}

/// How many tombstones there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TombstoneTally {
    /// Traces that were told of.
    pub made: u64,
    /// Traces for which there was no room.
    pub skipped: u64,
}

/// Tombstones until they are taken.
#[derive(Debug)]
pub(super) struct Tombstones {
    settings: TombstoneSettings,
    position: Position,
    waiting: Vec<Emission>,
    bytes: usize,
    pub(super) counts: DroppedCounts,
    tally: TombstoneTally,
}

impl Tombstones {
    /// None yet. `position` marks them, so that the filters up to there leave them alone.
    pub(super) fn new(settings: TombstoneSettings, position: Position) -> Self {
        Self {
            settings,
            position,
            waiting: Vec::new(),
            bytes: 0,
            counts: DroppedCounts::new(position),
            tally: TombstoneTally::default(),
        }
    }

    /// Tells of a trace that was dropped by a policy, or because none kept it, unless more than `room` bytes wait.
    pub(super) fn add(
        &mut self,
        trace: &Trace,
        (metadata, tags): (&Interner, &Interner),
        policy: Option<&str>,
        room: usize,
    ) {
        let are_counted = self.settings == TombstoneSettings::Counts;
        if !are_counted && self.bytes >= room.min(MAX_WAITING) {
            self.tally.skipped += 1;
            return;
        }
        let (policy, mut root) = (policy.unwrap_or(NOT_SAMPLED), Vec::new());
        let Some(dropped) = Dropped::read(trace, metadata, policy, &mut root) else { return };
        let tag = tags.get(dropped.tag);
        if are_counted {
            self.tally.made += 1;
            self.counts.add(tag, &dropped.key(), trace.spans);
            return;
        }
        let is_open = |batch: &&mut Emission| batch.events.len() < BATCH && batch.tag == tag;
        let batch = match self.waiting.last_mut().filter(is_open) {
            Some(batch) => batch,
            None => {
                self.waiting.push(Emission { tag: tag.to_vec(), records: 0, events: Vec::new() });
                let Some(batch) = self.waiting.last_mut() else { return };
                batch
            }
        };
        let before = batch.events.len();
        match self.settings {
            TombstoneSettings::Log => dropped.write_log(self.position, &mut batch.events),
            _ => dropped.write_span(self.position, &mut batch.events),
        }
        batch.records += 1;
        self.bytes += batch.events.len().saturating_sub(before);
        self.tally.made += 1;
    }

    /// Takes those that wait.
    pub(super) fn take(&mut self) -> Vec<Emission> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// How many there were.
    pub(super) const fn tally(&self) -> TombstoneTally {
        self.tally
    }

    /// The memory that those take which wait, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What is told of a trace.
struct Dropped<'t> {
    trace: &'t Trace,
    policy: &'t str,
    /// The number of the tag of the root.
    tag: u32,
    root: SpanView<'t>,
    service: &'t str,
    errors: u64,
    shape: u64,
}

impl<'t> Dropped<'t> {
    /// Reads a trace. The first span stands in for a root that is missing; its body is put into `root`.
    fn read(
        trace: &'t Trace,
        metadata: &'t Interner,
        policy: &'t str,
        root: &'t mut Vec<u8>,
    ) -> Option<Self> {
        let mut of_root: Option<(bool, u32, u32)> = None;
        let mut names: Vec<u64> = Vec::new();
        let (mut errors, mut body) = (0, Vec::new());
        for entry in trace.entries() {
            body.clear();
            entry.body(&mut body);
            let span = SpanView::new(&body);
            errors += u64::from(span.status_code() == StatusCode::Error);
            let name = xxh3_64(span.name) ^ metadata.hash(entry.metadata).rotate_left(1);
            if names.len() < MAX_NAMES && names.last() != Some(&name) {
                names.push(name);
            }
            let is_root = span.parent_span_id.is_empty();
            if of_root.is_none_or(|(known, ..)| is_root && !known) {
                of_root = Some((is_root, entry.metadata, entry.tag));
                root.clone_from(&body);
            }
        }
        let (_, of_root, tag) = of_root?;
        let root = SpanView::new(root);
        names.sort_unstable();
        names.dedup();
        let shape = names
            .iter()
            .fold(0, |shape: u64, name| xxh3_64(&(shape ^ *name).to_le_bytes()).rotate_left(1));
        let service = service(metadata.get(of_root)).unwrap_or_default();
        Some(Self { trace, policy, tag, root, service, errors, shape })
    }

    /// The encoded map of the attributes by which dropped traces are counted.
    fn key(&self) -> Vec<u8> {
        let mut pairs = Pairs::new();
        if !self.service.is_empty() {
            pairs.text("service.name", self.service);
        }
        self.write_class(&mut pairs);
        let mut map = Vec::new();
        pairs.write_map(&mut map);
        map
    }

    fn write_class(&self, pairs: &mut Pairs) {
        if let Some(name) = text_of(self.root.name) {
            pairs.text(ROOT, name);
        }
        pairs.text(SHAPE, &hex(&self.shape.to_be_bytes()));
        pairs.text(POLICY_ATTRIBUTE, self.policy);
    }

    fn attributes(&self) -> Pairs {
        let mut pairs = Pairs::new();
        pairs.text(DECISION, "drop");
        self.write_class(&mut pairs);
        msgpack::uint(pairs.key(SPANS), self.trace.spans);
        msgpack::uint(pairs.key(ERRORS), self.errors);
        msgpack::f64(pairs.key(DURATION), self.trace.duration().as_secs_f64());
        let count = self.trace.threshold.map_or(1.0, Threshold::adjusted_count);
        msgpack::f64(pairs.key(ADJUSTED_COUNT), count);
        pairs
    }

    /// Writes the start of the event, and its metadata with more pairs.
    fn write_head(&self, signal: Signal, position: Position, more: &Pairs, out: &mut Vec<u8>) {
        let mut otlp = Pairs::new();
        msgpack::uint(otlp.key(keys::VERSION), VERSION);
        otlp.text(keys::SIGNAL, signal.item());
        if !self.service.is_empty() {
            let (mut resource, mut of_resource) = (Pairs::new(), Pairs::new());
            of_resource.text("service.name", self.service);
            of_resource.write_map(resource.key(keys::ATTRIBUTES));
            resource.write_map(otlp.key(keys::RESOURCE));
        }
        let mut scope = Pairs::new();
        scope.text(keys::NAME, SCOPE_NAME);
        scope.text("version", env!("CARGO_PKG_VERSION"));
        scope.write_map(otlp.key(keys::SCOPE));
        write_position(position, &mut otlp);
        otlp.append(more);
        event_head(out, EventTime::from_unix_nanos(self.times().0));
        msgpack::map_header(out, 1);
        msgpack::str_bytes(out, keys::OTLP);
        otlp.write_map(out);
    }

    /// Start and end in Unix nanoseconds; 0 where they are not known.
    const fn times(&self) -> (u64, u64) {
        if self.trace.start == u64::MAX { (0, 0) } else { (self.trace.start, self.trace.end) }
    }

    /// Appends the span record. It has the ids of the root, so that what names the root finds it.
    fn write_span(&self, position: Position, out: &mut Vec<u8>) {
        self.write_head(Signal::Traces, position, &Pairs::new(), out);
        let (start, end) = self.times();
        let mut body = Pairs::new();
        body.text(keys::TRACE_ID, &hex(&self.trace.id.0));
        if let Some(id) = self.root.span_id() {
            body.text(keys::SPAN_ID, &hex(&id.0));
        }
        let state = OtState { threshold: self.trace.threshold, randomness: self.trace.randomness };
        let mut text = Vec::new();
        if with_ot_state(&mut text, &[], state) {
            msgpack::str_bytes(body.key(keys::TRACE_STATE), &text);
        }
        if text_of(self.root.name).is_some() {
            body.push(keys::NAME, self.root.name);
        }
        body.text(keys::KIND, "internal");
        msgpack::uint(body.key(keys::START_TIME), start);
        msgpack::uint(body.key(keys::END_TIME), end);
        self.attributes().write_map(body.key(keys::ATTRIBUTES));
        if self.root.status_code() == StatusCode::Error {
            let mut status = Pairs::new();
            status.text(keys::STATUS_CODE, "error");
            status.write_map(body.key(keys::STATUS));
        }
        body.write_map(out);
    }

    /// Appends the log event.
    fn write_log(&self, position: Position, out: &mut Vec<u8>) {
        let mut more = Pairs::new();
        msgpack::uint(more.key("timestamp"), self.times().0);
        msgpack::uint(more.key(keys::SEVERITY_NUMBER), SEVERITY_INFO);
        more.text(keys::SEVERITY_TEXT, "INFO");
        let mut attributes = self.attributes();
        let status = if self.root.status_code() == StatusCode::Error { "error" } else { "unset" };
        attributes.text("fluentbit.ai.sampling.status", status);
        attributes.write_map(more.key(keys::ATTRIBUTES));
        msgpack::bin(more.key(keys::TRACE_ID), &self.trace.id.0);
        if let Some(id) = self.root.span_id() {
            msgpack::bin(more.key(keys::SPAN_ID), &id.0);
        }
        msgpack::uint(more.key(keys::TRACE_FLAGS), 0);
        more.text(keys::EVENT_NAME, EVENT_NAME);
        more.text(keys::BODY, "none");
        self.write_head(Signal::Logs, position, &more, out);
        msgpack::map_header(out, 0);
    }
}

/// The name of the service whose metadata this is.
fn service(metadata: &[u8]) -> Option<&str> {
    let resource = Telemetry::of(metadata, None)?.resource?;
    let attributes = MapView::new(resource).get(keys::ATTRIBUTES)?;
    text_of(MapView::new(attributes).get(b"service.name")?)
}
