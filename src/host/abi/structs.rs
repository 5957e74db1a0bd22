//! One host structure each, as the offsets of the fields that we read or fill, in bytes.
//!
//! No host structure is ever a Rust type with those fields: the host's structures change from
//! release to release, so all that is fixed at compile time is which fields there are.

use super::fields::TableFields;

/// A field of a structure: there in every release, or only in some.
trait Offset {
    /// Reads it from a row of a file.
    fn read(fields: &mut TableFields<'_>, name: &'static str) -> Self;
}

impl Offset for usize {
    fn read(fields: &mut TableFields<'_>, name: &'static str) -> Self {
        fields.required(name)
    }
}

impl Offset for Option<usize> {
    fn read(fields: &mut TableFields<'_>, name: &'static str) -> Self {
        fields.optional(name)
    }
}

/// Structures that a file may describe too, field by field.
macro_rules! structures {
    ($(
        $(#[$about:meta])*
        pub struct $Structure:ident { $($(#[$what:meta])* pub $field:ident: $Offset:ty,)+ }
    )+) => {
        $(
            $(#[$about])*
            pub struct $Structure { $($(#[$what])* pub $field: $Offset,)+ }

            impl $Structure {
                /// Reads it from a row of a file.
                pub(super) fn read(fields: &mut TableFields<'_>) -> Self {
                    Self { $($field: Offset::read(fields, stringify!($field)),)+ }
                }
            }
        )+
    };
}

structures! {
    /// What an input exports: the host copies `size` bytes of it. (`struct flb_input_plugin`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct InputPlugin {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `flags`.
        pub flags: usize,
        /// Offset of `name`.
        pub name: usize,
        /// Offset of `description`.
        pub description: usize,
        /// Offset of `config_map`.
        pub config_map: usize,
        /// Offset of `cb_init`.
        pub cb_init: usize,
        /// Offset of `cb_pre_run`.
        pub cb_pre_run: usize,
        /// Offset of `cb_collect`.
        pub cb_collect: usize,
        /// Offset of `cb_flush_buf`.
        pub cb_flush_buf: usize,
        /// Offset of `cb_pause`.
        pub cb_pause: usize,
        /// Offset of `cb_resume`.
        pub cb_resume: usize,
        /// Offset of `cb_ingest`.
        pub cb_ingest: usize,
        /// Offset of `cb_exit`.
        pub cb_exit: usize,
        /// Offset of `cb_destroy`.
        pub cb_destroy: usize,
        /// Offset of `instance`.
        pub instance: usize,
    }

    /// What a filter exports: the host copies `size` bytes of it. (`struct flb_filter_plugin`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct FilterPlugin {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `event_type`.
        pub event_type: usize,
        /// Offset of `flags`.
        pub flags: usize,
        /// Offset of `name`.
        pub name: usize,
        /// Offset of `description`.
        pub description: usize,
        /// Offset of `config_map`.
        pub config_map: usize,
        /// Offset of `cb_pre_run`.
        pub cb_pre_run: usize,
        /// Offset of `cb_init`.
        pub cb_init: usize,
        /// Offset of `cb_filter`.
        pub cb_filter: usize,
        /// Offset of `cb_exit`.
        pub cb_exit: usize,
    }

    /// What an output exports: the host copies `size` bytes of it. (`struct flb_output_plugin`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct OutputPlugin {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `event_type`.
        pub event_type: usize,
        /// Offset of `flags`.
        pub flags: usize,
        /// Offset of `name`.
        pub name: usize,
        /// Offset of `description`.
        pub description: usize,
        /// Offset of `config_map`.
        pub config_map: usize,
        /// Offset of `host`.
        pub host: usize,
        /// Offset of `cb_init`.
        pub cb_init: usize,
        /// Offset of `cb_pre_run`.
        pub cb_pre_run: usize,
        /// Offset of `cb_flush`.
        pub cb_flush: usize,
        /// Offset of `cb_exit`.
        pub cb_exit: usize,
        /// Offset of `cb_destroy`.
        pub cb_destroy: usize,
        /// Offset of `workers`.
        pub workers: usize,
    }

    /// One entry of an option table; `size` is the stride. (`struct flb_config_map`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct ConfigMap {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `type`.
        pub kind: usize,
        /// Offset of `name`.
        pub name: usize,
        /// Offset of `def_value`.
        pub def_value: usize,
        /// Offset of `flags`.
        pub flags: usize,
        /// Offset of `set_property`.
        pub set_property: usize,
        /// Offset of `offset`.
        pub offset: usize,
        /// Offset of `desc`.
        pub desc: usize,
        /// Offset of `value`.
        pub value: usize,
    }

    /// A configured input. (`struct flb_input_instance`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct InputInstance {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `processor`.
        pub processor: usize,
        /// Offset of `flags`.
        pub flags: usize,
        /// Offset of `id`.
        pub id: usize,
        /// Offset of `chunk_trace_ctxt`.
        pub chunk_trace_ctxt: usize,
        /// Offset of `log_level`.
        pub log_level: usize,
        /// Offset of `name`.
        pub name: usize,
        /// Offset of `alias`.
        pub alias: usize,
        /// Offset of `context`.
        pub context: usize,
        /// Offset of `ch_events`.
        pub ch_events: usize,
        /// Offset of `p`.
        pub p: usize,
        /// Offset of `tag`.
        pub tag: usize,
        /// Offset of `tag_len`.
        pub tag_len: usize,
        /// Offset of `routable`.
        pub routable: usize,
        /// Offset of `host`.
        pub host: usize,
        /// Offset of `mem_buf_status`.
        pub mem_buf_status: usize,
        /// Offset of `storage_buf_status`.
        pub storage_buf_status: usize,
        /// Offset of `config_map`.
        pub config_map: usize,
        /// Offset of `properties`.
        pub properties: usize,
        /// Offset of `is_threaded`.
        pub is_threaded: usize,
        /// Offset of `cmt`.
        pub cmt: usize,
        /// Offset of `use_tls`.
        pub use_tls: usize,
        /// Offset of `tls_verify`.
        pub tls_verify: usize,
        /// Offset of `tls_ca_file`.
        pub tls_ca_file: usize,
        /// Offset of `tls_crt_file`.
        pub tls_crt_file: usize,
        /// Offset of `tls_key_file`.
        pub tls_key_file: usize,
        /// Offset of `tls_key_passwd`.
        pub tls_key_passwd: usize,
        /// Offset of `config`.
        pub config: usize,
        /// Offset of `storage_type`.
        pub storage_type: usize,
        /// Offset of `mem_chunks_size`.
        pub mem_chunks_size: usize,
        /// Offset of `mem_buf_limit`.
        pub mem_buf_limit: usize,
        /// Offset of `net_properties`.
        pub net_properties: usize,
        /// Offset of `oauth2_jwt_properties`, in releases that have it.
        pub oauth2_jwt_properties: Option<usize>,
        /// Offset of `tls_verify_client`, in releases that have it.
        pub tls_verify_client: Option<usize>,
        /// Offset of `tls_verify_hostname`, in releases that have it.
        pub tls_verify_hostname: Option<usize>,
        /// Offset of `tls_debug`.
        pub tls_debug: usize,
        /// Offset of `tls_vhost`.
        pub tls_vhost: usize,
        /// Offset of `tls_ca_path`.
        pub tls_ca_path: usize,
        /// Offset of `tls_min_version`, in releases that have it.
        pub tls_min_version: Option<usize>,
        /// Offset of `tls_max_version`, in releases that have it.
        pub tls_max_version: Option<usize>,
        /// Offset of `tls_ciphers`, in releases that have it.
        pub tls_ciphers: Option<usize>,
    }

    /// A configured filter. (`struct flb_filter_instance`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct FilterInstance {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `event_type`.
        pub event_type: usize,
        /// Offset of `id`.
        pub id: usize,
        /// Offset of `log_level`.
        pub log_level: usize,
        /// Offset of `name`.
        pub name: usize,
        /// Offset of `alias`.
        pub alias: usize,
        /// Offset of `match`.
        pub match_rule: usize,
        /// Offset of `match_regex`.
        pub match_regex: usize,
        /// Offset of `parent_processor`.
        pub parent_processor: usize,
        /// Offset of `context`.
        pub context: usize,
        /// Offset of `data`.
        pub data: usize,
        /// Offset of `p`.
        pub p: usize,
        /// Offset of `properties`.
        pub properties: usize,
        /// Offset of `config_map`.
        pub config_map: usize,
        /// Offset of `cmt`.
        pub cmt: usize,
        /// Offset of `config`.
        pub config: usize,
    }

    /// A configured output. (`struct flb_output_instance`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct OutputInstance {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `event_type`.
        pub event_type: usize,
        /// Offset of `id`.
        pub id: usize,
        /// Offset of `log_level`.
        pub log_level: usize,
        /// Offset of `name`.
        pub name: usize,
        /// Offset of `alias`.
        pub alias: usize,
        /// Offset of `flags`.
        pub flags: usize,
        /// Offset of `ch_events`.
        pub ch_events: usize,
        /// Offset of `p`.
        pub p: usize,
        /// Offset of `context`.
        pub context: usize,
        /// Offset of `retry_limit`.
        pub retry_limit: usize,
        /// Offset of `retry_limit_is_set`, in releases that have it.
        pub retry_limit_is_set: Option<usize>,
        /// Offset of `match`.
        pub match_rule: usize,
        /// Offset of `match_regex`.
        pub match_regex: usize,
        /// Offset of `use_tls`.
        pub use_tls: usize,
        /// Offset of `tls_verify`.
        pub tls_verify: usize,
        /// Offset of `tls_ca_file`.
        pub tls_ca_file: usize,
        /// Offset of `tls_crt_file`.
        pub tls_crt_file: usize,
        /// Offset of `tls_key_file`.
        pub tls_key_file: usize,
        /// Offset of `tls_key_passwd`.
        pub tls_key_passwd: usize,
        /// Offset of `host`.
        pub host: usize,
        /// Offset of `properties`.
        pub properties: usize,
        /// Offset of `config_map`.
        pub config_map: usize,
        /// Offset of `cmt`.
        pub cmt: usize,
        /// Offset of `tp_workers`.
        pub tp_workers: usize,
        /// Offset of `is_threaded`.
        pub is_threaded: usize,
        /// Offset of `config`.
        pub config: usize,
        /// Offset of `net_properties`.
        pub net_properties: usize,
        /// Offset of `oauth2_properties`, in releases that have it.
        pub oauth2_properties: Option<usize>,
        /// Offset of `tls_verify_hostname`, in releases that have it.
        pub tls_verify_hostname: Option<usize>,
        /// Offset of `tls_debug`.
        pub tls_debug: usize,
        /// Offset of `tls_vhost`.
        pub tls_vhost: usize,
        /// Offset of `tls_ca_path`.
        pub tls_ca_path: usize,
        /// Offset of `tls_min_version`, in releases that have it.
        pub tls_min_version: Option<usize>,
        /// Offset of `tls_max_version`, in releases that have it.
        pub tls_max_version: Option<usize>,
        /// Offset of `tls_ciphers`, in releases that have it.
        pub tls_ciphers: Option<usize>,
        /// Offset of `tls_proxy_verify`, in releases that have it.
        pub tls_proxy_verify: Option<usize>,
        /// Offset of `tls_proxy_verify_hostname`, in releases that have it.
        pub tls_proxy_verify_hostname: Option<usize>,
        /// Offset of `tls_proxy_ca_path`, in releases that have it.
        pub tls_proxy_ca_path: Option<usize>,
        /// Offset of `tls_proxy_ca_file`, in releases that have it.
        pub tls_proxy_ca_file: Option<usize>,
    }

    /// One run of the engine. (`struct flb_config`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Config {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `is_ingestion_active`.
        pub is_ingestion_active: usize,
        /// Offset of `is_shutting_down`.
        pub is_shutting_down: usize,
        /// Offset of `is_running`.
        pub is_running: usize,
        /// Offset of `grace`.
        pub grace: usize,
        /// Offset of `log`.
        pub log: usize,
    }

    /// The host's logger. (`struct flb_log`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Log {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `level`.
        pub level: usize,
    }

    /// A chunk on its way to its outputs. (`struct flb_task`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Task {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `id`.
        pub id: usize,
        /// Offset of `event_chunk`.
        pub event_chunk: usize,
        /// Offset of `ic`, the chunk as the input knows it.
        pub ic: usize,
        /// Offset of `routes`.
        pub routes: usize,
        /// Offset of `i_ins`.
        pub i_ins: usize,
        /// Offset of `lock`.
        pub lock: usize,
    }

    /// One output that a task goes to. (`struct flb_task_route`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct TaskRoute {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `status`.
        pub status: usize,
        /// Offset of `records`, in releases that have it.
        pub records: Option<usize>,
        /// Offset of `bytes`, in releases that have it.
        pub bytes: Option<usize>,
        /// Offset of `out`.
        pub out: usize,
        /// Offset of `_head`.
        pub head: usize,
    }

    /// The content of a task. (`struct flb_event_chunk`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct EventChunk {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `type`.
        pub kind: usize,
        /// Offset of `tag`.
        pub tag: usize,
        /// Offset of `data`.
        pub data: usize,
        /// Offset of `size`.
        pub length: usize,
        /// Offset of `total_events`.
        pub total_events: usize,
        /// Offset of `trace`, in releases that have it.
        pub trace: Option<usize>,
    }

    /// One call of an output's flush. (`struct flb_output_flush`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct OutputFlush {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `id`.
        pub id: usize,
        /// Offset of `task`.
        pub task: usize,
        /// Offset of `config`.
        pub config: usize,
        /// Offset of `o_ins`.
        pub o_ins: usize,
        /// Offset of `coro`.
        pub coro: usize,
        /// Offset of `processed_event_chunk`.
        pub processed_event_chunk: usize,
    }

    /// A coroutine. (`struct flb_coro`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Coro {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `caller`.
        pub caller: usize,
        /// Offset of `callee`.
        pub callee: usize,
        /// Offset of `data`.
        pub data: usize,
    }

    /// A worker thread of an output. (`struct flb_out_thread_instance`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct OutThread {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `ch_thread_events`.
        pub ch_thread_events: usize,
    }

    /// One property as the user gave it. (`struct flb_kv`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Kv {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `key`.
        pub key: usize,
        /// Offset of `val`.
        pub val: usize,
        /// Offset of `_head`.
        pub head: usize,
    }

    /// An address that the host keeps for a plugin. (`struct flb_net_host`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct NetHost {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `port`.
        pub port: usize,
        /// Offset of `name`.
        pub name: usize,
        /// Offset of `listen`.
        pub listen: usize,
    }

    /// A doubly linked list, circular through its head. (`struct mk_list`)
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct MkList {
        /// Bytes of the whole structure.
        pub size: usize,
        /// Offset of `prev`.
        pub prev: usize,
        /// Offset of `next`.
        pub next: usize,
    }
}
