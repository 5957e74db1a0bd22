//! The `config_file` of a tail sampler, looked at again for changes.
//!
//! It is read as at the start, options and all, with what was given in the pipeline.

use std::path::PathBuf;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::{Configured, configured, read_file};
use crate::clock::Tick;
use crate::config::{CONFIG_FILE, FileOptions};
use crate::files::FileVersion;
use crate::model::Position;
use crate::plugin::{GivenOptions, OpenError, Options};
use crate::sampling::TailConfig;

/// How often the file is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The file, and what was given beside it.
#[derive(Debug)]
pub(super) struct ConfigFile {
    options: GivenOptions,
    position: Position,
    path: PathBuf,
    /// The hash of what it said.
    text: u64,
    seen: Option<FileVersion>,
    looked: Tick,
}

impl ConfigFile {
    /// The file that the options name, as it was read; `None` if they name none.
    pub(super) fn new(
        options: &dyn Options,
        file: &FileOptions<'_>,
        position: Position,
        now: Tick,
    ) -> Option<Self> {
        options.get(CONFIG_FILE)?;
        Some(Self {
            options: GivenOptions::kept(options),
            position,
            path: file.path().to_owned(),
            text: xxh3_64(file.text().as_bytes()),
            // It may have changed since it was read, so that it is read once more.
            seen: None,
            looked: now,
        })
    }

    /// The configuration anew if the file says something else, or what is wrong with it now.
    pub(super) fn changed(&mut self, now: Tick) -> Option<Result<TailConfig, Vec<String>>> {
        if now.since(self.looked) < LOOK_AGAIN {
            return None;
        }
        self.looked = now;
        // Its version comes first, so that a change in between is seen the next time.
        let version = FileVersion::of(&self.path);
        if version == self.seen && version.is_some() {
            return None;
        }
        self.seen = version;
        let file = read_file(&self.options);
        let text = xxh3_64(file.text().as_bytes());
        if text == self.text {
            return None;
        }
        self.text = text;
        Some(match configured(&file, self.position, &|| None) {
            Ok(Configured::Tail(config)) => Ok(*config),
            Ok(Configured::Head(_)) => Err(vec![
                file.located("mode: it changes by a reload or a restart of the host only"),
            ]),
            Err(OpenError(problems)) => Err(problems),
        })
    }

    /// The file's name.
    pub(super) fn name(&self) -> String {
        format!("{CONFIG_FILE} '{}'", self.path.display())
    }
}
