//! Tombstones: what is told of traces that are dropped.

use super::*;
use crate::codec::records::{LogView, MetricView};
use crate::sampling::TombstoneSettings;

fn with(tombstones: TombstoneSettings) -> TailSampler {
    sampler().with_tombstones(Some(tombstones))
}

/// A trace of three spans that is dropped, with a sampler before it, and one that is kept.
fn given() -> Vec<SpanRecord> {
    vec![
        SpanRecord::new(LOW, 2).parent(1).times(1000, 1500).state("ot=th:4"),
        SpanRecord::new(LOW, 1).times(1000, 3000).state("ot=th:4"),
        SpanRecord::new(LOW, 3).parent(1).times(2000, 2500),
        SpanRecord::new(HIGH, 4),
    ]
}

/// What the attributes of a tombstone say.
fn said(attributes: &[u8]) -> BTreeMap<String, String> {
    let entries = MapView::new(attributes);
    entries
        .map(|entry| {
            let key = String::from_utf8(entry.key.to_vec()).unwrap();
            let value: serde_json::Value = rmp_serde::from_slice(entry.value).unwrap();
            (key.replace("fluentbit.ai.sampling.", ""), value.to_string().replace('"', ""))
        })
        .collect()
}

fn expected(said: &BTreeMap<String, String>) {
    let of = |key: &str| said[key].as_str();
    assert_eq!((of("decision"), of("policy"), of("root")), ("drop", "not_sampled", "chat"));
    assert_eq!((of("spans"), of("errors"), of("duration")), ("3", "0", "2.0"));
    assert_eq!((of("adjusted_count"), of("shape").len()), ("1.3333333333333333", 16));
}

/// Guarantees: a dropped trace leaves one small span with the ids of its root, its service, times and what
/// it was; it is marked as ours, and a kept trace leaves none.
#[test]
fn a_span_tells_of_a_dropped_trace() {
    let mut sampler = with(TombstoneSettings::Span);
    sampler.on_chunk(b"ai", &chunk(&given()), second(0));
    let released = sampler.take(false, second(30));
    assert_eq!(ids(&released), [4, 1]);
    let tombstone = &released[1];
    assert_eq!((&tombstone.tag[..], tombstone.records), (&b"ai"[..], 1));
    assert!(tombstone.events.len() < 700, "{}", tombstone.events.len());
    let event = Events::new(&tombstone.events).next().unwrap().unwrap();
    let telemetry = event.telemetry().unwrap();
    assert_eq!(telemetry.position, Some(Position { run: 7, after: 3 }));
    assert!(telemetry.resource.unwrap().ends_with(b"service.name\xa4shop"));
    let (id, _, state, _) = read(&tombstone.events).remove(0);
    assert_eq!((id, state.as_str()), (1, "ot=th:4"));
    let span = crate::codec::records::SpanView::new(event.body);
    assert_eq!(span.trace_id().unwrap().0[8..], LOW.to_be_bytes());
    assert_eq!((span.start_unix_nanos(), span.end_unix_nanos()), (1_000_000_000, 3_000_000_000));
    assert_eq!((text_of(span.name), text_of(span.kind)), (Some("chat"), Some("internal")));
    expected(&said(span.attributes));
    assert_eq!(sampler.tombstone_tally().unwrap().made, 1);
    assert!(adds_up(sampler.tally()) && sampler.held_bytes() == 0);
    // The filter leaves it alone.
    assert_eq!(sampler.on_chunk(b"ai", &tombstone.events, second(31)), None);
}

#[test]
fn a_log_event_tells_of_a_dropped_trace() {
    let mut sampler = with(TombstoneSettings::Log);
    sampler.on_chunk(b"ai", &chunk(&given()), second(0));
    let released = sampler.take(false, second(30));
    let event = Events::new(&released[1].events).next().unwrap().unwrap();
    let log = LogView::new(event.otlp().unwrap());
    assert_eq!(text_of(log.event_name), Some("fluentbit.ai.sampling.dropped"));
    assert_eq!(log.trace_id().unwrap().0[8..], LOW.to_be_bytes());
    assert_eq!(log.span_id().unwrap().0[7], 1);
    let said = said(log.attributes);
    assert_eq!(said["status"], "unset");
    expected(&said);
}

/// The points of counts by metric: their shape and value.
fn points(emission: &Emission) -> Vec<(String, Vec<(String, i64)>)> {
    let events = Events::new(&emission.events).map(Result::unwrap);
    events
        .map(|event| {
            let metric = MetricView::new(event.body);
            let mut points: Vec<(String, i64)> = metric
                .data_points()
                .map(|point| {
                    let point = MapView::new(point);
                    let value = point.get(b"as_int").and_then(crate::codec::msgpack::int_of);
                    let said = said(point.get(b"attributes").unwrap());
                    let shape = said.get("shape").cloned().unwrap_or_default();
                    (shape, value.unwrap())
                })
                .collect();
            points.sort();
            (text_of(metric.name).unwrap().to_owned(), points)
        })
        .collect()
}

/// Scenario: many traces of three shapes, of which the order and number of spans differ, and more shapes
/// than there are series. Guarantees: counts add up by shape, and what is beyond goes to the overflow series.
#[test]
fn dropped_traces_are_counted_by_shape() {
    let mut sampler = with(TombstoneSettings::Counts);
    sampler.begin_dropped_counts(5);
    let shape = |trace: u64, services: &[&str]| -> Vec<SpanRecord> {
        let spans = services.iter().enumerate();
        spans.map(|(at, name)| SpanRecord::new(trace, at as u64 + 1).service(name)).collect()
    };
    for trace in 1..=10 {
        sampler.on_chunk(b"ai", &chunk(&shape(trace, &["a", "b", "b"])), second(0));
        sampler.on_chunk(b"ai", &chunk(&shape(trace + 20, &["a", "b"])), second(0));
        sampler.on_chunk(b"ai", &chunk(&shape(trace + 40, &["a", "c"])), second(0));
    }
    assert_eq!(sampler.take(false, second(30)), []);
    let emissions = sampler.take_dropped_counts(true, 100);
    assert_eq!((emissions.len(), &emissions[0].tag[..]), (1, &b"ai"[..]));
    let found = points(&emissions[0]);
    let values = |of: usize| {
        let mut values: Vec<i64> = found[of].1.iter().map(|(_, value)| *value).collect();
        values.sort_unstable();
        values
    };
    assert_eq!(found[0].0, "fluentbit.ai.sampling.dropped_traces");
    assert_eq!((values(0), values(1)), (vec![10, 20], vec![20, 50]), "a, b is one shape");
    for trace in 100..1200 {
        let name = format!("service {trace}");
        sampler.on_chunk(b"ai", &chunk(&shape(trace, &[&name])), second(31));
        sampler.take(false, second(31));
    }
    sampler.take(false, second(70));
    let emissions = sampler.take_dropped_counts(false, 200);
    let found = points(&emissions[0]);
    let traces: Vec<_> = found.iter().filter(|(name, _)| name.ends_with("traces")).collect();
    let all: Vec<i64> = traces.iter().flat_map(|(_, list)| list.iter().map(|it| it.1)).collect();
    assert_eq!((all.len(), all.iter().sum::<i64>()), (1001, 30 + 1100));
    assert!(
        traces
            .iter()
            .any(|(_, list)| list.iter().any(|(shape, count)| shape.is_empty() && *count > 100))
    );
    assert_eq!(sampler.tombstone_tally().unwrap().made, 1130);
}

/// Guarantees: tombstones that nobody takes stop at their bound, are counted, and do not stop the sampler.
#[test]
fn tombstones_are_bounded() {
    let settings = TailSettings { max_bytes: 400_000, max_traces: 1, ..SETTINGS };
    let mut sampler =
        TailSampler::new(set(settings)).with_tombstones(Some(TombstoneSettings::Span));
    for trace in 1..=5000 {
        let given = chunk(&[SpanRecord::new(trace, 1)]);
        assert_eq!(sampler.on_chunk(b"ai", &given, second(0)), Some(Vec::new()));
        assert!(sampler.held_bytes() <= 60_000, "{}", sampler.held_bytes());
    }
    let tombstones: usize = sampler.take(true, second(1)).iter().map(|it| it.records).sum();
    let tally = sampler.tombstone_tally().unwrap();
    assert!(tally.skipped > 4000 && tally.made > 50, "{tally:?}");
    assert_eq!((tally.made, tally.made + tally.skipped), (tombstones as u64, 5000));
}

/// Scenario: a buffer of one trace is full, and 50 traces begin whose randomness is below the threshold of shedding, each
/// over two chunks. Guarantees: each leaves one tombstone with its first span, or is counted once, under the name of
/// shedding; late spans leave none, nor does a dry run; and what is told is within its bound.
#[test]
fn shed_traces_are_told_of() {
    let spans =
        |span| (1..=50).map(move |trace| SpanRecord::new(100 + trace, span).times(1000, 1500));
    for (tombstones, dry_run) in [
        (TombstoneSettings::Span, false),
        (TombstoneSettings::Log, false),
        (TombstoneSettings::Counts, false),
        (TombstoneSettings::Span, true),
    ] {
        let shed_at = Threshold::from_percentage(25.0);
        let settings = TailSettings { max_traces: 1, shed_at, dry_run, ..SETTINGS };
        let mut sampler = TailSampler::new(set(settings)).with_tombstones(Some(tombstones));
        sampler.on_chunk(b"ai", &chunk(&[SpanRecord::new(1, 1), SpanRecord::new(2, 1)]), second(0));
        assert!(sampler.is_shedding());
        let before = sampler.tombstone_tally().unwrap();
        sampler.on_chunk(b"ai", &chunk(&spans(1).collect::<Vec<_>>()), second(1));
        sampler.on_chunk(b"ai", &chunk(&spans(2).collect::<Vec<_>>()), second(1));
        assert_eq!(sampler.tally().shed_dropped, 50);
        let told = sampler.tombstone_tally().unwrap().made - before.made;
        assert_eq!(told, if dry_run { 0 } else { 50 }, "{tombstones:?}");
        let released = sampler.take(false, second(2));
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for event in released.iter().flat_map(|it| Events::new(&it.events)).map(Result::unwrap) {
            let attributes = match tombstones {
                TombstoneSettings::Span => {
                    crate::codec::records::SpanView::new(event.body).attributes
                }
                _ => event.otlp().map(|otlp| LogView::new(otlp).attributes).unwrap_or_default(),
            };
            let said = said(attributes);
            if said.get("policy").is_some_and(|policy| policy == "shedding") && !dry_run {
                assert_eq!((said["spans"].as_str(), said["duration"].as_str()), ("1", "0.5"));
                *found.entry(said["decision"].clone()).or_default() += 1;
            }
        }
        let events = u64::from(tombstones != TombstoneSettings::Counts && !dry_run) * 50;
        assert_eq!(found.values().sum::<u64>(), events, "{tombstones:?}: {found:?}");
        if tombstones == TombstoneSettings::Counts {
            let points = points(&sampler.take_dropped_counts(false, 200)[0]);
            let shed = points.iter().flat_map(|(name, list)| {
                list.iter().filter(move |_| name.ends_with("traces")).map(|it| it.1)
            });
            assert_eq!(shed.sum::<i64>(), 51, "those of shedding, and the one that made room");
        }
        assert!(adds_up(sampler.tally()));
    }
}
