//! Fake DNS: names that begin to mean other addresses while the host runs.
//!
//! The host runs in a mount namespace of its own, where the file of the system's names is one that
//! the test writes.
//!
//! | row | what has what |
//! |---|---|
//! | an endpoint's name moves, the old address goes away | everything once; all that is sent afterwards at the new address, within seconds |
//! | an endpoint's name moves, the old address says nothing any more | the same, after one timeout |
//! | a group's name gets one more address | everything once; items that move, move to the new member |
//! | a group's name loses an address | everything once; only the lost member's items move |

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::hosts::{Host, RunningHost, free_port};
use crate::shapes::{GeneratedBatch, TelemetryShape};
use crate::support::{Pipeline, alone, bundled, linked, real_hosts};

use super::station::Station;

/// Items of one phase; the numbers of a phase tell its traces.
const ITEMS: u64 = 400;
/// Numbers that only keep the host busy.
const KNOCK: u64 = 10_000;

const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const THIRD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// What a shell does to give what follows a file of names of its own.
const BIND: &str = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";

/// The option with which `unshare` makes a mount namespace here, if it can.
pub fn namespaces() -> Option<&'static str> {
    let file = tempfile::NamedTempFile::new().unwrap();
    ["-m", "-rm"].into_iter().find(|option| {
        let probe = Command::new("unshare")
            .args([option, "sh", "-c", BIND])
            .arg(file.path())
            .arg("true")
            .stderr(Stdio::null())
            .status();
        probe.is_ok_and(|status| status.success())
    })
}

/// The name `moving.test`, as the host sees it.
pub struct Names(tempfile::NamedTempFile);

impl Names {
    pub fn new(addresses: &[Ipv4Addr]) -> Self {
        let names = Self(tempfile::NamedTempFile::new().unwrap());
        names.set(addresses);
        names
    }

    /// Written in place: the file itself is what the host sees.
    fn set(&self, addresses: &[Ipv4Addr]) {
        let lines = addresses.iter().map(|address| format!("{address} moving.test\n"));
        std::fs::write(self.0.path(), lines.collect::<String>()).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

pub fn with_names(host: &Host, option: &str, names: &Names) -> Host {
    let mut arguments = vec![option.to_owned(), "sh".to_owned(), "-c".to_owned(), BIND.to_owned()];
    arguments.push(names.path().display().to_string());
    arguments.push(host.executable.display().to_string());
    arguments.extend(host.arguments.iter().cloned());
    Host { executable: PathBuf::from("unshare"), arguments, release: host.release.clone() }
}

fn hosts() -> Vec<Host> {
    real_hosts().into_iter().take(1).chain([bundled("5.1.0")]).collect()
}

/// Sends the items of `numbers`.
async fn send(http: u16, first: u64, items: u64) {
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

/// Waits until all of the first `items` are at one of the stations.
async fn arrived(stations: &[&Station], items: u64, what: &str, running: &RunningHost) {
    let start = Instant::now();
    loop {
        let all: Vec<_> = stations.iter().map(|station| station.arrivals(items)).collect();
        let is_there = |number: usize| all.iter().any(|arrivals| !arrivals[number].is_empty());
        if (0..items as usize).all(is_there) {
            return;
        }
        let waited = start.elapsed();
        assert!(
            waited < testkit::at_most(Duration::from_secs(25)),
            "{what}\n{}",
            running.log_text()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn listening(http: u16, grpc: u16) -> Pipeline {
    Pipeline::default().service("scheduler.base: 1").service("scheduler.cap: 2").otlp_in(http, grpc)
}

#[derive(Clone, Copy, Debug)]
enum Old {
    GoesAway,
    FallsSilent,
}

async fn endpoint_moves(host: Host, option: &str, plugins: PathBuf, protocol: &str, how: Old) {
    let what = format!("{}, {protocol}, the old address {how:?}", host.title());
    let mut old = Station::start(FIRST, 0).await;
    let new = Station::start(SECOND, old.address.port()).await;
    let names = Names::new(&[FIRST]);
    let (http, grpc) = (free_port(), free_port());
    let pipeline = listening(http, grpc).output(&[
        "name: multi_otlp",
        "match: '*'",
        &format!("endpoint.one.url: http://moving.test:{}", new.address.port()),
        &format!("endpoint.one.protocol: {protocol}"),
        "endpoint.one.timeout: 1s",
    ]);
    let host = with_names(&host, option, &names);
    let running = RunningHost::start(&host, &pipeline.yaml(&plugins), http);
    send(http, 0, ITEMS).await;
    arrived(&[&old], ITEMS, &what, &running).await;
    names.set(&[SECOND]);
    match how {
        Old::GoesAway => old.down().await,
        Old::FallsSilent => old.fall_silent(),
    }
    let moved = Instant::now();
    send(http, ITEMS, ITEMS).await;
    arrived(&[&old, &new], 2 * ITEMS, &what, &running).await;
    let took = moved.elapsed();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{what}: {log}");
    let (old, new) = (old.arrivals(2 * ITEMS), new.arrivals(2 * ITEMS));
    for number in 0..2 * ITEMS as usize {
        let expected = if number < ITEMS as usize { (1, 0) } else { (0, 1) };
        assert_eq!((old[number].len(), new[number].len()), expected, "{what}: {number}\n{log}");
    }
    assert!(took < Duration::from_secs(12), "{what}: it took {took:?}\n{log}");
    println!("{what}: moved within {took:.1?}");
}

/// Scenario: an endpoint's name gets another address, over HTTP and gRPC; the old address goes away
/// or says nothing any more. Guarantees: everything is delivered once, to the new address from then
/// on, although connections to the old one were kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn an_endpoint_is_found_at_its_new_address() {
    let _alone = alone();
    let Some(option) = namespaces() else {
        println!("skipped: this system does not let tests make mount namespaces");
        return;
    };
    let plugins = linked();
    let mut tasks = Vec::new();
    for host in hosts() {
        for protocol in ["http/protobuf", "grpc"] {
            for how in [Old::GoesAway, Old::FallsSilent] {
                let (host, plugins) = (host.clone(), plugins.path().to_owned());
                tasks.push(tokio::spawn(endpoint_moves(host, option, plugins, protocol, how)));
            }
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Sends until the host's log says that the group has so many members.
async fn until_members(running: &RunningHost, http: u16, count: usize, knocks: &mut u64) {
    let said = format!("group 'many' has {count} members");
    let start = Instant::now();
    let known = running.log_text().matches(&said).count();
    while running.log_text().matches(&said).count() == known {
        assert!(
            start.elapsed() < testkit::at_most(Duration::from_secs(15)),
            "{said}?\n{}",
            running.log_text()
        );
        send(http, KNOCK + *knocks, 20).await;
        *knocks += 20;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Which station each item of a phase is at: it is at exactly one, and once.
fn holders(stations: &[&Station], before: &[Vec<usize>], log: &str) -> Vec<usize> {
    let counts = counts(stations);
    (0..ITEMS as usize)
        .map(|number| {
            let new: Vec<usize> = counts
                .iter()
                .zip(before)
                .map(|(now, before)| now[number] - before[number])
                .collect();
            assert_eq!(new.iter().sum::<usize>(), 1, "item {number} came {new:?} times\n{log}");
            new.iter().position(|count| *count == 1).unwrap()
        })
        .collect()
}

fn counts(stations: &[&Station]) -> Vec<Vec<usize>> {
    let count = |station: &&Station| station.arrivals(ITEMS).iter().map(Vec::len).collect();
    stations.iter().map(count).collect()
}

/// Sends the same traces once more and says where each item went.
async fn phase(stations: &[&Station], http: u16, running: &RunningHost) -> Vec<usize> {
    let before = counts(stations);
    let all = |counts: &[Vec<usize>]| counts.iter().flatten().sum::<usize>();
    let expected = all(&before) + ITEMS as usize;
    send(http, 0, ITEMS).await;
    let start = Instant::now();
    while all(&counts(stations)) < expected {
        let waited = start.elapsed();
        assert!(
            waited < testkit::at_most(Duration::from_secs(25)),
            "not everything came\n{}",
            running.log_text()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    holders(stations, &before, &running.log_text())
}

async fn group_changes(host: Host, option: &str, plugins: PathBuf, protocol: &str) {
    let what = format!("{}, {protocol}", host.title());
    let mut first = Station::start(FIRST, 0).await;
    let port = first.address.port();
    let second = Station::start(SECOND, port).await;
    let third = Station::start(THIRD, port).await;
    let names = Names::new(&[FIRST, SECOND]);
    let (http, grpc) = (free_port(), free_port());
    let pipeline = listening(http, grpc).output(&[
        "name: multi_otlp",
        "match: '*'",
        &format!("group.many.url: http://moving.test:{port}"),
        &format!("group.many.protocol: {protocol}"),
        "group.many.timeout: 1s",
        "group.many.mode: balance",
        "group.many.balance: trace_id",
        "group.many.dns_interval: 1s",
    ]);
    let host = with_names(&host, option, &names);
    let running = RunningHost::start(&host, &pipeline.yaml(&plugins), http);
    let two = phase(&[&first, &second, &third], http, &running).await;
    assert!(two.iter().all(|at| *at < 2), "{what}");

    let mut knocks = 0;
    names.set(&[FIRST, SECOND, THIRD]);
    until_members(&running, http, 3, &mut knocks).await;
    let three = phase(&[&first, &second, &third], http, &running).await;
    for (number, (before, now)) in two.iter().zip(&three).enumerate() {
        assert!(before == now || *now == 2, "{what}: item {number} went from {before} to {now}");
    }

    names.set(&[SECOND, THIRD]);
    until_members(&running, http, 2, &mut knocks).await;
    first.down().await;
    let last = phase(&[&first, &second, &third], http, &running).await;
    for (number, (before, now)) in three.iter().zip(&last).enumerate() {
        assert!(before == now || *before == 0, "{what}: item {number} went from {before} to {now}");
        assert_ne!(*now, 0, "{what}: item {number} went to a member that is none");
    }

    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{what}: {log}");
    // The last roster has no member that went away: nobody was asked in vain.
    assert!(!log.contains("is left alone for a while"), "{what}: {log}");
    let shares = [&two, &three, &last]
        .map(|holders| [0, 1, 2].map(|at| holders.iter().filter(|holder| **holder == at).count()));
    for (share, members) in shares.iter().zip([&[0, 1][..], &[0, 1, 2], &[1, 2]]) {
        for member in members {
            let fair = ITEMS as usize / members.len();
            assert!((fair / 3..fair * 2).contains(&share[*member]), "{what}: {shares:?}");
        }
    }
    // What only kept the host busy came once, too.
    let all = [&first, &second, &third].map(|station| station.arrivals(KNOCK + knocks));
    for number in KNOCK as usize..(KNOCK + knocks) as usize {
        let came: usize = all.iter().map(|arrivals| arrivals[number].len()).sum();
        assert_eq!(came, 1, "{what}: {log}");
    }
    println!("{what}: shares with two, three and two members: {shares:?}");
}

/// Scenario: the name of a group's members gets an address and loses one, under the same traces
/// again and again. Guarantees: nothing is lost or doubled, and only a share moves: to the member
/// that came, and from the one that went.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_groups_members_come_and_go_by_name() {
    let _alone = alone();
    let Some(option) = namespaces() else {
        println!("skipped: this system does not let tests make mount namespaces");
        return;
    };
    let plugins = linked();
    let mut tasks = Vec::new();
    for host in hosts() {
        for protocol in ["http/protobuf", "grpc"] {
            let (host, plugins) = (host.clone(), plugins.path().to_owned());
            tasks.push(tokio::spawn(group_changes(host, option, plugins, protocol)));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
}
