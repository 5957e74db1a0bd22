//! Routes: which series an item of a kind belongs to, remembered for the kinds that come often.
//!
//! The attributes of series are made of some twenty attributes of an item. What was found for one
//! item holds for all that say the same in these, so it is looked up by a hash of their values.

use super::attribute::Attribute;
use super::measured::MeasuredSpan;
use super::series::SeriesHandle;
use super::wanted::TableOf;
use crate::codec::records::StatusCode;

/// How many kinds are remembered at most; a power of two.
const SLOTS: usize = 1024;
/// Stands for a value that is not there; in msgpack it is no value.
const NONE: u8 = 0xc1;

/// The series of an item.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Route {
    /// Of the operation, if it is one.
    pub(super) operation: Option<SeriesHandle>,
    /// Of the model call, if it says tokens or times.
    pub(super) call: Option<SeriesHandle>,
    /// Of what has a name: the index of the metric.
    pub(super) named: [Option<(usize, SeriesHandle)>; 2],
    /// Whether the operation calls a model itself.
    pub(super) calls_model: bool,
}

impl Route {
    /// Notes the series of a table.
    pub(super) fn note(&mut self, table: TableOf, series: SeriesHandle) {
        match table {
            TableOf::Operations => self.operation = Some(series),
            TableOf::Calls => self.call = Some(series),
            TableOf::Named(index) => {
                if let Some(slot) = self.named.iter_mut().find(|slot| slot.is_none()) {
                    *slot = Some((index, series));
                }
            }
        }
    }
}

/// A hash of all that a route depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RouteKey(u128);

/// The routes that are remembered. One takes the place of another whose hash ends alike.
#[derive(Debug, Default)]
pub(super) struct Routes {
    slots: Vec<(RouteKey, Route)>,
    buffer: Vec<u8>,
}

impl Routes {
    /// The key of an item of a group.
    pub(super) fn key(&mut self, group: u64, measured: &MeasuredSpan<'_, '_>) -> RouteKey {
        let buffer = &mut self.buffer;
        buffer.clear();
        buffer.extend_from_slice(&group.to_le_bytes());
        buffer.push(u8::from(measured.status == StatusCode::Error));
        for (index, value) in measured.fields.of_bits(Attribute::DIMENSIONS) {
            buffer.push(index);
            buffer.extend_from_slice(value);
        }
        if measured.is_mcp() {
            buffer.extend_from_slice(measured.kind);
        }
        for value in measured.further {
            buffer.push(NONE);
            buffer.extend_from_slice(value);
        }
        RouteKey(xxhash_rust::xxh3::xxh3_128(buffer))
    }

    /// The route of a key, if it is remembered.
    #[inline]
    pub(super) fn get(&self, key: RouteKey) -> Option<Route> {
        let (known, route) = self.slots.get(slot(key))?;
        (*known == key).then_some(*route)
    }

    /// Remembers a route.
    #[cold]
    pub(super) fn put(&mut self, key: RouteKey, route: Route) {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, Default::default);
        }
        if let Some(slot) = self.slots.get_mut(slot(key)) {
            *slot = (key, route);
        }
    }
}

#[inline]
const fn slot(key: RouteKey) -> usize {
    key.0 as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregation::fields::SpanFieldVisitor;
    use crate::codec::msgpack::str;
    use crate::codec::records::AttributeVisitor;

    #[test]
    fn what_makes_other_series_makes_another_key() {
        let mut routes = Routes::default();
        let mut key =
            |group: u64, pairs: &[(&str, &str)], further: [&str; 2], status, kind: &str| {
                let mut encoded: Vec<Vec<u8>> = Vec::new();
                for text in pairs.iter().map(|pair| pair.1).chain(further).chain([kind]) {
                    let mut out = Vec::new();
                    str(&mut out, text);
                    encoded.push(out);
                }
                let mut visitor = SpanFieldVisitor::new(&[]);
                for ((name, _), value) in pairs.iter().zip(&encoded) {
                    visitor.attribute(name.as_bytes(), value);
                }
                let [first, second] = [&encoded[pairs.len()], &encoded[pairs.len() + 1]];
                let measured = MeasuredSpan {
                    fields: &visitor.fields,
                    further: &[first, second],
                    status,
                    kind: encoded.last().unwrap(),
                    events: &[],
                    from: 0,
                    to: 0,
                    ids: None,
                    weight: 1.0,
                    is_kept: false,
                    spender: 0,
                };
                routes.key(group, &measured)
            };
        let chat = ("gen_ai.operation.name", "chat");
        let method = ("mcp.method.name", "tools/call");
        let unset = StatusCode::Unset;
        let keys = [
            key(1, &[chat], ["", ""], unset, "client"),
            key(2, &[chat], ["", ""], unset, "client"),
            key(1, &[chat], ["", ""], StatusCode::Error, "client"),
            key(1, &[chat], ["a", ""], unset, "client"),
            key(1, &[chat], ["", "a"], unset, "client"),
            key(1, &[("gen_ai.tool.name", "chat")], ["", ""], unset, "client"),
            key(1, &[chat, ("gen_ai.agent.name", "")], ["", ""], unset, "client"),
            key(1, &[method], ["", ""], unset, "client"),
            key(1, &[method], ["", ""], unset, "server"),
        ];
        for (index, one) in keys.iter().enumerate() {
            assert!(!keys[index + 1..].contains(one), "{index}");
        }
        // What no series has makes no difference.
        let id = ("gen_ai.response.id", "r-1");
        assert_eq!(key(1, &[id, chat], ["", ""], unset, "server"), keys[0]);
        let route = Route { calls_model: true, ..Route::default() };
        assert_eq!(routes.get(keys[0]), None);
        routes.put(keys[0], route);
        assert_eq!((routes.get(keys[0]), routes.get(keys[1])), (Some(route), None));
    }
}
