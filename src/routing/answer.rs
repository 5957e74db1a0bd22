//! Response classification: what an endpoint's answer means, by the OTLP specification, sections
//! "Failures" of OTLP/gRPC and OTLP/HTTP.

use std::time::Duration;

use prost::Message;

use super::size_limit::{TooMuch, too_much};
use crate::model::listed_enum;

/// The longest wait that an endpoint may ask for; what asks for more gets this.
const MAX_WAIT: Duration = Duration::from_secs(600);

listed_enum! {
    /// Why a request failed: the closed list that counters are labelled with.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum RequestFailureReason {
        /// No connection could be made: refused, unknown host, TLS.
        Connect,
        /// No answer within the timeout.
        Timeout,
        /// The connection broke in the middle.
        Transport,
        /// The endpoint asks for less: 429, or `RESOURCE_EXHAUSTED` with a wait.
        Throttled,
        /// The endpoint cannot take it now: 502, 503, 504 and the retryable gRPC codes.
        Unavailable,
        /// The endpoint will never take it: every other status.
        Refused,
        /// The request is too large for the endpoint: 413, or `RESOURCE_EXHAUSTED` that says so.
        TooLarge,
        /// The endpoint has had too much and asks for no retry: `RESOURCE_EXHAUSTED` without a wait
        /// that is not for the request's size.
        Exhausted,
        /// The answer is not what the protocol asks for.
        BadAnswer,
        /// An answer with a successful status that is none of OTLP, such as a web page.
        NotOtlp,
        /// There is nothing for OTLP at the address: 404, 405, 410, 421, a redirect that is not
        /// followed, or `UNIMPLEMENTED`.
        Misdirected,
        /// There is no token to make the request with.
        Credentials,
    }
}

impl RequestFailureReason {
    /// The name in counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Transport => "transport",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
            Self::Exhausted => "resource_exhausted",
            Self::BadAnswer => "bad_answer",
            Self::NotOtlp => "not_otlp",
            Self::Misdirected => "misdirected",
            Self::Credentials => "credentials",
        }
    }
}

/// What is to be done after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointAnswer {
    /// The request was accepted, perhaps in part; the body says so.
    Accepted,
    /// The same request may be accepted later, not before `after` if the endpoint said so.
    Retry {
        /// Why.
        reason: RequestFailureReason,
        /// The wait that the endpoint asked for.
        after: Option<Duration>,
    },
    /// The same request will never be accepted.
    Refused(RequestFailureReason),
    /// The same request will never be accepted, and the endpoint does not say whether it is too
    /// large: only smaller ones show that.
    Unclear,
}

/// An HTTP status with the value of `Retry-After`; `unix_seconds` is the time now.
#[must_use]
pub fn http_answer(
    status: u16,
    retry_after_value: Option<&str>,
    unix_seconds: u64,
) -> EndpointAnswer {
    let after = || retry_after_value.and_then(|value| retry_after(value, unix_seconds));
    match status {
        200..=299 => EndpointAnswer::Accepted,
        429 => EndpointAnswer::Retry { reason: RequestFailureReason::Throttled, after: after() },
        502..=504 => {
            EndpointAnswer::Retry { reason: RequestFailureReason::Unavailable, after: after() }
        }
        413 => EndpointAnswer::Refused(RequestFailureReason::TooLarge),
        _ if is_misdirected(status) => EndpointAnswer::Refused(RequestFailureReason::Misdirected),
        _ => EndpointAnswer::Refused(RequestFailureReason::Refused),
    }
}

/// Whether an HTTP status says that the request went to a wrong address.
#[must_use]
pub const fn is_misdirected(status: u16) -> bool {
    matches!(status, 300..=399 | 404 | 405 | 410 | 421)
}

/// A gRPC status code with its message and the wait of `RetryInfo`, if there was one.
///
/// Without a wait `RESOURCE_EXHAUSTED` is not to be retried. Rate limiters answer it, and libraries
/// do where a message is larger than they read; only the message distinguishes these.
#[must_use]
pub fn grpc_answer(code: i32, message: &str, retry_info: Option<Duration>) -> EndpointAnswer {
    match (code, retry_info) {
        (0, _) => EndpointAnswer::Accepted,
        // Libraries say so of a message that is larger than they read.
        (11, None) if too_much(message) == TooMuch::Size => {
            EndpointAnswer::Refused(RequestFailureReason::TooLarge)
        }
        // CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS
        (1 | 4 | 10 | 11 | 14 | 15, after) => {
            EndpointAnswer::Retry { reason: RequestFailureReason::Unavailable, after }
        }
        // RESOURCE_EXHAUSTED
        (8, Some(after)) => {
            EndpointAnswer::Retry { reason: RequestFailureReason::Throttled, after: Some(after) }
        }
        (8, None) => match too_much(message) {
            TooMuch::Size => EndpointAnswer::Refused(RequestFailureReason::TooLarge),
            TooMuch::Rate => EndpointAnswer::Refused(RequestFailureReason::Exhausted),
            TooMuch::Unsaid => EndpointAnswer::Unclear,
        },
        // UNIMPLEMENTED
        (12, _) => EndpointAnswer::Refused(RequestFailureReason::Misdirected),
        _ => EndpointAnswer::Refused(RequestFailureReason::Refused),
    }
}

/// The wait of a `Retry-After` header: seconds or a date (RFC 9110, sections 10.2.3 and 5.6.7).
#[must_use]
pub fn retry_after(value: &str, unix_seconds: u64) -> Option<Duration> {
    let value = value.trim();
    let seconds = match value.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => http_date(value)?.saturating_sub(unix_seconds),
    };
    Some(Duration::from_secs(seconds).min(MAX_WAIT))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Unix seconds of an HTTP date in any of its three forms, which differ in the order of their
/// parts: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`,
/// `Sun Nov  6 08:49:37 1994`.
fn http_date(text: &str) -> Option<u64> {
    let mut parts = text.split([' ', ',', '-']).filter(|part| !part.is_empty());
    let _weekday = parts.next()?;
    let (second, third) = (parts.next()?, parts.next()?);
    let (fourth, fifth) = (parts.next()?, parts.next()?);
    let month_of = |name: &str| MONTHS.iter().position(|month| *month == name);
    let (day, month, year, time) = match month_of(second) {
        Some(month) => (third, month, fifth, fourth),
        None => (second, month_of(third)?, fourth, fifth),
    };
    let year: u64 = match (year.parse().ok()?, year.len()) {
        (short @ 70..=99, 2) => short + 1900,
        (short @ 0..=69, 2) => short + 2000,
        (full @ 1970..=9999, _) => full,
        _ => return None,
    };
    let day: u64 = day.parse().ok().filter(|day| (1..=31).contains(day))?;
    let mut clock = time.split(':').map(str::parse::<u64>);
    let mut part = |limit: u64| clock.next()?.ok().filter(|value| *value <= limit);
    let (hour, minute, second) = (part(23)?, part(59)?, part(60)?);
    let days = days_since_1970(year, u64::try_from(month).ok()?, day)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; `month` from 0.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    // A year that starts in March has its leap day at its end.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    days.checked_sub(719_468)
}

/// `google.rpc.Status`, as far as it is read here.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(message, repeated, tag = "3")]
    details: Vec<AnyDetail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct AnyDetail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// The wait in the `RetryInfo` of an encoded `google.rpc.Status`; a `RetryInfo` without a wait is
/// one of zero.
#[must_use]
pub fn retry_info(status: &[u8]) -> Option<Duration> {
    let status = Status::decode(status).ok()?;
    let detail =
        status.details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(detail.value.as_slice()).ok()?.retry_delay.unwrap_or_default();
    let seconds = u64::try_from(delay.seconds).unwrap_or(0);
    let nanos = u32::try_from(delay.nanos).unwrap_or(0).min(999_999_999);
    Some(Duration::new(seconds, nanos).min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_statuses_follow_the_specification() {
        assert_eq!(http_answer(200, None, 0), EndpointAnswer::Accepted);
        for status in [429, 502, 503, 504] {
            let EndpointAnswer::Retry { after, .. } = http_answer(status, Some("7"), 0) else {
                panic!("{status}");
            };
            assert_eq!(after, Some(Duration::from_secs(7)));
        }
        for status in [301, 400, 401, 404, 413, 415, 500, 501, 505] {
            assert!(
                matches!(http_answer(status, Some("7"), 0), EndpointAnswer::Refused(_)),
                "{status}"
            );
        }
        assert_eq!(
            http_answer(413, None, 0),
            EndpointAnswer::Refused(RequestFailureReason::TooLarge)
        );
        for status in [301, 302, 303, 307, 308, 404, 405, 410, 421] {
            let expected = EndpointAnswer::Refused(RequestFailureReason::Misdirected);
            assert_eq!(http_answer(status, None, 0), expected, "{status}");
        }
    }

    #[test]
    fn grpc_codes_follow_the_specification() {
        for code in 0..=16 {
            let retried = matches!(grpc_answer(code, "", None), EndpointAnswer::Retry { .. });
            assert_eq!(retried, [1, 4, 10, 11, 14, 15].contains(&code), "{code}");
        }
        let wait = Some(Duration::from_secs(1));
        assert_eq!(
            grpc_answer(8, "too large", wait),
            EndpointAnswer::Retry { reason: RequestFailureReason::Throttled, after: wait }
        );
        assert_eq!(grpc_answer(0, "", wait), EndpointAnswer::Accepted);
        assert!(matches!(grpc_answer(99, "", None), EndpointAnswer::Refused(_)));
        let message = "decoded message length too large: found 9 bytes, the limit is: 4 bytes";
        assert_eq!(
            grpc_answer(11, message, None),
            EndpointAnswer::Refused(RequestFailureReason::TooLarge)
        );
        assert_eq!(
            grpc_answer(8, message, None),
            EndpointAnswer::Refused(RequestFailureReason::TooLarge)
        );
        let message = "RATE_LIMITED: ingestion rate limit (9 bytes) exceeded while adding 9 bytes";
        assert_eq!(
            grpc_answer(8, message, None),
            EndpointAnswer::Refused(RequestFailureReason::Exhausted)
        );
        assert!(matches!(grpc_answer(11, message, None), EndpointAnswer::Retry { .. }));
        assert_eq!(grpc_answer(8, "", None), EndpointAnswer::Unclear);
        let misdirected = EndpointAnswer::Refused(RequestFailureReason::Misdirected);
        assert_eq!(grpc_answer(12, "unknown service", None), misdirected);
    }

    #[test]
    fn waits_are_seconds_or_dates() {
        const THEN: u64 = 784_111_777;
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(retry_after(date, THEN - 9), Some(Duration::from_secs(9)), "{date}");
            assert_eq!(retry_after(date, THEN + 9), Some(Duration::ZERO), "{date}");
        }
        let leap = "Thu, 29 Feb 2024 00:00:00 GMT";
        assert_eq!(http_date(leap), Some(1_709_164_800));
        assert_eq!(retry_after(" 120 ", 0), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("999999999", 0), Some(MAX_WAIT));
        for wrong in ["", "soon", "-1", "Sun, 06 Nov", "Sun, 99 Nov 1994 08:49:37 GMT", "1.5"] {
            assert_eq!(retry_after(wrong, 0), None, "{wrong}");
        }
    }

    #[test]
    fn retry_info_is_found_among_details() {
        let delay = Delay { seconds: 3, nanos: 500_000_000 };
        let info = RetryInfo { retry_delay: Some(delay) }.encode_to_vec();
        let other =
            AnyDetail { type_url: "type.googleapis.com/google.rpc.Help".into(), value: vec![1] };
        let wanted =
            AnyDetail { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value: info };
        let status = Status { details: vec![other, wanted] }.encode_to_vec();
        assert_eq!(retry_info(&status), Some(Duration::from_millis(3500)));
        assert_eq!(retry_info(b""), None);
        assert_eq!(retry_info(&[0xff, 0xff]), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_date_reader(text in ".{0,60}", now in 0_u64..1 << 40) {
            let wait = retry_after(&text, now);
            proptest::prop_assert!(wait.is_none_or(|wait| wait <= MAX_WAIT));
        }

        #[test]
        fn every_day_is_one_after_the_day_before(days in 1_u64..60_000) {
            // From the number of days to a date by counting, and back by the formula.
            let (mut year, mut left) = (1970_u64, days);
            let leap = |y: u64| (y.is_multiple_of(4) && !y.is_multiple_of(100)) || y.is_multiple_of(400);
            while left >= 365 + u64::from(leap(year)) {
                left -= 365 + u64::from(leap(year));
                year += 1;
            }
            let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            let mut month = 0;
            while left >= lengths[month] {
                left -= lengths[month];
                month += 1;
            }
            let found = days_since_1970(year, u64::try_from(month).unwrap(), left + 1);
            proptest::prop_assert_eq!(found, Some(days));
        }
    }
}
