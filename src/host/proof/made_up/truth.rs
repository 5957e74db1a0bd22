//! The layouts that hosts ever had, as their headers had them, and layouts that none ever had.

use std::collections::BTreeMap;

use super::super::super::abi::moves::Machine;
use super::super::super::abi::row::HostAbi;

/// `input.tag` and so on, to its offset; what a release does not have is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) since: String,
    fields: BTreeMap<String, usize>,
}

impl Truth {
    /// All of a machine's, of `tests/abi/layout_sets`, oldest first.
    pub(super) fn all(machine: Machine) -> Vec<Self> {
        let text = if machine == Machine::X86_64 {
            include_str!("../../../../tests/abi/layout_sets/x86_64.txt")
        } else {
            include_str!("../../../../tests/abi/layout_sets/aarch64.txt")
        };
        let mut lines = text.lines();
        let sets = lines.next().unwrap().split(' ').skip(1);
        let mut all: Vec<Self> =
            sets.map(|since| Self { since: since.to_owned(), fields: BTreeMap::new() }).collect();
        for line in lines {
            let mut parts = line.split(' ');
            let field = parts.next().unwrap();
            let changes: Vec<(&str, &str)> =
                parts.map(|change| change.split_once('@').unwrap()).collect();
            let mut now = None;
            for set in &mut all {
                if let Some((offset, _)) = changes.iter().find(|(_, since)| *since == set.since) {
                    now = offset.parse().ok();
                }
                if let Some(offset) = now {
                    set.fields.insert(field.to_owned(), offset);
                }
            }
        }
        all
    }

    pub(super) fn find(&self, field: &str) -> Option<usize> {
        self.fields.get(field).copied()
    }

    pub(super) fn at(&self, field: &str) -> usize {
        self.find(field).unwrap_or_else(|| panic!("{} has no {field}", self.since))
    }

    /// The same with so many bytes inserted before a field of a structure.
    pub(super) fn with_inserted(&self, field: &str, bytes: usize) -> Self {
        let structure = field.split('.').next().unwrap();
        let from = self.at(field);
        let mut shifted = self.clone();
        shifted.since = format!("{} with {bytes} bytes before {field}", self.since);
        for (name, offset) in &mut shifted.fields {
            let is_inside = name.split('.').next() == Some(structure);
            if is_inside && (name.ends_with(".size") || *offset >= from) {
                *offset += bytes;
            }
        }
        shifted
    }
}

/// Every field that is used of a host, as a row says. The lock of a task and the trace of a chunk are
/// not among them: beyond the table they are not used.
pub(super) fn used(row: &HostAbi) -> Vec<(&'static str, Option<usize>)> {
    let mut all = plugins(row);
    all.extend(input(row));
    all.extend(filter(row));
    all.extend(output(row));
    all.extend(engine(row));
    all
}

macro_rules! fields {
    ($row:expr, $name:literal, $($field:ident),*) => {
        vec![$((concat!($name, ".", stringify!($field)), Some($row.$field))),*]
    };
}

fn plugins(row: &HostAbi) -> Vec<(&'static str, Option<usize>)> {
    let mut all = fields!(
        row.input_plugin,
        "input_plugin",
        size,
        flags,
        name,
        description,
        config_map,
        cb_init,
        cb_pause,
        cb_resume,
        cb_exit
    );
    all.extend(fields!(
        row.filter_plugin,
        "filter_plugin",
        size,
        name,
        description,
        config_map,
        cb_init,
        cb_filter,
        cb_exit
    ));
    all.extend(fields!(
        row.output_plugin,
        "output_plugin",
        size,
        event_type,
        name,
        description,
        config_map,
        cb_init,
        cb_flush,
        cb_exit,
        workers
    ));
    all.extend(fields!(
        row.config_map,
        "config_map",
        size,
        kind,
        name,
        def_value,
        flags,
        set_property,
        offset,
        desc
    ));
    all
}

fn input(row: &HostAbi) -> Vec<(&'static str, Option<usize>)> {
    let mut all = fields!(
        row.input,
        "input",
        config_map,
        processor,
        log_level,
        name,
        alias,
        p,
        tag,
        host,
        mem_buf_status,
        storage_buf_status,
        properties,
        is_threaded,
        cmt,
        use_tls,
        tls_verify,
        tls_ca_file,
        tls_crt_file,
        tls_key_file,
        tls_key_passwd,
        config
    );
    let (memory, [vhost, ca_path]) = (row.input_memory(), row.input_tls_paths());
    let (debug, hostname) = row.input_tls_details();
    let versions = row.input_tls_versions();
    all.extend([
        ("input.storage_type", Some(memory.storage_type)),
        ("input.mem_chunks_size", Some(memory.chunks)),
        ("input.mem_buf_limit", Some(memory.limit)),
        ("input.tls_vhost", Some(vhost)),
        ("input.tls_ca_path", Some(ca_path)),
        ("input.tls_debug", Some(debug)),
        ("input.tls_verify_hostname", hostname),
        ("input.tls_verify_client", row.input_tls_verify_client()),
        ("input.tls_min_version", versions.map(|all| all[0])),
        ("input.tls_max_version", versions.map(|all| all[1])),
        ("input.tls_ciphers", versions.map(|all| all[2])),
        ("input.net_properties", Some(row.input_net_properties())),
        ("input.oauth2_jwt_properties", row.input_oauth2_properties()),
    ]);
    all
}

fn filter(row: &HostAbi) -> Vec<(&'static str, Option<usize>)> {
    fields!(row.filter, "filter", log_level, name, alias, match_rule, p, properties, cmt, config)
}

fn output(row: &HostAbi) -> Vec<(&'static str, Option<usize>)> {
    let mut all = fields!(
        row.output,
        "output",
        id,
        log_level,
        name,
        alias,
        ch_events,
        p,
        retry_limit,
        match_rule,
        use_tls,
        tls_verify,
        tls_ca_file,
        tls_crt_file,
        tls_key_file,
        tls_key_passwd,
        host,
        properties,
        cmt,
        tp_workers,
        config
    );
    let tls = row.output_tls();
    all.extend([
        ("output.retry_limit_is_set", row.output.retry_limit_is_set),
        ("output.tls_verify_hostname", tls.verify_hostname),
        ("output.tls_debug", Some(tls.debug)),
        ("output.tls_vhost", Some(tls.vhost)),
        ("output.tls_ca_path", Some(tls.ca_path)),
        ("output.tls_min_version", tls.versions.map(|all| all[0])),
        ("output.tls_max_version", tls.versions.map(|all| all[1])),
        ("output.tls_ciphers", tls.versions.map(|all| all[2])),
        ("output.tls_proxy_verify", tls.proxy.map(|all| all[0])),
        ("output.tls_proxy_verify_hostname", tls.proxy.map(|all| all[1])),
        ("output.tls_proxy_ca_path", tls.proxy.map(|all| all[2])),
        ("output.tls_proxy_ca_file", tls.proxy.map(|all| all[3])),
        ("output.net_properties", Some(row.output_net_properties())),
        ("output.oauth2_properties", row.output_oauth2_properties()),
    ]);
    all
}

fn engine(row: &HostAbi) -> Vec<(&'static str, Option<usize>)> {
    let mut all =
        fields!(row.config, "config", is_ingestion_active, is_shutting_down, is_running, grace);
    all.extend(fields!(row.task, "task", id, event_chunk, ic, routes, i_ins));
    all.extend(fields!(row.route, "route", status, out, head));
    all.extend([("route.records", row.route.records), ("route.bytes", row.route.bytes)]);
    all.extend(fields!(row.event_chunk, "event_chunk", kind, tag, data, length, total_events));
    all.extend(fields!(row.flush, "flush", task, config, o_ins, coro, processed_event_chunk));
    all.extend(fields!(row.coro, "coro", caller, callee, data));
    all.extend(fields!(row.out_thread, "out_thread", ch_thread_events));
    all.extend(fields!(row.kv, "kv", key, val, head));
    all.extend(fields!(row.net_host, "net_host", port, name, listen));
    all.extend(fields!(row.list, "list", prev, next));
    all
}
