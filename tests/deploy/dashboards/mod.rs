//! `deploy/grafana`: dashboards that are printed from the tables of [`panels`], with the names of metrics as they
//! are where they are made. `WRITE_DASHBOARDS=1 cargo test -p flb-host --test deploy` prints them anew.

mod panels;

use std::process::Command;

use serde_json::{Value, json};

use self::panels::{BOARDS, Board, Panel, Unit};
use crate::files;
use crate::made::{Made, unknown};

/// Panels in a row, and the width of the page.
const COLUMNS: u64 = 3;
const WIDTH: u64 = 24;
const HEIGHT: u64 = 8;

/// The expression with the names that Prometheus has, and what every panel of the board is filtered by.
fn expression(made: &Made, board: &Board, template: &str) -> String {
    let parts: Vec<&str> = template.split('`').collect();
    assert!(parts.len() % 2 == 1, "{template}");
    let mut text = String::new();
    for (index, part) in parts.iter().enumerate() {
        text += if index % 2 == 1 { made.exported(part) } else { part };
    }
    text.replace('@', board.filter)
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn panel(made: &Made, board: &Board, panel: &Panel, id: u64, y: u64) -> Value {
    let targets: Vec<Value> = panel
        .queries
        .iter()
        .zip('A'..='Z')
        .map(|((legend, template), reference)| {
            json!({
                "datasource": datasource(),
                "editorMode": "code",
                "expr": expression(made, board, template),
                "legendFormat": legend,
                "range": true,
                "refId": reference.to_string(),
            })
        })
        .collect();
    let column = (id - 1) % COLUMNS;
    let unit = match panel.unit {
        Unit::PerSecond => "reqps",
        Unit::Items => "cps",
        Unit::Share => "percentunit",
        Unit::Seconds => "s",
        Unit::Milliseconds => "ms",
        Unit::Dollars => "currencyUSD",
        Unit::Bytes => "bytes",
        Unit::Watts => "watt",
        Unit::Number => "short",
    };
    json!({
        "type": "timeseries",
        "id": id,
        "title": panel.title,
        "description": panel.about,
        "datasource": datasource(),
        "gridPos": {"h": HEIGHT, "w": WIDTH / COLUMNS, "x": column * (WIDTH / COLUMNS), "y": y},
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "min": 0,
                "custom": {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": true},
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": targets,
    })
}

/// A variable that asks for the values of a label.
fn label_variable(made: &Made, name: &str, label: &str, metric: &str) -> Value {
    let query = format!("label_values({}, {label})", made.exported(metric));
    json!({
        "type": "query",
        "name": name,
        "label": name,
        "datasource": datasource(),
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": true,
        "includeAll": true,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    })
}

fn choice_variable(name: &str, choices: &[&str]) -> Value {
    let options: Vec<Value> = choices
        .iter()
        .enumerate()
        .map(|(index, choice)| json!({"text": choice, "value": choice, "selected": index == 0}))
        .collect();
    json!({
        "type": "custom",
        "name": name,
        "label": name,
        "query": choices.join(","),
        "options": options,
        "current": {"text": choices[0], "value": choices[0]},
    })
}

fn dashboard(made: &Made, board: &Board) -> Value {
    let mut variables = vec![json!({
        "type": "datasource",
        "name": "datasource",
        "label": "datasource",
        "query": "prometheus",
        "current": {"text": "default", "value": "default"},
    })];
    for (name, label, metric) in board.variables {
        variables.push(label_variable(made, name, label, metric));
    }
    for (name, choices) in board.choices {
        variables.push(choice_variable(name, choices));
    }
    let (mut panels, mut id, mut y) = (Vec::new(), 0, 0);
    for (title, row) in board.rows {
        panels.push(json!({
            "type": "row", "id": 1000 + panels.len(), "title": title, "collapsed": false, "panels": [],
            "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": y},
        }));
        y += 1;
        // Each row begins at the left.
        id = u64::div_ceil(id, COLUMNS) * COLUMNS;
        for (index, one) in row.iter().enumerate() {
            id += 1;
            let line = index as u64 / COLUMNS;
            panels.push(panel(made, board, one, id, y + line * HEIGHT));
        }
        y += u64::div_ceil(row.len() as u64, COLUMNS) * HEIGHT;
    }
    json!({
        "uid": board.uid,
        "title": board.title,
        "description": board.about,
        "tags": ["fluent-bit-ai"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "",
        "links": [{
            "type": "dashboards", "title": "fluent-bit-ai", "tags": ["fluent-bit-ai"], "asDropdown": true,
            "includeVars": false, "keepTime": true, "targetBlank": false, "icon": "external link", "url": "",
            "tooltip": "",
        }],
        "templating": {"list": variables},
        "annotations": {"list": []},
        "panels": panels,
    })
}

/// Scenario: a panel was changed, or a metric that one asks for. Guarantees: the dashboards say so; with
/// `WRITE_DASHBOARDS` set they are written. A panel that asks for a metric that nobody makes cannot be printed.
#[test]
fn dashboards_are_printed_from_the_tables() {
    let made = Made::read();
    for board in BOARDS {
        let text = serde_json::to_string_pretty(&dashboard(&made, board)).unwrap() + "\n";
        let path = testkit::root().join("deploy/grafana").join(format!("{}.json", board.uid));
        if std::env::var_os("WRITE_DASHBOARDS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == text, "{} is not what is declared; WRITE_DASHBOARDS=1", path.display());
    }
    assert_eq!(files("deploy/grafana", "json").len(), BOARDS.len());
}

/// The expressions of a dashboard, with their panels.
fn expressions(board: &Value) -> Vec<(String, String)> {
    let panels = board["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(|target| (&panel["title"], &target["expr"]))
    });
    targets.map(|(title, text)| (title.to_string(), text.as_str().unwrap().to_owned())).collect()
}

fn boards() -> Vec<(String, Value)> {
    let read = |path: std::path::PathBuf| {
        (path.display().to_string(), serde_json::from_str(&crate::read(&path)).unwrap())
    };
    files("deploy/grafana", "json").into_iter().map(read).collect()
}

/// Scenario: the dashboards as they are shipped. Guarantees: each series is made by us, or by someone whom a
/// table or a capture shows; each label is one of the conventions or of a counter of ours, and none of one SDK; variables
/// that are used are declared; panels do not overlap.
#[test]
fn panels_ask_for_what_is_made() {
    let made = Made::read();
    let mut seen = 0;
    for (path, board) in boards() {
        let text = board.to_string();
        for (title, expression) in expressions(&board) {
            let wrong = unknown(&made, &expression);
            assert!(wrong.is_empty(), "{path} {title}: {wrong:?} in {expression}");
            for used in expression.split('$').skip(1) {
                let name: String = used
                    .chars()
                    .take_while(|it| it.is_ascii_alphanumeric() || *it == '_')
                    .collect();
                let declared = text.contains(&format!("\"name\":\"{name}\""));
                assert!(declared || name.starts_with("__"), "{path} {title}: ${name}");
            }
            seen += 1;
        }
        let places: Vec<(u64, u64, u64, u64)> = board["panels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|panel| {
                let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
                (place("x"), place("y"), place("w"), place("h"))
            })
            .collect();
        for (index, one) in places.iter().enumerate() {
            for other in &places[index + 1..] {
                let apart = one.0 + one.2 <= other.0
                    || other.0 + other.2 <= one.0
                    || one.1 + one.3 <= other.1
                    || other.1 + other.3 <= one.1;
                assert!(apart, "{path}: {one:?} {other:?}");
            }
        }
    }
    println!("{seen} expressions of panels ask for what is made");
    assert!(seen > 70, "{seen}");
}

/// Scenario: every expression of the dashboards as a rule. Guarantees: Prometheus' own parser takes it.
#[test]
fn panels_are_promql() {
    let mut rules = String::from("groups:\n- name: panels\n  rules:\n");
    let mut count = 0;
    for (_, board) in boards() {
        for (_, expression) in expressions(&board) {
            let mut text = expression.replace("$__rate_interval", "5m").replace("$__range", "1h");
            for name in ["job", "provider", "model", "instance", "name", "endpoint"] {
                text = text.replace(&format!("${name}"), ".*");
            }
            text = text.replace("$slo_seconds", "10.24").replace("$slo_token_seconds", "0.1");
            text = text.replace("$objective", "0.99");
            count += 1;
            rules += &format!("  - record: panel:{count}\n    expr: {}\n", Value::String(text));
        }
    }
    if Command::new("promtool").arg("--version").output().is_err() {
        println!("panels were not parsed: promtool is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("panels.yml");
    std::fs::write(&file, rules).unwrap();
    let output = Command::new("promtool").args(["check", "rules"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains(&format!("{count} rules found")), "{said}");
    println!("promtool takes {count} expressions of panels");
}

/// Scenario: the bounds that a reader may choose for the objectives. Guarantees: they are bounds of the histograms that
/// they are used with, so that the series is there.
#[test]
fn objectives_are_bounds_of_their_histograms() {
    let page = crate::read(&testkit::root().join("docs/reference/ai_metrics.md"));
    for (variable, metric) in [
        ("slo_seconds", "gen_ai.client.operation.duration"),
        ("slo_token_seconds", "fluentbit.ai.time_per_output_token"),
    ] {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{metric}`"))).unwrap();
        let bounds = row.rsplit(" | ").next().unwrap().trim_end_matches(" |");
        let bounds: Vec<&str> = bounds.split(", ").collect();
        let choices =
            BOARDS.iter().flat_map(|board| board.choices).find(|(name, _)| *name == variable);
        for choice in choices.unwrap().1 {
            assert!(bounds.contains(choice), "{variable} {choice}: {bounds:?}");
        }
    }
}

/// What a dashboard is to Grafana, in TypeScript: the type `Dashboard` of its schema, in which a panel, its options and its fields
/// may be anything, with the types of the panel `timeseries` in their places. Its text enumerations are given as texts.
const TYPES: &str = r#"
import { Dashboard, RowPanel, Panel } from '@grafana/schema';
import { Options, FieldConfig } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
type Written<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
  : T extends (infer E)[] ? Written<E>[] : { [K in keyof T]: Written<T[K]> };
type Query = { datasource: { type: 'prometheus', uid: string }, editorMode: 'code', expr: string, legendFormat: string,
  range: boolean, refId: string };
type Fields = Omit<NonNullable<Panel['fieldConfig']>, 'defaults'> & {
  defaults: Omit<NonNullable<Panel['fieldConfig']>['defaults'], 'custom'> & { custom: Partial<FieldConfig> } };
type Series = Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> & { type: 'timeseries',
  options: Omit<Options, 'legend' | 'tooltip'> & { legend: Partial<Options['legend']>, tooltip: Partial<Options['tooltip']> },
  fieldConfig: Fields, targets: Query[] };
type Row = Omit<RowPanel, 'type'> & { type: 'row' };
type Board = Omit<Dashboard, 'panels'> & { panels: (Written<Series> | Written<Row>)[] };
"#;

/// Runs Grafana's types over values of them; what the compiler says, and nothing if all is well.
fn compiled(folder: &std::path::Path, name: &str, values: &[Value]) -> String {
    let mut text = TYPES.to_owned();
    for (number, value) in values.iter().enumerate() {
        text += &format!("export const board{number}: Written<Board> = {value};\n");
    }
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    let output = Command::new(folder.join("node_modules/.bin/tsc"))
        .args(["--noEmit", "--strict", "--skipLibCheck", "--module", "esnext"])
        .args(["--target", "es2022", "--moduleResolution", "bundler"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.success(), said.is_empty(), "{said}");
    said
}

/// Scenario: the dashboards as values of the types of Grafana's own package, which `make dashboards` installs; and with one thing
/// wrong. Guarantees: they are of these types, panels, options, fields and all; what is misspelt, of another type or
/// no choice of Grafana's is refused, so that the types are none that take everything.
#[test]
fn dashboards_are_of_grafanas_types() {
    let Some(folder) = std::env::var_os("GRAFANA_SCHEMA").map(std::path::PathBuf::from) else {
        println!("dashboards were not held against Grafana's types: `make dashboards` does that");
        return;
    };
    let all: Vec<Value> = boards().into_iter().map(|(_, board)| board).collect();
    assert_eq!(compiled(&folder, "dashboards.ts", &all), "");
    let change = |pointer: &str, value: Value| {
        let mut board = all[0].clone();
        *board.pointer_mut(pointer).unwrap() = value;
        board
    };
    let wrong = [
        ("'number'", change("/title", json!(7))),
        ("'7'", change("/graphTooltip", json!(7))),
        ("'string'", change("/panels/1/gridPos", json!({"h": "8", "w": 8, "x": 0, "y": 1}))),
        ("tabel", change("/panels/1/options/legend/displayMode", json!("tabel"))),
        ("\"all\"", change("/panels/1/options/tooltip/mode", json!("all"))),
        ("lineWidht", change("/panels/1/fieldConfig/defaults/custom", json!({"lineWidht": 1}))),
        ("\"none\"", change("/panels/1/fieldConfig/defaults/custom/showPoints", json!("none"))),
        ("exprr", change("/panels/1/targets/0", json!({"exprr": "1"}))),
    ];
    for (what, board) in &wrong {
        let said = compiled(&folder, "wrong.ts", std::slice::from_ref(board));
        assert!(said.contains(what), "{what}: {said}");
    }
    println!(
        "{} dashboards are of Grafana's types; {} that are wrong are not",
        all.len(),
        wrong.len()
    );
}
