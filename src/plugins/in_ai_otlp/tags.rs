//! The options of `ai_otlp` for tags and tenants.

use http::HeaderName;

use super::stock;
use crate::config::{Parser, parse_list, parse_size};
use crate::plugin::{OptionKind, OptionSpec};
use crate::receive::{LONGEST_TENANT, Rate, TagFrom, TagSettings, TenancySettings, is_tag};

const TAG_ALLOWED: &str = "allowed: up to 128 letters, digits and . _ - / : @";

pub(super) const TAG_TRACES: OptionSpec = OptionSpec::new(
    "tag_traces",
    OptionKind::Str,
    None,
    "Tag of traces; 'tag' where it is not set.",
);
pub(super) const TAG_METRICS: OptionSpec = OptionSpec::new(
    "tag_metrics",
    OptionKind::Str,
    None,
    "Tag of metrics; 'tag' where it is not set.",
);
pub(super) const TAG_LOGS: OptionSpec =
    OptionSpec::new("tag_logs", OptionKind::Str, None, "Tag of logs; 'tag' where it is not set.");
pub(super) const TAG_PROFILES: OptionSpec = OptionSpec::new(
    "tag_profiles",
    OptionKind::Str,
    None,
    "Tag of profiles; 'tag' where it is not set.",
);
pub(super) const PROFILES: OptionSpec = OptionSpec::new(
    "profiles",
    OptionKind::Str,
    Some("refuse"),
    "Whether profiles (v1development) are taken in: 'refuse', because the signal still changes and \
     only multi_otlp can do something with it, or 'accept', which carries each request unread.",
);
pub(super) const TAG_FROM: OptionSpec = OptionSpec::new(
    "tag_from",
    OptionKind::Str,
    None,
    "What tags are made of: 'resource.ATTRIBUTE' or just the attribute's name, 'header:NAME', or \
     'tenant'. The value follows 'tag_prefix'; what is not a letter, digit, '.', '_' or '-' \
     becomes '_', and the value is cut after 64 bytes.",
);
pub(super) const TAG_PREFIX: OptionSpec = OptionSpec::new(
    "tag_prefix",
    OptionKind::Str,
    None,
    "What stands before the value of 'tag_from'; the tag of the signal and a dot where it is not \
     set.",
);
pub(super) const TAG_FALLBACK: OptionSpec = OptionSpec::new(
    "tag_fallback",
    OptionKind::Str,
    None,
    "Tag of what has no value of 'tag_from'; the tag of the signal where it is not set.",
);
pub(super) const TAG_OVERFLOW: OptionSpec = OptionSpec::new(
    "tag_overflow",
    OptionKind::Str,
    None,
    "Tag of new values when there are 'max_tags' tags; the prefix and 'overflow' where it is not \
     set.",
);
pub(super) const MAX_TAGS: OptionSpec = OptionSpec::new(
    "max_tags",
    OptionKind::Int,
    Some("100"),
    "How many tags may be made by 'tag_from'. Each tag has chunks of its own in the pipeline.",
);
pub(super) const TENANT_HEADER: OptionSpec = OptionSpec::new(
    "tenant_header",
    OptionKind::Str,
    None,
    "The request header that names the tenant, for example x-scope-orgid. Anyone can write a \
     header, so use this behind a gateway that sets it.",
);
pub(super) const TENANT_ATTRIBUTE: OptionSpec = OptionSpec::new(
    "tenant_attribute",
    OptionKind::Str,
    None,
    "The resource attribute, for example tenant.id, that is set to the tenant in every resource. \
     What senders claim in it is replaced, or removed where the request has no tenant.",
);
pub(super) const TENANT_RATE: OptionSpec = OptionSpec::new(
    "tenant_rate",
    OptionKind::Size,
    None,
    "Bytes per second, after decompression, that each tenant may send; requests without a tenant \
     share one limit. Beyond that senders are told when to send again.",
);
pub(super) const TENANT_BURST: OptionSpec = OptionSpec::new(
    "tenant_burst",
    OptionKind::Size,
    None,
    "Bytes that a tenant may send at once after a pause; ten seconds of its rate where it is not \
     set.",
);
pub(super) const TENANT_RATES: OptionSpec = OptionSpec::new(
    "tenant_rates",
    OptionKind::CommaList,
    None,
    "Rates of single tenants instead of 'tenant_rate', such as acme=10M,beta=500k. Each tenant \
     named here has counters of its own.",
);
pub(super) const MAX_TENANTS: OptionSpec = OptionSpec::new(
    "max_tenants",
    OptionKind::Int,
    Some("10000"),
    "How many tenants have a limit of their own at a time; any more share one.",
);

/// Reads the options.
pub(super) fn tenancy(parser: &mut Parser<'_>) -> TenancySettings {
    let own = parser.host_value("tag").filter(|tag| !tag.is_empty());
    let [traces, metrics, logs, profiles] = stock::uri_tags(parser);
    let tags = TagSettings {
        signals: [
            tag(parser, "tag_traces").or(traces),
            tag(parser, "tag_metrics").or(metrics),
            tag(parser, "tag_logs").or(logs),
            tag(parser, "tag_profiles").or(profiles),
        ],
        from: parser.parsed(
            "tag_from",
            None,
            "allowed: resource.ATTRIBUTE, header:NAME, tenant",
            |text| TagFrom::parse(text).map(Some),
        ),
        prefix: tag(parser, "tag_prefix"),
        fallback: tag(parser, "tag_fallback"),
        overflow: tag(parser, "tag_overflow"),
        max_tags: count(parser, "max_tags", 100, 100_000),
        own: own.unwrap_or_else(|| "ai_otlp".to_owned()),
    };
    if tags.from.is_none() {
        for option in ["tag_prefix", "tag_fallback", "tag_overflow"] {
            if parser.text(option).is_some() {
                parser.problem(format!("option '{option}': it needs the option 'tag_from'"));
            }
        }
    }
    let tenant_header = parser.parsed("tenant_header", None, "allowed: a header's name", |text| {
        HeaderName::try_from(text).ok().map(Some)
    });
    let tenant_attribute = parser.parsed(
        "tenant_attribute",
        None,
        "allowed: the name of an attribute, up to 256 bytes",
        |text| ((1..=256).contains(&text.len())).then(|| Some(text.to_owned())),
    );
    // Credentials say more than a header, which any client may set.
    let known = ["tenants_file", "jwt_tenant_claim"].iter().any(|o| parser.text(o).is_some());
    if tenant_header.is_none() && !known {
        const SOURCES: &str = "'tenants_file', 'jwt_tenant_claim' or 'tenant_header'";
        if tenant_attribute.is_some() {
            parser.problem(format!("option 'tenant_attribute': it needs {SOURCES}"));
        }
        if tags.from == Some(TagFrom::Tenant) {
            parser.problem(format!("option 'tag_from': 'tenant' needs {SOURCES}"));
        }
    }
    let rate = rate(parser);
    let rates = rates(parser);
    if parser.text("tenant_burst").is_some() && rate.is_none() && rates.is_empty() {
        parser.problem("option 'tenant_burst': it needs 'tenant_rate' or 'tenant_rates'");
    }
    let max_tenants = count(parser, "max_tenants", 10_000, 1_000_000);
    TenancySettings { tags, tenant_header, tenant_attribute, rate, rates, max_tenants }
}

fn tag(parser: &mut Parser<'_>, option: &str) -> Option<String> {
    parser.parsed(option, None, TAG_ALLOWED, |text| is_tag(text).then(|| Some(text.to_owned())))
}

fn count(parser: &mut Parser<'_>, option: &str, default: usize, most: usize) -> usize {
    parser.parsed(option, default, &format!("allowed: a number from 1 to {most}"), |text| {
        text.parse().ok().filter(|count| (1..=most).contains(count))
    })
}

/// A size above zero.
fn bytes(parser: &mut Parser<'_>, option: &str) -> Option<u64> {
    parser.parsed(option, None, "allowed: a size such as 512k, 4m, 1g", |text| {
        parse_size(text).filter(|size| *size > 0).map(Some)
    })
}

fn with_burst(bytes_per_second: u64, burst: Option<u64>) -> Rate {
    let burst = burst.unwrap_or_else(|| bytes_per_second.saturating_mul(10));
    Rate { bytes_per_second, burst }
}

fn rate(parser: &mut Parser<'_>) -> Option<Rate> {
    let burst = bytes(parser, "tenant_burst");
    bytes(parser, "tenant_rate").map(|rate| with_burst(rate, burst))
}

fn rates(parser: &mut Parser<'_>) -> Vec<(String, Rate)> {
    let burst = parser.text("tenant_burst").and_then(|text| parse_size(text.trim()));
    let allowed = "allowed: tenants and their rates, each once, such as acme=10M,beta=500k";
    parser.parsed("tenant_rates", Vec::new(), allowed, |text| {
        let mut rates: Vec<(String, Rate)> = Vec::new();
        for word in parse_list(text) {
            let (name, rate) = word.split_once('=')?;
            let (name, rate) = (name.trim(), parse_size(rate.trim())?);
            let known = rates.iter().any(|(known, _)| known == name);
            if name.is_empty() || name.len() > LONGEST_TENANT || rate == 0 || known {
                return None;
            }
            rates.push((name.to_owned(), with_burst(rate, burst)));
        }
        Some(rates)
    })
}
