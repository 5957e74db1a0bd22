//! Verdicts on hosts that are made up. Real ones are judged in `tests/hosts`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_fluent-bit-ai");
    let Output { status, stdout, stderr } = Command::new(program).args(arguments).output().unwrap();
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// A program that prints a release as Fluent Bit does, or a file with the constant of one.
fn made_up(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).unwrap();
    path
}

/// Scenario: made-up Fluent Bits. Guarantees: a release of the table is supported, one beyond it or none is
/// not, in the words of the plugins, and the exit status says so.
#[test]
fn hosts_are_judged_by_their_releases() {
    let folder = tempfile::tempdir().unwrap();
    let script = |release: &str| format!("#!/bin/sh\necho Fluent Bit v{release}\n");
    let constant =
        |release: &str| ["x", r#""lang":"c","#, r#""version":""#, release, "\"\0"].concat();
    for (name, text, code, expected) in [
        (
            "listed",
            script("4.2.8"),
            0,
            "supported: Fluent Bit 4.2.8; layout of 4.2.4, which covers",
        ),
        ("constant", constant("3.0.7"), 0, "supported: Fluent Bit 3.0.7; layout of 3.0.0"),
        ("patch", script("5.1.99"), 0, "supported: Fluent Bit 5.1.99; newer than the table"),
        ("newer", script("9.0.0"), 1, "not supported: this is Fluent Bit 9.0.0, whose structures"),
        ("older", constant("2.2.3"), 1, "not supported: this is Fluent Bit 2.2.3"),
        ("other", "#!/bin/sh\necho nothing\n".to_owned(), 1, "does not say which release it is"),
    ] {
        let path = made_up(folder.path(), name, &text);
        let (status, said) = run(&["check", "--host", &path.display().to_string()]);
        assert!(said.contains(expected), "{name}: {said}");
        assert_eq!(status, Some(code), "{name}: {said}");
    }
    let (status, said) = run(&["check", "--host", "/nowhere/fluent-bit"]);
    assert!(
        status == Some(1) && said.contains("not supported: /nowhere/fluent-bit cannot be read"),
        "{said}"
    );
}
