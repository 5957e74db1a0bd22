//! The options of Fluent Bit's own OpenTelemetry input, on hosts that keep some for themselves.

use std::time::Duration;

use crate::hosts::{Host, RunningHost, free_port};
use crate::support::{Pipeline, all_hosts, linked, real_hosts, run, text, together};

/// The log of a host that does not start with this option.
fn refused(host: &Host, plugins: &std::path::Path, options: &[&str]) -> String {
    let mut pipeline = Pipeline::default().otlp_in(free_port(), free_port());
    for option in options {
        pipeline = pipeline.input_option(option);
    }
    let pipeline = pipeline.output(&["name: 'null'", "match: '*'"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fluent-bit.yaml");
    std::fs::write(&file, pipeline.yaml(plugins)).unwrap();
    let output = run(host, &["-c", file.to_str().unwrap()]);
    let log = text(&output);
    assert_ne!(output.status.code(), Some(0), "{} {options:?}: {log}", host.title());
    assert_ne!(output.status.code(), Some(124), "{} {options:?} was ignored: {log}", host.title());
    log
}

/// Guarantees: what a host takes for an input without asking it, and we do not use, stops the start
/// on every host, in words that name the option.
#[test]
fn what_the_host_takes_is_not_ignored() {
    let _together = together();
    let plugins = linked();
    for host in real_hosts() {
        let later = !host.release.starts_with("3.0");
        for (option, value, since_3_1) in [
            ("net.keepalive", "on", false),
            ("host", "0.0.0.0", false),
            ("tls.ca_path", "/etc/ssl", false),
            ("tls.vhost", "a.example", false),
            ("tls.debug", "1", false),
            ("tls.verify_hostname", "on", true),
            ("oauth2.issuer", "https://issuer.example", false),
        ] {
            if since_3_1 && !later {
                continue;
            }
            let log = refused(&host, plugins.path(), &[&format!("{option}: {value}")]);
            assert!(log.contains(&format!("'{option}'")), "{}: {log}", host.title());
        }
        let both = refused(&host, plugins.path(), &["port: 4999"]);
        assert!(both.contains("'port' and 'http_port' are one option"), "{}: {both}", host.title());
    }
}

/// Scenario: `oauth2.*`, which Fluent Bit 5 keeps for itself and earlier hosts hand on.
/// Guarantees: a request without a token gets 401.
#[test]
fn oauth2_is_enforced_wherever_the_host_keeps_it() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let http = free_port();
        let pipeline = Pipeline::default()
            .otlp_in(http, free_port())
            .input_option("oauth2.validate: on")
            .input_option("oauth2.issuer: https://issuer.example")
            .input_option("oauth2.jwks_url: http://127.0.0.1:9/keys")
            .output(&["name: 'null'", "match: '*'"]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(post(http), 401, "{}: {}", host.title(), running.log_text());
        drop(running.stop());
    }
}

/// The status of an empty export.
fn post(port: u16) -> u16 {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .write_all(
            b"POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\n\
              content-length: 0\r\nconnection: close\r\n\r\n",
        )
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
