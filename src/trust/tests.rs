//! Certificates as `openssl req -x509` makes them, and worse ones, against both verifiers.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, Error, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::pinned::PinnedServers;
use super::{ClientTrust, PinnedClients};

/// 2026-01-01, within the dates of all certificates but the one that has ended.
const NOW: UnixTime = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_767_225_600));

fn made(names: &[&str], authority: bool, ended: bool) -> CertificateDer<'static> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(if ended { 2025 } else { 2040 }, 1, 1);
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().clone()
}

fn server(
    given: &[CertificateDer<'static>],
    shown: &CertificateDer<'_>,
    name: &str,
) -> Result<(), Error> {
    let provider = Arc::new(ring::default_provider());
    let usual = Verifier::new_with_extra_roots(given.iter().cloned(), provider).unwrap();
    let pinned = PinnedServers::new(given.to_vec(), Arc::new(usual));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    pinned.verify_server_cert(shown, &[], &name, &[], NOW).map(drop)
}

fn client(given: &[CertificateDer<'static>], shown: &CertificateDer<'_>) -> Result<(), Error> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    given.iter().for_each(|certificate| roots.add(certificate.clone()).unwrap());
    let usual = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let pinned = PinnedClients::new(given.to_vec(), usual.build().unwrap());
    assert!(pinned.offer_client_auth() && pinned.client_auth_mandatory());
    pinned.verify_client_cert(shown, &[], NOW).map(drop)
}

fn certificate_error(result: Result<(), Error>) -> CertificateError {
    match result {
        Err(Error::InvalidCertificate(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_self_signed_authority_that_is_given_is_trusted_by_itself() {
    for authority in [true, false] {
        let shown = made(&["localhost", "127.0.0.1"], authority, false);
        for name in ["localhost", "127.0.0.1"] {
            assert_eq!(server(std::slice::from_ref(&shown), &shown, name), Ok(()), "{authority}");
        }
        assert_eq!(client(std::slice::from_ref(&shown), &shown), Ok(()), "{authority}");
        // Among others as well.
        let several = [made(&["other"], true, false), shown.clone()];
        assert_eq!(server(&several, &shown, "localhost"), Ok(()));
        assert_eq!(client(&several, &shown), Ok(()));
    }
}

#[test]
fn one_of_the_same_names_with_another_key_is_a_stranger() {
    for authority in [true, false] {
        let given = made(&["localhost"], authority, false);
        let shown = made(&["localhost"], authority, false);
        assert!(server(std::slice::from_ref(&given), &shown, "localhost").is_err());
        assert!(client(&[given], &shown).is_err());
    }
}

#[test]
fn dates_and_names_of_a_pinned_certificate_hold() {
    for authority in [true, false] {
        let ended = made(&["localhost"], authority, true);
        let error = certificate_error(server(std::slice::from_ref(&ended), &ended, "localhost"));
        assert!(matches!(error, CertificateError::ExpiredContext { .. }), "{error:?}");
        let error = certificate_error(client(std::slice::from_ref(&ended), &ended));
        assert!(matches!(error, CertificateError::ExpiredContext { .. }), "{error:?}");
        let named = made(&["localhost"], authority, false);
        let error = certificate_error(server(std::slice::from_ref(&named), &named, "elsewhere"));
        let of_name = matches!(error, CertificateError::NotValidForNameContext { .. });
        assert!(of_name, "{error:?}");
        // `-subj /CN=localhost` alone: there is no name to compare.
        let nameless = made(&[], authority, false);
        assert_eq!(server(std::slice::from_ref(&nameless), &nameless, "localhost"), Ok(()));
        assert!(server(&[named], &nameless, "localhost").is_err());
    }
}

#[test]
fn a_leaf_can_be_pinned_without_its_authority() {
    // An authority of another name, and one whose name is the leaf's own.
    for authority in ["authority", "rcgen self signed cert"] {
        let mut issuer = CertificateParams::new(Vec::new()).unwrap();
        issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        issuer.distinguished_name.push(DnType::CommonName, authority);
        let issuer = rcgen::Issuer::new(issuer, KeyPair::generate().unwrap());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap().der().clone();
        assert_eq!(server(std::slice::from_ref(&leaf), &leaf, "localhost"), Ok(()), "{authority}");
        assert_eq!(client(std::slice::from_ref(&leaf), &leaf), Ok(()), "{authority}");
        assert!(server(&[made(&["localhost"], true, false)], &leaf, "localhost").is_err());
    }
}

#[test]
fn a_configuration_offers_what_it_is_given() {
    let trust = ClientTrust { given: &[], verify: false, identity: None };
    assert_eq!(trust.config(&[b"h2"]).unwrap().alpn_protocols, [b"h2".to_vec()]);
    let given = [CertificateDer::from(b"rubbish".to_vec())];
    let trust = ClientTrust { given: &given, verify: true, identity: None };
    assert!(trust.config(&[]).is_err());
}
