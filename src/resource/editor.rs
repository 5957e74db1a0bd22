//! Resource editor: adds what detectors found to the resources of a chunk.
//!
//! Resources repeat: what became of the last ones is remembered by their bytes, so that an item mostly costs
//! one comparison and a copy.

use std::sync::Arc;

use foldhash::HashMap;

use super::attribute::ResourceAttributes;
use super::merge::{Additions, Merged};
use crate::codec::fluentbit::{kubernetes_attributes, log_origin};
use crate::codec::msgpack::{self, MapView, ReadError, Reader, Token, text_of};
use crate::codec::records::edit::{Edit, Pairs, insert_otlp, rebuild_event, rewrite_map, set};
use crate::codec::records::layout::{EVENT_HEAD, VERSION, keys};
use crate::codec::records::{Event, EventKind, Events, Group, Telemetry};
use crate::model::{Position, Signal};

/// The key under which Fluent Bit's filter `kubernetes` writes, and the same as msgpack.
const KUBERNETES: &[u8] = b"kubernetes";
const KUBERNETES_ENCODED: &[u8] = b"\xaakubernetes";

/// Bytes of an event before its metadata: [`EVENT_HEAD`] and the time.
const HEAD: usize = EVENT_HEAD.len() + 8;

/// Resources that are remembered, and bytes that they may take.
const CACHED: usize = 512;
const CACHED_BYTES: usize = 1 << 20;

const EMPTY_MAP: &[u8] = &[0x80];

/// What to do.
#[derive(Debug, Clone)]
pub struct EditorSettings {
    /// What is added.
    pub attributes: Arc<ResourceAttributes>,
    /// Whether it counts more than what the resource says.
    pub overrides: bool,
    /// Whether the map of Fluent Bit's filter `kubernetes` moves to the resource.
    pub kubernetes: bool,
    /// This filter's run and place: records emitted there or later are left alone.
    pub position: Position,
}

/// What was done to a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResourceTally {
    /// Records whose resource got attributes.
    pub identified: u64,
    /// Records whose resource is of another pod, host or service than ours, so that attributes were left out.
    pub withheld: u64,
}

/// Adds attributes to the resources of one chunk after the other.
pub struct ResourceEditor {
    settings: EditorSettings,
    additions: Additions,
    /// What becomes of resources, of what ordinary logs say of their origin, and of resources with a map of the
    /// filter `kubernetes` behind them.
    resources: Cache,
    origins: Cache,
    combined: Cache,
    /// The metadata of the last span or metric, which mostly is that of the next one too, and what became of it.
    known: Vec<u8>,
    known_edit: Merged,
    /// The event that goes on in the place of one that was read.
    changed: Vec<u8>,
}

/// What became of maps, by their bytes.
#[derive(Default)]
struct Cache {
    entries: HashMap<Box<[u8]>, Merged>,
    bytes: usize,
}

impl ResourceEditor {
    /// An editor.
    #[must_use]
    pub fn new(settings: EditorSettings) -> Self {
        Self {
            additions: Additions::from(settings.attributes.as_ref()),
            settings,
            resources: Cache::default(),
            origins: Cache::default(),
            combined: Cache::default(),
            known: Vec::new(),
            known_edit: Merged::default(),
            changed: Vec::new(),
        }
    }

    /// Adds these attributes from now on.
    pub fn replace(&mut self, attributes: Arc<ResourceAttributes>) {
        *self = Self::new(EditorSettings { attributes, ..self.settings.clone() });
    }

    /// The chunk as it is to go on, or `None` if it goes on as it is. What cannot be read stays as it is.
    #[must_use]
    pub fn process(&mut self, chunk: &[u8], tally: &mut ResourceTally) -> Option<Vec<u8>> {
        if self.additions.is_empty() && !self.settings.kubernetes {
            return None;
        }
        let mut out = Vec::new();
        let (mut any, mut copied, mut position) = (false, 0, 0_usize);
        let mut group = None;
        while let Some(rest) = chunk.get(position..).filter(|rest| !rest.is_empty()) {
            let (length, is_changed) = self.step(rest, &mut group, tally).unwrap_or_else(|_| {
                (Reader::new(rest).skip().map_or(rest.len(), <[u8]>::len), false)
            });
            if is_changed {
                if !any {
                    out.reserve(chunk.len().saturating_add(chunk.len() / 4));
                }
                any = true;
                out.extend_from_slice(chunk.get(copied..position).unwrap_or_default());
                out.extend_from_slice(&self.changed);
                copied = position.saturating_add(length);
            }
            position = position.saturating_add(length);
        }
        any.then(|| {
            out.extend_from_slice(chunk.get(copied..).unwrap_or_default());
            out
        })
    }

    /// Handles the event that `rest` starts with: its length, and whether `self.changed` is to stand in its
    /// place.
    fn step<'a>(
        &mut self,
        rest: &'a [u8],
        group: &mut Option<Group<'a>>,
        tally: &mut ResourceTally,
    ) -> Result<(usize, bool), ReadError> {
        if let Some(done) = self.like_the_last(rest, tally) {
            return done;
        }
        let event = Events::new(rest).next().ok_or(ReadError::Truncated)??;
        let is_changed = match event.kind {
            EventKind::GroupStart => {
                *group = event.group;
                self.group(&event)
            }
            EventKind::GroupEnd => {
                *group = None;
                false
            }
            EventKind::Record => self.record(&Event { group: *group, ..event }, tally),
        };
        Ok((event.raw.len(), is_changed))
    }

    /// The same for a span or metric that has the metadata of the one before; `None` if it is another event.
    fn like_the_last(
        &mut self,
        rest: &[u8],
        tally: &mut ResourceTally,
    ) -> Option<Result<(usize, bool), ReadError>> {
        let (head, after) = rest.split_at_checked(HEAD)?;
        if self.known.is_empty() || !head.starts_with(&EVENT_HEAD) {
            return None;
        }
        let after = after.strip_prefix(self.known.as_slice())?;
        let body = match Reader::new(after).skip() {
            Ok(body) => body,
            Err(error) => return Some(Err(error)),
        };
        if self.settings.kubernetes && has_kubernetes(body) {
            return None;
        }
        let length = HEAD.saturating_add(self.known.len()).saturating_add(body.len());
        count(tally, &self.known_edit);
        let Some(metadata) = &self.known_edit.map else { return Some(Ok((length, false))) };
        self.changed.clear();
        self.changed.extend_from_slice(head);
        self.changed.extend_from_slice(metadata);
        self.changed.extend_from_slice(body);
        Some(Ok((length, true)))
    }

    /// The start of a group of OTLP logs: those that stand in it have its resource.
    fn group(&mut self, event: &Event<'_>) -> bool {
        if !is_otlp(event.group) {
            return false;
        }
        let Self { resources, additions, settings, .. } = self;
        let resource = MapView::new(event.body).get(keys::RESOURCE).unwrap_or(EMPTY_MAP);
        let edit = resources.of(resource, |resource| edit_resource(resource, additions, settings));
        let Some(resource) = &edit.map else { return false };
        self.changed.clear();
        let before = event.raw.len().saturating_sub(event.body.len());
        self.changed.extend_from_slice(event.raw.get(..before).unwrap_or_default());
        set(event.body, keys::RESOURCE, resource, &mut self.changed);
        true
    }

    fn record(&mut self, event: &Event<'_>, tally: &mut ResourceTally) -> bool {
        // What the record itself says, not its group, which was edited itself.
        let own = Event { group: None, ..*event }.telemetry();
        let Some(said) = own.filter(|said| !said.is_ordinary(&Event { group: None, ..*event }))
        else {
            return match event.group {
                None => self.ordinary(event, own, tally),
                Some(group) => {
                    self.count_in_group(group, tally);
                    false
                }
            };
        };
        let here = self.settings.position;
        let is_ours =
            said.position.is_some_and(|from| from.run == here.run && from.after >= here.after);
        let is_newer = said.version.is_some_and(|version| version > VERSION);
        // Of a log that the host's own input wrote the group says it.
        let has_group = said.version.is_none() && said.resource.is_none() && is_otlp(event.group);
        if is_ours || is_newer || said.signal == Some(Signal::Profiles) {
            return false;
        }
        if self.settings.kubernetes
            && said.version.is_some()
            && has_kubernetes(event.body)
            && let Some(map) = kubernetes_map(event.body)
        {
            return self.with_map(event, map, tally);
        }
        let Self { resources, additions, settings, .. } = self;
        let resource = match event.group {
            Some(group) if has_group => MapView::new(group.body).get(keys::RESOURCE),
            _ => said.resource,
        };
        let edit = resources
            .of(resource.unwrap_or(EMPTY_MAP), |map| edit_resource(map, additions, settings));
        count(tally, edit);
        let metadata = match (&edit.map, has_group) {
            (Some(resource), false) => Some(with_resource(event.metadata, said.resource, resource)),
            _ => None,
        };
        let is_changed = metadata.as_ref().is_some_and(|metadata| {
            self.changed.clear();
            rebuild_event(event, metadata, event.body, &mut self.changed);
            true
        });
        if matches!(said.signal, Some(Signal::Traces | Signal::Metrics)) {
            self.known_edit = Merged { map: metadata, withheld: edit.withheld };
            self.known.clear();
            self.known.extend_from_slice(event.metadata);
        }
        is_changed
    }

    /// A log of the host's own input has nothing of its own: what became of its group's resource counts.
    fn count_in_group(&mut self, group: Group<'_>, tally: &mut ResourceTally) {
        if !is_otlp(Some(group)) {
            return;
        }
        let Self { resources, additions, settings, .. } = self;
        let resource = MapView::new(group.body).get(keys::RESOURCE).unwrap_or(EMPTY_MAP);
        count(tally, resources.of(resource, |map| edit_resource(map, additions, settings)));
    }

    /// An ordinary log: `multi_otlp` makes its resource of what it says, so that this is merged here.
    fn ordinary(
        &mut self,
        event: &Event<'_>,
        said: Option<Telemetry<'_>>,
        tally: &mut ResourceTally,
    ) -> bool {
        let Self { resources, origins, additions, settings, .. } = self;
        let given = said.and_then(|said| said.resource);
        let edit = if let Some(resource) = given {
            resources.of(resource, |map| edit_resource(map, additions, settings))
        } else {
            let mut origin = Vec::new();
            log_origin(event).write_map(&mut origin);
            origins.of(&origin, |origin| {
                let Merged { map, withheld } = additions.merge(origin, settings.overrides);
                let resource = map.map(|attributes| {
                    let mut resource = Vec::with_capacity(attributes.len().saturating_add(16));
                    set(EMPTY_MAP, keys::ATTRIBUTES, &attributes, &mut resource);
                    resource
                });
                Merged { map: resource, withheld }
            })
        };
        count(tally, edit);
        let Some(resource) = &edit.map else { return false };
        let metadata = with_resource(event.metadata, given, resource);
        self.changed.clear();
        rebuild_event(event, &metadata, event.body, &mut self.changed);
        true
    }

    /// A record to which the filter `kubernetes` has added its map: the map moves to the record's resource,
    /// which then is its own and no longer that of its group.
    fn with_map(&mut self, event: &Event<'_>, map: &[u8], tally: &mut ResourceTally) -> bool {
        let Some(said) = event.telemetry() else { return false };
        let Self { combined, additions, settings, .. } = self;
        let resource = said.resource.unwrap_or(EMPTY_MAP);
        let both = [resource, &[0xc1], map].concat();
        let edit = combined.of(&both, |_| {
            let mut of_map = Additions::default();
            kubernetes_attributes(map, |key, value| of_map.push(key, value.to_vec()));
            let first = edit_resource(resource, &of_map, settings);
            let second =
                edit_resource(first.map.as_deref().unwrap_or(resource), additions, settings);
            Merged { map: second.map.or(first.map), withheld: first.withheld || second.withheld }
        });
        count(tally, edit);
        let resource = edit.map.as_deref().unwrap_or(resource);
        let mut otlp = Vec::with_capacity(said.otlp.len().saturating_add(resource.len()));
        let mut append = Pairs::new();
        let has = |key: &[u8]| MapView::new(said.otlp).get(key).is_some();
        if !has(keys::RESOURCE) {
            append.push(keys::RESOURCE, resource);
        }
        if let Some(scope) = said.scope.filter(|_| !has(keys::SCOPE)) {
            append.push(keys::SCOPE, scope);
        }
        rewrite_map(
            said.otlp,
            &mut otlp,
            |entry| match (entry.key, said.scope) {
                (keys::RESOURCE, _) => Edit::Value(resource.into()),
                (keys::SCOPE, Some(scope)) => Edit::Value(scope.into()),
                (keys::SCOPE_ID, _) => Edit::Drop,
                _ => Edit::Keep,
            },
            &append,
        );
        let (mut metadata, mut body) = (Vec::new(), Vec::with_capacity(event.body.len()));
        set(event.metadata, keys::OTLP, &otlp, &mut metadata);
        let edit = |entry: msgpack::Entry<'_>| {
            if entry.key == KUBERNETES { Edit::Drop } else { Edit::Keep }
        };
        rewrite_map(event.body, &mut body, edit, &Pairs::new());
        self.changed.clear();
        rebuild_event(event, &metadata, &body, &mut self.changed);
        true
    }
}

impl Cache {
    /// What becomes of a map; `make` says it of one that is not remembered.
    fn of(&mut self, map: &[u8], make: impl FnOnce(&[u8]) -> Merged) -> &Merged {
        if self.entries.len() >= CACHED || self.bytes > CACHED_BYTES {
            self.entries.clear();
            self.bytes = 0;
        }
        // Two look-ups, because only the key of a new one is to be copied.
        if !self.entries.contains_key(map) {
            let made = make(map);
            let size = made.map.as_ref().map_or(0, Vec::len);
            self.bytes = self.bytes.saturating_add(map.len()).saturating_add(size);
            self.entries.insert(map.into(), made);
        }
        self.entries.get(map).unwrap_or(&NOTHING)
    }
}

static NOTHING: Merged = Merged { map: None, withheld: false };

fn count(tally: &mut ResourceTally, edit: &Merged) {
    tally.identified = tally.identified.saturating_add(u64::from(edit.map.is_some()));
    tally.withheld = tally.withheld.saturating_add(u64::from(edit.withheld));
}

/// A resource with its attributes merged.
fn edit_resource(resource: &[u8], additions: &Additions, settings: &EditorSettings) -> Merged {
    let attributes = MapView::new(resource).get(keys::ATTRIBUTES).unwrap_or(EMPTY_MAP);
    let Merged { map, withheld } = additions.merge(attributes, settings.overrides);
    let map = map.map(|attributes| {
        let mut edited = Vec::with_capacity(resource.len().saturating_add(attributes.len()));
        set(resource, keys::ATTRIBUTES, &attributes, &mut edited);
        edited
    });
    Merged { map, withheld }
}

/// A metadata map with another resource in its `otlp` map. `old`, if there is one, is a part of `metadata`.
fn with_resource(metadata: &[u8], old: Option<&[u8]>, resource: &[u8]) -> Vec<u8> {
    let mut out =
        Vec::with_capacity(metadata.len().saturating_add(resource.len()).saturating_add(16));
    let around = old.and_then(|old| {
        let start = old.as_ptr().addr().checked_sub(metadata.as_ptr().addr())?;
        let end = start.checked_add(old.len())?;
        Some((metadata.get(..start)?, metadata.get(end..)?))
    });
    if let Some((before, after)) = around {
        out.extend_from_slice(before);
        out.extend_from_slice(resource);
        out.extend_from_slice(after);
    } else {
        let mut pairs = Pairs::new();
        pairs.push(keys::RESOURCE, resource);
        insert_otlp(metadata, &pairs, &mut out);
    }
    out
}

fn is_otlp(group: Option<Group<'_>>) -> bool {
    let schema = group.and_then(|group| MapView::new(group.metadata).get(b"schema"));
    schema.and_then(text_of) == Some("otlp")
}

/// Whether the key is somewhere in a body, which costs less than to walk through it.
fn has_kubernetes(body: &[u8]) -> bool {
    memchr::memmem::find(body, KUBERNETES_ENCODED).is_some()
}

/// The map that the filter `kubernetes` has added to a body.
fn kubernetes_map(body: &[u8]) -> Option<&[u8]> {
    let map = MapView::new(body).get(KUBERNETES)?;
    let names = |key: &[u8]| MapView::new(map).get(key).and_then(text_of).is_some();
    let is_map = matches!(Reader::new(map).token(), Ok(Token::Map(_)));
    (is_map && (names(b"pod_name") || names(b"namespace_name"))).then_some(map)
}
