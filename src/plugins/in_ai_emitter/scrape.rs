//! Options `scrape.NAME.KEY`.

use std::time::Duration;

use crate::codec::prometheus::PageTarget;
use crate::config::{Parser, parse_duration, parse_size};
use crate::export::{EndpointSettings, Http2};
use crate::hub::EmissionForm;
use crate::plugins::out_multi_otlp::connection::{self, ConnectionDraft};
use crate::plugins::out_multi_otlp::given::OptionsByName;
use crate::scrape::{ScrapeSettings, TargetSettings};

/// Targets at most; each has a connection, counters and a page in memory.
const MAX_TARGETS: usize = 64;
const INTERVAL: Duration = Duration::from_secs(15);
/// The longest default of `timeout`; an interval that is shorter is the default.
const TIMEOUT: Duration = Duration::from_secs(10);
const PAGE_SIZE: usize = 10_000_000;
const SAMPLES: usize = 50_000;

/// One line of help for the host.
pub(super) const HELP: &str = concat!(
    "scrape.NAME.KEY: pages of metrics to ask for, in the format of Prometheus or OpenMetrics, where KEY is: interval \
     (15s), emit_as (records, or native for Fluent Bit's own metrics), stale_markers (on), tag, service_name (NAME unless given), \
     resource.ATTRIBUTE, max_page_size (10m), max_samples (50000), and as of an endpoint of multi_otlp ",
    connection::names!(),
    "."
);

/// Reads the targets; problems go to the parser. `has_native` says whether the host takes its own metrics from us.
pub(super) fn settings(
    parser: &mut Parser<'_>,
    given: &OptionsByName,
    has_native: bool,
) -> ScrapeSettings {
    if given.len() > MAX_TARGETS {
        let count = given.len();
        parser.problem(format!("there are {count} targets to scrape; {MAX_TARGETS} are allowed"));
    }
    let targets = given.iter().filter_map(|(name, given)| target(parser, name, given, has_native));
    ScrapeSettings { targets: targets.collect() }
}

/// What is read of a target beside its connection.
struct TargetDraft {
    name: String,
    interval: Duration,
    has_timeout: bool,
    max_page_size: usize,
    max_samples: usize,
    tag: String,
    form: EmissionForm,
    marks_stale: bool,
    service_name: Option<String>,
    attributes: Vec<(String, String)>,
}

fn target(
    parser: &mut Parser<'_>,
    name: &str,
    given: &[(String, String)],
    has_native: bool,
) -> Option<TargetSettings> {
    let mut connection = ConnectionDraft::new(parser, "scrape", name)?;
    let mut draft = TargetDraft::new(name);
    for (key, value) in given {
        let value = value.trim();
        match draft.set(key, value) {
            Some(Ok(())) => {}
            Some(Err(allowed)) => parser.refuse(&format!("scrape.{name}.{key}"), value, &allowed),
            None if connection.set(parser, key, value) => draft.has_timeout |= key == "timeout",
            None if key.is_empty() => {
                parser.problem(format!("option 'scrape.{name}': write 'scrape.NAME.{name}'"));
            }
            None => parser.problem(format!(
                "option 'scrape.{name}.{key}': there is no key '{key}'; allowed: interval, emit_as, stale_markers, tag, \
                 service_name, resource.ATTRIBUTE, max_page_size, max_samples, {}",
                connection::names!()
            )),
        }
    }
    if draft.form == EmissionForm::Native && !has_native {
        let option = format!("scrape.{name}.emit_as");
        parser.refuse(
            &option,
            "native",
            "this host does not export 'flb_input_chunk_append_raw', which appends its own metrics; allowed: records",
        );
    }
    let Some(endpoint) = connection.finish(parser) else {
        if !given.iter().any(|(key, _)| key == "url" || key.is_empty()) {
            parser.problem(format!("target '{name}' has no 'scrape.{name}.url'"));
        }
        return None;
    };
    Some(draft.finish(parser, endpoint))
}

impl TargetDraft {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            interval: INTERVAL,
            has_timeout: false,
            max_page_size: PAGE_SIZE,
            max_samples: SAMPLES,
            tag: String::new(),
            form: EmissionForm::Records,
            marks_stale: true,
            service_name: None,
            attributes: Vec::new(),
        }
    }

    /// Takes a key in; `None` if it is no key of a target, else what is allowed if the value is wrong.
    fn set(&mut self, key: &str, value: &str) -> Option<Result<(), String>> {
        let result = match key {
            "interval" => parse_duration(value)
                .filter(|it| (Duration::from_secs(1)..=Duration::from_hours(1)).contains(it))
                .map(|interval| self.interval = interval)
                .ok_or("allowed: a duration from 1s to 1h"),
            "max_page_size" => parse_size(value)
                .and_then(|size| usize::try_from(size).ok())
                .filter(|size| (1_000..=1_000_000_000).contains(size))
                .map(|size| self.max_page_size = size)
                .ok_or("allowed: a size from 1k to 1g"),
            "max_samples" => value
                .parse()
                .ok()
                .filter(|samples| (1..=10_000_000).contains(samples))
                .map(|samples| self.max_samples = samples)
                .ok_or("allowed: a number from 1 to 10000000"),
            "emit_as" => [("records", EmissionForm::Records), ("native", EmissionForm::Native)]
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(value))
                .map(|(_, form)| self.form = *form)
                .ok_or("allowed: records, native"),
            "stale_markers" => [("on", true), ("off", false)]
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(value))
                .map(|(_, marks)| self.marks_stale = *marks)
                .ok_or("allowed: on, off"),
            "tag" => given(value).map(|tag| self.tag = tag).ok_or("allowed: a tag"),
            "service_name" => given(value)
                .map(|name| self.service_name = Some(name))
                .ok_or("allowed: the name of a service"),
            _ => match key.strip_prefix("resource.").filter(|attribute| !attribute.is_empty()) {
                Some(attribute) => {
                    self.attributes.push((attribute.to_owned(), value.to_owned()));
                    Ok(())
                }
                None => return None,
            },
        };
        Some(result.map_err(str::to_owned))
    }

    fn finish(self, parser: &mut Parser<'_>, mut endpoint: EndpointSettings) -> TargetSettings {
        let Self { name, interval, max_page_size, max_samples, tag, form, .. } = self;
        if !self.has_timeout {
            endpoint.timeout = TIMEOUT.min(interval);
        } else if endpoint.timeout > interval {
            let (timeout, interval) = (endpoint.timeout.as_secs_f64(), interval.as_secs_f64());
            parser.problem(format!(
                "option 'scrape.{name}.timeout': {timeout} s are longer than 'scrape.{name}.interval', which is \
                 {interval} s"
            ));
        }
        // Pages come one at a time.
        endpoint.http2 = Http2::Off;
        let mut attributes = self.attributes;
        let service = ("service.name".to_owned(), self.service_name.clone().unwrap_or(name));
        let mut defaults = instance(&endpoint);
        let list = if self.service_name.is_some() { &mut attributes } else { &mut defaults };
        list.insert(0, service);
        let resource = PageTarget { attributes, defaults };
        // The host's own metrics have no points without value.
        let marks_stale = self.marks_stale && form == EmissionForm::Records;
        TargetSettings {
            endpoint,
            interval,
            max_page_size,
            max_samples,
            tag,
            marks_stale,
            form,
            resource,
        }
    }
}

/// The target as OpenTelemetry names what Prometheus has as `instance`.
fn instance(endpoint: &EndpointSettings) -> Vec<(String, String)> {
    let scheme = endpoint.url.scheme_str().unwrap_or("http");
    let host = endpoint.url.host().unwrap_or_default();
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = endpoint.url.port_u16().unwrap_or(usual);
    [
        ("service.instance.id", format!("{host}:{port}")),
        ("server.address", host.trim_matches(['[', ']']).to_owned()),
        ("server.port", port.to_string()),
        ("url.scheme", scheme.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn given(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}
