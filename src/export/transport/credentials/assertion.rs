//! Client assertions: a JSON Web Token that a client signs instead of sending a secret (RFC 7523,
//! section 2.2; RFC 7515).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Map, Value};

use crate::export::settings::{AssertionSettings, OAuth2Settings};
use crate::files::read_credentials;

/// The key of an option and what is wrong with it.
type Wrong = (&'static str, String);

/// What signs, by the kind of key.
enum Signer {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(Box<EcdsaKeyPair>, &'static str),
}

/// A token for one request. Reads the files, so that changed ones are taken. `now` is in seconds
/// since the Unix epoch.
///
/// # Errors
/// What is wrong with a file, and which option names it.
pub(super) fn make(
    given: &OAuth2Settings,
    assertion: &AssertionSettings,
    now: u64,
) -> Result<String, Wrong> {
    let signer = signer(assertion)?;
    let mut header = Map::new();
    header.insert("alg".to_owned(), signer.algorithm().into());
    header.insert("typ".to_owned(), "JWT".into());
    if let Some(thumbprint) = thumbprint(assertion)? {
        header.insert(assertion.header.clone(), thumbprint.into());
    }
    let failed = |message: &str| ("oauth2.jwt_key_file", message.to_owned());
    let random = SystemRandom::new();
    let mut id = [0; 16];
    random.fill(&mut id).map_err(|_| failed("there is no randomness"))?;
    let audience = assertion.audience.clone().unwrap_or_else(|| given.token_url.to_string());
    let claims = serde_json::json!({
        "iss": given.client_id,
        "sub": given.client_id,
        "aud": audience,
        "iat": now,
        "exp": now.saturating_add(assertion.lifetime.as_secs()),
        "jti": URL_SAFE_NO_PAD.encode(id),
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&Value::Object(header)), encode(&claims));
    let signature = signer.sign(signed.as_bytes(), &random).map_err(failed)?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn signer(assertion: &AssertionSettings) -> Result<Signer, Wrong> {
    let path = &assertion.key_file;
    let wrong = |message: String| ("oauth2.jwt_key_file", message);
    let pem = read_credentials(path).map_err(wrong)?;
    let shown = path.display();
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| wrong(format!("'{shown}' holds no private key in PEM")))?;
    Signer::new(&key).ok_or_else(|| {
        wrong(format!("'{shown}' holds no key of RSA (2048 bits or more), P-256 or P-384"))
    })
}

impl Signer {
    fn new(key: &PrivateKeyDer<'_>) -> Option<Self> {
        let rsa = match key {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
            _ => None,
        };
        if let Some(rsa) = rsa {
            return Some(Self::Rsa(Box::new(rsa)));
        }
        let PrivateKeyDer::Pkcs8(der) = key else { return None };
        let random = SystemRandom::new();
        let curves = [
            (&ECDSA_P256_SHA256_FIXED_SIGNING, "ES256"),
            (&ECDSA_P384_SHA384_FIXED_SIGNING, "ES384"),
        ];
        curves.into_iter().find_map(|(curve, name)| {
            let pair = EcdsaKeyPair::from_pkcs8(curve, der.secret_pkcs8_der(), &random).ok()?;
            Some(Self::Ecdsa(Box::new(pair), name))
        })
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ecdsa(_, name) => name,
        }
    }

    fn sign(&self, message: &[u8], random: &SystemRandom) -> Result<Vec<u8>, &'static str> {
        const FAILED: &str = "the key does not sign";
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, random, message, &mut signature)
                    .map_err(|_| FAILED)?;
                Ok(signature)
            }
            Self::Ecdsa(pair, _) => {
                let signature = pair.sign(random, message).map_err(|_| FAILED)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

/// What names the certificate of the key: as RFC 7515, sections 4.1.7 and 4.1.8 say for `x5t` and
/// `x5t#S256`, in upper-case hex of its SHA-1 for any other header, as Fluent Bit's own output has it.
fn thumbprint(assertion: &AssertionSettings) -> Result<Option<String>, Wrong> {
    let Some(path) = &assertion.certificate_file else { return Ok(None) };
    let bytes = read_credentials(path).map_err(|message| ("oauth2.jwt_cert_file", message))?;
    let der = CertificateDer::from_pem_slice(&bytes).map(|der| der.to_vec()).unwrap_or(bytes);
    if webpki::EndEntityCert::try_from(&CertificateDer::from(der.as_slice())).is_err() {
        let message = format!("'{}' holds no certificate in PEM or DER", path.display());
        return Err(("oauth2.jwt_cert_file", message));
    }
    let of = |algorithm: &'static Algorithm| digest(algorithm, &der);
    Ok(Some(match assertion.header.to_ascii_lowercase().as_str() {
        "x5t#s256" => URL_SAFE_NO_PAD.encode(of(&SHA256)),
        "x5t" => URL_SAFE_NO_PAD.encode(of(&SHA1_FOR_LEGACY_USE_ONLY)),
        _ => {
            let sha1 = of(&SHA1_FOR_LEGACY_USE_ONLY);
            sha1.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
        }
    }))
}
