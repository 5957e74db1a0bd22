//! Options `endpoint.NAME.attributes.*`.

use super::values::WrongValue;
use crate::config::parse_list;
use crate::export::{AttributeKey, AttributeRules};

/// Reads `KEY=VALUE` pairs.
///
/// # Errors
/// What is allowed.
pub(super) fn add(rules: &mut AttributeRules, text: &str) -> Result<(), WrongValue> {
    for (key, value) in pairs(text)? {
        whole(&key)?;
        rules.add.push((AttributeKey::parse(&key), value));
    }
    Ok(())
}

/// Reads `OLD=NEW` pairs.
///
/// # Errors
/// What is allowed.
pub(super) fn rename(rules: &mut AttributeRules, text: &str) -> Result<(), WrongValue> {
    for (old, new) in pairs(text)? {
        let (old, new) = (AttributeKey::parse(&old), AttributeKey::parse(&new));
        whole(&old.name)?;
        whole(&new.name)?;
        if old.of_resource != new.of_resource {
            return Err("a name stays where it is: write resource.OLD=resource.NEW".to_owned());
        }
        rules.rename.push((old, new.name));
    }
    Ok(())
}

/// Reads names, separated by commas.
pub(super) fn keys(text: &str) -> Vec<AttributeKey> {
    parse_list(text).iter().map(|name| AttributeKey::parse(name)).collect()
}

/// Refuses a name that stands for several.
fn whole(name: &str) -> Result<(), WrongValue> {
    if name.ends_with('*') {
        return Err(format!("'{name}': a '*' can stand only in drop and hash"));
    }
    Ok(())
}

/// `key=value`, several separated by commas; a comma that no `key=` follows belongs to the value.
fn pairs(text: &str) -> Result<Vec<(String, String)>, WrongValue> {
    let wrong = || "write KEY=VALUE, several separated by commas".to_owned();
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
