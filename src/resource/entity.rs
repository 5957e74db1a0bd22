//! Entities: which attributes describe the same thing, and what says that a resource is of another one.
//!
//! A resource that names another pod than ours has nothing to do with our container, process and service. What
//! we know of those is left out, so that no resource describes half of one pod and half of another.

/// Things that attributes describe, as bits of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entities(u16);

const NONE: u16 = 0;
const SERVICE: u16 = 1;
const PROCESS: u16 = 1 << 1;
const CONTAINER: u16 = 1 << 2;
const POD: u16 = 1 << 3;
const NODE: u16 = 1 << 4;
const CLUSTER: u16 = 1 << 5;
const HOST: u16 = 1 << 6;
const GPU: u16 = 1 << 7;
const CLOUD: u16 = 1 << 8;

/// What another pod has not in common with ours.
const IN_POD: u16 = SERVICE | PROCESS | CONTAINER | POD | GPU;

/// The start of a key, and the entity.
const PREFIXES: [(&[u8], u16); 13] = [
    (b"service.", SERVICE),
    (b"faas.", SERVICE),
    (b"process.", PROCESS),
    (b"container.", CONTAINER),
    (b"k8s.container.", CONTAINER),
    (b"k8s.node.", NODE),
    (b"k8s.cluster.", CLUSTER),
    (b"k8s.", POD),
    (b"host.", HOST),
    (b"hw.", GPU),
    (b"fluentbit.ai.gpu.", GPU),
    (b"cloud.", CLOUD),
    // What users and conventions say beside these is of nothing in particular.
    (b"", NONE),
];

/// Keys that identify an entity, and what is not ours where their value is not.
const IDENTIFYING: [(&[u8], u16); 14] = [
    (b"service.name", SERVICE),
    (b"service.namespace", SERVICE),
    (b"process.pid", PROCESS),
    (b"container.id", CONTAINER | PROCESS),
    (b"k8s.container.name", CONTAINER | PROCESS),
    (b"k8s.pod.uid", IN_POD | NODE),
    (b"k8s.pod.name", IN_POD | NODE),
    (b"k8s.namespace.name", IN_POD | NODE),
    (b"k8s.node.name", IN_POD | NODE | HOST),
    (b"k8s.cluster.name", IN_POD | NODE | HOST | CLUSTER),
    (b"host.id", HOST | PROCESS | GPU),
    (b"host.name", HOST | PROCESS | GPU),
    (b"cloud.provider", CLOUD),
    (b"cloud.account.id", CLOUD),
];

impl Entities {
    /// None.
    pub(super) const NONE: Self = Self(NONE);

    /// What an attribute describes.
    pub(super) fn of(key: &[u8]) -> Self {
        let prefix = PREFIXES.iter().find(|(prefix, _)| key.starts_with(prefix));
        Self(prefix.map_or(NONE, |(_, entity)| *entity))
    }

    /// What is another one where the value of this key is.
    pub(super) fn identified_by(key: &[u8]) -> Self {
        let row = IDENTIFYING.iter().find(|(identifying, _)| key == *identifying);
        Self(row.map_or(NONE, |(_, entities)| *entities))
    }

    /// Both sets.
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the sets have one in common.
    pub(super) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
