//! The keys of `endpoint.NAME.KEY`: one row each, which lists the key and reads its value. The help,
//! the words about unknown keys and what is secret follow from the rows.

use std::path::PathBuf;
use std::sync::Arc;

use super::draft::Draft;
use super::values::{self, Wrong};
use super::{aws, content, headers, rules};
use crate::config::parse_list;
use crate::export::OnError;

/// What of a value that is wrong is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// All of it.
    Whole,
    /// An URL, without user and password.
    WithoutPassword,
    /// Nothing: it may be a secret.
    Nothing,
}

/// One key.
pub(super) struct Key {
    /// Its name after `endpoint.NAME.`.
    pub(super) name: &'static str,
    /// What of its value may be shown.
    pub(super) shown: Shown,
    /// Whether it says what of a chunk an endpoint gets. The members of a group agree on such keys,
    /// because what one cannot take goes to another.
    pub(super) is_view: bool,
    /// Whether a list in a file stands for words separated by commas.
    pub(super) is_list: bool,
    /// Reads a value; of several the last one counts, or they add up.
    pub(super) set: fn(&mut Draft, &str) -> Result<(), Wrong>,
}

impl Key {
    const fn new(name: &'static str, set: fn(&mut Draft, &str) -> Result<(), Wrong>) -> Self {
        Self { name, shown: Shown::Whole, is_view: false, is_list: false, set }
    }

    const fn secret(mut self) -> Self {
        self.shown = Shown::Nothing;
        self
    }

    const fn url(mut self) -> Self {
        self.shown = Shown::WithoutPassword;
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

/// Rows of `NAME (VALUES), PROPERTIES => |draft, value| ...`: the values are for the help, where
/// the name does not say enough, the properties are methods of [`Key`].
macro_rules! keys {
    ($($name:literal $(($values:literal))? $(, $property:ident)* => $set:expr;)+) => {
        /// Every key.
        pub(super) const KEYS: &[Key] = &[$(Key::new($name, $set)$(.$property())*),+];

        /// One line of help for the host.
        pub(super) const HELP: &str = concat!(
            "endpoint.NAME.KEY, where KEY is:",
            $(" ", $name, $(" (", $values, ")",)? ",",)+
            " and an attribute's KEY is of the item, or of its resource as resource.KEY."
        );
    };
}

keys! {
    "url" ("http:// or https://"), url => |draft, value| {
        draft.url = Some(values::url(value)?);
        Ok(())
    };
    "protocol" ("http/protobuf, http/json, grpc") => |draft, value| {
        draft.endpoint.protocol = values::protocol(value)?;
        Ok(())
    };
    "headers" ("NAME=VALUE"), secret => |draft, value| {
        draft.endpoint.headers.extend(headers::parse(value)?);
        Ok(())
    };
    "headers_file" => |draft, value| {
        draft.endpoint.credentials.headers_file = Some(PathBuf::from(value));
        Ok(())
    };
    "header_from" ("NAME=resource.KEY, scope.KEY or attributes.KEY") => |draft, value| {
        draft.endpoint.header_from.extend(headers::parse_from(value)?);
        Ok(())
    };
    "http_user", secret => |draft, value| {
        draft.http_user = Some(value.to_owned());
        Ok(())
    };
    "http_passwd", secret => |draft, value| {
        draft.http_passwd = Some(value.to_owned());
        Ok(())
    };
    "bearer_token", secret => |draft, value| {
        draft.bearer_token = Some(value.to_owned());
        Ok(())
    };
    "bearer_token_file" => |draft, value| {
        draft.endpoint.credentials.bearer_token_file = Some(PathBuf::from(value));
        Ok(())
    };
    "oauth2.token_url", url => |draft, value| {
        draft.oauth2.token_url = Some(values::url(value)?);
        Ok(())
    };
    "oauth2.client_id" => |draft, value| {
        draft.oauth2.client_id = values::text(value);
        Ok(())
    };
    "oauth2.client_secret", secret => |draft, value| {
        draft.oauth2.client_secret = values::text(value);
        Ok(())
    };
    "oauth2.scopes", list => |draft, value| {
        draft.oauth2.scopes = parse_list(value);
        Ok(())
    };
    "oauth2.audience" => |draft, value| {
        draft.oauth2.audience = values::text(value);
        Ok(())
    };
    "aws_auth" ("on, off") => |draft, value| {
        draft.aws.auth = values::switch(value)?;
        Ok(())
    };
    "aws_service" => |draft, value| {
        draft.aws.service = values::text(value);
        Ok(())
    };
    "aws_region" => |draft, value| {
        draft.aws.region = values::text(value);
        Ok(())
    };
    "aws_profile" => |draft, value| {
        draft.aws.profile = values::text(value);
        Ok(())
    };
    "aws_credentials_file" => |draft, value| {
        draft.aws.credentials_file = Some(PathBuf::from(value));
        Ok(())
    };
    "aws_role_arn" => |draft, value| {
        draft.aws.role_arn = values::text(value);
        Ok(())
    };
    "aws_external_id" => |draft, value| {
        draft.aws.external_id = values::text(value);
        Ok(())
    };
    "aws_sts_endpoint" ("a host or URL") => |draft, value| {
        draft.aws.sts_endpoint = Some(aws::sts_endpoint(value)?);
        Ok(())
    };
    "compression" ("none, gzip, zstd") => |draft, value| {
        draft.endpoint.compression = values::compression(value)?;
        Ok(())
    };
    "timeout" => |draft, value| {
        draft.endpoint.timeout = values::timeout(value)?;
        Ok(())
    };
    "max_elapsed_time" => |draft, value| {
        draft.endpoint.max_elapsed_time = values::elapsed(value)?;
        Ok(())
    };
    "max_connection_age" => |draft, value| {
        draft.endpoint.max_connection_age = values::connection_age(value)?;
        Ok(())
    };
    "signals" ("traces, metrics, logs, profiles"), view, list => |draft, value| {
        draft.endpoint.signals = values::signals(value)?;
        Ok(())
    };
    "where", view => |draft, value| {
        draft.endpoint.condition = Some(Arc::new(values::condition(value)?));
        Ok(())
    };
    "on_error" ("drop, keep"), view => |draft, value| {
        let words = [("drop", OnError::Drop), ("keep", OnError::Keep)];
        draft.endpoint.on_error = values::word(value, &words)?;
        Ok(())
    };
    "content" ("keep, drop, truncate:BYTES, or one or more of errors_only, findings_only, \
        sample:PERCENT"), view, list => |draft, value| {
        draft.endpoint.content = content::parse(value)?;
        Ok(())
    };
    "content_unlisted" ("keep, drop:BYTES"), view => |draft, value| {
        draft.endpoint.content_unlisted = content::parse_unlisted(value)?;
        Ok(())
    };
    "attributes.add" ("KEY=VALUE"), secret, view => |draft, value| rules::add(&mut draft.rules, value);
    "attributes.drop", view => |draft, value| {
        draft.rules.drop.extend(rules::keys(value));
        Ok(())
    };
    "attributes.rename" ("OLD=NEW"), secret, view => |draft, value| {
        rules::rename(&mut draft.rules, value)
    };
    "attributes.hash", view => |draft, value| {
        draft.rules.hash.extend(rules::keys(value));
        Ok(())
    };
    "attributes.hash_key", secret, view => |draft, value| {
        draft.hash_key = Some(value.to_owned());
        Ok(())
    };
    "sampling_percentage", view => |draft, value| {
        draft.endpoint.sampling_percentage = Some(values::percentage(value)?);
        Ok(())
    };
    "max_request_size", view => |draft, value| {
        draft.endpoint.max_request_size = values::request_size(value)?;
        Ok(())
    };
    "max_request_items", view => |draft, value| {
        draft.endpoint.max_request_items = values::request_items(value)?;
        Ok(())
    };
    "dead_letter" ("name of an endpoint") => |draft, value| {
        draft.dead_letter = values::text(value);
        Ok(())
    };
    "dead_letter_file" => |draft, value| {
        draft.letter_file = Some(PathBuf::from(value));
        Ok(())
    };
    "dead_letter_file_size" => |draft, value| {
        draft.letter_file_size = Some(values::letters_size(value)?);
        Ok(())
    };
    "proxy", secret => |draft, value| {
        draft.endpoint.proxy = Some(values::proxy(value)?);
        Ok(())
    };
    "tls.ca_file" => |draft, value| {
        draft.endpoint.tls.ca_file = Some(PathBuf::from(value));
        Ok(())
    };
    "tls.crt_file" => |draft, value| {
        draft.endpoint.tls.crt_file = Some(PathBuf::from(value));
        Ok(())
    };
    "tls.key_file" => |draft, value| {
        draft.endpoint.tls.key_file = Some(PathBuf::from(value));
        Ok(())
    };
    "tls.server_name" => |draft, value| {
        draft.endpoint.tls.server_name = Some(values::server_name(value)?);
        Ok(())
    };
    "tls.verify" => |draft, value| {
        draft.endpoint.tls.verify = values::switch(value)?;
        Ok(())
    };
}

/// The key of that name.
pub(super) fn of_name(name: &str) -> Option<&'static Key> {
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
        let page = include_str!("../../../docs/MULTI_OTLP.md");
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
