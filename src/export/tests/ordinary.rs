//! Ordinary logs whose body and fields are where the user says.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::data::{log_chunk, logs, plain_log};
use super::receiver::Receiver;
use super::{Bench, Fate, endpoint};
use crate::codec::fluentbit::{FieldAccessors, LogAccessors};
use crate::codec::msgpack::Accessor;

fn of(text: &str) -> Option<Accessor> {
    Some(Accessor::parse(text).unwrap())
}

#[test]
fn accessors_reach_ordinary_logs_and_no_others() {
    let receiver = Receiver::accepting();
    let accessors = LogAccessors {
        body: ["$nothing", "$level"].into_iter().filter_map(of).collect(),
        severity_text: FieldAccessors { metadata: None, message: of("$log") },
        ..LogAccessors::default()
    };
    let bench = Bench::with_accessors(endpoint("main", &receiver), accessors);
    let mut chunk = log_chunk(&logs(&["of OTLP"]));
    chunk.extend(plain_log("warn"));
    assert_eq!(bench.deliver(2, &chunk), Fate::Done);
    let got: Vec<ExportLogsServiceRequest> = receiver.messages("/v1/logs");
    let records: Vec<_> = got
        .into_iter()
        .flat_map(|request| request.resource_logs)
        .flat_map(|resource| resource.scope_logs)
        .flat_map(|scope| scope.log_records)
        .map(|record| {
            let Some(Value::StringValue(body)) = record.body.unwrap().value else { panic!() };
            let keys: Vec<_> = record.attributes.into_iter().map(|pair| pair.key).collect();
            (body, record.severity_text, record.severity_number, keys)
        })
        .collect();
    let wanted = [
        ("of OTLP".to_owned(), String::new(), 9, Vec::new()),
        ("error".to_owned(), "warn".to_owned(), 13, vec!["fluent.tag".to_owned()]),
    ];
    assert_eq!(records, wanted);
}
