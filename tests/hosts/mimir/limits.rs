//! What Mimir refuses by default.
//!
//! Limits and their defaults: grafana/mimir, `pkg/util/validation/limits.go` (`validation.*` and
//! `ingester.out-of-order-time-window`); what is checked: the same repository's guide "About Grafana Mimir's distributor",
//! section "Validation", and the error catalogue of its runbooks (`err-mimir-*`, by which refusals are called here).
//! Mimir takes no deltas by OTLP unless it is told to, nor exponential histograms of a scale below -4, which are
//! too coarse for native ones.

use std::collections::BTreeMap;

const MAX_LABEL_NAMES: usize = 30;
const MAX_LABEL_NAMES_OF_INFO: usize = 80;
const MAX_LABEL_NAME: usize = 1024;
const MAX_LABEL_VALUE: usize = 2048;
const MAX_METADATA: usize = 1024;
const MAX_EXEMPLAR_LABELS: usize = 128;
const MAX_SERIES: usize = 150_000;
/// Milliseconds that a sample may be in the future, and before the newest sample of all.
const GRACE: i64 = 600_000;
const OLDEST: i64 = 3_600_000;
/// Scales of native histograms.
const SCALES: std::ops::RangeInclusive<i32> = -4..=8;

/// The labels of a series, its name among them.
pub type Labels = Vec<(String, String)>;

/// An exemplar: its labels and its time in milliseconds.
pub type SeriesExemplar = (Labels, i64);

/// What came of a series.
#[derive(Debug, Clone, Default)]
pub struct IncomingSeries {
    pub labels: Labels,
    /// Times in milliseconds, and values.
    pub samples: Vec<(i64, f64)>,
    pub exemplars: Vec<SeriesExemplar>,
    /// The scale of each native histogram.
    pub scales: Vec<i32>,
}

/// What is known of a metric.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    pub name: String,
    pub unit: String,
}

/// A tenant of a Mimir.
#[derive(Default)]
pub struct Tenant {
    /// The last sample of each series.
    pub series: BTreeMap<Labels, (i64, f64)>,
    newest: i64,
    pub refused: Vec<String>,
    pub exemplars: usize,
}

fn is_name(name: &str, with_colon: bool) -> bool {
    let is_letter = |it: char| it.is_ascii_alphabetic() || it == '_' || with_colon && it == ':';
    name.starts_with(is_letter) && name.chars().all(|it| is_letter(it) || it.is_ascii_digit())
}

/// What is wrong with the labels of a series.
fn problem(labels: &Labels) -> Option<&'static str> {
    let Some((_, name)) = labels.iter().find(|(name, _)| name == "__name__") else {
        return Some("missing-metric-name");
    };
    let most = if name.ends_with("_info") { MAX_LABEL_NAMES_OF_INFO } else { MAX_LABEL_NAMES };
    let checks = [
        (is_name(name, true), "metric-name-invalid"),
        (labels.len() <= most, "max-label-names-per-series"),
        (labels.iter().all(|(name, _)| is_name(name, false)), "label-invalid"),
        (labels.iter().all(|(name, _)| name.len() <= MAX_LABEL_NAME), "label-name-too-long"),
        (labels.iter().all(|(_, value)| value.len() <= MAX_LABEL_VALUE), "label-value-too-long"),
        (labels.windows(2).all(|pair| pair[0].0 < pair[1].0), "duplicate-label-names"),
    ];
    checks.into_iter().find(|(is_right, _)| !is_right).map(|(_, problem)| problem)
}

impl Tenant {
    pub fn refuse(&mut self, what: &str, of: impl std::fmt::Debug) {
        self.refused.push(format!("err-mimir-{what}: {of:?}"));
    }

    /// Takes what came of a series, or refuses it.
    pub fn take(&mut self, mut series: IncomingSeries, now: i64) {
        // The distributor sorts them.
        series.labels.sort();
        if let Some(problem) = problem(&series.labels) {
            return self.refuse(problem, &series.labels);
        }
        for (time, value) in &series.samples {
            match self.sample(&series.labels, *time, *value, now) {
                Err(problem) => self.refuse(problem, (&series.labels, time, value)),
                Ok(()) => self.newest = self.newest.max(*time),
            }
        }
        for scale in series.scales.iter().filter(|scale| !SCALES.contains(scale)) {
            self.refuse("invalid-native-histogram-schema", (&series.labels, scale));
        }
        for (labels, time) in &series.exemplars {
            let length =
                |(name, value): &(String, String)| name.chars().count() + value.chars().count();
            if *time == 0 {
                self.refuse("exemplar-timestamp-invalid", labels);
            } else if labels.is_empty() || labels.iter().any(|(_, value)| value.is_empty()) {
                self.refuse("exemplar-labels-missing", labels);
            } else if labels.iter().map(length).sum::<usize>() > MAX_EXEMPLAR_LABELS {
                self.refuse("exemplar-labels-too-long", labels);
            } else {
                self.exemplars += 1;
            }
        }
    }

    fn sample(
        &mut self,
        labels: &Labels,
        time: i64,
        value: f64,
        now: i64,
    ) -> Result<(), &'static str> {
        if time > now + GRACE {
            return Err("too-far-in-future");
        }
        if time < self.newest - OLDEST {
            return Err("sample-timestamp-too-old");
        }
        let count = self.series.len();
        match self.series.get_mut(labels) {
            None if count >= MAX_SERIES => Err("max-series-per-user"),
            None => {
                self.series.insert(labels.clone(), (time, value));
                Ok(())
            }
            Some((last, _)) if time < *last => Err("sample-out-of-order"),
            Some((last, before)) if time == *last && value.to_bits() != before.to_bits() => {
                Err("sample-duplicate-timestamp")
            }
            Some(last) => {
                *last = (time, value);
                Ok(())
            }
        }
    }

    /// Takes what is known of a metric; help that is too long is cut.
    pub fn describe(&mut self, metadata: &Metadata) {
        if metadata.name.is_empty() {
            self.refuse("metadata-missing-metric-name", metadata);
        } else if metadata.name.len().max(metadata.unit.len()) > MAX_METADATA {
            self.refuse("metric-name-too-long", metadata);
        }
    }

    /// The bounds of the buckets of each series of a histogram; `+Inf` and they are as many for all series of a name.
    pub fn bounds(&self, name: &str) -> Vec<Vec<String>> {
        let mut bounds: BTreeMap<Labels, Vec<String>> = BTreeMap::new();
        for labels in self.series.keys() {
            let mut labels = labels.clone();
            let is_bucket = ("__name__".to_owned(), format!("{name}_bucket"));
            if labels.contains(&is_bucket)
                && let Some(at) = labels.iter().position(|(name, _)| name == "le")
            {
                let (_, bound) = labels.remove(at);
                bounds.entry(labels).or_default().push(bound);
            }
        }
        bounds.into_values().collect()
    }
}

/// A time in milliseconds.
const NOW: i64 = 1_800_000_000_000;

/// The series `a` with these labels and samples, which are so many milliseconds from now.
fn made(more: &[(&str, &str)], samples: &[(i64, f64)]) -> IncomingSeries {
    let all = [("__name__", "a")].into_iter().chain(more.iter().copied());
    let labels = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let samples = samples.iter().map(|(time, value)| (NOW + time, *value)).collect();
    IncomingSeries { labels, samples, ..IncomingSeries::default() }
}

/// The same with another name.
fn named(name: &str, mut series: IncomingSeries) -> IncomingSeries {
    series.labels[0].1 = name.to_owned();
    series
}

/// The same with an exemplar.
fn example(value: &str, time: i64) -> IncomingSeries {
    let labels = vec![("trace_id".to_owned(), value.to_owned())];
    IncomingSeries { exemplars: vec![(labels, time)], ..made(&[], &[]) }
}

/// The same with native histograms.
fn scaled(scales: &[i32]) -> IncomingSeries {
    IncomingSeries { scales: scales.to_vec(), ..made(&[], &[]) }
}

/// Guarantees: the stand-in refuses what breaks each rule, and takes the same without that.
#[test]
fn each_rule_is_one() {
    let (long, longer) = ("n".repeat(MAX_LABEL_NAME + 1), "v".repeat(MAX_LABEL_VALUE + 1));
    let many: Vec<String> = (0..MAX_LABEL_NAMES).map(|number| format!("l{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "v")).collect();
    let now = [(0, 1.0)];
    let nameless = IncomingSeries { labels: Vec::new(), ..made(&[], &now) };
    let late = made(&[("l", "v")], &[(-OLDEST - 1, 1.0)]);
    for (problem, incoming) in [
        ("missing-metric-name", vec![nameless]),
        ("metric-name-invalid", vec![named("a.b", made(&[], &now))]),
        ("max-label-names-per-series", vec![made(&many, &now)]),
        ("", vec![named("target_info", made(&many, &now)), made(&many[1..], &now)]),
        ("label-invalid", vec![made(&[("a.b", "v")], &now)]),
        ("label-name-too-long", vec![made(&[(&long, "v")], &now)]),
        ("label-value-too-long", vec![made(&[("l", &longer)], &now)]),
        ("", vec![made(&[(&long[1..], &longer[1..])], &now)]),
        ("duplicate-label-names", vec![made(&[("l", "v"), ("l", "w")], &now)]),
        ("too-far-in-future", vec![made(&[], &[(GRACE + 1, 1.0)])]),
        ("", vec![made(&[], &[(GRACE, 1.0)])]),
        ("sample-out-of-order", vec![made(&[], &now), made(&[], &[(-1, 1.0)])]),
        ("sample-duplicate-timestamp", vec![made(&[], &now), made(&[], &[(0, 2.0)])]),
        ("", vec![made(&[], &now), made(&[], &now), made(&[], &[(1, 0.5)])]),
        ("sample-timestamp-too-old", vec![made(&[], &now), late]),
        ("invalid-native-histogram-schema", vec![scaled(&[-5])]),
        ("", vec![scaled(&[-4, 8])]),
        ("exemplar-labels-too-long", vec![example(&"x".repeat(121), 1)]),
        ("exemplar-labels-missing", vec![example("", 1)]),
        ("exemplar-timestamp-invalid", vec![example("x", 0)]),
        ("", vec![example(&"x".repeat(120), 1)]),
    ] {
        let mut tenant = Tenant::default();
        incoming.into_iter().for_each(|series| tenant.take(series, NOW));
        let refused = tenant.refused.join(" ");
        let starts = refused.starts_with(&format!("err-mimir-{problem}: "));
        assert!(
            if problem.is_empty() { refused.is_empty() } else { starts },
            "{problem}: {refused}"
        );
    }
    let mut tenant = Tenant::default();
    for (name, unit) in [("a", "s"), ("", "s"), (&*long, "s"), ("a", &long)] {
        tenant.describe(&Metadata { name: name.to_owned(), unit: unit.to_owned() });
    }
    assert_eq!(tenant.refused.len(), 3);
}
