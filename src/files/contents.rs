//! Files that are read again when their content changes.

use std::io::Read;
use std::path::{Path, PathBuf};

use ring::digest;

/// Larger files are none of ours.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Files that belong together.
#[derive(Debug)]
pub(super) struct Files {
    paths: Vec<PathBuf>,
    seen: Vec<u8>,
}

impl Files {
    /// Remembers what the files contain now.
    pub(super) fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        let seen = content(&paths);
        Self { paths, seen }
    }

    /// Whether any file has another content than when this was asked last. Contents are compared,
    /// not times, because some file systems have coarse times and mounted secrets are links.
    pub(super) fn changed(&mut self) -> bool {
        if self.paths.is_empty() {
            return false;
        }
        let now = content(&self.paths);
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

/// A digest over the contents; a file that cannot be read counts as a content of its own.
fn content(paths: &[PathBuf]) -> Vec<u8> {
    let mut all = digest::Context::new(&digest::SHA256);
    for path in paths {
        match read(path) {
            Ok(bytes) => all.update(digest::digest(&digest::SHA256, &bytes).as_ref()),
            Err(_) => all.update(b"unreadable"),
        }
    }
    all.finish().as_ref().to_vec()
}

/// Reads a file of at most 4 MiB.
///
/// # Errors
/// Words that follow the name of the option: the path and why.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let file = std::fs::File::open(path);
    let file = file.map_err(|error| format!("'{shown}' cannot be read: {error}"))?;
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err(format!("'{shown}' is no file"));
    }
    let mut bytes = Vec::new();
    let read = file.take(MOST_BYTES.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| format!("'{shown}' cannot be read: {error}"))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MOST_BYTES {
        return Err(format!("'{shown}' has more than 4 MiB"));
    }
    Ok(bytes)
}

/// The same for text.
///
/// # Errors
/// The same, or it is not UTF-8.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    String::from_utf8(read(path)?).map_err(|_| format!("'{}' is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_compared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "1").unwrap();
        let mut files = Files::new([path.clone(), folder.path().join("none")]);
        assert!(!files.changed());
        std::fs::write(&path, "1").unwrap();
        assert!(!files.changed());
        std::fs::write(&path, "2").unwrap();
        assert!(files.changed());
        assert!(!files.changed());
        std::fs::remove_file(&path).unwrap();
        assert!(files.changed());
        assert!(read(&path).unwrap_err().contains("cannot be read"));
        assert!(read(folder.path()).unwrap_err().contains("is no file"));
    }
}
