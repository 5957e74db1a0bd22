//! What a span's attributes say together.

use serde_json::Value;

use super::convert::{convert, text_list};
use super::field::Field;
use super::flat::{Tree, json_of};
use super::json::{self, Response};
use super::lookup::Meaning;
use super::rules::{Action, Family, KindOf};
use super::{address, messages, values};
use crate::codec::msgpack::{self, Entry, Reader, Token, text_of};
use crate::genai::dialect::Marks;

/// Ranks of what is worked out from more than one attribute; names of the dialects rank between.
const FIRST: u8 = 0;
const LAST: u8 = u8::MAX;

/// A field's value: its rank and its place among the values made.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    rank: u8,
    start: usize,
    end: usize,
}

/// An attribute that means something only together with others.
type Later<'a> = Option<(u8, &'a [u8])>;

/// The text of an encoded text value.
fn text(value: &[u8]) -> Option<&[u8]> {
    match Reader::new(value).token() {
        Ok(Token::Str(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// What was read of one span.
pub(crate) struct Collected<'a> {
    /// Fields that the span has under their current name.
    own: u64,
    /// Fields for which a value was found.
    found: u64,
    slots: [Slot; Field::COUNT],
    made: &'a mut Vec<u8>,
    marks: Marks,
    operation: Option<&'a str>,
    kinds: [Option<&'a str>; 4],
    kind_ranks: [u8; 4],
    later: [Later<'a>; 8],
    mimes: [Option<&'a [u8]>; 2],
    parameters: [Later<'a>; 2],
    trees: Vec<(Family, Tree)>,
    /// Which attributes are wholly said by fields now, as bits by rank.
    consumed: [u64; 4],
}

/// Places in `later`.
const MODEL: usize = 0;
const ENTITY_NAME: usize = 1;
const ENTITY_INPUT: usize = 2;
const ENTITY_OUTPUT: usize = 3;
const INPUT: usize = 4;
const OUTPUT: usize = 5;
const API_BASE: usize = 6;
const HIDDEN: usize = 7;

impl<'a> Collected<'a> {
    /// Nothing read yet; `marks` is what the keys showed, `made` is scratch space.
    pub(crate) fn new(marks: Marks, made: &'a mut Vec<u8>) -> Self {
        made.clear();
        Self {
            own: 0,
            found: 0,
            slots: [Slot::default(); Field::COUNT],
            made,
            marks,
            operation: None,
            kinds: [None; 4],
            kind_ranks: [0; 4],
            later: [None; 8],
            mimes: [None; 2],
            parameters: [None; 2],
            trees: Vec::new(),
            consumed: [0; 4],
        }
    }

    /// Notes the fields that are there already; these are never overwritten.
    pub(crate) fn note_own(&mut self, meaning: Meaning, value: &'a [u8]) {
        if let Action::Own(field) = meaning.action {
            self.own |= field.bit();
            if field == Field::OperationName {
                self.operation = self.operation.or_else(|| text_of(value));
            }
        }
    }

    /// Reads one attribute of a dialect; to be called after [`Collected::note_own`] of all.
    pub(crate) fn read(&mut self, meaning: Meaning, entry: Entry<'a>) {
        let (rank, value) = (meaning.rank, entry.value);
        let inference = self.marks.has(Marks::OPEN_INFERENCE);
        match meaning.action {
            Action::Own(_) | Action::Total | Action::Marker => {}
            Action::To(field) => self.offer(field, rank, value),
            Action::Common(field) if inference => self.offer(field, rank, value),
            Action::Common(_) => {}
            Action::Kind(of) => self.note_kind(of, rank, value),
            Action::Parameters => self.note_parameters(rank, value),
            Action::Model => self.note(MODEL, rank, value),
            Action::EntityName => self.note(ENTITY_NAME, rank, value),
            Action::EntityInput => self.note(ENTITY_INPUT, rank, value),
            Action::EntityOutput => self.note(ENTITY_OUTPUT, rank, value),
            Action::InputValue if inference => self.note(INPUT, rank, value),
            Action::OutputValue if inference => self.note(OUTPUT, rank, value),
            Action::InputValue | Action::OutputValue => {}
            Action::ApiBase => self.note(API_BASE, rank, value),
            Action::HiddenParams => self.note(HIDDEN, rank, value),
            Action::InputMime => self.mimes[0] = text(value),
            Action::OutputMime => self.mimes[1] = text(value),
            Action::InputDetails => self.details(value, rank, json::INPUT_DETAILS),
            Action::OutputDetails => self.details(value, rank, json::OUTPUT_DETAILS),
            Action::Prompts => self.prompts(value, rank),
            Action::PromptJson => self.json_messages(Field::InputMessages, "user", rank, value),
            Action::CompletionJson => {
                self.json_messages(Field::OutputMessages, "assistant", rank, value);
            }
            Action::Flat(family) => self.flat(family, entry),
        }
    }

    fn note(&mut self, place: usize, rank: u8, value: &'a [u8]) {
        if let Some(slot) = self.later.get_mut(place) {
            *slot = slot.or(Some((rank, value)));
        }
    }

    fn note_kind(&mut self, of: KindOf, rank: u8, value: &'a [u8]) {
        let place = of as usize;
        if let (Some(kind), Some(slot)) =
            (self.kinds.get_mut(place), self.kind_ranks.get_mut(place))
        {
            *kind = kind.or_else(|| text_of(value));
            *slot = rank;
        }
    }

    fn note_parameters(&mut self, rank: u8, value: &'a [u8]) {
        if let Some(free) = self.parameters.iter_mut().find(|slot| slot.is_none()) {
            *free = Some((rank, value));
        }
    }

    fn flat(&mut self, family: Family, entry: Entry<'a>) {
        if self.own & family.field().bit() != 0 && family != Family::Completion {
            return;
        }
        if family == Family::Documents && !self.marks.has(Marks::OPEN_INFERENCE) {
            return;
        }
        let Some(path) = entry.key.strip_prefix(family.prefix()) else { return };
        if let Some((_, tree)) = self.trees.iter_mut().find(|(known, _)| *known == family) {
            tree.insert(path, entry.value);
            return;
        }
        let mut tree = Tree::default();
        tree.insert(path, entry.value);
        self.trees.push((family, tree));
    }

    /// Whether a value of this rank would be taken.
    fn wants(&self, field: Field, rank: u8) -> bool {
        let known = self.slots.get(field.index()).map_or(FIRST, |slot| slot.rank);
        self.own & field.bit() == 0 && (self.found & field.bit() == 0 || rank < known)
    }

    /// Takes what `write` appends as the field's value, if it ranks before what is known.
    fn make(&mut self, field: Field, rank: u8, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        if !self.wants(field, rank) {
            return false;
        }
        let start = self.made.len();
        let made = write(self.made);
        if made && let Some(slot) = self.slots.get_mut(field.index()) {
            *slot = Slot { rank, start, end: self.made.len() };
            self.found |= field.bit();
        }
        made
    }

    fn offer(&mut self, field: Field, rank: u8, value: &[u8]) {
        self.make(field, rank, |out| convert(field, value, out));
    }

    fn offer_text(&mut self, field: Field, rank: u8, text: Option<&str>) -> bool {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return false };
        self.make(field, rank, |out| {
            msgpack::str(out, text);
            true
        })
    }

    fn details(&mut self, value: &[u8], rank: u8, names: &[(&str, Field)]) {
        let Some(object) = text(value).and_then(json::read_object) else { return };
        for (name, field) in names {
            if let Some(value) = object.get(*name) {
                self.make(*field, rank, |out| json::append(*field, value, out));
            }
        }
    }

    fn prompts(&mut self, value: &[u8], rank: u8) {
        if !self.wants(Field::InputMessages, rank) {
            return;
        }
        let prompts: Vec<String> = match json_of(value, 0) {
            Value::Array(list) => {
                list.iter().filter_map(|prompt| prompt.as_str().map(str::to_owned)).collect()
            }
            Value::String(prompt) => vec![prompt],
            _ => Vec::new(),
        };
        let rendered = messages::of_prompts(&prompts);
        self.offer_text(Field::InputMessages, rank, rendered.as_deref());
    }

    fn json_messages(&mut self, field: Field, role: &str, rank: u8, value: &[u8]) {
        if self.wants(field, rank) {
            let rendered = text_of(value).and_then(|text| messages::of_json(text, role));
            if self.offer_text(field, rank, rendered.as_deref()) {
                self.consume(rank);
            }
        }
    }

    fn consume(&mut self, rank: u8) {
        if let Some(word) = self.consumed.get_mut(usize::from(rank / 64)) {
            *word |= 1 << (rank % 64);
        }
    }

    fn kind(&self, of: KindOf) -> Option<&'a str> {
        self.kinds.get(of as usize).copied().flatten()
    }

    /// Works out what follows from several attributes. `first_token` is the time from the span's
    /// start to its first token, in seconds, if the span's events show it.
    pub(crate) fn resolve(&mut self, first_token: Option<f64>) {
        self.resolve_operation();
        self.resolve_trees();
        self.resolve_model();
        self.resolve_parameters();
        self.resolve_address();
        self.resolve_entity();
        self.resolve_content();
        if let Some(seconds) = first_token {
            self.make(Field::TimeToFirstChunk, LAST, |out| {
                msgpack::f64(out, seconds);
                true
            });
        }
        self.resolve_usage();
    }

    fn resolve_operation(&mut self) {
        let litellm = self.marks.has(Marks::LITELLM);
        let order =
            [KindOf::OpenInference, KindOf::Traceloop, KindOf::LangSmith, KindOf::RequestType];
        for of in order {
            let operation = self.kind(of).and_then(|kind| values::operation(of, kind, litellm));
            let Some(operation) = operation else { continue };
            self.offer_text(Field::OperationName, FIRST, Some(operation));
            self.operation = self.operation.or(Some(operation));
            if let Some(rank) = self.kind_ranks.get(of as usize) {
                self.consume(*rank);
            }
        }
    }

    /// Drops the token counts of spans that sum up the model calls beneath them.
    fn resolve_usage(&mut self) {
        let sums_up = match self.operation {
            Some(operation) => values::sums_up(operation),
            None => self.kinds.iter().any(Option::is_some),
        };
        if sums_up {
            self.found &= !Field::USAGE;
        }
    }

    fn resolve_trees(&mut self) {
        for (family, tree) in std::mem::take(&mut self.trees) {
            let rendered = match family {
                Family::InferenceInput => messages::of_open_inference(&tree, "user"),
                Family::InferenceOutput => messages::of_open_inference(&tree, "assistant"),
                Family::Prompt => messages::of_traceloop(&tree, "user"),
                Family::Completion => messages::of_traceloop(&tree, "assistant"),
                Family::Tools => messages::tools(&tree),
                Family::Functions => messages::functions(&tree),
                Family::Documents => messages::documents(&tree),
            };
            self.offer_text(family.field(), FIRST, rendered.as_deref());
            if family == Family::Completion {
                let reasons = messages::finish_reasons(&tree);
                self.make(Field::FinishReasons, LAST, |out| text_list(out, &reasons));
            }
        }
    }

    fn resolve_model(&mut self) {
        let Some((rank, model)) = self.later[MODEL] else { return };
        if self.operation != Some("embeddings") {
            self.offer(Field::ResponseModel, rank, model);
        }
        self.offer(Field::RequestModel, LAST, model);
        self.consume(rank);
    }

    fn resolve_parameters(&mut self) {
        for (rank, value) in self.parameters.into_iter().flatten() {
            let Some(object) = text(value).and_then(json::read_object) else { continue };
            let (said, whole) = json::parameters(&object);
            for (field, value) in said {
                // What was asked for outranks the model that answered.
                self.make(field, rank, |out| json::append(field, value, out));
            }
            if whole {
                self.consume(rank);
            }
        }
    }

    fn resolve_address(&mut self) {
        let base = self.later[API_BASE].and_then(|(_, value)| text_of(value));
        let hidden = self.later[HIDDEN].and_then(|(_, value)| text(value));
        let url = base.or_else(|| hidden.and_then(address::api_base));
        let Some((host, port)) = url.and_then(address::host_and_port) else { return };
        if self.offer_text(Field::ServerAddress, FIRST, Some(host)) {
            self.make(Field::ServerPort, FIRST, |out| {
                msgpack::uint(out, u64::from(port));
                true
            });
        }
    }

    fn later_as(&mut self, place: usize, field: Field, rank: u8) {
        if let Some((key, value)) = self.later.get(place).copied().flatten() {
            self.make(field, rank, |out| convert(field, value, out));
            self.consume(key);
        }
    }

    fn resolve_entity(&mut self) {
        match self.kind(KindOf::Traceloop) {
            Some("tool") => {
                self.later_as(ENTITY_NAME, Field::ToolName, LAST);
                self.later_as(ENTITY_INPUT, Field::ToolArguments, LAST);
                self.later_as(ENTITY_OUTPUT, Field::ToolResult, LAST);
            }
            Some("agent") => self.later_as(ENTITY_NAME, Field::AgentName, LAST),
            Some("workflow") => self.later_as(ENTITY_NAME, Field::WorkflowName, LAST),
            _ => {}
        }
    }

    fn resolve_content(&mut self) {
        match self.kind(KindOf::OpenInference) {
            Some("TOOL") => {
                self.later_as(INPUT, Field::ToolArguments, FIRST);
                self.later_as(OUTPUT, Field::ToolResult, FIRST);
            }
            Some("RETRIEVER") => self.later_as(INPUT, Field::RetrievalQuery, FIRST),
            Some("LLM" | "AGENT") => {
                self.plain(INPUT, 0, Field::InputMessages, "user");
                self.plain(OUTPUT, 1, Field::OutputMessages, "assistant");
                self.response();
            }
            _ => {}
        }
    }

    /// Input or output that is plain text, as one message.
    fn plain(&mut self, place: usize, mime: usize, field: Field, role: &str) {
        let Some((rank, value)) = self.later.get(place).copied().flatten() else { return };
        let json =
            self.mimes.get(mime).copied().flatten().is_some_and(|mime| mime.ends_with(b"json"));
        if json || !self.wants(field, LAST) {
            return;
        }
        let Some(text) = text_of(value).filter(|text| !text.is_empty()) else { return };
        let message = Value::Array(vec![messages::single(role, text)]).to_string();
        self.offer_text(field, LAST, Some(&message));
        self.consume(rank);
    }

    /// What the provider's whole response says, if the output is one.
    fn response(&mut self) {
        let Some(output) = self.later[OUTPUT].and_then(|(_, value)| text(value)) else { return };
        if self.mimes[1] != Some(b"application/json") || !self.wants(Field::ResponseId, LAST) {
            return;
        }
        let Some(response) = Response::read(output) else { return };
        for (field, text) in response.fields() {
            self.offer_text(field, LAST, text);
        }
    }

    /// The fields to add, as bits.
    pub(crate) fn additions(&self) -> u64 {
        self.found & !self.own
    }

    /// The encoded value found for a field.
    pub(crate) fn value(&self, field: Field) -> &[u8] {
        let slot = self.slots.get(field.index()).copied().unwrap_or_default();
        self.made.get(slot.start..slot.end).unwrap_or_default()
    }

    /// Whether all that the attribute says is said by fields under their current names.
    pub(crate) fn replaced(&self, meaning: Meaning) -> bool {
        let filled = self.own | self.found;
        let has = |field: Field| filled & field.bit() != 0;
        match meaning.action {
            // A session joins other signals too, and the parameters may be a declaration.
            Action::Common(Field::ConversationId | Field::ToolArguments) => false,
            Action::To(field) => has(field),
            Action::Common(field) => has(field) && self.marks.has(Marks::OPEN_INFERENCE),
            Action::Flat(Family::Documents) => {
                has(Field::RetrievalDocuments) && self.marks.has(Marks::OPEN_INFERENCE)
            }
            Action::Flat(family) => has(family.field()),
            Action::Prompts => has(Field::InputMessages),
            Action::Total => has(Field::InputTokens) && has(Field::OutputTokens),
            _ => {
                let word = self.consumed.get(usize::from(meaning.rank / 64)).copied().unwrap_or(0);
                word & (1 << (meaning.rank % 64)) != 0
            }
        }
    }
}
