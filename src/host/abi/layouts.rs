//! The layouts that the host's structures ever had, release by release.
//!
//! Each constant is one layout of one structure, named after the first release that has it. What plugins
//! and hosts hand to each other is declared in include/, and bindgen says where its fields are. Of the
//! instances, whose structures are large and ours in a few fields only, the offsets stand here, as what
//! changed since the layout before. All are those of x86-64 Linux with glibc and the options of the
//! official builds; [`super::moves`] computes what another machine or another option moves.

use std::mem::offset_of;

use super::bindings;
use super::moves::Machine;
use super::structs::{
    Config, ConfigMap, Coro, EventChunk, FilterInstance, FilterPlugin, InputInstance, InputPlugin,
    Kv, Log, MkList, NetHost, OutThread, OutputFlush, OutputInstance, OutputPlugin, Task,
    TaskRoute,
};

/// A layout as bindgen found it in the declaration of include/fluent_bit_ai_host.h: the fields that have
/// one name on both sides, and the others.
macro_rules! declared {
    ($layout:ident, $declaration:ident, { $($field:ident),* } $(, $own:ident: $value:expr)*) => {
        $layout {
            size: size_of::<bindings::$declaration>(),
            $($field: offset_of!(bindings::$declaration, $field),)*
            $($own: $value,)*
        }
    };
}

macro_rules! input_plugin {
    ($declaration:ident) => {
        declared!(InputPlugin, $declaration, {
            flags, name, description, config_map, cb_init, cb_pre_run, cb_collect, cb_flush_buf,
            cb_pause, cb_resume, cb_ingest, cb_exit, cb_destroy, instance
        })
    };
}

macro_rules! filter_plugin {
    ($declaration:ident) => {
        declared!(FilterPlugin, $declaration, {
            event_type, flags, name, description, config_map, cb_pre_run, cb_init, cb_filter, cb_exit
        })
    };
}

macro_rules! output_plugin {
    ($declaration:ident) => {
        declared!(OutputPlugin, $declaration, {
            event_type, flags, name, description, config_map, host, cb_init, cb_pre_run, cb_flush,
            cb_exit, cb_destroy, workers
        })
    };
}

macro_rules! config_map {
    ($declaration:ident) => {
        declared!(
            ConfigMap, $declaration,
            { name, def_value, flags, set_property, offset, desc, value },
            kind: offset_of!(bindings::$declaration, type_)
        )
    };
}

pub(super) const INPUT_PLUGIN_3_0_0: InputPlugin = input_plugin!(fb_input_plugin_3_0_0);
pub(super) const INPUT_PLUGIN_3_2_0: InputPlugin = input_plugin!(fb_input_plugin_3_2_0);
pub(super) const INPUT_PLUGIN_3_2_3: InputPlugin = input_plugin!(fb_input_plugin_3_2_3);
pub(super) const INPUT_PLUGIN_5_1_0: InputPlugin = input_plugin!(fb_input_plugin_5_1_0);

pub(super) const FILTER_PLUGIN_3_0_0: FilterPlugin = filter_plugin!(fb_filter_plugin_3_0_0);
pub(super) const FILTER_PLUGIN_3_2_0: FilterPlugin = filter_plugin!(fb_filter_plugin_3_2_0);

pub(super) const OUTPUT_PLUGIN_3_0_0: OutputPlugin = output_plugin!(fb_output_plugin_3_0_0);
pub(super) const OUTPUT_PLUGIN_3_2_0: OutputPlugin = output_plugin!(fb_output_plugin_3_2_0);
pub(super) const OUTPUT_PLUGIN_3_2_2: OutputPlugin = output_plugin!(fb_output_plugin_3_2_2);
pub(super) const OUTPUT_PLUGIN_5_1_0: OutputPlugin = output_plugin!(fb_output_plugin_5_1_0);

pub(super) const CONFIG_MAP_3_0_0: ConfigMap = config_map!(fb_config_map_3_0_0);
pub(super) const CONFIG_MAP_5_0_3: ConfigMap = config_map!(fb_config_map_5_0_3);

pub(super) const INPUT_3_0_0: InputInstance = InputInstance {
    size: 928,
    processor: 72,
    flags: 80,
    id: 84,
    chunk_trace_ctxt: 88,
    log_level: 136,
    name: 156,
    alias: 192,
    context: 200,
    ch_events: 208,
    p: 216,
    tag: 224,
    tag_len: 232,
    routable: 240,
    host: 248,
    mem_buf_status: 336,
    storage_buf_status: 340,
    config_map: 352,
    properties: 408,
    is_threaded: 552,
    cmt: 608,
    use_tls: 736,
    tls_verify: 740,
    tls_ca_file: 768,
    tls_crt_file: 776,
    tls_key_file: 784,
    tls_key_passwd: 792,
    config: 920,
    storage_type: 304,
    mem_chunks_size: 312,
    mem_buf_limit: 328,
    net_properties: 904,
    oauth2_jwt_properties: None,
    tls_verify_client: None,
    tls_verify_hostname: None,
    tls_debug: 744,
    tls_vhost: 752,
    tls_ca_path: 760,
    tls_min_version: None,
    tls_max_version: None,
    tls_ciphers: None,
};
pub(super) const INPUT_3_1_0: InputInstance =
    InputInstance { tls_verify_hostname: Some(744), tls_debug: 748, ..INPUT_3_0_0 };
pub(super) const INPUT_3_2_0: InputInstance =
    InputInstance { size: 952, config: 944, net_properties: 920, ..INPUT_3_1_0 };
pub(super) const INPUT_3_2_3: InputInstance = InputInstance {
    size: 1008,
    context: 208,
    ch_events: 216,
    p: 224,
    tag: 232,
    tag_len: 240,
    routable: 248,
    host: 256,
    mem_buf_status: 344,
    storage_buf_status: 348,
    config_map: 360,
    properties: 416,
    is_threaded: 608,
    cmt: 664,
    use_tls: 792,
    tls_verify: 796,
    tls_ca_file: 824,
    tls_crt_file: 832,
    tls_key_file: 840,
    tls_key_passwd: 848,
    config: 1000,
    storage_type: 312,
    mem_chunks_size: 320,
    mem_buf_limit: 336,
    net_properties: 976,
    tls_verify_hostname: Some(800),
    tls_debug: 804,
    tls_vhost: 808,
    tls_ca_path: 816,
    ..INPUT_3_2_0
};
pub(super) const INPUT_4_0_0: InputInstance = InputInstance {
    size: 1040,
    use_tls: 800,
    tls_verify: 804,
    tls_ca_file: 832,
    tls_crt_file: 840,
    tls_key_file: 848,
    tls_key_passwd: 856,
    config: 1032,
    net_properties: 1008,
    tls_verify_hostname: Some(808),
    tls_debug: 812,
    tls_vhost: 816,
    tls_ca_path: 824,
    tls_min_version: Some(864),
    tls_max_version: Some(872),
    tls_ciphers: Some(880),
    ..INPUT_3_2_3
};
pub(super) const INPUT_4_0_4: InputInstance =
    InputInstance { size: 1048, config: 1040, net_properties: 1016, ..INPUT_4_0_0 };
pub(super) const INPUT_4_1_0: InputInstance = InputInstance {
    size: 1088,
    cmt: 680,
    use_tls: 840,
    tls_verify: 844,
    tls_ca_file: 872,
    tls_crt_file: 880,
    tls_key_file: 888,
    tls_key_passwd: 896,
    config: 1080,
    net_properties: 1056,
    tls_verify_hostname: Some(848),
    tls_debug: 852,
    tls_vhost: 856,
    tls_ca_path: 864,
    tls_min_version: Some(904),
    tls_max_version: Some(912),
    tls_ciphers: Some(920),
    ..INPUT_4_0_4
};
pub(super) const INPUT_5_0_0: InputInstance = InputInstance {
    size: 1312,
    tls_ca_file: 880,
    tls_crt_file: 888,
    tls_key_file: 896,
    tls_key_passwd: 904,
    config: 1304,
    net_properties: 1064,
    oauth2_jwt_properties: Some(1280),
    tls_verify_client: Some(848),
    tls_verify_hostname: Some(852),
    tls_debug: 856,
    tls_vhost: 864,
    tls_ca_path: 872,
    tls_min_version: Some(912),
    tls_max_version: Some(920),
    tls_ciphers: Some(928),
    ..INPUT_4_1_0
};
pub(super) const INPUT_5_0_1: InputInstance = InputInstance {
    size: 1352,
    use_tls: 880,
    tls_verify: 884,
    tls_ca_file: 920,
    tls_crt_file: 928,
    tls_key_file: 936,
    tls_key_passwd: 944,
    config: 1344,
    net_properties: 1104,
    oauth2_jwt_properties: Some(1320),
    tls_verify_client: Some(888),
    tls_verify_hostname: Some(892),
    tls_debug: 896,
    tls_vhost: 904,
    tls_ca_path: 912,
    tls_min_version: Some(952),
    tls_max_version: Some(960),
    tls_ciphers: Some(968),
    ..INPUT_5_0_0
};
pub(super) const INPUT_5_0_3: InputInstance = InputInstance {
    size: 1376,
    use_tls: 904,
    tls_verify: 908,
    tls_ca_file: 944,
    tls_crt_file: 952,
    tls_key_file: 960,
    tls_key_passwd: 968,
    config: 1368,
    net_properties: 1128,
    oauth2_jwt_properties: Some(1344),
    tls_verify_client: Some(912),
    tls_verify_hostname: Some(916),
    tls_debug: 920,
    tls_vhost: 928,
    tls_ca_path: 936,
    tls_min_version: Some(976),
    tls_max_version: Some(984),
    tls_ciphers: Some(992),
    ..INPUT_5_0_1
};
pub(super) const INPUT_5_1_0: InputInstance = InputInstance {
    size: 1552,
    routable: 252,
    host: 264,
    mem_buf_status: 352,
    storage_buf_status: 356,
    config_map: 368,
    properties: 424,
    is_threaded: 616,
    cmt: 688,
    use_tls: 1080,
    tls_verify: 1084,
    tls_ca_file: 1120,
    tls_crt_file: 1128,
    tls_key_file: 1136,
    tls_key_passwd: 1144,
    config: 1544,
    storage_type: 320,
    mem_chunks_size: 328,
    mem_buf_limit: 344,
    net_properties: 1304,
    oauth2_jwt_properties: Some(1520),
    tls_verify_client: Some(1088),
    tls_verify_hostname: Some(1092),
    tls_debug: 1096,
    tls_vhost: 1104,
    tls_ca_path: 1112,
    tls_min_version: Some(1152),
    tls_max_version: Some(1160),
    tls_ciphers: Some(1168),
    ..INPUT_5_0_3
};

pub(super) const FILTER_3_0_0: FilterInstance = FilterInstance {
    size: 200,
    event_type: 0,
    id: 4,
    log_level: 8,
    name: 16,
    alias: 48,
    match_rule: 56,
    match_regex: 64,
    parent_processor: 72,
    context: 80,
    data: 88,
    p: 96,
    properties: 104,
    config_map: 120,
    cmt: 144,
    config: 192,
};
pub(super) const FILTER_3_2_0: FilterInstance =
    FilterInstance { size: 216, config: 208, ..FILTER_3_0_0 };

pub(super) const OUTPUT_3_0_0: OutputInstance = OutputInstance {
    size: 744,
    event_type: 80,
    id: 84,
    log_level: 88,
    name: 96,
    alias: 128,
    flags: 136,
    ch_events: 144,
    p: 152,
    context: 160,
    retry_limit: 168,
    retry_limit_is_set: None,
    match_rule: 176,
    match_regex: 184,
    use_tls: 172,
    tls_verify: 192,
    tls_ca_file: 216,
    tls_crt_file: 224,
    tls_key_file: 232,
    tls_key_passwd: 240,
    host: 248,
    properties: 320,
    config_map: 336,
    cmt: 472,
    tp_workers: 656,
    is_threaded: 672,
    config: 736,
    net_properties: 432,
    oauth2_properties: None,
    tls_verify_hostname: None,
    tls_debug: 196,
    tls_vhost: 200,
    tls_ca_path: 208,
    tls_min_version: None,
    tls_max_version: None,
    tls_ciphers: None,
    tls_proxy_verify: None,
    tls_proxy_verify_hostname: None,
    tls_proxy_ca_path: None,
    tls_proxy_ca_file: None,
};
pub(super) const OUTPUT_3_1_0: OutputInstance = OutputInstance {
    size: 752,
    tls_ca_file: 224,
    tls_crt_file: 232,
    tls_key_file: 240,
    tls_key_passwd: 248,
    host: 256,
    properties: 328,
    config_map: 344,
    cmt: 480,
    tp_workers: 664,
    is_threaded: 680,
    config: 744,
    net_properties: 440,
    tls_verify_hostname: Some(196),
    tls_debug: 200,
    tls_vhost: 208,
    tls_ca_path: 216,
    ..OUTPUT_3_0_0
};
pub(super) const OUTPUT_3_2_0: OutputInstance = OutputInstance {
    size: 776,
    cmt: 496,
    tp_workers: 680,
    is_threaded: 696,
    config: 768,
    net_properties: 456,
    ..OUTPUT_3_1_0
};
pub(super) const OUTPUT_3_2_2: OutputInstance =
    OutputInstance { size: 824, tp_workers: 728, is_threaded: 744, config: 816, ..OUTPUT_3_2_0 };
pub(super) const OUTPUT_4_0_0: OutputInstance = OutputInstance {
    size: 848,
    host: 280,
    properties: 352,
    config_map: 368,
    cmt: 520,
    tp_workers: 752,
    is_threaded: 768,
    config: 840,
    net_properties: 480,
    tls_min_version: Some(256),
    tls_max_version: Some(264),
    tls_ciphers: Some(272),
    ..OUTPUT_3_2_2
};
pub(super) const OUTPUT_4_0_4: OutputInstance = OutputInstance {
    size: 856,
    cmt: 528,
    tp_workers: 760,
    is_threaded: 776,
    config: 848,
    net_properties: 488,
    ..OUTPUT_4_0_0
};
pub(super) const OUTPUT_4_0_6: OutputInstance =
    OutputInstance { size: 864, tp_workers: 768, is_threaded: 784, config: 856, ..OUTPUT_4_0_4 };
pub(super) const OUTPUT_5_0_0: OutputInstance = OutputInstance {
    size: 928,
    cmt: 584,
    tp_workers: 832,
    is_threaded: 848,
    config: 920,
    oauth2_properties: Some(544),
    ..OUTPUT_4_0_6
};
pub(super) const OUTPUT_5_0_3: OutputInstance = OutputInstance {
    size: 936,
    retry_limit_is_set: Some(172),
    match_rule: 184,
    match_regex: 192,
    use_tls: 176,
    tls_verify: 200,
    tls_ca_file: 232,
    tls_crt_file: 240,
    tls_key_file: 248,
    tls_key_passwd: 256,
    host: 288,
    properties: 360,
    config_map: 376,
    cmt: 592,
    tp_workers: 840,
    is_threaded: 856,
    config: 928,
    net_properties: 496,
    oauth2_properties: Some(552),
    tls_verify_hostname: Some(204),
    tls_debug: 208,
    tls_vhost: 216,
    tls_ca_path: 224,
    tls_min_version: Some(264),
    tls_max_version: Some(272),
    tls_ciphers: Some(280),
    ..OUTPUT_5_0_0
};
pub(super) const OUTPUT_5_1_0: OutputInstance = OutputInstance {
    size: 968,
    host: 312,
    properties: 384,
    config_map: 400,
    cmt: 616,
    tp_workers: 872,
    is_threaded: 888,
    config: 960,
    net_properties: 520,
    oauth2_properties: Some(576),
    tls_proxy_verify: Some(288),
    tls_proxy_verify_hostname: Some(292),
    tls_proxy_ca_path: Some(296),
    tls_proxy_ca_file: Some(304),
    ..OUTPUT_5_0_3
};

pub(super) const CONFIG_3_0_0: Config = Config {
    size: 18600,
    is_ingestion_active: 76,
    is_shutting_down: 80,
    is_running: 84,
    grace: 96,
    log: 768,
};
pub(super) const CONFIG_3_2_0: Config = Config { size: 18688, log: 856, ..CONFIG_3_0_0 };
pub(super) const CONFIG_4_0_0: Config = Config { size: 2344, ..CONFIG_3_2_0 };
pub(super) const CONFIG_4_0_3: Config = Config { size: 2352, ..CONFIG_4_0_0 };
pub(super) const CONFIG_4_0_4: Config = Config { size: 2368, ..CONFIG_4_0_3 };
pub(super) const CONFIG_4_0_12: Config = Config { size: 2376, ..CONFIG_4_0_4 };
pub(super) const CONFIG_4_1_0: Config = Config { size: 2384, log: 864, ..CONFIG_4_0_12 };
pub(super) const CONFIG_4_2_0: Config = Config { size: 2400, ..CONFIG_4_1_0 };
pub(super) const CONFIG_5_0_6: Config = Config { size: 2408, ..CONFIG_4_2_0 };
pub(super) const CONFIG_5_1_0: Config = Config { size: 2568, grace: 176, log: 944, ..CONFIG_5_0_6 };

pub(super) const LOG_3_0_0: Log = Log { size: 216, level: 82 };
pub(super) const LOG_4_0_3: Log = Log { size: 224, ..LOG_3_0_0 };
pub(super) const LOG_5_0_0: Log = Log { size: 408, ..LOG_4_0_3 };

/// The lock is the last that a task has.
pub(super) const TASK_3_0_0: Task = Task {
    size: offset_of!(bindings::fb_task, lock) + Machine::X86_64.mutex,
    ..declared!(Task, fb_task, { id, event_chunk, ic, routes, i_ins, lock })
};

pub(super) const ROUTE_3_0_0: TaskRoute = declared!(
    TaskRoute, fb_task_route_3_0_0, { status, out, head }, records: None, bytes: None
);
pub(super) const ROUTE_4_2_4: TaskRoute = declared!(
    TaskRoute, fb_task_route_4_2_4, { status, out, head },
    records: Some(offset_of!(bindings::fb_task_route_4_2_4, records)),
    bytes: Some(offset_of!(bindings::fb_task_route_4_2_4, bytes))
);

pub(super) const EVENT_CHUNK_3_0_0: EventChunk = declared!(
    EventChunk, fb_event_chunk, { tag, data, total_events },
    kind: offset_of!(bindings::fb_event_chunk, type_),
    length: offset_of!(bindings::fb_event_chunk, size),
    trace: Some(offset_of!(bindings::fb_event_chunk, trace))
);

pub(super) const FLUSH_3_0_0: OutputFlush = declared!(
    OutputFlush, fb_output_flush, { id, task, config, o_ins, coro, processed_event_chunk }
);

pub(super) const CORO_3_0_0: Coro = declared!(Coro, fb_coro_valgrind, { caller, callee, data });

/// The same in hosts that were built without Valgrind's header.
const CORO_PLAIN: Coro = declared!(Coro, fb_coro_plain, { caller, callee, data });
const _: () = {
    let (plain, moved) = (CORO_PLAIN, CORO_3_0_0.without_valgrind());
    assert!(plain.size == moved.size && plain.caller == moved.caller && plain.data == moved.data);
};

pub(super) const OUT_THREAD_3_0_0: OutThread = OutThread { size: 240, ch_thread_events: 96 };
pub(super) const OUT_THREAD_3_2_0: OutThread = OutThread { size: 328, ..OUT_THREAD_3_0_0 };

pub(super) const KV_3_0_0: Kv = declared!(Kv, fb_kv, { key, val, head });

pub(super) const NET_HOST_3_0_0: NetHost = declared!(NetHost, fb_net_host, { port, name, listen });

pub(super) const LIST_3_0_0: MkList = declared!(MkList, fb_list, { prev, next });
