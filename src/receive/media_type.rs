//! Content negotiation: the formats of OTLP/HTTP, by their media types.

/// The content type of protobuf.
pub(super) const PROTOBUF: &str = "application/x-protobuf";
/// The content type of JSON.
pub(super) const JSON: &str = "application/json";

/// The format of a request, and of the answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PayloadFormat {
    /// Protobuf.
    Protobuf,
    /// OTLP/JSON.
    Json,
}

impl PayloadFormat {
    /// The format that a content type without parameters names. Also `application/protobuf`, which
    /// senders use who do not know that OTLP asks for another name.
    pub(super) fn of(media_type: &str) -> Option<Self> {
        match media_type {
            PROTOBUF | "application/protobuf" => Some(Self::Protobuf),
            JSON => Some(Self::Json),
            _ => None,
        }
    }

    /// The content type of answers.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => PROTOBUF,
            Self::Json => JSON,
        }
    }
}
