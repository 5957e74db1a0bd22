//! The options of `ai_otlp` that say who may send.
//!
//! The keys `tls` and `tls.*` are the host's: every release takes most of them for itself and
//! hands them on. Those that a release does not know reach us as options of our own, under the
//! same names. The host reads the certificate files too, for a TLS context that nobody uses, so
//! that its own complaints about them come first.

use std::path::PathBuf;
use std::time::Duration;

use super::stock;
use crate::cipher_suites;
use crate::config::{Parser, parse_bool};
use crate::plugin::{OptionKind, OptionSpec};
use crate::receive::{JwtSettings, KeySource, Secret, SecuritySettings, TlsSettings};

const JWKS_REFRESH: Duration = Duration::from_secs(300);
const JWKS_REFRESH_LEAST: Duration = Duration::from_secs(10);
const LEEWAY: Duration = Duration::from_secs(60);
const LEEWAY_MOST: Duration = Duration::from_secs(3600);
const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// The options, in the order in which the host's help shows them.
pub(super) const OPTIONS: [OptionSpec; 21] = [
    OptionSpec::new(
        "tls.verify_client_cert",
        OptionKind::Bool,
        None,
        "Whether clients need a certificate by 'tls.ca_file' (needs 'tls: on'). Without it, \
         certificates that clients show are checked if there is a 'tls.ca_file'.",
    ),
    OptionSpec::new(
        "tls.min_version",
        OptionKind::Str,
        None,
        "Oldest version of TLS: TLSv1.2 (the default) or TLSv1.3.",
    ),
    OptionSpec::new(
        "tls.max_version",
        OptionKind::Str,
        None,
        "Newest version of TLS: TLSv1.2 or TLSv1.3 (the default).",
    ),
    OptionSpec::new(
        "tls.ciphers",
        OptionKind::Str,
        None,
        "Allowed cipher suites, separated by colons, by their names in OpenSSL or by IANA. A list \
         without any of TLS 1.3 allows all of those.",
    ),
    OptionSpec::new(
        "bearer_token",
        OptionKind::Str,
        None,
        "Token that senders have to show as 'authorization: Bearer TOKEN'; may be given several \
         times.",
    )
    .repeated(),
    OptionSpec::new(
        "bearer_token_file",
        OptionKind::Str,
        None,
        "File with such tokens, one a line; read again when it changes.",
    ),
    OptionSpec::new(
        "http_user",
        OptionKind::Str,
        None,
        "User that senders may show by basic authentication, with 'http_passwd'.",
    ),
    OptionSpec::new("http_passwd", OptionKind::Str, None, "Password of 'http_user'."),
    OptionSpec::new(
        "tenants_file",
        OptionKind::Str,
        None,
        "YAML file with credentials by tenant: 'tenants', a map from names to maps with the lists \
         bearer_tokens, bearer_tokens_sha256, jwt_claims and certificates (DNS names or SHA-256), \
         and the map users (name: password); read again when it changes.",
    ),
    OptionSpec::new(
        "jwt_jwks_url",
        OptionKind::Str,
        None,
        "Where the key set is by which JSON Web Tokens are validated, http or https. (The \
         names of Fluent Bit's own input, 'oauth2.*', are taken too.)",
    ),
    OptionSpec::new(
        "jwt_jwks_file",
        OptionKind::Str,
        None,
        "The same as a file; read again when it changes.",
    ),
    OptionSpec::new(
        "jwt_jwks_ca_file",
        OptionKind::Str,
        None,
        "Certificates to trust for 'jwt_jwks_url' beside the machine's.",
    ),
    OptionSpec::new(
        "jwt_jwks_refresh",
        OptionKind::Time,
        Some("300"),
        "How often to fetch 'jwt_jwks_url'. A token with an unknown key fetches it too, at most \
         every 10 seconds.",
    ),
    OptionSpec::new(
        "jwt_issuer",
        OptionKind::Str,
        None,
        "The issuer ('iss') that tokens need; has to be given with a key set.",
    ),
    OptionSpec::new(
        "jwt_audience",
        OptionKind::Str,
        None,
        "Audiences, separated by commas, of which tokens need one ('aud').",
    )
    .repeated(),
    OptionSpec::new(
        "jwt_clients",
        OptionKind::Str,
        None,
        "Clients, separated by commas, that tokens may be of ('azp' or 'client_id').",
    )
    .repeated(),
    OptionSpec::new(
        "jwt_algorithms",
        OptionKind::Str,
        Some("RS256,ES256,EdDSA"),
        "Algorithms, separated by commas, that tokens may be signed by: RS256, RS384, RS512, \
         PS256, PS384, PS512, ES256, ES384, EdDSA.",
    ),
    OptionSpec::new(
        "jwt_leeway",
        OptionKind::Time,
        Some("60"),
        "By how much the clocks of issuers may be wrong; at most an hour.",
    ),
    OptionSpec::new(
        "jwt_tenant_claim",
        OptionKind::Str,
        None,
        "The claim that names the tenant; with a 'tenants_file' it has to be one of its tenants.",
    ),
    OptionSpec::new(
        "cors_allowed_origins",
        OptionKind::Str,
        None,
        "Origins, separated by commas, whose web pages may send by OTLP/HTTP: \
         https://app.example.com, https://*.example.com, or * for all. None by default.",
    )
    .repeated(),
    OptionSpec::new(
        "cors_allowed_headers",
        OptionKind::Str,
        None,
        "Request headers, separated by commas, that such pages may set beside those that exporters \
         need; * for all.",
    )
    .repeated(),
];

/// Reads the options.
pub(super) fn settings(parser: &mut Parser<'_>, http2: bool) -> SecuritySettings {
    let tls = tls(parser).map(|tls| TlsSettings { http2, ..tls });
    let bearer_tokens = bearer_tokens(parser);
    let bearer_token_file = path(parser, "bearer_token_file");
    let basic = basic(parser);
    let tenants_file = path(parser, "tenants_file");
    SecuritySettings {
        tls,
        bearer_tokens,
        bearer_token_file,
        basic,
        tenants_file,
        jwt: jwt(parser),
        cors_allowed_origins: parser.list("cors_allowed_origins"),
        cors_allowed_headers: parser.list("cors_allowed_headers"),
    }
}

fn path(parser: &mut Parser<'_>, option: &str) -> Option<PathBuf> {
    let text = parser.text(option)?.trim();
    if text.is_empty() {
        parser.refuse(option, text, "allowed: the path of a file");
        return None;
    }
    Some(PathBuf::from(text))
}

/// Values are secrets: no message shows one.
fn bearer_tokens(parser: &mut Parser<'_>) -> Vec<Secret> {
    let mut tokens = Vec::new();
    for token in parser.texts("bearer_token") {
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            parser.problem(
                "option 'bearer_token': a value is empty or has other characters than visible \
                 ASCII; allowed: a token without blanks",
            );
        }
        tokens.push(Secret::new(token));
    }
    tokens
}

fn basic(parser: &mut Parser<'_>) -> Option<(String, Secret)> {
    match (parser.text("http_user"), parser.text("http_passwd")) {
        (None, None) => None,
        (Some(user), Some(password)) => {
            if user.is_empty() || user.contains(':') {
                parser.refuse("http_user", user, "allowed: a name without a colon");
            }
            Some((user.to_owned(), Secret::new(password)))
        }
        (Some(_), None) => {
            parser.problem("option 'http_passwd' is needed beside 'http_user'");
            None
        }
        (None, Some(_)) => {
            parser.problem("option 'http_user' is needed beside 'http_passwd'");
            None
        }
    }
}

/// A text that is not empty.
fn word(parser: &Parser<'_>, option: &str) -> Option<String> {
    let text = parser.text(option)?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn jwt(parser: &mut Parser<'_>) -> Option<JwtSettings> {
    let stock = stock::oauth2(parser);
    let named = |parser: &Parser<'_>, own| {
        if stock { stock::stock_name(parser, own) } else { own }
    };
    let refresh_by = named(parser, "jwt_jwks_refresh");
    let refresh = parser.duration(refresh_by, JWKS_REFRESH);
    if refresh < JWKS_REFRESH_LEAST {
        let value = format!("{}s", refresh.as_secs());
        parser.refuse(refresh_by, &value, "allowed: at least 10s");
    }
    let leeway = parser.duration("jwt_leeway", LEEWAY);
    if leeway > LEEWAY_MOST {
        let value = format!("{}s", leeway.as_secs());
        parser.refuse("jwt_leeway", &value, "allowed: at most 1h");
    }
    let issuer_by = named(parser, "jwt_issuer");
    let audience_by = named(parser, "jwt_audience");
    let clients_by = named(parser, "jwt_clients");
    let url_by = named(parser, "jwt_jwks_url");
    let issuer = word(parser, issuer_by);
    let Some(keys) = key_source(parser, url_by, refresh) else {
        for option in [issuer_by, audience_by, clients_by, "jwt_tenant_claim"] {
            if parser.text(option).is_some() {
                parser.problem(format!(
                    "option '{option}': is of use only beside 'jwt_jwks_url' or 'jwt_jwks_file'"
                ));
            }
        }
        return None;
    };
    if issuer.is_none() {
        parser.problem(format!("option '{issuer_by}' is needed beside a key set"));
    }
    let algorithms = match parser.list("jwt_algorithms") {
        none if parser.text("jwt_algorithms").is_none() => {
            drop(none);
            ALGORITHMS.map(str::to_owned).to_vec()
        }
        some => some,
    };
    Some(JwtSettings {
        keys,
        issuer: issuer?,
        audiences: parser.list(audience_by),
        clients: parser.list(clients_by),
        algorithms,
        leeway,
        tenant_claim: word(parser, "jwt_tenant_claim"),
    })
}

fn key_source(
    parser: &mut Parser<'_>,
    url_by: &'static str,
    refresh: Duration,
) -> Option<KeySource> {
    let file = path(parser, "jwt_jwks_file");
    let ca_file = path(parser, "jwt_jwks_ca_file");
    let url = word(parser, url_by);
    if ca_file.is_some() && url.is_none() {
        parser.problem("option 'jwt_jwks_ca_file': is of use only beside 'jwt_jwks_url'");
    }
    match (file, url) {
        (Some(_), Some(_)) => {
            parser.problem("options 'jwt_jwks_url' and 'jwt_jwks_file': only one may be given");
            None
        }
        (Some(file), None) => Some(KeySource::File(file)),
        (None, Some(url)) => {
            let uri = url.parse::<http::Uri>().ok();
            let good = uri.is_some_and(|uri| {
                matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
            });
            if !good {
                // The value may hold a password.
                parser.problem(format!(
                    "option '{url_by}': the value is not allowed; allowed: a URL such as \
                     https://issuer.example.com/keys"
                ));
            }
            Some(KeySource::Url { url, ca_file, refresh })
        }
        (None, None) => None,
    }
}

/// What the host kept, or what it left to us.
fn host_or_own(parser: &Parser<'_>, name: &str) -> Option<String> {
    let value = parser.host_value(name).or_else(|| parser.text(name).map(str::to_owned));
    value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn switch(parser: &mut Parser<'_>, name: &str, default: bool) -> bool {
    let Some(value) = host_or_own(parser, name) else { return default };
    parse_bool(&value).unwrap_or_else(|| {
        parser.refuse(name, &value, "allowed: on, off");
        default
    })
}

fn tls(parser: &mut Parser<'_>) -> Option<TlsSettings> {
    let require_client = switch(parser, "tls.verify_client_cert", false);
    let versions = (version(parser, "tls.min_version", 12), version(parser, "tls.max_version", 13));
    if !switch(parser, "tls", false) {
        if require_client {
            parser.problem("option 'tls.verify_client_cert': is of use only with 'tls: on'");
        }
        return None;
    }
    if versions.0 > versions.1 {
        parser.problem("options 'tls.min_version' and 'tls.max_version' allow no version");
    }
    let verify = switch(parser, "tls.verify", true);
    let ca_file = host_or_own(parser, "tls.ca_file").filter(|_| verify || require_client);
    if require_client && ca_file.is_none() {
        parser.problem(
            "option 'tls.ca_file' is needed beside 'tls.verify_client_cert': a file with the \
             certificates that clients' are checked against",
        );
    }
    let crt_file = needed(parser, "tls.crt_file");
    let key_file = needed(parser, "tls.key_file");
    let ciphers = host_or_own(parser, "tls.ciphers").unwrap_or_default();
    Some(TlsSettings {
        crt_file: crt_file?,
        key_file: key_file?,
        key_passwd: host_or_own(parser, "tls.key_passwd").map(|password| Secret::new(&password)),
        ca_file: ca_file.map(PathBuf::from),
        require_client,
        versions,
        http2: true,
        ciphers: cipher_suites::parse_names(&ciphers),
    })
}

fn needed(parser: &mut Parser<'_>, name: &str) -> Option<PathBuf> {
    let value = host_or_own(parser, name);
    if value.is_none() {
        parser.problem(format!("option '{name}' is needed beside 'tls: on'"));
    }
    value.map(PathBuf::from)
}

fn version(parser: &mut Parser<'_>, name: &str, default: u8) -> u8 {
    let Some(value) = host_or_own(parser, name) else { return default };
    cipher_suites::parse_version(&value).unwrap_or_else(|| {
        parser.refuse(name, &value, "allowed: TLSv1.2, TLSv1.3");
        default
    })
}
