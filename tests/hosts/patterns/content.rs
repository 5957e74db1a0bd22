//! `content_policy.yaml`: which prompts and completions go where.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::Event};
use prost::Message;

use super::{Shipped, hosts, local, of_tenant, pair, send, stop, texts, until};
use crate::receiver::Receiver;
use crate::support::{linked, together};

/// A trace id whose last seven bytes, which decide about sampling, are all `byte`.
fn trace(first: u8, byte: u8) -> Vec<u8> {
    let mut id = vec![first; 9];
    id.extend([byte; 7]);
    id
}

/// The kinds of spans that the content policies tell apart.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Plain,
    Failed,
    /// A prompt with an address in it.
    Finding,
    /// Of a trace that is in the sample.
    Sampled,
    /// A prompt that is short.
    Short,
}

const KINDS: [Kind; 5] = [Kind::Plain, Kind::Failed, Kind::Finding, Kind::Sampled, Kind::Short];
const ADDRESS: &str = "ada@example.com";
const USER: &str = "user-4711";
const PROMPT: &str = "gen_ai.input.messages";
const ANSWER: &str = "gen_ai.output.messages";
const REMOVED: &str = "fluentbit.ai.content.removed";
const TRUNCATED: &str = "fluentbit.ai.content.truncated";

impl Kind {
    fn prompt(self) -> String {
        match self {
            Self::Finding => {
                format!("write to {ADDRESS} {}", "and wait for the answer ".repeat(50))
            }
            Self::Short => "tell me more".to_owned(),
            _ => "where is my order? ".repeat(50),
        }
    }

    fn span(self) -> Span {
        let number = KINDS.iter().position(|kind| *kind == self).unwrap() as u8 + 1;
        let sampled = if self == Self::Sampled { 0xff } else { 0x01 };
        let attributes = vec![
            pair("gen_ai.operation.name", "chat"),
            pair("gen_ai.provider.name", "openai"),
            pair("user.id", USER),
            pair("http.request.header.x-caller", "me"),
            pair("test.kind", format!("{self:?}")),
            pair(PROMPT, self.prompt()),
            pair(ANSWER, "short answer"),
        ];
        let said = vec![pair("content", self.prompt())];
        let event =
            Event { name: "gen_ai.user.message".to_owned(), attributes: said, ..Event::default() };
        let code = if self == Self::Failed { 2 } else { 0 };
        Span {
            trace_id: trace(number, sampled),
            span_id: vec![number; 8],
            name: "chat gpt-4o".to_owned(),
            start_time_unix_nano: 1_700_000_000_000_000_000,
            end_time_unix_nano: 1_700_000_001_000_000_000,
            attributes,
            events: vec![event],
            status: Some(Status { code, ..Status::default() }),
            ..Span::default()
        }
    }
}

/// The one span of each kind that a backend has, with its resource.
fn spans_at(backend: &Receiver, what: &str) -> Vec<(Kind, Span, Resource)> {
    let mut found = Vec::new();
    for message in backend.messages("/v1/traces") {
        for of in ExportTraceServiceRequest::decode(message).unwrap().resource_spans {
            for span in of.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let named = texts(&span.attributes, "test.kind").concat();
                let kind = KINDS.into_iter().find(|kind| format!("{kind:?}") == named).unwrap();
                found.push((kind, span, of.resource.clone().unwrap_or_default()));
            }
        }
    }
    for kind in KINDS {
        let times = found.iter().filter(|(found, ..)| *found == kind).count();
        assert_eq!(times, 1, "{what}: spans {kind:?}");
    }
    found
}

/// The prompt in an attribute and in the event, the answer, and the marks of a span.
struct Content {
    prompt: Vec<String>,
    said: Vec<String>,
    answer: Vec<String>,
    removed: Vec<String>,
    truncated: Vec<String>,
}

impl Content {
    fn of(span: &Span) -> Self {
        let of_event = |event: &Event| texts(&event.attributes, "content");
        Self {
            prompt: texts(&span.attributes, PROMPT),
            said: span.events.iter().flat_map(of_event).collect(),
            answer: texts(&span.attributes, ANSWER),
            removed: texts(&span.attributes, REMOVED),
            truncated: texts(&span.attributes, TRUNCATED),
        }
    }

    fn assert_dropped(&self, what: &str) {
        assert!(self.prompt.is_empty() && self.said.is_empty(), "{what}: a prompt is left");
        assert!(self.answer.is_empty(), "{what}: an answer is left");
        assert_eq!(self.removed, [PROMPT, ANSWER, "content"], "{what}");
        assert!(self.truncated.is_empty(), "{what}");
    }

    fn assert_kept(&self, prompt: &str, what: &str) {
        assert_eq!(self.prompt, [prompt], "{what}");
        assert_eq!(self.said, [prompt], "{what}");
        assert_eq!(self.answer, ["short answer"], "{what}");
        assert!(self.removed.is_empty() && self.truncated.is_empty(), "{what}: a mark");
    }

    fn assert_cut(&self, prompt: &str, what: &str) {
        assert_eq!(self.prompt, [&prompt[..500]], "{what}");
        assert_eq!(self.said, [&prompt[..500]], "{what}");
        assert_eq!(self.answer, ["short answer"], "{what}");
        assert_eq!(self.truncated, [PROMPT, "content"], "{what}");
        assert!(self.removed.is_empty(), "{what}");
    }
}

/// Scenario: spans that are plain, failed, with something to redact, sampled, and short, through
/// `content_policy.yaml`. Guarantees: prompts and answers are gone, cut or kept at each backend as the
/// file says, and the marks say so; what was found is at nobody; attributes are hashed, dropped, added.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn content_goes_where_the_policy_says() {
    let _together = together();
    let plugins = linked();
    let digest = ring::digest::digest(&ring::digest::SHA256, USER.as_bytes());
    let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    for host in hosts() {
        let what = host.title();
        let [apm, debug, archive] =
            [Receiver::start().await, Receiver::start().await, Receiver::start().await];
        let addresses = [
            ("127.0.0.1:14318", local(apm.port)),
            ("127.0.0.1:24318", local(debug.port)),
            ("127.0.0.1:34318", local(archive.port)),
        ];
        let shipped = Shipped::new("content_policy.yaml", plugins.path(), &addresses);
        let running = shipped.start(&host);
        let spans = KINDS.map(Kind::span).to_vec();
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let resource = of_tenant("blue");
        let resource = ResourceSpans { resource, scope_spans, ..ResourceSpans::default() };
        let request = ExportTraceServiceRequest { resource_spans: vec![resource] };
        send(shipped.http, "/v1/traces", &request).await;
        until(&what, Duration::from_secs(20), &running, || {
            [&apm, &debug, &archive].iter().all(|backend| !backend.kept().is_empty())
        })
        .await;
        stop(running, &what).await;
        for (name, backend) in [("apm", &apm), ("debug", &debug), ("archive", &archive)] {
            for (kind, span, resource) in spans_at(backend, &what) {
                let what = format!("{what}, {name}, {kind:?}");
                assert!(!format!("{span:?}").contains(ADDRESS), "{what}: {span:?}");
                let findings = texts(&span.attributes, "fluentbit.ai.findings");
                assert_eq!(!findings.is_empty(), kind == Kind::Finding, "{what}: {findings:?}");
                let prompt = kind.prompt().replace(ADDRESS, "[email]");
                let content = Content::of(&span);
                match (name, kind) {
                    ("apm", _) | ("archive", Kind::Plain | Kind::Short) => {
                        content.assert_dropped(&what);
                    }
                    ("debug", Kind::Short) | ("archive", _) => content.assert_kept(&prompt, &what),
                    _ => content.assert_cut(&prompt, &what),
                }
                let is_apm = name == "apm";
                let user = if is_apm { hash.as_str() } else { USER };
                assert_eq!(texts(&span.attributes, "user.id"), [user], "{what}");
                let caller = texts(&span.attributes, "http.request.header.x-caller");
                assert_eq!(caller.is_empty(), is_apm, "{what}");
                let environment = texts(&resource.attributes, "deployment.environment.name");
                let expected: &[&str] = if name == "archive" { &["production"] } else { &[] };
                assert_eq!(environment, expected, "{what}");
            }
        }
        println!("{what}: content is where it should be");
    }
}
