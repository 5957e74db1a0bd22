//! PEM reader: private keys, encrypted ones too.

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::SecretDocument;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";

/// Why a key cannot be used. It holds nothing of the key or the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// There is no key.
    #[error("holds no private key in PEM")]
    Missing,
    /// The key is encrypted, and no password was given.
    #[error("is encrypted, and no password is given")]
    Encrypted,
    /// The password is another one, or the key is damaged.
    #[error("cannot be decrypted: the password is not the right one, or the file is damaged")]
    Password,
    /// An encryption that is not supported.
    #[error(
        "is encrypted in a way that is not supported; 'openssl pkcs8 -topk8 -v2 aes-256-cbc' \
         writes it in one that is"
    )]
    Unsupported,
}

/// Reads the first private key of a PEM file. Encrypted ones may be PKCS#8 (RFC 5958) with PBES2
/// (RFC 8018), which is what OpenSSL writes; a password for a key that needs none is not used.
///
/// # Errors
/// There is no key, or it cannot be decrypted.
pub fn read(pem: &[u8], password: Option<&str>) -> Result<PrivateKeyDer<'static>, PrivateKeyError> {
    let Some(encrypted) = encrypted(pem) else {
        if memchr::memmem::find(pem, b"Proc-Type: 4,ENCRYPTED").is_some() {
            return Err(PrivateKeyError::Unsupported);
        }
        return PrivateKeyDer::from_pem_slice(pem).map_err(|_| PrivateKeyError::Missing);
    };
    let password = password.ok_or(PrivateKeyError::Encrypted)?;
    let (_label, document) =
        SecretDocument::from_pem(encrypted).map_err(|_| PrivateKeyError::Password)?;
    let info = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|_| PrivateKeyError::Unsupported)?;
    let decrypted = info.decrypt(password).map_err(|_| PrivateKeyError::Password)?;
    Ok(PrivatePkcs8KeyDer::from(decrypted.as_bytes().to_vec()).into())
}

/// The section with an encrypted key.
fn encrypted(pem: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(pem).ok()?;
    let section = text.get(text.find(BEGIN)?..)?;
    section.get(..section.find(END)?.checked_add(END.len())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by OpenSSL 3 with the password `secret`: `openssl ecparam -genkey -name prime256v1
    /// -noout | openssl pkcs8 -topk8 -v2 aes-256-cbc`.
    const AES: &str = include_str!("../tests/data/keys/aes.pem");
    /// The same key without encryption.
    const PLAIN: &str = include_str!("../tests/data/keys/plain.pem");
    /// The same key in the form before PKCS#8: `openssl ec -aes256`.
    const OLD: &str = include_str!("../tests/data/keys/old.pem");

    #[test]
    fn keys_are_read_with_and_without_a_password() {
        let plain = read(PLAIN.as_bytes(), None).unwrap();
        assert_eq!(read(PLAIN.as_bytes(), Some("unused")).unwrap(), plain);
        assert_eq!(read(AES.as_bytes(), Some("secret")).unwrap(), plain);
        let among = format!("-----BEGIN OTHER-----\n-----END OTHER-----\n{AES}rest\n");
        assert_eq!(read(among.as_bytes(), Some("secret")).unwrap(), plain);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let of = |pem: &str, password| read(pem.as_bytes(), password).unwrap_err();
        assert_eq!(of(AES, None), PrivateKeyError::Encrypted);
        assert_eq!(of(AES, Some("Secret")), PrivateKeyError::Password);
        assert_eq!(of(&AES.replace("MIHs", "MIHt"), Some("secret")), PrivateKeyError::Password);
        assert_eq!(of(OLD, Some("secret")), PrivateKeyError::Unsupported);
        assert_eq!(of("nothing", Some("secret")), PrivateKeyError::Missing);
        assert!(PrivateKeyError::Unsupported.to_string().contains("openssl pkcs8 -topk8"));
    }
}
