//! Pipeline: one chunk through all that `ai_context` does.

use std::sync::Arc;

use super::body_metadata;
use super::correlate::{self, LogChange};
use super::dialects::DialectCounts;
use super::dialects::added::AddedDialects;
use super::failure::{FailedEvent, FailureReason, OnFailure};
use super::findings::{self, FindingSet};
use super::json_value::Arena;
use super::mask::{Masker, values};
use super::normalize::{Conventions, EventValues, Normalizer, SeenAttributes};
use super::redact::{Detector, FindingSource, KeyRules, Pattern, Redactor, Replacement};
use super::span::{DetectionVisitor, MetricRenamer, is_outdated, normalize_span, set_schema_url};
use crate::codec::msgpack;
use crate::codec::records::layout::{VERSION, keys};
use crate::codec::records::{
    ChunkRewriter, Event, Events, Item, ItemReader, ItemStep, LogView, Patch,
    raw_values_hold_content,
};
use crate::correlation::{BaggageKeys, BaggageReader, BaggageTally};
use crate::model::{Position, Signal};
use crate::resource::{EditorSettings, ResourceAttributes, ResourceEditor, ResourceTally};

/// What to do.
#[derive(Debug, Clone)]
pub struct ContextSettings {
    /// Whether dialects become the current conventions.
    pub normalize: bool,
    /// The dialects beside the built-in ones.
    pub dialects: AddedDialects,
    /// Whether the dialects' own attributes stay beside the current ones.
    pub keep_originals: bool,
    /// The release of the conventions whose names they get.
    pub conventions: Conventions,
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
    /// The keys of baggage that become attributes, if any.
    pub baggage: Option<BaggageKeys>,
    /// This filter's run and place: records emitted there or later are left alone.
    pub position: Position,
}

/// What was done to a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContextTally {
    /// Spans that were changed, by the dialect that they spoke.
    pub normalized: DialectCounts,
    /// Logs whose attributes were changed, by the dialect that they spoke.
    pub normalized_logs: DialectCounts,
    /// Logs that got a trace.
    pub correlated: u64,
    /// What was put on items from baggage.
    pub baggage: BaggageTally,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Label {
    /// Whether we emitted it at or after our own place.
    ours: bool,
    /// Whether its layout is newer than ours.
    newer: bool,
    /// Whether there are values beside it that may be content and cannot be searched.
    hides: bool,
    /// Whether its scope has the schema URL of an older release.
    outdated: bool,
}

/// What becomes of an event in its chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordAction {
    /// It stays.
    Keep,
    /// It stays with what was noted.
    Patch,
    /// What is in `changed` takes its place.
    Replace,
    /// It goes.
    Remove,
}

impl RecordAction {
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
    baggage: Option<BaggageReader>,
    metrics: MetricRenamer,
    /// Where JSON of a span's events is read.
    arena: Arena,
    patch: Patch,
    changed: Vec<u8>,
    masked: Vec<u8>,
    /// The start of the group, where it was redacted.
    marker: Vec<u8>,
    quarantined: Vec<FailedEvent>,
}

impl ContextProcessor {
    /// A processor.
    #[must_use]
    pub fn new(mut settings: ContextSettings) -> Self {
        let normalizer = settings.normalize.then(|| {
            let ContextSettings { dialects, keep_originals, conventions, .. } = settings;
            Normalizer::with(dialects, keep_originals, conventions)
        });
        let patterns = std::mem::take(&mut settings.patterns);
        let replacement = std::mem::replace(&mut settings.replacement, Replacement::Mask);
        let keys = std::mem::take(&mut settings.keys);
        let redactor = (!settings.redact.is_empty() || !patterns.is_empty() || keys.deny_any())
            .then(|| Redactor::new(&settings.redact, patterns, replacement).with_keys(keys));
        Self {
            editor: settings.identify.take().map(ResourceEditor::new),
            baggage: settings
                .baggage
                .take()
                .map(|keys| BaggageReader::new(keys, settings.position)),
            settings,
            normalizer,
            redactor,
            metrics: MetricRenamer::new(),
            arena: Arena::default(),
            patch: Patch::default(),
            changed: Vec::new(),
            masked: Vec::new(),
            marker: Vec::new(),
            quarantined: Vec::new(),
        }
    }

    /// What of the chunks so far is to be kept elsewhere, for [`OnFailure::Quarantine`].
    pub fn take_quarantined(&mut self) -> Vec<FailedEvent> {
        std::mem::take(&mut self.quarantined)
    }

    /// Tells names under the beginnings of dialects that no rule knows, with an index that the name keeps and the
    /// number of attributes of the chunks since the last call; at most some hundred names.
    pub fn take_unknown_names(&mut self, tell: impl FnMut(usize, &str, u64)) {
        if let Some(normalizer) = &mut self.normalizer {
            normalizer.take_unknown(tell);
        }
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
        // What comes from baggage is searched for what is to be redacted.
        let read = |reader: &mut BaggageReader| reader.process(source, &mut tally.baggage);
        let enriched = self.baggage.as_mut().and_then(read);
        let source = enriched.as_deref().unwrap_or(source);
        self.process_all(source, tally).or(enriched).or(edited).or(unpacked)
    }

    /// Adds these attributes to resources from now on, if any are added at all.
    pub fn identify(&mut self, attributes: Arc<ResourceAttributes>) {
        if let Some(editor) = &mut self.editor {
            editor.replace(attributes);
        }
    }

    fn process_all(&mut self, chunk: &[u8], tally: &mut ContextTally) -> Option<Vec<u8>> {
        let expected = chunk.len().saturating_add(chunk.len() / 4);
        let mut rewriter = ChunkRewriter::with_capacity(chunk, expected);
        let mut items = ItemReader::new(chunk);
        let mut known = Label::default();
        let mut seen = SeenAttributes::with_room();
        self.marker.clear();
        loop {
            seen.clear();
            let normalizer = self.normalizer.as_ref();
            let mut visitor = DetectionVisitor { normalizer, seen: &mut seen };
            // It is large, so that it stays where it was made.
            let step = items.step(&mut visitor);
            let Some(step) = &step else { return rewriter.finish() };
            let action = match step {
                ItemStep::Item(item) => {
                    let label = if item.new_metadata { self.label(item) } else { known };
                    // Logs are not compared: a span after one may still have known metadata.
                    if matches!(item.signal(), Signal::Traces | Signal::Metrics) {
                        known = label;
                    }
                    self.item(item, label, &mut seen, tally)
                }
                ItemStep::Marker(marker) => self.marker(marker, tally),
                ItemStep::Malformed(raw) => {
                    tally.malformed = tally.malformed.saturating_add(1);
                    self.fail(FailureReason::Unreadable, raw, tally)
                }
            };
            match action {
                RecordAction::Keep => rewriter.keep(step.raw()),
                RecordAction::Patch => self.patch.apply(step.raw(), rewriter.replace(step.raw())),
                RecordAction::Replace => {
                    rewriter.replace(step.raw()).extend_from_slice(&self.changed)
                }
                RecordAction::Remove => {
                    rewriter.replace(step.raw());
                }
            }
        }
    }

    /// What becomes of what cannot be searched.
    #[cold]
    fn fail(
        &mut self,
        reason: FailureReason,
        event: &[u8],
        tally: &mut ContextTally,
    ) -> RecordAction {
        if self.redactor.is_none() {
            return RecordAction::Keep;
        }
        if let Some(count) = tally.failures.get_mut(reason.index()) {
            *count = count.saturating_add(1);
        }
        match self.settings.on_failure {
            OnFailure::Pass => return RecordAction::Keep,
            OnFailure::Drop => {}
            OnFailure::Quarantine => {
                self.quarantined.push(FailedEvent { reason, event: event.to_vec() });
            }
        }
        RecordAction::Remove
    }

    /// Handles one item.
    fn item<'a>(
        &mut self,
        item: &Item<'a>,
        label: Label,
        seen: &mut SeenAttributes<'a>,
        tally: &mut ContextTally,
    ) -> RecordAction {
        if label.ours || label.newer {
            tally.malformed = tally.malformed.saturating_add(u64::from(label.newer));
            if label.newer && !label.ours {
                return self.fail(FailureReason::NewerLayout, item.event.raw, tally);
            }
            return RecordAction::Keep;
        }
        if item.signal() == Signal::Profiles {
            return self.fail(FailureReason::Profiles, item.event.raw, tally);
        }
        self.patch.begin(item.event.raw);
        match (item.signal(), &mut self.normalizer) {
            (Signal::Traces, Some(normalizer)) => {
                self.arena.clear();
                let (span, arena) = (&item.span, &self.arena);
                let spoken = normalize_span(span, seen, normalizer, arena, &mut self.patch);
                if let Some(spoken) = spoken {
                    tally.normalized.count(spoken);
                    if label.outdated {
                        set_schema_url(&item.event, self.settings.conventions, &mut self.patch);
                    }
                }
            }
            (Signal::Metrics, Some(_)) => self.metrics.rename(item.event.body, &mut self.patch),
            (Signal::Traces | Signal::Metrics | Signal::Profiles, _) => {}
            (Signal::Logs, _) => self.log(&item.event, seen, tally),
        }
        let action = self.finish(item, label, tally);
        if action == RecordAction::Remove || !self.settings.copy_metadata {
            return action;
        }
        let action = self.written(item, action);
        self.carry(&item.event, action)
    }

    /// What was noted is written to `changed`.
    fn written(&mut self, item: &Item<'_>, action: RecordAction) -> RecordAction {
        if action != RecordAction::Patch {
            return action;
        }
        self.changed.clear();
        self.patch.apply(item.event.raw, &mut self.changed);
        RecordAction::Replace
    }

    /// Redacts the resource and scope of a group of logs, if that is asked for.
    fn marker(&mut self, marker: &Event<'_>, tally: &mut ContextTally) -> RecordAction {
        self.marker.clear();
        let Some(redactor) = self.redactor.as_ref().filter(|_| self.settings.search_resource)
        else {
            return RecordAction::Keep;
        };
        self.patch.begin(marker.raw);
        let count = |finder: FindingSource| tally.count(finder);
        Masker::new(redactor, &mut self.patch, count).origin(marker.body);
        if self.patch.is_empty() {
            return RecordAction::Keep;
        }
        self.changed.clear();
        self.patch.apply(marker.raw, &mut self.changed);
        self.marker.extend_from_slice(&self.changed);
        RecordAction::Replace
    }

    fn label(&self, item: &Item<'_>) -> Label {
        let Some(telemetry) = &item.telemetry else { return Label::default() };
        let hides = self.redactor.is_some()
            && !telemetry.raw_values.is_empty()
            && raw_values_hold_content(telemetry.raw_values);
        let is_span = telemetry.signal == Some(Signal::Traces) && self.normalizer.is_some();
        let scope = telemetry.scope.filter(|_| is_span);
        Label {
            outdated: scope.is_some_and(|scope| is_outdated(scope, self.settings.conventions)),
            ours: telemetry.is_past(self.settings.position),
            newer: telemetry.version.is_some_and(|version| version > VERSION),
            hides,
        }
    }

    fn log<'a>(
        &mut self,
        event: &Event<'a>,
        seen: &mut SeenAttributes<'a>,
        tally: &mut ContextTally,
    ) {
        let mut change = LogChange::default();
        let mut attributes = Vec::new();
        let otlp = event.otlp();
        let log = otlp.map(LogView::new).unwrap_or_default();
        if self.settings.correlate {
            (change.context, change.severity) = correlate::context(event, &log);
        }
        if let (Some(normalizer), Some(_)) = (&mut self.normalizer, otlp) {
            change.event_name = correlate::event_name(&log);
            normalizer.look_again(log.attributes, seen);
            if normalizer.calls_for_work(seen, log.attributes)
                && let Some(spoken) = normalizer.rewrite(
                    log.attributes,
                    seen,
                    &mut EventValues::default(),
                    &mut attributes,
                )
            {
                change.attributes = Some(&attributes);
                tally.normalized_logs.count(spoken);
            }
        }
        if change.context.is_some() {
            tally.correlated = tally.correlated.saturating_add(1);
        }
        if !change.is_empty() {
            correlate::write(event, &change, &mut self.patch);
        }
    }

    /// Copies the metadata into the body.
    fn carry(&mut self, event: &Event<'_>, action: RecordAction) -> RecordAction {
        let source = if action == RecordAction::Replace { &self.changed } else { event.raw };
        // Of a group that was redacted, what it says since.
        let group = Events::new(&self.marker).next().and_then(Result::ok).and_then(|now| now.group);
        let group = event.group.map(|given| group.unwrap_or(given));
        self.masked.clear();
        if !body_metadata::copy(source, group, &mut self.masked) {
            return action;
        }
        std::mem::swap(&mut self.changed, &mut self.masked);
        RecordAction::Replace
    }

    /// Lists in the record what was found in it.
    fn mark(&mut self, found: &FindingSet) {
        let (Some(redactor), Some(item)) = (&self.redactor, item_of(&self.changed)) else { return };
        let names: Vec<&str> = found.finders().map(|finder| redactor.name(finder)).collect();
        self.patch.begin(&self.changed);
        findings::mark(&item, &names, &mut self.patch);
        self.masked.clear();
        self.patch.apply(&self.changed, &mut self.masked);
        std::mem::swap(&mut self.changed, &mut self.masked);
    }

    /// Writes the item with what was noted and, if that is asked for, redacted.
    fn finish(&mut self, item: &Item<'_>, label: Label, tally: &mut ContextTally) -> RecordAction {
        if label.hides {
            let action = self.fail(FailureReason::HiddenValues, item.event.raw, tally);
            if self.settings.on_failure == OnFailure::Quarantine {
                return action;
            }
        }
        let mut replaced = !self.patch.is_empty();
        let Some(redactor) = &self.redactor else {
            return if replaced { RecordAction::Patch } else { RecordAction::Keep };
        };
        if replaced {
            self.changed.clear();
            self.patch.apply(item.event.raw, &mut self.changed);
        }
        let given = if replaced { item_of(&self.changed) } else { Some(*item) };
        let Some(item) = given else {
            return self.fail(FailureReason::Unreadable, item.event.raw, tally);
        };
        self.patch.begin(item.event.raw);
        let mut found = FindingSet::default();
        let count = |finder: FindingSource| {
            found.note(finder);
            tally.count(finder);
        };
        let mut masker = Masker::new(redactor, &mut self.patch, count);
        masker.item(&item);
        if self.settings.search_resource {
            masker.origin_of(&item.event);
        }
        let finds = !self.patch.is_empty();
        if label.hides && self.settings.on_failure == OnFailure::Drop {
            empty_raw_values(&item.event, &mut self.patch);
        }
        if !self.patch.is_empty() {
            self.masked.clear();
            self.patch.apply(item.event.raw, &mut self.masked);
            std::mem::swap(&mut self.changed, &mut self.masked);
            replaced = true;
            if finds && self.settings.mark_findings {
                self.mark(&found);
            }
        }
        RecordAction::replaced(replaced)
    }
}

/// The item that these bytes are.
fn item_of(record: &[u8]) -> Option<Item<'_>> {
    match ItemReader::new(record).step(&mut ())? {
        ItemStep::Item(item) => Some(item),
        ItemStep::Marker(_) | ItemStep::Malformed(_) => None,
    }
}

/// Empties what stands beside a record. Its places in the record are nil or less than they were.
#[cold]
fn empty_raw_values(event: &Event<'_>, patch: &mut Patch) {
    for otlp in values(event.metadata, keys::OTLP) {
        for raw in values(otlp, keys::RAW_VALUES) {
            patch.replace(raw, |out| msgpack::bin(out, &[]));
        }
    }
}
