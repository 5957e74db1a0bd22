//! Raw value extraction: what of a value msgpack cannot say is taken out of the record and kept
//! beside it.
//!
//! While a record is written such a value is marked in place: an extension around what msgpack can
//! say of it, with the rest of its protobuf. No mark leaves this module's callers: [`unmark`] puts
//! the plain value in its place and collects the rest. docs/RECORD.md, "Values that msgpack cannot
//! express", specifies what comes of that.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use crate::codec::msgpack::{self, ReadError, Reader, Token};
use crate::codec::wire::{self, WireFields, WireValue};

/// How a value that was just written stands in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ValueForm {
    /// As it is.
    Whole,
    /// As it is but for values within, which are marked: see [`mark_pair`].
    Marked,
    /// All of it but unknown fields.
    Partly,
    /// As nil, because msgpack has nothing for it or it is nested too deep.
    Unsaid,
}

/// The extension type of marks.
const MARK: i8 = 1;

/// Marks the value of a pair that `out` has from `start` on. `others` are the fields of the
/// `KeyValue` that are neither key nor value, `value` is what its value has beside.
#[cold]
pub(super) fn mark_pair(
    out: &mut Vec<u8>,
    start: usize,
    mut others: Vec<u8>,
    value: Option<Vec<u8>>,
) {
    if let Some(value) = value {
        wire::bytes(&mut others, 2, &value);
    }
    mark(out, start, &others);
}

/// Marks the value that `out` has from `start` on.
#[cold]
pub(super) fn mark(out: &mut Vec<u8>, start: usize, raw: &[u8]) {
    let mut data = Vec::new();
    msgpack::bin(&mut data, raw);
    data.extend_from_slice(out.get(start..).unwrap_or_default());
    out.truncate(start);
    msgpack::ext(out, MARK, &data);
}

/// What an `AnyValue` has beside what stands in the record: all of it, or its unknown
/// fields.
#[cold]
pub(super) fn remainder(any_value: &[u8], form: ValueForm) -> Vec<u8> {
    if form == ValueForm::Unsaid {
        return any_value.to_vec();
    }
    let (mut unknown, mut inner, mut last) = (Vec::new(), Vec::new(), 0);
    let mut fields = WireFields::new(any_value);
    while let Ok(Some(field)) = fields.read() {
        if !(1..=8).contains(&field.number) {
            unknown.extend_from_slice(field.raw);
            continue;
        }
        if field.number != last {
            inner.clear();
        }
        last = field.number;
        if let (5 | 6, WireValue::Bytes(list)) = (field.number, field.value) {
            inner.extend(unknown_fields_of_list(list));
        }
    }
    if !inner.is_empty() {
        wire::bytes(&mut unknown, last, &inner);
    }
    unknown
}

/// The fields of an `ArrayValue` or a `KeyValueList` that are no elements.
fn unknown_fields_of_list(list: &[u8]) -> Vec<u8> {
    let mut unknown = Vec::new();
    let mut fields = WireFields::new(list);
    while let Ok(Some(field)) = fields.read() {
        if field.number != 1 {
            unknown.extend_from_slice(field.raw);
        }
    }
    unknown
}

/// What was found in a value, each by its step from there: encoded entries `[step, number, what]`.
#[derive(Debug, Default)]
pub(super) struct RawValuesFound {
    count: u32,
    entries: Vec<u8>,
    /// What belongs to the value itself.
    own: Option<Vec<u8>>,
}

impl RawValuesFound {
    /// Appends what `inner` found to what is `step` away. `number` tells apart what has the same
    /// step.
    fn add(&mut self, step: &Token<'_>, number: u32, inner: &Self) {
        let mut each = |found: &dyn Fn(&mut Vec<u8>)| {
            self.count = self.count.saturating_add(1);
            msgpack::array_header(&mut self.entries, 3);
            match step {
                Token::Str(key) => msgpack::str_bytes(&mut self.entries, key),
                Token::Uint(index) => msgpack::uint(&mut self.entries, *index),
                _ => msgpack::nil(&mut self.entries),
            }
            msgpack::uint(&mut self.entries, u64::from(number));
            found(&mut self.entries);
        };
        if inner.count > 0 {
            each(&|out| inner.write(out));
        }
        if let Some(own) = &inner.own {
            each(&|out| out.extend_from_slice(own));
        }
    }

    /// Appends what was found below `name`.
    pub(super) fn add_root(&mut self, name: &str, inner: &Self) {
        self.add(&Token::Str(name.as_bytes()), 0, inner);
    }

    fn write(&self, out: &mut Vec<u8>) {
        msgpack::array_header(out, self.count);
        out.extend_from_slice(&self.entries);
    }

    /// The entries as one string of bytes, which nothing on the way looks into.
    pub(super) fn write_bin(&self, out: &mut Vec<u8>) {
        let mut list = Vec::with_capacity(self.entries.len().saturating_add(5));
        self.write(&mut list);
        msgpack::bin(out, &list);
    }
}

/// Takes the marks out of the values that `out` has from `start` on.
#[cold]
pub(super) fn unmark(out: &mut Vec<u8>, start: usize) -> RawValuesFound {
    let marked = out.split_off(start);
    // What we wrote is msgpack.
    copy(&mut Reader::new(&marked), out).unwrap_or_default()
}

/// Copies one value without its marks.
fn copy(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<RawValuesFound, ReadError> {
    let before = reader.rest();
    let token = reader.token()?;
    let mut found = RawValuesFound::default();
    match token {
        Token::Ext(MARK, data) => {
            let start = out.len();
            let mut inner = Reader::new(data);
            let Token::Bin(raw) = inner.token()? else { return Err(ReadError::Type) };
            found = copy(&mut inner, out)?;
            found.own = Some(own(raw, out.get(start..).unwrap_or_default()));
        }
        Token::Array(elements) => {
            msgpack::array_header(out, elements);
            for index in 0..elements {
                let inner = copy(reader, out)?;
                found.add(&Token::Uint(u64::from(index)), elements, &inner);
            }
        }
        Token::Map(pairs) => {
            let mut seen: HashMap<&[u8], u32> = HashMap::new();
            msgpack::map_header(out, pairs);
            for _ in 0..pairs {
                let before = reader.rest();
                let key = reader.str()?;
                let read = before.len().saturating_sub(reader.rest().len());
                out.extend_from_slice(before.get(..read).unwrap_or_default());
                let number = seen.entry(key).or_default();
                let inner = copy(reader, out)?;
                found.add(&Token::Str(key), *number, &inner);
                *number = number.saturating_add(1);
            }
        }
        _ => {
            let read = before.len().saturating_sub(reader.rest().len());
            out.extend_from_slice(before.get(..read).unwrap_or_default());
        }
    }
    Ok(found)
}

/// An entry's last part: the protobuf, if nil stands in the record, and otherwise a map of one pair
/// whose key is the hash of what stands there.
fn own(raw: &[u8], in_place: &[u8]) -> Vec<u8> {
    let mut own = Vec::with_capacity(raw.len().saturating_add(16));
    if in_place != [0xc0] {
        msgpack::map_header(&mut own, 1);
        msgpack::uint(&mut own, xxh3_64(in_place));
    }
    msgpack::bin(&mut own, raw);
    own
}
