//! Target: where a page is from, as resource attributes.

use std::borrow::Cow;

use super::line::Labels;
use super::scopes::attribute;
use crate::codec::wire;

/// The most labels of `target_info` that become attributes.
const MAX_LABELS: usize = 128;

/// Where a page is from.
#[derive(Debug, Clone, Default)]
pub struct PageTarget {
    /// Resource attributes that hold in any case.
    pub attributes: Vec<(String, String)>,
    /// Those that the page's `target_info` may say otherwise.
    pub defaults: Vec<(String, String)>,
}

impl PageTarget {
    /// Writes the resource, with what the page says of it, as a field of `ResourceMetrics`.
    pub(super) fn write(&self, info: &Labels<'_>, out: &mut Vec<u8>) {
        let given =
            |list: &[(String, String)], name: &str| list.iter().any(|(known, _)| known == name);
        let is_new = |(name, _): &&(Cow<'_, str>, _)| !given(&self.attributes, name);
        let info: Vec<_> = info.iter().filter(is_new).collect();
        wire::message(out, 1, |out| {
            for (name, value) in &self.attributes {
                attribute(out, 1, name, value);
            }
            for (name, value) in &info {
                attribute(out, 1, name, value);
            }
            for (name, value) in &self.defaults {
                let is_said = info.iter().any(|(known, _)| known == name);
                if !is_said && !given(&self.attributes, name) {
                    attribute(out, 1, name, value);
                }
            }
        });
    }
}

/// Adds the labels of a `target_info` to those known, each name once. What Prometheus itself puts there names the
/// scrape of another.
pub(super) fn add_info<'p>(known: &mut Labels<'p>, labels: Labels<'p>) {
    for label in labels {
        let is_known = known.iter().any(|(name, _)| *name == label.0);
        let is_of_scrape = matches!(&*label.0, "job" | "instance");
        if !is_known && !is_of_scrape && !label.1.is_empty() && known.len() < MAX_LABELS {
            known.push(label);
        }
    }
}
