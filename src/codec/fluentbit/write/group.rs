//! Grouping: the points of one metric, by what the host wants all points of a metric to share.

use xxhash_rust::xxh3::Xxh3;

use super::capabilities::{MAX_LIST, ReaderCapabilities};
use super::label::PointLabel;
use super::point::CmetricsPoint;
use crate::codec::msgpack;

/// How many of the newest groups a point is compared with.
const COMPARED: usize = 16;
/// How many labels points of one group may have together.
const MAX_LABELS: usize = 128;

/// Points that have the same bounds or quantiles, and the same labels or labels that complement
/// each other.
#[derive(Debug, Default)]
pub(super) struct PointGroup {
    pub(super) labels: Vec<String>,
    /// Only its own point fits.
    exact: bool,
    /// Whether there is the point without labels, which can be but one.
    bare: bool,
    pub(super) shape: Vec<u64>,
    /// The encoded points.
    values: Vec<u8>,
    /// For each point with labels: where their array begins and ends in `values`, and its length.
    lists: Vec<(usize, usize, usize)>,
    pub(super) count: u32,
}

/// The groups of one metric.
#[derive(Debug, Default)]
pub(super) struct PointGroups(pub(super) Vec<PointGroup>);

impl PointGroups {
    /// Adds a point with the hash of its series.
    pub(super) fn add(
        &mut self,
        point: &CmetricsPoint,
        labels: &[PointLabel<'_>],
        hash: u64,
        capabilities: ReaderCapabilities,
    ) {
        let newest = self.0.len().saturating_sub(COMPARED);
        let indices = self.0.iter_mut().skip(newest).find_map(|group| {
            let indices = group.indices(point, labels, capabilities)?;
            Some((group, indices))
        });
        if let Some((group, indices)) = indices {
            group.push(point, labels, &indices, (hash, capabilities));
            return;
        }
        let distinct = labels.len() <= MAX_LABELS
            && labels.iter().enumerate().all(|(index, label)| {
                labels.iter().skip(index.saturating_add(1)).all(|other| other.key != label.key)
            });
        let mut group = PointGroup {
            labels: labels.iter().map(|label| label.key.to_string()).collect(),
            exact: !distinct,
            shape: point.shape.clone(),
            ..PointGroup::default()
        };
        let indices: Vec<usize> = (0..labels.len()).collect();
        group.push(point, labels, &indices, (hash, capabilities));
        self.0.push(group);
    }
}

impl PointGroup {
    /// The indices of the labels in the group, which may get new ones; `None` if the point does not
    /// fit.
    fn indices(
        &mut self,
        point: &CmetricsPoint,
        labels: &[PointLabel<'_>],
        capabilities: ReaderCapabilities,
    ) -> Option<Vec<usize>> {
        let full = self.exact || self.count >= MAX_LIST || self.shape != point.shape;
        if full || labels.is_empty() && self.bare {
            return None;
        }
        if self.labels.len() == labels.len()
            && self.labels.iter().zip(labels).all(|(own, label)| *own == label.key)
        {
            return Some((0..labels.len()).collect());
        }
        if !capabilities.absent_labels || labels.len() > MAX_LABELS {
            return None;
        }
        let before = self.labels.len();
        let mut indices: Vec<usize> = Vec::with_capacity(labels.len());
        for label in labels {
            let index = self.labels.iter().position(|own| *own == label.key);
            let index = index.unwrap_or_else(|| {
                self.labels.push(label.key.to_string());
                self.labels.len().saturating_sub(1)
            });
            if indices.contains(&index) || self.labels.len() > MAX_LABELS {
                self.labels.truncate(before);
                return None;
            }
            indices.push(index);
        }
        Some(indices)
    }

    fn push(
        &mut self,
        point: &CmetricsPoint,
        labels: &[PointLabel<'_>],
        indices: &[usize],
        (hash, capabilities): (u64, ReaderCapabilities),
    ) {
        self.count = self.count.saturating_add(1);
        self.bare |= labels.is_empty();
        let start = capabilities.typed_points && point.start != 0;
        let pairs = 2 + u32::from(start) + u32::from(!labels.is_empty());
        let out = &mut self.values;
        msgpack::map_header(out, pairs.saturating_add(point.value_pairs));
        msgpack::str(out, "ts");
        msgpack::uint(out, point.time);
        if start {
            msgpack::str(out, "start_ts");
            msgpack::uint(out, point.start);
        }
        out.extend_from_slice(&point.value);
        if let Some(last) = indices.iter().max() {
            let mut texts = vec![None; last.saturating_add(1)];
            for (index, label) in indices.iter().zip(labels) {
                if let Some(text) = texts.get_mut(*index) {
                    *text = Some(label.text.as_ref());
                }
            }
            msgpack::str(out, "labels");
            let start = out.len();
            msgpack::array_header(out, count(texts.len()));
            for text in &texts {
                match text {
                    Some(text) => msgpack::str(out, text),
                    None => msgpack::nil(out),
                }
            }
            self.lists.push((start, out.len(), texts.len()));
        }
        msgpack::str(out, "hash");
        msgpack::uint(out, hash);
    }

    /// Appends the points to `out`. Each has all labels of the group or none, because whatever
    /// copies a metric in the host, such as its processor `labels` and its output
    /// `prometheus_exporter`, fails on a point that has some; nil stands for a label that a point
    /// lacks. Most groups have nothing to be filled up.
    pub(super) fn write_values(&self, out: &mut Vec<u8>) {
        let all = self.labels.len();
        let mut copied = 0;
        for &(start, end, length) in self.lists.iter().filter(|(_, _, length)| *length < all) {
            out.extend_from_slice(self.values.get(copied..start).unwrap_or_default());
            copied = end;
            let list = self.values.get(start..end).unwrap_or_default();
            msgpack::array_header(out, count(all));
            msgpack::elements(list).for_each(|element| out.extend_from_slice(element));
            (length..all).for_each(|_| msgpack::nil(out));
        }
        out.extend_from_slice(self.values.get(copied..).unwrap_or_default());
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The hash of a series as the host makes it: of the metric's name and the labels' text; 0 without
/// labels.
pub(super) fn series_hash(name: &str, labels: &[PointLabel<'_>]) -> u64 {
    if labels.is_empty() {
        return 0;
    }
    let mut hash = Xxh3::new();
    hash.update(name.as_bytes());
    labels.iter().for_each(|label| hash.update(label.text.as_bytes()));
    hash.digest()
}

/// Another hash, for a series whose labels have the text of another one.
pub(super) fn other_hash(name: &str, labels: &[PointLabel<'_>]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(name.as_bytes());
    for label in labels {
        for part in [&label.key, &label.text] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
    }
    hash.digest()
}
