//! Pull scanner: the members of a JSON object that stands in a text, one by one, without taking
//! memory.
//!
//! This is for log lines that are JSON: it finds where members begin and end (RFC 8259, section 4)
//! and does not check what is in them.

use std::borrow::Cow;

use memchr::memchr2;

/// Objects and arrays in each other, at most: what lies deeper is not searched, and taken out.
const MAX_DEPTH: usize = 64;

/// A member of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonMember<'a> {
    /// The name between its quotes, with its escapes.
    pub name: &'a [u8],
    /// The value, without the white space around it. If the text ends within it, what there is.
    pub value: &'a [u8],
}

impl<'a> JsonMember<'a> {
    /// The name without its escapes; as it stands if they make no text.
    #[must_use]
    pub fn plain_name(&self) -> Cow<'a, [u8]> {
        if !self.name.contains(&b'\\') {
            return Cow::Borrowed(self.name);
        }
        let quoted = [b"\"", self.name, b"\""].concat();
        let read: Result<String, _> = serde_json::from_slice(&quoted);
        read.map_or(Cow::Borrowed(self.name), |name| Cow::Owned(name.into_bytes()))
    }
}

/// The members of the object that `text` is, after white space; none if it is no object. It ends
/// early where the text is no JSON.
#[derive(Debug, Clone)]
pub struct JsonMembers<'a> {
    rest: &'a [u8],
    is_first: bool,
    /// Whether the object's end was seen.
    is_whole: bool,
}

impl<'a> JsonMembers<'a> {
    /// The members of the object in a text.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Self {
        let rest = text.trim_ascii_start().strip_prefix(b"{").unwrap_or_default();
        Self { rest, is_first: true, is_whole: false }
    }

    /// Whether the object came to its end; to be asked after the last member.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// What follows the last member that was read, and after the last one, the object.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for JsonMembers<'a> {
    type Item = JsonMember<'a>;

    fn next(&mut self) -> Option<JsonMember<'a>> {
        let mut rest = self.rest.trim_ascii_start();
        if let Some(after) = rest.strip_prefix(b"}") {
            (self.is_whole, self.rest) = (!self.is_whole, after);
            return None;
        }
        if self.is_whole {
            return None;
        }
        if !self.is_first {
            rest = rest.strip_prefix(b",")?.trim_ascii_start();
        }
        let name_end = string_end(rest.strip_prefix(b"\"")?)?;
        let name = rest.get(1..name_end.saturating_add(1))?;
        let after = rest.get(name_end.saturating_add(2)..)?.trim_ascii_start();
        let value = after.strip_prefix(b":")?.trim_ascii_start();
        let length = value_length(value);
        let (value, rest) = value.split_at_checked(length)?;
        (self.rest, self.is_first) = (rest, false);
        Some(JsonMember { name, value: value.trim_ascii_end() })
    }
}

/// The text of an encoded string, if it is one without escapes.
#[must_use]
pub fn plain_string(value: &[u8]) -> Option<&[u8]> {
    let text = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    memchr2(b'"', b'\\', text).is_none().then_some(text)
}

/// Where the closing quote of a string is, from its opening quote on.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut from = 0_usize;
    loop {
        let at = from.saturating_add(memchr2(b'"', b'\\', text.get(from..)?)?);
        if text.get(at) == Some(&b'"') {
            return Some(at);
        }
        from = at.saturating_add(2);
    }
}

/// How long the value is that `text` begins with; all of it if it has no end.
fn value_length(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0_usize;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                let after = at.saturating_add(1);
                let Some(end) = text.get(after..).and_then(string_end) else { return text.len() };
                at = after.saturating_add(end);
                if depth == 0 {
                    return at.saturating_add(1);
                }
            }
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' if depth <= 1 => return at.saturating_add(depth),
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return at,
            _ => {}
        }
        at = at.saturating_add(1);
    }
    text.len()
}

/// The text without the members for which `goes` holds, at any depth; `None` if it has none, or is
/// no object. What stands after the object stays. Where the text stops being JSON, what follows the
/// last member is left out, if a member was.
#[must_use]
pub fn without_members(
    text: &[u8],
    goes: &mut dyn FnMut(JsonMember<'_>) -> bool,
) -> Option<Vec<u8>> {
    let start = text.len().saturating_sub(text.trim_ascii_start().len());
    if text.get(start) != Some(&b'{') {
        return None;
    }
    let mut out = Vec::new();
    let changed = object(text.get(start..)?, goes, &mut out, 0)?;
    out.extend_from_slice(changed);
    Some(out)
}

/// Appends the object that `text` is, and gives what follows it; `None` if nothing of it goes.
fn object<'a>(
    text: &'a [u8],
    goes: &mut dyn FnMut(JsonMember<'_>) -> bool,
    out: &mut Vec<u8>,
    depth: usize,
) -> Option<&'a [u8]> {
    let start = out.len();
    let mut changed = false;
    let mut members = JsonMembers::new(text);
    out.push(b'{');
    for member in members.by_ref() {
        if goes(member) {
            changed = true;
            continue;
        }
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(member.name);
        out.extend_from_slice(b"\":");
        changed |= value(member.value, goes, out, depth);
    }
    out.push(b'}');
    if !changed {
        out.truncate(start);
        return None;
    }
    Some(if members.is_whole() { members.rest() } else { &[] })
}

/// Appends a value, and says whether something of it went.
fn value(
    text: &[u8],
    goes: &mut dyn FnMut(JsonMember<'_>) -> bool,
    out: &mut Vec<u8>,
    depth: usize,
) -> bool {
    let inner = depth.saturating_add(1);
    if inner >= MAX_DEPTH && matches!(text.first(), Some(b'{' | b'[')) {
        out.extend_from_slice(b"null");
        return true;
    }
    match text.first() {
        Some(b'{') => {
            let changed = object(text, goes, out, inner).is_some();
            if !changed {
                out.extend_from_slice(text);
            }
            changed
        }
        Some(b'[') => array(text, goes, out, inner),
        _ => {
            out.extend_from_slice(text);
            false
        }
    }
}

fn array(
    text: &[u8],
    goes: &mut dyn FnMut(JsonMember<'_>) -> bool,
    out: &mut Vec<u8>,
    depth: usize,
) -> bool {
    let start = out.len();
    let mut changed = false;
    let mut rest = text.get(1..).unwrap_or_default().trim_ascii_start();
    out.push(b'[');
    while !rest.is_empty() && !rest.starts_with(b"]") {
        let (element, after) = rest.split_at_checked(value_length(rest)).unwrap_or((rest, &[]));
        if out.last() != Some(&b'[') {
            out.push(b',');
        }
        changed |= value(element.trim_ascii_end(), goes, out, depth);
        let after = after.trim_ascii_start();
        rest = after.strip_prefix(b",").unwrap_or(after).trim_ascii_start();
        if element.is_empty() {
            break;
        }
    }
    out.push(b']');
    if !changed {
        out.truncate(start);
        out.extend_from_slice(text);
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> (Vec<(String, String)>, bool) {
        let mut members = JsonMembers::new(text.as_bytes());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let read = members.by_ref().map(|m| (text(m.name), text(m.value))).collect();
        (read, members.is_whole())
    }

    fn without(text: &str, names: &[&str]) -> Option<String> {
        let mut goes =
            |member: JsonMember<'_>| names.iter().any(|n| n.as_bytes() == &*member.plain_name());
        without_members(text.as_bytes(), &mut goes).map(|out| String::from_utf8(out).unwrap())
    }

    #[test]
    fn members_are_found_where_they_are() {
        let (read, whole) =
            members(r#" {"a":1, "b" : "x\"y,}" ,"c":{"d":[1,"]}"]},"e":[],"f":null } "#);
        let expected = [
            ("a", "1"),
            ("b", r#""x\"y,}""#),
            ("c", r#"{"d":[1,"]}"]}"#),
            ("e", "[]"),
            ("f", "null"),
        ];
        let read: Vec<_> = read.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!((read.as_slice(), whole), (expected.as_slice(), true));
        assert_eq!(members("{}"), (vec![], true));
        for text in ["", "x", "[1]", "{", "{a:1}", "{\"a\" 1}", "{\"a"] {
            assert_eq!(members(text), (vec![], false), "{text}");
        }
        let (read, whole) = members(r#"{"a":1,"b":"cut off"#);
        assert_eq!((read.len(), whole), (2, false));
        assert_eq!(read.last().unwrap().1, "\"cut off");
    }

    #[test]
    fn members_go_at_any_depth() {
        let text = r#"{"a":1,"p":"hush","b":{"p":{"x":"hush"},"c":[{"p":"hush","d":2},3,"p"]}}"#;
        assert_eq!(without(text, &["p"]).unwrap(), r#"{"a":1,"b":{"c":[{"d":2},3,"p"]}}"#);
        assert_eq!(without(text, &["q"]), None);
        assert_eq!(without("{\"p\":1}\n", &["p"]).unwrap(), "{}\n");
        assert_eq!(without(r#"{"\u0070":"hush"}"#, &["p"]).unwrap(), "{}");
        assert_eq!(without(r#"{"a":1,"p":"hush, cut o"#, &["p"]).unwrap(), r#"{"a":1}"#);
        assert_eq!(without("plain {\"p\":1}", &["p"]), None);
        let deep = format!("{}{{\"p\":1}}{}", "[".repeat(200), "]".repeat(200));
        let out = without(&format!("{{\"a\":{deep}}}"), &["p"]).unwrap();
        assert!(out.contains("[null]") && !out.contains('p'), "{out}");
    }

    proptest::proptest! {
        #[test]
        fn what_is_left_is_json_as_before(text in r#"[\{\}\[\]:,"\\ap1 ]{0,40}"#) {
            let out = without(&text, &["p"]);
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() && let Some(out) = out {
                proptest::prop_assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
            }
        }
    }
}
