//! Compatibility options: those of Fluent Bit's own OpenTelemetry input, for users who come from
//! it.
//!
//! What means the same is taken under either name. What would not do here what it does there stops
//! the start, with a message that names the option to use instead; so nothing is ignored.

use crate::config::read::{self, Read};
use crate::config::{Parser, options, parse_bool};
use crate::plugin::{OpenError, OptionKind, OptionSpec, joined, put};

options! {
    /// What is configured.
    struct Given in OWN {
        http2: bool = aliased(read::bool),
            Bool "http2" = "on",
            "Whether HTTP/2 is spoken, which OTLP/gRPC needs.";
        tag_from_uri: bool = read::bool,
            Bool "tag_from_uri" = "off",
            "Tags v1_traces, v1_metrics, v1_logs and v1development_profiles for signals that have none \
             by 'tag_traces' and its likes, where there is no 'tag' either.";
        oauth2_validate: bool = read::bool,
            Bool "oauth2.validate" = "off",
            "Whether the other options 'oauth2.*' count.";
        profiles: bool = profiles,
            Str "profiles" = "refuse",
            "Whether profiles (v1development) are taken in: 'refuse', because the signal still changes and \
             only multi_otlp can do something with it, or 'accept', which carries each request unread.";
        logs_body_key: Option<String> = logs_body_key,
            Str "logs_body_key",
            "The key under which the body of every log stands, maps too. Without it a map is the record \
             itself, and what is none stands under 'log'. multi_otlp reads either.";
    }
}

/// The names that are declared here; the host keeps others for itself.
pub(super) const OPTIONS: &[OptionSpec] = {
    const ALIAS: [OptionSpec; ALIASES.len()] = specs_of_aliases();
    const OTHERS: [OptionSpec; SETTLED.len() + REFUSED.len()] = specs_of_others();
    &joined::<{ OWN.len() + ALIAS.len() + OTHERS.len() }>(&[OWN, &ALIAS, &OTHERS])
};

/// A name of the stock input for an option of ours.
pub(super) struct StockOptions {
    /// Our name.
    pub(super) own: &'static str,
    /// The option under the other name.
    pub(super) stock: OptionSpec,
}

const fn alias(
    own: &'static str,
    stock: &'static str,
    kind: OptionKind,
    help: &'static str,
) -> StockOptions {
    StockOptions { own, stock: OptionSpec::new(stock, kind, None, help) }
}

const HTTP2: &str = "http2";
const PROFILES: &str = "profiles";

/// What our options are called in the stock input.
pub(super) const ALIASES: &[StockOptions] = &[
    alias(HTTP2, "http_server.http2", OptionKind::Bool, "The same as 'http2'."),
    alias(
        "max_request_size",
        "buffer_max_size",
        OptionKind::Size,
        "The same as 'max_request_size'.",
    ),
    alias(
        "max_request_size",
        "http_server.buffer_max_size",
        OptionKind::Size,
        "The same as 'max_request_size'.",
    ),
    alias(
        "max_connections",
        "http_server.max_connections",
        OptionKind::Int,
        "The same as 'max_connections'.",
    ),
    alias(
        "idle_timeout",
        "http_server.idle_timeout",
        OptionKind::Time,
        "The same as 'idle_timeout'.",
    ),
    alias(
        "max_queue_size",
        "http_server.ingress_queue_byte_limit",
        OptionKind::Size,
        "The same as 'max_queue_size'.",
    ),
    alias(PROFILES, "profiles_support", OptionKind::Bool, "'on' is 'profiles: accept'."),
    alias("jwt_issuer", "oauth2.issuer", OptionKind::Str, "The same as 'jwt_issuer'."),
    alias("jwt_jwks_url", "oauth2.jwks_url", OptionKind::Str, "The same as 'jwt_jwks_url'."),
    alias(
        "jwt_audience",
        "oauth2.allowed_audience",
        OptionKind::Str,
        "The same as 'jwt_audience'.",
    ),
    StockOptions {
        own: "jwt_clients",
        stock: OptionSpec::new(
            "oauth2.allowed_clients",
            OptionKind::Str,
            None,
            "The same as 'jwt_clients'.",
        )
        .repeated(),
    },
    alias(
        "jwt_jwks_refresh",
        "oauth2.jwks_refresh_interval",
        OptionKind::Time,
        "The same as 'jwt_jwks_refresh'.",
    ),
];

const fn specs_of_aliases() -> [OptionSpec; ALIASES.len()] {
    let mut specs = joined(&[]);
    let mut free: &mut [OptionSpec] = &mut specs;
    let mut aliases = ALIASES;
    while let [alias, more @ ..] = aliases {
        free = put(free, alias.stock);
        aliases = more;
    }
    specs
}

/// An option that says nothing of its own here.
///
/// multi_otlp has a table of this form with another rule: there values are compared like words of a
/// switch, whatever their case, while what is settled here may be the name of a key, in which case
/// counts, and an option has one value that is shown. One table for both would have a rule for each row.
struct Settled {
    option: OptionSpec,
    /// The value that says what is done here anyway.
    only: &'static str,
    why: &'static str,
}

const fn settled(
    name: &'static str,
    kind: OptionKind,
    only: &'static str,
    help: &'static str,
    why: &'static str,
) -> Settled {
    Settled { option: OptionSpec::new(name, kind, None, help), only, why }
}

const SETTLED: &[Settled] = &[
    settled(
        "successful_response_code",
        OptionKind::Int,
        "200",
        "200, and nothing else.",
        "OTLP answers with nothing else",
    ),
    settled(
        "raw_traces",
        OptionKind::Bool,
        "off",
        "'off', and nothing else.",
        "'format: records' keeps every field",
    ),
    settled(
        "encode_profiles_as_log",
        OptionKind::Bool,
        "off",
        "'off', and nothing else.",
        "the text is a listing for the eye that differs between releases and that nothing reads back; \
         'profiles: accept' carries profiles as they came, to multi_otlp",
    ),
    settled(
        "logs_metadata_key",
        OptionKind::Str,
        "otlp",
        "'otlp', and nothing else.",
        "the filters and multi_otlp look for it there; for other outputs use the processor \
         'content_modifier', or 'copy_metadata' of ai_context",
    ),
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

const fn specs_of_others() -> [OptionSpec; SETTLED.len() + REFUSED.len()] {
    const HELP: &str = "Not taken; the start says what to use instead.";
    let mut specs = joined(&[]);
    let mut free: &mut [OptionSpec] = &mut specs;
    let mut settled = SETTLED;
    while let [one, more @ ..] = settled {
        free = put(free, one.option);
        settled = more;
    }
    let mut refused: &[(&str, &str)] = &REFUSED;
    while let [(name, _), more @ ..] = refused {
        free = put(free, OptionSpec::new(name, OptionKind::Str, None, HELP));
        refused = more;
    }
    specs
}

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

/// The names of the stock input for one of our options.
fn stock_names(own: &str) -> impl Iterator<Item = &'static str> {
    ALIASES.iter().filter(move |alias| alias.own == own).map(|alias| alias.stock.name)
}

/// The name by which one of our options was given: its own, or that of the stock input.
fn name(parser: &Parser<'_>, own: &'static str) -> &'static str {
    let mut names = std::iter::once(own).chain(stock_names(own));
    names.find(|name| parser.text(name).is_some()).unwrap_or(own)
}

/// Reads an option under the one of its names that was given.
pub(super) fn aliased<T>(
    read: impl Fn(&mut Parser<'_>, &OptionSpec) -> Read<T>,
) -> impl Fn(&mut Parser<'_>, &OptionSpec) -> Read<T> {
    move |parser, option| {
        let name = name(parser, option.name);
        read(parser, &option.named(name))
    }
}

/// The name by which an option about JSON Web Tokens is to be spoken of: that of the stock input where
/// its options count.
pub(super) fn jwt_name(parser: &Parser<'_>, own: &'static str) -> &'static str {
    if parser.text("oauth2.validate").and_then(|text| parse_bool(text.trim())) != Some(true) {
        return own;
    }
    match name(parser, own) {
        found if parser.text(found).is_some() => found,
        found => stock_names(own).next().unwrap_or(found),
    }
}

/// Reads an option about JSON Web Tokens under that name.
pub(super) fn jwt<T>(
    read: impl Fn(&mut Parser<'_>, &OptionSpec) -> Read<T>,
) -> impl Fn(&mut Parser<'_>, &OptionSpec) -> Read<T> {
    move |parser, option| {
        let name = jwt_name(parser, option.name);
        read(parser, &option.named(name))
    }
}

/// What the options say that the rest of the plugin asks for.
pub(super) struct Stock {
    /// Whether HTTP/2 is spoken.
    pub(super) http2: bool,
    /// Whether profiles are taken in.
    pub(super) profiles: bool,
    /// The key under which the bodies of all logs stand.
    pub(super) logs_body_key: Option<String>,
    /// The tags of the signals by the paths of OTLP/HTTP, if they are wanted.
    pub(super) uri_tags: [Option<String>; 4],
}

/// Reads the options, and refuses what would be ignored and what is given under two names.
pub(super) fn read(parser: &mut Parser<'_>) -> Result<Stock, OpenError> {
    check(parser);
    let given = Given::read(parser)?;
    check_http2(parser, given.http2);
    check_oauth2(parser, given.oauth2_validate);
    Ok(Stock {
        http2: given.http2,
        profiles: given.profiles,
        logs_body_key: given.logs_body_key,
        uri_tags: uri_tags(parser, given.tag_from_uri),
    })
}

fn check(parser: &mut Parser<'_>) {
    for alias in ALIASES {
        let own = alias.own;
        let all = std::iter::once(own).chain(stock_names(own));
        let given: Vec<&str> = all.filter(|name| parser.text(name).is_some()).collect();
        if let [first, second, ..] = given.as_slice()
            && *second == alias.stock.name
        {
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
    for Settled { option, only, why } in SETTLED {
        let is_other = |given: &&str| match (given.trim(), parse_bool(only)) {
            (given, Some(only)) if option.kind == OptionKind::Bool => {
                parse_bool(given) != Some(only)
            }
            (given, _) => given != *only,
        };
        if let Some(given) = parser.text(option.name).filter(is_other) {
            parser.refuse(option.name, given, &format!("allowed: {only}; {why}"));
        }
    }
}

fn check_http2(parser: &mut Parser<'_>, http2: bool) {
    let grpc_port = parser.text("grpc_port").map(str::trim);
    if !http2 && grpc_port.is_some_and(|port| !port.eq_ignore_ascii_case("off")) {
        let option = name(parser, HTTP2);
        parser.problem(format!(
            "options '{option}' and 'grpc_port': OTLP/gRPC needs HTTP/2; give 'grpc_port: off' or \
             leave it out"
        ));
    }
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

fn logs_body_key(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<String>> {
    let key = parser.text(option.name);
    if key.is_some_and(str::is_empty) {
        parser.refuse(option.name, "", "allowed: the name of a key");
    }
    Some(key.map(str::to_owned))
}

fn profiles(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<bool> {
    match name(parser, PROFILES) {
        PROFILES => read::choice(&[("refuse", false), ("accept", true)])(parser, option),
        stock => read::bool(parser, &OptionSpec { default: Some("off"), ..option.named(stock) }),
    }
}

fn uri_tags(parser: &Parser<'_>, wanted: bool) -> [Option<String>; 4] {
    let has_tag = parser.host_value("tag").is_some_and(|tag| !is_default(&tag));
    if !wanted || has_tag {
        return [const { None }; 4];
    }
    ["v1_traces", "v1_metrics", "v1_logs", "v1development_profiles"].map(|tag| Some(tag.to_owned()))
}

/// Whether the host made this tag, of the plugin's name and the instance's number.
fn is_default(tag: &str) -> bool {
    let number = tag.strip_prefix("ai_otlp.").unwrap_or("-");
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_oauth2(parser: &mut Parser<'_>, validate: bool) {
    const VALIDATE: &str = "oauth2.validate";
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
}

#[cfg(test)]
mod tests;
