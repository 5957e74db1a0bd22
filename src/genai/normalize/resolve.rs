//! Inference: what follows from several attributes of a span together.

use serde_json::Value;

use super::collect::{Collected, Deferred, FIRST, LAST, text};
use super::convert::{convert, text_list};
use super::field::GenAiField;
use super::json::ProviderResponse;
use super::{address, messages, values};
use crate::codec::msgpack::{self, text_of};
use crate::genai::dialect::{KindName, ListForm, PartForm, PartMeaning, RuleAction};
use crate::genai::dialects::DialectSet;
use crate::genai::dialects::merge::LISTS;

/// What the dialects that a span speaks say of the kinds of spans that an attribute names, with the
/// indices of the dialects.
fn kind_names(
    spoken: DialectSet,
    key: &'static str,
) -> impl Iterator<Item = (usize, &'static KindName)> {
    spoken.dialects().flat_map(move |(index, dialect)| {
        let named = dialect.kinds.iter().filter(move |kinds| kinds.key == key);
        named.flat_map(|kinds| kinds.names).map(move |name| (index, name))
    })
}

impl<'a> Collected<'a> {
    /// Works out what follows from several attributes. `first_token` is the time from the span's
    /// start to its first token, in seconds, if the span's events show it.
    pub(crate) fn resolve(&mut self, first_token: Option<f64>) {
        self.deferred.sort_by_key(|known| known.meaning.rank);
        let count = self.deferred.len();
        (0..count).for_each(|at| self.resolve_operation(at));
        self.resolve_lists();
        self.resolve_model();
        self.resolve_address();
        (0..count).for_each(|at| self.resolve_parts(at));
        if let Some(seconds) = first_token {
            self.make(GenAiField::TimeToFirstChunk, LAST, |out| {
                msgpack::f64(out, seconds);
                true
            });
        }
        self.resolve_usage();
    }

    /// The deferred attribute at an index, if it names the span's kind, and the name.
    fn kind_at(&self, at: usize) -> Option<(Deferred<'a>, &'a str)> {
        let kind =
            self.deferred.get(at).filter(|known| known.meaning.action == RuleAction::Kind)?;
        Some((*kind, text_of(kind.value)?))
    }

    fn resolve_operation(&mut self, at: usize) {
        let Some((kind, said)) = self.kind_at(at) else { return };
        let operation = kind_names(self.spoken, kind.meaning.key)
            .filter(|(_, known)| known.name.eq_ignore_ascii_case(said))
            .find_map(|(_, known)| known.operation);
        if operation.is_some() {
            self.offer_text(GenAiField::OperationName, FIRST, operation);
            self.operation = self.operation.or(operation);
            self.mark_mapped(kind.meaning.rank);
        }
    }

    /// Drops the token counts of spans that sum up the model calls beneath them.
    fn resolve_usage(&mut self) {
        let has_kind = || self.deferred(RuleAction::Kind, None).is_some();
        if self.operation.map_or_else(has_kind, values::sums_up) {
            self.found &= !GenAiField::USAGE;
        }
    }

    fn resolve_lists(&mut self) {
        for (index, tree) in std::mem::take(&mut self.trees) {
            let Some(list) = LISTS.get(index).map(|known| known.list) else { continue };
            let rendered = match list.form {
                ListForm::Value(render) => render(&tree),
                ListForm::Messages(render, role) | ListForm::Completions(render, role) => {
                    render(&tree, role)
                }
            };
            self.offer_text(list.field, FIRST, rendered.as_deref());
            if matches!(list.form, ListForm::Completions(..)) {
                let reasons = messages::finish_reasons(&tree);
                self.make(GenAiField::FinishReasons, LAST, |out| text_list(out, &reasons));
            }
        }
    }

    fn resolve_model(&mut self) {
        let Some(model) = self.deferred(RuleAction::Model, None) else { return };
        if self.operation != Some("embeddings") {
            self.offer(GenAiField::ResponseModel, model.meaning.rank, model.value);
        }
        self.offer(GenAiField::RequestModel, LAST, model.value);
        self.mark_mapped(model.meaning.rank);
    }

    fn resolve_address(&mut self) {
        let base = self.deferred(RuleAction::ApiBase, None);
        let base = base.and_then(|base| text_of(base.value));
        let around = self.deferred(RuleAction::ApiBaseWithin, None);
        let around = around.and_then(|around| text(around.value));
        let url = base.or_else(|| around.and_then(address::api_base));
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
        let named = kind_names(self.spoken, kind.meaning.key);
        for (dialect, known) in named.filter(|(_, known)| known.name == said) {
            known.parts.iter().for_each(|part| self.resolve_part(*part, dialect));
        }
    }

    fn resolve_part(&mut self, meaning: PartMeaning, dialect: usize) {
        let part = self.deferred(RuleAction::Part(meaning.part), Some(dialect));
        let Some(Deferred { meaning: key, value }) = part else { return };
        match meaning.form {
            PartForm::First(field) => {
                self.make(field, FIRST, |out| convert(field, value, out));
                self.mark_mapped(key.rank);
            }
            PartForm::Last(field) => {
                self.make(field, LAST, |out| convert(field, value, out));
                self.mark_mapped(key.rank);
            }
            PartForm::Message(field, role) => {
                let media_type = self.media_type(meaning.part, dialect);
                let is_json = media_type.is_some_and(|name| name.ends_with(b"json"));
                if !is_json && self.one_message(field, role, value) {
                    self.mark_mapped(key.rank);
                }
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
        let message = Value::Array(vec![messages::single(role, text)]).to_string();
        self.offer_text(field, LAST, Some(&message));
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
