//! The two forms of configuration files, told by their names.

use std::path::Path;

use super::document::Document;
use super::{classic, document};

/// Reads a file by the form that its name says: YAML, or else classic.
pub(super) fn parse(path: &Path, text: &str) -> Result<Document, String> {
    let is_yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    if is_yaml { document::parse(text) } else { classic::parse(text) }
}
