//! Hostile and generated telemetry through Fluent Bit's own outputs, filters and processors.
//!
//! What `ai_otlp` appends is read by code of others. None of it may end the process, whatever a
//! client sends. All outputs run side by side in one process, all filters and processors, each
//! behind an input of its own, in a second one; if a process ends, parts of its plugins are run, so
//! that the failure names who it was.

mod catalogue;
mod messages;
mod receiver;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::hosts::{Host, RunningHost, free_port};
use crate::support::{Pipeline, linked, real_hosts, together};
use catalogue::{Arrives, FILTERS, Plugin};
use messages::Request;
use receiver::Receiver;

const FORMATS: [&str; 2] = ["records", "native"];

/// How long what was sent may take to all receivers.
const ARRIVAL: Duration = Duration::from_secs(15);

/// A plugin, as text of a configuration, and where it sends to.
struct Entry {
    plugin: Plugin,
    lines: Vec<String>,
    /// Signal and lines, where it is a processor.
    processors: Option<(&'static str, Vec<Vec<String>>)>,
    receiver: Receiver,
    /// Whether the host is of 5.0 or later.
    is_modern: bool,
}

impl Entry {
    fn new(host: &Host, plugin: Plugin, options: &str, folder: &Path, tag: &str) -> Self {
        let receiver = Receiver::start();
        let options = options
            .replace("{port}", &receiver.port.to_string())
            .replace("{free}", &free_port().to_string())
            .replace("{tag}", tag)
            .replace("{dir}", &folder.display().to_string());
        let lines = lines(plugin.name, &options);
        let is_modern = has(host, &Plugin { since: [5, 0], ..plugin });
        Self { plugin, lines, processors: None, receiver, is_modern }
    }

    fn name(&self) -> String {
        match &self.processors {
            Some((signal, _)) => format!("processor {} of {signal}", self.plugin.name),
            None => self.lines.join("; "),
        }
    }

    fn is_seen(&self, format: &str) -> bool {
        match self.plugin.arrives {
            Arrives::Always => true,
            Arrives::Native => format == "native",
            Arrives::Grouped => self.is_modern,
            Arrives::Unseen => false,
        }
    }
}

fn lines(name: &str, options: &str) -> Vec<String> {
    let options = options.split("; ").map(|option| option.trim().to_owned());
    std::iter::once(format!("name: '{name}'")).chain(options.filter(|it| !it.is_empty())).collect()
}

/// What one process took and did.
#[derive(Debug, Default)]
struct Counts {
    stored: usize,
    refused: usize,
}

/// What became of a process.
enum Fate {
    Lived(Counts),
    Died(String),
}

fn has(host: &Host, plugin: &Plugin) -> bool {
    let mut numbers = host.release.split('.').filter_map(|part| part.parse().ok());
    [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)] >= plugin.since
}

fn outputs(host: &Host, folder: &Path) -> Vec<Entry> {
    let known = catalogue::outputs().into_iter().filter(|(plugin, _)| has(host, plugin));
    known.map(|(plugin, options)| Entry::new(host, plugin, &options, folder, "")).collect()
}

/// Filters, and the processors that belong together behind one input.
fn filters(host: &Host, folder: &Path) -> Vec<Entry> {
    std::fs::write(folder.join("list"), "span\nmetric_5\n").unwrap();
    std::fs::write(folder.join("parsers.conf"), "[PARSER]\n    Name json\n    Format json\n")
        .unwrap();
    let known = FILTERS.iter().filter(|plugin| has(host, plugin)).enumerate();
    let mut entries: Vec<Entry> = known
        .map(|(index, plugin)| Entry::new(host, *plugin, plugin.options, folder, &tag(index)))
        .collect();
    let mut chains: BTreeMap<(&str, &str), (Plugin, Vec<_>)> = BTreeMap::new();
    for (plugin, signal, options) in catalogue::processors() {
        if has(host, &plugin) {
            let chain = chains.entry((plugin.name, signal)).or_insert((plugin, Vec::new()));
            chain.1.push(lines(plugin.name, &options));
        }
    }
    for ((_, signal), (plugin, chain)) in chains {
        let mut entry = Entry::new(host, plugin, "", folder, "");
        entry.processors = Some((signal, chain));
        entries.push(entry);
    }
    entries
}

fn tag(index: usize) -> String {
    format!("f{index}.")
}

/// One input, and all outputs for what comes from it.
fn before_outputs(entries: &[&Entry], format: &str) -> (Pipeline, Vec<u16>) {
    let port = free_port();
    let mut pipeline =
        Pipeline::default().otlp_in(port, 0).input_option(&format!("format: {format}"));
    for entry in entries {
        let own = entry.lines.iter().map(String::as_str);
        let lines: Vec<&str> = own.chain(["match: '*'", "retry_limit: no_retries"]).collect();
        pipeline = pipeline.output(&lines);
    }
    (pipeline, vec![port])
}

/// An input for each filter and for each chain of processors; what comes through goes to the stock
/// output and to ours.
fn behind_inputs(entries: &[&Entry], format: &str, folder: &Path) -> (Pipeline, Vec<u16>) {
    let parsers = format!("parsers_file: {}/parsers.conf", folder.display());
    let mut pipeline = Pipeline::default().service(&parsers);
    let stock = entries.first().map_or(0, |entry| entry.receiver.port);
    let mut ports = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let (tag, port) = (tag(index), free_port());
        ports.push(port);
        pipeline = pipeline
            .input(&["name: ai_otlp", &format!("tag: {tag}"), "grpc_port: 0"])
            .input_option(&format!("http_port: {port}"))
            .input_option(&format!("format: {format}"));
        match &entry.processors {
            Some((signal, chain)) => {
                let _ = writeln!(pipeline.inputs, "      processors:\n        {signal}:");
                for line in chain.iter().flat_map(|lines| lines.iter().enumerate()) {
                    let start = if line.0 == 0 { "- " } else { "  " };
                    let _ = writeln!(pipeline.inputs, "          {start}{}", line.1);
                }
            }
            None => {
                let matched = format!("match: '{tag}'");
                let own = entry.lines.iter().map(String::as_str);
                pipeline = pipeline.filter(&own.chain([matched.as_str()]).collect::<Vec<_>>());
            }
        }
        let url = format!("endpoint.one.url: http://127.0.0.1:{}", entry.receiver.port);
        let lines = ["name: multi_otlp", &format!("match: '{tag}*'"), "workers: 0", &url];
        pipeline = pipeline.output(&lines);
    }
    let stock = format!("port: {stock}");
    let lines = ["name: opentelemetry", "match: '*'", "host: 127.0.0.1", &stock];
    (pipeline.output(&lines).output_option("retry_limit: no_retries"), ports)
}

/// Sends everything; ends early where nobody listens any more.
async fn send(port: u16, requests: &[Request], counts: &mut Counts) -> Result<(), String> {
    let mut client = Client::connect(port, false).await?;
    for (path, request) in requests {
        let start = Instant::now();
        loop {
            match client.send(path, "", request.clone()).await {
                Ok(()) => counts.stored += 1,
                Err(answer) if answer.starts_with("503") || answer.starts_with("429") => {
                    if start.elapsed() > testkit::at_most(ARRIVAL) {
                        return Err(format!("still {answer} after {ARRIVAL:?}"));
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                Err(answer) if answer.starts_with("400") || answer.contains("a processor of") => {
                    counts.refused += 1;
                    client = Client::connect(port, false).await?;
                }
                Err(broken) => return Err(broken),
            }
            break;
        }
    }
    Ok(())
}

/// Runs these plugins with all requests, until what can be seen has arrived, and stops them.
async fn run(
    host: &Host,
    (pipeline, ports): (Pipeline, Vec<u16>),
    entries: &[&Entry],
    format: &str,
    requests: &[Request],
) -> Fate {
    let plugins = linked();
    let yaml = pipeline.service("log_level: error").service("grace: 3").yaml(plugins.path());
    let aws = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name, "x".to_owned()));
    let first = ports.first().copied().unwrap_or(0);
    let mut running = RunningHost::start_with(host, &yaml, first, &aws);
    let mut counts = Counts::default();
    // In chunks of their own at the end: some outputs refuse a chunk for one record in it.
    for (requests, wait) in [(requests, 1_500), (&messages::plain(), 0)] {
        for port in &ports {
            if let Err(broken) = send(*port, requests, &mut counts).await {
                tokio::time::sleep(Duration::from_millis(500)).await;
                return Fate::Died(format!("{broken}\n{}", end_of(&running.log_text())));
            }
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    let start = Instant::now();
    let missing = || {
        let absent = |entry: &&&Entry| entry.is_seen(format) && entry.receiver.bytes() == 0;
        entries.iter().filter(absent).map(|entry| entry.name()).collect::<Vec<_>>()
    };
    while running.alive() && !missing().is_empty() && start.elapsed() < testkit::at_most(ARRIVAL) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What was there first is not all: the other chunks follow within two flushes.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let alive = running.alive();
    let (code, log) = tokio::task::block_in_place(|| running.stop());
    if !alive || code != Some(0) {
        return Fate::Died(format!("alive: {alive}, exit code {code:?}\n{}", end_of(&log)));
    }
    let missing = missing();
    assert!(missing.is_empty(), "{} {format}: nothing came to {missing:#?}", host.title());
    Fate::Lived(counts)
}

/// What the log says of the end: from the signal on, or else the last lines of the host itself.
fn end_of(log: &str) -> String {
    if let Some((_, end)) = log.split_once("caught signal") {
        return format!("caught signal{}", end.chars().take(4_000).collect::<String>());
    }
    let own: Vec<&str> = log.lines().filter(|line| line.starts_with("[20")).collect();
    own[own.len().saturating_sub(20)..].join("\n")
}

/// Runs all, and if that ends badly ever smaller parts, so that it is known which plugin it was.
async fn prove(
    host: &Host,
    format: &str,
    entries: &[Entry],
    make: impl Fn(&[&Entry]) -> (Pipeline, Vec<u16>),
    requests: &[Request],
) -> Counts {
    let mut parts: Vec<Vec<&Entry>> = vec![entries.iter().collect()];
    let (mut lived, mut culprits) = (Vec::new(), String::new());
    while let Some(mut part) = parts.pop() {
        match run(host, make(&part), &part, format, requests).await {
            Fate::Lived(counts) => lived.push(counts),
            Fate::Died(how) if part.len() == 1 => {
                let _ = writeln!(culprits, "--- {}: {how}", part[0].name());
            }
            Fate::Died(how) => {
                println!("{} {format}, {} plugins: {how}", host.title(), part.len());
                let half = part.split_off(part.len() / 2);
                parts.extend([part, half]);
            }
        }
    }
    let died = !culprits.is_empty();
    assert!(!died, "{} with format: {format} ends with these alone:\n{culprits}", host.title());
    assert_eq!(lived.len(), 1, "{} with format: {format} ends with several", host.title());
    lived.remove(0)
}

/// Scenario: attributes and bodies without values, with unknown fields, NaN, bytes, no UTF-8, deep
/// nesting, empty and repeated keys, empty messages, and generated requests of all signals, through
/// `ai_otlp` in both formats, in front of the host's own outputs. Guarantees: no output ends the
/// process, data arrives at each that has a receiver, and the process stops cleanly.
#[tokio::test(flavor = "multi_thread")]
async fn no_output_dies() {
    let _together = together();
    let requests = messages::requests();
    for host in real_hosts() {
        for format in FORMATS {
            let folder = tempfile::tempdir().unwrap();
            let entries = outputs(&host, folder.path());
            let make = |entries: &[&Entry]| before_outputs(entries, format);
            let counts = prove(&host, format, &entries, make, &requests).await;
            let files = ["out_file", "plain", "csv", "ltsv", "template"];
            let empty = files
                .map(|file| folder.path().join(file))
                .into_iter()
                .filter(|file| file.metadata().map_or(true, |metadata| metadata.len() == 0));
            assert_eq!(empty.count(), 0, "{} {format}: a file has nothing", host.title());
            report(&host, format, "outputs", entries.len(), &requests, &counts);
        }
    }
}

/// Scenario: the same requests through each of the host's own filters and processors, and from there
/// to the host's output and ours. Guarantees: none ends the process, and data comes through.
#[tokio::test(flavor = "multi_thread")]
async fn no_filter_or_processor_dies() {
    let _together = together();
    let requests = messages::requests();
    for host in real_hosts() {
        for format in FORMATS {
            let folder = tempfile::tempdir().unwrap();
            let entries = filters(&host, folder.path());
            let make = |entries: &[&Entry]| behind_inputs(entries, format, folder.path());
            let counts = prove(&host, format, &entries, make, &requests).await;
            report(&host, format, "filters and processors", entries.len(), &requests, &counts);
        }
    }
}

fn report(
    host: &Host,
    format: &str,
    kind: &str,
    plugins: usize,
    requests: &[Request],
    counts: &Counts,
) {
    println!(
        "| {} | {format} | {plugins} {kind} | {} requests | {} stored, {} refused | none died |",
        host.release,
        requests.len(),
        counts.stored,
        counts.refused
    );
}
