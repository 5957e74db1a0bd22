//! The options `endpoint.NAME.attributes.*`.

use super::endpoint::{Given, last};
use super::together::Wrong;
use crate::config::parse_list;
use crate::digest::Digest;
use crate::export::{AttributeKey, AttributeRules};

/// Reads the rules; `None` if there are none.
///
/// # Errors
/// The key of the option that is wrong, and what is allowed.
pub(super) fn parse(given: &Given) -> Result<Option<AttributeRules>, Wrong> {
    let all = |key: &str| -> Vec<&str> {
        let found = given.iter().filter(|(known, _)| known == key);
        found.map(|(_, value)| value.trim()).collect()
    };
    let mut rules = AttributeRules::default();
    for text in all("attributes.add") {
        for (key, value) in pairs(text, "attributes.add")? {
            whole(&key, "attributes.add")?;
            rules.add.push((AttributeKey::parse(&key), value));
        }
    }
    for text in all("attributes.rename") {
        for (old, new) in pairs(text, "attributes.rename")? {
            let (old, new) = (AttributeKey::parse(&old), AttributeKey::parse(&new));
            whole(&old.name, "attributes.rename")?;
            whole(&new.name, "attributes.rename")?;
            if old.of_resource != new.of_resource {
                let words = "a name stays where it is: write resource.OLD=resource.NEW";
                return Err(("attributes.rename", words.to_owned()));
            }
            rules.rename.push((old, new.name));
        }
    }
    let keys = |option: &str| -> Vec<AttributeKey> {
        let words = all(option).into_iter().flat_map(parse_list);
        words.map(|word| AttributeKey::parse(&word)).collect()
    };
    rules.drop = keys("attributes.drop");
    rules.hash = keys("attributes.hash");
    if let Some(key) = last(given, "attributes.hash_key") {
        if rules.hash.is_empty() {
            return Err(("attributes.hash_key", "it needs attributes.hash".to_owned()));
        }
        rules.digest = Digest::keyed(key.as_bytes());
    }
    Ok((!rules.is_empty()).then_some(rules))
}

/// Refuses a name that stands for several.
fn whole(name: &str, option: &'static str) -> Result<(), Wrong> {
    if name.ends_with('*') {
        return Err((option, format!("'{name}': a '*' can stand only in drop and hash")));
    }
    Ok(())
}

/// `key=value`, several separated by commas; a comma that no `key=` follows belongs to the value.
fn pairs(text: &str, option: &'static str) -> Result<Vec<(String, String)>, Wrong> {
    let wrong = || (option, "write KEY=VALUE, several separated by commas".to_owned());
    let mut pairs: Vec<(String, String)> = Vec::new();
    for piece in text.split(',') {
        match (piece.split_once('='), pairs.last_mut()) {
            (Some((key, _)), _) if key.trim().is_empty() => return Err(wrong()),
            (Some((key, value)), _) => pairs.push((key.trim().to_owned(), value.trim().to_owned())),
            (None, Some((_, value))) => {
                value.push(',');
                value.push_str(piece);
            }
            (None, None) => return Err(wrong()),
        }
    }
    Ok(pairs)
}
