//! Response parser: what an answer means, by the rules of its transport.

use prost::Message;

use crate::call::Reply;
use crate::requests::Signal;
use crate::table::Transport;

/// The answer of a rule's check: what is wrong.
pub type Verdict = Result<(), String>;

/// Says what is wrong unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(format!($($words)+));
        }
    };
}
pub(crate) use ensure;

/// `google.rpc.Status`, by its published field numbers.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
pub struct Delay {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// `ExportTraceServiceResponse` and its siblings, which have the same field numbers.
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess` and its siblings.
#[derive(Clone, PartialEq, Message)]
pub struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub rejected: i64,
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// A refusal, whatever the transport.
#[derive(Debug)]
pub struct Refusal {
    /// The HTTP status, or the gRPC code.
    pub code: u16,
    pub message: String,
    /// How long to wait before the request is sent again.
    pub retry_after: Option<f64>,
}

/// The HTTP statuses after which a sender sends again: section "Retryable Response Codes".
pub const RETRYABLE_STATUSES: [u16; 4] = [429, 502, 503, 504];

/// The gRPC codes after which a sender sends again: section "Failures". `RESOURCE_EXHAUSTED` is one
/// only with `RetryInfo`.
pub const RETRYABLE_CODES: [u16; 6] = [1, 4, 10, 11, 14, 15];

impl Refusal {
    /// Whether a sender that follows the specification would send the request again.
    pub fn is_retryable(&self, transport: Transport) -> bool {
        match transport {
            Transport::Grpc if self.code == 8 => self.retry_after.is_some(),
            Transport::Grpc => RETRYABLE_CODES.contains(&self.code),
            _ => RETRYABLE_STATUSES.contains(&self.code),
        }
    }
}

/// The parts of an answer to a gRPC call: its code, message and details.
fn grpc_parts(reply: &Reply) -> Result<(u16, String, Option<Status>), String> {
    ensure!(reply.status == 200, "gRPC with HTTP status {}", reply.status);
    let kind = header(reply, "content-type");
    ensure!(kind.starts_with("application/grpc"), "content type '{kind}'");
    let trailers = reply.trailers.as_ref().unwrap_or(&reply.headers);
    let code = trailers.get("grpc-status").ok_or("no grpc-status")?;
    let code = code.to_str().ok().and_then(|code| code.parse().ok()).ok_or("a strange status")?;
    let message = trailers.get("grpc-message").map_or("", |message| message.to_str().unwrap_or(""));
    let details = match trailers.get("grpc-status-details-bin") {
        None => None,
        Some(encoded) => Some(Status::decode(&base64(encoded.as_bytes())?[..]).map_err(text)?),
    };
    Ok((code, message.to_owned(), details))
}

pub fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
    reply.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// Reads the answer to a request that was taken.
pub fn success(signal: Signal, transport: Transport, reply: &Reply) -> Result<Response, String> {
    match transport {
        Transport::Grpc => {
            let (code, message, _) = grpc_parts(reply)?;
            ensure!(code == 0, "gRPC code {code}: {message}");
            ensure!(reply.trailers.is_some(), "the status of a success is not in the trailers");
            ensure!(reply.body.len() >= 5, "no message");
            ensure!(reply.body[0] == 0, "the message is compressed");
            let length = u32::from_be_bytes(reply.body[1..5].try_into().unwrap()) as usize;
            ensure!(reply.body.len() == 5 + length, "not one message");
            Response::decode(&reply.body[5..]).map_err(text)
        }
        Transport::Protobuf => {
            ensure!(reply.status == 200, "{}: {}", reply.status, message_of(transport, reply));
            let kind = header(reply, "content-type");
            ensure!(kind == "application/x-protobuf", "content type '{kind}'");
            Response::decode(&reply.body[..]).map_err(text)
        }
        Transport::Json => {
            ensure!(reply.status == 200, "{}: {}", reply.status, message_of(transport, reply));
            let kind = header(reply, "content-type");
            ensure!(kind == "application/json", "content type '{kind}'");
            json_response(signal, &reply.body)
        }
    }
}

/// The response in JSON: lowerCamelCase keys, 64-bit integers as decimal text.
fn json_response(signal: Signal, body: &[u8]) -> Result<Response, String> {
    let value: serde_json::Value = serde_json::from_slice(body).map_err(text)?;
    let response = value.as_object().ok_or("the answer is no JSON object")?;
    let Some(partial) = response.get("partialSuccess") else { return Ok(Response::default()) };
    let key = ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"][signal as usize];
    let rejected = match partial.get(key) {
        None => 0,
        Some(serde_json::Value::String(count)) => count.parse().map_err(text)?,
        Some(other) => return Err(format!("{key} is {other}, which is no decimal text")),
    };
    let message = partial.get("errorMessage").and_then(|message| message.as_str()).unwrap_or("");
    let partial_success = Some(PartialSuccess { rejected, error_message: message.to_owned() });
    Ok(Response { partial_success })
}

/// Reads the answer to a request that was refused: in HTTP a `google.rpc.Status` in the format of
/// the request.
pub fn refusal(transport: Transport, reply: &Reply) -> Result<Refusal, String> {
    if transport == Transport::Grpc {
        let (code, message, details) = grpc_parts(reply)?;
        ensure!(code != 0, "the call succeeded");
        let mut retry_after = None;
        if let Some(status) = details {
            ensure!(status.code == i32::from(code), "the details say code {}", status.code);
            retry_after = delay(&status)?;
        }
        return Ok(Refusal { code, message, retry_after });
    }
    ensure!(!reply.status.is_success(), "status {}", reply.status);
    let kind = header(reply, "content-type");
    ensure!(kind == transport.content_type(), "content type '{kind}'");
    let message = message_of(transport, reply);
    let retry_after = match header(reply, "retry-after") {
        "" => None,
        seconds => Some(seconds.parse().map_err(|_| format!("Retry-After: {seconds}"))?),
    };
    Ok(Refusal { code: reply.status.as_u16(), message, retry_after })
}

fn message_of(transport: Transport, reply: &Reply) -> String {
    let message = match transport {
        Transport::Json => {
            serde_json::from_slice(&reply.body).ok().and_then(|status: serde_json::Value| {
                Some(status.get("message")?.as_str()?.to_owned())
            })
        }
        _ => Status::decode(&reply.body[..]).ok().map(|status| status.message),
    };
    message.unwrap_or_default()
}

fn delay(status: &Status) -> Result<Option<f64>, String> {
    let info = "type.googleapis.com/google.rpc.RetryInfo";
    let Some(info) = status.details.iter().find(|any| any.type_url == info) else {
        return Ok(None);
    };
    let info = RetryInfo::decode(&info.value[..]).map_err(text)?;
    let delay = info.retry_delay.ok_or("RetryInfo without a delay")?;
    Ok(Some(delay.seconds as f64 + f64::from(delay.nanos) / 1e9))
}

/// Base64 without padding, as gRPC writes it into headers.
fn base64(text: &[u8]) -> Result<Vec<u8>, String> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Ok(u32::from(byte - b'A')),
        b'a'..=b'z' => Ok(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Ok(u32::from(byte - b'0') + 52),
        b'+' => Ok(62),
        b'/' => Ok(63),
        other => Err(format!("{other} is no base64")),
    };
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.iter().copied().filter(|byte| *byte != b'=') {
        bits = (bits << 6) | digit(byte)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Ok(bytes)
}

pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
