//! Options of `ai_otlp` for tags and tenants.

use http::HeaderName;

use crate::config::read::{self, Read};
use crate::config::{Parser, options, parse_list, parse_size};
use crate::plugin::{OpenError, OptionSpec};
use crate::receive::{
    MAX_TENANT_LENGTH, TagFrom, TagSettings, TenancySettings, TenantRate, is_tag,
};

const TAG_ALLOWED: &str = "allowed: up to 128 letters, digits and . _ - / : @";

options! {
    /// What is configured.
    struct Given in pub(super) OPTIONS {
        traces: Option<String> = tag,
            Str "tag_traces",
            "Tag of traces; 'tag' where it is not set.";
        metrics: Option<String> = tag,
            Str "tag_metrics",
            "Tag of metrics; 'tag' where it is not set.";
        logs: Option<String> = tag,
            Str "tag_logs",
            "Tag of logs; 'tag' where it is not set.";
        profiles: Option<String> = tag,
            Str "tag_profiles",
            "Tag of profiles; 'tag' where it is not set.";
        from: Option<TagFrom> = tag_from,
            Str "tag_from",
            "What tags are made of: 'resource.ATTRIBUTE' or just the attribute's name, 'header:NAME', or \
             'tenant'. The value follows 'tag_prefix'; what is not a letter, digit, '.', '_' or '-' \
             becomes '_', and the value is cut after 64 bytes.";
        prefix: Option<String> = tag,
            Str "tag_prefix",
            "What stands before the value of 'tag_from'; the tag of the signal and a dot where it is not \
             set.";
        fallback: Option<String> = tag,
            Str "tag_fallback",
            "Tag of what has no value of 'tag_from'; the tag of the signal where it is not set.";
        overflow: Option<String> = tag,
            Str "tag_overflow",
            "Tag of new values when there are 'max_tags' tags; the prefix and 'overflow' where it is not \
             set.";
        max_tags: usize = read::count(1..=100_000),
            Int "max_tags" = "100",
            "How many tags may be made by 'tag_from'. Each tag has chunks of its own in the pipeline.";
        tenant_header: Option<HeaderName> = header,
            Str "tenant_header",
            "The request header that names the tenant, for example x-scope-orgid. Anyone can write a \
             header, so use this behind a gateway that sets it.";
        tenant_attribute: Option<String> = attribute,
            Str "tenant_attribute",
            "The resource attribute, for example tenant.id, that is set to the tenant in every resource. \
             What senders claim in it is replaced, or removed where the request has no tenant.";
        rate: Option<u64> = bytes,
            Size "tenant_rate",
            "Bytes per second, after decompression, that each tenant may send; requests without a tenant \
             share one limit. Beyond that senders are told when to send again.";
        burst: Option<u64> = bytes,
            Size "tenant_burst",
            "Bytes that a tenant may send at once after a pause; ten seconds of its rate where it is not \
             set.";
        rates: Vec<(String, u64)> = rates,
            CommaList "tenant_rates",
            "Rates of single tenants instead of 'tenant_rate', such as acme=10M,beta=500k. Each tenant \
             named here has counters of its own.";
        max_tenants: usize = read::count(1..=1_000_000),
            Int "max_tenants" = "10000",
            "How many tenants have a limit of their own at a time; any more share one.";
    }
}

/// Reads the options. `by_uri` are the tags of signals that have none of their own, `known` says whether
/// credentials name tenants.
pub(super) fn tenancy(
    parser: &mut Parser<'_>,
    by_uri: [Option<String>; 4],
    known: bool,
) -> Result<TenancySettings, OpenError> {
    let given = Given::read(parser)?;
    check(parser, &given, known);
    let own = parser.host_value("tag").filter(|tag| !tag.is_empty());
    let [traces, metrics, logs, profiles] = by_uri;
    let tags = TagSettings {
        signals: [
            given.traces.or(traces),
            given.metrics.or(metrics),
            given.logs.or(logs),
            given.profiles.or(profiles),
        ],
        from: given.from,
        prefix: given.prefix,
        fallback: given.fallback,
        overflow: given.overflow,
        max_tags: given.max_tags,
        own: own.unwrap_or_else(|| "ai_otlp".to_owned()),
    };
    let rates = given.rates.into_iter().map(|(name, rate)| (name, with_burst(rate, given.burst)));
    Ok(TenancySettings {
        tags,
        tenant_header: given.tenant_header,
        tenant_attribute: given.tenant_attribute,
        rate: given.rate.map(|rate| with_burst(rate, given.burst)),
        rates: rates.collect(),
        max_tenants: given.max_tenants,
    })
}

/// Refuses what has no effect without another option.
fn check(parser: &mut Parser<'_>, given: &Given, known: bool) {
    const SOURCES: &str = "'tenants_file', 'jwt_tenant_claim' or 'tenant_header'";
    if given.from.is_none() {
        for option in ["tag_prefix", "tag_fallback", "tag_overflow"] {
            if parser.text(option).is_some() {
                parser.problem(format!("option '{option}': it needs the option 'tag_from'"));
            }
        }
    }
    // Credentials say more than a header, which any client may set.
    if given.tenant_header.is_none() && !known {
        if given.tenant_attribute.is_some() {
            parser.problem(format!("option 'tenant_attribute': it needs {SOURCES}"));
        }
        if given.from == Some(TagFrom::Tenant) {
            parser.problem(format!("option 'tag_from': 'tenant' needs {SOURCES}"));
        }
    }
    if parser.text("tenant_burst").is_some() && given.rate.is_none() && given.rates.is_empty() {
        parser.problem("option 'tenant_burst': it needs 'tenant_rate' or 'tenant_rates'");
    }
}

fn tag(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<String>> {
    read::optional(TAG_ALLOWED, |text| is_tag(text).then(|| text.to_owned()))(parser, option)
}

fn tag_from(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<TagFrom>> {
    let allowed = "allowed: resource.ATTRIBUTE, header:NAME, tenant";
    read::optional(allowed, TagFrom::parse)(parser, option)
}

fn header(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<HeaderName>> {
    read::optional("allowed: a header's name", |text| HeaderName::try_from(text).ok())(
        parser, option,
    )
}

fn attribute(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<String>> {
    read::optional("allowed: the name of an attribute, up to 256 bytes", |text| {
        (1..=256).contains(&text.len()).then(|| text.to_owned())
    })(parser, option)
}

/// A size above zero.
fn bytes(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<u64>> {
    read::optional("allowed: a size such as 512k, 4m, 1g", |text| {
        parse_size(text).filter(|size| *size > 0)
    })(parser, option)
}

fn with_burst(bytes_per_second: u64, burst: Option<u64>) -> TenantRate {
    let burst = burst.unwrap_or_else(|| bytes_per_second.saturating_mul(10));
    TenantRate { bytes_per_second, burst }
}

/// Tenants and their bytes per second.
fn rates(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<(String, u64)>> {
    let allowed = "allowed: tenants and their rates, each once, such as acme=10M,beta=500k";
    let rates = parser.value(option, allowed, |text| {
        let mut rates: Vec<(String, u64)> = Vec::new();
        for pair in parse_list(text) {
            let (name, rate) = pair.split_once('=')?;
            let (name, rate) = (name.trim(), parse_size(rate.trim())?);
            let known = rates.iter().any(|(known, _)| known == name);
            if name.is_empty() || name.len() > MAX_TENANT_LENGTH || rate == 0 || known {
                return None;
            }
            rates.push((name.to_owned(), rate));
        }
        Some(rates)
    });
    Some(rates.unwrap_or_default())
}
