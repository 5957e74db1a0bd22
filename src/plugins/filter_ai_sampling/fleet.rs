//! How many instances share the goals of a fleet: an option, or a file that is read again when it changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Tick;
use crate::config::Parser;
use crate::files::{self, FileVersion};
use crate::stats::Log;

/// The most instances.
pub(super) const MAX_SIZE: usize = 1_000_000;
/// What a goal of a fleet needs.
pub(super) const NEEDS: &str = "it needs option 'fleet_size' or 'fleet_size_file'";
/// The option that names the file.
pub(super) const FILE: &str = "fleet_size_file";
const ALLOWED: &str = "allowed: a file with a number from 1 to 1000000";
/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 4096;
/// How often the file is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The size that is configured; `None` where no option says it.
pub(super) fn configured(
    parser: &mut Parser<'_>,
    size: Option<usize>,
    file: Option<&str>,
) -> Option<u32> {
    let Some(path) = file else { return size.and_then(|size| u32::try_from(size).ok()) };
    if size.is_some() {
        parser.refuse(FILE, path, "allowed: one of 'fleet_size' and 'fleet_size_file'");
    }
    match read(Path::new(path)) {
        Ok(size) => Some(size),
        Err(problem) => {
            parser.refuse(FILE, path, &format!("{ALLOWED}; {problem}"));
            Some(1)
        }
    }
}

fn read(path: &Path) -> Result<u32, String> {
    let text = files::read_text(path, MAX_FILE).map_err(|problem| problem.of(path))?;
    // Kubernetes puts annotations between quotes.
    let size = text.trim().trim_matches('"').parse().ok();
    let size = size.filter(|size| (1..=MAX_SIZE).contains(size));
    let size = size.and_then(|size| u32::try_from(size).ok());
    size.ok_or_else(|| format!("'{}' has none", path.display()))
}

/// The file that says the size, looked at again for changes.
#[derive(Debug)]
pub(super) struct FleetSizeFile {
    path: PathBuf,
    size: Option<u32>,
    /// `None` while it is away.
    seen: Option<FileVersion>,
    looked: Tick,
}

impl FleetSizeFile {
    /// The file that an option names, which says a size now.
    pub(super) fn new(path: &str, now: Tick) -> Self {
        let path = PathBuf::from(path);
        let (seen, size) = (FileVersion::of(&path), read(&path).ok());
        Self { path, size, seen, looked: now }
    }

    /// The size that it says now, if that is another one, which the log tells. What is wrong with it is told too,
    /// and the size that it said before holds.
    pub(super) fn follow(&mut self, now: Tick, log: &Log) -> Option<u32> {
        match self.changed(now)? {
            Ok(size) => {
                log.info(format!(
                    "{FILE} '{}': the fleet has {size} instances",
                    self.path.display()
                ));
                Some(size)
            }
            Err(problem) => {
                log.warn(format!("{FILE}: {problem}; the size that it said before holds"));
                None
            }
        }
    }

    /// The size that it says now, if that is another one, or what is wrong with it now.
    fn changed(&mut self, now: Tick) -> Option<Result<u32, String>> {
        if now.since(self.looked) < LOOK_AGAIN {
            return None;
        }
        self.looked = now;
        let version = FileVersion::of(&self.path);
        if version == self.seen && version.is_some() {
            return None;
        }
        let was_there = self.seen.is_some();
        self.seen = version;
        match read(&self.path) {
            Ok(size) if self.size.replace(size) == Some(size) => None,
            // A file that stays away is told of once.
            Err(_) if !was_there => None,
            result => Some(result),
        }
    }
}
