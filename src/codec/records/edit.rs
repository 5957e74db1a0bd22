//! Copy with edits: changes records without decoding them. Pairs are copied as they are unless an edit says
//! otherwise.

use std::borrow::Cow;

use super::layout::{GROUP_END, GROUP_START, keys};
use super::record::{Event, EventTime, Group, event_head};
use crate::codec::msgpack::{self, Entry, MapView};
use crate::model::Position;

/// What becomes of one pair of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit<'a> {
    /// It stays as it is.
    Keep,
    /// It goes.
    Drop,
    /// It gets another key.
    Rename(Cow<'a, str>),
    /// It gets another value, which is encoded msgpack.
    Value(Cow<'a, [u8]>),
    /// It gets another key and another value, which is encoded msgpack.
    Replace(Cow<'a, str>, Cow<'a, [u8]>),
}

/// Encoded pairs, to be put into a map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs {
    count: u32,
    encoded: Vec<u8>,
}

impl Pairs {
    /// No pairs.
    #[must_use]
    pub const fn new() -> Self {
        Self { count: 0, encoded: Vec::new() }
    }

    /// Starts a pair; exactly one msgpack value must be appended to the buffer that is returned.
    pub fn key(&mut self, key: impl AsRef<[u8]>) -> &mut Vec<u8> {
        self.count = self.count.saturating_add(1);
        msgpack::str_bytes(&mut self.encoded, key.as_ref());
        &mut self.encoded
    }

    /// Adds a pair whose value is encoded.
    pub fn push(&mut self, key: impl AsRef<[u8]>, value: &[u8]) {
        self.key(key).extend_from_slice(value);
    }

    /// Adds further pairs.
    pub fn append(&mut self, more: &Self) {
        self.count = self.count.saturating_add(more.count);
        self.encoded.extend_from_slice(&more.encoded);
    }

    /// Adds a text.
    pub fn text(&mut self, key: impl AsRef<[u8]>, value: &str) {
        msgpack::str(self.key(key), value);
    }

    /// How many pairs there are.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The pairs, one after the other.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// Removes all pairs and keeps the memory.
    pub fn clear(&mut self) {
        self.count = 0;
        self.encoded.clear();
    }

    /// Appends a map of these pairs.
    pub fn write_map(&self, out: &mut Vec<u8>) {
        msgpack::map_header(out, self.count);
        out.extend_from_slice(&self.encoded);
    }
}

/// Copies a map to `out`, with each pair as `edit` says, and the pairs `append` after them. What is
/// no map counts as an empty one. Returns whether anything is different.
pub fn rewrite_map<'e>(
    map: &[u8],
    out: &mut Vec<u8>,
    mut edit: impl FnMut(Entry<'_>) -> Edit<'e>,
    append: &Pairs,
) -> bool {
    let view = MapView::new(map);
    let mark = out.len();
    let reserved = view.len().saturating_add(append.count);
    msgpack::map_header(out, reserved);
    let header = out.len().saturating_sub(mark);
    let (mut count, mut changed) = (append.count, append.count > 0);
    for entry in view {
        let edit = edit(entry);
        changed |= edit != Edit::Keep;
        let start_of_value = entry.raw.len().saturating_sub(entry.value.len());
        match edit {
            Edit::Keep => out.extend_from_slice(entry.raw),
            Edit::Drop => continue,
            Edit::Rename(key) => {
                msgpack::str(out, &key);
                out.extend_from_slice(entry.value);
            }
            Edit::Value(value) => {
                out.extend_from_slice(entry.raw.get(..start_of_value).unwrap_or_default());
                out.extend_from_slice(&value);
            }
            Edit::Replace(key, value) => {
                msgpack::str(out, &key);
                out.extend_from_slice(&value);
            }
        }
        count = count.saturating_add(1);
    }
    out.extend_from_slice(&append.encoded);
    if count != reserved {
        let mut correct = Vec::with_capacity(5);
        msgpack::map_header(&mut correct, count);
        drop(out.splice(mark..mark + header, correct));
    }
    changed
}

/// Appends the start of an event with this time and metadata; its body is to follow.
#[inline]
pub fn event_start(out: &mut Vec<u8>, time: EventTime, metadata: &[u8]) {
    event_head(out, time);
    match metadata {
        [] => msgpack::map_header(out, 0),
        map => out.extend_from_slice(map),
    }
}

/// Appends the mark with which a group begins.
pub fn group_start(Group { metadata, body }: Group<'_>, out: &mut Vec<u8>) {
    event_start(out, EventTime { seconds: GROUP_START, nanos: 0 }, metadata);
    out.extend_from_slice(body);
}

/// Appends the mark with which a group ends.
pub fn group_end(out: &mut Vec<u8>) {
    event_start(out, EventTime { seconds: GROUP_END, nanos: 0 }, &[]);
    msgpack::map_header(out, 0);
}

/// Appends an event with the marks of its group around it, so that it can be read by itself.
pub fn write_whole(event: &Event<'_>, out: &mut Vec<u8>) {
    event.group.into_iter().for_each(|group| group_start(group, out));
    out.extend_from_slice(event.raw);
    if event.group.is_some() {
        group_end(out);
    }
}

/// Appends an event with the time of `event` and another metadata map and body, both encoded. An
/// empty slice is an empty map.
pub fn rebuild_event(event: &Event<'_>, metadata: &[u8], body: &[u8], out: &mut Vec<u8>) {
    event_start(out, event.time, metadata);
    match body {
        [] => msgpack::map_header(out, 0),
        map => out.extend_from_slice(map),
    }
}

/// Appends a metadata map in whose `otlp` map `pairs` stand, in place of what had their keys there.
/// A map without `otlp` gets one.
pub fn insert_otlp(metadata: &[u8], pairs: &Pairs, out: &mut Vec<u8>) {
    let keys: Vec<u8> = {
        let mut map = Vec::with_capacity(pairs.encoded.len() + 5);
        pairs.write_map(&mut map);
        map
    };
    let replaced = |key: &[u8]| MapView::new(&keys).get(key).is_some();
    let edit = |entry: Entry<'_>| if replaced(entry.key) { Edit::Drop } else { Edit::Keep };
    let mut otlp = Vec::new();
    let old = MapView::new(metadata).get(keys::OTLP).unwrap_or_default();
    rewrite_map(old, &mut otlp, edit, pairs);
    set(metadata, keys::OTLP, &otlp, out);
}

/// Appends a copy of a map in which `key` has the encoded `value`.
pub fn set(map: &[u8], key: impl AsRef<[u8]>, value: &[u8], out: &mut Vec<u8>) {
    let key = key.as_ref();
    let mut append = Pairs::new();
    if MapView::new(map).get(key).is_none() {
        append.push(key, value);
    }
    let edit = |entry: Entry<'_>| {
        if entry.key == key { Edit::Value(Cow::Borrowed(value)) } else { Edit::Keep }
    };
    rewrite_map(map, out, edit, &append);
}

/// Appends a metadata map that says who emitted the record: `"from": [run, after]` in its `otlp` map.
pub fn positioned_metadata(metadata: &[u8], position: Position, out: &mut Vec<u8>) {
    let mut pairs = Pairs::new();
    write_position(position, &mut pairs);
    insert_otlp(metadata, &pairs, out);
}

/// Adds the pair that says who emitted a record.
pub fn write_position(position: Position, pairs: &mut Pairs) {
    let out = pairs.key(keys::FROM);
    msgpack::array_header(out, 2);
    msgpack::uint(out, position.run);
    msgpack::uint(out, u64::from(position.after));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{Reader, int_of, text_of};
    use crate::codec::records::Events;

    fn map(pairs: u32) -> Vec<u8> {
        let mut all = Pairs::new();
        for index in 0..pairs {
            msgpack::uint(all.key(format!("k{index}")), u64::from(index));
        }
        let mut out = Vec::new();
        all.write_map(&mut out);
        out
    }

    #[test]
    fn headers_are_right_at_every_boundary() {
        for pairs in [0, 1, 15, 16, 17, 65_535, 65_536] {
            let map = map(pairs);
            for (drop, append) in [(0, 0), (1, 0), (0, 1), (2, 1)] {
                let mut more = Pairs::new();
                (0..append).for_each(|_| more.text("new", "x"));
                let mut out = b"before".to_vec();
                let mut left = drop;
                rewrite_map(
                    &map,
                    &mut out,
                    |_| {
                        if left == 0 {
                            return Edit::Keep;
                        }
                        left -= 1;
                        Edit::Drop
                    },
                    &more,
                );
                let out = out.strip_prefix(b"before").unwrap();
                let count = pairs.saturating_sub(drop) + append;
                let mut header = Vec::new();
                msgpack::map_header(&mut header, count);
                assert!(out.starts_with(&header));
                assert_eq!(MapView::new(out).count(), count as usize);
                assert_eq!(Reader::new(out).skip(), Ok(out));
            }
        }
    }

    #[test]
    fn every_edit_does_what_it_says() {
        let mut out = Vec::new();
        let changed = rewrite_map(
            &map(5),
            &mut out,
            |entry| match entry.key {
                b"k0" => Edit::Drop,
                b"k1" => Edit::Rename("one".into()),
                b"k2" => Edit::Value(vec![0xc3].into()),
                b"k3" => Edit::Replace("three".into(), vec![0xc0].into()),
                _ => Edit::Keep,
            },
            &Pairs::new(),
        );
        assert!(changed);
        let pairs: Vec<(&[u8], &[u8])> =
            MapView::new(&out).map(|entry| (entry.key, entry.value)).collect();
        let expected: [(&[u8], &[u8]); 4] =
            [(b"one", &[1]), (b"k2", &[0xc3]), (b"three", &[0xc0]), (b"k4", &[4])];
        assert_eq!(pairs, expected);
        let mut same = Vec::new();
        assert!(!rewrite_map(&map(5), &mut same, |_| Edit::Keep, &Pairs::new()));
        assert_eq!(same, map(5));
    }

    #[test]
    fn the_position_is_added_and_replaced() {
        let mut otlp = Pairs::new();
        otlp.text("signal", "span");
        let mut inner = Vec::new();
        otlp.write_map(&mut inner);
        let mut metadata = Pairs::new();
        metadata.text("other", "x");
        metadata.push("otlp", &inner);
        let mut chunk = Vec::new();
        event_head(&mut chunk, EventTime { seconds: 5, nanos: 6 });
        metadata.write_map(&mut chunk);
        chunk.extend(map(1));
        for after in [3, 4] {
            let event = Events::new(&chunk).next().unwrap().unwrap();
            let (mut metadata, mut out) = (Vec::new(), Vec::new());
            let position = Position { run: u64::MAX - 1, after };
            positioned_metadata(event.metadata, position, &mut metadata);
            rebuild_event(&event, &metadata, event.body, &mut out);
            chunk = out;
            let event = Events::new(&chunk).next().unwrap().unwrap();
            assert_eq!((event.time.seconds, event.time.nanos), (5, 6));
            assert_eq!(MapView::new(event.body).get(b"k0").and_then(int_of), Some(0));
            assert_eq!(MapView::new(event.metadata).get(b"other").and_then(text_of), Some("x"));
            let telemetry = event.telemetry().unwrap();
            assert_eq!(telemetry.position, Some(Position { run: u64::MAX - 1, after }));
            assert_eq!(MapView::new(telemetry.otlp).count(), 2);
        }
    }

    #[test]
    fn ids_are_put_into_logs_that_have_no_otlp_map() {
        let mut ids = Pairs::new();
        msgpack::bin(ids.key("trace_id"), &[7; 16]);
        let mut out = Vec::new();
        insert_otlp(&[], &ids, &mut out);
        let otlp = MapView::new(&out).get(b"otlp").unwrap();
        assert_eq!(MapView::new(otlp).get(b"trace_id").map(<[u8]>::len), Some(18));
    }
}
