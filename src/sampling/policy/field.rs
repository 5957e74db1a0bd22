//! Fields of spans that rules and keys name, and their values.

use crate::codec::msgpack::{MapView, Reader, Token, elements};
use crate::codec::records::layout::keys;
use crate::codec::records::{Event, SpanView, StatusCode, Telemetry};

/// An encoded empty map.
const EMPTY: &[u8] = &[0x80];
/// How deep lists and maps in a value are written.
const MAX_DEPTH: usize = 8;

/// The parts of one span of a trace.
#[derive(Debug, Clone, Copy)]
pub struct SpanParts<'a> {
    span: SpanView<'a>,
    /// The encoded map of the resource's attributes.
    resource: &'a [u8],
    /// The encoded map of the scope.
    scope: &'a [u8],
}

impl<'a> SpanParts<'a> {
    /// The parts of a span with what its event's metadata says.
    #[must_use]
    pub fn new(span: SpanView<'a>, telemetry: Option<&Telemetry<'a>>) -> Self {
        let of_resource = telemetry.and_then(|telemetry| telemetry.resource).unwrap_or(EMPTY);
        let resource = MapView::new(of_resource).get(keys::ATTRIBUTES).unwrap_or(EMPTY);
        let scope = telemetry.and_then(|telemetry| telemetry.scope).unwrap_or(EMPTY);
        Self { span, resource, scope }
    }

    /// The parts of the span in an event.
    #[must_use]
    pub fn of_event(event: &Event<'a>) -> Self {
        Self::new(SpanView::new(event.body), event.telemetry().as_ref())
    }

    /// Whether the span has no parent.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.span.parent_span_id.is_empty()
    }

    fn of_scope(&self, key: &[u8]) -> Option<&'a [u8]> {
        MapView::new(self.scope).get(key)
    }

    fn duration_ms(&self) -> f64 {
        let (start, end) = (self.span.start_unix_nanos(), self.span.end_unix_nanos());
        end.saturating_sub(start) as f64 / 1e6
    }
}

/// A value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FieldValue<'a> {
    /// Nothing, where the attribute is there.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(&'a [u8]),
    /// What is encoded so: bytes, a list or a map.
    Other(&'a [u8]),
}

impl<'a> FieldValue<'a> {
    /// The value that is encoded so.
    #[must_use]
    pub fn of(encoded: &'a [u8]) -> Self {
        match Reader::new(encoded).token() {
            Ok(Token::Nil) => Self::Nil,
            Ok(Token::Bool(value)) => Self::Bool(value),
            Ok(Token::Uint(value)) => {
                i64::try_from(value).map_or(Self::Float(value as f64), Self::Int)
            }
            Ok(Token::Int(value)) => Self::Int(value),
            Ok(Token::Float(value)) => Self::Float(value),
            Ok(Token::Str(text)) => Self::Text(text),
            _ => Self::Other(encoded),
        }
    }

    /// Appends the value as text: numbers in decimal, nothing as `<nil>`, lists and maps as Go's `%v`
    /// writes them, maps in the order in which they came.
    pub fn write(self, out: &mut Vec<u8>) {
        self.write_at(out, 0);
    }

    fn write_at(self, out: &mut Vec<u8>, depth: usize) {
        match self {
            Self::Nil => out.extend_from_slice(b"<nil>"),
            Self::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Self::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Self::Float(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Self::Text(text) => out.extend_from_slice(text),
            Self::Other(_) if depth >= MAX_DEPTH => {}
            Self::Other(encoded) => match Reader::new(encoded).token() {
                Ok(Token::Array(_)) => {
                    out.push(b'[');
                    for (index, element) in elements(encoded).enumerate() {
                        if index > 0 {
                            out.push(b' ');
                        }
                        FieldValue::of(element).write_at(out, depth + 1);
                    }
                    out.push(b']');
                }
                Ok(Token::Map(_)) => {
                    out.extend_from_slice(b"map[");
                    for (index, entry) in MapView::new(encoded).enumerate() {
                        if index > 0 {
                            out.push(b' ');
                        }
                        out.extend_from_slice(entry.key);
                        out.push(b':');
                        FieldValue::of(entry.value).write_at(out, depth + 1);
                    }
                    out.push(b']');
                }
                Ok(Token::Bin(bytes) | Token::Ext(_, bytes)) => out.extend_from_slice(bytes),
                _ => {}
            },
        }
    }
}

/// Where an attribute is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the span, then in the resource, then in the scope: the first counts.
    First,
    /// In all of them.
    All,
    Resource,
    Scope,
    Span,
}

/// What a field is of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Attribute(Place),
    Name,
    Kind,
    StatusCode,
    StatusMessage,
    Error,
    DurationMs,
    ParentId,
    ScopeName,
    ScopeVersion,
}

/// Fields that are no attributes, by the names under which Refinery has them.
const PARTS: [(&str, Part); 10] = [
    ("name", Part::Name),
    ("span.kind", Part::Kind),
    ("type", Part::Kind),
    ("status_code", Part::StatusCode),
    ("status_message", Part::StatusMessage),
    ("error", Part::Error),
    ("duration_ms", Part::DurationMs),
    ("trace.parent_id", Part::ParentId),
    ("library.name", Part::ScopeName),
    ("library.version", Part::ScopeVersion),
];
/// The scopes of selectors such as `span.attributes["k"]`.
const SCOPES: [(&str, bool, Place); 5] = [
    ("resource", false, Place::Resource),
    ("scope", false, Place::Scope),
    ("span", false, Place::Span),
    ("root", true, Place::Span),
    ("any", false, Place::All),
];

/// A field of a span, or of a trace's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    text: String,
    of_root: bool,
    part: Part,
    key: String,
}

impl Field {
    /// Reads a field: the name of an attribute or of a part of a span as Refinery has it, `root.` before it
    /// for the root's, or a selector such as `resource.attributes["k"]`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some((scope, key)) = text.split_once(".attributes[") {
            let key =
                key.strip_suffix(']').and_then(|key| key.strip_prefix('"')?.strip_suffix('"'));
            let scope = SCOPES.iter().find(|(name, ..)| *name == scope);
            let Some(((_, of_root, place), key)) = scope.zip(key.filter(|key| !key.is_empty()))
            else {
                return Err(
                    "allowed: resource, scope, span, root or any, and .attributes[\"KEY\"]",
                );
            };
            let (part, key) = (Part::Attribute(*place), key.to_owned());
            return Ok(Self { text: text.to_owned(), of_root: *of_root, part, key });
        }
        let (of_root, name) = text.strip_prefix("root.").map_or((false, text), |rest| (true, rest));
        if name.is_empty() || name.starts_with("?.") {
            return Err("allowed: the name of an attribute or of a part of a span");
        }
        if name.starts_with("meta.") || ["trace.trace_id", "trace.span_id"].contains(&name) {
            return Err("it is not supported: spans have no such field here");
        }
        let part = PARTS.iter().find(|(known, _)| *known == name);
        let part = part.map_or(Part::Attribute(Place::First), |(_, part)| part.clone());
        Ok(Self { text: text.to_owned(), of_root, part, key: name.to_owned() })
    }

    /// The field as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is one of the root alone.
    #[must_use]
    pub const fn is_of_root(&self) -> bool {
        self.of_root
    }

    /// The first value that a span has of it.
    #[must_use]
    pub fn value<'a>(&self, span: &SpanParts<'a>) -> Option<FieldValue<'a>> {
        let mut first = None;
        self.values(span, &mut |value| first = first.or(Some(value)));
        first
    }

    /// Shows all values that a span has of it.
    pub fn values<'a>(&self, span: &SpanParts<'a>, show: &mut dyn FnMut(FieldValue<'a>)) {
        let encoded = |part: &'a [u8]| (!part.is_empty()).then(|| FieldValue::of(part));
        let status = |key| MapView::new(span.span.status).get(key).and_then(encoded);
        let value = match self.part {
            Part::Attribute(place) => return self.attributes(span, place, show),
            Part::Name => encoded(span.span.name),
            Part::Kind => encoded(span.span.kind).or(Some(FieldValue::Text(b"unspecified"))),
            Part::StatusCode => Some(FieldValue::Int(match span.span.status_code() {
                StatusCode::Unset => 0,
                StatusCode::Ok => 1,
                StatusCode::Error => 2,
            })),
            Part::StatusMessage => status(keys::STATUS_MESSAGE),
            Part::Error => (span.span.status_code() == StatusCode::Error)
                .then_some(FieldValue::Bool(true))
                .or_else(|| self.first(span)),
            Part::DurationMs => Some(FieldValue::Float(span.duration_ms())),
            Part::ParentId => encoded(span.span.parent_span_id),
            Part::ScopeName => span.of_scope(b"name").and_then(encoded),
            Part::ScopeVersion => span.of_scope(b"version").and_then(encoded),
        };
        value.into_iter().for_each(show);
    }

    fn first<'a>(&self, span: &SpanParts<'a>) -> Option<FieldValue<'a>> {
        let mut first = None;
        self.attributes(span, Place::First, &mut |value| first = first.or(Some(value)));
        first
    }

    fn attributes<'a>(
        &self,
        span: &SpanParts<'a>,
        place: Place,
        show: &mut dyn FnMut(FieldValue<'a>),
    ) {
        let of_scope = || span.of_scope(keys::ATTRIBUTES).unwrap_or(EMPTY);
        let get = |map: &'a [u8]| MapView::new(map).get(self.key.as_bytes()).map(FieldValue::of);
        match place {
            Place::Span => get(span.span.attributes).into_iter().for_each(show),
            Place::Resource => get(span.resource).into_iter().for_each(show),
            Place::Scope => get(of_scope()).into_iter().for_each(show),
            Place::First => {
                let first = get(span.span.attributes).or_else(|| get(span.resource));
                first.or_else(|| get(of_scope())).into_iter().for_each(show);
            }
            Place::All => {
                let all = [span.span.attributes, span.resource, of_scope()];
                all.into_iter().filter_map(get).for_each(show);
            }
        }
    }

    /// The value inside of maps that the parts of the name, between dots, lead to.
    #[must_use]
    pub fn nested<'a>(&self, span: &SpanParts<'a>) -> Option<FieldValue<'a>> {
        let mut map = None;
        for key in self.key.split('.') {
            let of_span = || span.span.attributes;
            map = Some(MapView::new(map.unwrap_or_else(of_span)).get(key.as_bytes())?);
        }
        map.map(FieldValue::of)
    }
}
