//! Signed requests, before a receiver that checks their signatures.

use std::path::Path;
use std::time::Duration;

use ring::{digest, hmac};

use super::data::{span, trace_chunk, traces};
use super::receiver::{Receiver, Say, Seen};
use super::{Bench, Fate, endpoint};
use crate::export::{AwsSettings, Compression, EndpointSettings, Protocol};

const KEY: &str = "AKIDEXAMPLEEXAMPLE01";
const SECRET: &str = "a secret of the test";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// What a server of AWS does with a request: it makes the signature itself, by "Create a signed AWS
/// API request" of AWS's IAM guide, and compares. Says what does not fit.
pub(super) fn check(seen: &Seen, key: &str, secret: &str) -> Result<(), String> {
    let header = |name: &str| seen.headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = header("authorization").ok_or("there is no authorization")?;
    let parts = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("another algorithm")?;
    let part = |name: &str| {
        let found = parts.split(", ").find_map(|part| part.strip_prefix(name));
        found.ok_or_else(|| format!("no {name}"))
    };
    let (credential, signed) = (part("Credential=")?, part("SignedHeaders=")?);
    let mut scope = credential.split('/');
    if scope.next() != Some(key) {
        return Err(format!("an unknown key in {credential}"));
    }
    let scope: Vec<&str> = scope.collect();
    for needed in ["host", "x-amz-date", "content-type"] {
        if !signed.split(';').any(|name| name == needed) {
            return Err(format!("{needed} is not signed"));
        }
    }
    let mut headers = String::new();
    for name in signed.split(';') {
        let value = header(name).ok_or_else(|| format!("{name} was signed but not sent"))?;
        headers.push_str(&format!("{name}:{}\n", value.trim()));
    }
    let canonical = format!("POST\n{}\n\n{headers}\n{signed}\n{}", seen.path, sha256(&seen.wire));
    let date = header("x-amz-date").ok_or("no x-amz-date")?;
    let to_sign =
        format!("AWS4-HMAC-SHA256\n{date}\n{}\n{}", scope.join("/"), sha256(canonical.as_bytes()));
    let start = format!("AWS4{secret}").into_bytes();
    let signing_key = scope.iter().fold(start, |key, part| mac(&key, part));
    let expected = hex(&mac(&signing_key, &to_sign));
    if part("Signature=")? == expected { Ok(()) } else { Err(format!("for {canonical:?}")) }
}

fn write_keys(path: &Path, key: &str, secret: &str) {
    let text = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
    std::fs::write(path, text).unwrap();
}

fn settings(keys: &Path) -> AwsSettings {
    AwsSettings {
        service: "xray".to_owned(),
        region: "eu-central-1".to_owned(),
        profile: None,
        credentials_file: Some(keys.to_owned()),
        role_arn: None,
        external_id: None,
        sts_endpoint: None,
    }
}

fn signing(receiver: &Receiver, keys: &Path) -> EndpointSettings {
    let mut main = endpoint("main", receiver);
    main.credentials.aws = Some(settings(keys));
    main
}

fn one_span() -> Vec<u8> {
    trace_chunk(&traces(vec![span(1, vec![])]))
}

#[test]
fn a_server_that_checks_signatures_takes_every_form_of_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    write_keys(&keys, KEY, SECRET);
    let receiver = Receiver::start(|_, seen| match check(seen, KEY, SECRET) {
        Ok(()) => Say::Accept,
        Err(why) => Say::Http(403, Vec::new(), why.into_bytes()),
    });
    for (task, protocol, compression) in [
        (1, Protocol::HttpProtobuf, Compression::None),
        (2, Protocol::HttpProtobuf, Compression::Gzip),
        (3, Protocol::HttpJson, Compression::Zstd),
    ] {
        let mut main = EndpointSettings { protocol, compression, ..signing(&receiver, &keys) };
        main.headers.push(("x-aws-log-group".parse().unwrap(), "a group".parse().unwrap()));
        let bench = Bench::new(vec![main]);
        assert_eq!(bench.deliver(task, &one_span()), Fate::Done);
        assert_eq!(bench.count("sent_items_total", &["main"]), 1, "{}", bench.log());
    }
    let signed = receiver.seen()[0].headers["authorization"].to_str().unwrap().to_owned();
    assert!(signed.contains("/eu-central-1/xray/aws4_request"), "{signed}");
    assert!(signed.contains("x-aws-log-group"), "{signed}");
}

#[test]
fn keys_that_were_changed_are_read_again_when_the_old_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    write_keys(&keys, KEY, "an old one");
    let receiver = Receiver::start(|_, seen| match check(seen, KEY, SECRET) {
        Ok(()) => Say::Accept,
        Err(_) => Say::Http(403, Vec::new(), b"ExpiredTokenException".to_vec()),
    });
    let bench = Bench::new(vec![signing(&receiver, &keys)]);
    assert_eq!(bench.deliver(1, &one_span()), Fate::Done);
    assert_eq!(bench.count("dropped_items_total", &["main"]), 1);
    write_keys(&keys, KEY, SECRET);
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(bench.deliver(2, &one_span()), Fate::Done);
    assert_eq!(bench.count("sent_items_total", &["main"]), 1, "{}", bench.log());
}

#[test]
fn without_credentials_chunks_stay_with_the_host_and_the_log_says_where_was_looked() {
    let receiver = Receiver::accepting();
    let mut main = signing(&receiver, Path::new("/nonexistent/keys"));
    let nowhere = "http://127.0.0.1:1".parse().unwrap();
    let aws = main.credentials.aws.as_mut().unwrap();
    (aws.role_arn, aws.sts_endpoint) =
        (Some("arn:aws:iam::123456789012:role/telemetry".to_owned()), Some(nowhere));
    let bench = Bench::new(vec![main]);
    assert_eq!(bench.deliver(1, &one_span()), Fate::Retry);
    assert_eq!(receiver.seen().len(), 0);
    let log = bench.log();
    for said in ["no AWS credentials", "profile: none", "container: none"] {
        assert!(log.contains(said), "{said} in {log}");
    }
}
