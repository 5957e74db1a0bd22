use std::time::Duration;

use super::super::tests::{Given, environment};
use super::super::{OPTIONS, settings};
use super::{ALIASES, StockOptions};
use crate::receive::{JwtSettings, KeySource, ReceiverSettings};

fn read(
    options: &[(&str, &str)],
    host: &[(&'static str, &'static str)],
) -> Result<ReceiverSettings, String> {
    let given = Given {
        options: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        listen: None,
        host: host.to_vec(),
    };
    let settings = settings(&given, &environment());
    settings.map(|(settings, _)| settings).map_err(|error| error.to_string())
}

fn good(options: &[(&str, &str)]) -> ReceiverSettings {
    read(options, &[]).unwrap()
}

fn bad(options: &[(&str, &str)], host: &[(&'static str, &'static str)]) -> String {
    read(options, host).unwrap_err()
}

/// Guarantees: a name of the stock input does what ours does; both at once are refused.
#[test]
fn aliases_mean_the_same() {
    let by = |stock: &str, value: &str| good(&[(stock, value)]);
    assert!(!by("http2", "off").limits.http2 && by("http2", "on").limits.http2);
    assert!(!by("http_server.http2", "off").limits.http2);
    for stock in ["buffer_max_size", "http_server.buffer_max_size"] {
        assert_eq!(by(stock, "4M").max_request_size, 4_000_000);
    }
    assert_eq!(by("http_server.max_connections", "7").limits.max_connections, Some(7));
    let idle = by("http_server.idle_timeout", "10s").limits.idle_timeout;
    assert_eq!(idle, Some(Duration::from_secs(10)));
    assert_eq!(by("http_server.ingress_queue_byte_limit", "9M").max_queue_size, 9_000_000);
    assert!(by("profiles_support", "on").profiles && !by("profiles_support", "off").profiles);
    let port = read(&[], &[("port", "4999")]).unwrap();
    assert_eq!((port.http_port, port.grpc_port), (Some(4999), Some(4317)));

    for StockOptions { own, stock } in ALIASES {
        let value = if own.starts_with("jwt") { "300" } else { "on" };
        let message = bad(&[(own, value), (stock.name, value)], &[]);
        let both = format!("options '{own}' and '{}' are one option under two names", stock.name);
        assert!(message.contains(&both), "{message}");
    }
    let message = bad(&[("http_port", "1")], &[("port", "4999")]);
    assert!(message.contains("'port' and 'http_port' are one option"), "{message}");
    for (stock, value) in [
        ("http2", "maybe"),
        ("buffer_max_size", "lots"),
        ("http_server.buffer_max_size", "12"),
        ("http_server.max_connections", "-1"),
        ("http_server.idle_timeout", "1ms"),
        ("http_server.ingress_queue_byte_limit", "x"),
        ("profiles_support", "experimental"),
        ("tag_from_uri", "yes please"),
        ("oauth2.validate", "sometimes"),
    ] {
        let message = bad(&[(stock, value)], &[]);
        assert!(message.contains(stock) && message.contains("allowed:"), "{stock}: {message}");
    }
}

/// Guarantees: without HTTP/2 there is no port for gRPC, and one that was asked for is refused.
#[test]
fn without_http2_there_is_no_grpc() {
    assert_eq!(good(&[("http2", "off")]).grpc_port, None);
    assert_eq!(good(&[("http2", "off"), ("grpc_port", "off")]).grpc_port, None);
    assert!(bad(&[("http2", "off"), ("grpc_port", "4317")], &[]).contains("needs HTTP/2"));
}

/// Guarantees: `oauth2.*` is what `jwt_*` is; it is never ignored: without `oauth2.validate` it
/// stops the start, and where that says off nobody is asked for a token, as in the stock input.
#[test]
fn oauth2_is_jwt() {
    const ALL: [(&str, &str); 5] = [
        ("oauth2.issuer", "https://issuer"),
        ("oauth2.jwks_url", "https://issuer/keys"),
        ("oauth2.allowed_audience", "a"),
        ("oauth2.allowed_clients", "b,c"),
        ("oauth2.jwks_refresh_interval", "60"),
    ];
    let with = |validate: &'static str| [&[("oauth2.validate", validate)], &ALL[..]].concat();
    let jwt = good(&with("on")).security.jwt.unwrap();
    let JwtSettings { keys, issuer, audiences, clients, .. } = jwt;
    let KeySource::Url { url, refresh, .. } = keys else { panic!("no URL") };
    assert_eq!((url.as_str(), issuer.as_str()), ("https://issuer/keys", "https://issuer"));
    assert_eq!(refresh, Duration::from_secs(60));
    assert_eq!((audiences, clients), (vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()]));
    assert!(good(&with("off")).security.jwt.is_none());
    for one in ALL {
        let message = bad(&[one], &[]);
        assert!(message.contains(one.0) && message.contains("'oauth2.validate: on'"), "{message}");
    }
    assert!(bad(&[("oauth2.validate", "on")], &[]).contains("needs the options"));
    let without = |name: &str| {
        let left: Vec<_> = with("on").into_iter().filter(|(option, _)| *option != name).collect();
        bad(&left, &[])
    };
    assert!(without("oauth2.issuer").contains("'oauth2.issuer' is needed"));
    assert!(without("oauth2.jwks_url").contains("only beside"));
    for (option, value) in [("oauth2.jwks_url", "nowhere"), ("oauth2.jwks_refresh_interval", "1")] {
        let mut wrong = with("on");
        wrong.retain(|(known, _)| *known != option);
        wrong.push((option, value));
        let message = bad(&wrong, &[]);
        assert!(message.contains(option) && message.contains("allowed:"), "{message}");
    }
}

/// Guarantees: what has no meaning here stops the start and names what to use, also among the keys
/// that the host takes without asking us.
#[test]
fn nothing_is_ignored() {
    for (option, value, message) in [
        ("tag_key", "x", "'tag_from'"),
        ("buffer_chunk_size", "1M", "leave the option out"),
        ("http_server.buffer_chunk_size", "1M", "leave the option out"),
        ("workers", "2", "threads"),
        ("http_server.workers", "2", "threads"),
        ("http_server.ingress_queue_event_limit", "5", "'max_queue_size'"),
        ("net.backlog", "5", "listens by itself"),
        ("net.keepalive", "on", "listens by itself"),
        ("successful_response_code", "201", "allowed: 200"),
        ("raw_traces", "on", "allowed: off"),
        ("encode_profiles_as_log", "on", "'profiles: accept'"),
        ("logs_metadata_key", "meta", "allowed: otlp"),
        ("logs_body_key", "", "allowed: the name of a key"),
    ] {
        let found = bad(&[(option, value)], &[]);
        assert!(found.contains(option) && found.contains(message), "{option}: {found}");
    }
    for (option, value, message) in [
        ("host", "0.0.0.0", "'listen'"),
        ("tls.ca_path", "/etc/ssl", "'tls.ca_file'"),
        ("tls.vhost", "a.example", "'tls.crt_file'"),
        ("tls.verify_hostname", "on", "'tls.ca_file'"),
        ("tls.debug", "4", "tls_failures_total"),
    ] {
        let found = bad(&[], &[(option, value)]);
        assert!(found.contains(option) && found.contains(message), "{option}: {found}");
    }
    good(&[
        ("successful_response_code", "200"),
        ("raw_traces", "off"),
        ("logs_metadata_key", "otlp"),
        ("encode_profiles_as_log", "off"),
    ]);
}

/// Guarantees: the key for the bodies of logs is taken as it is given.
#[test]
fn bodies_may_have_a_key() {
    assert_eq!(good(&[]).logs_body_key, None);
    assert_eq!(good(&[("logs_body_key", "message")]).logs_body_key.as_deref(), Some("message"));
}

/// Guarantees: tags by path are for signals that have no other; a `tag` of the user wins, as in the
/// stock input.
#[test]
fn tags_by_path() {
    let of = |options: &[(&str, &str)], tag: &'static str| {
        read(options, &[("tag", tag)]).unwrap().tenancy.tags.signals.map(Option::unwrap_or_default)
    };
    let on = ("tag_from_uri", "on");
    let all = ["v1_traces", "v1_metrics", "v1_logs", "v1development_profiles"];
    assert_eq!(of(&[on], "ai_otlp.0"), all);
    assert_eq!(of(&[on], "mine"), [""; 4]);
    assert_eq!(of(&[on, ("tag_logs", "l")], "ai_otlp.12"), [all[0], all[1], "l", all[3]]);
    assert_eq!(of(&[("tag_from_uri", "off")], "ai_otlp.0"), [""; 4]);
}

/// Guarantees: the host's help shows every name that is taken.
#[test]
fn every_name_is_declared_once() {
    let declared = |name: &str| OPTIONS.iter().filter(|option| option.name == name).count();
    for StockOptions { own, stock } in ALIASES {
        assert_eq!((declared(own), declared(stock.name)), (1, 1), "{own}, {}", stock.name);
    }
    for (name, _) in super::REFUSED {
        assert_eq!(declared(name), 1, "{name}");
    }
}
