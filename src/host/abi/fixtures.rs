//! Rows against what probes found in real headers, and against our own declarations.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use super::hosts_file;
use super::moves::Machine;
use super::row::{HostAbi, Release};
use super::rows::{ROWS, rows};

/// `input_plugin.size` -> 152 and so on, read from the row's own debug text so that no field is
/// forgotten.
fn fields(row: &HostAbi) -> BTreeMap<String, usize> {
    let mut fields = BTreeMap::new();
    let (mut structure, mut field) = (String::new(), String::new());
    for line in format!("{row:#?}").lines() {
        let depth = line.len() - line.trim_start().len();
        let text = line.trim().trim_end_matches(',');
        if depth == 4 && text.ends_with('{') {
            structure = text.split(':').next().unwrap().to_owned();
        }
        let value = match text.split_once(": ") {
            Some((name, value)) => {
                field = name.to_owned();
                value
            }
            None => text,
        };
        if let Ok(value) = value.parse()
            && !matches!(structure.as_str(), "first" | "last")
        {
            fields.insert(format!("{structure}.{field}"), value);
        }
    }
    fields
}

/// The folder of what `tests/abi/probe.c` printed for a machine.
fn folder(machine: Machine) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/abi/fixtures").join(machine.name)
}

/// The fixtures of a machine: path, release, and field to offset.
fn fixtures(machine: Machine) -> Vec<(PathBuf, Release, BTreeMap<String, usize>)> {
    let entries = std::fs::read_dir(folder(machine)).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let release = text.lines().next().unwrap().strip_prefix("release ").unwrap();
            let release = Release::parse(release).unwrap();
            let pairs = text.lines().skip(1).map(|line| line.split_once(' ').unwrap());
            let found =
                pairs.map(|(name, offset)| (name.to_owned(), offset.parse().unwrap())).collect();
            (path, release, found)
        })
        .collect()
}

/// Scenario: each fixture is what `tests/abi/probe.c` printed when compiled for a machine with the
/// headers of a release and the definitions of its build.
/// Guarantees: on every machine every row is held against one, and has every field at the same place.
#[test]
fn rows_are_what_real_headers_say() {
    for machine in Machine::ALL {
        let rows = rows(machine);
        let mut proved = BTreeSet::new();
        for (_, release, found) in fixtures(machine) {
            let row = rows.iter().find(|row| row.covers(release));
            let row = row.unwrap_or_else(|| panic!("no row for {release}"));
            let mut expected = *row;
            if found["coro.size"] == 24 {
                expected.coro = row.coro.without_valgrind();
            }
            assert_eq!(found, fields(&expected), "release {release} on {}", machine.name);
            proved.insert(row.since);
        }
        let all: BTreeSet<&str> = rows.iter().map(|row| row.since).collect();
        assert_eq!(proved, all, "rows without a fixture on {}", machine.name);
    }
}

/// Guarantees: what `make abi` writes of real headers for `hosts.toml` is read as the row in code.
#[test]
fn rows_as_data_are_rows_in_code() {
    for machine in Machine::ALL {
        let rows = rows(machine);
        for (path, release, _) in fixtures(machine) {
            let made = Command::new("sh")
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/abi/row.sh"))
                .args([path.as_os_str(), machine.name.as_ref()])
                .output()
                .unwrap();
            assert!(made.status.success());
            let text = String::from_utf8(made.stdout).unwrap();
            let read = hosts_file::read(&text, machine, &rows).unwrap();
            let row = rows.iter().find(|row| row.covers(release)).unwrap();
            assert_eq!(read.len(), 1);
            let range = (read[0].since, read[0].first, read[0].last);
            assert_eq!(range, (release.to_string().as_str(), release, release));
            assert!(read[0].is_laid_out_as(row), "release {release} on {}", machine.name);
        }
    }
}

/// Compares offsets of ours with offsets of a declaration.
fn compare(declaration: &str, pairs: &[(usize, usize)]) {
    for (index, (ours, theirs)) in pairs.iter().enumerate() {
        assert_eq!(ours, theirs, "{declaration}: number {index} of the fields, after the size");
    }
}

/// Compares a declaration of `include/fluent_bit_ai_host.h` with a structure of a row.
macro_rules! same {
    ($row:expr, $theirs:ident, $($ours:ident = $field:ident),*) => {
        compare(stringify!($theirs), &[
            ($row.size, size_of::<super::bindings::$theirs>()),
            $(($row.$ours, std::mem::offset_of!(super::bindings::$theirs, $field)),)*
        ])
    };
}

macro_rules! same_input {
    ($row:expr, $theirs:ident) => {
        same!(
            $row.input_plugin,
            $theirs,
            flags = flags,
            name = name,
            description = description,
            config_map = config_map,
            cb_init = cb_init,
            cb_pre_run = cb_pre_run,
            cb_collect = cb_collect,
            cb_flush_buf = cb_flush_buf,
            cb_pause = cb_pause,
            cb_resume = cb_resume,
            cb_ingest = cb_ingest,
            cb_exit = cb_exit,
            cb_destroy = cb_destroy,
            instance = instance
        )
    };
}

macro_rules! same_filter {
    ($row:expr, $theirs:ident) => {
        same!(
            $row.filter_plugin,
            $theirs,
            event_type = event_type,
            flags = flags,
            name = name,
            description = description,
            config_map = config_map,
            cb_pre_run = cb_pre_run,
            cb_init = cb_init,
            cb_filter = cb_filter,
            cb_exit = cb_exit
        )
    };
}

macro_rules! same_output {
    ($row:expr, $theirs:ident) => {
        same!(
            $row.output_plugin,
            $theirs,
            event_type = event_type,
            flags = flags,
            name = name,
            description = description,
            config_map = config_map,
            host = host,
            cb_init = cb_init,
            cb_pre_run = cb_pre_run,
            cb_flush = cb_flush,
            cb_exit = cb_exit,
            cb_destroy = cb_destroy,
            workers = workers
        )
    };
}

macro_rules! same_option {
    ($row:expr, $theirs:ident) => {
        same!(
            $row.config_map,
            $theirs,
            kind = type_,
            name = name,
            def_value = def_value,
            flags = flags,
            set_property = set_property,
            offset = offset,
            desc = desc,
            value = value
        )
    };
}

/// Guarantees: what include/ declares of plugins is what the rows say for the program.
#[test]
fn plugins_are_what_our_header_declares() {
    for row in ROWS {
        match row.first {
            first if first >= Release::new(5, 1, 0) => same_input!(row, fb_input_plugin_5_1_0),
            first if first >= Release::new(3, 2, 3) => same_input!(row, fb_input_plugin_3_2_3),
            first if first >= Release::new(3, 2, 0) => same_input!(row, fb_input_plugin_3_2_0),
            _ => same_input!(row, fb_input_plugin_3_0_0),
        }
        match row.first {
            first if first >= Release::new(3, 2, 0) => same_filter!(row, fb_filter_plugin_3_2_0),
            _ => same_filter!(row, fb_filter_plugin_3_0_0),
        }
        match row.first {
            first if first >= Release::new(5, 1, 0) => same_output!(row, fb_output_plugin_5_1_0),
            first if first >= Release::new(3, 2, 2) => same_output!(row, fb_output_plugin_3_2_2),
            first if first >= Release::new(3, 2, 0) => same_output!(row, fb_output_plugin_3_2_0),
            _ => same_output!(row, fb_output_plugin_3_0_0),
        }
        match row.first {
            first if first >= Release::new(5, 0, 3) => same_option!(row, fb_config_map_5_0_3),
            _ => same_option!(row, fb_config_map_3_0_0),
        }
    }
}

/// Guarantees: the same for what the host passes to plugins.
#[test]
fn tasks_are_what_our_header_declares() {
    for row in ROWS {
        same!(
            row.event_chunk,
            fb_event_chunk,
            kind = type_,
            tag = tag,
            data = data,
            length = size,
            total_events = total_events
        );
        same!(
            row.flush,
            fb_output_flush,
            id = id,
            task = task,
            config = config,
            o_ins = o_ins,
            coro = coro,
            processed_event_chunk = processed_event_chunk
        );
        same!(
            row.task,
            fb_task,
            id = id,
            event_chunk = event_chunk,
            ic = ic,
            routes = routes,
            i_ins = i_ins,
            lock = lock
        );
        same!(row.coro, fb_coro_valgrind, caller = caller, callee = callee, data = data);
        let plain = row.coro.without_valgrind();
        same!(plain, fb_coro_plain, caller = caller, callee = callee, data = data);
        same!(row.kv, fb_kv, key = key, val = val, head = head);
        same!(row.net_host, fb_net_host, port = port, name = name, listen = listen);
        same!(row.list, fb_list, prev = prev, next = next);
        match row.route.records {
            Some(_) => {
                same!(row.route, fb_task_route_4_2_4, status = status, out = out, head = head);
            }
            None => same!(row.route, fb_task_route_3_0_0, status = status, out = out, head = head),
        }
    }
}

/// Guarantees: the checked-in bindings are what bindgen makes of the header.
#[cfg(feature = "bindgen")]
#[test]
fn bindings_are_not_stale() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/host/abi/bindings.rs");
    let made = std::fs::read_to_string(env!("FLUENT_BIT_AI_BINDINGS")).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), made, "run `make bindings`");
}
