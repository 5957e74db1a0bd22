//! Checks on calls that are made up: what is found, when, and what is not.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;

use super::*;
use crate::codec::records::metric_writer::Temporality;
use crate::codec::records::{Events, RequestBuilder};
use crate::model::{Position, Signal, SpanId};

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const DAY: u64 = 24 * 3600 * SECOND;

pub(super) fn config(check: Check, mode: CheckMode) -> FindingsConfig {
    let mut modes = [CheckMode::Off; Check::ALL.len()];
    modes[check as usize] = mode;
    FindingsConfig {
        modes,
        max_keys: 100,
        tokens_per_minute: 1000,
        pairs: Vec::new(),
        max_prompts: 1000,
        budgets: Vec::new(),
        prompt_secret: PromptSecret([1, 2]),
        tag: None,
        temporality: Temporality::Cumulative,
        position: Position { run: 7, after: 2 },
    }
}

pub(super) fn finder(check: Check, mode: CheckMode) -> Findings {
    let mut findings = Findings::new(config(check, mode), 0);
    findings.set_tag(b"ai");
    findings
}

/// An encoded text.
pub(super) fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    crate::codec::msgpack::str(&mut out, text);
    out
}

/// The encoded resource of a service.
pub(super) fn resource(service: &str) -> Vec<u8> {
    rmp_serde::to_vec(&serde_json::json!({"attributes": {"service.name": service}})).unwrap()
}

fn scope(version: &str) -> Vec<u8> {
    rmp_serde::to_vec(&serde_json::json!({"name": "sdk", "version": version})).unwrap()
}

/// A call that says nothing wrong.
pub(super) fn call<'a>(origin: &'a CallOrigin<'a>, number: u64) -> ObservedCall<'a> {
    ObservedCall {
        origin,
        unix_nanos: 100 * DAY + number * SECOND,
        operation: b"\xa4chat",
        provider: b"\xa6openai",
        request_model: b"\xa6gpt-4o",
        response_model: b"\xa6gpt-4o",
        fingerprint: &[],
        conversation: &[],
        input_messages: &[],
        system_instructions: &[],
        finish_reasons: &[],
        events: &[],
        prompt_name: &[],
        prompt_version: &[],
        response_id: &[],
        seconds: Some(1.0),
        first_chunk: None,
        tokens: UsedTokens { input: Some(100.0), output: Some(20.0), ..UsedTokens::default() },
        cost: None,
        has_failed: false,
        ids: Some((TraceId(u128::from(number + 1).to_be_bytes()), SpanId([1; 8]))),
    }
}

/// The log records of what was found.
pub(super) fn events(findings: &mut Findings) -> Vec<(String, LogRecord)> {
    let mut all = Vec::new();
    for emission in findings.take_events() {
        assert_eq!(emission.tag, b"ai");
        let mut builder = RequestBuilder::new(Signal::Logs);
        for event in Events::new(&emission.events).map(Result::unwrap) {
            let telemetry = event.telemetry().unwrap();
            assert_eq!(telemetry.position, Some(Position { run: 7, after: 2 }));
            builder.push(&event, &telemetry).unwrap();
        }
        assert_eq!(builder.items(), emission.records);
        let request = ExportLogsServiceRequest::decode(&builder.finish()[..]).unwrap();
        for of in request.resource_logs {
            let resource = of.resource.unwrap_or_default().attributes;
            let service = resource.first().map_or_else(String::new, |pair| value(&pair.value));
            for scope in of.scope_logs {
                assert_eq!(scope.scope.unwrap().name, "fluent-bit-ai");
                all.extend(scope.log_records.into_iter().map(|log| (service.clone(), log)));
            }
        }
    }
    all
}

fn value(value: &Option<opentelemetry_proto::tonic::common::v1::AnyValue>) -> String {
    match value.clone().and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::DoubleValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

pub(super) fn attribute(log: &LogRecord, key: &str) -> String {
    log.attributes
        .iter()
        .find(|pair| pair.key == key)
        .map_or_else(String::new, |pair| value(&pair.value))
}

/// What was found, as type and signal.
pub(super) fn found(findings: &mut Findings) -> Vec<String> {
    let of = |(_, log): (String, LogRecord)| {
        let parts = ["fluentbit.ai.finding.type", "fluentbit.ai.finding.signal"];
        parts.map(|part| attribute(&log, part)).join(" ").trim().to_owned()
    };
    events(findings).into_iter().map(of).collect()
}

/// Numbers that look drawn.
pub(crate) struct Drawn(pub(crate) u64);

impl Drawn {
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().max(1e-12).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Feeds a call every ten seconds, whose duration is half again as long by day as on average, until something is
/// found, and says after how many of them. From `change` on they take `factor` times as long, and so many fail.
fn calls_until_found(
    findings: &mut Findings,
    seed: u64,
    (calls, change): (u64, u64),
    (factor, failing): (f64, f64),
) -> Option<u64> {
    let resource = resource("shop");
    let origin = CallOrigin::new(Some(&resource), None);
    let mut drawn = Drawn(seed);
    for number in 0..calls {
        let is_changed = number >= change;
        let day = (number as f64 * 10.0 / 86_400.0 * std::f64::consts::TAU).sin();
        let level = 0.28 * day + 0.5 * drawn.normal();
        let (factor, failing) = if is_changed { (factor, failing) } else { (1.0, 0.02) };
        findings.call(&ObservedCall {
            unix_nanos: number * 10 * SECOND,
            seconds: Some(level.exp() * factor),
            has_failed: drawn.uniform() < failing,
            ..call(&origin, number)
        });
        if findings.tally().found[0] > 0 {
            return Some(number);
        }
    }
    None
}

/// Guarantees: a service's calls of a week with a daily rhythm make no finding.
#[test]
fn a_usual_week_makes_no_finding() {
    for seed in 1..=4 {
        let mut findings = finder(Check::Changes, CheckMode::On);
        let found = calls_until_found(&mut findings, seed, (60_480, u64::MAX), (1.0, 0.0));
        assert_eq!(found, None, "{:?}", events(&mut findings));
    }
}

/// Guarantees: what takes twice as long is found within 160 calls, nine times of ten at least, and when every third
/// call fails within 80; and what is told has the evidence, the service, and a trace of the calls that made it.
#[test]
fn shifts_are_found_with_evidence() {
    let mut late = [0; 2];
    for seed in 1..=20 {
        for (late, (change, within, signal)) in
            late.iter_mut().zip([((2.0, 0.02), 160, "duration"), ((1.0, 0.33), 80, "error_share")])
        {
            let mut findings = finder(Check::Changes, CheckMode::On);
            let calls = (10_000 + within, 10_000);
            if calls_until_found(&mut findings, seed, calls, change).is_none() {
                *late += 1;
                continue;
            }
            let trace = findings.take_hints().pop().unwrap();
            let (service, log) = events(&mut findings).pop().unwrap();
            assert_eq!(service, "shop");
            assert_eq!(log.trace_id, trace.0);
            assert!(u128::from_be_bytes(trace.0) >= 9_990, "{trace:?}");
            assert_eq!(log.event_name, "fluentbit.ai.finding");
            assert_eq!(attribute(&log, "fluentbit.ai.finding.type"), "level_shift");
            assert_eq!(attribute(&log, "fluentbit.ai.finding.signal"), signal);
            assert_eq!(attribute(&log, "gen_ai.request.model"), "gpt-4o");
            let [usual, observed] = ["usual", "observed"].map(|key| {
                attribute(&log, &format!("fluentbit.ai.finding.{key}")).parse::<f64>().unwrap()
            });
            assert!(observed > 1.4 * usual, "{usual} {observed}");
        }
    }
    assert!(late[0] <= 2 && late[1] <= 2, "{late:?}");
}

/// Guarantees: a level that stays is told once, and one that falls back once more.
#[test]
fn a_shift_is_told_once() {
    let origin = CallOrigin::default();
    let mut findings = finder(Check::Changes, CheckMode::On);
    let mut drawn = Drawn(5);
    let mut feed = |findings: &mut Findings, from: u64, calls: u64, level: f64| {
        for number in from..from + calls {
            let seconds = Some(level * (0.3 * drawn.normal()).exp());
            findings.call(&ObservedCall { seconds, ..call(&origin, number * 10) });
        }
    };
    feed(&mut findings, 0, 1000, 1.0);
    assert_eq!(found(&mut findings), [""; 0]);
    feed(&mut findings, 1000, 1000, 2.0);
    assert_eq!(found(&mut findings), ["level_shift duration"]);
    feed(&mut findings, 2000, 1000, 1.0);
    assert_eq!(found(&mut findings), ["level_shift duration"]);
    // Sixteen calls that take far longer, and no more of them, are a spike.
    feed(&mut findings, 3000, 1000, 1.0);
    feed(&mut findings, 4000, 16, 60.0);
    let spike = found(&mut findings);
    assert!(spike.iter().any(|one| one == "spike duration"), "{spike:?}");
}

/// Guarantees: each problem is told of its library's version, once a day, when it is more than chance.
#[test]
fn usage_that_cannot_be_is_found() {
    let (resource, scope) = (resource("shop"), scope("1.2"));
    let origin = CallOrigin::new(Some(&resource), Some(&scope));
    let with = |number, tokens| ObservedCall { tokens, ..call(&origin, number) };
    let good = UsedTokens { input: Some(10.0), output: Some(5.0), ..UsedTokens::default() };
    let cases: [(UsedTokens, u64, &str); 6] = [
        (UsedTokens::default(), 15, "usage missing"),
        (UsedTokens { input: Some(0.0), ..good }, 15, "usage zero"),
        (UsedTokens { output: Some(-1.0), ..good }, 1, "usage negative"),
        (UsedTokens { reasoning: Some(6.0), ..good }, 3, "usage impossible"),
        (UsedTokens { cached: Some(11.0), ..good }, 3, "usage impossible"),
        (UsedTokens { input: Some(1e9), ..good }, 3, "usage impossible"),
    ];
    for (tokens, needed, name) in cases {
        let mut findings = finder(Check::Usage, CheckMode::On);
        (0..30).for_each(|number| findings.call(&with(number, good)));
        for number in 0..needed {
            assert_eq!(findings.tally().found[1], 0, "{name}");
            findings.call(&with(30 + number, tokens));
        }
        let (_, log) = events(&mut findings).pop().unwrap();
        assert_eq!(attribute(&log, "fluentbit.ai.finding.library.version"), "1.2");
        (0..50).for_each(|number| findings.call(&with(50 + number, tokens)));
        assert_eq!(found(&mut findings), [""; 0], "{name} is told once");
        (0..30).for_each(|number| findings.call(&with(90_000 + number, tokens)));
        assert_eq!(found(&mut findings), [name], "and again after a day");
    }
    let mut findings = finder(Check::Usage, CheckMode::On);
    for number in 0..2000 {
        let rarely = if number % 40 == 0 { UsedTokens::default() } else { good };
        findings.call(&with(number, rarely));
        let failed = ObservedCall { has_failed: true, ..with(number, UsedTokens::default()) };
        findings.call(&failed);
    }
    assert_eq!(found(&mut findings), [""; 0], "one in forty, and what failed");
    let late = ObservedCall { first_chunk: Some(2.0), ..call(&origin, 1) };
    (0..3).for_each(|_| findings.call(&late));
    assert_eq!(found(&mut findings), [""; 0], "three of two thousand");
}

/// Guarantees: another model than the requested one is told once, another one than before when the former had
/// answered for a while, and a service that chooses among many is left alone.
#[test]
fn other_models_are_found() {
    let origin = CallOrigin::default();
    let mut findings = finder(Check::ServedModel, CheckMode::On);
    let mut number = 0;
    let mut feed = |findings: &mut Findings, model: &str, print: &str, calls: u64| {
        let (model, print) = (text(model), text(print));
        for _ in 0..calls {
            number += 1;
            findings.call(&ObservedCall {
                response_model: &model,
                fingerprint: &print,
                ..call(&origin, number)
            });
        }
        found(findings)
    };
    let none = [""; 0];
    assert_eq!(feed(&mut findings, "gpt-4o-2024-05-13", "fp_1", 10), none);
    assert_eq!(feed(&mut findings, "gpt-4o-2024-08-06", "fp_1", 30), none, "both are there");
    assert_eq!(feed(&mut findings, "gpt-4o-2024-05-13", "fp_1", 30), none);
    let changed = feed(&mut findings, "gpt-4o-2024-11-20", "fp_2", 60);
    assert_eq!(changed, ["served_model former", "fingerprint former"]);
    assert_eq!(feed(&mut findings, "gpt-4o-2024-08-06", "fp_1", 30), none);
    assert_eq!(feed(&mut findings, "gpt-4o-mini", "fp_2", 30), ["served_model requested"]);
    assert_eq!(feed(&mut findings, "gpt-4o-mini", "", 30), none);
    let many: usize =
        (0..50).map(|one| feed(&mut findings, &format!("router-{one}x"), "", 30).len()).sum();
    assert_eq!(many, 4, "up to eight names");
}

fn tool<'a>(
    origin: &'a CallOrigin<'a>,
    conversation: &'a [u8],
    arguments: &'a [u8],
) -> ObservedTool<'a> {
    let ids = Some((TraceId([3; 16]), SpanId([1; 8])));
    ObservedTool { origin, unix_nanos: DAY, conversation, name: b"\xa4grep", arguments, ids }
}

/// Guarantees: the same call of a tool six times, calls in circles, and tokens beyond the limit are told once for each
/// conversation; and other arguments, and calls without arguments, are not.
#[test]
fn runaway_agents_are_found() {
    let resource = resource("agents");
    let origin = CallOrigin::new(Some(&resource), None);
    let arguments: Vec<Vec<u8>> = (0..40).map(|one| text(&format!("{{\"q\":{one}}}"))).collect();
    let mut findings = finder(Check::Runaway, CheckMode::On);
    let mut feed = |conversation: &str, calls: &mut dyn Iterator<Item = usize>| {
        let conversation = text(conversation);
        calls.for_each(|at| findings.tool(&tool(&origin, &conversation, &arguments[at])));
        found(&mut findings)
    };
    let none = [""; 0];
    assert_eq!(feed("1", &mut (0..40)), none);
    assert_eq!(feed("1", &mut [7; 5].into_iter()), none);
    assert_eq!(feed("1", &mut [7].into_iter()), ["repeated_tool_call"]);
    assert_eq!(feed("1", &mut [7; 30].into_iter()), none);
    assert_eq!(feed("2", &mut (0..15).map(|at| at % 5)), ["tool_cycle"]);
    assert_eq!(feed("3", &mut (0..14).map(|at| at % 5)), none);
    // Another conversation does not go on with it.
    assert_eq!(feed("4", &mut [4].into_iter()), none);
    let unknown = tool(&origin, b"\xa15", &[]);
    (0..30).for_each(|_| findings.tool(&unknown));
    assert_eq!(found(&mut findings), none);

    let tokens = |input, cached| UsedTokens {
        input: Some(input),
        cached: Some(cached),
        ..UsedTokens::default()
    };
    let spend = |findings: &mut Findings, conversation: &[u8], second, tokens| {
        let unix_nanos = DAY + second * SECOND;
        findings.call(&ObservedCall { conversation, unix_nanos, tokens, ..call(&origin, 1) });
        found(findings)
    };
    for second in 0..100 {
        assert_eq!(spend(&mut findings, b"\xa1a", second, tokens(16.0, 0.0)), none, "{second}");
    }
    assert_eq!(spend(&mut findings, b"\xa1b", 0, tokens(5000.0, 4900.0)), none);
    assert_eq!(spend(&mut findings, b"\xa1b", 30, tokens(901.0, 0.0)), ["token_velocity"]);
    assert_eq!(spend(&mut findings, b"\xa1b", 31, tokens(9010.0, 0.0)), none);

    // What is known of each, by its id, or by that of its trace where it has none.
    let told = |name, unix_nanos, counts, number| ToldRunaway { name, unix_nanos, counts, number };
    let state = |id: &str| findings.conversation(id);
    let one = state("1").unwrap();
    assert_eq!(one.told, [told("repeated_tool_call", DAY, "calls", 6)]);
    assert_eq!((one.tool_calls, one.tokens_per_minute, one.last_unix_nanos), (76, 0, DAY));
    assert_eq!(state("2").unwrap().told, [told("tool_cycle", DAY, "calls", 5)]);
    assert_eq!(state("3").map(|it| (it.told, it.tool_calls)), Some((Vec::new(), 14)));
    let spender = state("b").unwrap();
    assert_eq!(
        spender.told,
        [told("token_velocity", DAY + 30 * SECOND, "tokens_per_minute", 1001)]
    );
    assert_eq!((spender.tokens_per_minute, spender.tool_calls), (10_011, 0));
    assert_eq!(state("nobody"), None);
    assert_eq!(state(&"03".repeat(16)), None);
    findings.tool(&tool(&origin, &[], &arguments[0]));
    assert_eq!(findings.conversation(&"03".repeat(16)).unwrap().tool_calls, 1);
    assert!(findings.watches_conversations());
    assert!(!finder(Check::Usage, CheckMode::On).watches_conversations());
}

/// Guarantees: a hundred thousand services, libraries and conversations take bounded memory, calls that are not watched
/// are counted, and what is idle makes room.
#[test]
fn what_is_learned_is_bounded() {
    let mut all = config(Check::Changes, CheckMode::On);
    all.modes = [CheckMode::On; Check::ALL.len()];
    // It has keys of its own.
    all.modes[Check::Drift as usize] = CheckMode::Off;
    let mut findings = Findings::new(all, 0);
    for number in 0..100_000 {
        let (resource, scope) = (resource(&number.to_string()), scope(&number.to_string()));
        let origin = CallOrigin::new(Some(&resource), Some(&scope));
        let conversation = text(&number.to_string());
        let unix_nanos = 100 * DAY;
        findings.call(&ObservedCall {
            unix_nanos,
            conversation: &conversation,
            ..call(&origin, 1)
        });
    }
    let tally = findings.tally();
    assert_eq!((tally.keys, tally.found), (100, [0; Check::ALL.len()]));
    assert_eq!(tally.unwatched, 99_900 + 99_500);
    let resource = resource("later");
    let origin = CallOrigin::new(Some(&resource), None);
    findings.call(&ObservedCall { unix_nanos: 102 * DAY, ..call(&origin, 1) });
    assert_eq!(findings.tally().keys, 1);
    let boxes = [size_of::<Changes>(), size_of::<ServedModels>(), size_of::<PromptNorms>()];
    let key = size_of::<KeyState>() + boxes.iter().sum::<usize>();
    println!("{key} bytes for a key beside its names");
    assert!(key < 1280, "{key}");
}

/// Guarantees: a check that warns says lines and no events, one that is off finds nothing, and all that are found
/// are in the metric.
#[test]
fn findings_are_told_as_they_are_set() {
    let origin = CallOrigin::default();
    let negative = UsedTokens { input: Some(-5.0), ..UsedTokens::default() };
    let bad = ObservedCall { tokens: negative, ..call(&origin, 1) };
    let mut warn = finder(Check::Usage, CheckMode::Warn);
    warn.call(&bad);
    assert_eq!(warn.take_lines(), ["finding usage: token counts are negative in 1 of 1 calls"]);
    assert_eq!((warn.take_events().len(), warn.take_hints().len()), (0, 0));
    let mut out = Vec::new();
    assert_eq!(warn.export(&mut out, 5), 1);
    assert!(out.windows(20).any(|part| part == b"fluentbit.ai.finding"));
    let mut off = finder(Check::ServedModel, CheckMode::On);
    off.call(&bad);
    assert_eq!((off.tally().found, off.export(&mut out, 5)), ([0; Check::ALL.len()], 0));
}

/// Guarantees: what the host refuses is given again, and what there is no room for is counted.
#[test]
fn what_is_told_is_bounded() {
    let mut findings = finder(Check::Usage, CheckMode::On);
    for number in 0..1500 {
        let scope = scope(&number.to_string());
        let origin = CallOrigin::new(None, Some(&scope));
        let tokens = UsedTokens { output: Some(-5.0), ..UsedTokens::default() };
        // Each is of another library and hour, so that there is room to watch it.
        findings.call(&ObservedCall { tokens, ..call(&origin, number * 3600) });
    }
    let tally = findings.tally();
    assert_eq!((tally.found[1], tally.untold), (1500, 500));
    let mut events = findings.take_events();
    assert_eq!((events.len(), events[0].records), (1, 1000));
    findings.put_back(events.remove(0));
    assert_eq!(findings.take_events()[0].records, 1000);
    let mut out = Vec::new();
    assert_eq!(findings.export(&mut out, 5), 3, "a thousand series and one of the others");
}
