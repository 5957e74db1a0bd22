//! The shape of the source: who uses whom, how large files are, where `unsafe` lives.

#![expect(clippy::unwrap_used, reason = "tests")]

mod source_tree;

use std::collections::BTreeSet;
use std::path::Path;

use source_tree::{code_of, root, sources};

/// Module -> the modules that it may use. The table of ARCHITECTURE.md.
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("codec", &["model"]),
    ("condition", &["model", "codec"]),
    ("sampling", &["model", "codec", "condition", "clock"]),
    ("aggregation", &["model", "codec", "clock", "sampling"]),
    ("genai", &["model", "codec", "digest"]),
    ("routing", &["model", "clock"]),
    ("clock", &[]),
    ("digest", &[]),
    ("private_key", &[]),
    ("cipher_suites", &[]),
    ("stats", &[]),
    ("hub", &["model", "clock", "plugin", "stats"]),
    ("plugin", &["hub", "stats"]),
    ("config", &["plugin"]),
    ("runtime", &["clock", "stats"]),
    ("trust", &[]),
    (
        "receive",
        &[
            "model",
            "codec",
            "private_key",
            "cipher_suites",
            "config",
            "plugin",
            "runtime",
            "clock",
            "stats",
            "hub",
            "trust",
        ],
    ),
    (
        "export",
        &[
            "model",
            "codec",
            "config",
            "condition",
            "sampling",
            "digest",
            "private_key",
            "cipher_suites",
            "routing",
            "plugin",
            "runtime",
            "clock",
            "stats",
            "genai",
            "trust",
        ],
    ),
    ("host", &["plugin", "hub", "stats", "clock", "config"]),
];

const PURE: &[&str] = &[
    "model",
    "codec",
    "digest",
    "private_key",
    "cipher_suites",
    "condition",
    "sampling",
    "aggregation",
    "genai",
    "routing",
];

const MOST_LINES: usize = 600;

/// The top-level module that a file belongs to.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.iter().next().unwrap().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains("tests"))
        || path.iter().any(|part| part == "tests")
}

/// Scenario: every `crate::x` in the source. Guarantees: the edges are those of ARCHITECTURE.md.
#[test]
fn modules_use_only_what_the_table_allows() {
    let mut wrong = BTreeSet::new();
    for path in sources(&root().join("src")) {
        let module = module_of(&path);
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == module) else { continue };
        if is_test(&path) {
            continue;
        }
        for used in code_of(&path).split("crate::").skip(1) {
            let used: String =
                used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let known = EDGES.iter().any(|(name, _)| *name == used);
            if known && used != module && !allowed.contains(&used.as_str()) {
                wrong.insert(format!("{module} uses {used} in {}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Scenario: the pure modules. Guarantees: no clock, no I/O, no threads in them.
#[test]
fn pure_modules_have_no_effects() {
    let effects = [
        "std::net::{Tcp",
        "std::net::Tcp",
        "std::net::Udp",
        "std::fs",
        "std::thread",
        "tokio::",
        "clock::now",
        "clock::unix_nanos",
    ];
    for path in sources(&root().join("src")) {
        if PURE.contains(&module_of(&path).as_str()) && !is_test(&path) {
            let code = code_of(&path);
            for effect in effects {
                assert!(!code.contains(effect), "{} has {effect}", path.display());
            }
        }
    }
}

/// Scenario: all of the source. Guarantees: files stay small enough to be one thing.
#[test]
fn files_are_small() {
    for path in sources(&root().join("src")) {
        let lines = code_of(&path).lines().count();
        let generated =
            path.ends_with("host/abi/rows.rs") || path.ends_with("host/abi/bindings.rs");
        assert!(generated || lines <= MOST_LINES, "{} has {lines} lines", path.display());
    }
}

/// Scenario: all of the source. Guarantees: `unsafe` lives in the host layer and the bundled host.
#[test]
fn unsafe_has_one_home() {
    for path in sources(&root().join("src")) {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        let home = inside.starts_with("host") || inside.starts_with("bin/flb-host");
        let code = code_of(&path);
        let unsafe_code = code.lines().any(|line| {
            let line = line.trim_start();
            !line.starts_with("//") && (line.contains("unsafe {") || line.contains("unsafe fn"))
        });
        assert!(home || !unsafe_code, "{} has unsafe code", path.display());
    }
}

/// Scenario: the plugin files. Guarantees: each is known to `plugins/mod.rs` and has a
/// configuration that uses it.
#[test]
fn every_plugin_is_wired_and_shown() {
    let modules = std::fs::read_to_string(root().join("src/plugins/mod.rs")).unwrap();
    let configurations: String = std::fs::read_dir(root().join("fluent-bit-conf"))
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .collect();
    for path in sources(&root().join("src/plugins")) {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Some((_, name)) =
            stem.split_once('_').filter(|(kind, _)| ["in", "filter", "out"].contains(kind))
        else {
            continue;
        };
        assert!(modules.contains(&format!("mod {stem};")), "{stem} has no mod line");
        let code = std::fs::read_to_string(&path).unwrap();
        assert!(code.contains(&format!("\"{stem}\"")), "{stem} exports another symbol");
        assert!(configurations.contains(&format!("name: {name}")), "{name} has no configuration");
    }
}
