//! The check on wrong configurations and on those that are shipped, and the program as it is called.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![expect(clippy::format_push_string, reason = "a short text")]

mod wrong;

use std::path::Path;
use std::process::{Command, Output};

use fluent_bit_ai::host::abi::rows::ROWS;
use fluent_bit_ai::model::Release;
use fluent_bit_ai::plugin::{Filter, Spec};
use fluent_bit_ai::plugins::filter_ai_context::AiContext;
use fluent_bit_ai::plugins::filter_ai_metrics::AiMetrics;
use fluent_bit_ai::plugins::filter_ai_sampling::AiSampling;
use fluent_bit_ai_cli::check::check;
use fluent_bit_ai_cli::finding::{Finding, Severity};
use wrong::{Wrong, cases, write_file};

fn newest() -> Release {
    ROWS.last().unwrap().last
}

/// A folder with files that have the names of the plugins, and a `plugins.conf` of them.
fn plugins() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "[PLUGINS]\n".to_owned();
    for name in [
        "in_ai_otlp",
        "in_ai_emitter",
        "filter_ai_context",
        "filter_ai_metrics",
        "filter_ai_sampling",
        "out_multi_otlp",
    ] {
        let path = folder.path().join(format!("flb-{name}.so"));
        std::fs::write(&path, "").unwrap();
        text += &format!("    Path {}\n", path.display());
    }
    std::fs::write(folder.path().join("plugins.conf"), text).unwrap();
    folder
}

fn found(path: &Path) -> Vec<Finding> {
    check(path, &[], newest()).findings
}

/// Scenario: each wrong configuration. Guarantees: the one mistake is found, with the words of the start and
/// the line, and nothing else but what follows from it.
#[test]
fn each_mistake_is_found_with_its_line() {
    let plugins = plugins();
    let conf = plugins.path().join("plugins.conf").display().to_string();
    let path = plugins.path().join("wrong.yaml");
    let mut failed = Vec::new();
    for case in cases() {
        let file = write_file(case, plugins.path());
        let text = case.yaml(&conf, &file.display().to_string());
        std::fs::write(&path, &text).unwrap();
        let findings = found(&path);
        let severity = if case.is_warning { Severity::Warning } else { Severity::Error };
        let told = findings.iter().find(|one| one.text.contains(case.says));
        let line = (1..)
            .zip(text.lines())
            .find(|(_, line)| line.contains(case.at))
            .map(|(number, _)| number);
        let is_right = told.is_some_and(|one| {
            let is_there = if case.at.is_empty() {
                *one.place.file == file
            } else {
                *one.place.file == path && Some(one.place.line) == line
            };
            one.severity == severity && is_there
        });
        if !is_right || findings.len() > 2 {
            let told: Vec<String> = findings.iter().map(Finding::to_string).collect();
            failed.push(format!(
                "{}: {} (line {line:?})\n  {}",
                case.kind,
                case.says,
                told.join("\n  ")
            ));
        }
    }
    assert!(failed.is_empty(), "{}\n{} of {}", failed.join("\n"), failed.len(), cases().count());
}

/// The kinds of mistakes that the table has to have.
const KINDS: [&str; 16] = [
    "name",
    "duration",
    "size",
    "percentage",
    "CEL",
    "file",
    "YAML",
    "order",
    "missing emitter",
    "port",
    "URL",
    "TLS file",
    "group",
    "policy",
    "duplicate",
    "reload",
];

/// Scenario: the table of wrong configurations. Guarantees: each kind of mistake is in it at least twice.
#[test]
fn each_kind_of_mistake_is_in_the_table() {
    for kind in KINDS {
        let count = cases().filter(|case| case.kind == kind).count();
        assert!(count >= 2, "{kind}: {count}");
    }
}

/// Options of which no text is wrong by itself: names and keys of others.
const ANY_TEXT: [&str; 6] = [
    "session_attributes",
    "tag",
    "redact_keys",
    "redact_allow_keys",
    "identify_labels",
    "identify_annotations",
];

/// Scenario: the options that the filters declare. Guarantees: each has a row of its own in the table, but those of
/// which no text is wrong.
#[test]
fn each_option_of_a_filter_has_a_wrong_value_in_the_table() {
    for Spec { name: plugin, options, .. } in [AiContext::SPEC, AiMetrics::SPEC, AiSampling::SPEC] {
        let has_row = |option: &str| {
            let quoted = format!("option '{option}'");
            let names = |case: &&Wrong| {
                let file_is_wrong = option == "rules_environment" && case.says.contains(option);
                case.filters.iter().any(|lines| lines.first() == Some(&plugin))
                    && (case.says.contains(&quoted) || case.at == option || file_is_wrong)
            };
            cases().any(|case| names(&case))
        };
        let names = options.iter().map(|option| option.name);
        let missing: Vec<&str> = names.filter(|option| !has_row(option)).collect();
        let excused = options.iter().map(|option| option.name);
        let excused: Vec<&str> = excused.filter(|option| ANY_TEXT.contains(option)).collect();
        assert_eq!(missing, excused, "{plugin}");
    }
}

/// Guarantees: the page of the check says how many wrong configurations there are.
#[test]
fn the_page_says_how_many_there_are() {
    let page = include_str!("../../docs/CHECK.md");
    let said = format!("Each of {} wrong configurations,", cases().count());
    assert!(page.contains(&said), "docs/CHECK.md does not say: {said}");
}

/// Scenario: a configuration with mistakes in each instance, in its form, and in files. Guarantees: all are
/// found at once, the words name no secret, and places in files of options have their lines.
#[test]
fn all_mistakes_are_found_at_once() {
    let plugins = plugins();
    let at = |name: &str| plugins.path().join(name);
    std::fs::write(at("context.yaml"), "normalize: on\npatterns:\n  - name: x\n    regexp: y\n")
        .unwrap();
    let text = format!(
        "@SET TOKEN=hush\n[SERVICE]\n    Plugins_File {}\n@INCLUDE in*.conf\n[FILTER]\n    Name ai_context\n    Match *\n    \
         config_file {}\n[OUTPUT]\n    Name multi_otlp\n    Match *\n    endpoint.a.url ftp://x\n    \
         endpoint.a.bearer_token ${{TOKEN}}\n    endpoint.a.http_user ${{NOT_SET_16}}\n",
        at("plugins.conf").display(),
        at("context.yaml").display()
    );
    std::fs::write(at("all.conf"), text).unwrap();
    let input = "[INPUT]\n    Name AI_OTLP\n    grpc_port 4317\n    Flush\n";
    std::fs::write(at("in1.conf"), input).unwrap();
    std::fs::write(at("in2.conf"), input).unwrap();
    let findings = found(&at("all.conf"));
    let told: Vec<String> = findings.iter().map(Finding::to_string).collect();
    let all = told.join("\n");
    for expected in [
        "in1.conf:4: error: undefined value",
        "in2.conf:4: error: undefined value",
        "in2.conf:3: error: [input:ai_otlp:ai_otlp.1] cannot listen for OTLP/gRPC on 127.0.0.1:4317: Address already in use",
        "context.yaml': line 4: patterns[0].regexp: this key is not known",
        "all.conf:12: error: [output:multi_otlp:multi_otlp.0] option 'endpoint.a.url'",
        "all.conf:14: warning: [config] variable ${NOT_SET_16} is used but not set",
    ] {
        assert!(all.contains(expected), "{expected}\n{all}");
    }
    assert!(!all.contains("hush"), "{all}");
}

/// Scenario: what names and loads plugins. Guarantees: files that are missing, plugins that nothing loads,
/// names that are nearly ours, and those of another kind are found; other plugins are not.
#[test]
fn plugins_that_nothing_loads_are_found() {
    let plugins = plugins();
    let at = |name: &str| plugins.path().join(name);
    let check_text = |text: &str| {
        std::fs::write(at("a.conf"), text).unwrap();
        let findings = found(&at("a.conf"));
        findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n")
    };
    let emitter = "[INPUT]\n    Name ai_emitter\n";
    let none = check_text(emitter);
    assert!(
        none.contains(
            "a.conf:2: warning: 'ai_emitter': no plugins file names flb-in_ai_emitter.so"
        ),
        "{none}"
    );
    let beside = check_text(&format!("[SERVICE]\n    plugins_file plugins.conf\n{emitter}"));
    assert_eq!(beside, "");
    let gone = check_text(&format!("[SERVICE]\n    plugins_file gone.conf\n{emitter}"));
    assert!(
        gone.contains("a.conf:2: error: could not open plugins configuration file 'gone.conf'"),
        "{gone}"
    );
    std::fs::write(at("some.conf"), "[PLUGINS]\n    Path /nowhere/flb-in_ai_otlp.so\n").unwrap();
    let some = check_text(&format!("[SERVICE]\n    plugins_file some.conf\n{emitter}"));
    assert!(
        some.contains("some.conf:2: error: error loading DSO C plugin: /nowhere/flb-in_ai_otlp.so"),
        "{some}"
    );
    assert!(
        some.contains("a.conf:4: error: section 'input' tried to instance a plugin name"),
        "{some}"
    );
    let twice = std::fs::read_to_string(at("plugins.conf")).unwrap();
    let line = twice.lines().find(|line| line.contains("emitter")).unwrap();
    std::fs::write(at("twice.conf"), format!("{twice}{line}\n")).unwrap();
    let twice = check_text(&format!("[SERVICE]\n    plugins_file twice.conf\n{emitter}"));
    assert!(
        twice.contains(
            "warning: flb-in_ai_emitter.so: the file of this plugin was loaded more than once"
        ),
        "{twice}"
    );
    let names = check_text(
        "[SERVICE]\n    plugins_file plugins.conf\n[INPUT]\n    Name ai_otpl\n[INPUT]\n    Name multi_otlp\n[INPUT]\n    \
         Tag x\n[INPUT]\n    Name dummy\n    colour red\n",
    );
    assert!(names.contains("a.conf:4: error: section 'input' tried to instance a plugin name that doesn't exist: 'ai_otpl'"));
    assert!(
        names.contains("a.conf:6: error: ")
            && names.contains("perhaps the output 'multi_otlp' is meant"),
        "{names}"
    );
    assert!(
        names.contains("a.conf:7: error: section 'input' is missing the 'name' property"),
        "{names}"
    );
    assert!(!names.contains("colour"), "{names}");
}

/// Scenario: plugins of others whose files are not there. Guarantees: that is an error for releases that do not start then, and
/// a warning for those before.
#[test]
fn missing_files_of_other_plugins_are_found() {
    let plugins = plugins();
    let at = |name: &str| plugins.path().join(name);
    let own = std::fs::read_to_string(at("plugins.conf")).unwrap();
    for (file, kind) in [("out_gstdout.so", "proxy"), ("flb-out_foo.so", "DSO C")] {
        std::fs::write(at("others.conf"), format!("{own}    Path /nowhere/{file}\n")).unwrap();
        std::fs::write(
            at("a.conf"),
            "[SERVICE]\n    plugins_file others.conf\n[INPUT]\n    Name ai_emitter\n",
        )
        .unwrap();
        let told: Vec<String> = found(&at("a.conf")).iter().map(Finding::to_string).collect();
        let told = told.join("\n");
        let expected =
            format!("others.conf:8: error: error loading {kind} plugin: /nowhere/{file}");
        assert!(told.contains(&expected), "{told}");
        let before = check(&at("a.conf"), &[], Release::new(5, 0, 9)).findings;
        assert!(before.iter().all(|one| one.severity == Severity::Warning) && before.len() == 1);
    }
}

/// Scenario: every configuration that is shipped, from the folder in which it is meant to be started.
/// Guarantees: nothing is wrong with it.
#[test]
fn shipped_configurations_are_right() {
    let plugins = plugins();
    let instead = plugins.path().join("plugins.conf").display().to_string();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut checked = 0;
    for entry in std::fs::read_dir(root.join("fluent-bit-conf")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains("pipeline:") || text.contains("[INPUT]") {
            let (code, said) =
                run(&["check", "--plugins", &instead, "-c", &path.display().to_string()]);
            assert_eq!(code, Some(0), "{said}");
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_fluent-bit-ai");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new(program);
    let Output { status, stdout, stderr } =
        command.args(arguments).current_dir(root).output().unwrap();
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// Scenario: the program on a right and on a wrong configuration, with a `config_file` beside it.
/// Guarantees: the exit status says which it is, and all that is wrong is on standard output.
#[test]
fn the_program_says_it_by_its_exit_status() {
    let plugins = plugins();
    let at = |name: &str| plugins.path().join(name).display().to_string();
    std::fs::write(at("metrics.yaml"), "interval: 5s\n").unwrap();
    let text = "service: {plugins_file: plugins.conf}\npipeline:\n  inputs:\n    - {name: ai_emitter}\n  filters:\n    \
                - {name: ai_metrics, match: '*', config_file: metrics.yaml}\n";
    std::fs::write(at("right.yaml"), text).unwrap();
    let (code, said) = run(&["check", "-c", &at("right.yaml")]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("right.yaml: errors: 0, warnings: 0; instances of ours: 2, of others"),
        "{said}"
    );
    std::fs::write(at("wrong.yaml"), text.replace("ai_emitter", "dummy")).unwrap();
    let (code, said) = run(&["check", "--config", &at("wrong.yaml")]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("wrong.yaml:6: error: [filter:ai_metrics:ai_metrics.0] "), "{said}");
    assert!(
        said.contains("- name: ai_emitter") && said.contains("errors: 1, warnings: 0; "),
        "{said}"
    );
    let (code, said) = run(&["check", "-c", &at("none.yaml")]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("none.yaml: error: the file cannot be read"), "{said}");
    assert_eq!(run(&["check"]).0, Some(2));
    assert_eq!(run(&["check", "--connect"]).0, Some(2));
}
