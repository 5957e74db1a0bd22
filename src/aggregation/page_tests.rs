//! Pages: that they say the same whatever form the points have that are emitted.

use std::collections::BTreeMap;

use serde_json::json;

use super::tests::{Read, SECOND, START, aggregator, call, config, feed, findings_of, read};
use super::*;
use crate::codec::records::testing::{SpanRecord, log_event};
use crate::findings::{Check, CheckMode, FindingsConfig};

/// The metrics of a page.
fn page(aggregator: &Aggregator) -> BTreeMap<String, Vec<Read>> {
    let last = aggregator.last_metrics();
    assert!(last.is_whole);
    let events = last.events.to_vec();
    let records = crate::codec::records::Events::new(&events).count();
    let mut metrics = read(&[Emission { tag: Vec::new(), records, events }]);
    for points in metrics.values_mut() {
        points.sort_by_key(|point| format!("{:?}", point.attributes));
    }
    metrics
}

fn watched(temporality: Temporality, histogram: HistogramForm) -> Aggregator {
    let config = config();
    let findings = FindingsConfig { temporality, ..findings_of(Check::Usage, CheckMode::Warn) };
    let server_logs = ServerLogFormats::of_names(&["on".to_owned()]).unwrap();
    let mut aggregator = aggregator(MetricsConfig {
        temporality,
        histogram,
        findings: Some(findings),
        server_logs,
        ..config
    });
    aggregator.watch();
    aggregator
}

/// What comes in a round: calls of models, of which some are sampled, cached, unpriced or told twice, an agent that says more
/// than its calls, a call with an impossible count, and the log of a server. Nothing comes in the fourth round.
fn round(aggregator: &mut Aggregator, number: u64) {
    if number == 3 {
        return;
    }
    let (first, trace) = (number * 10 + 1, number + 1);
    let agent = SpanRecord::new(trace, first)
        .with("gen_ai.operation.name", "invoke_agent")
        .with("gen_ai.usage.input_tokens", 100)
        .with("gen_ai.usage.output_tokens", 30);
    let called = |span: u64| call(trace, span).parent(first);
    feed(
        aggregator,
        &[
            called(first + 1).with("gen_ai.usage.cache_read.input_tokens", 4),
            called(first + 2).with("gen_ai.request.model", "nobody's"),
            called(first + 3).with("gen_ai.response.finish_reasons", "stop"),
            // Tells of the call that it has below it, which is taken back.
            called(first + 4).parent(first + 1),
            called(first + 5).with("gen_ai.usage.cache_read.input_tokens", 4),
            agent,
        ],
    );
    if number == 1 {
        feed(aggregator, &[call(99, 99).with("gen_ai.usage.output_tokens", -1)]);
    }
    let line = "INFO:     127.0.0.1:5 - \"POST /v1/chat/completions HTTP/1.1\" 200 OK";
    let log = log_event(START, &json!({}), &json!({ "log": line }));
    aggregator.on_chunk(b"logs", &log, Tick(1), START);
}

/// Scenario: the same items, measured with deltas and cumulative points, with explicit and exponential histograms. Guarantees:
/// after each export the pages are cumulative and say the same but for buckets, those of one form of histograms with the same buckets
/// too; and what is emitted is what it is without a page.
#[test]
fn a_page_is_the_same_whatever_is_emitted() {
    const FORMS: [HistogramForm; 2] = [HistogramForm::Explicit, HistogramForm::Exponential];
    const TEMPORALITIES: [Temporality; 2] = [Temporality::Cumulative, Temporality::Delta];
    let forms = FORMS.into_iter().flat_map(|form| TEMPORALITIES.map(|one| (one, form)));
    let mut all: Vec<Aggregator> = forms.map(|(one, form)| watched(one, form)).collect();
    for number in 0..14 {
        let pages = all.iter_mut().map(|aggregator| {
            round(aggregator, number);
            let at = (number + 1) * 10 * SECOND;
            let emitted = aggregator.take(false, Tick(at), START + at);
            assert!(number == 3 || !emitted.is_empty());
            page(aggregator)
        });
        let pages: Vec<_> = pages.collect();
        let names = |page: &BTreeMap<String, Vec<Read>>| page.keys().cloned().collect::<Vec<_>>();
        assert_eq!(pages[0].contains_key("fluentbit.ai.findings"), number > 0, "{number}");
        // What an agent says beyond its calls is known when its trace is over.
        let missing = "fluentbit.ai.nested_usage.missing_tokens";
        assert!(number < 13 || pages[0].contains_key(missing), "{:?}", names(&pages[0]));
        assert!(pages[0].len() >= 10, "{:?}", names(&pages[0]));
        for (page, same_form) in pages.iter().zip([0, 0, 2, 2]) {
            assert_eq!(names(page), names(&pages[0]), "{number}");
            for (name, points) in page {
                let (others, own) = (&pages[0][name], &pages[same_form][name]);
                assert_eq!(points.len(), others.len(), "{number} {name}");
                for ((point, other), own) in points.iter().zip(others).zip(own) {
                    assert_eq!(point.buckets, own.buckets, "{number} {name}");
                    assert!((point.sum - other.sum).abs() < 1e-9, "{number} {name}: {point:?}");
                    let exemplars = if same_form == 0 { other.exemplars } else { own.exemplars };
                    let (sum, buckets) = (other.sum, own.buckets.clone());
                    let expected = Read { sum, buckets, exemplars, ..other.clone() };
                    assert_eq!(Read { sum, ..point.clone() }, expected, "{number} {name}");
                }
            }
        }
    }
    let mut unwatched = aggregator(config());
    let mut with_page = aggregator(config());
    with_page.watch();
    for number in 0..4 {
        let [without, with] = [&mut unwatched, &mut with_page].map(|aggregator| {
            round(aggregator, number);
            let at = (number + 1) * 10 * SECOND;
            read(&aggregator.take(false, Tick(at), START + at))
        });
        assert_eq!(format!("{without:?}").len(), format!("{with:?}").len(), "{number}");
    }
}
