//! Resource detection: where telemetry comes from, and how that gets into its resource.
//!
//! Detectors read [`Facts`], texts that the caller has gathered: variables of the environment
//! and contents of files. What they make of them are attributes by the names of OpenTelemetry's
//! semantic conventions for resources, 1.41. [`ResourceEditor`] adds them to the resources of a chunk.

mod attribute;
mod cgroup;
mod cloud;
mod detector;
mod downward;
mod editor;
mod entity;
mod environment;
mod facts;
mod gpu;
mod host;
mod kubernetes;
mod merge;
mod process;
mod settings;

pub use attribute::{Attribute, AttributeValue, ResourceAttributes};
pub use editor::{EditorSettings, ResourceEditor, ResourceTally};
pub use facts::{FactSource, Facts};
pub use settings::{Detected, DetectorSettings, ResourceDetector};
