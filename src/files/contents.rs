//! Change detection by content: whether files have other contents than before.

use std::path::PathBuf;

use ring::digest;

use super::{MAX_CREDENTIALS, read};

/// Files that belong together.
#[derive(Debug)]
pub struct FileContents {
    paths: Vec<PathBuf>,
    seen: Vec<u8>,
}

impl FileContents {
    /// Remembers what the files contain now.
    #[must_use]
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        let seen = content(&paths);
        Self { paths, seen }
    }

    /// Whether any file has another content than when this was asked last. Contents are compared,
    /// not times, because some file systems have coarse times and mounted secrets are links.
    pub fn changed(&mut self) -> bool {
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
        match read(path, MAX_CREDENTIALS) {
            Ok(bytes) => all.update(digest::digest(&digest::SHA256, &bytes).as_ref()),
            Err(_) => all.update(b"unreadable"),
        }
    }
    all.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_compared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "1").unwrap();
        let mut files = FileContents::new([path.clone(), folder.path().join("none")]);
        assert!(!files.changed());
        std::fs::write(&path, "1").unwrap();
        assert!(!files.changed());
        std::fs::write(&path, "2").unwrap();
        assert!(files.changed());
        assert!(!files.changed());
        std::fs::remove_file(&path).unwrap();
        assert!(files.changed());
    }
}
