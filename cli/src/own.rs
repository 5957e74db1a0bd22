//! The plugins: which there are, and how each is opened without a host.

use fluent_bit_ai::plugin::{Environment, Filter, Input, OpenError, Options, Output, Sink, Spec};
use fluent_bit_ai::plugins::filter_ai_context::AiContext;
use fluent_bit_ai::plugins::filter_ai_metrics::AiMetrics;
use fluent_bit_ai::plugins::filter_ai_sampling::AiSampling;
use fluent_bit_ai::plugins::in_ai_emitter::{AiEmitter, EmitterCheck};
use fluent_bit_ai::plugins::in_ai_otlp::{AiOtlp, OtlpCheck};
use fluent_bit_ai::plugins::out_multi_otlp::MultiOtlp;
use fluent_bit_ai::receive::ListenAddresses;
use fluent_bit_ai::scrape::ScrapeTrial;

/// The three kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PluginKind {
    Input,
    Filter,
    Output,
}

impl PluginKind {
    /// The word in log lines, as the host writes it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Filter => "filter",
            Self::Output => "output",
        }
    }

    /// The word in names of files.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Input => "in",
            Self::Filter => "filter",
            Self::Output => "out",
        }
    }
}

/// What of an instance can be tried.
pub(crate) enum Tried {
    Endpoints(Box<MultiOtlp>),
    Targets(ScrapeTrial),
}

/// An instance that would start.
pub(crate) enum Started {
    /// Says more when everything has started.
    Otlp(OtlpCheck),
    /// Has targets that can be tried.
    Emitter(Box<EmitterCheck>),
    /// It lives as long as the others start, as in a host.
    Context(Box<AiContext>),
    Metrics(Box<AiMetrics>),
    Sampling(Box<AiSampling>),
    /// Has endpoints that can be tried.
    Output(Box<MultiOtlp>),
}

impl Started {
    /// Has an input say what it says at its first tick; what can be tried is given back.
    pub(crate) fn first_tick(self, sink: &mut dyn Sink) -> Option<Tried> {
        match self {
            Self::Otlp(check) => check.finish(sink),
            Self::Emitter(emitter) => return Some(Tried::Targets(emitter.finish(sink))),
            Self::Context(filter) => drop(filter),
            Self::Metrics(filter) => drop(filter),
            Self::Sampling(filter) => drop(filter),
            Self::Output(output) => return Some(Tried::Endpoints(output)),
        }
        None
    }
}

type Open = fn(&dyn Options, Environment, &mut ListenAddresses) -> Result<Started, OpenError>;

/// A plugin.
pub(crate) struct OwnPlugin {
    pub(crate) kind: PluginKind,
    pub(crate) spec: Spec,
    /// Whether the host takes `tls` for it.
    pub(crate) takes_tls: bool,
    pub(crate) open: Open,
}

/// All of them.
pub(crate) static PLUGINS: [OwnPlugin; 6] = [
    OwnPlugin {
        kind: PluginKind::Input,
        spec: AiOtlp::SPEC,
        takes_tls: AiOtlp::TLS,
        open: |options, environment, taken| {
            OtlpCheck::of(options, &environment, taken).map(Started::Otlp)
        },
    },
    OwnPlugin {
        kind: PluginKind::Input,
        spec: AiEmitter::SPEC,
        takes_tls: AiEmitter::TLS,
        open: |options, environment, taken| {
            EmitterCheck::of(options, &environment, taken).map(Box::new).map(Started::Emitter)
        },
    },
    OwnPlugin {
        kind: PluginKind::Filter,
        spec: AiContext::SPEC,
        takes_tls: false,
        open: |options, environment, _| {
            AiContext::open(options, environment).map(Box::new).map(Started::Context)
        },
    },
    OwnPlugin {
        kind: PluginKind::Filter,
        spec: AiMetrics::SPEC,
        takes_tls: false,
        open: |options, environment, _| {
            AiMetrics::open(options, environment).map(Box::new).map(Started::Metrics)
        },
    },
    OwnPlugin {
        kind: PluginKind::Filter,
        spec: AiSampling::SPEC,
        takes_tls: false,
        open: |options, environment, _| {
            AiSampling::open(options, environment).map(Box::new).map(Started::Sampling)
        },
    },
    OwnPlugin {
        kind: PluginKind::Output,
        spec: MultiOtlp::SPEC,
        takes_tls: MultiOtlp::TLS,
        open: |options, environment, _| {
            MultiOtlp::open(options, environment).map(Box::new).map(Started::Output)
        },
    },
];

impl OwnPlugin {
    /// The name of its file.
    pub(crate) fn file(&self) -> String {
        format!("flb-{}_{}.so", self.kind.prefix(), self.spec.name)
    }
}

/// The plugin of a name, whatever its case.
pub(crate) fn find(kind: PluginKind, name: &str) -> Option<&'static OwnPlugin> {
    PLUGINS.iter().find(|own| own.kind == kind && own.spec.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// Scenario: the plugins that there are, by the files in src/plugins. Guarantees: each has a row.
    #[test]
    fn every_plugin_has_a_row() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/plugins");
        let stems = std::fs::read_dir(folder).unwrap().filter_map(|entry| {
            let path = entry.unwrap().path();
            path.file_stem().map(|stem| stem.to_string_lossy().into_owned())
        });
        let is_plugin =
            |stem: &String| ["in_", "filter_", "out_"].iter().any(|kind| stem.starts_with(kind));
        let files: BTreeSet<String> =
            stems.filter(is_plugin).map(|stem| format!("flb-{stem}.so")).collect();
        assert_eq!(PLUGINS.iter().map(OwnPlugin::file).collect::<BTreeSet<_>>(), files);
    }
}
