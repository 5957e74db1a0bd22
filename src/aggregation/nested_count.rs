//! Where the sums that operations say are counted if they are not those of the calls within them.

use super::groups::Groups;
use super::measured::MeasuredSpan;
use super::nested_series::NestedUsage;
use super::nested_usage::UsageDifference;
use super::series::SeriesTable;
use super::usage::{ModelIndex, TokenCounts};
use crate::clock::Tick;

impl Groups {
    /// What an operation says of its tokens that does not call a model itself.
    pub(super) fn nested_sum(
        &mut self,
        index: usize,
        measured: &MeasuredSpan<'_, '_>,
    ) -> Option<TokenCounts> {
        let tokens = measured.fields.tokens()?;
        let operation = self.operation_index(measured);
        let group_id = self.group(index)?.id;
        let (series, weight, model) = (None, measured.weight, ModelIndex::default());
        Some(TokenCounts {
            group: index,
            group_id,
            series,
            tokens,
            model,
            operation,
            weight,
            spender: 0,
            cost: None,
        })
    }

    /// Counts by how much an operation and the calls within it differ, unless its group is gone or there is no room.
    pub(super) fn count_difference(
        &mut self,
        said: &TokenCounts,
        difference: &UsageDifference,
        at: (Tick, u64),
    ) {
        let key = self.operation_names.attribute(said.operation);
        let Some(group) = self.group_with_id(said.group, said.group_id) else { return };
        let is_new = group.nested.as_ref().is_none_or(|table| table.find(&key).is_none());
        // From here on the group does not go.
        (group.used, group.is_unexported) = (at.0, true);
        let mut cost = SeriesTable::<NestedUsage>::attributes_cost(&key);
        cost.series = NestedUsage::MOST;
        if is_new && !self.has_room_for(cost) {
            return;
        }
        let Some(group) = self.group_with_id(said.group, said.group_id) else { return };
        let table = group.nested.get_or_insert_default();
        let (series, mut taken) = table.find_or_add(&key, 1, at, NestedUsage::new);
        if let Some(nested) = table.touch(series, at.0) {
            taken.series += nested.add(difference, said.weight);
        }
        self.take_room(taken);
    }
}
