//! Host tests: proves the bundled host with plugins in C that are compiled for each row.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may fail, and waits for another process"
)]

use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fluent_bit_ai::host::abi::row::HostAbi;
use fluent_bit_ai::host::abi::rows::ROWS;
use fluent_bit_ai::host::abi::structs::Coro;

const RECORD_BYTES: usize = 8;

/// The row as C.
fn header(row: &HostAbi, coro: Coro) -> String {
    let mut text = String::new();
    let mut define = |name: &str, value: usize| {
        writeln!(text, "#define ROW_{name} {value}").unwrap();
    };
    define("MAP_SIZE", row.config_map.size);
    define("MAP_TYPE", row.config_map.kind);
    define("MAP_NAME", row.config_map.name);
    define("MAP_DEFAULT", row.config_map.def_value);
    define("MAP_FLAGS", row.config_map.flags);
    define("MAP_DESC", row.config_map.desc);
    define("IN_PLUGIN_NAME", row.input_plugin.name);
    define("IN_PLUGIN_DESC", row.input_plugin.description);
    define("IN_PLUGIN_MAP", row.input_plugin.config_map);
    define("IN_PLUGIN_INIT", row.input_plugin.cb_init);
    define("IN_PLUGIN_PAUSE", row.input_plugin.cb_pause);
    define("IN_PLUGIN_RESUME", row.input_plugin.cb_resume);
    define("IN_PLUGIN_EXIT", row.input_plugin.cb_exit);
    define("FILTER_PLUGIN_NAME", row.filter_plugin.name);
    define("FILTER_PLUGIN_DESC", row.filter_plugin.description);
    define("FILTER_PLUGIN_MAP", row.filter_plugin.config_map);
    define("FILTER_PLUGIN_INIT", row.filter_plugin.cb_init);
    define("FILTER_PLUGIN_FILTER", row.filter_plugin.cb_filter);
    define("FILTER_PLUGIN_EXIT", row.filter_plugin.cb_exit);
    define("OUT_PLUGIN_NAME", row.output_plugin.name);
    define("OUT_PLUGIN_DESC", row.output_plugin.description);
    define("OUT_PLUGIN_MAP", row.output_plugin.config_map);
    define("OUT_PLUGIN_INIT", row.output_plugin.cb_init);
    define("OUT_PLUGIN_FLUSH", row.output_plugin.cb_flush);
    define("OUT_PLUGIN_EXIT", row.output_plugin.cb_exit);
    define("IN_NAME", row.input.name);
    define("IN_CONFIG", row.input.config);
    define("IN_P", row.input.p);
    define("CONFIG_STOPPING", row.config.is_shutting_down);
    define("OUT_ID", row.output.id);
    define("OUT_EVENTS", row.output.ch_events);
    define("OUT_CMT", row.output.cmt);
    define("THREAD_EVENTS", row.out_thread.ch_thread_events);
    define("FLUSH_TASK", row.flush.task);
    define("FLUSH_O_INS", row.flush.o_ins);
    define("FLUSH_CORO", row.flush.coro);
    define("TASK_ID", row.task.id);
    define("TASK_CHUNK", row.task.event_chunk);
    define("TASK_ROUTES", row.task.routes);
    define("TASK_LOCK", row.task.lock);
    define("ROUTE_STATUS", row.route.status);
    define("ROUTE_OUT", row.route.out);
    define("ROUTE_HEAD", row.route.head);
    if let (Some(records), Some(bytes)) = (row.route.records, row.route.bytes) {
        define("ROUTE_RECORDS", records);
        define("ROUTE_BYTES", bytes);
    }
    define("CHUNK_DATA", row.event_chunk.data);
    define("CHUNK_LENGTH", row.event_chunk.length);
    define("CHUNK_TOTAL", row.event_chunk.total_events);
    define("CORO_CALLER", coro.caller);
    define("CORO_CALLEE", coro.callee);
    text
}

/// A folder with the plugins of one row and a configuration.
struct Bench {
    folder: tempfile::TempDir,
    row: &'static HostAbi,
}

impl Bench {
    fn new(row: &'static HostAbi) -> Self {
        Self::with_coroutine(row, row.coro)
    }

    fn with_coroutine(row: &'static HostAbi, coro: Coro) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("row.h"), header(row, coro)).unwrap();
        let built = folder.path().join("probe.so");
        let source = testkit::root().join("tests/host_plugins/probe.c");
        // Under emulation the machine's own compiler is for another architecture.
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let compiled = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-I"])
            .arg(folder.path())
            .arg(source)
            .arg("-o")
            .arg(&built)
            .status()
            .unwrap();
        assert!(compiled.success());
        for kind in ["in", "filter", "out"] {
            let name = folder.path().join(format!("flb-{kind}_probe.so"));
            std::fs::hard_link(&built, name).unwrap();
        }
        Self { folder, row }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, service: &str, input: &str, filter: &str, output: &str) {
        let folder = self.folder.path().display();
        let text = format!(
            "service:\n  flush: 0.05\n  scheduler.base: 50ms\n{service}\nplugins:\n  \
             - {folder}/flb-in_probe.so\n  - {folder}/flb-filter_probe.so\n  \
             - {folder}/flb-out_probe.so\npipeline:\n  inputs:\n    - name: probe\n      tag: t.a\n\
             {input}\n  filters:\n    - name: probe\n      match: 't.*'\n{filter}\n  outputs:\n    \
             - name: probe\n      match: '*'\n      path: {folder}/out\n{output}\n    - name: file\n      \
             match: 't.a'\n      path: {folder}/copy\n"
        );
        std::fs::write(self.path("c.yaml"), text).unwrap();
    }

    fn start(&self, arguments: &[&str]) -> Running {
        let child = Command::new(env!("CARGO_BIN_EXE_flb-host"))
            .args(["--row", self.row.since, "--check-stacks", "-c"])
            .arg(self.path("c.yaml"))
            .args(arguments)
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Running(Some(child))
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        self.start(arguments).end()
    }

    /// Waits until the output has written this many records.
    fn await_records(&self, count: usize) {
        let begun = Instant::now();
        while self.records("out") < count {
            assert!(
                begun.elapsed() < testkit::at_most(Duration::from_secs(20)),
                "no {count} records came"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn records(&self, name: &str) -> usize {
        std::fs::metadata(self.path(name))
            .map_or(0, |file| usize::try_from(file.len()).unwrap() / RECORD_BYTES)
    }
}

/// A time for a whole run.
fn millis(limit: u64) -> String {
    format!("{}ms", testkit::at_most(Duration::from_millis(limit)).as_millis())
}

/// A host that is killed if its test fails.
struct Running(Option<Child>);

impl Running {
    /// Its exit code and what it said, once it has ended.
    fn end(mut self) -> (Option<i32>, String) {
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A number of the line that the host ends with for each output.
fn total(text: &str, output: &str, key: &str) -> usize {
    let start = format!("output {output}: chunks ");
    let line = text.lines().find_map(|line| line.split_once(&start)).expect("no totals").1;
    let pair = line.split(' ').find_map(|pair| pair.strip_prefix(&format!("{key}=")));
    pair.expect("no such total").parse().unwrap()
}

fn signal(running: &Running, name: &str) {
    let id = running.0.as_ref().unwrap().id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

fn some_rows() -> [&'static HostAbi; 3] {
    [&ROWS[0], &ROWS[ROWS.len() / 2], &ROWS[ROWS.len() - 1]]
}

/// Four ticks, one wake and one last record at the pause, each doubled by the filter.
const DOUBLED: usize = 2 * (4 + 1 + 1);

#[test]
fn every_row_carries_records_through() {
    for row in ROWS {
        let bench = Bench::new(row);
        bench.configure("", "      count: 4", "", "");
        let child = bench.start(&[]);
        bench.await_records(DOUBLED - 2);
        signal(&child, "-TERM");
        let (code, text) = child.end();
        assert_eq!(code, Some(0), "row {}: {text}", row.since);
        assert_eq!(bench.records("out"), DOUBLED, "row {}: {text}", row.since);
        assert_eq!(bench.records("copy"), DOUBLED, "row {}: {text}", row.since);
        assert!(text.contains("bundled test host, not Fluent Bit"));
        assert!(text.contains("[probe] input ends: 0 left, 0 refused"), "{text}");
        assert!(text.contains("probe_output_sent_total{name=\"x\"}"), "{text}");
    }
}

#[test]
fn workers_waits_and_retries_lose_nothing() {
    for row in some_rows() {
        for output in [
            "      workers: 2\n      first: retry\n      retry_limit: no_limits",
            "      workers: 0\n      first: retry\n      wait: on\n      retry_limit: 50",
            "      workers: 1\n      wait: on",
        ] {
            let bench = Bench::new(row);
            bench.configure("", "      count: 4", "", output);
            let child = bench.start(&[]);
            bench.await_records(DOUBLED - 2);
            // Until the engine has heard of it: as Fluent Bit's, a stop sends once more what is tried again.
            std::thread::sleep(Duration::from_millis(300));
            signal(&child, "-INT");
            let (code, text) = child.end();
            assert_eq!(code, Some(0), "row {} {output}: {text}", row.since);
            assert_eq!(bench.records("out"), DOUBLED, "row {} {output}: {text}", row.since);
            assert_eq!(total(&text, "probe.0", "failed"), 0, "{text}");
            assert_eq!(total(&text, "probe.0", "records"), DOUBLED, "{text}");
            let retried = total(&text, "probe.0", "retried");
            assert_eq!(retried > 0, output.contains("retry"), "{text}");
        }
    }
}

#[test]
fn hosts_built_without_valgrind_are_imitated() {
    let bench = Bench::with_coroutine(&ROWS[0], ROWS[0].coro.without_valgrind());
    bench.configure("", "      count: 1", "", "      wait: on");
    let (code, text) = bench.run(&["--without-valgrind", "--run-for", &millis(500)]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(bench.records("out"), 6, "{text}");
}

#[test]
fn failures_are_counted() {
    let bench = Bench::new(&ROWS[0]);
    bench.configure("", "      count: 1", "", "      first: error");
    let (code, text) = bench.run(&["--run-for", &millis(500)]);
    assert_eq!(code, Some(0), "{text}");
    assert!(total(&text, "probe.0", "failed") > 0, "{text}");
    assert_eq!(total(&text, "file.1", "failed"), 0, "{text}");
    assert_eq!(bench.records("copy"), 6, "{text}");
}

#[test]
fn a_reload_loses_nothing() {
    for row in some_rows() {
        let bench = Bench::new(row);
        bench.configure("", "      count: 4", "", "      workers: 1");
        let child = bench.start(&[]);
        bench.await_records(DOUBLED - 2);
        signal(&child, "-HUP");
        bench.await_records(2 * DOUBLED - 2);
        signal(&child, "-TERM");
        let (code, text) = child.end();
        assert_eq!(code, Some(0), "row {}: {text}", row.since);
        assert_eq!(bench.records("out"), 2 * DOUBLED, "row {}: {text}", row.since);
        assert_eq!(text.matches("[probe] output ends").count(), 2, "{text}");
    }
}

#[test]
fn a_wrong_reload_keeps_the_old_pipeline() {
    let bench = Bench::new(&ROWS[0]);
    bench.configure("", "      count: 4", "", "");
    let child = bench.start(&[]);
    bench.await_records(DOUBLED - 2);
    bench.configure("", "      cuont: 4", "", "");
    signal(&child, "-HUP");
    std::thread::sleep(Duration::from_millis(200));
    signal(&child, "-TERM");
    let (code, text) = child.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("reload halted"), "{text}");
    assert!(text.contains("unknown configuration property 'cuont'"), "{text}");
    assert_eq!(bench.records("out"), DOUBLED, "{text}");
}

#[test]
fn faults_happen_and_nothing_is_lost() {
    for fault in ["append-refused:3", "pause-at:2", "retry:2", "small-stacks"] {
        let bench = Bench::new(&ROWS[ROWS.len() - 1]);
        bench.configure("", "      count: 4", "", "      retry_limit: no_limits");
        let child = bench.start(&["--fault", fault]);
        bench.await_records(DOUBLED - 2);
        std::thread::sleep(Duration::from_millis(500));
        signal(&child, "-TERM");
        let (code, text) = child.end();
        assert_eq!(code, Some(0), "{fault}: {text}");
        assert!(text.contains("[probe] input ends: 0 left"), "{fault}: {text}");
        match fault {
            "append-refused:3" => assert!(!text.contains("0 refused"), "{text}"),
            "pause-at:2" => assert!(text.contains("[probe] resumed"), "{text}"),
            "retry:2" => assert!(
                total(&text, "probe.0", "retried") + total(&text, "file.1", "retried") > 0,
                "{text}"
            ),
            _ => assert!(!text.contains("deepest coroutine stack: 0 bytes"), "{text}"),
        }
    }
}

#[test]
fn an_overused_stack_is_unclean() {
    let bench = Bench::new(&ROWS[0]);
    bench.configure("", "      count: 1", "      greedy: on", "");
    let arguments = ["--fault", "coro-filters", "--run-for", &millis(400)];
    let (code, text) = bench.run(&arguments);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("PROBLEM: the filter probe.0 used"), "{text}");
}

#[test]
fn wrong_configurations_stop_the_start() {
    let bench = Bench::new(&ROWS[0]);
    for (input, filter, expected) in [
        ("      cuont: 1", "", "probe.0: unknown configuration property 'cuont'"),
        ("      count:\n        - 1\n        - 2", "", "'count' is set 2 times"),
        ("      count: 1", "      refuse: on", "failed to initialize filter probe.0"),
        ("      count: 1", "      refuse: perhaps", "invalid value for boolean property 'refuse'"),
        ("      rule:\n        - {a: b}", "", "a map cannot be"),
    ] {
        bench.configure("", input, filter, "");
        let (code, text) = bench.run(&["--run-for", &millis(100)]);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn help_shows_a_plugins_options() {
    let bench = Bench::new(&ROWS[ROWS.len() - 1]);
    let output = Command::new(env!("CARGO_BIN_EXE_flb-host"))
        .arg("-e")
        .arg(bench.path("flb-out_probe.so"))
        .args(["-o", "probe", "-h"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success());
    assert!(text.contains("writes chunks") && text.contains("end."), "{text}");
    assert!(text.contains("prefixed string"), "{text}");
}
