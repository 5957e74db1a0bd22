//! Where a row puts the fields of an instance.

use std::os::fd::AsRawFd;

use fluent_bit_ai::host::abi::row::HostAbi;

use super::{Instance, InstancePlan, core_keys};
use crate::memory::{self, Addr, Block};
use crate::plugin::{Plugin, PluginKind};

const NAME_ROOM: usize = 31;
/// The host's number for storage in memory, the only one here.
const IN_MEMORY: i32 = 1;
const ENTRY_LINK: usize = 16;

/// The fields that all kinds of instances have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offsets {
    pub(super) size: usize,
    pub(super) id: usize,
    pub(super) log_level: usize,
    pub(super) name: usize,
    pub(super) alias: usize,
    pub(super) context: usize,
    pub(super) p: usize,
    pub(super) properties: usize,
    pub(super) config_map: usize,
    pub(super) cmt: usize,
    pub(super) config: usize,
}

macro_rules! offsets {
    ($at:expr) => {
        Offsets {
            size: $at.size,
            id: $at.id,
            log_level: $at.log_level,
            name: $at.name,
            alias: $at.alias,
            context: $at.context,
            p: $at.p,
            properties: $at.properties,
            config_map: $at.config_map,
            cmt: $at.cmt,
            config: $at.config,
        }
    };
}

/// Where an instance keeps its TLS settings.
#[derive(Debug, Clone, Copy)]
struct Tls {
    enabled: usize,
    verify: usize,
    ca_file: usize,
    crt_file: usize,
    key_file: usize,
    key_passwd: usize,
}

macro_rules! tls {
    ($at:expr) => {
        Tls {
            enabled: $at.use_tls,
            verify: $at.tls_verify,
            ca_file: $at.tls_ca_file,
            crt_file: $at.tls_crt_file,
            key_file: $at.tls_key_file,
            key_passwd: $at.tls_key_passwd,
        }
    };
}

impl Offsets {
    pub(super) const fn of(kind: PluginKind, row: &HostAbi) -> Self {
        match kind {
            PluginKind::Input => offsets!(row.input),
            PluginKind::Filter => offsets!(row.filter),
            PluginKind::Output => offsets!(row.output),
        }
    }
}

impl Instance {
    /// Writes every field that plugins look at.
    pub(super) fn fill(&self, plan: &InstancePlan<'_>) {
        let put = |at, value: Addr| self.block.put(at, value);
        let shown = format!("{}.{}", plan.name, plan.id);
        let shown = shown.as_bytes();
        self.block.put_bytes(self.at.name, shown.get(..NAME_ROOM).unwrap_or(shown));
        self.block.put(self.at.id, plan.id);
        self.block.put(self.at.log_level, self.core.log_level.unwrap_or(plan.log_level));
        put(self.at.alias, self.optional_text(self.core.alias.as_deref()));
        put(self.at.p, plan.plugin.as_ref().map_or(Addr::NULL, |plugin| plugin.addr()));
        put(self.at.config, plan.config);
        put(self.at.cmt, self.cmt.addr());
        memory::link(self.addr().plus(self.at.properties), &[]);
        if let Some(head) = self.option_list.first() {
            put(self.at.config_map, head.addr());
        }
        match plan.kind {
            PluginKind::Input => self.fill_input(),
            PluginKind::Filter => self.fill_filter(),
            PluginKind::Output => self.fill_output(),
        }
    }

    fn fill_input(&self) {
        let at = &self.row.input;
        let tag = self.tag();
        self.block.put(at.tag, self.text(&tag));
        self.block.put(at.tag_len, i32::try_from(tag.len()).unwrap_or(i32::MAX));
        self.block.put(at.routable, 1_i32);
        self.block.put(at.storage_buf_status, 1_i32);
        if let Some(plugin) = &self.plugin {
            self.block.put(at.flags, plugin.number(self.row.input_plugin.flags));
        }
        self.fill_host(at.host);
        self.fill_tls(tls!(at));
        let value = |key: &str| self.core.tls.get(key).map(String::as_str);
        let [vhost, ca_path] = self.row.input_tls_paths();
        self.block.put(vhost, self.optional_text(value("tls.vhost")));
        self.block.put(ca_path, self.optional_text(value("tls.ca_path")));
        let (debug, hostname) = self.row.input_tls_details();
        let level = value("tls.debug").and_then(|level| level.parse().ok());
        self.block.put(debug, level.unwrap_or(-1_i32));
        if let Some(hostname) = hostname {
            let on = value("tls.verify_hostname").is_some_and(core_keys::is_on);
            self.block.put(hostname, i32::from(on));
        }
        if let Some(client) = self.row.input_tls_verify_client() {
            let on = value("tls.verify_client_cert").is_some_and(core_keys::is_on);
            self.block.put(client, i32::from(on));
        }
        if let Some(offsets) = self.row.input_tls_versions() {
            let keys = ["tls.min_version", "tls.max_version", "tls.ciphers"];
            for (key, offset) in keys.into_iter().zip(offsets) {
                self.block.put(offset, self.optional_text(value(key)));
            }
        }
        let at = self.row.input_memory();
        self.block.put(at.storage_type, IN_MEMORY);
        self.block.put(at.limit, self.core.mem_buf_limit);
        self.fill_lists(self.row.input_net_properties(), self.row.input_oauth2_properties());
        self.set_paused(false);
    }

    fn fill_filter(&self) {
        let at = &self.row.filter;
        if let Some(plugin) = &self.plugin {
            self.block.put(at.event_type, plugin.number(self.row.filter_plugin.event_type));
        }
        self.block.put(at.match_rule, self.optional_text(self.core.pattern.as_deref()));
    }

    fn fill_output(&self) {
        let at = &self.row.output;
        self.block.put(at.event_type, self.event_types());
        if let Some(plugin) = &self.plugin {
            self.block.put(at.flags, plugin.number(self.row.output_plugin.flags));
        }
        self.block.put(at.match_rule, self.optional_text(self.core.pattern.as_deref()));
        self.block.put(at.retry_limit, self.core.retry_limit);
        if let Some(set) = at.retry_limit_is_set {
            self.block.put(set, i32::from(self.core.retry_limit_is_set));
        }
        self.fill_tls(tls!(at));
        self.fill_output_tls();
        let declared =
            self.plugin.as_ref().map_or(0, |plugin| plugin.number(self.row.output_plugin.workers));
        self.block.put(at.tp_workers, self.core.workers.unwrap_or(declared));
        self.fill_host(at.host);
        self.fill_lists(self.row.output_net_properties(), self.row.output_oauth2_properties());
        if let Some((reader, writer)) = &self.channel {
            self.block.put(at.ch_events, reader.as_raw_fd());
            self.block.put(at.ch_events + 4, writer.as_raw_fd());
        }
    }

    /// The lists beside the properties: `net.*`, and `oauth2.*`, which this host leaves to plugins.
    fn fill_lists(&self, net: usize, oauth2: Option<usize>) {
        for list in [Some(net), oauth2].into_iter().flatten() {
            memory::link(self.addr().plus(list), &[]);
        }
        for (key, value) in &self.core.net {
            self.add_to_list(&self.net_properties, net, key.clone(), value);
        }
    }

    /// What an output has of TLS beside that, with the host's defaults.
    fn fill_output_tls(&self) {
        let at = self.row.output_tls();
        let value = |key: &str| self.core.tls.get(key).map(String::as_str);
        let on = |key: &str, default| i32::from(value(key).map_or(default, core_keys::is_on));
        let debug = value("tls.debug").and_then(|level| level.parse().ok());
        self.block.put(at.vhost, self.optional_text(value("tls.vhost")));
        self.block.put(at.ca_path, self.optional_text(value("tls.ca_path")));
        let keys = ["tls.min_version", "tls.max_version", "tls.ciphers"];
        for (key, offset) in keys.into_iter().zip(at.versions.into_iter().flatten()) {
            self.block.put(offset, self.optional_text(value(key)));
        }
        self.block.put(at.debug, debug.unwrap_or(-1_i32));
        if let Some(hostname) = at.verify_hostname {
            self.block.put(hostname, on("tls.verify_hostname", false));
        }
        if let Some([verify, hostname, path, file]) = at.proxy {
            self.block.put(verify, on("tls.proxy.verify", true));
            self.block.put(hostname, on("tls.proxy.verify_hostname", true));
            self.block.put(path, self.optional_text(value("tls.proxy.ca_path")));
            self.block.put(file, self.optional_text(value("tls.proxy.ca_file")));
        }
    }

    fn fill_tls(&self, at: Tls) {
        let value = |key: &str| self.core.tls.get(key).map(String::as_str);
        let on = |key: &str, default| value(key).map_or(default, core_keys::is_on);
        self.block.put(at.enabled, i32::from(on("tls", false)));
        self.block.put(at.verify, i32::from(on("tls.verify", true)));
        self.block.put(at.ca_file, self.optional_text(value("tls.ca_file")));
        self.block.put(at.crt_file, self.optional_text(value("tls.crt_file")));
        self.block.put(at.key_file, self.optional_text(value("tls.key_file")));
        self.block.put(at.key_passwd, self.optional_text(value("tls.key_passwd")));
    }

    fn fill_host(&self, host: usize) {
        let at = &self.row.net_host;
        self.block.put(host + at.name, self.optional_text(self.core.host.as_deref()));
        self.block.put(host + at.listen, self.optional_text(self.core.listen.as_deref()));
        self.block.put(host + at.port, self.core.port);
    }
}

/// The host's copy of a plugin's table as a list: its head, then the entries.
pub(super) fn option_list(row: &HostAbi, plugin: Option<&Plugin>) -> Vec<Block> {
    let Some(plugin) = plugin else { return Vec::new() };
    let at = &row.config_map;
    let mut blocks = vec![Block::zeroed(ENTRY_LINK)];
    blocks.extend(plugin.options.iter().flatten().map(|entry| {
        let copy = Block::copy_of(entry.address, at.size);
        copy.put_bytes(at.value, &vec![0; at.size.saturating_sub(at.value)]);
        copy
    }));
    let mut addresses = blocks.iter().map(Block::addr);
    if let Some(head) = addresses.next() {
        let link_at = at.size.saturating_sub(ENTRY_LINK);
        let nodes: Vec<Addr> = addresses.map(|entry| entry.plus(link_at)).collect();
        memory::link(head, &nodes);
    }
    blocks
}
