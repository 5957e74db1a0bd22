//! Logs of model servers: access lines, lines of statistics and timings, payloads and answers, and what is measured of them.
//!
//! What a server logs of its own work becomes the metrics that its scraped page would have, which stand beside those of its
//! clients. An answer or a payload of a gateway is a call of a model, measured as [`super::events`] are: with the
//! response's id, so that a call that a span tells of, too, counts once.

mod answers;
mod facts;
mod format;
mod lines;
mod measures;
mod node;
mod sources;
mod text;
mod told;

use std::time::Duration;

pub(super) use self::measures::OF_SERVER_LOGS;

pub use self::format::{ServerLogFormat, ServerLogFormats};

use self::facts::LogFacts;
use self::lines::LineReader;
use self::measures::ServerMeasure;
use self::node::Node;
use self::sources::{SourceSettings, Sources, source_key};
use self::told::{ToldServices, names_of};
use super::attribute::Attribute;
use super::config::{HistogramForm, MetricsConfig};
use super::export_mode::ExportMode;
use super::fields::{SpanFieldVisitor, SpanFields};
use super::log_event::LogEvent;
use crate::clock::Tick;
use crate::codec::fluentbit::{log_origin, log_texts};
use crate::codec::msgpack::MapView;
use crate::codec::records::edit::Pairs;
use crate::codec::records::layout::keys;
use crate::codec::records::{AttributeVisitor as _, Event, Item, ItemStep, LogView, Telemetry};
use crate::model::{Emission, Position, Signal};

/// Longer texts are not read.
const MAX_TEXT: usize = 256 * 1024;

/// What became of logs that were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerLogTally {
    /// Measured, in the order of [`ServerLogFormat::ALL`].
    pub measured: [u64; ServerLogFormat::ALL.len()],
    /// Of no known kind.
    pub other: u64,
    /// Longer than what is read.
    pub too_long: u64,
    /// Of a known kind, without what is to be measured.
    pub incomplete: u64,
    /// Left out, or a part of them, as the service's spans tell it.
    pub told_by_spans: u64,
    /// Left out, or a part of them, as there was no room for a further series.
    pub no_room: u64,
}

/// Reads and measures logs of servers.
#[derive(Debug)]
pub(super) struct ServerLogs {
    formats: ServerLogFormats,
    lines: LineReader,
    sources: Sources,
    told: ToldServices,
    tally: ServerLogTally,
    position: Position,
    /// For how long spans tell of a service's calls.
    window: Duration,
    expiry: Duration,
}

impl ServerLogs {
    /// What reads the configured formats; `None` where there is none.
    pub(super) fn of(config: &MetricsConfig) -> Option<Box<Self>> {
        let formats = config.server_logs;
        if formats.is_empty() {
            return None;
        }
        let max_series = (config.max_series / 10).max(100);
        let sources = Sources::new(SourceSettings {
            exponential: config.histogram == HistogramForm::Exponential,
            position: config.position,
            tag: config.tag.clone(),
            is_whole: config.is_whole,
            max_series,
            max_bytes: max_series.saturating_mul(1024),
        });
        let (told, tally) = (ToldServices::default(), ServerLogTally::default());
        Some(Box::new(Self {
            formats,
            lines: LineReader::new(formats),
            sources,
            told,
            tally,
            position: config.position,
            window: config.call_window,
            expiry: config.series_expiry,
        }))
    }

    /// Notes a span of a model call.
    #[cold]
    pub(super) fn note_span(
        &mut self,
        fields: &SpanFields<'_>,
        telemetry: Option<&Telemetry<'_>>,
        now: Tick,
    ) {
        if fields.calls_model() {
            let resource = telemetry.and_then(|telemetry| telemetry.resource);
            self.told.note(names_of(resource.unwrap_or_default()), now);
        }
    }

    /// Appends what was measured, and forgets what is old. Deltas begin at `since`.
    pub(super) fn export(
        &mut self,
        batches: &mut Vec<Emission>,
        (mode, since): (ExportMode, u64),
        (now, unix_nanos): (Tick, u64),
    ) {
        self.sources.export(batches, (mode, since), unix_nanos);
        self.sources.expire(now, self.expiry);
    }

    /// Shows what became of logs, and says how many series there are.
    pub(super) const fn show(&self, tally: &mut ServerLogTally) -> usize {
        *tally = self.tally;
        self.sources.series()
    }

    /// Measures a log of a server, if the step is one: says whether anything was measured, and gives the call that it tells of, which
    /// is to be measured as an event.
    pub(super) fn measure<'a>(
        &mut self,
        tag: &[u8],
        step: &ItemStep<'a>,
        at: (Tick, u64),
    ) -> (bool, Option<LoggedCall<'a>>) {
        let log = ReadLog::of(step).filter(|log| !log.telemetry.is_past(self.position));
        let Some(log) = log else { return (false, None) };
        let resource = log.resource();
        let is_told = self.told.has(names_of(&resource), self.window, at.0);
        let (format, call) = match self.read(&log, source_key(tag, &resource)) {
            None => return self.left_out(|tally| &mut tally.other),
            Some(LogFacts::TooLong) => return self.left_out(|tally| &mut tally.too_long),
            Some(LogFacts::Incomplete) => return self.left_out(|tally| &mut tally.incomplete),
            Some(LogFacts::Server(facts)) => {
                let leaves_out = |measure: ServerMeasure| is_told && measure.is_of_spans();
                let is_partly_told = facts.values().any(|(measure, _)| leaves_out(measure));
                self.tally.told_by_spans += u64::from(is_partly_told);
                let has_room = self.sources.add((tag, &resource), &facts, leaves_out, at);
                self.tally.no_room += u64::from(!has_room);
                (facts.format, None)
            }
            Some(LogFacts::Call(format, pairs)) => {
                let mut attributes = Vec::new();
                pairs.write_map(&mut attributes);
                if is_told && MapView::new(&attributes).get(b"gen_ai.response.id").is_none() {
                    return self.left_out(|tally| &mut tally.told_by_spans);
                }
                let unix_nanos = log.event.time.unix_nanos();
                let telemetry = log.telemetry;
                (format, Some(LoggedCall { attributes, resource, telemetry, unix_nanos }))
            }
        };
        if let Some(measured) = self.tally.measured.get_mut(format as usize) {
            *measured += 1;
        }
        (true, call)
    }

    /// Counts a log that is not measured.
    fn left_out<'a>(
        &mut self,
        reason: fn(&mut ServerLogTally) -> &mut u64,
    ) -> (bool, Option<LoggedCall<'a>>) {
        *reason(&mut self.tally) += 1;
        (false, None)
    }

    /// Reads a log: as an object, then each of its texts. `None` if it is of no known kind.
    fn read<'t>(&self, log: &ReadLog<'t>, source: u64) -> Option<LogFacts<'t>> {
        let known = self.sources.format_of(source);
        if let Some(facts) = answers::read(Node::Encoded(log.event.body), self.formats) {
            return Some(facts);
        }
        for text in log_texts(log.event.body, log.body_key) {
            if text.len() > MAX_TEXT {
                return Some(LogFacts::TooLong);
            }
            let facts = if text.trim_ascii_start().starts_with(b"{") {
                answers::read(Node::Json(text), self.formats)
            } else {
                std::str::from_utf8(text).ok().and_then(|text| self.lines.read(text, known))
            };
            if facts.is_some() {
                return facts;
            }
        }
        None
    }
}

/// A call of a model that a log tells of.
pub(super) struct LoggedCall<'a> {
    /// An encoded map.
    attributes: Vec<u8>,
    /// An encoded resource, or nothing.
    resource: Vec<u8>,
    telemetry: Telemetry<'a>,
    unix_nanos: u64,
}

impl LoggedCall<'_> {
    /// The event that it is; its attributes go to the visitor.
    pub(super) fn event<'c>(&'c self, visitor: &mut SpanFieldVisitor<'_, 'c>) -> LogEvent<'c> {
        for entry in MapView::new(&self.attributes) {
            visitor.attribute(entry.key, entry.value);
        }
        let view = LogView::new(self.telemetry.otlp);
        let resource = (!self.resource.is_empty()).then_some(&self.resource[..]);
        LogEvent {
            telemetry: Telemetry { resource, ..self.telemetry },
            ids: view.trace_id().zip(view.span_id()),
            name: visitor.fields.get(Attribute::EventName),
            unix_nanos: self.unix_nanos,
        }
    }
}

/// A log that may be one of a server.
struct ReadLog<'a> {
    event: Event<'a>,
    telemetry: Telemetry<'a>,
    body_key: &'a [u8],
    /// An encoded resource, if the log is one of OTLP.
    resource: Option<&'a [u8]>,
}

impl<'a> ReadLog<'a> {
    /// The step's log, if it is one.
    fn of(step: &ItemStep<'a>) -> Option<Self> {
        let ItemStep::Item(Item { event, telemetry, .. }) = step else { return None };
        let is_log = telemetry.is_none_or(|it| it.signal.is_none_or(|it| it == Signal::Logs));
        if !is_log {
            return None;
        }
        let telemetry = telemetry.unwrap_or_default();
        let group = event.group.map(|group| MapView::new(group.body));
        let resource =
            telemetry.resource.or_else(|| group.and_then(|group| group.get(keys::RESOURCE)));
        let body_key = telemetry.given_body_key.unwrap_or_default();
        Some(Self { event: *event, telemetry, body_key, resource })
    }

    /// The encoded resource: the log's own, or what an ordinary log says of where it comes from.
    fn resource(&self) -> Vec<u8> {
        if let Some(resource) = self.resource {
            return resource.to_vec();
        }
        let mut origin = Vec::new();
        log_origin(&self.event).write_map(&mut origin);
        let mut attributes = Pairs::new();
        for entry in MapView::new(&origin).filter(|entry| is_identity(entry.key)) {
            attributes.push(entry.key, entry.value);
        }
        let mut resource = Vec::new();
        if !attributes.is_empty() {
            let mut pairs = Pairs::new();
            attributes.write_map(pairs.key(keys::ATTRIBUTES));
            pairs.write_map(&mut resource);
        }
        resource
    }
}

/// Whether an attribute of a resource tells sources apart; labels and annotations say more than that.
fn is_identity(key: &[u8]) -> bool {
    let others: [&[u8]; 4] =
        [b"kubernetes.", b"k8s.pod.label.", b"k8s.pod.annotation.", b"k8s.namespace."];
    key == b"k8s.namespace.name" || !others.iter().any(|other| key.starts_with(other))
}

#[cfg(test)]
mod tests;
