//! Architecture tests: who uses whom, how large files are, where `unsafe` lives.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "tests")]

mod file_graph;
mod source_tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use file_graph::FileGraph;
use source_tree::{code_of, root, sources};

const PURE: &[&str] = &[
    "model",
    "codec",
    "digest",
    "private_key",
    "cipher_suites",
    "condition",
    "correlation",
    "sampling",
    "metric_points",
    "pricing",
    "findings",
    "aggregation",
    "genai",
    "resource",
    "routing",
];

/// The files that name the modules of our two crates.
const CRATES: [&str; 2] = ["lib", "telemetry"];

const MAX_LINES: usize = 600;

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

/// The rows of a table of ARCHITECTURE.md, of the section with this heading.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let section = text.split(&format!("\n{heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = |row: &str| row.split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Module -> the modules that it may use; `None` where that is everything.
fn edges() -> BTreeMap<String, Option<BTreeSet<String>>> {
    let rows = table("## The tree, and who may use whom");
    let allowed =
        |cell: &str| (!cell.starts_with("everything")).then(|| quoted(cell).into_iter().collect());
    rows.iter().map(|row| (quoted(&row[1]).remove(0), allowed(&row[3]))).collect()
}

/// Scenario: every `crate::x` in the source, and the table of ARCHITECTURE.md. Guarantees: the table
/// has every module, and the edges are those of the table.
#[test]
fn modules_use_only_what_the_table_allows() {
    let edges = edges();
    let mut wrong = BTreeSet::new();
    for path in sources(&root().join("src")) {
        let module = module_of(&path);
        if CRATES.contains(&module.as_str()) || is_test(&path) {
            continue;
        }
        let Some(allowed) = edges.get(&module) else {
            wrong.insert(format!("ARCHITECTURE.md does not have {module}"));
            continue;
        };
        let Some(allowed) = allowed else { continue };
        for used in code_of(&path).split("crate::").skip(1) {
            let used: String =
                used.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if edges.contains_key(&used) && used != module && !allowed.contains(&used) {
                wrong.insert(format!("{module} uses {used} in {}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The circles between files that ARCHITECTURE.md lists.
fn listed_circles() -> BTreeSet<BTreeSet<String>> {
    table("### Circles between files").iter().map(|row| files_of(&row[1])).collect()
}

/// The files of a cell such as `` `a/{b,c}.rs`, `d.rs` ``.
fn files_of(cell: &str) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for pattern in quoted(cell) {
        match pattern.split_once('{').and_then(|(start, rest)| Some((start, rest.split_once('}')?)))
        {
            Some((start, (names, end))) => {
                files.extend(names.split(',').map(|name| format!("{start}{name}{end}")));
            }
            None => drop(files.insert(pattern)),
        }
    }
    files
}

/// Scenario: the items of other files that each file names. Guarantees: files import each other in a
/// circle only where ARCHITECTURE.md says why, and every circle that it lists is there.
#[test]
fn circles_between_files_are_listed() {
    let source = root().join("src");
    let files = [sources(&source), sources(&root().join("tools/flb-host/src"))].concat();
    let graph = FileGraph::read(&source, files, is_test);
    let owned = |circle: &BTreeSet<&str>| circle.iter().map(|file| (*file).to_owned()).collect();
    let found: BTreeSet<BTreeSet<String>> = graph.circles().iter().map(owned).collect();
    let listed = listed_circles();
    let edges = graph.edges();
    let describe = |circle: &BTreeSet<String>| -> Vec<String> {
        let inside = |file: &String| {
            edges[file.as_str()].iter().filter(|other| circle.contains(**other)).copied().collect()
        };
        let line = |file: &String| {
            let others: Vec<&str> = inside(file);
            format!("{file} names items of {}", others.join(", "))
        };
        circle.iter().map(line).collect()
    };
    let unlisted: Vec<_> = found.difference(&listed).map(describe).collect();
    assert!(unlisted.is_empty(), "circles that ARCHITECTURE.md does not list: {unlisted:#?}");
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(gone.is_empty(), "rows of ARCHITECTURE.md that are no circles any more: {gone:#?}");
}

/// Scenario: files that name each other's items in every way that counts, and in those that do not.
/// Guarantees: the graph has the edges of the first and none of the second.
#[test]
fn the_graph_follows_names_to_the_files_that_define_them() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("lib.rs", "mod a; mod room; mod tested;");
    write("a.rs", "use crate::room::{inner::Deep, Shown as Other}; pub struct A(Other, Deep);");
    write("room/mod.rs", "mod inner; mod leaf; pub use leaf::*;");
    write("room/inner.rs", "pub struct Deep; fn f() -> u8 { super::leaf::number() }");
    write(
        "room/leaf.rs",
        "pub struct Shown; // crate::a::A\npub fn number() -> u8 { \"crate::a::A\".len() as u8 }\n\
         #[cfg(test)] mod tests { use crate::a::A; }",
    );
    write("tested.rs", "#[cfg(test)] mod only; fn f(_: crate::a::A) {}");
    write("tested/only.rs", "use crate::tested::f;");
    let graph = FileGraph::read(folder.path(), sources(folder.path()), is_test);
    let edges = graph.edges();
    let of = |file: &str| edges[file].iter().copied().collect::<Vec<_>>();
    assert_eq!(of("a.rs"), ["room/inner.rs", "room/leaf.rs"]);
    assert_eq!((of("room/inner.rs"), of("room/mod.rs")), (vec!["room/leaf.rs"], vec![]));
    assert!(of("room/leaf.rs").is_empty() && !edges.contains_key("tested/only.rs"));
    assert_eq!(of("tested.rs"), ["a.rs"]);
    assert!(graph.circles().is_empty());
    write("room/leaf.rs", "pub struct Shown(Box<crate::a::A>); pub fn number() -> u8 { 1 }");
    let graph = FileGraph::read(folder.path(), sources(folder.path()), is_test);
    let circle = ["a.rs", "room/inner.rs", "room/leaf.rs"];
    assert_eq!(graph.circles(), BTreeSet::from([BTreeSet::from(circle)]));
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

/// Scenario: the crate of src/telemetry.rs. Guarantees: it has pure modules only, beside the types of the clock.
#[test]
fn what_knows_telemetry_is_pure() {
    let text = std::fs::read_to_string(root().join("src/telemetry.rs")).unwrap();
    let modules: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let others = modules.iter().filter(|module| !PURE.contains(module));
    assert_eq!(others.collect::<Vec<_>>(), [&"clock"]);
    assert!(text.contains("#![forbid(unsafe_code)]"));
}

/// Scenario: all of the source. Guarantees: files stay small enough to be one thing.
#[test]
fn files_are_small() {
    let folders = ["src", "tools", "cli"].map(|folder| sources(&root().join(folder)));
    for path in folders.concat() {
        let lines = code_of(&path).lines().count();
        let generated =
            path.ends_with("host/abi/rows.rs") || path.ends_with("host/abi/bindings.rs");
        assert!(generated || lines <= MAX_LINES, "{} has {lines} lines", path.display());
    }
}

/// Scenario: all of the source. Guarantees: `unsafe` lives in the host layer.
#[test]
fn unsafe_has_one_home() {
    for path in sources(&root().join("src")) {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        let home = inside.starts_with("host");
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
    let folder = root().join("src/plugins");
    let entries: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut plugins = 0;
    for path in entries {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Some((_, name)) =
            stem.split_once('_').filter(|(kind, _)| ["in", "filter", "out"].contains(kind))
        else {
            continue;
        };
        plugins += 1;
        assert!(modules.contains(&format!("mod {stem};")), "{stem} has no mod line");
        let file = if path.is_dir() { path.join("mod.rs") } else { path };
        let code = std::fs::read_to_string(&file).unwrap();
        assert!(
            code.contains(&format!("put!(\"{stem}\""))
                || code.contains(&format!("filter!(\"{stem}\"")),
            "{stem} exports another symbol"
        );
        assert!(configurations.contains(&format!("name: {name}")), "{name} has no configuration");
    }
    assert_eq!(plugins, 6, "plugins of {}", folder.display());
}

/// Scenario: the recipes of CONTRIBUTING.md. Guarantees: each counts the files that it numbers, the files
/// and folders that it names are there, and so are the tests that it says fail.
#[test]
fn recipes_name_what_is_there() {
    let page = std::fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let (_, recipes) = page.split_once("\n## Recipes\n").unwrap();
    let recipes: Vec<&str> = recipes.split("\n### ").skip(1).collect();
    assert!(recipes.len() >= 6, "{recipes:?}");
    for recipe in recipes {
        let (heading, text) = recipe.split_once('\n').unwrap();
        let counted = heading.rsplit(": ").next().unwrap().split(' ').next().unwrap();
        let numbered = (1..).take_while(|n| text.contains(&format!("\n{n}. `src/"))).count();
        assert_eq!(counted, numbered.to_string(), "{heading}");
        let names = quoted(text).into_iter().filter(|name| !name.contains(char::is_whitespace));
        for path in names.filter(|name| name.contains('/')) {
            // Of `NAME.rs` and `*.rs` the folder is looked for.
            let folder = path.split(['N', '*']).next().unwrap();
            let path = if path.contains("NAME") { folder } else { path.trim_end_matches("*.rs") };
            assert!(root().join(path).exists(), "{heading}: {path} is not there");
        }
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for said in words.split("` in `").collect::<Vec<_>>().windows(2) {
            let test = said[0].rsplit('`').next().unwrap();
            if !test.starts_with(|first: char| first.is_ascii_lowercase()) {
                continue;
            }
            let path = said[1].split('`').next().unwrap();
            let source = std::fs::read_to_string(root().join(path)).unwrap();
            assert!(source.contains(&format!("fn {test}()")), "{heading}: no {test} in {path}");
        }
    }
}
