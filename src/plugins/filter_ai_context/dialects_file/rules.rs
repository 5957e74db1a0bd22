//! Rules of the section: what the attributes of a dialect mean.

use super::place::Place;
use crate::config::Notes;
use crate::genai::GenAiField;
use crate::genai::dialect::{AnswerPart, DialectRule, RuleAction, SpanPart, rule};

/// What a rule without a target may mean.
const MEANINGS: [(&str, RuleAction); 14] = [
    ("kind", RuleAction::Kind),
    ("event", RuleAction::Event),
    ("name", RuleAction::Part(SpanPart::Name)),
    ("input", RuleAction::Part(SpanPart::Input)),
    ("output", RuleAction::Part(SpanPart::Output)),
    ("input_media_type", RuleAction::MediaType(SpanPart::Input)),
    ("output_media_type", RuleAction::MediaType(SpanPart::Output)),
    ("answer_text", RuleAction::Answer(AnswerPart::Text)),
    ("answer_reasoning", RuleAction::Answer(AnswerPart::Reasoning)),
    ("answer_tool_calls", RuleAction::Answer(AnswerPart::ToolCalls)),
    ("model", RuleAction::Model),
    ("parameters", RuleAction::Parameters),
    ("base_url", RuleAction::ApiBase),
    ("total_tokens", RuleAction::Total),
];

/// The forms of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueForm {
    Plain,
    Json,
    Milliseconds,
    Messages,
    Prompts,
    ToolTexts,
    ToolNames,
}

const FORMS: [(&str, ValueForm); 7] = [
    ("plain", ValueForm::Plain),
    ("json", ValueForm::Json),
    ("milliseconds", ValueForm::Milliseconds),
    ("messages", ValueForm::Messages),
    ("prompts", ValueForm::Prompts),
    ("tool_texts", ValueForm::ToolTexts),
    ("tool_names", ValueForm::ToolNames),
];

const ROLES: [(&str, &str); 4] =
    [("user", "user"), ("assistant", "assistant"), ("system", "system"), ("tool", "tool")];

/// Makes what an attribute says of one of the keys that say it.
type ActionReader = fn(&Place, &mut Notes) -> Option<RuleAction>;

/// The keys that say what an attribute says, of which a rule has one.
const SOURCES: [(&str, ActionReader); 3] =
    [("to", target), ("members", members), ("means", meaning)];

/// Reads the rules of a dialect.
pub(super) fn read(dialect: &Place, notes: &mut Notes) -> Vec<DialectRule> {
    let places = dialect.maps("rules", notes);
    places.iter().filter_map(|place| one(place, notes)).collect()
}

fn one(place: &Place, notes: &mut Notes) -> Option<DialectRule> {
    place.known(
        &["key", "to", "form", "role", "words", "members", "means", "common", "stays"],
        notes,
    );
    let key = place.name("key", notes);
    let (is_common, stays) = (place.flag("common", notes), place.flag("stays", notes));
    let mut given = SOURCES.into_iter().filter(|(key, _)| place.has(key));
    let (Some((source, read)), None) = (given.next(), given.next()) else {
        let at = place.node().at;
        notes.problem(format!("{at} must have one of 'to', 'members' and 'means'"));
        return None;
    };
    for key in ["form", "words", "role"].into_iter().filter(|key| place.has(key) && source != "to")
    {
        place.refuse(key, "allowed: beside 'to' only", notes);
    }
    let action = read(place, notes)?;
    Some(DialectRule { is_common, stays, ..rule(key?, action) })
}

fn members(place: &Place, notes: &mut Notes) -> Option<RuleAction> {
    let members = place.fields("members", notes);
    (!members.is_empty()).then(|| RuleAction::Details(members.leak()))
}

fn meaning(place: &Place, notes: &mut Notes) -> Option<RuleAction> {
    place.choice("means", &MEANINGS, notes)
}

fn target(place: &Place, notes: &mut Notes) -> Option<RuleAction> {
    let field = place.field("to", notes)?;
    let form = match place.has("form") {
        true => place.choice("form", &FORMS, notes)?,
        false => ValueForm::Plain,
    };
    let (action, fits) = match form {
        ValueForm::Plain => return plain(place, field, notes),
        ValueForm::Json => (RuleAction::Quoted(field), true),
        ValueForm::Milliseconds => {
            (RuleAction::Millis(field), field == GenAiField::TimeToFirstChunk)
        }
        ValueForm::Messages => return messages(place, field, notes),
        ValueForm::Prompts => (RuleAction::Prompts, field == GenAiField::InputMessages),
        ValueForm::ToolTexts => (RuleAction::ToolTexts, field == GenAiField::ToolDefinitions),
        ValueForm::ToolNames => (RuleAction::ToolNames, field == GenAiField::ToolDefinitions),
    };
    if !fits {
        let allowed = format!("allowed for {}: plain, json", field.name());
        place.refuse("form", &allowed, notes);
        return None;
    }
    only_with(place, "words", "form: plain", notes);
    only_with(place, "role", "form: messages", notes);
    Some(action)
}

fn only_with(place: &Place, key: &str, other: &str, notes: &mut Notes) {
    if place.has(key) {
        place.refuse(key, &format!("allowed: with '{other}' only"), notes);
    }
}

fn plain(place: &Place, field: GenAiField, notes: &mut Notes) -> Option<RuleAction> {
    only_with(place, "role", "form: messages", notes);
    if !place.has("words") {
        return Some(RuleAction::To(field));
    }
    if !field.shape().has_words() {
        place.refuse("words", "allowed: for attributes whose values are words", notes);
        return None;
    }
    let words = place.words("words", notes);
    (!words.is_empty()).then(|| RuleAction::Words(field, words.leak()))
}

fn messages(place: &Place, field: GenAiField, notes: &mut Notes) -> Option<RuleAction> {
    only_with(place, "words", "form: plain", notes);
    let role = role(place, field, notes)?;
    if !is_of_messages(field) {
        let allowed =
            "allowed with 'form: messages': gen_ai.input.messages, gen_ai.output.messages";
        place.refuse("to", allowed, notes);
        return None;
    }
    Some(RuleAction::Messages(field, role))
}

/// Whether the field holds messages.
pub(super) const fn is_of_messages(field: GenAiField) -> bool {
    matches!(field, GenAiField::InputMessages | GenAiField::OutputMessages)
}

/// The role of messages that have none.
pub(super) fn role(place: &Place, field: GenAiField, notes: &mut Notes) -> Option<&'static str> {
    if place.has("role") {
        return place.choice("role", &ROLES, notes);
    }
    Some(if field == GenAiField::OutputMessages { "assistant" } else { "user" })
}
