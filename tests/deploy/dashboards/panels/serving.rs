//! Model servers and their GPUs.

use super::{Board, Unit, panel};

pub const BOARD: Board = Board {
    uid: "fluent-bit-ai-serving",
    title: "AI serving",
    about: "Model servers and their GPUs, beside the requests that they served. Metrics of servers come from their own pages, by Prometheus or a Collector, of GPUs by NVIDIA's DCGM exporter or hw.*.",
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
