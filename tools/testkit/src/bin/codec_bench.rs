//! Codec benchmark: measures the codec on one core: requests of 128 GenAI spans of about 1500
//! bytes and of 128 log records of about 500, each with one resource; for `ai_context` also 128 spans
//! of made samples and four captures, and 128 lines of plain text as a file's or a container's log has them.
//!
//! `cargo run --release -p testkit --bin codec_bench` prints nanoseconds per item of each step, the
//! fastest of many rounds: what else the machine did meanwhile is not in it. A word as argument
//! chooses steps; a second one says how many rounds are run, so that instructions can be counted,
//! for instance by `valgrind --tool=callgrind`: a step does its work 15 times a round.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fluent_bit_ai::aggregation::{
    Aggregator, HistogramForm, MetricsConfig, ReportedPolicy, SemconvVersion, ServerLogFormats,
    Temporality,
};
use fluent_bit_ai::clock::Tick;
use fluent_bit_ai::codec::json::{from_protobuf, to_protobuf};
use fluent_bit_ai::codec::msgpack;
use fluent_bit_ai::codec::records::{
    Events, LogOptions, RecordReader, RequestBuilder, SpanView, StatusCode, logs_to_records,
    traces_to_records,
};
use fluent_bit_ai::findings::{
    BudgetConfig, BudgetUnit, Check, CheckMode, FindingsConfig, ModelPair, PromptSecret,
};
use fluent_bit_ai::genai::{
    ContextProcessor, ContextSettings, ContextTally, Conventions, KeyRules, OnFailure, Replacement,
};
use fluent_bit_ai::model::{ErrorRule, Position, Signal};
use fluent_bit_ai::pricing::PriceTable;
use fluent_bit_ai::sampling::policy::{
    Policies, Policy, PolicyAction, PolicyRule, SpanTest, SpanTests,
};
use fluent_bit_ai::sampling::{HeadSampler, HeadTally, TailConfig, TailSampler, TailSettings};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use testkit::shapes::{GeneratedBatch, TelemetryShape};

const SPANS: u8 = 128;
const ROUNDS: usize = 200;
const REPEATS: u32 = 15;
/// How many chunks of ever new traces there are.
const CHUNKS: u64 = 64;
const POSITION: Position = Position { run: 1, after: 1 };

/// The shortest time of `work` for one item.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock itself")]
fn measure(rounds: usize, work: &mut dyn FnMut()) -> f64 {
    let rounds = (0..rounds).map(|_| {
        let start = Instant::now();
        (0..REPEATS).for_each(|_| work());
        start.elapsed()
    });
    rounds.min().unwrap_or_default().as_secs_f64() * 1e9 / f64::from(REPEATS) / f64::from(SPANS)
}

/// The request that `make bench` sends.
fn request(shape: TelemetryShape) -> Vec<u8> {
    GeneratedBatch::new(shape, SPANS.into()).numbered(0)
}

/// The request that a chunk's records make, as the output builds it.
fn build(signal: Signal, chunk: &[u8]) -> Vec<u8> {
    let mut builder = RequestBuilder::with_capacity(signal, chunk.len());
    let mut records = RecordReader::new(chunk);
    loop {
        while let Some((event, telemetry)) = records.next_open() {
            let Ok(added) = builder.push_open(&event, &telemetry, records.context()) else { break };
            records.end(added.length);
        }
        while let Some(log) = records.next_open_log() {
            let Some(added) = builder.push_open_log(&log) else { break };
            records.end_log(&log, added.length);
        }
        let Some(next) = records.next() else { return builder.finish() };
        if let Ok((event, Some(telemetry))) = next {
            black_box(builder.push(&event, &telemetry).is_ok());
        }
    }
}

/// Spans of made samples and four captures as records.
fn samples() -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut chunk = Vec::new();
    traces_to_records(&request(TelemetryShape::Samples), &mut chunk)?;
    Ok(chunk)
}

/// Log events with a line of plain text each, as inputs other than ours make them.
fn plain_logs() -> Vec<u8> {
    let mut chunk = Vec::new();
    for number in 0..SPANS {
        msgpack::array_header(&mut chunk, 2);
        msgpack::array_header(&mut chunk, 2);
        msgpack::ext(&mut chunk, 0, &[0x66, 0, 0, 0, 0, 0, 0, number]);
        msgpack::map_header(&mut chunk, 0);
        msgpack::map_header(&mut chunk, 2);
        msgpack::str(&mut chunk, "stream");
        msgpack::str(&mut chunk, "stdout");
        msgpack::str(&mut chunk, "log");
        let line = format!(
            "2026-11-29 10:00:00.{number:03} INFO 1 --- [nio-8080-exec-3] c.example.orders.OrderService : \
             Order A-10{number:03} was accepted after 12 ms: 3 items, total 59.90 EUR, carrier=post\n"
        );
        msgpack::str(&mut chunk, &line);
    }
    chunk
}

/// Has a chunk held by a sampler that keeps errors; without a test for them it keeps all at once.
fn sample(chunk: &[u8], error: Option<SpanTest>) {
    let mut tests = SpanTests::default();
    let rule =
        error.and_then(|error| tests.add(error)).map_or(PolicyRule::Always, PolicyRule::SpanTest);
    let list = vec![Policy { name: "errors".to_owned(), rule, action: PolicyAction::Keep }];
    let mut sampler = TailSampler::new(TailConfig {
        settings: TailSettings {
            decision_wait: Duration::from_secs(30),
            wait_after_root: None,
            longest_wait: None,
            max_bytes: usize::MAX,
            max_traces: usize::MAX,
            max_trace_spans: None,
            max_trace_bytes: None,
            shed_at: None,
            decides_early: true,
            dry_run: false,
        },
        compare_for: Duration::ZERO,
        kept_cache: 0,
        dropped_cache: 0,
        policies: Policies::new(list, tests, Vec::new()),
        errors: ErrorRule::Status,
        sessions: None,
        position: POSITION,
    });
    drop(black_box(sampler.on_chunk(b"ai", chunk, Tick(0))));
}

/// What `ai_context` does by default.
fn context() -> ContextProcessor {
    ContextProcessor::new(ContextSettings {
        normalize: true,
        dialects: fluent_bit_ai::genai::AddedDialects::NONE,
        keep_originals: false,
        conventions: Conventions::default(),
        correlate: true,
        redact: Vec::new(),
        patterns: Vec::new(),
        keys: KeyRules::default(),
        search_resource: false,
        replacement: Replacement::Mask,
        mark_findings: false,
        on_failure: OnFailure::default(),
        copy_metadata: false,
        record_key: None,
        identify: None,
        baggage: None,
        position: POSITION,
    })
}

/// What `ai_metrics` does by default, beside what it is to find.
fn aggregator(findings: Option<FindingsConfig>) -> Aggregator {
    let config = MetricsConfig {
        interval: Duration::from_secs(60),
        dimensions: Vec::new(),
        semconv: SemconvVersion::V1_41,
        temporality: Temporality::Delta,
        histogram: HistogramForm::Explicit,
        reported: ReportedPolicy::Prefer,
        tag: None,
        is_whole: false,
        max_series: 10_000,
        series_expiry: Duration::from_secs(300),
        call_window: Duration::from_secs(60),
        max_traces: 20_000,
        prices: Some(Arc::new(PriceTable::shipped())),
        findings,
        server_logs: ServerLogFormats::default(),
        weight: |_| Some(1.0),
        position: POSITION,
    };
    Aggregator::new(config, Tick(0), 0)
}

/// Chunks of spans of which each has its own trace, and each call its own response id, as traffic has them.
fn traffic() -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error>> {
    const RESPONSE: &[u8] = b"chatcmpl-AbCdEfGhIjKlMnOpQrStUv";
    let mut batch = GeneratedBatch::new(TelemetryShape::Genai, SPANS.into());
    let mut calls = 0_u32;
    let chunks = (0..CHUNKS).map(|number| {
        let mut chunk = Vec::new();
        traces_to_records(&batch.numbered(number * u64::from(SPANS)), &mut chunk)?;
        let mut at = 0;
        while let Some(found) = chunk
            .get(at..)
            .and_then(|rest| rest.windows(RESPONSE.len()).position(|part| part == RESPONSE))
        {
            at += found + RESPONSE.len();
            calls += 1;
            let number = format!("{calls:08}");
            if let Some(end) = chunk.get_mut(at - number.len()..at) {
                end.copy_from_slice(number.as_bytes());
            }
        }
        Ok(chunk)
    });
    chunks.collect()
}

/// All findings.
fn findings() -> FindingsConfig {
    FindingsConfig {
        modes: [CheckMode::On; Check::ALL.len()],
        max_keys: 2000,
        tokens_per_minute: 1_000_000,
        pairs: vec![ModelPair { primary: "gpt-4o".into(), shadow: "gpt-4o-mini".into() }],
        max_prompts: 5000,
        budgets: vec![BudgetConfig {
            name: "models".into(),
            of: vec![("gen_ai.request.model".into(), None)],
            unit: BudgetUnit::Usd,
            amount: 1e9,
            period: Duration::from_secs(30 * 86_400),
            thresholds: vec![0.8, 1.0],
        }],
        prompt_secret: PromptSecret([1, 2]),
        tag: None,
        temporality: Temporality::Delta,
        position: POSITION,
    }
}

/// What `ai_metrics` does with spans of ever new traces, as a row.
fn metrics_row(
    name: &str,
    findings: Option<FindingsConfig>,
    row: &dyn Fn(&str, &mut dyn FnMut()) -> String,
) -> String {
    let (mut chunks, mut aggregator, mut turns) = (None, aggregator(findings), 0_u64);
    row(name, &mut || {
        let chunks = chunks.get_or_insert_with(|| traffic().unwrap_or_default());
        // Whenever the chunks begin anew, their traces are forgotten.
        let now = Tick((turns / CHUNKS) * 200_000_000_000);
        let chunk = usize::try_from(turns % CHUNKS).ok().and_then(|turn| chunks.get(turn));
        aggregator.on_chunk(b"ai", chunk.map_or(&[], Vec::as_slice), now, 1);
        turns += 1;
    })
}

/// What `ai_context` does with a chunk, as a row.
fn context_row(name: &str, chunk: &[u8], row: &dyn Fn(&str, &mut dyn FnMut()) -> String) -> String {
    let mut context = context();
    row(name, &mut || drop(black_box(context.process(chunk, &mut ContextTally::default()))))
}

/// What filters do with spans.
fn filters(chunk: &[u8], samples: &[u8], row: &dyn Fn(&str, &mut dyn FnMut()) -> String) -> String {
    let mut head = HeadSampler::from_percentage(10.0);
    [
        context_row("spans: through ai_context, current names", chunk, row),
        context_row("spans: through ai_context, samples", samples, row),
        metrics_row("spans: measured by ai_metrics", None, row),
        metrics_row("spans: measured, with all findings", Some(findings()), row),
        row("spans: sampled at the head, 10 %", &mut || {
            drop(black_box(head.on_chunk(
                (b"ai", chunk),
                POSITION,
                Tick(0),
                &mut HeadTally::default(),
            )));
        }),
        row("spans: held for tail sampling, by status", &mut || {
            sample(chunk, Some(SpanTest::Status(vec![StatusCode::Error])));
        }),
        row("spans: held, by all that tells of errors", &mut || {
            sample(chunk, Some(SpanTest::Failure));
        }),
        row("spans: kept by tail sampling at once", &mut || sample(chunk, None)),
    ]
    .concat()
}

/// The steps of OTLP/JSON, with how many megabytes of it one core takes in or writes in a second.
fn json_table(request: &[u8], rounds: usize) -> Result<String, Box<dyn std::error::Error>> {
    let mut json = Vec::new();
    from_protobuf(Signal::Traces, request, &mut json)?;
    let read = measure(rounds, &mut || {
        let mut out = Vec::with_capacity(request.len());
        drop(black_box(to_protobuf(Signal::Traces, &json, &mut out, usize::MAX)));
        drop(black_box(out));
    });
    let write = measure(rounds, &mut || {
        let mut out = Vec::with_capacity(json.len());
        black_box(from_protobuf(Signal::Traces, request, &mut out).is_ok());
        drop(black_box(out));
    });
    let each = u32::try_from(json.len() / usize::from(SPANS))?;
    let row = |name: &str, nanos: f64| {
        let rate = f64::from(each) / nanos * 1e3;
        format!("{name:<42}{nanos:>8.0} ns, {rate:.0} MB/s of JSON\n")
    };
    let (read, write) = (row("spans: JSON to request", read), row("spans: request to JSON", write));
    Ok(format!("{read}{write}span as JSON: {each} B\n"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (request, logs) = (request(TelemetryShape::Genai), request(TelemetryShape::Logs));
    let options = LogOptions { groups: false, first_group: 1, now_unix_nanos: 1 };
    let (mut chunk, mut log_chunk) = (Vec::new(), Vec::new());
    traces_to_records(&request, &mut chunk)?;
    logs_to_records(&logs, &mut log_chunk, options)?;
    let only = std::env::args().nth(1).unwrap_or_default();
    let rounds = std::env::args().nth(2).map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    let row = |name: &str, work: &mut dyn FnMut()| {
        if !name.contains(&only) {
            return String::new();
        }
        format!("{name:<42}{:>8.0} ns\n", measure(rounds, work))
    };
    let table = [
        row("spans: prost to a tree, for comparison", &mut || {
            drop(black_box(ExportTraceServiceRequest::decode(request.as_slice())));
        }),
        row("spans: request to records", &mut || {
            let mut out = Vec::with_capacity(chunk.len());
            drop(black_box(traces_to_records(&request, &mut out)));
            drop(black_box(out));
        }),
        row("spans: records, read", &mut || {
            black_box(RecordReader::new(&chunk).count());
        }),
        row("spans: records, read for sampling", &mut || {
            for event in Events::new(&chunk).flatten() {
                black_box((event.telemetry(), SpanView::new(event.body)));
            }
        }),
        filters(&chunk, &samples()?, &row),
        row("spans: records to request", &mut || drop(black_box(build(Signal::Traces, &chunk)))),
        row("logs: request to records", &mut || {
            let mut out = Vec::with_capacity(log_chunk.len());
            drop(black_box(logs_to_records(&logs, &mut out, options)));
            drop(black_box(out));
        }),
        row("logs: records, read", &mut || {
            black_box(RecordReader::new(&log_chunk).count());
        }),
        context_row("logs: through ai_context, OTLP", &log_chunk, &row),
        context_row("logs: through ai_context, plain text", &plain_logs(), &row),
        row("logs: records to request", &mut || drop(black_box(build(Signal::Logs, &log_chunk)))),
    ]
    .concat();
    let json = if only.is_empty() { json_table(&request, rounds)? } else { String::new() };
    let same = build(Signal::Traces, &chunk).len() == request.len()
        && build(Signal::Logs, &log_chunk).len() == logs.len();
    let per_item = |bytes: &[u8]| bytes.len() / usize::from(SPANS);
    let sizes = format!(
        "span: {} B, as record {} B; log: {} B, as record {} B; same size back: {same}\n",
        per_item(&request),
        per_item(&chunk),
        per_item(&logs),
        per_item(&log_chunk)
    );
    std::io::Write::write_all(&mut std::io::stdout(), (table + &sizes + &json).as_bytes())?;
    Ok(())
}
