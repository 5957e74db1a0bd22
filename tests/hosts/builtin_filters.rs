//! Resource and scope survive Fluent Bit's own filters.

use std::time::Duration;

use crate::client::Client;
use crate::equality::{arrived, captures, sent};
use crate::hosts::{RunningHost, free_port};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, linked, real_hosts, together};

/// Scenario: records of all signals pass grep, modify, record_modifier, lua and rewrite_tag, each
/// of which really changes or rebuilds them. Guarantees: every item arrives with its resource and
/// scope. Needs a real host: the bundled one has no such filters.
#[tokio::test(flavor = "multi_thread")]
async fn resource_and_scope_survive() {
    let _together = together();
    let plugins = linked();
    let captures = captures();
    let filters: [(&str, Vec<&str>); 6] = [
        ("grep", vec!["name: grep", "match: '*'", "exclude: name never_there"]),
        ("modify", vec!["name: modify", "match: '*'", "add: added by_modify"]),
        (
            "record_modifier",
            vec!["name: record_modifier", "match: '*'", "record: added by_record_modifier"],
        ),
        (
            "lua",
            vec![
                "name: lua",
                "match: '*'",
                "call: touch",
                "code: 'function touch(tag, ts, record) record[\"added\"] = \"by_lua\" return 2, ts, record end'",
            ],
        ),
        (
            "nest",
            vec![
                "name: nest",
                "match: '*'",
                "operation: nest",
                "wildcard: never_there*",
                "nest_under: nested",
            ],
        ),
        ("rewrite_tag", vec!["name: rewrite_tag", "match: ai", "rule: $name .* other.$TAG false"]),
    ];
    for host in real_hosts() {
        for (name, lines) in &filters {
            let sink = Sink::start(0, Keep::Requests).await;
            let (http, grpc) = (free_port(), free_port());
            let pipeline = Pipeline::default().otlp_in(http, grpc).filter(lines).otlp_out(&[(
                "one",
                sink.port,
                "http/protobuf",
            )]);
            let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
            let mut client = Client::connect(http, false).await.unwrap();
            for captured in &captures {
                let body = captured.body.clone();
                client.send(&captured.path, captured.service(), body).await.unwrap();
            }
            sink.settle(0, Duration::from_secs(4), Duration::from_secs(15)).await;
            let (_, log) = running.stop();
            let received = sink.received.lock().unwrap();
            for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
                let (left, right) = (sent(&captures, path, 1), arrived(&received, path));
                let envelopes = |items: &[String]| {
                    let mut envelopes: Vec<String> = items
                        .iter()
                        .map(|item| {
                            let end = [" Span {", " Metric {", " LogRecord {"]
                                .iter()
                                .filter_map(|start| item.find(start))
                                .min();
                            item[..end.unwrap_or(item.len())].to_owned()
                        })
                        .collect();
                    envelopes.sort();
                    envelopes
                };
                assert_eq!(
                    envelopes(&left),
                    envelopes(&right),
                    "{} {name} {path}\n{log}",
                    host.title()
                );
            }
        }
    }
}
