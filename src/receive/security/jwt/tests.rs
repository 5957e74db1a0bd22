//! Tokens of every algorithm, of wrong claims and wrong hands.
//!
//! `samples/` holds public keys, and tokens that were signed once by their private halves.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::fetch::KeyServer;
use crate::clock;
use crate::receive::security::{JwtSettings, KeySource, SecuritySettings};
use crate::receive::tests::host::{Host, settings};
use crate::receive::tests::post::{PROTOBUF, post};

const KEYS: &str = include_str!("samples/keys.json");
const TOKENS: &str = include_str!("samples/tokens.txt");
const ISSUER: &str = "https://issuer.test";

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A private key for ES256.
struct Signer {
    key: EcdsaKeyPair,
    id: &'static str,
}

impl Signer {
    fn new(id: &'static str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let bytes = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self { key: EcdsaKeyPair::from_pkcs8(algorithm, bytes.as_ref(), &random).unwrap(), id }
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "kid": self.id, "x": encode(x), "y": encode(y)})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let head = encode(header.to_string().as_bytes());
        let message = format!("{head}.{}", encode(claims.to_string().as_bytes()));
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", encode(signature.as_ref()))
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&json!({"alg": "ES256", "kid": self.id}), claims)
    }
}

/// The time in seconds from now.
fn seconds(from_now: i64) -> i64 {
    i64::try_from(clock::unix_nanos() / 1_000_000_000).unwrap() + from_now
}

fn jwt(keys: KeySource) -> JwtSettings {
    JwtSettings {
        keys,
        issuer: ISSUER.to_owned(),
        audiences: vec!["otlp".to_owned()],
        clients: vec!["collector".to_owned()],
        algorithms: ["RS256", "RS512", "PS256", "ES256", "es384", "EdDSA"]
            .map(str::to_owned)
            .into(),
        leeway: Duration::from_secs(30),
        tenant_claim: Some("tenant".to_owned()),
    }
}

fn host(jwt: JwtSettings, tenants_file: Option<PathBuf>) -> Host {
    let mut settings = settings();
    settings.security =
        SecuritySettings { jwt: Some(jwt), tenants_file, ..SecuritySettings::default() };
    Host::with(&settings)
}

fn status(host: &Host, token: &str) -> u16 {
    let headers = format!("{PROTOBUF}authorization: Bearer {token}\r\n");
    post(host.http, "/v1/traces", &headers, b"").status
}

/// A receiver with the keys of `samples/` and one of its own.
fn with_file(signer: &Signer) -> (Host, tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let mut set: Value = serde_json::from_str(KEYS).unwrap();
    set["keys"].as_array_mut().unwrap().push(signer.jwk());
    std::fs::write(&path, set.to_string()).unwrap();
    (host(jwt(KeySource::File(path.clone())), None), folder, path)
}

#[test]
fn every_algorithm_is_verified() {
    let (host, _folder, _) = with_file(&Signer::new("own"));
    assert_eq!(TOKENS.lines().count(), 5);
    for line in TOKENS.lines() {
        let (algorithm, token) = line.split_once(' ').unwrap();
        assert_eq!(status(&host, token), 200, "{algorithm}");
        let (message, signature) = token.rsplit_once('.').unwrap();
        let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        signature[0] ^= 1;
        let forged = format!("{message}.{}", encode(&signature));
        assert_eq!(status(&host, &forged), 401, "{algorithm}");
    }
    assert_eq!(host.count("denied_requests_total", &["jwt_signature"]), 5);
}

#[test]
fn claims_are_checked() {
    let signer = Signer::new("own");
    let (host, _folder, _) = with_file(&signer);
    let good = json!({
        "iss": ISSUER, "aud": "otlp", "exp": seconds(60), "azp": "collector", "tenant": "acme",
    });
    assert_eq!(status(&host, &signer.token(&good)), 200);
    let table = [
        ("exp", json!(seconds(-29)), 200, ""),
        ("exp", json!(seconds(-60)), 401, "jwt_expired"),
        ("exp", Value::Null, 401, "jwt_malformed"),
        ("exp", json!("9999999999"), 401, "jwt_malformed"),
        ("nbf", json!(seconds(20)), 200, ""),
        ("nbf", json!(seconds(60)), 401, "jwt_early"),
        ("iss", json!("https://other.test"), 401, "jwt_issuer"),
        ("iss", Value::Null, 401, "jwt_issuer"),
        ("aud", json!(["x", "otlp"]), 200, ""),
        ("aud", json!("other"), 401, "jwt_audience"),
        ("aud", Value::Null, 401, "jwt_audience"),
        ("azp", json!("other"), 403, "jwt_client"),
        ("azp", Value::Null, 403, "jwt_client"),
        ("tenant", json!(7), 403, "jwt_tenant"),
        ("tenant", json!(""), 403, "jwt_tenant"),
    ];
    for (claim, value, expected, reason) in table {
        let mut claims = good.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(claim);
        } else {
            claims[claim] = value.clone();
        }
        let before = host.count("denied_requests_total", &[reason]);
        assert_eq!(status(&host, &signer.token(&claims)), expected, "{claim} {value}");
        if !reason.is_empty() {
            let after = host.count("denied_requests_total", &[reason]);
            assert_eq!(after, before + 1, "{claim} {value} {reason}");
        }
    }
}

#[test]
fn other_hands_and_algorithms_are_refused() {
    let signer = Signer::new("own");
    let (host, _folder, path) = with_file(&signer);
    let claims = json!({
        "iss": ISSUER, "aud": "otlp", "exp": seconds(60), "azp": "collector", "tenant": "acme",
    });
    let stranger = Signer::new("own");
    assert_eq!(status(&host, &stranger.token(&claims)), 401);
    assert_eq!(host.count("denied_requests_total", &["jwt_signature"]), 1);
    // No key id is fine if a key fits; an unknown one is not.
    assert_eq!(status(&host, &signer.sign(&json!({"alg": "ES256"}), &claims)), 200);
    assert_eq!(status(&host, &Signer::new("x").token(&claims)), 401);
    assert_eq!(host.count("denied_requests_total", &["jwt_key"]), 1);
    // HMAC with a public key as the secret is the classic; "none" is the other.
    for header in [json!({"alg": "HS256", "kid": "own"}), json!({"alg": "RS384", "kid": "rsa"})] {
        assert_eq!(status(&host, &signer.sign(&header, &claims)), 401);
    }
    assert_eq!(host.count("denied_requests_total", &["jwt_algorithm"]), 2);
    let none = signer.sign(&json!({"alg": "none"}), &claims);
    let unsigned = format!("{}.", none.rsplit_once('.').unwrap().0);
    for token in [none.as_str(), &unsigned, "a.b.c", ".."] {
        assert_eq!(status(&host, token), 401, "{token}");
    }
    assert_eq!(status(&host, "a.b"), 401);
    assert_eq!(host.count("denied_requests_total", &["token"]), 1);
    // The file is read again.
    std::fs::write(&path, json!({"keys": [stranger.jwk()]}).to_string()).unwrap();
    host.wait_for("jwks_reads_total", &["taken"], 1);
    assert_eq!(status(&host, &stranger.token(&claims)), 200);
    assert_eq!(status(&host, &signer.token(&claims)), 401);
}

#[test]
fn tenants_are_named_by_a_claim() {
    let signer = Signer::new("own");
    let folder = tempfile::tempdir().unwrap();
    let (path, tenants) = (folder.path().join("keys"), folder.path().join("tenants"));
    std::fs::write(&path, json!({"keys": [signer.jwk()]}).to_string()).unwrap();
    let text = "tenants:\n  acme: {}\n  other:\n    jwt_claims: [a, b]\n";
    std::fs::write(&tenants, text).unwrap();
    let mut settings = jwt(KeySource::File(path));
    settings.clients.clear();
    settings.audiences.clear();
    let host = host(settings, Some(tenants));
    for (tenant, expected) in [("acme", 200), ("a", 200), ("b", 200), ("other", 403), ("c", 403)] {
        let claims = json!({"iss": ISSUER, "exp": seconds(60), "aud": "z", "tenant": tenant});
        assert_eq!(status(&host, &signer.token(&claims)), expected, "{tenant}");
    }
}

/// A server of a key set that counts requests. Without a set it answers 500.
fn server(set: Arc<std::sync::Mutex<Option<String>>>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::Builder::new()
        .spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                drop(stream.read(&mut [0; 4096]));
                counted.fetch_add(1, Ordering::SeqCst);
                let body = set.lock().unwrap().clone();
                let status = if body.is_some() { "200 OK" } else { "500 No" };
                let body = body.unwrap_or_default();
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                drop(stream.write_all(answer.as_bytes()));
            }
        })
        .unwrap();
    (url, count)
}

#[test]
fn servers_are_asked_once_and_seldom() {
    let signer = Signer::new("one");
    let set = Arc::new(std::sync::Mutex::new(None));
    let (url, count) = server(Arc::clone(&set));
    let refresh = Duration::from_secs(4);
    let host = host(jwt(KeySource::Url { url, ca_file: None, refresh }), None);
    let claims = json!({
        "iss": ISSUER, "aud": "otlp", "exp": seconds(600), "azp": "collector", "tenant": "acme",
    });
    host.wait_for("jwks_reads_total", &["wrong"], 1);
    // Without any keys nothing can be said: the sender is to come again.
    let headers = format!("{PROTOBUF}authorization: Bearer {}\r\n", signer.token(&claims));
    let answer = post(host.http, "/v1/traces", &headers, b"");
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true));
    *set.lock().unwrap() = Some(json!({"keys": [signer.jwk()]}).to_string());
    host.wait_for("jwks_reads_total", &["taken"], 1);
    assert_eq!(status(&host, &signer.token(&claims)), 200);
    // Made-up key ids from many senders do not reach the server.
    let before = count.load(Ordering::SeqCst);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(status(&host, &Signer::new("no").token(&claims)), 401));
        }
    });
    assert!(count.load(Ordering::SeqCst) <= before + 1);
    // A new key is found by the refresh, and a failing server keeps the old ones.
    let next = Signer::new("two");
    *set.lock().unwrap() = Some(json!({"keys": [next.jwk(), signer.jwk()]}).to_string());
    host.wait_until(|| status(&host, &next.token(&claims)) == 200);
    *set.lock().unwrap() = None;
    let wrong = host.count("jwks_reads_total", &["wrong"]);
    host.wait_for("jwks_reads_total", &["wrong"], wrong + 1);
    assert_eq!(status(&host, &signer.token(&claims)), 200);
    let log = format!("{:?}", host.log.take());
    assert!(log.contains("answered 500") && !log.contains("eyJ"), "{log}");
}

#[tokio::test]
async fn servers_are_asked_over_tls() {
    let (host, folder, _) = crate::receive::security::tls::tests::host(false, false, None);
    let url = format!("https://localhost:{}/keys", host.http.port());
    let wait = Duration::from_secs(300);
    let ca = folder.path().join("ca.pem");
    let trusting = KeyServer::new(&url, Some(&ca), wait).unwrap();
    let answer = trusting.refresh().await.unwrap().unwrap_err();
    assert!(answer.contains("answered 404"), "{answer}");
    let answer = trusting.look_again(|| false).await;
    assert!(answer.is_none(), "so soon after the last time");
    let stranger = folder.path().join("stranger.pem");
    std::fs::write(&stranger, crate::receive::security::tls::tests::issuer().pem()).unwrap();
    let wary = KeyServer::new(&url, Some(&stranger), wait).unwrap();
    let answer = wary.refresh().await.unwrap().unwrap_err();
    assert!(answer.contains("certificate") && !answer.contains("localhost:"), "{answer}");
    std::fs::write(&stranger, "rubbish").unwrap();
    let problem = KeyServer::new(&url, Some(&stranger), wait).unwrap_err();
    assert!(problem.contains("jwt_jwks_ca_file"), "{problem}");
}
