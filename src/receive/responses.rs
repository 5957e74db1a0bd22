//! Response messages, in protobuf and in JSON.
//!
//! The `Export*ServiceResponse` of OTLP's four signals, and `google.rpc.Status`, `google.rpc.RetryInfo`
//! and `google.protobuf.Duration` by their published field numbers.

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::profiles::v1development::{
    ExportProfilesPartialSuccess, ExportProfilesServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde_json::{Value, json};

use super::media_type::PayloadFormat;
use crate::model::Signal;

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<AnyMessage>,
}

impl RpcStatus {
    /// The same in proto3 JSON. Of the details it has those that we make.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut status = json!({ "code": self.code, "message": self.message });
        let details: Vec<Value> = self.details.iter().filter_map(AnyMessage::to_json).collect();
        if let (false, Some(fields)) = (details.is_empty(), status.as_object_mut()) {
            fields.insert("details".to_owned(), Value::Array(details));
        }
        status.to_string().into_bytes()
    }
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AnyMessage {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

impl AnyMessage {
    /// A message in the JSON form of `Any`: its type beside its fields. `None` for types that are
    /// not known here.
    fn to_json(&self) -> Option<Value> {
        if self.type_url != RETRY_INFO {
            return None;
        }
        let delay = RetryInfo::decode(self.value.as_slice()).ok()?.retry_delay?;
        Some(json!({ "@type": RETRY_INFO, "retryDelay": format!("{}s", delay.seconds) }))
    }
}

/// The type of [`RetryInfo`] in details.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) retry_delay: Option<DurationMessage>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DurationMessage {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

/// What is said of a request that was taken in part, or with a warning.
struct PartialSuccess {
    rejected: i64,
    error_message: String,
}

/// A `RetryInfo` as it stands in the details of a status.
pub(super) fn retry_info(seconds: i64) -> AnyMessage {
    let info = RetryInfo { retry_delay: Some(DurationMessage { seconds, nanos: 0 }) };
    AnyMessage { type_url: RETRY_INFO.to_owned(), value: info.encode_to_vec() }
}

/// The answer to a request that was taken: plain success, or what was rejected and why.
pub(super) fn success(
    signal: Signal,
    format: PayloadFormat,
    rejected: usize,
    reason: Option<&str>,
) -> Vec<u8> {
    let partial_success = (rejected > 0 || reason.is_some()).then(|| PartialSuccess {
        rejected: i64::try_from(rejected).unwrap_or(i64::MAX),
        error_message: reason.unwrap_or("some items were not valid").to_owned(),
    });
    match format {
        PayloadFormat::Protobuf => success_protobuf(signal, partial_success),
        PayloadFormat::Json => success_json(signal, partial_success),
    }
}

fn success_protobuf(signal: Signal, partial: Option<PartialSuccess>) -> Vec<u8> {
    let Some(PartialSuccess { rejected, error_message }) = partial else { return Vec::new() };
    match signal {
        Signal::Traces => {
            let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message };
            ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
        Signal::Metrics => {
            let partial =
                ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message };
            ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
        Signal::Logs => {
            let partial =
                ExportLogsPartialSuccess { rejected_log_records: rejected, error_message };
            ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
        Signal::Profiles => {
            let partial =
                ExportProfilesPartialSuccess { rejected_profiles: rejected, error_message };
            ExportProfilesServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
    }
}

/// The field of a partial success that has the number, which is another one for each signal.
const fn rejected_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Logs => "rejectedLogRecords",
        Signal::Profiles => "rejectedProfiles",
    }
}

fn success_json(signal: Signal, partial_success: Option<PartialSuccess>) -> Vec<u8> {
    let Some(partial) = partial_success else { return b"{}".to_vec() };
    let mut fields = serde_json::Map::new();
    if partial.rejected != 0 {
        // A number of 64 bits is text in proto3 JSON.
        fields.insert(rejected_name(signal).to_owned(), partial.rejected.to_string().into());
    }
    fields.insert("errorMessage".to_owned(), partial.error_message.into());
    json!({ "partialSuccess": fields }).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: partial successes of all signals, and the same bytes read as another signal's.
    /// Guarantees: the message is one on the wire, so that it may be read before the signal is known.
    #[test]
    fn answers_are_what_otlp_says() {
        let bytes = Signal::WITH_PROFILES.map(|signal| {
            assert!(success(signal, PayloadFormat::Protobuf, 0, None).is_empty());
            success(signal, PayloadFormat::Protobuf, 3, Some("why"))
        });
        assert!(bytes.iter().all(|other| *other == bytes[0]));
        let bytes = &bytes[0][..];
        let traces = ExportTraceServiceResponse::decode(bytes).unwrap().partial_success.unwrap();
        assert_eq!((traces.rejected_spans, traces.error_message.as_str()), (3, "why"));
        let metrics = ExportMetricsServiceResponse::decode(bytes).unwrap();
        assert_eq!(metrics.partial_success.unwrap().rejected_data_points, 3);
        let logs = ExportLogsServiceResponse::decode(bytes).unwrap();
        assert_eq!(logs.partial_success.unwrap().rejected_log_records, 3);
        let profiles = ExportProfilesServiceResponse::decode(bytes).unwrap();
        assert_eq!(profiles.partial_success.unwrap().rejected_profiles, 3);
    }

    #[test]
    fn json_answers_are_what_otlp_says() {
        let success = |signal, rejected, reason| {
            String::from_utf8(success(signal, PayloadFormat::Json, rejected, reason)).unwrap()
        };
        assert_eq!(success(Signal::Logs, 0, None), "{}");
        let warning = r#"{"partialSuccess":{"errorMessage":"why"}}"#;
        assert_eq!(success(Signal::Logs, 0, Some("why")), warning);
        let traces: Value =
            serde_json::from_str(&success(Signal::Traces, 3, Some("a\"b"))).unwrap();
        let partial = json!({ "rejectedSpans": "3", "errorMessage": "a\"b" });
        assert_eq!(traces, json!({ "partialSuccess": partial }));
        let metrics = success(Signal::Metrics, 3, None);
        assert!(metrics.contains(r#""rejectedDataPoints":"3""#), "{metrics}");
        let logs = success(Signal::Logs, 3, None);
        assert!(logs.contains(r#""rejectedLogRecords":"3""#), "{logs}");
    }

    #[test]
    fn a_status_in_json_has_its_details() {
        let retry = retry_info(7);
        let other =
            AnyMessage { type_url: "type.googleapis.com/google.rpc.Help".into(), value: vec![] };
        let status = RpcStatus { code: 14, message: "later".into(), details: vec![other, retry] };
        let json: Value = serde_json::from_slice(&status.to_json()).unwrap();
        let info = json!({ "@type": RETRY_INFO, "retryDelay": "7s" });
        assert_eq!(json, json!({ "code": 14, "message": "later", "details": [info] }));
        let status = RpcStatus { details: vec![], ..status };
        assert!(!String::from_utf8(status.to_json()).unwrap().contains("details"));
    }
}
