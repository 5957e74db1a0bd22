//! Short form: an instance with one endpoint that has no name, whose keys stand at the top as in
//! Fluent Bit's own output.

use super::given::{NAME, NamedOptions, last};
use super::{keys, stock};
use crate::config::Parser;

/// What the host keeps of an output for itself, with what it says where nothing is given.
const HOSTS: &[(&str, &[&str])] = &[
    ("tls.verify", &["on"]),
    ("tls.verify_hostname", &["off"]),
    ("tls.debug", &["-1"]),
    ("tls.vhost", &[]),
    ("tls.ca_path", &[]),
    ("tls.ca_file", &[]),
    ("tls.crt_file", &[]),
    ("tls.key_file", &[]),
    ("tls.key_passwd", &[]),
    ("tls.min_version", &[]),
    ("tls.max_version", &[]),
    ("tls.ciphers", &[]),
    ("tls.proxy.verify", &["on"]),
    ("tls.proxy.verify_hostname", &["on"]),
    ("tls.proxy.ca_path", &[]),
    ("tls.proxy.ca_file", &[]),
];

/// Makes an endpoint of the keys at the top where no other is given; else reports where they
/// belong.
pub(super) fn read(parser: &mut Parser<'_>, sources: &mut NamedOptions) {
    let mut given = at_the_top(parser);
    let address = Address::read(parser);
    if sources.endpoints.is_empty() && sources.groups.is_empty() {
        address.make_url(parser, &mut given);
        if !given.is_empty() {
            sources.endpoints.insert(NAME.to_owned(), given);
        }
        return;
    }
    for (key, _) in &given {
        let ours = stock::ours(key);
        parser.problem(format!(
            "option '{key}': endpoints have their own here; write 'endpoint.NAME.{ours}', or \
             'group.NAME.{ours}' for all members of a group"
        ));
    }
    for (name, _) in address.given() {
        parser.problem(format!(
            "option '{name}': endpoints have their own here; write it in 'endpoint.NAME.url', as in \
             'endpoint.main.url: http://127.0.0.1:4318'"
        ));
    }
}

/// The keys of an endpoint among the options of the instance.
fn at_the_top(parser: &Parser<'_>) -> Vec<(String, String)> {
    let is_key = |name: &str| keys::of_name(name).is_some() || stock::is_settled(name);
    // Those that the host keeps for itself on the releases that do.
    let own = parser.given().iter().filter(|(name, _)| is_key(name) && !is_address(name));
    let mut given: Vec<(String, String)> = own.cloned().collect();
    for (name, usual) in HOSTS {
        let value = parser.host_value(name).filter(|value| !usual.contains(&value.as_str()));
        given.extend(value.map(|value| ((*name).to_owned(), value)));
    }
    given
}

fn is_address(name: &str) -> bool {
    ["host", "port", "tls"].contains(&name)
}

/// Where the host says that the one endpoint is.
struct Address {
    host: Option<String>,
    port: Option<String>,
    tls: Option<String>,
}

impl Address {
    fn read(parser: &Parser<'_>) -> Self {
        Self {
            host: parser.host_value("host"),
            port: parser.host_value("port"),
            tls: parser.host_value("tls").filter(|tls| tls == "on"),
        }
    }

    fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [("host", &self.host), ("port", &self.port), ("tls", &self.tls)];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// Makes the URL of what the host keeps.
    fn make_url(&self, parser: &mut Parser<'_>, given: &mut Vec<(String, String)>) {
        if let Some(url) = last(given, "url") {
            let secure = url.to_ascii_lowercase().starts_with("https:");
            for (name, _) in self.given().filter(|(name, _)| *name != "tls" || !secure) {
                parser.problem(format!("option '{name}': it is given beside 'url', which says it"));
            }
            return;
        }
        let Some(host) = &self.host else {
            if !given.is_empty() || self.given().next().is_some() {
                parser.problem(
                    "no endpoint is given; write 'host' and 'port', or for example \
                     'url: http://127.0.0.1:4318'",
                );
            }
            given.clear();
            return;
        };
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let bare = host.contains(':') && !host.starts_with('[');
        let host = if bare { format!("[{host}]") } else { host.clone() };
        let port = self.port.as_ref().map(|port| format!(":{port}")).unwrap_or_default();
        given.push(("url".to_owned(), format!("{scheme}://{host}{port}")));
    }
}
