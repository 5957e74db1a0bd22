//! The options `endpoint.NAME.KEY`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use super::{content, headers, together};
use crate::condition::Condition;
use crate::config::{Parser, parse_bool, parse_duration, parse_list, parse_size};
use crate::export::{Compression, EndpointSettings, OnError, Protocol};
use crate::model::Signal;

/// One line of help for the host.
pub(super) const HELP: &str = "endpoint.NAME.KEY: url, protocol (http/protobuf, http/json, grpc), headers, \
    headers_file, header_from (NAME=resource.KEY, scope.KEY or attributes.KEY), http_user, \
    http_passwd, bearer_token, bearer_token_file, oauth2.token_url, oauth2.client_id, \
    oauth2.client_secret, oauth2.scopes, oauth2.audience, compression (none, gzip, zstd), timeout, \
    max_elapsed_time, max_connection_age, \
    signals, where, on_error (drop, keep), content (keep, drop, truncate:BYTES, or one or more of \
    errors_only, findings_only, sample:PERCENT), \
    attributes.add (KEY=VALUE), attributes.drop, attributes.rename (OLD=NEW), attributes.hash, \
    attributes.hash_key; KEY is of the item, or of its resource as resource.KEY; sampling_percentage, \
    max_request_size, max_request_items, dead_letter (name of an endpoint), dead_letter_file, dead_letter_file_size, \
    proxy, tls.ca_file, tls.crt_file, tls.key_file, tls.server_name, tls.verify.";

/// Every key.
const KEYS: [&str; 39] = [
    "url",
    "protocol",
    "headers",
    "headers_file",
    "header_from",
    "http_user",
    "http_passwd",
    "bearer_token",
    "bearer_token_file",
    "oauth2.token_url",
    "oauth2.client_id",
    "oauth2.client_secret",
    "oauth2.scopes",
    "oauth2.audience",
    "compression",
    "timeout",
    "max_elapsed_time",
    "max_connection_age",
    "signals",
    "where",
    "on_error",
    "content",
    "attributes.add",
    "attributes.drop",
    "attributes.rename",
    "attributes.hash",
    "attributes.hash_key",
    "sampling_percentage",
    "max_request_size",
    "max_request_items",
    "dead_letter",
    "dead_letter_file",
    "dead_letter_file_size",
    "proxy",
    "tls.ca_file",
    "tls.crt_file",
    "tls.key_file",
    "tls.server_name",
    "tls.verify",
];

/// Keys whose values are never shown.
const SECRET: [&str; 7] = [
    "headers",
    "http_user",
    "http_passwd",
    "bearer_token",
    "oauth2.client_secret",
    "attributes.hash_key",
    "proxy",
];

/// Keys that say what of a chunk an endpoint gets. The members of a group agree on them, because
/// what one cannot take goes to another.
pub(super) const VIEW: [&str; 12] = [
    "signals",
    "where",
    "on_error",
    "content",
    "attributes.add",
    "attributes.drop",
    "attributes.rename",
    "attributes.hash",
    "attributes.hash_key",
    "sampling_percentage",
    "max_request_size",
    "max_request_items",
];

/// The longest timeout.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// Why a value is not taken: what is allowed instead.
type Wrong = String;

/// Options as (key, value).
pub(super) type Given = [(String, String)];

/// Reads one endpoint; problems go to the parser. `defaults` are what its group says, which was
/// looked at already.
pub(super) fn parse(
    parser: &mut Parser<'_>,
    name: &str,
    given: &Given,
    defaults: &Given,
) -> Option<EndpointSettings> {
    if !check_name(parser, "endpoint", name) {
        return None;
    }
    let nowhere = || EndpointSettings::new(name, Uri::from_static("http://0.0.0.0"));
    let url = last(given, "url").or_else(|| last(defaults, "url"));
    let Some(url) = url else {
        parser.problem(format!("endpoint '{name}' has no 'endpoint.{name}.url'"));
        // The other options are looked at all the same, so that all mistakes are told.
        fill(parser, &mut nowhere(), "endpoint", given);
        return None;
    };
    let parsed = parse_url(url);
    if let Err(allowed) = &parsed {
        parser.refuse(&format!("endpoint.{name}.url"), &without_password(url), allowed);
    }
    let mut endpoint = nowhere();
    if let Ok(url) = &parsed {
        endpoint.url = url.clone();
    }
    for (key, value) in defaults {
        let _told_already = apply(&mut endpoint, key, value.trim());
    }
    fill(parser, &mut endpoint, "endpoint", given);
    let all: Vec<(String, String)> = defaults.iter().chain(given).cloned().collect();
    together::check(parser, &mut endpoint, "endpoint", &all);
    parsed.ok().map(|_| endpoint)
}

/// Reads what a group says for all its members; problems go to the parser.
pub(super) fn parse_common(parser: &mut Parser<'_>, name: &str, given: &Given) -> EndpointSettings {
    let url = last(given, "url").map(parse_url);
    if let Some(Err(allowed)) = &url {
        let shown = without_password(last(given, "url").unwrap_or_default());
        parser.refuse(&format!("group.{name}.url"), &shown, allowed);
    }
    let url = url.and_then(Result::ok).unwrap_or_else(|| Uri::from_static("http://0.0.0.0"));
    let mut endpoint = EndpointSettings::new(name, url);
    fill(parser, &mut endpoint, "group", given);
    together::check(parser, &mut endpoint, "group", given);
    endpoint
}

/// Whether a name can stand in options and counters; tells the parser if not.
pub(super) fn check_name(parser: &mut Parser<'_>, family: &str, name: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let is_valid = !name.is_empty() && name.chars().all(valid);
    if !is_valid {
        parser.problem(format!(
            "option '{family}.{name}': {family} names consist of letters, digits, '_' and '-'"
        ));
    }
    is_valid
}

/// The last value of a key.
pub(super) fn last<'g>(given: &'g Given, wanted: &str) -> Option<&'g str> {
    given.iter().rev().find(|(key, _)| key == wanted).map(|(_, value)| value.trim())
}

fn fill(parser: &mut Parser<'_>, endpoint: &mut EndpointSettings, family: &str, given: &Given) {
    for (key, value) in given {
        let option = format!("{family}.{}.{key}", endpoint.name);
        let value = value.trim();
        if !KEYS.contains(&key.as_str()) {
            let allowed = KEYS.join(", ");
            parser
                .problem(format!("option '{option}': there is no key '{key}'; allowed: {allowed}"));
            continue;
        }
        match apply(endpoint, key, value) {
            Ok(()) => {}
            // What may be a secret is not shown.
            Err(problem) if SECRET.contains(&key.as_str()) => {
                parser.problem(format!("option '{option}': {problem}"));
            }
            Err(allowed) => parser.refuse(&option, value, &allowed),
        }
    }
}

fn apply(endpoint: &mut EndpointSettings, key: &str, value: &str) -> Result<(), Wrong> {
    if key == "headers" {
        endpoint.headers.extend(headers::parse(value)?);
        return Ok(());
    }
    set(endpoint, key, value)
}

fn set(endpoint: &mut EndpointSettings, key: &str, value: &str) -> Result<(), Wrong> {
    match key {
        "protocol" => endpoint.protocol = protocol(value)?,
        "compression" => endpoint.compression = compression(value)?,
        "timeout" => endpoint.timeout = timeout(value)?,
        "max_elapsed_time" => endpoint.max_elapsed_time = elapsed(value)?,
        "max_connection_age" => endpoint.max_connection_age = connection_age(value)?,
        "signals" => endpoint.signals = signals(value)?,
        "where" => endpoint.condition = Some(Arc::new(condition(value)?)),
        "on_error" => {
            endpoint.on_error = word(value, &[("drop", OnError::Drop), ("keep", OnError::Keep)])?;
        }
        "content" => endpoint.content = content::parse(value)?,
        "sampling_percentage" => endpoint.sampling_percentage = Some(percentage(value)?),
        "max_request_size" => endpoint.max_request_size = request_size(value)?,
        "max_request_items" => endpoint.max_request_items = request_items(value)?,
        "headers_file" => endpoint.credentials.headers_file = Some(PathBuf::from(value)),
        "header_from" => endpoint.header_from.extend(headers::parse_from(value)?),
        "bearer_token_file" => {
            endpoint.credentials.bearer_token_file = Some(PathBuf::from(value));
        }
        "proxy" => endpoint.proxy = Some(proxy(value)?),
        "tls.server_name" => endpoint.tls.server_name = Some(server_name(value)?),
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

pub(super) fn parse_url(text: &str) -> Result<Uri, Wrong> {
    const ALLOWED: &str = "allowed: a URL such as http://host:4318 or https://host/path";
    let uri: Uri = text.parse().map_err(|_| ALLOWED.to_owned())?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.host().unwrap_or_default();
    if known && !host.is_empty() { Ok(uri) } else { Err(ALLOWED.to_owned()) }
}

fn proxy(value: &str) -> Result<String, Wrong> {
    parse_url(value)
        .map(|_| value.to_owned())
        .map_err(|_| "write a URL such as http://proxy:3128".to_owned())
}

fn server_name(value: &str) -> Result<String, Wrong> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    if !value.is_empty() && value.chars().all(valid) {
        return Ok(value.to_owned());
    }
    Err("allowed: a host name, without a port".to_owned())
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
    let words =
        [("none", Compression::None), ("gzip", Compression::Gzip), ("zstd", Compression::Zstd)];
    word(value, &words)
}

fn timeout(value: &str) -> Result<Duration, Wrong> {
    parse_duration(value)
        .filter(|timeout| !timeout.is_zero() && *timeout <= MAX_TIMEOUT)
        .ok_or_else(|| "allowed: a duration such as 500ms or 10s, up to 10m".to_owned())
}

/// Zero is for ever.
fn elapsed(value: &str) -> Result<Option<Duration>, Wrong> {
    let time = parse_duration(value);
    let time = time.ok_or_else(|| "allowed: a duration such as 5m, or 0 for ever".to_owned())?;
    Ok((!time.is_zero()).then_some(time))
}

/// `None` is without end. Connections that live for less than a second are no connections kept.
fn connection_age(value: &str) -> Result<Option<Duration>, Wrong> {
    let age = parse_duration(value).filter(|age| age.is_zero() || age.as_secs() >= 1);
    let age = age.ok_or("allowed: 0 (no limit), or a duration from 1s such as 5m")?;
    Ok(Some(age).filter(|age| !age.is_zero()))
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

fn request_items(value: &str) -> Result<usize, Wrong> {
    let items = value.parse().ok().filter(|items| *items > 0);
    items.ok_or_else(|| "allowed: a number from 1".to_owned())
}
