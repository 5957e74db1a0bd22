//! Watched file: its content is taken again when it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::clock::{self, Tick};
use crate::files::{self, FileVersion};
use crate::runtime::heavy;
use crate::stats::{Log, LogLevel};
use crate::sync::{Mutex, MutexGuard};

/// How often the file is looked at, at most.
const PAUSE: Duration = Duration::from_secs(1);
/// The largest file that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// Turns the file's text into headers, or says what is wrong without showing it.
pub(super) type ParseHeaders = fn(&str) -> Result<HeaderMap, String>;

struct State {
    looked: Tick,
    stamp: Option<FileVersion>,
    headers: HeaderMap,
    /// How often they have changed.
    generation: u64,
}

pub(super) struct WatchedHeaders {
    path: PathBuf,
    parse: ParseHeaders,
    endpoint: String,
    log: Arc<Log>,
    state: Mutex<State>,
}

impl WatchedHeaders {
    /// Reads the file for the first time.
    pub(super) fn open(
        path: &Path,
        parse: ParseHeaders,
        endpoint: &str,
        log: &Arc<Log>,
    ) -> Result<Self, String> {
        let (stamp, headers) = read(path, parse)?;
        let state = State { looked: clock::now(), stamp, headers, generation: 0 };
        Ok(Self {
            path: path.to_owned(),
            parse,
            endpoint: endpoint.to_owned(),
            log: Arc::clone(log),
            state: Mutex::new(state),
        })
    }

    /// The headers of now. A file that has become unreadable or wrong leaves them as they were.
    pub(super) fn current(&self) -> HeaderMap {
        let mut state = self.state();
        let now = clock::now();
        if now.since(state.looked) >= PAUSE {
            state.looked = now;
            if FileVersion::of(&self.path) != state.stamp {
                self.take(&mut state);
            }
        }
        state.headers.clone()
    }

    /// How often the headers have changed.
    pub(super) fn generation(&self) -> u64 {
        self.state().generation
    }

    /// Reads the file now, whether it seems to have changed or not.
    pub(super) fn read_again(&self) {
        heavy(usize::MAX, || {
            let mut state = self.state();
            state.looked = clock::now();
            self.take(&mut state);
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn take(&self, state: &mut State) {
        match read(&self.path, self.parse) {
            Ok((stamp, headers)) => {
                state.stamp = stamp;
                if headers != state.headers {
                    state.generation = state.generation.wrapping_add(1);
                    state.headers = headers;
                }
            }
            Err(problem) => self.log.often(LogLevel::Warn, "headers", || {
                let name = &self.endpoint;
                format!("endpoint '{name}' keeps its former headers: {problem}")
            }),
        }
    }
}

fn read(path: &Path, parse: ParseHeaders) -> Result<(Option<FileVersion>, HeaderMap), String> {
    let stamp = FileVersion::of(path);
    let text = files::read_text(path, MAX_BYTES).map_err(|problem| problem.of(path))?;
    let shown = path.display();
    Ok((stamp, parse(&text).map_err(|problem| format!("'{shown}': {problem}"))?))
}
