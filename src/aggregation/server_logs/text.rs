//! Pieces of log lines: numbers, durations, paths and statuses of HTTP.

/// The number that follows a label, after blanks.
pub(super) fn number_after(text: &str, label: &str) -> Option<f64> {
    number(text.split_once(label)?.1)
}

/// The number at the start of a text, after blanks.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim_ascii_start();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// What stands between a label and the next `end`.
pub(super) fn between<'t>(text: &'t str, label: &str, end: char) -> Option<&'t str> {
    text.split_once(label)?.1.split_once(end).map(|(value, _)| value)
}

/// Seconds of a duration as Go and Rust write it: `1m5.2s`, `605.6ms`, `94µs`.
pub(super) fn duration(text: &str) -> Option<f64> {
    let mut rest = text.trim_ascii();
    let mut seconds = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (amount, tail) = rest.split_at_checked(unit)?;
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(end)?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let amount: f64 = amount.parse().ok()?;
        seconds += amount * factor;
        rest = tail;
    }
    Some(seconds)
}

const UNITS: [(&str, f64); 8] = [
    ("h", 3600.0),
    ("m", 60.0),
    ("s", 1.0),
    ("ms", 1e-3),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("us", 1e-6),
    ("ns", 1e-9),
];

/// Paths of requests that call a model, by their end, and the operation.
const PATHS: [(&str, &str); 17] = [
    ("/chat/completions", "chat"),
    ("/v1/responses", "chat"),
    ("/v1/messages", "chat"),
    ("/api/chat", "chat"),
    ("/api/v1/generate", "text_completion"),
    ("/api/generate", "text_completion"),
    ("/v1/completions", "text_completion"),
    ("/completions", "text_completion"),
    ("/completion", "text_completion"),
    ("/infill", "text_completion"),
    ("/generate", "text_completion"),
    ("/generate_stream", "text_completion"),
    ("/v1/embeddings", "embeddings"),
    ("/embeddings", "embeddings"),
    ("/embedding", "embeddings"),
    ("/api/embed", "embeddings"),
    ("/api/embeddings", "embeddings"),
];

/// The operation of a request with this path, if it calls a model. What stands before a known path is that of
/// a proxy.
pub(super) fn operation_of(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap_or_default();
    PATHS.iter().find(|(known, _)| path.ends_with(known)).map(|(_, operation)| *operation)
}

/// The status at the start of a text, after blanks: the whole of it, and why the request failed, which is empty if it
/// did not.
pub(super) fn status_error(text: &str) -> Option<&str> {
    let text = text.trim_ascii_start();
    let status = text.get(..3)?;
    let is_status = status.bytes().all(|byte| byte.is_ascii_digit())
        && !text.as_bytes().get(3).is_some_and(u8::is_ascii_digit);
    match status.as_bytes().first() {
        Some(b'4' | b'5') if is_status => Some(status),
        Some(b'1'..=b'3') if is_status => Some(""),
        _ => None,
    }
}

/// Whether a text has no quotes: what stands within such may be anybody's.
pub(super) fn is_unquoted(text: &str) -> bool {
    !text.contains(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_of_go_and_of_rust() {
        for (text, seconds) in [
            ("2m10s", 130.0),
            ("1h0m1s", 3601.0),
            (" 605.5ms ", 0.6055),
            ("23.5µs", 2.35e-5),
            ("94.5μs", 9.45e-5),
            ("100ns", 1e-7),
            ("4.065504959s", 4.065_504_959),
            ("0s", 0.0),
        ] {
            let read = duration(text).unwrap();
            assert!((read - seconds).abs() < 1e-12, "{text}: {read}");
        }
        for text in ["", "5", "s", "1.2.3s", "1x", "None", "-1s", "1s "] {
            assert_eq!(duration(text).is_some(), text == "1s ", "{text}");
        }
    }

    #[test]
    fn paths_have_operations() {
        for (path, operation) in [
            ("/v1/chat/completions", Some("chat")),
            ("/models/a/v1/chat/completions?x=1", Some("chat")),
            ("/v1/completions", Some("text_completion")),
            ("/generate", Some("text_completion")),
            ("/api/embed", Some("embeddings")),
            ("/v1/models", None),
            ("/health", None),
            ("/metrics?a=/generate", None),
        ] {
            assert_eq!(operation_of(path), operation, "{path}");
        }
    }

    #[test]
    fn statuses_say_whether_a_request_failed() {
        let cases = [(" 200 OK", Some("")), ("404", Some("404")), ("503 x", Some("503"))];
        for (text, error) in cases.into_iter().chain([("20", None), ("2000", None), ("abc", None)])
        {
            assert_eq!(status_error(text), error, "{text}");
        }
        assert_eq!(number_after("a: 12.5%, b", "a:"), Some(12.5));
        assert_eq!((number("x"), number("1.2.3"), between("a=(b)", "(", ']')), (None, None, None));
    }
}
