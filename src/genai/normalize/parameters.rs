//! Parameter mapping: JSON objects of request parameters -> attributes, and what of them stays; other JSON that
//! says fields by its members; the session.

use super::collect::{Collected, FIRST, text};
use super::convert::convert;
use super::field::GenAiField;
use super::json::{self, PARAMETERS};
use crate::genai::dialect::RuleAction;
use crate::genai::json_value::Json;

impl Collected<'_, '_> {
    /// Takes what objects of request parameters say. Members that fields say go.
    pub(super) fn resolve_parameters(&mut self) {
        for at in 0..self.deferred.len() {
            let Some(known) = self.deferred.get(at).copied() else { continue };
            if matches!(known.meaning.action, RuleAction::Parameters) {
                self.parameters(known.meaning.rank, known.value);
            }
        }
    }

    fn parameters(&mut self, rank: u16, value: &[u8]) {
        let arena = self.arena;
        let object = text(value).and_then(|text| json::read_object(arena, text));
        let Some(object) = object else { return };
        for (name, field) in PARAMETERS {
            if let Some(value) = object.get(name) {
                // What was asked for outranks the model that answered.
                self.make(*field, rank, |out| json::append(arena, *field, value, out));
            }
        }
        let left = object.filtered(arena, |name, value| !self.says_parameter(name, value));
        if left.is_empty() {
            self.mark_mapped(rank);
        } else if left.len() < object.len() {
            self.leave(rank, Json::Object(left));
        }
    }

    /// Whether a field says all that a request parameter does.
    fn says_parameter(&mut self, name: &str, value: Json<'_>) -> bool {
        let Some((_, field)) = PARAMETERS.iter().find(|(known, _)| *known == name) else {
            return false;
        };
        if value.is_null() || value.as_list().is_some_and(<[_]>::is_empty) {
            return true;
        }
        let mut compared = std::mem::take(&mut self.scratch.compared);
        compared.clear();
        let given = json::append(self.arena, *field, value, &mut compared);
        let start = compared.len();
        let same = given
            && self.final_value(*field).is_some_and(|said| {
                convert(self.arena, *field, said, &mut compared)
                    && compared.get(..start) == compared.get(start..)
            });
        self.scratch.compared = compared;
        same
    }

    /// What the first object of a JSON list says that says it: the chunks of one answer.
    pub(super) fn details_of_list(&mut self, json: &[u8], rank: u16, names: &[(&str, GenAiField)]) {
        let arena = self.arena;
        let Some(list) = json::read_value(arena, json).and_then(Json::as_list) else { return };
        for object in list.iter().filter_map(|object| object.as_object()) {
            for (path, field) in names {
                if let Some(value) = json::member(object, path) {
                    self.make(*field, rank, |out| json::append(arena, *field, value, out));
                }
            }
        }
    }

    /// Takes the session that stays back as the conversation's id where the conventions have no conversation: it
    /// would be said twice.
    pub(super) fn resolve_session(&mut self) {
        let is_session = self.session != FIRST;
        if !is_session || !self.is_made_of(GenAiField::ConversationId, self.session) {
            return;
        }
        let operation = self.final_value(GenAiField::OperationName);
        let operation = operation.and_then(crate::codec::msgpack::text_of);
        if !operation.is_some_and(super::values::has_conversation) {
            self.found &= !GenAiField::ConversationId.bit();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::genai::normalize::{Conventions, EventValues, Normalizer};
    use serde_json::{Value, json};

    /// What becomes of attributes.
    fn mapped(attributes: &Value) -> Value {
        let mut encoded = rmp_serde::to_vec_named(attributes).unwrap();
        let mut normalizer = Normalizer::new(false, Conventions::V1_41);
        for _ in 0..2 {
            let mut seen = normalizer.look(&encoded);
            let mut out = Vec::new();
            let none = &mut EventValues::default();
            if normalizer.rewrite(&encoded, &mut seen, none, &mut out).is_some() {
                encoded = out;
            }
        }
        rmp_serde::from_slice(&encoded).unwrap()
    }

    /// Scenario: request parameters of which some have no field, a wrong type, or another value than the
    /// field has. Guarantees: exactly these stay, whatever the number's form, and mapping twice changes
    /// nothing more.
    #[test]
    fn what_no_field_says_stays() {
        for (given, own, left) in [
            (r#"{"temperature":0.5,"max_tokens":8}"#, None, None),
            (r#"{"temperature":1,"user":"u"}"#, None, Some(r#"{"user":"u"}"#)),
            (r#"{"max_tokens":"Infinity","top_p":1}"#, None, Some(r#"{"max_tokens":"Infinity"}"#)),
            (r#"{"temperature":1}"#, Some(json!(1)), None),
            (r#"{"temperature":1}"#, Some(json!(0.5)), Some(r#"{"temperature":1}"#)),
            (r#"{"max_tokens":8,"max_completion_tokens":8,"stop":null,"n":[]}"#, None, None),
            (
                r#"{"max_tokens":8,"max_completion_tokens":9}"#,
                None,
                Some(r#"{"max_completion_tokens":9}"#),
            ),
            (r#"{"stop":["a"],"stop_sequences":"a","x":null}"#, None, Some(r#"{"x":null}"#)),
            ("{}", None, None),
            ("[1]", None, Some("[1]")),
        ] {
            let mut span = json!({ "llm.invocation_parameters": given, "llm.model_name": "m" });
            if let Some(own) = own {
                span["gen_ai.request.temperature"] = own;
            }
            let mapped = mapped(&span);
            assert_eq!(mapped["llm.invocation_parameters"].as_str(), left, "{given}");
        }
    }

    /// Scenario: a session that stays, in spans of all kinds. Guarantees: it is the conversation of operations
    /// that have one, and of no other.
    #[test]
    fn only_operations_with_a_conversation_have_the_session_twice() {
        for (kind, expected) in
            [("LLM", Some("s")), ("AGENT", Some("s")), ("TOOL", None), ("CHAIN", None)]
        {
            let span = json!({ "openinference.span.kind": kind, "session.id": "s" });
            let mapped = mapped(&span);
            assert_eq!(mapped["gen_ai.conversation.id"].as_str(), expected, "{kind}");
            assert_eq!(mapped["session.id"], "s");
        }
    }
}
