//! Pipeline: one chunk through all that `ai_context` does.

use std::sync::Arc;

use super::body_metadata;
use super::correlate::{self, LogChange};
use super::dialects::DialectCounts;
use super::failure::{FailedEvent, FailureReason, OnFailure};
use super::findings::{self, FindingSet};
use super::mask::Masker;
use super::normalize::Normalizer;
use super::patch::{ByteRange, Patch, RecordHead, find, head};
use super::redact::{Detector, FindingSource, KeyRules, Pattern, Redactor, Replacement};
use super::span::{MetricRenamer, normalize_span, span_shape};
use crate::codec::msgpack::{self, ReadError, Reader};
use crate::codec::records::layout::{VERSION, keys};
use crate::codec::records::{Event, EventKind, EventTime, Events, raw_values_hold_content};
use crate::model::{Position, Signal};
use crate::resource::{EditorSettings, ResourceAttributes, ResourceEditor, ResourceTally};

/// What to do.
#[derive(Debug, Clone)]
pub struct ContextSettings {
    /// Whether dialects become the current conventions.
    pub normalize: bool,
    /// Whether the dialects' own attributes stay beside the current ones.
    pub keep_originals: bool,
    /// Whether logs get their place in the trace.
    pub correlate: bool,
    /// What is searched for and replaced, beside the patterns.
    pub redact: Vec<Detector>,
    /// Own patterns that are searched for and replaced; the first [`Pattern::MAX`] are counted.
    pub patterns: Vec<Pattern>,
    /// Keys whose values go or stay, whatever they are.
    pub keys: KeyRules,
    /// Whether attributes of resources and scopes are searched too.
    pub search_resource: bool,
    /// What it is replaced by.
    pub replacement: Replacement,
    /// Whether items say in [`super::FINDINGS`] what was found in them.
    pub mark_findings: bool,
    /// What becomes of what cannot be searched.
    pub on_failure: OnFailure,
    /// Whether bodies get a copy of what the metadata says of OTLP.
    pub copy_metadata: bool,
    /// The key of bodies that hold a whole record, which is taken out before all else.
    pub record_key: Option<String>,
    /// What is added to resources, if that is wanted.
    pub identify: Option<EditorSettings>,
    /// This filter's run and place: records emitted there or later are left alone.
    pub position: Position,
}

/// What was done to a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContextTally {
    /// Spans that were changed, by the dialect that they spoke.
    pub normalized: DialectCounts,
    /// Logs that got a trace.
    pub correlated: u64,
    /// Places that were replaced, by [`Detector::index`].
    pub redactions: [u64; Detector::ALL.len()],
    /// Places that were replaced, by the number of the pattern that found them.
    pub patterns: [u64; Pattern::MAX],
    /// What was done to resources.
    pub resources: ResourceTally,
    /// Values that went for their key.
    pub keys: u64,
    /// What could not be searched for what is to be redacted, by [`FailureReason::index`].
    pub failures: [u64; FailureReason::ALL.len()],
    /// What could not be read: events that are none or have a newer layout, and a broken end of the
    /// chunk. Where nothing is redacted it goes on as it is.
    pub malformed: u64,
}

impl ContextTally {
    fn count(&mut self, finder: FindingSource) {
        let count = match finder {
            FindingSource::Detector(detector) => self.redactions.get_mut(detector.index()),
            FindingSource::Pattern(index) => self.patterns.get_mut(index),
            FindingSource::Key => Some(&mut self.keys),
        };
        if let Some(count) = count {
            *count = count.saturating_add(1);
        }
    }
}

/// What a record's metadata says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Label {
    signal: Option<Signal>,
    /// Whether we emitted it at or after our own place.
    ours: bool,
    /// Whether its layout is newer than ours.
    newer: bool,
    /// Whether there are values beside it that may be content and cannot be searched.
    hides: bool,
}

/// What becomes of an event in its chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It stays.
    Keep,
    /// What is in `changed` takes its place.
    Replace,
    /// It goes.
    Remove,
}

impl Step {
    const fn replaced(replaced: bool) -> Self {
        if replaced { Self::Replace } else { Self::Keep }
    }
}

/// Does what the settings say to one chunk after the other.
pub struct ContextProcessor {
    settings: ContextSettings,
    normalizer: Option<Normalizer>,
    redactor: Option<Redactor>,
    editor: Option<ResourceEditor>,
    metrics: MetricRenamer,
    /// The metadata of the last span or metric, which mostly is that of the next one too.
    known: Vec<u8>,
    known_label: Label,
    /// The mark of the group that the next record stands in, where metadata is copied.
    marker: Vec<u8>,
    patch: Patch,
    changed: Vec<u8>,
    masked: Vec<u8>,
    quarantined: Vec<FailedEvent>,
}

impl ContextProcessor {
    /// A processor.
    #[must_use]
    pub fn new(mut settings: ContextSettings) -> Self {
        let normalizer = settings.normalize.then(|| Normalizer::new(settings.keep_originals));
        let patterns = std::mem::take(&mut settings.patterns);
        let replacement = std::mem::replace(&mut settings.replacement, Replacement::Mask);
        let keys = std::mem::take(&mut settings.keys);
        let redactor = (!settings.redact.is_empty() || !patterns.is_empty() || keys.deny_any())
            .then(|| Redactor::new(&settings.redact, patterns, replacement).with_keys(keys));
        Self {
            editor: settings.identify.take().map(ResourceEditor::new),
            settings,
            normalizer,
            redactor,
            metrics: MetricRenamer::new(),
            known: Vec::new(),
            known_label: Label { signal: None, ours: false, newer: false, hides: false },
            marker: Vec::new(),
            patch: Patch::default(),
            changed: Vec::new(),
            masked: Vec::new(),
            quarantined: Vec::new(),
        }
    }

    /// What of the chunks so far is to be kept elsewhere, for [`OnFailure::Quarantine`].
    pub fn take_quarantined(&mut self) -> Vec<FailedEvent> {
        std::mem::take(&mut self.quarantined)
    }

    /// The chunk as it is to go on, or `None` if it goes on as it is. What is no event is kept as
    /// it is where nothing is redacted.
    #[must_use]
    pub fn process(&mut self, chunk: &[u8], tally: &mut ContextTally) -> Option<Vec<u8>> {
        let key = self.settings.record_key.as_ref();
        let unpacked = key.and_then(|key| body_metadata::unpack(chunk, key));
        let source = unpacked.as_deref().unwrap_or(chunk);
        let edit = |editor: &mut ResourceEditor| editor.process(source, &mut tally.resources);
        let edited = self.editor.as_mut().and_then(edit);
        let source = edited.as_deref().unwrap_or(source);
        self.process_all(source, tally).or(edited).or(unpacked)
    }

    /// Adds these attributes to resources from now on, if any are added at all.
    pub fn identify(&mut self, attributes: Arc<ResourceAttributes>) {
        if let Some(editor) = &mut self.editor {
            editor.replace(attributes);
        }
    }

    fn process_all(&mut self, chunk: &[u8], tally: &mut ContextTally) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut changed = false;
        let mut copied = 0;
        let mut position = 0;
        self.marker.clear();
        while let Some(rest) = chunk.get(position..).filter(|rest| !rest.is_empty()) {
            let (length, step) = match self.event(rest, tally) {
                Ok(step) => step,
                Err(_) => {
                    tally.malformed = tally.malformed.saturating_add(1);
                    let length = Reader::new(rest).skip().map_or(rest.len(), <[u8]>::len);
                    let raw = rest.get(..length).unwrap_or_default();
                    (length, self.fail(FailureReason::Unreadable, raw, tally))
                }
            };
            if step != Step::Keep {
                if !changed {
                    out.reserve(chunk.len().saturating_add(chunk.len() / 4));
                }
                changed = true;
                out.extend_from_slice(chunk.get(copied..position).unwrap_or_default());
                if step == Step::Replace {
                    out.extend_from_slice(&self.changed);
                }
                copied = position.saturating_add(length);
            }
            position = position.saturating_add(length);
        }
        changed.then(|| {
            out.extend_from_slice(chunk.get(copied..).unwrap_or_default());
            out
        })
    }

    /// What becomes of an event that cannot be searched.
    #[cold]
    fn fail(&mut self, reason: FailureReason, event: &[u8], tally: &mut ContextTally) -> Step {
        if self.redactor.is_none() {
            return Step::Keep;
        }
        if let Some(count) = tally.failures.get_mut(reason.index()) {
            *count = count.saturating_add(1);
        }
        match self.settings.on_failure {
            OnFailure::Pass => return Step::Keep,
            OnFailure::Drop => {}
            OnFailure::Quarantine => {
                self.quarantined.push(FailedEvent { reason, event: event.to_vec() });
            }
        }
        Step::Remove
    }

    /// Handles the event that `rest` starts with: its length, and what becomes of it.
    fn event(&mut self, rest: &[u8], tally: &mut ContextTally) -> Result<(usize, Step), ReadError> {
        let mut head = head(rest, &self.known)?;
        let label = self.label(head.metadata.map_or(&[], |metadata| metadata.of(rest)));
        let start = head.cursor.position();
        self.patch.clear();
        if head.marker {
            // Some hosts write group markers that need mending; the reader of events knows how.
            let marker = Events::new(rest).next().ok_or(ReadError::Truncated)??;
            let step = self.search_marker(&marker, tally);
            if self.settings.copy_metadata {
                self.marker.clear();
                let now = if step == Step::Replace { &self.changed } else { marker.raw };
                self.marker.extend_from_slice(now);
            }
            return Ok((marker.raw.len(), step));
        }
        if label.ours || label.newer || label.signal == Some(Signal::Profiles) {
            head.cursor.skip()?;
            let length = head.cursor.position();
            tally.malformed = tally.malformed.saturating_add(u64::from(label.newer));
            if label.newer && !label.ours {
                let raw = rest.get(..length).unwrap_or_default();
                return Ok((length, self.fail(FailureReason::NewerLayout, raw, tally)));
            }
            return Ok((length, Step::Keep));
        }
        let mut shape = None;
        if label.signal == Some(Signal::Traces) {
            shape = Some(span_shape(&mut head.cursor, self.normalizer.as_ref())?);
        } else {
            head.cursor.skip()?;
        }
        let length = head.cursor.position();
        let record = rest.get(..length).unwrap_or_default();
        let body = ByteRange { start, end: length };
        match (label.signal, shape, &mut self.normalizer) {
            (Some(Signal::Traces), Some(shape), Some(normalizer)) => {
                if let Some(spoken) = normalize_span(record, shape, normalizer, &mut self.patch) {
                    tally.normalized.count(spoken);
                }
            }
            (Some(Signal::Traces), ..) => {}
            (Some(Signal::Metrics), _, normalizer) => {
                if normalizer.is_some() {
                    self.metrics.rename(record, body, &mut self.patch);
                }
            }
            _ => self.log(record, &head, body, tally),
        }
        let step = self.finish(record, label, &head, body, tally);
        Ok((length, if step == Step::Remove { step } else { self.carry(record, step) }))
    }

    /// Redacts the resource and scope of a group of logs, if that is asked for.
    fn search_marker(&mut self, marker: &Event<'_>, tally: &mut ContextTally) -> Step {
        let Some(redactor) = self.redactor.as_ref().filter(|_| self.settings.search_resource)
        else {
            return Step::Keep;
        };
        let (record, end) = (marker.raw, marker.raw.len());
        let body = ByteRange { start: end.saturating_sub(marker.body.len()), end };
        let count = |finder: FindingSource| tally.count(finder);
        Masker { redactor, patch: &mut self.patch, count, body_key: 0 }.origin(record, body);
        if self.patch.is_empty() {
            return Step::Keep;
        }
        self.changed.clear();
        self.patch.apply(record, &mut self.changed);
        Step::Replace
    }

    fn label(&mut self, metadata: &[u8]) -> Label {
        if !self.known.is_empty() && metadata == self.known {
            return self.known_label;
        }
        let event = Event {
            raw: &[],
            kind: EventKind::Record,
            time: EventTime::default(),
            metadata,
            body: &[],
            group: None,
        };
        let telemetry = event.telemetry().unwrap_or_default();
        let ours = telemetry.is_past(self.settings.position);
        let newer = telemetry.version.is_some_and(|version| version > VERSION);
        let hides = self.redactor.is_some()
            && !telemetry.raw_values.is_empty()
            && raw_values_hold_content(telemetry.raw_values);
        let label = Label { signal: telemetry.signal, ours, newer, hides };
        if matches!(label.signal, Some(Signal::Traces | Signal::Metrics)) {
            self.known.clear();
            self.known.extend_from_slice(metadata);
            self.known_label = label;
        }
        label
    }

    fn log(
        &mut self,
        record: &[u8],
        head: &RecordHead<'_>,
        body: ByteRange,
        tally: &mut ContextTally,
    ) {
        let mut change = LogChange::default();
        let mut attributes = Vec::new();
        if self.settings.correlate {
            (change.context, change.severity) = correlate::context(record, body, head.metadata);
        }
        let otlp = head.metadata.and_then(|metadata| find(record, metadata, keys::OTLP));
        if let (Some(normalizer), Some(otlp)) = (&mut self.normalizer, otlp) {
            change.event_name = correlate::event_name(record, otlp);
            if let Some(given) = find(record, otlp, b"attributes") {
                let given = given.of(record);
                let detection = normalizer.detect_all(given);
                if detection.calls_for_work()
                    && normalizer.rewrite(given, detection, None, &mut attributes).is_some()
                {
                    change.attributes = Some(&attributes);
                }
            }
        }
        if change.context.is_some() {
            tally.correlated = tally.correlated.saturating_add(1);
        }
        if !change.is_empty() {
            correlate::write(record, head, &change, &mut self.patch);
        }
    }

    /// Copies the metadata into the body, if that is asked for.
    fn carry(&mut self, record: &[u8], step: Step) -> Step {
        if !self.settings.copy_metadata {
            return step;
        }
        let source = if step == Step::Replace { &self.changed } else { record };
        self.masked.clear();
        let copied = body_metadata::copy(source, &self.known, &self.marker, &mut self.masked);
        if copied {
            std::mem::swap(&mut self.changed, &mut self.masked);
        }
        if copied { Step::Replace } else { step }
    }

    /// Lists in the record what was found in it.
    fn mark(&mut self, signal: Option<Signal>, found: &FindingSet) {
        let Some(redactor) = &self.redactor else { return };
        let names: Vec<&str> = found.finders().map(|finder| redactor.name(finder)).collect();
        self.patch.clear();
        findings::mark(&self.changed, signal, &self.known, &names, &mut self.patch);
        self.masked.clear();
        self.patch.apply(&self.changed, &mut self.masked);
        std::mem::swap(&mut self.changed, &mut self.masked);
    }

    /// Writes the record with what was noted and, if that is asked for, redacted.
    fn finish(
        &mut self,
        record: &[u8],
        label: Label,
        read: &RecordHead<'_>,
        body: ByteRange,
        tally: &mut ContextTally,
    ) -> Step {
        if label.hides {
            let step = self.fail(FailureReason::HiddenValues, record, tally);
            if self.settings.on_failure == OnFailure::Quarantine {
                return step;
            }
        }
        let mut replaced = !self.patch.is_empty();
        if replaced {
            self.changed.clear();
            self.patch.apply(record, &mut self.changed);
        }
        let Some(redactor) = &self.redactor else { return Step::replaced(replaced) };
        let (mut source, mut metadata, mut body) = (record, read.metadata, body);
        if replaced {
            let Ok(again) = head(&self.changed, &self.known) else {
                return self.fail(FailureReason::Unreadable, record, tally);
            };
            source = &self.changed;
            metadata = again.metadata;
            body = ByteRange { start: again.cursor.position(), end: source.len() };
        }
        self.patch.clear();
        let mut found = FindingSet::default();
        let count = |finder: FindingSource| {
            found.note(finder);
            tally.count(finder);
        };
        let mut masker = Masker { redactor, patch: &mut self.patch, count, body_key: 0 };
        masker.record(source, label.signal, metadata, body);
        if self.settings.search_resource
            && let Some(otlp) = metadata.and_then(|metadata| find(source, metadata, keys::OTLP))
        {
            masker.origin(source, otlp);
        }
        let finds = !self.patch.is_empty();
        if label.hides && self.settings.on_failure == OnFailure::Drop {
            empty_raw_values(source, metadata, &mut self.patch);
        }
        if !self.patch.is_empty() {
            self.masked.clear();
            self.patch.apply(source, &mut self.masked);
            std::mem::swap(&mut self.changed, &mut self.masked);
            replaced = true;
            if finds && self.settings.mark_findings {
                self.mark(label.signal, &found);
            }
        }
        Step::replaced(replaced)
    }
}

/// Empties what stands beside a record. Its places in the record are nil or less than they were.
#[cold]
fn empty_raw_values(record: &[u8], metadata: Option<ByteRange>, patch: &mut Patch) {
    let otlp = metadata.and_then(|metadata| find(record, metadata, keys::OTLP));
    let values = otlp.and_then(|otlp| find(record, otlp, keys::RAW_VALUES));
    if let Some(values) = values {
        patch.replace(values, |out| {
            msgpack::bin(out, &[]);
            Some(())
        });
    }
}
