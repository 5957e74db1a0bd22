//! Included files: where they are, how many there may be, and that none is read twice.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Files of one configuration at most, as in the host.
const MAX_FILES: usize = 1000;
/// The largest file that is read, in bytes.
const MAX_SIZE: u64 = 32 << 20;

/// The files that were read so far.
#[derive(Debug)]
pub(super) struct Files {
    /// The folder of the first one, in which classic files look for others.
    root: PathBuf,
    read: BTreeSet<PathBuf>,
}

impl Files {
    /// Before `first` is read.
    pub(super) fn new(first: &Path) -> Self {
        let whole = std::fs::canonicalize(first).unwrap_or_else(|_| first.to_owned());
        let root = whole.parent().unwrap_or(Path::new(".")).to_owned();
        Self { root, read: BTreeSet::new() }
    }

    /// The folder of the first file.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The text of a file that is read for the first time.
    ///
    /// # Errors
    /// Why it cannot be read, without its name.
    pub(super) fn text(&mut self, path: &Path) -> Result<String, String> {
        if self.read.len() >= MAX_FILES {
            return Err(format!("cannot be read: there are more than {MAX_FILES} files"));
        }
        let whole =
            std::fs::canonicalize(path).map_err(|error| format!("cannot be read: {error}"))?;
        if !self.read.insert(whole) {
            return Err("is included already".to_owned());
        }
        read_text(path)
    }
}

/// The text of a file.
///
/// # Errors
/// Why it cannot be read, without its name.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    fluent_bit_ai::files::read_text(path, MAX_SIZE).map_err(|error| error.to_string())
}

/// The files that an include names: those that a `*` stands for in the order of their names, or the one.
///
/// # Errors
/// Nothing has the name, or it is no pattern.
pub(super) fn named(name: &str, folder: &Path) -> Result<Vec<PathBuf>, String> {
    let whole = folder.join(name);
    if !name.contains('*') {
        return Ok(vec![whole]);
    }
    let pattern = whole.to_str().ok_or("has a name that is not UTF-8")?;
    let found = glob::glob(pattern).map_err(|error| format!("is no pattern: {error}"))?;
    let found: Vec<PathBuf> = found.flatten().collect();
    if found.is_empty() { Err("matches no file".to_owned()) } else { Ok(found) }
}
