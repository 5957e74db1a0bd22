//! Requests that are signed for AWS, with the credentials of a container's service.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prost::Message;

use crate::hosts::{RunningHost, free_port};
use crate::security::spans;
use crate::support::{Pipeline, all_hosts, linked, together};

const TOKEN: &str = "the-token-of-the-pod";

/// A request as it came: its first line and headers.
type Head = Vec<String>;

/// Serves credentials and takes what is posted.
fn serve(port: u16) -> Arc<Mutex<Vec<Head>>> {
    let heads: Arc<Mutex<Vec<Head>>> = Arc::default();
    let (listener, seen) = (TcpListener::bind(("127.0.0.1", port)).unwrap(), Arc::clone(&heads));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || while answer(&stream, &seen).is_some() {});
        }
    });
    heads
}

fn answer(stream: &TcpStream, seen: &Mutex<Vec<Head>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head: Head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_ascii_lowercase());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let credentials = head[0].starts_with("get /credentials")
        && head.contains(&format!("authorization: {TOKEN}"));
    let body = if credentials {
        r#"{"AccessKeyId": "ASIACONTAINER0000001", "SecretAccessKey": "secret", "Token": "session", "Expiration": "2100-01-01T00:00:00Z"}"#
    } else {
        ""
    };
    seen.lock().unwrap().push(head);
    let mut stream = stream;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).ok()
}

/// Scenario: an endpoint with `aws_auth` in a container whose service has credentials. Guarantees: the
/// service is asked once with the pod's token, requests are signed with what it said, no secret is in
/// the log, the host ends in order.
#[tokio::test(flavor = "multi_thread")]
async fn requests_are_signed_with_a_containers_credentials() {
    let _together = together();
    let plugins = linked();
    let _already = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for host in all_hosts() {
        let (http, out) = (free_port(), free_port());
        let heads = serve(out);
        let pipeline = Pipeline::default()
            .otlp_in(http, 0)
            .otlp_out(&[("xray", out, "http/protobuf")])
            .output_option("endpoint.xray.aws_auth: on")
            .output_option("endpoint.xray.aws_service: xray");
        let environment = [
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://127.0.0.1:{out}/credentials")),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN.to_owned()),
        ];
        let running =
            RunningHost::start_with(&host, &pipeline.yaml(plugins.path()), http, &environment);
        for _ in 0..3 {
            post(&client, http).await;
            tokio::time::sleep(Duration::from_millis(1_200)).await;
        }
        let start = Instant::now();
        while posts_of(&heads.lock().unwrap()).count() < 3
            && start.elapsed() < testkit::at_most(Duration::from_secs(10))
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let heads = heads.lock().unwrap().clone();
        let asked = heads.iter().filter(|head| head[0].starts_with("get /credentials")).count();
        assert_eq!((asked, posts_of(&heads).count()), (1, 3), "{}: {log}", host.title());
        for head in posts_of(&heads) {
            let has = |start: &str| head.iter().any(|line| line.starts_with(start));
            assert!(
                has("authorization: aws4-hmac-sha256 credential=asiacontainer0000001/"),
                "{head:?}"
            );
            assert!(has("x-amz-security-token: session"), "{head:?}");
        }
        assert!(!log.contains(TOKEN) && !log.contains("session"), "{}: {log}", host.title());
    }
}

/// Sends a span, again while the host is not ready.
async fn post(client: &reqwest::Client, port: u16) {
    for _ in 0..50 {
        let request = client.post(format!("http://127.0.0.1:{port}/v1/traces"));
        let request = request.header("content-type", "application/x-protobuf");
        let answer = request.body(spans(1).encode_to_vec()).send().await.unwrap();
        match answer.status().as_u16() {
            200 => return,
            503 => tokio::time::sleep(Duration::from_millis(100)).await,
            other => panic!("{other}"),
        }
    }
    panic!("the host never took a span");
}

fn posts_of(heads: &[Head]) -> impl Iterator<Item = &Head> {
    heads.iter().filter(|head| head[0].starts_with("post /v1/traces"))
}
