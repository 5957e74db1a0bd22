//! Spending: what calls take of budgets, each call once, as [`crate::findings`] takes it.

use super::Aggregator;
use super::fields::SpanFields;
use super::group::CountedEvent;
use super::measured::MeasuredSpan;
use super::models::has_failed;
use super::usage::TokenCounts;
use crate::findings::{Findings, ObservedSpending};
use crate::model::{SpanId, TraceId};

/// When a call ended, in Unix nanoseconds, and its trace and span.
pub(super) type SpentAt = (u64, Option<(TraceId, SpanId)>);

impl Aggregator {
    /// Whose budgets a call is of, by the values of their attributes.
    pub(super) fn spender(
        &mut self,
        fields: &SpanFields<'_>,
        values: &[&[u8]],
        unix_nanos: u64,
    ) -> u64 {
        if self.budgets().is_none() || !fields.calls_model() {
            return 0;
        }
        let moment = self.moment(unix_nanos);
        self.budgets().map_or(0, |findings| findings.spender(values, moment))
    }

    /// What watches budgets, where that is asked for.
    #[inline]
    fn budgets(&mut self) -> Option<&mut Findings> {
        self.findings.as_deref_mut().filter(|findings| findings.watches_budgets())
    }

    /// When a call ended; what has no time, or ends later than now, ends now.
    fn moment(&self, unix_nanos: u64) -> u64 {
        if unix_nanos == 0 { self.seen_unix_nanos } else { unix_nanos.min(self.seen_unix_nanos) }
    }

    fn spend(&mut self, spending: ObservedSpending, is_taken_back: bool) {
        let unix_nanos = self.moment(spending.unix_nanos);
        if let Some(findings) = self.budgets() {
            findings.spend(&ObservedSpending { unix_nanos, ..spending }, is_taken_back);
        }
    }

    /// Adds what a call spends that says its tokens, or takes it back.
    pub(super) fn spend_counted(
        &mut self,
        counts: &TokenCounts,
        (unix_nanos, ids): SpentAt,
        is_taken_back: bool,
    ) {
        if self.budgets().is_none() {
            return;
        }
        let (input, output) = (counts.tokens.input(), counts.tokens.output());
        let spending = ObservedSpending {
            spender: counts.spender,
            unix_nanos,
            weight: counts.weight,
            usd: counts.cost.and_then(|cost| cost.usd()),
            tokens: Some(input.unwrap_or(0.0) + output.unwrap_or(0.0)),
            has_failed: false,
            ids,
        };
        self.spend(spending, is_taken_back);
    }

    /// Adds what an item spends that calls a model and says no tokens.
    pub(super) fn spend_without_tokens(&mut self, measured: &MeasuredSpan<'_, '_>) {
        if self.budgets().is_some() && measured.fields.calls_model() {
            let call = (measured.weight, has_failed(measured));
            self.spend_uncounted(measured.spender, (measured.to, measured.ids), call, false);
        }
    }

    fn spend_uncounted(
        &mut self,
        spender: u64,
        (unix_nanos, ids): SpentAt,
        (weight, has_failed): (f64, bool),
        is_taken_back: bool,
    ) {
        let (usd, tokens) = (None, None);
        let spending =
            ObservedSpending { spender, unix_nanos, weight, usd, tokens, has_failed, ids };
        self.spend(spending, is_taken_back);
    }

    /// Takes back what an event spent that a span tells of.
    pub(super) fn take_back_spent(&mut self, event: &CountedEvent) {
        if event.tokens.is_none() && event.calls_model {
            let at = (event.unix_nanos, None);
            self.spend_uncounted(event.spender, at, (1.0, event.has_failed), true);
        }
    }
}
