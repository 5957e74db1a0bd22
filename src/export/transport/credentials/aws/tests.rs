//! Every source of credentials, in an environment that the test writes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use reqsign_core::time::Timestamp;
use reqsign_core::{Context, Error, FileRead, HttpSend, Result, StaticEnv};

use super::{AwsSettings, AwsSigner};
use crate::runtime::Runtime;

type Answer = Box<dyn Fn(&Request<Bytes>) -> Option<String> + Send + Sync>;

/// Files and services that are there, and what was asked of them.
#[derive(Clone)]
struct World {
    files: Arc<Mutex<HashMap<String, String>>>,
    answer: Arc<Answer>,
    asked: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("World")
    }
}

impl FileRead for World {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>> {
        let found = self.files.lock().unwrap().get(path).cloned();
        found.map(String::into_bytes).ok_or_else(|| Error::config_invalid("no such file"))
    }
}

impl HttpSend for World {
    async fn http_send(&self, request: Request<Bytes>) -> Result<Response<Bytes>> {
        let answer = (self.answer)(&request);
        self.asked.lock().unwrap().push(request);
        let body = answer.ok_or_else(|| Error::unexpected("nobody answers"))?;
        Ok(Response::new(Bytes::from(body)))
    }
}

impl World {
    fn new(answer: impl Fn(&Request<Bytes>) -> Option<String> + Send + Sync + 'static) -> Self {
        let answer: Answer = Box::new(answer);
        Self { files: Arc::default(), answer: Arc::new(answer), asked: Arc::default() }
    }

    fn file(self, path: &str, text: &str) -> Self {
        self.files.lock().unwrap().insert(path.to_owned(), text.to_owned());
        self
    }

    fn signer(&self, settings: &AwsSettings, environment: &[(&str, &str)]) -> AwsSigner {
        let envs = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let home_dir = Some(PathBuf::from("/home/them"));
        let context = Context::new()
            .with_env(StaticEnv { home_dir, envs: envs.collect() })
            .with_file_read(self.clone())
            .with_http_send(self.clone());
        AwsSigner::with(settings, context)
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|request| format!("{} {}", request.method(), request.uri())).collect()
    }
}

fn settings() -> AwsSettings {
    AwsSettings {
        service: "logs".to_owned(),
        region: "eu-west-1".to_owned(),
        profile: None,
        credentials_file: None,
        role_arn: None,
        external_id: None,
        sts_endpoint: None,
    }
}

fn now<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = Runtime::acquire().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    runtime.tasks().spawn(async move {
        let _nobody = sender.send(future.await);
    });
    receiver.recv_timeout(test_timeout::at_most(Duration::from_secs(10))).unwrap()
}

/// The key that requests are signed with, and the session token beside it.
fn signed(signer: &Arc<AwsSigner>) -> std::result::Result<(String, Option<String>), String> {
    let signer = Arc::clone(signer);
    let headers = now(async move {
        let url = "https://logs.eu-west-1.amazonaws.com/v1/logs";
        signer.sign(url, &HeaderMap::new(), b"body").await
    })?;
    let text = headers["authorization"].to_str().unwrap();
    let key = text.split_once("Credential=").unwrap().1.split('/').next().unwrap().to_owned();
    let token = headers.get("x-amz-security-token").map(|token| token.to_str().unwrap().to_owned());
    Ok((key, token))
}

fn soon(seconds: u64) -> String {
    (Timestamp::now() + Duration::from_secs(seconds)).format_rfc3339_zulu()
}

fn sts(action: &str, key: &str, life: u64) -> String {
    format!(
        "<{action}Response><{action}Result><Credentials><AccessKeyId>{key}</AccessKeyId>\
         <SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>\
         <Expiration>{}</Expiration></Credentials></{action}Result></{action}Response>",
        soon(life)
    )
}

fn json(key: &str, life: u64) -> String {
    format!(
        r#"{{"Code": "Success", "AccessKeyId": "{key}", "SecretAccessKey": "secret", "Token": "session", "Expiration": "{}"}}"#,
        soon(life)
    )
}

const NOBODY: fn(&Request<Bytes>) -> Option<String> = |_| None;

#[test]
fn the_environment_comes_before_the_profile_and_a_named_profile_before_it() {
    let environment = [("AWS_ACCESS_KEY_ID", "FROMENV"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let files = "[default]\naws_access_key_id=DEFAULT\naws_secret_access_key=secret\n\
                 [other]\naws_access_key_id=OTHER\naws_secret_access_key=secret\n\
                 aws_session_token=session\n";
    let world = World::new(NOBODY).file("/home/them/.aws/credentials", files);
    let key = |settings: &AwsSettings, environment: &[(&str, &str)]| {
        signed(&Arc::new(world.signer(settings, environment))).unwrap()
    };
    assert_eq!(key(&settings(), &environment), ("FROMENV".to_owned(), None));
    assert_eq!(key(&settings(), &[]).0, "DEFAULT");
    assert_eq!(key(&settings(), &[("AWS_PROFILE", "other")]).0, "OTHER");
    let named = AwsSettings { profile: Some("other".to_owned()), ..settings() };
    assert_eq!(key(&named, &environment), ("OTHER".to_owned(), Some("session".to_owned())));
}

#[test]
fn a_pods_web_identity_is_exchanged_at_the_regions_sts() {
    let world = World::new(|request| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = String::from_utf8_lossy(request.body()).into_owned();
        (query + &body)
            .contains("the-pods-token")
            .then(|| sts("AssumeRoleWithWebIdentity", "ASIAWEBIDENTITY00001", 3600))
    });
    let world = world.file("/var/run/token", "the-pods-token");
    let environment = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
    ];
    let signer = Arc::new(world.signer(&settings(), &environment));
    let expected = ("ASIAWEBIDENTITY00001".to_owned(), Some("session".to_owned()));
    assert_eq!(signed(&signer).unwrap(), expected);
    assert_eq!(signed(&signer).unwrap(), expected);
    let asked = world.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("https://sts.eu-west-1.amazonaws.com"), "{asked:?}");
}

#[test]
fn a_containers_credentials_are_asked_for_with_its_token() {
    let world = World::new(|request| {
        let allowed = request.headers().get("authorization").is_some_and(|it| it == "pod-token");
        allowed.then(|| json("ASIACONTAINER0000001", 3600))
    });
    let world = world.file("/var/run/pod-identity", "pod-token\n");
    let environment = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/run/pod-identity"),
    ];
    let signer = Arc::new(world.signer(&settings(), &environment));
    assert_eq!(signed(&signer).unwrap().0, "ASIACONTAINER0000001");
    assert_eq!(world.asked(), ["GET http://169.254.170.23/v1/credentials"]);
}

fn metadata(request: &Request<Bytes>, life: u64) -> Option<String> {
    let path = request.uri().path();
    if path == "/latest/api/token" {
        return Some("metadata-token".to_owned());
    }
    let token = request.headers().get("x-aws-ec2-metadata-token")?;
    assert_eq!(token, "metadata-token");
    match path.strip_prefix("/latest/meta-data/iam/security-credentials/")? {
        "" => Some("node-role".to_owned()),
        "node-role" => Some(json("ASIAINSTANCE00000001", life)),
        _ => None,
    }
}

#[test]
fn the_instances_role_is_asked_for_by_version_2_of_the_metadata_service() {
    let world = World::new(|request| metadata(request, 3600));
    let signer = Arc::new(world.signer(&settings(), &[]));
    assert_eq!(signed(&signer).unwrap().0, "ASIAINSTANCE00000001");
    assert!(world.asked()[0].starts_with("PUT http://169.254.169.254/"), "{:?}", world.asked());
}

#[test]
fn credentials_that_end_soon_are_fetched_again_and_used_meanwhile() {
    let ends = Arc::new(Mutex::new(Some(60)));
    let life = Arc::clone(&ends);
    let world = World::new(move |request| metadata(request, (*life.lock().unwrap())?));
    let signer = Arc::new(world.signer(&settings(), &[]));
    signed(&signer).unwrap();
    let first = world.asked().len();
    signed(&signer).unwrap();
    assert!(world.asked().len() > first, "a minute is too short to be kept");
    // The service is gone, but what is at hand is good for a minute.
    *ends.lock().unwrap() = None;
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(signed(&signer).unwrap().0, "ASIAINSTANCE00000001");
    *ends.lock().unwrap() = Some(3600);
    std::thread::sleep(Duration::from_millis(1_100));
    signed(&signer).unwrap();
    let last = world.asked().len();
    signed(&signer).unwrap();
    assert_eq!(world.asked().len(), last);
}

#[test]
fn a_role_is_assumed_with_a_signed_request_where_sts_is_said_to_be() {
    let world = World::new(|request| {
        let signed = request.headers()["authorization"].to_str().unwrap().to_owned();
        assert!(signed.contains("Credential=FROMENV/"), "{signed}");
        assert!(signed.contains("/eu-west-1/sts/aws4_request"), "{signed}");
        Some(sts("AssumeRole", "ASIAROLE000000000001", 3600))
    });
    let settings = AwsSettings {
        role_arn: Some("arn:aws:iam::123456789012:role/telemetry".to_owned()),
        external_id: Some("their-id".to_owned()),
        sts_endpoint: Some("http://127.0.0.1:4566".parse().unwrap()),
        ..settings()
    };
    let environment = [("AWS_ACCESS_KEY_ID", "FROMENV"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let signer = Arc::new(world.signer(&settings, &environment));
    assert_eq!(signed(&signer).unwrap().0, "ASIAROLE000000000001");
    let asked = world.asked();
    assert!(asked[0].starts_with("GET http://127.0.0.1:4566/?"), "{asked:?}");
    assert!(asked[0].contains("ExternalId=their-id"), "{asked:?}");
    assert!(asked[0].contains("RoleSessionName=fluent-bit-ai"), "{asked:?}");
}

#[test]
fn without_any_the_sources_say_why_each_and_are_left_alone_for_a_second() {
    let world = World::new(NOBODY);
    let signer = Arc::new(world.signer(&settings(), &[("AWS_EC2_METADATA_DISABLED", "true")]));
    let message = signed(&signer).unwrap_err();
    for said in ["environment: none", "web identity: none", "instance metadata: none"] {
        assert!(message.contains(said), "{said} in {message}");
    }
    let denied = World::new(|request| {
        (request.uri().path() == "/latest/api/token").then(|| "metadata-token".to_owned())
    });
    let signer = Arc::new(denied.signer(&settings(), &[]));
    assert!(signed(&signer).unwrap_err().contains("instance metadata: "));
    let asked = denied.asked().len();
    signed(&signer).unwrap_err();
    assert_eq!(denied.asked().len(), asked);
}
