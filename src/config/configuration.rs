//! Config file locator: the host's own configuration file, as the host's command line names it.
//!
//! The host looks for the files that its configuration names (parsers, plugins, streams) where it
//! runs, and then beside the configuration. It hands plugins neither that folder nor the form of the
//! configuration, so both are taken from its command line.

use std::path::{Path, PathBuf};

/// How a configuration is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigurationFormat {
    /// `[INPUT]` and its likes, which everything is that is not named otherwise.
    Classic,
    /// YAML: `.yaml` or `.yml`.
    Yaml,
}

/// The configuration that this process was started with; `None` where there is none, or where the
/// host is a part of another program.
#[must_use]
pub fn configuration_file() -> Option<PathBuf> {
    let named = named_in(&std::fs::read("/proc/self/cmdline").ok()?)?;
    std::fs::canonicalize(named).ok()
}

/// The form of a configuration, as the host knows it by the file's name.
#[must_use]
pub fn format_of(configuration: &Path) -> ConfigurationFormat {
    match configuration.extension().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml") => ConfigurationFormat::Yaml,
        _ => ConfigurationFormat::Classic,
    }
}

/// What the last `-c` or `--config` of a command line names, whose arguments each
/// end with a zero byte.
fn named_in(command_line: &[u8]) -> Option<PathBuf> {
    let mut arguments = command_line.split(|byte| *byte == 0).skip(1);
    let mut named = None;
    while let Some(argument) = arguments.next() {
        match argument {
            b"--" => break,
            b"-c" | b"--config" => named = arguments.next().or(named),
            _ => {
                let attached =
                    argument.strip_prefix(b"--config=").or_else(|| argument.strip_prefix(b"-c"));
                named = attached.or(named);
            }
        }
    }
    let named = std::str::from_utf8(named?).ok()?;
    (!named.is_empty()).then(|| PathBuf::from(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_names_the_configuration() {
        for (arguments, expected) in [
            (&["fluent-bit", "-c", "/etc/fluent-bit.conf"][..], Some("/etc/fluent-bit.conf")),
            (&["fluent-bit", "-q", "--config", "a.yaml", "-v"], Some("a.yaml")),
            (&["fluent-bit", "--config=a.yaml"], Some("a.yaml")),
            (&["fluent-bit", "-ca.yaml", "-c", "b.yaml"], Some("b.yaml")),
            (&["-c", "x"], None),
            (&["fluent-bit", "-i", "dummy", "-o", "stdout"], None),
            (&["fluent-bit", "-c"], None),
            (&["fluent-bit", "--", "-c", "x"], None),
            (&[], None),
        ] {
            let line: Vec<u8> = arguments
                .iter()
                .flat_map(|argument| [argument.as_bytes(), b"\0"])
                .flatten()
                .copied()
                .collect();
            assert_eq!(named_in(&line), expected.map(PathBuf::from), "{arguments:?}");
        }
    }

    #[test]
    fn the_name_tells_the_form() {
        for (name, format) in [
            ("a.yaml", ConfigurationFormat::Yaml),
            ("/x/a.yml", ConfigurationFormat::Yaml),
            ("a.conf", ConfigurationFormat::Classic),
            ("yaml", ConfigurationFormat::Classic),
        ] {
            assert_eq!(format_of(Path::new(name)), format, "{name}");
        }
        // The tests' own command line has none.
        assert_eq!(configuration_file(), None);
    }
}
