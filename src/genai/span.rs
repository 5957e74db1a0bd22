//! Record normaliser: one span or metric record in its encoded form.

use memchr::memmem::Finder;

use super::dialects::DialectSet;
use super::dialects::added::AddedDialects;
use super::json_value::Arena;
use super::normalize::{Conventions, Detection, EventValues, Normalizer, SeenAttributes, provider};
use crate::codec::msgpack::{self, Entry, MapView, elements, int_of, text_of};
use crate::codec::records::layout::keys;
use crate::codec::records::{AttributeVisitor, Event, MetricView, Patch, SpanView};

/// Looks at the attributes of a span while it is read.
pub(super) struct DetectionVisitor<'n, 'a> {
    pub(super) normalizer: Option<&'n Normalizer>,
    /// What they are.
    pub(super) seen: &'n mut SeenAttributes<'a>,
}

impl<'a> AttributeVisitor<'a> for DetectionVisitor<'_, 'a> {
    #[inline(always)]
    fn pair(&mut self, entry: Entry<'a>) {
        if let Some(normalizer) = self.normalizer {
            normalizer.look_at(entry, self.seen);
        }
    }

    #[inline]
    fn attribute(&mut self, _key: &'a [u8], _value: &'a [u8]) {}
}

/// Notes what is to be replaced in a span, and says which dialects it spoke. `seen` is what was seen of its
/// attributes. JSON of events is read into `arena`.
pub(super) fn normalize_span<'a>(
    span: &SpanView<'a>,
    seen: &mut SeenAttributes<'a>,
    normalizer: &mut Normalizer,
    arena: &Arena,
    patch: &mut Patch,
) -> Option<DialectSet> {
    let detection = seen.detection;
    let first_token = first_token(span, detection, normalizer.added);
    let own = detection.own();
    let mut events = EventValues::read(arena, span.events, span.attributes, own, first_token);
    let mut spoken = None;
    let has_work = normalizer.calls_for_work(seen, span.attributes) || events.has_content();
    if has_work && !span.attributes.is_empty() {
        spoken = patch.try_replace(span.attributes, |out| {
            normalizer.rewrite(span.attributes, seen, &mut events, out)
        });
    }
    if spoken.is_some() && events.any_said() && !normalizer.keeps_originals() {
        patch.replace(span.events, |out| write_events(span.events, &events, normalizer, out));
        return spoken;
    }
    for event in elements(span.events) {
        let Some(attributes) = MapView::new(event).get(keys::ATTRIBUTES) else { continue };
        let here =
            patch.try_replace(attributes, |out| normalize_event(attributes, normalizer, out));
        spoken = spoken.or(here);
    }
    spoken
}

/// Appends the attributes of a span's event under current names, if they have others.
fn normalize_event(
    attributes: &[u8],
    normalizer: &mut Normalizer,
    out: &mut Vec<u8>,
) -> Option<DialectSet> {
    let mut seen = normalizer.look(attributes);
    let has_work = normalizer.calls_for_work(&seen, attributes);
    let none = &mut EventValues::default();
    has_work.then(|| normalizer.rewrite(attributes, &mut seen, none, out)).flatten()
}

/// Appends the events that say more than the span's attributes do now.
fn write_events(
    events: &[u8],
    values: &EventValues<'_>,
    normalizer: &mut Normalizer,
    out: &mut Vec<u8>,
) {
    let stays: Vec<&[u8]> = (0..)
        .zip(elements(events))
        .filter(|(number, _)| !values.is_said(*number))
        .map(|(_, event)| event)
        .collect();
    msgpack::array_header(out, u32::try_from(stays.len()).unwrap_or(u32::MAX));
    let mut patch = Patch::default();
    for event in stays {
        patch.begin(event);
        if let Some(attributes) = MapView::new(event).get(keys::ATTRIBUTES) {
            patch.try_replace(attributes, |out| normalize_event(attributes, normalizer, out));
        }
        patch.apply(event, out);
    }
}

/// Whether a scope has the schema URL of an older release than attributes follow when they were mapped.
pub(super) fn is_outdated(scope: &[u8], conventions: Conventions) -> bool {
    let minor = |url: &str| -> Option<u32> {
        let release = url.strip_prefix("https://opentelemetry.io/schemas/1.")?;
        release.split('.').next()?.parse().ok()
    };
    let said = || MapView::new(scope).get(keys::SCHEMA_URL).and_then(text_of).and_then(minor);
    let current = conventions.schema_url();
    current.is_some_and(|current| said().is_some_and(|said| Some(said) < minor(current)))
}

/// Notes the schema URL that the attributes of a span follow now, where its scope has that of an
/// older release.
pub(super) fn set_schema_url(event: &Event<'_>, conventions: Conventions, patch: &mut Patch) {
    let Some(current) = conventions.schema_url() else { return };
    let scope = event.otlp().and_then(|otlp| MapView::new(otlp).get(keys::SCOPE));
    if let Some(url) = scope.and_then(|scope| MapView::new(scope).get(keys::SCHEMA_URL)) {
        patch.replace(url, |out| msgpack::str(out, current));
    }
}

/// Seconds from the span's start to its first token.
pub(super) fn first_token(
    span: &SpanView<'_>,
    detection: Detection,
    added: AddedDialects,
) -> Option<f64> {
    if matches!(span.events, [] | [0x90]) {
        return None;
    }
    let first = detection.first_token_event(added)?;
    let start = Some(span.start_unix_nanos()).filter(|start| *start > 0)?;
    let event = elements(span.events)
        .map(MapView::new)
        .find(|event| event.get(keys::NAME).and_then(text_of) == Some(first))?;
    let time = u64::try_from(int_of(event.get(keys::TIME)?)?).ok()?;
    Some(std::time::Duration::from_nanos(time.checked_sub(start)?).as_secs_f64())
}

/// Renames the attribute `gen_ai.system` of a metric's data points. Unlike in spans the old name
/// goes, since attributes are what tells one series from another.
#[derive(Debug)]
pub(super) struct MetricRenamer(Finder<'static>);

impl MetricRenamer {
    pub(super) fn new() -> Self {
        Self(Finder::new(b"gen_ai.system"))
    }

    /// Notes what is to be replaced in the metric with this body.
    pub(super) fn rename(&self, body: &[u8], patch: &mut Patch) {
        if self.0.find(body).is_none() {
            return;
        }
        for point in MetricView::new(body).data_points() {
            if let Some(attributes) = MapView::new(point).get(keys::ATTRIBUTES) {
                rename_in(attributes, patch);
            }
        }
    }
}

fn rename_in(attributes: &[u8], patch: &mut Patch) {
    let mut attributes = MapView::new(attributes);
    if attributes.get(b"gen_ai.provider.name").is_some() {
        return;
    }
    let Some(old) = attributes.find(|entry| entry.key == b"gen_ai.system") else { return };
    patch.replace(old.raw, |out| {
        msgpack::str(out, "gen_ai.provider.name");
        match text_of(old.value) {
            Some(name) => msgpack::str(out, provider(name)),
            None => out.extend_from_slice(old.value),
        }
    });
}
