//! Tail sampling with the ten policies of the soak as the host runs it, with one sampler and with shards.
//!
//! `cargo run --release -p testkit --bin sampling_bench -- 1,2,4 [SPANS]` feeds the filter that many spans (200 000) in
//! requests of 1024, as fast as it takes them, and drains it every 4 requests; then it holds as many and lets all be due at
//! once. The numbers of shards are tried in turn, each a few times, and the fastest counts.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench, which measures time")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fluent_bit_ai::clock::{self, Tick};
use fluent_bit_ai::codec::records::traces_to_records;
use fluent_bit_ai::hub::{Drain, Hub};
use fluent_bit_ai::plugin::{Chunk, Environment, Filter, Options};
use fluent_bit_ai::plugins::filter_ai_sampling::AiSampling;
use fluent_bit_ai::stats::{Counters, Log};
use testkit::shapes::{GeneratedBatch, TelemetryShape};
use testkit::soak::POLICIES;

/// Spans of a request.
const BATCH: u64 = 1024;
/// How often each number of shards is tried.
const ROUNDS: usize = 5;

/// What a run took, in seconds.
#[derive(Debug, Clone, Copy)]
struct Took {
    /// From the first request until all is decided and taken, and the CPU of the process.
    wall: f64,
    cpu: f64,
    /// Of a million spans that are due at once.
    due_wall: f64,
    /// What the host's thread had to do with these, and the longest call.
    due_host: f64,
    due_longest: f64,
}

/// Options of the filter.
struct Given(Vec<(String, String)>);

impl Options for Given {
    fn given(&self) -> &[(String, String)] {
        &self.0
    }

    fn host_value(&self, _name: &str) -> Option<String> {
        None
    }
}

/// The CPU time of the process, in seconds.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit(") ").next().unwrap_or_default();
    // After the state: utime is the 11th number, stime the 12th, in hundredths.
    let times = rest.split(' ').skip(11).take(2);
    times.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// A filter with so many shards, and with these options.
fn open(shards: &str, file: &str, options: &[(&str, &str)]) -> (AiSampling, Environment) {
    let hub = Arc::new(Hub::new(7));
    hub.add_emitter();
    let environment = Environment {
        instance: "bench.0".to_owned(),
        hub,
        position: 1,
        host_release: "5.1.1".to_owned(),
        log_groups: true,
        native_chunks: true,
        counters: Arc::new(Counters::default()),
        log: Arc::new(Log::default()),
    };
    let common = [
        ("mode", "tail"),
        ("config_file", file),
        ("shards", shards),
        ("max_buffer_size", "8g"),
        ("max_traces", "10000000"),
    ];
    let pairs = common.iter().chain(options);
    let options =
        Given(pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
    (AiSampling::open(&options, environment.clone()).unwrap(), environment)
}

fn held(environment: &Environment) -> u64 {
    let readings = environment.counters.readings();
    readings.iter().find(|it| it.family.name == "held_bytes").map_or(0, |it| it.counter.value())
}

/// Drains what is due then until nothing is held; gives how long the calls took together, and the longest.
fn drain(environment: &Environment, now: Tick) -> [f64; 2] {
    let source = environment.hub.sources().pop().unwrap();
    let (mut busy, mut longest) = (0.0_f64, 0.0_f64);
    while held(environment) > 0 {
        let call = Instant::now();
        let released = source.take(Drain::Due, now, 1);
        let took = call.elapsed().as_secs_f64();
        (busy, longest) = (busy + took, longest.max(took));
        if released.is_empty() && !source.has_more() {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    [busy, longest]
}

fn run(shards: &str, chunks: &[Vec<u8>], file: &str) -> Took {
    let (mut filter, environment) = open(shards, file, &[("decision_wait", "1s")]);
    let source = environment.hub.sources().pop().unwrap();
    // Everything that came is due at the next take.
    let later = clock::now().after(Duration::from_secs(1000));
    let (begun, before) = (Instant::now(), cpu());
    for (turn, chunk) in chunks.iter().enumerate() {
        drop(filter.on_chunk(Chunk { tag: b"ai", bytes: chunk }));
        if turn % 4 == 3 {
            drop(source.take(Drain::Due, later, 1));
        }
    }
    drain(&environment, later);
    let (wall, cpu) = (begun.elapsed().as_secs_f64(), cpu() - before);
    let (mut filter, environment) =
        open(shards, file, &[("decision_wait", "600s"), ("early_decision", "off")]);
    for chunk in chunks {
        drop(filter.on_chunk(Chunk { tag: b"ai", bytes: chunk }));
    }
    let begun = Instant::now();
    let [due_host, due_longest] = drain(&environment, later);
    Took { wall, cpu, due_wall: begun.elapsed().as_secs_f64(), due_host, due_longest }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let shards = arguments.next().unwrap_or_else(|| "1,2".to_owned());
    let shards: Vec<&str> = shards.split(',').collect();
    let spans: u64 = arguments.next().map_or(200_000, |spans| spans.parse().unwrap());
    let mut batch = GeneratedBatch::new(TelemetryShape::Genai, usize::try_from(BATCH).unwrap());
    let chunks: Vec<Vec<u8>> = (0..spans / BATCH)
        .map(|number| {
            let mut chunk = Vec::new();
            traces_to_records(&batch.numbered(number * BATCH), &mut chunk).unwrap();
            chunk
        })
        .collect();
    let spans = chunks.len() as f64 * BATCH as f64;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policies.yaml");
    std::fs::write(&path, POLICIES).unwrap();
    let file = path.display().to_string();
    let mut best: Vec<Option<Took>> = vec![None; shards.len()];
    for _ in 0..ROUNDS {
        for (best, shards) in best.iter_mut().zip(&shards) {
            let took = run(shards, &chunks, &file);
            let before = best.get_or_insert(took);
            *before = Took {
                wall: before.wall.min(took.wall),
                cpu: before.cpu.min(took.cpu),
                due_wall: before.due_wall.min(took.due_wall),
                due_host: before.due_host.min(took.due_host),
                due_longest: before.due_longest.min(took.due_longest),
            };
        }
    }
    let mut text = format!(
        "{spans} spans in chunks of {} B, fastest of {ROUNDS}\n",
        chunks.first().map_or(0, Vec::len)
    );
    for (took, shards) in best.iter().flatten().zip(&shards) {
        writeln!(
            text,
            "{shards} shards: {:.0} spans/s, {:.2} CPU s a million; due at once: {:.0} spans/s, host's thread {:.2} s a \
             million, longest call {:.1} ms",
            spans / took.wall,
            took.cpu / spans * 1e6,
            spans / took.due_wall,
            took.due_host / spans * 1e6,
            took.due_longest * 1e3,
        )
        .unwrap();
    }
    std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()).unwrap();
}
