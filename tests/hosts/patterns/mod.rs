//! The configurations that we ship for `multi_otlp`, with data: what each promises is measured.
//!
//! | file | what is sent | what has what |
//! |---|---|---|
//! | `fan_out.yaml` | real captures of all signals | each backend everything, once, equal to what was sent |
//! | `failover.yaml` | spans, while the first backend goes and comes back | the spare what came meanwhile, the first all else |
//! | `two_tiers.yaml` | traces | each gateway whole traces, and a fair share of them |
//! | `tenants.yaml` | all signals of several tenants | each request one tenant's items under its header |
//! | `content_policy.yaml` | spans with prompts | each backend the prompts that are for it, and marks |

mod content;
mod tenants;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::task::block_in_place;

use crate::client::Client;
use crate::equality::{captures, flat, send_all, sent};
use crate::faults::names::{Names, namespaces, with_names};
use crate::faults::station::Station;
use crate::hosts::{Host, RunningHost, free_port};
use crate::receiver::Receiver;
use crate::shapes::{GeneratedBatch, TelemetryShape};
use crate::support::{bundled, linked, real_hosts, together};

const PATHS: [&str; 3] = ["/v1/traces", "/v1/metrics", "/v1/logs"];

/// The newest real host, if there is any, and the bundled one's newest row.
fn hosts() -> Vec<Host> {
    real_hosts().into_iter().take(1).chain([bundled("5.1.0")]).collect()
}

/// A configuration that we ship, ready to run.
struct Shipped {
    text: String,
    http: u16,
    grpc: u16,
}

impl Shipped {
    /// The file with other places in it; each place that is replaced must be there.
    fn new(file: &str, plugins: &Path, addresses: &[(&str, String)]) -> Self {
        let folder = testkit::root().join("fluent-bit-conf");
        let mut text = std::fs::read_to_string(folder.join(file)).unwrap();
        let (http, grpc) = (free_port(), free_port());
        let ours = [
            ("plugins_file: ", format!("plugins_file: {}/", plugins.display())),
            ("http_port: 4318", format!("http_port: {http}")),
            ("grpc_port: 4317", format!("grpc_port: {grpc}")),
        ];
        for (address, instead) in ours.iter().chain(addresses) {
            assert!(text.contains(address), "{file} has no {address}");
            text = text.replace(address, instead);
        }
        Self { text, http, grpc }
    }

    fn start(&self, host: &Host) -> RunningHost {
        block_in_place(|| RunningHost::start(host, &self.text, self.http))
    }
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Waits until something is so.
async fn until(
    what: &str,
    limit: Duration,
    running: &RunningHost,
    mut is_so: impl FnMut() -> bool,
) {
    let (start, limit) = (Instant::now(), testkit::at_most(limit));
    while !is_so() {
        assert!(start.elapsed() < limit, "{what}: not in time\n{}", running.log_text());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Stops a host, which ends well, after time for what should not follow.
async fn stop(running: RunningHost, what: &str) -> String {
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let (code, log) = block_in_place(|| running.stop());
    assert_eq!(code, Some(0), "{what}: {log}");
    log
}

/// Scenario: captures of all signals over both transports, through `fan_out.yaml`. Guarantees: each
/// of the two backends has each item once, equal to what was sent, compressed as the file says.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fan_out_gives_everything_to_each_backend() {
    let _together = together();
    let plugins = linked();
    let captures = captures();
    let all = PATHS.map(|path| sent(&captures, path, 2));
    for host in hosts() {
        let what = host.title();
        let backends = [Receiver::start().await, Receiver::start().await];
        let addresses = [
            ("127.0.0.1:14318", local(backends[0].port)),
            ("127.0.0.1:24317", local(backends[1].port)),
        ];
        let shipped = Shipped::new("fan_out.yaml", plugins.path(), &addresses);
        let running = shipped.start(&host);
        send_all(&captures, shipped.http, shipped.grpc).await;
        let arrived = |backend: &Receiver| PATHS.map(|path| flat(path, backend.messages(path)));
        let lengths = |items: &[Vec<String>; 3]| items.each_ref().map(Vec::len);
        until(&what, Duration::from_secs(20), &running, || {
            backends.iter().all(|backend| lengths(&arrived(backend)) >= lengths(&all))
        })
        .await;
        let log = stop(running, &what).await;
        for (backend, encoding) in
            backends.iter().zip([("content-encoding", "zstd"), ("grpc-encoding", "gzip")])
        {
            let arrived = arrived(backend);
            assert_eq!(lengths(&arrived), lengths(&all), "{what} {encoding:?}: {log}");
            assert!(arrived == all, "{what} {encoding:?}: what arrived is not what was sent");
            let (header, value) = encoding;
            assert!(backend.kept().iter().all(|kept| kept.header(header) == value), "{what}");
        }
        println!("{what}: {:?} spans, metrics and logs at each backend", lengths(&all));
    }
}

/// Sends spans with these numbers.
async fn send_spans(http: u16, first: u64, items: u64) {
    let mut batch = GeneratedBatch::new(TelemetryShape::Genai, 20);
    let mut client = Client::connect(http, false).await.unwrap();
    for first in (first..first + items).step_by(20) {
        let request = batch.numbered(first);
        client
            .send(TelemetryShape::Genai.path(), TelemetryShape::Genai.service(), request)
            .await
            .unwrap();
    }
}

/// Spans of one phase.
const ITEMS: u64 = 400;

/// How long a backend that is back may wait until it is asked.
const BACK: Duration = Duration::from_secs(60);

async fn failover(host: Host, plugins: PathBuf) {
    let what = host.title();
    let mut main = Station::start(Ipv4Addr::LOCALHOST, 0).await;
    let spare = Station::start(Ipv4Addr::LOCALHOST, 0).await;
    let addresses = [
        ("127.0.0.1:14318", local(main.address.port())),
        ("127.0.0.1:24318", local(spare.address.port())),
    ];
    let shipped = Shipped::new("failover.yaml", &plugins, &addresses);
    let running = shipped.start(&host);
    let soon = Duration::from_secs(20);
    send_spans(shipped.http, 0, ITEMS).await;
    until(&what, soon, &running, || main.distinct(ITEMS) == ITEMS).await;

    main.down().await;
    send_spans(shipped.http, ITEMS, ITEMS).await;
    until(&what, soon, &running, || spare.distinct(2 * ITEMS) == ITEMS).await;

    main.up().await;
    // It is asked when there is something to send.
    let (mut next, back) = (2 * ITEMS, Instant::now());
    while main.distinct(next) == ITEMS {
        assert!(
            back.elapsed() < testkit::at_most(BACK),
            "{what}: the first is not back\n{}",
            running.log_text()
        );
        send_spans(shipped.http, next, 20).await;
        next += 20;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (took, knocks) = (back.elapsed(), next);
    let both = |items| main.distinct(items) + spare.distinct(items);
    until(&what, soon, &running, || both(knocks) == knocks).await;
    send_spans(shipped.http, next, ITEMS).await;
    next += ITEMS;
    until(&what, soon, &running, || both(next) == next).await;
    let log = stop(running, &what).await;
    let (main, spare) = (main.arrivals(next), spare.arrivals(next));
    for number in 0..next as usize {
        let came = (main[number].len(), spare[number].len());
        let knock = (2 * ITEMS as usize..knocks as usize).contains(&number);
        let meanwhile = (ITEMS as usize..2 * ITEMS as usize).contains(&number);
        let expected = if meanwhile { (0, 1) } else { (1, 0) };
        assert!(came == expected || (knock && came == (0, 1)), "{what} {number}: {came:?}\n{log}");
    }
    println!("{what}: the first backend is used again {took:.1?} after it is back");
}

/// Scenario: `failover.yaml` under spans; the first backend goes away and comes back. Guarantees:
/// all is at the first, then at the spare, then at the first again; nothing is lost or doubled.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn failover_uses_the_spare_until_the_first_is_back() {
    let _together = together();
    let plugins = linked();
    let run = |host| tokio::spawn(failover(host, plugins.path().to_owned()));
    for task in hosts().into_iter().map(run).collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// Scenario: traces through `two_tiers.yaml`, where the gateways' name has two addresses.
/// Guarantees: each span is at one gateway, once, with all of its trace; both have a fair share.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_tiers_keep_traces_whole() {
    let _together = together();
    let Some(option) = namespaces() else {
        println!("skipped: this system does not let tests make mount namespaces");
        return;
    };
    let plugins = linked();
    for host in hosts() {
        let what = host.title();
        let first = Station::start(Ipv4Addr::LOCALHOST, 0).await;
        let port = first.address.port();
        let second = Station::start(Ipv4Addr::new(127, 0, 0, 2), port).await;
        let names = Names::new(&[Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)]);
        let addresses = [("localhost:14318", format!("moving.test:{port}"))];
        let shipped = Shipped::new("two_tiers.yaml", plugins.path(), &addresses);
        let running = shipped.start(&with_names(&host, option, &names));
        let items = 2 * ITEMS;
        // The spans of a trace come in two chunks: the host flushes in between.
        for odd in [0, 1] {
            send_every_other(shipped.http, items, odd).await;
            tokio::time::sleep(Duration::from_millis(1_500)).await;
        }
        let both = || first.distinct(items) + second.distinct(items);
        until(&what, Duration::from_secs(20), &running, || both() == items).await;
        let log = stop(running, &what).await;
        let gateways = [first.arrivals(items), second.arrivals(items)];
        let mut shares = [0, 0];
        for trace in 0..items as usize / 4 {
            let at = |span: usize| gateways.each_ref().map(|gateway| gateway[span].len());
            let holder = at(4 * trace);
            assert!(holder == [1, 0] || holder == [0, 1], "{what}: {holder:?}\n{log}");
            for span in 4 * trace..4 * trace + 4 {
                assert_eq!(at(span), holder, "{what}: trace {trace} is not whole\n{log}");
            }
            shares[holder[1]] += 1;
        }
        let fair = items / 4 / 2;
        assert!(shares.iter().all(|share| *share > fair / 2), "{what}: {shares:?}");
        println!("{what}: {shares:?} whole traces at each gateway");
    }
}

/// Sends every other span of so many.
async fn send_every_other(http: u16, items: u64, odd: usize) {
    let mut batch = GeneratedBatch::new(TelemetryShape::Genai, 40);
    let mut client = Client::connect(http, false).await.unwrap();
    for first in (0..items).step_by(40) {
        let request = batch.numbered(first);
        let mut request = ExportTraceServiceRequest::decode(&request[..]).unwrap();
        let spans = &mut request.resource_spans[0].scope_spans[0].spans;
        let mut number = 0;
        spans.retain(|_| {
            number += 1;
            number % 2 == odd
        });
        let service = TelemetryShape::Genai.service();
        client.send(TelemetryShape::Genai.path(), service, request.encode_to_vec()).await.unwrap();
    }
}

fn string(text: impl Into<String>) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(text.into())) })
}

fn pair(key: &str, text: impl Into<String>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: string(text), ..KeyValue::default() }
}

/// An attribute's text, or the texts of a list.
fn texts(attributes: &[KeyValue], key: &str) -> Vec<String> {
    let value = attributes.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.clone());
    let text = |value: &AnyValue| match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{key} is {other:?}"),
    };
    match value.and_then(|value| value.value) {
        Some(Value::ArrayValue(list)) => list.values.iter().map(text).collect(),
        Some(value) => vec![text(&AnyValue { value: Some(value) })],
        None => Vec::new(),
    }
}

async fn send(http: u16, path: &str, message: &impl Message) {
    let mut client = Client::connect(http, false).await.unwrap();
    client.send(path, "", message.encode_to_vec()).await.unwrap();
}

fn of_tenant(tenant: &str) -> Option<Resource> {
    let mut attributes = vec![pair("service.name", "agent")];
    if !tenant.is_empty() {
        attributes.push(pair("tenant.id", tenant));
    }
    Some(Resource { attributes, ..Resource::default() })
}
