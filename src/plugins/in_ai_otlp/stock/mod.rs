//! The options of Fluent Bit's own OpenTelemetry input, for those who come from it.
//!
//! What means the same is taken under either name. What would not do here what it does there stops
//! the start, in words that name the option to use instead; so nothing is ignored.

use crate::config::Parser;
use crate::plugin::{OptionKind, OptionSpec};

const fn alias(name: &'static str, kind: OptionKind, help: &'static str) -> OptionSpec {
    OptionSpec::new(name, kind, None, help)
}

/// The names that are declared here; the host keeps others for itself.
pub(super) const OPTIONS: [OptionSpec; 26] = [
    alias(HTTP2, OptionKind::Bool, "Whether HTTP/2 is spoken, which OTLP/gRPC needs; on."),
    alias("http_server.http2", OptionKind::Bool, "The same as 'http2'."),
    alias("buffer_max_size", OptionKind::Size, "The same as 'max_request_size'."),
    alias("http_server.buffer_max_size", OptionKind::Size, "The same as 'max_request_size'."),
    alias("http_server.max_connections", OptionKind::Int, "The same as 'max_connections'."),
    alias("http_server.idle_timeout", OptionKind::Time, "The same as 'idle_timeout'."),
    alias(
        "http_server.ingress_queue_byte_limit",
        OptionKind::Size,
        "The same as 'max_queue_size'.",
    ),
    alias("profiles_support", OptionKind::Bool, "'on' is 'profiles: accept'."),
    alias(
        TAG_FROM_URI,
        OptionKind::Bool,
        "Tags v1_traces, v1_metrics, v1_logs and v1development_profiles for signals that have none \
         by 'tag_traces' and its likes, where there is no 'tag' either; off.",
    ),
    alias("oauth2.validate", OptionKind::Bool, "Whether the other options 'oauth2.*' count."),
    alias("oauth2.issuer", OptionKind::Str, "The same as 'jwt_issuer'."),
    alias("oauth2.jwks_url", OptionKind::Str, "The same as 'jwt_jwks_url'."),
    alias("oauth2.allowed_audience", OptionKind::Str, "The same as 'jwt_audience'."),
    alias("oauth2.allowed_clients", OptionKind::Str, "The same as 'jwt_clients'.").repeated(),
    alias("oauth2.jwks_refresh_interval", OptionKind::Time, "The same as 'jwt_jwks_refresh'."),
    alias("successful_response_code", OptionKind::Int, "200, and nothing else."),
    alias("raw_traces", OptionKind::Bool, "'off', and nothing else."),
    alias("encode_profiles_as_log", OptionKind::Bool, "'off', and nothing else."),
    alias("logs_metadata_key", OptionKind::Str, "'otlp', and nothing else."),
    alias(
        LOGS_BODY_KEY,
        OptionKind::Str,
        "The key under which the body of every log stands, maps too. Without it a map is the record \
         itself, and what is none stands under 'log'. multi_otlp reads either.",
    ),
    refused_option("tag_key"),
    refused_option("buffer_chunk_size"),
    refused_option("http_server.buffer_chunk_size"),
    refused_option("workers"),
    refused_option("http_server.workers"),
    refused_option("http_server.ingress_queue_event_limit"),
];

const fn refused_option(name: &'static str) -> OptionSpec {
    alias(name, OptionKind::Str, "Not taken; the start says what to use instead.")
}

const HTTP2: &str = "http2";
const TAG_FROM_URI: &str = "tag_from_uri";
const LOGS_BODY_KEY: &str = "logs_body_key";

/// What our options are called in the stock input.
const ALIASES: [(&str, &[&str]); 11] = [
    (HTTP2, &["http_server.http2"]),
    ("max_request_size", &["buffer_max_size", "http_server.buffer_max_size"]),
    ("max_connections", &["http_server.max_connections"]),
    ("idle_timeout", &["http_server.idle_timeout"]),
    ("max_queue_size", &["http_server.ingress_queue_byte_limit"]),
    ("profiles", &["profiles_support"]),
    ("jwt_issuer", &["oauth2.issuer"]),
    ("jwt_jwks_url", &["oauth2.jwks_url"]),
    ("jwt_audience", &["oauth2.allowed_audience"]),
    ("jwt_clients", &["oauth2.allowed_clients"]),
    ("jwt_jwks_refresh", &["oauth2.jwks_refresh_interval"]),
];

/// Options that are refused whatever their value, and what to use instead.
const REFUSED: [(&str, &str); 6] = [
    ("tag_key", "use 'tag_from', which makes tags of a resource attribute, a header or the tenant"),
    ("buffer_chunk_size", UNCHUNKED),
    ("http_server.buffer_chunk_size", UNCHUNKED),
    ("workers", WORKERS),
    ("http_server.workers", WORKERS),
    ("http_server.ingress_queue_event_limit", "use 'max_queue_size', which counts bytes"),
];

const UNCHUNKED: &str =
    "requests are read as they come, up to 'max_request_size'; leave the option out";
const WORKERS: &str =
    "the plugin has its own threads, as many as the machine has cores; leave the option out";

/// The same for what the host keeps for itself: given if it has such a value.
const HOST_REFUSED: [(&str, &str); 5] = [
    ("host", "use 'listen' for the address to listen on"),
    (
        "tls.ca_path",
        "use 'tls.ca_file': one file with all certificates that clients' are checked by",
    ),
    ("tls.vhost", "a server has no use for it: it shows the certificate of 'tls.crt_file'"),
    (
        "tls.verify_hostname",
        "clients' certificates are checked by 'tls.ca_file' and 'tenants_file'",
    ),
    ("tls.debug", "failures of TLS are in the log and in the counter tls_failures_total"),
];

/// The name by which one of our options was given: its own, or that of the stock input.
pub(super) fn name(parser: &Parser<'_>, own: &'static str) -> &'static str {
    let known = ALIASES.iter().find(|(name, _)| *name == own).map_or(&[][..], |(_, names)| names);
    let given = |name: &&&'static str| parser.text(name).is_some();
    if parser.text(own).is_some() { own } else { known.iter().find(given).copied().unwrap_or(own) }
}

/// The same, where the stock input's name is the one to speak of if none was given.
pub(super) fn stock_name(parser: &Parser<'_>, own: &'static str) -> &'static str {
    let first = ALIASES.iter().find(|(name, _)| *name == own).and_then(|(_, names)| names.first());
    match (name(parser, own), first) {
        (found, Some(stock)) if parser.text(found).is_none() => stock,
        (found, _) => found,
    }
}

/// Refuses what would be ignored, and what is given under two names.
pub(super) fn check(parser: &mut Parser<'_>) {
    for (own, names) in ALIASES {
        let all = std::iter::once(&own).chain(names);
        let given: Vec<&str> = all.filter(|name| parser.text(name).is_some()).copied().collect();
        if let [first, second, ..] = given.as_slice() {
            parser.problem(format!(
                "options '{first}' and '{second}' are one option under two names; only one may be \
                 given"
            ));
        }
    }
    for (option, instead) in REFUSED {
        if parser.text(option).is_some() {
            parser.problem(format!("option '{option}' is not taken here: {instead}"));
        }
    }
    for (option, instead) in HOST_REFUSED {
        if parser.host_value(option).is_some() {
            parser.problem(format!("option '{option}' is not taken here: {instead}"));
        }
    }
    for option in parser.starting_with("net.") {
        parser.problem(format!(
            "option '{option}' is not taken here, because the plugin listens by itself: \
             'max_connections', 'idle_timeout', 'header_timeout' and 'read_timeout' say what \
             connections may cost"
        ));
    }
    fixed(parser, "successful_response_code", "200", "OTLP answers with nothing else");
    let readers = "the filters and multi_otlp look for it there; for other outputs use the \
                   processor 'content_modifier', or 'copy_metadata' of ai_context";
    fixed(parser, "logs_metadata_key", "otlp", readers);
    if parser.bool("encode_profiles_as_log", false) {
        let allowed = "allowed: off; the text is a listing for the eye that differs between releases \
                       and that nothing reads back; 'profiles: accept' carries profiles as they came, \
                       to multi_otlp";
        parser.refuse("encode_profiles_as_log", "on", allowed);
    }
    if parser.bool("raw_traces", false) {
        parser.refuse("raw_traces", "on", "allowed: off; 'format: records' keeps every field");
    }
}

fn fixed(parser: &mut Parser<'_>, option: &str, only: &str, why: &str) {
    if let Some(value) = parser.text(option).filter(|value| value.trim() != only) {
        parser.refuse(option, value, &format!("allowed: {only}; {why}"));
    }
}

/// Whether HTTP/2 is spoken.
pub(super) fn http2(parser: &mut Parser<'_>) -> bool {
    let option = name(parser, HTTP2);
    let on = parser.bool(option, true);
    if !on && parser.text("grpc_port").is_some_and(|port| !port.trim().eq_ignore_ascii_case("off"))
    {
        parser.problem(format!(
            "options '{option}' and 'grpc_port': OTLP/gRPC needs HTTP/2; give 'grpc_port: off' or \
             leave it out"
        ));
    }
    on
}

/// The port for OTLP/HTTP by the name that the host keeps for itself.
pub(super) fn port(parser: &mut Parser<'_>) -> Option<u16> {
    let text = parser.host_value("port")?;
    if parser.text("http_port").is_some() {
        parser.problem(
            "options 'port' and 'http_port' are one option under two names; only one may be given",
        );
    }
    let port = text.parse().ok().filter(|port| *port > 0);
    if port.is_none() {
        parser.refuse("port", &text, "allowed: a port from 1 to 65535");
    }
    port
}

/// The key under which the bodies of all logs stand.
pub(super) fn logs_body_key(parser: &mut Parser<'_>) -> Option<String> {
    let key = parser.text(LOGS_BODY_KEY)?;
    if key.is_empty() {
        parser.refuse(LOGS_BODY_KEY, key, "allowed: the name of a key");
    }
    Some(key.to_owned())
}

/// Whether profiles are taken in.
pub(super) fn profiles(parser: &mut Parser<'_>) -> bool {
    match name(parser, "profiles") {
        "profiles" => parser.choice("profiles", false, &[("refuse", false), ("accept", true)]),
        stock => parser.bool(stock, false),
    }
}

/// The tags of the signals by the paths of OTLP/HTTP, if they are wanted.
pub(super) fn uri_tags(parser: &mut Parser<'_>) -> [Option<String>; 4] {
    let has_tag = parser.host_value("tag").is_some_and(|tag| !is_default(&tag));
    if !parser.bool(TAG_FROM_URI, false) || has_tag {
        return [const { None }; 4];
    }
    ["v1_traces", "v1_metrics", "v1_logs", "v1development_profiles"].map(|tag| Some(tag.to_owned()))
}

/// Whether the host made this tag, of the plugin's name and the instance's number.
fn is_default(tag: &str) -> bool {
    let number = tag.strip_prefix("ai_otlp.").unwrap_or("-");
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the options `oauth2.*` count.
pub(super) fn oauth2(parser: &mut Parser<'_>) -> bool {
    const VALIDATE: &str = "oauth2.validate";
    let validate = parser.bool(VALIDATE, false);
    let mut given = parser.starting_with("oauth2.");
    given.retain(|option| option != VALIDATE);
    if parser.text(VALIDATE).is_none()
        && let Some(option) = given.first()
    {
        parser.problem(format!(
            "option '{option}': it says nothing without 'oauth2.validate: on', and every request \
             would be taken"
        ));
    }
    if validate && given.is_empty() {
        parser.problem(
            "option 'oauth2.validate' needs the options 'oauth2.jwks_url' and 'oauth2.issuer'",
        );
    }
    validate
}

#[cfg(test)]
mod tests;
