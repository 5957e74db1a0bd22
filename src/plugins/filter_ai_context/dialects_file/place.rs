//! Typed reader of one map of the section, whose texts stay for as long as the process runs.

use serde_json::{Map, Value};

use crate::config::{Node, Notes};
use crate::genai::GenAiField;

/// The longest name of an attribute, and the longest beginning of one.
const LONGEST: usize = 256;

/// Pairs of a name and what stands for it.
pub(super) type Pairs<T> = Vec<(&'static str, T)>;

/// One map of the section, and where it stands, for example `dialects[0].rules[2]`.
pub(super) struct Place {
    map: &'static Map<String, Value>,
    at: String,
}

impl Place {
    /// The maps of a list.
    pub(super) fn all(list: &'static [Value], at: &str, notes: &mut Notes) -> Vec<Self> {
        let mut places = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            let at = format!("{at}[{index}]");
            match value {
                Value::Object(map) => places.push(Self { map, at }),
                _ => notes.problem(format!("{at} must be a map")),
            }
        }
        places
    }

    pub(super) fn node(&self) -> Node<'_> {
        Node { map: self.map, at: &self.at }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Refuses the keys that are not among these.
    pub(super) fn known(&self, keys: &[&str], notes: &mut Notes) {
        notes.known(self.node(), keys);
    }

    /// Refuses the value under a key.
    pub(super) fn refuse(&self, key: &str, allowed: &str, notes: &mut Notes) {
        notes.refuse(self.node(), key, allowed);
    }

    /// The path of what is under a key.
    pub(super) fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.at)
    }

    /// The maps of the list under a key; none where there is no list.
    pub(super) fn maps(&self, key: &str, notes: &mut Notes) -> Vec<Self> {
        match self.map.get(key) {
            None => Vec::new(),
            Some(Value::Array(list)) => Self::all(list, &self.path(key), notes),
            Some(_) => {
                self.refuse(key, "allowed: a list of maps", notes);
                Vec::new()
            }
        }
    }

    /// The map under a key, if there is one.
    pub(super) fn inner(&self, key: &str, notes: &mut Notes) -> Option<Self> {
        match self.map.get(key)? {
            Value::Object(map) => Some(Self { map, at: self.path(key) }),
            _ => {
                self.refuse(key, "allowed: a map", notes);
                None
            }
        }
    }

    /// The switch under a key, which is off where there is none.
    pub(super) fn flag(&self, key: &str, notes: &mut Notes) -> bool {
        notes.flag(self.node(), key, false).unwrap_or(false)
    }

    /// The name under a key, which must be there.
    pub(super) fn name(&self, key: &str, notes: &mut Notes) -> Option<&'static str> {
        let name = self.map.get(key).and_then(Value::as_str).filter(|name| is_name(name));
        if name.is_none() {
            self.refuse(key, &format!("allowed: a text of 1 to {LONGEST} bytes"), notes);
        }
        name
    }

    /// The names under a key; none where there is no list.
    pub(super) fn names(&self, key: &str, notes: &mut Notes) -> Vec<&'static str> {
        let Some(value) = self.map.get(key) else { return Vec::new() };
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let names = list.iter().filter_map(Value::as_str).filter(|name| is_name(name));
        let names: Vec<&str> = names.collect();
        if names.is_empty() || names.len() != list.len() {
            self.refuse(key, &format!("allowed: a list of texts of 1 to {LONGEST} bytes"), notes);
        }
        names
    }

    /// What one of some words stands for, which must be there.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        choices: &[(&str, T)],
        notes: &mut Notes,
    ) -> Option<T> {
        let said = self.map.get(key).and_then(Value::as_str);
        let chosen = choices.iter().find(|(word, _)| Some(*word) == said);
        if chosen.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.refuse(key, &format!("allowed: {}", words.join(", ")), notes);
        }
        chosen.map(|(_, value)| *value)
    }

    /// The attribute of the conventions that is named under a key.
    pub(super) fn field(&self, key: &str, notes: &mut Notes) -> Option<GenAiField> {
        let field = self.map.get(key).and_then(Value::as_str).and_then(field);
        if field.is_none() {
            self.refuse(key, &fields_allowed(), notes);
        }
        field
    }

    /// The map under a key, as pairs of texts.
    pub(super) fn words(&self, key: &str, notes: &mut Notes) -> Pairs<&'static str> {
        self.pairs(key, Value::as_str, "allowed: a map of texts", notes)
    }

    /// The map under a key, as pairs of a text and an attribute of the conventions.
    pub(super) fn fields(&self, key: &str, notes: &mut Notes) -> Pairs<GenAiField> {
        let read = |value: &'static Value| value.as_str().and_then(field);
        self.pairs(key, read, &fields_allowed(), notes)
    }

    fn pairs<T>(
        &self,
        key: &str,
        read: impl Fn(&'static Value) -> Option<T>,
        allowed: &str,
        notes: &mut Notes,
    ) -> Pairs<T> {
        let Some(value) = self.map.get(key) else { return Vec::new() };
        let given = value.as_object().map(Map::iter).into_iter().flatten();
        let read = given.map(|(name, value)| Some((name.as_str(), read(value)?)));
        let pairs = read.collect::<Option<Pairs<T>>>().unwrap_or_default();
        if pairs.is_empty() {
            self.refuse(key, allowed, notes);
        }
        pairs
    }
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len())
}

/// What a rule may give a value to. The operation follows from the span's kind.
fn is_target(field: GenAiField) -> bool {
    !matches!(field, GenAiField::OperationName | GenAiField::Inferred)
}

/// The attribute of this name, in whichever release of the conventions.
fn field(name: &str) -> Option<GenAiField> {
    let mut targets = GenAiField::ALL.iter().copied().filter(|field| is_target(*field));
    targets.find(|field| field.has_name(name))
}

fn fields_allowed() -> String {
    let targets = GenAiField::ALL.iter().filter(|field| is_target(**field));
    let names: Vec<&str> = targets.map(|field| field.name()).collect();
    format!(
        "allowed: {}; gen_ai.operation.name follows from a rule that means 'kind'",
        names.join(", ")
    )
}
