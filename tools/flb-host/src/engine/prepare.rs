//! From a configuration to instances, on the main thread and before anything runs.

use std::sync::Arc;
use std::time::Duration;

use fluent_bit_ai::host::abi::row::HostAbi;

use crate::builtin::{BuiltinInput, BuiltinOutput};
use crate::faults::Faults;
use crate::instance::{Instance, InstancePlan};
use crate::memory::{Addr, Block};
use crate::plugin::{Plugin, PluginKind};
use crate::settings::{HostSettings, Section};

/// The structure of the run.
#[derive(Debug)]
pub(crate) struct RunConfig {
    block: Block,
    at: fluent_bit_ai::host::abi::structs::Config,
    _log: Block,
}

impl RunConfig {
    fn new(row: &HostAbi, settings: &HostSettings) -> Self {
        let block = Block::zeroed(row.config.size);
        let log = Block::zeroed(row.log.size);
        log.put(row.log.level, u16::try_from(settings.log_level).unwrap_or(3));
        block.put(row.config.log, log.addr());
        block.put(row.config.grace, i32::try_from(settings.grace.as_secs()).unwrap_or(5));
        Self { block, at: row.config, _log: log }
    }

    /// Where it lies.
    pub(crate) const fn addr(&self) -> Addr {
        self.block.addr()
    }

    /// Data may come in.
    pub(crate) fn set_running(&self) {
        self.block.put(self.at.is_ingestion_active, 1_i32);
        self.block.put(self.at.is_running, 1_i32);
    }

    /// A stop has begun.
    pub(crate) fn set_stopping(&self) {
        self.block.put(self.at.is_ingestion_active, 0_i32);
        self.block.put(self.at.is_shutting_down, 1_i32);
    }

    /// The pipeline has ended.
    pub(crate) fn set_stopped(&self) {
        self.block.put(self.at.is_running, 0_i32);
    }
}

/// An input that has not started.
pub(crate) struct PreparedInput {
    pub(crate) instance: Arc<Instance>,
    /// What a built-in one brings in.
    pub(crate) source: Option<BuiltinInput>,
    /// The filters under its `processors`.
    pub(crate) processors: Vec<Arc<Instance>>,
}

/// A run that has not started.
pub(crate) struct PreparedRun {
    pub(crate) row: &'static HostAbi,
    pub(crate) without_valgrind: bool,
    pub(crate) faults: Faults,
    pub(crate) flush: Duration,
    pub(crate) grace: Duration,
    pub(crate) retry_base: Duration,
    pub(crate) retry_cap: Duration,
    pub(crate) config: RunConfig,
    pub(crate) inputs: Vec<PreparedInput>,
    pub(crate) filters: Vec<Arc<Instance>>,
    pub(crate) outputs: Vec<(Arc<Instance>, Option<BuiltinOutput>)>,
}

/// What a run is prepared with, beside its configuration.
#[derive(Clone, Copy)]
pub(crate) struct RunContext<'a> {
    pub(crate) row: &'static HostAbi,
    pub(crate) without_valgrind: bool,
    pub(crate) faults: Faults,
    pub(crate) plugins: &'a [Arc<Plugin>],
}

struct Maker<'a> {
    ground: RunContext<'a>,
    config: Addr,
    log_level: i32,
    counts: [i32; 3],
}

impl Maker<'_> {
    fn plugin(&self, kind: PluginKind, name: &str) -> Option<Arc<Plugin>> {
        let found = self
            .ground
            .plugins
            .iter()
            .find(|plugin| plugin.kind == kind && plugin.name.eq_ignore_ascii_case(name));
        found.map(Arc::clone)
    }

    fn instance(
        &mut self,
        kind: PluginKind,
        section: &Section,
        builtin: bool,
    ) -> Result<Arc<Instance>, String> {
        let name = section
            .get("name")
            .ok_or_else(|| format!("an entry of the {}s has no name", kind.name()))?;
        let plugin = self.plugin(kind, &name);
        if plugin.is_none() && !builtin {
            let loaded: Vec<&str> = self
                .ground
                .plugins
                .iter()
                .filter(|plugin| plugin.kind == kind)
                .map(|plugin| plugin.name.as_str())
                .collect();
            return Err(format!(
                "unknown {} '{name}'; loaded are: {}",
                kind.name(),
                loaded.join(", ")
            ));
        }
        let [inputs, filters, outputs] = &mut self.counts;
        let count = match kind {
            PluginKind::Input => inputs,
            PluginKind::Filter => filters,
            PluginKind::Output => outputs,
        };
        let id = *count;
        *count += 1;
        Instance::new(&InstancePlan {
            kind,
            name: plugin.as_ref().map_or(name.as_str(), |plugin| plugin.name.as_str()),
            id,
            plugin: plugin.clone(),
            section,
            config: self.config,
            log_level: self.log_level,
            row: self.ground.row,
        })
    }
}

impl PreparedRun {
    /// Lays everything out that the configuration names.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(crate) fn new(settings: &HostSettings, ground: RunContext<'_>) -> Result<Self, String> {
        let config = RunConfig::new(ground.row, settings);
        let mut maker =
            Maker { ground, config: config.addr(), log_level: settings.log_level, counts: [0; 3] };
        let mut inputs = Vec::new();
        for section in &settings.inputs {
            let source = BuiltinInput::new(section)?;
            let instance = maker.instance(PluginKind::Input, section, source.is_some())?;
            let processors = section
                .processors
                .iter()
                .map(|section| maker.instance(PluginKind::Filter, section, false))
                .collect::<Result<_, _>>()?;
            inputs.push(PreparedInput { instance, source, processors });
        }
        let mut filters = Vec::new();
        for section in &settings.filters {
            filters.push(maker.instance(PluginKind::Filter, section, false)?);
        }
        let mut outputs = Vec::new();
        for section in &settings.outputs {
            if !section.processors.is_empty() {
                return Err("this host has no processors of outputs".to_owned());
            }
            let sink = BuiltinOutput::new(section)?;
            outputs.push((maker.instance(PluginKind::Output, section, sink.is_some())?, sink));
        }
        Ok(Self {
            row: ground.row,
            without_valgrind: ground.without_valgrind,
            faults: ground.faults,
            flush: settings.flush,
            grace: settings.grace,
            retry_base: settings.retry_base,
            retry_cap: settings.retry_cap,
            config,
            inputs,
            filters,
            outputs,
        })
    }
}
