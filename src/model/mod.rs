//! Domain model: telemetry as plain data, in the few types that every other module uses.

mod hex;
mod latency_part;
mod listed_enum;
mod model_call;
mod release;

use self::hex::from_hex;
pub use self::hex::{hex, hex_digit, write_hex};
pub use self::latency_part::LatencyPart;
pub use self::listed_enum::listed_enum;
pub use self::model_call::MODEL_CALLS;
pub use self::release::Release;

/// The name of the instrumentation scope of what we derive.
pub const SCOPE_NAME: &str = "fluent-bit-ai";

/// OpenTelemetry's signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Log records.
    Logs,
    /// Profiles, which are in development and which nothing here looks into.
    Profiles,
}

impl Signal {
    /// Those whose items we read.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// All of them, also those that are only carried.
    pub const WITH_PROFILES: [Self; 4] = [Self::Traces, Self::Metrics, Self::Logs, Self::Profiles];

    /// Its name in options, counters and paths: `traces`, `metrics`, `logs`, `profiles`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Profiles => "profiles",
        }
    }

    /// Its index in [`Signal::WITH_PROFILES`], for tables with an entry for each signal.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Traces => 0,
            Self::Metrics => 1,
            Self::Logs => 2,
            Self::Profiles => 3,
        }
    }

    /// The name of one item in expressions: `span`, `metric`, `log`, and `profiles` for a whole
    /// request of them.
    #[must_use]
    pub const fn item(self) -> &'static str {
        match self {
            Self::Traces => "span",
            Self::Metrics => "metric",
            Self::Logs => "log",
            Self::Profiles => "profiles",
        }
    }

    /// The default path of OTLP/HTTP, by the OTLP specification, section "OTLP/HTTP Request".
    #[must_use]
    pub const fn http_path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
            Self::Profiles => "/v1development/profiles",
        }
    }

    /// The method of OTLP/gRPC.
    #[must_use]
    pub const fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Self::Profiles => {
                "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
            }
        }
    }
}

/// Marks a record that we emitted: filters at or before this position leave it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The run that emitted the record; a record from another run is treated as new.
    pub run: u64,
    /// The position of the filter that emitted it.
    pub after: u32,
}

impl Position {
    /// Whether a filter here leaves alone what was emitted at another position: here or later.
    #[must_use]
    pub const fn leaves_alone(self, emitted: Self) -> bool {
        emitted.run == self.run && emitted.after >= self.after
    }
}

/// What makes a span an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorRule {
    /// Its status code is ERROR, which is all that the OpenTelemetry specification calls an error
    /// (tracing API, section "Set Status").
    #[default]
    Status,
    /// Also an attribute `error.type` or an event `exception`, by which instrumentation that sets
    /// no status means a failure (semantic conventions, sections "Recording errors" and "Recording
    /// exceptions").
    Any,
}

/// Telemetry that a filter made or released, on its way into the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emission {
    /// The tag to append under.
    pub tag: Vec<u8>,
    /// Number of log events in `events`.
    pub records: usize,
    /// A stream of msgpack log events.
    pub events: Vec<u8>,
}

/// The metrics that a filter emitted last, for a page that shows them.
#[derive(Debug, Clone, Default)]
pub struct LastMetrics {
    /// When they were emitted, in nanoseconds since the Unix epoch.
    pub unix_nanos: u64,
    /// A stream of msgpack log events.
    pub events: std::sync::Arc<Vec<u8>>,
    /// Whether these are all of them.
    pub is_whole: bool,
}

/// A trace id of 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub [u8; 16]);

/// A span id of 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// Reads 32 hex digits; `None` for any other text and for the all-zero id, which is invalid
    /// by the W3C Trace Context specification, section "trace-id".
    #[must_use]
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        from_hex(text).map(Self).filter(|id| id.0 != [0; 16])
    }
}

impl SpanId {
    /// Reads 16 hex digits; `None` for any other text and for the all-zero id.
    #[must_use]
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        from_hex(text).map(Self).filter(|id| id.0 != [0; 8])
    }
}

impl std::fmt::Debug for TraceId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&hex(&self.0))
    }
}

impl std::fmt::Debug for SpanId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&hex(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_exact_hex() {
        let id = TraceId::from_hex(b"0AF7651916cd43dd8448eb211c80319c");
        assert_eq!(format!("{:?}", id.unwrap()), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(TraceId::from_hex(&[b'0'; 32]), None);
        assert_eq!(SpanId::from_hex(b"00f067aa0ba902b7").map(|id| id.0[1]), Some(0xf0));
        assert_eq!(SpanId::from_hex(b"00f067aa0ba902b"), None);
        assert_eq!(SpanId::from_hex(b"00f067aa0ba902bg"), None);
    }
}
