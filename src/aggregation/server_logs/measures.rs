//! Server measures: what logs say of a model server, and the metrics that scraped pages of servers have for it.

use crate::aggregation::instruments::{
    Instrument, InstrumentForm, SECONDS, SERVER_DURATION_METRIC, SERVER_PER_TOKEN_METRIC, TOKENS,
    seconds,
};
use crate::model::listed_enum;

listed_enum! {
    /// What a log says of a model server.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum ServerMeasure {
        Requests,
        Errors,
        Duration,
        PerToken,
        Queue,
        Prefill,
        Decode,
        InputTokens,
        OutputTokens,
        CachedTokens,
        FinishReasons,
        Running,
        Waiting,
        CacheUsage,
    }
}

/// An attribute with its value.
type Pair = (&'static str, &'static str);

impl ServerMeasure {
    /// Its metric, and the attribute that tells it from others of that metric.
    pub(super) const fn metric(self) -> (&'static Instrument, Option<Pair>) {
        const PART: &str = "fluentbit.ai.latency.part";
        const TYPE: &str = "gen_ai.token.type";
        match self {
            Self::Requests => (&REQUESTS, None),
            Self::Errors => (&ERRORS, None),
            Self::Duration => (&SERVER_DURATION_METRIC, None),
            Self::PerToken => (&SERVER_PER_TOKEN_METRIC, None),
            Self::Queue => (&LATENCY, Some((PART, "queue"))),
            Self::Prefill => (&LATENCY, Some((PART, "prefill"))),
            Self::Decode => (&LATENCY, Some((PART, "decode"))),
            Self::InputTokens => (&REQUEST_TOKENS, Some((TYPE, "input"))),
            Self::OutputTokens => (&REQUEST_TOKENS, Some((TYPE, "output"))),
            Self::CachedTokens => (&CACHED_TOKENS, None),
            Self::FinishReasons => (&FINISH_REASONS, None),
            Self::Running => (&RUNNING, None),
            Self::Waiting => (&WAITING, None),
            Self::CacheUsage => (&CACHE_USAGE, None),
        }
    }

    /// Whether spans of model servers say it, too.
    pub(super) const fn is_of_spans(self) -> bool {
        matches!(self, Self::Duration | Self::PerToken)
    }
}

/// The metrics that are from logs alone.
pub(in crate::aggregation) static OF_SERVER_LOGS: [&Instrument; 9] = [
    &REQUESTS,
    &ERRORS,
    &LATENCY,
    &REQUEST_TOKENS,
    &CACHED_TOKENS,
    &FINISH_REASONS,
    &RUNNING,
    &WAITING,
    &CACHE_USAGE,
];

static REQUESTS: Instrument = server(
    "fluentbit.ai.server.requests",
    "Requests that a model server answered, as it logs them. Not a metric of the semantic conventions.",
    "{request}",
    InstrumentForm::Sum,
    None,
);
static ERRORS: Instrument = server(
    "fluentbit.ai.server.errors",
    "Requests that a model server could not serve, as it logs them. Not a metric of the semantic conventions.",
    "{request}",
    InstrumentForm::Sum,
    Some("error.type"),
);
static LATENCY: Instrument = Instrument {
    by: Some("fluentbit.ai.latency.part"),
    ..seconds(
        "fluentbit.ai.server.latency",
        "Parts of a request's time in the model server, as it logs them. Not a metric of the semantic conventions.",
        SECONDS,
    )
};
static REQUEST_TOKENS: Instrument = server(
    "fluentbit.ai.server.request.tokens",
    "Tokens of a request, as the model server logs them. Not a metric of the semantic conventions.",
    "{token}",
    InstrumentForm::Histogram(TOKENS),
    Some("gen_ai.token.type"),
);
static CACHED_TOKENS: Instrument = server(
    "fluentbit.ai.server.cached_tokens",
    "Input tokens that a model server had in its cache, as it logs them. Not a metric of the semantic conventions.",
    "{token}",
    InstrumentForm::Sum,
    None,
);
static FINISH_REASONS: Instrument = server(
    "fluentbit.ai.server.finish_reasons",
    "Reasons for which answers ended, as the model server logs them. Not a metric of the semantic conventions.",
    "{request}",
    InstrumentForm::Sum,
    Some("fluentbit.ai.finish_reason"),
);
static RUNNING: Instrument = server(
    "fluentbit.ai.server.requests_running",
    "Requests that a model server works on, as it logged last. Not a metric of the semantic conventions.",
    "{request}",
    InstrumentForm::Gauge,
    None,
);
static WAITING: Instrument = server(
    "fluentbit.ai.server.requests_waiting",
    "Requests that wait in a model server, as it logged last. Not a metric of the semantic conventions.",
    "{request}",
    InstrumentForm::Gauge,
    None,
);
static CACHE_USAGE: Instrument = server(
    "fluentbit.ai.server.kv_cache_usage",
    "Share of a model server's cache that is in use, as it logged last. Not a metric of the semantic conventions.",
    "1",
    InstrumentForm::Gauge,
    None,
);

const fn server(
    name: &'static str,
    description: &'static str,
    unit: &'static str,
    form: InstrumentForm,
    by: Option<&'static str>,
) -> Instrument {
    Instrument { name, description, unit, form, by }
}
