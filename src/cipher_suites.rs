//! Lookup table: versions and cipher suites of TLS, by the names that users give them.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

/// The names of the cipher suites of TLS 1.2 in OpenSSL; those of TLS 1.3 are IANA's.
const OPENSSL: [(&str, &str); 6] = [
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
];

/// The oldest and the newest version that is supported, as numbers of [`parse_version`].
pub const VERSIONS: (u8, u8) = (12, 13);

/// A version, as 12 for TLS 1.2 and 13 for TLS 1.3; `TLSv1.2`, `tls1.2` and `1.2` are the same.
#[must_use]
pub fn parse_version(text: &str) -> Option<u8> {
    let text = text.to_ascii_lowercase();
    match text.trim_start_matches("tls").trim_start_matches('v') {
        "1.2" => Some(12),
        "1.3" => Some(13),
        _ => None,
    }
}

/// Names separated by colons, as in OpenSSL, or by commas or blanks.
#[must_use]
pub fn parse_names(text: &str) -> Vec<String> {
    let names = text.split([':', ',', ' ']).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// The versions from the oldest to the newest one.
#[must_use]
pub fn versions((oldest, newest): (u8, u8)) -> Vec<&'static SupportedProtocolVersion> {
    let known = [(12, &version::TLS12), (13, &version::TLS13)];
    let wanted = known.into_iter().filter(|(number, _)| (oldest..=newest).contains(number));
    wanted.map(|(_, version)| version).collect()
}

/// The cryptography with the named cipher suites only, or with all if none is named. As in OpenSSL,
/// a list without any suite of TLS 1.3 leaves TLS 1.3 as it is.
///
/// # Errors
/// A name that is not known, and what is allowed.
pub fn provider(names: &[String]) -> Result<Arc<CryptoProvider>, String> {
    let mut provider = ring::default_provider();
    if names.is_empty() {
        return Ok(Arc::new(provider));
    }
    let all = provider.cipher_suites.clone();
    let mut wanted: Vec<SupportedCipherSuite> = Vec::new();
    for name in names {
        let found = all.iter().find(|suite| {
            let (iana, openssl) = names_of(suite);
            iana.eq_ignore_ascii_case(name) || openssl.eq_ignore_ascii_case(name)
        });
        match found {
            Some(suite) => wanted.push(*suite),
            None => {
                let allowed: Vec<String> = all.iter().map(|suite| names_of(suite).1).collect();
                return Err(format!("'{name}' is not allowed; allowed: {}", allowed.join(", ")));
            }
        }
    }
    let is_13 = |suite: &&SupportedCipherSuite| suite.tls13().is_some();
    if !wanted.iter().any(|suite| is_13(&suite)) {
        wanted.extend(all.iter().filter(is_13));
    }
    provider.cipher_suites = wanted;
    Ok(Arc::new(provider))
}

/// The names of a cipher suite by IANA and in OpenSSL.
fn names_of(suite: &SupportedCipherSuite) -> (String, String) {
    let iana = format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
    let openssl = OPENSSL.iter().find(|(known, _)| *known == iana);
    let openssl = openssl.map_or_else(|| iana.clone(), |(_, name)| (*name).to_owned());
    (iana, openssl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_several_spellings() {
        for (text, expected) in
            [("TLSv1.2", Some(12)), ("tls1.3", Some(13)), ("1.2", Some(12)), ("TLSv1.1", None)]
        {
            assert_eq!(parse_version(text), expected, "{text}");
        }
        assert_eq!(versions(VERSIONS).len(), 2);
        assert_eq!(versions((13, 13)), [&version::TLS13]);
        assert!(versions((13, 12)).is_empty());
    }

    #[test]
    fn suites_are_known_by_both_names() {
        let names = parse_names("ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_256_GCM_SHA384");
        let found = provider(&names).unwrap();
        assert_eq!(found.cipher_suites.len(), 2);
        // The three of TLS 1.3 stay.
        let only_12 = parse_names("tls_ecdhe_rsa_with_aes_128_gcm_sha256");
        assert_eq!(provider(&only_12).unwrap().cipher_suites.len(), 4);
        let problem = provider(&parse_names("RC4-MD5")).unwrap_err();
        assert!(problem.starts_with("'RC4-MD5' is not allowed; allowed: TLS_AES"), "{problem}");
    }
}
