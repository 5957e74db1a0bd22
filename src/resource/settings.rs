//! The detectors by their names, what is asked of them, and what they answer.

use super::attribute::ResourceAttributes;
use crate::model::listed_enum;

listed_enum! {
    /// Something that knows a part of where telemetry comes from.
    ///
    /// Those come first whose word counts where two know the same: what the user says himself, and of `host.id`
    /// what the cloud calls it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum ResourceDetector {
        /// `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`.
        Environment,
        /// The container.
        Container,
        /// The pod.
        Kubernetes,
        /// The cloud.
        Cloud,
        /// The machine.
        Host,
        /// A process.
        Process,
        /// The devices that the container sees.
        Gpu,
    }
}

impl ResourceDetector {
    /// The name in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Environment => "env",
            Self::Kubernetes => "k8s",
            Self::Container => "container",
            Self::Cloud => "cloud",
            Self::Host => "host",
            Self::Process => "process",
            Self::Gpu => "gpu",
        }
    }

    /// The detector of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|detector| detector.name().eq_ignore_ascii_case(name))
    }
}

/// What is to be detected, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DetectorSettings {
    /// Which detectors.
    pub detectors: Vec<ResourceDetector>,
    /// The folder of the downward API's files.
    pub podinfo: String,
    /// Which labels of the pod become attributes; `*` is all.
    pub labels: Vec<String>,
    /// Which annotations of the pod become attributes; `*` is all.
    pub annotations: Vec<String>,
    /// Whether `app.kubernetes.io/*` labels name the service.
    pub well_known_labels: bool,
    /// The process that is described: a number, or `self`.
    pub process: String,
}

/// What detectors found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Detected {
    /// The attributes.
    pub attributes: ResourceAttributes,
    /// What was wrong, for the log.
    pub notes: Vec<String>,
}
