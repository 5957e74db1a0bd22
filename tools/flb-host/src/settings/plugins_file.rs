//! Fluent Bit's `plugins_file`: names of shared objects, in classic form or in YAML.

use std::path::{Path, PathBuf};

use super::environment;
use super::file_form::parse;

/// Reads a file whose name is relative to the folder of the configuration.
///
/// # Errors
/// One line that says what is wrong, and on which line.
pub(super) fn read(folder: &Path, name: &str) -> Result<Vec<PathBuf>, String> {
    let path = folder.join(name);
    let wrong = |problem: String| format!("plugins_file {}: {problem}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let paths = parse(&path, &text).map_err(wrong)?.plugins;
    Ok(paths.iter().map(|path| PathBuf::from(environment::expand(path))).collect())
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
        assert!(read(folder.path(), "wrong.conf").unwrap_err().contains("'Pat'"));
        assert!(read(folder.path(), "absent.conf").unwrap_err().contains("absent.conf"));
    }
}
