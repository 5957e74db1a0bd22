//! Diagnosis: what probably is wrong where an endpoint fails, in words that help to set it right.

use std::error::Error;
use std::io::ErrorKind;

use reqwest::Url;

use crate::export::settings::Protocol;
use crate::export::transport::reply::ReceivedReply;
use crate::model::Signal;

/// What a request was.
#[derive(Debug, Clone, Copy)]
pub(in crate::export) struct FailedRequest<'a> {
    /// The endpoint's name.
    pub(in crate::export) endpoint: &'a str,
    pub(in crate::export) url: &'a Url,
    pub(in crate::export) protocol: Protocol,
    pub(in crate::export) signal: Signal,
    /// Another signal of which the endpoint took a request before.
    pub(in crate::export) other: Option<Signal>,
    /// Whether the endpoint took any request before.
    pub(in crate::export) has_taken: bool,
}

/// What a failed connection looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symptom {
    UnknownHost,
    NothingListens,
    /// TLS was answered by something else.
    NotTls,
    NoCommonProtocol,
    UnknownIssuer,
    OtherName,
    Expired,
    WantsCertificate,
    /// HTTP/2 was answered by something else.
    NotHttp2,
    /// HTTP/1 was answered by something else.
    NotHttp1,
    /// It was closed as soon as we spoke.
    HangsUp,
}

impl FailedRequest<'_> {
    const fn is_grpc(&self) -> bool {
        matches!(self.protocol, Protocol::Grpc)
    }

    fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// What to do about a request that got no answer; nothing where the error says it all.
    pub(in crate::export) fn about_error(&self, error: &(dyn Error + 'static)) -> Option<String> {
        let message = match symptom_of(error)? {
            Symptom::UnknownHost => "the name of the host is not known here".to_owned(),
            Symptom::NothingListens => "nothing listens at that port".to_owned(),
            Symptom::NotTls => "the port speaks no TLS: write the url with http://".to_owned(),
            Symptom::NoCommonProtocol if self.is_grpc() => {
                "the server offers no HTTP/2, which gRPC needs: 'protocol: http/protobuf' may be \
                 right"
                    .to_owned()
            }
            Symptom::NoCommonProtocol => "the server offers neither HTTP/1 nor HTTP/2".to_owned(),
            Symptom::UnknownIssuer => {
                "give the authority's certificate, or the server's own, as 'tls.ca_file'".to_owned()
            }
            Symptom::OtherName => {
                "if the server is right, give the name in its certificate as 'tls.server_name'"
                    .to_owned()
            }
            Symptom::Expired => {
                "the server needs a new certificate, or a clock is wrong".to_owned()
            }
            Symptom::WantsCertificate => {
                "the server asks for a certificate of ours: 'tls.crt_file' and 'tls.key_file'"
                    .to_owned()
            }
            Symptom::NotHttp2 => self.about_other_protocol(),
            Symptom::NotHttp1 => self.about_other_protocol(),
            // One that worked before was ended or started anew.
            Symptom::HangsUp if !self.has_taken => self.about_other_protocol(),
            Symptom::HangsUp => return None,
        };
        Some(message)
    }

    fn about_other_protocol(&self) -> String {
        let (spoken, other) = if self.is_grpc() {
            ("HTTP/2 without TLS", "OTLP/HTTP (write 'protocol: http/protobuf')")
        } else {
            ("HTTP/1", "gRPC (write 'protocol: grpc')")
        };
        let port = self.url.port_or_known_default().unwrap_or_default();
        let usual = match (port, self.is_grpc()) {
            (4317, false) => "; 4317 is the usual port of gRPC",
            (4318, true) => "; 4318 is the usual port of OTLP/HTTP",
            _ => "",
        };
        if self.is_secure() {
            return format!("the port speaks another protocol, perhaps {other}{usual}");
        }
        format!(
            "the port does not speak {spoken}: perhaps TLS (write the url with https://) or \
             {other}{usual}"
        )
    }

    /// What to do about an answer that is no success; nothing where it says it all.
    pub(in crate::export) fn about_answer(&self, received: &ReceivedReply) -> Option<String> {
        let grpc_code = received
            .trailers
            .as_ref()
            .and_then(|trailers| trailers.get("grpc-status"))
            .or_else(|| received.headers.get("grpc-status"))
            .and_then(|value| value.to_str().ok());
        match (received.status, grpc_code) {
            (200..=299, Some("12")) => Some(self.about_nothing_there()),
            (401, _) | (200..=299, Some("16")) => Some(
                "it asks for credentials: 'headers', 'bearer_token', 'http_user' or 'oauth2.*'"
                    .to_owned(),
            ),
            (403, _) | (200..=299, Some("7")) => {
                Some("the credentials do not permit this, or are for another place".to_owned())
            }
            (407, _) => Some("the proxy asks for a user and a password, in its URL".to_owned()),
            (200..=299, None) => Some(self.about_no_otlp(received)),
            (200..=299, Some(_)) => None,
            (404 | 405 | 410 | 421 | 501, _) => Some(self.about_nothing_there()),
            (415, _) if self.is_grpc() => Some(
                "it speaks HTTP, but not gRPC: 'protocol: http/protobuf' may be right".to_owned(),
            ),
            (415, _) => Some("another 'protocol' or 'compression' may be right".to_owned()),
            (400, _) if !self.is_secure() && mentions_https(&received.body) => {
                Some("the port speaks TLS: write the url with https://".to_owned())
            }
            _ => None,
        }
    }

    fn about_no_otlp(&self, received: &ReceivedReply) -> String {
        let of_grpc = received
            .headers
            .get("content-type")
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        if of_grpc && !self.is_grpc() {
            return "the server speaks gRPC: write 'protocol: grpc'".to_owned();
        }
        "the url is not that of an OTLP endpoint: its path may be wrong".to_owned()
    }

    /// There is nothing for this signal.
    fn about_nothing_there(&self) -> String {
        let (endpoint, signal) = (self.endpoint, self.signal.name());
        if let Some(other) = self.other {
            let other = other.name();
            return format!(
                "it has taken {other} before; if it takes no {signal}, write \
                 'endpoint.{endpoint}.signals: {other}'"
            );
        }
        if self.is_grpc() {
            return format!(
                "the server has no such service: it takes no {signal} (see \
                 'endpoint.{endpoint}.signals'), or is none of OTLP"
            );
        }
        format!(
            "the path of the url may be wrong, or it takes no {signal} (see \
             'endpoint.{endpoint}.signals')"
        )
    }
}

/// Servers with TLS that read plain HTTP say so.
fn mentions_https(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    text.contains("https server") || text.contains("https port") || text.contains("tls-enabled")
}

/// The first of an error's causes that is known.
fn symptom_of(error: &(dyn Error + 'static)) -> Option<Symptom> {
    let mut next = Some(error);
    let mut hangs_up = None;
    while let Some(cause) = next {
        if let Some(found) = symptom_of_one(cause) {
            if found != Symptom::HangsUp {
                return Some(found);
            }
            hangs_up = Some(found);
        }
        next = cause.source();
        // What rustls says is within an error of the operating system, not behind it.
        if let Some(inner) =
            cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
        {
            next = Some(inner);
        }
    }
    hangs_up
}

fn symptom_of_one(cause: &(dyn Error + 'static)) -> Option<Symptom> {
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return symptom_of_tls(error);
    }
    if let Some(error) = cause.downcast_ref::<std::io::Error>() {
        return match error.kind() {
            ErrorKind::ConnectionRefused => Some(Symptom::NothingListens),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
                Some(Symptom::HangsUp)
            }
            _ if error.to_string().contains("failed to lookup address") => {
                Some(Symptom::UnknownHost)
            }
            _ => None,
        };
    }
    if let Some(error) = cause.downcast_ref::<hyper::Error>() {
        if error.is_parse() {
            return Some(Symptom::NotHttp1);
        }
        let closed = error.is_incomplete_message() || error.is_closed() || error.is_canceled();
        return closed.then_some(Symptom::HangsUp);
    }
    // The library of HTTP/2 is used through hyper alone, so that its errors have no type here.
    let message = cause.to_string();
    let is_other = message.contains("frame with invalid size")
        || message.contains("PROTOCOL_ERROR")
        || message.contains("FRAME_SIZE_ERROR");
    is_other.then_some(Symptom::NotHttp2)
}

fn symptom_of_tls(error: &rustls::Error) -> Option<Symptom> {
    use rustls::{AlertDescription, CertificateError, Error};
    match error {
        Error::InvalidMessage(_) => Some(Symptom::NotTls),
        Error::NoApplicationProtocol
        | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            Some(Symptom::NoCommonProtocol)
        }
        Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA,
        ) => Some(Symptom::WantsCertificate),
        Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Some(Symptom::UnknownIssuer)
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Some(Symptom::OtherName)
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Some(Symptom::Expired),
            CertificateError::Other(_) => Some(Symptom::UnknownIssuer),
            _ => None,
        },
        _ => None,
    }
}
