//! Inverse mapping: the attributes that a span had before mapping added to them.

use crate::codec::msgpack::{self, Entry, MapView, elements, text_of};
use crate::genai::normalize::field::GenAiField;
use crate::genai::normalize::{Detection, EventValues, Normalizer};

/// How often what is not said may stay, and the rest be tried again.
const MOST_TRIES: usize = 3;

/// Appends the attributes without those under current names that only repeat what the others say; gives
/// `false` and appends nothing if there are none.
/// `events` gives what the span's events say.
pub(super) fn restore<'a>(
    attributes: &[u8],
    normalizer: &mut Normalizer,
    events: impl Fn(Detection) -> EventValues<'a>,
    out: &mut Vec<u8>,
) -> bool {
    let is_own = |entry: &Entry<'_>| normalizer.field_named(entry.key).is_some();
    let (own, others): (Vec<_>, Vec<_>) = MapView::new(attributes).partition(is_own);
    if own.is_empty() {
        return false;
    }
    let mut given = Vec::with_capacity(attributes.len());
    write(&others, &mut given);
    let mut seen = normalizer.look(&given);
    let mut mapped = Vec::with_capacity(attributes.len());
    let mut said_by_events = events(seen.detection);
    if normalizer.calls_for_work(&seen, &given) || said_by_events.has_content() {
        normalizer.rewrite(&given, &mut seen, &mut said_by_events, &mut mapped);
    }
    // What would have to be inferred is not said.
    let inferred_now = inferred(&mapped);
    let counts = |entry: &Entry<'_>| {
        normalizer.field_named(entry.key).is_some() && !inferred_now.contains(&entry.key)
    };
    let said: Vec<Entry<'_>> = MapView::new(&mapped).filter(counts).collect();
    let inferred = inferred(attributes);
    let repeats = |entry: &Entry<'_>| {
        said.iter().any(|known| known.raw == entry.raw) || inferred.contains(&entry.key)
    };
    let (mut gone, mut stays): (Vec<_>, Vec<_>) = MapView::new(attributes).partition(repeats);
    let start = out.len();
    // What stays must say all that goes, beside what else stays: what it does not say stays, too.
    for _ in 0..MOST_TRIES {
        if gone.is_empty() {
            break;
        }
        write(&stays, out);
        let restored = out.get(start..).unwrap_or_default();
        let mut seen = normalizer.look(restored);
        let detection = seen.detection;
        mapped.clear();
        normalizer.rewrite(restored, &mut seen, &mut events(detection), &mut mapped);
        let is_said = |entry: &Entry<'_>| MapView::new(&mapped).any(|known| known.raw == entry.raw);
        let (said, unsaid): (Vec<_>, Vec<_>) = gone.into_iter().partition(is_said);
        if unsaid.is_empty() {
            return true;
        }
        out.truncate(start);
        stays.extend(unsaid);
        gone = said;
    }
    false
}

/// The names of what was inferred and not said: the operation, and the list that says so. Numbers
/// that were put right stay.
fn inferred(attributes: &[u8]) -> Vec<&'static [u8]> {
    let (list, operation) = (GenAiField::Inferred.name(), GenAiField::OperationName.name());
    let value = MapView::new(attributes).get(list.as_bytes()).unwrap_or_default();
    let mut names: Vec<&'static [u8]> = Vec::new();
    if elements(value).any(|name| text_of(name) == Some(operation)) {
        names.push(operation.as_bytes());
        if elements(value).count() == 1 {
            names.push(list.as_bytes());
        }
    }
    names
}

fn write(entries: &[Entry<'_>], out: &mut Vec<u8>) {
    msgpack::map_header(out, u32::try_from(entries.len()).unwrap_or(u32::MAX));
    entries.iter().for_each(|entry| out.extend_from_slice(entry.raw));
}
