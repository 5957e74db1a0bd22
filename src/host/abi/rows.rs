//! The table: which release keeps its fields where.
//!
//! A row ties together the layouts of [`super::layouts`] that one range of releases has, and is
//! written as what changed since the row before. `make abi` proves rows against real headers.
//! Written down is what x86-64 has; [`HostAbi::on`] makes of it what another machine has.

use std::sync::OnceLock;

use super::hosts_file;
use super::layouts::{
    CONFIG_3_0_0, CONFIG_3_2_0, CONFIG_4_0_0, CONFIG_4_0_3, CONFIG_4_0_4, CONFIG_4_0_12,
    CONFIG_4_1_0, CONFIG_4_2_0, CONFIG_5_0_6, CONFIG_5_1_0, CONFIG_MAP_3_0_0, CONFIG_MAP_5_0_3,
    CORO_3_0_0, EVENT_CHUNK_3_0_0, FILTER_3_0_0, FILTER_3_2_0, FILTER_PLUGIN_3_0_0,
    FILTER_PLUGIN_3_2_0, FLUSH_3_0_0, INPUT_3_0_0, INPUT_3_1_0, INPUT_3_2_0, INPUT_3_2_3,
    INPUT_4_0_0, INPUT_4_0_4, INPUT_4_1_0, INPUT_5_0_0, INPUT_5_0_1, INPUT_5_0_3, INPUT_5_1_0,
    INPUT_PLUGIN_3_0_0, INPUT_PLUGIN_3_2_0, INPUT_PLUGIN_3_2_3, INPUT_PLUGIN_5_1_0, KV_3_0_0,
    LIST_3_0_0, LOG_3_0_0, LOG_4_0_3, LOG_5_0_0, NET_HOST_3_0_0, OUT_THREAD_3_0_0,
    OUT_THREAD_3_2_0, OUTPUT_3_0_0, OUTPUT_3_1_0, OUTPUT_3_2_0, OUTPUT_3_2_2, OUTPUT_4_0_0,
    OUTPUT_4_0_4, OUTPUT_4_0_6, OUTPUT_5_0_0, OUTPUT_5_0_3, OUTPUT_5_1_0, OUTPUT_PLUGIN_3_0_0,
    OUTPUT_PLUGIN_3_2_0, OUTPUT_PLUGIN_3_2_2, OUTPUT_PLUGIN_5_1_0, ROUTE_3_0_0, ROUTE_4_2_4,
    TASK_3_0_0,
};
use super::moves::Machine;
use super::row::{HostAbi, Release};

/// Every supported host layout of this machine, oldest first.
pub const ROWS: &[HostAbi] = &rows(Machine::OWN);

/// Every host layout that is known to this process, oldest first: [`ROWS`], and what a file adds.
///
/// # Errors
/// What is wrong with the file, and in which line.
pub fn known() -> Result<&'static [HostAbi], &'static str> {
    static KNOWN: OnceLock<Result<Vec<HostAbi>, String>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let mut rows = hosts_file::added(ROWS)?;
        rows.extend_from_slice(ROWS);
        rows.sort_by_key(|row| (row.first, row.last));
        Ok(rows)
    });
    known.as_deref().map_err(String::as_str)
}

/// Every supported host layout of a machine, oldest first.
pub(in super::super) const fn rows(machine: Machine) -> [HostAbi; WRITTEN.len()] {
    let mut rows = *WRITTEN;
    let mut rest = rows.as_mut_slice();
    while let [row, others @ ..] = rest {
        *row = row.on(machine);
        rest = others;
    }
    rows
}

/// The layouts of x86-64, oldest first.
const WRITTEN: &[HostAbi; 18] = &[
    ROW_3_0_0, ROW_3_1_0, ROW_3_2_0, ROW_3_2_2, ROW_3_2_3, ROW_4_0_0, ROW_4_0_3, ROW_4_0_4,
    ROW_4_0_6, ROW_4_0_12, ROW_4_1_0, ROW_4_2_0, ROW_4_2_4, ROW_5_0_0, ROW_5_0_1, ROW_5_0_3,
    ROW_5_0_6, ROW_5_1_0,
];

const ROW_3_0_0: HostAbi = HostAbi {
    since: "3.0.0",
    first: Release::new(3, 0, 0),
    last: Release::new(3, 0, 7),
    input_plugin: INPUT_PLUGIN_3_0_0,
    filter_plugin: FILTER_PLUGIN_3_0_0,
    output_plugin: OUTPUT_PLUGIN_3_0_0,
    config_map: CONFIG_MAP_3_0_0,
    input: INPUT_3_0_0,
    filter: FILTER_3_0_0,
    output: OUTPUT_3_0_0,
    config: CONFIG_3_0_0,
    log: LOG_3_0_0,
    task: TASK_3_0_0,
    route: ROUTE_3_0_0,
    event_chunk: EVENT_CHUNK_3_0_0,
    flush: FLUSH_3_0_0,
    coro: CORO_3_0_0,
    out_thread: OUT_THREAD_3_0_0,
    kv: KV_3_0_0,
    net_host: NET_HOST_3_0_0,
    list: LIST_3_0_0,
};

const ROW_3_1_0: HostAbi = HostAbi {
    since: "3.1.0",
    first: Release::new(3, 1, 0),
    last: Release::new(3, 1, 10),
    input: INPUT_3_1_0,
    output: OUTPUT_3_1_0,
    ..ROW_3_0_0
};

const ROW_3_2_0: HostAbi = HostAbi {
    since: "3.2.0",
    first: Release::new(3, 2, 0),
    last: Release::new(3, 2, 1),
    input_plugin: INPUT_PLUGIN_3_2_0,
    filter_plugin: FILTER_PLUGIN_3_2_0,
    output_plugin: OUTPUT_PLUGIN_3_2_0,
    input: INPUT_3_2_0,
    filter: FILTER_3_2_0,
    output: OUTPUT_3_2_0,
    config: CONFIG_3_2_0,
    out_thread: OUT_THREAD_3_2_0,
    ..ROW_3_1_0
};

const ROW_3_2_2: HostAbi = HostAbi {
    since: "3.2.2",
    first: Release::new(3, 2, 2),
    last: Release::new(3, 2, 2),
    output_plugin: OUTPUT_PLUGIN_3_2_2,
    output: OUTPUT_3_2_2,
    ..ROW_3_2_0
};

const ROW_3_2_3: HostAbi = HostAbi {
    since: "3.2.3",
    first: Release::new(3, 2, 3),
    last: Release::new(3, 2, 10),
    input_plugin: INPUT_PLUGIN_3_2_3,
    input: INPUT_3_2_3,
    ..ROW_3_2_2
};

const ROW_4_0_0: HostAbi = HostAbi {
    since: "4.0.0",
    first: Release::new(4, 0, 0),
    last: Release::new(4, 0, 2),
    input: INPUT_4_0_0,
    output: OUTPUT_4_0_0,
    config: CONFIG_4_0_0,
    ..ROW_3_2_3
};

const ROW_4_0_3: HostAbi = HostAbi {
    since: "4.0.3",
    first: Release::new(4, 0, 3),
    last: Release::new(4, 0, 3),
    config: CONFIG_4_0_3,
    log: LOG_4_0_3,
    ..ROW_4_0_0
};

const ROW_4_0_4: HostAbi = HostAbi {
    since: "4.0.4",
    first: Release::new(4, 0, 4),
    last: Release::new(4, 0, 5),
    input: INPUT_4_0_4,
    output: OUTPUT_4_0_4,
    config: CONFIG_4_0_4,
    ..ROW_4_0_3
};

const ROW_4_0_6: HostAbi = HostAbi {
    since: "4.0.6",
    first: Release::new(4, 0, 6),
    last: Release::new(4, 0, 11),
    output: OUTPUT_4_0_6,
    ..ROW_4_0_4
};

const ROW_4_0_12: HostAbi = HostAbi {
    since: "4.0.12",
    first: Release::new(4, 0, 12),
    last: Release::new(4, 0, 14),
    config: CONFIG_4_0_12,
    ..ROW_4_0_6
};

const ROW_4_1_0: HostAbi = HostAbi {
    since: "4.1.0",
    first: Release::new(4, 1, 0),
    last: Release::new(4, 1, 2),
    input: INPUT_4_1_0,
    config: CONFIG_4_1_0,
    ..ROW_4_0_12
};

const ROW_4_2_0: HostAbi = HostAbi {
    since: "4.2.0",
    first: Release::new(4, 2, 0),
    last: Release::new(4, 2, 3),
    config: CONFIG_4_2_0,
    ..ROW_4_1_0
};

const ROW_4_2_4: HostAbi = HostAbi {
    since: "4.2.4",
    first: Release::new(4, 2, 4),
    last: Release::new(4, 2, 8),
    route: ROUTE_4_2_4,
    ..ROW_4_2_0
};

const ROW_5_0_0: HostAbi = HostAbi {
    since: "5.0.0",
    first: Release::new(5, 0, 0),
    last: Release::new(5, 0, 0),
    input: INPUT_5_0_0,
    output: OUTPUT_5_0_0,
    log: LOG_5_0_0,
    ..ROW_4_2_4
};

const ROW_5_0_1: HostAbi = HostAbi {
    since: "5.0.1",
    first: Release::new(5, 0, 1),
    last: Release::new(5, 0, 2),
    input: INPUT_5_0_1,
    ..ROW_5_0_0
};

const ROW_5_0_3: HostAbi = HostAbi {
    since: "5.0.3",
    first: Release::new(5, 0, 3),
    last: Release::new(5, 0, 5),
    config_map: CONFIG_MAP_5_0_3,
    input: INPUT_5_0_3,
    output: OUTPUT_5_0_3,
    ..ROW_5_0_1
};

const ROW_5_0_6: HostAbi = HostAbi {
    since: "5.0.6",
    first: Release::new(5, 0, 6),
    last: Release::new(5, 0, 9),
    config: CONFIG_5_0_6,
    ..ROW_5_0_3
};

const ROW_5_1_0: HostAbi = HostAbi {
    since: "5.1.0",
    first: Release::new(5, 1, 0),
    last: Release::new(5, 1, 1),
    input_plugin: INPUT_PLUGIN_5_1_0,
    output_plugin: OUTPUT_PLUGIN_5_1_0,
    input: INPUT_5_1_0,
    output: OUTPUT_5_1_0,
    config: CONFIG_5_1_0,
    ..ROW_5_0_6
};
