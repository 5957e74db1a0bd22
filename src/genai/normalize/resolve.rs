//! Inference: what follows from several attributes of a span together.

use super::collect::{Collected, FIRST, LAST, text};
use super::convert::{convert, text_list};
use super::field::GenAiField;
use super::json::ProviderResponse;
use super::message_events::EventValues;
use super::scratch::{Deferred, Sayings};
use super::{address, messages, parts, tool_parts, values};
use crate::codec::msgpack::{self, elements, int_of, text_of};
use crate::genai::dialect::{
    AnswerPart, Dialect, KindName, ListForm, PartForm, PartMeaning, RuleAction,
};
use crate::genai::dialects::DialectSet;

/// The operation of models that embed.
const EMBEDDINGS: &str = "embeddings";

/// Shows what a dialect says of the kinds of spans that an attribute names.
fn each_kind(dialect: &'static Dialect, key: &str, mut see: impl FnMut(&'static KindName)) {
    for kinds in dialect.kinds {
        if kinds.key == key {
            kinds.names.iter().for_each(&mut see);
        }
    }
}

impl<'a> Collected<'a, '_> {
    /// Works out what follows from several attributes, and from the span's events.
    pub(super) fn resolve(&mut self, events: &mut EventValues<'_>) {
        // No two have one rank.
        self.deferred.sort_unstable_by_key(|known| known.meaning.rank);
        let count = self.deferred.len();
        if self.sayings.names_kind() {
            (0..count).for_each(|at| self.resolve_operation(at));
        }
        if !self.indexed.is_empty() {
            self.resolve_lists();
        }
        let sayings = self.sayings;
        if sayings.has(Sayings::PARAMETERS) {
            self.resolve_parameters();
        }
        if sayings.has(Sayings::MODEL) {
            self.resolve_model();
        }
        if sayings.has(Sayings::BASE) {
            self.resolve_address();
        }
        if sayings.has(Sayings::PART) && sayings.names_kind() {
            (0..count).for_each(|at| self.resolve_parts(at));
        }
        if let Some(seconds) = events.first_token {
            self.make(GenAiField::TimeToFirstChunk, LAST, |out| {
                msgpack::f64(out, seconds);
                true
            });
        }
        if sayings.has(Sayings::ANSWER) {
            self.resolve_answer();
        }
        if events.has_content() {
            self.take(events);
        }
        self.resolve_usage();
        self.resolve_cache();
        self.resolve_reasoning();
        self.infer_operation();
        self.resolve_session();
        if !self.scratch.inferred.is_empty() {
            let inferred = std::mem::take(&mut self.scratch.inferred);
            self.make(GenAiField::Inferred, LAST, |out| text_list(out, &inferred));
            self.scratch.inferred = inferred;
        }
        self.scratch.pad();
    }

    /// Takes what events say and nothing else does.
    fn take(&mut self, events: &mut EventValues<'_>) {
        let arena = self.arena;
        let mut taken = 0;
        for (field, value) in events.encoded() {
            let made = self.make(field, LAST, |out| convert(arena, field, value, out));
            taken |= if made { field.bit() } else { 0 };
        }
        for (field, list) in events.messages() {
            let made = self.offer_list(field, LAST, list);
            taken |= if made { field.bit() } else { 0 };
        }
        events.take(taken);
    }

    /// The deferred attribute at an index, if it names the span's kind, and the name.
    fn kind_at(&self, at: usize) -> Option<(Deferred<'a>, &'a [u8])> {
        let is_kind = |known: &&Deferred<'a>| {
            matches!(known.meaning.action, RuleAction::Kind | RuleAction::Event)
        };
        let known = self.deferred.get(at).filter(is_kind)?;
        Some((*known, known.kind))
    }

    fn resolve_operation(&mut self, at: usize) {
        let Some((kind, said)) = self.kind_at(at) else { return };
        // Of one dialect the first attribute that names the kind counts.
        let before = self.named_by;
        let (mut operation, mut may_embed) = (None, false);
        for (index, dialect) in self.dialects().filter(|(index, _)| !before.has(*index)) {
            each_kind(dialect, kind.meaning.key, |known| {
                if known.name.as_bytes().eq_ignore_ascii_case(said) {
                    self.named_by = self.named_by.and(DialectSet::of(index));
                    may_embed |= known.may_embed && operation.is_none();
                    operation = operation.or(known.operation);
                }
            });
        }
        if may_embed && self.embeds() {
            self.infer(GenAiField::OperationName, EMBEDDINGS);
            operation = Some(EMBEDDINGS);
            self.operation = self.operation.or(operation);
        }
        if operation.is_some() {
            self.offer_text(GenAiField::OperationName, FIRST, operation);
            self.operation = self.operation.or(operation);
        }
        // Of another operation than the one that stands, the name would be lost.
        if operation.is_some() && self.operation == operation {
            self.mark_mapped(kind.meaning.rank);
        }
    }

    /// Whether the call of a model can only be one that embeds.
    fn embeds(&self) -> bool {
        let said = |field| self.final_value(field).and_then(text_of);
        let model = said(GenAiField::RequestModel).or_else(|| said(GenAiField::ResponseModel));
        let output = self.final_value(GenAiField::OutputTokens).and_then(int_of);
        let answers = output.is_some_and(|tokens| tokens > 0);
        values::inferred_operation(None, model, answers) == EMBEDDINGS
    }

    /// Whether an attribute names the span's kind.
    fn has_kind(&self) -> bool {
        self.sayings.has(Sayings::KIND)
    }

    /// Drops the token counts of spans that sum up the model calls beneath them.
    fn resolve_usage(&mut self) {
        let has_kind = || self.has_kind();
        if self.operation.map_or_else(has_kind, values::sums_up) {
            self.found &= !GenAiField::USAGE;
            self.dropped_usage = true;
        }
    }

    /// Adds the tokens of reasoning to output tokens that do not include them.
    fn resolve_reasoning(&mut self) {
        let is_own = self.own & GenAiField::OutputTokens.bit() != 0;
        if is_own || !self.spoken.meets(self.scratch.excluding_reasoning) {
            return;
        }
        let number = |field| self.final_value(field).and_then(int_of);
        let reasoning = number(GenAiField::ReasoningTokens).unwrap_or(0);
        let Some(output) = number(GenAiField::OutputTokens).filter(|_| reasoning > 0) else {
            return;
        };
        self.found &= !GenAiField::OutputTokens.bit();
        self.make(GenAiField::OutputTokens, FIRST, |out| {
            msgpack::int(out, output.saturating_add(reasoning));
            true
        });
        self.added_reasoning = true;
    }

    /// Names the operation of what can only be the call of a model or of a tool.
    fn infer_operation(&mut self) {
        if self.operation.is_some() || self.has_kind() {
            return;
        }
        let there = self.own | self.found;
        let has = |field: GenAiField| there & field.bit() != 0;
        let mut serves = false;
        if self.spoken.meets(self.scratch.showing_calls) {
            if self.dialects().any(|(_, dialect)| dialect.tool_sign.is_some_and(has)) {
                self.infer(GenAiField::OperationName, "execute_tool");
                return;
            }
            serves = self.dialects().any(|(_, dialect)| dialect.serves_models);
        }
        let names_model = there & GenAiField::MODELS != 0 || serves;
        if !names_model || there & GenAiField::TOKENS == 0 {
            return;
        }
        let said = |field| self.final_value(field).and_then(text_of);
        let model = said(GenAiField::RequestModel).or_else(|| said(GenAiField::ResponseModel));
        let answers = there & GenAiField::OutputTokens.bit() != 0;
        let provider = said(GenAiField::ProviderName);
        let operation = values::inferred_operation(provider, model, answers);
        self.infer(GenAiField::OperationName, operation);
    }

    fn infer(&mut self, field: GenAiField, text: &str) {
        if self.offer_text(field, LAST, Some(text)) {
            self.scratch.inferred.push(field.name());
        }
    }

    /// Puts the parts of the answer together as one message.
    fn resolve_answer(&mut self) {
        let all = [AnswerPart::Reasoning, AnswerPart::Text, AnswerPart::ToolCalls];
        let deferred = |part| {
            let is_it = |action| matches!(action, RuleAction::Answer(of) if of == part);
            self.deferred(is_it, None)
        };
        let known = all.map(|part| (part, deferred(part)));
        if known.iter().all(|(_, known)| known.is_none())
            || !self.wants(GenAiField::OutputMessages, LAST)
        {
            return;
        }
        let arena = self.arena;
        let mut parts = arena.building(all.len());
        let mut mapped = Vec::new();
        for (part, known) in known {
            let Some(Deferred { meaning, value, .. }) = known else { continue };
            let Some(text) = text_of(value).filter(|text| !text.is_empty()) else { continue };
            match part {
                AnswerPart::Reasoning => parts.push(parts::reasoning_part(arena, text.into())),
                AnswerPart::Text => parts.push(parts::text_part(arena, text.into())),
                AnswerPart::ToolCalls => {
                    let Some(calls) = tool_parts::tool_calls(arena, text) else { continue };
                    parts.extend_from_slice_copy(calls);
                }
            }
            mapped.push(meaning.rank);
        }
        let reason = self
            .final_value(GenAiField::FinishReasons)
            .and_then(|reasons| elements(reasons).next().and_then(text_of))
            .map(|reason| arena.text(reason));
        let answer = messages::answer(arena, parts.into_bump_slice(), reason);
        if self.offer_list(GenAiField::OutputMessages, LAST, answer.as_slice()) {
            mapped.into_iter().for_each(|rank| self.mark_mapped(rank));
        }
    }

    fn resolve_lists(&mut self) {
        for (index, keys) in std::mem::take(&mut self.indexed) {
            let Some(list) = self.added.lists().get(index).map(|known| known.list) else {
                continue;
            };
            let elements = keys.elements(self.arena);
            if matches!(list.form, ListForm::Completions(..)) {
                let reasons =
                    elements.iter().filter_map(|element| element.get("finish_reason")?.as_str());
                let reasons: Vec<&str> = reasons.map(values::finish_reason).collect();
                self.make(GenAiField::FinishReasons, LAST, |out| text_list(out, &reasons));
            }
            let values = match list.form {
                ListForm::Value(render) => render(self.arena, elements),
                ListForm::Messages(render, role) | ListForm::Completions(render, role) => {
                    render(self.arena, elements, role)
                }
            };
            self.offer_list(list.field, FIRST, values);
        }
    }

    fn resolve_model(&mut self) {
        let Some(model) = self.deferred(|action| matches!(action, RuleAction::Model), None) else {
            return;
        };
        if self.operation != Some("embeddings") {
            self.offer(GenAiField::ResponseModel, model.meaning.rank, model.value);
        }
        self.offer(GenAiField::RequestModel, LAST, model.value);
    }

    fn resolve_address(&mut self) {
        let base = self.deferred(|action| matches!(action, RuleAction::ApiBase), None);
        let base = base.and_then(|base| text_of(base.value));
        let around = self.deferred(|action| matches!(action, RuleAction::ApiBaseWithin), None);
        let around = around.and_then(|around| text(around.value));
        let url = base.or_else(|| around.and_then(|json| address::member(json, "api_base")));
        let Some((host, port)) = url.and_then(address::host_and_port) else { return };
        if self.offer_text(GenAiField::ServerAddress, FIRST, Some(host)) {
            self.make(GenAiField::ServerPort, FIRST, |out| {
                msgpack::uint(out, u64::from(port));
                true
            });
        }
    }

    fn resolve_parts(&mut self, at: usize) {
        let Some((kind, said)) = self.kind_at(at) else { return };
        for (index, dialect) in self.dialects() {
            each_kind(dialect, kind.meaning.key, |known| {
                if known.name.as_bytes() == said {
                    known.parts.iter().for_each(|part| self.resolve_part(*part, index));
                }
            });
        }
    }

    fn resolve_part(&mut self, meaning: PartMeaning, dialect: usize) {
        let is_it = |action| matches!(action, RuleAction::Part(of) if of == meaning.part);
        let part = self.deferred(is_it, Some(dialect));
        let Some(Deferred { meaning: key, value, .. }) = part else { return };
        let arena = self.arena;
        match meaning.form {
            PartForm::First(field) => {
                self.make(field, FIRST, |out| convert(arena, field, value, out));
                self.mark_mapped(key.rank);
            }
            PartForm::Last(field) => {
                self.make(field, LAST, |out| convert(arena, field, value, out));
                self.mark_mapped(key.rank);
            }
            PartForm::Message(field, role) => {
                let media_type = self.media_type(meaning.part, dialect);
                let is_json = media_type.is_some_and(|name| name.ends_with(b"json"));
                if !is_json && self.one_message(field, role, value) {
                    self.mark_mapped(key.rank);
                }
            }
            PartForm::Messages(field, role) => {
                let read = text_of(value).and_then(|text| messages::of_text(arena, text, role));
                self.offer_messages(field, (LAST, key.rank), read);
            }
            PartForm::Response => {
                if self.media_type(meaning.part, dialect) == Some(b"application/json") {
                    self.response(value);
                }
            }
        }
    }

    /// A part that is plain text, as one message. Whether it is that, and nothing else said it.
    fn one_message(&mut self, field: GenAiField, role: &str, value: &[u8]) -> bool {
        if !self.wants(field, LAST) {
            return false;
        }
        let Some(text) = text_of(value).filter(|text| !text.is_empty()) else { return false };
        self.make(field, LAST, |out| messages::append_single(role, text, out));
        true
    }

    /// What the provider's whole response says, if a part is one.
    fn response(&mut self, value: &[u8]) {
        let Some(response) = text(value).filter(|_| self.wants(GenAiField::ResponseId, LAST))
        else {
            return;
        };
        let Some(response) = ProviderResponse::read(response) else { return };
        for (field, text) in response.fields() {
            self.offer_text(field, LAST, text);
        }
    }
}
