//! What follows from several attributes of a span together.

use serde_json::Value;

use super::collect::{
    API_BASE, Collected, ENTITY_INPUT, ENTITY_NAME, ENTITY_OUTPUT, FIRST, HIDDEN, INPUT, LAST,
    MODEL, OUTPUT, text,
};
use super::convert::{convert, text_list};
use super::field::Field;
use super::json::{self, Response};
use super::rules::{Family, KindOf};
use super::{address, messages, values};
use crate::codec::msgpack::{self, text_of};
use crate::genai::dialect::Marks;

impl Collected<'_> {
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
}
