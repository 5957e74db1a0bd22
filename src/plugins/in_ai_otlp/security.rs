//! Options of `ai_otlp` that say who may send.
//!
//! The keys `tls` and `tls.*` are the host's: every release takes most of them for itself and hands
//! them on. Those that a release does not know reach us as options of our own, under the same
//! names. The host reads the certificate files too, for a TLS context that is not used, so that its
//! own complaints about them come first.

use std::path::PathBuf;
use std::time::Duration;

use super::stock;
use crate::cipher_suites;
use crate::config::read::{self, Read};
use crate::config::{Parser, options, parse_bool};
use crate::plugin::{OpenError, OptionKind, OptionSpec};
use crate::receive::{JwtSettings, KeySource, Secret, SecuritySettings, ServerTlsSettings};

const JWKS_REFRESH_LEAST: Duration = Duration::from_secs(10);
const MAX_LEEWAY: Duration = Duration::from_secs(3600);

options! {
    /// What is configured, beside what the host keeps for itself.
    struct Given in pub(super) OPTIONS {
        require_client: bool = switch,
            Bool "tls.verify_client_cert" = "off",
            "Whether clients need a certificate by 'tls.ca_file' (needs 'tls: on'). Without it, \
             certificates that clients show are checked if there is a 'tls.ca_file'.";
        min_version: u8 = version,
            Str "tls.min_version" = "TLSv1.2",
            "Oldest version of TLS: TLSv1.2 or TLSv1.3.";
        max_version: u8 = version,
            Str "tls.max_version" = "TLSv1.3",
            "Newest version of TLS: TLSv1.2 or TLSv1.3.";
        ciphers: Option<String> = host_or_given,
            Str "tls.ciphers",
            "Allowed cipher suites, separated by colons, by their names in OpenSSL or by IANA. A list \
             without any of TLS 1.3 allows all of those.";
        bearer_tokens: Vec<Secret> = bearer_tokens,
            Str "bearer_token" [repeated, secret],
            "Token that senders have to show as 'authorization: Bearer TOKEN'; may be given several \
             times.";
        bearer_token_file: Option<PathBuf> = path,
            Str "bearer_token_file",
            "File with such tokens, one a line; read again when it changes.";
        http_user: Option<String> = read::text,
            Str "http_user",
            "User that senders may show by basic authentication, with 'http_passwd'.";
        http_passwd: Option<String> = read::text,
            Str "http_passwd" [secret],
            "Password of 'http_user'.";
        tenants_file: Option<PathBuf> = path,
            Str "tenants_file",
            "YAML file with credentials by tenant: 'tenants', a map from names to maps with the lists \
             bearer_tokens, bearer_tokens_sha256, jwt_claims and certificates (DNS names or SHA-256), \
             and the map users (name: password); read again when it changes.";
        jwks_url: Option<String> = stock::jwt(read::trimmed),
            Str "jwt_jwks_url",
            "Where the key set is by which JSON Web Tokens are validated, http or https. (The \
             names of Fluent Bit's own input, 'oauth2.*', are taken too.)";
        jwks_file: Option<PathBuf> = path,
            Str "jwt_jwks_file",
            "The same as a file; read again when it changes.";
        jwks_ca_file: Option<PathBuf> = path,
            Str "jwt_jwks_ca_file",
            "Certificates to trust for 'jwt_jwks_url' beside the machine's.";
        jwks_refresh: Duration = stock::jwt(refresh),
            Time "jwt_jwks_refresh" = "300",
            "How often to fetch 'jwt_jwks_url'. A token with an unknown key fetches it too, at most \
             every 10 seconds.";
        issuer: Option<String> = stock::jwt(read::trimmed),
            Str "jwt_issuer",
            "The issuer ('iss') that tokens need; has to be given with a key set.";
        audiences: Vec<String> = stock::jwt(read::list),
            Str "jwt_audience" [repeated],
            "Audiences, separated by commas, of which tokens need one ('aud').";
        clients: Vec<String> = stock::jwt(read::list),
            Str "jwt_clients" [repeated],
            "Clients, separated by commas, that tokens may be of ('azp' or 'client_id').";
        algorithms: Vec<String> = read::list,
            Str "jwt_algorithms" = "RS256,ES256,EdDSA",
            "Algorithms, separated by commas, that tokens may be signed by: RS256, RS384, RS512, \
             PS256, PS384, PS512, ES256, ES384, EdDSA.";
        leeway: Duration = leeway,
            Time "jwt_leeway" = "60",
            "By how much the clocks of issuers may be wrong; at most an hour.";
        tenant_claim: Option<String> = read::trimmed,
            Str "jwt_tenant_claim",
            "The claim that names the tenant; with a 'tenants_file' it has to be one of its tenants.";
        cors_allowed_origins: Vec<String> = read::list,
            Str "cors_allowed_origins" [repeated],
            "Origins, separated by commas, whose web pages may send by OTLP/HTTP: \
             https://app.example.com, https://*.example.com, or * for all. None by default.";
        cors_allowed_headers: Vec<String> = read::list,
            Str "cors_allowed_headers" [repeated],
            "Request headers, separated by commas, that such pages may set beside those that exporters \
             need; * for all.";
    }
}

/// Reads the options.
pub(super) fn settings(
    parser: &mut Parser<'_>,
    http2: bool,
) -> Result<SecuritySettings, OpenError> {
    let given = Given::read(parser)?;
    let tls = tls(parser, &given).map(|tls| ServerTlsSettings { http2, ..tls });
    let basic = basic(parser, &given);
    let jwt = jwt(parser, &given);
    Ok(SecuritySettings {
        tls,
        bearer_tokens: given.bearer_tokens,
        bearer_token_file: given.bearer_token_file,
        basic,
        tenants_file: given.tenants_file,
        jwt,
        cors_allowed_origins: given.cors_allowed_origins,
        cors_allowed_headers: given.cors_allowed_headers,
    })
}

/// Whether credentials may name tenants.
pub(super) fn names_tenants(parser: &Parser<'_>) -> bool {
    ["tenants_file", "jwt_tenant_claim"].iter().any(|option| parser.text(option).is_some())
}

fn path(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<PathBuf>> {
    read::optional("allowed: the path of a file", |text| {
        (!text.is_empty()).then(|| PathBuf::from(text))
    })(parser, option)
}

/// Values are secrets: no message shows one.
fn bearer_tokens(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<Secret>> {
    let mut tokens = Vec::new();
    for token in parser.texts(option.name) {
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            parser.problem(
                "option 'bearer_token': a value is empty or has other characters than visible \
                 ASCII; allowed: a token without blanks",
            );
        }
        tokens.push(Secret::new(token));
    }
    Some(tokens)
}

fn basic(parser: &mut Parser<'_>, given: &Given) -> Option<(String, Secret)> {
    match (&given.http_user, &given.http_passwd) {
        (None, None) => None,
        (Some(user), Some(password)) => {
            if user.is_empty() || user.contains(':') {
                parser.refuse("http_user", user, "allowed: a name without a colon");
            }
            Some((user.clone(), Secret::new(password)))
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

fn refresh(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    let refresh = read::duration(parser, option)?;
    if refresh < JWKS_REFRESH_LEAST {
        let value = format!("{}s", refresh.as_secs());
        parser.refuse(option.name, &value, "allowed: at least 10s");
    }
    Some(refresh)
}

fn leeway(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    let leeway = read::duration(parser, option)?;
    if leeway > MAX_LEEWAY {
        let value = format!("{}s", leeway.as_secs());
        parser.refuse(option.name, &value, "allowed: at most 1h");
    }
    Some(leeway)
}

fn jwt(parser: &mut Parser<'_>, given: &Given) -> Option<JwtSettings> {
    let issuer_by = stock::jwt_name(parser, "jwt_issuer");
    let Some(keys) = key_source(parser, given) else {
        let [audience_by, clients_by] =
            ["jwt_audience", "jwt_clients"].map(|own| stock::jwt_name(parser, own));
        for option in [issuer_by, audience_by, clients_by, "jwt_tenant_claim"] {
            if parser.text(option).is_some() {
                parser.problem(format!(
                    "option '{option}': is of use only beside 'jwt_jwks_url' or 'jwt_jwks_file'"
                ));
            }
        }
        return None;
    };
    if given.issuer.is_none() {
        parser.problem(format!("option '{issuer_by}' is needed beside a key set"));
    }
    Some(JwtSettings {
        keys,
        issuer: given.issuer.clone()?,
        audiences: given.audiences.clone(),
        clients: given.clients.clone(),
        algorithms: given.algorithms.clone(),
        leeway: given.leeway,
        tenant_claim: given.tenant_claim.clone(),
    })
}

fn key_source(parser: &mut Parser<'_>, given: &Given) -> Option<KeySource> {
    let Given { jwks_file: file, jwks_url: url, jwks_ca_file: ca_file, .. } = given;
    if ca_file.is_some() && url.is_none() {
        parser.problem("option 'jwt_jwks_ca_file': is of use only beside 'jwt_jwks_url'");
    }
    match (file, url) {
        (Some(_), Some(_)) => {
            parser.problem("options 'jwt_jwks_url' and 'jwt_jwks_file': only one may be given");
            None
        }
        (Some(file), None) => Some(KeySource::File(file.clone())),
        (None, Some(url)) => {
            let uri = url.parse::<http::Uri>().ok();
            let good = uri.is_some_and(|uri| {
                matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
            });
            if !good {
                // The value may hold a password.
                let option = stock::jwt_name(parser, "jwt_jwks_url");
                parser.problem(format!(
                    "option '{option}': the value is not allowed; allowed: a URL such as \
                     https://issuer.example.com/keys"
                ));
            }
            let (url, ca_file) = (url.clone(), ca_file.clone());
            Some(KeySource::Url { url, ca_file, refresh: given.jwks_refresh })
        }
        (None, None) => None,
    }
}

/// What the host kept, or what it left to us.
fn host_or_own(parser: &Parser<'_>, name: &str) -> Option<String> {
    let value = parser.host_value(name).or_else(|| parser.text(name).map(str::to_owned));
    value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn host_or_given(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<String>> {
    Some(host_or_own(parser, option.name))
}

/// What `parse` makes of what the host kept or left to us, or of the default.
fn host_value<T>(
    parser: &mut Parser<'_>,
    option: &OptionSpec,
    allowed: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Read<T> {
    if let Some(value) = host_or_own(parser, option.name) {
        if let Some(parsed) = parse(&value) {
            return Some(parsed);
        }
        parser.refuse(option.name, &value, allowed);
    }
    parse(option.default?)
}

fn switch(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<bool> {
    host_value(parser, option, "allowed: on, off", parse_bool)
}

/// A switch that only the host has.
fn host_switch(parser: &mut Parser<'_>, name: &'static str, default: &'static str) -> bool {
    let option = OptionSpec::new(name, OptionKind::Bool, Some(default), "");
    switch(parser, &option).unwrap_or_default()
}

fn version(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<u8> {
    host_value(parser, option, "allowed: TLSv1.2, TLSv1.3", cipher_suites::parse_version)
}

fn tls(parser: &mut Parser<'_>, given: &Given) -> Option<ServerTlsSettings> {
    let require_client = given.require_client;
    let versions = (given.min_version, given.max_version);
    if !host_switch(parser, "tls", "off") {
        if require_client {
            parser.problem("option 'tls.verify_client_cert': is of use only with 'tls: on'");
        }
        return None;
    }
    if versions.0 > versions.1 {
        parser.problem("options 'tls.min_version' and 'tls.max_version' allow no version");
    }
    let verify = host_switch(parser, "tls.verify", "on");
    let ca_file = host_or_own(parser, "tls.ca_file").filter(|_| verify || require_client);
    if require_client && ca_file.is_none() {
        parser.problem(
            "option 'tls.ca_file' is needed beside 'tls.verify_client_cert': a file with the \
             certificates that clients' are checked against",
        );
    }
    let crt_file = needed(parser, "tls.crt_file");
    let key_file = needed(parser, "tls.key_file");
    let ciphers = given.ciphers.as_deref().unwrap_or_default();
    Some(ServerTlsSettings {
        crt_file: crt_file?,
        key_file: key_file?,
        key_passwd: host_or_own(parser, "tls.key_passwd").map(|password| Secret::new(&password)),
        ca_file: ca_file.map(PathBuf::from),
        require_client,
        versions,
        http2: true,
        ciphers: cipher_suites::parse_names(ciphers),
    })
}

fn needed(parser: &mut Parser<'_>, name: &str) -> Option<PathBuf> {
    let value = host_or_own(parser, name);
    if value.is_none() {
        parser.problem(format!("option '{name}' is needed beside 'tls: on'"));
    }
    value.map(PathBuf::from)
}
