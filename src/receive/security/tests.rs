//! Credentials, checked on a receiver that listens.

use super::settings::SecuritySettings;
use super::{LOOK, Secret};
use crate::receive::tests::host::{Host, settings};
use crate::receive::tests::post::{Answer, PROTOBUF, post, receive, send};

/// A receiver with these settings.
fn host(security: SecuritySettings) -> Host {
    let mut settings = settings();
    settings.security = security;
    Host::with(&settings)
}

fn with(host: &Host, authorization: &str) -> Answer {
    let headers = format!("{PROTOBUF}authorization: {authorization}\r\n");
    post(host.http, "/v1/traces", &headers, b"")
}

fn status(host: &Host, authorization: &str) -> u16 {
    with(host, authorization).status
}

#[test]
fn bearer_tokens_and_users() {
    let host = host(SecuritySettings {
        bearer_tokens: vec![Secret::new("sesame"), Secret::new("other")],
        basic: Some(("alice".to_owned(), Secret::new("wonder:land"))),
        ..SecuritySettings::default()
    });
    assert_eq!(status(&host, "Bearer sesame"), 200);
    assert_eq!(status(&host, "bearer  other"), 200);
    // alice:wonder:land
    assert_eq!(status(&host, "Basic YWxpY2U6d29uZGVyOmxhbmQ="), 200);
    let answer = post(host.http, "/v1/traces", PROTOBUF, b"");
    assert_eq!(answer.status, 401);
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.contains("Bearer") && challenge.contains("Basic"), "{challenge}");
    assert!(answer.message().contains("authorization"), "{}", answer.message());
    let wrong = [
        ("Bearer sesam", "token"),
        ("Bearer sesame2", "token"),
        ("Bearer", "unreadable"),
        ("Basic ???", "unreadable"),
        ("Basic YWxpY2U6d29uZGVy", "password"),
        ("Digest x", "scheme"),
        ("Bearer sesame\r\nauthorization: Bearer sesame", "unreadable"),
    ];
    for (index, (authorization, reason)) in wrong.iter().enumerate() {
        let before = host.count("denied_requests_total", &[reason]);
        let answer = with(&host, authorization);
        assert_eq!(answer.status, 401, "{index}");
        assert!(!answer.message().contains("sesam"), "{}", answer.message());
        assert_eq!(host.count("denied_requests_total", &[reason]), before + 1, "{reason}");
    }
    assert_eq!(host.count("refused_requests_total", &["unauthenticated"]), 8);
    let log = format!("{:?}", host.log.take());
    assert!(!log.contains("sesam") && !log.contains("YWxp"), "{log}");
}

#[test]
fn a_body_is_not_read_before_the_check() {
    let security = SecuritySettings {
        bearer_tokens: vec![Secret::new("sesame")],
        ..SecuritySettings::default()
    };
    let host = host(security);
    // Without a valid content type and far too large: the credentials come first.
    let answer = post(host.http, "/v1/traces", "authorization: Bearer no\r\n", &vec![0; 2 << 20]);
    assert_eq!(answer.status, 401);
    assert_eq!(post(host.http, "/v1/nothing", PROTOBUF, b"").status, 404);
}

#[test]
fn files_are_read_again_when_they_change() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    let tenants = folder.path().join("tenants.yaml");
    std::fs::write(&tokens, "# ours\n\nfirst\nsecond\n").unwrap();
    std::fs::write(&tenants, "tenants:\n  acme:\n    bearer_tokens: [third]\n").unwrap();
    let host = host(SecuritySettings {
        bearer_token_file: Some(tokens.clone()),
        tenants_file: Some(tenants.clone()),
        ..SecuritySettings::default()
    });
    for (token, status_code) in [("first", 200), ("second", 200), ("third", 200), ("# ours", 401)] {
        assert_eq!(status(&host, &format!("Bearer {token}")), status_code, "{token}");
    }
    std::fs::write(&tokens, "fourth\n").unwrap();
    host.wait_until(|| status(&host, "Bearer fourth") == 200);
    assert_eq!(status(&host, "Bearer first"), 401);
    std::fs::write(&tenants, "tenants:\n  acme:\n    bearer_tokens: fifth\n").unwrap();
    std::thread::sleep(LOOK * 2);
    assert_eq!(status(&host, "Bearer third"), 200);
    let log = format!("{:?}", host.log.take());
    assert!(log.contains("the former credentials stay in use"), "{log}");
    assert!(!log.contains("fifth") && !log.contains("third"), "{log}");
}

#[test]
fn pages_of_allowed_origins_may_send() {
    let host = host(SecuritySettings {
        bearer_tokens: vec![Secret::new("sesame")],
        cors_allowed_origins: vec!["https://*.example.com".to_owned()],
        ..SecuritySettings::default()
    });
    let ask = |origin: &str, headers: &str| {
        let headers = format!(
            "origin: {origin}\r\naccess-control-request-method: POST\r\n\
             access-control-request-headers: {headers}\r\n"
        );
        receive(send(host.http, "OPTIONS", "/v1/traces", &headers, b""))
    };
    let yes = ask("https://app.example.com", "content-type,authorization");
    assert_eq!(yes.status, 204);
    assert_eq!(yes.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(yes.header("access-control-allow-methods"), Some("POST"));
    assert!(yes.header("vary").unwrap().contains("origin"));
    for no in [ask("https://evil.test", "content-type"), ask("https://a.example.com", "x-odd")] {
        assert_eq!((no.status, no.header("access-control-allow-origin")), (204, None));
    }
    // The answers carry the header too, so that the page may read even a refusal.
    let origin = "origin: https://app.example.com\r\n";
    let refused = post(host.http, "/v1/traces", &format!("{PROTOBUF}{origin}"), b"");
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(post(host.http, "/v1/traces", PROTOBUF, b"").header("vary"), Some("origin"));
    // An OPTIONS that is no preflight is a wrong method, as before.
    assert_eq!(receive(send(host.http, "OPTIONS", "/v1/traces", "", b"")).status, 405);
}
