//! Options `endpoint.NAME.KEY`.

use super::draft::EndpointDraft;
use super::given::{GivenPairs, last, option};
use super::keys::{self, EndpointKey, KEYS, ShownOnError};
use super::stock;
use crate::config::Parser;
use crate::export::EndpointSettings;

/// Reads one endpoint; problems go to the parser. `defaults` are what its group says, which was
/// looked at already.
pub(super) fn parse(
    parser: &mut Parser<'_>,
    name: &str,
    given: &GivenPairs,
    defaults: &GivenPairs,
) -> Option<EndpointSettings> {
    if !check_name(parser, "endpoint", name) {
        return None;
    }
    let mut draft = EndpointDraft::new(name);
    for (key, value) in defaults {
        let known = keys::of_name(key);
        let _told_already = known.map(|known| (known.set)(&mut draft, value.trim()));
    }
    fill(parser, &mut draft, "endpoint", given);
    if last(given, "url").or_else(|| last(defaults, "url")).is_none() {
        parser.problem(format!("endpoint '{name}' has no 'endpoint.{name}.url'"));
        return None;
    }
    let has_url = draft.url.is_some();
    let endpoint = draft.finish(parser, "endpoint");
    has_url.then_some(endpoint)
}

/// Reads what a group says for all its members; problems go to the parser.
pub(super) fn parse_common(
    parser: &mut Parser<'_>,
    name: &str,
    given: &GivenPairs,
) -> EndpointSettings {
    let mut draft = EndpointDraft::new(name);
    fill(parser, &mut draft, "group", given);
    draft.finish(parser, "group")
}

/// Whether a name can stand in options and counters; reports it to the parser if not.
pub(super) fn check_name(parser: &mut Parser<'_>, family: &str, name: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let is_valid = !name.is_empty() && name.chars().all(valid);
    if !is_valid {
        parser.problem(format!(
            "option '{family}.{name}': {family} names consist of letters, digits, '_' and '-'"
        ));
    }
    is_valid
}

fn fill(parser: &mut Parser<'_>, draft: &mut EndpointDraft, family: &str, given: &GivenPairs) {
    for (key, value) in given {
        let option = option(family, &draft.endpoint.name, key);
        let value = value.trim();
        if stock::is_settled(key) {
            if let Err(instead) = stock::check(key, value) {
                parser.refuse(&option, value, &instead);
            }
            continue;
        }
        let Some(known) = keys::of_name(key) else {
            let allowed: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
            let allowed = allowed.join(", ");
            parser
                .problem(format!("option '{option}': there is no key '{key}'; allowed: {allowed}"));
            continue;
        };
        set(parser, draft, known, &option, value);
    }
}

/// Reads a value; what is wrong with it goes to the parser, without what may be a secret.
pub(super) fn set(
    parser: &mut Parser<'_>,
    draft: &mut EndpointDraft,
    known: &EndpointKey,
    option: &str,
    value: &str,
) {
    match ((known.set)(draft, value), known.shown) {
        (Ok(()), _) => {}
        (Err(allowed), ShownOnError::Whole) => parser.refuse(option, value, &allowed),
        (Err(allowed), ShownOnError::WithoutPassword) => {
            parser.refuse(option, &without_password(value), &allowed);
        }
        (Err(problem), ShownOnError::Nothing) => {
            parser.problem(format!("option '{option}': {problem}"));
        }
    }
}

/// An URL may hold a password.
fn without_password(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) => format!("...@{host}"),
        None => url.to_owned(),
    }
}
