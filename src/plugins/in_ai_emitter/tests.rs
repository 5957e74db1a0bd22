//! Tests: options of scrapes, and pages on their way to a host.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::{AiEmitter, EmitterCheck};
use crate::plugin::{
    AppendRefused, Chunks, GivenOptions, Input, NativeKind, NotAppended, OpenError, Pause, Sink,
    Waker,
};
use crate::plugins::testing::environment;
use crate::receive::ListenAddresses;

fn problems(pairs: &[(&str, &str)]) -> Vec<String> {
    match EmitterCheck::of(
        &GivenOptions::of(pairs),
        &environment(false),
        &mut ListenAddresses::default(),
    ) {
        Ok(_) => Vec::new(),
        Err(OpenError(problems)) => problems,
    }
}

#[test]
fn right_options_are_taken() {
    let all = [
        ("scrape.vllm.url", "http://127.0.0.1:8000/metrics"),
        ("scrape.vllm.interval", "30s"),
        ("scrape.vllm.timeout", "20s"),
        ("scrape.vllm.emit_as", "native"),
        ("scrape.vllm.stale_markers", "off"),
        ("scrape.vllm.tag", "metrics"),
        ("scrape.vllm.service_name", "llama"),
        ("scrape.vllm.resource.k8s.pod.name", "p"),
        ("scrape.vllm.max_page_size", "1m"),
        ("scrape.vllm.max_samples", "1000"),
        ("scrape.vllm.http_user", "u"),
        ("scrape.vllm.http_passwd", "p"),
        ("scrape.vllm.headers", "x-a=b"),
        ("scrape.vllm.tls.verify", "off"),
        ("scrape.vllm.net.connect_timeout", "1s"),
        ("scrape.fast.url", "https://localhost/metrics"),
        // The default timeout is no longer than that.
        ("scrape.fast.interval", "2s"),
    ];
    assert_eq!(problems(&all), Vec::<String>::new());
    assert_eq!(problems(&[]), Vec::<String>::new());
}

/// Guarantees: what is wrong is said with the option and what is allowed, all at once, and no secret is shown.
#[test]
fn wrong_options_are_refused_in_words() {
    const URL: (&str, &str) = ("scrape.a.url", "http://h/metrics");
    for (given, says) in [
        (
            ("scrape.a.interval", "10ms"),
            "option 'scrape.a.interval': '10ms' is not allowed; allowed: a duration from 1s",
        ),
        (
            ("scrape.a.timeout", "20s"),
            "option 'scrape.a.timeout': 20 s are longer than 'scrape.a.interval', which is 15 s",
        ),
        (
            ("scrape.a.emit_as", "prometheus"),
            "'prometheus' is not allowed; allowed: records, native",
        ),
        (("scrape.a.max_page_size", "1"), "allowed: a size from 1k to 1g"),
        (("scrape.a.max_samples", "0"), "allowed: a number from 1 to 10000000"),
        (("scrape.a.tag", ""), "option 'scrape.a.tag': '' is not allowed; allowed: a tag"),
        (("scrape.a.service_name", " "), "allowed: the name of a service"),
        (
            ("scrape.a.compression", "gzip"),
            "there is no key 'compression'; allowed: interval, emit_as",
        ),
        (("scrape.a.resource.", "x"), "there is no key 'resource.'"),
        (("scrape.a.bearer_token", "hush\u{7}"), "option 'scrape.a.bearer_token'"),
        (("scrape.a.bearer_token_file", "/nowhere/x"), "option 'scrape.a.bearer_token_file': "),
        (
            ("scrape.a.tls.crt_file", "/nowhere/x"),
            "option 'scrape.a.tls.key_file': is needed beside",
        ),
        (("scrape.a.url", "ftp://u:hush@h"), "option 'scrape.a.url': '...@h' is not allowed"),
        (("scrape.b!.url", "http://h"), "scrape names consist of letters"),
        (("scrape.b.interval", "5s"), "target 'b' has no 'scrape.b.url'"),
        (("scrape.url", "http://h"), "option 'scrape.url': write 'scrape.NAME.url'"),
    ] {
        let problems = problems(&[URL, given]);
        let [problem] = &problems[..] else { panic!("{given:?}: {problems:?}") };
        assert!(problem.contains(says) && !problem.contains("hush"), "{given:?}: {problem}");
    }
    let many: Vec<String> = (0..65).map(|number| format!("scrape.t{number}.url")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "http://h/")).collect();
    assert_eq!(problems(&many), ["there are 65 targets to scrape; 64 are allowed"]);
}

/// What the host takes.
#[derive(Default)]
struct Host {
    refuses: bool,
    held: usize,
    events: Vec<(Vec<u8>, usize)>,
    native: usize,
    flushed: bool,
}

impl Sink for Host {
    fn append(&mut self, tag: &[u8], records: usize, _: &[u8]) -> Result<(), AppendRefused> {
        if self.refuses {
            return Err(AppendRefused);
        }
        self.events.push((tag.to_vec(), records));
        Ok(())
    }

    fn append_native(&mut self, _: &[u8], kind: NativeKind, _: &[u8]) -> Result<(), NotAppended> {
        assert_eq!(kind, NativeKind::Metrics);
        self.native += 1;
        Ok(())
    }

    fn chunks(&self) -> Chunks {
        Chunks { bytes: self.held, bounded: false }
    }

    fn flush_now(&mut self) {
        self.flushed = true;
    }
}

fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "a server of a test")]
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _some = stream.read(&mut [0; 4096]);
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\na 1\n";
            let _gone = stream.write_all(head.as_bytes());
        }
    });
    url
}

/// Scenario: two targets, one as records and one as the host's own metrics, and a host that refuses, holds too much, pauses, and
/// stops. Guarantees: pages are appended once, in their form, under their tag; what is not taken waits; the end takes it.
#[test]
fn pages_go_to_the_host_when_it_takes_them() {
    let url = serve();
    let (wake, woken) = channel();
    let wake = Mutex::new(wake);
    let waker = Waker::new(move || {
        let _gone = wake.lock().unwrap().send(());
    });
    let options = GivenOptions::of(&[
        ("scrape.a.url", &url),
        ("scrape.a.tag", "ta"),
        ("scrape.a.interval", "1h"),
        ("scrape.b.url", &url),
        ("scrape.b.emit_as", "native"),
        ("scrape.b.interval", "1h"),
        ("max_memory", "8000000"),
    ]);
    let environment = environment(false);
    let mut input = AiEmitter::open(&options, environment.clone(), waker).unwrap();
    for _ in 0..2 {
        woken.recv_timeout(test_timeout::at_most(Duration::from_secs(30))).unwrap();
    }
    let mut host = Host { refuses: true, held: 8_000_000, ..Host::default() };
    input.on_wake(&mut host);
    assert_eq!((host.events.len(), host.native), (0, 0), "there is no room");
    host.held = 0;
    input.on_tick(&mut host);
    assert_eq!((host.events.len(), host.native), (0, 0), "the first is refused");
    input.on_pause(Pause::Pressure, &mut host);
    host.refuses = false;
    input.on_tick(&mut host);
    assert_eq!((host.events.len(), host.native), (0, 0), "it is paused");
    input.on_resume();
    input.on_tick(&mut host);
    assert_eq!((&host.events[..], host.native), (&[(b"ta".to_vec(), 4)][..], 1));
    assert!(!host.flushed);
    input.on_pause(Pause::Shutdown, &mut host);
    assert!(host.flushed);
    assert_eq!((host.events.len(), host.native), (1, 1), "each page once");
    let emitted = environment.counters.readings();
    let emitted = emitted.iter().find(|it| it.family.name == "emitted_records_total").unwrap();
    assert_eq!(emitted.counter.value(), 8);
}
