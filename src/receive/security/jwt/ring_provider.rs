//! Signature provider: signatures of tokens, checked by ring.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use ring::signature::{self as rings, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use signature::Verifier;

/// What the library calls instead of a backend of its own. We sign nothing and print no keys.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(unsupported()),
    verifier_factory: verifier,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(unsupported()),
        rsa_pub_components_from_public_key: |_| Err(unsupported()),
        ec_pub_components_from_private_key: |_, _| Err(unsupported()),
        ed_pub_components_from_private_key: |_, _| Err(unsupported()),
        compute_digest: |_, _| Err(unsupported()),
    },
};

/// Makes the library use ring. Nothing else in this object chooses, so that a second call finds
/// what the first one chose.
pub(super) fn install() {
    let _already = PROVIDER.install_default();
}

fn unsupported() -> Error {
    ErrorKind::UnsupportedAlgorithm.into()
}

struct Key {
    algorithm: Algorithm,
    key: DecodingKey,
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if algorithm.family() != key.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(Key { algorithm: *algorithm, key: key.clone() }))
}

impl JwtVerifier for Key {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for Key {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match (self.algorithm, self.key.kind()) {
            (algorithm, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                let parameters = rsa(algorithm).ok_or_else(signature::Error::new)?;
                let key = RsaPublicKeyComponents { n: significant(n), e: significant(e) };
                key.verify(parameters, message, signature)
            }
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(key)) => {
                let key = UnparsedPublicKey::new(&rings::ECDSA_P256_SHA256_FIXED, key);
                key.verify(message, signature)
            }
            (Algorithm::ES384, DecodingKeyKind::SecretOrDer(key)) => {
                let key = UnparsedPublicKey::new(&rings::ECDSA_P384_SHA384_FIXED, key);
                key.verify(message, signature)
            }
            (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(&rings::ED25519, key).verify(message, signature)
            }
            _ => return Err(signature::Error::new()),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

/// What ring calls an algorithm of RSA (RFC 7518, sections 3.3 and 3.5).
fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::RS256 => &rings::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &rings::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &rings::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &rings::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &rings::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &rings::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// A number without the zeros that some writers put before it.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}
