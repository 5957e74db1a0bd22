//! Why a request is refused, and what its sender is told.
//!
//! The codes follow the OpenTelemetry Protocol Specification, sections "OTLP/gRPC Response" and
//! "OTLP/HTTP Response": what can be sent again gets a code that says so and a time to wait,
//! everything else gets a code that senders must not retry.

use http::StatusCode;
use prost::Message;
use tonic::Code;

use super::wire;

/// How long a sender is asked to wait before it sends again, in seconds.
pub(super) const RETRY_AFTER_SECONDS: u8 = 1;
/// Longest message in an answer, in bytes: gRPC carries it in a header.
const LONGEST_MESSAGE: usize = 1024;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0}")]
    Malformed(String),
    #[error("the request has more than {limit} bytes{when}, which is the limit")]
    TooLarge { limit: usize, when: &'static str },
    #[error("the pipeline takes no data in at the moment; send the request again later")]
    Paused,
    #[error("too much data waits for the pipeline; send the request again later")]
    QueueFull,
    #[error("the receiver is shutting down; send the request again later")]
    ShuttingDown,
    #[error("the request was not complete after {0} seconds; send it again")]
    Slow(u64),
    #[error("the connection ended within the request")]
    ClientGone,
    #[error("there is nothing at '{0}'; OTLP/HTTP is at /v1/traces, /v1/metrics and /v1/logs")]
    NotFound(String),
    #[error("there is no method '{0}'; OTLP/gRPC has TraceService, MetricsService and LogsService")]
    NoSuchMethod(String),
    #[error("the method {0} is not allowed; OTLP/HTTP uses POST")]
    Method(String),
    #[error(
        "content type '{0}' is not supported; allowed: application/x-protobuf, application/json"
    )]
    ContentType(String),
    #[error("encoding '{0}' is not supported; allowed: gzip, identity")]
    Encoding(String),
    #[error("gRPC needs HTTP/2")]
    GrpcVersion,
    #[error("{0}")]
    GrpcFraming(&'static str),
}

/// The label values of [`Refusal::reason`].
pub(super) const REASONS: [&str; 9] = [
    "malformed",
    "too_large",
    "paused",
    "queue_full",
    "shutting_down",
    "slow",
    "client_gone",
    "not_found",
    "unsupported",
];

impl Refusal {
    /// The word for it in counters, one of [`REASONS`].
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::GrpcFraming(_) => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::Paused => "paused",
            Self::QueueFull => "queue_full",
            Self::ShuttingDown => "shutting_down",
            Self::Slow(_) => "slow",
            Self::ClientGone => "client_gone",
            Self::NotFound(_) | Self::NoSuchMethod(_) => "not_found",
            Self::Method(_) | Self::ContentType(_) | Self::Encoding(_) | Self::GrpcVersion => {
                "unsupported"
            }
        }
    }

    /// Whether the sender is to send the same request again.
    pub(super) fn is_retryable(&self) -> bool {
        matches!(self, Self::Paused | Self::QueueFull | Self::ShuttingDown | Self::Slow(_))
    }

    /// Whether it is the sender's mistake, so that the log should show it.
    pub(super) fn is_mistake(&self) -> bool {
        !self.is_retryable() && *self != Self::ClientGone
    }

    /// The status of OTLP/HTTP. A slow request gets 503 rather than 408, because senders drop what
    /// is answered 408.
    pub(super) fn http_status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::ClientGone | Self::GrpcVersion | Self::GrpcFraming(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Paused | Self::ShuttingDown | Self::Slow(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::QueueFull => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound(_) | Self::NoSuchMethod(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType(_) | Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// The status of OTLP/gRPC. Requests that are too large get `RESOURCE_EXHAUSTED` without a
    /// time to wait, which means "do not retry".
    pub(super) fn grpc_code(&self) -> Code {
        match self {
            Self::Malformed(_) => Code::InvalidArgument,
            Self::TooLarge { .. } => Code::ResourceExhausted,
            Self::Paused | Self::QueueFull | Self::ShuttingDown | Self::Slow(_) => {
                Code::Unavailable
            }
            Self::ClientGone => Code::Cancelled,
            Self::NotFound(_)
            | Self::NoSuchMethod(_)
            | Self::Method(_)
            | Self::ContentType(_)
            | Self::Encoding(_) => Code::Unimplemented,
            Self::GrpcVersion | Self::GrpcFraming(_) => Code::Internal,
        }
    }

    /// What the sender reads.
    pub(super) fn message(&self) -> String {
        let mut text = self.to_string();
        if text.len() > LONGEST_MESSAGE {
            text.truncate(text.floor_char_boundary(LONGEST_MESSAGE));
            text.push_str("...");
        }
        text
    }

    /// The `google.rpc.Status` of it.
    pub(super) fn status(&self) -> wire::Status {
        let details = if self.is_retryable() {
            vec![wire::retry_info(i64::from(RETRY_AFTER_SECONDS))]
        } else {
            Vec::new()
        };
        wire::Status { code: i32::from(self.grpc_code()), message: self.message(), details }
    }

    /// The same for gRPC: the details only where there are some.
    pub(super) fn grpc_status(&self) -> tonic::Status {
        let status = self.status();
        let details = if status.details.is_empty() { Vec::new() } else { status.encode_to_vec() };
        tonic::Status::with_details(self.grpc_code(), status.message, details.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_learn_what_to_send_again() {
        let again = [Refusal::Paused, Refusal::QueueFull, Refusal::ShuttingDown, Refusal::Slow(30)];
        for refusal in again {
            assert!([429, 503].contains(&refusal.http_status().as_u16()), "{refusal}");
            assert_eq!(refusal.grpc_code(), Code::Unavailable);
            let status = wire::Status::decode(refusal.grpc_status().details()).unwrap();
            assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
        }
        let large = Refusal::TooLarge { limit: 7, when: "" };
        assert_eq!(large.grpc_code(), Code::ResourceExhausted);
        assert!(large.grpc_status().details().is_empty());
    }

    #[test]
    fn reasons_are_known_to_the_counters() {
        let some = [
            Refusal::Malformed(String::new()),
            Refusal::Paused,
            Refusal::QueueFull,
            Refusal::ShuttingDown,
            Refusal::Slow(1),
            Refusal::ClientGone,
            Refusal::NotFound(String::new()),
            Refusal::ContentType(String::new()),
            Refusal::TooLarge { limit: 1, when: "" },
        ];
        assert!(some.iter().all(|refusal| REASONS.contains(&refusal.reason())));
    }

    #[test]
    fn messages_are_cut_between_characters() {
        let message = Refusal::Malformed("\u{20ac}".repeat(1000)).message();
        assert!(message.len() <= LONGEST_MESSAGE + 3);
        assert!(message.ends_with("\u{20ac}..."));
    }
}
