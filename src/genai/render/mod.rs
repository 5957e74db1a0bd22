//! Renderer: spans become the dialect that a backend reads.
//!
//! A span is mapped to the current conventions first, where it is not, and is rendered from them under the
//! names of the dialect. What a dialect has no name for keeps its current one, and names that the span
//! has already are not written again, so that nothing is lost and nothing is said twice.

mod messages;
mod open_inference;
mod open_llmetry;
mod original;
mod rendering;

use super::dialects::added::AddedDialects;
use super::json_value::Arena;
use super::normalize::{Conventions, EventValues, Normalizer};
use super::span::{first_token, is_outdated, normalize_span, set_schema_url};
use crate::codec::msgpack::{MapView, elements};
use crate::codec::records::layout::keys;
use crate::codec::records::{Event, Patch, SpanView};
use rendering::Rendering;

/// The dialect that a backend reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendDialect {
    /// The OpenTelemetry GenAI conventions 1.41.
    Current,
    /// What the sender spoke.
    Original,
    /// `OpenInference`.
    OpenInference,
    /// `OpenLLMetry`, by the names that it had before it took those of the conventions.
    OpenLlmetry,
}

/// A span in another dialect: what of its record changed.
#[derive(Debug, Default)]
pub struct RenderedSpan {
    /// The new metadata.
    pub metadata: Option<Vec<u8>>,
    /// The new body.
    pub body: Option<Vec<u8>>,
}

/// Renders spans in one dialect.
pub struct SpanRenderer {
    dialect: BackendDialect,
    normalizer: Normalizer,
    /// Where JSON of attributes and events is read.
    arena: Arena,
    patch: Patch,
}

impl SpanRenderer {
    /// A renderer for a dialect.
    #[must_use]
    pub fn new(dialect: BackendDialect) -> Self {
        // What is taken away again must be there; all else is not sent twice.
        let keeps = dialect == BackendDialect::Original;
        let normalizer = Normalizer::new(keeps, Conventions::V1_41);
        Self { dialect, normalizer, arena: Arena::default(), patch: Patch::default() }
    }

    /// The span of a record in the dialect; `None` if it is in it already, or is none of a model.
    pub fn render(&mut self, event: &Event<'_>) -> Option<RenderedSpan> {
        self.arena.clear();
        if self.dialect == BackendDialect::Original {
            return self.original(event.body);
        }
        let current = self.current(event);
        if self.dialect == BackendDialect::Current {
            return current;
        }
        let body = current.as_ref().and_then(|span| span.body.as_deref()).unwrap_or(event.body);
        let Some(attributes) = self.render_attributes(SpanView::new(body).attributes) else {
            return current;
        };
        let body = Some(self.with_attributes(body, &attributes));
        // The attributes follow another schema than the one that is named.
        Some(RenderedSpan { metadata: None, body })
    }

    /// The span as its sender wrote it.
    fn original(&mut self, body: &[u8]) -> Option<RenderedSpan> {
        let span = SpanView::new(body);
        let (normalizer, arena) = (&mut self.normalizer, &self.arena);
        self.patch.begin(body);
        if !span.attributes.is_empty() {
            self.patch.try_replace(span.attributes, |out| {
                let events = |detection| {
                    let first_token = first_token(&span, detection, AddedDialects::NONE);
                    let own = detection.own();
                    EventValues::read(arena, span.events, span.attributes, own, first_token)
                };
                original::restore(span.attributes, normalizer, events, out).then_some(())
            });
        }
        for event in elements(span.events) {
            let Some(attributes) = MapView::new(event).get(keys::ATTRIBUTES) else { continue };
            self.patch.try_replace(attributes, |out| {
                let none = |_| EventValues::default();
                original::restore(attributes, normalizer, none, out).then_some(())
            });
        }
        (!self.patch.is_empty()).then(|| {
            let mut out = Vec::with_capacity(body.len());
            self.patch.apply(body, &mut out);
            RenderedSpan { metadata: None, body: Some(out) }
        })
    }

    /// The span under the names of the conventions, if it is not.
    fn current(&mut self, event: &Event<'_>) -> Option<RenderedSpan> {
        // Beside what was mapped already, originals would not be seen to be said.
        let original = self.original(event.body).and_then(|span| span.body);
        let body = original.as_deref().unwrap_or(event.body);
        let span = SpanView::new(body);
        let mut seen = self.normalizer.look(span.attributes);
        self.patch.begin(body);
        let (normalizer, arena) = (&mut self.normalizer, &self.arena);
        normalize_span(&span, &mut seen, normalizer, arena, &mut self.patch)?;
        let mut mapped = Vec::with_capacity(body.len());
        self.patch.apply(body, &mut mapped);
        self.patch.begin(event.metadata);
        let scope = event.telemetry().and_then(|telemetry| telemetry.scope);
        if scope.is_some_and(|scope| is_outdated(scope, Conventions::V1_41)) {
            set_schema_url(event, Conventions::V1_41, &mut self.patch);
        }
        let metadata = (!self.patch.is_empty()).then(|| {
            let mut metadata = Vec::with_capacity(event.metadata.len());
            self.patch.apply(event.metadata, &mut metadata);
            metadata
        });
        Some(RenderedSpan { metadata, body: Some(mapped) })
    }

    /// Attributes of the conventions under the names of the dialect.
    fn render_attributes(&self, attributes: &[u8]) -> Option<Vec<u8>> {
        let mut rendering = Rendering::read(&self.arena, attributes, &self.normalizer)?;
        match self.dialect {
            BackendDialect::OpenInference => open_inference::render(&mut rendering),
            BackendDialect::OpenLlmetry => open_llmetry::render(&mut rendering),
            BackendDialect::Current | BackendDialect::Original => return None,
        }
        rendering.finish()
    }

    fn with_attributes(&mut self, body: &[u8], attributes: &[u8]) -> Vec<u8> {
        let given = MapView::new(body).get(keys::ATTRIBUTES).unwrap_or_default();
        let mut out = Vec::with_capacity(body.len().saturating_add(attributes.len()));
        self.patch.begin(body);
        self.patch.replace(given, |out| out.extend_from_slice(attributes));
        self.patch.apply(body, &mut out);
        out
    }
}
