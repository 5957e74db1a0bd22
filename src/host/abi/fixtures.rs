//! Rows against what was found in real headers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use super::hosts_file;
use super::moves::Machine;
use super::row::{HostAbi, Release};
use super::rows::rows;

/// `input_plugin.size` -> 152 and so on, read from the row's own debug text so that no field is
/// forgotten.
fn fields(row: &HostAbi) -> BTreeMap<String, usize> {
    let mut fields = BTreeMap::new();
    let (mut structure, mut field) = (String::new(), String::new());
    for line in format!("{row:#?}").lines() {
        let depth = line.len() - line.trim_start().len();
        let text = line.trim().trim_end_matches(',');
        if depth == 4 && text.ends_with('{') {
            structure = text.split(':').next().unwrap().to_owned();
        }
        let value = match text.split_once(": ") {
            Some((name, value)) => {
                field = name.to_owned();
                value
            }
            None => text,
        };
        if let Ok(value) = value.parse()
            && !matches!(structure.as_str(), "first" | "last")
        {
            fields.insert(format!("{structure}.{field}"), value);
        }
    }
    fields
}

/// The folder of what `tests/abi/probe.c` printed for a machine.
fn folder(machine: Machine) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/abi/fixtures").join(machine.name)
}

/// The fixtures of a machine: path, release, and field to offset.
fn fixtures(machine: Machine) -> Vec<(PathBuf, Release, BTreeMap<String, usize>)> {
    let entries = std::fs::read_dir(folder(machine)).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let release = text.lines().next().unwrap().strip_prefix("release ").unwrap();
            let release = Release::parse(release).unwrap();
            let pairs = text.lines().skip(1).map(|line| line.split_once(' ').unwrap());
            let found =
                pairs.map(|(name, offset)| (name.to_owned(), offset.parse().unwrap())).collect();
            (path, release, found)
        })
        .collect()
}

/// Scenario: each fixture is what `tests/abi/probe.c` printed when compiled for a machine with the
/// headers of a release and the definitions of its build.
/// Guarantees: on every machine every row is held against one, and has every field at the same place.
#[test]
fn rows_are_what_real_headers_say() {
    for machine in Machine::ALL {
        let rows = rows(machine);
        let mut proved = BTreeSet::new();
        for (_, release, found) in fixtures(machine) {
            let row = rows.iter().find(|row| row.covers(release));
            let row = row.unwrap_or_else(|| panic!("no row for {release}"));
            let mut expected = *row;
            if found["coro.size"] == 24 {
                expected.coro = row.coro.without_valgrind();
            }
            assert_eq!(found, fields(&expected), "release {release} on {}", machine.name);
            proved.insert(row.since);
        }
        let all: BTreeSet<&str> = rows.iter().map(|row| row.since).collect();
        assert_eq!(proved, all, "rows without a fixture on {}", machine.name);
    }
}

/// Guarantees: what `make abi` writes of real headers for `hosts.toml` is read as the row in code.
#[test]
fn rows_as_data_are_rows_in_code() {
    for machine in Machine::ALL {
        let rows = rows(machine);
        for (path, release, _) in fixtures(machine) {
            let made = Command::new("sh")
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/abi/row.sh"))
                .args([path.as_os_str(), machine.name.as_ref()])
                .output()
                .unwrap();
            assert!(made.status.success());
            let text = String::from_utf8(made.stdout).unwrap();
            let read = hosts_file::read(&text, machine, &rows).unwrap();
            let row = rows.iter().find(|row| row.covers(release)).unwrap();
            assert_eq!(read.len(), 1);
            let range = (read[0].since, read[0].first, read[0].last);
            assert_eq!(range, (release.to_string().as_str(), release, release));
            assert!(read[0].is_laid_out_as(row), "release {release} on {}", machine.name);
        }
    }
}
