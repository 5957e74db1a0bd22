//! No content reaches an endpoint that is not to have it, whoever wrote it and wherever it stands.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Exemplar;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use serde::Deserialize;

use super::data::{
    log_chunk, log_chunk_under, log_groups_under, logs, metric_chunk, metrics, plain_record, span,
    text, trace_chunk, traces,
};
use super::receiver::Receiver;
use super::{Bench, Fate, endpoint};
use crate::export::{ContentHandling, KeepContentWhen};
use crate::genai::DIALECTS;

/// What one dialect calls content, by its own documents.
#[derive(Debug, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Sample {
    /// Names of attributes.
    attributes: Vec<String>,
    /// Names of span events and log events that carry content.
    events: Vec<String>,
    /// Texts of logs, with the content where the word stands.
    texts: Vec<String>,
    /// Names that are content only where the item shows its dialect.
    spoken: Option<Spoken>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Spoken {
    attributes: Vec<String>,
    scope: String,
    event: String,
    key: String,
}

const WORD: &str = "CANARY";

fn samples() -> BTreeMap<String, Sample> {
    serde_json::from_str(include_str!("../../../tests/data/content/names.json")).unwrap()
}

/// Makes texts that can be told apart, and remembers how many.
#[derive(Default)]
struct Canaries {
    made: Vec<String>,
}

impl Canaries {
    fn next(&mut self) -> String {
        let canary = format!("{WORD}{:05} is my secret plan", self.made.len());
        self.made.push(canary.clone());
        canary
    }

    fn pair(&mut self, name: &str) -> KeyValue {
        text(name, &self.next())
    }

    fn pairs(&mut self, names: &[String]) -> Vec<KeyValue> {
        names.iter().map(|name| self.pair(name)).collect()
    }
}

fn any(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn list(values: Vec<KeyValue>) -> Option<AnyValue> {
    any(Value::KvlistValue(KeyValueList { values }))
}

fn under(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// What an endpoint gets: chunks for it, and the texts that must not be in what it is sent.
struct Traffic {
    chunks: Vec<Vec<u8>>,
    canaries: Canaries,
}

impl Traffic {
    fn new() -> Self {
        Self { chunks: Vec::new(), canaries: Canaries::default() }
    }

    fn span(&mut self, scope: &str, attributes: Vec<KeyValue>, events: Vec<Event>) {
        let span = opentelemetry_proto::tonic::trace::v1::Span {
            events,
            links: vec![Link {
                trace_id: vec![1; 16],
                span_id: vec![1; 8],
                attributes: attributes.clone(),
                ..Link::default()
            }],
            ..span(1, attributes)
        };
        let mut request = traces(vec![span]);
        if let Some(named) = &mut request.resource_spans[0].scope_spans[0].scope
            && !scope.is_empty()
        {
            scope.clone_into(&mut named.name);
        }
        self.chunks.push(trace_chunk(&request));
    }

    fn log(&mut self, scope: &str, record: LogRecord) {
        let mut request = logs(&["x"]);
        let of_scope = &mut request.resource_logs[0].scope_logs[0];
        if let Some(named) = &mut of_scope.scope
            && !scope.is_empty()
        {
            scope.clone_into(&mut named.name);
        }
        of_scope.log_records = vec![record];
        self.chunks.push(log_chunk(&request));
        // The same under a key that no list has.
        self.chunks.push(log_chunk_under(&request, "said"));
        self.chunks.push(log_groups_under(&request, "said"));
    }

    fn plain(&mut self, pairs: &[(&str, &str)]) {
        self.chunks.push(plain_record(pairs));
    }

    /// The names in every place that an item has.
    fn everywhere(&mut self, names: &[String]) {
        let own = self.canaries.pairs(names);
        let attributes = self.canaries.pairs(names);
        let event = Event { name: "note".to_owned(), attributes, ..Event::default() };
        self.span("", own, vec![event]);
        let structured = names.iter();
        let structured =
            structured.map(|name| under(name, list(vec![self.canaries.pair("inner")]))).collect();
        self.span("", structured, Vec::new());
        let attributes = self.canaries.pairs(names);
        self.log("", LogRecord { attributes, ..LogRecord::default() });
        let body = list(self.canaries.pairs(names));
        self.log("", LogRecord { body, ..LogRecord::default() });
        let nested = vec![under("outer", list(self.canaries.pairs(names)))];
        let attributes = nested.clone();
        self.log("", LogRecord { body: list(nested), attributes, ..LogRecord::default() });
        let texts: Vec<String> = names.iter().map(|_| self.canaries.next()).collect();
        let pairs: Vec<(&str, &str)> =
            names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
        self.plain(&pairs);
        let members: serde_json::Map<String, serde_json::Value> =
            names.iter().map(|name| (name.clone(), self.canaries.next().into())).collect();
        let json = serde_json::json!({"level": "info", "outer": [members.clone()]});
        let (flat, nested) = (serde_json::Value::from(members).to_string(), json.to_string());
        self.plain(&[("log", &flat), ("stream", "stdout")]);
        self.plain(&[("log", &nested)]);
        let body = any(Value::StringValue(flat));
        self.log("", LogRecord { body, ..LogRecord::default() });
        self.metric(names);
    }

    fn metric(&mut self, names: &[String]) {
        let mut request = metrics(1);
        let metric = &mut request.resource_metrics[0].scope_metrics[0].metrics[0];
        if let Some(Data::Gauge(gauge)) = &mut metric.data {
            gauge.data_points[0].attributes = self.canaries.pairs(names);
            let filtered_attributes = self.canaries.pairs(names);
            gauge.data_points[0].exemplars =
                vec![Exemplar { filtered_attributes, ..Exemplar::default() }];
        }
        let resource = request.resource_metrics[0].resource.as_mut().unwrap();
        resource.attributes.extend(self.canaries.pairs(names));
        self.chunks.push(metric_chunk(&request));
    }

    fn event(&mut self, name: &str) {
        let said = vec![self.canaries.pair("content"), self.canaries.pair("whatever")];
        let event = Event { name: name.to_owned(), attributes: said, ..Event::default() };
        self.span("", Vec::new(), vec![event]);
        let body = any(Value::StringValue(self.canaries.next()));
        let attributes = vec![self.canaries.pair("whatever")];
        let event_name = name.to_owned();
        self.log("", LogRecord { event_name, body, attributes, ..LogRecord::default() });
        for key in ["event.name", "event_name"] {
            let body = list(vec![under("message", list(vec![self.canaries.pair("content")]))]);
            let attributes = vec![text(key, name)];
            self.log("", LogRecord { body, attributes, ..LogRecord::default() });
            let (message, content) = (self.canaries.next(), self.canaries.next());
            self.plain(&[(key, name), ("message", &message), ("content", &content)]);
        }
    }

    fn text(&mut self, pattern: &str) {
        let said = pattern.replace(WORD, &self.canaries.next());
        self.plain(&[("log", &said)]);
        let said = pattern.replace(WORD, &self.canaries.next());
        self.log("", LogRecord { body: any(Value::StringValue(said)), ..LogRecord::default() });
    }

    fn spoken(&mut self, spoken: &Spoken) {
        let mut mark = Vec::new();
        if !spoken.event.is_empty() {
            mark.push(("event.name", spoken.event.as_str()));
        }
        if !spoken.key.is_empty() {
            mark.push((spoken.key.as_str(), "x"));
        }
        let marks = || mark.iter().map(|(key, value)| text(key, value));
        let own = marks().chain(self.canaries.pairs(&spoken.attributes)).collect();
        self.span(&spoken.scope, own, Vec::new());
        let attributes = marks().chain(self.canaries.pairs(&spoken.attributes)).collect();
        self.log(&spoken.scope, LogRecord { attributes, ..LogRecord::default() });
        if mark.is_empty() {
            return;
        }
        let texts: Vec<String> = spoken.attributes.iter().map(|_| self.canaries.next()).collect();
        let pairs = spoken.attributes.iter().map(String::as_str);
        let pairs = pairs.zip(texts.iter().map(String::as_str));
        self.plain(&mark.iter().copied().chain(pairs).collect::<Vec<_>>());
    }
}

fn traffic() -> Traffic {
    let mut traffic = Traffic::new();
    for sample in samples().values() {
        if !sample.attributes.is_empty() {
            traffic.everywhere(&sample.attributes);
        }
        sample.events.iter().for_each(|name| traffic.event(name));
        sample.texts.iter().for_each(|pattern| traffic.text(pattern));
        sample.spoken.iter().for_each(|spoken| traffic.spoken(spoken));
    }
    traffic
}

/// The numbers of the texts that a receiver got something of.
fn seen_at(receiver: &Receiver) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for request in receiver.seen() {
        for at in memchr::memmem::find_iter(&request.body, WORD) {
            let number = request.body.get(at..at + WORD.len() + 5).unwrap_or_default();
            seen.insert(String::from_utf8_lossy(number).into_owned());
        }
    }
    seen
}

/// Scenario: a text of its own under each content name of every dialect, in attributes of spans,
/// events, links, logs, points, exemplars and resources, in bodies, in ordinary logs and in their
/// JSON text, for endpoints of every policy. Guarantees: the endpoint that gets all has each text,
/// the others none.
#[test]
fn no_content_of_any_dialect_passes_a_policy() {
    let traffic = traffic();
    assert!(traffic.canaries.made.len() > 2000, "{}", traffic.canaries.made.len());
    let policies = [
        ("drop", ContentHandling::Drop),
        ("cut", ContentHandling::Truncate(5)),
        (
            "errors",
            ContentHandling::Only(KeepContentWhen { errors: true, ..KeepContentWhen::default() }),
        ),
        (
            "findings",
            ContentHandling::Only(KeepContentWhen { findings: true, ..KeepContentWhen::default() }),
        ),
    ];
    let full = Receiver::accepting();
    let receivers: Vec<_> = policies.iter().map(|_| Receiver::accepting()).collect();
    let mut endpoints = vec![endpoint("full", &full)];
    for ((name, content), receiver) in policies.iter().zip(&receivers) {
        let mut endpoint = endpoint(name, receiver);
        endpoint.content = *content;
        endpoints.push(endpoint);
    }
    let bench = Bench::new(endpoints);
    for (task, chunks) in (1..).zip(traffic.chunks.chunks(100)) {
        assert_eq!(bench.deliver(task, &chunks.concat()), Fate::Done);
    }
    let made = traffic.canaries.made.iter();
    let made: BTreeSet<String> =
        made.filter_map(|canary| canary.split(' ').next()).map(str::to_owned).collect();
    assert_eq!(seen_at(&full), made);
    for ((name, _), receiver) in policies.iter().zip(&receivers) {
        assert_eq!(seen_at(receiver), BTreeSet::new(), "{name}");
        let items = |name| bench.count("sent_items_total", &[name]);
        assert_eq!(items(name), items("full"), "{name}");
        assert!(bench.count("content_removed_items_total", &[name]) > 300, "{name}");
    }
}

/// Scenario: the list of dialects, and the samples, which are named `DIALECT` or `DIALECT/WHAT`.
/// Guarantees: each dialect has a sample of its own, and no sample is of a dialect that is not there.
#[test]
fn every_dialect_has_content_names_in_the_samples() {
    let samples = samples();
    let of = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
    let sampled: BTreeSet<String> = samples.keys().map(|name| of(name)).collect();
    let dialects = DIALECTS.iter().map(|dialect| dialect.name.to_owned()).collect();
    assert_eq!(sampled, dialects);
    for (name, sample) in &samples {
        let Sample { attributes, events, texts, spoken } = sample;
        let empty = [attributes, events, texts].iter().all(|names| names.is_empty());
        assert!(!empty || spoken.is_some(), "{name}");
    }
}

/// Scenario: a long text under a name that no list has. Guarantees: it goes out and is told of once,
/// by its name, unless the strict option removes it; shorter text and well-known names stay.
#[test]
fn text_under_unlisted_names_is_reported_or_removed() {
    let (loose, strict) = (Receiver::accepting(), Receiver::accepting());
    let mut reported = endpoint("loose", &loose);
    reported.content = ContentHandling::Drop;
    let mut removed = endpoint("strict", &strict);
    (removed.content, removed.content_unlisted) = (ContentHandling::Drop, Some(40));
    let bench = Bench::new(vec![reported, removed]);
    let long = format!("CANARY {}", "is my secret plan ".repeat(80));
    let request = traces(vec![
        span(1, vec![text("acme.transcript", &long), text("acme.note", "short")]),
        span(2, vec![text("acme.transcript", &long), text("exception.stacktrace", "at main")]),
    ]);
    assert_eq!(bench.deliver(1, &trace_chunk(&request)), Fate::Done);
    assert_eq!(bench.deliver(2, &plain_record(&[("log", "x"), ("acme.words", &long)])), Fate::Done);
    let got: Vec<ExportTraceServiceRequest> = loose.messages("/v1/traces");
    assert_eq!(got, [request]);
    let got: Vec<ExportTraceServiceRequest> = strict.messages("/v1/traces");
    let spans = &got[0].resource_spans[0].scope_spans[0].spans;
    let keys = |attributes: &[KeyValue]| -> Vec<String> {
        attributes.iter().map(|attribute| attribute.key.clone()).collect()
    };
    let list = "fluentbit.ai.content.removed";
    assert_eq!(keys(&spans[0].attributes), ["acme.note", list]);
    assert_eq!(keys(&spans[1].attributes), ["exception.stacktrace", list]);
    let got: Vec<ExportLogsServiceRequest> = strict.messages("/v1/logs");
    let log = &got[0].resource_logs[0].scope_logs[0].log_records[0];
    assert!(!keys(&log.attributes).contains(&"acme.words".to_owned()), "{log:?}");
    assert!(strict.seen().iter().all(|seen| memchr::memmem::find(&seen.body, b"CANARY").is_none()));
    for name in ["loose", "strict"] {
        assert_eq!(bench.count("unknown_content_names_total", &[name]), 2, "{name}");
    }
    let log = bench.log();
    assert_eq!(log.matches("'acme.transcript', which no list").count(), 2, "{log}");
    assert!(
        log.contains("endpoint 'loose': text of more than 1024 bytes under 'acme.words'"),
        "{log}"
    );
}

/// Scenario: content so deep in structures that it stands beside the record, and an attribute without
/// value, which does so too. Guarantees: the content is gone, the attribute is as it was.
#[test]
fn content_beside_the_record_does_not_come_back() {
    let receiver = Receiver::accepting();
    let mut bare = endpoint("bare", &receiver);
    bare.content = ContentHandling::Drop;
    let bench = Bench::new(vec![bare]);
    let mut deep = text("gen_ai.prompt", "CANARY is my secret plan");
    for _ in 0..40 {
        deep = under("deeper", list(vec![deep]));
    }
    let empty = under("empty", None);
    let spans = vec![span(1, vec![deep.clone()]), span(2, vec![empty.clone()])];
    let chunk = trace_chunk(&traces(spans));
    assert!(memchr::memmem::find(&chunk, b"CANARY").is_some());
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    let mut request = logs(&["x"]);
    request.resource_logs[0].scope_logs[0].log_records[0].body = list(vec![deep.clone()]);
    request.resource_logs[0].resource.as_mut().unwrap().attributes.push(deep);
    assert_eq!(bench.deliver(2, &log_chunk(&request)), Fate::Done);
    assert_eq!(seen_at(&receiver), BTreeSet::new());
    let got: Vec<ExportTraceServiceRequest> = receiver.messages("/v1/traces");
    assert_eq!(got[0].resource_spans[0].scope_spans[0].spans[1].attributes, [empty]);
    assert_eq!(bench.count("content_removed_items_total", &["bare"]), 2);
}

/// Scenario: a log's text and a span's status message repeat what an attribute of theirs lost.
/// Guarantees: they are gone too, and what does not repeat it stays.
#[test]
fn what_quotes_removed_content_goes_with_it() {
    let receiver = Receiver::accepting();
    let mut bare = endpoint("bare", &receiver);
    bare.content = ContentHandling::Drop;
    let bench = Bench::new(vec![bare]);
    let secret = "CANARY is my secret plan";
    let failed = |message: String| {
        let status = opentelemetry_proto::tonic::trace::v1::Status { code: 2, message };
        let reported = vec![text("exception.message", &format!("bad input: {secret}"))];
        let event =
            Event { name: "exception".to_owned(), attributes: reported, ..Event::default() };
        let attributes = vec![text("gen_ai.tool.call.arguments", secret)];
        opentelemetry_proto::tonic::trace::v1::Span {
            status: Some(status),
            events: vec![event],
            ..span(1, attributes)
        }
    };
    let spans = vec![failed(format!("tool failed on {secret}")), failed("timed out".to_owned())];
    assert_eq!(bench.deliver(1, &trace_chunk(&traces(spans))), Fate::Done);
    let log = format!("user asked: {secret}");
    assert_eq!(bench.deliver(2, &plain_record(&[("prompt", secret), ("log", &log)])), Fate::Done);
    let got: Vec<ExportTraceServiceRequest> = receiver.messages("/v1/traces");
    let spans = &got[0].resource_spans[0].scope_spans[0].spans;
    let messages: Vec<_> = spans.iter().map(|span| span.status.clone().unwrap().message).collect();
    assert_eq!(messages, ["", "timed out"]);
    assert!(
        receiver.seen().iter().all(|seen| memchr::memmem::find(&seen.body, b"CANARY").is_none())
    );
}
