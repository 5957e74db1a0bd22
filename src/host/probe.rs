//! Plugins that do nothing but exercise the host layer: an input that counts, a filter that does
//! what it is told, an output that answers what it is told. Built with the feature `probe-plugins`
//! for tests in real hosts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock;
use crate::config::read::{self, Read};
use crate::config::{Parser, options};
use crate::plugin::{
    Chunk, Completion, Delivery, Environment, EventType, Fate, Filter, Input, OpenError,
    OptionSpec, Options, Output, Pause, Sink, Spec, Verdict, Waker,
};
use crate::stats::{Counter, CounterFamily, Log};

/// One log event `[[now, {}], {"n": number}]`.
fn event(number: u32) -> Vec<u8> {
    let nanos = clock::unix_nanos();
    let seconds = u32::try_from(nanos / 1_000_000_000).unwrap_or_default();
    let rest = u32::try_from(nanos % 1_000_000_000).unwrap_or_default();
    let mut event = vec![0x92, 0x92, 0xd7, 0x00];
    event.extend(seconds.to_be_bytes());
    event.extend(rest.to_be_bytes());
    event.extend([0x80, 0x81, 0xa1, b'n', 0xce]);
    event.extend(number.to_be_bytes());
    event
}

/// Appends a number with each tick and each wake.
struct Counting {
    waker: Waker,
    tag: String,
    next: u32,
    max: u32,
    paused: bool,
    sent: Counter,
    refused: Counter,
    log: std::sync::Arc<Log>,
}

const SENT: CounterFamily = CounterFamily::counter("probe_sent_total", "Events sent.", &["why"]);

impl Counting {
    fn send(&mut self, sink: &mut dyn Sink) {
        if self.paused || self.next >= self.max {
            return;
        }
        match sink.append(self.tag.as_bytes(), 1, &event(self.next)) {
            Ok(()) => {
                self.next = self.next.saturating_add(1);
                self.sent.add(1);
            }
            Err(_) => self.refused.add(1),
        }
    }
}

options! {
    /// What is configured of the input.
    struct InputOptions in INPUT_OPTIONS {
        max: u32 = whole,
            Int "max" = "1000000",
            "The number to stop at.";
        to: Option<String> = read::text,
            Str "to",
            "A tag other than the input's own.";
    }
}

fn whole(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<u32> {
    parser.value(option, "allowed: a number", |text| text.parse().ok())
}

impl Input for Counting {
    const SPEC: Spec = Spec {
        name: "ai_probe",
        about: "Counts, to exercise the host layer",
        options: INPUT_OPTIONS,
    };
    const TICK: Duration = Duration::from_millis(100);

    fn open(
        options: &dyn Options,
        environment: Environment,
        waker: Waker,
    ) -> Result<Self, OpenError> {
        let mut parser = Parser::new(options);
        let InputOptions { max, to } = InputOptions::read(&mut parser)?;
        let tag = to.unwrap_or_default();
        environment.log.info(format!(
            "listen={:?} host={:?} port={:?} tag={:?} tls={:?} release={} position={}",
            options.host_value("listen"),
            options.host_value("host"),
            options.host_value("port"),
            options.host_value("tag"),
            options.host_value("tls"),
            environment.host_release,
            environment.position,
        ));
        let sent = environment.counters.counter(SENT, &["taken"]);
        let refused = environment.counters.counter(SENT, &["refused"]);
        let log = environment.log;
        parser.finish(Self { waker, tag, next: 0, max, paused: false, sent, refused, log })
    }

    fn on_wake(&mut self, sink: &mut dyn Sink) {
        self.send(sink);
    }

    fn on_tick(&mut self, sink: &mut dyn Sink) {
        self.send(sink);
        self.waker.wake();
    }

    fn on_pause(&mut self, why: Pause, sink: &mut dyn Sink) {
        self.log.info(format!("pause: {why:?} at {}", self.next));
        if why == Pause::Shutdown {
            self.send(sink);
        }
        self.paused = true;
    }

    fn on_resume(&mut self) {
        self.log.info("resume");
        self.paused = false;
    }
}

/// Passes, repeats or drops each chunk.
struct ScriptedFilter {
    what: What,
    chunks: Counter,
}

#[derive(Clone, Copy)]
enum What {
    Pass,
    Twice,
    Drop,
}

const CHUNKS: CounterFamily = CounterFamily::gauge("probe_chunks", "Chunks seen.", &[]);

options! {
    /// What is configured of the filter.
    struct FilterOptions in FILTER_OPTIONS {
        what: What = read::choice(&[
                ("pass", What::Pass),
                ("twice", What::Twice),
                ("drop", What::Drop),
            ]),
            Str "what" = "pass",
            "pass, twice or drop.";
    }
}

impl Filter for ScriptedFilter {
    const SPEC: Spec = Spec {
        name: "ai_probe",
        about: "Passes, repeats or drops, to exercise the host layer",
        options: FILTER_OPTIONS,
    };

    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError> {
        let mut parser = Parser::new(options);
        let FilterOptions { what } = FilterOptions::read(&mut parser)?;
        let chunks = environment.counters.counter(CHUNKS, &[]);
        parser.finish(Self { what, chunks })
    }

    fn on_chunk(&mut self, chunk: Chunk<'_>) -> Verdict {
        self.chunks.add(1);
        match self.what {
            What::Pass => Verdict::Pass,
            What::Twice => Verdict::Replace([chunk.bytes, chunk.bytes].concat()),
            What::Drop => Verdict::Replace(Vec::new()),
        }
    }
}

/// Answers what it is told, after a while, from another thread.
struct Answering {
    fates: Vec<Fate>,
    delay: Duration,
    calls: AtomicU64,
    log: std::sync::Arc<Log>,
}

options! {
    /// What is configured of the output.
    struct OutputOptions in OUTPUT_OPTIONS {
        fates: Vec<Fate> = fates,
            CommaList "fates" [repeated] = "done",
            "The fates, in turn.";
        delay: Duration = read::duration,
            Time "delay" = "0",
            "Time before the answer.";
    }
}

fn fates(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<Fate>> {
    let mut fates = Vec::new();
    for word in read::list(parser, option)? {
        match word.as_str() {
            "done" => fates.push(Fate::Done),
            "retry" => fates.push(Fate::Retry),
            "failed" => fates.push(Fate::Failed),
            other => parser.refuse(option.name, other, "allowed: done, retry, failed"),
        }
    }
    Some(fates)
}

impl Output for Answering {
    const SPEC: Spec = Spec {
        name: "ai_probe",
        about: "Answers what it is told, to exercise the host layer",
        options: OUTPUT_OPTIONS,
    };

    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError> {
        let mut parser = Parser::new(options);
        let OutputOptions { fates, delay } = OutputOptions::read(&mut parser)?;
        environment.log.info(format!("workers={:?}", options.host_value("workers")));
        let log = environment.log;
        parser.finish(Self { fates, delay, calls: AtomicU64::new(0), log })
    }

    fn on_flush(&self, delivery: Delivery<'_>, completion: Completion) {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let turn = usize::try_from(call).unwrap_or_default().checked_rem(self.fates.len());
        let fate = turn.and_then(|turn| self.fates.get(turn)).copied().unwrap_or(Fate::Done);
        self.log.info(format!(
            "flush {call}: {} {} bytes, tag {}, task {:x} -> {fate:?}",
            if delivery.event_type == EventType::Logs { "logs" } else { "others" },
            delivery.bytes.len(),
            String::from_utf8_lossy(delivery.tag),
            delivery.task,
        ));
        if self.delay.is_zero() {
            return completion.complete(fate);
        }
        let delay = self.delay;
        #[expect(clippy::disallowed_methods, reason = "a thread of the test's own")]
        let _thread = std::thread::spawn(move || {
            std::thread::sleep(delay);
            completion.complete(fate);
        });
    }

    fn close(self, budget: Duration) {
        self.log.info(format!("closed within {budget:?}"));
    }
}

crate::export_input!("in_ai_probe", Counting);
crate::export_filter!("filter_ai_probe", ScriptedFilter);
crate::export_output!("out_ai_probe", Answering);
