//! Wire scanner: just enough protobuf to find ids in a request without decoding it.

/// Calls `found(number, bytes)` for each length-delimited field of a message.
pub fn fields<'a>(message: &'a [u8], mut found: impl FnMut(u32, &'a [u8])) {
    let mut rest = message;
    while !rest.is_empty() {
        let Some(tag) = varint(&mut rest) else { return };
        let skip = match tag & 7 {
            0 => {
                if varint(&mut rest).is_none() {
                    return;
                }
                continue;
            }
            1 => 8,
            2 => match varint(&mut rest) {
                Some(length) => length as usize,
                None => return,
            },
            5 => 4,
            _ => return,
        };
        let Some((field, tail)) = rest.split_at_checked(skip) else { return };
        if tag & 7 == 2 {
            found((tag >> 3) as u32, field);
        }
        rest = tail;
    }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The items of an export request of any signal: spans, metrics or log records.
pub fn items<'a>(request: &'a [u8], mut found: impl FnMut(&'a [u8])) {
    fields(request, |number, resource| {
        if number == 1 {
            fields(resource, |number, scope| {
                if number == 2 {
                    fields(scope, |number, item| {
                        if number == 2 {
                            found(item);
                        }
                    });
                }
            });
        }
    });
}
