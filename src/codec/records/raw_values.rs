//! Raw values: what stands beside a record (docs/RECORD.md, "Values that msgpack cannot express"),
//! for those who remove content from records and cannot look into it.

use crate::codec::msgpack::{Reader, Token, elements};
use crate::codec::wire::{WireFields, WireValue};

/// Lists of entries in each other, at most.
const MAX_DEPTH: usize = 64;

/// Whether the encoded `raw_values` of a record, a resource or a scope may hold something that could
/// be read there: text, bytes, or whole lists and maps. They do not if all they say is that values
/// are not there, that they are empty, or their index. What cannot be read may hold anything.
#[must_use]
pub fn raw_values_hold_content(raw_values: &[u8]) -> bool {
    match Reader::new(raw_values).token() {
        Ok(Token::Bin([]) | Token::Str([])) => false,
        Ok(Token::Bin(list) | Token::Str(list)) => {
            Reader::new(list).skip().is_err() || hold_content(list, 0)
        }
        Ok(Token::Nil) => false,
        _ => true,
    }
}

fn hold_content(list: &[u8], depth: usize) -> bool {
    if depth >= MAX_DEPTH || !matches!(Reader::new(list).token(), Ok(Token::Array(_))) {
        return true;
    }
    elements(list).any(|entry| {
        let what = elements(entry).nth(2).unwrap_or_default();
        let mut reader = Reader::new(what);
        let own = match reader.token() {
            Ok(Token::Array(_)) => return hold_content(what, depth.saturating_add(1)),
            Ok(Token::Map(1)) => reader.skip().and_then(|_| reader.token()),
            own => own,
        };
        match own {
            Ok(Token::Bin(protobuf) | Token::Str(protobuf)) => is_content(protobuf, true),
            _ => true,
        }
    })
}

/// Whether a `KeyValue` without key or an `AnyValue` has fields with bytes in them. Field 2 with
/// bytes is the value of a `KeyValue`.
fn is_content(message: &[u8], outer: bool) -> bool {
    let mut fields = WireFields::new(message);
    loop {
        match fields.read() {
            Ok(None) => return false,
            Err(_) => return true,
            Ok(Some(field)) => {
                let WireValue::Bytes(value) = field.value else { continue };
                let is_value = outer && field.number == 2;
                let is_empty = value.is_empty() || (is_value && !is_content(value, false));
                if !is_empty {
                    return true;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{self, MapView};
    use crate::codec::records::{Events, LogOptions, logs_to_records};
    use crate::codec::wire;

    /// What stands beside a log with one attribute, which is this `KeyValue` without key.
    fn beside(pair: &[u8]) -> Vec<u8> {
        let (mut attribute, mut log, mut scope) = (Vec::new(), Vec::new(), Vec::new());
        wire::bytes(&mut attribute, 1, b"k");
        attribute.extend_from_slice(pair);
        wire::bytes(&mut log, 6, &attribute);
        wire::bytes(&mut scope, 2, &log);
        let (mut resource, mut request, mut chunk) = (Vec::new(), Vec::new(), Vec::new());
        wire::bytes(&mut resource, 2, &scope);
        wire::bytes(&mut request, 1, &resource);
        let options = LogOptions { groups: false, first_group: 1, now_unix_nanos: 1 };
        logs_to_records(&request, &mut chunk, options).unwrap();
        let event = Events::new(&chunk).next().unwrap().unwrap();
        let otlp = MapView::new(event.metadata).get(b"otlp").unwrap();
        MapView::new(otlp).get(b"raw_values").unwrap().to_vec()
    }

    fn message(number: u32, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        wire::bytes(&mut out, number, content);
        out
    }

    #[test]
    fn content_is_distinguished_from_what_says_nothing() {
        let (mut index, mut number) = (Vec::new(), Vec::new());
        wire::uint(&mut index, 8, 7);
        wire::uint(&mut number, 99, 7);
        let list = |element: &[u8]| message(5, &message(1, element));
        let nothing = [
            Vec::new(),
            message(2, &index),
            message(2, &number),
            message(2, &message(7, &[])),
            message(2, &list(&index)),
            [message(2, &message(1, b"seen")), number.clone()].concat(),
        ];
        for pair in &nothing {
            assert!(!raw_values_hold_content(&beside(pair)), "{pair:x?}");
        }
        let deep = (0..30).fold(message(1, b"hidden"), |inner, _| list(&inner));
        let hidden = message(99, b"hidden");
        let something = [
            message(2, &deep),
            message(2, &hidden),
            hidden.clone(),
            message(2, &list(&hidden)),
            message(2, &[message(1, b"seen"), hidden.clone()].concat()),
            message(2, &[message(1, b"replaced"), index].concat()),
        ];
        for pair in &something {
            assert!(raw_values_hold_content(&beside(pair)), "{pair:x?}");
        }
    }

    #[test]
    fn what_cannot_be_read_may_be_content_and_nothing_is_none() {
        for unreadable in [&b"\xc1"[..], b"\x07", b"\xc4\x01\x07", b"", b"\xc4\x02\x91\xc0"] {
            assert!(raw_values_hold_content(unreadable), "{unreadable:x?}");
        }
        let mut nested = vec![0xc4, 200];
        nested.extend([0x91, 0x93, 0, 1].repeat(50));
        assert!(raw_values_hold_content(&nested));
        let mut none = Vec::new();
        msgpack::bin(&mut none, &[]);
        assert!(!raw_values_hold_content(&none) && !raw_values_hold_content(&[0xc0]));
    }
}
