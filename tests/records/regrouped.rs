//! Logs whose groups a processor changed, another filter dropped, or that stand in another's group.

use fluent_bit_ai::codec::msgpack::{self, MapView};
use fluent_bit_ai::codec::records::{Event, EventKind, Events, RecordReader, RequestBuilder};
use fluent_bit_ai::model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use super::support::to_records;

fn pair(key: &str, text: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn resource(names: &[&str]) -> ResourceLogs {
    let attributes = |kind: &str| names.iter().map(|name| pair(name, kind)).collect();
    let log = LogRecord { severity_number: 9, ..LogRecord::default() };
    let scope = InstrumentationScope {
        name: "lib".to_owned(),
        attributes: attributes("scope"),
        ..InstrumentationScope::default()
    };
    let resource = Resource { attributes: attributes("resource"), ..Resource::default() };
    ResourceLogs {
        resource: (!names.is_empty()).then_some(resource),
        scope_logs: vec![ScopeLogs {
            scope: (!names.is_empty()).then_some(scope),
            log_records: vec![log; 2],
            ..ScopeLogs::default()
        }],
        ..ResourceLogs::default()
    }
}

fn chunk(resources: &[ResourceLogs]) -> Vec<u8> {
    let request = ExportLogsServiceRequest { resource_logs: resources.to_vec() };
    let mut chunk = Vec::new();
    to_records(Signal::Logs, &request.encode_to_vec(), &mut chunk).unwrap();
    chunk
}

/// A group's start with an attribute less, or with another one, in resource and scope, as the
/// processor `content_modifier` leaves it.
fn changed(event: &Event<'_>, gone: &str, added: Option<&str>) -> Vec<u8> {
    let mut out = event.raw[..event.raw.len() - event.body.len()].to_vec();
    msgpack::map_header(&mut out, 2);
    for key in ["resource", "scope"] {
        let map = MapView::new(MapView::new(event.body).get(key.as_bytes()).unwrap());
        let attributes = MapView::new(map.get(b"attributes").unwrap_or(&[0x80]));
        msgpack::str(&mut out, key);
        msgpack::map_header(&mut out, 1);
        msgpack::str(&mut out, "attributes");
        let kept: Vec<_> = attributes.filter(|entry| entry.key != gone.as_bytes()).collect();
        let pairs = kept.len() + usize::from(added.is_some());
        msgpack::map_header(&mut out, u32::try_from(pairs).unwrap());
        kept.iter().for_each(|entry| out.extend_from_slice(entry.raw));
        if let Some(added) = added {
            msgpack::str(&mut out, added);
            msgpack::str(&mut out, key);
        }
    }
    out
}

/// The names of the attributes of resource and scope of each log; that records read one by one and
/// in a run say the same is checked.
fn names(chunk: &[u8]) -> Vec<[Vec<String>; 2]> {
    let walked = RecordReader::new(chunk).map(|event| event.unwrap().1);
    let read = Events::new(chunk).map(|event| event.unwrap().telemetry());
    assert!(walked.eq(read));
    let mut builder = RequestBuilder::new(Signal::Logs);
    for event in Events::new(chunk).flatten().filter(|event| event.kind == EventKind::Record) {
        builder.push(&event, &event.telemetry().unwrap()).unwrap();
    }
    let request = ExportLogsServiceRequest::decode(&builder.finish()[..]).unwrap();
    let mut names = Vec::new();
    for outer in request.resource_logs {
        let keys = |pairs: Vec<KeyValue>| pairs.into_iter().map(|pair| pair.key).collect();
        let of_resource: Vec<String> = keys(outer.resource.unwrap_or_default().attributes);
        for inner in outer.scope_logs {
            let of_scope: Vec<String> = keys(inner.scope.unwrap_or_default().attributes);
            names.extend(inner.log_records.iter().map(|_| [of_resource.clone(), of_scope.clone()]));
        }
    }
    names
}

fn same(all: &[&[&str]]) -> Vec<[Vec<String>; 2]> {
    let own = |names: &&[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    all.iter().flat_map(|names| [(); 2].map(|()| [own(names), own(names)])).collect()
}

/// The chunk with other bytes, or none, for some of its events.
fn with(chunk: &[u8], mut change: impl FnMut(usize, &Event<'_>) -> Option<Vec<u8>>) -> Vec<u8> {
    let events = Events::new(chunk).map(Result::unwrap).enumerate();
    events
        .flat_map(|(at, event)| change(at, &event).unwrap_or_else(|| event.raw.to_vec()))
        .collect()
}

#[test]
fn what_a_processor_changes_in_a_group_counts() {
    let given = chunk(&[resource(&["kept", "secret"]), resource(&["secret"])]);
    assert_eq!(names(&given), same(&[&["kept", "secret"], &["secret"]]));
    let start = |event: &Event<'_>| event.kind == EventKind::GroupStart;
    let all = with(&given, |_, event| start(event).then(|| changed(event, "secret", None)));
    assert_eq!(names(&all), same(&[&["kept"], &[]]));
    // A group that nobody changed is as the record has it, beside one that was.
    let second = with(&given, |at, event| {
        (at > 0 && start(event)).then(|| changed(event, "secret", Some("other")))
    });
    assert_eq!(names(&second), same(&[&["kept", "secret"], &["other"]]));
}

#[test]
fn a_resource_that_only_a_processor_made_is_there() {
    let given = chunk(&[resource(&[])]);
    let decoded = with(&given, |_, _| None);
    assert_eq!(names(&decoded), same(&[&[]]));
    let start = |event: &Event<'_>| event.kind == EventKind::GroupStart;
    let made = with(&given, |_, event| start(event).then(|| changed(event, "", Some("added"))));
    assert_eq!(names(&made), same(&[&["added"]]));
}

#[test]
fn records_without_their_group_keep_what_they_have() {
    let given = chunk(&[resource(&["a", "secret"]), resource(&["b"])]);
    let dropped = with(&given, |_, event| (event.kind != EventKind::Record).then(Vec::new));
    assert_eq!(names(&dropped), same(&[&["a", "secret"], &["b"]]));
    // The first start is all that is left of the markers: the second records are not its own.
    let first = with(&given, |at, event| match event.kind {
        EventKind::GroupStart if at == 0 => Some(changed(event, "secret", None)),
        EventKind::Record => None,
        _ => Some(Vec::new()),
    });
    assert_eq!(names(&first), same(&[&["a"], &["b"]]));
}

#[test]
fn the_last_records_of_a_group_that_ends_early_keep_what_they_have() {
    let given = chunk(&[resource(&["a", "secret"])]);
    let events: Vec<_> = Events::new(&given).map(Result::unwrap).collect();
    let start = changed(&events[0], "secret", None);
    // start, record, end, record: equal bytes in the group and outside of it.
    let moved = [&start[..], events[1].raw, events[3].raw, events[2].raw].concat();
    let [inside, outside] = [&["a"][..], &["a", "secret"]].map(|names| same(&[names])[0].clone());
    assert_eq!(names(&moved), [inside, outside]);
}
