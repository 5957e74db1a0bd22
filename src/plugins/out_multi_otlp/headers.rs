//! Header options in the forms that users know.

use http::{HeaderName, HeaderValue};

use crate::export::{HeaderFrom, HeaderSource};

/// Headers that the transport sets itself.
const OURS: [&str; 10] = [
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "host",
    "te",
    "grpc-encoding",
    "grpc-timeout",
    "grpc-accept-encoding",
];

/// Reads `name=value,name2=value2` or, as Fluent Bit's own outputs write it, `name value`. A comma
/// that is not followed by `name=` belongs to the value before it. The value never appears in a
/// problem, because it may be a secret.
///
/// # Errors
/// What is wrong, without the value.
pub(super) fn parse(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let text = text.trim();
    let separator = text.find(|c: char| c == '=' || c.is_whitespace());
    let first = separator.and_then(|at| text.get(at..)).and_then(|rest| rest.chars().next());
    match first {
        Some('=') => list(text)?.into_iter().map(|(name, value)| header(name, &value)).collect(),
        Some(_) => {
            let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            Ok(vec![header(name, value)?])
        }
        None => Err("write name=value, or name and value with a blank between them".to_owned()),
    }
}

/// Reads `name=resource.KEY`, several separated by commas.
///
/// # Errors
/// What is allowed.
pub(super) fn parse_from(text: &str) -> Result<Vec<HeaderFrom>, String> {
    const ALLOWED: &str = "allowed: NAME=resource.KEY, NAME=scope.KEY, NAME=attributes.KEY";
    let mut all = Vec::new();
    for piece in text.split(',') {
        let (name, from) = piece.trim().split_once('=').ok_or_else(|| ALLOWED.to_owned())?;
        let (name, _) = header(name, "")?;
        let from = from.trim();
        let of = |family: &str| {
            let key = from.strip_prefix(family).and_then(|rest| rest.strip_prefix('.'));
            key.filter(|key| !key.is_empty()).map(str::to_owned)
        };
        let source = of("resource").map(HeaderSource::Resource);
        let source = source.or_else(|| of("scope").map(HeaderSource::Scope));
        let source = source.or_else(|| of("attributes").map(HeaderSource::Item));
        all.push(HeaderFrom { name, source: source.ok_or_else(|| ALLOWED.to_owned())? });
    }
    Ok(all)
}

fn list(text: &str) -> Result<Vec<(&str, String)>, String> {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for piece in text.split(',') {
        let pair = piece.split_once('=').filter(|(name, _)| is_name(name.trim()));
        match (pair, pairs.last_mut()) {
            (Some((name, value)), _) => pairs.push((name.trim(), value.trim().to_owned())),
            (None, Some((_, value))) => {
                value.push(',');
                value.push_str(piece);
            }
            (None, None) => return Err("a header name has characters that are not allowed".into()),
        }
    }
    Ok(pairs)
}

fn is_name(name: &str) -> bool {
    HeaderName::from_bytes(name.as_bytes()).is_ok()
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let shown: String = name.chars().filter(char::is_ascii_graphic).take(40).collect();
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| format!("'{shown}' is no header name"))?;
    if OURS.contains(&name.as_str()) {
        return Err(format!("the header '{shown}' is set by the transport"));
    }
    let value = HeaderValue::from_str(value.trim())
        .map_err(|_| format!("the value of '{shown}' has characters that are not allowed"))?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(String, String)> {
        let headers = parse(text).unwrap();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn both_forms_are_read() {
        assert_eq!(shown("Authorization=Basic YTpi=="), [pair("authorization", "Basic YTpi==")]);
        assert_eq!(shown("authorization Bearer a=b"), [pair("authorization", "Bearer a=b")]);
        assert_eq!(shown("a=1, b=2"), [pair("a", "1"), pair("b", "2")]);
        assert_eq!(shown("a=x,y z,b=2"), [pair("a", "x,y z"), pair("b", "2")]);
        assert_eq!(shown("a="), [pair("a", "")]);
    }

    #[test]
    fn problems_do_not_show_the_value() {
        for wrong in ["hush", "a=hush\u{7}x", "grpc-timeout=hush", "b\u{e4}d=hush", "te hush"] {
            let problem = parse(wrong).unwrap_err();
            assert!(!problem.contains("hush"), "{problem}");
        }
    }
}
