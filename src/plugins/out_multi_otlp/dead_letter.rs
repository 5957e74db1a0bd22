//! Option `endpoint.NAME.dead_letter: OTHER`, where OTHER is another endpoint.

use std::collections::BTreeSet;

use super::endpoint;
use super::given::{NamedOptions, last};
use super::keys;
use crate::config::{Parser, parse_list};
use crate::export::{DeadLetterTarget, EndpointSettings, GroupSettings, MemberSource};

/// The endpoints that get dead letters; they get other data only where `endpoints` names them.
pub(super) fn names(sources: &NamedOptions) -> BTreeSet<String> {
    let all = sources.endpoints.values().chain(sources.groups.values());
    all.filter_map(|given| last(given, "dead_letter")).map(str::to_lowercase).collect()
}

/// Gives every endpoint in use the settings of the endpoint for its dead letters.
pub(super) fn resolve(
    parser: &mut Parser<'_>,
    sources: &NamedOptions,
    endpoints: &mut [EndpointSettings],
    groups: &mut [GroupSettings],
) {
    for endpoint in endpoints {
        let name = endpoint.name.clone();
        let own = sources.endpoints.get(&name).and_then(|given| last(given, "dead_letter"));
        one(parser, sources, endpoint, own.or_else(|| of_all(sources, &name)));
    }
    for group in groups {
        let common = sources.groups.get(&group.name);
        let common = common.and_then(|given| last(given, "dead_letter"));
        match &mut group.members {
            MemberSource::Resolved { endpoint, .. } => one(parser, sources, endpoint, common),
            MemberSource::Listed(members) => {
                for member in members {
                    let own = sources.endpoints.get(&member.name);
                    let own = own.and_then(|given| last(given, "dead_letter"));
                    one(parser, sources, member, own.or(common));
                }
            }
        }
    }
}

/// What a group of mode `all` says for its members.
fn of_all<'s>(sources: &'s NamedOptions, name: &str) -> Option<&'s str> {
    let is_member = |given: &&Vec<(String, String)>| {
        let all = last(given, "mode").is_some_and(|mode| mode.eq_ignore_ascii_case("all"));
        let members = last(given, "members").map(parse_list).unwrap_or_default();
        all && members.iter().any(|member| member.eq_ignore_ascii_case(name))
    };
    sources.groups.values().find(is_member).and_then(|given| last(given, "dead_letter"))
}

fn one(
    parser: &mut Parser<'_>,
    sources: &NamedOptions,
    endpoint: &mut EndpointSettings,
    other: Option<&str>,
) {
    let Some(other) = other.map(str::to_lowercase) else { return };
    let given = sources.endpoints.get(&other).filter(|_| other != endpoint.name);
    let Some(given) = given else {
        parser.problem(format!(
            "option 'endpoint.{}.dead_letter': '{other}' is not allowed; allowed: the name of \
             another endpoint",
            endpoint.name
        ));
        return;
    };
    // Its own rules would have to be applied to items that were judged already: rather than sending
    // what it is not to have, it says so.
    let rules = keys::of_view().filter(|key| !key.starts_with("max_request_"));
    for key in rules.filter(|key| last(given, key).is_some()) {
        parser.problem(format!(
            "option 'endpoint.{other}.{key}': '{other}' gets the dead letters of '{}' as that one \
             would have got them; write another endpoint with the same url for what has '{key}'",
            endpoint.name
        ));
    }
    // What is wrong with it was reported when it was read.
    let mut quiet = parser.silent();
    if let Some(settings) = endpoint::parse(&mut quiet, &other, given, &[]) {
        endpoint.dead_letter = Some(DeadLetterTarget::Endpoint(Box::new(settings)));
    }
}
