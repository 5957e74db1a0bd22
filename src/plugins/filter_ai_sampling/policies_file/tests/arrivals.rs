//! Every type of policy, by itself and inside others, on traces that arrive in every way.

use std::time::Duration;

use super::super::{POLICY_TYPES, Place};
use crate::clock;
use crate::codec::msgpack::{MapView, text_of};
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::codec::records::{Events, SpanView};
use crate::hub::Drain;
use crate::model::TraceId;
use crate::plugin::{Filter, GivenOptions};
use crate::plugins::filter_ai_sampling::AiSampling;
use crate::plugins::testing::{environment, pass, problems};

/// Traces whose randomness chance keeps at ten percent, and drops at ninety.
const HIGH: u64 = 0x1100_0000_0000_0000 | 0x00ee_eeee_eeee_eeee;
const LOW: u64 = 0x1100_0000_0000_0000 | 0x0011_1111_1111_1111;
/// When the spans of a trace begin, by a clock that is right.
const BEGIN_MS: u64 = 1_000_000_000;
const DAY_MS: i64 = 86_400_000;

/// What a trace is like: one of its four spans is changed, and others may know something of it.
#[derive(Clone, Copy)]
struct Given {
    id: u64,
    third: fn(SpanRecord) -> SpanRecord,
    /// `ai_metrics` found something in it, and an exemplar names it.
    is_found: bool,
    /// One like it was decided before.
    is_second: bool,
}

const PLAIN: Given = Given { id: HIGH, third: |span| span, is_found: false, is_second: false };
const UNLIKELY: Given = Given { id: LOW, ..PLAIN };
const FOUND: Given = Given { is_found: true, ..PLAIN };
const SECOND: Given = Given { is_second: true, ..PLAIN };

const fn third(third: fn(SpanRecord) -> SpanRecord) -> Given {
    Given { third, ..PLAIN }
}

/// A type of policy, its settings, a trace, and whether the policy keeps it; `drop` keeps what it does not drop.
type Row = (&'static str, &'static str, Given, bool);

const FAILED: Given = third(SpanRecord::error);

const TABLE: [Row; 76] = [
    ("always_sample", "", PLAIN, true),
    ("status_code", ", status_codes: [error]", FAILED, true),
    ("status_code", ", status_codes: [error]", PLAIN, false),
    ("error", "", third(|span| span.with("error.type", "timeout")), true),
    ("error", "", PLAIN, false),
    ("trace_state", ", key: tier, values: [gold]", third(|span| span.state("tier=gold")), true),
    ("trace_state", ", key: tier, values: [gold]", third(|span| span.state("tier=tin")), false),
    ("trace_flags", "", third(|span| span.flags(1)), true),
    ("trace_flags", "", third(|span| span.flags(0x100)), false),
    ("latency", ", threshold: 5s", third(|span| span.times(BEGIN_MS, BEGIN_MS + 9000)), true),
    ("latency", ", threshold: 5s", PLAIN, false),
    ("latency", ", upper_threshold: 5s", PLAIN, true),
    ("span_count", ", min_spans: 3", PLAIN, true),
    ("span_count", ", min_spans: 9", PLAIN, false),
    ("span_count", ", max_spans: 9", PLAIN, true),
    ("string_attribute", ", key: k, values: [a]", third(|span| span.with("k", "a")), true),
    ("string_attribute", ", key: k, values: [a]", third(|span| span.with("k", "b")), false),
    (
        "string_attribute",
        ", key: k, values: ['^a'], regex: true",
        third(|span| span.with("k", "ab")),
        true,
    ),
    ("string_attribute", ", key: k, values: [a], invert_match: true", PLAIN, true),
    (
        "string_attribute",
        ", key: k, values: [a], invert_match: true",
        third(|span| span.with("k", "a")),
        false,
    ),
    ("numeric_attribute", ", key: num, min: 5", third(|span| span.with("num", 5_i64)), true),
    ("numeric_attribute", ", key: num, min: 5", third(|span| span.with("num", 4_i64)), false),
    ("boolean_attribute", ", key: b, value: true", third(|span| span.with("b", true)), true),
    ("boolean_attribute", ", key: b, value: true", third(|span| span.with("b", false)), false),
    ("probabilistic", ", sampling_percentage: 50", PLAIN, true),
    ("probabilistic", ", sampling_percentage: 50", UNLIKELY, false),
    ("adaptive_percentage", ", goal_percentage: 50, keys: [k]", PLAIN, true),
    ("adaptive_percentage", ", goal_percentage: 50, keys: [k]", UNLIKELY, false),
    ("adaptive_throughput", ", spans_per_second: 50, keys: [k]", PLAIN, true),
    ("adaptive_throughput", ", spans_per_second: 50, keys: [k]", UNLIKELY, false),
    ("tenant_throughput", ", tenant_attribute: k, spans_per_second: 50", PLAIN, true),
    ("tenant_throughput", ", tenant_attribute: k, spans_per_second: 50", UNLIKELY, false),
    ("rare", ", keys: [service.name]", PLAIN, true),
    ("rare", ", keys: [service.name]", SECOND, false),
    ("diverse", ", keys: [service.name]", PLAIN, true),
    ("diverse", ", keys: [service.name]", SECOND, false),
    ("rate_limiting", ", spans_per_second: 100", PLAIN, true),
    ("rate_limiting", ", spans_per_second: 1, burst_capacity: 1", PLAIN, false),
    ("bytes_limiting", ", bytes_per_second: 100000", PLAIN, true),
    ("bytes_limiting", ", bytes_per_second: 1, burst_capacity: 9", PLAIN, false),
    ("composite", SHARES, FAILED, true),
    ("composite", SHARES, PLAIN, false),
    (
        "tokens",
        ", min_total: 100",
        third(|span| span.with("gen_ai.usage.input_tokens", 100_i64)),
        true,
    ),
    (
        "tokens",
        ", min_total: 100",
        third(|span| span.with("gen_ai.usage.input_tokens", 10_i64)),
        false,
    ),
    ("cost", ", min: 0.5", third(|span| span.with("gen_ai.usage.cost", 0.5)), true),
    ("cost", ", min: 0.5", third(|span| span.with("gen_ai.usage.cost", 0.1)), false),
    ("time_to_first_token", ", min: 2s", third(|span| span.with(FIRST_CHUNK, 2.5)), true),
    ("time_to_first_token", ", min: 2s", third(|span| span.with(FIRST_CHUNK, 0.5)), false),
    (
        "finish_reason",
        ", values: [length]",
        third(|span| span.with(FINISH_REASONS, "length")),
        true,
    ),
    ("finish_reason", ", values: [length]", third(|span| span.with(FINISH_REASONS, "stop")), false),
    (
        "model",
        ", values: ['^gpt-'], regex: true",
        third(|span| span.with("gen_ai.request.model", "gpt-5")),
        true,
    ),
    (
        "model",
        ", values: ['^gpt-'], regex: true",
        third(|span| span.with("gen_ai.request.model", "o3")),
        false,
    ),
    (
        "tool_error",
        "",
        third(|span| span.with("gen_ai.operation.name", "execute_tool").error()),
        true,
    ),
    ("tool_error", "", third(|span| span.with("gen_ai.operation.name", "execute_tool")), false),
    ("refusal", "", third(|span| span.with(FINISH_REASONS, "refusal")), true),
    ("refusal", "", third(|span| span.with(FINISH_REASONS, "stop")), false),
    ("prompt", ", names: [greet], versions: ['7']", third(|span| prompt(span, "7")), true),
    ("prompt", ", names: [greet], versions: ['7']", third(|span| prompt(span, "8")), false),
    ("guardrail", "", third(|span| span.with("gen_ai.guardrail.triggered", true)), true),
    ("guardrail", "", third(|span| span.with("gen_ai.guardrail.triggered", false)), false),
    (
        "evaluation",
        ", max_score: 2",
        third(|span| span.with("gen_ai.evaluation.score.value", 1.5)),
        true,
    ),
    (
        "evaluation",
        ", max_score: 2",
        third(|span| span.with("gen_ai.evaluation.score.value", 4.0)),
        false,
    ),
    ("finding", "", FOUND, true),
    ("finding", "", PLAIN, false),
    ("exemplar", ", max_per_second: 1", FOUND, true),
    ("exemplar", ", max_per_second: 1", PLAIN, false),
    (
        "cel",
        ", expression: \"spans.exists(s, 'k' in s.attributes)\"",
        third(|span| span.with("k", "a")),
        true,
    ),
    ("cel", ", expression: \"spans.exists(s, 'k' in s.attributes)\"", PLAIN, false),
    ("and", ", policies: [{type: error}, {type: span_count, min_spans: 3}]", FAILED, true),
    ("and", ", policies: [{type: error}, {type: span_count, min_spans: 3}]", PLAIN, false),
    ("or", ", policies: [{type: error}, {type: tool_error}]", FAILED, true),
    ("or", ", policies: [{type: error}, {type: tool_error}]", PLAIN, false),
    ("not", ", policy: {type: error}", PLAIN, true),
    ("not", ", policy: {type: error}", FAILED, false),
    ("drop", ", policies: [{type: error}]", PLAIN, true),
    ("drop", ", policies: [{type: error}]", FAILED, false),
];

const FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
const SHARES: &str =
    ", max_total_spans_per_second: 100, policy_order: [a], policies: [{name: a, type: error}]";

fn prompt(span: SpanRecord, version: &str) -> SpanRecord {
    span.with("gen_ai.prompt.name", "greet").with("gen_ai.prompt.version", version)
}

/// The spans of a trace: a root and three of its children.
fn spans(given: Given) -> Vec<SpanRecord> {
    let span = |number: u64| {
        let span = SpanRecord::new(given.id, number).times(BEGIN_MS, BEGIN_MS + 20);
        let span = if number > 1 { span.parent(1) } else { span };
        if number == 3 { (given.third)(span) } else { span }
    };
    (1..=4).map(span).collect()
}

/// How a trace arrives.
#[derive(Debug, Clone, Copy)]
enum Arrival {
    /// In one chunk.
    Whole,
    /// One span in each chunk, and the host comes for what is due in between.
    Torn,
    /// The same backwards, so that the root is the last.
    OutOfOrder,
    /// All spans again in a second chunk.
    Duplicate,
    /// By clocks that are a day behind, with children that begin before their parent and after its end.
    Skewed,
    /// In one chunk by clocks that are a day ahead.
    Ahead,
    /// Without the root.
    Rootless,
    /// A span more after the decision.
    Late,
    /// The third span, which policies ask for, after the decision.
    LateThird,
}

const ARRIVALS: [Arrival; 9] = [
    Arrival::Whole,
    Arrival::Torn,
    Arrival::OutOfOrder,
    Arrival::Duplicate,
    Arrival::Skewed,
    Arrival::Ahead,
    Arrival::Rootless,
    Arrival::Late,
    Arrival::LateThird,
];

impl Arrival {
    /// The chunks before the decision, and what comes after it.
    fn of(self, spans: Vec<SpanRecord>) -> (Vec<Vec<SpanRecord>>, Vec<SpanRecord>) {
        let id = spans[0].trace;
        let each = |spans: Vec<SpanRecord>| spans.into_iter().map(|span| vec![span]).collect();
        let chunks: Vec<Vec<SpanRecord>> = match self {
            Self::Whole | Self::Late => vec![spans],
            Self::Torn => each(spans),
            Self::OutOfOrder => each(spans.into_iter().rev().collect()),
            Self::Duplicate => vec![spans.clone(), spans],
            Self::Skewed => {
                let by = [-DAY_MS, -DAY_MS - 300, -DAY_MS, -DAY_MS + 300];
                each(spans.into_iter().zip(by).map(|(span, by)| span.ahead(by)).collect())
            }
            Self::Ahead => vec![spans.into_iter().map(|span| span.ahead(DAY_MS)).collect()],
            Self::Rootless => vec![spans[1..].to_vec()],
            Self::LateThird => {
                let late = vec![spans[2].clone()];
                return (vec![vec![spans[0].clone(), spans[1].clone(), spans[3].clone()]], late);
            }
        };
        let late = matches!(self, Self::Late).then(|| SpanRecord::new(id, 5).parent(1));
        (chunks, late.into_iter().collect())
    }
}

/// The numbers of the spans of a trace that come out, in order.
fn arrived(id: u64, events: &[u8], out: &mut Vec<u64>) {
    for event in Events::new(events) {
        let event = event.unwrap();
        if SpanView::new(event.body).trace_id() == Some(trace_id(id)) {
            let number = MapView::new(event.body).get(b"span_id").and_then(text_of).unwrap();
            out.push(u64::from_str_radix(number, 16).unwrap());
        }
    }
}

fn trace_id(id: u64) -> TraceId {
    TraceId((0x0af7_6519_16cd_43dd_u128 << 64 | u128::from(id)).to_be_bytes())
}

/// A file of policies on the disk.
struct File(tempfile::TempDir);

impl File {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, text: &str) -> String {
        let path = self.0.path().join("policies.yaml");
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

/// Whether a trace stays under this file. It is decided as a whole, and counted.
fn keeps(
    file: &str,
    early: &str,
    given: Given,
    (chunks, late): (Vec<Vec<SpanRecord>>, Vec<SpanRecord>),
) -> bool {
    let options = [("mode", "tail"), ("config_file", file), ("early_decision", early)];
    let environment = environment(true);
    let mut filter = AiSampling::open(&GivenOptions::of(&options), environment.clone()).unwrap();
    let source = environment.hub.sources().pop().unwrap();
    let now = clock::now();
    if given.is_found {
        environment.hub.trace_hints().add(trace_id(given.id));
        environment.hub.exemplar_traces().add(trace_id(given.id));
    }
    if given.is_second {
        let other = spans(Given { id: given.id - 1, ..given });
        pass(&mut filter, &chunk(&other));
        source.take(Drain::Due, now.after(Duration::from_secs(31)), 0);
    }
    let (mut out, mut came) = (Vec::new(), Vec::new());
    let mut send = |filter: &mut AiSampling, of_chunk: &[SpanRecord], out: &mut Vec<u64>| {
        came.extend(of_chunk.iter().map(|span| span.span));
        arrived(given.id, &pass(filter, &chunk(of_chunk)), out);
    };
    let take = |seconds, out: &mut Vec<u64>| {
        let emissions = source.take(Drain::Due, now.after(Duration::from_secs(seconds)), 0);
        emissions.iter().for_each(|emission| arrived(given.id, &emission.events, out));
    };
    for of_chunk in &chunks {
        send(&mut filter, of_chunk, &mut out);
        take(0, &mut out);
    }
    take(31, &mut out);
    send(&mut filter, &late, &mut out);
    take(62, &mut out);
    let counted = |name: &str| {
        let readings = environment.counters.readings();
        readings
            .iter()
            .filter(|it| it.family.name == name)
            .map(|it| it.counter.value())
            .sum::<u64>()
    };
    let [received, kept, dropped, held] =
        ["received_spans_total", "kept_spans_total", "dropped_spans_total", "held_spans"]
            .map(counted);
    assert_eq!((received, held), (kept + dropped, 0), "{file}");
    out.sort_unstable();
    came.sort_unstable();
    assert!(out.is_empty() || out == came, "torn: {out:?} of {came:?}");
    !out.is_empty()
}

/// A policy in the form that stands inside others.
fn inner((kind, settings, ..): &Row) -> String {
    format!("{{type: {kind}{settings}}}")
}

/// The policy alone, as a file; beside a `drop` all else stays.
fn alone((kind, settings, ..): &Row) -> String {
    let rest = if *kind == "drop" { "  - {name: rest, type: always_sample}\n" } else { "" };
    format!("policies:\n  - {{name: p, type: {kind}{settings}}}\n{rest}")
}

/// Guarantees: the table has every type of policy, and of each, but of what keeps everything, a trace that it keeps and one
/// that it does not.
#[test]
fn every_type_of_policy_is_in_the_table() {
    for name in POLICY_TYPES.iter().filter(|policy| policy.flat.is_some()).map(|policy| policy.name)
    {
        let has = |kept: bool| TABLE.iter().any(|row| row.0 == name && row.3 == kept);
        assert!(has(true), "no trace that '{name}' keeps");
        assert!(has(false) || name == "always_sample", "no trace that '{name}' does not keep");
    }
}

/// Scenario: every type of policy, on traces in one chunk, torn over many, out of order, twice, by clocks that are wrong,
/// without a root, and with spans that come late; decided as soon as it is certain, and when the wait is over. Guarantees:
/// each is decided as the table says, as a whole; what comes late follows the decision on what was there; counters add up.
#[test]
fn every_policy_decides_alike_however_a_trace_arrives() {
    let file = File::new();
    for row in &TABLE {
        let path = file.write(&alone(row));
        let given = row.2;
        let without_third = || spans(given).into_iter().filter(|span| span.span != 3).collect();
        let on_what_was_there = keeps(&path, "off", given, (vec![without_third()], Vec::new()));
        for arrival in ARRIVALS {
            let want = match arrival {
                Arrival::LateThird => on_what_was_there,
                _ => row.3,
            };
            for early in ["off", "on"] {
                let found = keeps(&path, early, given, arrival.of(spans(given)));
                assert_eq!(found, want, "{} {:?}, early: {early}", alone(row), arrival);
            }
        }
    }
}

/// What a policy is inside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// It may stand anywhere.
    Any,
    /// Not where a no has to be a no: it depends on chance.
    Chance,
    /// Nor where one of several is asked.
    ChanceOfKey,
    /// Limits depend on what was kept before.
    Limit,
    /// So does what is new.
    New,
    /// At the top alone.
    Top,
}

fn part_of(kind: &str) -> Part {
    let place = POLICY_TYPES.iter().find(|policy| policy.name == kind).map(|policy| policy.place);
    match kind {
        _ if place != Some(Place::Anywhere) => Part::Top,
        "probabilistic" => Part::Chance,
        "adaptive_percentage" | "adaptive_throughput" | "tenant_throughput" => Part::ChanceOfKey,
        "rate_limiting" | "bytes_limiting" | "exemplar" => Part::Limit,
        "rare" | "diverse" => Part::New,
        _ => Part::Any,
    }
}

/// A combination: its name, the policies with `@` for the one in it, what becomes of what the one keeps and of what it
/// does not, and in which it cannot be.
type Combination = (&'static str, &'static str, [bool; 2], &'static [Part]);

const KEEPS: [bool; 2] = [true, false];
const NEVER: &str = "{type: span_count, min_spans: 1000}";
const COMBINATIONS: [Combination; 9] = [
    ("and", "{name: p, type: and, policies: [@, {type: always_sample}]}", KEEPS, &[Part::Top]),
    ("and not", "{name: p, type: and, policies: [NEVER, @]}", [false; 2], &[Part::Top]),
    ("or", "{name: p, type: or, policies: [NEVER, @]}", KEEPS, OF_SEVERAL),
    ("or all", "{name: p, type: or, policies: [@, {type: always_sample}]}", [true; 2], OF_SEVERAL),
    ("not", "{name: p, type: not, policy: @}", [false, true], NEGATED),
    ("not not", "{name: p, type: not, policy: {type: not, policy: @}}", KEEPS, NEGATED),
    (
        "drop",
        "{name: p, type: drop, policies: [@]}\n  - {name: rest, type: always_sample}",
        [false, true],
        NEGATED,
    ),
    (
        "beside a drop",
        "{name: q, type: and, policies: [@]}\n  - {name: p, type: drop, policies: [NEVER]}",
        KEEPS,
        &[Part::Top],
    ),
    (
        "composite",
        "{name: p, type: composite, max_total_spans_per_second: 100, policy_order: [a], policies: [@]}",
        KEEPS,
        SHARED,
    ),
];
const OF_SEVERAL: &[Part] = &[Part::ChanceOfKey, Part::Limit, Part::New, Part::Top];
const NEGATED: &[Part] = &[Part::Chance, Part::ChanceOfKey, Part::Limit, Part::New, Part::Top];
const SHARED: &[Part] = &[Part::ChanceOfKey, Part::New, Part::Top];

/// Scenario: every type of policy inside an `and`, an `or`, a `not`, a `drop` and a `composite`, on traces in one chunk and
/// torn. Guarantees: the outcome is what the combination makes of the policy's; where the answer would not be one, because
/// of chance or of what was kept before, the start refuses it.
#[test]
fn every_policy_stands_inside_every_combination() {
    let file = File::new();
    for (name, form, outcomes, cannot_be) in COMBINATIONS {
        for row in &TABLE {
            let policy = match name {
                "composite" => inner(row).replacen("type:", "name: a, type:", 1),
                _ => inner(row),
            };
            let text = form.replace('@', &policy).replace("NEVER", NEVER);
            let path = file.write(&format!("policies:\n  - {text}\n"));
            let told = problems::<AiSampling>(&[("mode", "tail"), ("config_file", &path)], true);
            let what = format!("{name}: {text}");
            if cannot_be.contains(&part_of(row.0)) {
                let is_told = |part: &str| told.iter().any(|problem| problem.contains(part));
                assert!(
                    is_told("cannot ") || is_told("is not allowed; allowed: "),
                    "{what}: {told:?}"
                );
                continue;
            }
            assert_eq!(told, [""; 0], "{what}");
            let want = outcomes[usize::from(!row.3)];
            for arrival in [Arrival::Whole, Arrival::Torn] {
                for early in ["off", "on"] {
                    let found = keeps(&path, early, row.2, arrival.of(spans(row.2)));
                    assert_eq!(found, want, "{what} {arrival:?}, early: {early}");
                }
            }
        }
    }
}
