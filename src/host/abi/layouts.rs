//! The layouts that the host's structures ever had, release by release.
//!
//! Each constant is one layout of one structure, named after the first release that has it, and is
//! written as what changed since the layout before. They are those of x86-64 Linux with glibc and
//! the options of the official builds; [`super::moves`] computes what another machine or another
//! option moves.

use super::structs::{
    Config, ConfigMap, Coro, EventChunk, FilterInstance, FilterPlugin, InputInstance, InputPlugin,
    Kv, Log, MkList, NetHost, OutThread, OutputFlush, OutputInstance, OutputPlugin, Task,
    TaskRoute,
};

pub(super) const INPUT_PLUGIN_3_0_0: InputPlugin = InputPlugin {
    size: 152,
    flags: 16,
    name: 24,
    description: 32,
    config_map: 40,
    cb_init: 48,
    cb_pre_run: 56,
    cb_collect: 64,
    cb_flush_buf: 72,
    cb_pause: 88,
    cb_resume: 96,
    cb_ingest: 104,
    cb_exit: 112,
    cb_destroy: 120,
    instance: 128,
};
pub(super) const INPUT_PLUGIN_3_2_0: InputPlugin = InputPlugin {
    size: 160,
    cb_flush_buf: 80,
    cb_pause: 96,
    cb_resume: 104,
    cb_ingest: 112,
    cb_exit: 120,
    cb_destroy: 128,
    instance: 136,
    ..INPUT_PLUGIN_3_0_0
};
pub(super) const INPUT_PLUGIN_3_2_3: InputPlugin =
    InputPlugin { size: 208, instance: 184, ..INPUT_PLUGIN_3_2_0 };
pub(super) const INPUT_PLUGIN_5_1_0: InputPlugin = InputPlugin {
    size: 232,
    cb_ingest: 128,
    cb_exit: 144,
    cb_destroy: 152,
    instance: 208,
    ..INPUT_PLUGIN_3_2_3
};

pub(super) const FILTER_PLUGIN_3_0_0: FilterPlugin = FilterPlugin {
    size: 80,
    event_type: 0,
    flags: 4,
    name: 8,
    description: 16,
    config_map: 24,
    cb_pre_run: 32,
    cb_init: 40,
    cb_filter: 48,
    cb_exit: 56,
};
pub(super) const FILTER_PLUGIN_3_2_0: FilterPlugin =
    FilterPlugin { size: 88, ..FILTER_PLUGIN_3_0_0 };

pub(super) const OUTPUT_PLUGIN_3_0_0: OutputPlugin = OutputPlugin {
    size: 208,
    event_type: 0,
    flags: 16,
    name: 24,
    description: 32,
    config_map: 40,
    host: 48,
    cb_init: 96,
    cb_pre_run: 104,
    cb_flush: 112,
    cb_exit: 120,
    cb_destroy: 128,
    workers: 136,
};
pub(super) const OUTPUT_PLUGIN_3_2_0: OutputPlugin =
    OutputPlugin { size: 232, ..OUTPUT_PLUGIN_3_0_0 };
pub(super) const OUTPUT_PLUGIN_3_2_2: OutputPlugin =
    OutputPlugin { size: 280, ..OUTPUT_PLUGIN_3_2_0 };
pub(super) const OUTPUT_PLUGIN_5_1_0: OutputPlugin =
    OutputPlugin { size: 288, ..OUTPUT_PLUGIN_3_2_2 };

pub(super) const CONFIG_MAP_3_0_0: ConfigMap = ConfigMap {
    size: 96,
    kind: 0,
    name: 8,
    def_value: 16,
    flags: 24,
    set_property: 28,
    offset: 32,
    desc: 40,
    value: 48,
};
pub(super) const CONFIG_MAP_5_0_3: ConfigMap = ConfigMap { size: 104, ..CONFIG_MAP_3_0_0 };

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

pub(super) const TASK_3_0_0: Task =
    Task { size: 152, id: 0, event_chunk: 24, ic: 32, routes: 48, i_ins: 96, lock: 112 };

pub(super) const ROUTE_3_0_0: TaskRoute =
    TaskRoute { size: 32, status: 0, records: None, bytes: None, out: 8, head: 16 };
pub(super) const ROUTE_4_2_4: TaskRoute =
    TaskRoute { size: 40, records: Some(4), bytes: Some(8), out: 16, head: 24, ..ROUTE_3_0_0 };

pub(super) const EVENT_CHUNK_3_0_0: EventChunk = EventChunk {
    size: 48,
    kind: 0,
    tag: 8,
    data: 16,
    length: 24,
    total_events: 32,
    trace: Some(40),
};

pub(super) const FLUSH_3_0_0: OutputFlush = OutputFlush {
    size: 72,
    id: 0,
    task: 16,
    config: 24,
    o_ins: 32,
    coro: 40,
    processed_event_chunk: 48,
};

pub(super) const CORO_3_0_0: Coro = Coro { size: 32, caller: 8, callee: 16, data: 24 };

pub(super) const OUT_THREAD_3_0_0: OutThread = OutThread { size: 240, ch_thread_events: 96 };
pub(super) const OUT_THREAD_3_2_0: OutThread = OutThread { size: 328, ..OUT_THREAD_3_0_0 };

pub(super) const KV_3_0_0: Kv = Kv { size: 32, key: 0, val: 8, head: 16 };

pub(super) const NET_HOST_3_0_0: NetHost = NetHost { size: 48, port: 16, name: 24, listen: 32 };

pub(super) const LIST_3_0_0: MkList = MkList { size: 16, prev: 0, next: 8 };
