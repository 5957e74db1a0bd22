//! Comparison benchmark: our plugins beside Fluent Bit's own, in turn, on the same machine with
//! the same load.
//!
//! A result with a lost or doubled item is no result. Ratios of one run count; absolute figures
//! drift between machines and hours.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::detectors;
use crate::hosts::{self, Host, RunningHost};
use crate::load;
use crate::memory;
use crate::outage;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The folder that holds the plugin files.
    #[arg(long)]
    plugins: PathBuf,
    /// Runs of each side; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only the rows with these names, for example `P1,P3-http`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Scales the number of items of each row.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
}

/// One side of a comparison: a configuration for the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Fluent Bit's own opentelemetry input and output.
    Stock,
    /// Its sampling processor with 10 % between them.
    StockHead,
    /// Its sampling processor by latency between them.
    StockTail,
    /// Ours, with these filters and this number of endpoints.
    Ours { filters: Filters, endpoints: usize },
    /// Ours, with three endpoints of which one takes requests and never answers.
    OneHangs,
}

impl Side {
    const fn is_ours(self) -> bool {
        matches!(self, Self::Ours { .. } | Self::OneHangs)
    }

    /// How many of its endpoints answer.
    const fn endpoints(self) -> usize {
        match self {
            Self::Ours { endpoints, .. } => endpoints,
            Self::OneHangs => 2,
            _ => 1,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filters {
    None,
    Head,
    Tail,
    Metrics,
    Findings,
    Context,
    Whole,
}

const PLAIN: Side = Side::Ours { filters: Filters::None, endpoints: 1 };

struct Row {
    name: &'static str,
    work: &'static str,
    shape: TelemetryShape,
    grpc: bool,
    items: u64,
    rate: u64,
    other: Side,
    ours: Side,
    figure: Figure,
    /// The most (or for throughput the least) that the ratio or difference may be.
    bound: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Figure {
    /// CPU seconds per million items: the ratio of ours to the other side.
    Cpu,
    /// The same: what ours adds over our own plain run, against the other side.
    AddedCpu,
    /// Peak memory: the difference in MiB.
    Memory,
    /// Peak memory against the bytes sent.
    Held,
    /// The 99th percentile of the answers' delay: the ratio.
    Delay,
    /// Items a second: the ratio, where more is better.
    Throughput,
    /// Items a second from the first one sent to the last one at the endpoints that answer: the ratio.
    Delivery,
}

impl Figure {
    /// Whether a greater ratio is a better one.
    const fn more_is_better(self) -> bool {
        matches!(self, Self::Throughput | Self::Delivery)
    }
}

impl Row {
    const fn new(
        name: &'static str,
        work: &'static str,
        load: (TelemetryShape, bool, u64),
        sides: (Side, Side),
        figure: Figure,
        bound: Option<f64>,
    ) -> Self {
        let ((shape, grpc, items), (other, ours)) = (load, sides);
        Self { name, work, shape, grpc, items, rate: 0, other, ours, figure, bound }
    }

    const fn at_rate(mut self, rate: u64) -> Self {
        self.rate = rate;
        self
    }
}

const fn one(filters: Filters) -> Side {
    Side::Ours { filters, endpoints: 1 }
}

const HTTP: bool = false;
const GRPC: bool = true;
const BARE: (Side, Side) = (Side::Stock, PLAIN);
const THREE: Side = Side::Ours { filters: Filters::None, endpoints: 3 };
const WHOLE: Side = Side::Ours { filters: Filters::Whole, endpoints: 2 };
const HEAD: (Side, Side) = (Side::StockHead, one(Filters::Head));
const TAIL: (Side, Side) = (Side::StockTail, one(Filters::Tail));
const METRICS: (Side, Side) = (Side::Stock, one(Filters::Metrics));
const FINDINGS: (Side, Side) = (Side::Stock, one(Filters::Findings));
const CONTEXT: (Side, Side) = (Side::Stock, one(Filters::Context));
const GENAI: (TelemetryShape, bool, u64) = (TelemetryShape::Genai, HTTP, 200_000);
const CURRENT: (TelemetryShape, bool, u64) = (TelemetryShape::Current, HTTP, 200_000);
const HANGING: (TelemetryShape, bool, u64) = (TelemetryShape::Genai, HTTP, 800_000);
const LATENCY: (TelemetryShape, bool, u64) = (TelemetryShape::Genai, HTTP, 160_000);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row::new("P1", "traces, HTTP: CPU", GENAI, BARE, Figure::Cpu, Some(0.6)),
    Row::new("P2", "traces, gRPC: CPU", (TelemetryShape::Genai, GRPC, 200_000), BARE, Figure::Cpu, Some(0.6)),
    Row::new("P3-http", "logs, HTTP: CPU", (TelemetryShape::Logs, HTTP, 400_000), BARE, Figure::Cpu, Some(0.9)),
    Row::new("P3-grpc", "logs, gRPC: CPU", (TelemetryShape::Logs, GRPC, 400_000), BARE, Figure::Cpu, Some(0.9)),
    Row::new("P4-http", "metrics, HTTP: CPU", (TelemetryShape::Metrics, HTTP, 200_000), BARE, Figure::Cpu, Some(0.9)),
    Row::new("P4-grpc", "metrics, gRPC: CPU", (TelemetryShape::Metrics, GRPC, 200_000), BARE, Figure::Cpu, Some(0.9)),
    Row::new("P5-fat", "20 attributes of 5 KB: CPU", (TelemetryShape::Fat, HTTP, 4_000), BARE, Figure::Cpu, None),
    Row::new("P5-wide", "100 attributes of 50 B: CPU", (TelemetryShape::Wide, HTTP, 40_000), BARE, Figure::Cpu, None),
    Row::new("P5-agent", "traces of 200 spans: CPU", (TelemetryShape::Agent, HTTP, 100_000), BARE, Figure::Cpu, None),
    Row::new("P6", "5000 spans/s for a minute: peak MiB over stock", (TelemetryShape::Genai, HTTP, 300_000), BARE, Figure::Memory, Some(10.0)).at_rate(5000),
    Row::new("P7", "answer p99, HTTP: ms", GENAI, BARE, Figure::Delay, Some(1.5)),
    Row::new("P8", "HTTP: spans/s", GENAI, BARE, Figure::Throughput, Some(1.3)),
    Row::new("P9", "three endpoints against one of ours: CPU", GENAI, (PLAIN, THREE), Figure::Cpu, Some(1.4)),
    Row::new("P10", "one of three endpoints hangs: spans/s at the others", HANGING, (THREE, Side::OneHangs), Figure::Delivery, Some(0.9)),
    Row::new("P11", "head sampling 10 %: CPU", GENAI, HEAD, Figure::Cpu, Some(0.6)),
    Row::new("P12", "tail by latency, wait 2 s: CPU", LATENCY, TAIL, Figure::Cpu, Some(0.8)),
    Row::new("P13", "the same: peak memory / bytes sent", LATENCY, TAIL, Figure::Held, Some(1.15)),
    Row::new("P14", "ai_metrics: CPU added / stock", GENAI, METRICS, Figure::AddedCpu, Some(0.06)),
    Row::new("P14-find", "ai_metrics, every finding: CPU added / stock", GENAI, FINDINGS, Figure::AddedCpu, Some(0.12)),
    Row::new("P15", "ai_context, current names: CPU added / stock", CURRENT, CONTEXT, Figure::AddedCpu, Some(0.08)),
    Row::new("P15-events", "ai_context, messages as events in a quarter: CPU added / stock", GENAI, CONTEXT, Figure::AddedCpu, Some(0.15)),
    Row::new("P15-all", "ai_context, all captures: CPU added / stock", (TelemetryShape::Captures, HTTP, 200_000), CONTEXT, Figure::AddedCpu, Some(0.15)),
    Row::new("P15-made", "ai_context, made samples and 4 captures: CPU added / stock", (TelemetryShape::Samples, HTTP, 200_000), CONTEXT, Figure::AddedCpu, None),
    Row::new("P17", "whole pipeline, two endpoints: CPU / stock", GENAI, (Side::Stock, WHOLE), Figure::Cpu, Some(0.35)),
];

/// How often a run of the other side may be tried until it is valid.
const CHANCES: usize = 5;

/// What one run of one side showed.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    cpu_per_million: f64,
    items_per_second: f64,
    delivered_per_second: f64,
    p99_ms: f64,
    peak_mib: f64,
    bytes_sent: f64,
}

pub async fn run(args: Args) {
    let host = hosts::newest();
    println!("host: {}", host.title());
    if !host.is_real() {
        println!("no real Fluent Bit was found: its own plugins cannot be measured beside ours");
    }
    println!(
        "{:<9}{:<46}{:>10}{:>10}{:>9}{:>9}",
        "row", "work", "other", "ours", "figure", "bound"
    );
    for row in ROWS.iter().filter(|row| wanted(&args.only, row.name)) {
        println!("{}", measure(&args, &host, row).await);
    }
    if wanted(&args.only, "P20") {
        for row in memory::rows(&args.plugins, &host, args.rounds, args.scale).await {
            println!("{row}");
        }
    }
    for row in outage::ROWS.iter().filter(|row| wanted(&args.only, row.name)) {
        println!("{}", outage::measure(&host, &args.plugins, row, args.scale).await);
    }
    if wanted(&args.only, "P16") {
        println!("{}", detectors::rows(args.rounds));
    }
}

fn wanted(only: &[String], name: &str) -> bool {
    only.is_empty() || only.iter().any(|word| name == word || name.starts_with(&format!("{word}-")))
}

async fn measure(args: &Args, host: &Host, row: &Row) -> String {
    let mut figures = Vec::new();
    let rounds = if row.rate > 0 { 1 } else { args.rounds };
    for _ in 0..rounds {
        match round(args, host, row).await {
            Ok(figure) => figures.push(figure),
            Err(problem) => return format!("{:<9}{}: {problem}", row.name, row.work),
        }
    }
    line(row, &figures)
}

/// The two sides of one round and its figure. What is compared ran within the same minute: where other work on the
/// machine comes and goes, medians of each side would be those of different minutes.
async fn round(args: &Args, host: &Host, row: &Row) -> Result<[f64; 3], String> {
    let mut other = None;
    if host.is_real() || row.other.is_ours() {
        other = Some(valid(args, host, row, row.other).await?);
    }
    let mut ours = sample(args, host, row, row.ours).await?;
    if row.figure == Figure::AddedCpu {
        ours.cpu_per_million -= sample(args, host, row, PLAIN).await?.cpu_per_million;
    }
    Ok(compare(row.figure, other.as_ref(), &ours))
}

/// What each side has, and the figure made of it.
fn compare(figure: Figure, other: Option<&Sample>, ours: &Sample) -> [f64; 3] {
    let value: fn(&Sample) -> f64 = match figure {
        Figure::Cpu | Figure::AddedCpu => |side| side.cpu_per_million,
        Figure::Memory => |side| side.peak_mib,
        Figure::Held => |side| side.peak_mib * 1_048_576.0 / side.bytes_sent.max(1.0),
        Figure::Delay => |side| side.p99_ms,
        Figure::Throughput => |side| side.items_per_second,
        Figure::Delivery => |side| side.delivered_per_second,
    };
    let (left, right) = (other.map_or(f64::NAN, value), value(ours));
    let figure = match figure {
        Figure::Memory => right - left,
        Figure::Held => right,
        _ => right / left,
    };
    [left, right, figure]
}

/// A run that lost and doubled nothing. The other side gets more than one chance, ours does not.
async fn valid(args: &Args, host: &Host, row: &Row, side: Side) -> Result<Sample, String> {
    let mut result = sample(args, host, row, side).await;
    for _ in 1..CHANCES {
        if result.is_ok() || side.is_ours() {
            break;
        }
        result = sample(args, host, row, side).await;
    }
    result
}

fn line(row: &Row, rounds: &[[f64; 3]]) -> String {
    let [left, right, figure] = [0, 1, 2].map(|column| {
        let mut values: Vec<f64> = rounds.iter().map(|round| round[column]).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    });
    let mut line = String::new();
    let _ = write!(line, "{:<9}{:<46}{left:>10.2}{right:>10.2}{figure:>9.3}", row.name, row.work);
    if let Some(bound) = row.bound {
        let more = row.figure.more_is_better();
        let met = if more { figure >= bound } else { figure <= bound };
        let sign = if more { ">=" } else { "<=" };
        let _ = write!(
            line,
            "{:>9}  {}",
            format!("{sign}{bound}"),
            if met { "met" } else { "NOT MET" }
        );
    }
    let figures: Vec<f64> = rounds.iter().map(|[_, _, figure]| *figure).collect();
    if let Some((mean, error)) = mean(&figures) {
        let _ = write!(line, "  mean {mean:.3} \u{b1} {error:.3}");
    }
    line
}

/// The mean of some figures and its standard error, by which a reader sees how far the next run may be from this
/// one; `None` of fewer than three.
fn mean(figures: &[f64]) -> Option<(f64, f64)> {
    let count = figures.len() as f64;
    if figures.len() < 3 {
        return None;
    }
    let mean = figures.iter().sum::<f64>() / count;
    let squares: f64 = figures.iter().map(|figure| (figure - mean).powi(2)).sum();
    Some((mean, (squares / (count - 1.0) / count).sqrt()))
}

async fn sample(args: &Args, host: &Host, row: &Row, side: Side) -> Result<Sample, String> {
    let mut sinks = Vec::new();
    for _ in 0..side.endpoints() {
        sinks.push(Sink::start(0, Keep::Numbers).await);
    }
    let mut ports: Vec<u16> = sinks.iter().map(|sink| sink.port).collect();
    if side == Side::OneHangs {
        // The first of the three, so that it has every chance to hold up the others.
        ports.insert(0, Sink::start(0, Keep::Hang).await.port);
    }
    let port = hosts::free_port();
    let host_process =
        RunningHost::start(host, &configuration(&args.plugins, side, row, port, &ports), port);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let before = host_process.cpu();
    let start = Instant::now();
    let items = ((row.items as f64 * args.scale) as u64 / 128).max(8) * 128;
    let report = load::run(load::Args {
        port,
        grpc: row.grpc,
        shape: row.shape,
        items,
        batch: if matches!(row.shape, TelemetryShape::Agent) { 200 } else { 128 },
        connections: 2,
        rate: row.rate,
        attempts: 200,
    })
    .await;
    let samples_all = exact(side);
    let expected = if samples_all { report.accepted } else { 0 };
    for sink in &sinks {
        sink.settle(expected, quiet(side), Duration::from_secs(90)).await;
    }
    let delivery = sinks.iter().filter_map(|sink| sink.received.lock().unwrap().last).max();
    let cpu = host_process.cpu() - before;
    let peak_mib = host_process.peak_mib();
    let (code, log) = host_process.stop();
    for sink in &sinks {
        check(sink, &report, side)
            .map_err(|problem| format!("{problem}, exit {code:?}\n{}", tail(&log)))?;
    }
    Ok(Sample {
        cpu_per_million: cpu * 1e6 / report.accepted.max(1) as f64,
        items_per_second: report.accepted as f64 / report.seconds,
        delivered_per_second: delivery.map_or(f64::NAN, |last| {
            report.accepted as f64 / last.saturating_duration_since(start).as_secs_f64()
        }),
        p99_ms: report.p99.as_secs_f64() * 1e3,
        peak_mib,
        bytes_sent: report.bytes as f64,
    })
}

/// How long nothing must come until nothing more is expected.
fn quiet(side: Side) -> Duration {
    Duration::from_secs(match side {
        // Longer than the time after which a request that is not answered is given up.
        Side::OneHangs => 15,
        _ if exact(side) => 6,
        _ => 4,
    })
}

/// Whether a sink got what it had to get, once.
fn check(sink: &Sink, report: &load::LoadReport, side: Side) -> Result<(), String> {
    let received = sink.received.lock().unwrap();
    let (distinct, doubled) = (received.distinct(), received.doubled());
    if doubled == 0 && (!exact(side) || distinct == report.accepted) {
        return Ok(());
    }
    Err(format!(
        "no result for {side:?}: {} accepted, {distinct} arrived, {doubled} doubled, {} errors \
         ({:?})",
        report.accepted, report.errors, report.first_error
    ))
}

/// Whether every item must arrive.
fn exact(side: Side) -> bool {
    match side {
        Side::Stock | Side::OneHangs => true,
        Side::StockHead | Side::StockTail => false,
        Side::Ours { filters, .. } => {
            !matches!(filters, Filters::Head | Filters::Tail | Filters::Whole)
        }
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// Fluent Bit's own plugins with nothing between them, over HTTP.
pub fn stock_plain(port: u16, sink: u16) -> String {
    let row = Row::new("", "", GENAI, BARE, Figure::Cpu, None);
    stock(Side::Stock, &row, port, sink)
}

/// Ours with nothing between them, over HTTP.
pub fn ours_plain(plugins: &Path, port: u16, sink: u16) -> String {
    ours(plugins, Filters::None, HTTP, port, &[sink])
}

/// A configuration of ours whose input keeps in memory whatever waits.
pub fn unbounded(configuration: &str) -> String {
    configuration.replace("tag: ai\n", "tag: ai\n      max_memory: 0\n")
}

fn configuration(plugins: &Path, side: Side, row: &Row, port: u16, sinks: &[u16]) -> String {
    let text = plain_configuration(plugins, side, row, port, sinks);
    if matches!(row.figure, Figure::Delivery) {
        // What waits for the endpoint that hangs is more than the default keeps in memory: there
        // senders would be asked to wait, and the others get no more than that.
        return unbounded(&text);
    }
    text
}

fn plain_configuration(plugins: &Path, side: Side, row: &Row, port: u16, sinks: &[u16]) -> String {
    match side {
        Side::Ours { filters, .. } => ours(plugins, filters, row.grpc, port, sinks),
        Side::OneHangs => ours(plugins, Filters::None, row.grpc, port, sinks),
        _ => stock(side, row, port, sinks[0]),
    }
}

fn stock(side: Side, row: &Row, port: u16, sink: u16) -> String {
    let processors = match side {
        Side::StockHead => {
            "      processors:\n        traces:\n          - name: sampling\n            type: probabilistic\n            sampling_settings:\n              sampling_percentage: 10\n"
        }
        Side::StockTail => {
            "      processors:\n        traces:\n          - name: sampling\n            type: tail\n            sampling_settings:\n              decision_wait: 2s\n              max_traces: 1000000\n            conditions:\n              - type: latency\n                threshold_ms_high: 5000\n"
        }
        _ => "",
    };
    // Over gRPC the stock output now and then takes its connections for broken and sends chunks
    // twice, and a run with doubled items is no result: without keepalive hardly ever, with the many
    // small chunks of metrics only with one worker, which costs it no more.
    let workers = if row.grpc && matches!(row.shape, TelemetryShape::Metrics) { 1 } else { 2 };
    let grpc = if row.grpc { "      grpc: on\n      net.keepalive: off\n" } else { "" };
    format!(
        "service:\n  flush: 1\n  log_level: warn\npipeline:\n  inputs:\n    - name: opentelemetry\n      listen: 127.0.0.1\n      port: {port}\n      buffer_max_size: 64M\n{processors}  outputs:\n    - name: opentelemetry\n      match: '*'\n      host: 127.0.0.1\n      port: {sink}\n      workers: {workers}\n      log_response_payload: false\n      retry_limit: no_limits\n{grpc}"
    )
}

fn ours(plugins: &Path, filters: Filters, grpc: bool, port: u16, sinks: &[u16]) -> String {
    let folder = plugins.display();
    let mut text = String::from("service:\n  flush: 1\n  log_level: warn\nplugins:\n");
    for file in [
        "in_ai_otlp",
        "filter_ai_context",
        "filter_ai_metrics",
        "filter_ai_sampling",
        "out_multi_otlp",
    ] {
        let _ = writeln!(text, "  - {folder}/flb-{file}.so");
    }
    let (own, other) = if grpc { ("grpc_port", "http_port") } else { ("http_port", "grpc_port") };
    let _ = write!(
        text,
        "pipeline:\n  inputs:\n    - name: ai_otlp\n      tag: ai\n      listen: 127.0.0.1\n      {own}: {port}\n      {other}: 0\n"
    );
    let context = "    - name: ai_context\n      match: 'ai*'\n";
    let metrics = "    - name: ai_metrics\n      match: 'ai*'\n      interval: 10s\n";
    let findings = "      find_changes: warn\n      find_usage: warn\n      find_served_model: warn\n      find_runaway: warn\n      find_drift: warn\n      find_pairs: warn\n      compare: gpt-4o gpt-4o-mini\n      find_prompts: warn\n      find_budgets: warn\n      budgets: models gen_ai.request.model=* 1e9 USD per 30d\n";
    let head = "    - name: ai_sampling\n      match: 'ai*'\n      mode: head\n      sampling_percentage: 10\n";
    let tail = "    - name: ai_sampling\n      match: 'ai*'\n      mode: tail\n      decision_wait: 2s\n      keep_slower_than: 5s\n      max_buffer_size: 1g\n";
    let whole_tail = "    - name: ai_sampling\n      match: 'ai*'\n      mode: tail\n      decision_wait: 2s\n      keep_errors: on\n      keep_slower_than: 5s\n      sampling_percentage: 10\n      max_buffer_size: 1g\n";
    let chosen = match filters {
        Filters::None => String::new(),
        Filters::Head => head.to_owned(),
        Filters::Tail => tail.to_owned(),
        Filters::Metrics => metrics.to_owned(),
        Filters::Findings => format!("{metrics}{findings}"),
        Filters::Context => context.to_owned(),
        Filters::Whole => format!("{context}{metrics}{whole_tail}"),
    };
    if !chosen.is_empty() {
        let _ = write!(text, "  filters:\n{chosen}");
    }
    let names: Vec<String> = (0..sinks.len()).map(|n| format!("e{n}")).collect();
    let _ = write!(
        text,
        "  outputs:\n    - name: multi_otlp\n      match: '*'\n      workers: 2\n      endpoints: {}\n",
        names.join(", ")
    );
    for (name, sink) in names.iter().zip(sinks) {
        let protocol = if grpc { "grpc" } else { "http/protobuf" };
        let _ = write!(
            text,
            "      endpoint.{name}.url: http://127.0.0.1:{sink}\n      endpoint.{name}.protocol: {protocol}\n      endpoint.{name}.compression: none\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::mean;

    #[test]
    fn a_mean_says_how_far_it_may_be_off() {
        assert_eq!(mean(&[0.1, 0.2]), None);
        assert_eq!(mean(&[2.0, 2.0, 2.0]), Some((2.0, 0.0)));
        // A variance of 1 over three figures.
        assert_eq!(mean(&[1.0, 2.0, 3.0]), Some((2.0, (1.0_f64 / 3.0).sqrt())));
    }
}
