//! The reference pages in `docs/reference`: printed from the plugins' own tables of options and
//! from the families of counters in the source, and held against them.

#![expect(clippy::unwrap_used, reason = "tests")]

mod source_tree;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fluent_bit_ai::aggregation::{Instrument, InstrumentForm, instruments};
use fluent_bit_ai::plugin::{Filter, Input, OptionKind, OptionSpec, Output, Spec};
use fluent_bit_ai::plugins::{
    filter_ai_context, filter_ai_metrics, filter_ai_sampling, in_ai_emitter, in_ai_otlp,
    out_multi_otlp,
};
use regex::Regex;
use source_tree::{code_of, root, sources};

/// A page: what the plugin is, where its counters are declared, what to read beside it, and the metrics
/// that it makes of telemetry.
struct Page {
    kind: &'static str,
    spec: Spec,
    sources: &'static [&'static str],
    guide: &'static str,
    instruments: Vec<&'static Instrument>,
}

fn pages() -> Vec<Page> {
    let page =
        |kind, spec, sources, guide| Page { kind, spec, sources, guide, instruments: Vec::new() };
    vec![
        page(
            "input",
            in_ai_otlp::AiOtlp::SPEC,
            &["src/receive", "src/plugins/derived/emitter.rs"],
            "[ai_otlp.md](../ai_otlp.md), [SECURITY.md](../SECURITY.md), [NATIVE.md](../NATIVE.md), [STATUS.md](../STATUS.md)",
        ),
        page(
            "input",
            in_ai_emitter::AiEmitter::SPEC,
            &[
                "src/plugins/derived/emitter.rs",
                "src/plugins/derived/max_memory.rs",
                "src/receive/chunks.rs",
                "src/scrape",
            ],
            "[ai_emitter.md](../ai_emitter.md), [STATUS.md](../STATUS.md)",
        ),
        page(
            "filter",
            filter_ai_context::AiContext::SPEC,
            &["src/plugins/filter_ai_context"],
            "[ai_context.md](../ai_context.md)",
        ),
        Page {
            kind: "filter",
            spec: filter_ai_metrics::AiMetrics::SPEC,
            sources: &["src/plugins/filter_ai_metrics"],
            guide: "[ai_metrics.md](../ai_metrics.md)",
            instruments: instruments().collect(),
        },
        page(
            "filter",
            filter_ai_sampling::AiSampling::SPEC,
            &["src/plugins/filter_ai_sampling"],
            "[ai_sampling.md](../ai_sampling.md)",
        ),
        page(
            "output",
            out_multi_otlp::MultiOtlp::SPEC,
            &["src/export"],
            "[multi_otlp.md](../multi_otlp.md), [FROM-STOCK.md](../FROM-STOCK.md)",
        ),
    ]
}

/// Counters that every instance has.
const OF_EVERY_INSTANCE: &[&str] = &["src/host/reporter.rs"];
/// What is no plugin of a user: a fake host, a plugin for tests, the registry itself.
const NOT_SHOWN: &[&str] =
    &["src/host/fake", "src/host/probe.rs", "src/stats", "src/status/tests.rs"];

#[derive(Debug, Clone)]
struct Family {
    name: String,
    help: String,
    labels: String,
    is_gauge: bool,
}

/// The text of a literal over several lines.
fn plain(literal: &str) -> String {
    let joined = Regex::new(r"\\\n\s*").unwrap().replace_all(literal, "");
    joined.replace("\\\"", "\"")
}

/// The families that a file or a folder declares.
fn families(path: &str) -> Vec<Family> {
    let declared = Regex::new(
        r#"(?s)CounterFamily::(counter|gauge)\(\s*"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)",\s*&\[([^\]]*)\]"#,
    )
    .unwrap();
    let mut found = Vec::new();
    for file in sources(&root().join(path)) {
        let text = code_of(&file);
        assert!(
            !text.contains("CounterFamily {"),
            "a family in {} has another form",
            file.display()
        );
        let calls = text.matches("CounterFamily::counter(").count()
            + text.matches("CounterFamily::gauge(").count();
        let before = found.len();
        found.extend(declared.captures_iter(&text).map(|found| Family {
            name: found[2].to_owned(),
            help: plain(&found[3]).trim_end_matches('.').to_owned() + ".",
            labels: found[4].replace(['"', '\n'], " ").split_whitespace().collect(),
            is_gauge: &found[1] == "gauge",
        }));
        assert_eq!(found.len() - before, calls, "a family in {} has another form", file.display());
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    found.dedup_by(|left, right| left.name == right.name);
    found
}

const fn kind(kind: OptionKind) -> &'static str {
    match kind {
        OptionKind::Str => "text",
        OptionKind::Prefix => "family",
        OptionKind::Int => "integer",
        OptionKind::Bool => "`on`, `off`",
        OptionKind::Double => "number",
        OptionKind::Size => "size",
        OptionKind::Time => "time",
        OptionKind::CommaList => "list",
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn options(page: &mut String, rows: &[&OptionSpec]) {
    page.push_str("| option | value | default | what it does |\n|---|---|---|---|\n");
    for option in rows {
        let default = option.default.map_or(String::new(), |default| format!("`{default}`"));
        let times = if option.repeats { ", repeatable" } else { "" };
        let secret = if option.is_secret { ", secret" } else { "" };
        writeln!(
            page,
            "| `{}` | {}{times}{secret} | {} | {} |",
            option.name,
            kind(option.kind),
            cell(&default),
            cell(option.help)
        )
        .unwrap();
    }
}

fn counters(page: &mut String, families: &[Family]) {
    page.push_str("| metric | kind | labels beside `name` | what it counts |\n|---|---|---|---|\n");
    for family in families {
        let labels: Vec<String> = family
            .labels
            .split(',')
            .filter(|label| !label.is_empty())
            .map(|label| format!("`{label}`"))
            .collect();
        writeln!(
            page,
            "| `fluentbit_ai_{}` | {} | {} | {} |",
            family.name,
            if family.is_gauge { "gauge" } else { "counter" },
            labels.join(", "),
            cell(&family.help)
        )
        .unwrap();
    }
}

fn metrics(page: &mut String, instruments: &[&Instrument]) {
    page.push_str(
        "\n## Metrics\n\n| metric | form | unit | what it measures | bounds of an explicit histogram \
         |\n|---|---|---|---|---|\n",
    );
    for Instrument { name, description, unit, form, by } in instruments {
        let (form, bounds) = match form {
            InstrumentForm::Sum => ("sum", String::new()),
            InstrumentForm::Gauge => ("gauge", String::new()),
            InstrumentForm::Histogram(bounds) => {
                let bounds: Vec<String> = bounds.iter().map(f64::to_string).collect();
                ("histogram", bounds.join(", "))
            }
        };
        let by = by.map_or(String::new(), |by| format!(", by `{by}`"));
        writeln!(page, "| `{name}` | {form}{by} | `{unit}` | {description} | {bounds} |").unwrap();
    }
}

fn render(page: &Page) -> String {
    let Page { kind, spec, sources, guide, instruments } = page;
    let mut text = format!(
        "<!-- Printed by `make docs` from the plugin's own tables. -->\n# {kind} `{}`\n\n{}.\n\nGuide: \
         {guide}.\n\n## Options\n\n",
        spec.name,
        spec.about.trim_end_matches('.')
    );
    let is_key = |option: &&OptionSpec| option.help.starts_with("As endpoint.NAME.");
    let own: Vec<&OptionSpec> = spec.options.iter().filter(|option| !is_key(option)).collect();
    options(&mut text, &own);
    let keys: Vec<&OptionSpec> = spec.options.iter().filter(is_key).collect();
    if !keys.is_empty() {
        text.push_str(
            "\n## Keys of an endpoint\n\nEach is given as `endpoint.NAME.KEY`, or by itself for the one \
             endpoint of an instance that names none.\n\n| key | values |\n|---|---|\n",
        );
        for key in keys {
            let start = format!("As endpoint.NAME.{}", key.name);
            let values = key.help.strip_prefix(start.as_str()).unwrap_or_default();
            let values = values.trim_start_matches(": ").trim_end_matches('.');
            writeln!(text, "| `{}` | {} |", key.name, cell(values)).unwrap();
        }
    }
    if !instruments.is_empty() {
        metrics(&mut text, instruments);
    }
    text.push_str("\n## Counters\n\n");
    let mut all: BTreeMap<String, Family> = BTreeMap::new();
    for path in sources.iter().chain(OF_EVERY_INSTANCE) {
        all.extend(families(path).into_iter().map(|family| (family.name.clone(), family)));
    }
    counters(&mut text, &all.into_values().collect::<Vec<_>>());
    text
}

fn index(pages: &[Page]) -> String {
    let mut text = String::from(
        "<!-- Printed by `make docs`. -->\n# Reference\n\nOptions and counters of each plugin, as the \
         shared object declares them. Times take the suffixes `s`, `m`, `h` and `d`, sizes `k`, `m` and \
         `g`.\n\n| plugin | kind | what it does |\n|---|---|---|\n",
    );
    for Page { kind, spec, .. } in pages {
        writeln!(text, "| [`{0}`]({0}.md) | {kind} | {1} |", spec.name, spec.about).unwrap();
    }
    text
}

/// Scenario: an option or a counter was added, or its help changed. Guarantees: the pages say so;
/// with `WRITE_REFERENCE` set they are written.
#[test]
fn the_pages_say_what_the_plugins_declare() {
    let folder = root().join("docs/reference");
    let pages = pages();
    let mut texts: Vec<(String, String)> =
        pages.iter().map(|page| (format!("{}.md", page.spec.name), render(page))).collect();
    texts.push(("README.md".to_owned(), index(&pages)));
    for (name, text) in texts {
        let file = folder.join(&name);
        if std::env::var_os("WRITE_REFERENCE").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(written == text, "docs/reference/{name} is not what is declared; run `make docs`");
    }
}

/// Scenario: a counter is declared somewhere in the source. Guarantees: some page shows it.
#[test]
fn every_counter_is_on_a_page() {
    let shown: Vec<&str> = pages()
        .iter()
        .flat_map(|page| page.sources.iter().copied())
        .chain(OF_EVERY_INSTANCE.iter().copied())
        .chain(NOT_SHOWN.iter().copied())
        .collect();
    for file in sources(&root().join("src")) {
        let inside = file.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        if shown.iter().any(|shown| inside.starts_with(shown)) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for form in ["CounterFamily::counter(", "CounterFamily::gauge(", "CounterFamily {"] {
            assert!(!text.contains(form), "{inside} is of no page");
        }
    }
}
