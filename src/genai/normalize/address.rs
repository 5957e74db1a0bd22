//! URL mapping: base URLs -> `server.address` and `server.port`; and members of JSON texts, found
//! without reading the rest.

/// Host and port of an absolute URL with a host. Without a port it is the scheme's.
pub(super) fn host_and_port(url: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let default = match scheme {
        "https" | "wss" => 443,
        "http" | "ws" => 80,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => {
            authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)))
        }
    };
    let port = match port {
        None | Some("") => default,
        Some(port) => port.parse().ok()?,
    };
    (!host.is_empty()).then_some((host, port))
}

/// The kind of span that a text names, as such or as a member of JSON.
pub(super) fn kind(said: &str) -> &[u8] {
    let mut kind = member(said.as_bytes(), "type").unwrap_or(said).as_bytes();
    // Of JSON text the quotation marks.
    while let Some(inner) = kind.strip_prefix(b"\"") {
        kind = inner;
    }
    while let Some(inner) = kind.strip_suffix(b"\"") {
        kind = inner;
    }
    kind
}

/// How far a quotation mark is looked for byte by byte: a search made for long texts takes longer.
const SHORT: usize = 64;

/// The value of the first member of this name in a JSON object, found without reading the rest; none
/// if it is no text, or the text escapes characters in it.
pub(super) fn member<'a>(json: &'a [u8], name: &str) -> Option<&'a str> {
    let members = json.strip_prefix(b"{")?;
    let after_name = |text: &'a [u8]| {
        let rest = text.strip_prefix(b"\"")?.strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"\"")?.trim_ascii_start().strip_prefix(b":")
    };
    let (near, far) = members.split_at(members.len().min(SHORT));
    let near = near.iter().enumerate().filter(|(_, byte)| **byte == b'"').map(|(at, _)| at);
    let far = memchr::memchr_iter(b'"', far).map(|at| at.saturating_add(SHORT));
    let rest = near.chain(far).find_map(|quote| after_name(members.get(quote..)?));
    let rest = rest?.trim_ascii_start().strip_prefix(b"\"")?;
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\');
    let near = rest.iter().take(SHORT).position(ends);
    let end = near.or_else(|| memchr::memchr2(b'"', b'\\', rest))?;
    rest.get(end).filter(|byte| **byte == b'"')?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The member after each quotation mark in turn.
    fn at_each_quote<'a>(json: &'a str, name: &str) -> Option<&'a str> {
        let after = |(at, _): (usize, &str)| {
            let rest = json.get(at..)?.strip_prefix(&format!("\"{name}\""))?;
            rest.trim_ascii_start().strip_prefix(':')
        };
        let rest = json.starts_with('{').then(|| json.match_indices('"').find_map(after))??;
        let rest = rest.trim_ascii_start().strip_prefix('"')?;
        let (text, after) = rest.split_at_checked(rest.find(['"', '\\'])?)?;
        after.starts_with('"').then_some(text)
    }

    proptest! {
        /// Scenario: what looks like JSON, with the member near and far. Guarantees: it is what comes first after a
        /// quotation mark, with its name.
        #[test]
        fn members_are_found_at_their_quotes(
            start in "[{ ]?", far in 0_usize..200, text in "[{}:, \"\\\\at]{0,40}",
        ) {
            let json = format!("{start}{}{text}", "x\"".repeat(far));
            let near = format!("{start}{text}");
            for json in [json, near] {
                for name in ["a", "at", ""] {
                    prop_assert_eq!(member(json.as_bytes(), name), at_each_quote(&json, name), "{}", json);
                }
            }
        }
    }

    #[test]
    fn urls_with_and_without_port() {
        assert_eq!(host_and_port("http://127.0.0.1:8901/v1/"), Some(("127.0.0.1", 8901)));
        assert_eq!(host_and_port("https://api.openai.com"), Some(("api.openai.com", 443)));
        assert_eq!(host_and_port("https://u:p@[::1]:9/x?y"), Some(("::1", 9)));
        assert_eq!(host_and_port("api.openai.com"), None);
        assert_eq!(host_and_port("https:///v1"), None);
        assert_eq!(host_and_port("http://h:99999"), None);
    }

    #[test]
    fn kinds_as_such_and_in_json() {
        for (said, expected) in [
            ("LLM", "LLM"),
            ("\"llm\"", "llm"),
            (r#"{"type": "llm", "name": "x"}"#, "llm"),
            (r#"{"name": "x", "type":"tool"}"#, "tool"),
            (r#"{"name": "x"}"#, r#"{"name": "x"}"#),
        ] {
            assert_eq!(kind(said), expected.as_bytes());
        }
        let long = "k".repeat(3 * SHORT);
        assert_eq!(kind(&format!(r#"{{"type":"{long}"}}"#)), long.as_bytes());
    }

    #[test]
    fn the_base_in_a_larger_object() {
        let json = br#"{"model_id": null, "api_base": "https://x/v1", "y": 1}"#;
        assert_eq!(member(json, "api_base"), Some("https://x/v1"));
        assert_eq!(member(br#"{"api_base": null}"#, "api_base"), None);
        assert_eq!(member(br#"{"api_base": "a\"b"}"#, "api_base"), None);
    }
}
