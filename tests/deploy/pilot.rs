//! `docs/PILOT.md`: its files and requests, step by step, as a reader would do it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fluent_bit_ai::host::abi::rows::ROWS;
use fluent_bit_ai_cli::check::{Checked, check};
use fluent_bit_ai_cli::connect;
use testkit::hosts::{Host, RunningHost, free_port};
use testkit::shipped::blocks;
use testkit::support::{linked, together};

use crate::backend::{Backend, Rule, nothing};
use crate::configuration::{hosts, stop};

const MLFLOW: &[Rule] = &[Rule {
    path: "/v1/traces",
    headers: &[("x-mlflow-experiment-id", "0")],
    refuses: nothing,
    zstd: false,
}];
const PHOENIX: &[Rule] =
    &[Rule { path: "/v1/traces", headers: &[], refuses: nothing, zstd: false }];

/// The page, for this machine: what it names is replaced by what is here.
struct Page {
    /// The files: the configuration, `ai.conf`, the output of the second step, and what the third adds.
    files: Vec<String>,
    commands: Vec<String>,
    /// Where OTLP over HTTP comes in.
    otlp: u16,
}

impl Page {
    fn read(plugins: &Path, mlflow: u16, phoenix: u16) -> Self {
        let page = testkit::root().join("docs/PILOT.md");
        let (otlp, grpc) = (free_port(), free_port());
        let ports = format!("ai_otlp\n    http_port  {otlp}\n    grpc_port  {grpc}\n");
        let here = [
            ("ai_otlp\n", ports),
            ("/opt/fluent-bit-ai/plugins.conf", format!("{}/plugins.conf", plugins.display())),
            (":4318", format!(":{otlp}")),
            (":2020", format!(":{}", free_port())),
            (":5000", format!(":{mlflow}")),
            (":6006", format!(":{phoenix}")),
            (":2021", format!(":{}", free_port())),
        ];
        let read = |language: &str| -> Vec<String> {
            let replaced = |text: String, (from, to): &(&str, String)| text.replace(from, to);
            let blocks = blocks(&page, language).into_iter();
            blocks.map(|block| here.iter().fold(block, replaced)).collect()
        };
        let (mut files, commands) = (read("conf"), read("sh"));
        let own = |name: &str| here.iter().find(|(from, _)| *from == name).unwrap().1.clone();
        // Fluent Bit's own two ports stand by themselves.
        let server = format!("On\n    http_port     {}", own(":2020").trim_start_matches(':'));
        files[0] = files[0].replace("http_server   On", &format!("http_server   {server}"));
        let exporter = own(":2021");
        files[3] = files[3].replace("2021", exporter.trim_start_matches(':'));
        files[3] = files[3].replace("10s", "1s");
        Self { files, commands, otlp }
    }

    /// The command that has this, run by a shell; what it says.
    fn run(&self, part: &str) -> String {
        let command = self.commands.iter().find(|command| command.contains(part)).unwrap();
        let output = Command::new("sh").arg("-c").arg(command).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a command until it says what is promised.
    fn says(&self, part: &str, promised: &[&str]) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let said = self.run(part);
            if promised.iter().all(|it| said.contains(it)) {
                return Ok(());
            }
            if start.elapsed() > testkit::at_most(Duration::from_secs(15)) {
                return Err(format!("{part}: {said}"));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A folder with the configuration and this `ai.conf`, and what the check says of it.
    fn step(&self, ai: &str) -> (tempfile::TempDir, Checked) {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("fluent-bit.conf", &self.files[0]);
        write("ai.conf", ai);
        write("parsers.conf", "");
        write("plugins.conf", "[PLUGINS]\n");
        let checked = check(&folder.path().join("fluent-bit.conf"), &[], ROWS.last().unwrap().last);
        assert!(checked.findings.is_empty(), "{:?}", checked.findings);
        (folder, checked)
    }

    fn start(&self, host: &Host, folder: tempfile::TempDir) -> RunningHost {
        let running = RunningHost::start_file(host, folder, "fluent-bit.conf", self.otlp, &[]);
        assert_eq!(self.run("/v1/traces").trim(), "{}");
        running
    }
}

/// Scenario: the three steps of the page, one after the other, on real hosts; with none, the check alone. Guarantees: the check finds
/// nothing wrong in any step and reaches both backends in the second; after each step there is what the page promises: the span
/// on standard output; one span at each backend and in the counters; the duration and the cost of the call on the page for Prometheus.
#[test]
fn the_pilot_goes_as_written() {
    let _together = together();
    let plugins = linked();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap();
    let has_curl = Command::new("curl").arg("--version").output().is_ok();
    for host in hosts() {
        let (mlflow, phoenix) = runtime
            .block_on(async { (Backend::start(MLFLOW).await, Backend::start(PHOENIX).await) });
        let page = Page::read(plugins.path(), mlflow.port, phoenix.port);
        let [_, first, output, metrics] = page.files.as_slice() else { panic!("four files") };
        let second = first[..first.find("[OUTPUT]").unwrap()].to_owned() + output;
        let third = format!("{second}\n{metrics}");
        let mut steps = [first, &second, &third].map(|ai| page.step(ai));
        let trials = connect::try_out(&mut steps[1].1);
        assert_eq!((trials.accepted.len(), trials.findings.len()), (2, 0), "{:?}", trials.findings);
        if !host.is_real() || !has_curl {
            println!("{}: the pilot's files were checked and not started", host.title());
            continue;
        }
        let [one, two, three] = steps.map(|(folder, _)| folder);

        let running = page.start(&host, one);
        let start = Instant::now();
        while !running.log_text().contains("\"signal\"=>\"span\"")
            && start.elapsed() < testkit::at_most(Duration::from_secs(15))
        {
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = stop(running, &host.title());
        assert!(log.contains("\"signal\"=>\"span\""), "{log}");

        let running = page.start(&host, two);
        let sent = |name: &str| format!("endpoint=\"{name}\",signal=\"traces\"}} 1");
        let told = page.says("sent_items_total", &[&sent("mlflow"), &sent("phoenix")]);
        let log = stop(running, &host.title());
        assert_eq!(told, Ok(()), "{log}");
        let has = |backend: &Backend, text: &str| {
            let seen = backend.seen();
            seen.iter().any(|it| it.body.windows(text.len()).any(|part| part == text.as_bytes()))
        };
        assert!(has(&mlflow, "gen_ai.operation.name") && has(&phoenix, "openinference.span.kind"));

        let running = page.start(&host, three);
        let promised = ["gen_ai_client_operation_duration_seconds_sum{", "} 0.9", "} 0.006"];
        let told = page.says("grep -E", &promised);
        let log = stop(running, &host.title());
        assert_eq!(told, Ok(()), "{log}");
        println!("{}: the pilot went as written", host.title());
    }
}
