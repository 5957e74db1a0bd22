//! Digest: hashes that stand for values that must not be seen. Pure.

use ring::{digest, hmac};

/// SHA-256 (FIPS 180-4), or HMAC-SHA-256 (RFC 2104) under a key.
///
/// Without a key a reader who sees a hash can find the value by trying values, where there are few
/// of them.
#[derive(Debug, Clone, Default)]
pub struct Digest(Option<Box<hmac::Key>>);

impl Digest {
    /// Hashes under this key.
    #[must_use]
    pub fn keyed(secret: &[u8]) -> Self {
        Self(Some(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret))))
    }

    /// The hash of some bytes.
    #[must_use]
    pub fn of(&self, bytes: &[u8]) -> [u8; 32] {
        let mut hash = [0; 32];
        let (keyed, plain);
        let from = match &self.0 {
            Some(key) => {
                keyed = hmac::sign(key, bytes);
                keyed.as_ref()
            }
            None => {
                plain = digest::digest(&digest::SHA256, bytes);
                plain.as_ref()
            }
        };
        hash.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        hash
    }

    /// The hash of some bytes as 64 lower-case hex digits.
    #[must_use]
    pub fn hex(&self, bytes: &[u8]) -> String {
        crate::model::hex(&self.of(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_standards() {
        // FIPS 180-4's example for "abc", and RFC 4231, test case 2.
        assert_eq!(
            Digest::default().hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            Digest::keyed(b"Jefe").hex(b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert!(!format!("{:?}", Digest::keyed(b"Jefe")).contains("Jefe"));
    }
}
