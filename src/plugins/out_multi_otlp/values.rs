//! Values of the keys of an endpoint.

use std::time::Duration;

use http::Uri;

use crate::condition::Condition;
use crate::config::{parse_bool, parse_duration, parse_list, parse_size};
use crate::export::{Compression, Protocol};
use crate::model::Signal;

/// The longest timeout.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// Why a value is not taken: what is allowed instead.
pub(super) type Wrong = String;

/// An address of a server.
pub(super) fn url(text: &str) -> Result<Uri, Wrong> {
    const ALLOWED: &str = "allowed: a URL such as http://host:4318 or https://host/path";
    let uri: Uri = text.parse().map_err(|_| ALLOWED.to_owned())?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.host().unwrap_or_default();
    if known && !host.is_empty() { Ok(uri) } else { Err(ALLOWED.to_owned()) }
}

pub(super) fn proxy(value: &str) -> Result<String, Wrong> {
    url(value)
        .map(|_| value.to_owned())
        .map_err(|_| "write a URL such as http://proxy:3128".to_owned())
}

pub(super) fn server_name(value: &str) -> Result<String, Wrong> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    if !value.is_empty() && value.chars().all(valid) {
        return Ok(value.to_owned());
    }
    Err("allowed: a host name, without a port".to_owned())
}

pub(super) fn word<T: Copy>(value: &str, words: &[(&str, T)]) -> Result<T, Wrong> {
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("allowed: {}", allowed.join(", "))
    })
}

pub(super) fn protocol(value: &str) -> Result<Protocol, Wrong> {
    use Protocol::{Grpc, HttpJson, HttpProtobuf};
    word(value, &[("http/protobuf", HttpProtobuf), ("http/json", HttpJson), ("grpc", Grpc)])
}

pub(super) fn compression(value: &str) -> Result<Compression, Wrong> {
    let words =
        [("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];
    word(value, &words)
}

pub(super) fn timeout(value: &str) -> Result<Duration, Wrong> {
    parse_duration(value)
        .filter(|timeout| !timeout.is_zero() && *timeout <= MAX_TIMEOUT)
        .ok_or_else(|| "allowed: a duration such as 500ms or 10s, up to 10m".to_owned())
}

/// Zero is for ever.
pub(super) fn elapsed(value: &str) -> Result<Option<Duration>, Wrong> {
    let time = parse_duration(value);
    let time = time.ok_or_else(|| "allowed: a duration such as 5m, or 0 for ever".to_owned())?;
    Ok((!time.is_zero()).then_some(time))
}

/// `None` is without end. Connections that live for less than a second are no connections kept.
pub(super) fn connection_age(value: &str) -> Result<Option<Duration>, Wrong> {
    let age = parse_duration(value).filter(|age| age.is_zero() || age.as_secs() >= 1);
    let age = age.ok_or("allowed: 0 (no limit), or a duration from 1s such as 5m")?;
    Ok(Some(age).filter(|age| !age.is_zero()))
}

pub(super) fn signals(value: &str) -> Result<Vec<Signal>, Wrong> {
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

pub(super) fn condition(value: &str) -> Result<Condition, Wrong> {
    let condition = Condition::compile(value).map_err(|error| error.to_string())?;
    if condition.needs_trace() {
        let words = "it is asked for each item, which has no 'spans', 'errors' or 'root'";
        return Err(words.to_owned());
    }
    Ok(condition)
}

pub(super) fn percentage(value: &str) -> Result<f64, Wrong> {
    value
        .trim_end_matches('%')
        .parse()
        .ok()
        .filter(|percentage| (0.0..=100.0).contains(percentage))
        .ok_or_else(|| "allowed: a number from 0 to 100".to_owned())
}

pub(super) fn request_size(value: &str) -> Result<usize, Wrong> {
    parse_size(value)
        .and_then(|size| usize::try_from(size).ok())
        .filter(|size| (1_000..=1_000_000_000).contains(size))
        .ok_or_else(|| "allowed: a size from 1k to 1g".to_owned())
}

pub(super) fn request_items(value: &str) -> Result<usize, Wrong> {
    let items = value.parse().ok().filter(|items| *items > 0);
    items.ok_or_else(|| "allowed: a number from 1".to_owned())
}

/// A value that counts as not given where it is empty.
pub(super) fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// `on` or `off`.
pub(super) fn switch(value: &str) -> Result<bool, Wrong> {
    parse_bool(value).ok_or_else(|| "allowed: on, off".to_owned())
}

/// The size of a file of dead letters, in bytes.
pub(super) fn letters_size(value: &str) -> Result<u64, Wrong> {
    let size = parse_size(value).filter(|size| *size >= 1000);
    size.ok_or_else(|| "allowed: a size from 1k".to_owned())
}
