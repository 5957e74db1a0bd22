//! Keys: what the key of a value says about how it is searched.

use super::secrets::{SecretName, secret_name};
use crate::genai::content::is_content;

/// What the key of a value says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRole {
    /// Anything.
    Free,
    /// An identifier: its digits are no card.
    Identifier,
    /// An address of the service that was called.
    Address,
    /// The name of a telephone number, if such are looked for.
    Phone,
    /// The name of a secret.
    Secret(SecretName),
    /// The value is to go, whatever it is.
    Denied,
    /// The value is to stay, whatever it is.
    Allowed,
}

impl KeyRole {
    /// The role of the value under a key.
    pub fn of(key: &[u8]) -> Self {
        if ends_as_a_secret_may(key)
            && let Some(name) = secret_name(key)
        {
            return Self::Secret(name);
        }
        let identifier = key.eq_ignore_ascii_case(b"id")
            || [&b".id"[..], b"_id", b"-id", b"Id", b"ID"].iter().any(|end| key.ends_with(end))
            || matches!(key, b"traceparent" | b"tracestate");
        match key {
            b"server.address" => Self::Address,
            _ if identifier => Self::Identifier,
            _ => Self::Free,
        }
    }

    /// Whether what is inside has the same role, whatever its own keys are.
    pub const fn holds_inside(self) -> bool {
        matches!(self, Self::Denied | Self::Allowed)
    }
}

/// Whether a key ends in two letters in which names of secrets end: most keys do not.
fn ends_as_a_secret_may(key: &[u8]) -> bool {
    let Some([.., first, last]) = key.last_chunk::<2>().map(|pair| pair.map(|byte| byte | 0x20))
    else {
        return false;
    };
    matches!(
        &[first, last],
        b"rd"
            | b"wd"
            | b"se"
            | b"et"
            | b"ey"
            | b"on"
            | b"al"
            | b"ls"
            | b"ng"
            | b"en"
            | b"ie"
            | b"wt"
    )
}

/// What kinds of content go whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContentSwitches {
    /// Prompts and completions, with the calls of tools in them.
    pub conversation: bool,
    /// Arguments, results and definitions of tools.
    pub tools: bool,
    /// Messages and stack traces of errors.
    pub errors: bool,
}

impl ContentSwitches {
    /// Whether any is set.
    #[must_use]
    pub const fn any(self) -> bool {
        self.conversation || self.tools || self.errors
    }
}

/// Keys of a user's own choice.
#[derive(Debug, Clone, Default)]
pub struct KeyRules {
    deny: Vec<KeyPattern>,
    allow: Vec<KeyPattern>,
    content: ContentSwitches,
}

/// A key, or with `*` at its end all keys that begin so.
#[derive(Debug, Clone)]
struct KeyPattern {
    text: String,
    prefix: bool,
}

impl KeyPattern {
    fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(head) => Self { text: head.to_owned(), prefix: true },
            None => Self { text: text.to_owned(), prefix: false },
        }
    }

    fn is(&self, key: &[u8]) -> bool {
        let text = self.text.as_bytes();
        if self.prefix { key.starts_with(text) } else { key == text }
    }
}

impl KeyRules {
    /// Rules by the keys whose values go, the keys whose values stay, and the kinds of content that go.
    #[must_use]
    pub fn new(deny: &[String], allow: &[String], content: ContentSwitches) -> Self {
        let patterns = |keys: &[String]| keys.iter().map(|key| KeyPattern::new(key)).collect();
        Self { deny: patterns(deny), allow: patterns(allow), content }
    }

    /// Whether anything goes by these rules.
    #[must_use]
    pub fn deny_any(&self) -> bool {
        !self.deny.is_empty() || self.content.any()
    }

    /// Whether texts of errors go.
    #[must_use]
    pub const fn errors(&self) -> bool {
        self.content.errors
    }

    /// The role of the value under a key.
    #[must_use]
    pub fn role(&self, key: &[u8]) -> KeyRole {
        if self.deny.iter().any(|pattern| pattern.is(key)) {
            KeyRole::Denied
        } else if self.allow.iter().any(|pattern| pattern.is(key)) {
            KeyRole::Allowed
        } else if self.content.any() && self.is_denied_content(key) {
            KeyRole::Denied
        } else {
            KeyRole::of(key)
        }
    }

    fn is_denied_content(&self, key: &[u8]) -> bool {
        let errors: [&[u8]; 3] = [b"exception.message", b"exception.stacktrace", b"error.message"];
        if errors.contains(&key) {
            return self.content.errors;
        }
        let of_tools = memchr::memmem::find(key, b"tool").is_some();
        let goes = if of_tools { self.content.tools } else { self.content.conversation };
        goes && std::str::from_utf8(key).is_ok_and(is_content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_how_its_value_is_searched() {
        for (key, role) in [
            ("gen_ai.response.id", KeyRole::Identifier),
            ("traceparent", KeyRole::Identifier),
            ("server.address", KeyRole::Address),
            ("valid", KeyRole::Free),
            ("gen_ai.operation.name", KeyRole::Free),
            ("http.request.header.authorization", KeyRole::Secret(SecretName::Always)),
            ("DB_PASSWORD", KeyRole::Secret(SecretName::Always)),
            ("access_token", KeyRole::Secret(SecretName::IfRandom)),
            ("", KeyRole::Free),
            ("d", KeyRole::Free),
        ] {
            assert_eq!(KeyRole::of(key.as_bytes()), role, "{key}");
        }
    }

    #[test]
    fn rules_come_before_names() {
        let text = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let rules = KeyRules::new(
            &text(&["user.name", "acme.*"]),
            &text(&["password", "acme.region"]),
            ContentSwitches { tools: true, errors: true, ..ContentSwitches::default() },
        );
        for (key, role) in [
            ("user.name", KeyRole::Denied),
            ("user.names", KeyRole::Free),
            ("acme.region", KeyRole::Denied),
            ("password", KeyRole::Allowed),
            ("gen_ai.tool.call.arguments", KeyRole::Denied),
            ("exception.stacktrace", KeyRole::Denied),
            ("gen_ai.input.messages", KeyRole::Free),
        ] {
            assert_eq!(rules.role(key.as_bytes()), role, "{key}");
        }
        let talk = ContentSwitches { conversation: true, ..ContentSwitches::default() };
        let rules = KeyRules::new(&[], &[], talk);
        assert_eq!(rules.role(b"gen_ai.input.messages"), KeyRole::Denied);
        assert_eq!(rules.role(b"gen_ai.tool.call.arguments"), KeyRole::Free);
        assert!(rules.deny_any() && !KeyRules::default().deny_any());
    }
}
