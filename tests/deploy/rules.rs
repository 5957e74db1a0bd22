//! `deploy/prometheus`: recording and alert rules, with unit tests by `promtool`.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::files;
use crate::made::{Made, asked, unknown};
use crate::schema::documents;

const FOLDER: &str = "deploy/prometheus";

/// The rules of all files but the tests.
fn rules() -> Vec<Value> {
    let mut rules = Vec::new();
    for path in files(FOLDER, "yml").iter().filter(|path| !path.ends_with("tests.yml")) {
        for document in documents(path) {
            for group in document["groups"].as_array().unwrap() {
                rules.extend(group["rules"].as_array().unwrap().iter().cloned());
            }
        }
    }
    assert!(rules.len() > 20, "{}", rules.len());
    rules
}

fn names(rules: &[Value], key: &str) -> BTreeSet<String> {
    rules.iter().filter_map(|rule| rule[key].as_str().map(str::to_owned)).collect()
}

/// Scenario: every rule. Guarantees: what it asks for is made, by us, by those whom a capture or a table shows, or by a
/// recording rule; every alert says what is so and what to do, and how grave it is.
#[test]
fn rules_ask_for_what_is_made() {
    let made = Made::read();
    let rules = rules();
    let recorded = names(&rules, "record");
    for rule in &rules {
        let expression = rule["expr"].as_str().unwrap();
        let wrong = unknown(&made, expression);
        assert!(wrong.is_empty(), "{wrong:?} in {expression}");
        let (series, _) = asked(expression);
        let own = series.iter().filter(|name| name.starts_with("ai:"));
        for name in own {
            assert!(recorded.contains(name), "{name} is not recorded");
        }
        if rule["alert"].is_string() {
            for key in ["summary", "description"] {
                assert!(rule["annotations"][key].is_string(), "{rule}: no {key}");
            }
            let severity = rule["labels"]["severity"].as_str().unwrap();
            assert!(["critical", "warning", "info"].contains(&severity), "{rule}");
        }
    }
}

/// Scenario: the unit tests. Guarantees: each alert fires in one of them, and is silent in one.
#[test]
fn each_alert_is_tested() {
    let alerts = names(&rules(), "alert");
    let tests = documents(&testkit::root().join(FOLDER).join("tests.yml"));
    let (mut fired, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for test in tests[0]["tests"].as_array().unwrap() {
        for case in test["alert_rule_test"].as_array().into_iter().flatten() {
            let name = case["alertname"].as_str().unwrap().to_owned();
            let fires = case["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
            if fires {
                fired.insert(name)
            } else {
                silent.insert(name)
            };
        }
    }
    assert_eq!(fired, alerts);
    assert_eq!(silent, alerts);
}

/// Scenario: Prometheus' own tool with the rules and their tests. Guarantees: rules are well formed, and all
/// tests pass.
#[test]
fn promtool_takes_the_rules_and_their_tests() {
    if Command::new("promtool").arg("--version").output().is_err() {
        println!("rules were not tested: promtool is not installed");
        return;
    }
    for arguments in [
        ["check", "rules", "alerts.yml"].as_slice(),
        &["check", "rules", "recording.yml"],
        &["test", "rules", "tests.yml"],
    ] {
        let folder = testkit::root().join(FOLDER);
        let output = Command::new("promtool").args(arguments).current_dir(folder).output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
}
