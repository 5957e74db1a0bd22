//! Content of the section: which names hold prompts, completions, and what goes into tools and comes
//! out of them.

use super::place::Place;
use crate::config::Notes;
use crate::genai::GenAiField;
use crate::genai::dialect::{
    ContentNames, DialectRule, IndexedList, NameFamily, NameParts, RuleAction, SpanPart,
};

/// Reads the names that hold content, and adds those whose rules say so.
pub(super) fn read(
    dialect: &Place,
    rules: &[DialectRule],
    lists: &[IndexedList],
    notes: &mut Notes,
) -> ContentNames {
    let (mut names, mut words) = (Vec::new(), Vec::new());
    for rule in rules.iter().filter(|rule| is_content(rule.action)) {
        // Whoever must not see content must not see it where nothing else shows the dialect.
        if rule.is_common { words.push(rule.key) } else { names.push(rule.key) }
    }
    names.extend(lists.iter().map(|list| list.prefix.trim_end_matches('.')));
    let Some(place) = dialect.inner("content", notes) else {
        return ContentNames { names: names.leak(), words: words.leak(), ..ContentNames::NONE };
    };
    place.known(&["names", "exceptions", "words", "common_words", "families", "events"], notes);
    names.extend(place.names("names", notes));
    words.extend(place.names("words", notes));
    let families = place.maps("families", notes);
    let families: Vec<NameFamily> =
        families.iter().filter_map(|place| family(place, notes)).collect();
    ContentNames {
        names: names.leak(),
        exceptions: place.names("exceptions", notes).leak(),
        words: words.leak(),
        common_words: place.names("common_words", notes).leak(),
        families: families.leak(),
        events: place.names("events", notes).leak(),
    }
}

fn family(place: &Place, notes: &mut Notes) -> Option<NameFamily> {
    place.known(&["root", "only", "all_but"], notes);
    let root = place.name("root", notes);
    if root.is_some_and(|root| root.len() < 4 || !root.ends_with('.')) {
        place.refuse("root", "allowed: a text of at least 4 bytes that ends with a dot", notes);
    }
    let (only, all_but) = (place.names("only", notes), place.names("all_but", notes));
    let parts = match (place.has("only"), place.has("all_but")) {
        (true, false) => NameParts::Only(only.leak()),
        (false, true) => NameParts::AllBut(all_but.leak()),
        _ => {
            let at = place.node().at;
            notes.problem(format!("{at} must have one of 'only' and 'all_but'"));
            return None;
        }
    };
    Some(NameFamily { root: root?, parts })
}

const fn is_content(action: RuleAction) -> bool {
    match action {
        RuleAction::To(field)
        | RuleAction::Quoted(field)
        | RuleAction::Words(field, _)
        | RuleAction::Messages(field, _) => is_content_field(field),
        RuleAction::Part(part) => !matches!(part, SpanPart::Name),
        RuleAction::Answer(_)
        | RuleAction::Parameters
        | RuleAction::Prompts
        | RuleAction::ToolTexts
        | RuleAction::ToolNames => true,
        _ => false,
    }
}

const fn is_content_field(field: GenAiField) -> bool {
    matches!(
        field,
        GenAiField::ToolArguments
            | GenAiField::ToolResult
            | GenAiField::ToolDefinitions
            | GenAiField::ToolDescription
            | GenAiField::RetrievalQuery
            | GenAiField::RetrievalDocuments
            | GenAiField::SystemInstructions
            | GenAiField::InputMessages
            | GenAiField::OutputMessages
    )
}
