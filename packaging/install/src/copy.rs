//! The copy: whole or not at all, file by file, so that a Fluent Bit that starts meanwhile, or already
//! has the old file in memory, sees no half of a new one.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What could not be done, and to what.
#[derive(Debug)]
pub(crate) struct Failure {
    path: PathBuf,
    error: io::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(form, "{}: {}", self.path.display(), self.error)
    }
}

/// Names the path that an error is about.
trait At<T> {
    fn at(self, path: &Path) -> Result<T, Failure>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, Failure> {
        self.map_err(|error| Failure { path: path.to_owned(), error })
    }
}

/// Copies all that `from` has into `to`, links as links; in `plugins.conf`, the folder `named` is
/// replaced by `mounted_at`. Returns how many files and links were written.
///
/// # Errors
/// If something cannot be read or written. What was copied before stays.
pub(crate) fn tree(
    from: &Path,
    to: &Path,
    named: &str,
    mounted_at: &str,
) -> Result<usize, Failure> {
    std::fs::create_dir_all(to).at(to)?;
    let mut files = 0;
    for entry in std::fs::read_dir(from).at(from)? {
        let entry = entry.at(from)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().at(&source)?;
        if kind.is_dir() {
            files += tree(&source, &target, named, mounted_at)?;
            continue;
        }
        let part = unfinished(&target);
        std::fs::remove_file(&part).or_else(absent).at(&part)?;
        if kind.is_symlink() {
            let linked = std::fs::read_link(&source).at(&source)?;
            std::os::unix::fs::symlink(linked, &part).at(&part)?;
        } else if entry.file_name() == "plugins.conf" {
            let text = std::fs::read_to_string(&source).at(&source)?;
            std::fs::write(&part, moved(&text, named, mounted_at)).at(&part)?;
        } else {
            std::fs::copy(&source, &part).at(&part)?;
        }
        std::fs::rename(&part, &target).at(&target)?;
        files += 1;
    }
    Ok(files)
}

/// Beside the target, so that it can be renamed to it.
fn unfinished(target: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".new");
    target.with_file_name(name)
}

fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// The text of `plugins.conf` for plugins that lie in `mounted_at`.
fn moved(text: &str, named: &str, mounted_at: &str) -> String {
    text.replace(&format!("{named}/"), &format!("{}/", mounted_at.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::{Path, moved, tree};

    fn image(root: &Path) {
        std::fs::create_dir_all(root.join("conf")).unwrap();
        std::fs::write(root.join("fluent-bit-ai.so"), "code").unwrap();
        std::fs::set_permissions(
            root.join("fluent-bit-ai.so"),
            std::fs::Permissions::from_mode(0o644),
        )
        .unwrap();
        std::os::unix::fs::symlink("fluent-bit-ai.so", root.join("flb-in_ai_otlp.so")).unwrap();
        for folder in ["", "conf"] {
            let text = "[PLUGINS]\n    Path /opt/fluent-bit-ai/flb-in_ai_otlp.so\n";
            std::fs::write(root.join(folder).join("plugins.conf"), text).unwrap();
        }
        std::fs::write(root.join("conf/pipeline.yaml"), "a: /opt/fluent-bit-ai/x\n").unwrap();
    }

    /// Guarantees: files, links and folders arrive; only plugins.conf names the new place.
    #[test]
    fn everything_arrives_and_plugins_conf_names_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("image"), folder.path().join("deep/volume"));
        image(&from);
        for _ in 0..2 {
            assert_eq!(tree(&from, &to, "/opt/fluent-bit-ai", "/fluent-bit/ai/").unwrap(), 5);
            assert_eq!(
                std::fs::read_link(to.join("flb-in_ai_otlp.so")).unwrap(),
                Path::new("fluent-bit-ai.so")
            );
            let names = "[PLUGINS]\n    Path /fluent-bit/ai/flb-in_ai_otlp.so\n";
            for conf in ["plugins.conf", "conf/plugins.conf"] {
                assert_eq!(std::fs::read_to_string(to.join(conf)).unwrap(), names);
            }
            let other = std::fs::read_to_string(to.join("conf/pipeline.yaml")).unwrap();
            assert_eq!(other, "a: /opt/fluent-bit-ai/x\n");
            assert_eq!(std::fs::read_dir(&to).unwrap().count(), 4, "nothing unfinished is left");
        }
    }

    /// Guarantees: a file that is in use is replaced, not written into, and what an interrupted
    /// copy left does not matter.
    #[test]
    fn a_file_in_use_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("image"), folder.path().join("volume"));
        image(&from);
        tree(&from, &to, "/a", "/b").unwrap();
        let old = std::fs::metadata(to.join("fluent-bit-ai.so")).unwrap().ino();
        std::fs::write(to.join(".flb-in_ai_otlp.so.new"), "half").unwrap();
        std::fs::write(from.join("fluent-bit-ai.so"), "newer code").unwrap();
        tree(&from, &to, "/a", "/b").unwrap();
        let new = std::fs::metadata(to.join("fluent-bit-ai.so")).unwrap().ino();
        assert_ne!(old, new);
        assert_eq!(std::fs::read_to_string(to.join("fluent-bit-ai.so")).unwrap(), "newer code");
    }

    /// Guarantees: what is missing is named.
    #[test]
    fn a_failure_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("none");
        let failure = tree(&from, &folder.path().join("to"), "/a", "/b").unwrap_err().to_string();
        assert!(failure.starts_with(&from.display().to_string()), "{failure}");
    }

    #[test]
    fn a_path_that_only_begins_alike_stays() {
        assert_eq!(moved("/opt/ai-old/x /opt/ai/x", "/opt/ai", "/v"), "/opt/ai-old/x /v/x");
    }
}
