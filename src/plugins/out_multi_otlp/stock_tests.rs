//! The options of Fluent Bit's own output: each is taken, or stops the start in words.

use super::*;
use crate::export::{
    AddressFamily, ClientAuthentication, Compression, Http2, OAuth2Settings, Protocol,
};

/// Options as the host hands them over: what it keeps for itself stands apart.
struct Host {
    given: Vec<(String, String)>,
    kept: Vec<(String, String)>,
}

impl Options for Host {
    fn given(&self) -> &[(String, String)] {
        &self.given
    }

    fn host_value(&self, name: &str) -> Option<String> {
        self.kept.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// What the host keeps of an output that is given nothing.
const USUAL: [(&str, &str); 4] =
    [("tls", "off"), ("tls.verify", "on"), ("tls.verify_hostname", "off"), ("tls.debug", "-1")];

fn read(given: &[(&str, &str)], kept: &[(&str, &str)]) -> Result<ExportSettings, OpenError> {
    let mut kept = owned(kept);
    kept.extend(owned(&USUAL));
    let host = Host { given: owned(given), kept };
    let options = FileOptions::read(&host, MultiOtlp::SPEC.options, &[]);
    let mut parser = Parser::over(&options);
    let settings = settings(&mut parser);
    parser.finish(settings?)
}

fn one(given: &[(&str, &str)], kept: &[(&str, &str)]) -> EndpointSettings {
    let [endpoint] = read(given, kept).unwrap().endpoints.try_into().unwrap();
    endpoint
}

fn problems(given: &[(&str, &str)], kept: &[(&str, &str)]) -> Vec<String> {
    read(given, kept).unwrap_err().0
}

/// Scenario: the configuration of Fluent Bit's own output with another name of the plugin.
/// Guarantees: it means the same.
#[test]
fn a_configuration_of_the_stock_output_is_one_endpoint() {
    let endpoint = one(
        &[
            ("logs_uri", "/in/logs?key=1"),
            ("header", "X-Key a=b"),
            ("header", "X-Other c"),
            ("compress", "gzip"),
            ("batch_size", "500"),
            ("http_user", "me"),
            ("http_passwd", "pw"),
            ("log_response_payload", "true"),
            ("logs_max_resources", "0"),
            ("logs_metadata_key", "otlp"),
            ("logs_resource_metadata_key", "Resource"),
            ("net.connect_timeout", "3"),
            ("net.keepalive", "off"),
            ("net.keepalive_idle_timeout", "20s"),
            ("net.tcp_keepalive", "on"),
            ("net.tcp_keepalive_time", "7"),
            ("net.tcp_keepalive_probes", "9"),
            ("net.source_address", "127.0.0.1"),
            ("net.dns.prefer_ipv6", "on"),
            ("net.dns.resolver", "LEGACY"),
            ("net.io_timeout", "0s"),
            ("net.proxy_env_ignore", "false"),
        ],
        &[
            ("host", "collector"),
            ("port", "4318"),
            ("tls", "on"),
            ("tls.verify", "off"),
            ("tls.verify_hostname", "on"),
            ("tls.ca_file", "/ca.pem"),
            ("tls.vhost", "real.example"),
        ],
    );
    assert_eq!(
        (endpoint.name.as_str(), endpoint.url.to_string().as_str()),
        ("default", { "https://collector:4318/" })
    );
    let logs = endpoint.url_for(crate::model::Signal::Logs).unwrap();
    assert_eq!(logs.to_string(), "https://real.example:4318/in/logs?key=1");
    assert_eq!((endpoint.compression, endpoint.max_request_items), (Compression::Gzip, 500));
    assert_eq!((endpoint.headers.len(), endpoint.headers[0].1.as_bytes()), (3, &b"a=b"[..]));
    assert!(!endpoint.tls.verify && endpoint.proxy_from_environment);
    assert_eq!(endpoint.tls.server_name.as_deref(), Some("real.example"));
    let net = &endpoint.net;
    let times = [net.keepalive_idle_timeout, net.tcp_keepalive_time, net.connect_timeout.unwrap()];
    assert_eq!(times.map(|time| time.as_secs()), [20, 7, 3]);
    assert_eq!((net.keepalive, net.tcp_keepalive_probes), (false, 9));
    assert_eq!(
        (net.prefer, net.source_address),
        (Some(AddressFamily::V6), { Some("127.0.0.1".parse().unwrap()) })
    );
}

#[test]
fn what_the_host_keeps_of_tls_is_the_one_endpoints() {
    let endpoint = one(
        &[],
        &[
            ("host", "a"),
            ("tls", "on"),
            ("tls.ca_path", "/certs"),
            ("tls.key_file", "/key.pem"),
            ("tls.key_passwd", "hush"),
            ("tls.min_version", "TLSv1.3"),
            ("tls.ciphers", "ECDHE-RSA-AES128-GCM-SHA256"),
        ],
    );
    assert_eq!((endpoint.tls.versions, endpoint.tls.ciphers.len()), ((13, 13), 1));
    assert_eq!(endpoint.tls.ca_path.as_deref(), Some(std::path::Path::new("/certs")));
    assert!(endpoint.tls.key_passwd.is_some() && !format!("{:?}", endpoint.tls).contains("hush"));
}

#[test]
fn keys_without_a_name_are_one_endpoint() {
    let endpoint = one(&[("url", "http://a:4317"), ("grpc", "on"), ("signals", "logs")], &[]);
    assert_eq!((endpoint.protocol, endpoint.signals.len()), (Protocol::Grpc, 1));
    assert_eq!(one(&[], &[("host", "::1"), ("port", "4318")]).url, "http://[::1]:4318");
    assert_eq!(one(&[], &[("host", "a")]).url, "http://a");
    for (given, kept, expected) in [
        (&[("compress", "lz4")][..], &[("host", "a")][..], "option 'compress': 'lz4'"),
        (&[("compress", "gzip")], &[], "no endpoint is given; write 'host'"),
        (&[], &[("port", "4318")], "no endpoint is given; write 'host'"),
        (&[("url", "http://a")], &[("host", "a")], "option 'host': it is given beside 'url'"),
        (&[("url", "http://a")], &[("tls", "on")], "option 'tls': it is given beside 'url'"),
        (&[("url", "http://u:hush@a b")], &[], "option 'url': '...@a b'"),
    ] {
        let found = problems(given, kept);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}: {found:#?}");
        assert!(!found.join(" ").contains("hush"));
    }
    assert_eq!(one(&[("url", "https://a")], &[("tls", "on")]).url, "https://a");
}

/// Scenario: every option that the host or we take at the top, beside an endpoint that has a name.
/// Guarantees: each stops the start, with the option to use instead.
#[test]
fn beside_named_endpoints_every_option_at_the_top_is_reported() {
    let named = ("endpoint.a.url", "http://a");
    let hosts = [
        "tls.vhost",
        "tls.ca_path",
        "tls.ca_file",
        "tls.crt_file",
        "tls.key_file",
        "tls.key_passwd",
        "tls.min_version",
        "tls.max_version",
        "tls.ciphers",
        "tls.proxy.ca_path",
        "tls.proxy.ca_file",
    ];
    for name in hosts {
        let found = problems(&[named], &[(name, "x")]);
        let expected = format!("option '{name}': endpoints have their own");
        assert!(found.iter().any(|problem| problem.contains(&expected)), "{name}: {found:#?}");
    }
    let switches =
        [("tls.verify", "off"), ("tls.verify_hostname", "on"), ("tls.debug", "3"), ("tls", "on")];
    for (name, value) in switches.into_iter().chain([("host", "a"), ("port", "4318")]) {
        let found = problems(&[named], &[(name, value)]);
        let expected = format!("option '{name}': endpoints have their own");
        assert!(found.iter().any(|problem| problem.contains(&expected)), "{name}: {found:#?}");
    }
    let ours = keys::KEYS.iter().map(|key| key.name);
    for name in ours.chain(stock::names()) {
        let found = problems(&[named, (name, "x")], &[]);
        let expected = format!("option '{name}': endpoints have their own here; write 'endpoint.");
        assert!(found.iter().any(|problem| problem.contains(&expected)), "{name}: {found:#?}");
    }
    assert!(read(&[named], &[]).is_ok());
}

/// Guarantees: what does nothing of its own says what to use, unless its value says what is done
/// anyway.
#[test]
fn what_is_settled_is_reported() {
    let read_one = |key: &str, value: &str| {
        read(&[("endpoint.a.url", "http://a"), (&format!("endpoint.a.{key}"), value)], &[])
    };
    for (key, value, expected) in [
        ("host", "a", "write it in 'url'"),
        ("port", "1", "write it in 'url'"),
        ("tls", "on", "write https or http in 'url'"),
        ("add_label", "a b", "write 'attributes.add: NAME=VALUE'"),
        ("log_response_payload", "off", "the words of an endpoint are shown"),
        ("logs_max_resources", "3", "nothing is dropped"),
        ("logs_max_scopes", "3", "nothing is dropped"),
        ("net.io_timeout", "10s", "write 'timeout'"),
        ("net.keepalive_max_recycle", "10", "write 'max_connection_age'"),
        ("net.max_worker_connections", "10", "write 'max_in_flight'"),
        ("net.connect_timeout_log_error", "off", "a failure is shown the first time"),
        ("net.dns.mode", "TCP", "names are looked up by the system"),
        ("net.dns.resolver", "ASYNC", "names are looked up by the system"),
        ("tls.verify_hostname", "off", "the name is checked with the certificate"),
        ("tls.debug", "4", "failures name their cause"),
        ("tls.proxy.verify", "off", "write 'tls.verify'"),
        ("tls.proxy.verify_hostname", "off", "the proxy's name is checked"),
        ("tls.proxy.ca_path", "/x", "write 'tls.ca_path'"),
        ("tls.proxy.ca_file", "/x", "write 'tls.ca_file'"),
    ] {
        let found = read_one(key, value).unwrap_err().0;
        let expected = format!("option 'endpoint.a.{key}': '{value}' is not allowed; {expected}");
        assert!(found.iter().any(|problem| problem.contains(&expected)), "{expected}: {found:#?}");
    }
    for (key, value) in [
        ("log_response_payload", "yes"),
        ("logs_max_scopes", "0"),
        ("net.max_worker_connections", "0"),
        ("net.connect_timeout_log_error", "on"),
        ("tls.verify_hostname", "true"),
        ("tls.debug", "0"),
        ("tls.proxy.verify", "on"),
    ] {
        assert!(read_one(key, value).is_ok(), "{key}");
    }
    for (key, value) in [
        ("logs_metadata_key", "other"),
        ("logs_resource_metadata_key", "other"),
        ("logs_instrumentation_scope_metadata_key", "other"),
    ] {
        let found = problems(&[("endpoint.a.url", "http://a"), (key, value)], &[]);
        assert!(found[0].starts_with(&format!("option '{key}': 'other'")), "{found:#?}");
    }
}

#[test]
fn values_of_the_shared_options_are_checked() {
    let on = |key: &str, value: &str| {
        read(&[("endpoint.a.url", "https://a"), (&format!("endpoint.a.{key}"), value)], &[])
    };
    for (key, value, expected) in [
        ("logs_uri", "v1/logs", "allowed: a path such as /v1/logs"),
        ("grpc_logs_uri", "/x", "option 'endpoint.a.grpc_logs_uri': it needs 'protocol: grpc'"),
        ("http2", "maybe", "allowed: auto, off, on, force"),
        ("grpc", "auto", "allowed: on, off"),
        ("net.connect_timeout", "0", "allowed: a duration"),
        ("net.keepalive_idle_timeout", "0", "allowed: a duration"),
        ("net.tcp_keepalive_time", "0", "allowed: seconds from 1"),
        ("net.tcp_keepalive_interval", "x", "allowed: seconds from 1"),
        ("net.tcp_keepalive_probes", "0", "allowed: a number from 1 to 127"),
        ("net.source_address", "eth0", "allowed: an IP address"),
        ("net.dns.prefer_ipv4", "maybe", "allowed: on, off"),
        ("proxy_from_environment", "maybe", "allowed: on, off"),
        ("tls.min_version", "TLSv1.1", "allowed: TLSv1.2, TLSv1.3"),
        ("tls.max_version", "SSLv3", "allowed: TLSv1.2, TLSv1.3"),
        ("tls.ciphers", "RC4-MD5", "'RC4-MD5' is not allowed; allowed: TLS_AES"),
        ("tls.ca_path", "", "allowed: a path"),
        ("tls.key_passwd", "hush", "'endpoint.a.tls.key_passwd': it needs tls.key_file"),
        ("oauth2.auth_method", "tls", "allowed: basic, post, private_key_jwt"),
        ("oauth2.jwt_ttl_seconds", "0", "allowed: seconds from 1"),
        ("oauth2.refresh_skew_seconds", "x", "allowed: seconds from 0"),
        ("oauth2.timeout", "x", "allowed: a duration"),
        ("oauth2.enable", "on", "'endpoint.a.oauth2.token_url': it is needed"),
        ("oauth2.resource", "x", "'endpoint.a.oauth2.token_url': it is needed"),
    ] {
        let found = on(key, value).unwrap_err().0;
        assert!(found.iter().any(|problem| problem.contains(expected)), "{key}: {found:#?}");
    }
    for (value, expected) in
        [("on", Http2::On), ("off", Http2::Off), ("force", Http2::Force), ("Auto", Http2::Auto)]
    {
        assert_eq!(on("http2", value).unwrap().endpoints[0].http2, expected);
    }
}

#[test]
fn what_contradicts_itself_is_reported() {
    let both = |more: &[(&str, &str)]| {
        problems(&[&[("endpoint.a.url", "http://a")], more].concat(), &[]).join("\n")
    };
    for (more, expected) in [
        (&[("endpoint.a.protocol", "grpc"), ("endpoint.a.grpc", "off")][..], "than 'protocol'"),
        (&[("endpoint.a.protocol", "http/json"), ("endpoint.a.grpc", "on")], "than 'protocol'"),
        (&[("endpoint.a.grpc", "on"), ("endpoint.a.logs_uri", "/x")], "it is for HTTP"),
        (
            &[("endpoint.a.tls.min_version", "TLSv1.3"), ("endpoint.a.tls.max_version", "TLSv1.2")],
            "no version is left",
        ),
        (
            &[("endpoint.a.proxy", "http://p"), ("endpoint.a.proxy_from_environment", "on")],
            "it is given beside 'proxy'",
        ),
        (
            &[("endpoint.a.grpc", "on"), ("endpoint.a.proxy_from_environment", "on")],
            "gRPC goes through a proxy only with https",
        ),
        (
            &[("endpoint.a.net.dns.prefer_ipv4", "on"), ("endpoint.a.net.dns.prefer_ipv6", "on")],
            "one of net.dns.prefer_ipv4",
        ),
    ] {
        let found = both(more);
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

fn with_oauth2(more: &[(&str, &str)]) -> Result<Option<OAuth2Settings>, OpenError> {
    let mut given = owned(&[
        ("url", "http://a"),
        ("oauth2.enable", "on"),
        ("oauth2.token_url", "https://id/token"),
        ("oauth2.client_id", "me"),
    ]);
    given.extend(more.iter().map(|(key, value)| (format!("oauth2.{key}"), (*value).to_owned())));
    let given: Vec<_> = given.iter().map(|(key, value)| (&**key, &**value)).collect();
    read(&given, &[]).map(|settings| settings.endpoints[0].credentials.oauth2.clone())
}

#[test]
fn clients_prove_who_they_are_in_three_ways() {
    let basic = with_oauth2(&[("client_secret", "s"), ("scope", "x")]).unwrap().unwrap();
    assert_eq!((basic.authentication, basic.scopes.len()), (ClientAuthentication::Basic, 1));
    let post = with_oauth2(&[
        ("client_secret", "s"),
        ("auth_method", "POST"),
        ("resource", "https://r"),
        ("timeout", "3s"),
        ("connect_timeout", "0s"),
        ("refresh_skew_seconds", "60"),
    ]);
    let post = post.unwrap().unwrap();
    assert_eq!(post.authentication, ClientAuthentication::Post);
    assert_eq!((post.resource.as_deref(), post.connect_timeout), (Some("https://r"), None));
    assert_eq!(post.timeout.zip(post.refresh_skew).map(|(a, b)| (a.as_secs(), b.as_secs())), {
        Some((3, 60))
    });
    let signed = with_oauth2(&[
        ("auth_method", "private_key_jwt"),
        ("jwt_key_file", "/key.pem"),
        ("jwt_cert_file", "/crt.pem"),
        ("jwt_header", "x5t"),
        ("jwt_aud", "https://aud"),
        ("jwt_ttl_seconds", "60"),
    ]);
    let ClientAuthentication::PrivateKeyJwt(jwt) = signed.unwrap().unwrap().authentication else {
        panic!()
    };
    assert_eq!((jwt.header.as_str(), jwt.lifetime.as_secs()), ("x5t", 60));
    assert_eq!(jwt.audience.as_deref(), Some("https://aud"));
}

#[test]
fn what_does_not_prove_who_a_client_is_is_reported() {
    for (more, expected) in [
        (&[][..], "'oauth2.client_secret': it is needed"),
        (&[("client_secret", "s"), ("jwt_aud", "x")], "'oauth2.jwt_aud': it needs"),
        (&[("auth_method", "private_key_jwt")], "'oauth2.jwt_key_file': it is needed"),
        (
            &[("auth_method", "private_key_jwt"), ("jwt_key_file", "/k"), ("jwt_header", "x5t")],
            "'oauth2.jwt_header': it needs oauth2.jwt_cert_file",
        ),
        (
            &[("auth_method", "private_key_jwt"), ("jwt_key_file", "/k"), ("client_secret", "s")],
            "'oauth2.client_secret': with 'oauth2.auth_method",
        ),
    ] {
        let found = with_oauth2(more).err().unwrap().0.join("\n");
        assert!(found.contains(expected), "{expected}: {found}");
    }
    assert!(
        read(&[("url", "http://a"), ("oauth2.enable", "off"), ("oauth2.audience", "x")], &[])
            .unwrap()
            .endpoints[0]
            .credentials
            .oauth2
            .is_none()
    );
}
