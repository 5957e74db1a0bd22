//! Change detection: whether a file may have changed, found out without reading it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What the file system says of a file that is not its content. Mounted secrets are links whose
/// target changes, and a file may be written twice in the time that a clock's tick takes: so it is
/// the file itself, its size, and the times of its content and of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileVersion {
    node: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileVersion {
    /// What it says now; `None` where there is no file that could be asked.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            node: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_of_the_same_size_differs_from_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        assert_eq!(FileVersion::of(&path), None);
        std::fs::write(&path, "one").unwrap();
        let first = FileVersion::of(&path);
        assert_eq!(first.map(|version| version.size), Some(3));
        assert_eq!(first, FileVersion::of(&path));
        std::fs::write(&other, "two").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(first, FileVersion::of(&path));
    }
}
