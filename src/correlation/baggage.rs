//! Baggage: what a request carries along by W3C Baggage, where spans and logs show that header, becomes
//! attributes of them, if its key is allowed.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::attributes::{AttributePlace, write_with};
use crate::codec::fluentbit::log_texts;
use crate::codec::json::scan::{JsonMembers, plain_string};
use crate::codec::msgpack::{MapView, Reader, Token, elements};
use crate::codec::records::edit::Pairs;
use crate::codec::records::layout::keys as record_keys;
use crate::codec::records::{
    AttributeVisitor, ChunkRewriter, Item, ItemReader, ItemStep, LogView, Patch,
};
use crate::model::{Position, Signal};

/// What is read of one item's baggage: as much as W3C Baggage says must be passed on.
const MAX_BYTES: usize = 8192;
const MAX_MEMBERS: usize = 64;
/// Longer texts of logs are not read as JSON, and of each object in them so many members.
const MAX_JSON: usize = 64 * 1024;
const MAX_JSON_MEMBERS: usize = 256;

/// Where the header stands in attributes, by the conventions for HTTP and RPC, and on its own.
const HEADER: &str = "baggage";
const BEFORE_HEADER: [&str; 4] =
    ["", "http.request.header.", "rpc.request.metadata.", "rpc.grpc.request.metadata."];

/// The keys of baggage that become attributes.
#[derive(Debug, Clone, Default)]
pub struct BaggageKeys {
    keys: Vec<Box<str>>,
    /// The beginnings of further keys.
    prefixes: Vec<Box<str>>,
}

impl BaggageKeys {
    /// These keys, of which those that end with `*` are beginnings of keys.
    #[must_use]
    pub fn new(given: &[String]) -> Self {
        let mut keys = Self::default();
        for key in given {
            match key.strip_suffix('*') {
                Some(prefix) => keys.prefixes.push(prefix.into()),
                None => keys.keys.push(key.as_str().into()),
            }
        }
        keys
    }

    /// Whether this can be a key, or the beginning of keys.
    #[must_use]
    pub fn is_usable(key: &str) -> bool {
        is_token(key.strip_suffix('*').unwrap_or(key).as_bytes())
    }

    /// Whether no key is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.prefixes.is_empty()
    }

    fn allow(&self, key: &[u8]) -> bool {
        self.keys.iter().any(|known| known.as_bytes() == key)
            || self.prefixes.iter().any(|prefix| key.starts_with(prefix.as_bytes()))
    }
}

/// Whether this is a token of HTTP, as keys of baggage are.
fn is_token(text: &[u8]) -> bool {
    let is_mark = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || is_mark(*byte))
}

/// Whether a byte may stand in a value.
const fn is_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

/// What happened to baggage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BaggageTally {
    /// Attributes that items got.
    pub attributes: u64,
    /// Members with an allowed key that have no valid value, and what is beyond the limits.
    pub refused: u64,
}

/// Puts the allowed members of baggage on the items that show it.
#[derive(Debug)]
pub struct BaggageReader {
    keys: BaggageKeys,
    position: Position,
    found: Vec<(String, String)>,
    pairs: Pairs,
    patch: Patch,
}

/// Collects the values of headers of a span while it is read.
#[derive(Default)]
struct HeaderVisitor<'a>(Vec<&'a [u8]>);

impl<'a> AttributeVisitor<'a> for HeaderVisitor<'a> {
    #[inline]
    fn attribute(&mut self, key: &'a [u8], value: &'a [u8]) {
        if is_header(key) {
            self.0.push(value);
        }
    }
}

/// Whether a key names the header.
#[inline]
fn is_header(key: &[u8]) -> bool {
    let Some(start) = key.len().checked_sub(HEADER.len()) else { return false };
    let Some((before, header)) = key.split_at_checked(start) else { return false };
    header.eq_ignore_ascii_case(HEADER.as_bytes())
        && BEFORE_HEADER.iter().any(|known| known.as_bytes() == before)
}

impl BaggageReader {
    /// A reader for these keys. Items that were emitted at `position` or later are left alone.
    #[must_use]
    pub fn new(keys: BaggageKeys, position: Position) -> Self {
        Self { keys, position, found: Vec::new(), pairs: Pairs::new(), patch: Patch::default() }
    }

    /// The chunk as it is to go on, or `None` if it goes on as it is.
    pub fn process(&mut self, chunk: &[u8], tally: &mut BaggageTally) -> Option<Vec<u8>> {
        let mut visitor = HeaderVisitor::default();
        let mut rewriter = ChunkRewriter::new(chunk);
        let mut items = ItemReader::new(chunk);
        while let Some(step) = items.step(&mut visitor) {
            match &step {
                ItemStep::Item(item) if !self.is_past(item) => {
                    self.item(item, &visitor.0, &mut rewriter, tally);
                }
                _ => rewriter.keep(step.raw()),
            }
            visitor.0.clear();
        }
        rewriter.finish()
    }

    fn is_past(&self, item: &Item<'_>) -> bool {
        item.telemetry.is_some_and(|telemetry| telemetry.is_past(self.position))
    }

    fn item(
        &mut self,
        item: &Item<'_>,
        of_span: &[&[u8]],
        rewriter: &mut ChunkRewriter<'_>,
        tally: &mut BaggageTally,
    ) {
        self.found.clear();
        match item.signal() {
            Signal::Traces => of_span.iter().for_each(|value| self.value(value, tally)),
            Signal::Logs => self.log(item, tally),
            Signal::Metrics | Signal::Profiles => {}
        }
        self.choose(item);
        if self.pairs.is_empty() {
            return rewriter.keep(item.event.raw);
        }
        tally.attributes = tally.attributes.saturating_add(self.pairs.len().into());
        write_with(item, &self.pairs, &mut self.patch, rewriter.replace(item.event.raw));
    }

    /// What of the members that were found the item does not say, nor its resource.
    fn choose(&mut self, item: &Item<'_>) {
        self.pairs.clear();
        let place = AttributePlace::of(item);
        if self.found.is_empty() || place == AttributePlace::Nowhere {
            return;
        }
        let resource = item.telemetry.and_then(|telemetry| telemetry.resource);
        let of_resource = resource
            .and_then(|resource| MapView::new(resource).get(record_keys::ATTRIBUTES))
            .unwrap_or_default();
        let fields = if item.signal() == Signal::Logs { item.event.body } else { &[] };
        for (key, value) in &self.found {
            let says = |map: &[u8]| MapView::new(map).get(key.as_bytes()).is_some();
            if ![place.map(), of_resource, fields].into_iter().any(says) {
                self.pairs.text(key, value);
            }
        }
    }

    /// Looks for the header in a log: in its attributes and metadata, in its fields and in maps in
    /// them, and in its JSON text.
    fn log(&mut self, item: &Item<'_>, tally: &mut BaggageTally) {
        let event = &item.event;
        let log = event.otlp().map(LogView::new).unwrap_or_default();
        for map in [log.attributes, event.metadata] {
            for entry in MapView::new(map).filter(|entry| is_header(entry.key)) {
                self.value(entry.value, tally);
            }
        }
        for entry in MapView::new(event.body) {
            if is_header(entry.key) {
                self.value(entry.value, tally);
            } else if let Ok(Token::Map(_)) = Reader::new(entry.value).token() {
                for inner in MapView::new(entry.value).filter(|inner| is_header(inner.key)) {
                    self.value(inner.value, tally);
                }
            }
        }
        let body_key = Reader::new(log.body_key).str().unwrap_or_default();
        for text in log_texts(event.body, body_key) {
            if text.trim_ascii_start().starts_with(b"{") && text.len() <= MAX_JSON {
                self.json(text, tally);
            }
        }
    }

    fn json(&mut self, text: &[u8], tally: &mut BaggageTally) {
        for member in JsonMembers::new(text).take(MAX_JSON_MEMBERS) {
            if is_header(member.name) {
                self.json_value(member.value, tally);
            } else if member.value.starts_with(b"{") {
                let inner = JsonMembers::new(member.value).take(MAX_JSON_MEMBERS);
                for inner in inner.filter(|inner| is_header(inner.name)) {
                    self.json_value(inner.value, tally);
                }
            }
        }
    }

    /// No valid member has anything that JSON escapes.
    fn json_value(&mut self, value: &[u8], tally: &mut BaggageTally) {
        if let Some(text) = plain_string(value) {
            self.text(text, tally);
        }
    }

    /// An encoded text, or a list of them, as attributes for headers have it.
    fn value(&mut self, value: &[u8], tally: &mut BaggageTally) {
        match Reader::new(value).token() {
            Ok(Token::Str(text)) => self.text(text, tally),
            Ok(Token::Array(_)) => {
                for element in elements(value) {
                    if let Ok(Token::Str(text)) = Reader::new(element).token() {
                        self.text(text, tally);
                    }
                }
            }
            _ => {}
        }
    }

    /// Notes the allowed members of a header. Of several with one key the last holds.
    fn text(&mut self, text: &[u8], tally: &mut BaggageTally) {
        let mut refuse = || tally.refused = tally.refused.saturating_add(1);
        let text = if let Some(beginning) = text.get(..=MAX_BYTES) {
            refuse();
            // The last member in it may be cut.
            let end = beginning.iter().rposition(|byte| *byte == b',').unwrap_or(0);
            beginning.get(..end).unwrap_or_default()
        } else {
            text
        };
        for member in text.split(|byte| *byte == b',') {
            let (key, value) = match member.iter().position(|byte| *byte == b'=') {
                Some(at) => (member.get(..at), member.get(at.saturating_add(1)..)),
                None => (Some(member), None),
            };
            let key = key.unwrap_or_default().trim_ascii();
            if !self.keys.allow(key) {
                continue;
            }
            match value.and_then(value_of).zip(std::str::from_utf8(key).ok()) {
                Some((value, key)) if is_token(key.as_bytes()) => {
                    if !self.note(key, value) {
                        refuse();
                    }
                }
                _ => refuse(),
            }
        }
    }

    /// Notes a member, if there is room for it.
    fn note(&mut self, key: &str, value: Cow<'_, str>) -> bool {
        if let Some((_, known)) = self.found.iter_mut().find(|(known, _)| known == key) {
            *known = value.into_owned();
        } else if self.found.len() < MAX_MEMBERS {
            self.found.push((key.to_owned(), value.into_owned()));
        } else {
            return false;
        }
        true
    }
}

/// The value of a member, decoded, without its properties; `None` for what is none.
fn value_of(text: &[u8]) -> Option<Cow<'_, str>> {
    let value = text.split(|byte| *byte == b';').next()?.trim_ascii();
    value.iter().all(|byte| is_octet(*byte)).then(|| percent_decode(value).decode_utf8_lossy())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::codec::records::Events;
    use crate::codec::records::testing::{SpanRecord, chunk, log_event};

    const HERE: Position = Position { run: 7, after: 2 };

    fn reader(keys: &[&str]) -> BaggageReader {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        assert!(keys.iter().all(|key| BaggageKeys::is_usable(key)));
        BaggageReader::new(BaggageKeys::new(&keys), HERE)
    }

    fn found(keys: &[&str], header: &str) -> (Vec<(String, String)>, u64) {
        let (mut reader, mut tally) = (reader(keys), BaggageTally::default());
        reader.text(header.as_bytes(), &mut tally);
        (reader.found, tally.refused)
    }

    #[test]
    fn members_are_read_as_the_recommendation_says() {
        for (header, expected) in [
            ("user=alice", Some("alice")),
            (" user = alice ;p=1;q , other=1", Some("alice")),
            ("other=1,user=alice", Some("alice")),
            ("user=Am%C3%A9lie%20P%2C+1", Some("Amélie P,+1")),
            ("user=%FFx", Some("\u{fffd}x")),
            ("user=a=b", Some("a=b")),
            ("user=100%", Some("100%")),
            ("user=one,user=two", Some("two")),
            ("user=", Some("")),
            ("users=1,use=2,USER=3", None),
            ("", None),
            (",,;=", None),
        ] {
            let (members, refused) = found(&["user"], header);
            let values: Vec<&str> = members.iter().map(|(_, value)| value.as_str()).collect();
            assert_eq!((values, refused), (expected.into_iter().collect(), 0), "{header}");
        }
        for header in ["user", "user=a b", "user=\"a\"", "user=\\", "user=é"] {
            assert_eq!(found(&["user"], header), (vec![], 1), "{header}");
        }
    }

    #[test]
    fn only_allowed_keys_are_taken_and_only_so_many() {
        let (members, _) = found(&["acme.*", "user"], "acme.a=1,acme=2,user=3,secret=4,acme.b=5");
        let keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["acme.a", "user", "acme.b"]);
        let many: Vec<String> = (0..70).map(|number| format!("k{number}=1")).collect();
        let (members, refused) = found(&["k*"], &many.join(","));
        assert_eq!((members.len(), refused), (64, 6));
        let long = format!("a=1,k={},b=2", "x".repeat(MAX_BYTES));
        let (members, refused) = found(&["a", "b", "k"], &long);
        assert_eq!((members, refused), (vec![("a".to_owned(), "1".to_owned())], 1));
        for wrong in ["", "*", "a b", "a,b", "é", "a="] {
            assert!(!BaggageKeys::is_usable(wrong), "{wrong}");
        }
    }

    fn process(chunk: &[u8]) -> (Vec<Value>, BaggageTally) {
        let mut tally = BaggageTally::default();
        let out = reader(&["tenant", "user"]).process(chunk, &mut tally);
        let json = |bytes: &[u8]| rmp_serde::from_slice::<Value>(bytes).unwrap();
        let bodies = Events::new(out.as_deref().unwrap_or(chunk))
            .map(|event| json(event.unwrap().body))
            .collect();
        (bodies, tally)
    }

    #[test]
    fn spans_that_show_the_header_get_its_members() {
        let header = "user=a%20b,tenant=t,other=x";
        for key in ["baggage", "http.request.header.baggage", "rpc.request.metadata.baggage"] {
            let span = SpanRecord::new(1, 2).with(key, header).with("tenant", "own");
            let (bodies, tally) = process(&span.encode());
            let expected = json!({ key: header, "tenant": "own", "user": "a b" });
            assert_eq!(bodies[0]["attributes"], expected);
            assert_eq!(tally, BaggageTally { attributes: 1, refused: 0 });
        }
        let metadata = json!({ "otlp": { "v": 1, "signal": "span",
            "resource": { "attributes": { "tenant": "of the resource" } } } });
        let body = json!({ "trace_id": "00", "attributes": {
            "http.request.header.baggage": ["user=u", "tenant=t"] } });
        let (bodies, _) = process(&log_event(5, &metadata, &body));
        let attributes = bodies[0]["attributes"].as_object().unwrap();
        assert_eq!(attributes["user"], "u", "a list of headers");
        assert!(!attributes.contains_key("tenant"), "the resource says it");
        let untouched = chunk(&[
            SpanRecord::new(1, 2).with("luggage", header),
            SpanRecord::new(1, 2).with("http.response.header.baggage", header),
            SpanRecord::new(1, 2).with("baggage", header).from(7, 3),
        ]);
        let mut tally = BaggageTally::default();
        assert_eq!(reader(&["user"]).process(&untouched, &mut tally), None);
    }

    #[test]
    fn logs_that_show_it_get_them_too() {
        let none = json!({});
        for body in [
            json!({ "log": "x", "baggage": "user=u" }),
            json!({ "log": "x", "Baggage": "user=u" }),
            json!({ "log": "x", "headers": { "baggage": "user=u" } }),
            json!({ "log": r#"{"msg":"x","baggage":"user=u"}"# }),
            json!({ "message": r#"{"headers":{"baggage":"user=u"}}"# }),
        ] {
            let (bodies, tally) = process(&log_event(5, &none, &body));
            assert_eq!((&bodies[0]["user"], tally.attributes), (&json!("u"), 1), "{body}");
        }
        let said = json!({ "log": "x", "baggage": "user=u", "user": "own" });
        assert_eq!(process(&log_event(5, &none, &said)).0, [said]);
        let record = json!({ "otlp": { "v": 1, "signal": "log",
            "attributes": { "http.request.header.baggage": ["user=u"] } } });
        let chunk = log_event(5, &record, &json!({ "log": "x" }));
        let mut tally = BaggageTally::default();
        let out = reader(&["user"]).process(&chunk, &mut tally).unwrap();
        let event = Events::new(&out).next().unwrap().unwrap();
        let attributes = LogView::new(event.otlp().unwrap()).attributes;
        assert_eq!(MapView::new(attributes).get(b"user"), Some(&[0xa1, b'u'][..]));
    }

    proptest! {
        /// Scenario: any values under a key, encoded as the recommendation says, among others, with
        /// properties and white space. Guarantees: each comes back.
        #[test]
        fn what_was_encoded_comes_back(values in prop::collection::vec(".{0,40}", 1..20), before in "[ \t]{0,3}") {
            let encode = |value: &String| {
                percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
            };
            let members: Vec<String> = values
                .iter()
                .enumerate()
                .map(|(number, value)| format!("{before}k{number}{before}={before}{}{before};p", encode(value)))
                .collect();
            let header = members.join(",");
            prop_assume!(header.len() < MAX_BYTES);
            let (members, refused) = found(&["k*"], &header);
            let expected: Vec<(String, String)> = values
                .into_iter()
                .enumerate()
                .map(|(number, value)| (format!("k{number}"), value))
                .collect();
            prop_assert_eq!((members, refused), (expected, 0));
        }

        /// Scenario: any bytes as a header, and any chunk. Guarantees: it is survived, and nothing is
        /// lost of what came.
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), at_byte in 0_usize..300) {
            let mut reader = reader(&["user", "k*"]);
            let mut tally = BaggageTally::default();
            reader.text(&bytes, &mut tally);
            let mut chunk = SpanRecord::new(1, 2).with("baggage", "user=u,k1=2").encode();
            let place = at_byte % chunk.len();
            chunk.splice(place..place, bytes);
            let out = reader.process(&chunk, &mut tally);
            prop_assert!(out.is_none_or(|out| out.len() >= chunk.len()));
        }
    }
}
