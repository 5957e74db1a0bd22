//! Value parsers: the values of an endpoint's keys.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};

use crate::cipher_suites;
use crate::condition::Condition;
use crate::config::{parse_bool, parse_duration, parse_list, parse_size};
use crate::export::{
    AddressFamily, Compression, Http2, OnError, OnMisdirected, Password, Protocol,
};
use crate::genai::BackendDialect;
use crate::model::Signal;

/// The longest timeout.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// The longest time in which a chunk may be tried before it goes back to the host.
const MAX_IN_PLACE: Duration = Duration::from_secs(600);

/// Why a value is not taken: what is allowed instead.
pub(super) type WrongValue = String;

/// An address of a server.
pub(super) fn url(text: &str) -> Result<Uri, WrongValue> {
    const ALLOWED: &str = "allowed: a URL such as http://host:4318 or https://host/path";
    let uri: Uri = text.parse().map_err(|_| ALLOWED.to_owned())?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.host().unwrap_or_default();
    if known && !host.is_empty() { Ok(uri) } else { Err(ALLOWED.to_owned()) }
}

pub(super) fn proxy(value: &str) -> Result<String, WrongValue> {
    url(value)
        .map(|_| value.to_owned())
        .map_err(|_| "write a URL such as http://proxy:3128".to_owned())
}

pub(super) fn server_name(value: &str) -> Result<String, WrongValue> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    if !value.is_empty() && value.chars().all(valid) {
        return Ok(value.to_owned());
    }
    Err("allowed: a host name, without a port".to_owned())
}

pub(super) fn choice<T: Copy>(value: &str, choices: &[(&str, T)]) -> Result<T, WrongValue> {
    let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let allowed: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("allowed: {}", allowed.join(", "))
    })
}

pub(super) fn protocol(value: &str) -> Result<Protocol, WrongValue> {
    use Protocol::{Grpc, HttpJson, HttpProtobuf};
    choice(value, &[("http/protobuf", HttpProtobuf), ("http/json", HttpJson), ("grpc", Grpc)])
}

pub(super) fn compression(value: &str) -> Result<Compression, WrongValue> {
    let choices =
        [("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];
    choice(value, &choices)
}

pub(super) fn timeout(value: &str) -> Result<Duration, WrongValue> {
    parse_duration(value)
        .filter(|timeout| !timeout.is_zero() && *timeout <= MAX_TIMEOUT)
        .ok_or_else(|| "allowed: a duration such as 500ms or 10s, up to 10m".to_owned())
}

/// Zero is for ever.
pub(super) fn elapsed(value: &str) -> Result<Option<Duration>, WrongValue> {
    let time = parse_duration(value);
    let time = time.ok_or_else(|| "allowed: a duration such as 5m, or 0 for ever".to_owned())?;
    Ok((!time.is_zero()).then_some(time))
}

/// Zero is not at all.
pub(super) fn in_place(value: &str) -> Result<Duration, WrongValue> {
    parse_duration(value)
        .filter(|time| *time <= MAX_IN_PLACE)
        .ok_or_else(|| "allowed: a duration up to 10m such as 30s, or 0 for not at all".to_owned())
}

/// `None` is without end. Connections that live for less than a second are no connections kept.
pub(super) fn connection_age(value: &str) -> Result<Option<Duration>, WrongValue> {
    let age = parse_duration(value).filter(|age| age.is_zero() || age.as_secs() >= 1);
    let age = age.ok_or("allowed: 0 (no limit), or a duration from 1s such as 5m")?;
    Ok(Some(age).filter(|age| !age.is_zero()))
}

pub(super) fn signals(value: &str) -> Result<Vec<Signal>, WrongValue> {
    let mut signals = Vec::new();
    for name in parse_list(value) {
        let known = Signal::WITH_PROFILES
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(&name));
        signals.push(known.ok_or_else(|| "allowed: traces, metrics, logs, profiles".to_owned())?);
    }
    if signals.is_empty() {
        Err("allowed: traces, metrics, logs, profiles".to_owned())
    } else {
        Ok(signals)
    }
}

pub(super) fn condition(value: &str) -> Result<Condition, WrongValue> {
    let condition = Condition::compile(value).map_err(|error| error.to_string())?;
    if condition.needs_trace() {
        let reason = "it is asked for each item, which has no 'spans', 'errors' or 'root'";
        return Err(reason.to_owned());
    }
    Ok(condition)
}

pub(super) fn percentage(value: &str) -> Result<f64, WrongValue> {
    value
        .trim_end_matches('%')
        .parse()
        .ok()
        .filter(|percentage| (0.0..=100.0).contains(percentage))
        .ok_or_else(|| "allowed: a number from 0 to 100".to_owned())
}

pub(super) fn request_size(value: &str) -> Result<usize, WrongValue> {
    parse_size(value)
        .and_then(|size| usize::try_from(size).ok())
        .filter(|size| (1_000..=1_000_000_000).contains(size))
        .ok_or_else(|| "allowed: a size from 1k to 1g".to_owned())
}

pub(super) fn request_items(value: &str) -> Result<usize, WrongValue> {
    let items = value.parse().ok().filter(|items| *items > 0);
    items.ok_or_else(|| "allowed: a number from 1".to_owned())
}

/// Any text.
#[expect(clippy::unnecessary_wraps, reason = "as all readers of values")]
pub(super) fn text(value: &str) -> Result<String, WrongValue> {
    Ok(value.to_owned())
}

/// Text that counts as not given where it is empty.
#[expect(clippy::unnecessary_wraps, reason = "as all readers of values")]
pub(super) fn given(value: &str) -> Result<Option<String>, WrongValue> {
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

/// Texts separated by commas.
#[expect(clippy::unnecessary_wraps, reason = "as all readers of values")]
pub(super) fn list(value: &str) -> Result<Vec<String>, WrongValue> {
    Ok(parse_list(value))
}

/// The path of a file or folder.
pub(super) fn file(value: &str) -> Result<PathBuf, WrongValue> {
    let path = (!value.is_empty()).then(|| PathBuf::from(value));
    path.ok_or_else(|| "allowed: a path".to_owned())
}

/// The whole path of a signal's requests, with its query.
pub(super) fn path(
    paths: &mut Vec<(Signal, PathAndQuery)>,
    signal: Signal,
    value: &str,
) -> Result<(), WrongValue> {
    let path = value.parse().ok().filter(|_| value.starts_with('/'));
    let path = path.ok_or_else(|| "allowed: a path such as /v1/logs or /in?key=1".to_owned())?;
    paths.retain(|(known, _)| *known != signal);
    paths.push((signal, path));
    Ok(())
}

/// Which version of HTTP is spoken.
pub(super) fn http2(value: &str) -> Result<Http2, WrongValue> {
    if let Some(on) = parse_bool(value) {
        return Ok(if on { Http2::On } else { Http2::Off });
    }
    let choices = [("auto", Http2::Auto), ("force", Http2::Force)];
    choice(value, &choices).map_err(|_| "allowed: auto, off, on, force".to_owned())
}

pub(super) fn on_misdirected(value: &str) -> Result<OnMisdirected, WrongValue> {
    choice(value, &[("drop", OnMisdirected::Drop), ("retry", OnMisdirected::Retry)])
}

pub(super) fn on_error(value: &str) -> Result<OnError, WrongValue> {
    choice(value, &[("drop", OnError::Drop), ("keep", OnError::Keep)])
}

/// The dialect that a backend reads.
pub(super) fn dialect(value: &str) -> Result<BackendDialect, WrongValue> {
    let names = [
        ("current", BackendDialect::Current),
        ("original", BackendDialect::Original),
        ("openinference", BackendDialect::OpenInference),
        ("openllmetry", BackendDialect::OpenLlmetry),
    ];
    choice(value, &names)
}

/// Whether metrics of model servers get the names of the conventions.
pub(super) fn server_metrics(value: &str) -> Result<bool, WrongValue> {
    choice(value, &[("original", false), ("current", true)])
}

/// How many values an attribute of a metric may have.
pub(super) fn attribute_values(value: &str) -> Result<usize, WrongValue> {
    let count = value.parse().ok().filter(|count| (1..=100_000).contains(count));
    count.ok_or_else(|| "allowed: a whole number from 1 to 100000".to_owned())
}

/// How long an unused connection is kept.
pub(super) fn idle(value: &str) -> Result<Duration, WrongValue> {
    let time = parse_duration(value).filter(|time| !time.is_zero());
    time.ok_or_else(|| "allowed: a duration such as 30s".to_owned())
}

/// Seconds between questions of TCP's keep-alive.
pub(super) fn keepalive(value: &str) -> Result<Duration, WrongValue> {
    let time = parse_duration(value).filter(|time| (1..=32_767).contains(&time.as_secs()));
    time.ok_or_else(|| "allowed: seconds from 1 to 32767".to_owned())
}

/// Unanswered questions after which TCP gives a connection up.
pub(super) fn probes(value: &str) -> Result<u32, WrongValue> {
    let probes = value.parse().ok().filter(|probes| (1..=127).contains(probes));
    probes.ok_or_else(|| "allowed: a number from 1 to 127".to_owned())
}

/// An address of this machine.
pub(super) fn address(value: &str) -> Result<IpAddr, WrongValue> {
    value.parse().map_err(|_| "allowed: an IP address".to_owned())
}

/// The family of addresses that is tried first.
pub(super) fn prefer(
    prefer: &mut Option<AddressFamily>,
    family: AddressFamily,
    value: &str,
) -> Result<(), WrongValue> {
    let wanted = switch(value)?;
    if wanted && prefer.is_some_and(|other| other != family) {
        return Err("one of net.dns.prefer_ipv4 and net.dns.prefer_ipv6 can be on".to_owned());
    }
    if wanted {
        *prefer = Some(family);
    }
    Ok(())
}

/// `on` or `off`.
pub(super) fn switch(value: &str) -> Result<bool, WrongValue> {
    parse_bool(value).ok_or_else(|| "allowed: on, off".to_owned())
}

/// The size of a file of dead letters, in bytes.
pub(super) fn letters_size(value: &str) -> Result<u64, WrongValue> {
    let size = parse_size(value).filter(|size| *size >= 1000);
    size.ok_or_else(|| "allowed: a size from 1k".to_owned())
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AuthMethod {
    Basic,
    Post,
    PrivateKeyJwt,
}

pub(super) fn auth_method(value: &str) -> Result<AuthMethod, WrongValue> {
    use AuthMethod::{Basic, Post, PrivateKeyJwt};
    choice(value, &[("basic", Basic), ("post", Post), ("private_key_jwt", PrivateKeyJwt)])
}

/// The life of a client assertion.
pub(super) fn jwt_ttl(value: &str) -> Result<Duration, WrongValue> {
    let time = parse_duration(value).filter(|time| (1..=86_400).contains(&time.as_secs()));
    time.ok_or_else(|| "allowed: seconds from 1 to 86400".to_owned())
}

/// How long before its end a token is renewed.
pub(super) fn skew(value: &str) -> Result<Duration, WrongValue> {
    let time = parse_duration(value).filter(|time| time.as_secs() <= 86_400);
    time.ok_or_else(|| "allowed: seconds from 0 to 86400".to_owned())
}

/// A timeout, or zero for the usual one.
pub(super) fn timeout_or_zero(value: &str) -> Result<Option<Duration>, WrongValue> {
    match parse_duration(value) {
        Some(time) if time.is_zero() => Ok(None),
        _ => timeout(value).map(Some),
    }
}

pub(super) fn header_value(value: &str) -> Result<HeaderValue, WrongValue> {
    value.parse().map_err(|_| "allowed: text that a header can have".to_owned())
}

/// A password.
pub(super) fn password(value: &str) -> Result<Password, WrongValue> {
    let password = (!value.is_empty()).then(|| Password(value.to_owned()));
    password.ok_or_else(|| "a password is needed".to_owned())
}

/// A version of TLS.
pub(super) fn tls_version(value: &str) -> Result<u8, WrongValue> {
    let version = cipher_suites::parse_version(value);
    version.ok_or_else(|| "allowed: TLSv1.2, TLSv1.3".to_owned())
}

/// Names of cipher suites.
pub(super) fn ciphers(value: &str) -> Result<Vec<String>, WrongValue> {
    let names = cipher_suites::parse_names(value);
    cipher_suites::provider(&names).map(|_| names)
}
