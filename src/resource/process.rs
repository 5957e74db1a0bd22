//! `process`: a process of this machine. Semantic conventions, "Process".
//!
//! The process that sends is mostly another one than this, so the user says which. Its arguments, which may
//! hold secrets, are not read beyond the command's name.

use super::attribute::{AttributeValue, ResourceAttributes};
use super::facts::Facts;

/// Which files tell of the process `pid`: a number, or `self`.
pub(super) fn files(pid: &str) -> [String; 3] {
    ["stat", "cmdline", "status"].map(|name| format!("/proc/{pid}/{name}"))
}

/// The link to its executable.
pub(super) fn link(pid: &str) -> String {
    format!("/proc/{pid}/exe")
}

pub(super) fn detect(facts: &Facts, pid: &str, found: &mut ResourceAttributes) {
    let [stat, cmdline, status] = files(pid);
    let Some(stat) = facts.file(&stat) else { return };
    // The name in parentheses may hold anything, so the rest is read from its end: proc(5).
    let Some((start, rest)) = stat.rsplit_once(')') else { return };
    let Some((number, name)) = start.split_once('(') else { return };
    let mut number_of = |key: &str, text: Option<&str>| {
        if let Some(number) = text.and_then(|text| text.trim().parse().ok()) {
            found.add(key, AttributeValue::Int(number));
        }
    };
    number_of("process.pid", Some(number));
    number_of("process.parent_pid", rest.split_whitespace().nth(1));
    let status = facts.file(&status).unwrap_or_default();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    number_of("process.real_user.id", uid.and_then(|uids| uids.split_whitespace().next()));
    let path = facts.file(&link(pid)).unwrap_or_default();
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    let file = path.rsplit('/').next().filter(|file| !file.is_empty());
    found.text("process.executable.name", file.unwrap_or(name));
    found.text("process.executable.path", path);
    let command = facts.file(&cmdline).and_then(|line| line.split('\0').next());
    found.text("process.command", command.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_described_without_its_arguments() {
        let mut facts = Facts::default();
        let mut file = |path: &str, text: &str| {
            facts.files.insert(path.to_owned(), text.to_owned());
        };
        file("/proc/77/stat", "77 (od) d (x) S 5 77 77 0 -1 4194560 1 0");
        file("/proc/77/cmdline", "python3\0serve.py\0--api-key=canary\0");
        file("/proc/77/status", "Name:\tpython3\nUid:\t1000\t1001\t1000\t1000\n");
        file("/proc/77/exe", "/usr/bin/python3.12 (deleted)");
        let mut found = ResourceAttributes::default();
        detect(&facts, "77", &mut found);
        assert_eq!(found.get("process.pid"), Some(&AttributeValue::Int(77)));
        assert_eq!(found.get("process.parent_pid"), Some(&AttributeValue::Int(5)));
        assert_eq!(found.get("process.real_user.id"), Some(&AttributeValue::Int(1000)));
        assert_eq!(found.text_of("process.executable.name"), Some("python3.12"));
        assert_eq!(found.text_of("process.executable.path"), Some("/usr/bin/python3.12"));
        assert_eq!(found.text_of("process.command"), Some("python3"));
        assert!(!format!("{found:?}").contains("canary"));
        let mut none = ResourceAttributes::default();
        detect(&facts, "78", &mut none);
        assert!(none.is_empty());
    }
}
