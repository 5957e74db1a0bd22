//! Connection pool of one endpoint: made anew when its certificates change or its time is over.
//!
//! A client keeps connections of its own, so that new ones need a new client. The old one lives on
//! as long as a request that began with it, and ends its connections after the last of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::{self, Tick};
use crate::export::settings::EndpointSettings;
use crate::export::transport::tls::{ClientProblem, TlsFiles, files_in, uses_tls};
use crate::files::FileVersion;
use crate::runtime::heavy;
use crate::stats::{Log, LogLevel};
use crate::sync::{Mutex, MutexGuard};

/// How often files are looked at, at most.
const PAUSE: Duration = Duration::from_secs(1);
/// After this time files that were wrong are read again, also if nothing says that they changed.
const AGAIN: Duration = Duration::from_secs(30);

/// The connections of one endpoint.
pub(in crate::export) struct EndpointConnections {
    endpoint: EndpointSettings,
    /// Whether any of them is by TLS.
    is_secure: AtomicBool,
    /// The files and folders that are watched.
    paths: Vec<PathBuf>,
    log: Arc<Log>,
    state: Mutex<State>,
    /// Held while new ones are made, which one does for all.
    making: Mutex<()>,
}

struct State {
    now: ClientHandle,
    files: Arc<TlsFiles>,
    stamps: Vec<Option<FileVersion>>,
    looked: Tick,
    /// What is wrong with the files, and when they are read again all the same.
    wrong: Option<(String, Tick)>,
    /// When these connections are too old.
    until: Option<Tick>,
}

/// What a request uses.
#[derive(Clone)]
pub(in crate::export) struct ClientHandle {
    pub(in crate::export) http: reqwest::Client,
    /// How many clients there were before.
    pub(in crate::export) generation: u64,
}

impl EndpointConnections {
    /// Reads the files. It connects when it is first used.
    pub(in crate::export) fn new(
        endpoint: &EndpointSettings,
        log: &Arc<Log>,
    ) -> Result<Self, ClientProblem> {
        let tls = &endpoint.tls;
        let paths = [&tls.ca_file, &tls.ca_path, &tls.crt_file, &tls.key_file];
        let paths = paths.into_iter().flatten();
        let paths: Vec<PathBuf> = paths.cloned().collect();
        // Before they are read, so that no change is missed.
        let stamps = stamps(&paths);
        let files = Arc::new(TlsFiles::read(endpoint)?);
        let now = clock::now();
        let is_secure = uses_tls(endpoint);
        let state = State {
            now: ClientHandle { http: files.client(endpoint, is_secure)?, generation: 0 },
            files,
            stamps,
            looked: now,
            wrong: None,
            until: end_of_life(endpoint, now),
        };
        Ok(Self {
            endpoint: endpoint.clone(),
            is_secure: AtomicBool::new(is_secure),
            paths,
            log: Arc::clone(log),
            state: Mutex::new(state),
            making: Mutex::new(()),
        })
    }

    /// The connections for one request. While one request makes new ones, the others use the old.
    pub(in crate::export) fn current(&self) -> ClientHandle {
        let mut state = self.state();
        if self.paths.is_empty() && state.until.is_none() {
            return state.now.clone();
        }
        let now = clock::now();
        let look = !self.paths.is_empty() && now.since(state.looked) >= PAUSE;
        if look {
            state.looked = now;
        }
        let old = state.until.is_some_and(|until| until <= now);
        if old {
            state.until = end_of_life(&self.endpoint, now);
        }
        if !look && !old {
            return state.now.clone();
        }
        drop(state);
        heavy(usize::MAX, || {
            let _making = self.making.lock();
            if !(look && self.take_changes(now)) && old {
                self.make(None).unwrap_or_else(|problem| self.report(&problem));
            }
        });
        self.state().now.clone()
    }

    /// A request of that generation was never answered. The next request gets a connection of its
    /// own, to where the name points then: what HTTP/2 and idle connections lead to may be dead
    /// without anybody having said so, and a request that is given up does not end them.
    pub(in crate::export) fn fell_silent(&self, generation: u64) {
        if self.state().now.generation != generation {
            return;
        }
        heavy(usize::MAX, || {
            let _making = self.making.lock();
            if self.state().now.generation == generation {
                self.make(None).unwrap_or_else(|problem| self.report(&problem));
            }
        });
    }

    /// From now on there is TLS too: a redirect went from `http` to `https`.
    pub(in crate::export) fn secure(&self) {
        if self.is_secure.swap(true, Ordering::Relaxed) {
            return;
        }
        heavy(usize::MAX, || {
            let _making = self.making.lock();
            self.make(None).unwrap_or_else(|problem| self.report(&problem));
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Makes new connections if the files have changed. Wrong files leave all as it was.
    fn take_changes(&self, now: Tick) -> bool {
        let stamps = stamps(&self.paths);
        {
            let mut state = self.state();
            let again = state.wrong.as_ref().is_some_and(|(_, at)| *at <= now);
            if stamps == state.stamps && !again {
                return false;
            }
            state.stamps = stamps;
        }
        let made =
            TlsFiles::read(&self.endpoint).and_then(|files| self.make(Some(Arc::new(files))));
        let Err(problem) = made else {
            self.state().wrong = None;
            let name = &self.endpoint.name;
            self.log.info(format!("endpoint '{name}': changed certificates were taken"));
            return true;
        };
        let message = problem.to_string();
        let wrong = Some((message.clone(), now.after(AGAIN)));
        let before = std::mem::replace(&mut self.state().wrong, wrong);
        if before.is_none_or(|(reported, _)| reported != message) {
            let name = &self.endpoint.name;
            self.log.warn(format!("endpoint '{name}' keeps its former certificates: {message}"));
        }
        false
    }

    /// Makes new connections, with what was in the files before if nothing else is given. Reads
    /// the system's certificates again.
    fn make(&self, fresh: Option<Arc<TlsFiles>>) -> Result<(), ClientProblem> {
        let files = fresh.unwrap_or_else(|| Arc::clone(&self.state().files));
        let http = files.client(&self.endpoint, self.is_secure.load(Ordering::Relaxed))?;
        let mut state = self.state();
        let generation = state.now.generation.wrapping_add(1);
        let former = std::mem::replace(&mut state.now, ClientHandle { http, generation });
        state.files = files;
        state.until = end_of_life(&self.endpoint, clock::now());
        drop(state);
        // Ends connections, in the background.
        drop(former);
        Ok(())
    }

    fn report(&self, problem: &ClientProblem) {
        let name = &self.endpoint.name;
        self.log.often(LogLevel::Warn, "connections", || {
            format!("endpoint '{name}' keeps its former connections: {problem}")
        });
    }
}

/// What the file system says of all files, and of those in a folder, too: a folder's own times show
/// of files that come and go, and not of one that is written anew.
fn stamps(paths: &[PathBuf]) -> Vec<Option<FileVersion>> {
    let of_path = |path: &PathBuf| {
        let inside = if path.is_dir() { files_in(path).unwrap_or_default() } else { Vec::new() };
        let inside = inside.into_iter().map(|file| FileVersion::of(&file));
        std::iter::once(FileVersion::of(path)).chain(inside).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// Connections end up to a tenth before their time, each endpoint's at another moment, so that
/// what was started together does not connect again together.
fn end_of_life(endpoint: &EndpointSettings, now: Tick) -> Option<Tick> {
    use std::hash::{BuildHasher, RandomState};
    let age = endpoint.max_connection_age?;
    let chance = u32::try_from(RandomState::new().hash_one(now.0) % 1000).unwrap_or_default();
    Some(now.after(age.saturating_sub(age / 10_000 * chance)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_are_a_tenth_shorter_than_allowed_at_most_and_not_all_the_same() {
        let mut endpoint = EndpointSettings::new("x", "http://a".parse().unwrap());
        assert_eq!(end_of_life(&endpoint, Tick(5)), None);
        endpoint.max_connection_age = Some(Duration::from_secs(100));
        let ends: Vec<_> = (0..50).filter_map(|_| end_of_life(&endpoint, Tick(5))).collect();
        let allowed =
            Tick(5).after(Duration::from_secs(90))..=Tick(5).after(Duration::from_secs(100));
        assert!(ends.iter().all(|end| allowed.contains(end)), "{ends:?}");
        assert!(ends.iter().any(|end| *end != ends[0]));
        endpoint.max_connection_age = Some(Duration::MAX);
        assert!(end_of_life(&endpoint, Tick(5)).is_some());
    }

    #[test]
    fn wrong_files_are_reported_once_and_read_again_after_a_while() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let pem = || {
            let made = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
            made.cert.pem()
        };
        std::fs::write(file.path(), pem()).unwrap();
        let mut endpoint = EndpointSettings::new("x", "https://a".parse().unwrap());
        endpoint.tls.ca_file = Some(file.path().to_owned());
        let log = Arc::new(Log::default());
        let connections = EndpointConnections::new(&endpoint, &log).unwrap();
        let at = |seconds| Tick(0).after(Duration::from_secs(seconds));
        assert!(!connections.take_changes(at(1)));
        std::fs::write(file.path(), "rubbish").unwrap();
        assert!(!connections.take_changes(at(2)));
        std::fs::write(file.path(), "other rubbish").unwrap();
        assert!(!connections.take_changes(at(3)));
        assert_eq!(log.take().len(), 1);
        // Right again, which nothing says.
        std::fs::write(file.path(), pem()).unwrap();
        connections.state().stamps = vec![FileVersion::of(file.path())];
        assert!(!connections.take_changes(at(32)));
        assert_eq!(connections.state().now.generation, 0);
        assert!(connections.take_changes(at(33)));
        assert_eq!(connections.state().now.generation, 1);
        assert!(!connections.take_changes(at(90)));
    }

    /// Scenario: a folder of certificates in which one file is written anew in place, one comes, one
    /// goes, and the target of a link changes.
    /// Guarantees: each change is taken, and nothing else is taken for one.
    #[test]
    fn a_change_within_a_folder_is_a_change() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |path: &std::path::Path| {
            let made = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
            std::fs::write(path, made.cert.pem()).unwrap();
        };
        let of = |name: &str| folder.path().join(name);
        write(&of("a.pem"));
        write(&elsewhere.path().join("target.pem"));
        std::os::unix::fs::symlink(elsewhere.path().join("target.pem"), of("link.pem")).unwrap();
        let mut endpoint = EndpointSettings::new("x", "https://a".parse().unwrap());
        endpoint.tls.ca_path = Some(folder.path().to_owned());
        let connections = EndpointConnections::new(&endpoint, &Arc::default()).unwrap();
        let at = Tick(0).after(Duration::from_secs(1));
        let changes: [(&str, &dyn Fn()); 4] = [
            ("written anew", &|| write(&of("a.pem"))),
            ("a new one", &|| write(&of("b.pem"))),
            ("one less", &|| std::fs::remove_file(of("a.pem")).unwrap()),
            ("a link's target", &|| write(&elsewhere.path().join("target.pem"))),
        ];
        for (change, make) in changes {
            assert!(!connections.take_changes(at), "before {change}");
            make();
            assert!(connections.take_changes(at), "{change}");
        }
        assert!(!connections.take_changes(at));
    }
}
