//! The demo: the README's pipeline on real captures and on a model that becomes slower, and what came out where.

mod table;
mod traffic;
mod view;

use std::path::Path;
use std::time::Duration;

use self::view::View;
use crate::hosts::{self, Host, RunningHost};
use crate::sink::{Keep, Sink};

const TRACED_LOG: &str = r#"{"log": "order 4711 answered", "level": "warning", "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}"#;
const POLICIES: &str = "policies:\n  - {name: finding, type: finding}\n";

/// Runs it. With `long` it also prints the configuration, each capture, each metric and each counter; with `wait` it
/// goes on to its end when someone has looked at the page.
pub async fn run(plugins: &Path, captures: &Path, long: bool, wait: bool) {
    let host = hosts::newest();
    let (apm, llm) = (Sink::start(0, Keep::Requests).await, Sink::start(0, Keep::Requests).await);
    let [grpc, http, page, status] = [(); 4].map(|()| hosts::free_port());
    let ports = Ports { grpc, http, page, status };
    let folder = tempfile::tempdir().expect("a folder");
    let policies = folder.path().join("policies.yaml");
    std::fs::write(&policies, POLICIES).expect("a file");
    let configuration = configuration(&host, plugins, &policies, &ports, (apm.port, llm.port));
    if long {
        println!("The pipeline:\n{}\n\nCaptures in:", indent(&configuration));
    }
    let running = RunningHost::start(&host, &configuration, ports.http);
    println!("While it runs, its status page is http://127.0.0.1:{}/", ports.status);
    let sent = traffic::send(captures, &ports, long).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    if wait {
        println!("It goes on when you press Enter.");
        let _entered = std::io::stdin().read_line(&mut String::new());
    }
    let page = host.is_real().then(|| hosts::http_get(ports.page, "/api/v2/metrics/prometheus"));
    let (code, log) = running.stop();
    apm.settle(0, Duration::from_secs(1), Duration::from_secs(5)).await;
    let received = [&apm, &llm].map(|sink| View::of(&sink.received.lock().unwrap()));
    let counters = page.unwrap_or_else(|| log.clone());
    if long {
        println!("\nWhat came out:");
        ["apm", "llm"].iter().zip(&received).for_each(|(name, view)| view.print(name));
        print_counters(&counters);
        println!();
    }
    println!(
        "{}: {} captures of real programs in, and calls to a model that becomes three times as slow\n",
        host.title(),
        sent.captures
    );
    table::print(&sent, &received, &counters);
    table::verdict(&sent, &received, code, &log);
    if !long {
        println!("  all of it, with configuration and counters: make demo LONG=1");
    }
}

/// The ports of the host.
struct Ports {
    grpc: u16,
    http: u16,
    page: u16,
    status: u16,
}

fn configuration(
    host: &Host,
    plugins: &Path,
    policies: &Path,
    ports: &Ports,
    (apm, llm): (u16, u16),
) -> String {
    let folder = plugins.display();
    let page = if host.is_real() {
        format!("  http_server: on\n  http_listen: 127.0.0.1\n  http_port: {}\n", ports.page)
    } else {
        String::new()
    };
    format!(
        "service:
  flush: 1
  log_level: warn
  plugins_file: {folder}/plugins.conf
{page}pipeline:
  inputs:
    - name: ai_otlp
      tag: ai
      listen: 127.0.0.1
      grpc_port: {grpc}
      http_port: {http}
      status_port: {status}
    - name: dummy
      tag: ai.app
      samples: 1
      dummy: '{TRACED_LOG}'
  filters:
    - name: ai_context
      match: 'ai*'
      redact: email, credit_card, secrets
    - name: ai_metrics
      match: 'ai*'
      interval: 2s
      find_changes: on
      find_usage: on
    - name: ai_sampling
      match: 'ai*'
      mode: tail
      decision_wait: 3s
      keep_errors: on
      keep_slower_than: 5s
      sampling_percentage: 50
      config_file: {policies}
  outputs:
    - name: multi_otlp
      match: 'ai*'
      endpoints: apm, llm
      endpoint.apm.url: http://127.0.0.1:{apm}
      endpoint.apm.content: drop
      endpoint.llm.url: http://127.0.0.1:{llm}
      endpoint.llm.protocol: grpc
      endpoint.llm.where: 'signal != \"span\" || \"gen_ai.operation.name\" in attributes'
",
        grpc = ports.grpc,
        http = ports.http,
        status = ports.status,
        policies = policies.display(),
    )
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("   | {line}")).collect::<Vec<_>>().join("\n")
}

fn print_counters(text: &str) {
    println!("\nThe plugins' own counters, as the host's metrics show them:");
    for line in text.lines().filter(|line| line.starts_with("fluentbit_ai_")) {
        if !line.contains(" 0 ") && !line.ends_with(" 0") {
            println!("   {line}");
        }
    }
}
