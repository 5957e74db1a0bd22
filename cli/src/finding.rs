//! Findings: what is wrong, and where.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file.
    pub file: Arc<PathBuf>,
    /// The line, from 1; 0 is the file as a whole.
    pub line: usize,
}

impl Place {
    /// A file as a whole.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self { file: Arc::new(path.to_owned()), line: 0 }
    }

    /// A line of the same file.
    #[must_use]
    pub fn at(&self, line: usize) -> Self {
        Self { file: Arc::clone(&self.file), line }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(form, "{}", self.file.display())?;
        if self.line > 0 { write!(form, ":{}", self.line) } else { Ok(()) }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The start ends, and so does a process that reloads.
    Error,
    /// It starts, and does something else than most would expect.
    Warning,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What, in the words of the start where it has any.
    pub text: String,
}

impl Finding {
    /// What ends the start.
    pub fn error(place: &Place, text: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place: place.clone(), text: text.into() }
    }

    /// What does not end it.
    pub fn warning(place: &Place, text: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, text) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(form, "{}: {severity}: {}", self.place, self.text)
    }
}
