//! OTLP/gRPC with the generated clients of the OpenTelemetry project.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::h2::Client;
use super::host::Host;
use super::samples;
use crate::model::Signal;
use crate::receive::responses;

async fn channel(host: &Host) -> Channel {
    Endpoint::from_shared(format!("http://{}", host.grpc)).unwrap().connect().await.unwrap()
}

fn traces(spans: usize, resource: usize) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(&samples::traces(spans, resource)[..]).unwrap()
}

/// The seconds of the `RetryInfo` in the details.
fn retry_delay(status: &Status) -> Option<i64> {
    let details = responses::RpcStatus::decode(status.details()).unwrap().details;
    let info = details.first()?;
    assert_eq!(info.type_url, "type.googleapis.com/google.rpc.RetryInfo");
    responses::RetryInfo::decode(&info.value[..]).unwrap().retry_delay.map(|delay| delay.seconds)
}

#[tokio::test]
async fn all_signals_are_stored_before_the_answer() {
    let host = Host::start();
    let channel = channel(&host).await;
    for gzip in [false, true] {
        let mut client = TraceServiceClient::new(channel.clone());
        let mut metrics = MetricsServiceClient::new(channel.clone());
        let mut logs = LogsServiceClient::new(channel.clone());
        if gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
            metrics = metrics.send_compressed(CompressionEncoding::Gzip);
            logs = logs.send_compressed(CompressionEncoding::Gzip);
        }
        let before = host.records();
        let response = client.export(traces(3, 10)).await.unwrap().into_inner();
        assert_eq!(response.partial_success, None);
        assert_eq!(host.records(), before + 3);
        let request = samples::request(Signal::Metrics, 3);
        let request = ExportMetricsServiceRequest::decode(&request[..]).unwrap();
        assert_eq!(metrics.export(request).await.unwrap().into_inner().partial_success, None);
        assert_eq!(host.records(), before + 4);
        let request = samples::request(Signal::Logs, 3);
        let request = ExportLogsServiceRequest::decode(&request[..]).unwrap();
        assert_eq!(logs.export(request).await.unwrap().into_inner().partial_success, None);
        assert_eq!(host.records(), before + 7);
    }
    for signal in Signal::ALL {
        assert_eq!(host.count("accepted_items_total", &[signal.name()]), 6);
        assert_eq!(host.count("received_requests_total", &[signal.name(), "grpc"]), 2);
    }
    host.assert_sums();
}

#[tokio::test]
async fn empty_and_partly_bad_requests() {
    let host = Host::start();
    let mut client = TraceServiceClient::new(channel(&host).await);
    client.export(traces(0, 0)).await.unwrap();
    client.export(ExportTraceServiceRequest::default()).await.unwrap();
    assert_eq!(host.records(), 0);
    let request = samples::partly_bad_traces();
    let request = ExportTraceServiceRequest::decode(&request[..]).unwrap();
    let partial = client.export(request).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert!(partial.error_message.contains("trace_id"), "{}", partial.error_message);
    assert_eq!(host.records(), 2);
}

#[tokio::test]
async fn mistakes_get_codes_that_are_not_retried() {
    let host = Host::start();
    let mut client = TraceServiceClient::new(channel(&host).await);
    let status = client.export(traces(1, 2 << 20)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.details().is_empty());
    let mut packing = client.clone().send_compressed(CompressionEncoding::Gzip);
    let status = packing.export(traces(1, 8 << 20)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("after decompression"), "{status}");
    let mut grpc = tonic::client::Grpc::new(channel(&host).await);
    grpc.ready().await.unwrap();
    let wrong = http::uri::PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let status = grpc.unary(tonic::Request::new(Raw(vec![])), wrong, RawCodec).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented, "{status}");
    grpc.ready().await.unwrap();
    let traces = http::uri::PathAndQuery::from_static(Signal::Traces.grpc_path());
    let request = tonic::Request::new(Raw(b"\x0a\x05hello".to_vec()));
    let status = grpc.unary(request, traces, RawCodec).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert_eq!(host.records(), 0);
    host.assert_sums();
}

#[tokio::test]
async fn a_paused_host_asks_to_send_again() {
    let host = Host::start();
    let mut client = TraceServiceClient::new(channel(&host).await);
    host.pause();
    let status = client.export(traces(2, 10)).await.unwrap_err();
    assert_eq!((status.code(), retry_delay(&status)), (Code::Unavailable, Some(1)));
    assert_eq!(host.records(), 0);
    host.resume();
    client.export(traces(2, 10)).await.unwrap();
    assert_eq!(host.records(), 2);
    assert_eq!(host.count("refused_requests_total", &["paused"]), 1);
    host.assert_sums();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_call_is_not_stored() {
    let host = Host::start();
    let client = TraceServiceClient::new(channel(&host).await);
    host.hold(true);
    let mut impatient = client.clone();
    let limit = std::time::Duration::from_millis(300);
    let result = tokio::time::timeout(limit, impatient.export(traces(2, 10))).await;
    assert!(result.is_err());
    assert_eq!(host.count("received_items_total", &["traces"]), 2);
    // The stream's reset is on its way.
    host.wait_for("refused_items_total", &["traces", "client_gone"], 2);
    let mut patient = client.clone();
    let waiting = tokio::task::JoinSet::from_iter([async move {
        patient.export(traces(3, 10)).await.unwrap();
    }]);
    host.wait_for("received_items_total", &["traces"], 5);
    host.hold(false);
    waiting.join_all().await;
    assert_eq!(host.records(), 3);
    host.assert_sums();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_stores_what_waits_and_says_so() {
    let mut host = Host::start();
    let client = TraceServiceClient::new(channel(&host).await);
    host.hold(true);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let mut client = client.clone();
        waiting.spawn(async move { client.export(traces(2, 10)).await });
    }
    host.wait_for("received_items_total", &["traces"], 10);
    host.close();
    for answer in waiting.join_all().await {
        answer.unwrap();
    }
    assert_eq!(host.records(), 10);
    host.assert_sums();
    host.end();
    assert!(client.clone().export(traces(1, 10)).await.is_err());
    assert_eq!(host.records(), 10);
}

/// Bytes as they are, to send what no generated client would.
#[derive(Debug, Default, Clone)]
struct Raw(Vec<u8>);

struct RawCodec;

impl tonic::codec::Codec for RawCodec {
    type Encode = Raw;
    type Decode = Raw;
    type Encoder = RawCodec;
    type Decoder = RawCodec;

    fn encoder(&mut self) -> RawCodec {
        RawCodec
    }

    fn decoder(&mut self) -> RawCodec {
        RawCodec
    }
}

impl tonic::codec::Encoder for RawCodec {
    type Item = Raw;
    type Error = Status;

    fn encode(
        &mut self,
        item: Raw,
        buffer: &mut tonic::codec::EncodeBuf<'_>,
    ) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item.0);
        Ok(())
    }
}

impl tonic::codec::Decoder for RawCodec {
    type Item = Raw;
    type Error = Status;

    fn decode(&mut self, buffer: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<Raw>, Status> {
        let length = bytes::Buf::remaining(buffer);
        Ok(Some(Raw(bytes::Buf::copy_to_bytes(buffer, length).to_vec())))
    }
}

#[tokio::test]
async fn every_encoding_is_taken() {
    let host = Host::start();
    let client = Client::tcp(host.grpc).await;
    let body = samples::traces(2, 1000);
    for (number, (name, _, pack)) in super::packed::ALL.into_iter().enumerate() {
        let header = if name == "zlib" { "deflate" } else { name };
        let answer = client.grpc(header, &pack(&body)).await.unwrap();
        assert_eq!(answer.grpc(), ("0".to_owned(), String::new()), "{name}");
        assert_eq!(host.records(), 2 * (number + 1));
        let (status, expected) =
            client.grpc(header, &pack(&vec![0; 8 << 20])).await.unwrap().grpc();
        assert_eq!(status, "8", "{expected}");
        assert!(expected.contains("after%20decompression"), "{expected}");
    }
    let answer = client.grpc("snappy", &body).await.unwrap();
    let (status, expected) = answer.grpc();
    assert_eq!((status.as_str(), expected.contains("snappy")), ("12", true));
    assert_eq!(answer.headers["grpc-accept-encoding"], "identity,gzip,zstd,deflate");
    assert_eq!(client.grpc("identity", &body).await.unwrap().grpc().0, "13");
    host.assert_sums();
}
