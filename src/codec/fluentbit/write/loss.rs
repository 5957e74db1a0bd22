//! Loss accounting: what items lose in the host's form, counted by reason.

use crate::model::listed_enum;

listed_enum! {
    /// Why something is not in the host's form as it was in OTLP.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum FormatLoss {
        /// An attribute was left out, because its key is longer than 255 bytes, or empty on a data
        /// point.
        KeyLength,
        /// An attribute was left out, because its values nest deeper than 30.
        Depth,
        /// A value without content became empty text.
        Unset,
        /// Zero bytes in text became U+FFFD.
        Nul,
        /// Text was cut at the longest length that the form has.
        TextLength,
        /// The flags of a span or a link have no place.
        Flags,
        /// The entity references of a resource have no place.
        EntityRefs,
        /// Fields that this version does not know have no place.
        UnknownFields,
        /// Events or links beyond the 65535th, which are in the dropped counts, and attributes with
        /// lists of 100000 values or more.
        ListLength,
        /// The attribute of a data point that is no text became text.
        LabelType,
        /// A whole number beyond 2^53 became the nearest double.
        Precision,
        /// What has no place in the metric itself, because another point has the same series and time,
        /// or the metric's name is longer than 255 bytes.
        PointDetails,
        /// The attributes of a scope of metrics were left out, because the host's own encoder of this
        /// release would end the process.
        ScopeAttributes,
    }
}

impl FormatLoss {
    /// The word for it in counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyLength => "key_length",
            Self::Depth => "depth",
            Self::Unset => "unset",
            Self::Nul => "nul",
            Self::TextLength => "text_length",
            Self::Flags => "flags",
            Self::EntityRefs => "entity_refs",
            Self::UnknownFields => "unknown_fields",
            Self::ListLength => "list_length",
            Self::LabelType => "label_type",
            Self::Precision => "precision",
            Self::PointDetails => "point_details",
            Self::ScopeAttributes => "scope_attributes",
        }
    }
}

/// How often each loss came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FormatLosses([usize; FormatLoss::ALL.len()]);

impl FormatLosses {
    /// Counts one.
    pub(super) fn add(&mut self, loss: FormatLoss) {
        if let Some(count) = self.0.get_mut(loss as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// The losses that came about, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (FormatLoss, usize)> + '_ {
        FormatLoss::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// How often a loss came about.
    #[must_use]
    pub fn of(&self, loss: FormatLoss) -> usize {
        self.0.get(loss as usize).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_has_its_own_count() {
        let mut losses = FormatLosses::default();
        for (index, loss) in FormatLoss::ALL.into_iter().enumerate() {
            assert_eq!(loss as usize, index);
            (0..=index).for_each(|_| losses.add(loss));
        }
        assert!(losses.iter().enumerate().all(|(index, (_, count))| count == index + 1));
        assert_eq!(losses.of(FormatLoss::Unset), 3);
    }
}
