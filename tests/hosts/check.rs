//! `fluent-bit-ai check` against hosts: what it says of a wrong configuration is what a start says, and what
//! it says of a host is what the host shows.

use fluent_bit_ai::host::abi::rows::ROWS;
use fluent_bit_ai::model::Release;
use fluent_bit_ai_cli::check::check;
use fluent_bit_ai_cli::finding::Finding;
use fluent_bit_ai_cli::host::{Verdict, judge};

use crate::hosts;
use crate::support::{all_hosts, bundled, linked, run, text, together};
use crate::wrong::{cases, write_file};

/// What a host says itself before it asks the plugin: a real one of the certificates of an input, and the
/// bundled one of threads and switches.
const HOSTS_OWN: [&str; 3] = [
    "could not create TLS backend",
    "this host has no threaded inputs",
    "invalid value for boolean property",
];
/// How much of a line is compared: the bundled host cuts long ones.
const COMPARED: usize = 300;

fn newest() -> Release {
    ROWS.last().unwrap().last
}

/// What a start says of a finding of the check: the host's own words on properties come with what each
/// release has in its list of them.
fn words(finding: &Finding) -> &str {
    let text = finding.text.split_once("] ").map_or(&*finding.text, |(_, text)| text);
    // What to add is said in the form of the configuration that the process was started with.
    let text = text.split_once(", or add: ").map_or(text, |(start, _)| start);
    let text = match text.split_once(". The following properties") {
        Some((start, _)) => start.split_once(": ").map_or(start, |(_, start)| start),
        None => text.split_once(": configuration property").map_or(text, |(_, end)| end),
    };
    text.get(..COMPARED).unwrap_or(text)
}

/// Scenario: every wrong configuration of the table, on the bundled host and on the newest real one that is
/// found. Guarantees: a start ends, and says all that the check says, in the same words.
#[test]
fn starts_say_what_the_check_says() {
    let _together = together();
    let plugins = linked();
    let conf = plugins.path().join("plugins.conf").display().to_string();
    let path = plugins.path().join("wrong.yaml");
    let mut candidates = vec![bundled("5.1.0")];
    candidates.extend(hosts::real().into_iter().next());
    let mut failed = Vec::new();
    let mut compared = 0;
    for host in &candidates {
        for case in cases().filter(|case| !case.is_warning) {
            let file = write_file(case, plugins.path());
            let yaml = case.yaml(&conf, &file.display().to_string());
            std::fs::write(&path, &yaml).unwrap();
            let findings = check(&path, &[], newest()).findings;
            let output = run(host, &["-c", &path.display().to_string()]);
            let said = text(&output);
            let is_hosts_own = HOSTS_OWN.iter().any(|own| said.contains(own));
            let is_missing = |finding: &&Finding| !is_hosts_own && !said.contains(words(finding));
            let missing: Vec<&str> = findings.iter().filter(is_missing).map(words).collect();
            if !missing.is_empty() || findings.is_empty() || output.status.success() {
                let (kind, at) = (case.kind, case.at);
                failed.push(format!("{}, {kind} at '{at}': {missing:#?}\n{said}", host.title()));
            }
            compared += findings.len();
        }
    }
    println!(
        "{compared} findings of {} configurations, in {} hosts",
        cases().count(),
        candidates.len()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Scenario: every host that is found, real and bundled, with the plugin files beside. Guarantees: it is
/// proved by a start of it, with its own release; without plugin files a real one is supported.
#[test]
fn hosts_are_proved_by_a_start() {
    let _together = together();
    let plugins = linked();
    let emitter = plugins.path().join("flb-in_ai_emitter.so");
    for host in all_hosts().iter().filter(|host| host.is_real()) {
        let verdict = judge(&host.executable, Some(&emitter));
        let Verdict::Proved { release, how } = &verdict else {
            panic!("{}: {verdict}", host.title())
        };
        assert_eq!(release, &host.release);
        assert!(
            how.contains("which covers this release") && how.contains("found in place"),
            "{how}"
        );
        let unproved = judge(&host.executable, None);
        assert!(matches!(unproved, Verdict::Supported { .. }), "{unproved}");
    }
    let verdict = judge(&hosts::bundled().executable, Some(&emitter));
    assert!(
        verdict.to_string().starts_with("supported: Fluent Bit ")
            && verdict.to_string().contains("test host"),
        "{verdict}"
    );
}

/// Scenario: a configuration with nothing wrong. Guarantees: neither the check nor a start says anything.
#[test]
fn what_is_right_starts() {
    let _together = together();
    let plugins = linked();
    let conf = plugins.path().join("plugins.conf").display().to_string();
    let path = plugins.path().join("right.yaml");
    let right = cases().find(|case| case.is_warning).unwrap();
    std::fs::write(&path, right.yaml(&conf, "")).unwrap();
    let found = check(&path, &[], newest()).findings;
    assert_eq!(found.len(), 1, "{found:?}");
    let output = run(&bundled("5.1.0"), &["--run-for", "1s", "-c", &path.display().to_string()]);
    let said = text(&output);
    assert!(output.status.success() && said.contains(right.says), "{said}");
}
