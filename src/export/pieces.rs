//! Requests that an endpoint does not get as they are: cut by size, sorted by header, and items made
//! smaller.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue};

use super::endpoint::{Endpoint, Sent};
use super::part::Part;
use super::settings::{Compression, HeaderFrom, Source};
use super::units::{Batch, Shrunk, attribute, shrink};
use crate::model::Signal;
use crate::routing::{FailureReason, Units};

/// How often one item is made smaller before it is given up.
const MAX_SHRINKS: usize = 16;

/// How many values of headers one request is sent with in one attempt. What has further ones waits
/// for the host's next attempt.
const MAX_VALUES: usize = 256;

/// Sends what is not done of a request, in pieces that the endpoint takes. Says what is done then.
pub(super) async fn deliver(endpoint: &Endpoint, part: &Part, mut done: Units) -> Units {
    let body: Bytes = part.body(Compression::None);
    let plain = endpoint.header_from.is_empty();
    let read = if part.signal == Signal::Profiles && plain {
        Err("profiles share a dictionary".to_owned())
    } else {
        Batch::read(part.signal, &body).map_err(|error| error.to_string())
    };
    let batch = match read {
        Ok(batch) => batch,
        Err(why) => {
            let (reason, what) = match plain {
                true => (FailureReason::TooLarge, "it is too large and cannot be cut"),
                false => (FailureReason::Refused, "it cannot be read for its headers"),
            };
            let gone = endpoint.give_up(part, reason, &format!("{what}: {why}")).await;
            return if gone { Units::All } else { done };
        }
    };
    let missing: Vec<usize> = (0..batch.len()).filter(|unit| !done.has(*unit)).collect();
    let sender = Sender { endpoint, whole: part, batch: &batch };
    if endpoint.header_from.is_empty() {
        sender.send(missing, None).await.into_iter().for_each(|unit| done.add(unit));
        return done.of(batch.len());
    }
    let groups = by_values(&endpoint.header_from, &batch, missing);
    let sends = groups.into_iter().map(|(values, units)| sender.send_with(values, units));
    for units in join_all(sends).await {
        units.into_iter().for_each(|unit| done.add(unit));
    }
    done.of(batch.len())
}

/// The values of the headers, in their order.
type Values = Vec<Option<String>>;

/// Units by the values that their headers get.
fn by_values(
    from: &[HeaderFrom],
    batch: &Batch<'_>,
    units: Vec<usize>,
) -> HashMap<Values, Vec<usize>> {
    let mut groups: HashMap<Values, Vec<usize>> = HashMap::new();
    for unit in units {
        let value = |header: &HeaderFrom| match &header.source {
            Source::Resource(key) => attribute(batch.resource(unit), 1, key),
            Source::Scope(key) => attribute(batch.scope(unit), 3, key),
            // Those of profiles are in the dictionary.
            Source::Item(_) if batch.signal == Signal::Profiles => None,
            Source::Item(key) => attribute(batch.item(unit), batch.attributes_field(unit), key),
        };
        let values: Values = from.iter().map(value).collect();
        if groups.len() < MAX_VALUES || groups.contains_key(&values) {
            groups.entry(values).or_default().push(unit);
        }
    }
    groups
}

struct Sender<'a> {
    endpoint: &'a Endpoint,
    whole: &'a Part,
    batch: &'a Batch<'a>,
}

impl Sender<'_> {
    /// Sends units whose headers have these values.
    async fn send_with(&self, values: Values, units: Vec<usize>) -> Vec<usize> {
        let mut headers = HeaderMap::new();
        for (header, value) in self.endpoint.header_from.iter().zip(values) {
            match value.map(|value| HeaderValue::from_str(&value)) {
                Some(Ok(value)) => drop(headers.insert(&header.name, value)),
                Some(Err(_)) => {
                    let words = format!(
                        "the value for the header '{}' has characters that no header can have",
                        header.name
                    );
                    let part = self.part(&units, None);
                    let reason = FailureReason::Refused;
                    let gone = self.endpoint.give_up(&part, reason, &words).await;
                    return if gone { units } else { Vec::new() };
                }
                None => {}
            }
        }
        self.send(units, Some(&headers)).await
    }

    /// Sends units, which are in rising order, and returns those that are done.
    async fn send(&self, units: Vec<usize>, headers: Option<&HeaderMap>) -> Vec<usize> {
        if self.batch.signal == Signal::Profiles {
            return self.send_uncut(units, headers).await;
        }
        let mut done = Vec::new();
        let mut waiting = self.cut(units);
        while let Some(piece) = waiting.pop_front() {
            match self.endpoint.send(&self.part(&piece, None), headers).await {
                Sent::Done => done.extend(piece),
                Sent::Later => break,
                Sent::TooLarge(words) => match piece.as_slice() {
                    [single] if !self.send_smaller(*single, headers, &words).await => break,
                    [_] => done.extend(piece),
                    _ => {
                        let mut pieces = self.halve(piece);
                        pieces.append(&mut waiting);
                        waiting = pieces;
                    }
                },
            }
        }
        done
    }

    /// Sends profiles together or not at all: each further piece would repeat their dictionary.
    async fn send_uncut(&self, units: Vec<usize>, headers: Option<&HeaderMap>) -> Vec<usize> {
        let built;
        let part = if units.len() == self.batch.len() {
            self.whole
        } else {
            built = self.part(&units, None);
            &built
        };
        let gone = match self.endpoint.send(part, headers).await {
            Sent::Done => true,
            Sent::Later => false,
            Sent::TooLarge(words) => {
                self.endpoint.give_up(part, FailureReason::TooLarge, &words).await
            }
        };
        if gone { units } else { Vec::new() }
    }

    /// Units in pieces as the endpoint is known to take them.
    fn cut(&self, units: Vec<usize>) -> VecDeque<Vec<usize>> {
        let (limit, most) = (self.endpoint.allowed(), self.endpoint.max_request_items);
        let pieces = self.batch.cut(&units, limit, most);
        if pieces.len() > 1 {
            self.endpoint.meters.split.add(1);
        }
        pieces.into()
    }

    /// Units in at least two pieces.
    fn halve(&self, units: Vec<usize>) -> VecDeque<Vec<usize>> {
        let mut pieces = self.cut(units);
        if pieces.len() == 1 {
            let mut only = pieces.pop_front().unwrap_or_default();
            let rest = only.split_off(only.len() / 2);
            pieces.extend([only, rest]);
            self.endpoint.meters.split.add(1);
        }
        pieces
    }

    fn part(&self, units: &[usize], replaced: Option<&Shrunk>) -> Part {
        Part::new(self.batch.signal, units.len(), self.batch.build(units, replaced))
    }

    /// Sends an item that is too large by itself without what it can do without. Whether it is
    /// done: sent or given up.
    async fn send_smaller(&self, unit: usize, headers: Option<&HeaderMap>, words: &str) -> bool {
        let item = self.batch.item(unit);
        let whole = self.part(&[unit], None);
        let around = whole.size().saturating_sub(item.len());
        for _ in 0..MAX_SHRINKS {
            let target = self.endpoint.allowed().saturating_sub(around);
            let smaller = shrink(self.batch.signal, self.batch.kind(unit), item, target);
            let Some(smaller) = smaller else { break };
            match self.endpoint.send(&self.part(&[unit], Some(&smaller)), headers).await {
                Sent::Done => {
                    self.endpoint.meters.shrunk.add(1);
                    return true;
                }
                Sent::Later => return false,
                Sent::TooLarge(_) => {}
            }
        }
        self.endpoint.give_up(&whole, FailureReason::TooLarge, words).await
    }
}
