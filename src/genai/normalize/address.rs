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

/// The value of the first member of this name in a JSON object, found without reading the rest; none
/// if it is no text, or the text escapes characters in it.
pub(super) fn member<'a>(json: &'a [u8], name: &str) -> Option<&'a str> {
    if json.first() != Some(&b'{') {
        return None;
    }
    // Names are short: a search made for long texts takes longer.
    let rest = memchr::memchr_iter(b'"', json).find_map(|quote| {
        let rest = json.get(quote..)?.get(1..)?.strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"\"")?.trim_ascii_start().strip_prefix(b":")
    });
    let rest = rest?.trim_ascii_start().strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', rest)?;
    rest.get(end).filter(|byte| **byte == b'"')?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_base_in_a_larger_object() {
        let json = br#"{"model_id": null, "api_base": "https://x/v1", "y": 1}"#;
        assert_eq!(member(json, "api_base"), Some("https://x/v1"));
        assert_eq!(member(br#"{"api_base": null}"#, "api_base"), None);
        assert_eq!(member(br#"{"api_base": "a\"b"}"#, "api_base"), None);
    }
}
