//! Support statement: what is known of a Fluent Bit that does not run.

use super::abi::policy::{self, Chosen, ReleasePolicy};
use super::abi::program;
use super::abi::rows;
use super::proof;

/// What is known of a release before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostSupport {
    /// It is in the table of releases.
    Listed {
        /// The first release with its layout.
        layout: &'static str,
    },
    /// It is newer than the table, and runs if the layout holds, which it proves at its start.
    Unproved {
        /// The first release with the layout that is tried.
        layout: &'static str,
    },
}

/// What a user is told of an instance too many.
pub const LOADED_TWICE: &str = proof::SURPLUS;

/// What is known of a release, as the plugins find it out when they are loaded.
///
/// # Errors
/// What they would say when they refuse it.
pub fn support_of(release: &str) -> Result<HostSupport, String> {
    let policy = ReleasePolicy::from_environment()?;
    let (row, chosen) = policy::choose(rows::known()?, release, policy)?;
    let layout = row.since;
    Ok(match chosen {
        Chosen::Stated | Chosen::Table => HostSupport::Listed { layout },
        Chosen::Symbols | Chosen::Patch | Chosen::Newest => HostSupport::Unproved { layout },
    })
}

/// The release that the bytes of a program name, as they do where it runs.
#[must_use]
pub fn release_of_program(bytes: &[u8]) -> Option<String> {
    program::release_in(bytes)
}

/// What the first instance of a run says in its line about the host: the release, and the rest, which
/// is the layout and how many fields were found in place. `None` of any other line.
#[must_use]
pub fn announced(line: &str) -> Option<(&str, &str)> {
    let (_, said) = line.split_once("fluent-bit-ai ")?;
    let (_, host) = said.split_once(" in Fluent Bit ")?;
    host.split_once(": ").filter(|(_, rest)| rest.contains("layout of "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_listed_unproved_or_refused() {
        assert_eq!(support_of("4.2.8"), Ok(HostSupport::Listed { layout: "4.2.4" }));
        assert_eq!(support_of("5.1.99"), Ok(HostSupport::Unproved { layout: "5.1.0" }));
        for release in ["2.2.3", "9.0.0", "nonsense"] {
            assert!(support_of(release).unwrap_err().contains("supported are"), "{release}");
        }
    }

    #[test]
    fn the_line_about_the_host_is_known_from_others() {
        let line = "[2026/11/29 12:00:00] [ info] [input:ai_emitter:x] fluent-bit-ai 0.2.0 in Fluent Bit \
                    5.1.1: layout of 5.1.0, which covers this release; 36 fields of this instance found in place";
        let (release, rest) = announced(line).unwrap();
        assert_eq!(release, "5.1.1");
        assert!(rest.starts_with("layout of 5.1.0") && rest.ends_with("found in place"), "{rest}");
        assert_eq!(announced("[info] fluent-bit-ai 0.2.0"), None);
        assert_eq!(announced("[ info] [fluent bit] version=5.1.1"), None);
    }
}
