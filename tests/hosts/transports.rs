//! Ports, encodings and Unix sockets, as hosts hand the options over.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::shapes::{GeneratedBatch, TelemetryShape};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// The status of an export over a Unix socket, or why there is none.
fn export(path: &Path, encoding: &str, body: &[u8]) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(testkit::at_most(Duration::from_secs(10))))?;
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/x-protobuf\r\ncontent-encoding: {encoding}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(answer.get(9..12).unwrap_or_default()).into_owned())
}

/// Scenario: one port for both protocols, or one of them off, and a Unix socket; a reload, a stop.
/// Guarantees: every way in works before and after the reload, each item comes once, and the
/// socket's file goes with the host.
#[tokio::test(flavor = "multi_thread")]
async fn every_way_in_works_and_outlives_a_reload() {
    let _together = together();
    for host in all_hosts() {
        let plugins = linked();
        let sink = Sink::start(0, Keep::Numbers).await;
        let (port, single) = (free_port(), free_port());
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("otlp.sock");
        let pipeline = Pipeline::default()
            .service("hot_reload: on")
            .otlp_in(port, port)
            .input_option(&format!("unix_socket: {}", socket.display()))
            .input_option("unix_perm: '0600'")
            .input(&[
                "name: ai_otlp",
                "listen: 127.0.0.1",
                &format!("http_port: {single}"),
                "grpc_port: off",
            ])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), single);
        let mut batch = GeneratedBatch::new(TelemetryShape::Genai, 10);
        let mut first = 0;
        let mut next = || {
            first += 10;
            batch.numbered(first - 10)
        };
        for again in [false, true] {
            for (port, grpc) in [(port, false), (port, true), (single, false), (single, true)] {
                let mut client = Client::connect(port, grpc).await.unwrap();
                let service = TelemetryShape::Genai.service();
                client.send(TelemetryShape::Genai.path(), service, next()).await.unwrap();
            }
            let packed = zstd::encode_all(&next()[..], 3).unwrap();
            assert_eq!(export(&socket, "zstd", &packed).unwrap(), "200", "{}", host.title());
            if again {
                continue;
            }
            running.signal("HUP");
            tokio::time::sleep(Duration::from_millis(500)).await;
            let start = Instant::now();
            while Client::connect(single, false).await.is_err() || !socket.exists() {
                assert!(
                    start.elapsed() < testkit::at_most(Duration::from_secs(20)),
                    "{}",
                    running.log_text()
                );
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            // The old run may have been the one that still listened.
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        assert!(!socket.exists(), "{}: {log}", host.title());
        sink.settle(first, Duration::from_secs(2), Duration::from_secs(20)).await;
        let received = sink.received.lock().unwrap();
        assert_eq!((received.distinct(), received.doubled()), (first, 0), "{log}");
    }
}
