//! Process fixture: a backend's process.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::hosts::Host;
use crate::support::{bundled, real_hosts};

/// How long a backend may take to start.
const PATIENCE: Duration = Duration::from_secs(240);

/// The folder with the backends' packages, if they are installed.
pub fn installed() -> Option<PathBuf> {
    let folder = std::env::var_os("BACKENDS").map(|folder| PathBuf::from(folder).join("venv"));
    let found = folder.filter(|folder| folder.join("bin/python").is_file());
    if found.is_none() {
        println!("skipped: no backends are installed; `make backends` does that");
    }
    found
}

/// The newest real host, else the bundled one.
pub fn host() -> Host {
    real_hosts().into_iter().next().unwrap_or_else(|| bundled("5.1.0"))
}

/// A running backend. It ends, with what it started, when this goes.
pub struct Server {
    child: Child,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts a backend, in a folder of its own, and waits until it accepts on `port`.
    pub async fn start(mut command: Command, port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("the backend starts");
        let mut server = Self { child, folder };
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let alive = matches!(server.child.try_wait(), Ok(None));
            let early = start.elapsed() < PATIENCE;
            assert!(alive && early, "nobody listens on {port}:\n{}", server.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        server
    }

    /// A file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have processes of its own: all of its group.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// Waits until a backend has as many spans in its database, half a minute at most, and returns those.
pub async fn settled(
    folder: &Path,
    backend: &str,
    database: &Path,
    count: usize,
) -> BTreeMap<(String, String), Json> {
    let start = Instant::now();
    loop {
        let kept = stored(folder, backend, database);
        if kept.len() >= count || start.elapsed() > testkit::at_most(Duration::from_secs(30)) {
            return kept;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// All spans in a backend's database, by their ids.
fn stored(folder: &Path, backend: &str, database: &Path) -> BTreeMap<(String, String), Json> {
    let script = testkit::root().join("tests/backends/stored.py");
    let python = folder.join("bin/python");
    let output = Command::new(python).arg(script).arg(backend).arg(database).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let spans = text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let id = |span: &Json, key: &str| span[key].as_str().unwrap().to_owned();
    spans.map(|span| ((id(&span, "trace"), id(&span, "span")), span)).collect()
}
