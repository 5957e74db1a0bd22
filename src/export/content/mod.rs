//! Removes or cuts prompts, completions, tool arguments and tool results, for endpoints that
//! are not to see them. The item keeps its skeleton and says what was removed.

mod errors;
mod kept;
mod names;

pub(super) use names::is_content;
use names::{EVENT_KEYS, is_content_event};

use super::settings::Content;
use crate::codec::msgpack::{MapView, array_header, elements, map_header, str, str_bytes, text_of};
use crate::codec::records::{Event, Telemetry};
use crate::model::Signal;

/// The attribute that lists the names of what was removed.
const REMOVED: &str = "fluentbit.ai.content.removed";
/// The attribute that lists the names of what was cut.
const TRUNCATED: &str = "fluentbit.ai.content.truncated";
/// How many different names are listed at most.
const MAX_NAMES: usize = 64;

/// What an item looks like without content.
#[derive(Debug, Default)]
pub(super) struct Cleaned {
    /// The new metadata map, if it changed.
    pub(super) metadata: Option<Vec<u8>>,
    /// The new body, if it changed.
    pub(super) body: Option<Vec<u8>>,
}

/// The names of what was removed or cut, each once.
#[derive(Debug, Default)]
struct Names {
    list: Vec<String>,
    /// Texts are cut to this many bytes instead of removed.
    most: Option<usize>,
}

impl Names {
    fn add(&mut self, name: &[u8]) {
        if self.list.len() < MAX_NAMES && !self.list.iter().any(|known| known.as_bytes() == name) {
            self.list.push(String::from_utf8_lossy(name).into_owned());
        }
    }

    /// What becomes of a pair that holds content. What is no text and too long is removed: half a
    /// structure is none.
    fn step(&mut self, key: &[u8], value: &[u8]) -> Step {
        if let Some(most) = self.most {
            let text = text_of(value);
            if text.map_or(value.len(), str::len) <= most {
                return Step::Keep;
            }
            self.add(key);
            let Some(text) = text else { return Step::Remove };
            let mut cut = Vec::with_capacity(most.saturating_add(5));
            str(&mut cut, text.get(..text.floor_char_boundary(most)).unwrap_or_default());
            return Step::Put(cut);
        }
        self.add(key);
        Step::Remove
    }

    /// The pair that lists them.
    fn pair(&self) -> Vec<u8> {
        let mut pair = Vec::new();
        str(&mut pair, if self.most.is_some() { TRUNCATED } else { REMOVED });
        array_header(&mut pair, u32::try_from(self.list.len()).unwrap_or(0));
        self.list.iter().for_each(|name| str(&mut pair, name));
        pair
    }
}

/// What becomes of one pair of a map.
enum Step {
    Keep,
    Remove,
    Put(Vec<u8>),
}

/// Rewrites a map; `extra` is a pair to add at its end. What is not a map becomes an empty one.
fn rewrite(
    map: &[u8],
    extra: Option<&[u8]>,
    mut step: impl FnMut(&[u8], &[u8]) -> Step,
) -> Vec<u8> {
    let mut pairs = 0_u32;
    let mut kept = Vec::with_capacity(map.len());
    for entry in MapView::new(map) {
        match step(entry.key, entry.value) {
            Step::Keep => kept.extend_from_slice(entry.raw),
            Step::Remove => continue,
            Step::Put(value) => {
                str_bytes(&mut kept, entry.key);
                kept.extend_from_slice(&value);
            }
        }
        pairs = pairs.saturating_add(1);
    }
    if let Some(extra) = extra {
        kept.extend_from_slice(extra);
        pairs = pairs.saturating_add(1);
    }
    let mut out = Vec::with_capacity(kept.len().saturating_add(5));
    map_header(&mut out, pairs);
    out.extend_from_slice(&kept);
    out
}

/// The attributes without content.
fn clean_attributes(attributes: &[u8], names: &mut Names) -> Vec<u8> {
    rewrite(attributes, None, |key, value| {
        if std::str::from_utf8(key).is_ok_and(is_content) {
            return names.step(key, value);
        }
        Step::Keep
    })
}

/// The attributes of an event that carries messages.
fn clean_event_attributes(attributes: &[u8], names: &mut Names) -> Vec<u8> {
    rewrite(attributes, None, |key, value| {
        if EVENT_KEYS.iter().any(|known| known.as_bytes() == key) {
            return Step::Keep;
        }
        names.step(key, value)
    })
}

/// Sets or adds `attributes` in a map, and adds the list of names to them.
fn with_attributes(map: &[u8], cleaned: Option<&[u8]>, names: &Names) -> Vec<u8> {
    let list = names.pair();
    let attributes = rewrite(cleaned.unwrap_or(&[0x80]), Some(&list), |_, _| Step::Keep);
    if MapView::new(map).get(b"attributes").is_some() {
        return rewrite(map, None, |key, _| match key {
            b"attributes" => Step::Put(attributes.clone()),
            _ => Step::Keep,
        });
    }
    let mut extra = Vec::with_capacity(attributes.len().saturating_add(11));
    str(&mut extra, "attributes");
    extra.extend_from_slice(&attributes);
    rewrite(map, Some(&extra), |_, _| Step::Keep)
}

/// The item as a policy leaves it; `None` if that is as it is.
pub(super) fn apply(
    policy: Content,
    event: &Event<'_>,
    telemetry: Option<&Telemetry<'_>>,
) -> Option<Cleaned> {
    let most = match policy {
        Content::Keep => return None,
        Content::Only(reasons) if kept::is_kept(reasons, event, telemetry) => return None,
        Content::Drop | Content::Only(_) => None,
        Content::Truncate(most) => Some(most),
    };
    let names = Names { list: Vec::new(), most };
    let telemetry = telemetry.filter(|telemetry| !telemetry.is_ordinary(event));
    match telemetry.map(|telemetry| telemetry.signal.unwrap_or(Signal::Logs)) {
        Some(Signal::Traces) => clean_span(event.body, names),
        Some(Signal::Metrics | Signal::Profiles) => None,
        Some(Signal::Logs) => clean_log(event, telemetry?, names),
        None => clean_plain(event.body, names),
    }
}

fn clean_span(body: &[u8], mut names: Names) -> Option<Cleaned> {
    let view = MapView::new(body);
    let attributes = view.get(b"attributes").map(|map| clean_attributes(map, &mut names));
    let mut lists: Vec<(&[u8], Vec<u8>)> = Vec::new();
    for key in [&b"events"[..], b"links"] {
        if let Some(list) = view.get(key) {
            lists.push((key, clean_list(list, &mut names)));
        }
    }
    if names.list.is_empty() {
        return None;
    }
    let body = rewrite(body, None, |key, _| {
        let cleaned = lists.iter().find(|(known, _)| *known == key);
        cleaned.map_or(Step::Keep, |(_, list)| Step::Put(list.clone()))
    });
    let body = with_attributes(&body, attributes.as_deref(), &names);
    Some(Cleaned { metadata: None, body: Some(body) })
}

/// The events or links of a span.
fn clean_list(list: &[u8], names: &mut Names) -> Vec<u8> {
    let mut out = Vec::with_capacity(list.len());
    let mut count = 0_u32;
    for element in elements(list) {
        let view = MapView::new(element);
        let of_messages = view.get(b"name").and_then(text_of).is_some_and(is_content_event);
        out.extend(rewrite(element, None, |key, value| match (key, of_messages) {
            (b"attributes", true) => Step::Put(clean_event_attributes(value, names)),
            (b"attributes", false) => Step::Put(clean_attributes(value, names)),
            _ => Step::Keep,
        }));
        count = count.saturating_add(1);
    }
    let mut whole = Vec::with_capacity(out.len().saturating_add(5));
    array_header(&mut whole, count);
    whole.extend_from_slice(&out);
    whole
}

fn clean_log(event: &Event<'_>, telemetry: &Telemetry<'_>, mut names: Names) -> Option<Cleaned> {
    let otlp = MapView::new(telemetry.otlp);
    let attributes = otlp.get(b"attributes");
    let named = otlp.get(b"event_name").and_then(text_of);
    let name = named.or_else(|| {
        attributes.and_then(|map| MapView::new(map).get(b"event.name")).and_then(text_of)
    });
    let of_messages = name.is_some_and(is_content_event);
    let cleaned = attributes.map(|map| {
        if of_messages {
            clean_event_attributes(map, &mut names)
        } else {
            clean_attributes(map, &mut names)
        }
    });
    let body = clean_body(event.body, of_messages, &mut names);
    if names.list.is_empty() {
        return None;
    }
    let mut otlp = with_attributes(telemetry.otlp, cleaned.as_deref(), &names);
    let word = |body: &[u8]| body_word(event.body, body, of_messages && names.most.is_none());
    if let Some(word) = body.as_deref().and_then(word) {
        otlp = with_word(&otlp, word);
    }
    let metadata = rewrite(event.metadata, None, |key, _| match key {
        b"otlp" => Step::Put(otlp.clone()),
        _ => Step::Keep,
    });
    Some(Cleaned { metadata: Some(metadata), body })
}

/// The body without content, if there was any.
fn clean_body(body: &[u8], of_messages: bool, names: &mut Names) -> Option<Vec<u8>> {
    if of_messages && names.most.is_none() {
        names.add(b"body");
        return Some(vec![0x80]);
    }
    let cleaned = match of_messages {
        true => clean_event_attributes(body, names),
        false => clean_attributes(body, names),
    };
    (!MapView::new(body).is_empty() && cleaned != body).then_some(cleaned)
}

/// What the `otlp` map has to say of a body that changed (ARCHITECTURE.md, "Logs").
fn body_word(before: &[u8], body: &[u8], is_removed: bool) -> Option<&'static str> {
    if is_removed {
        return Some("none");
    }
    let view = MapView::new(body);
    (MapView::new(before).len() > 1 && view.len() == 1 && view.get(b"log").is_some())
        .then_some("kvlist")
}

fn with_word(otlp: &[u8], word: &str) -> Vec<u8> {
    let mut extra = Vec::new();
    str(&mut extra, "body");
    str(&mut extra, word);
    rewrite(otlp, Some(&extra), |key, _| if key == b"body" { Step::Remove } else { Step::Keep })
}

/// An ordinary log: its body's own keys are looked at.
fn clean_plain(body: &[u8], mut names: Names) -> Option<Cleaned> {
    let cleaned = clean_attributes(body, &mut names);
    if names.list.is_empty() {
        return None;
    }
    let list = names.pair();
    let body = rewrite(&cleaned, Some(&list), |_, _| Step::Keep);
    Some(Cleaned { metadata: None, body: Some(body) })
}

#[cfg(test)]
mod tests;
