//! Profiles go on as they came.

use super::receiver::Receiver;
use super::{Bench, Fate, endpoint, grpc};
use crate::codec::records::profiles_to_records;
use crate::export::Content;
use crate::model::Signal;
use crate::receive::tests::samples;

#[test]
fn a_record_of_profiles_is_sent_unchanged() {
    let (one, logs_only) = (Receiver::accepting(), Receiver::accepting());
    let mut limited = endpoint("logs", &logs_only);
    limited.signals = vec![Signal::Logs];
    let mut selective = endpoint("selective", &one);
    selective.content = Content::Drop;
    let bench = Bench::new(vec![endpoint("one", &one), limited, selective]);
    let request = samples::profiles(3);
    let mut chunk = Vec::new();
    profiles_to_records(&request, &mut chunk, 1).unwrap();
    profiles_to_records(&request, &mut chunk, 2).unwrap();
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    let seen = one.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|seen| seen.path == "/v1development/profiles" && seen.body == request));
    assert!(logs_only.seen().is_empty());
    assert_eq!(bench.count("exporter_received_items_total", &["profiles"]), 6);
    assert_eq!(bench.count("sent_items_total", &["one", "profiles"]), 6);
    assert_eq!(bench.count("filtered_items_total", &["logs"]), 6);
}

#[test]
fn a_record_without_its_request_is_counted() {
    let receiver = Receiver::accepting();
    let bench = Bench::new(vec![grpc("one", &receiver)]);
    let mut chunk = Vec::new();
    profiles_to_records(&samples::profiles(1), &mut chunk, 1).unwrap();
    let key = chunk.windows(9).rposition(|nine| nine == b"\xa8profiles").unwrap();
    chunk[key + 1] = b'X';
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    assert!(receiver.seen().is_empty());
    assert_eq!(bench.count("exporter_skipped_items_total", &["unencodable"]), 1, "{}", bench.log());
}
