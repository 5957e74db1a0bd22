//! `${NAME}` in values: what the configuration sets, and else what the environment says.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// Where values of variables come from.
#[derive(Debug, Default)]
pub struct Variables {
    set: BTreeMap<String, String>,
    missing: RefCell<Vec<String>>,
}

impl Variables {
    /// The environment of this process, and before it what a configuration sets.
    #[must_use]
    pub fn new(set: &[(String, String)]) -> Self {
        let mut variables = Self { set: set.iter().cloned().collect(), ..Self::default() };
        // The host knows its name whether or not the environment does.
        if !variables.set.contains_key("HOSTNAME")
            && std::env::var_os("HOSTNAME").is_none()
            && let Ok(name) = std::fs::read_to_string("/proc/sys/kernel/hostname")
        {
            variables.set.insert("HOSTNAME".to_owned(), name.trim_end().to_owned());
        }
        variables
    }

    /// The text with each `${NAME}` replaced; what nothing sets is empty, as in the host.
    #[must_use]
    pub fn expand(&self, text: &str) -> String {
        let mut whole = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}').filter(|(name, _)| !name.is_empty())
            else {
                break;
            };
            whole.push_str(before);
            match self.value(name) {
                Some(value) => whole.push_str(&value),
                None => self.missing.borrow_mut().push(name.to_owned()),
            }
            rest = tail;
        }
        whole.push_str(rest);
        whole
    }

    fn value(&self, name: &str) -> Option<String> {
        let own = self.set.get(name).cloned();
        own.or_else(|| std::env::var(name).ok()).filter(|value| !value.is_empty())
    }

    /// The names that were asked for since the last call and that nothing sets.
    #[must_use]
    pub fn take_missing(&self) -> Vec<String> {
        self.missing.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_variable_stays() {
        let set = [("PORT".to_owned(), "4317".to_owned()), ("EMPTY".to_owned(), String::new())];
        let variables = Variables::new(&set);
        for (text, expected) in [
            ("a$b ${c", "a$b ${c"),
            ("${}x", "${}x"),
            ("${PORT}", "4317"),
            ("1${PORT}2${PORT}", "1431724317"),
            ("x${EMPTY}${NOWHERE_SET_16}y", "xy"),
        ] {
            assert_eq!(variables.expand(text), expected, "{text}");
        }
        assert_eq!(variables.take_missing(), ["EMPTY", "NOWHERE_SET_16"]);
        assert!(variables.take_missing().is_empty());
        assert!(!variables.expand("${HOSTNAME}").is_empty());
    }
}
