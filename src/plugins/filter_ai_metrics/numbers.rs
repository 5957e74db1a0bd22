//! The counters of the filter.

use crate::aggregation::{AggregationTally, CostSource, ServerLogFormat};
use crate::findings::{Check, FindingsTally};
use crate::stats::{Counter, CounterFamily, Counters};

const MEASURED: CounterFamily = CounterFamily::counter(
    "measured_spans_total",
    "Spans of GenAI operations, and of the Model Context Protocol, that were measured",
    &[],
);
const EVENTS: CounterFamily = CounterFamily::counter(
    "measured_events_total",
    "Log events of GenAI operations that were measured",
    &[],
);
const TOKENS: CounterFamily = CounterFamily::counter(
    "counted_tokens_total",
    "Tokens of model calls, each call once, adjusted for sampling",
    &["type"],
);
const DUPLICATES: CounterFamily = CounterFamily::counter(
    "duplicate_calls_total",
    "Model call spans whose tokens another span tells of, of the same trace or of another one, and \
     log events of operations that a span or another event tells of",
    &[],
);
const CALLS: CounterFamily = CounterFamily::counter(
    "priced_calls_total",
    "Model calls by what their cost is known from (reported, computed, unpriced), each call once, \
     adjusted for sampling",
    &["source"],
);
const COST: CounterFamily = CounterFamily::counter(
    "cost_microdollars_total",
    "Cost of model calls in millionths of a US dollar (reported, computed), each call once, \
     adjusted for sampling",
    &["source"],
);
const PRICES: CounterFamily = CounterFamily::counter(
    "prices_file_errors_total",
    "Changes of prices_file that could not be read, so that the prices before them hold",
    &[],
);
const SERIES: CounterFamily = CounterFamily::gauge(
    "series",
    "Series held: one of each metric, resource and set of attributes",
    &[],
);
const UNKNOWN_WEIGHTS: CounterFamily = CounterFamily::counter(
    "unknown_weights_total",
    "Spans that were sampled with a probability that their tracestate does not say, each counted as one",
    &[],
);
const OVERFLOW: CounterFamily = CounterFamily::counter(
    "overflow_total",
    "Spans and log events that had no room for a series of their own",
    &[],
);
const REPORTED: CounterFamily = CounterFamily::counter(
    "reported_points_total",
    "Data points of metrics that services report themselves and that are measured here, too",
    &[],
);
const REPLACED: CounterFamily = CounterFamily::counter(
    "replaced_points_total",
    "Data points of metrics that services report themselves and that 'reported: replace' took out",
    &[],
);
const UNNOTED: CounterFamily = CounterFamily::counter(
    "unnoted_reported_points_total",
    "Data points of metrics of services that there was no room to remember, so that ours stand beside them",
    &[],
);
const EVICTED: CounterFamily = CounterFamily::counter(
    "evicted_series_total",
    "Series that were forgotten to make room for those of other resources; what they said was emitted",
    &[],
);
const SERVER_LOGS: CounterFamily = CounterFamily::counter(
    "measured_server_logs_total",
    "Logs of model servers and of answers that were measured, by format",
    &["format"],
);
const UNMEASURED: CounterFamily = CounterFamily::counter(
    "unmeasured_server_logs_total",
    "Logs that server_logs looked at and did not measure, or not wholly: other (of no known kind), too_long, incomplete \
     (of a known kind without what is to be measured), told_by_spans, no_room (for further series)",
    &["reason"],
);

const FINDINGS: CounterFamily = CounterFamily::counter(
    "findings_total",
    "Findings by what looked for them (changes, usage, served_model, runaway, drift, pairs, prompts, budgets)",
    &["check"],
);
const UNTOLD: CounterFamily = CounterFamily::counter(
    "untold_findings_total",
    "Findings that are in the counters and the metric alone, as a thousand waited to be told",
    &[],
);
const UNWATCHED: CounterFamily = CounterFamily::counter(
    "unwatched_calls_total",
    "Model calls of services, models or libraries that there was no room to learn of",
    &[],
);
const UNCOUNTED: CounterFamily = CounterFamily::counter(
    "unbudgeted_calls_total",
    "Model calls that a budget could not count: no_key (an attribute of it is missing), too_old (they ended before its \
     period), forgotten (its key went to make room before a call was settled)",
    &["reason"],
);
const EVICTED_KEYS: CounterFamily = CounterFamily::counter(
    "evicted_budget_keys_total",
    "Keys of budgets that went to make room for others, with what they had spent",
    &[],
);
const KEYS: CounterFamily = CounterFamily::gauge(
    "finding_keys",
    "Services, operations, providers and models whose calls are learned of, and keys of budgets",
    &[],
);

/// The counters of one filter.
pub(super) struct Numbers {
    measured: Counter,
    events: Counter,
    input_tokens: Counter,
    output_tokens: Counter,
    duplicates: Counter,
    calls: [Counter; 3],
    cost: [Counter; 2],
    /// Changes of the prices that could not be read.
    pub(super) prices_problems: Counter,
    series: Counter,
    unknown_weights: Counter,
    overflow: Counter,
    evicted: Counter,
    findings: [Counter; Check::ALL.len()],
    untold: Counter,
    unwatched: Counter,
    uncounted: [Counter; 3],
    evicted_keys: Counter,
    keys: Counter,
    reported: Counter,
    replaced: Counter,
    unnoted: Counter,
    server_logs: [Counter; ServerLogFormat::ALL.len()],
    unmeasured: [Counter; 5],
}

impl Numbers {
    pub(super) fn new(counters: &Counters) -> Self {
        Self {
            measured: counters.counter(MEASURED, &[]),
            events: counters.counter(EVENTS, &[]),
            input_tokens: counters.counter(TOKENS, &["input"]),
            output_tokens: counters.counter(TOKENS, &["output"]),
            duplicates: counters.counter(DUPLICATES, &[]),
            calls: CostSource::ALL.map(|source| counters.counter(CALLS, &[source.name()])),
            cost: [CostSource::Reported, CostSource::Computed]
                .map(|source| counters.counter(COST, &[source.name()])),
            prices_problems: counters.counter(PRICES, &[]),
            series: counters.counter(SERIES, &[]),
            unknown_weights: counters.counter(UNKNOWN_WEIGHTS, &[]),
            overflow: counters.counter(OVERFLOW, &[]),
            evicted: counters.counter(EVICTED, &[]),
            findings: Check::ALL.map(|check| counters.counter(FINDINGS, &[check.name()])),
            untold: counters.counter(UNTOLD, &[]),
            unwatched: counters.counter(UNWATCHED, &[]),
            uncounted: ["no_key", "too_old", "forgotten"]
                .map(|reason| counters.counter(UNCOUNTED, &[reason])),
            evicted_keys: counters.counter(EVICTED_KEYS, &[]),
            keys: counters.counter(KEYS, &[]),
            reported: counters.counter(REPORTED, &[]),
            replaced: counters.counter(REPLACED, &[]),
            unnoted: counters.counter(UNNOTED, &[]),
            server_logs: ServerLogFormat::ALL
                .map(|format| counters.counter(SERVER_LOGS, &[format.name()])),
            unmeasured: ["other", "too_long", "incomplete", "told_by_spans", "no_room"]
                .map(|reason| counters.counter(UNMEASURED, &[reason])),
        }
    }

    /// Shows what has happened so far.
    pub(super) fn show(&self, tally: &AggregationTally) {
        self.measured.set(tally.measured);
        self.events.set(tally.measured_events);
        self.input_tokens.set(tally.input_tokens);
        self.output_tokens.set(tally.output_tokens);
        self.duplicates.set(tally.duplicate_calls);
        for (counter, calls) in self.calls.iter().zip(tally.cost.calls) {
            counter.set(calls);
        }
        for (counter, cost) in self.cost.iter().zip(tally.cost.microdollars) {
            counter.set(cost);
        }
        self.series.set(tally.series);
        self.unknown_weights.set(tally.unknown_weights);
        self.overflow.set(tally.overflow);
        self.evicted.set(tally.evicted);
        self.reported.set(tally.reported_points);
        self.replaced.set(tally.replaced_points);
        self.unnoted.set(tally.unnoted_points);
        let logs = &tally.server_logs;
        let unmeasured =
            [logs.other, logs.too_long, logs.incomplete, logs.told_by_spans, logs.no_room];
        let measured = self.server_logs.iter().zip(logs.measured);
        for (counter, count) in measured.chain(self.unmeasured.iter().zip(unmeasured)) {
            counter.set(count);
        }
    }

    /// Shows what was found.
    pub(super) fn show_findings(&self, tally: &FindingsTally) {
        for (counter, found) in self.findings.iter().zip(tally.found) {
            counter.set(found);
        }
        self.untold.set(tally.untold);
        self.unwatched.set(tally.unwatched);
        for (counter, calls) in self.uncounted.iter().zip(tally.uncounted) {
            counter.set(calls);
        }
        self.evicted_keys.set(tally.evicted_keys);
        self.keys.set(tally.keys);
    }
}
