//! The inputs and outputs that the host has itself, for tests of the others.

mod print;
mod sinks;
mod sources;

pub(crate) use sinks::BuiltinOutput;
pub(crate) use sources::BuiltinInput;

use crate::settings::Section;

/// Refuses what a built-in does not know.
///
/// # Errors
/// One line that names the property and what is allowed.
fn only(section: &Section, core: &[&str], own: &[&str]) -> Result<(), String> {
    for (key, _) in section.pairs() {
        let known =
            core.iter().chain(own).any(|name| name.eq_ignore_ascii_case(key)) || key == "name";
        if !known {
            let name = section.get("name").unwrap_or_default();
            return Err(format!(
                "{name}: unknown configuration property '{key}'. \
                 The following properties are allowed: {}.",
                own.join(", ")
            ));
        }
    }
    Ok(())
}
