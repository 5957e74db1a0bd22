//! What the dashboards show. Metrics stand in backquotes under the name that they are made under; `@` is the board's
//! filter.

/// The same quantile three times.
macro_rules! quantiles {
    ($metric:literal) => {
        &[
            (
                "p50",
                concat!(
                    "histogram_quantile(0.5, sum by (le) (rate(`",
                    $metric,
                    "`_bucket{@}[$__rate_interval])))"
                ),
            ),
            (
                "p95",
                concat!(
                    "histogram_quantile(0.95, sum by (le) (rate(`",
                    $metric,
                    "`_bucket{@}[$__rate_interval])))"
                ),
            ),
            (
                "p99",
                concat!(
                    "histogram_quantile(0.99, sum by (le) (rate(`",
                    $metric,
                    "`_bucket{@}[$__rate_interval])))"
                ),
            ),
        ]
    };
}

/// The 95th percentile of a metric by a label.
macro_rules! p95_by {
    ($label:literal, $metric:literal) => {
        &[(
            concat!("{{", $label, "}}"),
            concat!(
                "histogram_quantile(0.95, sum by (",
                $label,
                ", le) (rate(`",
                $metric,
                "`_bucket{job=~\"$job\"}[$__rate_interval])))"
            ),
        )]
    };
}

/// Errors of a metric with durations, by a label.
macro_rules! errors_by {
    ($label:literal, $metric:literal) => {
        &[(
            concat!("{{", $label, "}} {{error_type}}"),
            concat!(
                "sum by (",
                $label,
                ", error_type) (rate(`",
                $metric,
                "`_count{job=~\"$job\",error_type!=\"\"}[$__rate_interval]))"
            ),
        )]
    };
}

/// The share of the error budget that is used, as a multiple of what the objective allows.
macro_rules! burn {
    ($bound:literal, $metric:literal) => {
        &[(
            "{{gen_ai_request_model}}",
            concat!(
                "(1 - sum by (gen_ai_request_model) (rate(`",
                $metric,
                "`_bucket{@,le=\"$",
                $bound,
                "\"}[$__rate_interval])) / sum by (gen_ai_request_model) (rate(`",
                $metric,
                "`_count{@}[$__rate_interval]))) / (1 - $objective)"
            ),
        )]
    };
}

mod agents;
mod models;
mod pipeline;
mod serving;

/// What a panel's numbers are.
#[derive(Clone, Copy)]
pub enum Unit {
    PerSecond,
    Items,
    Share,
    Seconds,
    Milliseconds,
    Dollars,
    Bytes,
    Watts,
    Number,
}

/// A legend and an expression.
pub type Query = (&'static str, &'static str);

pub struct Panel {
    pub title: &'static str,
    pub about: &'static str,
    pub unit: Unit,
    pub queries: &'static [Query],
}

pub struct Board {
    /// Also the name of the file.
    pub uid: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    /// What `@` stands for.
    pub filter: &'static str,
    /// Variables: a name, a label, and a metric that has it.
    pub variables: &'static [(&'static str, &'static str, &'static str)],
    /// Variables with given values.
    pub choices: &'static [(&'static str, &'static [&'static str])],
    pub rows: &'static [(&'static str, &'static [Panel])],
}

const fn panel(
    title: &'static str,
    unit: Unit,
    about: &'static str,
    queries: &'static [Query],
) -> Panel {
    Panel { title, about, unit, queries }
}

pub const BOARDS: &[Board] = &[models::BOARD, serving::BOARD, pipeline::BOARD, agents::BOARD];
