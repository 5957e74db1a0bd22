//! Replacement: what stands in the place of text that was found.

use crate::digest::Digest;

/// What becomes of the text that a detector or pattern finds.
#[derive(Debug, Clone)]
pub enum Replacement {
    /// The name of what found it in brackets, `[email]`.
    Mask,
    /// The name and a keyed hash of the text, `[email:bgkhpmaoanfcjlie]`, by which equal texts can
    /// still be told from others.
    Hash(HashKey),
    /// Nothing: the text is cut out. A value of a map that is nothing else goes with its key.
    Drop,
}

/// The key of hashes.
///
/// With the key it can be found out which text a hash stands for by trying texts: there are few
/// telephone numbers. That is why there is no hash without a key.
#[derive(Debug, Clone)]
pub struct HashKey(Digest);

impl HashKey {
    /// The shortest key that is any use, in bytes.
    pub const SHORTEST: usize = 16;

    /// A key; `None` if it is too short.
    #[must_use]
    pub fn new(secret: &[u8]) -> Option<Self> {
        (secret.len() >= Self::SHORTEST).then(|| Self(Digest::keyed(secret)))
    }

    /// Appends the first 64 bits of the text's HMAC-SHA-256 (RFC 2104) as 16 letters, where `a` to
    /// `p` stand for 0 to 15: a hash with digits could be taken for a number by the next detector.
    fn write(&self, text: &[u8], out: &mut Vec<u8>) {
        for byte in self.0.of(text).iter().take(8) {
            out.extend_from_slice(&[b'a' + (byte >> 4), b'a' + (byte & 15)]);
        }
    }
}

impl Replacement {
    /// Appends what stands for a text that something of this name found.
    pub(super) fn write(&self, name: &str, text: &[u8], out: &mut Vec<u8>) {
        if matches!(self, Self::Drop) {
            return;
        }
        out.push(b'[');
        out.extend_from_slice(name.as_bytes());
        if let Self::Hash(key) = self {
            out.push(b':');
            key.write(text, out);
        }
        out.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &str, text: &str) -> String {
        let mut out = Vec::new();
        Replacement::Hash(HashKey::new(key.as_bytes()).unwrap()).write(
            "email",
            text.as_bytes(),
            &mut out,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hashes_depend_on_key_and_text_alone() {
        let one = hash("0123456789abcdef", "joe@x.com");
        assert_eq!(one, hash("0123456789abcdef", "joe@x.com"));
        assert_ne!(one, hash("0123456789abcdeF", "joe@x.com"));
        assert_ne!(one, hash("0123456789abcdef", "Joe@x.com"));
        // printf joe@x.com | openssl dgst -sha256 -hmac 0123456789abcdef | cut -c1-16 says
        // e8ffbf0eca863b94.
        assert_eq!(one, "[email:oipplpaomkigdlje]");
        assert!(HashKey::new(b"0123456789abcde").is_none());
        let key = HashKey::new(b"0123456789abcdef");
        assert!(!format!("{key:?}").contains("0123"), "{key:?}");
    }
}
