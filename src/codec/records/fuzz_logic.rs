//! Fuzz logic: feeds any bytes through every decoder, for fuzz targets and tests. What must hold is
//! asserted.

use super::{
    EventKind, Events, LogOptions, LogView, MetricView, RecordReader, RequestBuilder, SpanView,
    logs_to_records, metrics_to_records, traces_to_records,
};
use crate::model::Signal;

const OPTIONS: LogOptions = LogOptions { groups: true, first_group: 0, now_unix_nanos: 1 };

/// Decodes `bytes` as a request of each signal; what is accepted must survive the way back and there
/// again unchanged.
///
/// # Panics
/// A decoder is wrong.
pub fn otlp_requests(bytes: &[u8]) {
    for signal in Signal::ALL {
        let Some(chunk) = to_records(signal, bytes) else { continue };
        let (request, refused) = to_request(signal, &chunk);
        assert_eq!(refused, 0, "records of ours must be exported");
        let again = to_records(signal, &request);
        // Groups are merged on the way, so that logs may have fewer markers.
        assert!(again.is_some(), "requests of ours must be accepted");
        if signal != Signal::Logs {
            assert!(again == Some(chunk), "records must survive the way to a request and back");
        }
    }
}

/// Reads `bytes` as a chunk and exports its records; what is exported must be accepted.
///
/// # Panics
/// A decoder is wrong.
pub fn records(bytes: &[u8]) {
    for signal in Signal::ALL {
        let (request, _) = to_request(signal, bytes);
        assert!(to_records(signal, &request).is_some(), "requests of ours must be accepted");
    }
}

fn to_records(signal: Signal, request: &[u8]) -> Option<Vec<u8>> {
    let mut chunk = Vec::new();
    let done = match signal {
        Signal::Traces => traces_to_records(request, &mut chunk),
        Signal::Metrics => metrics_to_records(request, &mut chunk, 1),
        Signal::Logs => logs_to_records(request, &mut chunk, OPTIONS),
        Signal::Profiles => super::profiles_to_records(request, &mut chunk, 1),
    };
    assert!(done.is_ok() || chunk.is_empty(), "an error must append nothing");
    done.is_ok().then_some(chunk)
}

fn to_request(signal: Signal, chunk: &[u8]) -> (Vec<u8>, usize) {
    let mut builder = RequestBuilder::new(signal);
    let mut refused = 0;
    let mut events = Events::new(chunk);
    for walked in RecordReader::new(chunk) {
        let read = events.next().map(|event| event.map(|event| (event, event.telemetry())));
        assert!(read == Some(walked), "what is compared must say what is read");
        let Ok((event, Some(telemetry))) = walked else { continue };
        if event.kind != EventKind::Record {
            continue;
        }
        let (span, metric) = (SpanView::new(event.body), MetricView::new(event.body));
        assert!(span.name.len() <= event.body.len() && metric.data.len() <= event.body.len());
        assert!(LogView::new(telemetry.otlp).severity_text.len() <= telemetry.otlp.len());
        if builder.push(&event, &telemetry).is_err() {
            refused += 1;
        }
    }
    let request = builder.finish();
    assert!(request == quick_request(signal, chunk), "the quick way must build the same");
    (request, refused)
}

/// The request as the output builds it: bodies are read while they are encoded.
fn quick_request(signal: Signal, chunk: &[u8]) -> Vec<u8> {
    let mut builder = RequestBuilder::new(signal);
    let mut records = RecordReader::new(chunk);
    loop {
        quick_run(&mut builder, &mut records);
        let Some(next) = records.next() else { return builder.finish() };
        if let Ok((event, Some(telemetry))) = next
            && event.kind == EventKind::Record
        {
            let _refused = builder.push(&event, &telemetry);
        }
    }
}

/// Pushes records up to the first that is not read in one go.
fn quick_run(builder: &mut RequestBuilder, records: &mut RecordReader<'_>) {
    loop {
        if let Some(log) = records.next_open_log() {
            let Some(added) = builder.push_open_log(&log) else { return };
            records.end_log(&log, added.length);
            continue;
        }
        let Some((event, telemetry)) = records.next_open() else { return };
        match builder.push_open(&event, &telemetry, records.context()) {
            Ok(added) => records.end(added.length),
            Err(_) if records.settle() => {}
            Err(_) => return,
        }
    }
}
