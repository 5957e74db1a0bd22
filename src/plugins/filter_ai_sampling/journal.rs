//! The journal's files: segments in a folder, written and read on the runtime's threads.
//!
//! Nothing here waits for a file but the end of a run, when the segments are removed. Segments are removed once
//! every trace that has spans in them was decided: so long after the last of them was written as a trace waits at most.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::clock::Tick;
use crate::config::Parser;
use crate::files;
use crate::plugin::Environment;
use crate::runtime::{Runtime, waiting};
use crate::sampling::{JOURNAL_MAGIC, JournalFrames, Undecided, undecided};
use crate::stats::{Counter, CounterFamily, Log, LogLevel};
use crate::sync::Mutex;

const SPANS: CounterFamily = CounterFamily::counter(
    "journal_spans_total",
    "Spans of the journal: written, skipped for want of room, or recovered from an earlier run",
    &["outcome"],
);
const TORN: CounterFamily = CounterFamily::counter(
    "journal_torn_bytes_total",
    "Bytes of an earlier run's journal that are no whole entries",
    &[],
);
const ERRORS: CounterFamily =
    CounterFamily::counter("journal_errors_total", "Files of the journal that failed", &[]);
const BYTES: CounterFamily =
    CounterFamily::gauge("journal_bytes", "Bytes of the journal's files", &[]);

/// How many segments the limit is divided into.
const SEGMENTS: u64 = 8;
/// The most bytes that wait to be written.
const MAX_PENDING: usize = 8 << 20;
/// The most orders that wait.
const MAX_ORDERS: usize = 4096;
/// How much later than traces are due segments are removed.
const SLACK: Duration = Duration::from_secs(5);
/// How long the end of a run waits for the files.
const END_LIMIT: Duration = Duration::from_secs(2);
/// The end of a segment's name.
const SUFFIX: &str = ".journal";
/// The file that says that a process has the folder.
const LOCK: &str = "lock";

/// Where the journal is, and how large it may get.
#[derive(Debug, Clone)]
pub(super) struct JournalSettings {
    folder: PathBuf,
    limit: u64,
}

impl JournalSettings {
    /// Reads the options, if a folder is given.
    pub(super) fn read(parser: &mut Parser<'_>, folder: &str, limit: usize) -> Option<Self> {
        if limit < 1_000_000 {
            let given = parser.text("journal_limit").unwrap_or_default();
            parser.refuse("journal_limit", given, "allowed: at least 1m");
        }
        if !Path::new(folder).is_dir() {
            parser.refuse("journal_path", folder, "allowed: a folder that is there");
        }
        Some(Self { folder: PathBuf::from(folder), limit: u64::try_from(limit).ok()? })
    }
}

/// What the threads of files do.
enum Order {
    Append(String, Vec<u8>),
    Remove(String),
    End(std::sync::mpsc::Sender<()>),
}

/// A file of the journal.
struct Segment {
    name: String,
    bytes: u64,
    /// When nothing was added to it any more.
    closed: Option<Tick>,
}

/// What was found when the journal began.
#[derive(Default)]
struct Found {
    undecided: Undecided,
    segments: Vec<(String, u64)>,
}

/// The journal of a run.
pub(super) struct Journal {
    limit: u64,
    /// The start of the run in the names of its segments, so that they come after those of earlier runs.
    run: u64,
    begun: u64,
    /// The oldest first; the last one takes more.
    segments: VecDeque<Segment>,
    orders: mpsc::Sender<Order>,
    pending: Arc<AtomicUsize>,
    found: Arc<Mutex<Option<Found>>>,
    _runtime: Runtime,
    environment: JournalEnvironment,
}

impl Journal {
    /// Begins the journal of a run: what earlier ones left is read.
    ///
    /// # Errors
    /// The system refuses threads.
    pub(super) fn start(
        settings: &JournalSettings,
        environment: &JournalEnvironment,
        unix_nanos: u64,
    ) -> std::io::Result<Self> {
        let runtime = Runtime::acquire()?;
        let (orders, receiver) = mpsc::channel(MAX_ORDERS);
        let (pending, found) = (Arc::<AtomicUsize>::default(), Arc::default());
        let folder = Folder {
            path: settings.folder.clone(),
            lock: None,
            open: None,
            pending: Arc::clone(&pending),
            errors: environment.errors.clone(),
            log: Arc::clone(&environment.log),
        };
        let limit = settings.limit;
        runtime.tasks().spawn(serve(folder, limit, receiver, Arc::clone(&found)));
        Ok(Self {
            limit,
            run: unix_nanos,
            begun: 0,
            segments: VecDeque::new(),
            orders,
            pending,
            found,
            _runtime: runtime,
            environment: environment.clone(),
        })
    }

    /// What earlier runs left undecided, once it is read.
    pub(super) fn recovered(&mut self, now: Tick) -> Option<Undecided> {
        let Found { undecided, segments } = self.found.lock().take()?;
        for (name, bytes) in segments.into_iter().rev() {
            self.segments.push_front(Segment { name, bytes, closed: Some(now) });
        }
        let [_, _, recovered] = &self.environment.spans;
        recovered.add(undecided.spans);
        self.environment.torn.add(undecided.torn_bytes);
        Some(undecided)
    }

    /// Appends frames. `hold` is how long a trace waits at most; `is_idle` says that none waits.
    pub(super) fn append(
        &mut self,
        frames: JournalFrames,
        hold: Duration,
        is_idle: bool,
        now: Tick,
    ) {
        self.remove(hold, is_idle, now);
        let JournalFrames { bytes, spans } = frames;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if !bytes.is_empty() {
            let most = if spans == 0 { self.limit } else { self.limit / 16 * 15 };
            let has_room = self.size().saturating_add(size) <= most
                && self.pending.load(Ordering::Relaxed).saturating_add(bytes.len()) <= MAX_PENDING;
            let is_written = has_room && self.write(bytes, size, now);
            let [written, skipped, _] = &self.environment.spans;
            if is_written { written } else { skipped }.add(spans);
        }
        self.environment.bytes.set(self.size());
    }

    /// Removes all files: nothing waits any more.
    pub(super) fn end(mut self, now: Tick) {
        self.remove(Duration::ZERO, true, now);
        while let Some(segment) = self.segments.pop_front() {
            drop(self.orders.try_send(Order::Remove(segment.name)));
        }
        let (tell, told) = std::sync::mpsc::channel();
        let is_sent = self.orders.try_send(Order::End(tell)).is_ok();
        if is_sent && told.recv_timeout(END_LIMIT).is_err() {
            self.environment.log.warn(
                "the journal's files were not removed in time: what was decided may be decided once more at the \
                 next start",
            );
        }
        self.environment.bytes.set(0);
    }

    fn size(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    fn write(&mut self, bytes: Vec<u8>, size: u64, now: Tick) -> bool {
        let is_open = |segment: &&mut Segment| {
            segment.closed.is_none() && segment.bytes < self.limit / SEGMENTS
        };
        let open = self.segments.back_mut().filter(is_open).is_some();
        if !open {
            if let Some(last) = self.segments.back_mut() {
                last.closed.get_or_insert(now);
            }
            let name = format!("{:020}-{:08}{SUFFIX}", self.run, self.begun);
            self.begun = self.begun.saturating_add(1);
            self.segments.push_back(Segment { name, bytes: 0, closed: None });
        }
        let Some(segment) = self.segments.back_mut() else { return false };
        let length = bytes.len();
        self.pending.fetch_add(length, Ordering::Relaxed);
        let is_sent = self.orders.try_send(Order::Append(segment.name.clone(), bytes)).is_ok();
        if is_sent {
            segment.bytes = segment.bytes.saturating_add(size);
        } else {
            self.pending.fetch_sub(length, Ordering::Relaxed);
        }
        is_sent
    }

    /// Removes the segments in which no trace waits any more.
    fn remove(&mut self, hold: Duration, is_idle: bool, now: Tick) {
        let after = hold.saturating_add(SLACK);
        let is_over = |segment: &mut Segment| {
            segment.closed.is_some_and(|closed| is_idle || now.since(closed) >= after)
        };
        while let Some(segment) = self.segments.pop_front_if(is_over) {
            if let Err(unsent) = self.orders.try_send(Order::Remove(segment.name)) {
                if let Order::Remove(name) = unsent.into_inner() {
                    self.segments.push_front(Segment {
                        name,
                        bytes: segment.bytes,
                        closed: segment.closed,
                    });
                }
                break;
            }
        }
    }
}

/// The journal's numbers and lines.
#[derive(Clone)]
pub(super) struct JournalEnvironment {
    /// Written, skipped, recovered.
    spans: [Counter; 3],
    torn: Counter,
    errors: Counter,
    bytes: Counter,
    log: Arc<Log>,
}

impl JournalEnvironment {
    pub(super) fn new(environment: &Environment) -> Self {
        let counters = &environment.counters;
        let spans = |outcome| counters.counter(SPANS, &[outcome]);
        Self {
            spans: ["written", "skipped", "recovered"].map(spans),
            torn: counters.counter(TORN, &[]),
            errors: counters.counter(ERRORS, &[]),
            bytes: counters.counter(BYTES, &[]),
            log: Arc::clone(&environment.log),
        }
    }
}

/// Carries out orders, one after the other, each on a thread where nothing waits behind it.
async fn serve(
    mut folder: Folder,
    limit: u64,
    mut orders: mpsc::Receiver<Order>,
    found: Arc<Mutex<Option<Found>>>,
) {
    let begun = waiting(move || {
        let read = folder.begin(limit);
        (folder, read)
    });
    let Some((begun, read)) = begun.await else { return };
    folder = begun;
    // Without the folder nothing is taken, and so counted as skipped.
    let Some(read) = read else { return };
    *found.lock() = Some(read);
    while let Some(order) = orders.recv().await {
        if let Order::End(tell) = order {
            folder.lock = None;
            tell.send(()).unwrap_or_default();
            return;
        }
        let done = waiting(move || {
            folder.carry_out(order);
            folder
        });
        let Some(done) = done.await else { return };
        folder = done;
    }
}

/// The folder as the threads of files have it.
struct Folder {
    path: PathBuf,
    /// Held as long as the folder is ours; nothing is written without it.
    lock: Option<File>,
    open: Option<(String, File)>,
    pending: Arc<AtomicUsize>,
    errors: Counter,
    log: Arc<Log>,
}

impl Folder {
    /// Takes the folder, and reads what is in it.
    fn begin(&mut self, limit: u64) -> Option<Found> {
        let path = self.path.join(LOCK);
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let lock = lock.and_then(|file| file.try_lock().map(|()| file).map_err(Into::into));
        self.lock = self.checked(&path, lock);
        self.lock.as_ref()?;
        let names = std::fs::read_dir(&self.path).map(|entries| {
            let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
            let mut names: Vec<String> = names.filter(|name| name.ends_with(SUFFIX)).collect();
            names.sort_unstable();
            names
        });
        let names = self.checked(&self.path.clone(), names)?;
        let (mut found, mut contents) = (Found::default(), Vec::new());
        for name in names {
            let path = self.path.join(&name);
            let read = files::read(&path, limit).map_err(std::io::Error::other);
            let content = self.checked(&path, read).unwrap_or_default();
            found.segments.push((name, u64::try_from(content.len()).unwrap_or(u64::MAX)));
            contents.push(content);
        }
        found.undecided = undecided(&contents);
        Some(found)
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Append(name, bytes) => {
                self.pending.fetch_sub(bytes.len(), Ordering::Relaxed);
                let path = self.path.join(&name);
                let written = self.append(name, &bytes);
                self.checked(&path, written);
            }
            Order::Remove(name) => {
                self.open.take_if(|(open, _)| *open == name);
                let path = self.path.join(&name);
                match std::fs::remove_file(&path) {
                    // It was never written, because that failed.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    removed => drop(self.checked(&path, removed)),
                }
            }
            Order::End(_) => {}
        }
    }

    fn append(&mut self, name: String, bytes: &[u8]) -> std::io::Result<()> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != name) {
            let path = self.path.join(&name);
            let mut file = OpenOptions::new().append(true).create(true).open(path)?;
            if file.metadata()?.len() == 0 {
                file.write_all(JOURNAL_MAGIC)?;
            }
            self.open = Some((name, file));
        }
        let Some((_, file)) = &mut self.open else { return Ok(()) };
        let written = file.write_all(bytes);
        if written.is_err() {
            // What follows a half frame in this file would be lost with it.
            self.open = None;
        }
        written
    }

    /// Counts and tells of what failed.
    fn checked<T>(&self, path: &Path, result: std::io::Result<T>) -> Option<T> {
        result
            .inspect_err(|error| {
                self.errors.add(1);
                self.log.often(LogLevel::Error, "journal", || {
                    format!(
                        "journal '{}': {error}; spans that wait would be lost by a kill",
                        path.display()
                    )
                });
            })
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::AiSampling;
    use super::*;
    use crate::clock;
    use crate::codec::records::testing::{SpanRecord, chunk};
    use crate::hub::Drain;
    use crate::plugin::{Filter, GivenOptions};
    use crate::plugins::testing::{counter, environment, pass};

    fn until(what: &str, mut is_so: impl FnMut() -> bool) {
        let most = test_timeout::at_most(Duration::from_secs(20));
        let start = clock::now();
        while !is_so() {
            assert!(clock::now().since(start) < most, "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn segments(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|end| end == "journal")).collect();
        paths.sort();
        paths
    }

    fn size(folder: &Path) -> u64 {
        segments(folder).iter().map(|path| std::fs::metadata(path).unwrap().len()).sum()
    }

    /// Whether no instance has the folder.
    fn is_free(folder: &Path) -> bool {
        File::open(folder.join(LOCK)).is_ok_and(|file| file.try_lock().is_ok())
    }

    /// Scenario: a run that is left without an end, whose last entry is torn, one after it, and one in a folder that
    /// another has. Guarantees: what waited waits again and is decided, the torn bytes are counted, the
    /// end of a run leaves no segment, and a folder that is taken is told of and costs the journal alone.
    #[test]
    fn what_waited_waits_again_after_a_run_without_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        let options =
            [("mode", "tail"), ("keep_where", "size(spans) > 1"), ("journal_path", &path)];
        let open = || {
            let environment = environment(true);
            let filter =
                AiSampling::open(&GivenOptions::of(&options), environment.clone()).unwrap();
            let source = environment.hub.sources().pop().unwrap();
            (filter, source, environment)
        };
        let now = clock::now();
        let later = |seconds| now.after(Duration::from_secs(seconds));
        let (mut filter, source, first) = open();
        assert_eq!(segments(folder.path()).len(), 0, "nothing before the host runs");
        let held = [SpanRecord::new(1, 1), SpanRecord::new(2, 2), SpanRecord::new(2, 3)];
        assert_eq!(pass(&mut filter, &chunk(&held)), b"");
        source.take(Drain::Due, now, 0);
        until("it is written", || size(folder.path()) > 100);
        assert_eq!(counter(&first, "journal_spans_total", "written"), 3);
        assert_eq!(counter(&first, "journal_bytes", ""), size(folder.path()) - 8);
        let (mut other, more, second) = open();
        pass(&mut other, &chunk(&held));
        until("the folder is taken", || counter(&second, "journal_errors_total", "") == 1);
        until("it is not written", || {
            pass(&mut other, &chunk(&[SpanRecord::new(9, 9)]));
            counter(&second, "journal_spans_total", "skipped") > 0
        });
        assert!(second.log.take().iter().any(|line| line.text.contains("lock': ")));
        drop((other, more, second));
        drop((filter, source, first));
        until("the folder is free", || is_free(folder.path()));
        let last = segments(folder.path()).pop().unwrap();
        let mut file = OpenOptions::new().append(true).open(last).unwrap();
        file.write_all(&[7; 5]).unwrap();
        let (mut filter, source, again) = open();
        until("it is read", || {
            source.take(Drain::Due, now, 0);
            counter(&again, "journal_spans_total", "recovered") == 3
        });
        assert_eq!(counter(&again, "journal_torn_bytes_total", ""), 5);
        assert_eq!(counter(&again, "held_spans", ""), 3);
        pass(&mut filter, &chunk(&[SpanRecord::new(1, 4)]));
        let out = source.take(Drain::Due, later(31), 0);
        assert_eq!(out.iter().map(|emission| emission.records).sum::<usize>(), 4);
        pass(&mut filter, &chunk(&[SpanRecord::new(3, 5)]));
        assert_eq!(source.take(Drain::Everything, later(32), 0).len(), 0);
        assert!(segments(folder.path()).is_empty());
        assert!(is_free(folder.path()));
    }

    /// Scenario: more spans than the limit lets be written, and time that goes on. Guarantees: the files stay
    /// within the limit, what is left out is counted, and room comes when traces were decided.
    #[test]
    fn the_files_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(true);
        let settings = JournalSettings { folder: folder.path().to_owned(), limit: 100_000 };
        let numbers = JournalEnvironment::new(&environment);
        let mut journal = Journal::start(&settings, &numbers, 1).unwrap();
        let at = |seconds: u64| Tick(seconds * 1_000_000_000);
        let hold = Duration::from_secs(30);
        let mut add = |now| {
            let frames = JournalFrames { bytes: vec![1; 5000], spans: 1 };
            journal.append(frames, hold, false, at(now));
            assert!(journal.size() <= settings.limit);
        };
        (0..100).for_each(|_| add(0));
        let count = |outcome| counter(&environment, "journal_spans_total", outcome);
        assert_eq!((count("written"), count("skipped")), (18, 82));
        (0..100).for_each(|_| add(36));
        assert!(count("written") >= 30, "{}", count("written"));
        until("old segments are removed", || {
            size(folder.path()) <= settings.limit + 8 * (SEGMENTS + 2)
        });
        journal.end(at(37));
        assert!(segments(folder.path()).is_empty());
    }
}
