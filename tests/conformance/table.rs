//! Conformance table: one row a rule of the OpenTelemetry Protocol Specification 1.11 for
//! receivers.

use std::fmt::Write as _;

use crate::answer::Verdict;
use crate::ground::{Backend, Ground};
use crate::hosts::Host;
use crate::rules::{answers, grpc, http, json, pressure};
use crate::support::{all_hosts, alone};

/// How a request is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Grpc,
    Protobuf,
    Json,
}

impl Transport {
    pub const ALL: [Self; 3] = [Self::Grpc, Self::Protobuf, Self::Json];

    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "gRPC",
            Self::Protobuf => "HTTP protobuf",
            Self::Json => "HTTP JSON",
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Grpc => "application/grpc",
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// The state of the receiver that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It takes everything.
    Ready,
    /// The host takes nothing, because its memory is full and its backend is down.
    Paused,
    /// As much as is allowed is being received and waits for the host.
    Full,
}

/// One rule.
pub struct Rule {
    pub id: &'static str,
    /// The section of the specification.
    pub section: &'static str,
    pub text: &'static str,
    pub transports: &'static [Transport],
    pub state: State,
    pub check: fn(&Ground, Transport) -> Verdict,
}

const ALL: &[Transport] = &Transport::ALL;
const HTTP: &[Transport] = &[Transport::Protobuf, Transport::Json];
const GRPC: &[Transport] = &[Transport::Grpc];
const PROTOBUF: &[Transport] = &[Transport::Grpc, Transport::Protobuf];
const ONLY_JSON: &[Transport] = &[Transport::Json];

const fn rule(
    id: &'static str,
    section: &'static str,
    text: &'static str,
    transports: &'static [Transport],
    check: fn(&Ground, Transport) -> Verdict,
) -> Rule {
    Rule { id, section, text, transports, state: State::Ready, check }
}

impl Rule {
    const fn when(mut self, state: State) -> Self {
        self.state = state;
        self
    }
}

const RULES: &[Rule] = &[
    rule(
        "full-success",
        "Full Success",
        "a request that is taken whole is answered with the response message, partial_success unset",
        ALL,
        answers::full_success,
    ),
    rule(
        "partial-success",
        "Partial Success",
        "bad items are counted and explained in a success, and the good ones beside them are kept",
        ALL,
        answers::partial_success,
    ),
    // The specification lets a receiver set partial_success with nothing rejected, as a warning. This
    // one has nothing to warn of: what it takes it keeps as it came, and what it cannot keep it
    // rejects and counts. So a sender that logs every partial success logs only losses.
    rule(
        "no-warnings",
        "Partial Success",
        "a partial success tells of losses only: odd items that are kept as they came get no warning",
        ALL,
        answers::no_warnings,
    ),
    rule(
        "empty-request",
        "Full Success",
        "a request that holds nothing is answered with success",
        ALL,
        answers::empty_request,
    ),
    rule(
        "empty-envelopes",
        "Full Success",
        "envelopes that hold nothing are no error",
        ALL,
        answers::empty_envelopes,
    ),
    rule(
        "bad-data",
        "Bad Data",
        "what cannot be decoded is refused with 400 or INVALID_ARGUMENT, without a time to retry",
        ALL,
        answers::bad_data,
    ),
    rule(
        "bad-data-is-not-stored",
        "Bad Data",
        "nothing of a refused request is kept",
        ALL,
        answers::bad_data_is_not_stored,
    ),
    rule(
        "too-large",
        "Request Size Limits",
        "a request above the limit is refused with 413 or RESOURCE_EXHAUSTED without RetryInfo",
        ALL,
        answers::too_large,
    ),
    rule(
        "too-large-after-decompression",
        "Request Size Limits",
        "the limit holds for the decompressed request",
        ALL,
        answers::too_large_after_decompression,
    ),
    rule(
        "mistakes-are-not-retryable",
        "Retryable Response Codes; Failures",
        "no answer to a sender's mistake makes it send again",
        ALL,
        answers::mistakes_are_not_retryable,
    ),
    rule("gzip", "Protocol Details", "gzip is understood", ALL, answers::gzip),
    rule("identity", "Protocol Details", "the encoding identity is understood", ALL, answers::identity),
    rule(
        "unknown-encoding",
        "Protocol Details",
        "an encoding that is not known is refused in words, and is not retryable",
        ALL,
        answers::unknown_encoding,
    ),
    rule(
        "damaged-gzip",
        "Bad Data",
        "compressed data that is damaged is refused for good",
        ALL,
        answers::damaged_gzip,
    ),
    rule(
        "unknown-fields",
        "Future Versions and Interoperability",
        "fields of newer versions are no error, and a forwarder keeps them",
        PROTOBUF,
        answers::unknown_fields,
    ),
    rule(
        "concurrent-connections",
        "OTLP/gRPC Concurrent Requests; OTLP/HTTP Concurrent Requests",
        "a sender may use several connections at a time",
        ALL,
        answers::concurrent_connections,
    ),
    rule(
        "connection-is-kept",
        "OTLP/HTTP Connection",
        "one connection serves many requests, also after one that was refused",
        ALL,
        answers::connection_is_kept,
    ),
    rule(
        "default-ports",
        "OTLP/gRPC; OTLP/HTTP Request",
        "the default ports are 4317 for gRPC and 4318 for HTTP",
        &[Transport::Grpc, Transport::Protobuf],
        answers::default_ports,
    ),
    rule(
        "paths",
        "OTLP/HTTP Request",
        "the default paths are /v1/traces, /v1/metrics and /v1/logs; there is nothing elsewhere",
        HTTP,
        http::paths,
    ),
    rule("post-only", "OTLP/HTTP Request", "requests are POST; others get 405", HTTP, http::post_only),
    rule(
        "one-port",
        "OTLP/HTTP Request",
        "protobuf and JSON share a port and are told apart by their content type",
        HTTP,
        http::one_port,
    ),
    rule(
        "content-type",
        "OTLP/HTTP Request",
        "another content type, or none, is refused; parameters are allowed",
        HTTP,
        http::content_type,
    ),
    rule(
        "answer-content-type",
        "OTLP/HTTP Response",
        "the content type of every answer is that of the request",
        HTTP,
        http::answer_content_type,
    ),
    rule(
        "error-body",
        "Failures",
        "the body of a refusal is a google.rpc.Status that says in words what is wrong",
        HTTP,
        http::error_body,
    ),
    rule(
        "http-versions",
        "OTLP/HTTP",
        "HTTP/1.1 and HTTP/2 are both served",
        HTTP,
        http::both_versions,
    ),
    rule("chunked", "OTLP/HTTP Connection", "bodies may come without a length", HTTP, http::chunked),
    rule(
        "plain-answer",
        "OTLP/HTTP Response",
        "an answer is not compressed unless the sender accepts it",
        HTTP,
        http::plain_answer,
    ),
    rule(
        "services",
        "OTLP/gRPC",
        "the services are TraceService, MetricsService and LogsService; others are UNIMPLEMENTED",
        GRPC,
        grpc::services,
    ),
    rule(
        "generated-clients",
        "OTLP/gRPC",
        "clients generated from the protocol's files are understood, with and without gzip",
        GRPC,
        grpc::generated_clients,
    ),
    rule(
        "concurrent-calls",
        "OTLP/gRPC Concurrent Requests",
        "many calls at a time on one connection are all answered and all kept",
        GRPC,
        grpc::concurrent_calls,
    ),
    rule("keepalive", "OTLP/gRPC", "HTTP/2 pings are answered while idle", GRPC, grpc::keepalive),
    rule(
        "framing",
        "OTLP/gRPC",
        "a call has exactly one message; what is not whole is refused",
        GRPC,
        grpc::framing,
    ),
    rule("deadline", "OTLP/gRPC", "a call may name a deadline", GRPC, grpc::deadline),
    rule(
        "hex-ids",
        "JSON Protobuf Encoding",
        "trace and span ids are hex text of either case",
        ONLY_JSON,
        json::hex_ids,
    ),
    rule(
        "base64-bytes",
        "JSON Protobuf Encoding",
        "other bytes are base64",
        ONLY_JSON,
        json::base64_bytes,
    ),
    rule(
        "enum-numbers",
        "JSON Protobuf Encoding",
        "enums are numbers",
        ONLY_JSON,
        json::enum_numbers,
    ),
    rule(
        "big-integers",
        "JSON Protobuf Encoding",
        "64-bit integers are decimal text or numbers, without loss",
        ONLY_JSON,
        json::big_integers,
    ),
    rule(
        "doubles",
        "JSON Protobuf Encoding",
        "doubles are numbers, or the texts NaN, Infinity and -Infinity",
        ONLY_JSON,
        json::doubles,
    ),
    rule(
        "unknown-keys",
        "JSON Protobuf Encoding",
        "unknown keys are ignored, whatever they hold",
        ONLY_JSON,
        json::unknown_keys,
    ),
    rule(
        "camel-case",
        "JSON Protobuf Encoding",
        "keys are lowerCamelCase; names of the protocol's files are no keys",
        ONLY_JSON,
        json::camel_case,
    ),
    rule(
        "absent-and-null",
        "JSON Protobuf Encoding",
        "keys that are absent or null are default values, and an optional zero is a zero",
        ONLY_JSON,
        json::absent_and_null,
    ),
    rule(
        "all-signals-in-json",
        "JSON Protobuf Encoding",
        "metrics and logs follow the same rules",
        ONLY_JSON,
        json::all_signals,
    ),
    rule(
        "bad-json",
        "Bad Data",
        "text that is no JSON, or JSON of other types, is refused with 400 and a Status in JSON",
        ONLY_JSON,
        json::bad_json,
    ),
    rule(
        "throttling-when-paused",
        "OTLP/gRPC Throttling; OTLP/HTTP Throttling",
        "who cannot take data now says when to send again: 503 or 429 with Retry-After, UNAVAILABLE with RetryInfo",
        ALL,
        pressure::throttled,
    )
    .when(State::Paused),
    rule(
        "throttling-when-full",
        "OTLP/gRPC Throttling; OTLP/HTTP Throttling",
        "the same when too much waits",
        ALL,
        pressure::throttled,
    )
    .when(State::Full),
    rule(
        "mistakes-under-pressure",
        "Failures",
        "a request that can never be taken is not told to come again, whatever the pressure",
        HTTP,
        pressure::mistakes,
    )
    .when(State::Paused),
];

/// What became of a rule: its row, with a mark for each transport.
struct Row {
    id: &'static str,
    marks: [&'static str; 3],
}

fn run(host: &Host) -> (Vec<Row>, Vec<String>) {
    let mut rows: Vec<Row> = Vec::new();
    let mut failures = Vec::new();
    for state in [State::Ready, State::Paused, State::Full] {
        let ground = prepare(host, state);
        let first = rows.len();
        for rule in RULES.iter().filter(|rule| rule.state == state) {
            let mut marks = ["-"; 3];
            for (mark, transport) in marks.iter_mut().zip(Transport::ALL) {
                if !rule.transports.contains(&transport) {
                    continue;
                }
                *mark = "pass";
                if let Err(reason) = (rule.check)(&ground, transport) {
                    *mark = "FAIL";
                    failures.push(format!("{} over {}: {reason}", rule.id, transport.name()));
                }
            }
            rows.push(Row { id: rule.id, marks });
        }
        let (missing, log) = ground.finish();
        for (rule, reason) in missing {
            for row in &mut rows[first..] {
                for (mark, transport) in row.marks.iter_mut().zip(Transport::ALL) {
                    if rule == format!("{} over {}", row.id, transport.name()) {
                        *mark = "FAIL";
                    }
                }
            }
            failures.push(format!("{rule}: {reason}"));
        }
        if state == State::Ready && log.contains("the host ended with") {
            failures.push(log);
        }
    }
    (rows, failures)
}

fn prepare(host: &Host, state: State) -> Ground {
    match state {
        State::Ready => Ground::start(host, Backend::Up, &[]),
        State::Paused => {
            let ground = Ground::start(host, Backend::Down, &["mem_buf_limit: 1M"]);
            pressure::pause(&ground);
            ground
        }
        State::Full => {
            let mut ground = Ground::start(host, Backend::Up, &["max_queue_size: 2M"]);
            pressure::fill(&mut ground);
            ground
        }
    }
}

fn printed(title: &str, rows: &[Row]) -> String {
    let mut text =
        format!("\n{title}\n{:<32} {:<6} {:<14} HTTP JSON\n", "rule", "gRPC", "HTTP protobuf");
    for Row { id, marks: [grpc, protobuf, json] } in rows {
        let _ = writeln!(text, "{id:<32} {grpc:<6} {protobuf:<14} {json}");
    }
    text
}

/// Scenario: every rule, over every transport that it is about, on every host. Guarantees: the
/// receiver keeps it.
#[test]
fn every_rule_is_kept() {
    let _alone = alone();
    let mut all = Vec::new();
    for host in all_hosts() {
        let (rows, failures) = run(&host);
        println!("{}", printed(&host.title(), &rows));
        all.extend(failures.into_iter().map(|failure| format!("{}: {failure}", host.title())));
    }
    assert!(all.is_empty(), "{}", all.join("\n\n"));
}

/// Scenario: the table itself. Guarantees: every row has its own name, a section, a text and
/// transports.
#[test]
fn the_table_is_whole() {
    let mut ids: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), RULES.len());
    for rule in RULES {
        assert!(!rule.section.is_empty() && !rule.text.is_empty(), "{}", rule.id);
        assert!(!rule.transports.is_empty(), "{}", rule.id);
    }
}
