//! Data points of histograms whose buckets are wrong.

use fluent_bit_ai::model::Signal;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use proptest::prelude::*;
use prost::Message as _;

use super::generate;
use super::support::{to_records, to_request};

const NAN: f64 = f64::NAN;
const INFINITY: f64 = f64::INFINITY;

/// Bounds and the number of buckets, and whether they are right.
const CASES: [(&[f64], usize, bool); 18] = [
    (&[], 0, true),
    (&[], 1, true),
    (&[1.0], 2, true),
    (&[0.0, 1.0, 2.0], 4, true),
    (&[-1.0, 1.0, INFINITY], 4, true),
    (&[-INFINITY, 1.0], 3, true),
    (&[], 2, false),
    (&[1.0], 0, false),
    (&[1.0], 1, false),
    (&[1.0], 3, false),
    (&[1.0, 2.0], 2, false),
    (&[2.0, 1.0], 3, false),
    (&[1.0, 1.0], 3, false),
    (&[0.0, -0.0], 3, false),
    (&[NAN], 2, false),
    (&[1.0, NAN, 2.0], 4, false),
    (&[INFINITY, INFINITY], 3, false),
    (&[-INFINITY, -INFINITY], 3, false),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Wrong data points are left out and counted, in records and in the host's own form, and all
    /// that is beside them is kept.
    #[test]
    fn wrong_ones_are_left_out_and_all_others_kept(
        mut request in generate::metrics(),
        cases in proptest::collection::vec(0..CASES.len(), 200),
    ) {
        let mut expected = request.clone();
        let mut cases = cases.into_iter().cycle();
        let (mut wrong, mut right) = (0_usize, 0_usize);
        for (outer, kept) in
            request.resource_metrics.iter_mut().zip(&mut expected.resource_metrics)
        {
            for (inner, kept) in outer.scope_metrics.iter_mut().zip(&mut kept.scope_metrics) {
                for (metric, kept) in inner.metrics.iter_mut().zip(&mut kept.metrics) {
                    let (Some(Data::Histogram(given)), Some(Data::Histogram(kept))) =
                        (&mut metric.data, &mut kept.data)
                    else {
                        continue;
                    };
                    let before = kept.data_points.len();
                    kept.data_points.clear();
                    for point in &mut given.data_points {
                        let (bounds, counts, is_right) = CASES[cases.next().unwrap()];
                        point.explicit_bounds = bounds.to_vec();
                        point.bucket_counts = vec![7; counts];
                        if is_right {
                            kept.data_points.push(point.clone());
                        }
                    }
                    wrong += before - kept.data_points.len();
                    right += kept.data_points.len();
                    if before > 0 && kept.data_points.is_empty() {
                        // No data point is left; the metric is none either.
                        kept.aggregation_temporality = -77;
                    }
                }
                kept.metrics.retain(|metric| {
                    !matches!(&metric.data, Some(Data::Histogram(kept)) if kept.aggregation_temporality == -77)
                });
            }
            kept.scope_metrics.retain(|scope| !scope.metrics.is_empty());
        }
        expected.resource_metrics.retain(|outer| !outer.scope_metrics.is_empty());
        let mut chunk = Vec::new();
        let done = to_records(Signal::Metrics, &request.encode_to_vec(), &mut chunk).unwrap();
        prop_assert_eq!(done.rejected, wrong);
        prop_assert_eq!(done.reason.is_some(), wrong > 0);
        let back = to_request(Signal::Metrics, &chunk).0;
        let back = ExportMetricsServiceRequest::decode(&back[..]).unwrap();
        // Neighbours that only a metric without data points kept apart are one envelope now.
        let metrics = |request: &ExportMetricsServiceRequest| {
            let outer = request.resource_metrics.iter();
            let scopes = outer.flat_map(|outer| outer.scope_metrics.clone());
            scopes.flat_map(|scope| scope.metrics).collect::<Vec<_>>()
        };
        prop_assert_eq!(metrics(&back), metrics(&expected));
        prop_assert!(right <= done.items);
    }
}

#[test]
fn the_place_and_the_mistake_are_reported() {
    use opentelemetry_proto::tonic::metrics::v1::{
        Histogram, HistogramDataPoint, Metric, ResourceMetrics, ScopeMetrics,
    };
    for (bounds, counts, is_right) in &CASES {
        let point = HistogramDataPoint {
            explicit_bounds: bounds.to_vec(),
            bucket_counts: vec![1; *counts],
            ..Default::default()
        };
        let good = HistogramDataPoint::default();
        let data = Histogram { data_points: vec![good, point], ..Default::default() };
        let metric = Metric { data: Some(Data::Histogram(data)), ..Default::default() };
        let scope = ScopeMetrics { metrics: vec![metric], ..Default::default() };
        let resource = ResourceMetrics { scope_metrics: vec![scope], ..Default::default() };
        let request = ExportMetricsServiceRequest { resource_metrics: vec![resource] };
        let mut chunk = Vec::new();
        let done = to_records(Signal::Metrics, &request.encode_to_vec(), &mut chunk).unwrap();
        assert_eq!(
            (done.items, done.rejected),
            (1 + usize::from(*is_right), usize::from(!is_right))
        );
        let reason = done.reason.unwrap_or_default();
        let path = "resource_metrics[0].scope_metrics[0].metrics[0].histogram.data_points[1].";
        assert!(*is_right || reason.starts_with(path), "{reason}");
        assert!(*is_right || reason.contains("ascend") || reason.contains("one bucket more"));
    }
}
