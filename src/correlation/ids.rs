//! Ids: which keys of spans and logs hold ids that both have, and what makes two of them the same.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::codec::msgpack::{Reader, Token, elements};
use crate::model::listed_enum;

listed_enum! {
    /// A kind of ids by which logs find their trace.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum IdKind {
        /// Ids of requests, as headers, gateways and frameworks have them.
        Request,
        /// Ids of responses of models.
        Response,
        /// Ids of conversations, which several traces may share.
        Conversation,
        /// Ids of sessions, which several traces may share.
        Session,
    }
}

impl IdKind {
    /// The word for it in options.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::Conversation => "conversation",
            Self::Session => "session",
        }
    }

    /// Ids of requests and responses are compared with each other: what one side calls the request's
    /// id is the response's for another.
    const fn space(self) -> IdSpace {
        match self {
            Self::Request | Self::Response => IdSpace::Call,
            Self::Conversation => IdSpace::Conversation,
            Self::Session => IdSpace::Session,
        }
    }

    /// The keys that hold such ids, in canonical form: see [`canonical`].
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Request => &[
                "requestid",
                "xrequestid",
                "httprequestid",
                "correlationid",
                "xcorrelationid",
                "clientrequestid",
                "xclientrequestid",
                // Azure, and its API Management.
                "xmsrequestid",
                "xmsclientrequestid",
                "apimrequestid",
                // AWS, and its functions.
                "awsrequestid",
                "amznrequestid",
                "xamznrequestid",
                "xamzrequestid",
                "faasinvocationid",
                // vLLM, and gateways that follow it.
                "genairequestid",
                "llmrequestid",
                // LiteLLM.
                "litellmcallid",
                "xlitellmcallid",
                "litellmrequestid",
            ],
            Self::Response => {
                &["genairesponseid", "llmresponseid", "airesponseid", "responseid", "completionid"]
            }
            Self::Conversation => &["genaiconversationid", "conversationid", "llmconversationid"],
            Self::Session => &[
                "sessionid",
                "xsessionid",
                "langfusesessionid",
                "genaisessionid",
                "traceloopassociationpropertiessessionid",
            ],
        }
    }
}

/// Ids of one space are compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum IdSpace {
    /// One call has them.
    Call,
    Conversation,
    Session,
}

/// An id: its space and a hash of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id {
    pub(super) space: IdSpace,
    pub(super) hash: u128,
}

/// Keys are looked up in so many bytes at most.
const LONGEST_KEY: usize = 96;
/// Shorter values repeat: counters, numbers of workers.
const SHORTEST_ID: usize = 8;
const LONGEST_ID: usize = 256;

/// Headers as attributes, by the semantic conventions for HTTP.
const HEADERS: [&[u8]; 2] = [b"httprequestheader", b"httpresponseheader"];

/// Which keys hold ids.
#[derive(Debug, Clone)]
pub struct IdKeys {
    keys: HashMap<Box<[u8]>, IdSpace, RandomState>,
    /// The bytes that keys end with, by which most other keys are told apart.
    ends: [bool; 256],
    seed: u64,
}

impl IdKeys {
    /// The keys of these kinds, and `more` that hold ids of requests. `seed` makes the hashes of
    /// this process others than those of the next.
    #[must_use]
    pub fn new(kinds: &[IdKind], more: &[String], seed: u64) -> Self {
        let mut keys = Self { keys: HashMap::default(), ends: [false; 256], seed };
        for kind in kinds {
            kind.keys().iter().for_each(|key| keys.add(key.as_bytes(), kind.space()));
        }
        for key in more {
            let mut buffer = [0; LONGEST_KEY];
            if let Some(key) = canonical([key.as_bytes(), &[]], &mut buffer) {
                keys.add(key, IdSpace::Call);
            }
        }
        keys
    }

    /// Whether a key can be told apart from others at all.
    #[must_use]
    pub fn is_usable(key: &str) -> bool {
        canonical([key.as_bytes(), &[]], &mut [0; LONGEST_KEY]).is_some()
    }

    fn add(&mut self, key: &[u8], space: IdSpace) {
        if let Some(end) = key.last().and_then(|last| self.ends.get_mut(usize::from(*last))) {
            *end = true;
        }
        self.keys.insert(key.into(), space);
    }

    /// What a key says of its value; `outer` is the key of the map that it is in, if it is in one.
    #[inline]
    pub(super) fn space_of(&self, outer: &[u8], key: &[u8]) -> Option<IdSpace> {
        let last = key.last()?.to_ascii_lowercase();
        if !self.ends.get(usize::from(last)).is_some_and(|may_end| *may_end) {
            return None;
        }
        self.look_up(&[], key)
            .or_else(|| if outer.is_empty() { None } else { self.look_up(outer, key) })
    }

    fn look_up(&self, outer: &[u8], key: &[u8]) -> Option<IdSpace> {
        let mut buffer = [0; LONGEST_KEY];
        let name = canonical([outer, key], &mut buffer)?;
        self.keys.get(name).copied()
    }

    /// The id that a text is, if it is one.
    pub(super) fn id(&self, space: IdSpace, text: &[u8]) -> Option<Id> {
        let text = text.trim_ascii();
        is_id(text).then(|| {
            let hash = xxh3_128_with_seed(text, self.seed);
            Id { space, hash }
        })
    }

    /// The id that an encoded value is: text, a whole number, or a list of one of them, as attributes
    /// for headers have it.
    pub(super) fn id_of(&self, space: IdSpace, value: &[u8]) -> Option<Id> {
        let number = |number: String| self.id(space, number.as_bytes());
        match Reader::new(value).token().ok()? {
            Token::Str(text) => self.id(space, text),
            Token::Uint(value) => number(value.to_string()),
            Token::Int(value) => number(value.to_string()),
            Token::Array(1) => {
                let element = elements(value).next()?;
                match Reader::new(element).token().ok()? {
                    Token::Str(text) => self.id(space, text),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Whether a text tells one call from others: no placeholder, and nothing that redaction left.
fn is_id(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'[' | b'{' | b'$' | b'*');
    (SHORTEST_ID..=LONGEST_ID).contains(&text.len())
        && text.iter().all(plain)
        && text.iter().any(|byte| byte.is_ascii_alphanumeric() && *byte != b'0')
        && !text.eq_ignore_ascii_case(b"undefined")
        && !text.eq_ignore_ascii_case(b"anonymous")
}

/// A key in the form in which its spellings are one: small letters and digits alone, without what says
/// that it is a header. `None` for what is too long or has nothing of it.
fn canonical<'b>(parts: [&[u8]; 2], buffer: &'b mut [u8; LONGEST_KEY]) -> Option<&'b [u8]> {
    let mut length = 0;
    for byte in parts.into_iter().flatten().filter(|byte| byte.is_ascii_alphanumeric()) {
        *buffer.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    let key = buffer.get(..length)?;
    let key = HEADERS.iter().find_map(|header| key.strip_prefix(*header)).unwrap_or(key);
    (!key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{array_header, str, uint};

    fn keys() -> IdKeys {
        IdKeys::new(&IdKind::ALL, &["order-Nr".to_owned()], 7)
    }

    #[test]
    fn spellings_of_a_key_are_one() {
        let keys = keys();
        for key in [
            "request_id",
            "requestId",
            "RequestID",
            "request.id",
            "Request-Id",
            "x-request-id",
            "X_REQUEST_ID",
            "http.request.header.x-request-id",
            "http.response.header.x-request-id",
            "litellm_call_id",
            "x-litellm-call-id",
            "gen_ai.response.id",
            "gen_ai.request.id",
            "apim-request-id",
            "order_nr",
            "OrderNr",
        ] {
            assert_eq!(keys.space_of(b"", key.as_bytes()), Some(IdSpace::Call), "{key}");
        }
        assert_eq!(keys.space_of(b"", b"gen_ai.conversation.id"), Some(IdSpace::Conversation));
        assert_eq!(keys.space_of(b"", b"session.id"), Some(IdSpace::Session));
        assert_eq!(keys.space_of(b"session", b"id"), Some(IdSpace::Session));
        assert_eq!(keys.space_of(b"mdc", b"requestId"), Some(IdSpace::Call));
        for key in ["id", "thread_id", "jsonrpc.request.id", "trace_id", "", "user.id", "message"] {
            assert_eq!(keys.space_of(b"", key.as_bytes()), None, "{key}");
        }
        let long = "request_id".repeat(20);
        assert_eq!(keys.space_of(b"", long.as_bytes()), None);
        assert!(IdKeys::is_usable("x") && !IdKeys::is_usable(" _ ") && !IdKeys::is_usable(&long));
    }

    #[test]
    fn kinds_that_are_not_asked_for_are_not_looked_at() {
        let keys = IdKeys::new(&[IdKind::Response], &[], 7);
        assert_eq!(keys.space_of(b"", b"request_id"), None);
        assert_eq!(keys.space_of(b"", b"session.id"), None);
        assert!(keys.space_of(b"", b"gen_ai.response.id").is_some());
    }

    #[test]
    fn values_are_ids_if_they_tell_calls_apart() {
        let keys = keys();
        let id = |text: &str| keys.id(IdSpace::Call, text.as_bytes());
        assert_eq!(id("chatcmpl-1"), id(" chatcmpl-1 "));
        assert_ne!(id("chatcmpl-1"), id("chatcmpl-2"));
        assert_ne!(id("chatcmpl-1"), keys.id(IdSpace::Session, b"chatcmpl-1"));
        for text in [
            "",
            "17",
            "unknown",
            "undefined",
            "00000000-0000-0000-0000-000000000000",
            "[redacted]",
            "${request_id}",
            "two words here",
        ] {
            assert_eq!(id(text), None, "{text}");
        }
        assert_eq!(id(&"x".repeat(LONGEST_ID + 1)), None);
    }

    #[test]
    fn values_come_as_text_as_numbers_and_as_lists_of_one() {
        let keys = keys();
        let text = keys.id(IdSpace::Call, b"1234567890123");
        let mut value = Vec::new();
        str(&mut value, "1234567890123");
        assert_eq!(keys.id_of(IdSpace::Call, &value), text);
        let mut list = Vec::new();
        array_header(&mut list, 1);
        list.extend_from_slice(&value);
        assert_eq!(keys.id_of(IdSpace::Call, &list), text);
        let mut number = Vec::new();
        uint(&mut number, 1_234_567_890_123);
        assert_eq!(keys.id_of(IdSpace::Call, &number), text);
        let mut two = Vec::new();
        array_header(&mut two, 2);
        two.extend_from_slice(&value);
        two.extend_from_slice(&value);
        assert_eq!(keys.id_of(IdSpace::Call, &two), None);
    }
}
