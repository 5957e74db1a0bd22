//! Request splitting: what an endpoint does not get as it is, is cut by size, sorted by header, and
//! items that are too large by themselves are made smaller.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue};

use crate::clock;
use crate::export::delivery::sender::RequestSender;
use crate::export::endpoint::SendOutcome;
use crate::export::request::EncodedRequest;
use crate::export::request::items::{RequestItems, ShrunkItem, attribute, shrink};
use crate::export::settings::{Compression, HeaderFrom, HeaderSource};
use crate::model::Signal;
use crate::routing::{ItemSet, RequestFailureReason};

/// How often one item is made smaller before it is given up.
const MAX_SHRINKS: usize = 16;

/// How many values of headers one request is sent with in one attempt. What has further ones waits
/// for the host's next attempt.
const MAX_VALUES: usize = 256;

/// How many requests in a row, each a fraction of the one before, are refused without a clear
/// reason until it is clear that size is not why.
const MAX_UNCLEAR: usize = 3;
/// What is tried next of a request that was refused so: one part in this many.
const FRACTION: usize = 4;

/// What says how requests to an endpoint are split.
pub(super) struct SplitRules {
    /// Headers that are made from attributes.
    pub(super) header_from: Vec<HeaderFrom>,
    /// Items of one request at most.
    pub(super) max_request_items: usize,
}

/// Sends what is not done of a request, in pieces that the endpoint takes. Says what is done then.
/// `known` is what came of the whole request just now, if that does not end it: it was refused, and
/// it is unclear whether for its size, or for a kind of metric.
pub(super) async fn deliver(
    (sender, rules): (&RequestSender, &SplitRules),
    part: &EncodedRequest,
    mut done: ItemSet,
    known: Option<SendOutcome>,
) -> ItemSet {
    let body: Bytes = part.body(Compression::None);
    let plain = rules.header_from.is_empty();
    let read = if part.signal == Signal::Profiles && plain {
        Err("profiles share a dictionary".to_owned())
    } else {
        RequestItems::read(part.signal, &body).map_err(|error| error.to_string())
    };
    let batch = match read {
        Ok(batch) => batch,
        Err(why) => {
            let (reason, message) = match (known, plain) {
                (Some(SendOutcome::Unclear(message)), _) => {
                    (RequestFailureReason::Exhausted, message)
                }
                (Some(SendOutcome::Apart(message)), _) => (RequestFailureReason::Refused, message),
                (_, true) => (
                    RequestFailureReason::TooLarge,
                    format!("it is too large and cannot be cut: {why}"),
                ),
                (_, false) => (
                    RequestFailureReason::Refused,
                    format!("it cannot be read for its headers: {why}"),
                ),
            };
            let gone = sender.give_up(part, reason, &message).await;
            return if gone { ItemSet::All } else { done };
        }
    };
    let missing: Vec<usize> = (0..batch.len()).filter(|unit| !done.has(*unit)).collect();
    let splitter = Splitter { sender, rules, whole: part, batch: &batch };
    if plain {
        splitter.send(missing, None, known).await.into_iter().for_each(|unit| done.add(unit));
        return done.of(batch.len());
    }
    let groups = by_values(&rules.header_from, &batch, missing);
    let sends = groups.into_iter().map(|(values, units)| splitter.send_with(values, units));
    for units in join_all(sends).await {
        units.into_iter().for_each(|unit| done.add(unit));
    }
    done.of(batch.len())
}

/// What is not done of a request.
pub(super) fn rest(part: &EncodedRequest, done: &ItemSet) -> EncodedRequest {
    let body = part.body(Compression::None);
    let batch = RequestItems::read(part.signal, &body).ok().filter(|_| !done.is_none());
    let Some(batch) = batch else { return part.again() };
    let missing: Vec<usize> = (0..batch.len()).filter(|unit| !done.has(*unit)).collect();
    let body = batch.build(&missing, None);
    EncodedRequest::new(part.signal, missing.len(), body).derived(part.is_derived)
}

/// The values of the headers, in their order.
type Values = Vec<Option<String>>;

/// ItemSet by the values that their headers get.
fn by_values(
    from: &[HeaderFrom],
    batch: &RequestItems<'_>,
    units: Vec<usize>,
) -> HashMap<Values, Vec<usize>> {
    let mut groups: HashMap<Values, Vec<usize>> = HashMap::new();
    for unit in units {
        let value = |header: &HeaderFrom| match &header.source {
            HeaderSource::Resource(key) => attribute(batch.resource(unit), 1, key),
            HeaderSource::Scope(key) => attribute(batch.scope(unit), 3, key),
            // Those of profiles are in the dictionary.
            HeaderSource::Item(_) if batch.signal == Signal::Profiles => None,
            HeaderSource::Item(key) => {
                attribute(batch.item(unit), batch.attributes_field(unit), key)
            }
        };
        let values: Values = from.iter().map(value).collect();
        if groups.len() < MAX_VALUES || groups.contains_key(&values) {
            groups.entry(values).or_default().push(unit);
        }
    }
    groups
}

/// Requests in a row that were refused without a clear reason.
#[derive(Default)]
struct Streak {
    refused: usize,
    /// The length of the smallest of them.
    smallest: usize,
}

/// What to do after a refusal without a clear reason.
enum NextStep {
    /// Go on with what waits now.
    TryNext,
    /// The endpoint takes smaller requests than this one, which has this item alone.
    Item(usize),
    /// It is not for size: neither this piece nor what waits will be taken.
    NotSize(Vec<usize>),
}

struct Splitter<'a> {
    sender: &'a RequestSender,
    rules: &'a SplitRules,
    whole: &'a EncodedRequest,
    batch: &'a RequestItems<'a>,
}

impl Splitter<'_> {
    /// Sends units whose headers have these values.
    async fn send_with(&self, values: Values, units: Vec<usize>) -> Vec<usize> {
        let mut headers = HeaderMap::new();
        for (header, value) in self.rules.header_from.iter().zip(values) {
            match value.map(|value| HeaderValue::from_str(&value)) {
                Some(Ok(value)) => drop(headers.insert(&header.name, value)),
                Some(Err(_)) => {
                    let message = format!(
                        "the value for the header '{}' has characters that no header can have",
                        header.name
                    );
                    let part = self.part(&units, None);
                    let reason = RequestFailureReason::Refused;
                    let gone = self.sender.give_up(&part, reason, &message).await;
                    return if gone { units } else { Vec::new() };
                }
                None => {}
            }
        }
        self.send(units, Some(&headers), None).await
    }

    /// Sends units, which are in rising order, and returns those that are done. `known` is what came
    /// of all of them together already.
    async fn send(
        &self,
        units: Vec<usize>,
        headers: Option<&HeaderMap>,
        mut known: Option<SendOutcome>,
    ) -> Vec<usize> {
        if self.batch.signal == Signal::Profiles {
            return self.send_uncut(units, headers).await;
        }
        let (mut done, mut streak) = (Vec::new(), Streak::default());
        let mut waiting = if known.is_some() { [units].into() } else { self.cut(units) };
        while let Some(piece) = waiting.pop_front() {
            let part = self.part(&piece, None);
            let sent = match known.take() {
                Some(sent) => sent,
                None => self.sender.send(&part, headers).await,
            };
            match sent {
                SendOutcome::Done => {
                    self.conclude(&mut streak, part.size());
                    done.extend(piece);
                }
                SendOutcome::Later => break,
                // Each kind is one request then, so that this does not come again.
                SendOutcome::Apart(_) => {
                    let kinds = self.batch.by_kind(&piece);
                    self.sender.meters().split.add(1);
                    kinds.into_iter().rev().for_each(|kind| waiting.push_front(kind));
                }
                SendOutcome::Unclear(message) => {
                    match self.next_step(&mut streak, &mut waiting, piece, part.size()) {
                        NextStep::TryNext => {}
                        NextStep::Item(unit)
                            if self.send_smaller(unit, headers, &message).await =>
                        {
                            done.push(unit);
                        }
                        NextStep::Item(_) => break,
                        NextStep::NotSize(mut rest) => {
                            self.sender.endpoint.limit().forget();
                            rest.extend(waiting.into_iter().flatten());
                            rest.sort_unstable();
                            let part = self.part(&rest, None);
                            let reason = RequestFailureReason::Exhausted;
                            if self.sender.give_up(&part, reason, &message).await {
                                done.append(&mut rest);
                            }
                            break;
                        }
                    }
                }
                SendOutcome::TooLarge(message) => match piece.as_slice() {
                    [single] if !self.send_smaller(*single, headers, &message).await => break,
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

    /// A piece came through. If a larger one did not, the endpoint has a limit between them.
    fn conclude(&self, streak: &mut Streak, size: usize) {
        if size < streak.smallest {
            let mut limit = self.sender.endpoint.limit();
            limit.refuse(streak.smallest, None, clock::now());
            limit.accept(size);
        }
        *streak = Streak::default();
    }

    /// What to do with a piece that was refused without a clear reason. What is much smaller is
    /// tried next; if that is refused as well, all will be.
    fn next_step(
        &self,
        streak: &mut Streak,
        waiting: &mut VecDeque<Vec<usize>>,
        piece: Vec<usize>,
        size: usize,
    ) -> NextStep {
        if let [unit] = *piece.as_slice()
            && self.sender.endpoint.allowed() < size
        {
            return NextStep::Item(unit);
        }
        streak.smallest = if streak.refused == 0 { size } else { streak.smallest.min(size) };
        streak.refused = streak.refused.saturating_add(1);
        let is_last = piece.len() == 1 && waiting.is_empty();
        if streak.refused >= MAX_UNCLEAR || is_last {
            return NextStep::NotSize(piece);
        }
        if piece.len() == 1 {
            waiting.push_back(piece);
            return NextStep::TryNext;
        }
        let mut pieces = self.batch.cut(&piece, size / FRACTION, usize::MAX);
        self.sender.meters().split.add(1);
        // An item that is large by itself comes last: smaller pieces show whether size is why.
        pieces.sort_by_key(|piece| piece.len() == 1);
        pieces.into_iter().rev().for_each(|piece| waiting.push_front(piece));
        NextStep::TryNext
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
        let gone = match self.sender.send(part, headers).await {
            SendOutcome::Done => true,
            SendOutcome::Later => false,
            SendOutcome::TooLarge(message) => {
                self.sender.give_up(part, RequestFailureReason::TooLarge, &message).await
            }
            SendOutcome::Unclear(message) => {
                self.sender.give_up(part, RequestFailureReason::Exhausted, &message).await
            }
            // Profiles are no metrics.
            SendOutcome::Apart(message) => {
                self.sender.give_up(part, RequestFailureReason::Refused, &message).await
            }
        };
        if gone { units } else { Vec::new() }
    }

    /// ItemSet in pieces as the endpoint is known to take them.
    fn cut(&self, units: Vec<usize>) -> VecDeque<Vec<usize>> {
        let (limit, max_items) = (self.sender.endpoint.allowed(), self.rules.max_request_items);
        let pieces = self.batch.cut(&units, limit, max_items);
        if pieces.len() > 1 {
            self.sender.meters().split.add(1);
        }
        pieces.into()
    }

    /// ItemSet in at least two pieces.
    fn halve(&self, units: Vec<usize>) -> VecDeque<Vec<usize>> {
        let mut pieces = self.cut(units);
        if pieces.len() == 1 {
            let mut only = pieces.pop_front().unwrap_or_default();
            let rest = only.split_off(only.len() / 2);
            pieces.extend([only, rest]);
            self.sender.meters().split.add(1);
        }
        pieces
    }

    fn part(&self, units: &[usize], replaced: Option<&ShrunkItem>) -> EncodedRequest {
        let body = self.batch.build(units, replaced);
        EncodedRequest::new(self.batch.signal, units.len(), body).derived(self.whole.is_derived)
    }

    /// Sends an item that is too large by itself without what it can do without. Whether it is
    /// done: sent or given up.
    async fn send_smaller(&self, unit: usize, headers: Option<&HeaderMap>, message: &str) -> bool {
        let item = self.batch.item(unit);
        let whole = self.part(&[unit], None);
        let around = whole.size().saturating_sub(item.len());
        let (mut reason, mut unclear) = (RequestFailureReason::TooLarge, 0_usize);
        for _ in 0..MAX_SHRINKS {
            let target = self.sender.endpoint.allowed().saturating_sub(around);
            let smaller = shrink(self.batch.signal, self.batch.kind(unit), item, target);
            let Some(smaller) = smaller else { break };
            let part = self.part(&[unit], Some(&smaller));
            match self.sender.send(&part, headers).await {
                SendOutcome::Done => {
                    self.sender.meters().shrunk.add(1);
                    return true;
                }
                SendOutcome::Later => return false,
                // One data point has one kind.
                SendOutcome::Apart(_) | SendOutcome::TooLarge(_) => {}
                SendOutcome::Unclear(_) => {
                    unclear = unclear.saturating_add(1);
                    if unclear >= MAX_UNCLEAR {
                        self.sender.endpoint.limit().forget();
                        reason = RequestFailureReason::Exhausted;
                        break;
                    }
                    self.sender.endpoint.limit().refuse(part.size(), None, clock::now());
                }
            }
        }
        self.sender.give_up(&whole, reason, message).await
    }
}
