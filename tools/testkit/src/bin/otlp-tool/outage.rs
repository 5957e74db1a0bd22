//! Outage benchmark: how late telemetry comes through an endpoint that is in trouble, ours beside
//! Fluent Bit's own.
//!
//! The delay of a span is from when it was due to be sent, by the rate, to when the receiver
//! accepted it. So what a client has to wait before it may send is part of it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::bench::{ours_plain, stock_plain};
use crate::hosts::{self, Host, RunningHost};
use crate::load;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink, Trouble};

/// Spans a second.
const RATE: u64 = 6000;
/// Spans of a request.
const BATCH: u64 = 128;
/// The host's flush interval in both configurations.
const FLUSH: Duration = Duration::from_secs(1);
/// How long the last span is waited for, and how long nothing may come meanwhile.
const LIMIT: Duration = Duration::from_secs(400);
const QUIET: Duration = Duration::from_secs(150);

pub struct OutageRow {
    pub name: &'static str,
    work: &'static str,
    items: u64,
    trouble: Trouble,
    /// The most that the figure may be, in seconds.
    bound: f64,
}

#[rustfmt::skip]
pub const ROWS: &[OutageRow] = &[
    OutageRow {
        name: "P18",
        work: "503 for 15 s: last span after that, s",
        items: 200_000,
        trouble: Trouble { outage: Duration::from_secs(15), every: 7, answer: Duration::from_millis(30) },
        bound: 20.0,
    },
    OutageRow {
        name: "P19",
        work: "each 7th answer 503: p99 beyond flush, s",
        items: 120_000,
        trouble: Trouble { outage: Duration::ZERO, every: 7, answer: Duration::from_millis(30) },
        bound: 2.0,
    },
];

/// What one side showed.
struct Sample {
    median: f64,
    p99: f64,
    /// The last span, from the start of the load.
    last: f64,
    /// The last span, from the end of the outage.
    after: f64,
    lost: u64,
    doubled: u64,
    peak_mib: f64,
}

impl OutageRow {
    fn figure(&self, sample: &Sample) -> f64 {
        if self.trouble.outage.is_zero() { sample.p99 - FLUSH.as_secs_f64() } else { sample.after }
    }
}

/// Both sides in turn, and a line for each.
pub async fn measure(host: &Host, plugins: &Path, row: &OutageRow, scale: f64) -> String {
    let mut text = String::new();
    let mut figures = [f64::NAN; 2];
    for (side, name) in ["other", "ours"].into_iter().enumerate() {
        if side == 0 && !host.is_real() {
            continue;
        }
        let sample = match sample(host, plugins, row, side, scale).await {
            Ok(sample) => sample,
            Err(problem) => return format!("{:<9}{}: {name}: {problem}", row.name, row.work),
        };
        figures[side] = row.figure(&sample);
        let Sample { median, p99, last, lost, doubled, peak_mib, .. } = sample;
        let _ = write!(
            text,
            "\n{:<11}{name}: delay p50 {median:.1} s, p99 {p99:.1} s, last {last:.1} s after the \
             start; {lost} lost, {doubled} doubled; peak {peak_mib:.0} MiB",
            ""
        );
        if side == 1 && lost + doubled > 0 {
            return format!("{:<9}{}: no result{text}", row.name, row.work);
        }
    }
    let [other, ours] = figures;
    let met = if ours <= row.bound { "met" } else { "NOT MET" };
    let bound = format!("<={}", row.bound);
    format!(
        "{:<9}{:<46}{other:>10.2}{ours:>10.2}{ours:>9.2}{bound:>9}  {met}{text}",
        row.name, row.work
    )
}

async fn sample(
    host: &Host,
    plugins: &Path,
    row: &OutageRow,
    side: usize,
    scale: f64,
) -> Result<Sample, String> {
    let sink = Sink::start(0, Keep::Failing(row.trouble)).await;
    let port = hosts::free_port();
    let configuration = match side {
        0 => stock_plain(port, sink.port),
        _ => ours_plain(plugins, port, sink.port),
    };
    let running = RunningHost::start(host, &configuration, port);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let items = ((row.items as f64 * scale) as u64 / BATCH).max(8) * BATCH;
    let start = Instant::now();
    let report = load::run(load::Args {
        port,
        grpc: false,
        shape: TelemetryShape::Genai,
        items,
        batch: BATCH as usize,
        connections: 2,
        rate: RATE,
        attempts: 2000,
    })
    .await;
    sink.settle(report.accepted, QUIET, LIMIT).await;
    let peak_mib = running.peak_mib();
    let (code, log) = running.stop();
    let received = sink.received.lock().unwrap();
    let arrived = || received.times.iter().flatten().zip(0_u64..);
    let mut delays: Vec<f64> = arrived()
        .filter_map(|(time, number)| time.map(|time| delay(start, time, number)))
        .collect();
    delays.sort_by(f64::total_cmp);
    let at = |share: f64| delays.get((delays.len() as f64 * share) as usize).copied();
    let last = arrived().filter_map(|(time, _)| *time).max();
    let (Some(median), Some(p99), Some(last), Some(first)) =
        (at(0.5), at(0.99), last, received.first)
    else {
        return Err(format!("nothing arrived, exit {code:?}\n{log}"));
    };
    Ok(Sample {
        median,
        p99,
        last: last.saturating_duration_since(start).as_secs_f64(),
        after: last.saturating_duration_since(first + row.trouble.outage).as_secs_f64(),
        lost: report.accepted.saturating_sub(received.distinct()),
        doubled: received.doubled(),
        peak_mib,
    })
}

/// Seconds from when the span with this number was due to when it was accepted.
fn delay(start: Instant, time: Instant, number: u64) -> f64 {
    let due = start + Duration::from_micros((number - number % BATCH) * 1_000_000 / RATE);
    time.saturating_duration_since(due).as_secs_f64()
}
