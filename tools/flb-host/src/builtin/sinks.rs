//! Built-in outputs: `null` forgets, `file` appends the chunk as it is, `stdout` prints events.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use super::{only, print};
use crate::report;
use crate::settings::Section;

/// A built-in output.
#[derive(Debug)]
pub(crate) enum BuiltinOutput {
    /// Forgets every chunk.
    Null,
    /// Appends every chunk to a file.
    File(PathBuf),
    /// Prints every event.
    Stdout,
}

const CORE: &[&str] = &["match", "alias", "log_level", "retry_limit", "workers"];

impl BuiltinOutput {
    /// The built-in output that a section names, if it names one.
    ///
    /// # Errors
    /// One line that names the property that is wrong.
    pub(crate) fn new(section: &Section) -> Result<Option<Self>, String> {
        let (sink, own): (Self, &[&str]) = match section.get("name").as_deref() {
            Some("null") => (Self::Null, &[]),
            Some("stdout") => (Self::Stdout, &[]),
            Some("file") => {
                let path = section.get("path").ok_or("file: 'path' is missing")?;
                (Self::File(path.into()), &["path"])
            }
            _ => return Ok(None),
        };
        only(section, CORE, own)?;
        Ok(Some(sink))
    }

    /// Takes a chunk; false if it is to be tried again.
    pub(crate) fn write(&self, kind: i32, tag: &[u8], bytes: &[u8]) -> bool {
        let written = match self {
            Self::Null => Ok(()),
            Self::File(path) => OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .and_then(|mut file| file.write_all(bytes)),
            Self::Stdout => {
                let text = print::chunk(kind, tag, bytes);
                std::io::stdout().lock().write_all(text.as_bytes())
            }
        };
        if let Err(error) = &written {
            report::line(report::ERROR, &format!("[flb-host] an output cannot write: {error}"));
        }
        written.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_the_bytes_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let sink = BuiltinOutput::File(path.clone());
        assert!(sink.write(0, b"t", b"ab") && sink.write(0, b"t", b"c"));
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        assert!(!BuiltinOutput::File(folder.path().to_owned()).write(0, b"t", b"x"));
    }
}
