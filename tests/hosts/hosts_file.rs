//! Rows that a file adds for releases that came after the build.

use std::process::Command;

use crate::hosts::{Host, free_port};
use crate::lifecycle::passes;
use crate::support::{Pipeline, bundled, linked, real_hosts, run, text, together};

/// What `make abi` writes of the headers of 5.1.1, as rows of releases that nobody has made yet.
fn rows_of_a_later_release() -> String {
    let machine = std::env::consts::ARCH;
    let root = testkit::root();
    let made = Command::new("sh")
        .arg(root.join("tests/abi/row.sh"))
        .arg(root.join("tests/abi/fixtures").join(machine).join("5.1.1.txt"))
        .arg(machine)
        .output()
        .unwrap();
    assert!(made.status.success());
    String::from_utf8(made.stdout).unwrap().replace("\"5.1.1\"", "\"5.9.2\"")
}

/// The same host with a variable in its environment.
fn with_variable(host: Host, value: &str) -> Host {
    let mut arguments = vec![value.to_owned(), host.executable.to_string_lossy().into_owned()];
    arguments.extend(host.arguments);
    Host { executable: "env".into(), arguments, release: host.release }
}

/// Scenario: a file that the environment names has a row for a release that no build knows.
/// Guarantees: the whole pipeline runs with it, and not without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_in_a_file_runs_a_release() {
    let _together = together();
    let plugins = linked();
    let file = plugins.path().join("more.toml");
    std::fs::write(&file, rows_of_a_later_release()).unwrap();
    let variable = format!("FLUENT_BIT_AI_HOSTS_FILE={}", file.display());
    passes(&with_variable(bundled("5.9.2"), &variable), plugins.path()).await;
    let without = text(&run(&bundled("5.9.2"), &["--list-rows"]));
    assert!(without.contains("5.1.0") && !without.contains("5.9.2"), "{without}");
}

/// Scenario: a file beside the plugins is wrong. Guarantees: no host starts, whether its release is
/// known or not, and each says which line is wrong.
#[test]
fn a_wrong_file_stops_the_start() {
    let _together = together();
    let plugins = linked();
    let wrong = rows_of_a_later_release().replacen("tag_len", "tag_length", 1);
    let line = wrong.lines().position(|line| line.starts_with("tag_length")).unwrap() + 1;
    std::fs::write(plugins.path().join("hosts.toml"), wrong).unwrap();
    let pipeline = Pipeline::default().otlp_in(free_port(), free_port()).otlp_out(&[(
        "one",
        9,
        "http/protobuf",
    )]);
    let config = plugins.path().join("c.yaml");
    std::fs::write(&config, pipeline.yaml(plugins.path())).unwrap();
    for host in real_hosts().into_iter().chain([bundled("5.1.0")]) {
        let output = run(&host, &["-c", &config.to_string_lossy()]);
        let said = text(&output);
        let expected = format!("hosts.toml, line {line}: input has an unknown field 'tag_length'");
        assert!(said.contains(&expected), "{}: {said}", host.title());
        assert_ne!(output.status.code(), Some(124), "{} runs: {said}", host.title());
    }
}
