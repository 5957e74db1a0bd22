//! Places: the pod or node that a span is from, or whose state a metric tells.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::codec::msgpack::{MapView, text_of};
use crate::codec::records::layout::keys;

/// A pod or a node, by a hash of what names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place(u64);

/// The seeds of the hashes, so that equal texts of different kinds differ.
const POD_UID: u64 = 1;
const POD_NAME: u64 = 2;
const NODE: u64 = 3;

/// What attributes say of a place, under each of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Places {
    /// The pod, by its uid and by its name.
    pods: [Option<Place>; 2],
    /// The node, by its name in the cluster and by that of the host.
    nodes: [Option<Place>; 2],
}

impl Places {
    /// What a resource says.
    pub(super) fn of_resource(resource: Option<&[u8]>) -> Self {
        let attributes = resource.and_then(|resource| MapView::new(resource).get(keys::ATTRIBUTES));
        let attributes = attributes.unwrap_or_default();
        let text = |key: &str| text_in(attributes, key);
        Self {
            pods: [
                text("k8s.pod.uid").map(|uid| Place(xxh3_64_with_seed(uid.as_bytes(), POD_UID))),
                pod(text("k8s.namespace.name"), text("k8s.pod.name")),
            ],
            nodes: [text("k8s.node.name").map(node), text("host.name").map(node)],
        }
    }

    /// What the labels of a point say, as exporters and Prometheus write them: the GPU's user, or the scraped pod.
    pub(super) fn of_labels(attributes: &[u8]) -> Self {
        let text = |keys: [&str; 2]| keys.iter().find_map(|key| text_in(attributes, key));
        // What the exporter says goes before what was said of the exporter.
        let namespace = text(["exported_namespace", "namespace"]);
        let name = text(["exported_pod", "pod"]);
        Self {
            pods: [None, pod(namespace, name)],
            nodes: [
                text(["Hostname", "hostname"]).map(node),
                text_in(attributes, "node").map(node),
            ],
        }
    }

    /// What the labels of a point say of whose GPU it is, and `resource` of the exporter.
    pub(super) fn of_gpu(labels: &Self, resource: &Self) -> Self {
        let pods = labels.pods;
        let nodes = if labels.has_node() { labels.nodes } else { resource.nodes };
        Self { pods, nodes }
    }

    /// What a server says of itself: its resource, or else the labels that a scrape gave its points. The state of
    /// one pod is not that of its node.
    pub(super) fn of_server(labels: &Self, resource: &Self) -> Self {
        let said = if resource.has_pod() || !labels.has_pod() { *resource } else { *labels };
        if said.has_pod() { Self { nodes: [None; 2], ..said } } else { said }
    }

    /// Whether it names a pod.
    pub(super) fn has_pod(&self) -> bool {
        self.pods.iter().any(Option::is_some)
    }

    fn has_node(&self) -> bool {
        self.nodes.iter().any(Option::is_some)
    }

    /// The pod, under each of its names.
    pub(super) fn pods(&self) -> impl Iterator<Item = Place> + use<> {
        self.pods.into_iter().flatten()
    }

    /// The node, under each of its names.
    pub(super) fn nodes(&self) -> impl Iterator<Item = Place> + use<> {
        let [first, second] = self.nodes;
        first.into_iter().chain(second.filter(|second| first != Some(*second)))
    }
}

fn text_in<'a>(attributes: &'a [u8], key: &str) -> Option<&'a str> {
    let text = text_of(MapView::new(attributes).get(key.as_bytes())?)?;
    (!text.is_empty()).then_some(text)
}

fn pod(namespace: Option<&str>, name: Option<&str>) -> Option<Place> {
    // A namespace has no slash.
    let text = format!("{}/{}", namespace.unwrap_or_default(), name?);
    Some(Place(xxh3_64_with_seed(text.as_bytes(), POD_NAME)))
}

fn node(name: &str) -> Place {
    Place(xxh3_64_with_seed(name.as_bytes(), NODE))
}
