use super::*;
use crate::codec::msgpack::{array_header, elements, ext, int, map_header};
use crate::codec::records::Events;
use crate::export::KeepContentWhen;
use crate::export::selection::content::cleaner::{REMOVED, TRUNCATED};
use crate::genai::{DIALECTS, FINDINGS};
use crate::sampling::Threshold;

fn map(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    map_header(&mut out, u32::try_from(pairs.len()).unwrap());
    for (key, value) in pairs {
        str(&mut out, key);
        out.extend_from_slice(value);
    }
    out
}

fn text(value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    str(&mut out, value);
    out
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    array_header(&mut out, u32::try_from(items.len()).unwrap());
    items.iter().for_each(|item| out.extend_from_slice(item));
    out
}

fn event(otlp: Option<Vec<u8>>, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    array_header(&mut out, 2);
    array_header(&mut out, 2);
    ext(&mut out, 0, &[0; 8]);
    out.extend(otlp.map_or_else(|| map(&[]), |otlp| map(&[("otlp", otlp)])));
    out.extend_from_slice(body);
    out
}

fn cleaned(bytes: &[u8]) -> Option<Cleaned> {
    with(ContentHandling::Drop, bytes)
}

fn keys(map: &[u8]) -> Vec<String> {
    MapView::new(map).map(|entry| String::from_utf8(entry.key.to_vec()).unwrap()).collect()
}

fn removed(attributes: &[u8]) -> Vec<String> {
    let list = MapView::new(attributes).get(REMOVED.as_bytes()).unwrap();
    elements(list).map(|name| text_of(name).unwrap().to_owned()).collect()
}

#[test]
fn a_span_keeps_its_skeleton() {
    let message = map(&[
        ("name", text("gen_ai.user.message")),
        ("attributes", map(&[("gen_ai.system", text("openai")), ("content", text("hush"))])),
    ]);
    let plain =
        map(&[("name", text("exception")), ("attributes", map(&[("exception.type", text("E"))]))]);
    let body = map(&[
        ("name", text("chat")),
        (
            "attributes",
            map(&[
                ("gen_ai.request.model", text("m")),
                ("gen_ai.prompt.0.content", text("hush")),
                ("gen_ai.prompt.0.role", text("user")),
                ("gen_ai.prompt.name", text("n")),
                ("llm.input_messages.0.message.content", text("hush")),
                ("input.value", text("hush")),
            ]),
        ),
        ("events", list(&[message, plain])),
    ]);
    let span = event(Some(map(&[("signal", text("span"))])), &body);
    let body = cleaned(&span).unwrap().body.unwrap();
    assert!(memchr::memmem::find(&body, b"hush").is_none());
    assert_eq!(keys(&body), ["name", "attributes", "events"]);
    let attributes = MapView::new(&body).get(b"attributes").unwrap();
    assert_eq!(
        keys(attributes),
        ["gen_ai.request.model", "gen_ai.prompt.0.role", "gen_ai.prompt.name", REMOVED]
    );
    assert_eq!(
        removed(attributes),
        [
            "gen_ai.prompt.0.content",
            "llm.input_messages.0.message.content",
            "input.value",
            "content"
        ]
    );
    let events = MapView::new(&body).get(b"events").unwrap();
    assert_eq!(elements(events).count(), 2);
    assert!(memchr::memmem::find(events, b"exception.type").is_some());
}

/// Scenario: every name that a dialect lists as content, with a text, in a span that speaks the dialect.
/// Guarantees: `content: drop` takes it, so that the one list is what the exporter acts on.
#[test]
fn every_name_that_a_dialect_lists_is_taken() {
    for dialect in DIALECTS {
        let mark = format!("{}x", dialect.detection.beginnings[0]);
        let list = &dialect.content;
        for name in [list.names, list.words, list.common_words].concat() {
            let attributes = map(&[(mark.as_str(), text("x")), (name, text("hush"))]);
            let body = map(&[("attributes", attributes)]);
            let span = event(Some(map(&[("signal", text("span"))])), &body);
            let body = cleaned(&span).unwrap_or_else(|| panic!("{}: {name}", dialect.name));
            let body = body.body.unwrap();
            assert!(memchr::memmem::find(&body, b"hush").is_none(), "{}: {name}", dialect.name);
            let attributes = MapView::new(&body).get(b"attributes").unwrap();
            assert!(removed(attributes).iter().any(|removed| removed == name), "{name}");
        }
    }
}

#[test]
fn a_span_without_content_is_left_alone() {
    let body = map(&[("attributes", map(&[("gen_ai.usage.input_tokens", vec![5])]))]);
    assert!(cleaned(&event(Some(map(&[("signal", text("span"))])), &body)).is_none());
    let metric = event(Some(map(&[("signal", text("metric"))])), &body);
    assert!(cleaned(&metric).is_none());
}

#[test]
fn a_log_of_messages_loses_its_body() {
    let otlp = map(&[("signal", text("log")), ("event_name", text("gen_ai.choice"))]);
    let log = event(Some(otlp), &map(&[("message", text("hush")), ("index", vec![0])]));
    let cleaned = cleaned(&log).unwrap();
    assert_eq!(cleaned.body, Some(vec![0x80]));
    let metadata = cleaned.metadata.unwrap();
    let otlp = MapView::new(&metadata).get(b"otlp").unwrap();
    assert_eq!(MapView::new(otlp).get(b"body").and_then(text_of), Some("none"));
    assert_eq!(removed(MapView::new(otlp).get(b"attributes").unwrap()), ["body"]);
}

#[test]
fn other_logs_lose_what_is_named_as_content() {
    let otlp = || map(&[("attributes", map(&[("gen_ai.input.messages", text("hush"))]))]);
    let mut number = Vec::new();
    int(&mut number, 7);
    let log = event(Some(otlp()), &number);
    let changed = cleaned(&log).unwrap();
    assert_eq!(changed.body, None);
    assert!(memchr::memmem::find(&changed.metadata.unwrap(), b"hush").is_none());

    let body = map(&[("log", text("x")), ("gen_ai.prompt", text("hush"))]);
    let changed = cleaned(&event(Some(otlp()), &body)).unwrap();
    let metadata = changed.metadata.unwrap();
    let otlp = MapView::new(&metadata).get(b"otlp").unwrap();
    assert_eq!(MapView::new(otlp).get(b"body").and_then(text_of), Some("kvlist"));

    let changed = cleaned(&event(None, &body)).unwrap();
    assert_eq!(keys(&changed.body.unwrap()), ["log", REMOVED]);
    assert!(cleaned(&event(None, &map(&[("log", text("x"))]))).is_none());

    // An ordinary log that got its place in a trace stays one.
    let placed = event(Some(map(&[("trace_id", text("x"))])), &body);
    let changed = cleaned(&placed).unwrap();
    assert!(changed.metadata.is_none());
    assert_eq!(keys(&changed.body.unwrap()), ["log", REMOVED]);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_cleaned_without_harm(
        metadata in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
        body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
        signal in 0_usize..4,
    ) {
        let word = ["span", "metric", "log", "none"][signal];
        let mut otlp = map(&[("signal", text(word))]);
        otlp.extend(metadata);
        let bytes = event(Some(otlp), &body);
        if let Some(Ok(event)) = Events::new(&bytes).next()
            && let Some(cleaned) = apply(
                ContentPolicy { content: ContentHandling::Drop, unlisted: Some(10) },
                &event,
                event.telemetry().as_ref(),
                &mut UnlistedTexts::default(),
            )
        {
            for map in [cleaned.metadata, cleaned.body].into_iter().flatten() {
                let mut reader = Reader::new(&map);
                proptest::prop_assert!(reader.skip().is_ok() && reader.is_empty());
            }
        }
    }
}

fn with(content: ContentHandling, bytes: &[u8]) -> Option<Cleaned> {
    let event = Events::new(bytes).next().unwrap().unwrap();
    let policy = ContentPolicy { content, unlisted: None };
    apply(policy, &event, event.telemetry().as_ref(), &mut UnlistedTexts::default())
}

fn span_with(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let otlp = map(&[("signal", text("span"))]);
    event(Some(otlp), &map(pairs))
}

#[test]
fn long_content_is_cut_and_short_content_stays() {
    let long = "\u{e4}".repeat(100);
    let attributes = map(&[
        ("gen_ai.input.messages", text(&long)),
        ("gen_ai.output.messages", text("short")),
        ("gen_ai.tool.definitions", list(&[text(&long)])),
    ]);
    let bytes = span_with(&[("attributes", attributes)]);
    let body = with(ContentHandling::Truncate(51), &bytes).unwrap().body.unwrap();
    let attributes = MapView::new(MapView::new(&body).get(b"attributes").unwrap());
    let text_at = |key: &[u8]| text_of(attributes.get(key).unwrap()).unwrap().to_owned();
    assert_eq!(text_at(b"gen_ai.input.messages"), "\u{e4}".repeat(25));
    assert_eq!(text_at(b"gen_ai.output.messages"), "short");
    assert!(attributes.get(b"gen_ai.tool.definitions").is_none());
    let names = attributes.get(TRUNCATED.as_bytes()).unwrap();
    assert_eq!(elements(names).count(), 2);
    assert!(with(ContentHandling::Truncate(1_000), &bytes).is_none());
}

#[test]
fn content_of_errors_is_kept() {
    let attributes = || ("attributes", map(&[("gen_ai.input.messages", text("x"))]));
    let errors_only =
        ContentHandling::Only(KeepContentWhen { errors: true, ..KeepContentWhen::default() });
    assert!(with(errors_only, &span_with(&[attributes()])).is_some());
    let status = ("status", map(&[("code", text("error"))]));
    assert!(with(errors_only, &span_with(&[attributes(), status])).is_none());
    for (level, kept) in [("ERROR", true), ("critical", true), ("info", false)] {
        let body = map(&[("level", text(level)), ("gen_ai.prompt", text("x"))]);
        let bytes = event(None, &body);
        assert_eq!(with(errors_only, &bytes).is_none(), kept, "{level}");
    }
}

fn only(findings: bool, percentage: f64) -> ContentHandling {
    let sample = Threshold::from_percentage(percentage);
    ContentHandling::Only(KeepContentWhen { findings, sample, ..KeepContentWhen::default() })
}

#[test]
fn content_of_items_with_findings_is_kept() {
    let prompt = ("gen_ai.prompt", text("x"));
    for (names, kept) in [(list(&[text("email")]), true), (list(&[]), false), (text(""), false)] {
        let pairs = [prompt.clone(), (FINDINGS, names)];
        let span = span_with(&[("attributes", map(&pairs))]);
        assert_eq!(with(only(true, 0.0), &span).is_none(), kept);
        let log = event(Some(map(&[("attributes", map(&pairs))])), &map(&[]));
        assert_eq!(with(only(true, 0.0), &log).is_none(), kept);
        let plain = event(None, &map(&pairs));
        assert_eq!(with(only(true, 0.0), &plain).is_none(), kept);
        let placed = event(Some(map(&[("trace_id", text("x"))])), &map(&pairs));
        assert_eq!(with(only(true, 0.0), &placed).is_none(), kept);
        assert!(with(only(false, 0.0), &plain).is_some());
    }
}

/// Guarantees: an endpoint that goes by hints gets content where a policy said so, and where another reason holds and
/// no policy said the contrary; other endpoints do not look at hints.
#[test]
fn content_goes_by_hints() {
    let prompt = ("gen_ai.prompt", text("x"));
    let span = map(&[("attributes", map(std::slice::from_ref(&prompt)))]);
    let with_hint = |hint: Option<&str>| {
        let mut otlp = vec![("signal", text("span"))];
        otlp.extend(hint.map(|hint| ("content", text(hint))));
        event(Some(map(&otlp)), &span)
    };
    let hinted = KeepContentWhen { hinted: true, ..KeepContentWhen::default() };
    let all = Threshold::from_percentage(100.0);
    let or_sampled = KeepContentWhen { sample: all, ..hinted };
    let unhinted = KeepContentWhen { sample: all, ..KeepContentWhen::default() };
    for (reasons, hint, kept) in [
        (hinted, Some("keep"), true),
        (hinted, Some("drop"), false),
        (hinted, None, false),
        (hinted, Some("other"), false),
        (or_sampled, None, true),
        (or_sampled, Some("drop"), false),
        (unhinted, Some("drop"), true),
    ] {
        let item = with_hint(hint);
        let is_whole = with(ContentHandling::Only(reasons), &item).is_none();
        assert_eq!(is_whole, kept, "{reasons:?} {hint:?}");
    }
}

#[test]
fn a_percentage_of_content_goes_by_traces() {
    let (low, high) = ("0".repeat(18) + "7fffffffffffff", "0".repeat(18) + "80000000000000");
    let prompt = ("gen_ai.prompt", text("x"));
    let attributes = ("attributes", map(std::slice::from_ref(&prompt)));
    for (id, kept) in [(&low, false), (&high, true)] {
        let span = span_with(&[("trace_id", text(id)), attributes.clone()]);
        assert_eq!(with(only(false, 50.0), &span).is_none(), kept, "{id}");
        assert!(with(only(false, 100.0), &span).is_none());
        // What the trace state says counts more than the id.
        let state = ("trace_state", text("ot=rv:80000000000000"));
        let span = span_with(&[("trace_id", text(id)), state, attributes.clone()]);
        assert!(with(only(false, 50.0), &span).is_none());
        let otlp = map(&[("trace_id", text(id)), attributes.clone()]);
        assert_eq!(with(only(false, 50.0), &event(Some(otlp), &[0x80])).is_none(), kept);
        let plain = event(None, &map(&[("traceId", text(id)), prompt.clone()]));
        assert_eq!(with(only(false, 50.0), &plain).is_none(), kept, "{id}");
    }
    // Without a trace each item decides for itself, always the same way.
    let plain = |n: i64| {
        let mut number = Vec::new();
        int(&mut number, n);
        event(None, &map(&[prompt.clone(), ("n", number)]))
    };
    let kept = |n: &i64| with(only(false, 25.0), &plain(*n)).is_none();
    let once: Vec<i64> = (0..1000).filter(kept).collect();
    assert!((180..320).contains(&once.len()), "{}", once.len());
    assert_eq!(once, (0..1000).filter(kept).collect::<Vec<_>>());
}
