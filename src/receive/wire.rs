//! The protobuf messages of answers.
//!
//! `google.rpc.Status`, `google.rpc.RetryInfo` and `google.protobuf.Duration` by their published
//! field numbers, and the `Export*ServiceResponse` of OTLP, which is the same for all signals.

use prost::Message;

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) retry_delay: Option<Duration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Duration {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

/// `ExportTraceServiceResponse` and its siblings.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess` and its siblings.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub(super) rejected: i64,
    #[prost(string, tag = "2")]
    pub(super) error_message: String,
}

/// A `RetryInfo` as it stands in the details of a status.
pub(super) fn retry_info(seconds: i64) -> Any {
    let info = RetryInfo { retry_delay: Some(Duration { seconds, nanos: 0 }) };
    Any {
        type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
        value: info.encode_to_vec(),
    }
}

/// The answer to a request that was taken: plain success, or what was rejected and why.
pub(super) fn success(rejected: usize, reason: Option<&str>) -> Vec<u8> {
    let partial_success = (rejected > 0 || reason.is_some()).then(|| PartialSuccess {
        rejected: i64::try_from(rejected).unwrap_or(i64::MAX),
        error_message: reason.unwrap_or("some items were not valid").to_owned(),
    });
    ExportResponse { partial_success }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;

    #[test]
    fn answers_are_what_otlp_says() {
        assert!(success(0, None).is_empty());
        let bytes = success(3, Some("why"));
        let traces = ExportTraceServiceResponse::decode(&bytes[..]).unwrap();
        let traces = traces.partial_success.unwrap();
        assert_eq!((traces.rejected_spans, traces.error_message.as_str()), (3, "why"));
        let metrics = ExportMetricsServiceResponse::decode(&bytes[..]).unwrap();
        assert_eq!(metrics.partial_success.unwrap().rejected_data_points, 3);
        let logs = ExportLogsServiceResponse::decode(&bytes[..]).unwrap();
        assert_eq!(logs.partial_success.unwrap().rejected_log_records, 3);
    }
}
