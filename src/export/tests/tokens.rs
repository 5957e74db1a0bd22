//! How a client proves who it is to a token service.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::receiver::{Receiver, Say, Seen};
use super::transport::chunk;
use super::{Bench, Fate, endpoint};
use crate::export::transport::credentials::EndpointCredentials;
use crate::export::{AssertionSettings, ClientAuthentication, EndpointSettings, OAuth2Settings};

fn service() -> Receiver {
    Receiver::start(|_, _| {
        let body = br#"{"access_token":"token","expires_in":3600}"#;
        Say::Http(200, Vec::new(), body.to_vec())
    })
}

fn with_tokens(receiver: &Receiver, service: &Receiver) -> EndpointSettings {
    let mut main = endpoint("main", receiver);
    main.credentials.oauth2 = Some(OAuth2Settings {
        token_url: service.url(),
        client_id: "me&".to_owned(),
        client_secret: "h:ush".to_owned(),
        ..OAuth2Settings::default()
    });
    main
}

fn form(seen: &Seen) -> HashMap<String, String> {
    let text = std::str::from_utf8(&seen.body).unwrap();
    let url = reqwest::Url::parse(&format!("http://form?{text}")).unwrap();
    url.query_pairs().into_owned().collect()
}

/// Scenario: the service takes id and secret in the body, and asks for a resource. Guarantees: they
/// are there, form-encoded, and no header has them.
#[test]
fn id_and_secret_can_go_in_the_body() {
    let (receiver, service) = (Receiver::accepting(), service());
    let mut main = with_tokens(&receiver, &service);
    let oauth2 = main.credentials.oauth2.as_mut().unwrap();
    oauth2.authentication = ClientAuthentication::Post;
    oauth2.resource = Some("https://otlp.example/?a=b&c".to_owned());
    oauth2.user_agent = Some("collector/1".parse().unwrap());
    let bench = Bench::new(vec![main]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Done, "{}", bench.log());
    let seen = &service.seen()[0];
    let form = form(seen);
    assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str()), ("me&", "h:ush"));
    assert_eq!(form["resource"], "https://otlp.example/?a=b&c");
    assert_eq!(seen.headers["user-agent"], "collector/1");
    assert!(!seen.headers.contains_key("authorization"));
    assert_eq!(receiver.seen()[0].headers["authorization"], "Bearer token");
}

/// A key of RSA that is for nothing but these tests.
const RSA: &str = include_str!("rsa.pem");

/// The parts of a token: header, claims, what is signed, signature.
fn parts(token: &str) -> (Value, Value, String, Vec<u8>) {
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let signed = format!("{header}.{claims}");
    (read(header), read(claims), signed, URL_SAFE_NO_PAD.decode(signature).unwrap())
}

/// Scenario: the service takes a signed assertion; the key is one of RSA, then one of P-256.
/// Guarantees: it is signed with the key, names the certificate, and says who, for whom and until
/// when; no two have one id, and no secret is sent.
#[test]
fn a_signed_assertion_can_stand_for_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["me".to_owned()]).unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("rsa.pem"), RSA).unwrap();
    std::fs::write(path("p256.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("crt.pem"), made.cert.pem()).unwrap();
    std::fs::write(path("crt.der"), made.cert.der()).unwrap();
    let pkcs8 = PrivateKeyDer::from_pem_slice(RSA.as_bytes()).unwrap();
    let rsa = RsaKeyPair::from_pkcs8(pkcs8.secret_der()).unwrap();
    let (rsa, p256) = (rsa.public().as_ref(), made.signing_key.public_key_raw());
    let algorithms: [&'static dyn VerificationAlgorithm; 2] =
        [&RSA_PKCS1_2048_8192_SHA256, &ECDSA_P256_SHA256_FIXED];
    let sha256 = digest(&SHA256, made.cert.der());
    let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, made.cert.der());
    let hex: String = sha1.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    for (key, public, algorithm, name, certificate, header, thumbprint) in [
        ("rsa.pem", rsa, algorithms[0], "RS256", "crt.pem", "kid", hex),
        ("rsa.pem", rsa, algorithms[0], "RS256", "crt.der", "x5t", URL_SAFE_NO_PAD.encode(sha1)),
        ("p256.pem", p256, algorithms[1], "ES256", "crt.pem", "x5t#S256", {
            URL_SAFE_NO_PAD.encode(sha256)
        }),
    ] {
        let (receiver, service) = (Receiver::accepting(), service());
        let mut main = with_tokens(&receiver, &service);
        let oauth2 = main.credentials.oauth2.as_mut().unwrap();
        oauth2.client_secret.clear();
        oauth2.authentication = ClientAuthentication::PrivateKeyJwt(AssertionSettings {
            key_file: path(key),
            certificate_file: Some(path(certificate)),
            audience: None,
            header: header.to_owned(),
            lifetime: Duration::from_secs(120),
        });
        let bench = Bench::new(vec![main]);
        assert_eq!(bench.deliver(1, &chunk()), Fate::Done, "{}", bench.log());
        let seen = &service.seen()[0];
        assert!(!seen.headers.contains_key("authorization"));
        let form = form(seen);
        assert!(!form.contains_key("client_secret"));
        let of_jwt = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        assert_eq!(form["client_assertion_type"], of_jwt);
        let (found, claims, signed, signature) = parts(&form["client_assertion"]);
        assert_eq!((&found["alg"], &found[header]), (&name.into(), &thumbprint.into()));
        assert_eq!((&claims["iss"], &claims["sub"]), (&"me&".into(), &"me&".into()));
        assert_eq!(claims["aud"], service.url().to_string());
        let times = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
        assert_eq!(times.1 - times.0, 120);
        assert!(times.0.abs_diff(crate::clock::unix_nanos() / 1_000_000_000) < 60);
        let public = UnparsedPublicKey::new(algorithm, public);
        public.verify(signed.as_bytes(), &signature).unwrap();
        assert!(public.verify(b"another", &signature).is_err());
    }
}

/// Scenario: the files of an assertion are wrong. Guarantees: the start says which and why.
#[test]
fn wrong_files_of_an_assertion_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("rsa.pem"), RSA).unwrap();
    std::fs::write(path("rubbish"), "rubbish").unwrap();
    let (receiver, service) = (Receiver::accepting(), service());
    for (key, certificate, expected) in [
        ("nowhere", None, "'endpoint.main.oauth2.jwt_key_file'"),
        ("rubbish", None, "holds no private key in PEM"),
        ("rsa.pem", Some("rubbish"), "holds no certificate in PEM or DER"),
    ] {
        let mut main = with_tokens(&receiver, &service);
        let oauth2 = main.credentials.oauth2.as_mut().unwrap();
        oauth2.authentication = ClientAuthentication::PrivateKeyJwt(AssertionSettings {
            key_file: path(key),
            certificate_file: certificate.map(path),
            audience: None,
            header: "kid".to_owned(),
            lifetime: Duration::from_secs(120),
        });
        let problem = EndpointCredentials::new(&main, &Arc::default()).err().unwrap().to_string();
        assert!(problem.contains(expected), "{problem}");
    }
}

/// Scenario: the service is slow, and has a timeout of its own. Guarantees: that one counts, so that
/// a chunk does not wait for the endpoint's.
#[test]
fn the_service_has_a_timeout_of_its_own() {
    let (receiver, service) = (Receiver::accepting(), Receiver::start(|_, _| Say::Hang));
    let mut main = with_tokens(&receiver, &service);
    main.timeout = Duration::from_secs(60);
    main.credentials.oauth2.as_mut().unwrap().timeout = Some(Duration::from_millis(300));
    let bench = Bench::new(vec![main]);
    assert_eq!(bench.deliver(1, &chunk()), Fate::Retry);
    assert!(bench.log().contains("no token"), "{}", bench.log());
}

/// Scenario: tokens live for an hour, and are to be renewed 3599 seconds before their end.
/// Guarantees: the second request, more than a second later, has another one.
#[test]
fn a_token_is_renewed_as_long_before_its_end_as_is_said() {
    for (skew, expected) in [(None, 1), (Some(3599), 2)] {
        let (receiver, service) = (Receiver::accepting(), service());
        let mut main = with_tokens(&receiver, &service);
        main.credentials.oauth2.as_mut().unwrap().refresh_skew = skew.map(Duration::from_secs);
        let bench = Bench::new(vec![main]);
        assert_eq!(bench.deliver(1, &chunk()), Fate::Done, "{}", bench.log());
        std::thread::sleep(Duration::from_millis(1_100));
        assert_eq!(bench.deliver(2, &chunk()), Fate::Done, "{}", bench.log());
        assert_eq!(service.seen().len(), expected);
    }
}
