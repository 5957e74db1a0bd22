//! Error mapping: why a request is refused, and which answer its sender gets.
//!
//! The codes follow the OpenTelemetry Protocol Specification, sections "OTLP/gRPC Response" and
//! "OTLP/HTTP Response": what can be sent again gets a code that says so and a time to wait,
//! everything else gets a code that senders must not retry.

use http::StatusCode;
use prost::Message;
use tonic::Code;

use super::backpressure::SOON;
use super::responses;
use super::security::Denial;

/// Longest message in an answer, in bytes: gRPC carries it in a header.
const MAX_MESSAGE: usize = 1024;

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
    #[error("too much data waits in memory for the outputs; send the request again later")]
    MemoryFull,
    #[error("the pipeline did not take the request in in time; send it again later")]
    QueueTimeout,
    #[error("the tenant sends more than its rate allows; send the request again in {seconds} s")]
    RateLimited { seconds: u32 },
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
    #[error(
        "profiles are not taken in here; the option 'profiles: accept' of ai_otlp changes that"
    )]
    Profiles,
    #[error("the method {0} is not allowed; OTLP/HTTP uses POST")]
    Method(String),
    #[error(
        "content type '{0}' is not supported; allowed: application/x-protobuf, application/json"
    )]
    ContentType(String),
    #[error("profiles are taken in as protobuf only; allowed: application/x-protobuf")]
    JsonProfiles,
    #[error("encoding '{0}' is not supported; allowed: gzip, zstd, deflate, identity")]
    Encoding(String),
    #[error("the headers have more than {0} bytes, which is the limit")]
    Headers(usize),
    /// Why, and what the header `www-authenticate` says.
    #[error("{0}")]
    Unauthenticated(Denial, &'static str),
    #[error("{0}")]
    Forbidden(Denial),
    #[error("credentials cannot be checked at the moment; send the request again later")]
    Unchecked,
    #[error("{0}; sending the request again would not help")]
    Processors(&'static str),
    #[error("gRPC needs HTTP/2")]
    GrpcVersion,
    #[error("{0}")]
    GrpcFraming(&'static str),
}

/// The label values of [`Refusal::reason`].
pub(super) const REASONS: [&str; 16] = [
    "malformed",
    "too_large",
    "paused",
    "queue_full",
    "memory_full",
    "queue_timeout",
    "rate_limited",
    "shutting_down",
    "slow",
    "client_gone",
    "not_found",
    "unsupported",
    "unauthenticated",
    "forbidden",
    "unchecked",
    "processors_failed",
];

impl Refusal {
    /// Its name in counters, one of [`REASONS`].
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::GrpcFraming(_) => "malformed",
            Self::TooLarge { .. } | Self::Headers(_) => "too_large",
            Self::Paused => "paused",
            Self::QueueFull => "queue_full",
            Self::MemoryFull => "memory_full",
            Self::QueueTimeout => "queue_timeout",
            Self::RateLimited { .. } => "rate_limited",
            Self::ShuttingDown => "shutting_down",
            Self::Slow(_) => "slow",
            Self::ClientGone => "client_gone",
            Self::NotFound(_) | Self::NoSuchMethod(_) | Self::Profiles => "not_found",
            Self::Unauthenticated(..) => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::Unchecked => "unchecked",
            Self::Processors(_) => "processors_failed",
            Self::Method(_)
            | Self::ContentType(_)
            | Self::JsonProfiles
            | Self::Encoding(_)
            | Self::GrpcVersion => "unsupported",
        }
    }

    /// Whether the sender is to send the same request again.
    pub(super) fn is_retryable(&self) -> bool {
        self.retry_after().is_some()
    }

    /// Whether it is because the pipeline does not keep up, so that how long it lasts counts.
    pub(super) const fn is_pressure(&self) -> bool {
        matches!(self, Self::Paused | Self::QueueFull | Self::MemoryFull | Self::QueueTimeout)
    }

    /// How many seconds the sender is at least to wait before it sends the same request again.
    pub(super) const fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Paused
            | Self::QueueFull
            | Self::MemoryFull
            | Self::QueueTimeout
            | Self::ShuttingDown
            | Self::Slow(_)
            | Self::Unchecked => Some(SOON),
            Self::RateLimited { seconds } => Some(*seconds),
            _ => None,
        }
    }

    /// Whether it is the sender's mistake, so that the log should show it.
    pub(super) fn is_mistake(&self) -> bool {
        !self.is_retryable() && *self != Self::ClientGone
    }

    /// The header `www-authenticate`, where a sender is to show credentials (RFC 9110, 11.6.1).
    pub(super) fn challenge(&self) -> Option<&'static str> {
        if let Self::Unauthenticated(_, challenge) = self { Some(challenge) } else { None }
    }

    /// The status of OTLP/HTTP. A slow request gets 503 rather than 408, because senders drop what
    /// is answered 408.
    pub(super) fn http_status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::ClientGone | Self::GrpcVersion | Self::GrpcFraming(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Paused
            | Self::QueueTimeout
            | Self::ShuttingDown
            | Self::Slow(_)
            | Self::Unchecked => StatusCode::SERVICE_UNAVAILABLE,
            Self::Processors(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unauthenticated(..) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Headers(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::QueueFull | Self::MemoryFull | Self::RateLimited { .. } => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::NotFound(_) | Self::NoSuchMethod(_) | Self::Profiles => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType(_) | Self::JsonProfiles | Self::Encoding(_) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
        }
    }

    /// The status of OTLP/gRPC. Requests that are too large get `RESOURCE_EXHAUSTED` without a
    /// time to wait, which means "do not retry".
    pub(super) fn grpc_code(&self) -> Code {
        match self {
            Self::Malformed(_) => Code::InvalidArgument,
            Self::TooLarge { .. } | Self::Headers(_) | Self::RateLimited { .. } => {
                Code::ResourceExhausted
            }
            Self::Paused
            | Self::QueueFull
            | Self::MemoryFull
            | Self::QueueTimeout
            | Self::ShuttingDown
            | Self::Slow(_)
            | Self::Unchecked => Code::Unavailable,
            Self::Unauthenticated(..) => Code::Unauthenticated,
            Self::Forbidden(_) => Code::PermissionDenied,
            Self::ClientGone => Code::Cancelled,
            Self::NotFound(_)
            | Self::NoSuchMethod(_)
            | Self::Profiles
            | Self::Method(_)
            | Self::ContentType(_)
            | Self::JsonProfiles
            | Self::Encoding(_) => Code::Unimplemented,
            Self::GrpcVersion | Self::GrpcFraming(_) | Self::Processors(_) => Code::Internal,
        }
    }

    /// What the sender reads.
    pub(super) fn message(&self) -> String {
        let mut text = self.to_string();
        if text.len() > MAX_MESSAGE {
            text.truncate(text.floor_char_boundary(MAX_MESSAGE));
            text.push_str("...");
        }
        text
    }

    /// The `google.rpc.Status` of it, with the seconds to wait.
    pub(super) fn status(&self, wait: Option<u32>) -> responses::RpcStatus {
        let details =
            wait.map(|seconds| responses::retry_info(i64::from(seconds))).into_iter().collect();
        responses::RpcStatus { code: i32::from(self.grpc_code()), message: self.message(), details }
    }

    /// The same for gRPC: the details only where there are some.
    pub(super) fn grpc_status(&self, wait: Option<u32>) -> tonic::Status {
        let status = self.status(wait);
        let details = if status.details.is_empty() { Vec::new() } else { status.encode_to_vec() };
        tonic::Status::with_details(self.grpc_code(), status.message, details.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_learn_what_to_send_again() {
        let again = [
            Refusal::Paused,
            Refusal::QueueFull,
            Refusal::QueueTimeout,
            Refusal::ShuttingDown,
            Refusal::Slow(30),
        ];
        for refusal in again {
            assert!([429, 503].contains(&refusal.http_status().as_u16()), "{refusal}");
            assert_eq!(refusal.grpc_code(), Code::Unavailable);
            let status =
                responses::RpcStatus::decode(refusal.grpc_status(refusal.retry_after()).details())
                    .unwrap();
            assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
        }
        let failed = Refusal::Processors("they failed");
        assert_eq!((failed.http_status().as_u16(), failed.grpc_code()), (500, Code::Internal));
        assert_eq!(failed.retry_after(), None);
        let large = Refusal::TooLarge { limit: 7, when: "" };
        assert_eq!(large.grpc_code(), Code::ResourceExhausted);
        assert!(large.grpc_status(None).details().is_empty());
        let limited = Refusal::RateLimited { seconds: 17 };
        assert_eq!((limited.http_status().as_u16(), limited.retry_after()), (429, Some(17)));
        assert_eq!(limited.grpc_code(), Code::ResourceExhausted);
        let status =
            responses::RpcStatus::decode(limited.grpc_status(limited.retry_after()).details())
                .unwrap();
        let info = responses::RetryInfo::decode(&status.details[0].value[..]).unwrap();
        assert_eq!(info.retry_delay.unwrap().seconds, 17);
    }

    #[test]
    fn reasons_are_known_to_the_counters() {
        let some = [
            Refusal::Malformed(String::new()),
            Refusal::Paused,
            Refusal::QueueFull,
            Refusal::QueueTimeout,
            Refusal::Headers(1),
            Refusal::ShuttingDown,
            Refusal::Slow(1),
            Refusal::ClientGone,
            Refusal::NotFound(String::new()),
            Refusal::ContentType(String::new()),
            Refusal::TooLarge { limit: 1, when: "" },
            Refusal::RateLimited { seconds: 1 },
            Refusal::Processors("they failed"),
        ];
        assert!(some.iter().all(|refusal| REASONS.contains(&refusal.reason())));
    }

    #[test]
    fn messages_are_cut_between_characters() {
        let message = Refusal::Malformed("\u{20ac}".repeat(1000)).message();
        assert!(message.len() <= MAX_MESSAGE + 3);
        assert!(message.ends_with("\u{20ac}..."));
    }
}
