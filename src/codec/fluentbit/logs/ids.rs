//! Id parsers: the forms in which logs write the ids of traces and spans, and their flags.

use crate::codec::msgpack::Token;
use crate::model::{SpanId, TraceId, hex_digit};

/// What one value says of a trace: its id, and perhaps the span's and the flags.
pub(super) type WholeContext = (TraceId, Option<SpanId>, Option<u8>);

pub(super) fn trace_id(token: Token<'_>) -> Option<TraceId> {
    match token {
        Token::Bin(bytes) => bytes.try_into().ok().map(TraceId).filter(|id| id.0 != [0; 16]),
        Token::Str(text) => {
            let name = text.rsplit(|&byte| byte == b'/').next().unwrap_or(text);
            TraceId::from_hex(without_0x(name)).or_else(|| xray_id(name))
        }
        _ => None,
    }
}

pub(super) fn span_id(token: Token<'_>) -> Option<SpanId> {
    match token {
        Token::Bin(bytes) => bytes.try_into().ok().map(SpanId).filter(|id| id.0 != [0; 8]),
        Token::Str(text) => SpanId::from_hex(without_0x(text)),
        _ => None,
    }
}

fn without_0x(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"0x").unwrap_or(text)
}

/// Flags as a number, as the two hex digits of a `traceparent`, or as "sampled: yes or no".
pub(super) fn flags(token: Token<'_>) -> Option<u8> {
    match token {
        Token::Uint(flags) => u8::try_from(flags).ok(),
        Token::Int(flags) => u8::try_from(flags).ok(),
        Token::Bool(sampled) => Some(u8::from(sampled)),
        Token::Str(&[high, low]) => hex_byte(high, low),
        Token::Str(&[digit]) => hex_digit(digit),
        Token::Str(text) if text.eq_ignore_ascii_case(b"true") => Some(1),
        Token::Str(text) if text.eq_ignore_ascii_case(b"false") => Some(0),
        _ => None,
    }
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    Some((hex_digit(high)? << 4) | hex_digit(low)?)
}

/// `version-traceid-parentid-flags`; later versions may add fields, version `ff` is forbidden.
pub(super) fn traceparent(token: Token<'_>) -> Option<WholeContext> {
    let Token::Str(text) = token else { return None };
    let mut parts = text.split(|&byte| byte == b'-');
    let version = two_digits(parts.next()?).filter(|&version| version != 0xff)?;
    let trace = TraceId::from_hex(parts.next()?)?;
    let span = SpanId::from_hex(parts.next()?)?;
    let flags = two_digits(parts.next()?)?;
    (version > 0 || parts.next().is_none()).then_some((trace, Some(span), Some(flags)))
}

fn two_digits(text: &[u8]) -> Option<u8> {
    match text {
        &[high, low] => hex_byte(high, low),
        _ => None,
    }
}

/// Datadog's trace id: a decimal number of 64 bits, which is the lower half of the id in OpenTelemetry's
/// form and has zeros before it there, or all 128 bits as 32 hex digits.
pub(super) fn datadog_trace(token: Token<'_>) -> Option<TraceId> {
    if let Token::Str(text) = token
        && let Some(id) = TraceId::from_hex(text)
    {
        return Some(id);
    }
    decimal(token).map(|number| TraceId(u128::from(number).to_be_bytes()))
}

/// Datadog's span id: a decimal number of 64 bits, or 16 hex digits that are no such number.
pub(super) fn datadog_span(token: Token<'_>) -> Option<SpanId> {
    let number = decimal(token).map(|number| SpanId(number.to_be_bytes()));
    number.or_else(|| span_id(token))
}

/// A number above 0, also in decimal digits.
fn decimal(token: Token<'_>) -> Option<u64> {
    let number = match token {
        Token::Uint(number) => number,
        Token::Int(number) => u64::try_from(number).ok()?,
        Token::Str(text) if text.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(text).ok()?.parse().ok()?
        }
        _ => return None,
    };
    (number != 0).then_some(number)
}

/// An X-Ray trace id, `1-TIME-REST` in 8 and 24 hex digits, which are the trace id.
fn xray_id(text: &[u8]) -> Option<TraceId> {
    let (time, rest) = text.strip_prefix(b"1-")?.split_at_checked(8)?;
    TraceId::from_hex(&[time, rest.strip_prefix(b"-")?].concat())
}

/// What an X-Ray trace header says, `Root=1-...;Parent=SPAN;Sampled=1` in any order, or an id alone,
/// also as the X-Ray SDK for Java writes it into logs: `AWS-XRAY-TRACE-ID: 1-...@SPAN`.
pub(super) fn xray(token: Token<'_>) -> Option<WholeContext> {
    let Token::Str(text) = token else { return None };
    let text = text.strip_prefix(b"AWS-XRAY-TRACE-ID:").unwrap_or(text).trim_ascii();
    let (mut trace, mut span, mut flags) = (None, None, None);
    for part in text.split(|&byte| byte == b';').map(<[u8]>::trim_ascii) {
        if let Some(parent) = part.strip_prefix(b"Parent=") {
            span = SpanId::from_hex(parent);
        } else if let Some(sampled) = part.strip_prefix(b"Sampled=") {
            flags = match sampled {
                b"1" => Some(1),
                b"0" => Some(0),
                _ => None,
            };
        } else if !part.starts_with(b"Self=") {
            let root = part.strip_prefix(b"Root=").unwrap_or(part);
            let mut ids = root.splitn(2, |&byte| byte == b'@');
            trace = trace.or_else(|| ids.next().and_then(xray_id));
            span = span.or_else(|| ids.next().and_then(SpanId::from_hex));
        }
    }
    trace.map(|trace| (trace, span, flags))
}

/// B3's id of a trace: that of OpenTelemetry, or its lower half, which has zeros before it there.
pub(super) fn b3_trace(token: Token<'_>) -> Option<TraceId> {
    let Token::Str(text) = token else { return None };
    let half = || {
        let SpanId(half) = SpanId::from_hex(text)?;
        Some(TraceId(u128::from(u64::from_be_bytes(half)).to_be_bytes()))
    };
    TraceId::from_hex(text).or_else(half)
}

/// B3's sampling state: `d` is "debug", which is sampled.
pub(super) fn b3_sampled(token: Token<'_>) -> Option<u8> {
    match token {
        Token::Str(b"d") => Some(1),
        _ => flags(token).filter(|flags| *flags <= 1),
    }
}

/// B3 in one header, `trace-span-sampled-parent`, of which the last two may be missing.
pub(super) fn b3(token: Token<'_>) -> Option<WholeContext> {
    let Token::Str(text) = token else { return None };
    let mut parts = text.split(|&byte| byte == b'-');
    let trace = b3_trace(Token::Str(parts.next()?))?;
    let span = SpanId::from_hex(parts.next()?)?;
    let sampled = parts.next().map(|sampled| b3_sampled(Token::Str(sampled)));
    let is_parent = |parent: &[u8]| parent.len() == 16 && parent.iter().all(u8::is_ascii_hexdigit);
    let ends_well = parts.next().is_none_or(is_parent) && parts.next().is_none();
    (ends_well && sampled != Some(None)).then_some((trace, Some(span), sampled.flatten()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(hex: &str) -> TraceId {
        TraceId::from_hex(hex.as_bytes()).unwrap()
    }

    fn span(hex: &str) -> Option<SpanId> {
        SpanId::from_hex(hex.as_bytes())
    }

    #[test]
    fn datadogs_ids_are_decimal_or_hex() {
        let half = trace("00000000000000004ecf3a2d5f1ab2cb");
        let number = 0x4ecf_3a2d_5f1a_b2cb_u64;
        assert_eq!(datadog_trace(Token::Str(number.to_string().as_bytes())), Some(half));
        assert_eq!(datadog_trace(Token::Uint(number)), Some(half));
        let whole = "6732a1b20000000068b1c8b2d5f1ab2c";
        assert_eq!(datadog_trace(Token::Str(whole.as_bytes())), Some(trace(whole)));
        assert_eq!(
            datadog_span(Token::Str(b"1234567890123456")),
            Some(SpanId(1_234_567_890_123_456_u64.to_be_bytes()))
        );
        assert_eq!(datadog_span(Token::Str(b"b7ad6b7169203331")), span("b7ad6b7169203331"));
        assert_eq!(datadog_span(Token::Uint(5)), Some(SpanId([0, 0, 0, 0, 0, 0, 0, 5])));
        for text in ["", "0", "-5", "18446744073709551616", "12x"] {
            assert_eq!(datadog_trace(Token::Str(text.as_bytes())), None, "{text}");
        }
    }

    #[test]
    fn xray_ids_and_headers() {
        let id = trace("5759e988bd862e3fe1be46a994272793");
        let parent = span("53995c3f42cd8ad8");
        for (text, expected) in [
            ("1-5759e988-bd862e3fe1be46a994272793", (id, None, None)),
            (
                "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
                (id, parent, Some(1)),
            ),
            (
                "Self=1-67891234-12456789abcdef012345678;Root=1-5759e988-bd862e3fe1be46a994272793",
                (id, None, None),
            ),
            ("Sampled=0; Root=1-5759e988-bd862e3fe1be46a994272793", (id, None, Some(0))),
            ("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=?", (id, None, None)),
            (
                "AWS-XRAY-TRACE-ID: 1-5759e988-bd862e3fe1be46a994272793@53995c3f42cd8ad8",
                (id, parent, None),
            ),
        ] {
            assert_eq!(xray(Token::Str(text.as_bytes())), Some(expected), "{text}");
        }
        for text in [
            "",
            "1-5759e988",
            "2-5759e988-bd862e3fe1be46a994272793",
            "Root=;Parent=53995c3f42cd8ad8",
            "1-5759e988xbd862e3fe1be46a994272793",
        ] {
            assert_eq!(xray(Token::Str(text.as_bytes())), None, "{text}");
        }
    }

    #[test]
    fn b3_in_one_and_in_parts() {
        let whole = trace("80f198ee56343ba864fe8b2a57d3eff7");
        let half = trace("000000000000000064fe8b2a57d3eff7");
        let own = span("e457b5a2e4d86bd1");
        for (text, expected) in [
            (
                "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90",
                (whole, own, Some(1)),
            ),
            ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0", (whole, own, Some(0))),
            ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-d", (whole, own, Some(1))),
            ("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1", (whole, own, None)),
            ("64fe8b2a57d3eff7-e457b5a2e4d86bd1-1", (half, own, Some(1))),
        ] {
            assert_eq!(b3(Token::Str(text.as_bytes())), Some(expected), "{text}");
        }
        for text in [
            "0",
            "1",
            "",
            "64fe8b2a57d3eff7",
            "64fe8b2a57d3eff7-e457b5a2e4d86bd1-7",
            "64fe8b2a57d3eff7-e457b5a2e4d86bd1-1-x",
            "64fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90-1",
        ] {
            assert_eq!(b3(Token::Str(text.as_bytes())), None, "{text}");
        }
        assert_eq!(b3_sampled(Token::Str(b"true")), Some(1));
        assert_eq!(b3_sampled(Token::Str(b"5")), None);
    }
}
