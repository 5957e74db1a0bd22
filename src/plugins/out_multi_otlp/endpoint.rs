//! The options `endpoint.NAME.KEY`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use super::headers;
use crate::condition::Condition;
use crate::config::{Parser, parse_bool, parse_duration, parse_list, parse_size};
use crate::export::{Compression, Content, EndpointSettings, OnError, Protocol};
use crate::model::Signal;

/// One line of help for the host.
pub(super) const HELP: &str = "endpoint.NAME.KEY: url, protocol (http/protobuf, http/json, grpc), headers, \
    compression (none, gzip), timeout, signals, where, on_error (drop, keep), content (keep, drop), \
    sampling_percentage, max_request_size, tls.ca_file, tls.crt_file, tls.key_file, tls.verify.";

/// Every key.
const KEYS: [&str; 15] = [
    "url",
    "protocol",
    "headers",
    "compression",
    "timeout",
    "signals",
    "where",
    "on_error",
    "content",
    "sampling_percentage",
    "max_request_size",
    "tls.ca_file",
    "tls.crt_file",
    "tls.key_file",
    "tls.verify",
];

/// The longest timeout.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// Why a value is not taken: what is allowed instead.
type Wrong = String;

/// Reads one endpoint; problems go to the parser.
pub(super) fn parse(
    parser: &mut Parser<'_>,
    name: &str,
    given: &[(String, String)],
) -> Option<EndpointSettings> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(valid) {
        parser.problem(format!(
            "option 'endpoint.{name}': endpoint names consist of letters, digits, '_' and '-'"
        ));
        return None;
    }
    let url = given.iter().rev().find(|(key, _)| key == "url").map(|(_, value)| value.trim());
    let Some(url) = url else {
        parser.problem(format!("endpoint '{name}' has no 'endpoint.{name}.url'"));
        // The other options are looked at all the same, so that all mistakes are told.
        let mut nowhere = EndpointSettings::new(name, Uri::from_static("http://0.0.0.0"));
        fill(parser, &mut nowhere, given);
        return None;
    };
    let parsed = parse_url(url);
    if let Err(allowed) = &parsed {
        parser.refuse(&format!("endpoint.{name}.url"), &without_password(url), allowed);
    }
    let place = parsed.clone().unwrap_or_else(|_| Uri::from_static("http://0.0.0.0"));
    let mut endpoint = EndpointSettings::new(name, place);
    fill(parser, &mut endpoint, given);
    parsed.ok().map(|_| endpoint)
}

fn fill(parser: &mut Parser<'_>, endpoint: &mut EndpointSettings, given: &[(String, String)]) {
    for (key, value) in given {
        let option = format!("endpoint.{}.{key}", endpoint.name);
        let value = value.trim();
        if !KEYS.contains(&key.as_str()) {
            let allowed = KEYS.join(", ");
            parser
                .problem(format!("option '{option}': there is no key '{key}'; allowed: {allowed}"));
            continue;
        }
        if key == "headers" {
            match headers::parse(value) {
                Ok(headers) => endpoint.headers.extend(headers),
                Err(problem) => parser.problem(format!("option '{option}': {problem}")),
            }
            continue;
        }
        if let Err(allowed) = set(endpoint, key, value) {
            parser.refuse(&option, value, &allowed);
        }
    }
}

fn set(endpoint: &mut EndpointSettings, key: &str, value: &str) -> Result<(), Wrong> {
    match key {
        "protocol" => endpoint.protocol = protocol(value)?,
        "compression" => endpoint.compression = compression(value)?,
        "timeout" => endpoint.timeout = timeout(value)?,
        "signals" => endpoint.signals = signals(value)?,
        "where" => endpoint.condition = Some(Arc::new(condition(value)?)),
        "on_error" => {
            endpoint.on_error = word(value, &[("drop", OnError::Drop), ("keep", OnError::Keep)])?;
        }
        "content" => {
            endpoint.content = word(value, &[("keep", Content::Keep), ("drop", Content::Drop)])?;
        }
        "sampling_percentage" => endpoint.sampling_percentage = Some(percentage(value)?),
        "max_request_size" => endpoint.max_request_size = request_size(value)?,
        "tls.ca_file" => endpoint.tls.ca_file = Some(PathBuf::from(value)),
        "tls.crt_file" => endpoint.tls.crt_file = Some(PathBuf::from(value)),
        "tls.key_file" => endpoint.tls.key_file = Some(PathBuf::from(value)),
        "tls.verify" => {
            endpoint.tls.verify = parse_bool(value).ok_or_else(|| "allowed: on, off".to_owned())?;
        }
        _ => {}
    }
    Ok(())
}

fn parse_url(text: &str) -> Result<Uri, Wrong> {
    const ALLOWED: &str = "allowed: a URL such as http://host:4318 or https://host/path";
    let uri: Uri = text.parse().map_err(|_| ALLOWED.to_owned())?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.host().unwrap_or_default();
    if known && !host.is_empty() { Ok(uri) } else { Err(ALLOWED.to_owned()) }
}

/// An URL may hold a password.
fn without_password(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) => format!("...@{host}"),
        None => url.to_owned(),
    }
}

fn word<T: Copy>(value: &str, words: &[(&str, T)]) -> Result<T, Wrong> {
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("allowed: {}", allowed.join(", "))
    })
}

fn protocol(value: &str) -> Result<Protocol, Wrong> {
    use Protocol::{Grpc, HttpJson, HttpProtobuf};
    word(value, &[("http/protobuf", HttpProtobuf), ("http/json", HttpJson), ("grpc", Grpc)])
}

fn compression(value: &str) -> Result<Compression, Wrong> {
    if value.eq_ignore_ascii_case("zstd") {
        return Err("zstd is not supported yet; allowed: none, gzip".to_owned());
    }
    word(value, &[("none", Compression::None), ("gzip", Compression::Gzip)])
}

fn timeout(value: &str) -> Result<Duration, Wrong> {
    parse_duration(value)
        .filter(|timeout| !timeout.is_zero() && *timeout <= MAX_TIMEOUT)
        .ok_or_else(|| "allowed: a duration such as 500ms or 10s, up to 10m".to_owned())
}

fn signals(value: &str) -> Result<Vec<Signal>, Wrong> {
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

fn condition(value: &str) -> Result<Condition, Wrong> {
    let condition = Condition::compile(value).map_err(|error| error.to_string())?;
    if condition.needs_trace() {
        let words = "it is asked for each item, which has no 'spans', 'errors' or 'root'";
        return Err(words.to_owned());
    }
    Ok(condition)
}

fn percentage(value: &str) -> Result<f64, Wrong> {
    value
        .trim_end_matches('%')
        .parse()
        .ok()
        .filter(|percentage| (0.0..=100.0).contains(percentage))
        .ok_or_else(|| "allowed: a number from 0 to 100".to_owned())
}

fn request_size(value: &str) -> Result<usize, Wrong> {
    parse_size(value)
        .and_then(|size| usize::try_from(size).ok())
        .filter(|size| (1_000..=1_000_000_000).contains(size))
        .ok_or_else(|| "allowed: a size from 1k to 1g".to_owned())
}
