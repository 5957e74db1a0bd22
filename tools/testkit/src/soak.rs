//! Soak: tail sampling with ten policies at a rate above its bounds, looked at every second.
//!
//! Traces come in two halves of two spans, a while apart, so that a decision may fall between them. All must hold, every
//! second and at the end: what came is kept, dropped or held; memory is within the bound; of a trace all spans
//! arrive or none, and none twice; as many arrive as are counted as kept.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::client::Client;
use crate::hosts::{self, Host, RunningHost};
use crate::shapes::{GeneratedBatch, TelemetryShape};
use crate::sink::{Keep, Sink};
use crate::support::Pipeline;

/// Spans of two requests: the first halves of traces, and their second ones.
const BATCH: u64 = 128;
/// Spans of a trace of the shape.
pub(crate) const PER_TRACE: usize = 4;
const SHAPE: TelemetryShape = TelemetryShape::Genai;

/// Ten policies, of which chance keeps one trace in ten of these, and the others ask each span and trace.
pub const POLICIES: &str = "policies:
  - {name: errors, type: error}
  - {name: slow, type: latency, threshold: 60s}
  - {name: many, type: span_count, min_spans: 100}
  - {name: tokens, type: tokens, min_total: 1000000}
  - {name: cost, type: cost, min: 1000}
  - {name: first, type: time_to_first_token, min: 60s}
  - {name: cut, type: finish_reason, values: [content_filter]}
  - {name: tools, type: tool_error}
  - {name: gold, type: string_attribute, key: customer.tier, values: [gold]}
  - {name: rest, type: probabilistic, sampling_percentage: 10}
";

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The folder that holds the plugin files.
    #[arg(long)]
    pub plugins: PathBuf,
    /// How long to send.
    #[arg(long, default_value_t = 600)]
    pub seconds: u64,
    /// Spans a second; 0 is as fast as answers come.
    #[arg(long, default_value_t = 5000)]
    pub rate: u64,
    /// `max_buffer_size` in millions of bytes.
    #[arg(long, default_value_t = 256)]
    pub buffer: u64,
    /// `decision_wait` in seconds.
    #[arg(long, default_value_t = 60)]
    pub wait: u64,
    /// Milliseconds between the halves of a trace.
    #[arg(long, default_value_t = 1000)]
    pub apart: u64,
    /// MiB that the host may take beside the buffer and a fifth of it.
    #[arg(long, default_value_t = 0)]
    pub beside: u64,
}

/// What a run showed.
#[derive(Debug, Clone, Default)]
pub struct SoakReport {
    pub host: String,
    pub sent: u64,
    pub kept: u64,
    /// Traces that were decided early, because the buffer was full.
    pub early: u64,
    /// Seconds in which the counters were read and added up.
    pub checks: u64,
    /// Resident memory before the load, and the most there was more than that, in MiB.
    pub idle_mib: f64,
    pub grown_mib: f64,
    pub bound_mib: f64,
    /// CPU seconds of the host for a million spans.
    pub cpu_per_million: f64,
}

impl SoakReport {
    pub fn text(&self) -> String {
        let Self { host, sent, kept, early, checks, .. } = self;
        let mut text =
            format!("{host}: {sent} spans in ten policies, {kept} kept, none torn or doubled; ");
        let _ = write!(
            text,
            "counters added up {checks} times; {early} traces decided early for want of room; memory {:.1} MiB \
             and at most {:.1} more (bound {:.1}); {:.2} CPU s per million spans, {:.0} spans/s and core",
            self.idle_mib,
            self.grown_mib,
            self.bound_mib,
            self.cpu_per_million,
            1e6 / self.cpu_per_million,
        );
        text
    }
}

/// Runs it on the newest host that is found.
///
/// # Errors
/// What did not hold.
pub async fn run(args: Args) -> Result<SoakReport, String> {
    on(&hosts::newest(), &args.plugins.clone(), args).await
}

/// Runs it on a host.
///
/// # Errors
/// What did not hold.
pub async fn on(host: &Host, plugins: &Path, args: Args) -> Result<SoakReport, String> {
    if !host.is_real() {
        return Err("the bundled host has no page of counters; a real one is needed".to_owned());
    }
    let sink = Sink::start(0, Keep::Numbers).await;
    let ports = [hosts::free_port(), hosts::free_port()];
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let policies = folder.path().join("policies.yaml");
    std::fs::write(&policies, POLICIES).map_err(|error| error.to_string())?;
    let yaml = pipeline(&args, ports, &policies, sink.port).yaml(plugins);
    let [http, page] = ports;
    let running = tokio::task::block_in_place(|| RunningHost::start(host, &yaml, http));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut report = SoakReport {
        host: host.title(),
        idle_mib: running.resident_mib(),
        bound_mib: args.buffer as f64 * 1.2e6 / 1_048_576.0 + args.beside as f64,
        ..SoakReport::default()
    };
    let before = running.cpu();
    report.sent = watched(send(http, args.clone()), (&running, page), &mut report).await?;
    let counters = at_rest(page, report.sent, Duration::from_secs(args.wait + 30)).await?;
    report.cpu_per_million = (running.cpu() - before) * 1e6 / report.sent.max(1) as f64;
    report.kept = counters.kept;
    sink.settle(counters.kept, Duration::from_secs(5), Duration::from_secs(20)).await;
    let (code, log) = tokio::task::block_in_place(|| running.stop());
    if code != Some(0) {
        return Err(format!("{code:?}: {log}"));
    }
    let received = sink.received.lock().unwrap();
    let torn = received.numbers.chunks(PER_TRACE).filter(|trace| {
        trace.iter().any(|count| *count > 1) || trace.iter().any(|count| *count != trace[0])
    });
    match (torn.count(), received.distinct() == counters.kept) {
        (0, true) => Ok(report),
        (torn, _) => Err(format!(
            "{torn} traces are torn or doubled; {} spans arrived of {counters:?}",
            received.distinct()
        )),
    }
}

fn pipeline(args: &Args, [http, page]: [u16; 2], policies: &Path, sink: u16) -> Pipeline {
    Pipeline::default()
        .service("http_server: on")
        .service("http_listen: 127.0.0.1")
        .service(&format!("http_port: {page}"))
        .service("log_level: warn")
        .otlp_in(http, 0)
        .filter(&[
            "name: ai_sampling",
            "match: 'ai*'",
            "mode: tail",
            &format!("decision_wait: {}s", args.wait),
            &format!("max_buffer_size: {}m", args.buffer),
            &format!("config_file: {}", policies.display()),
        ])
        .otlp_out(&[("sink", sink, "http/protobuf")])
}

/// Looks at the host every second while the sender runs; gives how many spans that sent.
async fn watched(
    sender: impl Future<Output = Result<u64, String>> + Send + 'static,
    (running, page): (&RunningHost, u16),
    report: &mut SoakReport,
) -> Result<u64, String> {
    let sender = tokio::spawn(sender);
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    while !sender.is_finished() {
        ticks.tick().await;
        report.grown_mib = report.grown_mib.max(running.resident_mib() - report.idle_mib);
        if report.grown_mib > report.bound_mib {
            return Err(format!("{:.1} MiB more than at first: {report:?}", report.grown_mib));
        }
        if let Some(counters) = Counters::read(page).await {
            counters.check()?;
            report.checks += 1;
            report.early = counters.early;
        }
    }
    sender.await.map_err(|error| error.to_string())?
}

/// The counters once so many spans were decided.
async fn at_rest(page: u16, sent: u64, limit: Duration) -> Result<Counters, String> {
    let start = Instant::now();
    loop {
        let counters = Counters::read(page).await.unwrap_or_default();
        counters.check()?;
        if counters.received == sent && counters.held == 0 {
            return Ok(counters);
        }
        if start.elapsed() > crate::at_most(limit) {
            return Err(format!("{counters:?} of {sent} spans"));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Sends the first halves of traces, and a while later the second ones. Gives how many spans were accepted.
async fn send(port: u16, args: Args) -> Result<u64, String> {
    let mut client = Client::connect(port, false).await?;
    let mut batch = GeneratedBatch::new(SHAPE, BATCH as usize);
    let (start, apart) = (Instant::now(), Duration::from_millis(args.apart));
    let mut later: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut sent = 0;
    for number in 0_u64.. {
        let first = number * BATCH;
        let ends = start.elapsed() >= Duration::from_secs(args.seconds);
        if !ends {
            if let Some(due) = (first * 1_000_000).checked_div(args.rate) {
                tokio::time::sleep_until((start + Duration::from_micros(due)).into()).await;
            }
            let [one, two] = halves(&batch.numbered(first))?;
            deliver(&mut client, one).await?;
            later.push_back((Instant::now(), two));
            sent += BATCH;
        }
        while let Some((_, half)) = later.pop_front_if(|(at, _)| ends || at.elapsed() >= apart) {
            deliver(&mut client, half).await?;
        }
        if ends {
            break;
        }
    }
    Ok(sent)
}

/// Sends a request, and again while the host has no room for it.
async fn deliver(client: &mut Client, request: Vec<u8>) -> Result<(), String> {
    let start = Instant::now();
    loop {
        match client.send(SHAPE.path(), SHAPE.service(), request.clone()).await {
            Err(reason) if start.elapsed() > Duration::from_secs(30) => return Err(reason),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Ok(()) => return Ok(()),
        }
    }
}

/// The first two spans of each trace, and the others.
fn halves(request: &[u8]) -> Result<[Vec<u8>; 2], String> {
    let whole = ExportTraceServiceRequest::decode(request).map_err(|error| error.to_string())?;
    Ok([false, true].map(|second| {
        let mut half = whole.clone();
        for scope in half.resource_spans.iter_mut().flat_map(|of| &mut of.scope_spans) {
            let spans = std::mem::take(&mut scope.spans).into_iter().enumerate();
            let wanted = spans.filter(|(index, _)| (index % PER_TRACE >= PER_TRACE / 2) == second);
            scope.spans = wanted.map(|(_, span)| span).collect();
        }
        half.encode_to_vec()
    }))
}

/// What the sampler counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub(crate) received: u64,
    pub(crate) kept: u64,
    dropped: u64,
    pub(crate) held: u64,
    early: u64,
}

impl Counters {
    pub(crate) async fn read(port: u16) -> Option<Self> {
        let page = move || hosts::http_get(port, "/api/v2/metrics/prometheus");
        let text = tokio::task::spawn_blocking(page).await.ok()?;
        let sum = |name: &str, label: &str| {
            let series = text.lines().filter(|line| {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'))
                    && line.contains(label)
            });
            let values = series
                .filter_map(|line| line.split_once("} ")?.1.split(' ').next()?.parse::<f64>().ok());
            values.sum::<f64>() as u64
        };
        text.contains("fluentbit_ai_received_spans_total").then(|| Self {
            received: sum("fluentbit_ai_received_spans_total", ""),
            kept: sum("fluentbit_ai_kept_spans_total", ""),
            dropped: sum("fluentbit_ai_dropped_spans_total", ""),
            held: sum("fluentbit_ai_held_spans", ""),
            early: sum("fluentbit_ai_early_decisions_total", "reason=\"buffer_full\""),
        })
    }

    fn check(self) -> Result<(), String> {
        match self.received == self.kept + self.dropped + self.held {
            true => Ok(()),
            false => Err(format!("the counters do not add up: {self:?}")),
        }
    }
}
