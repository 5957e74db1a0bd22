//! Closed-loop load generator: each connection sends, waits for the answer, and sends again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::shapes::{GeneratedBatch, TelemetryShape};

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The port on 127.0.0.1.
    #[arg(long)]
    pub port: u16,
    /// OTLP/gRPC instead of OTLP/HTTP.
    #[arg(long)]
    pub grpc: bool,
    #[arg(long, value_enum, default_value = "genai")]
    pub shape: TelemetryShape,
    /// Items in all.
    #[arg(long, default_value_t = 100_000)]
    pub items: u64,
    #[arg(long, default_value_t = 128)]
    pub batch: usize,
    #[arg(long, default_value_t = 2)]
    pub connections: usize,
    /// Items a second; 0 is as fast as answers come.
    #[arg(long, default_value_t = 0)]
    pub rate: u64,
    /// How often a request that was not accepted is sent again, each 50 ms.
    #[arg(long, default_value_t = 200)]
    pub attempts: u32,
}

/// What a run did.
#[derive(Debug, Clone)]
pub struct LoadReport {
    pub accepted: u64,
    pub errors: u64,
    pub first_error: Option<String>,
    pub seconds: f64,
    pub median: Duration,
    pub p99: Duration,
    pub bytes: u64,
}

impl LoadReport {
    pub fn json(&self) -> String {
        serde_json::json!({
            "accepted": self.accepted, "errors": self.errors, "first_error": self.first_error,
            "seconds": self.seconds, "items_per_second": self.accepted as f64 / self.seconds,
            "bytes_per_item": self.bytes as f64 / self.accepted.max(1) as f64,
            "answer_ms": { "p50": self.median.as_secs_f64() * 1e3, "p99": self.p99.as_secs_f64() * 1e3 },
        })
        .to_string()
    }
}

struct Share {
    next: AtomicU64,
    errors: AtomicU64,
}

pub async fn run(args: Args) -> LoadReport {
    let start = Instant::now();
    let share = Arc::new(Share { next: AtomicU64::new(0), errors: AtomicU64::new(0) });
    let tasks: Vec<_> = (0..args.connections)
        .map(|_| tokio::spawn(connection(args.clone(), Arc::clone(&share), start)))
        .collect();
    let mut report = LoadReport {
        accepted: 0,
        errors: 0,
        first_error: None,
        seconds: 0.0,
        median: Duration::ZERO,
        p99: Duration::ZERO,
        bytes: 0,
    };
    let mut delays = Vec::new();
    for task in tasks {
        let (accepted, bytes, mut own, error) = task.await.expect("a connection's task");
        report.accepted += accepted;
        report.bytes += bytes;
        report.first_error = report.first_error.or(error);
        delays.append(&mut own);
    }
    report.seconds = start.elapsed().as_secs_f64();
    report.errors = share.errors.load(Ordering::Relaxed);
    delays.sort_unstable();
    let at = |share: f64| {
        delays.get(((delays.len() as f64) * share) as usize).copied().unwrap_or_default()
    };
    report.median = at(0.5);
    report.p99 = at(0.99);
    report
}

type Outcome = (u64, u64, Vec<Duration>, Option<String>);

/// How long the machine may be short of what a connection takes.
const SHORTAGE: Duration = Duration::from_secs(10);

/// The connection, opened where there is none. A machine that is short of ports, files or memory
/// says nothing of the host: that is waited for.
async fn connected<'a>(
    client: &'a mut Option<Client>,
    args: &Args,
) -> std::io::Result<&'a mut Client> {
    let start = Instant::now();
    while client.is_none() {
        match Client::open(args.port, args.grpc).await {
            Ok(opened) => *client = Some(opened),
            Err(error) if is_shortage(&error) && start.elapsed() < SHORTAGE => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error),
        }
    }
    client.as_mut().ok_or_else(|| std::io::ErrorKind::NotConnected.into())
}

fn is_shortage(error: &std::io::Error) -> bool {
    let shortages = [libc::EADDRNOTAVAIL, libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|number| shortages.contains(&number))
}

async fn connection(args: Args, share: Arc<Share>, start: Instant) -> Outcome {
    let mut batch = GeneratedBatch::new(args.shape, args.batch);
    let (mut accepted, mut bytes, mut delays, mut error) = (0, 0, Vec::new(), None);
    let mut client = None;
    let size = batch.items as u64;
    loop {
        let first = share.next.fetch_add(size, Ordering::Relaxed);
        if first >= args.items {
            return (accepted, bytes, delays, error);
        }
        if let Some(due) = (first * 1_000_000).checked_div(args.rate) {
            tokio::time::sleep_until((start + Duration::from_micros(due)).into()).await;
        }
        let request = batch.numbered(first);
        // What was not accepted is sent again, as exporters do.
        for attempt in 0_u32.. {
            let mut sent = Instant::now();
            let answer = match connected(&mut client, &args).await {
                Ok(client) => {
                    sent = Instant::now();
                    client.send(args.shape.path(), args.shape.service(), request.clone()).await
                }
                Err(reason) => Err(format!("cannot connect: {reason}")),
            };
            let Err(reason) = answer else {
                delays.push(sent.elapsed());
                accepted += size;
                bytes += request.len() as u64;
                break;
            };
            share.errors.fetch_add(1, Ordering::Relaxed);
            error.get_or_insert(reason);
            client = None;
            if attempt >= args.attempts {
                return (accepted, bytes, delays, error);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
