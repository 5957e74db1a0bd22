//! Options `group.NAME.KEY`.

use std::time::Duration;

use super::endpoint;
use super::given::{GivenPairs, NamedOptions, last};
use super::keys;
use crate::config::{Parser, parse_duration, parse_list};
use crate::export::{EndpointSettings, GroupMode, GroupSettings, MemberSource};

/// One line of help for the host.
pub(super) const HELP: &str = "group.NAME.KEY: members (names of endpoints), mode (all, failover, \
    balance), balance (round_robin, least_busy, trace_id), url (members are all addresses of its \
    host), dns_interval; any key of endpoint.NAME is a default for all members.";

/// The keys that are not for the members.
const KEYS: [&str; 4] = ["members", "mode", "balance", "dns_interval"];

/// The time between look-ups, unless configured.
const DNS_INTERVAL: Duration = Duration::from_secs(10);

/// What the options say of groups.
#[derive(Default)]
pub(super) struct GroupOptions {
    pub(super) groups: Vec<GroupSettings>,
    /// Members of groups of mode `all`, which are endpoints like any other.
    pub(super) alone: Vec<EndpointSettings>,
    /// The names of those.
    pub(super) expanded: Vec<String>,
    /// The endpoints that are members.
    members: Vec<String>,
}

impl GroupOptions {
    /// Whether an endpoint is a member: it was read with its group, and gets data by itself only
    /// where `endpoints` names it.
    pub(super) fn has(&self, endpoint: &str) -> bool {
        self.members.iter().any(|name| name == endpoint)
    }
}

/// Modes as they are written; `None` is `all`.
fn mode(parser: &mut Parser<'_>, name: &str, given: &GivenPairs) -> Option<GroupMode> {
    let word = last(given, "mode").unwrap_or("failover").to_lowercase();
    let balance = last(given, "balance").map(str::to_lowercase);
    if balance.is_some() && word != "balance" {
        parser.problem(format!(
            "option 'group.{name}.balance': it needs 'group.{name}.mode: balance'"
        ));
    }
    match (word.as_str(), balance.as_deref()) {
        ("all", _) => None,
        ("failover", _) => Some(GroupMode::Failover),
        ("balance", None | Some("round_robin")) => Some(GroupMode::RoundRobin),
        ("balance", Some("least_busy")) => Some(GroupMode::LeastBusy),
        ("balance", Some("trace_id")) => Some(GroupMode::TraceId),
        ("balance", Some(other)) => {
            let option = format!("group.{name}.balance");
            parser.refuse(&option, other, "allowed: round_robin, least_busy, trace_id");
            None
        }
        (other, _) => {
            parser.refuse(&format!("group.{name}.mode"), other, "allowed: all, failover, balance");
            None
        }
    }
}

/// Reads all groups, also those that are not in use; problems go to the parser.
pub(super) fn parse(
    parser: &mut Parser<'_>,
    sources: &NamedOptions,
    names: &[String],
) -> GroupOptions {
    let mut groups = GroupOptions::default();
    for (name, given) in &sources.groups {
        if endpoint::check_name(parser, "group", name) {
            let is_used = names.contains(name);
            one(parser, sources, &mut groups, (name, given, is_used));
        }
    }
    for name in names.iter().filter(|name| !sources.groups.contains_key(*name)) {
        parser.problem(format!(
            "option 'groups': there is no 'group.{name}.members'; given are: {}",
            sources.groups.keys().cloned().collect::<Vec<_>>().join(", ")
        ));
    }
    let index = |group: &GroupSettings| names.iter().position(|name| *name == group.name);
    groups.groups.sort_unstable_by_key(index);
    groups
}

fn one(
    parser: &mut Parser<'_>,
    sources: &NamedOptions,
    groups: &mut GroupOptions,
    (name, given, is_used): (&String, &GivenPairs, bool),
) {
    let (own, common): (Vec<_>, Vec<_>) =
        given.iter().cloned().partition(|(key, _)| KEYS.contains(&key.as_str()));
    let mode = mode(parser, name, &own);
    let shared = endpoint::parse_common(parser, name, &common);
    let interval = interval(parser, name, &own);
    let listed = listed(&own);
    let has_url = last(&common, "url").is_some();
    if listed.is_empty() != has_url {
        parser.problem(format!(
            "group '{name}' needs either 'group.{name}.members', a list of endpoints, or \
             'group.{name}.url', whose host's addresses are the members"
        ));
        return;
    }
    if has_url {
        let Some(mode) = mode else {
            let allowed = "a group of looked up members can be: failover, balance";
            return parser.refuse(&format!("group.{name}.mode"), "all", allowed);
        };
        let members = MemberSource::Resolved { endpoint: Box::new(shared), interval };
        if is_used {
            groups.groups.push(GroupSettings { name: name.clone(), mode, members });
        }
        return;
    }
    let mut members = Vec::new();
    for member in &listed {
        let Some(given) = sources.endpoints.get(member) else {
            parser.problem(format!(
                "option 'group.{name}.members': '{member}' has no 'endpoint.{member}.url'"
            ));
            continue;
        };
        members.extend(endpoint::parse(parser, member, given, &common));
        groups.members.push(member.clone());
    }
    let Some(mode) = mode else {
        if is_used {
            groups.expanded.extend(listed);
            groups.alone.extend(members);
        }
        return;
    };
    agree(parser, sources, name, &listed, &common);
    if is_used && !members.is_empty() {
        let members = MemberSource::Listed(members);
        groups.groups.push(GroupSettings { name: name.clone(), mode, members });
    }
}

/// The names of the members.
fn listed(own: &GivenPairs) -> Vec<String> {
    let lists = own.iter().filter(|(key, _)| key == "members");
    let names = lists.flat_map(|(_, value)| parse_list(value));
    names.map(|name| name.to_lowercase()).collect()
}

fn interval(parser: &mut Parser<'_>, name: &str, own: &GivenPairs) -> Duration {
    let Some(value) = last(own, "dns_interval") else { return DNS_INTERVAL };
    let allowed = Duration::from_millis(100)..=Duration::from_secs(3600);
    match parse_duration(value).filter(|interval| allowed.contains(interval)) {
        Some(interval) => interval,
        None => {
            let allowed = "allowed: a duration from 100ms to 1h";
            parser.refuse(&format!("group.{name}.dns_interval"), value, allowed);
            DNS_INTERVAL
        }
    }
}

/// What one member cannot take goes to another one, so they all are to get the same.
fn agree(
    parser: &mut Parser<'_>,
    sources: &NamedOptions,
    name: &str,
    listed: &[String],
    common: &GivenPairs,
) {
    for key in keys::of_view().chain(["max_elapsed_time", "retry_in_place"]) {
        let mut values = listed
            .iter()
            .filter_map(|member| sources.endpoints.get(member))
            .map(|own| last(own, key).or_else(|| last(common, key)));
        let first = values.next();
        if values.any(|value| Some(value) != first) {
            parser.problem(format!(
                "group '{name}': its members differ in '{key}', but an item may go to any of them; \
                 write 'group.{name}.{key}'"
            ));
        }
    }
}
