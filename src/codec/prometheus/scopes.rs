//! Instrumentation scopes: labels `otel_scope_*` of samples say which scope a point is of.

use std::borrow::Cow;
use std::collections::HashMap;

use super::label_key;
use super::line::Labels;
use crate::codec::wire;
use crate::model::SCOPE_NAME;

const PREFIX: &str = "otel_scope_";
/// The most `otel_scope_info` of a page whose attributes are taken.
const MAX_INFOS: usize = 256;
/// The most attributes of each of them.
const MAX_ATTRIBUTES: usize = 64;

/// Whether a label says something of the scope.
pub(super) fn is_of_scope(label: &str) -> bool {
    label.starts_with(PREFIX)
}

/// The scopes of a page, each with its metrics.
#[derive(Debug)]
pub(super) struct Scopes<'p> {
    scopes: Vec<Scope<'p>>,
    index: HashMap<u128, usize>,
    /// The labels of `otel_scope_info`, which say more of scopes by name and version.
    infos: Vec<Labels<'p>>,
}

/// A scope; the first is that of what says nothing of one, which is ours.
#[derive(Debug, Default)]
struct Scope<'p> {
    labels: Labels<'p>,
    /// Encoded fields of `ScopeMetrics`.
    metrics: Vec<u8>,
}

impl<'p> Scopes<'p> {
    pub(super) fn new() -> Self {
        Self { scopes: vec![Scope::default()], index: HashMap::new(), infos: Vec::new() }
    }

    /// Takes the labels of a scope out of `labels`, and says which scope it is.
    pub(super) fn take_from(&mut self, labels: &mut Labels<'p>) -> usize {
        let of_scope: Labels<'p> = labels.extract_if(.., |(name, _)| is_of_scope(name)).collect();
        let key = of_scope.iter().fold(0_u128, |key, label| key.wrapping_add(label_key::of(label)));
        let next = self.scopes.len();
        let place = *self.index.entry(key).or_insert(next);
        if place == next {
            self.scopes.push(Scope { labels: of_scope, metrics: Vec::new() });
        }
        place
    }

    /// Takes the labels of an `otel_scope_info`.
    pub(super) fn add_info(&mut self, mut labels: Labels<'p>) {
        if self.infos.len() < MAX_INFOS {
            labels.truncate(MAX_ATTRIBUTES);
            self.infos.push(labels);
        }
    }

    /// Where the metrics of a scope are written.
    pub(super) fn metrics(&mut self, scope: usize) -> Option<&mut Vec<u8>> {
        self.scopes.get_mut(scope).map(|scope| &mut scope.metrics)
    }

    /// Writes the scopes that have metrics as fields of `ResourceMetrics`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for scope in self.scopes.iter().filter(|scope| !scope.metrics.is_empty()) {
            wire::message(out, 2, |out| {
                wire::message(out, 1, |out| scope.write(&self.infos, out));
                out.extend_from_slice(&scope.metrics);
                wire::nonempty(out, 3, scope.label("schema_url").as_bytes());
            });
        }
    }
}

impl Scope<'_> {
    fn label(&self, name: &str) -> &str {
        of_scope(&self.labels, name)
    }

    /// Writes the fields of `InstrumentationScope`.
    fn write(&self, infos: &[Labels<'_>], out: &mut Vec<u8>) {
        if self.labels.is_empty() {
            wire::text(out, 1, SCOPE_NAME.as_bytes());
            wire::text(out, 2, env!("CARGO_PKG_VERSION").as_bytes());
            return;
        }
        wire::nonempty(out, 1, self.label("name").as_bytes());
        wire::nonempty(out, 2, self.label("version").as_bytes());
        for (label, value) in &self.labels {
            let name = label.strip_prefix(PREFIX).unwrap_or_default();
            if !matches!(name, "" | "name" | "version" | "schema_url") {
                attribute(out, 3, name, value);
            }
        }
        let is_of_this = |info: &&Labels<'_>| {
            ["name", "version"].iter().all(|name| of_scope(info, name) == self.label(name))
        };
        if let Some(info) = infos.iter().find(is_of_this) {
            for (name, value) in info.iter().filter(|(name, _)| !is_of_scope(name)) {
                if self.label(name).is_empty() && !value.is_empty() {
                    attribute(out, 3, name, value);
                }
            }
        }
    }
}

/// What labels say of a scope.
fn of_scope<'l>(labels: &'l Labels<'_>, name: &str) -> &'l str {
    let named = |(label, _): &&(Cow<'_, str>, _)| label.strip_prefix(PREFIX) == Some(name);
    labels.iter().find(named).map_or("", |(_, value)| &**value)
}

/// Writes an attribute whose value is text.
pub(super) fn attribute(out: &mut Vec<u8>, field: u32, name: &str, value: &str) {
    wire::message(out, field, |out| {
        wire::text(out, 1, name.as_bytes());
        wire::message(out, 2, |out| wire::text(out, 1, value.as_bytes()));
    });
}
