//! Fluent Bit's `plugins_file`: names of shared objects, in classic form or in YAML.

use std::path::{Path, PathBuf};

use super::{document, environment};

/// Reads a file whose name is relative to the folder of the configuration.
///
/// # Errors
/// One line that says what is wrong, and on which line.
pub(super) fn read(folder: &Path, name: &str) -> Result<Vec<PathBuf>, String> {
    let path = folder.join(name);
    let wrong = |problem: String| format!("plugins_file {}: {problem}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let is_yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let paths = if is_yaml { document::parse(&text).map(|it| it.plugins) } else { classic(&text) };
    let paths = paths.map_err(wrong)?;
    Ok(paths.iter().map(|path| PathBuf::from(environment::expand(path))).collect())
}

/// A `[PLUGINS]` section with a line `Path FILE` for each.
fn classic(text: &str) -> Result<Vec<String>, String> {
    let mut paths = Vec::new();
    let mut inside = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[') {
            inside = line.eq_ignore_ascii_case("[plugins]");
            continue;
        }
        match line.split_once(char::is_whitespace) {
            Some((key, path)) if inside && key.eq_ignore_ascii_case("path") => {
                paths.push(path.trim().to_owned());
            }
            _ => return Err(format!("line {number} is not 'Path FILE' in [PLUGINS]")),
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_files() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "plugins.conf",
            "# ours\n[PLUGINS]\n    Path /opt/flb-in_a.so\n    path  /opt/b.so\n",
        );
        write("plugins.yaml", "plugins:\n  - /opt/flb-in_a.so\n  - /opt/b.so\n");
        write("wrong.conf", "[PLUGINS]\n    Pat /opt/flb-in_a.so\n");
        let both = [PathBuf::from("/opt/flb-in_a.so"), PathBuf::from("/opt/b.so")];
        assert_eq!(read(folder.path(), "plugins.conf").unwrap(), both);
        assert_eq!(read(folder.path(), "plugins.yaml").unwrap(), both);
        assert!(read(folder.path(), "wrong.conf").unwrap_err().contains("line 2"));
        assert!(read(folder.path(), "absent.conf").unwrap_err().contains("absent.conf"));
    }
}
