//! JSON text of a log, read for what it says of trace and severity: container runtimes hand
//! an application's JSON lines on as text under `log`.

use super::severity::{LogSeverity, is_severity_key, severity_of};
use super::text::TEXT_KEYS;
use super::trace_keys::{TraceKey, key_within, spelling};
use crate::codec::json::scan::{JsonMember, JsonMembers, plain_string};
use crate::codec::msgpack::{self, MapView, Reader, Token};

/// Longer texts are not read; container runtimes cut lines at 16 KiB.
const MAX_TEXT: usize = 64 * 1024;
/// Members that are looked at, at the top and in each map below.
const MAX_MEMBERS: usize = 256;

/// The members of a log's JSON text that say something of its trace or severity.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JsonText {
    /// An encoded map of them; nothing if there is none.
    pairs: Vec<u8>,
}

impl JsonText {
    /// Reads the first text of a log's encoded body that begins as a JSON object does, under `log`
    /// and the other common keys.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let mut texts = MapView::new(body).filter(|entry| TEXT_KEYS.contains(&entry.key));
        let text = texts.find_map(|entry| match Reader::new(entry.value).token() {
            Ok(Token::Str(text)) => text.trim_ascii_start().starts_with(b"{").then_some(text),
            _ => None,
        });
        let pairs = text.filter(|text| text.len() <= MAX_TEXT).map(known_pairs);
        Self { pairs: pairs.unwrap_or_default() }
    }

    /// Reads a log's encoded value, if it is a text that begins as a JSON object does.
    #[must_use]
    pub fn of_text(value: &[u8]) -> Self {
        let Ok(Token::Str(text)) = Reader::new(value).token() else { return Self::default() };
        let is_json = text.len() <= MAX_TEXT && text.trim_ascii_start().starts_with(b"{");
        Self { pairs: if is_json { known_pairs(text) } else { Vec::new() } }
    }

    /// The encoded map of what was found; empty if there is nothing.
    pub(super) fn pairs(&self) -> &[u8] {
        &self.pairs
    }

    /// How severe the text says that the log is; `None` also if a key of the log's own, in `body`,
    /// says so.
    #[must_use]
    pub fn severity(&self, body: &[u8]) -> Option<LogSeverity> {
        if self.pairs.is_empty() || severity_of(body).is_some() {
            return None;
        }
        severity_of(&self.pairs)
    }
}

/// The members of a text that are known, as an encoded map; nothing if there is none.
fn known_pairs(text: &[u8]) -> Vec<u8> {
    let (mut count, mut pairs) = (0_u32, Vec::new());
    for member in JsonMembers::new(text).take(MAX_MEMBERS) {
        let known = spelling(member.name);
        let start = pairs.len();
        msgpack::str_bytes(&mut pairs, member.name);
        let written = match known {
            Some((within, TraceKey::Container)) => write_container(within, member, &mut pairs),
            Some(_) => write_scalar(member.value, &mut pairs),
            None if is_severity_key(member.name) => write_scalar(member.value, &mut pairs),
            None => false,
        };
        if written {
            count = count.saturating_add(1);
        } else {
            pairs.truncate(start);
        }
    }
    if count == 0 {
        return Vec::new();
    }
    let mut map = Vec::with_capacity(pairs.len().saturating_add(5));
    msgpack::map_header(&mut map, count);
    map.extend_from_slice(&pairs);
    map
}

/// Appends the map of what a container says of a trace. Whether it says anything.
fn write_container(within: &str, member: JsonMember<'_>, out: &mut Vec<u8>) -> bool {
    let (mut count, mut pairs) = (0_u32, Vec::new());
    for inner in JsonMembers::new(member.value).take(MAX_MEMBERS) {
        let known = key_within(within, inner.name);
        if known.is_none_or(|(_, key)| key == TraceKey::Container) {
            continue;
        }
        let start = pairs.len();
        msgpack::str_bytes(&mut pairs, inner.name);
        if write_scalar(inner.value, &mut pairs) {
            count = count.saturating_add(1);
        } else {
            pairs.truncate(start);
        }
    }
    if count > 0 {
        msgpack::map_header(out, count);
        out.extend_from_slice(&pairs);
    }
    count > 0
}

/// Appends a text, an integer or a boolean. Whether it is one.
fn write_scalar(value: &[u8], out: &mut Vec<u8>) -> bool {
    if let Some(text) = plain_string(value) {
        msgpack::str_bytes(out, text);
        return true;
    }
    match value {
        b"true" => msgpack::bool(out, true),
        b"false" => msgpack::bool(out, false),
        [b'"', ..] => {
            let Ok(text) = serde_json::from_slice::<String>(value) else { return false };
            msgpack::str(out, &text);
        }
        _ => {
            let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            let Some(number) = number else { return false };
            msgpack::uint(out, number);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::fluentbit::find_trace_context;
    use crate::model::{SpanId, TraceId};

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn body(text: &str) -> Vec<u8> {
        rmp_serde::to_vec(&serde_json::json!({"stream": "stdout", "log": text})).unwrap()
    }

    #[test]
    fn ids_flags_and_severity_are_read_from_json_text() {
        let plain = format!(
            r#"{{"level":"error","msg":"a \"b\"","trace_id":"{TRACE}","span_id":"{SPAN}","trace_flags":"01"}}"#
        );
        let nested = format!(
            r#"{{"severity":"ERROR","x":{{"y":[1,2]}},"trace":{{"id":"{TRACE}"}},"span":{{"id":"{SPAN}"}},"trace_sampled":true}}"#
        );
        let escaped =
            format!(r#"{{"level":"\u0065rror","traceparent":"00\u002d{TRACE}-{SPAN}-01"}}"#);
        let cut = format!(r#"{{"level":"error","traceparent":"00-{TRACE}-{SPAN}-01","msg":"cut"#);
        for text in [plain, nested, escaped, cut] {
            let body = body(&format!("{text}\n"));
            let found = find_trace_context(&body, &[]).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(Some(found.trace_id), TraceId::from_hex(TRACE.as_bytes()), "{text}");
            assert_eq!(found.span_id, SpanId::from_hex(SPAN.as_bytes()), "{text}");
            assert_eq!(found.flags, Some(1), "{text}");
            assert!(found.keys.is_empty() && found.metadata_keys.is_empty());
            let severity = JsonText::of(&body).severity(&body).unwrap();
            assert_eq!(severity.number, 17, "{text}");
        }
    }

    #[test]
    fn numbers_are_levels_of_their_scale() {
        for (text, number) in [
            (r#"{"level":30}"#, 9),
            (r#"{"level":50,"msg":"x"}"#, 17),
            (r#"{"severityNumber":13}"#, 13),
            (r#"{"levelno":40}"#, 17),
            (r#"{"lvl":"warn"}"#, 13),
        ] {
            let body = body(text);
            assert_eq!(JsonText::of(&body).severity(&body).unwrap().number, number, "{text}");
        }
    }

    #[test]
    fn what_says_nothing_takes_nothing() {
        let long = format!(r#"{{"pad":"{}","level":"error"}}"#, "x".repeat(MAX_TEXT));
        let many: Vec<String> = (0..300).map(|number| format!("\"k{number}\":1")).collect();
        let many = format!("{{{},\"level\":\"error\"}}", many.join(","));
        for text in
            ["", "plain", "{", "{}", "[{\"level\":\"error\"}]", r#"{"level":null}"#, &long, &many]
        {
            let body = body(text);
            assert_eq!(JsonText::of(&body), JsonText::default(), "{text}");
            assert!(find_trace_context(&body, &[]).is_none());
        }
        // A CRI prefix in front of it makes it text.
        let cri = r#"2026-11-28T10:00:00.0Z stdout F {"level":"error"}"#;
        assert_eq!(JsonText::of(&body(cri)), JsonText::default());
    }

    #[test]
    fn keys_of_the_log_outrank_its_text() {
        let other = "1".repeat(32);
        let text = format!(r#"{{"level":"error","trace_id":"{TRACE}"}}"#);
        let log = serde_json::json!({"log": text, "level": "info", "trace_id": other});
        let body = rmp_serde::to_vec(&log).unwrap();
        let found = find_trace_context(&body, &[]).map(|found| found.trace_id);
        assert_eq!(found, TraceId::from_hex(other.as_bytes()));
        assert_eq!(JsonText::of(&body).severity(&body), None);
    }
}
