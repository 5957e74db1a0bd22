//! Budgets on hosts: what is spent and what burns is told as log events, in the metric and in the counters.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use testkit::made_spans::{call, request, text};
use tokio::task::block_in_place;

use crate::client::Client;
use crate::findings::attribute;
use crate::hosts::free_port;
use crate::meters::{page_when, start};
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// Calls of alice, ten seconds after each other; each costs 0.0035 USD by the list.
const CALLS: u64 = 300;
const USD: f64 = 0.0035;

/// A call of a user that ended so many seconds before now. Numbers are those of traces.
fn call_of(user: Option<&str>, number: u64, seconds_ago: u64) -> Span {
    let mut call = call(number, 1.0, "gpt-4o-2024-08-06", 100);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    call.end_time_unix_nano = now - seconds_ago * 1_000_000_000;
    call.start_time_unix_nano = call.end_time_unix_nano - 1_000_000_000;
    call.attributes.extend(user.map(|user| text("user.id", user)));
    call
}

/// Bob calls once an hour, some calls have no user, and alice spends thirty times as fast as a dollar a day allows.
fn spans() -> Vec<Span> {
    let bob = (0..20).map(|hour| call_of(Some("bob"), 1000 + hour, (20 - hour) * 3600));
    let nobody = (0..5).map(|number| call_of(None, 2000 + number, 3000));
    let alice = (0..CALLS).map(|number| call_of(Some("alice"), number, 10 * (CALLS - number)));
    bob.chain(nobody).chain(alice).collect()
}

/// The log events of findings.
fn events(received: &ReceivedRequests) -> Vec<LogRecord> {
    let requests = received.requests.get("/v1/logs").into_iter().flatten();
    let logs = requests
        .flat_map(|body| ExportLogsServiceRequest::decode(body.clone()).unwrap().resource_logs)
        .flat_map(|of| of.scope_logs)
        .flat_map(|scope| scope.log_records);
    logs.filter(|log| log.event_name == "fluentbit.ai.finding").collect()
}

/// The last points of the metric: their attributes with their values, and what is used.
fn used(received: &ReceivedRequests) -> Vec<(String, f64)> {
    let request = received.requests.get("/v1/metrics").into_iter().flatten().rev();
    let mut metrics = request
        .map(|body| ExportMetricsServiceRequest::decode(body.clone()).unwrap().resource_metrics)
        .map(|of| of.into_iter().flat_map(|of| of.scope_metrics).flat_map(|of| of.metrics))
        .map(|mut of| of.find(|metric| metric.name == "fluentbit.ai.budget.used"));
    let metric = metrics.find_map(|metric| metric).expect("there is the metric");
    assert_eq!(metric.unit, "1");
    let Some(Data::Gauge(gauge)) = metric.data else { panic!("{metric:?}") };
    let points = gauge.data_points.into_iter().map(|point| {
        let attributes = point.attributes.iter().map(|pair| {
            let value = pair.value.clone().and_then(|value| value.value);
            let Some(Value::StringValue(value)) = value else { panic!("{pair:?}") };
            format!("{}={value}", pair.key)
        });
        let Some(Number::AsDouble(used)) = point.value else { panic!("{:?}", point.value) };
        (attributes.collect::<Vec<_>>().join(" "), used)
    });
    points.collect()
}

/// Scenario: of two users with a budget of a dollar a day each, one spends thirty times as fast as it allows, beside calls
/// without a user and a budget of the service in tokens. Guarantees: that is told once after ten calls, 80 % and all of it
/// are told once each, with who, how much, and when all of it is gone; the metric has what each has used, and calls without
/// a user are in a counter and in no budget of users.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_spent_and_what_burns_is_told() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .filter(&[
                "name: ai_metrics",
                "match: '*'",
                "interval: 1s",
                "emit_as: records",
                "find_budgets: on",
                "budgets: users user.id=* 1 USD per day, shop service.name=* 1e9 tokens per 30d",
            ])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        let mut client = Client::connect(http, false).await.unwrap();
        for spans in spans().chunks(50) {
            client.send("/v1/traces", "", request("shop", spans)).await.unwrap();
        }
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum("findings_total", &[("check", "budgets")]) >= 3
        })
        .await;
        assert_eq!(page.sum("findings_total", &[("check", "budgets")]), 3, "{what}");
        assert_eq!(page.sum("unbudgeted_calls_total", &[("reason", "no_key")]), 5, "{what}");
        assert_eq!(page.sum("finding_keys", &[]), 3, "{what}");
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");

        let received = sink.received.lock().unwrap();
        let events = events(&received);
        assert_eq!(events.len(), 3, "{what}: {events:?}");
        let mut told = Vec::new();
        for event in &events {
            let of = |key: &str| attribute(event, &format!("fluentbit.ai.finding.{key}"));
            let number = |key: &str| of(key).parse::<f64>().unwrap();
            assert_eq!(of("type"), "budget", "{what}");
            assert_eq!(attribute(event, "fluentbit.ai.budget.name"), "users", "{what}");
            assert_eq!(attribute(event, "user.id"), "alice", "{what}");
            assert_eq!([of("unit"), of("amount"), of("period")], ["USD", "1", "86400"], "{what}");
            assert_eq!(of("unpriced_share"), "0", "{what}");
            let trace = u128::from_be_bytes(event.trace_id.clone().try_into().unwrap());
            assert!((number("spent") / USD / trace as f64 - 1.0).abs() < 0.01, "{what}: {event:?}");
            if of("signal") == "burn_rate" {
                // The short window has one call or two.
                let rate = number("current_burn_rate");
                assert!((29.0..62.0).contains(&rate), "{what}: {event:?}");
                let left = (1.0 - number("used")) * 86_400.0 / rate;
                assert!((number("exhausted_in") / left - 1.0).abs() < 0.01, "{what}: {event:?}");
            }
            told.push((of("signal"), of("threshold"), trace));
        }
        let of = |signal: &str, threshold: &str, trace| (signal.into(), threshold.into(), trace);
        let [burns, most, all] = [told[0].2, 229, 286];
        assert!((10..=12).contains(&burns), "{what}: {told:?}");
        let expected =
            [of("burn_rate", "", burns), of("spent", "0.8", most), of("spent", "1", all)];
        assert_eq!(told, expected, "{what}");

        let mut used = used(&received);
        used.sort_by(|left, right| left.0.cmp(&right.0));
        let near = |(name, used): &(String, f64), expected_name: &str, expected: f64| {
            assert_eq!(name, expected_name, "{what}");
            assert!((used / expected - 1.0).abs() < 0.01, "{what}: {name} {used}, not {expected}");
        };
        let [shop, alice, bob] = &used[..] else { panic!("{what}: {used:?}") };
        let tokens = (CALLS + 25) as f64 * 1100.0;
        near(shop, "fluentbit.ai.budget.name=shop service.name=shop", tokens / 1e9);
        near(alice, "fluentbit.ai.budget.name=users user.id=alice", CALLS as f64 * USD);
        near(bob, "fluentbit.ai.budget.name=users user.id=bob", 20.0 * USD);
        println!("{what}: {told:?}, {used:?}");
    }
}
