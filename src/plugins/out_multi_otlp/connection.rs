//! Connection options: the keys of an endpoint that say how it is reached, for another plugin that asks servers for
//! something.

use super::draft::EndpointDraft;
use super::endpoint::{check_name, set};
use super::keys;
use crate::config::Parser;
use crate::export::EndpointSettings;

/// Keys that are of no family below.
const SINGLE: [&str; 10] = [
    "url",
    "headers",
    "headers_file",
    "http_user",
    "http_passwd",
    "bearer_token",
    "bearer_token_file",
    "timeout",
    "proxy",
    "proxy_from_environment",
];
/// Families of keys.
const FAMILIES: [&str; 3] = ["tls.", "net.", "oauth2."];

/// The keys, for messages and help.
macro_rules! names {
    () => {
        "url, headers, headers_file, http_user, http_passwd, bearer_token, bearer_token_file, timeout, proxy, \
         proxy_from_environment, tls.*, net.*, oauth2.*"
    };
}
pub(in crate::plugins) use names;

/// The connection to a server while its options are read.
pub(in crate::plugins) struct ConnectionDraft {
    draft: EndpointDraft,
    family: &'static str,
}

impl ConnectionDraft {
    /// A connection of that name, if it is one; reports it to the parser if not.
    pub(in crate::plugins) fn new(
        parser: &mut Parser<'_>,
        family: &'static str,
        name: &str,
    ) -> Option<Self> {
        let is_name = check_name(parser, family, name);
        is_name.then(|| Self { draft: EndpointDraft::new(name), family })
    }

    /// Reads a key; problems go to the parser. Says whether there is such a key.
    pub(in crate::plugins) fn set(
        &mut self,
        parser: &mut Parser<'_>,
        key: &str,
        value: &str,
    ) -> bool {
        let is_ours =
            SINGLE.contains(&key) || FAMILIES.iter().any(|family| key.starts_with(family));
        let Some(known) = keys::KEYS.iter().find(|known| is_ours && known.name == key) else {
            return false;
        };
        let option = format!("{}.{}.{key}", self.family, self.draft.endpoint.name);
        set(parser, &mut self.draft, known, &option, value);
        true
    }

    /// The connection, once all is read; problems go to the parser. `None` without a URL.
    pub(in crate::plugins) fn finish(self, parser: &mut Parser<'_>) -> Option<EndpointSettings> {
        let has_url = self.draft.url.is_some();
        let endpoint = self.draft.finish(parser, self.family);
        has_url.then_some(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_one_of_an_endpoint_and_written_down() {
        for name in SINGLE {
            assert!(keys::KEYS.iter().any(|key| key.name == name), "{name}");
            assert!(names!().contains(name), "{name}");
        }
        for family in FAMILIES {
            assert!(keys::KEYS.iter().any(|key| key.name.starts_with(family)), "{family}");
            assert!(names!().contains(&format!("{family}*")), "{family}");
        }
    }
}
