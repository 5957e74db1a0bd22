//! Collecting parameter: what a span's attributes say together.

use super::convert::{convert, has_wrong_type, text_bytes};
use super::field::{Conventions, GenAiField};
use super::indexed_keys::IndexedKeys;
use super::messages::{Messages, Remainder};
use super::scratch::{Deferred, Sayings, Scratch, Slot};
use super::seen::{OwnAttribute, SeenAttributes};
use super::{address, json, messages, parts, tool_definitions, values};
use crate::codec::msgpack::{self, Entry, Reader, Token, elements, text_of};
use crate::genai::dialect::{Dialect, ListForm, RuleAction, SpanPart};
use crate::genai::dialects::DialectSet;
use crate::genai::dialects::added::AddedDialects;
use crate::genai::dialects::merge::KeyMeaning;
use crate::genai::json_value::{Arena, Json};

/// Ranks of what is worked out from more than one attribute; names of the dialects rank between.
pub(super) const FIRST: u16 = 0;
pub(super) const LAST: u16 = u16::MAX;

/// The text of an encoded text value.
pub(super) fn text(value: &[u8]) -> Option<&[u8]> {
    match Reader::new(value).token() {
        Ok(Token::Str(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// The encoded word that stands for another one in a table; `None` where it is not there.
pub(super) fn translated(value: &[u8], words: &[(&str, &str)]) -> Option<Vec<u8>> {
    let said = text_of(value)?;
    let (_, current) = words.iter().find(|(word, _)| *word == said)?;
    let mut out = Vec::new();
    msgpack::str(&mut out, current);
    Some(out)
}

/// What was read of one span.
pub(super) struct Collected<'a, 'j> {
    /// Where JSON is read.
    pub(super) arena: &'j Arena,
    pub(super) conventions: Conventions,
    /// The dialects beside the built-in ones.
    pub(super) added: AddedDialects,
    /// Fields that the span has under their current name.
    pub(super) own: u64,
    /// The attributes that these are.
    pub(super) own_attributes: Vec<OwnAttribute<'a>>,
    /// Fields of those whose value is to be another one.
    corrected: u64,
    /// Fields for which a value was found.
    pub(super) found: u64,
    pub(super) scratch: Box<Scratch>,
    /// The dialects that the keys showed.
    pub(super) spoken: DialectSet,
    pub(super) operation: Option<&'a str>,
    /// The dialects that named the kind.
    pub(super) named_by: DialectSet,
    /// Whether token counts are left to the calls beneath, so that what gave them stays.
    pub(super) dropped_usage: bool,
    /// Input tokens that are known to be those beside the cache.
    pub(super) beside_cache: Option<i64>,
    /// Whether the tokens of the cache were added to those of the input.
    pub(super) added_cache: bool,
    /// Whether the tokens of reasoning were added to those of the output.
    pub(super) added_reasoning: bool,
    /// The rank of the session that stays and is the conversation's id, too.
    pub(super) session: u16,
    /// In the order of the attributes until they are resolved, by rank from then on.
    pub(super) deferred: Vec<Deferred<'a>>,
    /// What these say.
    pub(super) sayings: Sayings,
    /// Lists by their index in [`AddedDialects::lists`].
    pub(super) indexed: Vec<(usize, IndexedKeys<'a>)>,
    /// Ranks of those that occur twice.
    pub(super) repeated: Vec<u16>,
}

impl<'a, 'j> Collected<'a, 'j> {
    /// Nothing read yet of what was seen.
    pub(super) fn new(
        seen: &mut SeenAttributes<'a>,
        arena: &'j Arena,
        added: AddedDialects,
        conventions: Conventions,
        mut scratch: Box<Scratch>,
    ) -> Self {
        scratch.clear();
        Self {
            arena,
            conventions,
            added,
            own: seen.detection.own,
            own_attributes: std::mem::take(&mut seen.own),
            corrected: 0,
            found: 0,
            scratch,
            spoken: seen.detection.dialects,
            operation: None,
            named_by: DialectSet::NONE,
            dropped_usage: false,
            beside_cache: None,
            added_cache: false,
            added_reasoning: false,
            session: FIRST,
            deferred: std::mem::take(&mut seen.deferred),
            sayings: Sayings::default(),
            indexed: Vec::new(),
            repeated: Vec::new(),
        }
    }

    /// Gives all memory back that is used again.
    #[inline(always)]
    pub(super) fn finish(mut self, seen: &mut SeenAttributes<'a>) -> Box<Scratch> {
        self.deferred.clear();
        (seen.own, seen.deferred) = (self.own_attributes, self.deferred);
        self.scratch
    }

    /// The dialects that the span speaks, with their indices.
    pub(super) fn dialects(&self) -> impl Iterator<Item = (usize, &'static Dialect)> + use<> {
        self.spoken.dialects(self.added.dialects())
    }

    /// Looks at the fields that are there already. These are not overwritten, but get the right type, if any
    /// has a wrong one, and the values of the conventions.
    pub(super) fn check_own(&mut self, wrong_type: bool) {
        // What most have nothing else to check of.
        if !wrong_type {
            if let Some(value) = self.own_value(GenAiField::OperationName) {
                self.check_operation(value);
            }
            return;
        }
        let mut checked = 0;
        for at in 0..self.own_attributes.len() {
            let Some(OwnAttribute { field, value, .. }) = self.own_attributes.get(at).copied()
            else {
                continue;
            };
            // Of a key that occurs twice, the first one counts.
            if checked & field.bit() != 0 {
                continue;
            }
            checked |= field.bit();
            if field == GenAiField::OperationName {
                self.check_operation(value);
            } else if has_wrong_type(field.shape(), value) {
                let arena = self.arena;
                self.correct(field, |out| {
                    let start = out.len();
                    convert(arena, field, value, out) && out.get(start..) != Some(value)
                });
            }
        }
    }

    fn check_operation(&mut self, value: &'a [u8]) {
        // What most have is known at once.
        self.operation = values::current_operation(text_bytes(value));
        if self.operation.is_some() {
            return;
        }
        let own = self.dialects().flat_map(|(_, dialect)| dialect.operations);
        let said = text_of(value);
        self.operation = said.map(|said| values::operation(said, own));
        if self.operation != said {
            let operation = self.operation.unwrap_or_default();
            self.correct(GenAiField::OperationName, |out| {
                msgpack::str(out, operation);
                true
            });
        }
    }

    /// Takes what `write` appends in the place of a field's own value.
    pub(super) fn correct(
        &mut self,
        field: GenAiField,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> bool {
        let Scratch { made: values, slots, .. } = &mut *self.scratch;
        let start = values.len();
        let made = write(values);
        if made && let Some(slot) = slots.get_mut(field.index()) {
            *slot = Slot { rank: FIRST, start, end: values.len() };
            self.found |= field.bit();
            self.corrected |= field.bit();
        }
        made
    }

    /// Whether a field's own value is replaced.
    pub(super) fn corrects(&self, field: GenAiField) -> bool {
        self.corrected & field.bit() != 0
    }

    /// Whether any field's own value is replaced.
    pub(super) fn corrects_own(&self) -> bool {
        self.corrected != 0
    }

    /// Reads one attribute of a dialect; to be called after [`Collected::check_own`].
    #[inline(always)]
    pub(super) fn read(&mut self, meaning: &'static KeyMeaning, entry: Entry<'a>) {
        let (rank, value) = (meaning.rank, entry.value);
        if meaning.is_common && !self.spoken.meets(meaning.speakers) {
            return;
        }
        match meaning.action {
            RuleAction::Own(_) | RuleAction::Total | RuleAction::Sign => {}
            RuleAction::To(field) => {
                self.note_seen(rank);
                self.offer(field, rank, value);
                if meaning.is_session {
                    self.session = rank;
                }
            }
            _ => self.read_closer(meaning, entry),
        }
    }

    /// Reads an attribute that is more than the value of a field.
    fn read_closer(&mut self, meaning: &'static KeyMeaning, entry: Entry<'a>) {
        let (rank, value) = (meaning.rank, entry.value);
        match meaning.action {
            RuleAction::Own(_) | RuleAction::Total | RuleAction::Sign | RuleAction::To(_) => {}
            RuleAction::Quoted(field) => self.quoted(field, rank, value),
            RuleAction::Millis(field) => self.millis(field, rank, value),
            RuleAction::Words(field, words) => {
                let translated = translated(value, words);
                self.offer(field, rank, translated.as_deref().unwrap_or(value));
            }
            RuleAction::ToolTexts => self.tool_texts(rank, value),
            RuleAction::ToolNames => self.tool_names(rank, value),
            RuleAction::Replies => self.replies(rank, value),
            RuleAction::Kind | RuleAction::Event => {
                if let Some(said) = text_of(value) {
                    self.defer(meaning, value, address::kind(said));
                }
            }
            RuleAction::Model
            | RuleAction::Part(_)
            | RuleAction::Answer(_)
            | RuleAction::Parameters
            | RuleAction::ApiBase
            | RuleAction::ApiBaseWithin => self.defer(meaning, value, &[]),
            RuleAction::MediaType(_) => {
                // Of a key that occurs twice, the last one.
                self.deferred.retain(|known| known.meaning.rank != rank);
                self.defer(meaning, value, &[]);
            }
            RuleAction::Details(names) => self.details(value, rank, names),
            RuleAction::AnthropicUsage(path) => self.anthropic_usage(path, rank, value),
            RuleAction::Prompts => self.prompts(value, rank),
            RuleAction::Messages(field, role) => self.json_messages(field, role, rank, value),
            RuleAction::List(index) => self.list(index, entry),
        }
    }

    /// Of a key that occurs twice, the first one counts.
    fn defer(&mut self, meaning: &'static KeyMeaning, value: &'a [u8], kind: &'a [u8]) {
        if self.deferred.iter().all(|known| known.meaning.rank != meaning.rank) {
            self.sayings.add(meaning.action);
            self.deferred.push(Deferred { meaning, value, kind });
        }
    }

    /// The attribute that ranks first among those deferred that say this; of one dialect, or of any.
    pub(super) fn deferred(
        &self,
        is_it: impl Fn(RuleAction) -> bool,
        dialect: Option<usize>,
    ) -> Option<Deferred<'a>> {
        let is_of = |known: &KeyMeaning| dialect.is_none_or(|dialect| known.speakers.has(dialect));
        let mut all = self.deferred.iter();
        all.find(|known| is_it(known.meaning.action) && is_of(known.meaning)).copied()
    }

    /// The media type of a part.
    pub(super) fn media_type(&self, part: SpanPart, dialect: usize) -> Option<&'a [u8]> {
        let is_it = |action| matches!(action, RuleAction::MediaType(of) if of == part);
        text(self.deferred(is_it, Some(dialect))?.value)
    }

    fn list(&mut self, index: usize, entry: Entry<'a>) {
        let Some(list) = self.added.lists().get(index).map(|known| known.list) else { return };
        let has_own = self.own & list.field.bit() != 0;
        if has_own && !matches!(list.form, ListForm::Completions(..)) {
            return;
        }
        let Some(path) = entry.key.strip_prefix(list.prefix.as_bytes()) else { return };
        if let Some((_, keys)) = self.indexed.iter_mut().find(|(known, _)| *known == index) {
            keys.insert(path, entry.value);
            return;
        }
        let mut keys = IndexedKeys::default();
        keys.insert(path, entry.value);
        self.indexed.push((index, keys));
    }

    /// Whether a value of this rank would be taken.
    pub(super) fn wants(&self, field: GenAiField, rank: u16) -> bool {
        let field = field.within(self.conventions);
        let known = self.scratch.slots.get(field.index()).map_or(FIRST, |slot| slot.rank);
        self.own & field.bit() == 0 && (self.found & field.bit() == 0 || rank < known)
    }

    /// Takes what `write` appends as the field's value, if it ranks before what is known.
    pub(super) fn make(
        &mut self,
        field: GenAiField,
        rank: u16,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> bool {
        if !self.wants(field, rank) {
            return false;
        }
        let field = field.within(self.conventions);
        let Scratch { made: values, slots, .. } = &mut *self.scratch;
        let start = values.len();
        let made = write(values);
        if made && let Some(slot) = slots.get_mut(field.index()) {
            *slot = Slot { rank, start, end: values.len() };
            self.found |= field.bit();
        }
        made
    }

    pub(super) fn offer(&mut self, field: GenAiField, rank: u16, value: &[u8]) {
        let arena = self.arena;
        self.make(field, rank, |out| convert(arena, field, value, out));
    }

    pub(super) fn offer_text(&mut self, field: GenAiField, rank: u16, text: Option<&str>) -> bool {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return false };
        self.make(field, rank, |out| {
            msgpack::str(out, text);
            true
        })
    }

    /// Takes a list as JSON text, unless it is empty.
    pub(super) fn offer_list(&mut self, field: GenAiField, rank: u16, list: &[Json<'_>]) -> bool {
        self.make(field, rank, |out| Json::append_list(list, out))
    }

    fn details(&mut self, value: &[u8], rank: u16, names: &[(&str, GenAiField)]) {
        let Some(json) = text(value) else { return };
        let arena = self.arena;
        let Some(object) = json::read_object(arena, json) else {
            return self.details_of_list(json, rank, names);
        };
        for (path, field) in names {
            if let Some(value) = json::member(object, path) {
                self.make(*field, rank, |out| json::append(arena, *field, value, out));
            }
        }
        if json::is_all_at(object, names) {
            self.mark_mapped(rank);
        }
    }

    fn quoted(&mut self, field: GenAiField, rank: u16, value: &[u8]) {
        let Some(json) = text(value).filter(|_| self.wants(field, rank)) else { return };
        let arena = self.arena;
        let Some(read) = json::read_value(arena, json) else {
            // Some write it plainly.
            self.offer(field, rank, value);
            return;
        };
        if self.make(field, rank, |out| json::append(arena, field, read, out)) {
            self.mark_mapped(rank);
        }
    }

    fn millis(&mut self, field: GenAiField, rank: u16, value: &[u8]) {
        let mut number = Vec::new();
        if !convert(self.arena, GenAiField::Temperature, value, &mut number) {
            return;
        }
        let Ok(Token::Float(millis)) = Reader::new(&number).token() else { return };
        let made = self.make(field, rank, |out| {
            msgpack::f64(out, millis / 1000.0);
            true
        });
        if made {
            self.mark_mapped(rank);
        }
    }

    fn replies(&mut self, rank: u16, value: &[u8]) {
        let arena = self.arena;
        let object = text(value).and_then(|text| json::read_object(arena, text));
        let Some(object) = object else { return };
        let first = object.get("replies").and_then(|replies| replies.as_list()?.first());
        let of_reply = first.and_then(|reply| reply.get("meta"));
        let Some(meta) = of_reply.or_else(|| object.get("meta")) else { return };
        let paths: [(&[&str], GenAiField); 6] = [
            (&["model"], GenAiField::ResponseModel),
            (&["finish_reason"], GenAiField::FinishReasons),
            (&["usage", "prompt_tokens"], GenAiField::InputTokens),
            (&["usage", "completion_tokens"], GenAiField::OutputTokens),
            (&["usage", "prompt_tokens_details", "cached_tokens"], GenAiField::CacheReadTokens),
            (
                &["usage", "completion_tokens_details", "reasoning_tokens"],
                GenAiField::ReasoningTokens,
            ),
        ];
        for (path, field) in paths {
            if let Some(value) = path.iter().try_fold(meta, |value, name| value.get(name)) {
                self.make(field, rank, |out| json::append(arena, field, value, out));
            }
        }
    }

    fn tool_texts(&mut self, rank: u16, value: &[u8]) {
        if !self.wants(GenAiField::ToolDefinitions, rank) {
            return;
        }
        let arena = self.arena;
        let mut tools = arena.building(0);
        for tool in elements(value) {
            let Some(tool) = text_of(tool).and_then(|tool| parts::parsed(arena, tool)) else {
                return;
            };
            tools.push(tool);
        }
        let tools = tool_definitions::definitions(arena, tools.into_bump_slice());
        if self.offer_list(GenAiField::ToolDefinitions, rank, tools) {
            self.mark_mapped(rank);
        }
    }

    fn tool_names(&mut self, rank: u16, value: &[u8]) {
        let names = text_of(value).unwrap_or_default().split(',').map(str::trim);
        let named = names.filter(|name| !name.is_empty());
        let arena = self.arena;
        let kind = ("type", Json::word("function"));
        let tools =
            arena.list(named.map(|name| Json::object(arena, [kind, ("name", Json::from(name))])));
        if self.offer_list(GenAiField::ToolDefinitions, rank, tools) {
            self.mark_mapped(rank);
        }
    }

    fn prompts(&mut self, value: &[u8], rank: u16) {
        if !self.wants(GenAiField::InputMessages, rank) {
            return;
        }
        let arena = self.arena;
        let given = Json::of_encoded(arena, value);
        let prompts = given.as_list().unwrap_or(std::slice::from_ref(&given));
        let texts = prompts.iter().filter_map(|prompt| prompt.as_text());
        let list = arena.list(texts.map(|text| messages::single(arena, "user", text)));
        self.offer_list(GenAiField::InputMessages, rank, list);
    }

    fn json_messages(&mut self, field: GenAiField, role: &str, rank: u16, value: &[u8]) {
        if self.wants(field, rank) {
            let arena = self.arena;
            let read = text_of(value).and_then(|text| messages::of_text(arena, text, role));
            self.offer_messages(field, (rank, rank), read);
        }
    }

    /// Takes messages of an attribute, and notes what stays of it. The ranks are those of the messages and of
    /// the attribute.
    pub(super) fn offer_messages<'m>(
        &mut self,
        field: GenAiField,
        (rank, attribute): (u16, u16),
        read: Option<(Messages<'m>, Remainder<'m>)>,
    ) where
        'j: 'm,
    {
        let Some((messages, rest)) = read else { return };
        if !self.make(field, rank, |out| messages.append(out)) {
            return;
        }
        let arena: &'m Arena = self.arena;
        match rest {
            Remainder::Nothing => self.mark_mapped(attribute),
            Remainder::Object(mut rest) => {
                tool_definitions::take_tools(arena, &mut rest, |tools| {
                    self.offer_list(GenAiField::ToolDefinitions, rank, tools)
                });
                match rest.is_empty() {
                    true => self.mark_mapped(attribute),
                    false => self.leave(attribute, Json::Object(rest)),
                }
            }
            Remainder::All => {}
        }
    }

    /// Notes what stays of the attribute with this rank.
    pub(super) fn leave(&mut self, rank: u16, rest: Json<'_>) {
        let Scratch { left, remainders, .. } = &mut *self.scratch;
        let start = left.len();
        rest.append(left);
        remainders.push(Slot { rank, start, end: left.len() });
    }

    /// Whether any attribute stays in part.
    pub(super) fn leaves_parts(&self) -> bool {
        !self.scratch.remainders.is_empty()
    }

    /// What stays of an attribute of which a part is said by fields, encoded.
    pub(super) fn left_of(&self, meaning: &KeyMeaning) -> Option<&[u8]> {
        let mut all = self.scratch.remainders.iter();
        let left = all.find(|slot| slot.rank == meaning.rank)?;
        self.scratch.left.get(left.start..left.end)
    }

    /// Notes that the attribute with this rank is wholly said by fields.
    pub(super) fn mark_mapped(&mut self, rank: u16) {
        self.scratch.mapped.note(rank);
    }

    /// The fields to add, as bits.
    pub(super) fn additions(&self) -> u64 {
        (self.found & !self.own) | self.corrected
    }

    /// A field's value, whether it was there or was found.
    pub(super) fn final_value(&self, field: GenAiField) -> Option<&[u8]> {
        let field = field.within(self.conventions);
        let value = if self.found & field.bit() != 0 {
            self.value(field)
        } else if self.own & field.bit() != 0 {
            self.own_value(field)?
        } else {
            return None;
        };
        Some(value).filter(|value| !value.is_empty())
    }

    /// The value of the first attribute that has a field's current name.
    fn own_value(&self, field: GenAiField) -> Option<&'a [u8]> {
        self.own_attributes.iter().find(|own| own.field == field).map(|own| own.value)
    }

    fn note_seen(&mut self, rank: u16) {
        if self.scratch.read.note(rank) {
            self.repeated.push(rank);
        }
    }

    /// Whether a field's value was made of the attribute with this rank.
    pub(super) fn is_made_of(&self, field: GenAiField, rank: u16) -> bool {
        let field = field.within(self.conventions);
        let made_of = self.scratch.slots.get(field.index()).map_or(FIRST, |slot| slot.rank);
        self.found & field.bit() != 0 && made_of == rank
    }

    /// The encoded value found for a field.
    pub(super) fn value(&self, field: GenAiField) -> &[u8] {
        let slot = self.scratch.slots.get(field.index()).copied().unwrap_or_default();
        self.scratch.made.get(slot.start..slot.end).unwrap_or_default()
    }
}
