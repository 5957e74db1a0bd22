//! Compatibility options: those of Fluent Bit's own output `opentelemetry`, by the names that they
//! have there.

use crate::config::{Parser, parse_bool};
use crate::plugin::{OptionKind, OptionSpec, joined, put};

/// Names of the stock output for keys that mean the same.
const ALIASES: &[(&str, &str)] = &[
    ("header", "headers"),
    ("compress", "compression"),
    ("batch_size", "max_request_items"),
    ("oauth2.scope", "oauth2.scopes"),
    ("tls.vhost", "tls.server_name"),
];

/// An option that does nothing of its own here. Its rule for values is not that of ai_otlp, which has a
/// table of this form and compares names of keys.
struct Settled {
    name: &'static str,
    /// The values that say what is done here anyway.
    same: &'static [&'static str],
    /// What to do for another value.
    instead: &'static str,
}

const fn settled(
    name: &'static str,
    same: &'static [&'static str],
    instead: &'static str,
) -> Settled {
    Settled { name, same, instead }
}

/// Options of endpoints that do nothing of their own.
const SETTLED: &[Settled] = &[
    settled("host", &[], "write it in 'url', as in http://HOST:4318"),
    settled("port", &[], "write it in 'url', as in http://HOST:4318"),
    settled("tls", &[], "write https or http in 'url'"),
    settled(
        "add_label",
        &[],
        "write 'attributes.add: NAME=VALUE', which is for every signal; for metrics alone, at an \
         endpoint with 'signals: metrics'",
    ),
    settled(
        "log_response_payload",
        &["on"],
        "the words of an endpoint are shown, up to 300 characters, where it refuses something",
    ),
    settled("logs_max_resources", &["0"], "nothing is dropped for its number of resources"),
    settled("logs_max_scopes", &["0"], "nothing is dropped for its number of scopes"),
    settled("net.io_timeout", &["0", "0s"], "write 'timeout', the limit for a whole request"),
    settled("net.keepalive_max_recycle", &[], "write 'max_connection_age'"),
    settled("net.max_worker_connections", &["0"], "write 'max_in_flight'"),
    settled("net.connect_timeout_log_error", &["on"], "a failure is shown the first time"),
    settled("net.dns.mode", &[], "names are looked up by the system"),
    settled("net.dns.resolver", &["legacy"], "names are looked up by the system"),
    settled(
        "tls.verify_hostname",
        &["on"],
        "the name is checked with the certificate; write the name that the certificate has in \
         'tls.server_name'",
    ),
    settled("tls.debug", &["-1", "0"], "failures name their cause without it"),
    settled("tls.proxy.verify", &["on"], "write 'tls.verify', which is for the proxy too"),
    settled("tls.proxy.verify_hostname", &["on"], "the proxy's name is checked"),
    settled("tls.proxy.ca_path", &[], "write 'tls.ca_path', which is for the proxy too"),
    settled("tls.proxy.ca_file", &[], "write 'tls.ca_file', which is for the proxy too"),
];

/// Options of the whole instance that do nothing of their own: the stock output takes them and
/// reads none of them.
const SETTLED_OF_ALL: &[Settled] = &[
    settled("logs_metadata_key", &["otlp"], "Fluent Bit's own input writes 'otlp'"),
    settled(
        "logs_resource_metadata_key",
        &["Resource"],
        "an ordinary log has the resource of its group, and what 'kubernetes' and its likes say",
    ),
    settled(
        "logs_instrumentation_scope_metadata_key",
        &["InstrumentationScope"],
        "an ordinary log has the scope of its group",
    ),
];

/// How many options [`SPECS`] has.
const COUNT: usize = ALIASES.len() + SETTLED.len() + SETTLED_OF_ALL.len() - HOSTS.len();

/// What the host takes for itself before it asks for declarations, among what is settled.
const HOSTS: [&str; 3] = ["host", "port", "tls"];

/// These names as options of the instance.
pub(super) const SPECS: [OptionSpec; COUNT] = {
    let mut specs = joined(&[]);
    let mut free: &mut [OptionSpec] = &mut specs;
    let mut aliases = ALIASES;
    while let Some(((name, _), rest)) = aliases.split_first() {
        const HELP: &str = "The name of Fluent Bit's own output for a key of an endpoint.";
        free = put(free, OptionSpec::new(name, OptionKind::Str, None, HELP).repeated());
        aliases = rest;
    }
    // The first three are the host's own.
    let (_, mut settled) = SETTLED.split_at(HOSTS.len());
    while let Some((one, rest)) = settled.split_first() {
        free = put(free, one.spec());
        settled = rest;
    }
    let mut settled = SETTLED_OF_ALL;
    while let Some((one, rest)) = settled.split_first() {
        free = put(free, one.spec());
        settled = rest;
    }
    specs
};

/// Our name for a key.
pub(super) fn ours(name: &str) -> &str {
    ALIASES.iter().find(|(stock, _)| *stock == name).map_or(name, |(_, ours)| ours)
}

/// All names of the stock output that are declared here for an endpoint.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let settled = SETTLED.iter().map(|settled| settled.name).skip(HOSTS.len());
    ALIASES.iter().map(|(stock, _)| *stock).chain(settled)
}

/// Whether a key of an endpoint is one of the stock output's that does nothing of its own.
pub(super) fn is_settled(name: &str) -> bool {
    SETTLED.iter().any(|settled| settled.name == name)
}

/// What is wrong with the value of such a key.
///
/// # Errors
/// What to do instead.
pub(super) fn check(name: &str, value: &str) -> Result<(), String> {
    match SETTLED.iter().find(|settled| settled.name == name) {
        Some(settled) => settled.check(value),
        None => Ok(()),
    }
}

/// Looks at the options of the instance that do nothing of their own.
pub(super) fn check_of_all(parser: &mut Parser<'_>) {
    for settled in SETTLED_OF_ALL {
        for value in parser.texts(settled.name) {
            if let Err(instead) = settled.check(value.trim()) {
                parser.refuse(settled.name, value, &instead);
            }
        }
    }
}

impl Settled {
    const fn spec(&self) -> OptionSpec {
        OptionSpec::new(self.name, OptionKind::Str, None, self.instead).repeated()
    }

    fn check(&self, value: &str) -> Result<(), String> {
        let same = |known: &&str| {
            let as_switch = parse_bool(known).filter(|_| parse_bool(value) == parse_bool(known));
            known.eq_ignore_ascii_case(value) || as_switch.is_some()
        };
        if self.same.iter().any(same) {
            return Ok(());
        }
        Err(self.instead.to_owned())
    }
}
