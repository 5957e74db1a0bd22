//! rotel, a collector: all signals, over gRPC and HTTP. It sends on what it took, to our receiver.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::captures::{Items, all, by_signal, collect, send};
use crate::hosts::{RunningHost, free_port};
use crate::server::{Server, host, installed};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, alone, linked};

fn received(sink: &Sink) -> Items {
    let mut items = Items::new();
    let received = sink.received.lock().unwrap();
    for (path, bodies) in &received.requests {
        bodies.iter().for_each(|body| collect(path, body, &mut items));
    }
    items
}

/// Scenario: captured traces, metrics and logs go to rotel twice, over gRPC and over HTTP with
/// gzip. Guarantees: rotel takes every item of every signal, and each comes out of it as it went
/// into Fluent Bit, with its resource and scope, exactly once for each way.
#[tokio::test(flavor = "multi_thread")]
async fn rotel_takes_every_signal() {
    let _alone = alone();
    let Some(folder) = installed() else { return };
    let program = Command::new(folder.join("bin/python"))
        .args(["-c", "import os, rotel; print(os.path.dirname(rotel.__file__))"])
        .output()
        .unwrap();
    let program = String::from_utf8(program.stdout).unwrap();
    let sink = Sink::start(0, Keep::Requests).await;
    let (grpc_port, http_port) = (free_port(), free_port());
    let mut command = Command::new(format!("{}/rotel-agent", program.trim()));
    command
        .args(["start", "--pid-file", "pid", "--exporter", "otlp"])
        .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc_port}")])
        .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http_port}")])
        .args(["--otlp-exporter-endpoint", &format!("http://127.0.0.1:{}", sink.port)])
        .args(["--otlp-exporter-compression", "none"]);
    let rotel = Server::start(command, grpc_port).await;

    let plugins = linked();
    let (http, grpc) = (free_port(), free_port());
    let pipeline = Pipeline::default()
        .otlp_in(http, grpc)
        .otlp_out(&[("grpc", grpc_port, "grpc"), ("http", http_port, "http/protobuf")])
        .output_option("endpoint.http.compression: gzip");
    let host = host();
    let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
    let captured = all();
    let mut expected = Items::new();
    for one in &captured {
        // By two ways.
        collect(&one.path, &one.body, &mut expected);
        collect(&one.path, &one.body, &mut expected);
    }
    send(&captured, http).await;
    let start = Instant::now();
    while by_signal(&received(&sink)) != by_signal(&expected)
        && start.elapsed() < Duration::from_secs(20)
    {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Nothing follows.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{log}");
    let came = received(&sink);
    assert_eq!(by_signal(&came), by_signal(&expected), "{log}\n{}", rotel.log());
    for ((signal, item), count) in &expected {
        let came = came.get(&(*signal, item.clone())).copied().unwrap_or_default();
        assert_eq!(came, *count, "{signal}: {item}\n{log}\n{}", rotel.log());
    }
    for level in [" warn", "error"] {
        assert!(!log.contains(&format!("[{level}] [output:multi_otlp")), "{log}");
    }
    println!("{}: rotel has everything: {:?}", host.title(), by_signal(&came));
}
