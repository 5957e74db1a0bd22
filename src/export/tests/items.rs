//! Requests of so many items at most.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use super::data::{metric_chunk, metrics, span, text, trace_chunk, traces};
use super::receiver::Receiver;
use super::size::spans_of;
use super::{Bench, EndpointSettings, EventType, Fate, endpoint};

fn limited(name: &str, receiver: &Receiver, max_items: usize) -> EndpointSettings {
    EndpointSettings { max_request_items: max_items, ..endpoint(name, receiver) }
}

/// Scenario: one of two endpoints takes 40 items at most. Guarantees: spans go to it in requests of
/// so many, each once, and to the other in one.
#[test]
fn requests_have_so_many_items_at_most() {
    let (few, all) = (Receiver::accepting(), Receiver::accepting());
    let bench = Bench::new(vec![limited("few", &few, 40), endpoint("all", &all)]);
    let spans = (0..100).map(|n| span(n, vec![text("k", "v")])).collect();
    assert_eq!(bench.deliver(0, &trace_chunk(&traces(spans))), Fate::Done);
    let mut lengths: Vec<usize> = (0..few.seen().len())
        .map(|wanted| spans_of(&few, |number| number == wanted).len())
        .collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [20, 40, 40]);
    assert_eq!((all.seen().len(), spans_of(&all, |_| true).len()), (1, 100));
    for name in ["few", "all"] {
        assert_eq!(bench.count("sent_items_total", &[name]), 100);
    }
}

/// Scenario: a metric of ten points, as a record and as the host's own kind of chunk, for an endpoint
/// that takes four items at most. Guarantees: it is cut between its points.
#[test]
fn a_metric_of_more_points_is_cut() {
    let receiver = Receiver::accepting();
    let bench = Bench::new(vec![limited("few", &receiver, 4)]);
    assert_eq!(bench.deliver_as(EventType::Logs, 0, &metric_chunk(&metrics(10))), Fate::Done);
    let requests: Vec<ExportMetricsServiceRequest> = receiver.messages("metrics");
    let points: Vec<usize> = requests
        .iter()
        .flat_map(|request| &request.resource_metrics)
        .flat_map(|resource| &resource.scope_metrics)
        .flat_map(|scope| &scope.metrics)
        .map(|metric| match &metric.data {
            Some(Data::Gauge(gauge)) => gauge.data_points.len(),
            Some(Data::Sum(sum)) => sum.data_points.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(points, [4, 4, 2]);
    assert_eq!(bench.count("sent_items_total", &["few"]), 10);
}
