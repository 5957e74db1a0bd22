//! Readers of the page beside the pipeline, and what they cost it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::task::block_in_place;

use super::{ask, pipeline};
use crate::hosts::{RunningHost, free_port, newest};
use crate::load;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{alone, linked};

/// Threads that read the page again and again.
pub struct Readers {
    stop: Arc<AtomicBool>,
    read: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub fn start(page: u16, readers: usize) -> Self {
        let (stop, read) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..readers).map(|_| {
            let (stop, read) = (Arc::clone(&stop), Arc::clone(&read));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = ask(page, "GET /status.json HTTP/1.1\r\nhost: localhost", "");
                    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                    read.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(50));
                }
            })
        });
        Self { threads: threads.collect(), stop, read }
    }

    /// Ends them, and says how often they read.
    pub fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.read.load(Ordering::Relaxed)
    }
}

/// Whole batches.
const ITEMS: u64 = 156 * 128;

/// Scenario: the same load with no reader of the page and with four, each of which reads twenty times a second, in turn.
/// Guarantees: the host takes no more than a quarter more processor time, and half a second, with readers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_do_not_slow_the_pipeline() {
    let _alone = alone();
    let plugins = linked();
    let host = newest();
    let sink = Sink::start(0, Keep::Numbers).await;
    let (http, page) = (free_port(), free_port());
    let pipeline = pipeline(http, page, &[("one", sink.port, "http/protobuf")]);
    let running =
        block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
    let mut took: [Vec<(f64, f64)>; 2] = Default::default();
    let mut read = 0;
    for round in 0..7 {
        let readers = (round % 2 == 1).then(|| Readers::start(page, 4));
        let cpu = running.cpu();
        let report = load::run(load::Args {
            port: http,
            grpc: false,
            shape: TelemetryShape::Genai,
            items: ITEMS,
            batch: 128,
            connections: 2,
            rate: 0,
            attempts: 400,
        })
        .await;
        assert_eq!(report.accepted, ITEMS, "{:?}", report.first_error);
        // What is left goes through before the next round.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let cpu = running.cpu() - cpu;
        if let Some(readers) = readers {
            read += readers.stop();
            took[1].push((report.seconds, cpu));
        } else if round > 0 {
            took[0].push((report.seconds, cpu));
        }
    }
    let mean = |index: usize, of: fn(&(f64, f64)) -> f64| {
        took[index].iter().map(of).sum::<f64>() / took[index].len() as f64
    };
    let seconds = [0, 1].map(|index| mean(index, |round| round.0));
    let cpu = [0, 1].map(|index| mean(index, |round| round.1));
    println!(
        "{}: {ITEMS} spans take {:.2} s and {:.2} s of processor time without readers, {:.2} s and {:.2} s \
         with four, which read {read} times in three rounds",
        host.title(),
        seconds[0],
        cpu[0],
        seconds[1],
        cpu[1]
    );
    assert!(cpu[1] < cpu[0] * 1.25 + 0.5, "{cpu:?}");
    assert!(seconds[1] < seconds[0] * 1.5 + 1.0, "{seconds:?}");
    assert_eq!(block_in_place(|| running.stop()).0, Some(0));
}
