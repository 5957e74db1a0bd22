//! Page reader: line by line into families, which are written when the next one begins.

use std::borrow::Cow;

use super::family::{Family, FamilyKind};
use super::line::{self, Labels, PageLine, Sample};
use super::points::{self, PageTime};
use super::scopes::Scopes;
use super::start_times::StartTimes;
use super::target::{PageTarget, add_info};
use crate::codec::wire;

/// The metric whose labels are resource attributes.
const TARGET_INFO: &str = "target_info";

/// The metric whose labels are attributes of a scope.
const SCOPE_INFO: &str = "otel_scope_info";

/// A page and how it was got.
#[derive(Debug, Clone, Copy)]
pub struct Page<'p> {
    /// Its text.
    pub text: &'p str,
    /// Whether it is OpenMetrics, and not the format of Prometheus.
    pub is_open_metrics: bool,
    /// When it was asked for, in nanoseconds since the Unix epoch.
    pub unix_nanos: u64,
    /// How long it took to come, in seconds.
    pub seconds: f64,
    /// The most samples of it.
    pub max_samples: usize,
}

/// What was read of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageSummary {
    /// Samples.
    pub samples: usize,
    /// Lines that are not valid.
    pub malformed: usize,
    /// The number of the first of them, from 1, and what is wrong with it.
    pub first_malformed: Option<(usize, &'static str)>,
    /// Points that are not valid or for which OTLP has no place, as of gauge histograms.
    pub unsupported: usize,
}

/// Why nothing of a page is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// It has too many samples.
    #[error("the page has more than {0} samples")]
    TooManySamples(usize),
    /// It is OpenMetrics without its last line.
    #[error("the page does not end with '# EOF': it is not whole")]
    Truncated,
    /// There is nothing but wrong lines.
    #[error("the page has no metrics: line {0}: {1}")]
    NotMetrics(usize, &'static str),
}

/// Appends an `ExportMetricsServiceRequest` with the metrics of a page, and with `up`,
/// `scrape_duration_seconds` and `scrape_samples_scraped` as Prometheus makes them.
///
/// # Errors
/// Nothing of the page is taken, and nothing is appended.
pub fn page_to_otlp(
    page: &Page<'_>,
    target: &PageTarget,
    starts: &mut StartTimes,
    out: &mut Vec<u8>,
) -> Result<PageSummary, PageError> {
    let mut reader = PageReader::new(page, starts);
    let is_whole = reader.read(page);
    let PageReader { mut scopes, summary, info, .. } = reader;
    let error = match summary.first_malformed {
        Some((number, problem)) if summary.samples == 0 => PageError::NotMetrics(number, problem),
        _ if summary.samples > page.max_samples => PageError::TooManySamples(page.max_samples),
        _ if !is_whole => PageError::Truncated,
        _ => {
            starts.end_page();
            return Ok(written(page, target, (&mut scopes, &info), summary, out));
        }
    };
    if summary.samples > 0 {
        // What such pages have is not remembered beside what there was.
        starts.end_page();
    }
    Err(error)
}

fn written(
    page: &Page<'_>,
    target: &PageTarget,
    (scopes, info): (&mut Scopes<'_>, &Labels<'_>),
    summary: PageSummary,
    out: &mut Vec<u8>,
) -> PageSummary {
    if let Some(out) = scopes.metrics(0) {
        health(out, page.unix_nanos, true, page.seconds);
        let samples = ["scrape_samples_scraped", "Samples of the page.", ""];
        points::gauge(out, samples, summary.samples as f64, page.unix_nanos);
    }
    request(scopes, target, info, out);
    summary
}

/// Appends the request of a target whose page could not be read: `up` is 0.
pub fn unread_to_otlp(target: &PageTarget, unix_nanos: u64, seconds: f64, out: &mut Vec<u8>) {
    let mut scopes = Scopes::new();
    if let Some(out) = scopes.metrics(0) {
        health(out, unix_nanos, false, seconds);
    }
    request(&scopes, target, &Labels::new(), out);
}

fn health(out: &mut Vec<u8>, unix_nanos: u64, is_up: bool, seconds: f64) {
    let up = ["up", "Whether the target's page was read.", "1"];
    points::gauge(out, up, f64::from(u8::from(is_up)), unix_nanos);
    let duration = ["scrape_duration_seconds", "How long the page took to come.", "s"];
    points::gauge(out, duration, seconds, unix_nanos);
}

fn request(scopes: &Scopes<'_>, target: &PageTarget, info: &Labels<'_>, out: &mut Vec<u8>) {
    wire::message(out, 1, |out| {
        target.write(info, out);
        scopes.write(out);
    });
}

/// What is read of a page so far.
struct PageReader<'p, 's> {
    family: Family<'p>,
    scopes: Scopes<'p>,
    info: Labels<'p>,
    starts: &'s mut StartTimes,
    time: PageTime,
    summary: PageSummary,
}

impl<'p, 's> PageReader<'p, 's> {
    fn new(page: &Page<'p>, starts: &'s mut StartTimes) -> Self {
        let seconds = if page.is_open_metrics { 1.0 } else { 0.001 };
        Self {
            family: Family::default(),
            scopes: Scopes::new(),
            info: Labels::new(),
            starts,
            time: PageTime { unix_nanos: page.unix_nanos, seconds },
            summary: PageSummary::default(),
        }
    }

    /// Reads lines up to the end, or to one sample too many, and says whether the end is the right one.
    fn read(&mut self, page: &Page<'p>) -> bool {
        let mut is_whole = !page.is_open_metrics;
        for (number, text) in (1..).zip(page.text.split('\n')) {
            match line::read(text) {
                Ok(PageLine::End) => {
                    is_whole = true;
                    break;
                }
                Ok(line) => self.take(number, line),
                Err(problem) => self.malformed(number, problem),
            }
            if self.summary.samples > page.max_samples {
                break;
            }
        }
        self.flush();
        is_whole
    }

    fn take(&mut self, number: usize, line: PageLine<'p>) {
        match line {
            PageLine::Help(name, help) => self.named(name).help = help,
            PageLine::Type(name, kind) => self.named(name).kind = FamilyKind::of(kind),
            PageLine::Unit(name, unit) => self.named(name).unit = unit,
            PageLine::Sample(sample) => self.sample(number, sample),
            PageLine::End | PageLine::Nothing => {}
        }
    }

    /// The family that metadata are of: another one than before, unless that has none of its samples yet.
    fn named(&mut self, name: Cow<'p, str>) -> &mut Family<'p> {
        if self.family.name != name || !self.family.is_empty() {
            self.flush();
            self.family = Family::new(name);
        }
        &mut self.family
    }

    fn sample(&mut self, number: usize, sample: Sample<'p>) {
        self.summary.samples = self.summary.samples.saturating_add(1);
        if sample.name == TARGET_INFO {
            add_info(&mut self.info, sample.labels);
            return;
        }
        if sample.name == SCOPE_INFO {
            self.scopes.add_info(sample.labels);
            return;
        }
        let taken = self.family.take(sample, &mut self.scopes).or_else(|sample| {
            // A sample without metadata, or of an unexpected name, is a family by itself.
            self.flush();
            self.family = Family::new(sample.name.clone());
            self.family.take(sample, &mut self.scopes)
        });
        if let Ok(Err(problem)) = taken {
            self.malformed(number, problem);
        }
    }

    fn malformed(&mut self, number: usize, problem: &'static str) {
        self.summary.malformed = self.summary.malformed.saturating_add(1);
        self.summary.first_malformed.get_or_insert((number, problem));
    }

    fn flush(&mut self) {
        let mut family = std::mem::take(&mut self.family);
        let invalid = points::write(&mut family, &mut self.scopes, self.starts, self.time);
        let unsupported = family.unsupported.saturating_add(invalid);
        self.summary.unsupported = self.summary.unsupported.saturating_add(unsupported);
    }
}
