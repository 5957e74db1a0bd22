//! What an expression is asked about: one record, or the spans of one trace.

use cel::common::types::{CelDouble, CelList, CelMap, CelNull};
use cel::common::value::CowVal;
use cel::context::VariableResolver;

use super::part;
use super::value::{Boxed, Fields, int, lazy_map, text, value};
use crate::codec::msgpack::{MapView, elements, int_of, text_of};
use crate::codec::records::layout::keys;
use crate::codec::records::views::is_failure;
use crate::codec::records::{Event, Telemetry};
use crate::model::{ErrorRule, Signal};

/// An encoded empty map.
const EMPTY: &[u8] = &[0x80];

/// The keys under which ordinary logs keep their level, in the order of preference.
const LEVEL_KEYS: [&[u8]; 7] =
    [b"level", b"severity", b"severity_text", b"loglevel", b"levelname", b"log.level", b"lvl"];

/// One log event, telemetry record or not, as an expression sees it. Nothing is decoded before
/// the expression asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    event: Event<'a>,
    telemetry: Option<Telemetry<'a>>,
    tag: &'a [u8],
}

/// What a condition is evaluated on.
#[derive(Debug, Clone, Copy)]
pub enum Item<'a> {
    /// One record.
    One(&'a Record<'a>),
    /// The spans of one trace that are there, in any order, and which of them count as errors.
    Trace(&'a [Record<'a>], ErrorRule),
}

impl<'a> Record<'a> {
    /// A record with what its metadata says (see [`Event::telemetry`]) and its tag.
    #[must_use]
    pub const fn new(event: Event<'a>, telemetry: Option<Telemetry<'a>>, tag: &'a [u8]) -> Self {
        Self { event, telemetry, tag }
    }

    fn signal(&self) -> Signal {
        self.telemetry.and_then(|telemetry| telemetry.signal).unwrap_or(Signal::Logs)
    }

    fn body_value(&self, key: &[u8]) -> Option<&'a [u8]> {
        MapView::new(self.event.body).get(key)
    }

    fn span_value(&self, key: &[u8]) -> Option<&'a [u8]> {
        if self.signal() == Signal::Traces { self.body_value(key) } else { None }
    }

    fn flags(&self) -> i64 {
        let flags = match self.signal() {
            Signal::Traces => self.body_value(b"flags"),
            Signal::Logs => self.otlp_value(b"trace_flags"),
            Signal::Metrics | Signal::Profiles => None,
        };
        flags.and_then(int_of).unwrap_or(0)
    }

    fn otlp_value(&self, key: &[u8]) -> Option<&'a [u8]> {
        self.telemetry.and_then(|telemetry| MapView::new(telemetry.otlp).get(key))
    }

    /// A variable of one item; `None` for other names.
    pub(super) fn field(&self, name: &str) -> Option<Boxed<'a>> {
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
            "events" => part::events(self.span_value(b"events")),
            "links" => part::links(self.span_value(b"links")),
            "trace_state" => text(
                self.span_value(b"trace_state").and_then(text_of).unwrap_or_default().as_bytes(),
            ),
            "flags" => int(self.flags()),
            _ => return None,
        })
    }

    fn name(&self) -> Boxed<'a> {
        let name = match self.signal() {
            Signal::Logs => self.otlp_value(b"event_name"),
            Signal::Traces | Signal::Metrics => self.body_value(b"name"),
            Signal::Profiles => None,
        };
        name.map_or_else(|| text(b""), value)
    }

    fn kind(&self) -> Boxed<'a> {
        match self.signal() {
            Signal::Traces => self.body_value(b"kind").map_or_else(|| text(b"unspecified"), value),
            Signal::Metrics => text(self.metric_kind().unwrap_or(b"unspecified")),
            Signal::Logs | Signal::Profiles => text(b""),
        }
    }

    fn metric_kind(&self) -> Option<&'static [u8]> {
        keys::METRIC_DATA.into_iter().find(|kind| self.body_value(kind).is_some())
    }

    fn status(&self) -> Boxed<'a> {
        self.status_code().map_or_else(|| text(b"unset"), value)
    }

    fn status_code(&self) -> Option<&'a [u8]> {
        if self.signal() != Signal::Traces {
            return None;
        }
        self.body_value(b"status").and_then(|status| MapView::new(status).get(b"code"))
    }

    fn is_error(&self, rule: ErrorRule) -> bool {
        self.status_code().and_then(text_of) == Some("error")
            || (rule == ErrorRule::Any && is_failure(self.event.body))
    }

    fn is_root(&self) -> bool {
        self.body_value(b"parent_span_id").is_none()
    }

    fn start_and_end(&self) -> (i64, i64) {
        let nanos = |key: &[u8]| self.body_value(key).and_then(int_of).unwrap_or(0);
        let start = nanos(b"start_time_unix_nano");
        (start, nanos(b"end_time_unix_nano").max(start))
    }

    fn duration_ms(&self) -> f64 {
        if self.signal() != Signal::Traces {
            return 0.0;
        }
        let (start, end) = self.start_and_end();
        milliseconds(start, end)
    }

    fn attributes(&self) -> &'a [u8] {
        let found = match self.signal() {
            Signal::Traces => self.body_value(b"attributes"),
            Signal::Logs if self.telemetry.is_some() => self.otlp_value(b"attributes"),
            Signal::Logs => Some(self.event.metadata),
            Signal::Profiles => None,
            Signal::Metrics => self
                .metric_kind()
                .and_then(|kind| self.body_value(kind))
                .and_then(|data| MapView::new(data).get(b"data_points"))
                .and_then(|points| elements(points).next())
                .and_then(|point| MapView::new(point).get(b"attributes")),
        };
        found.unwrap_or(EMPTY)
    }

    fn envelope(&self, own: Option<&'a [u8]>, key: &[u8]) -> Option<&'a [u8]> {
        own.or_else(|| self.event.group.and_then(|group| MapView::new(group.body).get(key)))
    }

    fn resource(&self) -> &'a [u8] {
        self.envelope(self.telemetry.and_then(|telemetry| telemetry.resource), b"resource")
            .and_then(|resource| MapView::new(resource).get(b"attributes"))
            .unwrap_or(EMPTY)
    }

    fn scope(&self) -> &'a [u8] {
        self.envelope(self.telemetry.and_then(|telemetry| telemetry.scope), b"scope")
            .unwrap_or(EMPTY)
    }

    /// An OTLP log's body stands under a key, `log` by default, unless it is a map (docs/RECORD.md,
    /// "Logs").
    fn body(&self) -> Boxed<'a> {
        if self.signal() != Signal::Logs {
            return Box::new(CelNull);
        }
        let map = MapView::new(self.event.body);
        if let Some(telemetry) = self.telemetry
            && map.len() == 1
            && self.otlp_value(b"body").is_none()
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
        let given = self.otlp_value(b"severity_number").and_then(int_of);
        given.filter(|number| *number != 0).unwrap_or_else(|| self.level())
    }

    fn level(&self) -> i64 {
        let spelled = self.otlp_value(b"severity_text");
        let in_body = || LEVEL_KEYS.iter().find_map(|key| self.body_value(key));
        let Some(level) = spelled.or_else(in_body) else { return 0 };
        text_of(level).map_or(0, severity_number)
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

fn milliseconds(start: i64, end: i64) -> f64 {
    let nanos = u64::try_from(end.saturating_sub(start)).unwrap_or(0);
    std::time::Duration::from_nanos(nanos).as_secs_f64() * 1000.0
}

impl<'a> Item<'a> {
    fn variable(&self, name: &str) -> Option<Boxed<'a>> {
        match self {
            Self::One(record) => record.field(name),
            Self::Trace(spans, rule) => trace_variable(spans, *rule, name),
        }
    }
}

fn trace_variable<'a>(spans: &'a [Record<'a>], rule: ErrorRule, name: &str) -> Option<Boxed<'a>> {
    let root = spans.iter().find(|span| span.is_root());
    Some(match name {
        "signal" => text(b"trace"),
        "duration_ms" => {
            let start = spans.iter().map(|span| span.start_and_end().0).min().unwrap_or(0);
            let end = spans.iter().map(|span| span.start_and_end().1).max().unwrap_or(0);
            Box::new(CelDouble::from(milliseconds(start, end)))
        }
        "spans" => {
            let values = spans.iter().map(|span| -> Boxed<'a> { Box::new(Fields::Span(*span)) });
            Box::new(CelList::from(values.collect::<Vec<_>>()))
        }
        "errors" => {
            let errors = spans.iter().filter(|span| span.is_error(rule)).count();
            int(i64::try_from(errors).unwrap_or(i64::MAX))
        }
        "root" => match root {
            Some(root) => Box::new(Fields::Span(*root)),
            None => Box::new(CelMap::default()),
        },
        _ => return root.or_else(|| spans.first()).and_then(|span| span.field(name)),
    })
}

impl VariableResolver for Item<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        self.variable(variable.trim_start_matches('.')).map(CowVal::Owned)
    }
}
