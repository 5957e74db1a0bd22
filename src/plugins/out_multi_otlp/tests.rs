use super::*;
use crate::export::{Compression, Content, Protocol};
use crate::model::Signal;

struct Given(Vec<(String, String)>);

impl Options for Given {
    fn given(&self) -> &[(String, String)] {
        &self.0
    }

    fn host_value(&self, _name: &str) -> Option<String> {
        None
    }
}

fn read(given: &[(&str, &str)]) -> Result<Settings, OpenError> {
    let owned = given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let given = Given(owned.collect());
    let mut parser = Parser::new(&given);
    let settings = settings(&mut parser);
    parser.finish(settings)
}

#[test]
fn the_configuration_of_the_first_page_is_read() {
    let settings = read(&[
        ("endpoints", "apm, llm"),
        ("endpoint.apm.url", "http://tempo:4318"),
        ("endpoint.apm.content", "drop"),
        ("endpoint.llm.url", "https://llm-backend.example/api/public/otel"),
        ("endpoint.llm.headers", "authorization=Basic abc"),
        ("endpoint.llm.where", "signal == \"span\" && \"gen_ai.operation.name\" in attributes"),
        ("endpoint.llm.sampling_percentage", "12.5%"),
        ("endpoint.spare.url", "http://spare"),
    ])
    .unwrap();
    let [apm, llm] = settings.endpoints.as_slice() else { panic!() };
    assert_eq!((apm.name.as_str(), apm.content), ("apm", Content::Drop));
    assert!(llm.condition.is_some() && llm.is_selective());
    assert_eq!(llm.sampling_percentage, Some(12.5));
    assert_eq!(llm.headers.len(), 1);
    assert_eq!(settings.max_in_flight, 16);
}

#[test]
fn without_a_list_all_endpoints_are_used() {
    let settings = read(&[
        ("endpoint.b.url", "http://b"),
        ("endpoint.a.url", "http://a:4317"),
        ("endpoint.a.protocol", "GRPC"),
        ("endpoint.a.compression", "gzip"),
        ("endpoint.a.signals", "traces, logs"),
        ("endpoint.a.timeout", "1500ms"),
        ("endpoint.a.tls.verify", "off"),
        ("endpoint.a.tls.ca_file", "/ca.pem"),
        ("endpoint.a.headers", "a 1"),
        ("endpoint.a.headers", "b=2,c=3"),
        ("max_in_flight", "3"),
    ])
    .unwrap();
    let [a, b] = settings.endpoints.as_slice() else { panic!() };
    assert_eq!((a.protocol, a.compression), (Protocol::Grpc, Compression::Gzip));
    assert_eq!(a.signals, [Signal::Traces, Signal::Logs]);
    assert_eq!((a.timeout, a.headers.len()), (Duration::from_millis(1500), 3));
    assert!(!a.tls.verify);
    assert_eq!((b.name.as_str(), settings.max_in_flight), ("b", 3));
}

#[test]
fn every_mistake_is_told_at_once() {
    let problems = read(&[
        ("endpoints", "a, ghost"),
        ("max_in_flight", "many"),
        ("endpoint.a.url", "ftp://user:hush@a"),
        ("endpoint.a.protcol", "grpc"),
        ("endpoint.a.protocol", "http/xml"),
        ("endpoint.a.compression", "zstd"),
        ("endpoint.a.where", "signal == 'span' && foo"),
        ("endpoint.a.timeout", "0s"),
        ("endpoint.a.signals", "spans"),
        ("endpoint.a.content", "remove"),
        ("endpoint.a.sampling_percentage", "101"),
        ("endpoint.a.headers", "hush"),
        ("endpoint.b.tls.verify", "perhaps"),
        ("endpoint.c.url", "http://c"),
        ("endpoint.c.where", "errors > 0"),
    ])
    .unwrap_err()
    .0;
    for expected in [
        "'max_in_flight': 'many'",
        "'endpoint.a.url': '...@a' is not allowed; allowed: a URL",
        "there is no key 'protcol'; allowed: url, protocol",
        "allowed: http/protobuf, http/json, grpc",
        "zstd is not supported yet",
        "line 1, column 21: unknown variable 'foo'",
        "'endpoint.a.timeout': '0s'",
        "allowed: traces, metrics, logs",
        "allowed: keep, drop",
        "'endpoint.a.sampling_percentage': '101'",
        "option 'endpoint.a.headers': write name=value",
        "endpoint 'b' has no 'endpoint.b.url'",
        "'endpoint.b.tls.verify': 'perhaps'",
        "'ghost' has no 'endpoint.ghost.url'; given are: a, b, c",
        "has no 'spans', 'errors' or 'root'",
    ] {
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{expected}: {problems:#?}"
        );
    }
    assert!(!problems.join(" ").contains("hush"));
    assert_eq!(problems.len(), 15);
}

#[test]
fn no_endpoint_is_a_mistake_that_says_what_to_write() {
    let problems = read(&[]).unwrap_err().0;
    assert!(problems[0].contains("endpoint.main.url"));
    let problems = read(&[("endpoint.", "x"), ("endpoint.a!.url", "http://a")]).unwrap_err().0;
    assert!(problems.iter().any(|problem| problem.contains("endpoint names consist of")));
}
