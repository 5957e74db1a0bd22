//! Requests that an endpoint does not get as they are: cut by size, and items made smaller.

use std::collections::VecDeque;

use bytes::Bytes;

use super::endpoint::{Endpoint, Sent};
use super::part::Part;
use super::units::{Batch, shrink};
use crate::codec::wire::WireError;
use crate::routing::{FailureReason, Units};

/// How often one item is made smaller before it is given up.
const MAX_SHRINKS: usize = 16;

/// Sends what is not done of a request, in pieces that the endpoint takes. Says what is done then.
pub(super) async fn deliver(endpoint: &Endpoint, part: &Part, mut done: Units) -> Units {
    let body: Bytes = part.body(super::settings::Compression::None);
    let batch = match Batch::read(part.signal, &body) {
        Ok(batch) => batch,
        Err(error) => {
            give_up(endpoint, part, error);
            return Units::All;
        }
    };
    let missing: Vec<usize> = (0..batch.len()).filter(|unit| !done.has(*unit)).collect();
    let sender = Sender { endpoint, batch: &batch };
    for unit in sender.send(missing).await {
        done.add(unit);
    }
    done.of(batch.len())
}

fn give_up(endpoint: &Endpoint, part: &Part, error: WireError) {
    let words = format!("it is too large and cannot be cut: {error}");
    endpoint.drop_items(part, FailureReason::TooLarge, &words);
}

struct Sender<'a> {
    endpoint: &'a Endpoint,
    batch: &'a Batch<'a>,
}

impl Sender<'_> {
    /// Sends units, which are in rising order, and returns those that are done.
    async fn send(&self, units: Vec<usize>) -> Vec<usize> {
        let mut done = Vec::new();
        let mut waiting = self.cut(units);
        while let Some(piece) = waiting.pop_front() {
            match self.endpoint.send(&self.part(&piece, None), None).await {
                Sent::Done => done.extend(piece),
                Sent::Later => break,
                Sent::TooLarge(words) => match piece.as_slice() {
                    [single] if !self.send_smaller(*single, &words).await => break,
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

    /// Units in pieces as the endpoint is known to take them.
    fn cut(&self, units: Vec<usize>) -> VecDeque<Vec<usize>> {
        let pieces = self.batch.cut(&units, self.endpoint.allowed());
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

    fn part(&self, units: &[usize], replaced: Option<&[u8]>) -> Part {
        Part::new(self.batch.signal, units.len(), self.batch.build(units, replaced))
    }

    /// Sends an item that is too large by itself with its longest texts cut. Whether it is done:
    /// sent or given up.
    async fn send_smaller(&self, unit: usize, words: &str) -> bool {
        let item = self.batch.item(unit);
        let whole = self.part(&[unit], None);
        let around = whole.size().saturating_sub(item.len());
        for _ in 0..MAX_SHRINKS {
            let target = self.endpoint.allowed().saturating_sub(around);
            let Some(smaller) = shrink(self.batch.signal, item, target) else { break };
            match self.endpoint.send(&self.part(&[unit], Some(&smaller)), None).await {
                Sent::Done => {
                    self.endpoint.meters.shrunk.add(1);
                    return true;
                }
                Sent::Later => return false,
                Sent::TooLarge(_) => {}
            }
        }
        self.endpoint.drop_items(&whole, FailureReason::TooLarge, words);
        true
    }
}
