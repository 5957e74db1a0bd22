//! The plugins themselves.

use super::{Board, Unit, panel};

pub const BOARD: Board = Board {
    uid: "fluent-bit-ai-pipeline",
    title: "AI telemetry pipeline",
    about: "What the plugins took in, changed, kept, dropped and sent, by their own counters (/api/v2/metrics/prometheus of Fluent Bit).",
    filter: "instance=~\"$instance\"",
    variables: &[("instance", "instance", "fluentbit_ai_build_info")],
    choices: &[],
    rows: &[
        (
            "In",
            &[
                panel(
                    "Received",
                    Unit::Items,
                    "",
                    &[(
                        "{{signal}}",
                        "sum by (signal) (rate(`fluentbit_ai_received_items_total`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Refused and rejected",
                    Unit::Items,
                    "Senders were told: refused ones are to be sent again where that helps.",
                    &[
                        (
                            "refused {{signal}} {{reason}}",
                            "sum by (signal, reason) (rate(`fluentbit_ai_refused_items_total`{@}[$__rate_interval]))",
                        ),
                        (
                            "rejected {{signal}} {{reason}}",
                            "sum by (signal, reason) (rate(`fluentbit_ai_rejected_items_total`{@}[$__rate_interval]))",
                        ),
                        (
                            "denied {{reason}}",
                            "sum by (reason) (rate(`fluentbit_ai_denied_requests_total`{@}[$__rate_interval]))",
                        ),
                    ],
                ),
                panel(
                    "Waiting for the outputs",
                    Unit::Bytes,
                    "",
                    &[
                        ("queue", "sum(`fluentbit_ai_queue_bytes`{@})"),
                        ("chunks", "sum(`fluentbit_ai_chunk_bytes`{@})"),
                    ],
                ),
            ],
        ),
        (
            "Context and redaction",
            &[
                panel(
                    "Mapped spans by dialect",
                    Unit::Items,
                    "",
                    &[(
                        "{{dialect}}",
                        "sum by (dialect) (rate(`fluentbit_ai_normalized_spans_total`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Redacted",
                    Unit::Items,
                    "",
                    &[(
                        "{{detector}}",
                        "sum by (detector) (rate(`fluentbit_ai_redactions_total`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Not searched",
                    Unit::Items,
                    "What could not be searched for what is to be redacted, and what became of it.",
                    &[(
                        "{{reason}} {{action}}",
                        "sum by (reason, action) (rate(`fluentbit_ai_redaction_failures_total`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Attributes that no rule maps",
                    Unit::Items,
                    "",
                    &[(
                        "{{attribute}}",
                        "topk(10, sum by (attribute) (rate(`fluentbit_ai_unknown_attributes_total`{@}[$__rate_interval])))",
                    )],
                ),
                panel(
                    "Findings: broken context",
                    Unit::Items,
                    "Needs 'find_broken: on'.",
                    &[(
                        "{{kind}}",
                        "sum by (kind) (rate(`fluentbit_ai_broken_context_spans_total`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Series of metrics",
                    Unit::Number,
                    "",
                    &[
                        ("held", "sum(`fluentbit_ai_series`{@})"),
                        (
                            "overflowed a second",
                            "sum(rate(`fluentbit_ai_overflow_total`{@}[$__rate_interval]))",
                        ),
                    ],
                ),
            ],
        ),
        (
            "Sampling",
            &[
                panel(
                    "Kept, by policy",
                    Unit::Items,
                    "",
                    &[(
                        "{{policy}}",
                        "sum by (policy) (rate(`fluentbit_ai_kept_spans_total`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Share kept",
                    Unit::Share,
                    "",
                    &[(
                        "kept",
                        "sum(rate(`fluentbit_ai_kept_spans_total`{@}[$__rate_interval])) / sum(rate(`fluentbit_ai_received_spans_total`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Held",
                    Unit::Bytes,
                    "",
                    &[(
                        "spans of traces that are not decided",
                        "sum(`fluentbit_ai_held_bytes`{@})",
                    )],
                ),
                panel(
                    "Decided early, and late spans",
                    Unit::Items,
                    "Early: max_buffer_size or max_traces is too small.",
                    &[
                        (
                            "early {{reason}}",
                            "sum by (reason) (rate(`fluentbit_ai_early_decisions_total`{@}[$__rate_interval]))",
                        ),
                        (
                            "late {{decision}}",
                            "sum by (decision) (rate(`fluentbit_ai_late_spans_total`{@}[$__rate_interval]))",
                        ),
                    ],
                ),
            ],
        ),
        (
            "Out",
            &[
                panel(
                    "Sent",
                    Unit::Items,
                    "",
                    &[(
                        "{{endpoint}} {{signal}}",
                        "sum by (endpoint, signal) (rate(`fluentbit_ai_sent_items_total`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Lost",
                    Unit::Items,
                    "For good; dead letters are kept elsewhere.",
                    &[
                        (
                            "{{endpoint}} {{reason}}",
                            "sum by (endpoint, reason) (rate(`fluentbit_ai_dropped_items_total`{@}[$__rate_interval]))",
                        ),
                        (
                            "{{endpoint}} dead letter",
                            "sum by (endpoint) (rate(`fluentbit_ai_dead_letter_items_total`{@}[$__rate_interval]))",
                        ),
                    ],
                ),
                panel(
                    "Requests that failed",
                    Unit::PerSecond,
                    "",
                    &[(
                        "{{endpoint}} {{reason}}",
                        "sum by (endpoint, reason) (rate(`fluentbit_ai_failed_requests_total`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Endpoints that are tried",
                    Unit::Number,
                    "1 while an endpoint is tried, 0 while it is left alone.",
                    &[("{{endpoint}}", "min by (endpoint) (`fluentbit_ai_endpoint_up`{@})")],
                ),
                panel(
                    "Time of a request",
                    Unit::Milliseconds,
                    "Mean.",
                    &[(
                        "{{endpoint}}",
                        "sum by (endpoint) (rate(`fluentbit_ai_export_latency_ms_sum`{@}[$__rate_interval])) / sum by (endpoint) (rate(`fluentbit_ai_export_latency_ms_count`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Held and brought again",
                    Unit::Number,
                    "",
                    &[
                        ("chunks held in flight", "sum(`fluentbit_ai_held_chunks`{@})"),
                        (
                            "chunks to be retried a second",
                            "sum(rate(`fluentbit_ai_retried_chunks_total`{@}[$__rate_interval]))",
                        ),
                        (
                            "Fluent Bit: records dropped a second",
                            "sum(rate(`fluentbit_output_dropped_records_total`{@}[$__rate_interval]))",
                        ),
                    ],
                ),
            ],
        ),
    ],
};
