//! Metadata run: what is common to items that follow each other with the same metadata.

use super::fields::of_resource;
use super::groups::Groups;
use crate::codec::records::Telemetry;
use crate::findings::CallOrigin;
use crate::model::Position;

/// What is common to the spans that follow each other with the same metadata.
pub(super) struct MetadataRun<'a> {
    pub(super) group: Option<usize>,
    pub(super) ours: bool,
    pub(super) origin: CallOrigin<'a>,
    pub(super) further: Vec<&'a [u8]>,
}

impl<'a> MetadataRun<'a> {
    /// What metadata says. The origin is asked for where findings are.
    pub(super) fn new(
        groups: &Groups,
        (tag, dimensions): (&[u8], &[String]),
        telemetry: &Telemetry<'a>,
        position: Position,
        wants_origin: bool,
    ) -> Self {
        let ours = telemetry.is_past(position);
        let resource = telemetry.resource;
        let group = groups.known(tag, resource.unwrap_or_default());
        let origin = if wants_origin {
            CallOrigin::new(resource, telemetry.scope)
        } else {
            CallOrigin::default()
        };
        Self { group, ours, origin, further: of_resource(dimensions, resource) }
    }

    /// Adds what the resource says of further dimensions.
    #[inline]
    pub(super) fn complete(&self, further: &mut [&'a [u8]]) {
        for (value, resource) in further.iter_mut().zip(&self.further) {
            if value.is_empty() {
                *value = resource;
            }
        }
    }
}
