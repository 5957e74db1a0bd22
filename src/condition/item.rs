//! What an expression is asked about: one record, or the spans of one trace.

use std::sync::OnceLock;

use cel::common::types::{CelDouble, CelList, CelMap, CelNull};
use cel::common::value::CowVal;
use cel::context::VariableResolver;

use super::part;
use super::value::{CelFields, CelValue, bool, int, lazy_map, text, value};
use crate::codec::msgpack::{MapView, int_of, text_of};
use crate::codec::records::layout::keys;
use crate::codec::records::{Event, LogView, MetricView, SpanView, StatusCode, Telemetry};
use crate::model::{ErrorRule, Signal};

/// An encoded empty map.
const EMPTY: &[u8] = &[0x80];

/// The keys under which ordinary logs keep their level, in the order of preference.
const LEVEL_KEYS: [&[u8]; 7] =
    [b"level", b"severity", b"severity_text", b"loglevel", b"levelname", b"log.level", b"lvl"];

/// One log event, telemetry record or not, as an expression sees it. Nothing is decoded before
/// the expression asks for it.
#[derive(Debug, Clone)]
pub struct ConditionRecord<'a> {
    event: Event<'a>,
    telemetry: Option<Telemetry<'a>>,
    tag: &'a [u8],
    /// The parts of a span, once one of them was asked for.
    span: OnceLock<SpanView<'a>>,
}

/// What a condition is evaluated on.
#[derive(Debug, Clone, Copy)]
pub enum ConditionSubject<'r, 'a> {
    /// One record.
    One(&'r ConditionRecord<'a>),
    /// The spans of one trace that are there, in any order, and which of them count as errors.
    Trace(&'r [ConditionRecord<'a>], ErrorRule),
}

impl<'a> ConditionRecord<'a> {
    /// A record with what its metadata says (see [`Event::telemetry`]) and its tag.
    #[must_use]
    pub const fn new(event: Event<'a>, telemetry: Option<Telemetry<'a>>, tag: &'a [u8]) -> Self {
        Self { event, telemetry, tag, span: OnceLock::new() }
    }

    fn signal(&self) -> Signal {
        self.telemetry.and_then(|telemetry| telemetry.signal).unwrap_or(Signal::Logs)
    }

    /// The span; one without parts if it is none.
    fn span(&self) -> &SpanView<'a> {
        self.span.get_or_init(|| match self.signal() {
            Signal::Traces => SpanView::new(self.event.body),
            Signal::Metrics | Signal::Logs | Signal::Profiles => SpanView::default(),
        })
    }

    fn log(&self) -> LogView<'a> {
        self.telemetry.map(|telemetry| LogView::new(telemetry.otlp)).unwrap_or_default()
    }

    fn flags(&self) -> i64 {
        let flags = match self.signal() {
            Signal::Traces => self.span().flags,
            Signal::Logs => self.log().trace_flags,
            Signal::Metrics | Signal::Profiles => &[],
        };
        int_of(flags).unwrap_or(0)
    }

    /// A variable of one item; `None` for other names.
    pub(super) fn field(&self, name: &str) -> Option<CelValue<'a>> {
        Some(match name {
            "signal" => text(self.signal().item().as_bytes()),
            "name" => self.name(),
            "kind" => self.kind(),
            "status" => self.status(),
            "duration_ms" => Box::new(CelDouble::from(self.duration_ms())),
            "attributes" => lazy_map(self.attributes()),
            "resource" => lazy_map(self.resource()),
            "scope" => lazy_map(self.scope()),
            "body" => self.body(),
            "severity" => int(self.severity()),
            "tag" => text(self.tag),
            "events" => part::events(self.span().events),
            "links" => part::links(self.span().links),
            "trace_state" => text(self.span().trace_state()),
            "flags" => int(self.flags()),
            "is_root" => bool(self.signal() == Signal::Traces && self.is_root()),
            _ => return None,
        })
    }

    fn name(&self) -> CelValue<'a> {
        let name = match self.signal() {
            Signal::Logs => self.log().event_name,
            Signal::Traces => self.span().name,
            Signal::Metrics => MetricView::new(self.event.body).name,
            Signal::Profiles => &[],
        };
        value_or(name, b"")
    }

    fn kind(&self) -> CelValue<'a> {
        match self.signal() {
            Signal::Traces => value_or(self.span().kind, b"unspecified"),
            Signal::Metrics => match MetricView::new(self.event.body).kind {
                [] => text(b"unspecified"),
                kind => text(kind),
            },
            Signal::Logs | Signal::Profiles => text(b""),
        }
    }

    fn status(&self) -> CelValue<'a> {
        value_or(
            MapView::new(self.span().status).get(keys::STATUS_CODE).unwrap_or_default(),
            b"unset",
        )
    }

    fn is_error(&self, rule: ErrorRule) -> bool {
        self.span().status_code() == StatusCode::Error
            || (rule == ErrorRule::Any && self.span().is_failure())
    }

    fn is_root(&self) -> bool {
        self.span().parent_span_id.is_empty()
    }

    fn start_and_end(&self) -> (u64, u64) {
        let (start, end) = (self.span().start_unix_nanos(), self.span().end_unix_nanos());
        (start, end.max(start))
    }

    fn duration_ms(&self) -> f64 {
        let (start, end) = self.start_and_end();
        milliseconds(start, end)
    }

    fn attributes(&self) -> &'a [u8] {
        let found = match self.signal() {
            Signal::Traces => self.span().attributes,
            Signal::Logs if self.telemetry.is_some() => self.log().attributes,
            Signal::Logs => self.event.metadata,
            Signal::Profiles => &[],
            Signal::Metrics => {
                let first = MetricView::new(self.event.body).data_points().next();
                MapView::new(first.unwrap_or_default()).get(keys::ATTRIBUTES).unwrap_or_default()
            }
        };
        if found.is_empty() { EMPTY } else { found }
    }

    fn envelope(&self, own: Option<&'a [u8]>, key: &[u8]) -> Option<&'a [u8]> {
        own.or_else(|| self.event.group.and_then(|group| MapView::new(group.body).get(key)))
    }

    fn resource(&self) -> &'a [u8] {
        self.envelope(self.telemetry.and_then(|telemetry| telemetry.resource), keys::RESOURCE)
            .and_then(|resource| MapView::new(resource).get(keys::ATTRIBUTES))
            .unwrap_or(EMPTY)
    }

    fn scope(&self) -> &'a [u8] {
        self.envelope(self.telemetry.and_then(|telemetry| telemetry.scope), keys::SCOPE)
            .unwrap_or(EMPTY)
    }

    /// An OTLP log's body stands under a key, `log` by default, unless it is a map (docs/RECORD.md,
    /// "Logs").
    fn body(&self) -> CelValue<'a> {
        if self.signal() != Signal::Logs {
            return Box::new(CelNull);
        }
        let map = MapView::new(self.event.body);
        if let Some(telemetry) = self.telemetry
            && map.len() == 1
            && self.log().body_form.is_empty()
            && let Some(wrapped) = map.get(telemetry.body_key())
        {
            return value(wrapped);
        }
        value(self.event.body)
    }

    fn severity(&self) -> i64 {
        if self.signal() != Signal::Logs {
            return 0;
        }
        let log = self.log();
        let number = int_of(log.severity_number).unwrap_or(0);
        if number != 0 {
            return number;
        }
        let body = MapView::new(self.event.body);
        let level = match log.severity_text {
            [] => LEVEL_KEYS.iter().find_map(|key| body.get(key)),
            spelled => Some(spelled),
        };
        level.and_then(text_of).map_or(0, severity_number)
    }
}

/// The first severity number of each range, by the OpenTelemetry log data model, section "Field:
/// `SeverityNumber`", and its appendix for the spellings of other systems.
fn severity_number(level: &str) -> i64 {
    match level.trim().to_ascii_lowercase().as_str() {
        "trace" => 1,
        "debug" => 5,
        "info" | "information" | "informational" => 9,
        "notice" => 10,
        "warn" | "warning" => 13,
        "error" | "err" => 17,
        "critical" | "crit" => 18,
        "alert" => 19,
        "fatal" | "emerg" | "emergency" | "panic" => 21,
        _ => 0,
    }
}

fn milliseconds(start: u64, end: u64) -> f64 {
    std::time::Duration::from_nanos(end.saturating_sub(start)).as_secs_f64() * 1000.0
}

/// An encoded value, or a text if there is none.
fn value_or<'a>(encoded: &'a [u8], default: &'static [u8]) -> CelValue<'a> {
    if encoded.is_empty() { text(default) } else { value(encoded) }
}

impl<'a> ConditionSubject<'_, 'a> {
    fn variable(&self, name: &str) -> Option<CelValue<'a>> {
        match self {
            Self::One(record) => record.field(name),
            Self::Trace(spans, rule) => trace_variable(spans, *rule, name),
        }
    }
}

fn trace_variable<'a>(
    spans: &[ConditionRecord<'a>],
    rule: ErrorRule,
    name: &str,
) -> Option<CelValue<'a>> {
    let root = spans.iter().find(|span| span.is_root());
    Some(match name {
        "signal" => text(b"trace"),
        "duration_ms" => {
            let start = spans.iter().map(|span| span.start_and_end().0).min().unwrap_or(0);
            let end = spans.iter().map(|span| span.start_and_end().1).max().unwrap_or(0);
            Box::new(CelDouble::from(milliseconds(start, end)))
        }
        "spans" => {
            let values = spans
                .iter()
                .map(|span| -> CelValue<'a> { Box::new(CelFields::Span(span.clone())) });
            Box::new(CelList::from(values.collect::<Vec<_>>()))
        }
        "errors" => {
            let errors = spans.iter().filter(|span| span.is_error(rule)).count();
            int(i64::try_from(errors).unwrap_or(i64::MAX))
        }
        "root" => match root {
            Some(root) => Box::new(CelFields::Span(root.clone())),
            None => Box::new(CelMap::default()),
        },
        _ => return root.or_else(|| spans.first()).and_then(|span| span.field(name)),
    })
}

impl VariableResolver for ConditionSubject<'_, '_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        self.variable(variable.trim_start_matches('.')).map(CowVal::Owned)
    }
}
