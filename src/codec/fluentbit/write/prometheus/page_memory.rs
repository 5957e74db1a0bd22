//! Page memory: what pages remember so that series that are added up never fall.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::Xxh3;

use super::family::{FamilySeries, SeriesValue};

/// A series that several sums made, each with its own start.
#[derive(Debug)]
struct MergedSeries {
    /// The start and the value of each on the last page.
    parts: Vec<(u64, SeriesValue)>,
    /// What those said last that ended since.
    ended: Option<SeriesValue>,
    /// When the first of all of them began.
    start: u64,
}

/// What is remembered from page to page.
///
/// Two sources of one series (a service whose calls come under two tags, or two filters) are added up. When one of
/// them ends, the sum would fall, which Prometheus takes for a restart of all of it and counts the rest again. So
/// what it said last stays in the sum as long as the series is there. Series of one source are not remembered.
#[derive(Debug, Default)]
pub struct PageMemory {
    merged: HashMap<u64, MergedSeries, RandomState>,
    next: HashMap<u64, MergedSeries, RandomState>,
}

impl PageMemory {
    /// The start and the value of a series on this page, where they are others than those of what there is now.
    pub(super) fn settle(
        &mut self,
        family: &str,
        series: &FamilySeries,
    ) -> Option<(u64, SeriesValue)> {
        let FamilySeries { point, parts } = series;
        if parts.is_empty() && self.merged.is_empty() {
            return None;
        }
        let key = key(family, series);
        let before = self.merged.remove(&key);
        if parts.is_empty() && before.is_none() {
            return None;
        }
        let parts = match &parts[..] {
            [] => vec![(point.start, point.value.clone())],
            parts => parts.to_vec(),
        };
        let mut start = parts.iter().map(|(start, _)| *start).min().unwrap_or(point.start);
        let mut ended: Option<SeriesValue> = None;
        if let Some(before) = before {
            ended = before.ended;
            start = start.min(before.start);
            let is_there = |start: u64| parts.iter().any(|(other, _)| *other == start);
            for (_, value) in before.parts.into_iter().filter(|(start, _)| !is_there(*start)) {
                match &mut ended {
                    Some(ended) => ended.merge(&value),
                    None => ended = Some(value),
                }
            }
        }
        let mut value = point.value.clone();
        if let Some(ended) = &ended {
            value.merge(ended);
        }
        self.next.insert(key, MergedSeries { parts, ended, start });
        Some((start, value))
    }

    /// Ends a page: series that are not on it are forgotten.
    pub(super) fn end_page(&mut self) {
        self.merged = std::mem::take(&mut self.next);
    }
}

/// A hash of a series.
fn key(family: &str, series: &FamilySeries) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(family.as_bytes());
    for (name, text) in &series.point.labels {
        // No text has these bytes.
        hash.update(&[0xff]);
        hash.update(name.as_bytes());
        hash.update(&[0xfe]);
        hash.update(text.as_bytes());
    }
    hash.digest()
}
