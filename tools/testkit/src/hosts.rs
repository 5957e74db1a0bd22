//! Process fixture: finding and running hosts, real Fluent Bits or the bundled one.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::at_most;

pub use crate::ports::free_port;

/// An executable that loads our plugins.
#[derive(Debug, Clone)]
pub struct Host {
    pub executable: PathBuf,
    /// What its command line starts with, for example the bundled host's row.
    pub arguments: Vec<String>,
    /// The release, or `bundled`.
    pub release: String,
}

impl Host {
    pub fn is_real(&self) -> bool {
        !self.release.starts_with("bundled")
    }

    /// Whether its own Kafka output aborts at its end where it has a key field, with our plugins and
    /// without.
    pub fn frees_the_key_of_kafka_twice(&self) -> bool {
        let numbers: Vec<u32> =
            self.release.split('.').filter_map(|number| number.parse().ok()).collect();
        self.is_real() && numbers < vec![4, 0, 6]
    }

    pub fn title(&self) -> String {
        if self.is_real() {
            format!("Fluent Bit {}", self.release)
        } else {
            format!("flb-host (the bundled host, not Fluent Bit), {}", self.release)
        }
    }
}

/// Real hosts from `FLUENT_BIT`, `PATH` and `/opt/fluent-bit*/bin`, newest first; with `CI=true` only
/// the newest and the oldest.
pub fn real() -> Vec<Host> {
    let mut candidates: Vec<PathBuf> = Vec::new();
    if let Some(listed) = std::env::var_os("FLUENT_BIT") {
        candidates.extend(std::env::split_paths(&listed));
    }
    if let Some(path) = std::env::var_os("PATH") {
        candidates.extend(std::env::split_paths(&path).map(|folder| folder.join("fluent-bit")));
    }
    for entry in std::fs::read_dir("/opt").into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("fluent-bit") {
            candidates.push(entry.path().join("bin/fluent-bit"));
        }
    }
    let mut hosts: Vec<Host> = Vec::new();
    for executable in candidates.into_iter().filter(|path| path.is_file()) {
        let Some(release) = release_of(&executable) else { continue };
        if !hosts.iter().any(|host| host.release == release) {
            hosts.push(Host { executable, arguments: Vec::new(), release });
        }
    }
    hosts.sort_by_key(|host| std::cmp::Reverse(numbers(&host.release)));
    // With all of them a run would not end in the time that continuous integration has.
    if hosts.len() > 2 && std::env::var("CI").is_ok_and(|value| value == "true") {
        hosts.drain(1..hosts.len() - 1);
    }
    hosts
}

fn numbers(release: &str) -> Vec<u32> {
    release.split('.').filter_map(|part| part.parse().ok()).collect()
}

fn release_of(executable: &Path) -> Option<String> {
    let output = Command::new(executable).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let release = text.split("Fluent Bit v").nth(1)?.split_whitespace().next()?;
    Some(release.to_owned())
}

/// The bundled host, built beside this program, or beside the folder of a test.
pub fn bundled() -> Host {
    let own = std::env::current_exe().expect("this program's path");
    let folder = own.parent().expect("a folder");
    let folder = if folder.ends_with("deps") { folder.parent().expect("a folder") } else { folder };
    Host {
        executable: folder.join("flb-host"),
        arguments: Vec::new(),
        release: "bundled".to_owned(),
    }
}

/// The newest real host, or the bundled one.
pub fn newest() -> Host {
    real().into_iter().next().unwrap_or_else(bundled)
}

/// A host that runs.
pub struct RunningHost {
    child: Child,
    pub log: PathBuf,
    _folder: tempfile::TempDir,
}

impl RunningHost {
    /// Starts a host with a configuration and waits until `port` accepts.
    pub fn start(host: &Host, configuration: &str, port: u16) -> Self {
        Self::start_with(host, configuration, port, &[])
    }

    /// The same with more variables in its environment.
    pub fn start_with(
        host: &Host,
        configuration: &str,
        port: u16,
        environment: &[(&str, String)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = "fluent-bit.yaml";
        std::fs::write(folder.path().join(file), configuration).expect("the configuration");
        Self::start_file(host, folder, file, port, environment)
    }

    /// The same with a configuration that is in a folder already, among what belongs to it.
    pub fn start_file(
        host: &Host,
        folder: tempfile::TempDir,
        file: &str,
        port: u16,
        environment: &[(&str, String)],
    ) -> Self {
        let log = folder.path().join("log");
        let out = std::fs::File::create(&log).expect("the log");
        let child = Command::new(&host.executable)
            .args(&host.arguments)
            .arg("-c")
            .arg(folder.path().join(file))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(out.try_clone().expect("the log"))
            .stderr(out)
            .stdin(Stdio::null())
            .spawn()
            .expect("the host starts");
        let mut running = Self { child, log, _folder: folder };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = running.child.try_wait().expect("the host's state");
            assert!(
                start.elapsed() < at_most(Duration::from_secs(40)) && ended.is_none(),
                "the host does not listen on {port} after {:?}, {}; its log:\n{}",
                start.elapsed(),
                ended.map_or_else(
                    || "it runs".to_owned(),
                    |status| format!("it ended with {status}")
                ),
                running.log_text()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        running
    }

    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// CPU seconds used so far.
    pub fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        let rest = stat.rsplit(") ").next().unwrap_or_default();
        let fields: Vec<f64> = rest.split(' ').filter_map(|field| field.parse().ok()).collect();
        // After the state, which is no number: utime is the 11th, stime the 12th.
        (fields.get(10).unwrap_or(&0.0) + fields.get(11).unwrap_or(&0.0)) / 100.0
    }

    /// How long its thread of this name has waited for a processor so far.
    pub fn waited(&self, thread: &str) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let tasks = tasks.into_iter().flatten().flatten().map(|task| task.path());
        let text = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        let named = tasks.filter(|task| text(task.join("comm")).trim() == thread);
        let nanos = named.filter_map(|task| {
            text(task.join("schedstat")).split_whitespace().nth(1)?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// The peak of resident memory, in MiB.
    pub fn peak_mib(&self) -> f64 {
        self.status_mib("VmHWM:")
    }

    /// Resident memory now, in MiB.
    pub fn resident_mib(&self) -> f64 {
        self.status_mib("VmRSS:")
    }

    fn status_mib(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        let kib: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0.0);
        kib / 1024.0
    }

    pub fn signal(&self, name: &str) {
        let _ =
            Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
    }

    /// Asks it to stop and waits; gives its exit code and its log.
    pub fn stop(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        let start = Instant::now();
        while start.elapsed() < at_most(Duration::from_secs(30)) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return (status.code(), self.log_text());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        (None, self.log_text())
    }
}

impl Drop for RunningHost {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A plain HTTP GET; the body, or nothing where there is no answer within five seconds.
pub fn http_get(port: u16, path: &str) -> String {
    let url = format!("http://127.0.0.1:{port}{path}");
    // Callers may be on a runtime's thread already.
    std::thread::spawn(move || get(&url)).join().ok().flatten().unwrap_or_default()
}

fn get(url: &str) -> Option<String> {
    let _already = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let limit = at_most(Duration::from_secs(5));
    let client = reqwest::Client::builder().no_proxy().timeout(limit).build().ok()?;
    runtime.block_on(async { client.get(url).send().await.ok()?.text().await.ok() })
}
