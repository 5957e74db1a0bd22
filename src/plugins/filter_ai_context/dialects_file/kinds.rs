//! Lists and kinds of the section: attributes that are spread over many keys, and what the kind of a
//! span makes of its input and output.

use super::place::Place;
use super::rules::{is_of_messages, role};
use crate::config::Notes;
use crate::genai::dialect::{
    DialectRule, IndexedList, KindName, KindNames, ListForm, PartForm, PartMeaning, RuleAction,
    SpanPart,
};
use crate::genai::{GenAiField, OPERATIONS, messages};

/// Whose form the elements of a list have.
#[derive(Debug, Clone, Copy)]
enum ListStyle {
    OpenInference,
    OpenLlmetry,
}

const STYLES: [(&str, ListStyle); 2] =
    [("openinference", ListStyle::OpenInference), ("openllmetry", ListStyle::OpenLlmetry)];

/// Reads the lists of a dialect.
pub(super) fn lists(dialect: &Place, notes: &mut Notes) -> Vec<IndexedList> {
    let places = dialect.maps("lists", notes);
    places.iter().filter_map(|place| list(place, notes)).collect()
}

fn list(place: &Place, notes: &mut Notes) -> Option<IndexedList> {
    place.known(&["prefix", "to", "form", "role", "common"], notes);
    let prefix = place.name("prefix", notes);
    if prefix.is_some_and(|prefix| prefix.len() < 8 || !prefix.ends_with('.')) {
        place.refuse("prefix", "allowed: a text of at least 8 bytes that ends with a dot", notes);
    }
    let is_common = place.flag("common", notes);
    let style = place.choice("form", &STYLES, notes);
    let field = place.field("to", notes)?;
    let role = role(place, field, notes)?;
    if place.has("role") && !is_of_messages(field) {
        place.refuse("role", "allowed: for messages only", notes);
    }
    let form = match (field, style?) {
        (GenAiField::InputMessages | GenAiField::OutputMessages, ListStyle::OpenInference) => {
            ListForm::Messages(messages::of_open_inference, role)
        }
        (GenAiField::InputMessages, ListStyle::OpenLlmetry) => {
            ListForm::Messages(messages::of_traceloop, role)
        }
        (GenAiField::OutputMessages, ListStyle::OpenLlmetry) => {
            ListForm::Completions(messages::of_traceloop, role)
        }
        (GenAiField::ToolDefinitions, ListStyle::OpenInference) => ListForm::Value(messages::tools),
        (GenAiField::ToolDefinitions, ListStyle::OpenLlmetry) => {
            ListForm::Value(messages::functions)
        }
        (GenAiField::RetrievalDocuments, ListStyle::OpenInference) => {
            ListForm::Value(messages::documents)
        }
        _ => {
            let allowed = "allowed for lists: gen_ai.input.messages, gen_ai.output.messages, \
                           gen_ai.tool.definitions, and gen_ai.retrieval.documents with \
                           'form: openinference'";
            place.refuse("to", allowed, notes);
            return None;
        }
    };
    Some(IndexedList { prefix: prefix?, field, form, is_common })
}

/// Reads what the values of the attributes mean that name the kind of a span.
pub(super) fn kinds(dialect: &Place, rules: &[DialectRule], notes: &mut Notes) -> Vec<KindNames> {
    let mut kinds = Vec::new();
    for place in dialect.maps("kinds", notes) {
        place.known(&["key", "names"], notes);
        let key = place.name("key", notes);
        let names = place.maps("names", notes);
        let names: Vec<KindName> =
            names.iter().filter_map(|name| kind(name, rules, notes)).collect();
        let Some(key) = key else { continue };
        let names_kind = |rule: &DialectRule| {
            rule.key == key && matches!(rule.action, RuleAction::Kind | RuleAction::Event)
        };
        if !rules.iter().any(names_kind) {
            place.refuse("key", "allowed: a key of a rule that means 'kind' or 'event'", notes);
        }
        if !place.has("names") {
            place.refuse("names", "allowed: a list of maps", notes);
        }
        kinds.push(KindNames { key, names: names.leak() });
    }
    for rule in rules.iter().filter(|rule| rule.action == RuleAction::Kind) {
        if !kinds.iter().any(|kinds| kinds.key == rule.key) {
            let at = dialect.path("kinds");
            notes.problem(format!("{at}: what the values of '{}' mean is missing", rule.key));
        }
    }
    kinds
}

fn kind(place: &Place, rules: &[DialectRule], notes: &mut Notes) -> Option<KindName> {
    place.known(&["name", "operation", "may_embed", "part_name", "input", "output"], notes);
    let name = place.name("name", notes);
    let operation = match place.has("operation") {
        true => Some(operation(place, "operation", notes)?),
        false => None,
    };
    let may_embed = place.flag("may_embed", notes);
    if may_embed && operation.is_none() {
        place.refuse("may_embed", "allowed: with an 'operation'", notes);
    }
    let parts =
        [("part_name", SpanPart::Name), ("input", SpanPart::Input), ("output", SpanPart::Output)];
    let mut meanings = Vec::new();
    for (key, part) in parts {
        let Some(inner) = place.inner(key, notes) else { continue };
        if !rules.iter().any(|rule| rule.action == RuleAction::Part(part)) {
            let word = if part == SpanPart::Name { "name" } else { key };
            place.refuse(key, &format!("allowed: where a rule means '{word}'"), notes);
        }
        if let Some(form) = part_form(&inner, notes) {
            meanings.push(PartMeaning { part, form });
        }
    }
    Some(KindName { name: name?, operation, may_embed, parts: meanings.leak() })
}

/// The operation under a key.
pub(super) fn operation(place: &Place, key: &str, notes: &mut Notes) -> Option<&'static str> {
    place.choice(key, &OPERATIONS.map(|operation| (operation, operation)), notes)
}

#[derive(Debug, Clone, Copy)]
enum PartStyle {
    Plain,
    Message,
    Messages,
    Response,
}

fn part_form(place: &Place, notes: &mut Notes) -> Option<PartForm> {
    place.known(&["to", "form", "role", "first"], notes);
    let styles = [
        ("plain", PartStyle::Plain),
        ("message", PartStyle::Message),
        ("messages", PartStyle::Messages),
        ("response", PartStyle::Response),
    ];
    let style = match place.has("form") {
        true => place.choice("form", &styles, notes)?,
        false => PartStyle::Plain,
    };
    let is_first = place.flag("first", notes);
    if is_first && !matches!(style, PartStyle::Plain) {
        place.refuse("first", "allowed: with 'form: plain' only", notes);
    }
    let has_messages = matches!(style, PartStyle::Message | PartStyle::Messages);
    if place.has("role") && !has_messages {
        place.refuse("role", "allowed: with 'form: message' and 'form: messages' only", notes);
    }
    if matches!(style, PartStyle::Response) {
        if place.has("to") {
            place.refuse("to", "allowed: nothing with 'form: response'", notes);
        }
        return Some(PartForm::Response);
    }
    let field = place.field("to", notes)?;
    let role = role(place, field, notes)?;
    if has_messages && !is_of_messages(field) {
        place.refuse("to", "allowed: gen_ai.input.messages, gen_ai.output.messages", notes);
        return None;
    }
    Some(match style {
        PartStyle::Message => PartForm::Message(field, role),
        PartStyle::Messages => PartForm::Messages(field, role),
        PartStyle::Plain if is_first => PartForm::First(field),
        PartStyle::Plain | PartStyle::Response => PartForm::Last(field),
    })
}
