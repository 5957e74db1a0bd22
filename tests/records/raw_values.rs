//! Values that msgpack cannot express: their place beside the record, and back.

use fluent_bit_ai::codec::msgpack::{self, MapView};
use fluent_bit_ai::codec::records::{Event, Events, RequestBuilder, edit};
use fluent_bit_ai::codec::wire;
use fluent_bit_ai::model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message as _;

use super::support::{GROUPS, to_records, to_request};

/// A field that nobody knows.
fn unknown(out: &mut Vec<u8>) {
    wire::bytes(out, 99, b"new");
}

/// An encoded `KeyValue`; `None` has no value.
fn pair(key: &str, value: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    wire::bytes(&mut out, 1, key.as_bytes());
    if let Some(value) = value {
        wire::bytes(&mut out, 2, value);
    }
    out
}

fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    wire::bytes(&mut out, 1, text.as_bytes());
    out
}

fn list(elements: &[Vec<u8>]) -> Vec<u8> {
    let (mut inner, mut out) = (Vec::new(), Vec::new());
    elements.iter().for_each(|element| wire::bytes(&mut inner, 1, element));
    wire::bytes(&mut out, 5, &inner);
    out
}

fn kvlist(pairs: &[Vec<u8>]) -> Vec<u8> {
    let (mut inner, mut out) = (Vec::new(), Vec::new());
    pairs.iter().for_each(|pair| wire::bytes(&mut inner, 1, pair));
    wire::bytes(&mut out, 6, &inner);
    out
}

/// A value that has fields of its own beside what is known.
fn with_unknown(mut value: Vec<u8>) -> Vec<u8> {
    unknown(&mut value);
    value
}

/// All that msgpack cannot express, and neighbours that it can.
fn hostile() -> Vec<Vec<u8>> {
    let mut index = Vec::new();
    wire::uint(&mut index, 8, 7);
    let mut fields = pair("fields of the pair", Some(&text("a")));
    unknown(&mut fields);
    let mut only_fields = pair("only fields of the pair", None);
    unknown(&mut only_fields);
    let mut empty_and_fields = pair("empty and fields of the pair", Some(&[]));
    unknown(&mut empty_and_fields);
    let (mut newer_list, mut inner) = (Vec::new(), Vec::new());
    wire::bytes(&mut inner, 1, &with_unknown(Vec::new()));
    unknown(&mut inner);
    wire::bytes(&mut newer_list, 5, &inner);
    let nested = kvlist(&[pair("", None), pair("x", Some(&[])), pair("", Some(&index))]);
    vec![
        pair("none", None),
        pair("empty", Some(&[])),
        pair("twice", None),
        pair("twice", Some(&text("second"))),
        pair("twice", Some(&index)),
        pair("twice", None),
        pair("newer", Some(&with_unknown(Vec::new()))),
        pair("newer text", Some(&with_unknown(text("known")))),
        pair("newer list", Some(&newer_list)),
        pair("list", Some(&list(&[Vec::new(), index.clone(), nested.clone(), text("t")]))),
        pair("map", Some(&nested)),
        pair("newer map", Some(&with_unknown(nested))),
        fields,
        only_fields,
        empty_and_fields,
        pair("", None),
    ]
}

/// A span, or a log with this body, whose attributes and those around it are `hostile`.
fn request(signal: Signal, body: Option<&[u8]>) -> Vec<u8> {
    let attributes = |number: u32| {
        let mut out = Vec::new();
        hostile().iter().for_each(|pair| wire::bytes(&mut out, number, pair));
        out
    };
    let mut item = Vec::new();
    if signal == Signal::Traces {
        wire::bytes(&mut item, 1, &[1; 16]);
        wire::bytes(&mut item, 2, &[2; 8]);
        item.extend(attributes(9));
        wire::bytes(&mut item, 11, &attributes(3));
        wire::bytes(&mut item, 13, &attributes(4));
    } else {
        if let Some(body) = body {
            wire::bytes(&mut item, 5, body);
        }
        item.extend(attributes(6));
    }
    let (mut scope, mut resource, mut request) = (Vec::new(), Vec::new(), Vec::new());
    wire::bytes(&mut scope, 1, &attributes(3));
    wire::bytes(&mut scope, 2, &item);
    wire::bytes(&mut resource, 1, &attributes(1));
    wire::bytes(&mut resource, 2, &scope);
    wire::bytes(&mut request, 1, &resource);
    request
}

/// Protobuf with the fields of each message in order, so that equal content is equal.
fn sorted(message: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut reader = wire::WireFields::new(message);
    while let Ok(Some(field)) = reader.read() {
        let mut out = Vec::new();
        match field.value {
            // What is no message does not look like one, or stays what it is.
            wire::WireValue::Bytes(inner) if field.number < 99 => {
                wire::bytes(&mut out, field.number, &sorted(inner));
            }
            _ => out.extend_from_slice(field.raw),
        }
        fields.push((field.number, out));
    }
    if !reader.rest().is_empty() {
        return message.to_vec();
    }
    fields.sort_by_key(|(number, _)| *number);
    fields.into_iter().flat_map(|(_, field)| field).collect()
}

fn chunk_of(signal: Signal, request: &[u8]) -> Vec<u8> {
    let mut chunk = Vec::new();
    let done = to_records(signal, request, &mut chunk).unwrap();
    assert_eq!((done.items, done.rejected), (1, 0), "{:?}", done.reason);
    chunk
}

#[test]
fn every_place_comes_back_as_it_was() {
    let given = request(Signal::Traces, None);
    let back = to_request(Signal::Traces, &chunk_of(Signal::Traces, &given)).0;
    assert_eq!(sorted(&back), sorted(&given));
}

#[test]
fn every_body_comes_back_as_it_was() {
    let mut index = Vec::new();
    wire::uint(&mut index, 8, 7);
    let log = |value: Option<&[u8]>| kvlist(&[pair("log", value)]);
    let bodies = [
        index.clone(),
        with_unknown(Vec::new()),
        with_unknown(text("known")),
        list(&[index.clone(), text("t")]),
        log(None),
        log(Some(&index)),
        log(Some(&text("t"))),
        with_unknown(log(None)),
        with_unknown(log(Some(&text("t")))),
        with_unknown(kvlist(&hostile())),
        kvlist(&hostile()),
        Vec::new(),
        text("t"),
    ];
    for body in bodies.iter().map(|body| Some(&body[..])).chain([None]) {
        let given = request(Signal::Logs, body);
        let back = to_request(Signal::Logs, &chunk_of(Signal::Logs, &given)).0;
        assert_eq!(sorted(&back), sorted(&given), "{body:x?}");
        // The same in the layout of the host's own input.
        let mut plain = Vec::new();
        fluent_bit_ai::codec::records::logs_to_groups(&given, &mut plain, GROUPS, None).unwrap();
        super::support::every_plugin_reads(&plain);
        // And under a key of the user's.
        let mut under = Vec::new();
        fluent_bit_ai::codec::records::logs_to_records_under(&given, &mut under, GROUPS, "k")
            .unwrap();
        super::support::every_plugin_reads(&under);
        assert_eq!(sorted(&to_request(Signal::Logs, &under).0), sorted(&given), "{body:x?}");
    }
}

/// Values nest as deep in lists as in maps; beyond what stands in the record they are beside it.
#[test]
fn values_of_every_depth_come_back() {
    for depth in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 40, 61, 62] {
        let in_list = |inner: Vec<u8>| list(&[inner]);
        let in_map = |inner: Vec<u8>| kvlist(&[pair("k", Some(&inner))]);
        for wrap in [in_list as fn(Vec<u8>) -> Vec<u8>, in_map] {
            let value = (0..depth).fold(text("deepest"), |inner, _| wrap(inner));
            let given = request(Signal::Logs, Some(&value));
            let back = to_request(Signal::Logs, &chunk_of(Signal::Logs, &given)).0;
            assert_eq!(sorted(&back), sorted(&given), "{depth}");
            let mut under = Vec::new();
            fluent_bit_ai::codec::records::logs_to_records_under(&given, &mut under, GROUPS, "k")
                .unwrap();
            super::support::every_plugin_reads(&under);
            let back = to_request(Signal::Logs, &under).0;
            assert_eq!(sorted(&back), sorted(&given), "{depth} under a key");
        }
    }
}

/// A request of each signal with `pairs` as attributes in every place that has some.
fn everywhere(signal: Signal, pairs: &[Vec<u8>]) -> Vec<u8> {
    let within = |path: &[u32]| {
        let mut out = Vec::new();
        let (last, outer) = path.split_last().unwrap();
        pairs.iter().for_each(|pair| wire::bytes(&mut out, *last, pair));
        outer.iter().rev().fold(out, |inner, number| {
            let mut out = Vec::new();
            wire::bytes(&mut out, *number, &inner);
            out
        })
    };
    // Places of attributes in the message of an item: of points and exemplars in every kind of data.
    let places: &[&[u32]] = match signal {
        Signal::Traces => &[&[9], &[11, 3], &[13, 4]],
        Signal::Metrics => &[
            &[12],
            &[5, 1, 7],
            &[5, 1, 5, 7],
            &[7, 1, 7],
            &[7, 1, 5, 7],
            &[9, 1, 9],
            &[9, 1, 8, 7],
            &[10, 1, 1],
            &[10, 1, 11, 7],
            &[11, 1, 7],
        ],
        _ => &[&[6]],
    };
    let mut items = Vec::new();
    for place in places {
        let mut item = within(place);
        match signal {
            Signal::Traces => {
                wire::bytes(&mut item, 1, &[1; 16]);
                wire::bytes(&mut item, 2, &[2; 8]);
            }
            Signal::Metrics => wire::bytes(&mut item, 1, b"metric"),
            _ => wire::bytes(&mut item, 5, &kvlist(pairs)),
        }
        wire::bytes(&mut items, 2, &item);
    }
    let mut scope = within(&[1, 3]);
    scope.extend(items);
    let mut resource = within(&[1, 1]);
    wire::bytes(&mut resource, 2, &scope);
    let mut request = Vec::new();
    wire::bytes(&mut request, 1, &resource);
    request
}

/// Scenario: values that nest as deep as OTLP allows, and about as deep as records do, in every place.
/// Guarantees: no body is deeper than the stock outputs bear (`to_records` asserts it), and every value
/// comes back.
#[test]
fn values_of_every_depth_come_back_from_every_place() {
    for depth in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 62] {
        let in_list = |inner: Vec<u8>| list(&[inner]);
        let in_map = |inner: Vec<u8>| kvlist(&[pair("k", Some(&inner))]);
        let deep = [in_list as fn(Vec<u8>) -> Vec<u8>, in_map]
            .map(|wrap| (0..depth).fold(text("deepest"), |inner, _| wrap(inner)));
        let pairs = [pair("list", Some(&deep[0])), pair("map", Some(&deep[1]))];
        for signal in Signal::ALL {
            let given = everywhere(signal, &pairs);
            let mut chunk = Vec::new();
            assert_eq!(to_records(signal, &given, &mut chunk).unwrap().rejected, 0);
            let back = to_request(signal, &chunk).0;
            assert_eq!(sorted(&back), sorted(&given), "{signal:?} {depth}");
        }
    }
}

/// Changes the attributes of the one span in a chunk and gives those that come out.
fn filtered(change: impl Fn(msgpack::Entry<'_>) -> edit::Edit<'static>) -> Vec<KeyValue> {
    let chunk = chunk_of(Signal::Traces, &request(Signal::Traces, None));
    let event = Events::new(&chunk).next().unwrap().unwrap();
    let attributes = MapView::new(event.body).get(b"attributes").unwrap();
    let (mut changed, mut body) = (Vec::new(), Vec::new());
    let mut more = edit::Pairs::new();
    more.text("added", "by a filter");
    edit::rewrite_map(attributes, &mut changed, change, &more);
    edit::set(event.body, "attributes", &changed, &mut body);
    let mut builder = RequestBuilder::new(Signal::Traces);
    let event = Event { body: &body, ..event };
    builder.push(&event, &event.telemetry().unwrap()).unwrap();
    let back = ExportTraceServiceRequest::decode(&builder.finish()[..]).unwrap();
    back.resource_spans[0].scope_spans[0].spans[0].attributes.clone()
}

fn value_of<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a AnyValue> {
    attributes.iter().find(|pair| pair.key == key).unwrap().value.as_ref()
}

/// What a filter puts in the place of such a value counts; the others are put back.
#[test]
fn the_value_of_a_filter_counts() {
    let mut changed = Vec::new();
    msgpack::str(&mut changed, "changed");
    let attributes = filtered(|entry| match entry.key {
        b"none" | b"newer text" | b"map" => edit::Edit::Value(changed.clone().into()),
        b"list" => edit::Edit::Drop,
        b"only fields of the pair" => edit::Edit::Rename("renamed".into()),
        _ => edit::Edit::Keep,
    });
    let text = |text: &str| AnyValue { value: Some(Value::StringValue(text.to_owned())) };
    for key in ["none", "newer text", "map"] {
        assert_eq!(value_of(&attributes, key), Some(&text("changed")), "{key}");
    }
    assert!(!attributes.iter().any(|pair| pair.key == "list"));
    assert_eq!(value_of(&attributes, "renamed"), Some(&AnyValue::default()));
    assert_eq!(value_of(&attributes, "added"), Some(&text("by a filter")));
    let twice: Vec<_> = attributes
        .iter()
        .filter(|pair| pair.key == "twice")
        .map(|pair| pair.value.as_ref().map(|value| value.value.clone()))
        .collect();
    let index = Value::StringValueStrindex(7);
    let expected = [None, Some(text("second").value), Some(Some(index)), None];
    assert_eq!(twice, expected);
    assert_eq!(value_of(&attributes, ""), None);
}

/// Records of earlier builds have extensions in place.
#[test]
fn records_of_earlier_builds_are_read() {
    let (mut index, mut chunk) = (Vec::new(), vec![0x92, 0x92, 0xd7, 0, 0, 0, 0, 9, 0, 0, 0, 0]);
    wire::uint(&mut index, 8, 7);
    let (mut otlp, mut attributes) = (edit::Pairs::new(), edit::Pairs::new());
    msgpack::ext(attributes.key("none"), 79, &[]);
    msgpack::ext(attributes.key("index"), 79, &{
        let mut value = Vec::new();
        wire::bytes(&mut value, 2, &index);
        value
    });
    let elements = attributes.key("list");
    msgpack::array_header(elements, 1);
    msgpack::ext(elements, 79, &index);
    msgpack::uint(otlp.key("v"), 1);
    otlp.text("signal", "log");
    attributes.write_map(otlp.key("attributes"));
    otlp.text("body", "ext");
    let mut metadata = edit::Pairs::new();
    otlp.write_map(metadata.key("otlp"));
    metadata.write_map(&mut chunk);
    let mut body = edit::Pairs::new();
    msgpack::ext(body.key("log"), 79, &index);
    body.write_map(&mut chunk);
    let back = to_request(Signal::Logs, &chunk).0;
    let back = ExportLogsServiceRequest::decode(&back[..]).unwrap();
    let log = &back.resource_logs[0].scope_logs[0].log_records[0];
    let index = AnyValue { value: Some(Value::StringValueStrindex(7)) };
    assert_eq!(log.body.as_ref(), Some(&index));
    assert_eq!(value_of(&log.attributes, "none"), None);
    assert_eq!(value_of(&log.attributes, "index"), Some(&index));
    let Some(Value::ArrayValue(list)) = &value_of(&log.attributes, "list").unwrap().value else {
        panic!()
    };
    assert_eq!(list.values, [index]);
}

/// The work and the record grow with the request, not with its square, which would take hours.
#[test]
fn very_many_of_them_take_their_share() {
    let many = |key: fn(usize) -> String| {
        let pairs: Vec<_> = (0..200_000).map(|number| pair(&key(number), None)).collect();
        request(Signal::Logs, Some(&kvlist(&pairs)))
    };
    let deep = (0..62).fold(list(&vec![with_unknown(Vec::new()); 20_000]), |inner, _| {
        with_unknown(kvlist(&[pair("k", Some(&inner))]))
    });
    for given in [many(|_| String::new()), many(|number| number.to_string()), {
        request(Signal::Logs, Some(&deep))
    }] {
        let chunk = chunk_of(Signal::Logs, &given);
        assert!(chunk.len() < 12 * given.len(), "{} for {}", chunk.len(), given.len());
        let back = to_request(Signal::Logs, &chunk).0;
        assert_eq!(back.len(), given.len());
    }
}
