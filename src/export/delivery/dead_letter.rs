//! Dead letters: where items go that an endpoint refuses for good.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use futures_util::future::BoxFuture;

use crate::clock;
use crate::export::request::EncodedRequest;
use crate::export::settings::{Compression, DeadLetterTarget, EndpointSettings};
use crate::export::transport::tls::ClientProblem;
use crate::runtime::heavy;
use crate::sync::Mutex;

/// A target for dead letters.
pub(super) enum DeadLetters {
    Endpoint(Arc<dyn DeadLetterEndpoint>),
    File(DeadLetterFile),
}

/// An endpoint that takes the dead letters of another one.
pub(super) trait DeadLetterEndpoint: Send + Sync {
    /// Sends a request; whether it has all of it, or has given it up.
    fn take(&self, request: EncodedRequest) -> BoxFuture<'_, bool>;
}

/// A file of one JSON object a line.
pub(super) struct DeadLetterFile {
    path: PathBuf,
    max_bytes: u64,
    writing: Mutex<()>,
}

#[derive(serde::Serialize)]
struct Line<'a> {
    time_unix_nano: u64,
    endpoint: &'a str,
    signal: &'static str,
    reason: &'a str,
    message: &'a str,
    items: usize,
    /// The export request of OTLP in protobuf.
    request_base64: String,
}

impl DeadLetters {
    /// The target that the settings name; `endpoint` makes the one that they name.
    pub(super) fn new(
        settings: &EndpointSettings,
        endpoint: impl FnOnce(&EndpointSettings) -> Result<Arc<dyn DeadLetterEndpoint>, ClientProblem>,
    ) -> Result<Option<Self>, ClientProblem> {
        Ok(match &settings.dead_letter {
            None => None,
            // Dead letters of dead letters are dropped.
            Some(DeadLetterTarget::Endpoint(other)) => {
                let other = EndpointSettings { dead_letter: None, ..(**other).clone() };
                Some(Self::Endpoint(endpoint(&other)?))
            }
            Some(DeadLetterTarget::File(path, max_bytes)) => {
                let file = DeadLetterFile {
                    path: path.clone(),
                    max_bytes: *max_bytes,
                    writing: Mutex::new(()),
                };
                let opened = open(path).map_err(|message| {
                    ClientProblem::new(&settings.name, "dead_letter_file", message)
                })?;
                drop(opened);
                Some(Self::File(file))
            }
        })
    }

    /// Takes the items of a request. `false`: not now.
    ///
    /// # Errors
    /// Why they cannot be taken at all.
    pub(super) async fn take(
        &self,
        endpoint: &str,
        part: &EncodedRequest,
        reason: &str,
        message: &str,
    ) -> Result<bool, String> {
        match self {
            Self::Endpoint(other) => Ok(other.take(part.again()).await),
            Self::File(file) => {
                let body = part.body(Compression::None);
                heavy(body.len(), || {
                    let encode = base64::engine::general_purpose::STANDARD.encode(&body);
                    file.append(&Line {
                        time_unix_nano: clock::unix_nanos(),
                        endpoint,
                        signal: part.signal.name(),
                        reason,
                        message,
                        items: part.items,
                        request_base64: encode,
                    })
                })
                .map(|()| true)
            }
        }
    }
}

impl DeadLetterFile {
    fn append(&self, line: &Line<'_>) -> Result<(), String> {
        let mut line = serde_json::to_vec(line).map_err(|error| error.to_string())?;
        line.push(b'\n');
        let _writing = self.writing.lock();
        let mut file = open(&self.path)?;
        let describe = |error: std::io::Error| format!("'{}': {error}", self.path.display());
        let length = file.metadata().map_err(describe)?.len();
        if length.saturating_add(line.len() as u64) > self.max_bytes {
            return Err(format!("'{}' has its {} bytes", self.path.display(), self.max_bytes));
        }
        file.write_all(&line).map_err(describe)
    }
}

fn open(path: &Path) -> Result<std::fs::File, String> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| format!("'{}' cannot be written: {error}", path.display()))
}
