//! Content deduplication: what an endpoint has of large content that repeats, such as system prompts and
//! tool definitions, it gets as an address from then on.
//!
//! A request is rewritten for the one endpoint that it goes to, for each attempt anew, as late as that
//! can be: after it was joined with others, cut, or sorted by header. What is kept for the next attempt,
//! for another member of a group or as a dead letter is whole. A content counts as given when the
//! endpoint has acknowledged all items of a request that held it; until then each request has it, also
//! several that are under way at once, and each item of them, because an endpoint that rejects items does
//! not say which.
//!
//! The address stands beside the content where that is sent, so that a reader finds the one by the other:
//! in `NAME_ref`, as OpenTelemetry's instrumentations of GenAI name the place of content that they
//! uploaded, in the form of OCI's image specification, "Digests".

mod address;
mod rewrite;

use http::HeaderMap;

use crate::digest::Digest;
use crate::export::counters::EndpointCounters;
use crate::export::request::EncodedRequest;
use crate::export::selection::attributes::AttributeKey;
use crate::export::settings::DeduplicationSettings;
use crate::model::Signal;
use crate::routing::{ContentKey, ContentMemory};
use crate::runtime::heavy;
use crate::sync::Mutex;
use address::ContentValue;
use rewrite::{ContentAttribute, ContentForm, DecideContent, rewrite};

/// Contents that an endpoint is known to have, at most.
const MAX_CONTENTS: usize = 16_384;

/// What one endpoint has.
#[derive(Debug)]
pub(in crate::export) struct Deduplicator {
    names: Vec<AttributeKey>,
    min_size: usize,
    memory: Mutex<ContentMemory>,
}

/// A request as the endpoint gets it.
#[derive(Debug)]
pub(in crate::export) struct DeduplicatedRequest {
    pub(in crate::export) request: EncodedRequest,
    /// The contents in it, with the times of the items that hold them.
    carried: Vec<(ContentKey, u64)>,
    /// Values that are addresses in it.
    replaced: usize,
    /// The bytes that it is smaller for that.
    saved: usize,
}

impl Deduplicator {
    pub(in crate::export) fn new(settings: &DeduplicationSettings) -> Self {
        Self::with_capacity(settings, MAX_CONTENTS)
    }

    fn with_capacity(settings: &DeduplicationSettings, capacity: usize) -> Self {
        Self {
            names: settings.names.clone(),
            min_size: settings.min_size,
            memory: Mutex::new(ContentMemory::new(settings.window, capacity)),
        }
    }

    /// The request with addresses, as it goes with these headers beside the endpoint's own; `None` where
    /// it stays as it is. What goes with other headers may be stored for other readers, such as another
    /// tenant's, and knows nothing of this.
    pub(in crate::export) fn apply(
        &self,
        part: &EncodedRequest,
        headers: Option<&HeaderMap>,
    ) -> Option<DeduplicatedRequest> {
        if !matches!(part.signal, Signal::Traces | Signal::Logs) {
            return None;
        }
        heavy(part.size(), || self.rewritten(part, headers))
    }

    fn rewritten(
        &self,
        part: &EncodedRequest,
        headers: Option<&HeaderMap>,
    ) -> Option<DeduplicatedRequest> {
        let place = place(part.signal, headers);
        let mut pass =
            Pass { deduplicator: self, place, carried: Vec::new(), replaced: 0, saved: 0 };
        let body = rewrite(part.signal, part.bytes(), &mut pass)?;
        let Pass { carried, replaced, saved, .. } = pass;
        let is_other = replaced > 0 || !carried.is_empty();
        let request = is_other.then(|| part.with(|_, _| body))?;
        Some(DeduplicatedRequest { request, carried, replaced, saved })
    }

    /// The endpoint has accepted a request, but for so many `rejected` items.
    pub(in crate::export) fn acknowledge(
        &self,
        sent: &DeduplicatedRequest,
        rejected: u64,
        meters: &EndpointCounters,
    ) {
        meters.deduplicated_values.add_items(sent.replaced);
        meters.deduplicated_bytes.add_items(sent.saved);
        if rejected > 0 {
            return;
        }
        let mut memory = self.memory.lock();
        sent.carried.iter().for_each(|(key, time)| memory.acknowledge(*key, *time));
    }
}

/// One request on its way through.
struct Pass<'a> {
    deduplicator: &'a Deduplicator,
    place: [u8; 32],
    carried: Vec<(ContentKey, u64)>,
    replaced: usize,
    saved: usize,
}

impl DecideContent for Pass<'_> {
    fn may_replace(&self, name: &[u8], value: &[u8]) -> bool {
        let Deduplicator { names, min_size, .. } = self.deduplicator;
        // What is encoded is no shorter than what it holds.
        value.len() >= *min_size
            && ContentValue::of(value).len() >= *min_size
            && names.iter().any(|key| key.is(false, name))
    }

    fn decide(&mut self, attribute: ContentAttribute<'_>) -> ContentForm {
        let ContentAttribute { name, value, time } = attribute;
        let address = ContentValue::of(value).address();
        let key = key(&self.place, name, &address);
        if self.deduplicator.memory.lock().has(&key, time) {
            self.replaced = self.replaced.saturating_add(1);
            let saved = value.len().saturating_sub(address.len());
            self.saved = self.saved.saturating_add(saved);
            return ContentForm::Address(address);
        }
        self.carried.push((key, time));
        ContentForm::Whole(address)
    }
}

/// What stands for those who read a signal that came with these headers.
fn place(signal: Signal, headers: Option<&HeaderMap>) -> [u8; 32] {
    let mut pairs: Vec<(&[u8], &[u8])> = headers
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
        .collect();
    pairs.sort_unstable();
    let mut bytes = Vec::new();
    let parts = pairs.into_iter().flat_map(|(name, value)| [name, value]);
    for part in std::iter::once(signal.name().as_bytes()).chain(parts) {
        bytes.extend_from_slice(&part.len().to_le_bytes());
        bytes.extend_from_slice(part);
    }
    Digest::default().of(&bytes)
}

/// What stands for a content under a name at a place.
fn key(place: &[u8; 32], name: &[u8], address: &str) -> ContentKey {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(place);
    bytes.extend_from_slice(&name.len().to_le_bytes());
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(address.as_bytes());
    Digest::default().of(&bytes)
}

#[cfg(test)]
mod tests;
