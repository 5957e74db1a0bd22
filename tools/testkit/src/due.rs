//! Very many spans that are due at once on a real host, and how long the thread of its engine is away from its other work.
//!
//! The other work is an input of Fluent Bit's own that has to write a record each millisecond on that thread: the longest time
//! between two of these is the longest pause. All spans are held; then the host stands still (SIGSTOP) until the waits of
//! all of them are over, so that they are due together when it goes on.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::hosts::{self, Host, RunningHost};
use crate::load;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::soak::{Counters, PER_TRACE, POLICIES};
use crate::support::Pipeline;

/// Spans of a request.
const BATCH: u64 = 512;
/// Records a second of the other work.
const PROBES: u64 = 1000;

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The folder that holds the plugin files.
    #[arg(long)]
    pub plugins: PathBuf,
    /// Spans that are due at once, or a request's worth more.
    #[arg(long, default_value_t = 1_000_000)]
    pub spans: u64,
    /// Shards of the sampler.
    #[arg(long, default_value_t = 4)]
    pub shards: usize,
    /// Keep all of them; else all are dropped.
    #[arg(long)]
    pub keep: bool,
    /// `decision_wait` in seconds: the load has to end within it.
    #[arg(long, default_value_t = 60)]
    pub wait: u64,
    /// How often it is done; the least of the longest pauses counts, as other work on the machine only adds.
    #[arg(long, default_value_t = 3)]
    pub rounds: u32,
}

/// What a run showed.
#[derive(Debug, Clone, Default)]
pub struct DueReport {
    pub host: String,
    pub spans: u64,
    /// Of each round.
    pub rounds: Vec<Round>,
}

/// One round.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// From when all were due until all were decided.
    pub decided: Duration,
    /// The longest pause meanwhile, and in the two seconds before in which all were held.
    pub longest: Duration,
    pub before: Duration,
    /// How long the engine's thread waited for a processor meanwhile, in all.
    pub waited: Duration,
}

impl DueReport {
    /// The least of the longest pauses.
    pub fn longest(&self) -> Duration {
        self.rounds.iter().map(|round| round.longest).min().unwrap_or_default()
    }

    pub fn text(&self, args: &Args) -> String {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let what = if args.keep { "kept" } else { "dropped" };
        let mut text = format!(
            "{}, {} shards: {} spans due at once, all {what}: longest pause of the engine's thread {:.1} ms, the least of:",
            self.host,
            args.shards,
            self.spans,
            ms(self.longest())
        );
        for Round { decided, longest, before, waited } in &self.rounds {
            let _ = write!(
                text,
                "\n  {:.1} ms ({:.1} ms while they were held); decided in {:.2} s, in which the thread waited {:.0} ms for \
                 a processor",
                ms(*longest),
                ms(*before),
                decided.as_secs_f64(),
                ms(*waited)
            );
        }
        text
    }
}

/// Runs it on the newest host that is found.
///
/// # Errors
/// What did not hold.
pub async fn run(args: &Args) -> Result<DueReport, String> {
    on(&hosts::newest(), args).await
}

/// Runs it on a host.
///
/// # Errors
/// What did not hold.
pub async fn on(host: &Host, args: &Args) -> Result<DueReport, String> {
    if !host.is_real() {
        return Err(
            "the bundled host has no input of its own to look at; a real one is needed".to_owned()
        );
    }
    let spans = args.spans.next_multiple_of(BATCH);
    let mut report = DueReport { host: host.title(), spans, rounds: Vec::new() };
    for _ in 0..args.rounds.max(1) {
        report.rounds.push(round(host, args, spans).await?);
    }
    Ok(report)
}

async fn round(host: &Host, args: &Args, spans: u64) -> Result<Round, String> {
    let sink = Sink::start(0, Keep::Numbers).await;
    let [http, page] = [hosts::free_port(), hosts::free_port()];
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let rest = if args.keep { "sampling_percentage: 100}" } else { "sampling_percentage: 0}" };
    let policies = POLICIES.replace("sampling_percentage: 10}", rest);
    let file = folder.path().join("policies.yaml");
    std::fs::write(&file, policies).map_err(|error| error.to_string())?;
    let yaml = pipeline(args, [http, page], folder.path(), sink.port).yaml(&args.plugins);
    let running = tokio::task::block_in_place(|| RunningHost::start(host, &yaml, http));
    tokio::time::sleep(Duration::from_secs(1)).await;
    send(http, spans).await?;
    let last = Instant::now();
    let held = |counters: Counters| counters.received == spans && counters.held == spans;
    until(page, &held)
        .await
        .map_err(|told| format!("not all are held before the first are due: {told}"))?;
    let from = unix_now();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let stopped = unix_now();
    running.signal("STOP");
    // All of them are due a second before it goes on.
    tokio::time::sleep_until((last + Duration::from_secs(args.wait + 1)).into()).await;
    let (begun, waited) = (Instant::now(), running.waited("flb-pipeline"));
    let resumed = unix_now();
    running.signal("CONT");
    let none = |counters: Counters| counters.received == spans && counters.held == 0;
    let counters = until(page, &none).await?;
    let (decided, ended) = (begun.elapsed(), unix_now());
    let waited = running.waited("flb-pipeline").saturating_sub(waited);
    let kept = if args.keep { spans } else { 0 };
    sink.settle(kept, Duration::from_secs(3), Duration::from_secs(60)).await;
    let (code, log) = tokio::task::block_in_place(|| running.stop());
    let received = sink.received.lock().unwrap();
    let torn = received
        .numbers
        .chunks(PER_TRACE)
        .filter(|trace| trace.iter().any(|count| *count != trace[0]));
    let arrived = (received.distinct(), received.doubled(), torn.count() as u64);
    if code != Some(0) || counters.kept != kept || arrived != (kept, 0, 0) {
        return Err(format!(
            "{code:?}, {counters:?}; spans, doubled ones and torn traces that arrived: {arrived:?}: {log}"
        ));
    }
    let probes = probes(&folder.path().join("probe.txt"))?;
    let longest = |from: Duration, to: Duration| longest_gap(&probes, from, to);
    Ok(Round {
        decided,
        longest: longest(resumed, ended)?,
        before: longest(from, stopped)?,
        waited,
    })
}

/// Sends all spans, as fast as answers come.
async fn send(http: u16, spans: u64) -> Result<(), String> {
    let args = load::Args {
        port: http,
        grpc: false,
        shape: TelemetryShape::Genai,
        items: spans,
        batch: BATCH as usize,
        connections: 2,
        rate: 0,
        attempts: 200,
    };
    let report = load::run(args).await;
    match report.accepted == spans {
        true => Ok(()),
        false => Err(format!("{} spans were accepted: {:?}", report.accepted, report.first_error)),
    }
}

fn pipeline(args: &Args, [http, page]: [u16; 2], folder: &Path, sink: u16) -> Pipeline {
    Pipeline::default()
        .service("http_server: on")
        .service("http_listen: 127.0.0.1")
        .service(&format!("http_port: {page}"))
        .service("log_level: warn")
        .otlp_in(http, 0)
        .input(&["name: dummy", "tag: probe", &format!("rate: {PROBES}")])
        .filter(&[
            "name: ai_sampling",
            "match: 'ai*'",
            "mode: tail",
            "early_decision: off",
            &format!("decision_wait: {}s", args.wait),
            "max_buffer_size: 8g",
            "max_traces: 10000000",
            &format!("shards: {}", args.shards),
            &format!("config_file: {}", folder.join("policies.yaml").display()),
        ])
        .output(&[
            "name: multi_otlp",
            "match: 'ai*'",
            &format!("endpoint.sink.url: http://127.0.0.1:{sink}"),
            "endpoint.sink.protocol: http/protobuf",
        ])
        .output(&[
            "name: file",
            "match: probe",
            &format!("path: {}", folder.display()),
            "file: probe.txt",
        ])
}

/// Reads the counters until they are so.
async fn until(page: u16, is_so: &dyn Fn(Counters) -> bool) -> Result<Counters, String> {
    let start = Instant::now();
    loop {
        let counters = Counters::read(page).await.unwrap_or_default();
        if is_so(counters) {
            return Ok(counters);
        }
        if start.elapsed() > crate::at_most(Duration::from_secs(60)) {
            return Err(format!("{counters:?}"));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// When the records of the other work were made, in lines such as `probe: [1700000000.123456789, {...}]`.
fn probes(path: &Path) -> Result<Vec<Duration>, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let times = text.lines().filter_map(|line| {
        let (time, _) = line.split_once('[')?.1.split_once(',')?;
        let (seconds, nanos) = time.trim().split_once('.')?;
        Some(Duration::new(seconds.parse().ok()?, nanos.parse().ok()?))
    });
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    Ok(times)
}

/// The longest time between two of these in a stretch of time, the first of which is the first one there.
fn longest_gap(times: &[Duration], from: Duration, to: Duration) -> Result<Duration, String> {
    let first = times.partition_point(|time| *time < from);
    let within = times[first..].iter().take_while(|time| **time <= to);
    let within: Vec<&Duration> = within.collect();
    let gaps = within.windows(2).map(|two| two[1].saturating_sub(*two[0]));
    gaps.max().ok_or_else(|| format!("the other work made {} records meanwhile", within.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_is_found_within_a_stretch() {
        let ms = Duration::from_millis;
        let times = [1, 2, 50, 51, 53, 60, 61].map(ms);
        assert_eq!(longest_gap(&times, ms(50), ms(61)), Ok(ms(7)));
        assert_eq!(longest_gap(&times, ms(0), ms(52)), Ok(ms(48)));
        assert!(longest_gap(&times, ms(54), ms(60)).is_err());
    }

    #[test]
    fn times_of_records_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("probe.txt");
        let text = "probe: [1700000000.000000007, {\"message\":\"dummy\"}]\nprobe: [1700000000.002000000, {}]\nx\n";
        std::fs::write(&path, text).unwrap();
        let second = Duration::from_secs(1_700_000_000);
        let want = [second + Duration::from_nanos(7), second + Duration::from_millis(2)];
        assert_eq!(probes(&path), Ok(want.to_vec()));
    }
}
