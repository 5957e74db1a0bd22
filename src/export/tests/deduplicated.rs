//! Content that an endpoint gets once.

use std::time::Duration;

use base64::Engine;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::data::{span, text, trace_chunk, traces};
use super::receiver::{Receiver, Say};
use super::size::spans_of;
use super::{Bench, EventType, Fate, endpoint, grpc};
use crate::export::{
    AttributeKey, Compression, ContentHandling, DeadLetterTarget, DeduplicationSettings,
    EndpointSettings, GroupMode, GroupSettings, HeaderFrom, HeaderSource, MemberSource, Protocol,
};
use crate::genai::BackendDialect;

const SYSTEM: &str = "gen_ai.system_instructions";
const TOOLS: &str = "gen_ai.tool.definitions";

/// The same endpoint, with content once.
fn once(settings: EndpointSettings) -> EndpointSettings {
    once_from(300, &[SYSTEM, TOOLS, "llm.tools.*"], settings)
}

/// The same endpoint, with the values of these attributes once that have so many bytes.
fn once_from(min_size: usize, names: &[&str], settings: EndpointSettings) -> EndpointSettings {
    let names = names.iter().map(|name| AttributeKey::parse(name)).collect();
    let window = Duration::from_secs(600);
    let deduplication = Some(DeduplicationSettings { names, window, min_size });
    EndpointSettings { deduplication, ..settings }
}

fn system() -> String {
    "You are a careful assistant. ".repeat(40)
}

fn chunk(numbers: std::ops::Range<u8>) -> Vec<u8> {
    let spans = numbers.map(|number| span(number, vec![text(SYSTEM, &system())]));
    trace_chunk(&traces(spans.collect()))
}

/// Whether a span has the content, and whether it has its address.
fn forms(spans: &[Span]) -> Vec<(bool, bool)> {
    let has = |span: &Span, name: &str| span.attributes.iter().any(|pair| pair.key == name);
    let reference = format!("{SYSTEM}_ref");
    spans.iter().map(|span| (has(span, SYSTEM), has(span, &reference))).collect()
}

const WHOLE: (bool, bool) = (true, true);
const ADDRESS: (bool, bool) = (false, true);
const UNTOUCHED: (bool, bool) = (true, false);

/// Scenario: an endpoint beside one that gets all, over each protocol, compressed. Guarantees: the one
/// gets each content once, in its first request in each item, and says how much that saves; the other
/// one gets everything as it is.
#[test]
fn an_endpoint_gets_content_once_and_another_one_all() {
    for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson, Protocol::Grpc] {
        let (one, all) = (Receiver::accepting(), Receiver::accepting());
        let compression =
            if protocol == Protocol::Grpc { Compression::Gzip } else { Compression::None };
        let main = EndpointSettings { protocol, compression, ..endpoint("one", &one) };
        let bench = Bench::new(vec![once(main), endpoint("all", &all)]);
        for task in 0..3 {
            assert_eq!(bench.deliver(task, &chunk(0..2)), Fate::Done);
        }
        assert_eq!(forms(&spans_of(&all, |_| true)), [UNTOUCHED; 6]);
        if protocol != Protocol::HttpJson {
            let found = forms(&spans_of(&one, |_| true));
            assert_eq!(found, [[WHOLE; 2], [ADDRESS; 2], [ADDRESS; 2]].concat());
        }
        let found = |n: usize| {
            let body = one.seen().swap_remove(n).body;
            memchr::memmem::find_iter(&body, system().as_bytes()).count()
        };
        assert_eq!([0, 1, 2].map(found), [2, 0, 0]);
        assert_eq!(bench.count("deduplicated_values_total", &["one"]), 4);
        let saved = bench.count("deduplicated_bytes_total", &["one"]);
        assert!((4_300..4_400).contains(&saved), "{saved}");
        assert_eq!(bench.count("deduplicated_values_total", &["all"]), 0);
        assert_eq!(bench.count("sent_items_total", &["one"]), 6);
    }
}

/// Scenario: an endpoint fails, then rejects one of two items, then takes all, and refuses what comes
/// last. Guarantees: content is there until a request is taken wholly, and dead letters have it.
#[test]
fn content_counts_as_given_when_all_of_a_request_is_accepted() {
    let receiver = Receiver::start(|n, _| match n {
        0 => Say::Http(503, Vec::new(), Vec::new()),
        1 => Say::Partial(1, "one is too old"),
        2 | 3 => Say::Accept,
        _ => Say::Http(400, Vec::new(), Vec::new()),
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters.jsonl");
    let mut main = once(endpoint("main", &receiver));
    main.dead_letter = Some(DeadLetterTarget::File(path.clone(), 100_000));
    let bench = Bench::new(vec![main]);
    assert_eq!(bench.deliver(2, &chunk(0..2)), Fate::Retry);
    assert_eq!(bench.deliver(2, &chunk(0..2)), Fate::Done);
    for task in [4, 6, 8] {
        assert_eq!(bench.deliver(task, &chunk(2..4)), Fate::Done);
    }
    for (n, expected) in [(0, WHOLE), (1, WHOLE), (2, WHOLE), (3, ADDRESS), (4, ADDRESS)] {
        assert_eq!(forms(&spans_of(&receiver, |request| request == n)), [expected; 2], "{n}");
    }
    let line = std::fs::read_to_string(&path).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let request = line["request_base64"].as_str().unwrap();
    let request = base64::engine::general_purpose::STANDARD.decode(request).unwrap();
    let mut request = ExportTraceServiceRequest::decode(request.as_slice()).unwrap();
    let spans = request.resource_spans.remove(0).scope_spans.remove(0).spans;
    assert_eq!(forms(&spans), [UNTOUCHED; 2]);
    assert_eq!(bench.count("deduplicated_values_total", &["main"]), 2);
}

/// Scenario: requests that are under way at once, and one after them. Guarantees: each of the former has
/// the content.
#[test]
fn requests_that_are_under_way_at_once_all_have_it() {
    let receiver = Receiver::start(|_, _| Say::Slow(Duration::from_millis(300)));
    let bench = Bench::new(vec![once(endpoint("main", &receiver))]);
    let under_way: Vec<_> =
        (0..3_u8).map(|n| bench.submit(EventType::Logs, n.into(), &chunk(n..n + 1))).collect();
    for waiter in under_way {
        assert_eq!(waiter.wait(test_timeout::at_most(Duration::from_secs(20))), Some(Fate::Done));
    }
    assert_eq!(bench.deliver(9, &chunk(9..10)), Fate::Done);
    let found = forms(&spans_of(&receiver, |_| true));
    assert_eq!(found, [WHOLE, WHOLE, WHOLE, ADDRESS]);
}

/// Scenario: a group fails over from a member that has the content to one that does not, and goes back.
/// Guarantees: each member gets it by itself.
#[test]
fn each_member_of_a_group_has_its_own_memory() {
    let primary = Receiver::start(|n, _| match n {
        2 => Say::Http(503, Vec::new(), Vec::new()),
        _ => Say::Accept,
    });
    let second = Receiver::accepting();
    let members = vec![once(endpoint("m0", &primary)), once(endpoint("m1", &second))];
    let members = MemberSource::Listed(members);
    let group = GroupSettings { name: "g".to_owned(), mode: GroupMode::Failover, members };
    let bench = Bench::with_groups(Vec::new(), vec![group]);
    for task in 0..4 {
        assert_eq!(bench.deliver(task, &chunk(0..1)), Fate::Done);
    }
    // The third went to both: the first member did not take it.
    assert_eq!(forms(&spans_of(&primary, |_| true)), [WHOLE, ADDRESS, ADDRESS, ADDRESS]);
    assert_eq!(forms(&spans_of(&second, |_| true)), [WHOLE]);
}

/// Scenario: spans of two tenants, told apart by a header. Guarantees: each tenant has the content.
#[test]
fn each_tenant_gets_it() {
    let receiver = Receiver::accepting();
    let mut main = once(endpoint("main", &receiver));
    let source = HeaderSource::Item("tenant".to_owned());
    main.header_from = vec![HeaderFrom { name: "x-tenant".parse().unwrap(), source }];
    let bench = Bench::new(vec![main]);
    let of = |number, tenant| span(number, vec![text("tenant", tenant), text(SYSTEM, &system())]);
    let both = trace_chunk(&traces(vec![of(1, "red"), of(2, "blue")]));
    for task in [2, 4] {
        assert_eq!(bench.deliver(task, &both), Fate::Done);
    }
    let found = forms(&spans_of(&receiver, |_| true));
    assert_eq!(found, [WHOLE, WHOLE, ADDRESS, ADDRESS]);
}

/// Scenario: endpoints with another dialect, and with content that is cut, renamed or left out.
/// Guarantees: addresses are those of what is sent; what is not sent has none.
#[test]
fn addresses_are_those_of_what_is_sent() {
    let receivers: Vec<_> = (0..4).map(|_| Receiver::accepting()).collect();
    let [dialect, cut, dropped, over_grpc] = receivers.as_slice() else { panic!() };
    let tools = format!(
        r#"[{{"type":"function","name":"find","description":"{}","parameters":{{"type":"object"}}}}]"#,
        "Finds things. ".repeat(40)
    );
    let open_inference = Some(BackendDialect::OpenInference);
    let bench = Bench::new(vec![
        once(EndpointSettings { dialect: open_inference, ..endpoint("dialect", dialect) }),
        once(EndpointSettings { content: ContentHandling::Truncate(400), ..endpoint("cut", cut) }),
        once(EndpointSettings { content: ContentHandling::Drop, ..endpoint("drop", dropped) }),
        once(grpc("grpc", over_grpc)),
    ]);
    let attributes = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.request.model", "m"),
        text(SYSTEM, &system()),
        text(TOOLS, &tools),
    ];
    let chunk = trace_chunk(&traces(vec![span(1, attributes)]));
    for task in [2, 4] {
        assert_eq!(bench.deliver(task, &chunk), Fate::Done);
    }
    let keys = |receiver: &Receiver, n: usize| -> Vec<String> {
        let span = spans_of(receiver, |request| request == n).remove(0);
        span.attributes.into_iter().map(|pair| pair.key).collect()
    };
    let has = |receiver, n, name: &str| keys(receiver, n).iter().any(|key| key == name);
    let schema = "llm.tools.0.tool.json_schema";
    assert!(has(dialect, 0, schema) && has(dialect, 0, &format!("{schema}_ref")));
    assert!(!has(dialect, 1, schema) && has(dialect, 1, &format!("{schema}_ref")));
    let reference = format!("{SYSTEM}_ref");
    let sent = spans_of(cut, |_| true);
    let value = |span: &Span, name: &str| {
        let pair = span.attributes.iter().find(|pair| pair.key == name).cloned();
        pair.and_then(|pair| pair.value).and_then(|value| value.value)
    };
    use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
    let Some(StringValue(short)) = value(&sent[0], SYSTEM) else { panic!() };
    assert!(short.len() <= 400 && short.len() < system().len());
    let address = format!("sha256:{}", crate::digest::Digest::default().hex(short.as_bytes()));
    for span in &sent {
        assert_eq!(value(span, &reference), Some(StringValue(address.clone())));
    }
    assert_eq!(value(&sent[1], SYSTEM), None);
    assert!([0, 1].iter().all(|n| keys(dropped, *n).iter().all(|key| !key.ends_with("_ref"))));
    assert!(has(over_grpc, 0, TOOLS) && !has(over_grpc, 1, TOOLS));
}

/// Scenario: what an agent sends in 5 conversations of 20 calls, one request a call: a system prompt of 6
/// kB, 12 tools of 9 kB in all, and messages that grow by 2 kB a call; with the defaults, and in
/// OpenInference's form with messages too. Guarantees: the figures of docs/multi_otlp.md.
#[test]
fn the_figures_of_the_guide_are_those_of_an_agents_conversations() {
    let compressed = |settings| EndpointSettings { compression: Compression::Gzip, ..settings };
    let open_inference =
        |settings| EndpointSettings { dialect: Some(BackendDialect::OpenInference), ..settings };
    let usual = |settings| once_from(1_000, &[SYSTEM, TOOLS], settings);
    let messages = ["llm.tools.*", "llm.input_messages.*", "input.value"];
    let of_messages = |settings| once_from(500, &messages, settings);
    let [all, short] = [sent(|settings| settings), sent(usual)];
    let [gzip, short_gzip] = [sent(compressed), sent(|settings| usual(compressed(settings)))];
    let [parts, short_parts] =
        [sent(open_inference), sent(|settings| of_messages(open_inference(settings)))];
    let figures = [(all, short), (gzip, short_gzip), (parts, short_parts)].map(|(all, less)| {
        println!("{all} -> {less}");
        ((1.0 - less / all) * 100.0).round()
    });
    assert_eq!(figures, [40.0, 37.0, 78.0]);
}

/// The bytes that an endpoint with these settings gets of the conversations.
fn sent(settings: impl Fn(EndpointSettings) -> EndpointSettings) -> f64 {
    let receiver = Receiver::accepting();
    let bench = Bench::new(vec![settings(endpoint("main", &receiver))]);
    for number in 0..100 {
        let chunk = conversations::call(number / 20, number % 20);
        assert_eq!(bench.deliver(u64::from(number), &chunk), Fate::Done);
    }
    let seen = receiver.seen();
    assert_eq!(seen.len(), 100);
    seen.iter().map(|seen| seen.wire.len() as f64).sum()
}

/// What an agent sends, made by rule: words in an order that does not repeat.
mod conversations {
    use super::{SYSTEM, TOOLS, span, text, trace_chunk, traces};

    const WORDS: [&str; 32] = [
        "the", "file", "search", "before", "answer", "tool", "user", "check", "with", "error",
        "result", "never", "always", "write", "short", "read", "test", "change", "code", "path",
        "when", "value", "list", "return", "explain", "small", "run", "command", "output", "if",
        "other", "then",
    ];

    /// So many bytes of words, other ones for each seed.
    fn prose(seed: u32, length: usize) -> String {
        let (mut text, mut state) = (String::new(), seed.wrapping_mul(2_654_435_761) | 1);
        while text.len() < length {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(WORDS[(state >> 27) as usize]);
            text.push(' ');
        }
        text.truncate(length);
        text
    }

    fn tools() -> String {
        let tool = |number: u32| {
            serde_json::json!({
                "type": "function", "name": format!("tool_{number}"), "description": prose(number, 400),
                "parameters": {"type": "object", "properties": {
                    "path": {"type": "string", "description": prose(100 + number, 80)},
                    "query": {"type": "string", "description": prose(200 + number, 80)},
                }, "required": ["path"]},
            })
        };
        serde_json::Value::Array((0..12).map(tool).collect()).to_string()
    }

    /// One call of a conversation, with all that was said before.
    pub(super) fn call(conversation: u32, call: u32) -> Vec<u8> {
        let message = |role: &str, seed: u32, length: usize| {
            serde_json::json!({
                "role": role, "parts": [{"type": "text", "content": prose(seed, length)}],
            })
        };
        let seed = |turn: u32| 1_000 + conversation * 1_000 + turn * 10;
        let said = (0..=call).flat_map(|turn| {
            let tool = message("tool", seed(turn), 1_300);
            let assistant = message("assistant", seed(turn) + 1, 600);
            [tool, assistant]
        });
        let input = serde_json::Value::Array(said.collect()).to_string();
        let output =
            serde_json::Value::Array(vec![message("assistant", seed(call) + 2, 600)]).to_string();
        let instructions = serde_json::json!([{"type": "text", "content": prose(1, 6_000)}]);
        let attributes = vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.request.model", "a-model"),
            text(SYSTEM, &instructions.to_string()),
            text(TOOLS, &tools()),
            text("gen_ai.input.messages", &input),
            text("gen_ai.output.messages", &output),
        ];
        trace_chunk(&traces(vec![span(1, attributes)]))
    }
}
