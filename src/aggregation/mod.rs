//! Model metrics from spans and log events, by the GenAI semantic conventions 1.41.
//!
//! [`Aggregator`] looks at every span record and every log event of a chunk and changes none: durations and
//! counts of every GenAI operation, tokens and cost of model calls once per call, weighted by how many spans
//! a sampled span stands for. Metrics carry the resource of the items that they are from.

mod attribute;
mod budget;
mod calls;
mod calls_series;
mod catalogue;
mod config;
mod cost;
mod counting;
mod evaluations;
mod events;
mod exemplars;
mod exponential;
mod export;
mod export_mode;
mod exported_buckets;
mod fields;
mod finish_reasons;
mod group;
mod groups;
mod histogram;
mod instruments;
mod kept_traces;
mod last_metrics;
mod log_event;
mod logged;
mod measured;
mod metadata_run;
mod models;
mod named;
mod nested_count;
mod nested_series;
mod nested_usage;
mod number;
mod observe;
mod operations;
mod page_buckets;
mod reported;
mod responses;
mod routes;
mod semconv;
mod series;
mod series_key;
mod server_logs;
mod spending;
mod tally;
mod usage;
mod wanted;
mod write;

pub use self::catalogue::instruments;
pub use self::config::{HistogramForm, MetricsConfig, ReportedPolicy};
pub use self::cost::{CostSource, CostTally};
pub use self::instruments::{Instrument, InstrumentForm};
pub use self::models::ModelUse;
pub use self::semconv::SemconvVersion;
use self::server_logs::ServerLogs;
pub use self::server_logs::{ServerLogFormat, ServerLogFormats, ServerLogTally};
pub use self::tally::AggregationTally;

use memchr::memmem;

use self::attribute::Attribute;
use self::calls::{CallChanges, CallTracker, SeenSpan};
use self::cost::CostTotals;
use self::events::EventTracker;
use self::export_mode::ExportMode;
use self::fields::{SpanFieldVisitor, divided};
use self::group::{CountedEvent, Measured};
use self::groups::Groups;
use self::histogram::Exemplar;
pub use self::kept_traces::{KeptTraces, exemplar_traces};
use self::log_event::log_event;
use self::measured::MeasuredSpan;
use self::metadata_run::MetadataRun;
use self::models::ModelTable;
use self::number::whole;
use self::reported::{ReportedConfig, ReportedServices};
use self::responses::{AnswerTracker, AnsweredCall, answer_of};
use self::usage::TokenCounts;
use crate::clock::Tick;
pub use crate::codec::records::metric_writer::Temporality;
use crate::codec::records::{Item, ItemReader, ItemStep, Telemetry};
use crate::findings::{Findings, FindingsConfig};
use crate::model::{Emission, LastMetrics, SpanId, TraceId};
use crate::pricing::PriceTable;

/// Token counts that may still fall, shown as counters that do not.
#[derive(Debug, Clone, Copy, Default)]
struct TokenTotals {
    input: f64,
    output: f64,
    cost: CostTotals,
}

/// A call with its tokens.
type CallWithTokens = AnsweredCall<TokenCounts>;

/// Makes metrics from spans and log events.
#[derive(Debug)]
pub struct Aggregator {
    /// Its dimensions are followed by the attributes of budgets.
    config: MetricsConfig,
    own_dimensions: usize,
    groups: Groups,
    calls: CallTracker<CallWithTokens>,
    answers: AnswerTracker<TokenCounts>,
    events: EventTracker<CountedEvent>,
    reported: ReportedServices,
    /// Finds the name of an operation in what a log says.
    operation: memmem::Finder<'static>,
    /// Finds the name of an evaluation.
    evaluated: memmem::Finder<'static>,
    /// What the last item changed, within its trace and in all; kept for their memory.
    changes: Option<Box<[CallChanges<CallWithTokens>; 2]>>,
    /// What goes wrong with calls, where that is looked for.
    findings: Option<Box<Findings>>,
    /// What reads logs of model servers, where that is asked for.
    server_logs: Option<Box<ServerLogs>>,
    /// Which traces are kept, where exemplars prefer those.
    kept: Option<KeptTraces>,
    /// How models are used, where a status page asks for it.
    models: Option<Box<ModelTable>>,
    totals: TokenTotals,
    last: Tick,
    last_unix_nanos: u64,
    /// When the last chunk came.
    seen_unix_nanos: u64,
    put_back: Vec<Emission>,
    /// What the last export made, where a page shows it.
    exported: LastMetrics,
    /// Spans were looked at since the last export.
    changed: bool,
    tally: AggregationTally,
}

impl Aggregator {
    /// An aggregator that begins now.
    #[must_use]
    pub fn new(mut config: MetricsConfig, now: Tick, unix_nanos: u64) -> Self {
        let reported = ReportedConfig {
            policy: config.reported,
            max_series: config.max_series,
            is_cumulative: config.temporality == Temporality::Cumulative,
            position: config.position,
        };
        let (groups, own_dimensions) = (Groups::new(&config), config.dimensions.len());
        let budgets = config.findings.as_ref().map(FindingsConfig::budget_attributes);
        config.dimensions.extend(budgets.unwrap_or_default());
        Self {
            own_dimensions,
            groups,
            calls: CallTracker::new(config.call_window, config.max_traces),
            answers: AnswerTracker::new(config.call_window, config.max_traces),
            events: EventTracker::new(config.call_window, config.max_traces),
            reported: ReportedServices::new(reported, unix_nanos),
            operation: memmem::Finder::new(Attribute::Operation.key()),
            evaluated: memmem::Finder::new(evaluations::NAME),
            changes: None,
            findings: observe::findings(config.findings.as_ref(), unix_nanos),
            server_logs: ServerLogs::of(&config),
            kept: None,
            models: None,
            totals: TokenTotals::default(),
            last: now,
            last_unix_nanos: unix_nanos,
            seen_unix_nanos: unix_nanos,
            put_back: Vec::new(),
            exported: LastMetrics { is_whole: true, ..LastMetrics::default() },
            changed: false,
            tally: AggregationTally::default(),
            config,
        }
    }

    /// Measures the spans and log events of a chunk.
    pub fn on_chunk(&mut self, tag: &[u8], chunk: &[u8], now: Tick, unix_nanos: u64) {
        // A series that comes back begins after the last point that it had.
        let unix_nanos = unix_nanos.max(self.last_unix_nanos);
        self.seen_unix_nanos = self.seen_unix_nanos.max(unix_nanos);
        if let Some(findings) = &mut self.findings {
            findings.set_tag(tag);
        }
        let dimensions = std::mem::take(&mut self.config.dimensions);
        let mut visitor = SpanFieldVisitor::new(&dimensions);
        let mut items = ItemReader::new(chunk);
        let mut metadata_run: Option<MetadataRun<'_>> = None;
        while let Some(step) = items.step(&mut visitor) {
            if let Some((item, telemetry)) = step.span() {
                if item.new_metadata {
                    metadata_run = Some(self.metadata_run(tag, &dimensions, telemetry));
                }
                if let Some(metadata_run) =
                    metadata_run.as_mut().filter(|metadata_run| !metadata_run.ours)
                {
                    self.changed = true;
                    self.span(tag, metadata_run, item, &mut visitor, (now, unix_nanos));
                }
                visitor.clear();
                continue;
            }
            self.evaluation(tag, &dimensions, &step);
            if let Some(log) = log_event(&self.operation, &step, &mut visitor) {
                let mut of_log = self.metadata_run(tag, &dimensions, &log.telemetry);
                if !of_log.ours {
                    self.changed = true;
                    self.event(tag, &mut of_log, &log, &mut visitor, (now, unix_nanos));
                }
                // The group of the spans may have gone to make room.
                metadata_run.iter_mut().for_each(|run| run.group = None);
            } else {
                if self.server_log(tag, &dimensions, &step, (now, unix_nanos)) {
                    metadata_run.iter_mut().for_each(|run| run.group = None);
                }
                let groups = &self.groups;
                self.reported.see(&step, |service| groups.measured_of(service), (now, unix_nanos));
            }
            visitor.clear();
        }
        self.config.dimensions = dimensions;
        self.count_differences((now, unix_nanos));
        self.tally.input_tokens = self.tally.input_tokens.max(whole(self.totals.input));
        self.tally.output_tokens = self.tally.output_tokens.max(whole(self.totals.output));
        self.totals.cost.show(&mut self.tally.cost);
        self.show_series();
        self.tally.evicted = self.groups.evicted();
        let reported = self.reported.tally();
        self.tally.reported_points = reported.points;
        self.tally.replaced_points = reported.replaced;
        self.tally.unnoted_points = reported.unnoted;
    }

    /// What goes on of a chunk that was measured, if metrics of services are to be taken out of it.
    pub fn without_replaced(&mut self, chunk: &[u8]) -> Option<Vec<u8>> {
        self.reported.without_replaced(chunk)
    }

    /// What is to be emitted now: nothing before the interval has passed, unless `everything` is
    /// asked for. A stop asks for it again and again; cumulative points that say what the last ones
    /// said are not repeated then. As long as something is given again that was put back, there is nothing
    /// new beside it, so that what waits is what one interval made.
    pub fn take(&mut self, everything: bool, now: Tick, unix_nanos: u64) -> Vec<Emission> {
        let mut batches = std::mem::take(&mut self.put_back);
        if !batches.is_empty() && !everything {
            return batches;
        }
        let is_over = now.since(self.last) >= self.config.interval;
        if !(if everything { self.changed } else { is_over }) {
            return batches;
        }
        self.changed = false;
        self.calls.tick(now);
        // What begins now counts since the last points.
        self.count_differences((now, self.last_unix_nanos));
        // No point is older than its series, whose spans may have come after this time was taken.
        let unix_nanos =
            unix_nanos.max(self.last_unix_nanos.saturating_add(1)).max(self.seen_unix_nanos);
        let (since, waiting) = (self.last_unix_nanos, batches.len());
        if let Some(findings) = &mut self.findings {
            self.reported.differences(unix_nanos, |difference| findings.reported(difference));
        }
        let page_follows = self.models.is_some() && self.has_own_page();
        let mode = match self.config.temporality {
            Temporality::Cumulative => ExportMode::Cumulative { page_follows },
            Temporality::Delta => ExportMode::Delta { page_follows },
        };
        self.export(&mut batches, (mode, since), (now, unix_nanos));
        if page_follows {
            let mut page = Vec::new();
            self.export(&mut page, (ExportMode::Page, since), (now, unix_nanos));
            self.keep_export(&page, unix_nanos);
        } else {
            self.keep_export(batches.get(waiting..).unwrap_or_default(), unix_nanos);
        }
        self.groups.expire(now, self.config.series_expiry);
        self.show_series();
        (self.last, self.last_unix_nanos) = (now, unix_nanos);
        batches
    }

    /// Appends all metrics of now.
    fn export(
        &mut self,
        batches: &mut Vec<Emission>,
        (mode, since): (ExportMode, u64),
        at: (Tick, u64),
    ) {
        self.groups.export(batches, &mut self.reported, (mode, since), at);
        if let Some(findings) = &mut self.findings {
            let form = (self.config.tag.as_deref(), self.config.is_whole);
            observe::export(findings, form, mode, batches, at.1);
        }
        let logs = self.server_logs.iter_mut();
        logs.for_each(|logs| logs.export(batches, (mode, since), at));
    }

    /// Takes other prices for the calls to come.
    pub fn replace_prices(&mut self, prices: PriceTable) {
        self.groups.replace_prices(prices);
    }

    /// Takes back what could not be emitted; it is given again by the next [`Aggregator::take`].
    pub fn put_back(&mut self, batch: Emission) {
        self.put_back.push(batch);
    }

    /// What goes wrong with calls, where that is looked for.
    pub fn findings(&mut self) -> Option<&mut Findings> {
        self.findings.as_deref_mut()
    }

    /// From now on keeps what a status page shows: the table of models, and the last findings.
    pub fn watch(&mut self) {
        self.models.get_or_insert_default();
        if let Some(findings) = &mut self.findings {
            findings.keep();
        }
    }

    /// How models were used since [`Aggregator::watch`], the most used first.
    pub fn models(&mut self, now: Tick) -> Vec<ModelUse> {
        self.models.as_mut().map(|models| models.uses(now)).unwrap_or_default()
    }

    fn show_series(&mut self) {
        let logs = self.server_logs.as_ref().map(|logs| logs.show(&mut self.tally.server_logs));
        self.tally.series = self.groups.series().saturating_add(logs.unwrap_or_default()) as u64;
    }

    /// What has happened so far.
    #[must_use]
    pub const fn tally(&self) -> &AggregationTally {
        &self.tally
    }

    fn metadata_run<'a>(
        &self,
        tag: &[u8],
        dimensions: &[String],
        telemetry: &Telemetry<'a>,
    ) -> MetadataRun<'a> {
        let (position, wants_origin) = (self.config.position, self.findings.is_some());
        MetadataRun::new(&self.groups, (tag, dimensions), telemetry, position, wants_origin)
    }

    /// How many spans one with this trace state stands for; one of unknown weight stands for itself.
    fn weight(&mut self, trace_state: &[u8]) -> f64 {
        match trace_state {
            [] => 1.0,
            state => (self.config.weight)(state).unwrap_or_else(|| {
                self.tally.unknown_weights += 1;
                1.0
            }),
        }
    }

    fn span<'a>(
        &mut self,
        tag: &[u8],
        metadata_run: &mut MetadataRun<'a>,
        item: &Item<'a>,
        visitor: &mut SpanFieldVisitor<'_, 'a>,
        at: (Tick, u64),
    ) {
        let ids = item.span.trace_id().zip(item.span.span_id());
        let (from, to) = (item.span.start_unix_nanos(), item.span.end_unix_nanos());
        let (mut call, mut sum) = (None, None);
        if visitor.fields.has_any(Attribute::Operation.bit() | Attribute::McpMethod.bit()) {
            let weight = self.weight(item.span.trace_state());
            metadata_run.complete(&mut visitor.further);
            let (further, budgeted) = divided(&visitor.further, self.own_dimensions);
            let measured = MeasuredSpan {
                fields: &visitor.fields,
                further,
                status: item.span.status_code(),
                kind: item.span.kind,
                events: item.span.events,
                from,
                to,
                ids,
                weight,
                is_kept: self.is_kept(ids),
                spender: self.spender(&visitor.fields, budgeted, to),
            };
            if measured.is_mcp() || visitor.fields.is_operation() {
                if let Some(logs) = &mut self.server_logs {
                    logs.note_span(&visitor.fields, item.telemetry.as_ref(), at.0);
                }
                match self.group_of(tag, metadata_run, item.telemetry.as_ref(), &measured) {
                    Some(group) => {
                        call = self.measure(group, &measured, at);
                        if call.is_none() && measured.is_sum() {
                            sum = self.groups.nested_sum(group, &measured);
                        }
                    }
                    None => self.tally.overflow += 1,
                }
                if call.is_none() {
                    self.spend_without_tokens(&measured);
                }
                if let Some(findings) = &mut self.findings {
                    let counts = call.as_ref().map(|(_, counts)| counts);
                    observe::tell(findings, &metadata_run.origin, &measured, counts);
                }
            }
        }
        if let Some(findings) = self.findings.as_mut().filter(|one| one.wants_evaluations()) {
            let (finder, origin) = (&self.evaluated, &metadata_run.origin);
            evaluations::of_span(findings, finder, origin, item, &visitor.fields);
        }
        let Some((trace, span)) = ids else {
            // Without ids nothing says that another span tells of the call.
            if let Some((_, tokens)) = call {
                self.count(&tokens, (to, None), |_| None);
            }
            return;
        };
        let answered = |answer, what| AnsweredCall { answer, ids: (trace, span), from, to, what };
        let call =
            call.map(|(response, what)| (response, answered(answer_of(response, &what), what)));
        let sum = sum.map(|what| answered(0, what));
        let seen = SeenSpan { trace, span, parent: item.span.parent_span_id(), call, sum };
        self.settle(at.0, |calls, changes| calls.observe(&seen, at.0, changes));
    }

    /// The group of what has the same metadata.
    fn group_of(
        &mut self,
        tag: &[u8],
        metadata_run: &mut MetadataRun<'_>,
        telemetry: Option<&Telemetry<'_>>,
        measured: &MeasuredSpan<'_, '_>,
    ) -> Option<usize> {
        if metadata_run.group.is_none() {
            let resource = telemetry.and_then(|telemetry| telemetry.resource);
            let resource = resource.unwrap_or_default();
            metadata_run.group = self.groups.find_or_add(tag, resource, measured);
        }
        metadata_run.group
    }

    /// Counts an operation and its duration, and finds the series of its tokens.
    fn measure(
        &mut self,
        group: usize,
        measured: &MeasuredSpan<'_, '_>,
        at: (Tick, u64),
    ) -> Option<(u64, TokenCounts)> {
        self.tally.measured += 1;
        let Some(mut found) = self.groups.measure(group, measured, at) else {
            self.tally.overflow += 1;
            return None;
        };
        self.tally.overflow += u64::from(found.is_overflow);
        self.note_model(&mut found, measured, at.0);
        let id = events::operation_id(measured.fields, found.calls_model);
        if let Some(event) = id.and_then(|id| self.events.span(id, at.0)) {
            self.take_back_event(&event);
        }
        let response = if found.calls_model { id.map_or(0, |id| id.max(1)) } else { 0 };
        Some((response, found.tokens?))
    }

    /// Tells of an evaluation that is a log event.
    fn evaluation(&mut self, tag: &[u8], dimensions: &[String], step: &ItemStep<'_>) {
        if !self.findings.as_ref().is_some_and(|findings| findings.wants_evaluations()) {
            return;
        }
        let found = evaluations::of_log(step, &self.evaluated);
        let Some((telemetry, attributes, of)) = found else { return };
        let of_log = self.metadata_run(tag, dimensions, &telemetry);
        if let Some(findings) = self.findings.as_mut().filter(|_| !of_log.ours) {
            evaluations::tell(findings, &of_log.origin, attributes, of);
        }
    }

    /// Counts an operation in the table of models, if there is one and it calls a model.
    #[inline]
    fn note_model(&mut self, found: &mut Measured, measured: &MeasuredSpan<'_, '_>, now: Tick) {
        let Some(models) = self.models.as_mut().filter(|_| found.calls_model) else { return };
        found.model = models.call(measured, now);
        if let Some(tokens) = &mut found.tokens {
            tokens.model = found.model;
        }
    }

    /// Has an item observed, and does what it changes.
    fn settle(
        &mut self,
        now: Tick,
        observe: impl FnOnce(&mut CallTracker<CallWithTokens>, &mut CallChanges<CallWithTokens>),
    ) {
        let mut changes = self.changes.take().unwrap_or_default();
        let [within, all] = &mut *changes;
        within.clear();
        observe(&mut self.calls, within);
        if within.is_any() {
            all.clear();
            self.answers.settle(within, now, all);
            self.apply(all);
        }
        self.changes = Some(changes);
    }

    fn apply(&mut self, changes: &CallChanges<CallWithTokens>) {
        self.tally.duplicate_calls += u64::from(changes.duplicate);
        for call in &changes.take_back {
            self.tally.duplicate_calls += 1;
            self.take_back(&call.what, (call.to, Some(call.ids)));
        }
        for call in &changes.count {
            let (TraceId(trace_id), SpanId(span_id)) = call.ids;
            let time_unix_nano = call.to.max(call.from);
            let is_kept = self.is_kept(Some(call.ids));
            self.count(&call.what, (call.to, Some(call.ids)), |value| {
                Some(Exemplar { time_unix_nano, value, trace_id, span_id, is_kept })
            });
        }
    }
}

#[cfg(test)]
mod evaluation_tests;
#[cfg(test)]
mod event_tests;
#[cfg(test)]
mod measurement_tests;
#[cfg(test)]
mod nested_tests;
#[cfg(test)]
mod page_tests;
#[cfg(test)]
mod reported_tests;
#[cfg(test)]
mod semconv_tests;
#[cfg(test)]
mod spending_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod traffic_tests;
#[cfg(test)]
mod workload_tests;
