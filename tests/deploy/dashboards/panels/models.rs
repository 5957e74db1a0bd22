//! Calls of models.

use super::{Board, Unit, panel};

pub const BOARD: Board = Board {
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
                panel(
                    "Share of the prompt from a cache",
                    Unit::Share,
                    "Mean of the calls that say what they read from a cache, each the same, however long its prompt.",
                    &[(
                        "{{gen_ai_request_model}}",
                        "sum by (gen_ai_request_model) (rate(`fluentbit.ai.cache_hit_ratio`_sum{@}[$__rate_interval])) / sum by (gen_ai_request_model) (rate(`fluentbit.ai.cache_hit_ratio`_count{@}[$__rate_interval]))",
                    )],
                ),
                panel(
                    "Tokens that agents and calls say otherwise",
                    Unit::Items,
                    "What an operation says beyond the calls within it (missing), and these beyond it (surplus).",
                    &[
                        (
                            "missing {{gen_ai_operation_name}} {{gen_ai_token_type}}",
                            "sum by (gen_ai_operation_name, gen_ai_token_type) (rate(`fluentbit.ai.nested_usage.missing_tokens`{job=~\"$job\"}[$__rate_interval]))",
                        ),
                        (
                            "surplus {{gen_ai_operation_name}} {{gen_ai_token_type}}",
                            "sum by (gen_ai_operation_name, gen_ai_token_type) (rate(`fluentbit.ai.nested_usage.surplus_tokens`{job=~\"$job\"}[$__rate_interval]))",
                        ),
                    ],
                ),
                panel(
                    "Reported of measured",
                    Unit::Share,
                    "What services report themselves, as a share of what is measured of them: 100 % is the same.",
                    &[(
                        "{{job}} {{fluentbit_ai_compared_metric}}",
                        "sum by (job, fluentbit_ai_compared_metric) (rate(`fluentbit.ai.compared`{job=~\"$job\",fluentbit_ai_compared_side=\"reported\"}[$__rate_interval])) / sum by (job, fluentbit_ai_compared_metric) (rate(`fluentbit.ai.compared`{job=~\"$job\",fluentbit_ai_compared_side=\"measured\"}[$__rate_interval]))",
                    )],
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
        (
            "Budgets",
            &[panel(
                "Most used budgets",
                Unit::Share,
                "Of all instances together, with 'find_budgets' of ai_metrics: what was spent in a budget's period, by what it is of.",
                &[("__auto", "topk(20, sum without (job, instance) (`fluentbit.ai.budget.used`))")],
            )],
        ),
        (
            "Findings",
            &[
                panel(
                    "Findings by type",
                    Unit::Number,
                    "So far; a step is a finding, whose log event fluentbit.ai.finding has the evidence. Needs find_changes and its likes in ai_metrics.",
                    &[(
                        "{{fluentbit_ai_finding_type}}",
                        "sum by (fluentbit_ai_finding_type) (`fluentbit.ai.findings`{fluentbit_ai_finding_type!=\"\"})",
                    )],
                ),
                panel(
                    "Findings by service and model",
                    Unit::Number,
                    "So far.",
                    &[(
                        "{{service_name}} {{gen_ai_request_model}} {{fluentbit_ai_finding_library}}",
                        "sum by (service_name, gen_ai_request_model, fluentbit_ai_finding_library) (`fluentbit.ai.findings`{fluentbit_ai_finding_type!=\"\"})",
                    )],
                ),
                panel(
                    "Drift, pairs and prompts by signal",
                    Unit::Number,
                    "So far: distributions that drift, compared models that differ, and calls of one prompt, or of similar ones, that do.",
                    &[(
                        "{{fluentbit_ai_finding_type}} {{fluentbit_ai_finding_signal}}",
                        "sum by (fluentbit_ai_finding_type, fluentbit_ai_finding_signal) (`fluentbit.ai.findings`{fluentbit_ai_finding_type=~\"drift|pair_difference|same_prompt|similar_prompts\"})",
                    )],
                ),
            ],
        ),
    ],
};
