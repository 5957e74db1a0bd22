//! Log records written again with what the decision about their trace adds to them.
//!
//! A log has no tracestate. What a tracestate says of a span stands in two attributes, as the Collector's
//! `probabilistic_sampler` writes and reads them: `sampling.threshold` and `sampling.randomness`, with the values of
//! `th` and `rv`.

use super::rewrite::{DRY_RUN_ATTRIBUTE, Mark, POLICY_ATTRIBUTE, Probability};
use super::threshold::{Randomness, Threshold};
use super::tracestate::OtState;
use crate::codec::msgpack::{self, Entry, MapView, Reader};
use crate::codec::records::edit::{
    Edit, Pairs, event_start, insert_otlp, rewrite_map, write_position,
};
use crate::codec::records::layout::keys;
use crate::codec::records::{Event, LogView, Telemetry};
use crate::model::Position;

/// The attribute of a log with the threshold at which it was kept.
const THRESHOLD_ATTRIBUTE: &str = "sampling.threshold";
/// The attribute of a log with randomness that is not its trace id's.
const RANDOMNESS_ATTRIBUTE: &str = "sampling.randomness";

/// What samplers before said of a log.
pub(super) fn log_state(event: &Event<'_>, log: &LogView<'_>) -> OtState {
    let mut state = OtState::default();
    for entry in MapView::new(log.attributes).chain(MapView::new(event.metadata)) {
        let text = || Reader::new(entry.value).str().unwrap_or_default();
        match entry.key {
            key if key == THRESHOLD_ATTRIBUTE.as_bytes() => {
                state.threshold = Threshold::parse(text());
            }
            key if key == RANDOMNESS_ATTRIBUTE.as_bytes() => {
                state.randomness = Randomness::parse(text());
            }
            _ => {}
        }
    }
    state
}

/// Appends a log with what a mark says in its attributes, in place of what an earlier sampler wrote there, and with
/// the position of who emits it, if it is emitted.
pub(super) fn write_marked_log(
    event: &Event<'_>,
    mark: Mark<'_>,
    position: Option<Position>,
    out: &mut Vec<u8>,
) {
    let log = event.otlp().map(LogView::new).unwrap_or_default();
    let said = said(mark, log_state(event, &log));
    let mut otlp = Pairs::new();
    if let Some(position) = position {
        write_position(position, &mut otlp);
    }
    if let Some(content) = mark.content {
        otlp.text(keys::CONTENT, content.name());
    }
    // What makes a log ours is what stands in its `otlp` map. Where Fluent Bit's own conventions hold for it,
    // attributes stand beside that map.
    let telemetry = event.telemetry();
    let is_ordinary = telemetry.as_ref().is_some_and(|it: &Telemetry<'_>| it.is_ordinary(event));
    if !is_ordinary && (!said.pairs.is_empty() || said.erases_threshold) {
        let map = otlp.key(keys::ATTRIBUTES);
        rewrite_map(log.attributes, map, |entry| said.edit(entry), &said.pairs);
    }
    let mut metadata = Vec::with_capacity(event.metadata.len().saturating_add(128));
    if otlp.is_empty() {
        metadata.extend_from_slice(event.metadata);
    } else {
        insert_otlp(event.metadata, &otlp, &mut metadata);
    }
    if is_ordinary {
        let before = std::mem::take(&mut metadata);
        rewrite_map(&before, &mut metadata, |entry| said.edit(entry), &said.pairs);
    }
    event_start(out, event.time, &metadata);
    out.extend_from_slice(event.body);
}

/// What is said of a log.
struct Said {
    pairs: Pairs,
    erases_threshold: bool,
}

impl Said {
    fn edit(&self, entry: Entry<'_>) -> Edit<'static> {
        let is_replaced = self.erases_threshold && entry.key == THRESHOLD_ATTRIBUTE.as_bytes()
            || Keys(self.pairs.encoded()).any(|key| key == entry.key);
        if is_replaced { Edit::Drop } else { Edit::Keep }
    }
}

/// The keys of encoded pairs.
struct Keys<'a>(&'a [u8]);

impl<'a> Iterator for Keys<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut reader = Reader::new(self.0);
        let key = reader.str().ok()?;
        reader.skip().ok()?;
        self.0 = reader.rest();
        Some(key)
    }
}

fn said(mark: Mark<'_>, before: OtState) -> Said {
    let mut pairs = Pairs::new();
    for (key, value) in [(POLICY_ATTRIBUTE, mark.policy), (DRY_RUN_ATTRIBUTE, mark.dry_run)] {
        if let Some(value) = value {
            pairs.text(key, value);
        }
    }
    let mut hex = |key: &str, write: &dyn Fn(&mut Vec<u8>)| {
        let mut digits = Vec::with_capacity(14);
        write(&mut digits);
        msgpack::str_bytes(pairs.key(key), &digits);
    };
    if let Probability::AtLeast(wanted) = mark.probability {
        let threshold = before.threshold.unwrap_or(wanted).max(wanted);
        hex(THRESHOLD_ATTRIBUTE, &|out| threshold.write(out));
    }
    if let Some(randomness) = mark.randomness.filter(|_| before.takes_randomness()) {
        hex(RANDOMNESS_ATTRIBUTE, &|out| randomness.write(out));
    }
    let erases_threshold = mark.probability == Probability::Unknown && before.threshold.is_some();
    Said { pairs, erases_threshold }
}
