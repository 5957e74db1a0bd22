//! File section `dialects` of `ai_context`: own dialects, in the form of the built-in tables.

mod content;
mod kinds;
mod place;
mod rules;

use serde_json::Value;

use self::place::Place;
use crate::config::{Node, Notes};
use crate::genai::dialect::{Dialect, DialectRule, DialectSigns, IndexedList, RuleAction};
use crate::genai::{
    AddedDialects, Conventions, DialectCounts, GenAiField, MergedTables, is_built_in, register,
};

/// Reads the section, and every mistake in it.
pub(super) fn read(root: Node<'_>) -> (AddedDialects, Notes) {
    let Some(section) = root.map.get("dialects") else {
        return (AddedDialects::NONE, Notes::default());
    };
    match register(section, tables) {
        Ok(dialects) => (dialects, Notes::default()),
        Err(problems) => {
            let mut notes = Notes::default();
            problems.into_iter().for_each(|problem| notes.problem(problem));
            (AddedDialects::NONE, notes)
        }
    }
}

/// The keys that a dialect has.
const KEYS: [&str; 12] = [
    "name",
    "known_by",
    "rules",
    "lists",
    "kinds",
    "operations",
    "excludes_cache",
    "excludes_cache_of",
    "excludes_reasoning",
    "serves_models",
    "tool_sign",
    "content",
];

fn tables(section: &'static Value) -> Result<MergedTables, Vec<String>> {
    let mut notes = Notes::default();
    let Value::Array(list) = section else {
        return Err(vec!["dialects: allowed: a list of maps".to_owned()]);
    };
    if list.len() > AddedDialects::MAX {
        let most = AddedDialects::MAX;
        notes.problem(format!("dialects: {} are given; allowed: {most}", list.len()));
    }
    let mut dialects: Vec<Dialect> = Vec::new();
    for place in Place::all(list, "dialects", &mut notes) {
        let dialect = dialect(&place, &mut notes);
        if dialects.iter().any(|other| other.name == dialect.name && !other.name.is_empty()) {
            place.refuse("name", "allowed: a name that no other dialect has", &mut notes);
        }
        for key in keys(&dialect).filter(|key| is_taken(*key, &dialects)) {
            let at = place.node().at;
            notes.problem(format!(
                "{at}: the key '{}' is one of a dialect before it; allowed: in both with 'common: \
                 true' and the same meaning",
                key.key
            ));
        }
        dialects.push(dialect);
    }
    let count: usize = dialects.iter().map(|dialect| keys(dialect).count()).sum();
    if count > AddedDialects::MAX_KEYS {
        let most = AddedDialects::MAX_KEYS;
        notes.problem(format!("dialects: they have {count} keys together; allowed: {most}"));
    }
    let problems = notes.finish();
    if problems.is_empty() { Ok(MergedTables::new(dialects)) } else { Err(problems) }
}

/// The keys of a dialect with what they mean.
fn keys(dialect: &Dialect) -> impl Iterator<Item = DialectRule> {
    crate::genai::dialect_rules(dialect)
}

/// Whether another dialect has the key, and means something else by it.
fn is_taken(rule: DialectRule, others: &[Dialect]) -> bool {
    let is_other = |other: DialectRule| {
        let same = other.action == rule.action && other.stays == rule.stays;
        other.key == rule.key && !(other.is_common && rule.is_common && same)
    };
    others.iter().any(|other| keys(other).any(is_other))
}

fn dialect(place: &Place, notes: &mut Notes) -> Dialect {
    place.known(&KEYS, notes);
    let name = name(place, notes).unwrap_or_default();
    let rules = rules::read(place, notes);
    let lists = kinds::lists(place, notes);
    let kinds = kinds::kinds(place, &rules, notes);
    let content = content::read(place, &rules, &lists, notes);
    let detection = signs(place, &rules, &lists, notes);
    check_keys(place, &rules, notes);
    let tool_sign = place.has("tool_sign").then(|| place.field("tool_sign", notes)).flatten();
    Dialect {
        name,
        detection,
        rules: rules.leak(),
        lists: lists.leak(),
        kinds: kinds.leak(),
        operations: operations(place, notes).leak(),
        excludes_cache: place.flag("excludes_cache", notes),
        excludes_cache_of: providers(place, notes).leak(),
        excludes_reasoning: place.flag("excludes_reasoning", notes),
        serves_models: place.flag("serves_models", notes),
        tool_sign,
        content,
    }
}

/// The providers of whose calls it gives input tokens beside the cache.
fn providers(place: &Place, notes: &mut Notes) -> Vec<&'static str> {
    let names = place.names("excludes_cache_of", notes);
    if names.iter().any(|name| crate::genai::provider(name) != *name) {
        let allowed = "allowed: values of gen_ai.provider.name as the conventions have them";
        place.refuse("excludes_cache_of", allowed, notes);
    }
    names
}

fn name(place: &Place, notes: &mut Notes) -> Option<&'static str> {
    let name = place.name("name", notes)?;
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    if !name.bytes().all(is_plain) || name.len() > 64 {
        let allowed = "allowed: up to 64 lower-case letters, digits and underscores";
        place.refuse("name", allowed, notes);
    }
    if is_built_in(name) || DialectCounts::names().any(|known| known == name) {
        place.refuse("name", "allowed: a name that no built-in dialect has", notes);
    }
    Some(name)
}

/// Refuses keys that have their current name, and those that a dialect has twice.
fn check_keys(place: &Place, rules: &[DialectRule], notes: &mut Notes) {
    let at = place.node().at;
    for (index, rule) in rules.iter().enumerate() {
        if GenAiField::ALL.iter().any(|field| field.has_name(rule.key)) {
            notes.problem(format!(
                "{at}.rules: '{}' is a current name; allowed: keys that are to be mapped to one",
                rule.key
            ));
        }
        if rules.iter().take(index).any(|other| other.key == rule.key) {
            notes.problem(format!("{at}.rules: '{}' is there twice; allowed: once", rule.key));
        }
        let built_in = AddedDialects::NONE.keys(Conventions::V1_41);
        let known = built_in.iter().find(|known| known.key == rule.key);
        if known.is_some_and(|known| rule.is_common && known.action != rule.action) {
            notes.problem(format!(
                "{at}.rules: '{}' means something else in a built-in dialect; allowed: without \
                 'common', so that it means this wherever it is",
                rule.key
            ));
        }
        if let RuleAction::MediaType(part) = rule.action
            && !rules.iter().any(|rule| rule.action == RuleAction::Part(part))
        {
            let key = rule.key;
            notes.problem(format!("{at}.rules: '{key}' is the media type of what no rule means"));
        }
    }
}

/// What shows the dialect.
fn signs(
    dialect: &Place,
    rules: &[DialectRule],
    lists: &[IndexedList],
    notes: &mut Notes,
) -> DialectSigns {
    let mut signs = DialectSigns::NONE;
    let mut beginnings = Vec::new();
    if let Some(place) = dialect.inner("known_by", notes) {
        place.known(&["beginnings", "attributes", "values", "first_token_event"], notes);
        beginnings = place.names("beginnings", notes);
        signs.attributes = place.names("attributes", notes).leak();
        signs.values = values(&place, notes).leak();
        if place.has("first_token_event") {
            signs.first_token_event = place.name("first_token_event", notes);
        }
    }
    let own = rules.iter().filter(|rule| !rule.is_common).map(|rule| rule.key);
    let spread = lists.iter().filter(|list| !list.is_common).map(|list| list.prefix);
    let shown: Vec<&str> = own.chain(spread).collect();
    if shown.is_empty() && signs.attributes.is_empty() && signs.values.is_empty() {
        let is_mapped = !(rules.is_empty() && lists.is_empty());
        if is_mapped {
            let at = dialect.node().at;
            notes.problem(format!(
                "{at}: nothing shows the dialect; allowed: a rule without 'common', or \
                 'attributes' or 'values' in 'known_by'"
            ));
        } else if !dialect.has("content") {
            let at = dialect.node().at;
            notes.problem(format!("{at} must have 'rules', 'lists' or 'content'"));
        }
    }
    beginnings.extend(shown);
    beginnings.extend(signs.attributes);
    signs.beginnings = beginnings.leak();
    signs
}

fn values(place: &Place, notes: &mut Notes) -> Vec<(&'static str, &'static str)> {
    let mut values = Vec::new();
    for place in place.maps("values", notes) {
        place.known(&["key", "beginnings"], notes);
        let key = place.name("key", notes);
        if !place.has("beginnings") {
            place.refuse("beginnings", "allowed: a list of texts", notes);
        }
        let beginnings = place.names("beginnings", notes);
        let Some(key) = key else { continue };
        if GenAiField::ALL.iter().any(|field| field.has_name(key)) {
            place.refuse("key", "allowed: a key that is no current name", notes);
        }
        values.extend(beginnings.into_iter().map(|beginning| (key, beginning)));
    }
    values
}

/// What the dialect calls operations under their current name.
fn operations(place: &Place, notes: &mut Notes) -> Vec<(&'static str, &'static str)> {
    let Some(inner) = place.inner("operations", notes) else { return Vec::new() };
    let names = place.words("operations", notes);
    for (name, _) in &names {
        if crate::genai::OPERATIONS.contains(name) {
            // Mapping twice would not be mapping once.
            let at = place.path("operations");
            notes.problem(format!("{at}: '{name}' is an operation; allowed: other names"));
        }
        kinds::operation(&inner, name, notes);
    }
    names
}

#[cfg(test)]
mod tests;
