//! Coding agents.

use super::{Board, Unit, panel};

pub const BOARD: Board = Board {
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
