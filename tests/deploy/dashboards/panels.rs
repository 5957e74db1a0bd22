//! What the dashboards show. Metrics stand in backquotes under the name that they are made under; `@` is the board's
//! filter.

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

pub const BOARDS: &[Board] = &[MODELS, SERVING, PIPELINE, AGENTS];

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

const MODELS: Board = Board {
    uid: "fluent-bit-ai-models",
    title: "AI models",
    about: "Requests, errors, latency, tokens, cost and answers of model calls, as ai_metrics measures them.",
    filter: "job=~\"$job\",gen_ai_provider_name=~\"$provider\",gen_ai_request_model=~\"$model\"",
    variables: &[
        ("job", "job", "gen_ai.client.operation.count"),
        ("provider", "gen_ai_provider_name", "gen_ai.client.operation.count"),
        ("model", "gen_ai_request_model", "gen_ai.client.operation.count"),
    ],
    choices: &[
        ("slo_seconds", &["10.24", "1.28", "2.56", "5.12", "20.48", "40.96"]),
        ("slo_token_seconds", &["0.1", "0.025", "0.05", "0.2", "0.5"]),
        ("objective", &["0.99", "0.9", "0.95", "0.999"]),
    ],
    rows: &[
        (
            "Traffic",
            &[
                panel(
                    "Requests by model",
                    Unit::PerSecond,
                    "Operations of all kinds, adjusted for sampling.",
                    &[(
                        "{{gen_ai_request_model}}",
                        "sum by (gen_ai_request_model) (rate(`gen_ai.client.operation.count`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Requests by service",
                    Unit::PerSecond,
                    "",
                    &[(
                        "{{job}}",
                        "sum by (job) (rate(`gen_ai.client.operation.count`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Requests by operation",
                    Unit::PerSecond,
                    "",
                    &[(
                        "{{gen_ai_operation_name}}",
                        "sum by (gen_ai_operation_name) (rate(`gen_ai.client.operation.count`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Share of errors",
                    Unit::Share,
                    "Operations with an error.type.",
                    &[(
                        "{{gen_ai_request_model}}",
                        "(sum by (gen_ai_request_model) (rate(`gen_ai.client.operation.count`{@,error_type!=\"\"}[$__rate_interval])) or 0 * sum by (gen_ai_request_model) (rate(`gen_ai.client.operation.count`{@}[$__rate_interval]))) / sum by (gen_ai_request_model) (rate(`gen_ai.client.operation.count`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Errors by type",
                    Unit::PerSecond,
                    "",
                    &[(
                        "{{error_type}}",
                        "sum by (error_type) (rate(`gen_ai.client.operation.count`{@,error_type!=\"\"}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Throttled (429)",
                    Unit::PerSecond,
                    "Errors whose type says 429 or rate limit, as providers and SDKs spell it.",
                    &[(
                        "{{gen_ai_provider_name}} {{gen_ai_request_model}}",
                        "sum by (gen_ai_provider_name, gen_ai_request_model) (rate(`gen_ai.client.operation.count`{@,error_type=~\"429|.*(?i:rate_?limit|throttl|too_?many_?requests|resource_?exhausted).*\"}[$__rate_interval]))",
                    )],
                ),
            ],
        ),
        (
            "Latency",
            &[
                panel(
                    "Duration",
                    Unit::Seconds,
                    "",
                    quantiles!("gen_ai.client.operation.duration"),
                ),
                panel(
                    "Time to the first chunk",
                    Unit::Seconds,
                    "Of streamed answers, as the client saw it.",
                    quantiles!("gen_ai.client.operation.time_to_first_chunk"),
                ),
                panel(
                    "Time per output token",
                    Unit::Seconds,
                    "After the first chunk, of calls that succeeded.",
                    quantiles!("fluentbit.ai.time_per_output_token"),
                ),
                panel(
                    "Burn of the duration's objective",
                    Unit::Number,
                    "1 uses up the budget exactly: 'objective' of the calls within 'slo_seconds'.",
                    burn!("slo_seconds", "gen_ai.client.operation.duration"),
                ),
                panel(
                    "Burn of the output tokens' objective",
                    Unit::Number,
                    "1 uses up the budget exactly: 'objective' of the calls within 'slo_token_seconds' a token.",
                    burn!("slo_token_seconds", "fluentbit.ai.time_per_output_token"),
                ),
                panel(
                    "Where the time goes",
                    Unit::Seconds,
                    "Mean of each part; needs 'split_latency: on' in ai_context.",
                    &[(
                        "{{fluentbit_ai_latency_part}}",
                        "sum by (fluentbit_ai_latency_part) (rate(`fluentbit.ai.latency`_sum{@}[$__rate_interval])) / sum by (fluentbit_ai_latency_part) (rate(`fluentbit.ai.latency`_count{@}[$__rate_interval]))",
                    )],
                ),
            ],
        ),
        (
            "Tokens",
            &[
                panel(
                    "Tokens by type",
                    Unit::Items,
                    "Input and output; each call counts once. Cached tokens are input already.",
                    &[(
                        "{{gen_ai_token_type}}",
                        "sum by (gen_ai_token_type) (rate(`gen_ai.client.token.usage`_sum{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Tokens by model",
                    Unit::Items,
                    "",
                    &[(
                        "{{gen_ai_request_model}} {{gen_ai_token_type}}",
                        "sum by (gen_ai_request_model, gen_ai_token_type) (rate(`gen_ai.client.token.usage`_sum{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Cache and reasoning",
                    Unit::Share,
                    "Input tokens that came from a cache or were written to one, and output tokens spent on reasoning.",
                    &[
                        (
                            "read from a cache",
                            "sum(rate(`gen_ai.client.inference.usage.cache_read.input_tokens`{@}[$__rate_interval])) / sum(rate(`gen_ai.client.token.usage`_sum{@,gen_ai_token_type=\"input\"}[$__rate_interval]))",
                        ),
                        (
                            "written to a cache",
                            "sum(rate(`gen_ai.client.inference.usage.cache_write.input_tokens`{@}[$__rate_interval])) / sum(rate(`gen_ai.client.token.usage`_sum{@,gen_ai_token_type=\"input\"}[$__rate_interval]))",
                        ),
                        (
                            "reasoning",
                            "sum(rate(`gen_ai.client.inference.usage.reasoning.output_tokens`{@}[$__rate_interval])) / sum(rate(`gen_ai.client.token.usage`_sum{@,gen_ai_token_type=\"output\"}[$__rate_interval]))",
                        ),
                    ],
                ),
            ],
        ),
        (
            "Cost",
            &[
                panel(
                    "Dollars an hour by model",
                    Unit::Dollars,
                    "",
                    &[(
                        "{{gen_ai_request_model}}",
                        "sum by (gen_ai_request_model) (rate(`fluentbit.ai.cost`{@}[$__rate_interval])) * 3600",
                    )],
                ),
                panel(
                    "Dollars an hour by service",
                    Unit::Dollars,
                    "",
                    &[(
                        "{{job}}",
                        "sum by (job) (rate(`fluentbit.ai.cost`{@}[$__rate_interval])) * 3600",
                    )],
                ),
                panel(
                    "Calls without a price",
                    Unit::Share,
                    "Their cost is not known and in no sum: prices_file gives them one.",
                    &[(
                        "{{gen_ai_request_model}}",
                        "sum by (gen_ai_request_model) (rate(`fluentbit.ai.cost.calls`{@,fluentbit_ai_cost_source=\"unpriced\"}[$__rate_interval])) / sum by (gen_ai_request_model) (rate(`fluentbit.ai.cost.calls`{@}[$__rate_interval]))",
                    )],
                ),
            ],
        ),
        (
            "Answers, tools and agents",
            &[
                panel(
                    "Reasons to finish",
                    Unit::PerSecond,
                    "'length' is a cut answer, 'content_filter' a refused one.",
                    &[(
                        "{{fluentbit_ai_finish_reason}}",
                        "sum by (fluentbit_ai_finish_reason) (rate(`fluentbit.ai.finish_reasons`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Tools: duration, p95",
                    Unit::Seconds,
                    "",
                    p95_by!("gen_ai_tool_name", "gen_ai.execute_tool.duration"),
                ),
                panel(
                    "Tools: errors",
                    Unit::PerSecond,
                    "",
                    errors_by!("gen_ai_tool_name", "gen_ai.execute_tool.duration"),
                ),
                panel(
                    "Agents: duration, p95",
                    Unit::Seconds,
                    "",
                    p95_by!("gen_ai_agent_name", "gen_ai.invoke_agent.duration"),
                ),
                panel(
                    "Agents: errors",
                    Unit::PerSecond,
                    "",
                    errors_by!("gen_ai_agent_name", "gen_ai.invoke_agent.duration"),
                ),
                panel(
                    "MCP: duration by method, p95",
                    Unit::Seconds,
                    "As the client saw it.",
                    p95_by!("mcp_method_name", "mcp.client.operation.duration"),
                ),
            ],
        ),
    ],
};

const SERVING: Board = Board {
    uid: "fluent-bit-ai-serving",
    title: "AI serving",
    about: "Model servers and their GPUs, beside the requests that they served. Metrics of servers come by their own pages (prometheus_scrape or Prometheus), of GPUs by NVIDIA's DCGM exporter or hw.*.",
    filter: "job=~\"$job\"",
    variables: &[("job", "job", "gen_ai.server.request.duration")],
    choices: &[],
    rows: &[
        (
            "Requests, as the server tells",
            &[
                panel(
                    "Requests",
                    Unit::PerSecond,
                    "",
                    &[(
                        "{{job}} {{gen_ai_request_model}}",
                        "sum by (job, gen_ai_request_model) (rate(`gen_ai.server.request.duration`_count{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Time to the first token",
                    Unit::Seconds,
                    "",
                    quantiles!("gen_ai.server.time_to_first_token"),
                ),
                panel(
                    "Time per output token",
                    Unit::Seconds,
                    "",
                    quantiles!("gen_ai.server.time_per_output_token"),
                ),
            ],
        ),
        (
            "Queue and cache",
            &[
                panel(
                    "Waiting",
                    Unit::Number,
                    "vLLM, SGLang, TensorRT-LLM, TGI, Triton, llama.cpp.",
                    &[(
                        "{{instance}}",
                        "sum by (instance) (`vllm:num_requests_waiting`) or sum by (instance) (`sglang:num_queue_reqs`) or sum by (instance) (`trtllm_num_requests_waiting`) or sum by (instance) (`tgi_queue_size`) or sum by (instance) (`nv_inference_pending_request_count`) or sum by (instance) (`llamacpp:requests_deferred`)",
                    )],
                ),
                panel(
                    "Running",
                    Unit::Number,
                    "",
                    &[(
                        "{{instance}}",
                        "sum by (instance) (`vllm:num_requests_running`) or sum by (instance) (`sglang:num_running_reqs`) or sum by (instance) (`trtllm_num_requests_running`) or sum by (instance) (`tgi_batch_current_size`) or sum by (instance) (`llamacpp:requests_processing`)",
                    )],
                ),
                panel(
                    "KV cache in use",
                    Unit::Share,
                    "At 1 the server preempts requests.",
                    &[(
                        "{{instance}}",
                        "max by (instance) (`vllm:kv_cache_usage_perc`) or max by (instance) (`sglang:token_usage`) or max by (instance) (`trtllm_kv_cache_utilization`) or max by (instance) (`llamacpp:kv_cache_usage_ratio`)",
                    )],
                ),
                panel(
                    "Preemptions",
                    Unit::Items,
                    "Requests that were set back because the KV cache was full (vLLM).",
                    &[(
                        "{{instance}}",
                        "sum by (instance) (rate(`vllm:num_preemptions_total`[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Hits of the prefix cache",
                    Unit::Share,
                    "vLLM.",
                    &[(
                        "{{instance}}",
                        "sum by (instance) (rate(`vllm:prefix_cache_hits_total`[$__rate_interval])) / sum by (instance) (rate(`vllm:prefix_cache_queries_total`[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Time in the queue, p95",
                    Unit::Seconds,
                    "Of calls whose spans tell; needs 'split_latency: on' in ai_context.",
                    &[(
                        "{{job}}",
                        "histogram_quantile(0.95, sum by (job, le) (rate(`fluentbit.ai.latency`_bucket{fluentbit_ai_latency_part=\"queue\"}[$__rate_interval])))",
                    )],
                ),
            ],
        ),
        (
            "GPU",
            &[
                panel(
                    "Utilisation",
                    Unit::Share,
                    "",
                    &[(
                        "{{instance}}",
                        "avg by (instance) (`DCGM_FI_DEV_GPU_UTIL`) / 100 or avg by (instance) (`nv_gpu_utilization`) or avg by (instance) (`hw.gpu.utilization`)",
                    )],
                ),
                panel(
                    "Memory in use",
                    Unit::Bytes,
                    "",
                    &[(
                        "{{instance}}",
                        "sum by (instance) (`DCGM_FI_DEV_FB_USED`) * 1048576 or sum by (instance) (`nv_gpu_memory_used_bytes`) or sum by (instance) (`hw.gpu.memory.usage`)",
                    )],
                ),
                panel(
                    "Power",
                    Unit::Watts,
                    "",
                    &[(
                        "{{instance}}",
                        "sum by (instance) (`DCGM_FI_DEV_POWER_USAGE`) or sum by (instance) (`nv_gpu_power_usage`) or sum by (instance) (`hw.power`)",
                    )],
                ),
            ],
        ),
    ],
};

const PIPELINE: Board = Board {
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

const AGENTS: Board = Board {
    uid: "fluent-bit-ai-coding-agents",
    title: "Coding agents",
    about: "Claude Code, Codex, Gemini CLI, Qwen Code and their likes, by what ai_metrics makes of their spans and log events: no panel but those of sessions and decisions needs an agent's own metrics.",
    filter: "job=~\"$job\"",
    variables: &[("job", "job", "gen_ai.client.operation.count")],
    choices: &[],
    rows: &[
        (
            "Who",
            &[
                panel(
                    "Sessions begun an hour",
                    Unit::Number,
                    "Counters of the agents themselves, which have to be cumulative for Prometheus (OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative).",
                    &[
                        ("Claude Code", "sum(increase(`claude_code.session.count`[1h]))"),
                        ("Codex", "sum(increase(`codex.thread.started`[1h]))"),
                        ("Gemini CLI", "sum(increase(`gemini_cli.session.count`[1h]))"),
                        ("Qwen Code", "sum(increase(`qwen-code.session.count`[1h]))"),
                    ],
                ),
                panel(
                    "Users",
                    Unit::Number,
                    "Needs 'dimensions: user.id' in ai_metrics.",
                    &[(
                        "users",
                        "count(count by (user_id) (`gen_ai.client.operation.count`{@,user_id!=\"\"}))",
                    )],
                ),
                panel(
                    "Calls of models by agent",
                    Unit::PerSecond,
                    "",
                    &[(
                        "{{job}}",
                        "sum by (job) (rate(`gen_ai.client.operation.count`{@,gen_ai_operation_name=~\"chat|generate_content|text_completion\"}[$__rate_interval]))",
                    )],
                ),
            ],
        ),
        (
            "Cost and tokens",
            &[
                panel(
                    "Dollars an hour by agent",
                    Unit::Dollars,
                    "",
                    &[(
                        "{{job}}",
                        "sum by (job) (rate(`fluentbit.ai.cost`{@}[$__rate_interval])) * 3600",
                    )],
                ),
                panel(
                    "Dollars in the time shown, by user",
                    Unit::Dollars,
                    "Needs 'dimensions: user.id' in ai_metrics. The first 20.",
                    &[(
                        "{{user_id}}",
                        "topk(20, sum by (user_id) (increase(`fluentbit.ai.cost`{@,user_id!=\"\"}[$__range])))",
                    )],
                ),
                panel(
                    "Tokens by model",
                    Unit::Items,
                    "",
                    &[(
                        "{{gen_ai_request_model}} {{gen_ai_token_type}}",
                        "sum by (gen_ai_request_model, gen_ai_token_type) (rate(`gen_ai.client.token.usage`_sum{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Input from a cache",
                    Unit::Share,
                    "",
                    &[(
                        "{{job}}",
                        "sum by (job) (rate(`gen_ai.client.inference.usage.cache_read.input_tokens`{@}[$__rate_interval])) / sum by (job) (rate(`gen_ai.client.token.usage`_sum{@,gen_ai_token_type=\"input\"}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Calls without a price",
                    Unit::Share,
                    "",
                    &[(
                        "{{job}}",
                        "sum by (job) (rate(`fluentbit.ai.cost.calls`{@,fluentbit_ai_cost_source=\"unpriced\"}[$__rate_interval])) / sum by (job) (rate(`fluentbit.ai.cost.calls`{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Duration of calls, p95",
                    Unit::Seconds,
                    "",
                    p95_by!("job", "gen_ai.client.operation.duration"),
                ),
            ],
        ),
        (
            "Tools",
            &[
                panel(
                    "Calls of tools",
                    Unit::PerSecond,
                    "",
                    &[(
                        "{{gen_ai_tool_name}}",
                        "sum by (gen_ai_tool_name) (rate(`gen_ai.execute_tool.duration`_count{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Duration of tools, p95",
                    Unit::Seconds,
                    "",
                    p95_by!("gen_ai_tool_name", "gen_ai.execute_tool.duration"),
                ),
                panel(
                    "Errors of tools",
                    Unit::PerSecond,
                    "",
                    errors_by!("gen_ai_tool_name", "gen_ai.execute_tool.duration"),
                ),
                panel(
                    "Accepted changes and calls",
                    Unit::Share,
                    "Of what people were asked: counters of Gemini CLI and Qwen Code. Claude Code and Codex tell decisions in log events.",
                    &[
                        (
                            "Gemini CLI",
                            "sum(rate(`gemini_cli.tool.call.count`{decision=~\"accept|modify\"}[$__rate_interval])) / sum(rate(`gemini_cli.tool.call.count`{decision=~\"accept|modify|reject\"}[$__rate_interval]))",
                        ),
                        (
                            "Qwen Code",
                            "sum(rate(`qwen-code.tool.call.count`{decision=~\"accept|modify\"}[$__rate_interval])) / sum(rate(`qwen-code.tool.call.count`{decision=~\"accept|modify|reject\"}[$__rate_interval]))",
                        ),
                    ],
                ),
            ],
        ),
    ],
};
