//! `docs/recipes`: each configuration is checked, started, and sends to a stand-in with its backend's rules.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use testkit::client::Client;
use testkit::hosts::Host;
use testkit::shipped::{Configuration, recipe};
use testkit::support::{linked, together};

use crate::backend::{Backend, Request_, Rule, above_a_megabyte, cumulative, delta, nothing};
use crate::configuration::{findings, hosts, stop};

/// A configuration of a page, and what its backend asks for.
struct Recipe {
    page: &'static str,
    /// Which of the page's configurations.
    number: usize,
    variables: &'static [(&'static str, &'static str)],
    rules: &'static [Rule],
    /// Takes out of the configuration what a rule asks for, so that it is refused.
    without: (&'static str, &'static str),
}

type Headers = &'static [(&'static str, &'static str)];

const fn rule(path: &'static str, headers: Headers) -> Rule {
    Rule { path, headers, refuses: nothing, zstd: true }
}

const fn metrics(path: &'static str, headers: Headers, refuses: fn(&[u8], usize) -> bool) -> Rule {
    Rule { path, headers, refuses, zstd: true }
}

const fn aws(path: &'static str, headers: Headers) -> Rule {
    Rule { path, headers, refuses: nothing, zstd: false }
}

// "public:secret", "12345:token" in Base64.
const LANGFUSE: Headers =
    &[("authorization", "Basic cHVibGljOnNlY3JldA=="), ("x-langfuse-ingestion-version", "4")];
const PHOENIX: Headers = &[("authorization", "Bearer key"), ("x-project-name", "shop")];
const DATADOG: Headers = &[("dd-api-key", "key")];
const LLMOBS: Headers = &[("dd-api-key", "key"), ("dd-otlp-source", "llmobs")];
const GRAFANA: Headers = &[("authorization", "Basic MTIzNDU6dG9rZW4=")];
const TENANT: Headers = &[("x-scope-orgid", "shop")];
const ELASTIC: Headers = &[("authorization", "ApiKey key")];
const NEW_RELIC: Headers = &[("api-key", "key")];
const DYNATRACE: Headers = &[("authorization", "Api-Token token")];
const SIGNED: Headers =
    &[("authorization", "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/"), ("x-amz-date", "20")];
const SIGNED_LOGS: Headers = &[
    ("authorization", "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/"),
    ("x-aws-log-group", "/shop/telemetry"),
    ("x-aws-log-stream", "gateway"),
];

const RECIPES: &[Recipe] = &[
    Recipe {
        page: "langfuse",
        number: 0,
        variables: &[("LANGFUSE_PUBLIC_KEY", "public"), ("LANGFUSE_SECRET_KEY", "secret")],
        rules: &[rule("/api/public/otel/v1/traces", LANGFUSE)],
        without: ("headers: x-langfuse-ingestion-version=4", "headers: x-other=4"),
    },
    Recipe {
        page: "phoenix",
        number: 0,
        variables: &[("PHOENIX_API_KEY", "key")],
        rules: &[rule("/v1/traces", PHOENIX)],
        without: ("bearer_token: key", "bearer_token: other"),
    },
    Recipe {
        page: "mlflow",
        number: 0,
        variables: &[],
        rules: &[rule("/v1/traces", &[("x-mlflow-experiment-id", "0")])],
        without: ("headers: x-mlflow-experiment-id=0", "headers: x-other=0"),
    },
    Recipe {
        page: "datadog",
        number: 0,
        variables: &[("DD_SITE", "datadoghq.com"), ("DD_API_KEY", "key")],
        rules: &[
            rule("/v1/traces", LLMOBS),
            metrics("/v1/metrics", DATADOG, cumulative),
            rule("/v1/logs", DATADOG),
        ],
        without: ("temporality: delta", "temporality: cumulative"),
    },
    Recipe {
        page: "grafana",
        number: 0,
        variables: &[
            ("GRAFANA_ZONE", "prod-eu-west-2"),
            ("GRAFANA_INSTANCE", "12345"),
            ("GRAFANA_TOKEN", "token"),
        ],
        rules: &[
            rule("/otlp/v1/traces", GRAFANA),
            metrics("/otlp/v1/metrics", GRAFANA, delta),
            rule("/otlp/v1/logs", GRAFANA),
        ],
        without: ("http_user: 12345", "http_user: other"),
    },
    Recipe {
        page: "grafana",
        number: 1,
        variables: &[("TENANT", "shop")],
        rules: &[
            rule("/v1/traces", &[]),
            metrics("/otlp/v1/metrics", TENANT, delta),
            rule("/otlp/v1/logs", TENANT),
        ],
        without: ("loki.headers: x-scope-orgid=", "loki.headers: x-other="),
    },
    Recipe {
        page: "prometheus",
        number: 0,
        variables: &[],
        rules: &[metrics("/api/v1/otlp/v1/metrics", &[], delta)],
        without: ("interval: 1s", "interval: 1s\n      temporality: delta"),
    },
    Recipe {
        page: "elastic",
        number: 0,
        variables: &[
            ("ELASTIC_ENDPOINT", "a.ingest.eu-west-1.aws.elastic.cloud"),
            ("ELASTIC_API_KEY", "key"),
        ],
        rules: &[
            rule("/v1/traces", ELASTIC),
            metrics("/v1/metrics", ELASTIC, cumulative),
            rule("/v1/logs", ELASTIC),
        ],
        without: ("authorization=ApiKey", "authorization=Bearer"),
    },
    Recipe {
        page: "new-relic",
        number: 0,
        variables: &[("NEW_RELIC_LICENSE_KEY", "key")],
        rules: &[
            metrics("/v1/traces", NEW_RELIC, above_a_megabyte),
            metrics("/v1/metrics", NEW_RELIC, cumulative),
            metrics("/v1/logs", NEW_RELIC, above_a_megabyte),
        ],
        without: ("headers: api-key=", "headers: x-key="),
    },
    Recipe {
        page: "dynatrace",
        number: 0,
        variables: &[("DT_ENVIRONMENT", "abc"), ("DT_TOKEN", "token")],
        rules: &[
            rule("/api/v2/otlp/v1/traces", DYNATRACE),
            metrics("/api/v2/otlp/v1/metrics", DYNATRACE, cumulative),
            rule("/api/v2/otlp/v1/logs", DYNATRACE),
        ],
        without: ("compression: gzip", "protocol: http/json"),
    },
    Recipe {
        page: "cloudwatch",
        number: 0,
        variables: &[("AWS_REGION", "eu-central-1")],
        rules: &[
            aws("/v1/traces", SIGNED),
            aws("/v1/metrics", SIGNED),
            aws("/v1/logs", SIGNED_LOGS),
        ],
        without: ("compression: gzip", "compression: zstd"),
    },
];

fn owned(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Recipe {
    fn configuration(&self) -> Configuration {
        let what = format!("{}.md ({})", self.page, self.number);
        Configuration::new(&what, &recipe(self.page)[self.number], &owned(self.variables))
    }

    /// The same with the stand-in for whatever host an endpoint has, and a short interval.
    fn to(&self, port: u16) -> Configuration {
        let mut configuration = self.configuration().to(port);
        configuration.text = configuration.text.replace("interval: 15s", "interval: 1s");
        configuration
    }
}

/// A call of a model, and a log.
fn requests() -> [(&'static str, Vec<u8>); 2] {
    let text = |key: &str, value: &str| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = u64::try_from(now.as_nanos()).unwrap();
    let span = Span {
        trace_id: vec![7; 16],
        span_id: vec![7; 8],
        name: "chat gpt-4o".to_owned(),
        kind: 3,
        start_time_unix_nano: now - 1_000_000_000,
        end_time_unix_nano: now,
        attributes: vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", "openai"),
            text("gen_ai.request.model", "gpt-4o"),
        ],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let log = LogRecord {
        time_unix_nano: now,
        body: Some(AnyValue { value: Some(Value::StringValue("hello".to_owned())) }),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: vec![log], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    [
        ("/v1/traces", ExportTraceServiceRequest { resource_spans }.encode_to_vec()),
        ("/v1/logs", ExportLogsServiceRequest { resource_logs }.encode_to_vec()),
    ]
}

/// What a backend saw of a configuration on a host.
async fn seen(
    recipe: &Recipe,
    host: &Host,
    plugins: &std::path::Path,
    spoilt: bool,
) -> Vec<Request_> {
    let backend = Backend::start(recipe.rules).await;
    let mut configuration = recipe.to(backend.port);
    if spoilt {
        let (from, to) = recipe.without;
        configuration = configuration.with(from, to);
    }
    let (configuration, port) = configuration.here(plugins);
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("AWS_REGION", "eu-central-1".to_owned()),
    ];
    let running = tokio::task::block_in_place(|| configuration.start(host, port, &environment));
    for (path, body) in requests() {
        let mut client = Client::connect(port, false).await.unwrap();
        client.send(path, "", body).await.unwrap();
    }
    let start = Instant::now();
    let is_done = |seen: &[Request_]| match spoilt {
        true => seen.iter().any(|request| !request.status.is_success()),
        false => {
            recipe.rules.iter().all(|rule| seen.iter().any(|request| request.path == rule.path))
        }
    };
    while !is_done(&backend.seen()) && start.elapsed() < testkit::at_most(Duration::from_secs(15)) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let what = format!("{} {}", host.title(), configuration.what);
    let (code, log) = tokio::task::block_in_place(|| running.stop());
    assert_eq!(code, Some(0), "{what}: {log}");
    let seen = backend.seen();
    assert!(is_done(&seen), "{what}: {}", log);
    let refused = seen.iter().find(|request| !request.status.is_success());
    assert!(
        spoilt || refused.is_none(),
        "{what}: {:?}: {log}",
        refused.map(|it| (&it.path, it.status))
    );
    seen
}

/// Scenario: each recipe, and the page of Kafka. Guarantees: the check finds nothing wrong, each variable is one that the page or
/// the test names, and each page has a test.
#[test]
fn recipes_are_right() {
    let plugins = linked();
    for recipe in RECIPES {
        let configuration = recipe.configuration();
        let found = findings(&configuration, plugins.path());
        assert!(found.is_empty(), "{}: {}", configuration.what, found.join("\n"));
    }
    let tested = |page: &str| RECIPES.iter().filter(|recipe| recipe.page == page).count();
    for path in crate::files("docs/recipes", "md") {
        let page = path.file_stem().unwrap().to_string_lossy().into_owned();
        let expected = usize::from(page == "kafka");
        assert_eq!(tested(&page) + expected, recipe(&page).len(), "{page}");
    }
}

/// Scenario: each recipe sends a call of a model, a log, and the metrics that are derived. Guarantees: its backend gets
/// something of each signal that the page promises at the right path, by its rules, and refuses nothing. With one thing
/// wrong it refuses, so that the rules are none that let everything pass.
#[test]
fn recipes_keep_their_backends_rules() {
    let _together = together();
    let plugins = linked();
    for host in hosts() {
        std::thread::scope(|scope| {
            for recipe in RECIPES {
                let (host, plugins) = (&host, plugins.path());
                scope.spawn(move || {
                    let mut runtime = tokio::runtime::Builder::new_multi_thread();
                    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
                    let seen = runtime.block_on(async {
                        let right = seen(recipe, host, plugins, false).await;
                        let _refused = seen(recipe, host, plugins, true).await;
                        right
                    });
                    if recipe.page == "phoenix" {
                        let has =
                            |text: &[u8]| seen[0].body.windows(text.len()).any(|it| it == text);
                        assert!(has(b"openinference.span.kind") && !has(b"gen_ai.operation.name"));
                    }
                });
            }
        });
        println!("{}: {} recipes sent by their backends' rules", host.title(), RECIPES.len());
    }
}

/// Scenario: the recipe of Kafka, with the broker that Kafka's client library brings for tests. Guarantees: a real host
/// starts, the broker takes all records, and the host ends in order.
#[test]
fn the_recipe_of_kafka_delivers() {
    let _together = together();
    let plugins = linked();
    let variables = owned(&[("KAFKA_BROKERS", "127.0.0.1:9092")]);
    let configuration = Configuration::new("kafka.md", &recipe("kafka")[0], &variables);
    let found = findings(&configuration, plugins.path());
    assert!(found.is_empty(), "{}", found.join("\n"));
    let Some(host) = hosts().into_iter().find(Host::is_real) else {
        println!("the recipe of Kafka was not started: no Fluent Bit found");
        return;
    };
    let broker = "      rdkafka.test.mock.num.brokers: 1\n      rdkafka.compression.codec";
    let (configuration, port) =
        configuration.with("      rdkafka.compression.codec", broker).here(plugins.path());
    let mut configuration = configuration.with("service:\n", "service:\n  log_level: debug\n");
    if host.frees_the_key_of_kafka_twice() {
        // As the recipe says.
        configuration = configuration.with("      message_key_field: trace_id\n", "");
    }
    let running = configuration.start(&host, port, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (path, body) in requests() {
            let mut client = Client::connect(port, false).await.unwrap();
            client.send(path, "", body).await.unwrap();
        }
    });
    let start = Instant::now();
    let delivered = |log: &str| log.matches("message delivered").count();
    while delivered(&running.log_text()) < 2
        && start.elapsed() < testkit::at_most(Duration::from_secs(15))
    {
        std::thread::sleep(Duration::from_millis(100));
    }
    let log = stop(running, &host.title());
    assert!(delivered(&log) >= 2, "{}: {log}", host.title());
    println!("{}: {} messages delivered", host.title(), delivered(&log));
}
