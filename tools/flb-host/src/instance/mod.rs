//! Configured inputs, filters and outputs as plugins see them: zeroed memory with the fields of
//! the row.

mod core_keys;
mod layout;
mod pattern;

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Weak};

use fluent_bit_ai::host::abi::row::HostAbi;
use fluent_bit_ai::sync::{Mutex, MutexGuard};

use crate::event_loop;
use crate::memory::{self, Addr, Block, Sds};
use crate::metrics;
use crate::plugin::{self, Plugin, PluginKind};
use crate::settings::Section;
pub(crate) use core_keys::CoreKeys;
use layout::{Offsets, option_list};
use pattern::matches;

/// Flags of inputs and outputs that take TLS: always, or when asked to.
const IO_TLS: i32 = 2;
const IO_OPTIONAL_TLS: i32 = 4;
const CMT_BYTES: usize = 256;

#[derive(Debug)]
struct Property {
    key: String,
    value: Sds,
    node: Block,
    /// The key as the node points to it.
    _key: Sds,
}

/// A configured instance.
#[derive(Debug)]
pub(crate) struct Instance {
    /// What it is.
    pub(crate) kind: PluginKind,
    /// Its name, for example `ai_otlp.0`, or its alias.
    pub(crate) name: String,
    /// Its number among its kind.
    pub(crate) id: i32,
    /// Its plugin; a built-in one has none.
    pub(crate) plugin: Option<Arc<Plugin>>,
    /// What the core keeps for itself.
    pub(crate) core: CoreKeys,
    block: Block,
    at: Offsets,
    row: &'static HostAbi,
    properties: Mutex<Vec<Property>>,
    /// `net.*`, in the host's list of its own.
    net_properties: Mutex<Vec<Property>>,
    texts: Mutex<Vec<Sds>>,
    cmt: Block,
    option_list: Vec<Block>,
    channel: Option<(OwnedFd, OwnedFd)>,
}

static REGISTRY: Mutex<BTreeMap<Addr, Weak<Instance>>> = Mutex::new(BTreeMap::new());

fn registry() -> MutexGuard<'static, BTreeMap<Addr, Weak<Instance>>> {
    REGISTRY.lock()
}

/// The instance that a plugin names by its address.
pub(crate) fn find(address: Addr) -> Option<Arc<Instance>> {
    registry().get(&address)?.upgrade()
}

/// What an instance is made from.
pub(crate) struct InstancePlan<'a> {
    pub(crate) kind: PluginKind,
    /// The plugin's name, also for a built-in one.
    pub(crate) name: &'a str,
    /// The place among the instances of this kind.
    pub(crate) id: i32,
    pub(crate) plugin: Option<Arc<Plugin>>,
    pub(crate) section: &'a Section,
    /// Where the run's configuration lies.
    pub(crate) config: Addr,
    pub(crate) log_level: i32,
    pub(crate) row: &'static HostAbi,
}

impl Instance {
    /// Lays an instance out.
    ///
    /// # Errors
    /// One line that names the property that is wrong.
    pub(crate) fn new(plan: &InstancePlan<'_>) -> Result<Arc<Self>, String> {
        let given_name = format!("{}.{}", plan.name, plan.id);
        let (core, given) = core_keys::split(plan.kind, plan.row, &given_name, plan.section)?;
        let options = plan.plugin.as_ref().and_then(|plugin| plugin.options.as_deref());
        if let Some(options) = options {
            plugin::check(&given_name, options, &given)?;
        }
        let flags = match plan.kind {
            PluginKind::Input => Some(plan.row.input_plugin.flags),
            PluginKind::Output => Some(plan.row.output_plugin.flags),
            PluginKind::Filter => None,
        };
        if let (Some(flags), Some(plugin)) = (flags, &plan.plugin)
            && core.wants_tls()
            && plugin.number(flags) & (IO_TLS | IO_OPTIONAL_TLS) == 0
        {
            return Err(format!("{given_name} does not support TLS"));
        }
        let at = Offsets::of(plan.kind, plan.row);
        let instance = Self {
            kind: plan.kind,
            name: core.alias.clone().unwrap_or(given_name),
            id: plan.id,
            plugin: plan.plugin.clone(),
            core,
            block: Block::zeroed(at.size),
            at,
            row: plan.row,
            properties: Mutex::default(),
            net_properties: Mutex::default(),
            texts: Mutex::default(),
            cmt: Block::zeroed(CMT_BYTES),
            option_list: option_list(plan.row, plan.plugin.as_deref()),
            channel: match plan.kind {
                PluginKind::Output => Some(event_loop::pipe().map_err(|error| error.to_string())?),
                PluginKind::Input | PluginKind::Filter => None,
            },
        };
        instance.fill(plan);
        for (key, value) in given {
            instance.add_property(key, &value);
        }
        let instance = Arc::new(instance);
        registry().insert(instance.addr(), Arc::downgrade(&instance));
        Ok(instance)
    }

    fn text(&self, text: &str) -> Addr {
        let text = Sds::new(text.as_bytes());
        let address = text.addr();
        self.texts.lock().push(text);
        address
    }

    fn optional_text(&self, text: Option<&str>) -> Addr {
        text.map_or(Addr::NULL, |text| self.text(text))
    }

    /// Where it lies.
    pub(crate) const fn addr(&self) -> Addr {
        self.block.addr()
    }

    /// The tag of an input: its own name when none was given.
    pub(crate) fn tag(&self) -> String {
        self.core.tag.clone().unwrap_or_else(|| self.name.clone())
    }

    /// What the plugin has set as its context.
    pub(crate) fn context(&self) -> Addr {
        self.block.get(self.at.context)
    }

    /// Sets the plugin's context.
    pub(crate) fn set_context(&self, context: Addr) {
        self.block.put(self.at.context, context);
    }

    /// A callback of its plugin.
    pub(crate) fn callback(&self, offset: usize) -> Option<Addr> {
        self.plugin.as_ref()?.callback(offset)
    }

    /// Calls `cb(context, config)` if the plugin has that callback.
    pub(crate) fn call(&self, offset: usize, config: Addr) {
        if let Some(function) = self.callback(offset) {
            crate::plugin_calls::with_two(function, self.context(), config);
        }
    }

    /// Whether an input is paused because its memory is full.
    pub(crate) fn is_paused(&self) -> bool {
        self.block.get::<i32>(self.row.input.mem_buf_status) == 0
    }

    /// Says whether an input is paused because its memory is full.
    pub(crate) fn set_paused(&self, paused: bool) {
        self.block.put(self.row.input.mem_buf_status, i32::from(!paused));
    }

    /// Says how many bytes the chunks of an input hold.
    pub(crate) fn set_chunk_bytes(&self, bytes: usize) {
        self.block.put(self.row.input_memory().chunks, bytes);
    }

    /// The worker threads of an output.
    pub(crate) fn workers(&self) -> usize {
        usize::try_from(self.block.get::<i32>(self.row.output.tp_workers)).unwrap_or(0)
    }

    /// How often an output's chunks are tried again; -1 is without end.
    pub(crate) fn retry_limit(&self) -> i32 {
        self.block.get(self.row.output.retry_limit)
    }

    /// Says whether an output has worker threads.
    pub(crate) fn set_threaded(&self, threaded: bool) {
        self.block.put(self.row.output.is_threaded, i32::from(threaded));
    }

    /// The bits of the event types that an output or filter takes; none declared means logs.
    pub(crate) fn event_types(&self) -> i32 {
        let declared = match (&self.plugin, self.kind) {
            (Some(plugin), PluginKind::Output) => plugin.number(self.row.output_plugin.event_type),
            (Some(plugin), _) => plugin.number(self.row.filter_plugin.event_type),
            (None, _) => i32::MAX,
        };
        if declared == 0 { 1 } else { declared }
    }

    /// Whether its `match` takes a tag.
    pub(crate) fn matches(&self, tag: &[u8]) -> bool {
        self.core.pattern.as_ref().is_some_and(|pattern| matches(pattern.as_bytes(), tag))
    }

    /// The ends of an output's pipe: for reading, for writing.
    pub(crate) fn channel(&self) -> Option<(RawFd, RawFd)> {
        self.channel.as_ref().map(|(reader, writer)| (reader.as_raw_fd(), writer.as_raw_fd()))
    }

    /// The value of a property as the plugin gets it.
    pub(crate) fn property(&self, key: &str) -> Addr {
        let properties = self.properties.lock();
        properties
            .iter()
            .find(|property| property.key.eq_ignore_ascii_case(key))
            .map_or(Addr::NULL, |property| property.value.addr())
    }

    /// Its name as plugins ask for it: the alias where there is one.
    pub(crate) fn shown_name(&self) -> Addr {
        let alias: Addr = self.block.get(self.at.alias);
        if alias.is_null() { self.addr().plus(self.at.name) } else { alias }
    }

    /// Sets a property on a plugin's behalf, as its initialisation may do; -1 if that is refused.
    pub(crate) fn set_property(&self, key: &str, value: &str) -> i32 {
        let at = &self.row.output;
        match (self.kind, key.to_ascii_lowercase().as_str()) {
            (PluginKind::Output, "workers") => match value.parse::<i32>() {
                Ok(workers) => self.block.put(at.tp_workers, workers),
                Err(_) => return -1,
            },
            (PluginKind::Output, "retry_limit") => match core_keys::retry_limit(value) {
                Ok(limit) => {
                    self.block.put(at.retry_limit, limit);
                    if let Some(set) = at.retry_limit_is_set {
                        self.block.put(set, 1_i32);
                    }
                }
                Err(_) => return -1,
            },
            _ => self.add_property(key.to_owned(), value),
        }
        0
    }

    /// Adds a property to the list that the plugin sees.
    pub(crate) fn add_property(&self, key: String, value: &str) {
        self.add_to_list(&self.properties, self.at.properties, key, value);
    }

    /// Adds a property to one of the lists that an instance has, whose head is at `head`.
    fn add_to_list(&self, list: &Mutex<Vec<Property>>, head: usize, key: String, value: &str) {
        let at = &self.row.kv;
        let shown = Sds::new(key.as_bytes());
        let value = Sds::new(value.as_bytes());
        let node = Block::zeroed(at.size);
        node.put(at.key, shown.addr());
        node.put(at.val, value.addr());
        let mut properties = list.lock();
        properties.push(Property { key, value, node, _key: shown });
        let nodes: Vec<Addr> =
            properties.iter().map(|property| property.node.addr().plus(at.head)).collect();
        memory::link(self.addr().plus(head), &nodes);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        metrics::destroy(self.cmt.addr());
        registry().remove(&self.block.addr());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::PropertyValue;
    use fluent_bit_ai::host::abi::rows::ROWS;

    #[test]
    fn an_instance_has_its_fields_where_the_row_says() {
        for row in ROWS {
            let options = [
                ("tag", "a.b"),
                ("Listen", "1.2.3.4"),
                ("rule", "x"),
                ("rule", "y"),
                ("net.keepalive", "off"),
            ]
            .map(|(name, value)| (name.to_owned(), PropertyValue::One(value.to_owned())));
            let section = Section { options: options.to_vec(), processors: Vec::new() };
            let plan = InstancePlan {
                kind: PluginKind::Input,
                name: "probe",
                id: 3,
                plugin: None,
                section: &section,
                config: Addr(77),
                log_level: 4,
                row,
            };
            let instance = Instance::new(&plan).unwrap();
            let at = &row.input;
            let address = instance.addr();
            assert_eq!(address.plus(at.name).text().as_deref(), Some("probe.3"));
            assert_eq!(address.plus(at.config).read::<Addr>(), Addr(77));
            assert_eq!(address.plus(at.tag).read::<Addr>().text().as_deref(), Some("a.b"));
            let listen: Addr = address.plus(at.host + row.net_host.listen).read();
            assert_eq!(listen.text().as_deref(), Some("1.2.3.4"));
            let first: Addr = address.plus(at.properties + 8).read();
            let second: Addr = first.plus(8).read();
            let value: Addr = Addr(second.0 - row.kv.head).plus(row.kv.val).read();
            assert_eq!(value.text().as_deref(), Some("y"));
            assert_eq!(second.plus(8).read::<Addr>(), address.plus(at.properties));
            let net: Addr = address.plus(row.input_net_properties() + 8).read();
            let key: Addr = Addr(net.0 - row.kv.head).plus(row.kv.key).read();
            assert_eq!(key.text().as_deref(), Some("net.keepalive"));
            assert!(find(address).is_some());
            drop(instance);
            assert!(find(address).is_none());
        }
    }
}
