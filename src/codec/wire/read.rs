//! Pull reader of one message's fields, borrowed from the input.

/// How deep groups (wire types 3 and 4, long deprecated) may nest in an unknown field.
const MAX_GROUPS: u32 = 32;

/// The bytes are not a protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The input ends in the middle of a field.
    #[error("protobuf ends in the middle of a field")]
    Truncated,
    /// A varint of more than 64 bits.
    #[error("a varint has more than 64 bits")]
    Varint,
    /// Field number 0, or one above 2^29 - 1.
    #[error("a field number is out of range")]
    FieldNumber,
    /// Wire type 6 or 7, or the end of a group that was not opened.
    #[error("a wire type does not exist")]
    WireType,
    /// Groups nested deeper than the limit.
    #[error("groups are nested deeper than 32")]
    Depth,
}

/// The value of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireValue<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: text, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Wire types 3 and 4.
    Group,
    /// Wire type 5.
    Fixed32(u32),
}

/// One field as it is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireField<'a> {
    /// Its number.
    pub number: u32,
    /// Its value.
    pub value: WireValue<'a>,
    /// Key and value as they came.
    pub raw: &'a [u8],
}

/// Reads the fields of one message in their order on the wire.
#[derive(Debug, Clone, Copy)]
pub struct WireFields<'a> {
    rest: &'a [u8],
}

impl<'a> WireFields<'a> {
    /// The fields of `message`.
    #[must_use]
    pub const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// What has not been read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads the next field; `None` at the end of the message.
    ///
    /// # Errors
    /// The bytes are not a protobuf message.
    #[inline(always)]
    pub fn read(&mut self) -> Result<Option<WireField<'a>>, WireError> {
        let start = self.rest;
        if start.is_empty() {
            return Ok(None);
        }
        let (number, kind) = self.key()?;
        let value = match kind {
            0 => WireValue::Varint(self.varint()?),
            1 => WireValue::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => WireValue::Bytes(self.sized()?),
            5 => WireValue::Fixed32(u32::from_le_bytes(self.array()?)),
            3 => {
                self.skip_group(number)?;
                WireValue::Group
            }
            _ => return Err(WireError::WireType),
        };
        let read = start.len().saturating_sub(self.rest.len());
        Ok(Some(WireField { number, value, raw: start.get(..read).unwrap_or_default() }))
    }

    #[inline(always)]
    fn key(&mut self) -> Result<(u32, u32), WireError> {
        let key = u32::try_from(self.varint()?).map_err(|_| WireError::FieldNumber)?;
        match key >> 3 {
            0 => Err(WireError::FieldNumber),
            number => Ok((number, key & 7)),
        }
    }

    /// Reads a varint.
    ///
    /// # Errors
    /// The input ends too early, or the varint is too long.
    #[inline(always)]
    pub fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest {
            [byte, tail @ ..] if *byte < 0x80 => {
                self.rest = tail;
                Ok(u64::from(*byte))
            }
            [low, high, tail @ ..] if *high < 0x80 => {
                self.rest = tail;
                Ok(u64::from(*low & 0x7f) | (u64::from(*high) << 7))
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0_u64;
        for (index, byte) in (0_u32..10).zip(self.rest) {
            if index == 9 && *byte > 1 {
                return Err(WireError::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.rest = self.rest.get(index as usize + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { WireError::Truncated } else { WireError::Varint })
    }

    #[inline]
    fn sized(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
        let (head, tail) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    /// Skips what a group holds, up to its own end. Keeps the open groups on a stack of fixed size.
    #[cold]
    fn skip_group(&mut self, number: u32) -> Result<(), WireError> {
        let mut open = [0_u32; MAX_GROUPS as usize];
        let mut depth = 1_usize;
        *open.first_mut().ok_or(WireError::Depth)? = number;
        while depth > 0 {
            if self.rest.is_empty() {
                return Err(WireError::Truncated);
            }
            let (number, kind) = self.key()?;
            match kind {
                0 => drop(self.varint()?),
                1 => drop(self.array::<8>()?),
                2 => drop(self.sized()?),
                5 => drop(self.array::<4>()?),
                3 => {
                    *open.get_mut(depth).ok_or(WireError::Depth)? = number;
                    depth += 1;
                }
                4 if open.get(depth - 1) == Some(&number) => depth -= 1,
                _ => return Err(WireError::WireType),
            }
        }
        Ok(())
    }
}

/// Reads a message to its end, and calls `see` with the content of each message, text or packed list
/// in the field `number`.
///
/// # Errors
/// The message is broken, or what `see` says.
pub fn each<'a>(
    message: &'a [u8],
    number: u32,
    mut see: impl FnMut(&'a [u8]) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let mut fields = WireFields::new(message);
    while let Some(field) = fields.read()? {
        if let (true, WireValue::Bytes(content)) = (field.number == number, field.value) {
            see(content)?;
        }
    }
    Ok(())
}

/// The number of varints in packed numbers: every varint ends with one byte below 0x80.
#[must_use]
pub fn varint_count(packed: &[u8]) -> usize {
    packed.iter().filter(|byte| **byte < 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;

    #[test]
    fn fields_are_read_in_order() {
        let mut out = Vec::new();
        write::uint(&mut out, 1, 300);
        write::bytes(&mut out, 2, b"abc");
        write::fixed64(&mut out, 3, 7);
        write::fixed32(&mut out, 16, 9);
        let mut fields = WireFields::new(&out);
        let mut read = Vec::new();
        while let Some(field) = fields.read().unwrap() {
            read.push((field.number, field.value));
        }
        assert_eq!(
            read,
            [
                (1, WireValue::Varint(300)),
                (2, WireValue::Bytes(b"abc")),
                (3, WireValue::Fixed64(7)),
                (16, WireValue::Fixed32(9)),
            ]
        );
    }

    #[test]
    fn varints_of_every_length_read_back() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1_u64 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                write::varint(&mut out, value);
                assert_eq!(out.len(), write::varint_len(value));
                assert_eq!(varint_count(&out), 1);
                let mut fields = WireFields::new(&out);
                assert_eq!(fields.varint(), Ok(value));
                assert!(fields.rest().is_empty());
            }
        }
    }

    #[test]
    fn what_is_not_protobuf_is_refused() {
        let error = |bytes: &[u8]| WireFields::new(bytes).read().unwrap_err();
        assert_eq!(error(&[0x08]), WireError::Truncated);
        assert_eq!(error(&[0x0a, 5, 1]), WireError::Truncated);
        assert_eq!(error(&[0x09, 1, 2, 3]), WireError::Truncated);
        assert_eq!(error(&[0x00]), WireError::FieldNumber);
        assert_eq!(error(&[0x0e]), WireError::WireType);
        assert_eq!(error(&[0x0c]), WireError::WireType);
        assert_eq!(
            error(&[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]),
            WireError::Varint
        );
        assert_eq!(error(&[0xff; 11]), WireError::Varint);
        assert_eq!(
            error(&[0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
            WireError::Truncated
        );
    }

    #[test]
    fn groups_are_skipped_whole() {
        let group = [0x0b, 0x08, 1, 0x13, 0x12, 1, b'x', 0x14, 0x0c, 0x10, 5];
        let mut fields = WireFields::new(&group);
        let field = fields.read().unwrap().unwrap();
        assert_eq!((field.number, field.value, field.raw.len()), (1, WireValue::Group, 9));
        assert_eq!(fields.read().unwrap().unwrap().value, WireValue::Varint(5));
        assert_eq!(WireFields::new(&[0x0b, 0x14]).read(), Err(WireError::WireType));
        assert_eq!(WireFields::new(&[0x0b]).read(), Err(WireError::Truncated));
        assert_eq!(WireFields::new(&[0x0b; 40]).read(), Err(WireError::Depth));
    }
}
