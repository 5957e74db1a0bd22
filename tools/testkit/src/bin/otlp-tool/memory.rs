//! Memory benchmark: a burst as fast as answers come into one endpoint, with no limit configured.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::bench;
use crate::hosts::{Host, RunningHost, free_port};
use crate::load;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};

/// The most that the host may hold at its peak, in MiB.
const BOUND: f64 = 128.0;
/// How much of the throughput without the limit on memory has to be left.
const MIN_SHARE: f64 = 0.9;
const SPANS: u64 = 300_000;

/// Makes a configuration of the input's port and the endpoint's.
type Configuration<'a> = &'a dyn Fn(u16, u16) -> String;

/// What one run showed.
#[derive(Debug, Clone, Copy)]
struct Burst {
    peak_mib: f64,
    /// Spans a second from the first one sent to the last one that arrived.
    delivered: f64,
    /// Spans a second that were accepted.
    accepted: f64,
}

/// The rows of the table: the peak of memory beside the stock plugins', and what the limit costs.
pub async fn rows(plugins: &Path, host: &Host, rounds: usize, scale: f64) -> Vec<String> {
    let (mut stock, mut ours, mut without) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let own = |port, sink| bench::ours_plain(plugins, port, sink);
        let sides: [(&mut Vec<Burst>, Configuration<'_>); 3] = [
            (&mut stock, &bench::stock_plain),
            (&mut ours, &own),
            (&mut without, &|port, sink| bench::unbounded(&own(port, sink))),
        ];
        for (index, (bursts, configuration)) in sides.into_iter().enumerate() {
            if index == 0 && !host.is_real() {
                continue;
            }
            match burst(host, configuration, scale).await {
                Ok(burst) => bursts.push(burst),
                Err(problem) => return vec![format!("{:<9}{problem}", "P20")],
            }
        }
    }
    let peak = |side: &[Burst]| middle(side, |burst| burst.peak_mib);
    let rate = |side: &[Burst]| middle(side, |burst| burst.delivered);
    let accepted = |side: &[Burst]| middle(side, |burst| burst.accepted);
    let share = rate(&ours) / rate(&without);
    vec![
        line("P20", "burst into one endpoint: peak MiB", (peak(&stock), peak(&ours), peak(&ours)))
            + &bound("<=", BOUND, peak(&ours) <= BOUND),
        line(
            "P20-off",
            "the same, no limit at all: peak MiB",
            (peak(&stock), peak(&without), peak(&without)),
        ),
        line(
            "P20-rate",
            "delivered spans/s, no limit / default",
            (rate(&without), rate(&ours), share),
        ) + &bound(">=", MIN_SHARE, share >= MIN_SHARE),
        line(
            "P20-in",
            "accepted spans/s, stock / default",
            (accepted(&stock), accepted(&ours), accepted(&ours) / accepted(&stock)),
        ),
        line(
            "P20-free",
            "accepted spans/s, no limit / default",
            (accepted(&without), accepted(&ours), accepted(&ours) / accepted(&without)),
        ),
    ]
}

fn line(name: &str, work: &str, (other, ours, figure): (f64, f64, f64)) -> String {
    format!("{name:<9}{work:<46}{other:>10.2}{ours:>10.2}{figure:>9.2}")
}

fn bound(sign: &str, bound: f64, met: bool) -> String {
    format!("{:>9}  {}", format!("{sign}{bound}"), if met { "met" } else { "NOT MET" })
}

fn middle(side: &[Burst], of: impl Fn(&Burst) -> f64) -> f64 {
    let mut values: Vec<f64> = side.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

async fn burst(host: &Host, configuration: Configuration<'_>, scale: f64) -> Result<Burst, String> {
    let sink = Sink::start(0, Keep::Numbers).await;
    let port = free_port();
    let running = RunningHost::start(host, &configuration(port, sink.port), port);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let start = Instant::now();
    let report = load::run(load::Args {
        port,
        grpc: false,
        shape: TelemetryShape::Genai,
        items: ((SPANS as f64 * scale) as u64 / 128).max(8) * 128,
        batch: 128,
        connections: 2,
        rate: 0,
        attempts: 200,
    })
    .await;
    sink.settle(report.accepted, Duration::from_secs(6), Duration::from_secs(90)).await;
    let peak_mib = running.peak_mib();
    let (code, log) = running.stop();
    let received = sink.received.lock().unwrap();
    if received.distinct() != report.accepted || received.doubled() > 0 {
        return Err(format!(
            "no result: {} accepted, {} arrived, {} doubled, exit {code:?}\n{log}",
            report.accepted,
            received.distinct(),
            received.doubled()
        ));
    }
    let last = received.last.map_or(f64::NAN, |last| (last - start).as_secs_f64());
    Ok(Burst {
        peak_mib,
        delivered: report.accepted as f64 / last,
        accepted: report.accepted as f64 / report.seconds,
    })
}
