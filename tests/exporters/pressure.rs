//! Under pressure: the receiver says "later", the exporters send again, everything arrives once.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::arrived::assert_exactly_once;
use crate::client::Client;
use crate::emit::{Said, Way, begin, end, launch, wait_until_refused, ways};
use crate::exactly_once::{hosts, settle};
use crate::hosts::{Host, RunningHost, free_port};
use crate::shapes::{GeneratedBatch, TelemetryShape};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, alone, linked};

/// The pipeline, and the ports for OTLP/HTTP and OTLP/gRPC.
fn pipeline(option: &str, output: u16) -> (Pipeline, u16, u16) {
    let (http, grpc) = (free_port(), free_port());
    let pipeline = Pipeline::default()
        .service("scheduler.base: 1")
        .service("scheduler.cap: 2")
        .otlp_in(http, grpc)
        .input_option(option)
        .otlp_out(&[("one", output, "http/protobuf")]);
    (pipeline, http, grpc)
}

/// Sends a request of our own; what the receiver said if it was not taken.
async fn probe(http: u16) -> Option<String> {
    let mut batch = GeneratedBatch::new(TelemetryShape::Genai, 128);
    let mut client = Client::connect(http, false).await.unwrap();
    client
        .send(TelemetryShape::Genai.path(), TelemetryShape::Genai.service(), batch.numbered(0))
        .await
        .err()
}

async fn check(host: &Host, running: RunningHost, sink: Sink, ways: &[Way], emitted: Emitted) {
    let mut again = 0;
    for (way, said) in emitted.await.unwrap() {
        let name = way.name();
        assert_eq!(said.complaints, [""; 0], "{} {name}\n{}", host.title(), running.log_text());
        assert!(said.retries > 0, "{} {name} was never told to wait", host.title());
        again += said.retries;
    }
    settle(&sink, ways, Duration::from_secs(40)).await;
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{}: {log}", host.title());
    assert_exactly_once(&sink, ways, &log);
    println!("{}: {again} requests sent again, everything once", host.title());
}

type Emitted = tokio::task::JoinHandle<Vec<(Way, Said)>>;

/// Lets the exporters send, and waits until each has been told to wait. The pressure must end soon
/// after: the exporters of JavaScript send a request again five times at most, and wait between as
/// long as they are asked to.
async fn start(ways: &[Way], http: u16, grpc: u16) -> Emitted {
    let mut ready = launch(ways, http, grpc, Duration::from_secs(60));
    begin(&mut ready);
    wait_until_refused(&mut ready);
    tokio::task::spawn_blocking(move || end(ready))
}

/// Scenario: the backend is down and the host pauses the input; after a while the backend comes up
/// and the host resumes. Guarantees: exporters are told to send again (503, `UNAVAILABLE`), they do,
/// and everything arrives once.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_host_gets_everything_once() {
    let _alone = alone();
    let mut ways = ways();
    ways.retain(|way| way.sends_again());
    let plugins = linked();
    for host in hosts() {
        if ways.is_empty() {
            return;
        }
        let down = free_port();
        let (pipeline, http, grpc) = pipeline("mem_buf_limit: 3M", down);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let mut refusal = None;
        for _ in 0..200 {
            refusal = probe(http).await;
            if refusal.is_some() {
                break;
            }
        }
        let refusal = refusal.expect("the host was never paused");
        assert!(refusal.starts_with("503"), "{}: {refusal}", host.title());
        let emitted = start(&ways, http, grpc).await;
        let sink = Sink::start(down, Keep::Requests).await;
        check(&host, running, sink, &ways, emitted).await;
    }
}

/// Scenario: a client holds all the memory that the receiver may use, and gives it back after a
/// while. Guarantees: exporters are told to send again (429, `UNAVAILABLE`), they do, and
/// everything arrives once.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_receiver_gets_everything_once() {
    let _alone = alone();
    let mut ways = ways();
    ways.retain(|way| way.sends_again());
    let plugins = linked();
    for host in hosts() {
        if ways.is_empty() {
            return;
        }
        let sink = Sink::start(0, Keep::Requests).await;
        let (pipeline, http, grpc) = pipeline("max_queue_size: 4M", sink.port);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        // More than there is, because one request at a time may be let through beyond the limit.
        let (mut held, mut refusal) = (Vec::new(), None);
        while refusal.is_none() && held.len() < 10 {
            held.push(hold(http, 3_999_000));
            tokio::time::sleep(Duration::from_millis(200)).await;
            refusal = probe(http).await;
        }
        let refusal = refusal.expect("the receiver was never full");
        assert!(refusal.starts_with("429"), "{}: {refusal}", host.title());
        let emitted = start(&ways, http, grpc).await;
        drop(held);
        check(&host, running, sink, &ways, emitted).await;
    }
}

/// A request of `bytes` bytes whose last byte does not come.
fn hold(http: u16, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", http)).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\n\r\n",
        bytes + 1
    );
    stream.write_all(head.as_bytes()).unwrap();
    // Those beyond the memory are refused while they are sent.
    let _ = stream.write_all(&vec![0; bytes]);
    stream
}
