//! Model metrics from spans, by the GenAI semantic conventions 1.41.
//!
//! [`Aggregator`] looks at every span record of a chunk and changes none: durations and counts of
//! every GenAI operation, tokens of model calls once per call, weighted by how many spans a sampled
//! span stands for. Metrics carry the resource of the spans that they are from.

mod budget;
mod calls;
mod config;
mod cost;
mod exponential;
mod exported_buckets;
mod fields;
mod groups;
mod histogram;
mod instruments;
mod measured_series;
mod number;
mod responses;
mod series;
mod write;

pub use self::config::{HistogramForm, MetricsConfig};
pub use self::cost::{CostSource, CostTally};
pub use self::instruments::{Instrument, InstrumentForm, instruments};

use self::calls::{CallChanges, CallTracker, SeenSpan};
use self::cost::CostTotals;
use self::fields::{SpanFieldVisitor, of_resource};
use self::groups::{Groups, TokenCounts};
use self::instruments::MeasuredSpan;
use self::number::whole;
use self::responses::{AnswerTracker, AnsweredCall};
use crate::clock::Tick;
use crate::codec::msgpack::text_of;
pub use crate::codec::records::metric_writer::Temporality;
use crate::codec::records::{Item, ItemReader, Telemetry};
use crate::model::{Emission, SpanId, TraceId};
use crate::pricing::PriceTable;

/// What has happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AggregationTally {
    /// Spans of GenAI operations.
    pub measured: u64,
    /// Input tokens, each call once, adjusted for sampling.
    pub input_tokens: u64,
    /// Output tokens, likewise.
    pub output_tokens: u64,
    /// What calls cost.
    pub cost: CostTally,
    /// Model call spans whose tokens another span tells of, of the same trace or another one.
    pub duplicate_calls: u64,
    /// Series that there are: one of each metric and set of attributes.
    pub series: u64,
    /// Spans that went to an overflow series.
    pub overflow: u64,
    /// Series of resources that were forgotten to make room for others.
    pub evicted: u64,
}

/// Token counts that may still fall, shown as counters that do not.
#[derive(Debug, Clone, Copy, Default)]
struct TokenTotals {
    input: f64,
    output: f64,
    cost: CostTotals,
}

/// Makes metrics from spans.
#[derive(Debug)]
pub struct Aggregator {
    config: MetricsConfig,
    groups: Groups,
    calls: CallTracker<AnsweredCall<TokenCounts>>,
    answers: AnswerTracker<TokenCounts>,
    totals: TokenTotals,
    last: Tick,
    last_unix_nanos: u64,
    /// When the last chunk came.
    seen_unix_nanos: u64,
    put_back: Vec<Emission>,
    /// Spans were looked at since the last export.
    changed: bool,
    tally: AggregationTally,
}

/// What is common to the spans that follow each other with the same metadata.
struct MetadataRun<'a> {
    group: Option<usize>,
    ours: bool,
    further: Vec<&'a [u8]>,
}

impl Aggregator {
    /// An aggregator that begins now.
    #[must_use]
    pub fn new(config: MetricsConfig, now: Tick, unix_nanos: u64) -> Self {
        Self {
            groups: Groups::new(&config),
            calls: CallTracker::new(config.call_window, config.max_traces),
            answers: AnswerTracker::new(config.call_window, config.max_traces),
            totals: TokenTotals::default(),
            last: now,
            last_unix_nanos: unix_nanos,
            seen_unix_nanos: unix_nanos,
            put_back: Vec::new(),
            changed: false,
            tally: AggregationTally::default(),
            config,
        }
    }

    /// Measures the spans of a chunk.
    pub fn on_chunk(&mut self, tag: &[u8], chunk: &[u8], now: Tick, unix_nanos: u64) {
        // A series that comes back begins after the last point that it had.
        let unix_nanos = unix_nanos.max(self.last_unix_nanos);
        self.seen_unix_nanos = self.seen_unix_nanos.max(unix_nanos);
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
            }
            visitor.clear();
        }
        self.config.dimensions = dimensions;
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
        let is_due = now.since(self.last) >= self.config.interval || (everything && self.changed);
        if !is_due {
            return batches;
        }
        self.changed = false;
        // No point is older than its series, whose spans may have come after this time was taken.
        let unix_nanos =
            unix_nanos.max(self.last_unix_nanos.saturating_add(1)).max(self.seen_unix_nanos);
        self.groups.export(&mut batches, self.last_unix_nanos, unix_nanos);
        self.groups.expire(now, self.config.series_expiry);
        self.tally.series = self.groups.series() as u64;
        (self.last, self.last_unix_nanos) = (now, unix_nanos);
        batches
    }

    /// Takes other prices for the calls to come.
    pub fn replace_prices(&mut self, prices: PriceTable) {
        self.groups.replace_prices(prices);
    }

    /// Takes back what could not be emitted; it is given again by the next [`Aggregator::take`].
    pub fn put_back(&mut self, batch: Emission) {
        self.put_back.push(batch);
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
        let ours = telemetry.is_past(self.config.position);
        let resource = telemetry.resource;
        let group = self.groups.known(tag, resource.unwrap_or_default());
        MetadataRun { group, ours, further: of_resource(dimensions, resource) }
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
        let mut call = None;
        if visitor.fields.is_operation() {
            if metadata_run.group.is_none() {
                let resource = item.telemetry.and_then(|telemetry| telemetry.resource);
                metadata_run.group = self.groups.find_or_add(tag, resource.unwrap_or_default());
            }
            if let Some(group) = metadata_run.group {
                call = self.measure((group, ids), metadata_run, item, visitor, at);
            }
        }
        let Some((trace, span)) = ids else {
            // Without ids nothing says that another span tells of the call.
            let count = call.into_iter().map(|(_, tokens)| tokens).collect();
            self.apply(&CallChanges { count, ..CallChanges::default() });
            return;
        };
        let parent = item.span.parent_span_id();
        let call =
            call.map(|(response, what)| (response, answered(response, what, (trace, span), item)));
        let within = self.calls.observe(SeenSpan { trace, span, parent, call }, at.0);
        let changes = self.answers.settle(&within, at.0);
        self.apply(&changes);
    }

    /// Counts an operation and its duration, and finds the series of its tokens.
    fn measure<'a>(
        &mut self,
        (group, ids): (usize, Option<(TraceId, SpanId)>),
        metadata_run: &MetadataRun<'a>,
        item: &Item<'a>,
        visitor: &mut SpanFieldVisitor<'_, 'a>,
        at: (Tick, u64),
    ) -> Option<(u64, TokenCounts)> {
        for (value, resource) in visitor.further.iter_mut().zip(&metadata_run.further) {
            if value.is_empty() {
                *value = resource;
            }
        }
        let weight = match item.span.trace_state() {
            [] => 1.0,
            state => (self.config.weight)(state),
        };
        let (fields, further, span) = (&visitor.fields, &visitor.further[..], &item.span);
        let measured = MeasuredSpan { fields, further, span, ids, weight };
        self.tally.measured += 1;
        let counted = self.groups.operation(group, &measured, at)?;
        self.tally.overflow += u64::from(counted.is_overflow);
        self.tally.series = self.groups.series() as u64;
        self.tally.evicted = self.groups.evicted();
        let tokens = visitor.fields.tokens()?;
        let tokens = self.groups.tokens(counted, &measured, tokens, at)?;
        let response = text_of(visitor.fields.response_id).filter(|id| !id.is_empty());
        let response = response.map_or(0, |id| xxhash_rust::xxh3::xxh3_64(id.as_bytes()).max(1));
        Some((response, tokens))
    }

    fn apply(&mut self, changes: &CallChanges<TokenCounts>) {
        self.tally.duplicate_calls += u64::from(changes.duplicate);
        if changes.count.is_empty() && changes.take_back.is_empty() {
            return;
        }
        for tokens in &changes.take_back {
            self.groups.take_back(tokens);
            self.tally.duplicate_calls += 1;
            self.totals.input -= tokens.input.unwrap_or(0.0) * tokens.weight;
            self.totals.output -= tokens.output.unwrap_or(0.0) * tokens.weight;
            self.totals.cost.add(tokens.cost, tokens.weight, -1);
        }
        for tokens in &changes.count {
            self.groups.count(tokens);
            self.totals.input += tokens.input.unwrap_or(0.0) * tokens.weight;
            self.totals.output += tokens.output.unwrap_or(0.0) * tokens.weight;
            self.totals.cost.add(tokens.cost, tokens.weight, 1);
        }
        self.tally.series = self.groups.series() as u64;
        self.tally.input_tokens = self.tally.input_tokens.max(whole(self.totals.input));
        self.tally.output_tokens = self.tally.output_tokens.max(whole(self.totals.output));
        self.totals.cost.show(&mut self.tally.cost);
    }
}

/// The call that a span tells of, by what it was answered.
fn answered(
    response: u64,
    what: TokenCounts,
    ids: (TraceId, SpanId),
    item: &Item<'_>,
) -> AnsweredCall<TokenCounts> {
    let bits = |tokens: Option<f64>| tokens.map_or(u64::MAX, f64::to_bits).to_le_bytes();
    let tokens = [response.to_le_bytes(), bits(what.input), bits(what.output)];
    let answer = match response {
        0 => 0,
        _ => xxhash_rust::xxh3::xxh3_64(tokens.as_flattened()).max(1),
    };
    let (from, to) = (item.span.start_unix_nanos(), item.span.end_unix_nanos());
    AnsweredCall { answer, ids, from, to, what }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod traffic_tests;
