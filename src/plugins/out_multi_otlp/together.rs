//! Options of an endpoint that mean something only together.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Uri};

use super::endpoint::{Given, last, parse_url};
use super::rules;
use crate::config::{Parser, parse_list, parse_size};
use crate::export::{
    AttributeKey, AttributeRules, DeadLetter, EndpointSettings, OAuth2Settings, Protocol, Source,
};

/// The size of a file of dead letters, unless configured.
const LETTERS_SIZE: u64 = 100_000_000;

/// Reads them and tells what does not fit.
pub(super) fn check(
    parser: &mut Parser<'_>,
    endpoint: &mut EndpointSettings,
    family: &str,
    given: &Given,
) {
    let option = |key: &str| format!("option '{family}.{}.{key}'", endpoint.name);
    let mut problems = Vec::new();
    if let Err((key, problem)) = authorization(given).map(|value| {
        endpoint.headers.extend(value.map(|value| (AUTHORIZATION, value)));
    }) {
        problems.push(format!("{}: {problem}", option(key)));
    }
    match oauth2(given) {
        Ok(oauth2) => endpoint.credentials.oauth2 = oauth2,
        Err((key, problem)) => problems.push(format!("{}: {problem}", option(key))),
    }
    let ways = [
        endpoint.headers.iter().filter(|(name, _)| *name == AUTHORIZATION).count(),
        usize::from(endpoint.credentials.bearer_token_file.is_some()),
        usize::from(endpoint.credentials.oauth2.is_some()),
    ];
    if ways.iter().sum::<usize>() > 1 {
        problems.push(format!(
            "{family} '{}' is given several authorizations; give one of an authorization header, \
             http_user, bearer_token, bearer_token_file and oauth2.*",
            endpoint.name
        ));
    }
    let secure = endpoint.url.scheme_str() == Some("https");
    if endpoint.proxy.is_some() && endpoint.protocol == Protocol::Grpc && !secure {
        problems.push(format!("{}: gRPC goes through a proxy only with https", option("proxy")));
    }
    match rules::parse(given) {
        Ok(rules) => {
            let gone = rules.iter().flat_map(|rules| headers_without_source(endpoint, rules));
            problems.extend(gone.map(|problem| format!("{}: {problem}", option("header_from"))));
            endpoint.attributes = rules.map(Arc::new);
        }
        Err((key, problem)) => problems.push(format!("{}: {problem}", option(key))),
    }
    match letter_file(given) {
        Ok(Some(file)) => endpoint.dead_letter = Some(file),
        Ok(None) => {}
        Err((key, problem)) => problems.push(format!("{}: {problem}", option(key))),
    }
    problems.into_iter().for_each(|problem| parser.problem(problem));
}

/// Headers whose attribute is gone when they are read: the rules for attributes come first.
fn headers_without_source(endpoint: &EndpointSettings, rules: &AttributeRules) -> Vec<String> {
    let gone = |source: &Source| {
        let (of_resource, key) = match source {
            Source::Resource(key) => (true, key),
            Source::Item(key) => (false, key),
            Source::Scope(_) => return None,
        };
        let is = |rule: &AttributeKey| rule.is(of_resource, key.as_bytes());
        let renamed = || rules.rename.iter().any(|(old, _)| is(old));
        let stays = rules.add.iter().any(|(added, _)| is(added));
        let rule = if rules.drop.iter().any(is) { "attributes.drop" } else { "attributes.rename" };
        let is_gone = !stays && (rule == "attributes.drop" || renamed());
        is_gone.then(|| format!("'{key}' is not there any more after '{rule}', which comes first"))
    };
    endpoint.header_from.iter().filter_map(|header| gone(&header.source)).collect()
}

/// The key of an option and what is wrong with it.
pub(super) type Wrong = (&'static str, String);

fn authorization(given: &Given) -> Result<Option<HeaderValue>, Wrong> {
    let (user, password) = (last(given, "http_user"), last(given, "http_passwd"));
    let token = last(given, "bearer_token");
    let text = match (user, password, token) {
        (Some(_), _, Some(_)) => {
            return Err(("bearer_token", "it is given beside http_user".to_owned()));
        }
        (Some(user), password, None) => {
            let pair = format!("{user}:{}", password.unwrap_or_default());
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        }
        (None, Some(_), _) => return Err(("http_passwd", "it needs http_user".to_owned())),
        (None, None, Some(token)) => format!("Bearer {token}"),
        (None, None, None) => return Ok(None),
    };
    HeaderValue::from_str(&text)
        .map(Some)
        .map_err(|_| ("bearer_token", "it has characters that no header can have".to_owned()))
}

fn oauth2(given: &Given) -> Result<Option<OAuth2Settings>, Wrong> {
    let of = |key: &str| last(given, &format!("oauth2.{key}")).filter(|value| !value.is_empty());
    let (url, id, secret) = (of("token_url"), of("client_id"), of("client_secret"));
    let scopes: Vec<String> = of("scopes").into_iter().flat_map(parse_list).collect();
    let audience = of("audience").map(str::to_owned);
    let missing = |key: &'static str| (key, "it is needed beside the other oauth2 keys".to_owned());
    let (url, client_id, client_secret) = match (url, id, secret) {
        (None, None, None) if scopes.is_empty() && audience.is_none() => return Ok(None),
        (None, ..) => return Err(missing("oauth2.token_url")),
        (_, None, _) => return Err(missing("oauth2.client_id")),
        (_, _, None) => return Err(missing("oauth2.client_secret")),
        (Some(url), Some(id), Some(secret)) => (url, id.to_owned(), secret.to_owned()),
    };
    let token_url: Uri = parse_url(url).map_err(|allowed| ("oauth2.token_url", allowed))?;
    Ok(Some(OAuth2Settings { token_url, client_id, client_secret, scopes, audience }))
}

fn letter_file(given: &Given) -> Result<Option<DeadLetter>, Wrong> {
    let (file, size) = (last(given, "dead_letter_file"), last(given, "dead_letter_file_size"));
    let size = match size {
        None => LETTERS_SIZE,
        Some(_) if file.is_none() => {
            return Err(("dead_letter_file_size", "it needs dead_letter_file".to_owned()));
        }
        Some(text) => parse_size(text).filter(|size| *size >= 1000).ok_or_else(|| {
            let words = format!("'{text}' is not allowed; allowed: a size from 1k");
            ("dead_letter_file_size", words)
        })?,
    };
    if file.is_some() && last(given, "dead_letter").is_some() {
        return Err(("dead_letter_file", "it is given beside dead_letter".to_owned()));
    }
    Ok(file.map(|file| DeadLetter::File(PathBuf::from(file), size)))
}
