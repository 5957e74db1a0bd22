use super::*;
use crate::codec::msgpack::{array_header, ext, f64, int, map_header, str};
use crate::codec::records::Events;

fn entry(out: &mut Vec<u8>, key: &str, value: &str) {
    str(out, key);
    str(out, value);
}

fn event(metadata: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    array_header(&mut out, 2);
    array_header(&mut out, 2);
    ext(&mut out, 0, &[0, 0, 0, 9, 0, 0, 0, 0]);
    out.extend_from_slice(metadata);
    out.extend_from_slice(body);
    out
}

fn metadata(signal: &str) -> Vec<u8> {
    let mut out = Vec::new();
    map_header(&mut out, 1);
    str(&mut out, "otlp");
    map_header(&mut out, 3);
    entry(&mut out, "signal", signal);
    str(&mut out, "resource");
    map_header(&mut out, 1);
    str(&mut out, "attributes");
    map_header(&mut out, 1);
    entry(&mut out, "service.name", "shop");
    str(&mut out, "scope");
    map_header(&mut out, 1);
    entry(&mut out, "name", "lib");
    out
}

fn span(name: &str, parent: Option<&str>, times: (i64, i64), error: bool) -> Vec<u8> {
    let mut body = Vec::new();
    map_header(&mut body, 5 + u32::from(parent.is_some()) + u32::from(error));
    entry(&mut body, "name", name);
    entry(&mut body, "kind", "client");
    str(&mut body, "start_time_unix_nano");
    int(&mut body, times.0);
    str(&mut body, "end_time_unix_nano");
    int(&mut body, times.1);
    str(&mut body, "attributes");
    map_header(&mut body, 3);
    entry(&mut body, "gen_ai.operation.name", "chat");
    str(&mut body, "tokens");
    int(&mut body, 42);
    str(&mut body, "list");
    array_header(&mut body, 2);
    f64(&mut body, 0.5);
    map_header(&mut body, 1);
    entry(&mut body, "deep", "value");
    if let Some(parent) = parent {
        entry(&mut body, "parent_span_id", parent);
    }
    if error {
        str(&mut body, "status");
        map_header(&mut body, 1);
        entry(&mut body, "code", "error");
    }
    event(&metadata("span"), &body)
}

fn record(bytes: &[u8]) -> ConditionRecord<'_> {
    let event = Events::new(bytes).next().unwrap().unwrap();
    ConditionRecord::new(event, event.telemetry(), b"app.one")
}

fn ask(text: &str, bytes: &[u8]) -> Result<bool, ConditionError> {
    Condition::compile(text).unwrap().evaluate(&ConditionSubject::One(&record(bytes)))
}

#[test]
fn every_variable_of_a_span_can_be_asked() {
    let span = span("chat gpt", None, (1_000_000, 3_500_000), true);
    for text in [
        "signal == 'span'",
        "name.startsWith('chat')",
        "kind == 'client' && status == 'error'",
        "duration_ms == 2.5 && duration_ms > 2",
        "'gen_ai.operation.name' in attributes && attributes['tokens'] >= 42",
        "attributes['list'][0] < 1.0 && attributes.list[1].deep == 'value'",
        "attributes['list'] == [0.5, {'deep': 'value'}]",
        "attributes.exists(key, key.startsWith('gen_ai.'))",
        "size(attributes) == 3 && !('x' in attributes)",
        "attributes == {'gen_ai.operation.name': 'chat', 'tokens': 42, 'list': attributes.list}",
        "resource['service.name'].matches('^sh.p$')",
        "scope.name == 'lib' && !has(scope.version)",
        "tag == 'app.one' && severity == 0 && body == null",
        "has(attributes.tokens) ? true : false",
        "type(attributes.tokens) == int",
    ] {
        assert_eq!(ask(text, &span), Ok(true), "{text}");
    }
}

#[test]
fn logs_show_body_and_severity() {
    let mut meta = Vec::new();
    map_header(&mut meta, 1);
    str(&mut meta, "otlp");
    map_header(&mut meta, 2);
    str(&mut meta, "severity_number");
    int(&mut meta, 17);
    entry(&mut meta, "event_name", "gen_ai.choice");
    let mut body = Vec::new();
    map_header(&mut body, 1);
    entry(&mut body, "log", "oops");
    let log = event(&meta, &body);
    assert_eq!(ask("signal == 'log' && body == 'oops' && severity >= 17", &log), Ok(true));
    assert_eq!(ask("name == 'gen_ai.choice'", &log), Ok(true));

    let mut meta = Vec::new();
    map_header(&mut meta, 1);
    str(&mut meta, "otlp");
    map_header(&mut meta, 1);
    entry(&mut meta, "body_key", "said");
    let mut under = Vec::new();
    map_header(&mut under, 1);
    entry(&mut under, "said", "oops");
    assert_eq!(ask("body == 'oops'", &event(&meta, &under)), Ok(true));
    assert_eq!(ask("body.log == 'oops'", &event(&meta, &body)), Ok(true));

    let mut body = Vec::new();
    map_header(&mut body, 2);
    entry(&mut body, "level", "Warning");
    entry(&mut body, "msg", "hm");
    let plain = event(&[0x80], &body);
    assert_eq!(ask("body.msg == 'hm' && severity == 13 && signal == 'log'", &plain), Ok(true));
}

#[test]
fn a_metric_shows_its_first_point() {
    let mut body = Vec::new();
    map_header(&mut body, 2);
    entry(&mut body, "name", "m");
    str(&mut body, "sum");
    map_header(&mut body, 1);
    str(&mut body, "data_points");
    array_header(&mut body, 1);
    map_header(&mut body, 1);
    str(&mut body, "attributes");
    map_header(&mut body, 1);
    entry(&mut body, "k", "v");
    let metric = event(&metadata("metric"), &body);
    assert_eq!(
        ask("signal == 'metric' && kind == 'sum' && attributes.k == 'v'", &metric),
        Ok(true)
    );
}

#[test]
fn a_trace_has_spans_errors_and_a_root() {
    let spans = [
        span("child", Some("aa"), (2_000_000, 9_000_000), true),
        span("root", None, (1_000_000, 4_000_000), false),
    ];
    let records: Vec<ConditionRecord<'_>> = spans.iter().map(|bytes| record(bytes)).collect();
    let ask = |text: &str| {
        Condition::compile(text)
            .unwrap()
            .evaluate(&ConditionSubject::Trace(&records, ErrorRule::Status))
    };
    for text in [
        "signal == 'trace' && errors == 1 && size(spans) == 2",
        "root.name == 'root' && name == 'root' && status == 'unset'",
        "duration_ms == 8.0",
        "spans.exists(s, s.status == 'error' && s.attributes.tokens == 42)",
        "spans.filter(s, s.duration_ms > 5).size() == 1",
        "resource['service.name'] == 'shop'",
    ] {
        assert_eq!(ask(text), Ok(true), "{text}");
    }
    let orphans = [records[0].clone()];
    let no_root = Condition::compile("!has(root.name) && name == 'child'").unwrap();
    assert_eq!(no_root.evaluate(&ConditionSubject::Trace(&orphans, ErrorRule::Status)), Ok(true));
    assert!(no_root.needs_trace());
}

#[test]
fn a_missing_key_is_an_error_and_not_a_no() {
    let span = span("x", None, (0, 0), false);
    let error = ask("attributes['nope'] == 1", &span).unwrap_err();
    assert_eq!(error.to_string(), "No such key: nope");
    assert_eq!(ask("'nope' in attributes && attributes['nope'] == 1", &span), Ok(false));
    assert!(matches!(
        ask("attributes.tokens + 'x' == 'y'", &span),
        Err(ConditionError::Evaluate(_))
    ));
    assert!(matches!(ask("attributes.tokens", &span), Err(ConditionError::NotBool(_))));
    assert!(matches!(ask("errors > 0", &span), Err(ConditionError::Evaluate(_))));
}

#[test]
fn what_does_not_compile_says_where_and_what() {
    let message = |text: &str| Condition::compile(text).unwrap_err().to_string();
    assert!(message("signal == 'span' &&").contains("line 1, column"), "{}", message("a &&"));
    let unknown = message("signal == 'span' &&\n foo.bar == 1");
    assert!(
        unknown.contains("line 2, column 2: unknown variable 'foo'; known: signal"),
        "{unknown}"
    );
    let unknown = message("lower(name) == 'x'");
    assert!(unknown.contains("no function 'lower'") && unknown.contains("line 1"), "{unknown}");
    assert!(message("spans.exists(s, t.name == 'x')").contains("'t'"));
    assert!(message("Foo{a: 1} == 1").contains("Foo"));
    for hostile in ["(", "!", "-", "[", "{", "true?", "a(", "[1].map(x,", "x.y[", "'", "a&&(", "a."]
    {
        let message = message(&hostile.repeat(1_000));
        assert!(!message.is_empty(), "{hostile}");
    }
    let chain = vec!["name == 'x'"; 100].join(" && ");
    assert!(Condition::compile(&chain).is_ok());
    let deep = format!("{}name == 'x'{}", "(".repeat(10), ")".repeat(10));
    assert!(Condition::compile(&deep).is_ok());
    assert!(Condition::compile("").is_err());
}

#[test]
fn conditions_are_shared_between_threads() {
    const fn shared<T: Send + Sync>() {}
    shared::<Condition>();
}

#[test]
fn broken_records_give_no_panic() {
    let bytes = event(&[0x81, 0xa4, b'o', b't', b'l', b'p', 0x01], &[0xc0]);
    for text in ["attributes.x == 1", "body.x == 1", "duration_ms > 1.0", "severity > 1"] {
        assert_ne!(ask(text, &bytes), Ok(true), "{text}");
    }
    let deep = event(&metadata("log"), &[&[0x91; 5000][..], &[0x01]].concat());
    assert_eq!(ask("size(body) == 1", &deep), Ok(true));
}

/// A span with everything that expressions may ask of it beside its attributes.
fn rich_span() -> Vec<u8> {
    let mut body = Vec::new();
    map_header(&mut body, 6);
    entry(&mut body, "name", "chat");
    entry(&mut body, "trace_state", "ot=th:8,tier=gold");
    str(&mut body, "flags");
    int(&mut body, 257);
    str(&mut body, "attributes");
    map_header(&mut body, 1);
    entry(&mut body, "k", "v");
    str(&mut body, "events");
    array_header(&mut body, 2);
    map_header(&mut body, 3);
    entry(&mut body, "name", "exception");
    str(&mut body, "time_unix_nano");
    int(&mut body, 7);
    str(&mut body, "attributes");
    map_header(&mut body, 1);
    entry(&mut body, "exception.type", "Timeout");
    map_header(&mut body, 0);
    str(&mut body, "links");
    array_header(&mut body, 1);
    map_header(&mut body, 2);
    entry(&mut body, "trace_id", "0af7651916cd43dd8448eb211c80319c");
    str(&mut body, "flags");
    int(&mut body, 1);
    event(&metadata("span"), &body)
}

#[test]
fn events_links_state_and_flags_can_be_asked() {
    let rich = rich_span();
    for text in [
        "size(events) == 2 && events[0].name == 'exception' && events[0].time_unix_nano == 7",
        "events.exists(e, e.attributes['exception.type'] == 'Timeout')",
        "events[1].name == '' && size(events[1].attributes) == 0",
        "events[1].dropped_attributes_count == 0",
        "links.all(l, l.trace_id.startsWith('0af7') && l.span_id == '' && l.flags == 1)",
        "links[0].trace_state == '' && size(links[0].attributes) == 0",
        "trace_state.matches('(^|,)tier=gold(,|$)') && flags == 257 && flags % 2 == 1",
    ] {
        assert_eq!(ask(text, &rich), Ok(true), "{text}");
        let records = [record(&rich)];
        let whole = Condition::compile(text).unwrap();
        let trace = whole.evaluate(&ConditionSubject::Trace(&records, ErrorRule::Status));
        assert_eq!(trace, Ok(true), "of the root: {text}");
        let in_spans = "spans.exists(s, size(s.events) == 2 && s.trace_state != '' && s.flags > 0)";
        let whole = Condition::compile(in_spans).unwrap();
        assert_eq!(whole.evaluate(&ConditionSubject::Trace(&records, ErrorRule::Status)), Ok(true));
    }
    let bare = span("chat", None, (0, 0), false);
    let text = "size(events) == 0 && size(links) == 0 && trace_state == '' && flags == 0";
    assert_eq!(ask(text, &bare), Ok(true));
    assert_eq!(
        ask(text, &event(&[0x80], &[0x81, 0xa6, b'e', b'v', b'e', b'n', b't', b's', 0x05])),
        Ok(true)
    );
}

#[test]
fn what_counts_as_an_error_is_the_caller_s_rule() {
    let spans = [span("a", None, (0, 1), true), rich_span(), span("b", Some("x"), (0, 1), false)];
    let records: Vec<ConditionRecord<'_>> = spans.iter().map(|bytes| record(bytes)).collect();
    let errors = |number: i64, rule| {
        let condition = Condition::compile(&format!("errors == {number}")).unwrap();
        condition.evaluate(&ConditionSubject::Trace(&records, rule))
    };
    assert_eq!(errors(1, ErrorRule::Status), Ok(true));
    assert_eq!(errors(2, ErrorRule::Any), Ok(true));
}

/// Guarantees: what can never be true or false does not compile, and says where and why; what may be
/// does.
#[test]
fn what_is_never_true_or_false_does_not_compile() {
    for (text, message) in [
        ("1", "line 1, column 1: the condition gives a value of type int"),
        ("'true'", "type string"),
        ("null", "type null"),
        ("name", "type string"),
        ("attributes", "type map"),
        ("events", "type list"),
        ("[1, 2]", "type list"),
        ("{'a': true}", "type map"),
        ("size(spans)", "type int"),
        ("duration_ms + 1.0", "type double"),
        ("attributes.a + attributes.b", "type number or text"),
        ("attributes.a * 2", "type number"),
        ("-attributes.a", "type number"),
        ("string(attributes.a)", "type string"),
        ("type(attributes.a)", "type type"),
        ("dyn(5)", "type int"),
        ("int", "type type"),
        ("attributes.map(k, k)", "type list"),
        ("attributes.filter(k, true)", "type list"),
        ("has(attributes.a) ? 1 : 2", "type int"),
        (
            "has(attributes.a) ? true : 'no'",
            "column 28: the condition gives a value of type string",
        ),
        ("signal == 'span' && name", "a side of && gives a value of type string"),
        ("errors || true", "a side of || gives a value of type int"),
        ("!duration_ms", "what ! negates gives a value of type double"),
        ("severity ? true : false", "what stands before ? gives a value of type int"),
        ("spans.exists(s, 5)", "the test of this macro gives a value of type int"),
        ("spans.all(s, 'x' + s.name)", "the test of this macro"),
        ("spans.exists_one(s, size(spans))", "the test of this macro"),
        ("size(spans.filter(s, 1)) > 0", "the test of this macro"),
        ("(name && true) == true", "a side of && gives"),
    ] {
        let Err(ConditionError::Compile(problem)) = Condition::compile(text) else {
            panic!("{text} compiles");
        };
        assert!(
            problem.contains(message) && problem.contains("not true or false"),
            "{text}: {problem}"
        );
    }
    for text in [
        "true",
        "attributes.flag",
        "attributes['flag'] && !attributes.other",
        "body",
        "dyn(attributes.flag)",
        "has(attributes.a) ? attributes.a : false",
        "attributes.flag == 1 || bool(attributes.text)",
        "spans.exists(s, s.attributes.flag)",
        "spans.exists_one(s, s.name == 'x')",
        "spans.map(s, s.name).exists(n, n == 'x')",
        "attributes.list[0]",
        "'a' in attributes",
        "spans.exists(name, name.attributes.flag)",
    ] {
        assert!(Condition::compile(text).is_ok(), "{text}: {:?}", Condition::compile(text));
    }
}

/// Guarantees: each way to have no answer has its kind, and no value of the item is in its words.
#[test]
fn no_answer_has_a_kind_and_words_without_content() {
    let span = span("secret", None, (0, 1), false);
    for (text, kind, message) in [
        ("attributes.x == 1", NoAnswer::NoSuchKey, "No such key: x"),
        ("attributes.tokens > 'a'", NoAnswer::WrongType, ""),
        ("attributes['gen_ai.operation.name'] + 1 == 5", NoAnswer::WrongType, ""),
        ("name.startsWith(attributes.tokens)", NoAnswer::WrongType, ""),
        ("attributes.tokens", NoAnswer::NotBool, "a value of type int"),
        ("attributes.tokens / 0 == 1", NoAnswer::Other, "a division by zero"),
        ("attributes.list[7] == 1", NoAnswer::Other, "beyond the end"),
    ] {
        let error = ask(text, &span).unwrap_err();
        assert_eq!(error.kind(), kind, "{text}: {error:?}");
        let reason = error.reason();
        assert!(reason.contains(message) && !reason.is_empty(), "{text}: {reason}");
        for content in ["secret", "chat", "42"] {
            assert!(!reason.contains(content), "{text}: {reason}");
        }
    }
    let long = "x".repeat(5000);
    let error = ask(&format!("attributes['{long}'] == 1"), &span).unwrap_err();
    assert_eq!(error.reason().chars().count(), 200);
}
