use super::*;
use crate::export::{
    Compression, ContentHandling, DeadLetterTarget, GroupMode, HeaderSource, MemberSource, Protocol,
};
use crate::hub::{FilterRole, Hub, StartedFilter};
use crate::model::Signal;
use crate::plugin::GivenOptions;

pub(super) fn read(given: &[(&str, &str)]) -> Result<ExportSettings, OpenError> {
    let given = GivenOptions::of(given);
    let given = FileOptions::read(&given, MultiOtlp::SPEC.options, &[]);
    let mut parser = Parser::over(&given);
    let settings = settings(&mut parser)?;
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
    assert_eq!((apm.name.as_str(), apm.content), ("apm", ContentHandling::Drop));
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
        ("retry_in_place_size", "4m"),
        ("endpoint.b.retry_in_place", "90s"),
    ])
    .unwrap();
    let [a, b] = settings.endpoints.as_slice() else { panic!() };
    assert_eq!((a.protocol, a.compression), (Protocol::Grpc, Compression::Gzip));
    assert_eq!(a.signals, [Signal::Traces, Signal::Logs]);
    assert_eq!((a.timeout, a.headers.len()), (Duration::from_millis(1500), 3));
    assert!(!a.tls.verify);
    assert_eq!((b.name.as_str(), settings.max_in_flight), ("b", 3));
    assert_eq!(settings.retry_in_place_size, 4_000_000);
    assert_eq!((a.retry_in_place.as_secs(), b.retry_in_place.as_secs()), (30, 90));
}

#[test]
fn every_mistake_is_reported_at_once() {
    let problems = read(&[
        ("endpoints", "a, ghost"),
        ("max_in_flight", "many"),
        ("endpoint.a.url", "ftp://user:hush@a"),
        ("endpoint.a.protcol", "grpc"),
        ("endpoint.a.protocol", "http/xml"),
        ("endpoint.a.compression", "lz4"),
        ("endpoint.a.where", "signal == 'span' && foo"),
        ("endpoint.a.timeout", "0s"),
        ("endpoint.a.retry_in_place", "11m"),
        ("retry_in_place_size", "much"),
        ("endpoint.a.signals", "spans"),
        ("endpoint.a.content", "truncate:x"),
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
        "allowed: none, gzip, zstd",
        "line 1, column 21: unknown variable 'foo'",
        "'endpoint.a.timeout': '0s'",
        "'endpoint.a.retry_in_place': '11m' is not allowed; allowed: a duration up to 10m",
        "'retry_in_place_size': 'much'",
        "allowed: traces, metrics, logs",
        "allowed: truncate:BYTES",
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
    assert_eq!(problems.len(), 17);
}

#[test]
fn connections_have_an_age_only_if_one_is_given() {
    let age = |given: &[(&str, &str)]| {
        let given = [&[("endpoint.a.url", "http://a")], given].concat();
        read(&given).map(|settings| settings.endpoints[0].max_connection_age)
    };
    assert_eq!(age(&[]).unwrap(), None);
    assert_eq!(age(&[("endpoint.a.max_connection_age", "0")]).unwrap(), None);
    let five = age(&[("endpoint.a.max_connection_age", "5m")]).unwrap();
    assert_eq!(five, Some(Duration::from_secs(300)));
    for wrong in ["10ms", "soon", "-1s"] {
        let problems = age(&[("endpoint.a.max_connection_age", wrong)]).unwrap_err().0;
        let expected =
            format!("'endpoint.a.max_connection_age': '{wrong}' is not allowed; allowed: 0 (");
        assert!(problems[0].contains(&expected), "{problems:#?}");
    }
}

#[test]
fn no_endpoint_is_a_mistake_that_says_what_to_write() {
    let problems = read(&[]).unwrap_err().0;
    assert!(problems[0].contains("endpoint.main.url"));
    let problems = read(&[("endpoint.", "x"), ("endpoint.a!.url", "http://a")]).unwrap_err().0;
    assert!(problems.iter().any(|problem| problem.contains("endpoint names consist of")));
}

#[test]
fn groups_are_read() {
    let settings = read(&[
        ("endpoint.a.url", "http://a"),
        ("endpoint.b.url", "http://b"),
        ("endpoint.b.timeout", "3s"),
        ("endpoint.c.url", "http://c"),
        ("group.fo.members", "b, a"),
        ("group.fo.timeout", "7s"),
        ("group.fo.content", "drop"),
        ("group.gates.url", "http://gateways:4317"),
        ("group.gates.protocol", "grpc"),
        ("group.gates.mode", "balance"),
        ("group.gates.balance", "trace_id"),
        ("group.gates.dns_interval", "3s"),
    ])
    .unwrap();
    assert_eq!(settings.endpoints.len(), 1);
    assert_eq!(settings.endpoints[0].name, "c");
    let [fo, gates] = settings.groups.as_slice() else { panic!() };
    assert_eq!((fo.name.as_str(), fo.mode), ("fo", GroupMode::Failover));
    let MemberSource::Listed(members) = &fo.members else { panic!() };
    let found: Vec<_> = members.iter().map(|m| (m.name.as_str(), m.timeout.as_secs())).collect();
    assert_eq!(found, [("b", 3), ("a", 7)]);
    assert!(members.iter().all(|member| member.content == ContentHandling::Drop));
    assert_eq!(gates.mode, GroupMode::TraceId);
    let MemberSource::Resolved { endpoint, interval } = &gates.members else { panic!() };
    assert_eq!((endpoint.protocol, interval.as_secs()), (Protocol::Grpc, 3));
    // `all` is a list of endpoints with defaults.
    let settings = read(&[
        ("endpoints", "a"),
        ("groups", "both"),
        ("endpoint.a.url", "http://a"),
        ("endpoint.b.url", "http://b"),
        ("group.both.members", "a,b"),
        ("group.both.mode", "all"),
        ("group.other.members", "a"),
    ])
    .unwrap();
    let names: Vec<_> = settings.endpoints.iter().map(|e| e.name.as_str()).collect();
    assert_eq!((names, settings.groups.len()), (vec!["a", "b"], 0));
}

#[test]
fn mistakes_in_groups_are_reported() {
    let problems = read(&[
        ("groups", "a, ghost"),
        ("endpoint.x.url", "http://x"),
        ("endpoint.x.where", "signal == 'span'"),
        ("endpoint.y.url", "http://y"),
        ("group.a.members", "x, y, z"),
        ("group.a.mode", "fanout"),
        ("group.a.timout", "3s"),
        ("group.a.headers", "hush"),
        ("group.b.mode", "balance"),
        ("group.c.url", "http://c"),
        ("group.c.mode", "all"),
        ("group.c.dns_interval", "0s"),
        ("group.d.members", "x"),
        ("group.d.balance", "trace_id"),
        ("group.e.members", "x, y"),
        ("group.e.mode", "balance"),
        ("group.e.balance", "random"),
        ("group.f.members", "x, y"),
    ])
    .unwrap_err()
    .0;
    for expected in [
        "there is no 'group.ghost.members'",
        "'z' has no 'endpoint.z.url'",
        "'group.a.mode': 'fanout' is not allowed; allowed: all, failover, balance",
        "option 'group.a.timout': there is no key 'timout'",
        "option 'group.a.headers': write name=value",
        "group 'b' needs either 'group.b.members'",
        "'group.c.mode': 'all'",
        "'group.c.dns_interval': '0s'",
        "'group.d.balance': it needs 'group.d.mode: balance'",
        "'group.e.balance': 'random'",
        "group 'f': its members differ in 'where'",
    ] {
        assert!(problems.iter().any(|p| p.contains(expected)), "{expected}: {problems:#?}");
    }
    assert!(!problems.join(" ").contains("hush"));
}

#[test]
fn a_file_holds_the_same_options() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otlp.yaml");
    let text = "
max_in_flight: 5
groups: [gates]
endpoint:
  a: {url: 'http://a', signals: [traces, logs], tls: {verify: false}, content: [errors_only, findings_only]}
  b: {url: 'http://b', oauth2: {token_url: 'https://id/token', client_id: me, client_secret: hush, scopes: [x, z]}, content: [errors_only, findings_only]}
group:
  gates:
    members: [a, b]
    mode: balance
    signals: traces, logs
";
    std::fs::write(&path, text).unwrap();
    let file = path.display().to_string();
    let settings = read(&[("config_file", &file), ("endpoint.c.url", "http://c")]).unwrap_err();
    assert!(settings.0[0].contains("differ in 'signals'"), "{settings:?}");
    std::fs::write(
        &path,
        text.replace("    signals: traces, logs\n", "").replace("signals: [traces, logs], ", ""),
    )
    .unwrap();
    let settings = read(&[("config_file", &file), ("endpoint.c.url", "http://c")]).unwrap();
    assert_eq!((settings.max_in_flight, settings.endpoints.len()), (5, 1));
    let MemberSource::Listed(members) = &settings.groups[0].members else { panic!() };
    assert!(!members[0].tls.verify);
    let ContentHandling::Only(kept) = members[0].content else { panic!() };
    assert!(kept.errors && kept.findings && kept.sample.is_none());
    let oauth2 = members[1].credentials.oauth2.as_ref().unwrap();
    assert_eq!(oauth2.scopes, ["x", "z"]);
    std::fs::write(&path, "endpoint: {a: {url: 'http://a', protcol: grpc}}\nmax_in_fligth: 3\n")
        .unwrap();
    let problems = read(&[("config_file", &file)]).unwrap_err().0;
    assert!(problems.iter().any(|problem| problem.contains("max_in_fligth")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.contains("no key 'protcol'")), "{problems:?}");
}

#[test]
fn headers_and_letters_are_read() {
    let settings = read(&[
        ("endpoint.a.url", "https://a"),
        ("endpoint.a.http_user", "me"),
        ("endpoint.a.http_passwd", "pw"),
        ("endpoint.a.header_from", "x-scope-orgid=resource.tenant.id, x-p=attributes.project"),
        ("endpoint.a.dead_letter", "Rest"),
        ("endpoint.a.proxy", "http://proxy:3128"),
        ("endpoint.a.tls.server_name", "real.example"),
        ("endpoint.a.compression", "zstd"),
        ("endpoint.b.url", "http://b"),
        ("endpoint.b.bearer_token", "tok"),
        ("endpoint.b.dead_letter_file", "/tmp/letters"),
        ("endpoint.b.dead_letter_file_size", "5m"),
        ("endpoint.rest.url", "http://rest"),
    ])
    .unwrap();
    let [a, b] = settings.endpoints.as_slice() else { panic!("{:?}", settings.endpoints) };
    assert_eq!(a.headers[0].1, "Basic bWU6cHc=");
    assert_eq!(a.header_from[0].source, HeaderSource::Resource("tenant.id".to_owned()));
    assert_eq!(a.header_from[1].source, HeaderSource::Item("project".to_owned()));
    let Some(DeadLetterTarget::Endpoint(rest)) = &a.dead_letter else { panic!() };
    assert_eq!((rest.name.as_str(), a.compression), ("rest", Compression::Zstd));
    assert_eq!(b.headers[0].1, "Bearer tok");
    let Some(DeadLetterTarget::File(_, 5_000_000)) = &b.dead_letter else { panic!() };
    let problems = read(&[
        ("endpoints", "a, b"),
        ("endpoint.a.url", "http://a"),
        ("endpoint.a.protocol", "grpc"),
        ("endpoint.a.http_user", "hush"),
        ("endpoint.a.bearer_token_file", "/x"),
        ("endpoint.a.header_from", "x=span.k"),
        ("endpoint.a.dead_letter", "a"),
        ("endpoint.a.proxy", "http://u:hush@proxy:1"),
        ("endpoint.a.tls.server_name", "a:b"),
        ("endpoint.b.url", "http://b"),
        ("endpoint.b.http_passwd", "hush"),
        ("endpoint.b.oauth2.client_secret", "hush"),
        ("endpoint.b.dead_letter_file_size", "5m"),
        ("endpoint.b.proxy", "hush"),
    ])
    .unwrap_err()
    .0;
    for expected in [
        "endpoint 'a' is given several authorizations",
        "allowed: NAME=resource.KEY",
        "'endpoint.a.dead_letter': 'a' is not allowed",
        "option 'endpoint.a.proxy': gRPC goes through a proxy only with https",
        "'endpoint.a.tls.server_name': 'a:b'",
        "option 'endpoint.b.http_passwd': it needs http_user",
        "option 'endpoint.b.oauth2.token_url': it is needed",
        "option 'endpoint.b.dead_letter_file_size': it needs dead_letter_file",
        "option 'endpoint.b.proxy': write a URL",
    ] {
        assert!(problems.iter().any(|p| p.contains(expected)), "{expected}: {problems:#?}");
    }
    assert!(!problems.join(" ").contains("hush"));
}

#[test]
fn content_and_attribute_rules_are_read() {
    let settings = read(&[
        ("endpoint.a.url", "http://a"),
        ("endpoint.a.content", "truncate:4k"),
        ("endpoint.a.attributes.add", "team=red,blue, resource.env=prod"),
        ("endpoint.a.attributes.drop", "secret.*, resource.host.name"),
        ("endpoint.a.attributes.rename", "old=new"),
        ("endpoint.a.attributes.hash", "user.id"),
        ("endpoint.a.attributes.hash_key", "pepper"),
        ("endpoint.b.url", "http://b"),
        ("endpoint.b.content", "errors_only, sample:50"),
    ])
    .unwrap();
    let [a, b] = settings.endpoints.as_slice() else { panic!() };
    assert_eq!(a.content, ContentHandling::Truncate(4_000));
    let ContentHandling::Only(kept) = b.content else { panic!("{:?}", b.content) };
    assert!(kept.errors && !kept.findings && kept.sample.is_some());
    let rules = a.attributes.as_ref().unwrap();
    assert_eq!(rules.add[0].1, "red,blue");
    assert!(rules.add[1].0.of_resource && rules.drop[1].of_resource);
    assert_eq!((rules.rename[0].1.as_str(), rules.hash.len()), ("new", 1));
    assert!(b.attributes.is_none() && !format!("{rules:?}").contains("pepper"));
    let problems = read(&[
        ("endpoint.a.url", "http://a"),
        ("endpoint.a.attributes.rename", "old=resource.new"),
        ("endpoint.b.url", "http://b"),
        ("endpoint.b.attributes.add", "=x"),
        ("endpoint.c.url", "http://c"),
        ("endpoint.c.attributes.hash_key", "hush"),
    ])
    .unwrap_err()
    .0;
    for expected in [
        "'endpoint.a.attributes.rename': a name stays where it is",
        "'endpoint.b.attributes.add': write KEY=VALUE",
        "'endpoint.c.attributes.hash_key': it needs attributes.hash",
    ] {
        assert!(problems.iter().any(|p| p.contains(expected)), "{expected}: {problems:#?}");
    }
    assert!(!problems.join(" ").contains("hush"));
}

fn problems(given: &[(&str, &str)]) -> Vec<String> {
    read(given).unwrap_err().0
}

#[test]
fn what_one_endpoint_cannot_have_together_is_reported() {
    let found = problems(&[
        ("endpoint.a.url", "http://a"),
        ("endpoint.a.header_from", "x=resource.tenant.id, y=attributes.project, z=scope.s"),
        ("endpoint.a.attributes.drop", "resource.tenant.*"),
        ("endpoint.a.attributes.rename", "project=team"),
        ("endpoint.a.dead_letter", "rest"),
        ("endpoint.b.url", "http://b"),
        ("endpoint.b.attributes.rename", "old.*=new"),
        ("endpoint.c.url", "http://c"),
        ("endpoint.c.attributes.add", "k*=v"),
        ("endpoint.c.max_request_items", "0"),
        ("endpoint.rest.url", "http://rest"),
        ("endpoint.rest.content", "drop"),
    ]);
    for expected in [
        "'endpoint.a.header_from': 'tenant.id' is not there any more after 'attributes.drop'",
        "'endpoint.a.header_from': 'project' is not there any more after 'attributes.rename'",
        "'endpoint.rest.content': 'rest' gets the dead letters of 'a'",
        "'endpoint.b.attributes.rename': 'old.*': a '*' can stand only in drop and hash",
        "'endpoint.c.attributes.add': 'k*': a '*'",
        "'endpoint.c.max_request_items': '0' is not allowed; allowed: a number from 1",
    ] {
        assert!(found.iter().any(|p| p.contains(expected)), "{expected}: {found:#?}");
    }
    assert_eq!(found.len(), 6, "{found:#?}");
    let settings = read(&[
        ("endpoint.a.url", "http://a"),
        ("endpoint.a.header_from", "x=resource.tenant.id"),
        ("endpoint.a.attributes.drop", "tenant.id"),
        ("endpoint.a.attributes.hash", "resource.tenant.id"),
        ("endpoint.a.max_request_items", "8192"),
    ]);
    assert_eq!(settings.unwrap().endpoints[0].max_request_items, 8192);
}

#[test]
fn a_member_named_also_by_itself_has_what_its_group_of_all_says() {
    let settings = read(&[
        ("endpoints", "a"),
        ("endpoint.a.url", "http://a"),
        ("endpoint.b.url", "http://b"),
        ("group.both.members", "a, b"),
        ("group.both.mode", "all"),
        ("group.both.content", "drop"),
    ]);
    let endpoints = settings.unwrap().endpoints;
    let shown: Vec<_> = endpoints.iter().map(|e| (e.name.as_str(), e.content)).collect();
    assert_eq!(shown, [("a", ContentHandling::Drop), ("b", ContentHandling::Drop)]);
}

#[test]
fn requests_to_aws_are_signed_by_option() {
    let settings = read(&[
        ("endpoint.xray.url", "https://xray.eu-central-1.amazonaws.com"),
        ("endpoint.xray.aws_auth", "on"),
        ("endpoint.xray.aws_role_arn", "arn:aws:iam::123456789012:role/telemetry"),
        ("endpoint.xray.aws_sts_endpoint", "sts.example"),
    ])
    .unwrap();
    let aws = settings.endpoints[0].credentials.aws.as_ref().unwrap();
    assert_eq!((aws.service.as_str(), aws.region.as_str()), ("xray", "eu-central-1"));
    assert_eq!(aws.sts_endpoint.as_ref().unwrap(), "https://sts.example/");
    let problems = read(&[
        ("endpoint.a.url", "https://logs.eu-central-1.amazonaws.com"),
        ("endpoint.a.aws_auth", "on"),
        ("endpoint.a.bearer_token", "t"),
        ("endpoint.b.url", "http://b"),
        ("endpoint.b.aws_profile", "p"),
        ("endpoint.c.url", "http://c"),
        ("endpoint.c.aws_auth", "perhaps"),
    ]);
    let text = problems.unwrap_err().0.join("\n");
    for part in [
        "several authorizations",
        "endpoint.b.aws_profile",
        "'aws_auth: on'",
        "endpoint.c.aws_auth",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn unlisted_content_has_its_own_option() {
    let url = ("endpoint.a.url", "http://a");
    let settings = read(&[
        url,
        ("endpoint.a.content", "errors_only"),
        ("endpoint.a.content_unlisted", "drop:2k"),
        ("endpoint.b.url", "http://b"),
        ("endpoint.b.content", "drop"),
        ("endpoint.b.content_unlisted", "keep"),
    ])
    .unwrap();
    let limits: Vec<_> =
        settings.endpoints.iter().map(|endpoint| endpoint.content_unlisted).collect();
    assert_eq!(limits, [Some(2_000), None]);
    for (given, expected) in [
        (
            vec![url, ("endpoint.a.content_unlisted", "drop:1k")],
            "needs a 'content' other than keep",
        ),
        (
            vec![url, ("endpoint.a.content", "drop"), ("endpoint.a.content_unlisted", "strict")],
            "allowed: keep, or drop:BYTES",
        ),
    ] {
        let problems = read(&given).unwrap_err().0;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(expected), "{problems:?}");
        assert!(problems[0].contains("endpoint.a.content_unlisted"), "{problems:?}");
    }
}

#[test]
fn each_endpoint_has_its_dialect() {
    let url = ("endpoint.a.url", "http://a");
    let settings = read(&[
        url,
        ("endpoint.a.dialect", "OpenInference"),
        ("endpoint.b.url", "http://b"),
        ("endpoint.c.url", "http://c"),
        ("endpoint.c.dialect", "current"),
    ])
    .unwrap();
    let dialects: Vec<_> = settings.endpoints.iter().map(|endpoint| endpoint.dialect).collect();
    let expected = [Some(BackendDialect::OpenInference), None, Some(BackendDialect::Current)];
    assert_eq!(dialects, expected);
    let selective: Vec<_> = settings.endpoints.iter().map(EndpointSettings::is_selective).collect();
    assert_eq!(selective, [true, false, true]);
    for (given, expected) in [
        (("endpoint.a.dialect", "phoenix"), "current, original, openinference, openllmetry"),
        (("endpoint.a.dialect", ""), "current, original, openinference, openllmetry"),
    ] {
        let problems = read(&[url, given]).unwrap_err().0;
        assert!(problems.len() == 1 && problems[0].contains(expected), "{problems:?}");
    }
    let of_logs = [url, ("endpoint.a.dialect", "current"), ("endpoint.a.signals", "logs")];
    let problems = read(&of_logs).unwrap_err().0;
    assert!(problems[0].contains("'signals' has no traces"), "{problems:?}");
}

#[test]
fn an_endpoint_may_have_our_names_of_server_metrics() {
    const KEY: &str = "endpoint.a.server_metrics";
    let given = |more: &[(&str, &str)]| read(&[&[("endpoint.a.url", "http://a")], more].concat());
    for (value, maps) in [("current", true), ("original", false)] {
        assert_eq!(given(&[(KEY, value)]).unwrap().endpoints[0].maps_server_metrics, maps);
    }
    let [wrong, of_logs] =
        [&[(KEY, "on")][..], &[(KEY, "current"), ("endpoint.a.signals", "logs")]];
    assert!(given(wrong).unwrap_err().0[0].contains("original, current"));
    assert!(given(of_logs).unwrap_err().0[0].contains("'signals' has no metrics"));
}

#[test]
fn content_goes_once_where_that_is_wanted() {
    let settings = read(&[
        ("endpoint.a.url", "http://a"),
        ("endpoint.a.deduplicate_content", "system, tools, my.prompt"),
        ("endpoint.b.url", "http://b"),
        ("endpoint.b.deduplicate_content", "off"),
        ("endpoint.c.url", "http://c"),
        ("group.g.members", "c"),
        ("group.g.deduplicate_content", "input"),
        ("group.g.deduplicate_window", "1h"),
    ]);
    let settings = settings.unwrap();
    let found = settings.endpoints.iter().map(|endpoint| endpoint.deduplication.clone());
    let [Some(all), None] = &found.collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((all.names.len(), all.window.as_secs(), all.min_size), (5, 600, 1_000));
    assert!(!settings.endpoints[0].is_selective());
    let of_member = settings.groups[0].common().unwrap().deduplication.as_ref().unwrap();
    assert_eq!((of_member.names.len(), of_member.window.as_secs()), (4, 3_600));
    let url = ("endpoint.a.url", "http://a");
    for (key, value, expected) in [
        ("deduplicate_content", "prompts", "allowed: off, or one or more of system, tools, input"),
        ("deduplicate_window", "10m", "it needs 'deduplicate_content'"),
        ("deduplicate_min_size", "100", "allowed: a size from 200 bytes"),
    ] {
        let problems = read(&[url, (&format!("endpoint.a.{key}"), value)]).unwrap_err().0;
        assert!(problems.len() == 1 && problems[0].contains(expected), "{problems:?}");
    }
    let of_metrics = ("endpoint.a.signals", "metrics");
    let problems = read(&[url, ("endpoint.a.deduplicate_content", "system"), of_metrics]);
    assert!(problems.unwrap_err().0[0].contains("'signals' has neither"));
}

#[test]
fn originals_that_are_taken_away_cannot_be_sent() {
    let context = |tags: Option<&str>, drops_originals| StartedFilter {
        instance: "ai_context.0".to_owned(),
        tags: tags.map(str::to_owned),
        role: FilterRole::Context {
            normalizes: true,
            drops_originals,
            redacts: false,
            unpacks: false,
        },
    };
    let given = GivenOptions::of(&[
        ("endpoint.a.url", "http://a"),
        ("endpoint.a.dialect", "original"),
        ("group.g.members", "b"),
        ("endpoint.b.url", "http://b"),
        ("endpoint.b.dialect", "original"),
    ]);
    for (filter, problems) in [
        (context(Some("ai*"), true), 2),
        (context(None, true), 2),
        (context(Some("other"), true), 0),
        (context(Some("ai*"), false), 0),
    ] {
        let hub = Hub::new(1);
        hub.order_filter(filter);
        let given = FileOptions::read(&given, MultiOtlp::SPEC.options, &[]);
        let mut parser = Parser::over(&given);
        let settings = settings(&mut parser).unwrap();
        check_originals(&mut parser, &settings, hub.drops_originals(Some("ai.x")));
        let found = parser.finish(()).err().map(|error| error.0).unwrap_or_default();
        assert_eq!(found.len(), problems, "{found:?}");
        assert!(found.iter().all(|problem| problem.contains("'ai_context.0' takes away")));
    }
}
