//! Content policy: removes or cuts prompts, completions, tool arguments, tool results and tool
//! definitions, for endpoints that are not to see them. The item keeps its skeleton and says what
//! was removed.
//!
//! What is content is said by the lists of the dialects, which [`crate::genai::content_class`] reads.

mod cleaned;
mod cleaner;
mod errors;
mod maps;
mod ordinary;
mod retention;
mod speech;
mod unlisted;

pub(in crate::export) use unlisted::{UnlistedReport, UnlistedTexts};

pub(in crate::export) use cleaned::Cleaned;
use cleaner::Cleaner;
use maps::{PairEdit, edit_array, edit_map, with_pair, with_value};
use unlisted::LONG_TEXT;

use crate::codec::msgpack::{MapView, Reader, Token, map_header, str, str_bytes, text_of};
use crate::codec::records::layout::keys;
use crate::codec::records::{Event, Telemetry, is_metric_data, raw_values_hold_content};
use crate::export::settings::ContentHandling;
use crate::genai::is_content_event;
use crate::model::Signal;

/// What an endpoint gets of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::export) struct ContentPolicy {
    /// What happens to what the lists have.
    pub(in crate::export) content: ContentHandling,
    /// The bytes that a text under a name that no list has may have, unless that is not limited.
    pub(in crate::export) unlisted: Option<usize>,
}

impl ContentPolicy {
    /// Whether no text goes out that is long and under a name that no list has.
    pub(in crate::export) fn removes_long_texts(self) -> bool {
        self.unlisted.is_some_and(|limit| limit <= LONG_TEXT)
    }
}

/// The item as a policy leaves it; `None` if that is as it is. `unlisted` notes long texts under
/// names that no list has.
pub(in crate::export) fn apply(
    policy: ContentPolicy,
    event: &Event<'_>,
    telemetry: Option<&Telemetry<'_>>,
    unlisted: &mut UnlistedTexts,
) -> Option<Cleaned> {
    let max_bytes = match policy.content {
        ContentHandling::Keep => return None,
        ContentHandling::Only(reasons) if retention::is_kept(reasons, event, telemetry) => {
            return None;
        }
        ContentHandling::Drop | ContentHandling::Only(_) => None,
        ContentHandling::Truncate(max_bytes) => Some(max_bytes),
    };
    let cleaner = Cleaner::new(event, max_bytes, policy.unlisted, unlisted);
    let telemetry = telemetry.filter(|telemetry| !telemetry.is_ordinary(event));
    match telemetry.map(|telemetry| telemetry.signal.unwrap_or(Signal::Logs)) {
        Some(Signal::Traces) => clean_span(event, telemetry?, cleaner),
        Some(Signal::Metrics) => clean_metric(event, telemetry?, cleaner),
        Some(Signal::Profiles) => None,
        Some(Signal::Logs) => clean_log(event, telemetry?, cleaner),
        None => ordinary::clean(event, cleaner),
    }
}

/// An `otlp` map, or a group's body, with its maps `resource` and `scope` without content, and
/// without values beside the record that cannot be looked into.
fn clean_origin<'a>(holder: &'a [u8], cleaner: &mut Cleaner<'a, '_>) -> Option<Vec<u8>> {
    edit_map(holder, |entry| match entry.key {
        keys::RAW_VALUES => clean_raw_values(entry.value, cleaner),
        keys::RESOURCE | keys::SCOPE => {
            let edited = edit_map(entry.value, |entry| match entry.key {
                keys::RAW_VALUES => clean_raw_values(entry.value, cleaner),
                keys::ATTRIBUTES => cleaner.map(entry.value).map_or(PairEdit::Keep, PairEdit::Put),
                _ => PairEdit::Keep,
            });
            edited.map_or(PairEdit::Keep, PairEdit::Put)
        }
        _ => PairEdit::Keep,
    })
}

/// Values that msgpack cannot express stand beside the record as protobuf, and would be put back
/// where nothing was found. They go unless they only say that a value is not there, or the like.
fn clean_raw_values(values: &[u8], cleaner: &mut Cleaner<'_, '_>) -> PairEdit {
    if !raw_values_hold_content(values) {
        return PairEdit::Keep;
    }
    cleaner.add_name(keys::RAW_VALUES);
    PairEdit::Remove
}

/// Sets or adds `attributes` in a map, and adds the list of names to them.
fn with_attributes(map: &[u8], cleaned: Option<&[u8]>, cleaner: &Cleaner<'_, '_>) -> Vec<u8> {
    let attributes = with_pair(cleaned.unwrap_or(&[0x80]), &cleaner.list());
    if MapView::new(map).get(keys::ATTRIBUTES).is_some() {
        return with_value(map, keys::ATTRIBUTES, &attributes);
    }
    let mut pair = Vec::with_capacity(attributes.len().saturating_add(11));
    str(&mut pair, "attributes");
    pair.extend_from_slice(&attributes);
    with_pair(map, &pair)
}

/// The metadata with another `otlp` map.
fn with_otlp(event: &Event<'_>, otlp: &[u8]) -> Vec<u8> {
    with_value(event.metadata, keys::OTLP, otlp)
}

fn clean_span<'a>(
    event: &'a Event<'a>,
    telemetry: &Telemetry<'a>,
    mut cleaner: Cleaner<'a, '_>,
) -> Option<Cleaned> {
    let origin = clean_origin(telemetry.otlp, &mut cleaner);
    // The attributes come first: what they lose is looked for in the other parts.
    let given = MapView::new(event.body).get(keys::ATTRIBUTES);
    let cleaned = given.and_then(|attributes| cleaner.map(attributes));
    let body = edit_map(event.body, |entry| match entry.key {
        keys::ATTRIBUTES => cleaned.clone().map_or(PairEdit::Keep, PairEdit::Put),
        keys::EVENTS | keys::LINKS => {
            clean_list(entry.value, &mut cleaner).map_or(PairEdit::Keep, PairEdit::Put)
        }
        keys::STATUS => {
            clean_status(entry.value, &mut cleaner).map_or(PairEdit::Keep, PairEdit::Put)
        }
        _ => PairEdit::Keep,
    });
    if cleaner.found_nothing() {
        return None;
    }
    let body = body.as_deref().unwrap_or(event.body);
    let attributes = cleaned.as_deref().or(given);
    let body = with_attributes(body, attributes, &cleaner);
    let metadata = origin.map(|otlp| with_otlp(event, &otlp));
    Some(Cleaned { metadata, body: Some(body), group: None })
}

/// The events or links of a span.
fn clean_list<'a>(list: &'a [u8], cleaner: &mut Cleaner<'a, '_>) -> Option<Vec<u8>> {
    edit_array(list, |element| {
        let name = MapView::new(element).get(keys::NAME).and_then(text_of);
        let of_content = name.is_some_and(is_content_event);
        let edited = edit_map(element, |entry| {
            let edited = match (entry.key, of_content) {
                (keys::ATTRIBUTES, true) => cleaner.event_attributes(entry.value),
                (keys::ATTRIBUTES, false) => cleaner.map(entry.value),
                _ => None,
            };
            edited.map_or(PairEdit::Keep, PairEdit::Put)
        });
        edited.map_or(PairEdit::Keep, PairEdit::Put)
    })
}

/// A span's status without a message that has to go.
fn clean_status(status: &[u8], cleaner: &mut Cleaner<'_, '_>) -> Option<Vec<u8>> {
    edit_map(status, |entry| {
        if entry.key != keys::STATUS_MESSAGE || !cleaner.refuses_message(entry.value) {
            return PairEdit::Keep;
        }
        cleaner.add_name(b"status.message");
        PairEdit::Remove
    })
}

fn clean_metric<'a>(
    event: &'a Event<'a>,
    telemetry: &Telemetry<'a>,
    mut cleaner: Cleaner<'a, '_>,
) -> Option<Cleaned> {
    let origin = clean_origin(telemetry.otlp, &mut cleaner);
    let body = edit_map(event.body, |entry| {
        let edited = match entry.key {
            keys::METADATA => cleaner.map(entry.value),
            key if is_metric_data(key) => edit_map(entry.value, |entry| match entry.key {
                keys::DATA_POINTS => {
                    cleaner.points(entry.value).map_or(PairEdit::Keep, PairEdit::Put)
                }
                _ => PairEdit::Keep,
            }),
            _ => None,
        };
        edited.map_or(PairEdit::Keep, PairEdit::Put)
    });
    if cleaner.found_nothing() {
        return None;
    }
    let body = body.as_deref().unwrap_or(event.body);
    let list = cleaner.list();
    let body = match MapView::new(body).get(keys::METADATA) {
        Some(metadata) => with_value(body, keys::METADATA, &with_pair(metadata, &list)),
        None => {
            let mut pair = Vec::with_capacity(list.len().saturating_add(10));
            str_bytes(&mut pair, keys::METADATA);
            pair.extend_from_slice(&with_pair(&[0x80], &list));
            with_pair(body, &pair)
        }
    };
    let metadata = origin.map(|otlp| with_otlp(event, &otlp));
    Some(Cleaned { metadata, body: Some(body), group: None })
}

fn clean_log<'a>(
    event: &'a Event<'a>,
    telemetry: &Telemetry<'a>,
    mut cleaner: Cleaner<'a, '_>,
) -> Option<Cleaned> {
    let otlp = MapView::new(telemetry.otlp);
    let given = otlp.get(keys::ATTRIBUTES);
    let named = |key: &[u8]| given.and_then(|map| MapView::new(map).get(key)).and_then(text_of);
    let name = otlp.get(keys::EVENT_NAME).and_then(text_of).filter(|name| !name.is_empty());
    let name = name.or_else(|| named(b"event.name")).or_else(|| named(b"event_name"));
    let of_content = name.is_some_and(is_content_event);
    let origin = clean_origin(telemetry.otlp, &mut cleaner);
    let group = event.group.and_then(|group| clean_origin(group.body, &mut cleaner));
    let cleaned = given.and_then(|map| match of_content {
        true => cleaner.event_attributes(map),
        false => cleaner.map(map),
    });
    let key = telemetry.body_key();
    let body = clean_body(event.body, key, of_content, &mut cleaner);
    if cleaner.found_nothing() {
        return None;
    }
    let otlp = origin.as_deref().unwrap_or(telemetry.otlp);
    let mut otlp = with_attributes(otlp, cleaned.as_deref().or(given), &cleaner);
    let went_whole = of_content && cleaner.max_bytes.is_none();
    if let Some(body) = &body
        && let Some(word) = body_form(event.body, body, (key, telemetry.body_form), went_whole)
    {
        otlp = with_body_form(&otlp, word);
    }
    Some(Cleaned { metadata: Some(with_otlp(event, &otlp)), body, group })
}

/// The body without content, if there was any.
fn clean_body<'a>(
    body: &'a [u8],
    key: &[u8],
    of_content: bool,
    cleaner: &mut Cleaner<'a, '_>,
) -> Option<Vec<u8>> {
    if let Some(map) = map_under(body, key) {
        let cleaned = clean_body(map, b"log", of_content, cleaner)?;
        if !(of_content && cleaner.max_bytes.is_none()) {
            let mut whole = Vec::with_capacity(cleaned.len().saturating_add(key.len() + 8));
            map_header(&mut whole, 1);
            str_bytes(&mut whole, key);
            whole.extend_from_slice(&cleaned);
            return Some(whole);
        }
        return Some(cleaned);
    }
    match (of_content, cleaner.max_bytes) {
        (true, None) => {
            if !MapView::new(body).is_empty() {
                cleaner.add_name(b"body");
            }
            Some(vec![0x80])
        }
        (true, Some(_)) => cleaner.event_attributes(body),
        (false, _) => edit_map(body, |entry| {
            if entry.key == key {
                return cleaner.log_value(entry, b"body");
            }
            cleaner.log_step(entry, entry.key)
        }),
    }
}

/// The map that is all of a body, under another key than `log`, as `logs_body_key` leaves it.
fn map_under<'a>(body: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    if key == b"log" {
        return None;
    }
    let mut entries = MapView::new(body);
    let entry = entries.next().filter(|entry| entry.key == key)?;
    let is_map = matches!(Reader::new(entry.value).token(), Ok(Token::Map(_)));
    (entries.next().is_none() && is_map).then_some(entry.value)
}

/// What the `otlp` map has to say of a body that changed (docs/RECORD.md, "Logs").
fn body_form(
    before: &[u8],
    body: &[u8],
    (key, form): (&[u8], &[u8]),
    went_whole: bool,
) -> Option<&'static str> {
    let (before, view) = (MapView::new(before), MapView::new(body));
    if view.is_empty() {
        // A list that lost its last pair stays one.
        let was_value = before.len() == 1 && before.get(key).is_some() && form != b"kvlist";
        return (went_whole || was_value).then_some("none");
    }
    (before.len() > 1 && view.len() == 1 && view.get(key).is_some()).then_some("kvlist")
}

fn with_body_form(otlp: &[u8], word: &str) -> Vec<u8> {
    let mut pair = Vec::new();
    str(&mut pair, "body");
    str(&mut pair, word);
    let without =
        edit_map(
            otlp,
            |entry| if entry.key == b"body" { PairEdit::Remove } else { PairEdit::Keep },
        );
    with_pair(without.as_deref().unwrap_or(otlp), &pair)
}

#[cfg(test)]
mod tests;
