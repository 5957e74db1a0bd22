//! Report: what was found, as points of a metric, log events, lines of the log and hints to the sampler.

use super::config::{Check, CheckMode, FindingsConfig};
use super::counts::FindingCounts;
use super::finding::{Finding, SIGNAL, TYPE};
use crate::codec::msgpack;
use crate::codec::records::edit::{Pairs, write_position};
use crate::codec::records::layout::{VERSION, keys};
use crate::codec::records::{EventTime, event_head};
use crate::model::{Emission, Position, SCOPE_NAME, Signal, TraceId};

/// Findings that wait at most, of each form.
const MAX_WAITING: usize = 1000;
/// `SEVERITY_NUMBER_WARN` of OTLP.
const SEVERITY_WARN: u64 = 13;
const EVENT_NAME: &str = "fluentbit.ai.finding";
/// What has happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FindingsTally {
    /// Findings, in the order of [`Check::ALL`].
    pub found: [u64; Check::ALL.len()],
    /// Log events and lines for which there was no room.
    pub untold: u64,
    /// Calls of services, models or libraries that there was no room to learn of.
    pub unwatched: u64,
    /// Services and models that are learned of.
    pub keys: u64,
    /// Keys of budgets that went to make room.
    pub evicted_keys: u64,
    /// Calls that budgets could not count: without all attributes, too old, or whose keys went to make room.
    pub uncounted: [u64; 3],
}

/// Why a call was not counted by a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uncounted {
    /// It has not all attributes that the budget is of.
    NoKey,
    /// It ended before the period.
    TooOld,
    /// Its keys went to make room.
    Forgotten,
}

/// Findings that are kept to be looked at, at most.
const KEPT: usize = 20;

/// A finding that was told before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFinding {
    /// When, in Unix nanoseconds.
    pub unix_nanos: u64,
    /// What it is, by the name that its event has in `fluentbit.ai.finding.type`.
    pub name: &'static str,
    /// A sentence.
    pub says: String,
    /// Whose it is: attributes with their values.
    pub subject: Vec<String>,
}

/// What was found and waits to be told.
#[derive(Debug)]
pub(super) struct Report {
    modes: [CheckMode; Check::ALL.len()],
    position: Position,
    fixed_tag: bool,
    tag: Vec<u8>,
    counts: FindingCounts,
    events: Vec<Emission>,
    waiting: usize,
    lines: Vec<String>,
    hints: Vec<TraceId>,
    tally: FindingsTally,
    /// The last ones, where they are asked for.
    kept: Option<Vec<KeptFinding>>,
}

impl Report {
    pub(super) fn new(config: &FindingsConfig, unix_nanos: u64) -> Self {
        Self {
            modes: config.modes,
            position: config.position,
            fixed_tag: config.tag.is_some(),
            tag: config.tag.clone().unwrap_or_default(),
            counts: FindingCounts::new(config.temporality, config.position, unix_nanos),
            events: Vec::new(),
            waiting: 0,
            lines: Vec::new(),
            hints: Vec::new(),
            tally: FindingsTally::default(),
            kept: None,
        }
    }

    pub(super) fn set_tag(&mut self, tag: &[u8]) {
        if !self.fixed_tag && self.tag != tag {
            self.tag = tag.to_vec();
        }
    }

    pub(super) fn tag(&self) -> &[u8] {
        &self.tag
    }

    pub(super) const fn note_unwatched(&mut self) {
        self.tally.unwatched = self.tally.unwatched.saturating_add(1);
    }

    pub(super) const fn note_evicted(&mut self, keys: u64) {
        self.tally.evicted_keys = self.tally.evicted_keys.saturating_add(keys);
    }

    pub(super) fn note_uncounted(&mut self, why: Uncounted, calls: u64) {
        if let Some(count) = self.tally.uncounted.get_mut(why as usize) {
            *count = count.saturating_add(calls);
        }
    }

    /// Tells of a finding by how its check is set.
    pub(super) fn add(&mut self, finding: &Finding<'_>) {
        let mode = self.modes.get(finding.check as usize).copied().unwrap_or_default();
        if let Some(found) = self.tally.found.get_mut(finding.check as usize) {
            *found = found.saturating_add(1);
        }
        self.counts.add(finding);
        if let Some(kept) = &mut self.kept {
            keep(kept, finding);
        }
        let has_room = self.lines.len().max(self.waiting) < MAX_WAITING;
        match mode {
            _ if !has_room => self.tally.untold = self.tally.untold.saturating_add(1),
            CheckMode::Off => {}
            CheckMode::Warn => self.lines.push(line(finding)),
            CheckMode::On => self.event(finding),
        }
    }

    fn event(&mut self, finding: &Finding<'_>) {
        let is_same = |emission: &&mut Emission| emission.tag == self.tag;
        let emission = match self.events.last_mut().filter(is_same) {
            Some(emission) => emission,
            None => {
                let tag = self.tag.clone();
                self.events.push(Emission { tag, records: 0, events: Vec::new() });
                let Some(last) = self.events.last_mut() else { return };
                last
            }
        };
        write(finding, self.position, &mut emission.events);
        emission.records += 1;
        self.waiting += 1;
        if let Some((trace, _)) = finding.span
            && self.hints.len() < MAX_WAITING
        {
            self.hints.push(trace);
        }
    }

    pub(super) fn take_events(&mut self) -> Vec<Emission> {
        self.waiting = 0;
        std::mem::take(&mut self.events)
    }

    pub(super) fn put_back(&mut self, emission: Emission) {
        self.waiting = self.waiting.saturating_add(emission.records);
        self.events.insert(0, emission);
    }

    pub(super) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    pub(super) fn take_hints(&mut self) -> Vec<TraceId> {
        std::mem::take(&mut self.hints)
    }

    pub(super) fn export(&mut self, out: &mut Vec<u8>, unix_nanos: u64) -> usize {
        self.counts.export(out, unix_nanos)
    }

    pub(super) fn export_page(&self, out: &mut Vec<u8>, unix_nanos: u64) -> usize {
        self.counts.export_page(out, unix_nanos)
    }

    pub(super) fn keep(&mut self) {
        self.kept.get_or_insert_default();
    }

    pub(super) fn kept(&self) -> &[KeptFinding] {
        self.kept.as_deref().unwrap_or_default()
    }

    pub(super) const fn tally(&self) -> FindingsTally {
        self.tally
    }
}

#[cold]
fn keep(kept: &mut Vec<KeptFinding>, finding: &Finding<'_>) {
    if kept.len() >= KEPT {
        kept.remove(0);
    }
    kept.push(KeptFinding {
        unix_nanos: finding.unix_nanos,
        name: finding.kind.name(),
        says: finding.says.clone(),
        subject: finding.subject.pairs().map(|(key, text)| format!("{key} {text}")).collect(),
    });
}

/// A line for the log.
fn line(finding: &Finding<'_>) -> String {
    let mut line = format!("finding {}: {}", finding.kind.name(), finding.says);
    for (key, text) in finding.subject.pairs() {
        line.push_str("; ");
        line.push_str(key);
        line.push(' ');
        line.push_str(text);
    }
    line
}

/// The attributes of the event.
fn attributes(finding: &Finding<'_>) -> Pairs {
    let mut pairs = Pairs::new();
    pairs.text(TYPE, finding.kind.name());
    let signal = [(SIGNAL, finding.signal)];
    // The service is in the resource.
    let subject = finding.subject.pairs().filter(|(key, _)| *key != "service.name");
    let known: Vec<&str> = finding.subject.pairs().map(|(key, _)| key).collect();
    let texts = finding.texts.iter().copied().filter(|(key, _)| !known.contains(key));
    for (key, text) in signal.into_iter().chain(subject).chain(texts) {
        if !text.is_empty() {
            pairs.text(key, text);
        }
    }
    for (key, number) in finding.numbers.iter().filter(|(_, number)| number.is_finite()) {
        msgpack::f64(pairs.key(key), *number);
    }
    pairs
}

/// Appends the log event of a finding: docs/RECORD.md, "Logs".
fn write(finding: &Finding<'_>, position: Position, out: &mut Vec<u8>) {
    let mut otlp = Pairs::new();
    msgpack::uint(otlp.key(keys::VERSION), VERSION);
    otlp.text(keys::SIGNAL, Signal::Logs.item());
    if let Some(service) = finding.subject.service() {
        let (mut resource, mut of_resource) = (Pairs::new(), Pairs::new());
        of_resource.text("service.name", service);
        of_resource.write_map(resource.key(keys::ATTRIBUTES));
        resource.write_map(otlp.key(keys::RESOURCE));
    }
    let mut scope = Pairs::new();
    scope.text(keys::NAME, SCOPE_NAME);
    scope.text("version", env!("CARGO_PKG_VERSION"));
    scope.write_map(otlp.key(keys::SCOPE));
    write_position(position, &mut otlp);
    msgpack::uint(otlp.key("timestamp"), finding.unix_nanos);
    msgpack::uint(otlp.key(keys::SEVERITY_NUMBER), SEVERITY_WARN);
    otlp.text(keys::SEVERITY_TEXT, "WARN");
    attributes(finding).write_map(otlp.key(keys::ATTRIBUTES));
    if let Some((trace, span)) = finding.span {
        msgpack::bin(otlp.key(keys::TRACE_ID), &trace.0);
        msgpack::bin(otlp.key(keys::SPAN_ID), &span.0);
    }
    msgpack::uint(otlp.key(keys::TRACE_FLAGS), 0);
    otlp.text(keys::EVENT_NAME, EVENT_NAME);
    event_head(out, EventTime::from_unix_nanos(finding.unix_nanos));
    msgpack::map_header(out, 1);
    msgpack::str_bytes(out, keys::OTLP);
    otlp.write_map(out);
    let mut body = Pairs::new();
    body.text("log", &finding.says);
    body.write_map(out);
}
