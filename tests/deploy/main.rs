//! What people run beside the plugins: manifests, values of the chart, recipes, dashboards, rules, and the page of
//! troubleshooting. Files are read, held against schemas, sources and programs, and each configuration in them is
//! checked and started.
#![expect(clippy::disallowed_methods, reason = "tests have clocks and tasks")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "helpers of tests fail the test, as tests themselves do"
)]
#![expect(unreachable_pub, clippy::let_underscore_must_use, let_underscore_drop, reason = "tests")]

mod backend;
mod configuration;
mod dashboards;
mod init_container;
mod kubernetes;
mod made;
mod pilot;
mod recipes;
mod rules;
mod schema;
mod troubleshooting;

use std::path::{Path, PathBuf};

/// The files of a folder of the project with this ending, sorted.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(testkit::root().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|own| own == ending))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has no .{ending}");
    files
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
