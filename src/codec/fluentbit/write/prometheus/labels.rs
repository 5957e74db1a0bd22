//! Labels of series, and which service they are of.

use std::borrow::Cow;
use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use super::super::label::{self, PointLabel};
use super::super::loss::{FormatLoss, FormatLosses};
use super::super::scan::WriteResult;
use super::names::label_name;

/// Labels by their names.
pub(super) type Labels = BTreeMap<String, String>;

/// What a resource says in Prometheus.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// The labels `job` and `instance`, of those that it has.
    pub(super) service: Labels,
    /// The labels of `target_info`, of a resource that is a service and says more than that.
    pub(super) info: Option<Labels>,
}

/// What the attributes of a resource, in the fields `number` of `message`, say.
///
/// `job` is `service.namespace/service.name`, `instance` is `service.instance.id`. A resource without that one gets an
/// instance all the same, because series of two of them would have the same labels: that of its pod, as the
/// semantic conventions advise, or else a digest of the resource.
pub(super) fn target(
    message: &[u8],
    number: u32,
    longest: usize,
    losses: &mut FormatLosses,
) -> WriteResult<Target> {
    let attributes = label::labels(message, number, usize::MAX, losses)?;
    let of = |key: &str| {
        let found = attributes.iter().find(|label| label.key == key);
        found.map(|label| label.text.as_ref()).filter(|text| !text.is_empty())
    };
    let Some(name) = of("service.name") else { return Ok(Target::default()) };
    let job = match of("service.namespace") {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    };
    let instance = match (of("service.instance.id"), of("k8s.pod.name")) {
        (Some(id), _) => id.to_owned(),
        (None, Some(pod)) => {
            let parts = [of("k8s.namespace.name"), Some(pod), of("k8s.container.name")];
            parts.into_iter().flatten().collect::<Vec<_>>().join(".")
        }
        (None, None) => format!("{:016x}", xxh3_64(message)),
    };
    let service = [("job", job), ("instance", instance)];
    let service: Labels =
        service.map(|(name, text)| (name.to_owned(), cut(text.into(), longest, losses))).into();
    let is_more = |label: &&PointLabel<'_>| {
        !matches!(&*label.key, "service.name" | "service.namespace" | "service.instance.id")
    };
    let more: Vec<&PointLabel<'_>> = attributes.iter().filter(is_more).collect();
    let mut info = None;
    if !more.is_empty() {
        let mut labels = named(more, longest, losses);
        labels.extend(service.clone());
        info = Some(labels);
    }
    Ok(Target { service, info })
}

/// The labels of a data point of a service.
pub(super) fn of_point(
    point: &[u8],
    number: u32,
    service: &Labels,
    longest: usize,
    losses: &mut FormatLosses,
) -> WriteResult<Labels> {
    let attributes = label::labels(point, number, usize::MAX, losses)?;
    let mut labels = named(attributes.iter().collect(), longest, losses);
    labels.extend(service.clone());
    Ok(labels)
}

/// Attributes by the names of labels. The values of several that have one name are joined, in the order of
/// their keys.
fn named(
    mut attributes: Vec<&PointLabel<'_>>,
    longest: usize,
    losses: &mut FormatLosses,
) -> Labels {
    attributes.sort_by(|left, right| left.key.cmp(&right.key));
    let mut labels = Labels::new();
    for label in attributes.into_iter().filter(|label| !label.text.is_empty()) {
        let text = labels.entry(label_name(&label.key)).or_default();
        if !text.is_empty() {
            text.push(';');
        }
        text.push_str(&label.text);
    }
    let fits = labels.into_iter().filter(|(name, _)| name.len() <= longest);
    fits.map(|(name, text)| (name, cut(text.into(), longest, losses))).collect()
}

/// Text of at most this length.
fn cut(text: Cow<'_, str>, longest: usize, losses: &mut FormatLosses) -> String {
    if text.len() <= longest {
        return text.into_owned();
    }
    losses.add(FormatLoss::TextLength);
    text.get(..text.floor_char_boundary(longest)).unwrap_or_default().to_owned()
}
