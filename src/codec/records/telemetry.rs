//! Record metadata: what the `otlp` map of a telemetry record says of it.

use super::layout::keys;
use super::record::{Event, Group, integer, skip_rest};
use crate::codec::msgpack::{MapView, ReadError, Reader, Token, before, elements, text_of};
use crate::model::{Position, Signal};

/// An encoded map without pairs.
const EMPTY_MAP: &[u8] = &[0x80];

/// Where an encoded `otlp` map has the pairs that all records of a scope share: `v`, `signal`,
/// `resource`, `scope`, `envelope`, `body_key` and `scope_id`, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommonPairs {
    /// Bytes of the map before them.
    pub at: usize,
    /// Bytes that they take.
    pub length: usize,
    /// Pairs of the map before them.
    pub before: u32,
    /// How many pairs they are; 0 if there are none.
    pub pairs: u32,
}

/// Whether a key is one of common pairs.
const fn is_shared(key: &[u8]) -> bool {
    matches!(
        key,
        keys::VERSION
            | keys::SIGNAL
            | keys::RESOURCE
            | keys::SCOPE
            | keys::ENVELOPE
            | keys::BODY_KEY
            | keys::SCOPE_ID
    )
}

/// What the metadata map of a telemetry record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Telemetry<'a> {
    /// The signal; `None` when the record is an OTLP log as Fluent Bit writes it, or unknown.
    pub signal: Option<Signal>,
    /// The encoded resource map.
    pub resource: Option<&'a [u8]>,
    /// The encoded scope map.
    pub scope: Option<&'a [u8]>,
    /// The filter position at which one of our filters emitted the record.
    pub position: Option<Position>,
    /// The layout's version; `None` when the record is not of our layout.
    pub version: Option<u64>,
    /// How many envelopes with an equal resource, and with an equal scope, stood before the record's
    /// own: neighbours that differ in them do not share an envelope.
    pub envelope: [u64; 2],
    /// The id of the scope in the group that the record came in.
    pub scope_id: Option<u64>,
    /// For log records of our layout, what is special about the body: `kvlist` or `none`, and `ext`
    /// in records of earlier builds.
    pub body_form: &'a [u8],
    /// For log records of our layout, the key that the body's value has, if that is not `log`; see
    /// [`Telemetry::body_key`].
    pub given_body_key: Option<&'a [u8]>,
    /// What of the record's values stands beside them, as `otlp.raw_values` has it; empty if
    /// nothing does.
    pub raw_values: &'a [u8],
    /// What a policy of sampling said of its content.
    pub content: Option<ContentHint>,
    /// The encoded `otlp` map itself.
    pub otlp: &'a [u8],
    /// Where that map has what all records of a scope share.
    pub common: CommonPairs,
}

/// What a policy of sampling said of the content of an item, for endpoints that go by that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentHint {
    /// It is to be kept.
    Keep,
    /// It is to be dropped.
    Drop,
}

impl ContentHint {
    /// Its name in records and configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Drop => "drop",
        }
    }

    /// The hint of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Keep, Self::Drop].into_iter().find(|hint| hint.name() == name)
    }
}

impl<'a> Event<'a> {
    /// What the metadata says, if it has an `otlp` map.
    #[must_use]
    pub fn telemetry(&self) -> Option<Telemetry<'a>> {
        Telemetry::of(self.metadata, self.group)
    }

    /// The encoded `otlp` map of the metadata.
    #[must_use]
    pub fn otlp(&self) -> Option<&'a [u8]> {
        MapView::new(self.metadata).get(keys::OTLP)
    }
}

/// Whether a key of an `otlp` map is one that an ordinary log gets when it is placed in its trace, given a
/// resource, or emitted late.
#[must_use]
pub const fn is_placing_key(key: &[u8]) -> bool {
    matches!(
        key,
        keys::TRACE_ID
            | keys::SPAN_ID
            | keys::TRACE_FLAGS
            | keys::SEVERITY_NUMBER
            | keys::SEVERITY_TEXT
            | keys::RESOURCE
            | keys::FROM
            | keys::CONTENT
    )
}

impl<'a> Telemetry<'a> {
    /// What a metadata map says of a record in `group`, if it has an `otlp` map.
    #[must_use]
    pub fn of(metadata: &'a [u8], group: Option<Group<'a>>) -> Option<Self> {
        let mut metadata = Reader::new(metadata);
        for _ in 0..metadata.map().ok()? {
            let key = metadata.token().ok()?;
            if key == Token::Str(keys::OTLP) {
                let (mut said, _) = read_otlp(metadata.rest(), &Self::default(), &[]).ok()?;
                said.take_from(group);
                return Some(said);
            }
            skip_rest(&mut metadata, key).ok()?;
            metadata.skip().ok()?;
        }
        None
    }

    /// The same for the metadata that `reader` is at, which is left behind it. It is read once where it is as
    /// we write it.
    #[inline]
    pub(super) fn of_next(
        reader: &mut Reader<'a>,
        group: Option<Group<'a>>,
    ) -> Result<Option<Self>, ReadError> {
        if let Some((telemetry, rest)) = Self::of_ours(reader.rest(), group) {
            *reader = Reader::new(rest);
            return Ok(Some(telemetry));
        }
        Ok(Self::of(reader.skip()?, group))
    }

    /// What metadata that is an `otlp` map alone says, and what follows it.
    #[inline]
    fn of_ours(metadata: &'a [u8], group: Option<Group<'a>>) -> Option<(Self, &'a [u8])> {
        let otlp = metadata.strip_prefix(b"\x81\xa4otlp")?;
        let (mut said, rest) = read_otlp(otlp, &Self::default(), &[]).ok()?;
        said.take_from(group);
        Some((said, rest))
    }

    /// Whether the event, whose metadata this is, is an ordinary log that only got its place in a
    /// trace and a resource: there is nothing else in its `otlp` map, and no group.
    #[must_use]
    pub fn is_ordinary(&self, event: &Event<'_>) -> bool {
        self.signal.is_none()
            && event.group.is_none()
            && MapView::new(self.otlp).all(|entry| is_placing_key(entry.key))
    }

    /// Whether one of our filters emitted the record at this position or later.
    #[inline]
    #[must_use]
    pub fn is_past(&self, filter: Position) -> bool {
        self.position.is_some_and(|position| filter.leaves_alone(position))
    }

    /// The key under which a log's body stands, unless the body is the record itself.
    #[inline]
    #[must_use]
    pub fn body_key(&self) -> &'a [u8] {
        self.given_body_key.unwrap_or(b"log")
    }

    /// Takes resource and scope from the group that the record came in, where it still stands in
    /// it: processors change the group alone. Filters drop the marks of groups, so that the group
    /// around a record may also be another one.
    #[inline]
    pub(super) fn take_from(&mut self, group: Option<Group<'a>>) {
        let Some(group) = group else { return };
        if self.version.is_none() && self.given_body_key.is_none() {
            // A record in the host's own layout does not say it itself.
            let key = MapView::new(group.metadata).get(keys::BODY_KEY);
            self.given_body_key = key.and_then(|key| Reader::new(key).str().ok());
        }
        let Some(id) = self.scope_id else { return };
        if MapView::new(group.metadata).get(keys::SCOPE_ID).and_then(whole_number) != Some(id) {
            return;
        }
        let body = MapView::new(group.body);
        let now = |key: &[u8], own: Option<&'a [u8]>| {
            let map = body.get(key).unwrap_or(EMPTY_MAP);
            // A group says that there is none by an empty map.
            if own.is_none() && MapView::new(map).next().is_none() { None } else { Some(map) }
        };
        (self.resource, self.scope) =
            (now(keys::RESOURCE, self.resource), now(keys::SCOPE, self.scope));
    }

    /// Notes what one pair of the `otlp` map says.
    #[inline]
    pub(super) fn see(&mut self, key: &[u8], value: &'a [u8]) {
        match key {
            keys::SIGNAL => self.signal = Reader::new(value).str().ok().and_then(signal_of),
            keys::RESOURCE => self.resource = Some(value),
            keys::SCOPE => self.scope = Some(value),
            keys::FROM => self.position = position_of(value),
            keys::CONTENT => {
                self.content = text_of(value).and_then(ContentHint::named);
            }
            keys::ENVELOPE => self.envelope = envelope_of(value),
            keys::SCOPE_ID => self.scope_id = whole_number(value),
            keys::VERSION => self.version = whole_number(value),
            keys::RAW_VALUES => self.raw_values = value,
            keys::BODY_KEY => self.given_body_key = Reader::new(value).str().ok(),
            keys::BODY => self.body_form = Reader::new(value).str().unwrap_or_default(),
            _ => {}
        }
    }
}

/// A number as filters leave it: Lua turns integers into floats.
fn whole_number(encoded: &[u8]) -> Option<u64> {
    match Reader::new(encoded).token().ok()? {
        Token::Uint(value) => Some(value),
        Token::Int(value) => u64::try_from(value).ok(),
        Token::Float(value) => integer(value),
        _ => None,
    }
}

fn signal_of(item: &[u8]) -> Option<Signal> {
    Signal::WITH_PROFILES.into_iter().find(|signal| signal.item().as_bytes() == item)
}

fn position_of(encoded: &[u8]) -> Option<Position> {
    let mut parts = elements(encoded);
    let run = parts.next().and_then(whole_number)?;
    let after = parts.next().and_then(whole_number)?;
    Some(Position { run, after: u32::try_from(after).ok()? })
}

fn envelope_of(encoded: &[u8]) -> [u64; 2] {
    let mut parts = elements(encoded);
    [(); 2].map(|()| parts.next().and_then(whole_number).unwrap_or_default())
}

/// Reads the `otlp` map that `encoded` starts with. `common` are the common pairs of the record
/// before it, of which `known` says what they mean.
pub(super) fn read_otlp<'a>(
    encoded: &'a [u8],
    known: &Telemetry<'a>,
    common: &[u8],
) -> Result<(Telemetry<'a>, &'a [u8]), ReadError> {
    let mut telemetry = Telemetry::default();
    let mut reader = Reader::new(encoded);
    let pairs = reader.map()?;
    // Whether a shared pair stands apart from the others, as filters may leave it.
    let mut stray = false;
    let mut index = 0;
    while index < pairs {
        let at = encoded.len().saturating_sub(reader.rest().len());
        if !stray
            && known.common.pairs <= pairs - index
            && !common.is_empty()
            && let Some(rest) = reader.rest().strip_prefix(common)
        {
            let Telemetry { version, signal, resource, scope, envelope, scope_id, .. } = *known;
            let given_body_key = known.given_body_key;
            telemetry = Telemetry {
                version,
                signal,
                resource,
                scope,
                envelope,
                scope_id,
                given_body_key,
                ..telemetry
            };
            let pairs = known.common.pairs;
            telemetry.common = CommonPairs { at, length: common.len(), before: index, pairs };
            reader = Reader::new(rest);
            index += pairs;
            continue;
        }
        let key = reader.token()?;
        skip_rest(&mut reader, key)?;
        let value = reader.skip()?;
        if let Token::Str(key) = key {
            telemetry.see(key, value);
            let end = encoded.len().saturating_sub(reader.rest().len());
            stray |= !extend(&mut telemetry.common, key, index, at, end);
        }
        index += 1;
    }
    if stray {
        telemetry.common = CommonPairs::default();
    }
    telemetry.otlp = before(encoded, reader.rest());
    Ok((telemetry, reader.rest()))
}

/// Makes a shared pair part of the common ones, which begin with the version. Returns whether the
/// pair is not shared or is one of them now.
#[inline]
fn extend(common: &mut CommonPairs, key: &[u8], index: u32, at: usize, end: usize) -> bool {
    if !is_shared(key) {
        return true;
    }
    if common.pairs == 0 && key == keys::VERSION {
        *common = CommonPairs { at, length: end - at, before: index, pairs: 1 };
        return true;
    }
    let next = common.pairs > 0 && index == common.before + common.pairs;
    if next {
        common.length = end - common.at;
        common.pairs += 1;
    }
    next
}
