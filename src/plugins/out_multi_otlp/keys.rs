//! Option table: the keys of `endpoint.NAME.KEY`, one row each, which lists the key and reads its
//! value. The help, the message about unknown keys and what is secret follow from the rows.

use std::sync::Arc;

use super::draft::EndpointDraft;
use super::values::{self, WrongValue};
use super::{attribute_rules, aws, content, deduplication, headers, stock, temporality};
use crate::export::AddressFamily;
use crate::model::Signal;
use crate::plugin::{OptionKind, OptionSpec};

/// What of a value that is wrong is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShownOnError {
    /// All of it.
    Whole,
    /// An URL, without user and password.
    WithoutPassword,
    /// Nothing: it may be a secret.
    Nothing,
}

/// One key.
pub(super) struct EndpointKey {
    /// Its name after `endpoint.NAME.`.
    pub(super) name: &'static str,
    /// What of its value may be shown.
    pub(super) shown: ShownOnError,
    /// Whether it says what of a chunk an endpoint gets. The members of a group agree on such keys,
    /// because what one cannot take goes to another.
    pub(super) is_view: bool,
    /// Whether a list in a file stands for texts separated by commas.
    pub(super) is_list: bool,
    /// Reads a value; of several the last one counts, or they add up.
    pub(super) set: fn(&mut EndpointDraft, &str) -> Result<(), WrongValue>,
}

impl EndpointKey {
    const fn new(
        name: &'static str,
        set: fn(&mut EndpointDraft, &str) -> Result<(), WrongValue>,
    ) -> Self {
        Self { name, shown: ShownOnError::Whole, is_view: false, is_list: false, set }
    }

    const fn secret(mut self) -> Self {
        self.shown = ShownOnError::Nothing;
        self
    }

    const fn url(mut self) -> Self {
        self.shown = ShownOnError::WithoutPassword;
        self
    }

    const fn view(mut self) -> Self {
        self.is_view = true;
        self
    }

    const fn list(mut self) -> Self {
        self.is_list = true;
        self
    }
}

/// A row that sets a field to what `read` makes of the value.
macro_rules! to {
    ($($field:tt).+, $read:expr) => {
        |draft, value| {
            draft.$($field).+ = $read(value)?;
            Ok(())
        }
    };
}

/// The same for a field that is not there unless it is given.
macro_rules! some {
    ($($field:tt).+, $read:expr) => {
        |draft, value| {
            draft.$($field).+ = Some($read(value)?);
            Ok(())
        }
    };
}

/// Rows of `NAME (VALUES), PROPERTIES => SET`: the values are for the help, where the name does not
/// say enough, the properties are methods of [`EndpointKey`].
macro_rules! keys {
    ($($name:literal $(($values:literal))? $(, $property:ident)* => $set:expr;)+) => {
        /// Every key.
        pub(super) const KEYS: &[EndpointKey] = &[$(EndpointKey::new($name, $set)$(.$property())*),+];

        /// The same keys as options of the one endpoint of an instance that names none.
        pub(super) const ALONE: &[OptionSpec] = &[$(OptionSpec::new(
            $name,
            OptionKind::Str,
            None,
            concat!("As endpoint.NAME.", $name, $(": ", $values,)? "."),
        ).repeated()),+];

        /// One line of help for the host.
        pub(super) const HELP: &str = concat!(
            "endpoint.NAME.KEY, where KEY is:",
            $(" ", $name, $(" (", $values, ")",)? ",",)+
            " and an attribute's KEY is of the item, or of its resource as resource.KEY. Without any \
             endpoint.NAME, KEY by itself is of the one endpoint, 'default'."
        );
    };
}

keys! {
    "url" ("http:// or https://"), url => some!(url, values::url);
    "protocol" ("http/protobuf, http/json, grpc") => some!(protocol, values::protocol);
    "grpc" ("on is the protocol grpc") => some!(grpc, values::switch);
    "logs_uri" ("the whole path of HTTP requests") => |draft, value| {
        values::path(&mut draft.endpoint.paths, Signal::Logs, value)
    };
    "metrics_uri" => |draft, value| {
        values::path(&mut draft.endpoint.paths, Signal::Metrics, value)
    };
    "traces_uri" => |draft, value| {
        values::path(&mut draft.endpoint.paths, Signal::Traces, value)
    };
    "profiles_uri" => |draft, value| {
        values::path(&mut draft.endpoint.paths, Signal::Profiles, value)
    };
    "grpc_logs_uri" ("the whole path of gRPC requests") => |draft, value| {
        values::path(&mut draft.endpoint.grpc_paths, Signal::Logs, value)
    };
    "grpc_metrics_uri" => |draft, value| {
        values::path(&mut draft.endpoint.grpc_paths, Signal::Metrics, value)
    };
    "grpc_traces_uri" => |draft, value| {
        values::path(&mut draft.endpoint.grpc_paths, Signal::Traces, value)
    };
    "grpc_profiles_uri" => |draft, value| {
        values::path(&mut draft.endpoint.grpc_paths, Signal::Profiles, value)
    };
    "http2" ("auto, off, on, force") => to!(endpoint.http2, values::http2);
    "headers" ("NAME=VALUE"), secret => |draft, value| {
        draft.endpoint.headers.extend(headers::parse(value)?);
        Ok(())
    };
    "headers_file" => some!(endpoint.credentials.headers_file, values::file);
    "header_from" ("NAME=resource.KEY, scope.KEY or attributes.KEY") => |draft, value| {
        draft.endpoint.header_from.extend(headers::parse_from(value)?);
        Ok(())
    };
    "http_user", secret => some!(http_user, values::text);
    "http_passwd", secret => some!(http_passwd, values::text);
    "bearer_token", secret => some!(bearer_token, values::text);
    "bearer_token_file" => some!(endpoint.credentials.bearer_token_file, values::file);
    "oauth2.enable" ("off uses no oauth2") => some!(oauth2.enable, values::switch);
    "oauth2.token_url", url => some!(oauth2.token_url, values::url);
    "oauth2.client_id" => to!(oauth2.client_id, values::given);
    "oauth2.client_secret", secret => to!(oauth2.client_secret, values::given);
    "oauth2.scopes", list => to!(oauth2.scopes, values::list);
    "oauth2.audience" => to!(oauth2.audience, values::given);
    "oauth2.resource" => to!(oauth2.resource, values::given);
    "oauth2.auth_method" ("basic, post, private_key_jwt") => some!(oauth2.method, values::auth_method);
    "oauth2.jwt_key_file" => some!(oauth2.jwt_key_file, values::file);
    "oauth2.jwt_cert_file" => some!(oauth2.jwt_cert_file, values::file);
    "oauth2.jwt_aud" => to!(oauth2.jwt_aud, values::given);
    "oauth2.jwt_header" ("kid, x5t, x5t#S256") => to!(oauth2.jwt_header, values::given);
    "oauth2.jwt_ttl_seconds" => some!(oauth2.jwt_ttl, values::jwt_ttl);
    "oauth2.refresh_skew_seconds" => some!(oauth2.refresh_skew, values::skew);
    "oauth2.timeout" => to!(oauth2.timeout, values::timeout_or_zero);
    "oauth2.connect_timeout" => to!(oauth2.connect_timeout, values::timeout_or_zero);
    "oauth2.user_agent" => some!(oauth2.user_agent, values::header_value);
    "aws_auth" ("on, off") => to!(aws.auth, values::switch);
    "aws_service" => to!(aws.service, values::given);
    "aws_region" => to!(aws.region, values::given);
    "aws_profile" => to!(aws.profile, values::given);
    "aws_credentials_file" => some!(aws.credentials_file, values::file);
    "aws_role_arn" => to!(aws.role_arn, values::given);
    "aws_external_id" => to!(aws.external_id, values::given);
    "aws_sts_endpoint" ("a host or URL") => some!(aws.sts_endpoint, aws::sts_endpoint);
    "compression" ("none, gzip, zstd") => to!(endpoint.compression, values::compression);
    "timeout" => to!(endpoint.timeout, values::timeout);
    "max_elapsed_time" => to!(endpoint.max_elapsed_time, values::elapsed);
    "on_misdirected" ("drop, retry") => to!(endpoint.on_misdirected, values::on_misdirected);
    "retry_in_place" => to!(endpoint.retry_in_place, values::in_place);
    "max_connection_age" => to!(endpoint.max_connection_age, values::connection_age);
    "net.connect_timeout" => some!(endpoint.net.connect_timeout, values::timeout);
    "net.keepalive" ("on, off") => to!(endpoint.net.keepalive, values::switch);
    "net.keepalive_idle_timeout" => to!(endpoint.net.keepalive_idle_timeout, values::idle);
    "net.tcp_keepalive" ("on, off") => to!(endpoint.net.tcp_keepalive, values::switch);
    "net.tcp_keepalive_time" => to!(endpoint.net.tcp_keepalive_time, values::keepalive);
    "net.tcp_keepalive_interval" => to!(endpoint.net.tcp_keepalive_interval, values::keepalive);
    "net.tcp_keepalive_probes" => to!(endpoint.net.tcp_keepalive_probes, values::probes);
    "net.source_address" => some!(endpoint.net.source_address, values::address);
    "net.dns.prefer_ipv4" ("on, off") => |draft, value| {
        values::prefer(&mut draft.endpoint.net.prefer, AddressFamily::V4, value)
    };
    "net.dns.prefer_ipv6" ("on, off") => |draft, value| {
        values::prefer(&mut draft.endpoint.net.prefer, AddressFamily::V6, value)
    };
    "signals" ("traces, metrics, logs, profiles"), view, list => to!(endpoint.signals, values::signals);
    "where", view => |draft, value| {
        draft.endpoint.condition = Some(Arc::new(values::condition(value)?));
        Ok(())
    };
    "on_error" ("drop, keep"), view => to!(endpoint.on_error, values::on_error);
    "content" ("keep, drop, truncate:BYTES, or one or more of errors_only, findings_only, \
        hinted, sample:PERCENT"), view, list => to!(endpoint.content, content::parse);
    "content_unlisted" ("keep, drop:BYTES"), view => {
        to!(endpoint.content_unlisted, content::parse_unlisted)
    };
    "deduplicate_content" ("off, or one or more of system, tools, input and names of attributes"), list => {
        some!(deduplication.names, deduplication::names)
    };
    "deduplicate_window" ("how far apart in time an item is from the one with its content at most") => {
        some!(deduplication.window, deduplication::window)
    };
    "deduplicate_min_size" ("bytes from which a value is replaced") => {
        some!(deduplication.min_size, deduplication::min_size)
    };
    "dialect" ("current, original, openinference, openllmetry"), view => {
        some!(endpoint.dialect, values::dialect)
    };
    "server_metrics" ("original, current"), view => {
        to!(endpoint.maps_server_metrics, values::server_metrics)
    };
    "temporality" ("original, cumulative, delta"), view => {
        to!(temporality.target, temporality::target)
    };
    "temporality_state_size" ("bytes that what is known of series may take"), view => {
        some!(temporality.state_size, temporality::state_size)
    };
    "max_attribute_values" ("of each attribute of a metric; further ones become _OTHER"), view => {
        some!(endpoint.max_attribute_values, values::attribute_values)
    };
    "attributes.add" ("KEY=VALUE"), secret, view => |draft, value| {
        attribute_rules::add(&mut draft.rules, value)
    };
    "attributes.drop", view => |draft, value| {
        draft.rules.drop.extend(attribute_rules::keys(value));
        Ok(())
    };
    "attributes.rename" ("OLD=NEW"), secret, view => |draft, value| {
        attribute_rules::rename(&mut draft.rules, value)
    };
    "attributes.hash", view => |draft, value| {
        draft.rules.hash.extend(attribute_rules::keys(value));
        Ok(())
    };
    "attributes.hash_key", secret, view => some!(hash_key, values::text);
    "sampling_percentage", view => some!(endpoint.sampling_percentage, values::percentage);
    "max_request_size", view => to!(endpoint.max_request_size, values::request_size);
    "max_request_items", view => to!(endpoint.max_request_items, values::request_items);
    "dead_letter" ("name of an endpoint") => to!(dead_letter, values::given);
    "dead_letter_file" => some!(letter_file, values::file);
    "dead_letter_file_size" => some!(letter_file_size, values::letters_size);
    "proxy", secret => some!(endpoint.proxy, values::proxy);
    "proxy_from_environment" ("on, off") => to!(endpoint.proxy_from_environment, values::switch);
    "net.proxy_env_ignore" ("on, off") => |draft, value| {
        draft.endpoint.proxy_from_environment = !values::switch(value)?;
        Ok(())
    };
    "tls.ca_file" => some!(endpoint.tls.ca_file, values::file);
    "tls.ca_path" ("a folder") => some!(endpoint.tls.ca_path, values::file);
    "tls.crt_file" => some!(endpoint.tls.crt_file, values::file);
    "tls.key_file" => some!(endpoint.tls.key_file, values::file);
    "tls.key_passwd", secret => some!(endpoint.tls.key_passwd, values::password);
    "tls.min_version" ("TLSv1.2, TLSv1.3") => to!(endpoint.tls.versions.0, values::tls_version);
    "tls.max_version" ("TLSv1.2, TLSv1.3") => to!(endpoint.tls.versions.1, values::tls_version);
    "tls.ciphers" ("names of OpenSSL or IANA") => to!(endpoint.tls.ciphers, values::ciphers);
    "tls.server_name" => some!(endpoint.tls.server_name, values::server_name);
    "tls.verify" ("on, off") => to!(endpoint.tls.verify, values::switch);
}

/// The key of that name, or of the stock plugin's name for it.
pub(super) fn of_name(name: &str) -> Option<&'static EndpointKey> {
    let name = stock::ours(name);
    KEYS.iter().find(|key| key.name == name)
}

/// The keys that say what of a chunk an endpoint gets.
pub(super) fn of_view() -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(|key| key.is_view).map(|key| key.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_listed_once_shown_and_written_down() {
        let page = include_str!("../../../docs/multi_otlp.md");
        for key in KEYS {
            let same = KEYS.iter().filter(|other| other.name == key.name).count();
            assert_eq!(same, 1, "{}", key.name);
            let shown = [format!(" {},", key.name), format!(" {} (", key.name)];
            assert!(shown.iter().any(|shown| HELP.contains(shown)), "{}", key.name);
            let name = key.name;
            let written = [format!("`{name}`"), format!("`{name}: "), format!("`{name}:")];
            assert!(written.iter().any(|written| page.contains(written)), "{name}");
        }
    }
}
