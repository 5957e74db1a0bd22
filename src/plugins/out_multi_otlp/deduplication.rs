//! Options `endpoint.NAME.deduplicate_*`.

use std::time::Duration;

use super::given::WrongOption;
use super::values::WrongValue;
use crate::config::{parse_duration, parse_list, parse_size};
use crate::export::{AttributeKey, DeduplicationSettings};

const WINDOW: Duration = Duration::from_secs(600);
const MAX_WINDOW: Duration = Duration::from_secs(86_400);
const MIN_SIZE: usize = 1_000;
/// From here on an address is certainly shorter than what it stands for.
const LEAST_SIZE: u64 = 200;

const ALLOWED: &str = "allowed: off, or one or more of system, tools, input and names of attributes, \
                       which have a '.', separated by commas";

/// The attributes that a word stands for: in the current conventions, in OpenInference and in OpenLLMetry,
/// where those have one.
const WORDS: [(&str, &[&str]); 3] = [
    ("system", &["gen_ai.system_instructions"]),
    ("tools", &["gen_ai.tool.definitions", "llm.tools.*", "llm.request.functions.*"]),
    ("input", &["gen_ai.input.messages", "llm.input_messages.*", "input.value", "gen_ai.prompt.*"]),
];

/// What is read of these options so far.
#[derive(Default)]
pub(super) struct DeduplicationDraft {
    /// Empty where it is switched off.
    pub(super) names: Option<Vec<AttributeKey>>,
    pub(super) window: Option<Duration>,
    pub(super) min_size: Option<usize>,
}

impl DeduplicationDraft {
    /// The settings, once all options are read; `None` where it is off.
    ///
    /// # Errors
    /// An option that has no effect.
    pub(super) fn finish(self) -> Result<Option<DeduplicationSettings>, WrongOption> {
        let needs = |key| Err((key, "it needs 'deduplicate_content'".to_owned()));
        match (self.names, self.window, self.min_size) {
            (None, Some(_), _) => needs("deduplicate_window"),
            (None, None, Some(_)) => needs("deduplicate_min_size"),
            (None, None, None) => Ok(None),
            (Some(names), ..) if names.is_empty() => Ok(None),
            (Some(names), window, min_size) => Ok(Some(DeduplicationSettings {
                names,
                window: window.unwrap_or(WINDOW),
                min_size: min_size.unwrap_or(MIN_SIZE),
            })),
        }
    }
}

/// Reads what is deduplicated; nothing for `off`.
///
/// # Errors
/// What is allowed.
pub(super) fn names(value: &str) -> Result<Vec<AttributeKey>, WrongValue> {
    let given = parse_list(value);
    if let [only] = given.as_slice()
        && only.eq_ignore_ascii_case("off")
    {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for given in given {
        let word = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(&given));
        match word {
            Some((_, all)) => names.extend(all.iter().map(|name| AttributeKey::parse(name))),
            None if given.contains('.') => names.push(AttributeKey::parse(&given)),
            None => return Err(ALLOWED.to_owned()),
        }
    }
    if names.iter().any(|name| name.of_resource) {
        return Err("attributes of a resource are never replaced".to_owned());
    }
    if names.is_empty() { Err(ALLOWED.to_owned()) } else { Ok(names) }
}

pub(super) fn window(value: &str) -> Result<Duration, WrongValue> {
    parse_duration(value)
        .filter(|window| window.as_secs() >= 1 && *window <= MAX_WINDOW)
        .ok_or_else(|| "allowed: a duration from 1s to 24h such as 10m".to_owned())
}

pub(super) fn min_size(value: &str) -> Result<usize, WrongValue> {
    parse_size(value)
        .filter(|size| *size >= LEAST_SIZE)
        .and_then(|size| usize::try_from(size).ok())
        .ok_or_else(|| "allowed: a size from 200 bytes such as 1k".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_attributes_and_names_for_themselves() {
        let texts = |value| {
            let names = names(value)?;
            Ok::<_, String>(names.into_iter().map(|key| key.name).collect::<Vec<_>>())
        };
        assert_eq!(texts("off"), Ok(Vec::new()));
        assert_eq!(texts("System"), Ok(vec!["gen_ai.system_instructions".to_owned()]));
        let mixed = texts("tools, my.prompt, their.*").unwrap();
        assert_eq!(mixed.len(), 5);
        assert_eq!(mixed.last().map(String::as_str), Some("their.*"));
        for wrong in ["", "on", "prompts", "off, system", "system tools"] {
            assert_eq!(texts(wrong), Err(ALLOWED.to_owned()), "{wrong}");
        }
        assert!(texts("resource.my.prompt").unwrap_err().contains("resource"));
    }

    #[test]
    fn windows_and_sizes_have_bounds() {
        assert_eq!(window("10m"), Ok(WINDOW));
        assert!(window("0").is_err() && window("25h").is_err() && window("x").is_err());
        assert_eq!(min_size("4k"), Ok(4_000));
        assert!(min_size("199").is_err() && min_size("x").is_err());
    }

    #[test]
    fn options_without_effect_are_refused() {
        let draft = |names: Option<&str>, window, min_size| {
            let names = names.map(|names| super::names(names).unwrap());
            DeduplicationDraft { names, window, min_size }.finish()
        };
        assert_eq!(draft(None, None, None), Ok(None));
        assert_eq!(draft(None, Some(WINDOW), None).unwrap_err().0, "deduplicate_window");
        assert_eq!(draft(None, None, Some(500)).unwrap_err().0, "deduplicate_min_size");
        // A member of a group may do without what the group says.
        assert_eq!(draft(Some("off"), Some(WINDOW), Some(500)), Ok(None));
        let settings = draft(Some("system"), None, Some(500)).unwrap().unwrap();
        assert_eq!((settings.window, settings.min_size), (WINDOW, 500));
    }
}
