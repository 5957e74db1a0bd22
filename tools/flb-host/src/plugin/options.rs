//! The options that a plugin declares, and the check of what the user gave.

use std::collections::BTreeMap;

use fluent_bit_ai::host::abi::structs::ConfigMap;

use crate::memory::Addr;

const PREFIX: i32 = 1;
const REPEATS: i32 = 1;
const MAX_ENTRIES: usize = 512;

/// One entry of a plugin's table.
#[derive(Debug, Clone)]
pub(crate) struct OptionEntry {
    /// The host's number of the type.
    pub(crate) kind: i32,
    /// The name; the start of a family's names.
    pub(crate) name: String,
    /// The value when none is given.
    pub(crate) default: Option<String>,
    /// The host's flags.
    pub(crate) flags: i32,
    /// Where the entry lies, for the copy that instances get.
    pub(crate) address: Addr,
    help: String,
}

/// Reads a table up to the entry without a name. `None` if there is no table.
pub(crate) fn read(table: Addr, at: &ConfigMap) -> Option<Vec<OptionEntry>> {
    if table.is_null() {
        return None;
    }
    let entries = (0..MAX_ENTRIES)
        .map_while(|index| {
            let address = table.plus(index * at.size);
            let name = address.plus(at.name).read::<Addr>().text()?;
            Some(OptionEntry {
                kind: address.plus(at.kind).read(),
                name,
                default: address.plus(at.def_value).read::<Addr>().text(),
                flags: address.plus(at.flags).read(),
                address,
                help: address.plus(at.desc).read::<Addr>().text().unwrap_or_default(),
            })
        })
        .collect();
    Some(entries)
}

impl OptionEntry {
    const fn type_name(&self) -> &'static str {
        match self.kind {
            0 => "string",
            PREFIX => "prefixed string",
            2 => "integer",
            3 => "boolean",
            4 => "double",
            5 => "size",
            6 => "time",
            7 => "deprecated",
            30..=34 => "multiple comma delimited strings",
            40..=44 => "space delimited strings",
            50 => "variant",
            _ => "unknown",
        }
    }

    /// What `-h` prints for it.
    pub(crate) fn help(&self) -> String {
        let default =
            self.default.as_ref().map(|value| format!("default: {value}, ")).unwrap_or_default();
        format!(
            "{:<28}{}\n{:<28}> {default}type: {}\n\n",
            self.name,
            self.help,
            "",
            self.type_name()
        )
    }

    fn takes(&self, key: &str) -> bool {
        if self.kind == PREFIX {
            return key.len() > self.name.len()
                && key
                    .get(..self.name.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(&self.name));
        }
        key.eq_ignore_ascii_case(&self.name)
    }
}

/// Checks what was given as the host does: known names, and once only unless declared otherwise.
///
/// # Errors
/// One line that names the option and says what is allowed.
pub(crate) fn check(
    instance: &str,
    options: &[OptionEntry],
    given: &[(String, String)],
) -> Result<(), String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (key, _) in given {
        let Some(entry) = options.iter().find(|entry| entry.takes(key)) else {
            let names: Vec<&str> = options.iter().map(|entry| entry.name.as_str()).collect();
            return Err(format!(
                "{instance}: unknown configuration property '{key}'. \
                 The following properties are allowed: {}.",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            ));
        };
        let count = counts.entry(key.to_ascii_lowercase()).or_default();
        *count += 1;
        if *count > 1 && entry.flags & REPEATS == 0 {
            return Err(format!("{instance}: configuration property '{key}' is set {count} times"));
        }
        if entry.kind == 3 && !is_boolean(given, key) {
            return Err(format!("{instance}: invalid value for boolean property '{key}'"));
        }
    }
    Ok(())
}

fn is_boolean(given: &[(String, String)], key: &str) -> bool {
    given.iter().filter(|(name, _)| name == key).all(|(_, value)| {
        ["on", "off", "true", "false", "yes", "no", "1", "0"]
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, kind: i32, flags: i32) -> OptionEntry {
        OptionEntry {
            kind,
            name: name.into(),
            default: None,
            flags,
            address: Addr::NULL,
            help: String::new(),
        }
    }

    fn given(text: &str) -> Vec<(String, String)> {
        text.split_whitespace()
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn options_are_checked_as_the_host_does() {
        let options =
            [entry("size", 5, 0), entry("rule", 0, 1), entry("end.", 1, 0), entry("flag", 3, 0)];
        let check = |text: &str| check("x.0", &options, &given(text));
        assert_eq!(check("Size=1 rule=a rule=b end.apm.url=c flag=On"), Ok(()));
        assert!(check("sise=1").unwrap_err().contains("unknown configuration property 'sise'"));
        assert!(check("size=1 SIZE=2").unwrap_err().contains("2 times"));
        assert!(check("end.=2").unwrap_err().contains("unknown"));
        assert!(check("flag=maybe").unwrap_err().contains("boolean"));
    }
}
