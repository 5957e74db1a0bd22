//! Ordinary logs with accessors that say where the body and the fields are.

use fluent_bit_ai::codec::fluentbit::{LogAccessors, plain_log};
use fluent_bit_ai::codec::msgpack::Accessor;
use fluent_bit_ai::codec::records::Events;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value, json};

use crate::build::{bin, list, map, s, u};
use crate::plain::{event, read_with};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const OTHER: &str = "11111111111111111111111111111111";
const SPAN: &str = "b7ad6b7169203331";

/// Accessors by the names of their options, without `logs_` and `_key`.
fn accessors(given: &[(&str, &str)]) -> LogAccessors {
    let mut all = LogAccessors::default();
    for (name, text) in given {
        let accessor = || Accessor::parse(text).unwrap();
        let places = match name.rsplit_once('_').map_or(*name, |(field, _)| field) {
            "timestamp" => &mut all.timestamp,
            "observed_timestamp" => &mut all.observed_timestamp,
            "severity_text" => &mut all.severity_text,
            "severity_number" => &mut all.severity_number,
            "trace_id" => &mut all.trace_id,
            "span_id" => &mut all.span_id,
            "trace_flags" => &mut all.trace_flags,
            "attributes" => {
                all.attributes = Some(accessor());
                continue;
            }
            "body" => {
                all.body.push(accessor());
                continue;
            }
            other => panic!("{other}"),
        };
        match name.rsplit_once('_').unwrap().1 {
            "metadata" => places.metadata = Some(accessor()),
            _ => places.message = Some(accessor()),
        }
    }
    all
}

fn shown(accessors: &LogAccessors, metadata: &Value, body: &Value) -> Value {
    let chunk = event(metadata, body);
    let event = Events::new(&chunk).next().unwrap().unwrap();
    read_with(&event, accessors)
}

/// Metadata, body, and what comes of them.
type Case = (Value, Value, Value);

fn check(given: &[(&str, &str)], cases: &[Case]) {
    for (metadata, body, wanted) in cases {
        let found = shown(&accessors(given), metadata, body);
        assert_eq!(found, *wanted, "{given:?} {metadata} {body}");
    }
}

#[test]
fn the_first_body_that_is_there_counts_whatever_its_type() {
    let given = [("body", "$a['b']"), ("body", "text"), ("body", "$list[1]")];
    check(
        &given,
        &[
            (
                json!({}),
                json!({"a": {"b": 5, "c": 6}, "text": "t", "log": "l"}),
                json!({"body": 5, "attributes": {"a": {"c": 6}, "text": "t", "log": "l"}}),
            ),
            (
                json!({}),
                json!({"a": {"b": {"x": [1]}}, "n": 1}),
                json!({"body": {"x": [1]}, "attributes": {"n": 1}}),
            ),
            (
                json!({"m": 1}),
                json!({"a": {"b": null}, "text": ""}),
                json!({"body": "", "attributes": {"m": 1, "a": {"b": null}}}),
            ),
            // What is taken out of a list stays in it.
            (
                json!({}),
                json!({"list": [1, {"x": 2}]}),
                json!({"body": {"x": 2}, "attributes": {"list": [1, {"x": 2}]}}),
            ),
            // None is there: as without accessors.
            (json!({}), json!({"log": "l", "n": 1}), json!({"body": "l", "attributes": {"n": 1}})),
            (json!({}), json!({"a": {"c": 1}}), json!({"body": {"a": {"c": 1}}})),
        ],
    );
}

#[test]
fn what_is_beside_the_body_may_be_left_out() {
    let mut accessors = accessors(&[("body", "$text")]);
    accessors.body_attributes = false;
    for (body, wanted) in [
        (json!({"text": "t", "n": 1, "level": "warn"}), json!("t")),
        (json!({"log": "l", "n": 1, "level": "warn"}), json!("l")),
    ] {
        let found = shown(&accessors, &json!({"m": 1}), &body);
        let wanted = json!({"body": wanted, "attributes": {"m": 1}, "severity": 13,
                            "severity_text": "warn"});
        assert_eq!(found, wanted);
    }
    let whole = shown(&accessors, &json!({}), &json!({"n": 1, "x": 2}));
    assert_eq!(whole, json!({"body": {"n": 1, "x": 2}}));
}

#[test]
fn times_are_integers_or_digits() {
    check(
        &[("timestamp_message", "$t['at']"), ("observed_timestamp_message", "$seen")],
        &[
            (
                json!({"Timestamp": 11, "ObservedTimestamp": "12"}),
                json!({"log": "x", "t": {"at": 13}, "seen": 12}),
                json!({"body": "x", "time": 11, "observed": 12, "attributes": {"t": {"at": 13}}}),
            ),
            (
                json!({"Timestamp": 1.5, "ObservedTimestamp": -1}),
                json!({"log": "x", "t": {"at": "13", "in": "UTC"}, "seen": 14}),
                json!({"body": "x", "time": 13, "observed": 14, "attributes": {
                       "Timestamp": 1.5, "ObservedTimestamp": -1, "t": {"in": "UTC"}}}),
            ),
            (
                json!({}),
                json!({"t": {"at": "+13"}, "seen": 0}),
                json!({"body": {"t": {"at": "+13"}, "seen": 0}}),
            ),
            (json!({}), json!({"t": {"at": 9}, "n": 1}), json!({"time": 9, "body": {"n": 1}})),
        ],
    );
    // By default they are in the metadata, as for Fluent Bit's own output.
    check(
        &[],
        &[
            (
                json!({"Timestamp": 11, "ObservedTimestamp": 12}),
                json!({"log": "x", "Timestamp": 13}),
                json!({"body": "x", "time": 11, "observed": 12, "attributes": {"Timestamp": 13}}),
            ),
            (
                json!({}),
                json!({"log": "x", "ObservedTimestamp": 13}),
                json!({"body": "x", "attributes": {"ObservedTimestamp": 13}}),
            ),
        ],
    );
}

#[test]
fn severities_outrank_the_common_keys() {
    let text = [("severity_text_metadata", "$sev"), ("severity_text_message", "$x['sev']")];
    check(
        &text,
        &[
            (
                json!({"sev": "warning"}),
                json!({"log": "x", "x": {"sev": "error"}, "level": "debug"}),
                json!({"body": "x", "severity": 13, "severity_text": "warning",
                       "attributes": {"x": {"sev": "error"}, "level": "debug"}}),
            ),
            (
                json!({"sev": 4}),
                json!({"log": "x", "x": {"sev": "Whoops, a long text that is no common name"}}),
                json!({"body": "x", "attributes": {"sev": 4},
                       "severity_text": "Whoops, a long text that is no common name"}),
            ),
            (
                json!({}),
                json!({"log": "x", "x": {"sev": "error"}, "level": "error"}),
                json!({"body": "x", "severity": 17, "severity_text": "error"}),
            ),
            (
                json!({}),
                json!({"log": "x", "x": {"sev": ""}, "level": "error"}),
                json!({"body": "x", "severity": 17, "severity_text": "error",
                       "attributes": {"x": {"sev": ""}}}),
            ),
        ],
    );
    let number = [("severity_number_metadata", "$num"), ("severity_number_message", "$lvl")];
    check(
        &number,
        &[
            (
                json!({"num": 10}),
                json!({"log": "x", "level": "error", "SeverityNumber": 5, "lvl": 10}),
                json!({"body": "x", "severity": 10, "severity_text": "error",
                       "attributes": {"SeverityNumber": 5}}),
            ),
            (json!({}), json!({"log": "x", "lvl": "21"}), json!({"body": "x", "severity": 21})),
            // Another scale: what the number was is still said.
            (
                json!({}),
                json!({"log": "x", "lvl": 40}),
                json!({"body": "x", "severity": 13, "attributes": {"lvl": 40}}),
            ),
            (
                json!({"num": "high"}),
                json!({"log": "x", "lvl": 1000, "SeverityNumber": 5}),
                json!({"body": "x", "severity": 5, "attributes": {"num": "high", "lvl": 1000}}),
            ),
        ],
    );
}

#[test]
fn ids_outrank_the_common_keys() {
    let given = [
        ("trace_id_metadata", "$ids['t']"),
        ("trace_id_message", "$req['t']"),
        ("span_id_message", "$req['s']"),
        ("trace_flags_message", "$req['f']"),
    ];
    check(
        &given,
        &[
            (
                json!({"ids": {"t": TRACE}}),
                json!({"log": "x", "req": {"t": OTHER, "s": SPAN, "f": 257}, "trace_id": OTHER}),
                json!({"body": "x", "trace": TRACE, "span": SPAN, "flags": 257,
                       "attributes": {"req": {"t": OTHER}, "trace_id": OTHER}}),
            ),
            // The same id in another place is said once, and the span may be where it mostly is.
            (
                json!({"trace_id": TRACE}),
                json!({"log": "x", "req": {"t": TRACE.to_uppercase()}, "span_id": SPAN,
                       "context": {"trace_id": TRACE, "k": 1}}),
                json!({"body": "x", "trace": TRACE, "span": SPAN,
                       "attributes": {"context": {"k": 1}}}),
            ),
            // Values of no such form stay.
            (
                json!({"ids": {"t": "0".repeat(32)}}),
                json!({"log": "x", "req": {"t": "77", "s": 7, "f": "01"}, "trace_id": TRACE,
                       "trace_flags": 1}),
                json!({"body": "x", "trace": TRACE, "flags": 1, "attributes": {
                       "ids": {"t": "0".repeat(32)}, "req": {"t": "77", "s": 7, "f": "01"}}}),
            ),
            // Without text the body is the map, less what moved.
            (
                json!({}),
                json!({"req": {"t": TRACE, "s": SPAN}, "n": {"m": 1}}),
                json!({"body": {"n": {"m": 1}}, "trace": TRACE, "span": SPAN}),
            ),
            (
                json!({}),
                json!({"req": {"f": 1, "s": SPAN}, "trace_flags": 0, "log": "x"}),
                json!({"body": "x", "span": SPAN, "flags": 1, "attributes": {"trace_flags": 0}}),
            ),
        ],
    );
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let body = json!({"log": "x", "req": {"f": 3}, "traceparent": parent});
    let found = shown(&accessors(&given), &json!({}), &body);
    let wanted =
        json!({"body": "x", "trace": TRACE, "flags": 3, "attributes": {"traceparent": parent}});
    assert_eq!(found, wanted);
}

#[test]
fn raw_ids_in_lists_and_bodies_are_read() {
    let given = [("trace_id_message", "$ids[0]"), ("span_id_message", "$ids[1]")];
    let body = map(&[("ids", list(&[bin(&[1; 16]), bin(&[2; 8])])), ("log", s("x"))]);
    let chunk = list(&[u(1), body]);
    let event = Events::new(&chunk).next().unwrap().unwrap();
    let found = read_with(&event, &accessors(&given));
    let ids = json!([{"bytes": vec![1; 16]}, {"bytes": vec![2; 8]}]);
    let wanted = json!({"body": "x", "trace": "01".repeat(16), "span": "02".repeat(8),
                        "attributes": {"ids": ids}});
    assert_eq!(found, wanted);
    // A body that has the id in it, and a text that became the severity.
    check(
        &[("body", "$a"), ("trace_id_message", "$a['b']['t']"), ("severity_text_message", "$log")],
        &[
            (
                json!({}),
                json!({"a": {"b": {"t": TRACE}, "c": 1}, "log": "odd"}),
                json!({"body": {"c": 1}, "trace": TRACE, "severity_text": "odd"}),
            ),
            (
                json!({}),
                json!({"msg": "m", "log": "odd"}),
                json!({"body": "m", "severity_text": "odd"}),
            ),
        ],
    );
    check(
        &[("body", "$context")],
        &[(
            json!({}),
            json!({"context": {"trace_id": TRACE, "k": 1}}),
            json!({"body": {"k": 1}, "trace": TRACE}),
        )],
    );
}

#[test]
fn attributes_in_the_metadata_become_attributes_one_by_one() {
    check(
        &[],
        &[
            (
                json!({"Attributes": {"a": 1, "b": {"c": 2}}, "m": 3}),
                json!({"log": "x", "Attributes": {"d": 4}}),
                json!({"body": "x", "attributes": {"a": 1, "b": {"c": 2}, "m": 3,
                       "Attributes": {"d": 4}}}),
            ),
            (
                json!({"Attributes": [1]}),
                json!({"log": "x"}),
                json!({"body": "x", "attributes": {"Attributes": [1]}}),
            ),
        ],
    );
    check(
        &[
            ("attributes_metadata", "$more['here']"),
            ("span_id_metadata", "$more['here']['s']['p']"),
        ],
        &[(
            json!({"more": {"here": {"s": {"p": SPAN}, "a": 1}, "b": 2}, "Attributes": {"c": 3}}),
            json!({"log": "x"}),
            json!({"body": "x", "span": SPAN,
                   "attributes": {"a": 1, "more": {"b": 2}, "Attributes": {"c": 3}}}),
        )],
    );
}

/// Scenario: the keys that Fluent Bit's own output looks for unless told otherwise. Guarantees: they
/// are found without any option, in the metadata and in the record.
#[test]
fn the_default_keys_of_fluent_bits_output_are_known() {
    let keys = json!({"SeverityText": "odd", "SeverityNumber": 3, "TraceId": TRACE, "SpanId": SPAN,
                      "TraceFlags": 1});
    let wanted = json!({"body": "x", "severity": 3, "severity_text": "odd", "trace": TRACE,
                        "span": SPAN, "flags": 1});
    let mut body = keys.clone();
    body.as_object_mut().unwrap().insert("log".to_owned(), json!("x"));
    check(&[], &[(keys, json!({"log": "x"}), wanted.clone()), (json!({}), body, wanted)]);
}

/// Maps whose leaves are yet to be told apart.
fn tree() -> impl Strategy<Value = Value> {
    let map = |inner: BoxedStrategy<Value>| {
        proptest::collection::btree_map("[abc]", inner, 0..4)
            .prop_map(|map| map.into_iter().collect::<Value>())
    };
    let leaf = any::<bool>().prop_map(Value::Bool).boxed();
    map(leaf.prop_recursive(3, 20, 4, map).boxed())
}

/// Gives each leaf a value of its own: an integer or text.
fn number(value: &mut Value, count: &mut u64, leaves: &mut Vec<String>) {
    if let Value::Object(map) = value {
        map.values_mut().for_each(|inner| number(inner, count, leaves));
        return;
    }
    *count += 1;
    *value = if *value == json!(true) { json!(count) } else { json!(format!("s{count}")) };
    leaves.push(format!("{value}"));
}

fn path() -> impl Strategy<Value = Option<Accessor>> {
    let path = proptest::collection::vec("\\['[abc]'\\]", 1..4);
    proptest::option::of(path.prop_map(|parts| Accessor::parse(&parts.concat()).unwrap()))
}

fn collect(any: Option<&AnyValue>, leaves: &mut Vec<String>) {
    match any.and_then(|any| any.value.as_ref()) {
        None => {}
        Some(Any::StringValue(text)) => leaves.push(format!("{text:?}")),
        Some(Any::IntValue(number)) => leaves.push(number.to_string()),
        Some(Any::KvlistValue(list)) => collect_pairs(&list.values, leaves),
        other => panic!("{other:?}"),
    }
}

fn collect_pairs(pairs: &[KeyValue], leaves: &mut Vec<String>) {
    pairs.iter().for_each(|pair| collect(pair.value.as_ref(), leaves));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Scenario: maps and accessors of any shape. Guarantees: every leaf is in the body or the
    /// attributes once, or in a field and not there.
    #[test]
    fn nothing_is_lost_and_nothing_is_said_twice(
        mut metadata in tree(),
        mut body in tree(),
        places in proptest::collection::vec(path(), 9),
    ) {
        // Above every scale of severities.
        let (mut count, mut leaves) = (1_000, Vec::new());
        number(&mut metadata, &mut count, &mut leaves);
        number(&mut body, &mut count, &mut leaves);
        let mut accessors = LogAccessors::default();
        let [body_key, attributes, a, b, c, d, e, f, g] = <[_; 9]>::try_from(places).unwrap();
        accessors.body.extend(body_key);
        accessors.attributes = attributes;
        (accessors.timestamp.metadata, accessors.timestamp.message) = (a, b);
        (accessors.severity_text.metadata, accessors.severity_text.message) = (c, d);
        (accessors.trace_flags.metadata, accessors.trace_flags.message) = (e, f);
        accessors.observed_timestamp.message = g;
        let chunk = event(&metadata, &body);
        let event = Events::new(&chunk).next().unwrap().unwrap();
        let record = LogRecord::decode(&plain_log(&event, b"", 7, &accessors).record[..]).unwrap();
        let fields = [
            record.time_unix_nano.to_string(),
            record.observed_time_unix_nano.to_string(),
            record.flags.to_string(),
            format!("{:?}", record.severity_text),
        ];
        let mut found = Vec::new();
        collect(record.body.as_ref(), &mut found);
        // One value may be asked for as the body and for a field.
        if found.len() == 1 && accessors.body.iter().any(|body| body.find(event.body).is_some()) {
            found.retain(|leaf| !fields.contains(leaf));
        }
        collect_pairs(&record.attributes, &mut found);
        leaves.retain(|leaf| !fields.contains(leaf));
        leaves.sort();
        found.sort();
        prop_assert_eq!(found, leaves);
    }
}
