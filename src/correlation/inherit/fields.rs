//! Inherited fields: which attributes of a span hold for others of its trace.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::codec::msgpack::{MapView, Reader, Token};
use crate::codec::records::AttributeVisitor;
use crate::codec::records::edit::Pairs;
use crate::codec::records::layout::keys;
use crate::model::listed_enum;

listed_enum! {
    /// A kind of attributes that items inherit.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum InheritedKind {
        /// Whose the request is.
        Tenant,
        /// Who made it.
        User,
        /// The session that it is part of.
        Session,
        /// The conversation that it is part of.
        Conversation,
        /// The prompt that a model is given: its name and version.
        Prompt,
    }
}

impl InheritedKind {
    /// The word for it in options and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::Session => "session",
            Self::Conversation => "conversation",
            Self::Prompt => "prompt",
        }
    }

    /// Its index in [`InheritedKind::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its keys. Those of one list belong together and are inherited together; the first says what
    /// the others are about.
    const fn groups(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Tenant => &[],
            Self::User => &[&["user.id"], &["user.hash"], &["enduser.id"], &["enduser.pseudo.id"]],
            Self::Session => &[&["session.id"]],
            Self::Conversation => &[&["gen_ai.conversation.id"]],
            Self::Prompt => &[&["gen_ai.prompt.name", "gen_ai.prompt.version"]],
        }
    }

    /// Whether what one span says holds for the whole trace, if no other says something else. A
    /// prompt is that of one call, and holds for what is below it only.
    const fn is_of_trace(self) -> bool {
        !matches!(self, Self::Prompt)
    }
}

/// The most groups of keys: those above, and eight keys of tenants.
const MAX_GROUPS: usize = 16;
/// The most keys of a group.
const MAX_KEYS: usize = 2;
/// Longer values are not inherited.
pub(super) const LONGEST_VALUE: usize = 1024;

/// Keys that are inherited together.
#[derive(Debug)]
struct FieldGroup {
    kind: InheritedKind,
    keys: Vec<Box<str>>,
}

/// The number of a group of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupNumber(u8);

impl GroupNumber {
    /// A set of this group alone.
    pub(super) const fn bit(self) -> u16 {
        1 << self.0
    }

    fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Which attributes are inherited.
#[derive(Debug)]
pub struct InheritedFields {
    groups: Vec<FieldGroup>,
    by_key: HashMap<Box<[u8]>, (GroupNumber, usize), RandomState>,
    /// The lengths that keys have, each a bit; that of 63 stands for longer ones too.
    lengths: u64,
}

/// What one item says of the groups: encoded values, of which those that it does not have are empty.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said<'a> {
    values: [[&'a [u8]; MAX_KEYS]; MAX_GROUPS],
    any: bool,
}

/// A statement of an item that others may inherit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// These pairs.
    Pairs(Pairs),
    /// Nothing of use: it is missing, empty, masked or no scalar.
    Nothing,
    /// It is too long.
    TooLong,
}

impl InheritedFields {
    /// The most keys of tenants.
    pub const MAX_TENANT_KEYS: usize = 8;

    /// Those of these kinds; `tenant_keys` are the keys of the tenant.
    #[must_use]
    pub fn new(kinds: &[InheritedKind], tenant_keys: &[String]) -> Self {
        let mut fields = Self { groups: Vec::new(), by_key: HashMap::default(), lengths: 0 };
        for kind in InheritedKind::ALL.into_iter().filter(|kind| kinds.contains(kind)) {
            for keys in kind.groups() {
                fields.add(kind, keys);
            }
            if kind == InheritedKind::Tenant {
                for key in tenant_keys.iter().take(Self::MAX_TENANT_KEYS) {
                    fields.add(kind, &[key.as_str()]);
                }
            }
        }
        fields
    }

    fn add(&mut self, kind: InheritedKind, keys: &[&str]) {
        let Ok(number) = u8::try_from(self.groups.len()) else { return };
        for (place, key) in keys.iter().enumerate() {
            self.lengths |= length_bit(key.len());
            self.by_key.insert(key.as_bytes().into(), (GroupNumber(number), place));
        }
        self.groups.push(FieldGroup { kind, keys: keys.iter().map(|key| (*key).into()).collect() });
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = GroupNumber> + use<> {
        (0..u8::try_from(self.groups.len()).unwrap_or(0)).map(GroupNumber)
    }

    /// The kind that a group is of.
    pub(super) fn kind(&self, group: GroupNumber) -> InheritedKind {
        self.groups.get(group.index()).map_or(InheritedKind::Tenant, |group| group.kind)
    }

    /// Whether what one span says of a group may hold for the whole trace.
    pub(super) fn is_of_trace(&self, group: GroupNumber) -> bool {
        self.kind(group).is_of_trace()
    }

    #[inline]
    fn place_of(&self, key: &[u8]) -> Option<(GroupNumber, usize)> {
        if self.lengths & length_bit(key.len()) == 0 {
            return None;
        }
        self.by_key.get(key).copied()
    }
}

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

impl<'a> Said<'a> {
    /// Notes an attribute, if it is one of the fields. What was noted first stays.
    #[inline]
    pub(super) fn note(&mut self, fields: &InheritedFields, key: &[u8], value: &'a [u8]) {
        let Some((group, place)) = fields.place_of(key) else { return };
        let slot = self.values.get_mut(group.index()).and_then(|group| group.get_mut(place));
        if let Some(slot) = slot.filter(|slot| slot.is_empty()) {
            *slot = value;
            self.any = true;
        }
    }

    /// Notes the attributes of a map.
    pub(super) fn note_map(&mut self, fields: &InheritedFields, map: &'a [u8]) {
        for entry in MapView::new(map) {
            self.note(fields, entry.key, entry.value);
        }
    }

    /// What a resource says.
    pub(super) fn of_resource(fields: &InheritedFields, resource: Option<&'a [u8]>) -> Self {
        let mut said = Self::default();
        if let Some(attributes) = resource.and_then(|map| MapView::new(map).get(keys::ATTRIBUTES)) {
            said.note_map(fields, attributes);
        }
        said
    }

    /// Adds what the item does not say itself, but its resource does. The tenant is that of the resource,
    /// which an input sets by who sent it, and not what a client writes into a span.
    pub(super) fn fill(&mut self, fields: &InheritedFields, resource: &Self) {
        if !resource.any {
            return;
        }
        self.any = true;
        for group in fields.groups().filter(|group| resource.says(*group)) {
            let goes_before = fields.kind(group) == InheritedKind::Tenant;
            if (goes_before || !self.says(group))
                && let Some(own) = self.values.get_mut(group.index())
                && let Some(of_resource) = resource.values.get(group.index())
            {
                *own = *of_resource;
            }
        }
    }

    pub(super) fn clear(&mut self) {
        if self.any {
            *self = Self::default();
        }
    }

    /// Whether it says anything of a group.
    pub(super) fn says(&self, group: GroupNumber) -> bool {
        self.any
            && self
                .values
                .get(group.index())
                .is_some_and(|values| values.iter().any(|value| !value.is_empty()))
    }

    /// What it says of a group.
    pub(super) fn statement(&self, fields: &InheritedFields, group: GroupNumber) -> Statement {
        let mut pairs = Pairs::new();
        let values = self.values.get(group.index()).into_iter().flatten();
        let keys = fields.groups.get(group.index()).into_iter().flat_map(|group| &group.keys);
        for (place, (key, value)) in keys.zip(values).enumerate() {
            if value.len() > LONGEST_VALUE {
                return Statement::TooLong;
            }
            if is_inheritable(value) {
                pairs.push(&**key, value);
            } else if place == 0 {
                return Statement::Nothing;
            }
        }
        if pairs.is_empty() { Statement::Nothing } else { Statement::Pairs(pairs) }
    }
}

/// Whether a value tells something: a text or a whole number, and not what redaction left of a text.
fn is_inheritable(value: &[u8]) -> bool {
    match Reader::new(value).token() {
        Ok(Token::Str(text)) => !text.trim_ascii().is_empty() && !is_mask(text),
        Ok(Token::Uint(_) | Token::Int(_)) => true,
        _ => false,
    }
}

/// Whether all of a text is one mask. A hash, which has a colon, still tells one from the other.
fn is_mask(text: &[u8]) -> bool {
    let inside = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]"));
    inside.is_some_and(|inside| !inside.contains(&b':') && !inside.contains(&b'['))
}

/// Collects what an item says while it is read.
pub(super) struct FieldVisitor<'f, 'a> {
    pub(super) fields: &'f InheritedFields,
    pub(super) said: Said<'a>,
}

impl<'a> AttributeVisitor<'a> for FieldVisitor<'_, 'a> {
    #[inline]
    fn attribute(&mut self, key: &'a [u8], value: &'a [u8]) {
        self.said.note(self.fields, key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{str, uint};

    fn text(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        str(&mut out, text);
        out
    }

    #[test]
    fn what_a_prompt_is_about_goes_with_its_version() {
        let fields = InheritedFields::new(&[InheritedKind::Prompt], &[]);
        let [group] = fields.groups().collect::<Vec<_>>()[..] else { panic!("one") };
        let (name, version) = (text("greeting"), text("3"));
        let mut said = Said::default();
        said.note(&fields, b"gen_ai.prompt.version", &version);
        assert!(said.says(group));
        assert_eq!(said.statement(&fields, group), Statement::Nothing, "of which prompt?");
        said.note(&fields, b"gen_ai.prompt.name", &name);
        let mut pairs = Pairs::new();
        pairs.text("gen_ai.prompt.name", "greeting");
        pairs.text("gen_ai.prompt.version", "3");
        assert_eq!(said.statement(&fields, group), Statement::Pairs(pairs));
        said.clear();
        assert!(!said.says(group));
    }

    #[test]
    fn values_that_tell_nothing_are_not_inherited() {
        let fields = InheritedFields::new(&InheritedKind::ALL, &["tenant.id".to_owned()]);
        let mut number = Vec::new();
        uint(&mut number, 7);
        for (value, expected) in [
            (text("u-1"), true),
            (text("[email:0123456789abcdef]"), true),
            (number, true),
            (text(" "), false),
            (text("[email]"), false),
            (vec![0xc0], false),
            (vec![0x90], false),
        ] {
            let mut said = Said::default();
            said.note(&fields, b"user.id", &value);
            let group = fields.groups().find(|group| said.says(*group)).unwrap();
            assert_eq!(fields.kind(group), InheritedKind::User);
            let found = matches!(said.statement(&fields, group), Statement::Pairs(_));
            assert_eq!(found, expected, "{value:?}");
        }
        let long = text(&"x".repeat(2000));
        let mut said = Said::default();
        said.note(&fields, b"tenant.id", &long);
        let group = fields.groups().find(|group| said.says(*group)).unwrap();
        assert_eq!(said.statement(&fields, group), Statement::TooLong);
    }

    #[test]
    fn all_keys_have_a_place_and_no_others() {
        let tenants: Vec<String> = (0..20).map(|number| format!("tenant.{number}")).collect();
        let fields = InheritedFields::new(&InheritedKind::ALL, &tenants);
        assert!(fields.groups.len() <= MAX_GROUPS);
        for kind in InheritedKind::ALL {
            assert!(fields.groups().any(|group| fields.kind(group) == kind), "{kind:?}");
            for keys in kind.groups() {
                assert!(keys.len() <= MAX_KEYS);
                assert!(keys.iter().all(|key| fields.place_of(key.as_bytes()).is_some()));
            }
        }
        assert!(fields.place_of(b"tenant.7").is_some() && fields.place_of(b"tenant.8").is_none());
        assert!(fields.place_of(b"user.name").is_none() && fields.place_of(b"").is_none());
    }
}
