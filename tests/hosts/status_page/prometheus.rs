//! `/metrics` and `/verdict/` of the page on hosts, and in a real Prometheus where one is installed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use testkit::at_most;
use testkit::made_spans::{call, request, span, text};
use tokio::task::block_in_place;

use super::{SECRET, ask};
use crate::client::Client;
use crate::hosts::{Host, RunningHost, free_port, http_get};
use crate::prometheus::Page;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

const DURATION: &str = "gen_ai_client_operation_duration_seconds";
/// The bounds that the conventions advise.
const BOUNDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const CALLS: u64 = 300;

/// How long a call took, in seconds: between 10 ms and 100 s.
fn seconds(number: u64) -> f64 {
    0.01 * 10_f64.powf(4.0 * (number * 7 % CALLS) as f64 / CALLS as f64)
}

/// Calls that ended just now, each in a trace of its own.
fn calls(numbers: std::ops::Range<u64>) -> Vec<Span> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let of = |number: u64| {
        let mut call = call(number, 0.0, "gpt-4o-2024-08-06", 100);
        call.start_time_unix_nano = now - (seconds(number) * 1e9) as u64;
        call.end_time_unix_nano = now;
        call.attributes.push(text("gen_ai.input.messages", SECRET));
        call
    };
    numbers.map(of).collect()
}

/// A quantile of the calls as Prometheus estimates it, from the buckets that their durations are in.
fn quantile(share: f64, bounds: &[f64]) -> f64 {
    let below = |bound: f64| (0..CALLS).filter(|number| seconds(*number) <= bound).count() as f64;
    let rank = share * CALLS as f64;
    let index = bounds.iter().position(|bound| below(*bound) >= rank).unwrap();
    let (start, count) =
        if index == 0 { (0.0, 0.0) } else { (bounds[index - 1], below(bounds[index - 1])) };
    let within = (rank - count) / (below(bounds[index]) - count);
    start + (bounds[index] - start) * within
}

/// The quantile that the calls have.
fn exact(share: f64) -> f64 {
    let mut all: Vec<f64> = (0..CALLS).map(seconds).collect();
    all.sort_by(f64::total_cmp);
    all[(share * CALLS as f64).ceil() as usize - 1]
}

/// The bounds of exponential histograms of durations on the page: those of scale 2 about the advised ones.
fn exponential_bounds() -> Vec<f64> {
    let roots = [1.0, 1.189_207_115_002_721, std::f64::consts::SQRT_2, 1.681_792_830_507_429];
    let bounds = (-7..7).flat_map(|octave| roots.map(|root| root * 2_f64.powi(octave)));
    bounds.skip(1).take(54).collect()
}

/// What `ai_metrics` emits, beside which the page is to be the same, and the bounds on it.
struct Form {
    options: &'static [&'static str],
    bounds: Vec<f64>,
}

fn forms() -> [Form; 2] {
    let exponential = &["histogram: exponential", "temporality: delta"];
    [
        Form { options: &[], bounds: BOUNDS.to_vec() },
        Form { options: exponential, bounds: exponential_bounds() },
    ]
}

/// Prometheus, if it is installed.
fn installed() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|one| one.join("prometheus")).find(|file| file.is_file())
}

/// A Prometheus that scrapes a port every second, with storage for exemplars.
struct Scraper {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Scraper {
    fn start(executable: &Path, page: u16) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let configuration = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: page\n  \
             honor_labels: true\n  static_configs: [{{targets: ['127.0.0.1:{page}']}}]\n"
        );
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, configuration).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new(executable)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--enable-feature=exemplar-storage")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { process, port, folder }
    }

    /// What it answers; null where it does not yet.
    fn get(&self, path: &str) -> Value {
        let answer = block_in_place(|| http_get(self.port, path));
        serde_json::from_str::<Value>(&answer).map_or(Value::Null, |all| all["data"].clone())
    }

    /// The one value of a query.
    fn value(&self, query: &str) -> Option<f64> {
        let data = self.get(&format!("/api/v1/query?query={}", encoded(query)));
        let result = data["result"].as_array().filter(|all| all.len() == 1)?;
        result[0]["value"][1].as_str()?.parse().ok()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// The page in both formats: that of Prometheus as a strict reader reads it, and the text of `OpenMetrics`.
fn pages(port: u16) -> (Page, String) {
    let text = block_in_place(|| http_get(port, "/metrics"));
    let accept = "GET /metrics HTTP/1.1\r\nhost: localhost\r\naccept: application/openmetrics-text";
    let answer = block_in_place(|| ask(port, accept, ""));
    assert!(answer.contains("application/openmetrics-text; version=1.0.0"), "{answer}");
    assert!(answer.ends_with("# EOF\n"), "{answer}");
    assert!(!answer.contains(SECRET) && !text.contains(SECRET));
    (Page::read(&text), answer)
}

async fn send(http: u16, spans: &[Span]) {
    let mut client = Client::connect(http, false).await.unwrap();
    for spans in spans.chunks(100) {
        client.send("/v1/traces", "", request("shop", spans)).await.unwrap();
    }
}

/// Waits until something is so.
async fn until(what: &str, running: &RunningHost, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        let late = start.elapsed() > at_most(Duration::from_secs(30));
        assert!(!late, "{what}: {}", running.log_text());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What a Prometheus that scrapes the page says of the calls.
async fn check_in_prometheus(
    scraper: &Scraper,
    bounds: &[f64],
    (what, running): (&str, &RunningHost),
    http: u16,
) {
    until(&format!("{what}: {}", scraper.log()), running, || {
        scraper.value(&format!("sum({DURATION}_count)")) == Some(CALLS as f64)
    })
    .await;
    for share in [0.5, 0.9, 0.95] {
        let buckets = format!("sum by (le) ({DURATION}_bucket{{job=\"shop\"}})");
        let found = scraper.value(&format!("histogram_quantile({share}, {buckets})")).unwrap();
        let expected = quantile(share, bounds);
        assert!((found / expected - 1.0).abs() < 1e-9, "{what}: {share}: {found}, {expected}");
        if bounds.len() > BOUNDS.len() {
            let off = (found / exact(share) - 1.0).abs();
            println!("{what}: quantile {share} of exponential histograms {:.2} % off", off * 100.0);
            assert!(off < 0.19, "{what}: {share}: {found}, {}", exact(share));
        }
    }
    let tokens = "sum(gen_ai_client_token_usage_sum{gen_ai_token_type=\"input\"})";
    assert_eq!(scraper.value(tokens), Some(1000.0 * CALLS as f64), "{what}");
    let cost = scraper.value("sum(fluentbit_ai_cost_calls_total)");
    assert_eq!(cost, Some(CALLS as f64), "{what}");
    // Exemplars are on the page for an interval, so that a scrape may miss some.
    let mut traces = BTreeSet::new();
    let mut sent = CALLS;
    let start = Instant::now();
    while traces.len() < 5 {
        let late = start.elapsed() > at_most(Duration::from_secs(30));
        assert!(!late, "{what}: {traces:?}\n{}", scraper.log());
        send(http, &calls(sent..sent + 10)).await;
        sent += 10;
        tokio::time::sleep(Duration::from_millis(1000)).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let query = encoded(&format!("{DURATION}_bucket"));
        let range = format!("start={}&end={}", now - 600, now + 60);
        let found = scraper.get(&format!("/api/v1/query_exemplars?query={query}&{range}"));
        for series in found.as_array().into_iter().flatten() {
            let bound = series["seriesLabels"]["le"].as_str().unwrap();
            for exemplar in series["exemplars"].as_array().unwrap() {
                let trace = exemplar["labels"]["trace_id"].as_str().unwrap().to_owned();
                let span = exemplar["labels"]["span_id"].as_str().unwrap();
                let number = u64::from_str_radix(span, 16).unwrap() - 1;
                assert_eq!(trace, format!("{:032x}", number + 1), "{what}");
                let value: f64 = exemplar["value"].as_str().unwrap().parse().unwrap();
                assert!((value - seconds(number)).abs() < 1e-6, "{what}: {value} of {number}");
                let bound: f64 = bound.replace("+Inf", "inf").parse().unwrap();
                assert!(value <= bound, "{what}: {value} of {bound}");
                traces.insert(trace);
            }
        }
    }
    let problems = scraper.get("/api/v1/targets");
    let target = &problems["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{what}");
}

/// Scenario: calls of known durations, measured by two filters of which one sees nothing, as cumulative points with explicit
/// buckets, and as exponential deltas; a Prometheus scrapes the page. Guarantees: the page is valid in both formats, has each series
/// once and since when it counts, and no content; Prometheus has the counts and quantiles of the spans, those of exponential histograms
/// within the documented error, and exemplars that name them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn prometheus_scrapes_the_page() {
    let _together = together();
    let plugins = linked();
    let executable = installed();
    if executable.is_none() {
        println!("Prometheus is not installed: the page is read by the test alone");
    }
    for host in all_hosts() {
        let what = host.title();
        for Form { options, bounds } in forms() {
            let what = format!("{what} {options:?}");
            scrape(&host, plugins.path(), executable.as_deref(), (&what, options, &bounds)).await;
        }
    }
}

async fn scrape(
    host: &Host,
    plugins: &Path,
    executable: Option<&Path>,
    (what, options, bounds): (&str, &[&str], &[f64]),
) {
    let sink = Sink::start(0, Keep::Requests).await;
    let (http, page) = (free_port(), free_port());
    let own = [&["name: ai_metrics", "match: 'ai*'", "interval: 1s"], options].concat();
    let pipeline = Pipeline::default()
        .otlp_in(http, free_port())
        .input_option(&format!("status_port: {page}"))
        .filter(&own)
        .filter(&["name: ai_metrics", "match: 'other*'", "interval: 1s", "tag: other"])
        .otlp_out(&[("one", sink.port, "http/protobuf")]);
    let running = block_in_place(|| RunningHost::start(host, &pipeline.yaml(plugins), http));
    assert_eq!(pages(page).0, Page::default(), "{what}: nothing yet");
    let scraper = executable.map(|executable| Scraper::start(executable, page));
    send(http, &calls(0..CALLS)).await;
    let count = format!("{DURATION}_count");
    until(what, &running, || pages(page).0.sum(&count, &[("job", "shop")]) == CALLS as f64).await;
    let (read, open_metrics) = pages(page);
    let expected: f64 = (0..CALLS).map(seconds).sum();
    let found = read.sum(&format!("{DURATION}_sum"), &[]);
    assert!((found / expected - 1.0).abs() < 1e-6, "{what}: {found}, {expected}");
    for bound in bounds {
        let text = format!("{bound:?}");
        let labels = [("le", text.as_str())];
        let below = (0..CALLS).filter(|number| seconds(*number) <= *bound).count() as f64;
        assert_eq!(read.sum(&format!("{DURATION}_bucket"), &labels), below, "{what}: {bound}");
    }
    let created =
        open_metrics.lines().find(|line| line.starts_with("gen_ai_client_token_usage_created{"));
    let created: f64 = created.and_then(|line| line.rsplit(' ').next()).unwrap().parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!(created < now && now - created < 300.0, "{what}: since {created}, now {now}");
    let units = format!("# UNIT {DURATION} seconds\n");
    assert!(open_metrics.contains(&units), "{what}: {open_metrics}");
    if let Some(scraper) = &scraper {
        check_in_prometheus(scraper, bounds, (what, &running), http).await;
    }
    let (code, log) = block_in_place(|| running.stop());
    assert_eq!(code, Some(0), "{what}: {log}");
    println!("{what}: {} bytes of OpenMetrics", open_metrics.len());
}

/// Scenario: a conversation whose agent calls the same tool with the same arguments, another one that does not, and one that
/// nobody knows. Guarantees: the verdicts say so as JSON, with since when and how often, and without the arguments.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn verdicts_say_which_agents_ran_away() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Numbers).await;
        let (http, page) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .otlp_in(http, free_port())
            .input_option(&format!("status_port: {page}"))
            .filter(&["name: ai_metrics", "match: '*'", "find_runaway: on"])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let running =
            block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
        let tool = |number: u64, conversation: &str, arguments: String| {
            let attributes = vec![
                text("gen_ai.operation.name", "execute_tool"),
                text("gen_ai.tool.name", "search"),
                text("gen_ai.tool.call.arguments", &arguments),
                text("gen_ai.conversation.id", conversation),
            ];
            span(number, 0.1, attributes)
        };
        let same = (0..9).map(|number| tool(number, "a/\"b\" ü", SECRET.to_owned()));
        let others = (9..20).map(|number| tool(number, "c", format!("{SECRET} {number}")));
        send(http, &same.chain(others).collect::<Vec<_>>()).await;
        let verdict = |id: &str| -> Value {
            let path = format!("/verdict/{}", encoded(id));
            let text = block_in_place(|| http_get(page, &path));
            assert!(!text.contains(SECRET), "{what}: {text}");
            serde_json::from_str(&text).unwrap_or_else(|_| json!({ "verdict": text }))
        };
        until(&what, &running, || verdict("c")["tool_calls"] == 11).await;
        let runaway = verdict("a/\"b\" ü");
        // The sixth call began fifty seconds after the first, and took a tenth of a second.
        let since = json!(1_780_000_050.1);
        let found = json!({ "type": "repeated_tool_call", "since": since, "calls": 6 });
        assert_eq!(
            runaway,
            json!({
                "conversation": "a/\"b\" ü", "verdict": "runaway", "since": since,
                "findings": [found], "tool_calls": 9, "tokens_per_minute": 0,
                "last_seen": 1_780_000_080.1,
            }),
            "{what}"
        );
        let well = verdict("c");
        let nothing = (&json!("ok"), &json!([]), &Value::Null);
        assert_eq!((&well["verdict"], &well["findings"], &well["since"]), nothing, "{what}");
        let unknown = json!({ "conversation": "nobody", "verdict": "unknown" });
        assert_eq!(verdict("nobody"), unknown, "{what}");
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
    }
}
