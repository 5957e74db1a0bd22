//! Files that users name: read up to a limit, and looked at again when they may have changed.
//!
//! Two rules say whether a file has changed. [`FileContents`] compares what files contain: for what
//! decides who may come in, which is looked at seldom. [`FileVersion`] asks the file system alone: for
//! what is looked at beside requests.

mod contents;
mod version;

use std::io::Read;
use std::path::Path;

pub use contents::FileContents;
pub use version::FileVersion;

/// The limit for certificates, keys, tokens and lists of them, in bytes.
const MAX_CREDENTIALS: u64 = 4 << 20;

/// Why a file was not read; words that follow its name.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// The system says why.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is a folder, a device or a pipe, which may have no end.
    #[error("is no file")]
    NoFile,
    /// It is larger than this many bytes.
    #[error("is larger than {}", size(*.0))]
    TooLarge(u64),
    /// It is to be text.
    #[error("is not UTF-8")]
    NoText,
}

impl FileProblem {
    /// The same behind the file's name.
    #[must_use]
    pub fn of(&self, path: &Path) -> String {
        format!("'{}' {self}", path.display())
    }
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// There is none, or it is larger.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileProblem> {
    // A pipe would be waited for when it is opened.
    if !std::fs::metadata(path)?.is_file() {
        return Err(FileProblem::NoFile);
    }
    let mut content = Vec::new();
    std::fs::File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|length| length <= limit) {
        Ok(content)
    } else {
        Err(FileProblem::TooLarge(limit))
    }
}

/// The same for text.
///
/// # Errors
/// The same, or it is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String, FileProblem> {
    String::from_utf8(read(path, limit)?).map_err(|_| FileProblem::NoText)
}

/// Reads certificates, keys, tokens or a list of them.
///
/// # Errors
/// What is wrong with which file.
pub fn read_credentials(path: &Path) -> Result<Vec<u8>, String> {
    read(path, MAX_CREDENTIALS).map_err(|problem| problem.of(path))
}

/// The same for text.
///
/// # Errors
/// The same.
pub fn read_credentials_text(path: &Path) -> Result<String, String> {
    read_text(path, MAX_CREDENTIALS).map_err(|problem| problem.of(path))
}

fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes.is_multiple_of(MIB) {
        format!("{} MiB", bytes / MIB)
    } else {
        format!("{} KiB", bytes / 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_within_the_limit_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let message = |read: Result<Vec<u8>, FileProblem>| read.unwrap_err().to_string();
        assert!(message(read(&path, 9)).starts_with("cannot be read: "));
        std::fs::write(&path, vec![b'1'; 1024]).unwrap();
        assert_eq!(read(&path, 1024).unwrap().len(), 1024);
        std::fs::write(&path, vec![b'1'; 2049]).unwrap();
        assert_eq!(message(read(&path, 2048)), "is larger than 2 KiB");
        std::fs::write(&path, vec![b'1'; 1 + (4 << 20)]).unwrap();
        let shown = path.display();
        assert_eq!(read_credentials(&path).unwrap_err(), format!("'{shown}' is larger than 4 MiB"));
        assert_eq!(message(read(folder.path(), 9)), "is no file");
        assert_eq!(message(read(Path::new("/dev/zero"), 9)), "is no file");
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(read_credentials_text(&path).unwrap_err(), format!("'{shown}' is not UTF-8"));
    }
}
