//! What Fluent Bit itself writes, turned into OTLP: `CTraces`, `CMetrics`, and ordinary logs.
