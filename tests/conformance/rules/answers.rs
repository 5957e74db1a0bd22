//! Rules that hold for every transport.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};

use crate::answer::{Verdict, ensure, refusal, success};
use crate::call::{Call, gzip as compress};
use crate::ground::{Ground, LARGEST};
use crate::requests::{Signal, empty_envelopes as envelopes, encode, span, traces_of};
use crate::stored::Expected;
use crate::table::Transport;

pub fn full_success(ground: &Ground, transport: Transport) -> Verdict {
    for signal in Signal::ALL {
        let (message, name) = ground.one(signal, transport);
        let response = ground.taken(signal, transport, &message)?;
        ensure!(response.partial_success.is_none(), "{:?}", response.partial_success);
        ground.expect("full-success", transport, Expected::Times(signal, name, 1));
    }
    Ok(())
}

pub fn partial_success(ground: &Ground, transport: Transport) -> Verdict {
    let (good, bad, better) = (ground.name(), ground.name(), ground.name());
    let mut spans = [&good, &bad, &better].map(|name| span(name));
    spans[1].trace_id = vec![1; 3];
    let message = encode(&traces_of(spans.to_vec()), transport);
    let response = ground.taken(Signal::Traces, transport, &message)?;
    let partial = response.partial_success.ok_or("no partial success")?;
    ensure!(partial.rejected == 1, "{} rejected", partial.rejected);
    ensure!(!partial.error_message.is_empty(), "no reason");
    for (name, times) in [(good, 1), (bad, 0), (better, 1)] {
        let expected = Expected::Times(Signal::Traces, name, times);
        ground.expect("partial-success", transport, expected);
    }
    Ok(())
}

/// Items that a receiver could warn of and take: times that go back, an enum's number that has no
/// name, a metric without data points, a log record that says nothing.
pub fn no_warnings(ground: &Ground, transport: Transport) -> Verdict {
    let name = ground.name();
    let mut odd = span(&name);
    (odd.end_time_unix_nano, odd.kind) = (1, 99);
    let mut requests = vec![(Signal::Traces, encode(&traces_of(vec![odd]), transport))];
    let metrics = vec![Metric { name: ground.name(), ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    let request = ExportMetricsServiceRequest { resource_metrics };
    requests.push((Signal::Metrics, encode(&request, transport)));
    let log_records = vec![LogRecord { severity_number: 99, ..LogRecord::default() }];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let request = ExportLogsServiceRequest { resource_logs };
    requests.push((Signal::Logs, encode(&request, transport)));
    for (signal, message) in requests {
        let response = ground.taken(signal, transport, &message)?;
        ensure!(response.partial_success.is_none(), "{signal:?}: {:?}", response.partial_success);
    }
    ground.expect("no-warnings", transport, Expected::Times(Signal::Traces, name, 1));
    Ok(())
}

pub fn empty_request(ground: &Ground, transport: Transport) -> Verdict {
    let nothing: &[u8] = if transport == Transport::Json { b"{}" } else { b"" };
    for signal in Signal::ALL {
        let response = ground.taken(signal, transport, nothing)?;
        ensure!(response.partial_success.is_none(), "{:?}", response.partial_success);
    }
    Ok(())
}

pub fn empty_envelopes(ground: &Ground, transport: Transport) -> Verdict {
    for signal in Signal::ALL {
        let response = ground.taken(signal, transport, &envelopes(signal, transport))?;
        ensure!(response.partial_success.is_none(), "{:?}", response.partial_success);
    }
    Ok(())
}

/// A request with its last byte missing.
fn cut(ground: &Ground, signal: Signal, transport: Transport) -> (Vec<u8>, String) {
    let (mut message, name) = ground.one(signal, transport);
    message.pop();
    (message, name)
}

const fn bad_data_code(transport: Transport) -> u16 {
    match transport {
        Transport::Grpc => 3,
        _ => 400,
    }
}

pub fn bad_data(ground: &Ground, transport: Transport) -> Verdict {
    for signal in Signal::ALL {
        let (message, _) = cut(ground, signal, transport);
        let call = Call::new(transport, signal.path(transport), &message);
        let refusal = ground.refused(transport, &call)?;
        ensure!(refusal.code == bad_data_code(transport), "code {}", refusal.code);
        ensure!(refusal.retry_after.is_none(), "retry after {:?}", refusal.retry_after);
        ensure!(!refusal.message.is_empty(), "no words");
    }
    Ok(())
}

pub fn bad_data_is_not_stored(ground: &Ground, transport: Transport) -> Verdict {
    for signal in Signal::ALL {
        let (message, name) = cut(ground, signal, transport);
        let call = Call::new(transport, signal.path(transport), &message);
        ground.refused(transport, &call)?;
        let expected = Expected::Times(signal, name, 0);
        ground.expect("bad-data-is-not-stored", transport, expected);
    }
    Ok(())
}

/// A request of more than the limit.
fn large(transport: Transport) -> Vec<u8> {
    encode(&traces_of(vec![span(&"x".repeat(LARGEST))]), transport)
}

fn too_large_answer(ground: &Ground, transport: Transport, call: &Call) -> Verdict {
    let refusal = ground.refused(transport, call)?;
    let code = if transport == Transport::Grpc { 8 } else { 413 };
    ensure!(refusal.code == code, "code {}: {}", refusal.code, refusal.message);
    ensure!(!refusal.is_retryable(transport), "a time to send it again");
    ensure!(refusal.message.contains(&LARGEST.to_string()), "no limit in: {}", refusal.message);
    Ok(())
}

pub fn too_large(ground: &Ground, transport: Transport) -> Verdict {
    let path = Signal::Traces.path(transport);
    too_large_answer(ground, transport, &Call::new(transport, path, &large(transport)))
}

pub fn too_large_after_decompression(ground: &Ground, transport: Transport) -> Verdict {
    let path = Signal::Traces.path(transport);
    let call = Call::gzipped(transport, path, &large(transport));
    ensure!(call.body.len() < LARGEST / 10, "the test's request is not small");
    too_large_answer(ground, transport, &call)
}

pub fn mistakes_are_not_retryable(ground: &Ground, transport: Transport) -> Verdict {
    let path = Signal::Traces.path(transport);
    let (message, _) = cut(ground, Signal::Traces, transport);
    let mistakes = [
        Call::new(transport, path, &message),
        Call::new(transport, path, &large(transport)),
        Call::new(transport, "/v1/nothing", &[]),
        Call::new(transport, path, &[])
            .with("content-encoding", "rot13")
            .with("grpc-encoding", "rot13"),
    ];
    for call in mistakes {
        let refusal = ground.refused(transport, &call);
        // Over gRPC a content encoding means nothing, and an empty message is one.
        let refusal = match refusal {
            Err(_) if transport == Transport::Grpc && call.headers.len() > 3 => continue,
            other => other?,
        };
        ensure!(!refusal.is_retryable(transport), "{} {:?}", call.path, refusal);
    }
    Ok(())
}

pub fn gzip(ground: &Ground, transport: Transport) -> Verdict {
    for signal in Signal::ALL {
        let (message, name) = ground.one(signal, transport);
        let call = Call::gzipped(transport, signal.path(transport), &message);
        ground.whole(signal, transport, &call)?;
        ground.expect("gzip", transport, Expected::Times(signal, name, 1));
    }
    Ok(())
}

/// The header that names a transport's encoding.
const fn encoding_header(transport: Transport) -> &'static str {
    match transport {
        Transport::Grpc => "grpc-encoding",
        _ => "content-encoding",
    }
}

pub fn identity(ground: &Ground, transport: Transport) -> Verdict {
    let signal = Signal::Logs;
    let (message, name) = ground.one(signal, transport);
    let call = Call::new(transport, signal.path(transport), &message);
    ground.whole(signal, transport, &call.with(encoding_header(transport), "identity"))?;
    ground.expect("identity", transport, Expected::Times(signal, name, 1));
    Ok(())
}

pub fn unknown_encoding(ground: &Ground, transport: Transport) -> Verdict {
    let signal = Signal::Traces;
    let (message, name) = ground.one(signal, transport);
    let mut call = Call::new(transport, signal.path(transport), &message)
        .with(encoding_header(transport), "rot13");
    if transport == Transport::Grpc {
        call.body[0] = 1;
    }
    let reply = ground.send(transport, &call)?;
    let refusal = refusal(transport, &reply)?;
    ensure!(refusal.message.contains("rot13"), "it does not name it: {}", refusal.message);
    ensure!(!refusal.is_retryable(transport), "{refusal:?}");
    if transport == Transport::Grpc {
        ensure!(refusal.code == 12, "code {}", refusal.code);
        let named = [Some(&reply.headers), reply.trailers.as_ref()];
        let named = named.into_iter().flatten().find_map(|map| map.get("grpc-accept-encoding"));
        ensure!(named.is_some(), "it does not say what it accepts");
    } else {
        ensure!(refusal.code == 415 || refusal.code == 400, "status {}", refusal.code);
    }
    ground.expect("unknown-encoding", transport, Expected::Times(signal, name, 0));
    Ok(())
}

pub fn damaged_gzip(ground: &Ground, transport: Transport) -> Verdict {
    let signal = Signal::Traces;
    let (message, name) = ground.one(signal, transport);
    let mut packed = compress(&message);
    packed.truncate(packed.len() / 2);
    let mut call = Call::gzipped(transport, signal.path(transport), &[]);
    call.body = match transport {
        Transport::Grpc => crate::call::frame(true, &packed),
        _ => packed,
    };
    let refusal = ground.refused(transport, &call)?;
    let codes: &[u16] = if transport == Transport::Grpc { &[3, 13] } else { &[400] };
    ensure!(codes.contains(&refusal.code), "code {}", refusal.code);
    ensure!(!refusal.is_retryable(transport), "{refusal:?}");
    ground.expect("damaged-gzip", transport, Expected::Times(signal, name, 0));
    Ok(())
}

/// Field 999 of length-delimited type, which no message has.
fn unknown(marker: &[u8]) -> Vec<u8> {
    let mut field = vec![0xba, 0x3e, marker.len() as u8];
    field.extend_from_slice(marker);
    field
}

/// A length-delimited field.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = content.len();
    while length > 127 {
        out.push(length as u8 | 128);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(content);
    out
}

pub fn unknown_fields(ground: &Ground, transport: Transport) -> Verdict {
    use prost::Message;
    for signal in Signal::ALL {
        let (message, name) = ground.one(signal, transport);
        let marker = |level: &str| format!("{level} of {name} {}", transport.name()).into_bytes();
        // The three innermost envelopes of the request, taken apart and put together again.
        let item = match signal {
            Signal::Traces => span(&name).encode_to_vec(),
            _ => innermost(&message),
        };
        let item = [item, unknown(&marker("item"))].concat();
        let scope = [field(2, &item), unknown(&marker("scope"))].concat();
        let resource = [field(2, &scope), unknown(&marker("resource"))].concat();
        let response = ground.taken(signal, transport, &field(1, &resource))?;
        ensure!(response.partial_success.is_none(), "{:?}", response.partial_success);
        ground.expect("unknown-fields", transport, Expected::Times(signal, name.clone(), 1));
        for level in ["item", "scope", "resource"] {
            ground.expect("unknown-fields", transport, Expected::Bytes(marker(level)));
        }
    }
    Ok(())
}

/// The first item of a request.
fn innermost(request: &[u8]) -> Vec<u8> {
    let mut items = Vec::new();
    crate::wire::items(request, |item| items.push(item.to_vec()));
    items.swap_remove(0)
}

pub fn concurrent_connections(ground: &Ground, transport: Transport) -> Verdict {
    let mut connections = Vec::new();
    for _ in 0..8 {
        connections.push(ground.connect(transport)?);
    }
    let signal = Signal::Traces;
    let mut waiting = Vec::new();
    for mut connection in connections {
        let (message, name) = ground.one(signal, transport);
        ground.expect("concurrent-connections", transport, Expected::Times(signal, name, 1));
        let call = Call::new(transport, signal.path(transport), &message);
        waiting.push(ground.runtime.spawn(async move { connection.send(&call).await }));
    }
    for task in waiting {
        let reply = ground.runtime.block_on(task).unwrap()?;
        success(signal, transport, &reply)?;
    }
    Ok(())
}

pub fn connection_is_kept(ground: &Ground, transport: Transport) -> Verdict {
    let mut connection = ground.connect(transport)?;
    for round in 0..20 {
        let signal = Signal::ALL[round % 3];
        let (mut message, name) = ground.one(signal, transport);
        let wrong = round % 5 == 3;
        if wrong {
            message.pop();
        }
        let call = Call::new(transport, signal.path(transport), &message);
        let reply = ground.send_on(&mut connection, &call).map_err(|e| format!("{round}: {e}"))?;
        if wrong {
            refusal(transport, &reply)?;
        } else {
            success(signal, transport, &reply)?;
        }
        let expected = Expected::Times(signal, name, usize::from(!wrong));
        ground.expect("connection-is-kept", transport, expected);
    }
    Ok(())
}

/// The ports that the plugin's own help names.
pub fn default_ports(ground: &Ground, transport: Transport) -> Verdict {
    let (option, port) = match transport {
        Transport::Grpc => ("grpc_port", "4317"),
        _ => ("http_port", "4318"),
    };
    let help = ground.help();
    let at = help.find(option).ok_or_else(|| format!("no {option} in:\n{help}"))?;
    let after: String = help[at..].chars().take(400).collect();
    ensure!(after.contains(port), "the default of {option} is not {port}:\n{after}");
    Ok(())
}
