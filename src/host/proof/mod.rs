//! Whether a host is laid out as its row says, found out from the host itself.
//!
//! Nothing here trusts a row: memory is read through the kernel ([`memory`]), and each field is held
//! against something that is known in another way. Nothing of the host is written to.

mod descriptors;
mod flush;
mod image;
mod instance;
#[cfg(test)]
mod made_up;
mod memory;
mod packed;
mod plugins;
mod report;
mod service;
mod setters;
mod surplus;
mod wanted;

pub(super) use flush::Flushing;
pub(super) use instance::Subject;
pub(super) use memory::ProcessMemory;
pub(super) use plugins::{OWN, OwnPlugin, prove as plugins};
pub(super) use report::ProofReport;
pub(super) use setters::Setters;
pub(super) use surplus::{MESSAGE as SURPLUS, is_surplus};
