//! Rules of OTLP/gRPC.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tonic::codec::CompressionEncoding;
use tonic::transport::Endpoint;

use crate::answer::{Verdict, ensure, header, success, text};
use crate::call::{Call, Connection, frame};
use crate::ground::Ground;
use crate::requests::Signal;
use crate::stored::Expected;
use crate::table::Transport;

pub fn services(ground: &Ground, transport: Transport) -> Verdict {
    for signal in Signal::ALL {
        let (message, _) = ground.one(signal, transport);
        let call = Call::new(transport, signal.path(transport), &message);
        let reply = ground.send(transport, &call)?;
        ensure!(header(&reply, "content-type").starts_with("application/grpc"), "content type");
        success(signal, transport, &reply)?;
    }
    let others = [
        "/opentelemetry.proto.collector.trace.v1.TraceService/Import",
        "/opentelemetry.proto.collector.trace.v2.TraceService/Export",
        "/grpc.health.v1.Nothing/Check",
    ];
    for path in others {
        let refusal = ground.refused(transport, &Call::new(transport, path, &[]))?;
        ensure!(refusal.code == 12, "{path}: code {}", refusal.code);
    }
    Ok(())
}

/// Sends one request with a generated client.
macro_rules! with_client {
    ($ground:expr, $client:ident, $request:ident, $signal:expr, $gzip:expr) => {{
        let (message, name) = $ground.one($signal, Transport::Grpc);
        let message = $request::decode(&message[..]).map_err(text)?;
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", $ground.grpc));
        let endpoint = endpoint.map_err(text)?.timeout(testkit::at_most(Duration::from_secs(20)));
        let response = $ground.runtime.block_on(async {
            let channel = endpoint.connect().await.map_err(text)?;
            let mut client = $client::new(channel);
            if $gzip {
                client = client
                    .send_compressed(CompressionEncoding::Gzip)
                    .accept_compressed(CompressionEncoding::Gzip);
            }
            client.export(message).await.map_err(text)
        })?;
        let partial = response.into_inner().partial_success;
        ensure!(partial.is_none(), "{partial:?}");
        let expected = Expected::Times($signal, name, 1);
        $ground.expect("generated-clients", Transport::Grpc, expected);
    }};
}

pub fn generated_clients(ground: &Ground, _transport: Transport) -> Verdict {
    for gzip in [false, true] {
        with_client!(ground, TraceServiceClient, ExportTraceServiceRequest, Signal::Traces, gzip);
        with_client!(
            ground,
            MetricsServiceClient,
            ExportMetricsServiceRequest,
            Signal::Metrics,
            gzip
        );
        with_client!(ground, LogsServiceClient, ExportLogsServiceRequest, Signal::Logs, gzip);
    }
    Ok(())
}

pub fn concurrent_calls(ground: &Ground, transport: Transport) -> Verdict {
    let connection = ground.connect(transport)?;
    let signal = Signal::Traces;
    let mut waiting = Vec::new();
    for _ in 0..64 {
        let (message, name) = ground.one(signal, transport);
        ground.expect("concurrent-calls", transport, Expected::Times(signal, name, 1));
        let call = Call::new(transport, signal.path(transport), &message);
        let mut stream = connection.another().ok_or("no HTTP/2")?;
        waiting.push(ground.runtime.spawn(async move { stream.send(&call).await }));
    }
    for task in waiting {
        let reply = ground.runtime.block_on(task).unwrap()?;
        success(signal, transport, &reply)?;
    }
    Ok(())
}

/// The client asks for a sign of life every 200 ms and gives up without one.
pub fn keepalive(ground: &Ground, transport: Transport) -> Verdict {
    let mut connection = ground.connect(transport)?;
    for _ in 0..2 {
        let (message, _) = ground.one(Signal::Logs, transport);
        let call = Call::new(transport, Signal::Logs.path(transport), &message);
        success(Signal::Logs, transport, &ground.send_on(&mut connection, &call)?)?;
        std::thread::sleep(Duration::from_millis(1000));
    }
    let alive = match &connection {
        Connection::Two(sender, _) => !sender.is_closed(),
        Connection::One(..) => false,
    };
    ensure!(alive, "the connection was given up");
    Ok(())
}

pub fn framing(ground: &Ground, transport: Transport) -> Verdict {
    let signal = Signal::Traces;
    let (message, name) = ground.one(signal, transport);
    let whole = frame(false, &message);
    let mut flagged = whole.clone();
    flagged[0] = 2;
    let bodies = [
        Vec::new(),
        whole[..4].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        [whole.clone(), whole.clone()].concat(),
        flagged,
    ];
    for body in bodies {
        let call = Call { body, ..Call::new(transport, signal.path(transport), &[]) };
        let refusal = ground.refused(transport, &call)?;
        ensure!(!refusal.is_retryable(transport), "{refusal:?}");
        ensure!(!refusal.message.is_empty(), "code {} without words", refusal.code);
    }
    ground.expect("framing", transport, Expected::Times(signal, name, 0));
    Ok(())
}

pub fn deadline(ground: &Ground, transport: Transport) -> Verdict {
    let signal = Signal::Traces;
    for deadline in ["10S", "10000m", "1H"] {
        let (message, name) = ground.one(signal, transport);
        let call = Call::new(transport, signal.path(transport), &message);
        ground.whole(signal, transport, &call.with("grpc-timeout", deadline))?;
        ground.expect("deadline", transport, Expected::Times(signal, name, 1));
    }
    Ok(())
}
