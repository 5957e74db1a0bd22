//! The identity of the place where `ai_context` runs: facts are read at the start and again while it runs, on
//! the runtime's threads, so that no slow file system holds up the host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use crate::files;
use crate::plugin::OpenError;
use crate::resource::{
    Detected, DetectorSettings, FactSource, Facts, ResourceAttributes, ResourceDetector,
};
use crate::runtime::{Runtime, Tasks, waiting};
use crate::stats::Log;
use crate::sync::Mutex;

/// What a file has at most. Mounts of a large node take some hundred KiB.
const MAX_FILE: u64 = 4 << 20;
/// How long the start waits for files that do not come.
const START_LIMIT: Duration = Duration::from_secs(5);

/// Where to look, and for what.
#[derive(Debug, Clone)]
pub(super) struct IdentitySettings {
    /// What is detected. The process may be the path of a file that has its number.
    pub(super) detect: DetectorSettings,
    /// The folder in which paths begin.
    pub(super) root: PathBuf,
    /// How often it is read again.
    pub(super) refresh: Duration,
}

/// The newest identity, which tasks of the runtime keep up to date.
pub(super) struct LocalIdentity {
    latest: Arc<Latest>,
    /// The number of the identity that was taken last.
    taken: u64,
    tasks: Tasks,
    _runtime: Runtime,
}

#[derive(Default)]
struct Latest {
    /// Rises with each identity that differs from the one before.
    number: AtomicU64,
    attributes: Mutex<Arc<ResourceAttributes>>,
}

impl LocalIdentity {
    /// Reads the identity for the first time and keeps reading it.
    pub(super) fn start(settings: IdentitySettings, log: Arc<Log>) -> Result<Self, OpenError> {
        let runtime = Runtime::acquire().map_err(|error| {
            OpenError::one(format!("'identify' cannot start a thread: {error}"))
        })?;
        let (latest, tasks) = (Arc::new(Latest::default()), runtime.tasks());
        let (first, is_first) = sync_channel(1);
        let reader = Reader { settings, log: Arc::clone(&log), latest: Arc::clone(&latest) };
        tasks.spawn(reader.run(first));
        if is_first.recv_timeout(START_LIMIT).is_err() {
            log.warn(format!(
                "identify: files were not read within {} s; what comes in before they are goes on as it is",
                START_LIMIT.as_secs()
            ));
        }
        Ok(Self { latest, taken: 0, tasks, _runtime: runtime })
    }

    /// The identity, if it is another one than what this gave before.
    pub(super) fn changed(&mut self) -> Option<Arc<ResourceAttributes>> {
        let number = self.latest.number.load(Ordering::Acquire);
        if number == self.taken {
            return None;
        }
        self.taken = number;
        Some(Arc::clone(&self.latest.attributes.lock()))
    }
}

impl Drop for LocalIdentity {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

struct Reader {
    settings: IdentitySettings,
    log: Arc<Log>,
    latest: Arc<Latest>,
}

impl Reader {
    async fn run(self, first: SyncSender<()>) {
        let mut known: Option<(Facts, Detected)> = None;
        loop {
            let settings = self.settings.clone();
            let before = known.as_ref().map(|(facts, _)| facts.clone()).unwrap_or_default();
            let Some((facts, found)) = waiting(move || settings.read(before)).await else { return };
            if known.as_ref().is_none_or(|(_, known)| *known != found) {
                self.publish(&found, known.is_some());
                // The start waits for the first one alone, if it still does.
                first.try_send(()).ok();
            }
            known = Some((facts, found));
            tokio::time::sleep(self.settings.refresh).await;
        }
    }

    fn publish(&self, found: &Detected, is_update: bool) {
        found.notes.iter().for_each(|note| self.log.warn(format!("identify: {note}")));
        let keys: Vec<&str> = found.attributes.iter().map(|found| found.key.as_str()).collect();
        let what = if is_update { "resources now get" } else { "resources get" };
        match keys.as_slice() {
            [] => self.log.warn("identify: nothing was found, so that resources get nothing"),
            keys => self.log.info(format!("identify: {what} {}", keys.join(", "))),
        }
        *self.latest.attributes.lock() = Arc::new(found.attributes.clone());
        self.latest.number.fetch_add(1, Ordering::Release);
    }
}

impl IdentitySettings {
    /// Reads everything. Files that are gone keep what they said before: a pod that ends stays known while its
    /// telemetry is on its way.
    fn read(&self, before: Facts) -> (Facts, Detected) {
        let mut detect = self.detect.clone();
        if detect.process.starts_with('/') {
            detect.process =
                content(&self.under_root(&detect.process)).unwrap_or_default().trim().to_owned();
            if detect.process.parse::<u32>().is_err() {
                detect.detectors.retain(|detector| *detector != ResourceDetector::Process);
            }
        }
        let mut files = BTreeMap::new();
        for source in detect.sources() {
            match source {
                FactSource::File(path) => {
                    for path in self.expanded(&path) {
                        if let Some(text) = content(&self.under_root(&path)) {
                            files.insert(path, text);
                        }
                    }
                }
                FactSource::Link(path) => {
                    if let Ok(target) = std::fs::read_link(self.under_root(&path)) {
                        files.insert(path, target.to_string_lossy().into_owned());
                    }
                }
            }
        }
        for (path, text) in before.files {
            files.entry(path).or_insert(text);
        }
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let facts = Facts { variables: variables.collect(), files };
        let found = detect.detect(&facts, std::env::consts::ARCH);
        (facts, found)
    }

    fn under_root(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The paths that a path with a `*` for a folder's entries stands for.
    fn expanded(&self, path: &str) -> Vec<String> {
        let Some((folder, rest)) = path.split_once("/*/") else { return vec![path.to_owned()] };
        let entries = std::fs::read_dir(self.under_root(folder)).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.map(|name| format!("{folder}/{name}/{rest}")).collect()
    }
}

/// A file as text; `None` if there is none, or it is no regular file, or too large.
fn content(path: &Path) -> Option<String> {
    let bytes = files::read(path, MAX_FILE).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct HostFiles(tempfile::TempDir);

    impl HostFiles {
        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // At once, as the kubelet does it.
            let new = path.with_extension("new");
            fs::write(&new, text).unwrap();
            fs::rename(new, path).unwrap();
        }

        fn settings(&self, detectors: &[ResourceDetector]) -> IdentitySettings {
            IdentitySettings {
                detect: DetectorSettings {
                    detectors: detectors.to_vec(),
                    podinfo: "/etc/podinfo".to_owned(),
                    labels: vec!["*".to_owned()],
                    ..DetectorSettings::default()
                },
                root: self.0.path().to_owned(),
                refresh: Duration::from_millis(20),
            }
        }
    }

    fn host_files() -> HostFiles {
        HostFiles(tempfile::tempdir().unwrap())
    }

    fn wait_for(identity: &mut LocalIdentity) -> Arc<ResourceAttributes> {
        for _ in 0..500 {
            if let Some(changed) = identity.changed() {
                return changed;
            }
            let (_tell, told) = sync_channel::<()>(1);
            told.recv_timeout(Duration::from_millis(10)).ok();
        }
        panic!("no change")
    }

    /// Scenario: labels that change, and then a folder that is gone, as at the end of a pod. Guarantees: the
    /// change is seen without a restart, and what was known stays known.
    #[test]
    fn changes_are_seen_and_what_is_gone_stays_known() {
        let files = host_files();
        files.write("/etc/podinfo/name", "shop-0");
        files.write("/etc/podinfo/labels", "track=\"blue\"");
        let log = Arc::new(Log::default());
        let settings = files.settings(&[ResourceDetector::Kubernetes]);
        let mut identity = LocalIdentity::start(settings, Arc::clone(&log)).unwrap();
        let first = identity.changed().expect("the start waits for the first one");
        assert_eq!(first.text_of("k8s.pod.label.track"), Some("blue"));
        assert!(identity.changed().is_none());
        files.write("/etc/podinfo/labels", "track=\"green\"");
        let second = wait_for(&mut identity);
        assert_eq!(second.text_of("k8s.pod.label.track"), Some("green"));
        fs::remove_dir_all(files.0.path().join("etc/podinfo")).unwrap();
        // A change elsewhere shows that it was read again since.
        files.write("/var/run/secrets/kubernetes.io/serviceaccount/namespace", "store");
        let third = wait_for(&mut identity);
        assert_eq!(third.text_of("k8s.namespace.name"), Some("store"));
        assert_eq!(third.text_of("k8s.pod.label.track"), Some("green"));
        let lines: Vec<String> = log.take().into_iter().map(|line| line.text).collect();
        assert!(
            lines.iter().any(|line| line.starts_with("identify: resources now get")),
            "{lines:?}"
        );
        assert!(!lines.concat().contains("green"), "no value is logged: {lines:?}");
    }

    #[test]
    fn devices_are_found_below_their_folder() {
        let files = host_files();
        for bus in ["0000:01:00.0", "0000:02:00.0"] {
            let text =
                format!("Model: \t NVIDIA H200\nGPU UUID: \t GPU-{bus}\nDevice Minor: \t 0\n");
            files.write(&format!("/proc/driver/nvidia/gpus/{bus}/information"), &text);
        }
        let (facts, _) = files.settings(&[ResourceDetector::Gpu]).read(Facts::default());
        assert_eq!(facts.files.len(), 2);
        let wrong = files.settings(&[ResourceDetector::Host]).read(Facts::default());
        assert!(wrong.0.files.is_empty());
    }

    #[test]
    fn a_process_is_found_by_the_file_that_has_its_number() {
        let files = host_files();
        files.write("/run/engine.pid", "77\n");
        files.write("/proc/77/stat", "77 (vllm) S 1 77 77 0");
        let mut settings = files.settings(&[ResourceDetector::Process]);
        settings.detect.process = "/run/engine.pid".to_owned();
        let (_, found) = settings.read(Facts::default());
        assert_eq!(found.attributes.text_of("process.executable.name"), Some("vllm"));
        settings.detect.process = "/run/other.pid".to_owned();
        assert!(settings.read(Facts::default()).1.attributes.is_empty());
    }
}
