//! Key sets (RFC 7517).

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;

/// Keys of one set that are looked at.
const MAX_KEYS: usize = 256;
/// Keys that a token without a key id is tried with.
const MAX_TRIES: usize = 16;

/// The public keys of an issuer.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithm: Option<String>,
    key: DecodingKey,
}

impl KeySet {
    /// Reads a set. Keys of other kinds and for other uses are left out.
    ///
    /// # Errors
    /// It is not a key set, or has no key that signs.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let set: Value = serde_json::from_slice(text)
            .map_err(|error| format!("is not JSON at line {}", error.line()))?;
        let keys = set.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or("is no key set: it has no array 'keys'")?;
        let keys: Vec<Key> = keys.iter().take(MAX_KEYS).filter_map(key).collect();
        if keys.is_empty() {
            return Err("has no public key of RSA, EC or Ed25519 for signatures".to_owned());
        }
        Ok(Self { keys })
    }

    /// The keys that may have signed a token.
    pub(super) fn fitting(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<&DecodingKey> {
        let name = format!("{algorithm:?}");
        let fits = |key: &&Key| {
            id.is_none_or(|id| key.id.as_deref() == Some(id))
                && key.key.family() == algorithm.family()
                && key.algorithm.as_ref().is_none_or(|own| *own == name)
        };
        self.keys.iter().filter(fits).take(MAX_TRIES).map(|key| &key.key).collect()
    }
}

fn key(value: &Value) -> Option<Key> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    if text("use").is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    // A reader of a secret key can sign with it: such keys are none of a public set.
    if !matches!(text("kty")?.as_str(), "RSA" | "EC" | "OKP") {
        return None;
    }
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    let public = key.family() != AlgorithmFamily::Hmac;
    public.then(|| Key { id: text("kid"), algorithm: text("alg"), key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_leniently_but_never_without_a_key() {
        let set = r#"{"keys": [
            {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "a", "alg": "ES256"},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "b", "use": "enc"},
            {"kty": "RSA", "n": "AQ", "e": "AQAB"},
            {"kty": "new", "kid": "c"}, 7
        ]}"#;
        let set = KeySet::parse(set.as_bytes()).unwrap();
        assert_eq!(set.keys.len(), 2);
        assert_eq!(set.fitting(Some("a"), Algorithm::ES256).len(), 1);
        assert_eq!(set.fitting(Some("a"), Algorithm::ES384).len(), 0);
        assert_eq!(set.fitting(Some("secret"), Algorithm::HS256).len(), 0);
        assert_eq!(set.fitting(None, Algorithm::RS512).len(), 1);
        for wrong in ["", "[]", r#"{"keys": []}"#, r#"{"keys": [{"kty": "oct", "k": "AA"}]}"#] {
            assert!(KeySet::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
