//! Pull reader: one token at a time, borrowed from the input.

/// One token. A container's token gives its number of elements (pairs for a map), which follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Token<'a> {
    /// nil
    Nil,
    /// true or false
    Bool(bool),
    /// A non-negative integer.
    Uint(u64),
    /// A negative integer, or a non-negative one written as signed.
    Int(i64),
    /// A number of 32 or 64 bits.
    Float(f64),
    /// Text, not checked to be UTF-8.
    Str(&'a [u8]),
    /// Bytes.
    Bin(&'a [u8]),
    /// The number of elements that follow.
    Array(u32),
    /// The number of pairs that follow.
    Map(u32),
    /// An extension: its type and its bytes.
    Ext(i8, &'a [u8]),
}

/// The bytes are not msgpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The input ends in the middle of an object.
    #[error("msgpack ends in the middle of an object")]
    Truncated,
    /// The byte 0xc1, which the specification leaves unused.
    #[error("msgpack has the unused byte 0xc1")]
    Unused,
    /// Another type than the layout asks for.
    #[error("msgpack has another type than expected")]
    Type,
}

/// What of `start` was read when `rest` is left.
#[inline]
#[must_use]
pub fn before<'a>(start: &'a [u8], rest: &[u8]) -> &'a [u8] {
    start.get(..start.len().saturating_sub(rest.len())).unwrap_or_default()
}

/// Reads msgpack from a slice.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(ReadError::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(ReadError::Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    #[inline]
    fn length(&mut self, bytes: u32) -> Result<u32, ReadError> {
        Ok(match bytes {
            1 => u32::from(u8::from_be_bytes(self.array()?)),
            2 => u32::from(u16::from_be_bytes(self.array()?)),
            _ => u32::from_be_bytes(self.array()?),
        })
    }

    #[inline]
    fn sized(&mut self, bytes: u32) -> Result<&'a [u8], ReadError> {
        let length = self.length(bytes)?;
        self.take(length as usize)
    }

    #[inline]
    fn extension(&mut self, length: u32) -> Result<Token<'a>, ReadError> {
        let kind = i8::from_be_bytes(self.array()?);
        Ok(Token::Ext(kind, self.take(length as usize)?))
    }

    /// Reads one token.
    ///
    /// # Errors
    /// The input ends too early, or is not msgpack.
    #[inline]
    pub fn token(&mut self) -> Result<Token<'a>, ReadError> {
        let [head] = self.array::<1>()?;
        Ok(match head {
            0x00..=0x7f => Token::Uint(u64::from(head)),
            0x80..=0x8f => Token::Map(u32::from(head & 0x0f)),
            0x90..=0x9f => Token::Array(u32::from(head & 0x0f)),
            0xa0..=0xbf => Token::Str(self.take(usize::from(head & 0x1f))?),
            0xe0..=0xff => Token::Int(i64::from(i8::from_be_bytes([head]))),
            0xd9 => Token::Str(self.sized(1)?),
            _ => return self.long_token(head),
        })
    }

    fn long_token(&mut self, head: u8) -> Result<Token<'a>, ReadError> {
        Ok(match head {
            0xc0 => Token::Nil,
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            0xc4 => Token::Bin(self.sized(1)?),
            0xc5 => Token::Bin(self.sized(2)?),
            0xc6 => Token::Bin(self.sized(4)?),
            0xc7 => self.length(1).and_then(|length| self.extension(length))?,
            0xc8 => self.length(2).and_then(|length| self.extension(length))?,
            0xc9 => self.length(4).and_then(|length| self.extension(length))?,
            0xca => Token::Float(f64::from(f32::from_be_bytes(self.array()?))),
            0xcb => Token::Float(f64::from_be_bytes(self.array()?)),
            0xcc => Token::Uint(u64::from(u8::from_be_bytes(self.array()?))),
            0xcd => Token::Uint(u64::from(u16::from_be_bytes(self.array()?))),
            0xce => Token::Uint(u64::from(u32::from_be_bytes(self.array()?))),
            0xcf => Token::Uint(u64::from_be_bytes(self.array()?)),
            0xd0 => Token::Int(i64::from(i8::from_be_bytes(self.array()?))),
            0xd1 => Token::Int(i64::from(i16::from_be_bytes(self.array()?))),
            0xd2 => Token::Int(i64::from(i32::from_be_bytes(self.array()?))),
            0xd3 => Token::Int(i64::from_be_bytes(self.array()?)),
            0xd4 => self.extension(1)?,
            0xd5 => self.extension(2)?,
            0xd6 => self.extension(4)?,
            0xd7 => self.extension(8)?,
            0xd8 => self.extension(16)?,
            0xd9 => Token::Str(self.sized(1)?),
            0xda => Token::Str(self.sized(2)?),
            0xdb => Token::Str(self.sized(4)?),
            0xdc => Token::Array(self.length(2)?),
            0xdd => Token::Array(self.length(4)?),
            0xde => Token::Map(self.length(2)?),
            0xdf => Token::Map(self.length(4)?),
            _ => return Err(ReadError::Unused),
        })
    }

    /// Reads a map's token and gives its number of pairs.
    ///
    /// # Errors
    /// Anything else than a map.
    #[inline]
    pub fn map(&mut self) -> Result<u32, ReadError> {
        match self.token()? {
            Token::Map(pairs) => Ok(pairs),
            _ => Err(ReadError::Type),
        }
    }

    /// Reads a text's token.
    ///
    /// # Errors
    /// Anything else than text.
    #[inline]
    pub fn str(&mut self) -> Result<&'a [u8], ReadError> {
        match self.token()? {
            Token::Str(text) => Ok(text),
            _ => Err(ReadError::Type),
        }
    }

    /// Reads a map's key; one that is no text is skipped and read as empty.
    ///
    /// # Errors
    /// The input ends too early, or is not msgpack.
    #[inline(always)]
    pub fn key(&mut self) -> Result<&'a [u8], ReadError> {
        // What nearly all keys are.
        if let Some((head @ 0xa0..=0xbf, tail)) = self.rest.split_first() {
            self.rest = tail;
            return self.take(usize::from(head & 0x1f));
        }
        if let [0xd9, length, tail @ ..] = self.rest {
            self.rest = tail;
            return self.take(usize::from(*length));
        }
        self.other_key()
    }

    #[inline(never)]
    fn other_key(&mut self) -> Result<&'a [u8], ReadError> {
        let start = *self;
        if let Token::Str(key) = self.token()? {
            return Ok(key);
        }
        *self = start;
        self.skip()?;
        Ok(&[])
    }

    /// Skips one whole object and gives its bytes. Does not recurse, however deep the object is.
    ///
    /// # Errors
    /// The input ends too early, or is not msgpack.
    #[inline(always)]
    pub fn skip(&mut self) -> Result<&'a [u8], ReadError> {
        // What most objects are: of a size that the first byte says.
        if let Some(head) = self.rest.first()
            && let size @ 1.. = size_by_head(*head)
            && let Some((object, rest)) = self.rest.split_at_checked(size)
        {
            self.rest = rest;
            return Ok(object);
        }
        // What is next to them: a text of up to 255 bytes.
        if let [0xd9, length, ..] = self.rest
            && let Some((object, rest)) = self.rest.split_at_checked(usize::from(*length) + 2)
        {
            self.rest = rest;
            return Ok(object);
        }
        self.skip_any()
    }

    #[inline(never)]
    fn skip_any(&mut self) -> Result<&'a [u8], ReadError> {
        let start = self.rest;
        let mut pending: u64 = 1;
        while pending > 0 {
            pending -= 1;
            let head = *self.rest.first().ok_or(ReadError::Truncated)?;
            let size = size_by_head(head);
            if size > 0 {
                self.take(size)?;
                continue;
            }
            self.take(1)?;
            match head {
                0x80..=0x8f => pending = pending.saturating_add(u64::from(head & 0x0f) * 2),
                0x90..=0x9f => pending = pending.saturating_add(u64::from(head & 0x0f)),
                0xd9 => drop(self.sized(1)?),
                0xda => drop(self.sized(2)?),
                _ => match self.long_token(head)? {
                    Token::Array(count) => pending = pending.saturating_add(u64::from(count)),
                    Token::Map(pairs) => {
                        pending = pending.saturating_add(u64::from(pairs).saturating_mul(2));
                    }
                    _ => {}
                },
            }
        }
        Ok(before(start, self.rest))
    }
}

/// The size of an object that begins so, where the first byte says it; 0 for others.
#[inline]
fn size_by_head(head: u8) -> usize {
    usize::from(SIZES.get(usize::from(head)).copied().unwrap_or(0))
}

const SIZES: [u8; 256] = sizes();

#[expect(clippy::indexing_slicing, reason = "at compile time, over all bytes")]
const fn sizes() -> [u8; 256] {
    let mut sizes = [0; 256];
    let mut head: u8 = 0;
    loop {
        sizes[head as usize] = match head {
            0x00..=0x80 | 0x90 | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => 1,
            0xa0..=0xbf => 1 + (head & 0x1f),
            0xcc | 0xd0 => 2,
            0xcd | 0xd1 => 3,
            0xca | 0xce | 0xd2 => 5,
            0xcb | 0xcf | 0xd3 => 9,
            _ => 0,
        };
        if head == u8::MAX {
            return sizes;
        }
        head += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;

    #[test]
    fn reads_what_is_written() {
        let mut bytes = Vec::new();
        write::map_header(&mut bytes, 2);
        write::str(&mut bytes, "a");
        write::int(&mut bytes, -40_000);
        write::str(&mut bytes, "b");
        write::array_header(&mut bytes, 2);
        write::bin(&mut bytes, &[1, 2]);
        write::f64(&mut bytes, 0.5);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.token(), Ok(Token::Map(2)));
        assert_eq!(reader.str(), Ok(&b"a"[..]));
        assert_eq!(reader.token(), Ok(Token::Int(-40_000)));
        assert_eq!(reader.str(), Ok(&b"b"[..]));
        assert_eq!(reader.token(), Ok(Token::Array(2)));
        assert_eq!(reader.token(), Ok(Token::Bin(&[1, 2])));
        assert_eq!(reader.token(), Ok(Token::Float(0.5)));
        assert!(reader.is_empty());
        let mut whole = Reader::new(&bytes);
        assert_eq!(whole.skip(), Ok(&bytes[..]));
    }

    #[test]
    fn hostile_lengths_end_in_an_error() {
        let huge_array = [0xdd, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Reader::new(&huge_array).skip(), Err(ReadError::Truncated));
        let huge_text = [0xdb, 0xff, 0xff, 0xff, 0xff, b'x'];
        assert_eq!(Reader::new(&huge_text).token(), Err(ReadError::Truncated));
        assert_eq!(Reader::new(&[0xc1]).token(), Err(ReadError::Unused));
        let deep = vec![0x91; 1_000_000];
        assert_eq!(Reader::new(&deep).skip(), Err(ReadError::Truncated));
    }
}
