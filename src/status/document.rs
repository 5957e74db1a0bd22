//! Status document: one JSON object with all that the page shows.

use serde_json::{Map, Value, json};

use crate::clock::Tick;
use crate::hub::{Hub, StatusSection, WatchedInstance};
use crate::stats::{CounterFamily, CounterReading, LogLevel};

/// Errors and warnings that are shown at most, of all instances.
const ERRORS: usize = 50;

/// What the document says of the page's own input.
pub(super) struct Heading<'a> {
    /// The host's release.
    pub(super) host_release: &'a str,
    /// The input that has the page.
    pub(super) instance: &'a str,
    /// Its state in a word.
    pub(super) state: &'static str,
    pub(super) is_ready: bool,
    /// When it started, in Unix nanoseconds.
    pub(super) started: u64,
}

/// The document of now.
pub(super) fn document(hub: &Hub, heading: &Heading<'_>, now: Tick, unix_nanos: u64) -> Value {
    let instances = hub.instances();
    let mut all = Map::new();
    let mut put = |key: &str, value: Value| drop(all.insert(key.to_owned(), value));
    put("version", env!("CARGO_PKG_VERSION").into());
    put("host_release", heading.host_release.into());
    put("page_of", heading.instance.into());
    put("state", heading.state.into());
    put("ready", heading.is_ready.into());
    put("started", seconds(heading.started));
    put("time", seconds(unix_nanos));
    put("errors", errors(&instances));
    put("instances", instances.iter().map(instance).collect());
    let mut sections = StatusSection::ALL.map(|_| Vec::new());
    for (name, source) in hub.status_sources() {
        for (section, mut row) in source.rows(now, unix_nanos) {
            if let Some(fields) = row.as_object_mut() {
                fields.insert("instance".to_owned(), name.as_str().into());
            }
            if let Some(rows) = sections.get_mut(section as usize) {
                rows.push(row);
            }
        }
    }
    for (section, rows) in StatusSection::ALL.into_iter().zip(sections) {
        put(section.name(), Value::Array(rows));
    }
    Value::Object(all)
}

/// Unix time in seconds with thousandths, as rows have it.
#[must_use]
pub fn seconds(unix_nanos: u64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "thousandths of a second are shown")]
    let seconds = (unix_nanos / 1_000_000) as f64 / 1000.0;
    seconds.into()
}

fn instance(instance: &WatchedInstance) -> Value {
    json!({
        "kind": instance.kind,
        "plugin": instance.plugin,
        "name": instance.name,
        "counters": families(&instance.counters.readings()),
    })
}

/// Counters by family, in the order in which the families were made.
fn families(readings: &[CounterReading]) -> Value {
    let mut families: Vec<(CounterFamily, Vec<Value>)> = Vec::new();
    for reading in readings {
        let series = json!([reading.labels, reading.counter.value()]);
        match families.iter_mut().rev().find(|(family, _)| *family == reading.family) {
            Some((_, all)) => all.push(series),
            None => families.push((reading.family, vec![series])),
        }
    }
    let object = |(family, series): (CounterFamily, Vec<Value>)| {
        json!({
            "name": family.name,
            "help": family.help,
            "gauge": family.gauge,
            "labels": family.labels,
            "series": series,
        })
    };
    families.into_iter().map(object).collect()
}

/// The last errors and warnings of all instances, the newest first.
fn errors(instances: &[WatchedInstance]) -> Value {
    let mut lines: Vec<(u64, Value)> = Vec::new();
    for instance in instances {
        for line in instance.log.kept() {
            let level = if line.level == LogLevel::Error { "error" } else { "warn" };
            let row = json!({
                "time": seconds(line.unix_nanos),
                "instance": instance.name,
                "level": level,
                "text": line.text,
            });
            lines.push((line.unix_nanos, row));
        }
    }
    lines.sort_unstable_by_key(|(time, _)| std::cmp::Reverse(*time));
    lines.into_iter().take(ERRORS).map(|(_, row)| row).collect()
}
