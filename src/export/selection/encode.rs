//! Chunk encoder: a chunk of the host becomes requests.

use std::sync::Arc;

use crate::codec::fluentbit::{
    LogAccessors, NativeRequest, cmetrics_to_otlp, ctraces_to_otlp, plain_log,
};
use crate::codec::records::{
    Event, EventKind, Group, MetricView, Patch, RecordReader, RequestBuilder, Telemetry,
    metrics_to_records, profile_count, profiles_of, traces_to_records,
};
use crate::condition::{ConditionError, NoAnswer};
use crate::export::counters::SkipReason;
use crate::export::request::EncodedRequest;
use crate::export::request::metric_kinds;
use crate::export::selection::content::{self, UnlistedTexts};
use crate::export::selection::{ItemDecision, Selection};
use crate::export::settings::ContentHandling;
use crate::genai::{SpanRenderer, map_server_metrics};
use crate::model::Signal;
use crate::plugin::{Delivery, EventType};

/// What one group of endpoints gets.
#[derive(Debug, Default)]
pub(in crate::export) struct Lane {
    pub(in crate::export) parts: Vec<Arc<EncodedRequest>>,
    /// Items that were not for these endpoints.
    pub(in crate::export) filtered: usize,
    /// Items for which the condition had no answer, by reason in the order of [`NoAnswer::ALL`].
    pub(in crate::export) undecided: [usize; NoAnswer::ALL.len()],
    /// The message of the first, and whether such items are sent.
    pub(in crate::export) undecided_reason: Option<(String, bool)>,
    /// Items that lost content.
    pub(in crate::export) cleaned: usize,
    /// Data points that are in others now.
    pub(in crate::export) merged: usize,
    /// Names that no list of content has, of long texts.
    pub(in crate::export) unlisted: UnlistedTexts,
}

impl Lane {
    /// Gives metrics of model servers the names of the conventions.
    pub(in crate::export) fn map_server_metrics(&mut self) {
        for part in self.parts.iter_mut().filter(|part| part.signal == Signal::Metrics) {
            if let Some(mapped) = map_server_metrics(part.bytes()) {
                *part = Arc::new(part.with(|_, _| mapped));
            }
        }
    }
}

/// What a chunk becomes.
#[derive(Debug, Default)]
pub(in crate::export) struct EncodedChunk {
    /// One lane for each view, in the order of the views.
    pub(in crate::export) lanes: Vec<Lane>,
    /// Items that were read, by signal in the order of [`Signal::WITH_PROFILES`].
    pub(in crate::export) received: [usize; 4],
    /// What no endpoint gets: how many, why, and the message of the first.
    pub(in crate::export) skipped: Vec<(SkipReason, usize, String)>,
}

/// Turns a chunk into requests for each view; `None` stands for a view that needs none now.
/// `now` is Unix time in nanoseconds; `accessors` are for ordinary logs.
pub(in crate::export) fn encode(
    views: &[Option<&Selection>],
    delivery: &Delivery<'_>,
    now: u64,
    accessors: &LogAccessors,
) -> EncodedChunk {
    let mut encoder = Encoder::new(views, delivery, now, accessors);
    match delivery.event_type {
        EventType::Logs => encoder.records(delivery.bytes, true),
        EventType::Traces => encoder.native(Signal::Traces, ctraces_to_otlp(delivery.bytes)),
        EventType::Metrics => encoder.native(Signal::Metrics, cmetrics_to_otlp(delivery.bytes)),
        EventType::Other(number) => {
            let message = format!("chunks of the host's type {number} have no place in OTLP");
            encoder.skip(SkipReason::Unsupported, 1, message);
        }
    }
    encoder.finish()
}

struct Encoder<'a> {
    lanes: Vec<Option<Builders<'a>>>,
    tag: &'a [u8],
    now: u64,
    accessors: &'a LogAccessors,
    encoded: EncodedChunk,
}

/// The requests of one view that are being built.
struct Builders<'a> {
    view: &'a Selection,
    lane: Lane,
    /// By signal, and at the last index metrics that our own filters derived: they travel apart
    /// from those of applications, which an endpoint may take where it refuses ours.
    open: [Option<RequestBuilder>; 4],
    /// About how much a request will hold: a chunk is mostly of one signal.
    expected: usize,
    /// Used again for each span that is marked.
    patch: Patch,
    renderer: Option<SpanRenderer>,
}

/// What came of the next record.
enum Taken {
    /// It is in the request that is open for its signal: so many spans, data points or log records.
    Items(Signal, usize),
    /// The general way has to look at it.
    Nothing,
    /// It cannot be encoded, for this reason.
    Problem(String),
}

/// What travels in one request.
#[derive(Debug, Clone, Copy)]
struct Travel {
    signal: Signal,
    is_derived: bool,
}

impl Travel {
    const LOGS: Self = Self { signal: Signal::Logs, is_derived: false };
    const ALL: [Self; 4] = [
        Self { signal: Signal::Traces, is_derived: false },
        Self { signal: Signal::Metrics, is_derived: false },
        Self::LOGS,
        Self { signal: Signal::Metrics, is_derived: true },
    ];

    /// What our filters emit says where: metrics are derived then, and spans only released.
    #[inline]
    fn of(signal: Signal, telemetry: Option<&Telemetry<'_>>) -> Self {
        let is_derived = signal == Signal::Metrics
            && telemetry.is_some_and(|telemetry| telemetry.position.is_some());
        Self { signal, is_derived }
    }

    #[inline]
    const fn index(self) -> usize {
        if self.is_derived { 3 } else { self.signal.index() }
    }
}

impl<'a> Builders<'a> {
    fn new(view: &'a Selection, chunk: usize) -> Self {
        let expected = if view.selective { 0 } else { chunk.min(view.max_request_size) };
        let open = [None, None, None, None];
        let renderer = view.dialect.map(SpanRenderer::new);
        Self { view, lane: Lane::default(), open, expected, patch: Patch::default(), renderer }
    }

    /// The builder for one more item of about `size` bytes.
    fn room(&mut self, kind: Travel, size: usize) -> Option<&mut RequestBuilder> {
        let (limit, max_items) = (self.view.max_request_size, self.view.max_request_items);
        let slot = self.open.get_mut(kind.index())?;
        // A metric with more points than are allowed is cut when it is sent.
        let is_full = |open: &mut RequestBuilder| {
            !open.is_empty()
                && (open.encoded_len().saturating_add(size) > limit || open.items() >= max_items)
        };
        if let Some(full) = slot.take_if(is_full) {
            self.lane.parts.push(Arc::new(close(kind, full)));
        }
        let expected = std::mem::take(&mut self.expected);
        Some(slot.get_or_insert_with(|| RequestBuilder::with_capacity(kind.signal, expected)))
    }

    /// Whether all that is left of a chunk fits into the open requests, and nothing is to be
    /// decided about it.
    fn is_roomy(&self, left: usize) -> bool {
        let open = self.open.iter().flatten().map(RequestBuilder::encoded_len).sum::<usize>();
        let max_items = open.saturating_add(left.saturating_mul(2));
        !self.view.selective && max_items <= self.view.max_request_size
    }

    /// Takes the next record, if it can be encoded while it is read.
    #[inline]
    fn take(&mut self, records: &mut RecordReader<'_>) -> Taken {
        if let Some(log) = records.next_open_log() {
            let added = self.room(Travel::LOGS, 0).and_then(|open| open.push_open_log(&log));
            let Some(added) = added else { return Taken::Nothing };
            records.end_log(&log, added.length);
            return Taken::Items(Signal::Logs, added.items);
        }
        let Some((event, telemetry)) = records.next_open() else { return Taken::Nothing };
        let signal = telemetry.signal.unwrap_or(Signal::Traces);
        let travel = Travel::of(signal, Some(&telemetry));
        let Some(builder) = self.room(travel, 0) else { return Taken::Nothing };
        match builder.push_open(&event, &telemetry, records.context()) {
            Ok(added) => {
                records.end(added.length);
                Taken::Items(signal, added.items)
            }
            Err(error) if records.settle() => Taken::Problem(error.to_string()),
            Err(_) => Taken::Nothing,
        }
    }

    fn undecided(&mut self, error: &ConditionError, keep: bool, items: usize) {
        let kinds = NoAnswer::ALL.iter().zip(&mut self.lane.undecided);
        for (_, count) in kinds.filter(|(kind, _)| **kind == error.kind()) {
            *count = count.saturating_add(items);
        }
        self.lane.undecided_reason.get_or_insert_with(|| (error.reason(), keep));
    }

    fn filter(&mut self, items: usize) {
        self.lane.filtered = self.lane.filtered.saturating_add(items);
    }

    fn finish(mut self) -> Lane {
        for kind in Travel::ALL {
            let open = self.open.get_mut(kind.index()).and_then(Option::take);
            if let Some(builder) = open.filter(|builder| !builder.is_empty()) {
                self.lane.parts.push(Arc::new(close(kind, builder)));
            }
        }
        self.lane
    }
}

/// The group with another body, if there is one.
fn with_body<'a>(group: Option<Group<'a>>, body: Option<&'a [u8]>) -> Option<Group<'a>> {
    group.map(|group| Group { body: body.unwrap_or(group.body), ..group })
}

/// Spans, data points or log records in a record.
fn items_of(signal: Signal, event: &Event<'_>) -> usize {
    match signal {
        Signal::Metrics => MetricView::new(event.body).data_points().count(),
        Signal::Profiles => profiles_of(event).and_then(|all| profile_count(all).ok()).unwrap_or(1),
        Signal::Traces | Signal::Logs => 1,
    }
}

fn close(kind: Travel, builder: RequestBuilder) -> EncodedRequest {
    let items = builder.items();
    EncodedRequest::new(kind.signal, items, builder.finish()).derived(kind.is_derived)
}

impl<'a> Encoder<'a> {
    fn new(
        views: &[Option<&'a Selection>],
        delivery: &Delivery<'a>,
        now: u64,
        accessors: &'a LogAccessors,
    ) -> Self {
        let chunk = delivery.bytes.len();
        let lanes = views.iter().map(|view| view.map(|view| Builders::new(view, chunk))).collect();
        Self { lanes, tag: delivery.tag, now, accessors, encoded: EncodedChunk::default() }
    }

    fn skip(&mut self, reason: SkipReason, count: usize, message: String) {
        let known = self.encoded.skipped.iter_mut().find(|(known, ..)| *known == reason);
        match known {
            Some((_, total, _)) => *total = total.saturating_add(count),
            None => self.encoded.skipped.push((reason, count, message)),
        }
    }

    fn receive(&mut self, signal: Signal, items: usize) {
        if let Some(total) = self.encoded.received.get_mut(signal.index()) {
            *total = total.saturating_add(items);
        }
    }

    fn finish(mut self) -> EncodedChunk {
        let lanes = std::mem::take(&mut self.lanes);
        self.encoded.lanes =
            lanes.into_iter().map(|lane| lane.map(Builders::finish).unwrap_or_default()).collect();
        self.encoded
    }

    /// Log events, telemetry records and ordinary logs alike. `count` says whether their items are
    /// to be counted as received.
    fn records(&mut self, chunk: &[u8], count: bool) {
        let mut records = RecordReader::new(chunk);
        loop {
            self.plain_run(&mut records, count);
            let Some(event) = records.next() else { return };
            match event {
                Ok((event, telemetry)) if event.kind == EventKind::Record => {
                    self.record(&event, telemetry, count);
                }
                Ok(_) => {}
                Err(error) => self.skip(SkipReason::Undecodable, 1, error.to_string()),
            }
        }
    }

    /// Records of ours for which there is nothing to decide and one request to build, up to the
    /// first that needs more: their bodies are read once, while they are encoded.
    fn plain_run(&mut self, records: &mut RecordReader<'_>, count: bool) {
        let mut lanes = self.lanes.iter_mut().flatten();
        let (Some(lane), None) = (lanes.next(), lanes.next()) else { return };
        let mut received = [0_usize; 3];
        let mut problem = None;
        while problem.is_none() && lane.is_roomy(records.left()) {
            match lane.take(records) {
                Taken::Items(signal, items) => {
                    if let Some(total) = received.get_mut(signal.index()) {
                        *total = total.saturating_add(items);
                    }
                }
                Taken::Nothing => break,
                Taken::Problem(message) => problem = Some(message),
            }
        }
        for (signal, items) in Signal::ALL.into_iter().zip(received).filter(|_| count) {
            self.receive(signal, items);
        }
        if let Some(message) = problem {
            self.skip(SkipReason::Unencodable, 1, message);
        }
    }

    fn record(&mut self, event: &Event<'_>, telemetry: Option<Telemetry<'_>>, count: bool) {
        let signal = telemetry.and_then(|telemetry| telemetry.signal).unwrap_or(Signal::Logs);
        let mut problem = None;
        let mut lanes = std::mem::take(&mut self.lanes);
        for lane in lanes.iter_mut().flatten() {
            if let Err(message) = self.offer(lane, event, telemetry.as_ref(), signal) {
                problem = Some(message);
            }
        }
        self.lanes = lanes;
        match problem {
            Some(message) => self.skip(SkipReason::Unencodable, 1, message),
            None if count => self.receive(signal, items_of(signal, event)),
            None => {}
        }
    }

    /// Puts an item into a lane if it is for it.
    fn offer(
        &self,
        lane: &mut Builders<'_>,
        event: &Event<'_>,
        telemetry: Option<&Telemetry<'_>>,
        signal: Signal,
    ) -> Result<(), String> {
        if lane.view.selective {
            match lane.view.decide(event, telemetry, self.tag) {
                ItemDecision::Send => {}
                ItemDecision::Filter => {
                    lane.filter(items_of(signal, event));
                    return Ok(());
                }
                ItemDecision::Undecided(keep, reason) => {
                    lane.undecided(&reason, keep, items_of(signal, event));
                    if !keep {
                        lane.filter(items_of(signal, event));
                        return Ok(());
                    }
                }
            }
        }
        let marked = lane.view.marked(signal, event, &mut lane.patch);
        let event = Event { body: marked.as_deref().unwrap_or(event.body), ..*event };
        let renderer = lane.renderer.as_mut().filter(|_| signal == Signal::Traces);
        if let Some(span) = renderer.and_then(|renderer| renderer.render(&event)) {
            let rendered = Event {
                metadata: span.metadata.as_deref().unwrap_or(event.metadata),
                body: span.body.as_deref().unwrap_or(event.body),
                ..event
            };
            return self.put(lane, signal, &rendered, rendered.telemetry().as_ref());
        }
        self.put(lane, signal, &event, telemetry)
    }

    /// Puts an item that is for a lane there, without what is not.
    fn put(
        &self,
        lane: &mut Builders<'_>,
        signal: Signal,
        event: &Event<'_>,
        telemetry: Option<&Telemetry<'_>>,
    ) -> Result<(), String> {
        if lane.view.content.content != ContentHandling::Keep
            && let Some(cleaned) =
                content::apply(lane.view.content, event, telemetry, &mut lane.lane.unlisted)
        {
            lane.lane.cleaned = lane.lane.cleaned.saturating_add(1);
            let changed = Event {
                metadata: cleaned.metadata.as_deref().unwrap_or(event.metadata),
                body: cleaned.body.as_deref().unwrap_or(event.body),
                group: with_body(event.group, cleaned.group.as_deref()),
                ..*event
            };
            let telemetry = changed.telemetry();
            return self.push(lane, signal, &changed, telemetry.as_ref());
        }
        self.push(lane, signal, event, telemetry)
    }

    fn push(
        &self,
        lane: &mut Builders<'_>,
        signal: Signal,
        event: &Event<'_>,
        telemetry: Option<&Telemetry<'_>>,
    ) -> Result<(), String> {
        if signal == Signal::Profiles {
            let request = profiles_of(event).ok_or("the record has no profiles")?.to_vec();
            let part = EncodedRequest::new(signal, items_of(signal, event), request);
            lane.lane.parts.push(Arc::new(part));
            return Ok(());
        }
        if let Some(telemetry) = telemetry.filter(|telemetry| !telemetry.is_ordinary(event)) {
            // Protobuf takes more room than msgpack only for the nesting of values.
            let size = event.body.len().saturating_add(telemetry.otlp.len()).saturating_mul(2);
            let travel = Travel::of(signal, Some(telemetry));
            let Some(builder) = lane.room(travel, size) else { return Ok(()) };
            return builder.push(event, telemetry).map(drop).map_err(|error| error.to_string());
        }
        let log = plain_log(event, self.tag, self.now, self.accessors);
        let size = log.resource.len().saturating_add(log.record.len());
        let travel = Travel::of(signal, None);
        let Some(builder) = lane.room(travel, size) else { return Ok(()) };
        builder.push_encoded(&log.resource, "", &[], "", &log.record);
        Ok(())
    }

    /// What the native decoders made of a chunk. It is sent as it is where no selection looks at
    /// items and it is not too large; otherwise it goes the way of records.
    fn native(&mut self, signal: Signal, native: NativeRequest) {
        if native.skipped > 0 {
            let message = native.reason.clone().unwrap_or_default();
            self.skip(SkipReason::Undecodable, native.skipped, message);
        }
        self.receive(signal, native.items);
        if native.items == 0 {
            return;
        }
        let (size, items) = (native.request.len(), native.items);
        let whole = |lane: &Builders<'_>| {
            let view = lane.view;
            !view.selective && size <= view.max_request_size && items <= view.max_request_items
        };
        if self.lanes.iter().flatten().any(|lane| !whole(lane)) {
            self.transcoded(signal, &native, &whole);
        }
        let parts = metric_kinds::apart(EncodedRequest::new(signal, native.items, native.request));
        let parts: Vec<Arc<EncodedRequest>> = parts.into_iter().map(Arc::new).collect();
        for lane in self.lanes.iter_mut().flatten().filter(|lane| whole(lane)) {
            lane.lane.parts.extend(parts.iter().cloned());
        }
    }

    fn transcoded(
        &mut self,
        signal: Signal,
        native: &NativeRequest,
        whole: &dyn Fn(&Builders<'_>) -> bool,
    ) {
        let mut events = Vec::new();
        let result = match signal {
            Signal::Metrics => metrics_to_records(&native.request, &mut events, self.now),
            Signal::Traces | Signal::Logs | Signal::Profiles => {
                traces_to_records(&native.request, &mut events)
            }
        };
        match result {
            Ok(transcoded) if transcoded.rejected > 0 => {
                let message = transcoded.reason.unwrap_or_default();
                self.skip(SkipReason::Undecodable, transcoded.rejected, message);
            }
            Ok(_) => {}
            Err(error) => {
                return self.skip(SkipReason::Undecodable, native.items, error.to_string());
            }
        }
        // Lanes that get the request as it is stand aside.
        let mut aside = Vec::new();
        for slot in &mut self.lanes {
            aside.push(slot.take_if(|lane| whole(lane)));
        }
        self.records(&events, false);
        for (slot, lane) in self.lanes.iter_mut().zip(aside) {
            if lane.is_some() {
                *slot = lane;
            }
        }
    }
}
