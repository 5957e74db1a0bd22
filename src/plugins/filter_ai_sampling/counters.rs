//! Counters of `ai_sampling` that both of its modes have.

use crate::stats::CounterFamily;

/// Spans that came.
pub(super) const RECEIVED: CounterFamily =
    CounterFamily::counter("received_spans_total", "Spans that came to be sampled", &[]);
/// Spans kept, by what kept them.
pub(super) const KEPT: CounterFamily =
    CounterFamily::counter("kept_spans_total", "Spans kept", &["policy"]);
/// Spans dropped, by what dropped them.
pub(super) const DROPPED: CounterFamily =
    CounterFamily::counter("dropped_spans_total", "Spans dropped on purpose", &["policy"]);
/// Spans for which the expression of a rate had no answer.
pub(super) const UNANSWERED: CounterFamily = CounterFamily::counter(
    "rate_condition_errors_total",
    "Head: spans for which the expression of a rate had no answer, so that it was not for them",
    &["policy"],
);
/// Spans whose session is known, by whether it decided about chance.
pub(super) const SESSION: CounterFamily = CounterFamily::counter(
    "session_spans_total",
    "Spans of sessions: decided by the session, or sampled before it was known",
    &["outcome"],
);
/// How many instances share the goals of a fleet.
pub(super) const FLEET_SIZE: CounterFamily = CounterFamily::gauge(
    "fleet_size",
    "Instances that goals of a fleet are taken to be shared by",
    &[],
);
/// What may become of them.
pub(super) const SESSION_OUTCOMES: [&str; 2] = ["decided", "sampled_before"];
/// The label of spans that are kept because they have no usable trace id.
pub(super) const NO_TRACE_ID: &str = "no_trace_id";
/// The label of spans that are dropped because no policy kept them.
pub(super) const NOT_SAMPLED: &str = "not_sampled";
/// The label of spans that a dry run lets through.
pub(super) const DRY_RUN: &str = "dry_run";
