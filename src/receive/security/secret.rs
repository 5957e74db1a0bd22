//! Redacted values and constant-time comparison: secrets that cannot be printed, and whose
//! comparison takes the same time whatever differs.

use std::fmt;

use ring::digest;
use subtle::ConstantTimeEq;

/// Text that appears nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// The SHA-256 of a secret: all that is kept of it. Digests have one length, so that comparing them
/// shows nothing of the secret's length either.
#[derive(Clone, Copy)]
pub(super) struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// Hashes a secret that a client showed or that is configured.
    pub(super) fn of(secret: &[u8]) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(digest::digest(&digest::SHA256, secret).as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits.
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (index, to) in bytes.iter_mut().enumerate() {
            let start = index.checked_mul(2)?;
            *to = u8::from_str_radix(text.get(start..start.checked_add(2)?)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Whether both are of the same secret, in a time that does not depend on the answer.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Digest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let secret = Secret::new("hunter2");
        let shown = format!("{secret:?} {:#?}", SecretDigest::of(secret.reveal().as_bytes()));
        assert_eq!(shown, "Secret Digest");
    }

    #[test]
    fn digests_are_sha256() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = SecretDigest::from_hex(abc).unwrap();
        assert!(digest.is(&SecretDigest::of(b"abc")));
        assert!(!digest.is(&SecretDigest::of(b"abd")));
        assert!(SecretDigest::from_hex(abc.trim_start_matches('b')).is_none());
        assert!(SecretDigest::from_hex(&abc.replace('b', "g")).is_none());
    }
}
