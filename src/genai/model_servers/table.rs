//! The metrics of model servers and of GPU exporters, and what each of them is.

/// What a metric of a server or a GPU says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerMeasurement {
    RequestDuration,
    FirstToken,
    PerToken,
    BetweenTokens,
    Queue,
    Prefill,
    Decode,
    InputTokens,
    OutputTokens,
    CachedTokens,
    RequestInputTokens,
    RequestOutputTokens,
    FinishReasons,
    Requests,
    Errors,
    Running,
    Waiting,
    CacheUsage,
    Preemptions,
    GpuUtilization,
    GpuMemory,
    GpuMemoryLimit,
    GpuPower,
    GpuEnergy,
    GpuTemperature,
    GpuErrors,
}

/// Who makes a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerEngine {
    Vllm,
    Sglang,
    Trtllm,
    Tgi,
    Triton,
    LlamaCpp,
    LiteLlm,
    RayServe,
    Nim,
    Kserve,
    Dynamo,
    LlmD,
    Dcgm,
}

/// A metric: its name without `_total` at its end, what it says, what its values are multiplied by, and who makes it.
type ServerMetric = (&'static str, ServerMeasurement, f64, ServerEngine);

/// A name, its unit, and the attribute that tells it from others of that name.
pub(super) type MeasurementName =
    (&'static str, &'static str, Option<(&'static str, &'static str)>);

impl ServerMeasurement {
    /// What it is called.
    pub(super) const fn name(self) -> MeasurementName {
        match self {
            Self::RequestDuration => ("gen_ai.server.request.duration", "s", None),
            Self::FirstToken => ("gen_ai.server.time_to_first_token", "s", None),
            Self::PerToken => ("gen_ai.server.time_per_output_token", "s", None),
            Self::BetweenTokens => ("fluentbit.ai.server.time_between_tokens", "s", None),
            Self::Queue => {
                ("fluentbit.ai.server.latency", "s", Some(("fluentbit.ai.latency.part", "queue")))
            }
            Self::Prefill => {
                ("fluentbit.ai.server.latency", "s", Some(("fluentbit.ai.latency.part", "prefill")))
            }
            Self::Decode => {
                ("fluentbit.ai.server.latency", "s", Some(("fluentbit.ai.latency.part", "decode")))
            }
            Self::InputTokens => {
                ("fluentbit.ai.server.tokens", "{token}", Some(("gen_ai.token.type", "input")))
            }
            Self::OutputTokens => {
                ("fluentbit.ai.server.tokens", "{token}", Some(("gen_ai.token.type", "output")))
            }
            Self::CachedTokens => ("fluentbit.ai.server.cached_tokens", "{token}", None),
            Self::RequestInputTokens => (
                "fluentbit.ai.server.request.tokens",
                "{token}",
                Some(("gen_ai.token.type", "input")),
            ),
            Self::RequestOutputTokens => (
                "fluentbit.ai.server.request.tokens",
                "{token}",
                Some(("gen_ai.token.type", "output")),
            ),
            Self::FinishReasons => ("fluentbit.ai.server.finish_reasons", "{request}", None),
            Self::Requests => ("fluentbit.ai.server.requests", "{request}", None),
            Self::Errors => ("fluentbit.ai.server.errors", "{request}", None),
            Self::Running => ("fluentbit.ai.server.requests_running", "{request}", None),
            Self::Waiting => ("fluentbit.ai.server.requests_waiting", "{request}", None),
            Self::CacheUsage => ("fluentbit.ai.server.kv_cache_usage", "1", None),
            Self::Preemptions => ("fluentbit.ai.server.preemptions", "{request}", None),
            Self::GpuUtilization => ("hw.gpu.utilization", "1", None),
            Self::GpuMemory => ("hw.gpu.memory.usage", "By", None),
            Self::GpuMemoryLimit => ("hw.gpu.memory.limit", "By", None),
            Self::GpuPower => ("hw.power", "W", Some(("hw.type", "gpu"))),
            Self::GpuEnergy => ("hw.energy", "J", Some(("hw.type", "gpu"))),
            Self::GpuTemperature => ("hw.temperature", "Cel", Some(("hw.type", "gpu"))),
            Self::GpuErrors => ("hw.errors", "{error}", Some(("hw.type", "gpu"))),
        }
    }

    /// Whether it is one of a GPU.
    pub(super) const fn is_of_gpu(self) -> bool {
        matches!(
            self,
            Self::GpuUtilization
                | Self::GpuMemory
                | Self::GpuMemoryLimit
                | Self::GpuPower
                | Self::GpuEnergy
                | Self::GpuTemperature
                | Self::GpuErrors
        )
    }
}

impl ServerEngine {
    /// Its name as the value of an attribute.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::Trtllm => "trtllm",
            Self::Tgi => "tgi",
            Self::Triton => "triton",
            Self::LlamaCpp => "llama.cpp",
            Self::LiteLlm => "litellm",
            Self::RayServe => "ray_serve",
            Self::Nim => "nim",
            Self::Kserve => "kserve",
            Self::Dynamo => "dynamo",
            Self::LlmD => "llm-d",
            Self::Dcgm => "dcgm",
        }
    }

    /// Whether its names are such that others may have them, too: they count where points name a model.
    pub(super) const fn has_common_names(self) -> bool {
        matches!(self, Self::Nim | Self::Kserve)
    }
}

/// The metric of this name.
pub(super) fn find(name: &str) -> Option<&'static ServerMetric> {
    let name = name.strip_suffix("_total").unwrap_or(name);
    let index = METRICS.binary_search_by(|(known, ..)| (*known).cmp(name)).ok()?;
    METRICS.get(index)
}

/// Labels of a server's points, and the attributes that say the same.
pub(super) const SERVER_LABELS: &[(&str, &str)] = &[
    ("model_name", "gen_ai.request.model"),
    ("model", "gen_ai.request.model"),
    ("target_model_name", "gen_ai.response.model"),
    ("finished_reason", "fluentbit.ai.finish_reason"),
    ("error_type", "error.type"),
    ("error_code", "error.type"),
    ("err", "error.type"),
];

/// Labels of LiteLLM's proxy, which says for which model it was asked and which one it asked.
pub(super) const LITELLM_LABELS: &[(&str, &str)] = &[
    ("requested_model", "gen_ai.request.model"),
    ("model_group", "gen_ai.request.model"),
    ("model", "gen_ai.response.model"),
    ("litellm_model_name", "gen_ai.response.model"),
    ("exception_class", "error.type"),
];

/// Labels of a GPU's points, and the attributes that say the same.
pub(super) const GPU_LABELS: &[(&str, &str)] = &[
    ("UUID", "hw.id"),
    ("gpu_uuid", "hw.id"),
    ("device", "hw.name"),
    ("modelName", "hw.model"),
    ("DCGM_FI_DRIVER_VERSION", "hw.driver_version"),
];

const MEBI: f64 = 1_048_576.0;

use self::{ServerEngine as E, ServerMeasurement as M};

/// Sorted by name.
#[rustfmt::skip]
static METRICS: [ServerMetric; 141] = [
    ("DCGM_EXP_XID_ERRORS_COUNT", M::GpuErrors, 1.0, E::Dcgm),
    ("DCGM_FI_DEV_FB_USED", M::GpuMemory, MEBI, E::Dcgm),
    ("DCGM_FI_DEV_GPU_TEMP", M::GpuTemperature, 1.0, E::Dcgm),
    ("DCGM_FI_DEV_GPU_UTIL", M::GpuUtilization, 0.01, E::Dcgm),
    ("DCGM_FI_DEV_POWER_USAGE", M::GpuPower, 1.0, E::Dcgm),
    ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", M::GpuEnergy, 0.001, E::Dcgm),
    ("dynamo_frontend_inflight_requests", M::Running, 1.0, E::Dynamo),
    ("dynamo_frontend_input_sequence_tokens", M::RequestInputTokens, 1.0, E::Dynamo),
    ("dynamo_frontend_input_tokens", M::InputTokens, 1.0, E::Dynamo),
    ("dynamo_frontend_inter_token_latency_seconds", M::BetweenTokens, 1.0, E::Dynamo),
    ("dynamo_frontend_output_sequence_tokens", M::RequestOutputTokens, 1.0, E::Dynamo),
    ("dynamo_frontend_output_tokens", M::OutputTokens, 1.0, E::Dynamo),
    ("dynamo_frontend_queued_requests", M::Waiting, 1.0, E::Dynamo),
    ("dynamo_frontend_request_duration_seconds", M::RequestDuration, 1.0, E::Dynamo),
    ("dynamo_frontend_requests", M::Requests, 1.0, E::Dynamo),
    ("dynamo_frontend_time_to_first_token_seconds", M::FirstToken, 1.0, E::Dynamo),
    ("e2e_request_latency_seconds", M::RequestDuration, 1.0, E::Nim),
    ("generation_tokens", M::OutputTokens, 1.0, E::Nim),
    ("gpu_cache_usage_perc", M::CacheUsage, 1.0, E::Nim),
    ("inference_extension_flow_control_request_queue_duration_seconds", M::Queue, 1.0, E::LlmD),
    ("inference_objective_input_tokens", M::RequestInputTokens, 1.0, E::LlmD),
    ("inference_objective_output_tokens", M::RequestOutputTokens, 1.0, E::LlmD),
    ("inference_objective_request", M::Requests, 1.0, E::LlmD),
    ("inference_objective_request_duration_seconds", M::RequestDuration, 1.0, E::LlmD),
    ("inference_objective_request_error", M::Errors, 1.0, E::LlmD),
    ("inference_objective_request_tpot_seconds", M::PerToken, 1.0, E::LlmD),
    ("inference_objective_request_ttft_seconds", M::FirstToken, 1.0, E::LlmD),
    ("inference_objective_running_requests", M::Running, 1.0, E::LlmD),
    ("inference_pool_average_kv_cache_utilization", M::CacheUsage, 1.0, E::LlmD),
    ("litellm_deployment_latency_per_output_token", M::PerToken, 1.0, E::LiteLlm),
    ("litellm_in_flight_requests", M::Running, 1.0, E::LiteLlm),
    ("litellm_input_cached_tokens_metric", M::CachedTokens, 1.0, E::LiteLlm),
    ("litellm_input_tokens_metric", M::InputTokens, 1.0, E::LiteLlm),
    ("litellm_llm_api_time_to_first_token_metric", M::FirstToken, 1.0, E::LiteLlm),
    ("litellm_output_tokens_metric", M::OutputTokens, 1.0, E::LiteLlm),
    ("litellm_proxy_failed_requests_metric", M::Errors, 1.0, E::LiteLlm),
    ("litellm_proxy_total_requests_metric", M::Requests, 1.0, E::LiteLlm),
    ("litellm_request_queue_time_seconds", M::Queue, 1.0, E::LiteLlm),
    ("litellm_request_total_latency_metric", M::RequestDuration, 1.0, E::LiteLlm),
    ("llamacpp:kv_cache_usage_ratio", M::CacheUsage, 1.0, E::LlamaCpp),
    ("llamacpp:prompt_tokens", M::InputTokens, 1.0, E::LlamaCpp),
    ("llamacpp:prompt_tokens_cached", M::CachedTokens, 1.0, E::LlamaCpp),
    ("llamacpp:requests_deferred", M::Waiting, 1.0, E::LlamaCpp),
    ("llamacpp:requests_processing", M::Running, 1.0, E::LlamaCpp),
    ("llamacpp:tokens_predicted", M::OutputTokens, 1.0, E::LlamaCpp),
    ("num_requests_running", M::Running, 1.0, E::Nim),
    ("num_requests_waiting", M::Waiting, 1.0, E::Nim),
    ("nv_energy_consumption", M::GpuEnergy, 1.0, E::Triton),
    ("nv_gpu_memory_total_bytes", M::GpuMemoryLimit, 1.0, E::Triton),
    ("nv_gpu_memory_used_bytes", M::GpuMemory, 1.0, E::Triton),
    ("nv_gpu_power_usage", M::GpuPower, 1.0, E::Triton),
    ("nv_gpu_utilization", M::GpuUtilization, 1.0, E::Triton),
    ("nv_inference_first_response_histogram_ms", M::FirstToken, 0.001, E::Triton),
    ("nv_inference_pending_request_count", M::Waiting, 1.0, E::Triton),
    ("nv_inference_request_failure", M::Errors, 1.0, E::Triton),
    ("nv_inference_request_success", M::Requests, 1.0, E::Triton),
    ("prompt_tokens", M::InputTokens, 1.0, E::Nim),
    ("ray_serve_deployment_queued_queries", M::Waiting, 1.0, E::RayServe),
    ("ray_serve_replica_processing_queries", M::Running, 1.0, E::RayServe),
    ("ray_vllm_e2e_request_latency_seconds", M::RequestDuration, 1.0, E::Vllm),
    ("ray_vllm_generation_tokens", M::OutputTokens, 1.0, E::Vllm),
    ("ray_vllm_gpu_cache_usage_perc", M::CacheUsage, 1.0, E::Vllm),
    ("ray_vllm_inter_token_latency_seconds", M::BetweenTokens, 1.0, E::Vllm),
    ("ray_vllm_kv_cache_usage_perc", M::CacheUsage, 1.0, E::Vllm),
    ("ray_vllm_num_preemptions", M::Preemptions, 1.0, E::Vllm),
    ("ray_vllm_num_requests_running", M::Running, 1.0, E::Vllm),
    ("ray_vllm_num_requests_waiting", M::Waiting, 1.0, E::Vllm),
    ("ray_vllm_prompt_tokens", M::InputTokens, 1.0, E::Vllm),
    ("ray_vllm_prompt_tokens_cached", M::CachedTokens, 1.0, E::Vllm),
    ("ray_vllm_request_decode_time_seconds", M::Decode, 1.0, E::Vllm),
    ("ray_vllm_request_generation_tokens", M::RequestOutputTokens, 1.0, E::Vllm),
    ("ray_vllm_request_prefill_time_seconds", M::Prefill, 1.0, E::Vllm),
    ("ray_vllm_request_prompt_tokens", M::RequestInputTokens, 1.0, E::Vllm),
    ("ray_vllm_request_queue_time_seconds", M::Queue, 1.0, E::Vllm),
    ("ray_vllm_request_success", M::FinishReasons, 1.0, E::Vllm),
    ("ray_vllm_request_time_per_output_token_seconds", M::PerToken, 1.0, E::Vllm),
    ("ray_vllm_time_per_output_token_seconds", M::BetweenTokens, 1.0, E::Vllm),
    ("ray_vllm_time_to_first_token_seconds", M::FirstToken, 1.0, E::Vllm),
    ("request_failure", M::Errors, 1.0, E::Nim),
    ("request_finish", M::FinishReasons, 1.0, E::Nim),
    ("request_generation_tokens", M::RequestOutputTokens, 1.0, E::Nim),
    ("request_predict_seconds", M::RequestDuration, 1.0, E::Kserve),
    ("request_prompt_tokens", M::RequestInputTokens, 1.0, E::Nim),
    ("sglang:cached_tokens", M::CachedTokens, 1.0, E::Sglang),
    ("sglang:e2e_request_latency_seconds", M::RequestDuration, 1.0, E::Sglang),
    ("sglang:generation_tokens", M::OutputTokens, 1.0, E::Sglang),
    ("sglang:generation_tokens_histogram", M::RequestOutputTokens, 1.0, E::Sglang),
    ("sglang:inter_token_latency_seconds", M::BetweenTokens, 1.0, E::Sglang),
    ("sglang:num_queue_reqs", M::Waiting, 1.0, E::Sglang),
    ("sglang:num_requests", M::Requests, 1.0, E::Sglang),
    ("sglang:num_retracted_requests", M::Preemptions, 1.0, E::Sglang),
    ("sglang:num_running_reqs", M::Running, 1.0, E::Sglang),
    ("sglang:prompt_tokens", M::InputTokens, 1.0, E::Sglang),
    ("sglang:prompt_tokens_histogram", M::RequestInputTokens, 1.0, E::Sglang),
    ("sglang:queue_time_seconds", M::Queue, 1.0, E::Sglang),
    ("sglang:request_time_per_output_token_seconds", M::PerToken, 1.0, E::Sglang),
    ("sglang:time_to_first_token_seconds", M::FirstToken, 1.0, E::Sglang),
    ("sglang:token_usage", M::CacheUsage, 1.0, E::Sglang),
    ("tgi_batch_current_size", M::Running, 1.0, E::Tgi),
    ("tgi_queue_size", M::Waiting, 1.0, E::Tgi),
    ("tgi_request_count", M::Requests, 1.0, E::Tgi),
    ("tgi_request_duration", M::RequestDuration, 1.0, E::Tgi),
    ("tgi_request_failure", M::Errors, 1.0, E::Tgi),
    ("tgi_request_generated_tokens", M::RequestOutputTokens, 1.0, E::Tgi),
    ("tgi_request_input_length", M::RequestInputTokens, 1.0, E::Tgi),
    ("tgi_request_queue_duration", M::Queue, 1.0, E::Tgi),
    ("time_per_output_token_seconds", M::PerToken, 1.0, E::Nim),
    ("time_to_first_token_seconds", M::FirstToken, 1.0, E::Nim),
    ("trtllm_e2e_request_latency_seconds", M::RequestDuration, 1.0, E::Trtllm),
    ("trtllm_generation_tokens", M::OutputTokens, 1.0, E::Trtllm),
    ("trtllm_kv_cache_utilization", M::CacheUsage, 1.0, E::Trtllm),
    ("trtllm_num_requests_running", M::Running, 1.0, E::Trtllm),
    ("trtllm_num_requests_waiting", M::Waiting, 1.0, E::Trtllm),
    ("trtllm_prompt_cached_tokens", M::CachedTokens, 1.0, E::Trtllm),
    ("trtllm_prompt_tokens", M::InputTokens, 1.0, E::Trtllm),
    ("trtllm_request_decode_time_seconds", M::Decode, 1.0, E::Trtllm),
    ("trtllm_request_error", M::Errors, 1.0, E::Trtllm),
    ("trtllm_request_prefill_time_seconds", M::Prefill, 1.0, E::Trtllm),
    ("trtllm_request_queue_time_seconds", M::Queue, 1.0, E::Trtllm),
    ("trtllm_request_success", M::FinishReasons, 1.0, E::Trtllm),
    ("trtllm_time_per_output_token_seconds", M::PerToken, 1.0, E::Trtllm),
    ("trtllm_time_to_first_token_seconds", M::FirstToken, 1.0, E::Trtllm),
    ("vllm:e2e_request_latency_seconds", M::RequestDuration, 1.0, E::Vllm),
    ("vllm:generation_tokens", M::OutputTokens, 1.0, E::Vllm),
    ("vllm:gpu_cache_usage_perc", M::CacheUsage, 1.0, E::Vllm),
    ("vllm:inter_token_latency_seconds", M::BetweenTokens, 1.0, E::Vllm),
    ("vllm:kv_cache_usage_perc", M::CacheUsage, 1.0, E::Vllm),
    ("vllm:num_preemptions", M::Preemptions, 1.0, E::Vllm),
    ("vllm:num_requests_running", M::Running, 1.0, E::Vllm),
    ("vllm:num_requests_waiting", M::Waiting, 1.0, E::Vllm),
    ("vllm:prompt_tokens", M::InputTokens, 1.0, E::Vllm),
    ("vllm:prompt_tokens_cached", M::CachedTokens, 1.0, E::Vllm),
    ("vllm:request_decode_time_seconds", M::Decode, 1.0, E::Vllm),
    ("vllm:request_generation_tokens", M::RequestOutputTokens, 1.0, E::Vllm),
    ("vllm:request_prefill_time_seconds", M::Prefill, 1.0, E::Vllm),
    ("vllm:request_prompt_tokens", M::RequestInputTokens, 1.0, E::Vllm),
    ("vllm:request_queue_time_seconds", M::Queue, 1.0, E::Vllm),
    ("vllm:request_success", M::FinishReasons, 1.0, E::Vllm),
    ("vllm:request_time_per_output_token_seconds", M::PerToken, 1.0, E::Vllm),
    ("vllm:time_per_output_token_seconds", M::BetweenTokens, 1.0, E::Vllm),
    ("vllm:time_to_first_token_seconds", M::FirstToken, 1.0, E::Vllm),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found() {
        assert!(METRICS.is_sorted_by(|one, next| one.0 < next.0));
        for metric in &METRICS {
            assert_eq!(find(metric.0), Some(metric));
            assert_eq!(find(&format!("{}_total", metric.0)), Some(metric));
        }
        assert_eq!(find("http_requests_total"), None);
    }
}
