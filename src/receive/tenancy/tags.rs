//! Tag routing: which tag the events of a request or a resource get.
//!
//! Each tag makes chunks of its own in the host, so how many there are is bounded, and what senders
//! write becomes a short text of harmless characters.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use http::HeaderName;

use crate::model::Signal;
use crate::stats::Counter;
use crate::sync::Mutex;

/// Longest value in a tag, in bytes.
const MAX_VALUE_LENGTH: usize = 64;
/// Longest configured tag or prefix, in bytes.
const MAX_TAG_LENGTH: usize = 128;

/// A tag; the default is the input's own. Shared by a thin pointer, because every batch has one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in crate::receive) struct Tag(Option<Arc<String>>);

impl Tag {
    pub(super) fn new(text: &str) -> Self {
        Self(Some(Arc::new(text.to_owned())))
    }

    /// The tag as the host gets it: nothing for the input's own.
    pub(in crate::receive) fn bytes(&self) -> &[u8] {
        self.0.as_deref().map_or(b"", String::as_bytes)
    }
}

/// Where the changing part of a tag comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagFrom {
    /// A header of the request.
    Header(HeaderName),
    /// An attribute of each resource.
    Resource(String),
    /// The tenant of the request.
    Tenant,
}

impl TagFrom {
    /// Reads `header:NAME`, `tenant`, `resource.ATTRIBUTE`, or just the attribute's name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("header:") {
            return HeaderName::try_from(name.trim()).ok().map(Self::Header);
        }
        if text == "tenant" {
            return Some(Self::Tenant);
        }
        let name = text.strip_prefix("resource.").unwrap_or(text);
        let plain = !name.is_empty()
            && name.len() <= 256
            && name.chars().all(|c| !c.is_whitespace() && !c.is_control());
        plain.then(|| Self::Resource(name.to_owned()))
    }
}

/// How tags are chosen.
#[derive(Debug, Clone)]
pub struct TagSettings {
    /// The tags of traces, metrics, logs and profiles; `None` is the input's own tag.
    pub(crate) signals: [Option<String>; 4],
    /// Where the changing part comes from; `None` for the tag of the signal alone.
    pub(crate) from: Option<TagFrom>,
    /// What stands before the changing part; `None` is the tag of the signal and a dot.
    pub(crate) prefix: Option<String>,
    /// The tag of what has no value; `None` is the tag of the signal.
    pub(crate) fallback: Option<String>,
    /// The tag of values beyond `max_tags`; `None` is the prefix and `overflow`.
    pub(crate) overflow: Option<String>,
    /// How many tags may be made of values.
    pub(crate) max_tags: usize,
    /// The input's own tag.
    pub(crate) own: String,
}

impl Default for TagSettings {
    fn default() -> Self {
        Self {
            signals: Default::default(),
            from: None,
            prefix: None,
            fallback: None,
            overflow: None,
            max_tags: 100,
            own: "ai_otlp".to_owned(),
        }
    }
}

/// Whether a text can be a tag or the start of one.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    (1..=MAX_TAG_LENGTH).contains(&text.len())
        && text.bytes().all(|byte| is_harmless(byte) || matches!(byte, b'/' | b':' | b'@'))
}

const fn is_harmless(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// The tags of one signal.
#[derive(Debug)]
struct Family {
    /// Without a source of values.
    plain: Tag,
    prefix: String,
    fallback: Tag,
    overflow: Tag,
}

/// Chooses tags, and knows which were made of values.
#[derive(Debug)]
pub(super) struct Tags {
    pub(super) from: Option<TagFrom>,
    families: [Family; 4],
    max_tags: usize,
    made: Mutex<HashSet<Arc<String>, RandomState>>,
    count: Counter,
    overflows: Counter,
}

impl Tags {
    /// `count` shows how many tags were made of values, `overflows` how often there was no room for
    /// another.
    pub(super) fn new(settings: &TagSettings, count: Counter, overflows: Counter) -> Self {
        let family = |given: &Option<String>| {
            let plain = given.as_deref().map_or_else(Tag::default, Tag::new);
            let prefix = settings.prefix.clone().unwrap_or_else(|| {
                format!("{}.", given.as_deref().unwrap_or(settings.own.as_str()))
            });
            let fallback = settings.fallback.as_deref().map_or_else(|| plain.clone(), Tag::new);
            let overflow = settings
                .overflow
                .as_deref()
                .map_or_else(|| Tag::new(&format!("{prefix}overflow")), Tag::new);
            Family { plain, prefix, fallback, overflow }
        };
        Self {
            from: settings.from.clone(),
            families: settings.signals.each_ref().map(family),
            max_tags: settings.max_tags,
            made: Mutex::default(),
            count,
            overflows,
        }
    }

    fn family(&self, signal: Signal) -> &Family {
        let [traces, metrics, logs, profiles] = &self.families;
        match signal {
            Signal::Traces => traces,
            Signal::Metrics => metrics,
            Signal::Logs => logs,
            Signal::Profiles => profiles,
        }
    }

    /// The tag of a signal without regard to values.
    pub(super) fn plain(&self, signal: Signal) -> Tag {
        self.family(signal).plain.clone()
    }

    /// The tag for a value, or for none.
    pub(super) fn of(&self, signal: Signal, value: Option<&[u8]>) -> Tag {
        let family = self.family(signal);
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return family.fallback.clone();
        };
        let mut text = family.prefix.clone();
        text.extend(
            value
                .iter()
                .take(MAX_VALUE_LENGTH)
                .map(|byte| if is_harmless(*byte) { char::from(*byte) } else { '_' }),
        );
        let mut made = self.made.lock();
        if let Some(known) = made.get(&text) {
            return Tag(Some(Arc::clone(known)));
        }
        if made.len() >= self.max_tags {
            self.overflows.add(1);
            return family.overflow.clone();
        }
        let text = Arc::new(text);
        made.insert(Arc::clone(&text));
        self.count.set(u64::try_from(made.len()).unwrap_or(u64::MAX));
        Tag(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(settings: &TagSettings) -> (Tags, Counter, Counter) {
        let (count, overflows) = (Counter::default(), Counter::default());
        (Tags::new(settings, count.clone(), overflows.clone()), count, overflows)
    }

    fn text(tag: &Tag) -> &str {
        std::str::from_utf8(tag.bytes()).unwrap()
    }

    #[test]
    fn a_signal_has_its_tag_or_the_inputs_own() {
        let settings = TagSettings {
            signals: [Some("t".to_owned()), None, Some("l".to_owned()), None],
            own: "ai".to_owned(),
            ..TagSettings::default()
        };
        let (tags, ..) = tags(&settings);
        assert_eq!(Signal::ALL.map(|signal| text(&tags.plain(signal)).to_owned()), ["t", "", "l"]);
        assert_eq!(text(&tags.of(Signal::Traces, Some(b"x"))), "t.x");
        assert_eq!(text(&tags.of(Signal::Metrics, Some(b"x"))), "ai.x");
        assert_eq!(text(&tags.of(Signal::Logs, None)), "l");
    }

    #[test]
    fn values_become_harmless_and_short() {
        let settings = TagSettings {
            prefix: Some("p-".to_owned()),
            fallback: Some("none".to_owned()),
            ..TagSettings::default()
        };
        let (tags, ..) = tags(&settings);
        for (value, expected) in [
            (&b"team/a *\n"[..], "p-team_a___"),
            ("\u{e9}\0".as_bytes(), "p-___"),
            (b"Shop.EU_1", "p-Shop.EU_1"),
            (b"", "none"),
        ] {
            assert_eq!(text(&tags.of(Signal::Logs, Some(value))), expected);
        }
        let long = tags.of(Signal::Logs, Some(&[b'x'; 5000]));
        assert_eq!(long.bytes().len(), 2 + MAX_VALUE_LENGTH);
    }

    #[test]
    fn the_number_of_tags_is_bounded() {
        let (tags, count, overflows) = tags(&TagSettings { max_tags: 2, ..TagSettings::default() });
        let of = |value: &str| text(&tags.of(Signal::Traces, Some(value.as_bytes()))).to_owned();
        assert_eq!([of("a"), of("b"), of("a")], ["ai_otlp.a", "ai_otlp.b", "ai_otlp.a"]);
        assert_eq!(
            [of("c"), of("d"), of("b")],
            ["ai_otlp.overflow", "ai_otlp.overflow", "ai_otlp.b"]
        );
        assert_eq!((count.value(), overflows.value()), (2, 2));
    }

    #[test]
    fn sources_are_read() {
        let header = HeaderName::from_static("x-scope-orgid");
        assert_eq!(TagFrom::parse("header:X-Scope-OrgID"), Some(TagFrom::Header(header)));
        assert_eq!(TagFrom::parse("tenant"), Some(TagFrom::Tenant));
        let attribute = || Some(TagFrom::Resource("service.namespace".to_owned()));
        assert_eq!(TagFrom::parse("resource.service.namespace"), attribute());
        assert_eq!(TagFrom::parse("service.namespace"), attribute());
        for wrong in ["", "header:", "header:a b", "resource.", "a b"] {
            assert_eq!(TagFrom::parse(wrong), None, "{wrong}");
        }
        assert!(is_tag("ai.traces") && !is_tag("") && !is_tag("a b") && !is_tag("a*"));
    }
}
