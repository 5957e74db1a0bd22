//! What stands beside a record (ARCHITECTURE.md, "Values that msgpack cannot express").

use crate::codec::msgpack::{Reader, Token, elements};

/// Lists of entries in each other, at most.
const MAX_DEPTH: usize = 64;

/// Whether all that an encoded string of entries says is that values are not there.
pub(super) fn say_nothing(values: &[u8]) -> bool {
    match Reader::new(values).token() {
        Ok(Token::Bin(list) | Token::Str(list)) => entries_say_nothing(list, 0),
        _ => false,
    }
}

fn entries_say_nothing(list: &[u8], depth: usize) -> bool {
    if depth >= MAX_DEPTH {
        return false;
    }
    let inner = depth.saturating_add(1);
    let mut entries = elements(list);
    entries.all(|entry| {
        let what = elements(entry).nth(2).unwrap_or_default();
        match Reader::new(what).token() {
            Ok(Token::Array(_)) => entries_say_nothing(what, inner),
            Ok(Token::Bin(bytes) | Token::Str(bytes)) => bytes.is_empty(),
            _ => false,
        }
    })
}
