//! Metrics that somebody makes, by the names that Prometheus gives them: ours by the tables of docs/reference, which
//! `tests/reference.rs` holds against the source; those of coding agents by captures; those of model servers and GPUs
//! by the table of `server_state`, and a few by their own documentation.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{files, read};

/// Metrics of others that are in no table and no capture here.
const DOCUMENTED: [(&str, &str); 4] = [
    ("vllm:num_preemptions_total", "vLLM 0.33"),
    ("vllm:prefix_cache_hits_total", "vLLM 0.33"),
    ("vllm:prefix_cache_queries_total", "vLLM 0.33"),
    ("fluentbit_output_dropped_records_total", "Fluent Bit, /api/v2/metrics/prometheus"),
];

/// The gauges of `server_state` that come by OTLP, with their units.
const HARDWARE: [(&str, &str); 3] =
    [("hw.gpu.utilization", "1"), ("hw.gpu.memory.usage", "By"), ("hw.power", "W")];

/// Labels that are neither of a counter of ours nor an attribute of the conventions that `ai_metrics` writes.
const LABELS: [&str; 17] = [
    "job",
    "instance",
    "name",
    "le",
    "model",
    "decision",
    "error_type",
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "user_id",
    "modelName",
    "fluentbit_ai_gateway",
    "service_name",
    "fluentbit_ai_finding_signal",
    "fluentbit_ai_finding_library",
    "fluentbit_ai_compared_side",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Monotonic: `_total` at the end.
    Counter,
    Gauge,
    /// `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// What is made, by the name that it has where it is made.
pub struct Made {
    /// The name of Prometheus without the endings of a histogram.
    metrics: BTreeMap<String, (String, Form)>,
    /// Labels of ours.
    labels: BTreeSet<String>,
}

/// The rules of "Prometheus and OpenMetrics Compatibility": characters, unit, and the ending of counters.
fn prometheus(name: &str, unit: &str, form: Form) -> String {
    let plain: String = name
        .chars()
        .map(|it| if it.is_ascii_alphanumeric() || it == ':' { it } else { '_' })
        .collect();
    let unit = match unit {
        "s" => "seconds",
        "ms" => "milliseconds",
        "By" => "bytes",
        "W" => "watts",
        "1" if form == Form::Gauge => "ratio",
        it if it.starts_with('{') || it == "1" => "",
        it => it,
    };
    let with_unit = match unit.is_empty() || plain.ends_with(&format!("_{unit}")) {
        true => plain,
        false => format!("{plain}_{unit}"),
    };
    match form == Form::Counter && !with_unit.ends_with("_total") {
        true => format!("{with_unit}_total"),
        false => with_unit,
    }
}

impl Made {
    pub fn read() -> Self {
        let mut made = Self { metrics: BTreeMap::new(), labels: BTreeSet::new() };
        for page in files("docs/reference", "md") {
            for line in read(&page).lines().filter(|line| line.starts_with("| `")) {
                made.reference(line);
            }
        }
        made.labels.extend(LABELS.map(str::to_owned));
        made.of_servers();
        for capture in files("tests/data/genai", "jsonl") {
            for line in read(&capture).lines().filter(|line| line.contains("\"metrics\":")) {
                made.capture(&serde_json::from_str(line).unwrap());
            }
        }
        for (name, _) in DOCUMENTED {
            made.metrics.insert(name.to_owned(), (name.to_owned(), Form::Counter));
        }
        assert!(made.metrics.len() > 150, "{}", made.metrics.len());
        made
    }

    /// A row of a reference page: a counter of ours, or a metric that `ai_metrics` makes.
    fn reference(&mut self, line: &str) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let name = cells[0].trim_start_matches("| ").trim_matches('`');
        let quoted = |text: &str| -> Vec<String> {
            text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        let form = match cells[1] {
            "counter" => Form::Counter,
            it if it.starts_with("gauge") => Form::Gauge,
            it if it.starts_with("sum") => Form::Counter,
            it if it.starts_with("histogram") => Form::Histogram,
            _ => return,
        };
        if name.starts_with("fluentbit_ai_") {
            self.labels.extend(quoted(cells[2]));
            self.metrics.insert(name.to_owned(), (name.to_owned(), form));
        } else {
            let labels = quoted(cells[1]);
            self.labels.extend(labels.iter().map(|label| prometheus(label, "", Form::Gauge)));
            let exported = prometheus(name, cells[2].trim_matches('`'), form);
            self.metrics.insert(name.to_owned(), (exported, form));
        }
    }

    /// What `server_state` knows of model servers and GPUs.
    fn of_servers(&mut self) {
        let table = read(&testkit::root().join("src/correlation/server_state/quantity.rs"));
        let (_, table) = table.split_once("const TELLERS").unwrap();
        let rows = table.split("];\n\n").next().unwrap().lines();
        for row in rows.filter_map(|row| row.trim().strip_prefix("(\"")) {
            let name = row.split('"').next().unwrap();
            let unit = HARDWARE.iter().find(|(own, _)| *own == name).map_or("", |(_, unit)| unit);
            let exported = prometheus(name, unit, Form::Gauge);
            self.metrics.insert(name.to_owned(), (exported, Form::Gauge));
        }
    }

    /// Metrics of a real sender, where none of ours has the name.
    fn capture(&mut self, value: &Value) {
        if let Some(metrics) = value["metrics"].as_array() {
            for metric in metrics {
                let form = if metric["histogram"].is_object() {
                    Form::Histogram
                } else if metric["sum"]["isMonotonic"] == true {
                    Form::Counter
                } else {
                    Form::Gauge
                };
                let name = metric["name"].as_str().unwrap();
                let unit = metric["unit"].as_str().unwrap_or_default();
                let exported = (prometheus(name, unit, form), form);
                self.metrics.entry(name.to_owned()).or_insert(exported);
            }
            return;
        }
        match value {
            Value::Object(map) => map.values().for_each(|value| self.capture(value)),
            Value::Array(items) => items.iter().for_each(|value| self.capture(value)),
            _ => {}
        }
    }

    /// The name that Prometheus has for a metric.
    pub fn exported(&self, name: &str) -> &str {
        match self.metrics.get(name) {
            Some((exported, _)) => exported,
            None => panic!("nobody makes '{name}'"),
        }
    }

    /// Whether a series has this name.
    pub fn has_series(&self, name: &str) -> bool {
        self.metrics.values().any(|(exported, form)| match form {
            Form::Histogram => name
                .strip_prefix(exported.as_str())
                .is_some_and(|end| ["_bucket", "_sum", "_count"].contains(&end)),
            _ => exported == name,
        })
    }

    pub fn has_label(&self, label: &str) -> bool {
        self.labels.contains(label)
    }
}

/// What an expression of PromQL asks for: names of series, and labels.
pub fn asked(expression: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut series, mut labels) = (BTreeSet::new(), BTreeSet::new());
    let is_word = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == ':';
    let (mut rest, mut inside, mut before) = (expression, 0, String::new());
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let end = rest[1..].find('"').unwrap() + 2;
            rest = &rest[end..];
        } else if first == '$' || first.is_ascii_digit() || first == '.' {
            let end =
                rest[1..].find(|it| !is_word(it) && it != '.').map_or(rest.len(), |end| end + 1);
            rest = &rest[end..];
        } else if is_word(first) {
            let end = rest.find(|it| !is_word(it)).unwrap_or(rest.len());
            let word = &rest[..end];
            rest = &rest[end..];
            let grouping = ["by", "without", "on", "ignoring", "group_left", "group_right"];
            if inside > 0 {
                labels.insert(word.to_owned());
            } else if grouping.contains(&word) {
                let list = rest.trim_start().strip_prefix('(').unwrap();
                let (list, after) = list.split_once(')').unwrap();
                let list = list.split(',').map(str::trim).filter(|label| !label.is_empty());
                labels.extend(list.map(str::to_owned));
                rest = after;
            } else if !["(", "by ", "without "]
                .iter()
                .any(|next| rest.trim_start().starts_with(next))
                && !["or", "and", "unless", "bool", "offset"].contains(&word)
                && before != "offset"
            {
                series.insert(word.to_owned());
            }
            word.clone_into(&mut before);
        } else {
            inside += i32::from(first == '{') - i32::from(first == '}');
            // Ranges have durations.
            let skip = if first == '[' { rest.find(']').unwrap() + 1 } else { first.len_utf8() };
            rest = &rest[skip..];
        }
    }
    (series, labels)
}

/// What is wrong with an expression: series that nobody makes, and labels that nobody writes.
pub fn unknown(made: &Made, expression: &str) -> Vec<String> {
    let (series, labels) = asked(expression);
    let series =
        series.into_iter().filter(|name| !name.starts_with("ai:") && !made.has_series(name));
    let labels = labels.into_iter().filter(|label| !made.has_label(label));
    series.chain(labels.map(|label| format!("label {label}"))).collect()
}

/// Scenario: names, units and forms as the table of ai_metrics.md has them. Guarantees: the rules give what Prometheus gives.
#[test]
fn names_are_those_of_prometheus() {
    let made = Made::read();
    for (name, exported) in [
        ("gen_ai.client.operation.duration", "gen_ai_client_operation_duration_seconds"),
        ("gen_ai.client.token.usage", "gen_ai_client_token_usage"),
        ("gen_ai.client.operation.count", "gen_ai_client_operation_count_total"),
        ("fluentbit.ai.cost", "fluentbit_ai_cost_total"),
        ("fluentbit_ai_sent_items_total", "fluentbit_ai_sent_items_total"),
        ("hw.gpu.utilization", "hw_gpu_utilization_ratio"),
        ("vllm:num_requests_waiting", "vllm:num_requests_waiting"),
        ("claude_code.session.count", "claude_code_session_count_total"),
    ] {
        assert_eq!(made.exported(name), exported);
    }
    let wrong =
        unknown(&made, "sum by (job, sdk) (rate(gen_ai_client_operation_count{le=\"a\"}[5m])) / 2");
    assert_eq!(wrong, ["gen_ai_client_operation_count", "label sdk"]);
    let right = "histogram_quantile(0.9, sum by (le) (rate(gen_ai_client_token_usage_bucket{job=~\"$job\"}[$__rate_interval])))";
    assert!(unknown(&made, right).is_empty());
}
