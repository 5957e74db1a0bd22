//! Reported difference: a service that reports another amount of a metric than is measured of it.

use super::config::Check;
use super::finding::{Finding, FindingKind, Subject};
use super::report::Report;

/// What a service reported of a metric itself, and what was measured of it, over the same time.
#[derive(Debug, Clone, Copy)]
pub struct ReportedDifference<'d> {
    /// `service.name`
    pub service: &'d str,
    /// The metric, by our name for it.
    pub metric: &'static str,
    /// How many tokens or operations are reported.
    pub reported: f64,
    /// How many are measured.
    pub measured: f64,
    /// When it was seen, in Unix nanoseconds.
    pub unix_nanos: u64,
}

#[cold]
pub(super) fn tell(difference: &ReportedDifference<'_>, report: &mut Report) {
    let ReportedDifference { service, metric, reported, measured, unix_nanos } = *difference;
    let subject = Subject::default().named("service.name", service);
    report.add(&Finding {
        check: Check::Usage,
        kind: FindingKind::ReportedDifference,
        signal: metric,
        subject: &subject,
        numbers: &[
            ("fluentbit.ai.finding.usual", measured),
            ("fluentbit.ai.finding.observed", reported),
            ("fluentbit.ai.finding.ratio", reported / measured.max(1.0)),
        ],
        texts: &[],
        says: format!(
            "{reported} of {metric} are reported in an hour in which {measured} are measured"
        ),
        span: None,
        unix_nanos,
    });
}
