//! Verdict on a Fluent Bit: proved by a start of it, or known from its release, or not supported.
//!
//! The release is what its file says, by the constant by which the plugins know it where they run, or
//! else what it prints. With a plugin file at hand the host is started with nothing but `ai_emitter`,
//! which compares it with its layout and says how many fields it found in place.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use fluent_bit_ai::host::{HostSupport, announced, release_of_program, support_of};

/// How long a host may take to print its release.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
/// How long a host may take until its first instance starts.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Lines of a host that may wait to be looked at.
const WAITING_LINES: usize = 256;
/// Bytes of a line at most.
const MAX_LINE: u64 = 64 * 1024;
/// The largest program that is searched, in bytes.
const MAX_PROGRAM: u64 = 1 << 30;

/// What is known of a Fluent Bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It ran, and keeps its fields where the layout says.
    Proved {
        /// Its release.
        release: String,
        /// What the first instance said.
        how: String,
    },
    /// It is of a release that is in the table.
    Supported {
        /// Its release.
        release: String,
        /// The layout, and why nothing more is known.
        how: String,
    },
    /// It would be refused, or is none.
    NotSupported(String),
}

impl Verdict {
    /// The release, if it would run.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        match self {
            Self::Proved { release, .. } | Self::Supported { release, .. } => Some(release),
            Self::NotSupported(_) => None,
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, form: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Proved { release, how } => write!(form, "proved: Fluent Bit {release}; {how}"),
            Self::Supported { release, how } => {
                write!(form, "supported: Fluent Bit {release}; {how}")
            }
            Self::NotSupported(why) => write!(form, "not supported: {why}"),
        }
    }
}

/// What is known of the program at `path`. `emitter` is the file of `ai_emitter`, if there is one.
#[must_use]
pub fn judge(path: &Path, emitter: Option<&Path>) -> Verdict {
    let release = match release_of(path) {
        Ok(release) => release,
        Err(why) => return Verdict::NotSupported(why),
    };
    let support = release.as_deref().map(support_of).transpose();
    let support = match support {
        Ok(support) => support,
        Err(why) => return Verdict::NotSupported(why),
    };
    let tried = match emitter {
        Some(emitter) => start(path, emitter),
        None => Err(
            "it was not started, because no flb-in_ai_emitter.so is beside this program or named \
                     by a plugins file"
                .to_owned(),
        ),
    };
    match (tried, release, support) {
        (Ok(Some(verdict)), _, _) => verdict,
        (Ok(None), None, _) => {
            Verdict::NotSupported(format!("{} does not say which release it is", path.display()))
        }
        (Ok(None), Some(release), Some(support)) => {
            supported(release, support, "it was started and said nothing of it")
        }
        (Err(why), Some(release), Some(support)) => supported(release, support, &why),
        (Err(why), _, _) => {
            let at = path.display();
            Verdict::NotSupported(format!("{at} does not say which release it is, and {why}"))
        }
        (Ok(None), Some(_), None) => Verdict::NotSupported(path.display().to_string()),
    }
}

fn supported(release: String, support: HostSupport, why: &str) -> Verdict {
    let how = match support {
        HostSupport::Listed { layout } => {
            format!("layout of {layout}, which covers this release; not proved: {why}")
        }
        HostSupport::Unproved { layout } => format!(
            "newer than the table; runs if the layout of {layout} holds, which its start proves; not \
             proved: {why}"
        ),
    };
    Verdict::Supported { release, how }
}

/// The release of a program, if it says one.
fn release_of(path: &Path) -> Result<Option<String>, String> {
    let wrong = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(wrong)?;
    file.take(MAX_PROGRAM).read_to_end(&mut bytes).map_err(wrong)?;
    if let Some(release) = release_of_program(&bytes) {
        return Ok(Some(release));
    }
    drop(bytes);
    let mut child = Command::new(path);
    let child =
        child.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running =
        Running::of(child).map_err(|error| format!("{} cannot be run: {error}", path.display()))?;
    Ok(running.first(VERSION_LIMIT, |line| {
        let release = line.split_once("Fluent Bit v")?.1.split_whitespace().next()?;
        Some(release.to_owned())
    }))
}

/// Starts a host with `ai_emitter` alone, until it says what it is.
fn start(path: &Path, emitter: &Path) -> Result<Option<Verdict>, String> {
    let folder =
        Folder::new().map_err(|error| format!("no folder for its configuration: {error}"))?;
    let configuration = folder.0.join("check.conf");
    let text = "[SERVICE]\n    flush 1\n    grace 1\n[INPUT]\n    name ai_emitter\n    tag check\n[OUTPUT]\n    \
                name null\n    match *\n";
    std::fs::write(&configuration, text)
        .map_err(|error| format!("its configuration cannot be written: {error}"))?;
    let emitter = std::fs::canonicalize(emitter.parent().unwrap_or(Path::new(".")))
        .map(|folder| folder.join(emitter.file_name().unwrap_or_default()))
        .map_err(|error| format!("{}: {error}", emitter.display()))?;
    let mut command = Command::new(path);
    command.arg("-e").arg(&emitter).arg("-c").arg(&configuration);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running =
        Running::of(&mut command).map_err(|error| format!("it cannot be run: {error}"))?;
    Ok(running.first(START_LIMIT, |line| {
        if let Some((release, how)) = announced(line.trim_end()) {
            let (release, how) = (release.to_owned(), how.to_owned());
            // Where memory cannot be looked at, a release of the table runs unproved.
            let is_proved = how.ends_with("found in place");
            return Some(if is_proved {
                Verdict::Proved { release, how }
            } else {
                Verdict::Supported { release, how }
            });
        }
        let (_, why) = line
            .split_once("[fluent-bit-ai] ")
            .or_else(|| line.split_once("[input:ai_emitter] "))?;
        line.contains("error").then(|| Verdict::NotSupported(why.trim().to_owned()))
    }))
}

/// A folder that goes when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Self> {
        let name = format!("fluent-bit-ai-check-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A program that runs until this is dropped, and its lines.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    /// Starts a program of which one of the two outputs is a pipe.
    fn of(command: &mut Command) -> std::io::Result<Self> {
        let mut child = command.spawn()?;
        let output: Box<dyn Read + Send> = match (child.stdout.take(), child.stderr.take()) {
            (Some(output), _) => Box::new(output),
            (None, Some(output)) => Box::new(output),
            (None, None) => Box::new(std::io::empty()),
        };
        let (sender, lines) = sync_channel(WAITING_LINES);
        let read = move || {
            let mut output = BufReader::new(output);
            loop {
                let mut line = Vec::new();
                let end = output.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
                let is_over = !matches!(end, Ok(bytes) if bytes > 0);
                if is_over || sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("lines".to_owned()).spawn(read)?;
        Ok(Self { child, lines })
    }

    /// What `found` makes of the first line that it takes, of those that come within `limit`.
    fn first<T>(&mut self, limit: Duration, found: impl Fn(&str) -> Option<T>) -> Option<T> {
        let start = fluent_bit_ai::clock::now();
        loop {
            let left = limit.checked_sub(fluent_bit_ai::clock::now().since(start))?;
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(found) = found(&line) {
                        return Some(found);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
