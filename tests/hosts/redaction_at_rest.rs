//! Redaction on hosts: nothing that is to go is in any file that the host writes.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::hosts::{RunningHost, free_port};
use crate::support::{Pipeline, linked, real_hosts, together};

/// What is to go, one at least for each detector and for each other rule that is configured.
const CANARIES: [&str; 11] = [
    "canary.person@example.org",
    "4111 1111 1111 1111",
    "GB82 WEST 1234 5698 7654 32",
    "078-05-1120",
    "+49 151 23456789",
    "203.0.113.77",
    "sk-proj-a1B2c3D4e5F6g7H8i9J0k1L2m3N4",
    "Zx9canarypassword7",
    "CANARY-4711",
    "Canaryville Ltd",
    "canary by its key",
];

/// What stays, so that it can be seen that the data are where they are looked for.
const KEPT: &str = "this-may-stay";

/// The canaries in one text, as a person, a header or JSON inside JSON would write them.
fn text() -> String {
    let [email, card, iban, ssn, phone, ip, key, password, ticket, customer, _] = CANARIES;
    let inner = json!({ "password": password, "note": format!("{email}, {phone}\n{ip}") });
    format!("{KEPT} {email} {card} {iban} {ssn} {phone} {ip} {key} {ticket} {customer} {inner}")
}

fn attributes() -> Value {
    let string = |text: &str| json!({ "stringValue": text });
    let [.., denied] = CANARIES;
    let list = json!({ "arrayValue": { "values": [string(&text())] } });
    let map =
        json!({ "kvlistValue": { "values": [{ "key": "inner", "value": string(&text()) }] } });
    json!([
        { "key": "gen_ai.input.messages", "value": string(&json!([{ "content": text() }]).to_string()) },
        { "key": "list", "value": list },
        { "key": "map", "value": map },
        { "key": "acme.secret_word", "value": string(denied) },
    ])
}

/// One request for each signal with the canaries in all places: path and body.
fn requests() -> [(&'static str, Value); 3] {
    let (trace, span) = ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174");
    let resource = json!({ "attributes": attributes() });
    let scope = json!({ "name": "s", "attributes": attributes() });
    let time = "1700000000000000000";
    let span = json!({
        "traceId": trace, "spanId": span, "name": text(), "startTimeUnixNano": time,
        "endTimeUnixNano": time, "attributes": attributes(),
        "events": [{ "timeUnixNano": time, "name": text(), "attributes": attributes() }],
        "links": [{ "traceId": trace, "spanId": span, "attributes": attributes() }],
        "status": { "code": 2, "message": text() },
    });
    let exemplar =
        json!({ "timeUnixNano": time, "asInt": "1", "filteredAttributes": attributes() });
    let point = json!({
        "timeUnixNano": time, "asInt": "7", "attributes": attributes(), "exemplars": [exemplar],
    });
    let log = json!({
        "timeUnixNano": time, "body": { "stringValue": text() }, "attributes": attributes(),
    });
    [
        (
            "/v1/traces",
            json!({ "resourceSpans": [{
            "resource": resource, "scopeSpans": [{ "scope": scope, "spans": [span] }] }] }),
        ),
        (
            "/v1/metrics",
            json!({ "resourceMetrics": [{
            "resource": resource, "scopeMetrics": [{ "scope": scope, "metrics": [
                { "name": "m", "gauge": { "dataPoints": [point] } }] }] }] }),
        ),
        (
            "/v1/logs",
            json!({ "resourceLogs": [{
            "resource": resource, "scopeLogs": [{ "scope": scope, "logRecords": [log] }] }] }),
        ),
    ]
}

/// An endpoint that refuses all it gets, for good.
fn refusing() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.set_read_timeout(Some(Duration::from_millis(300)));
            let mut buffer = [0; 1 << 16];
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
            let _ = stream.write_all(
                b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno",
            );
        }
    });
    port
}

/// The files below a folder, with the requests of dead letters decoded.
fn files(folder: &Path, out: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files(&path, out);
            continue;
        }
        let content = std::fs::read(&path).unwrap();
        let name = path.display().to_string();
        if name.ends_with("dead.jsonl") {
            for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let line: Value = serde_json::from_slice(line).unwrap();
                let request = line["request_base64"].as_str().unwrap();
                let request = base64::engine::general_purpose::STANDARD.decode(request).unwrap();
                out.push((format!("{name}, request"), request));
            }
        }
        out.push((name, content));
    }
}

fn has(content: &[u8], part: &str) -> bool {
    memchr::memmem::find(content, part.as_bytes()).is_some()
}

fn configured(folder: &Path, port: u16) -> Pipeline {
    let config = folder.join("rules.yaml");
    let rules = "patterns:\n  - {name: ticket, regex: 'CANARY-[0-9]+'}\n  \
                 - {name: customer, words: [canaryville ltd]}\n";
    std::fs::write(&config, rules).unwrap();
    let storage = folder.join("storage");
    Pipeline::default()
        .service(&format!("storage.path: {}", storage.display()))
        .service("storage.sync: full")
        .service("log_level: debug")
        .otlp_in(port, port)
        .input_option("storage.type: filesystem")
        .filter(&[
            "name: ai_context",
            "match: '*'",
            "redact: secrets, email, credit_card, iban, ssn, phone, ip",
            "redact_keys: acme.*",
            "redact_resource: on",
            "mark_findings: on",
            &format!("config_file: {}", config.display()),
        ])
        .output(&[
            "name: multi_otlp",
            "match: '*'",
            &format!("endpoint.down.url: http://127.0.0.1:{}", free_port()),
            "endpoint.down.protocol: http/protobuf",
        ])
        .output(&[
            "name: multi_otlp",
            "match: '*'",
            &format!("endpoint.refuses.url: http://127.0.0.1:{}", refusing()),
            "endpoint.refuses.protocol: http/protobuf",
            &format!("endpoint.refuses.dead_letter_file: {}", folder.join("dead.jsonl").display()),
        ])
        .output(&["name: file", "match: '*'", &format!("path: {}", folder.display()), "file: out"])
        .output(&["name: stdout", "match: '*'"])
}

/// Scenario: spans, metrics and logs with what is to go in every place, on a host that keeps chunks in
/// files, logs all it can, prints and writes records, has an endpoint that is down and one that
/// refuses, whose requests become dead letters; also a request that is none. Guarantees: on every real
/// host what may stay is found in the chunks, in the dead letters, in what was printed and written, and
/// what is to go in no file at all.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_to_go_is_in_any_file() {
    let _together = together();
    let plugins = linked();
    let _already = rustls::crypto::ring::default_provider().install_default();
    for host in real_hosts() {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let yaml = configured(folder.path(), port).yaml(plugins.path());
        let running = RunningHost::start(&host, &yaml, port);
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let post = |path: &str, body: String| {
            let request = client.post(format!("http://127.0.0.1:{port}{path}"));
            request.header("content-type", "application/json").body(body).send()
        };
        for (path, body) in requests() {
            assert!(post(path, body.to_string()).await.unwrap().status().is_success());
        }
        let broken = format!("{{\"resourceSpans\": [{:?}", text());
        assert_eq!(post("/v1/traces", broken).await.unwrap().status(), 400);

        let dead = || std::fs::read_to_string(folder.path().join("dead.jsonl")).unwrap_or_default();
        for _ in 0..100 {
            if dead().lines().count() >= 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut found = Vec::new();
        // Chunks are looked at while they are there.
        files(folder.path(), &mut found);
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        files(folder.path(), &mut found);
        found.push(("the host's log".to_owned(), log.into_bytes()));

        let title = host.title();
        for (name, content) in &found {
            for canary in CANARIES {
                assert!(!has(content, canary), "{title}: {canary} is in {name}");
            }
        }
        for place in ["storage", "dead.jsonl, request", "/out", "the host's log"] {
            let kept =
                |(name, content): &(String, Vec<u8>)| name.contains(place) && has(content, KEPT);
            assert!(found.iter().any(kept), "{title}: nothing is in {place}");
        }
    }
}
