//! What is told of a server's state, and the metrics that tell it.

use crate::codec::msgpack::{self, MapView, text_of};
use crate::codec::records::edit::Pairs;
use crate::model::listed_enum;

listed_enum! {
    /// A quantity of the state of a model server or of its GPUs.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub(super) enum Quantity {
        RequestsWaiting,
        RequestsRunning,
        CacheUsage,
        GpuUtilization,
        GpuMemory,
        GpuPower,
    }
}

/// How the values of several engines or GPUs become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Combination {
    Sum,
    Mean,
    Greatest,
}

/// A metric that tells a quantity: its name, and what its values are multiplied by.
type Teller = (&'static str, Quantity, f64);

const MEBI: f64 = 1_048_576.0;

/// Metrics of vLLM (also through Ray), SGLang, TensorRT-LLM, TGI, Triton and llama.cpp; of the semantic conventions
/// for hardware, and of NVIDIA's DCGM exporter.
const TELLERS: [Teller; 29] = [
    ("vllm:num_requests_waiting", Quantity::RequestsWaiting, 1.0),
    ("ray_vllm_num_requests_waiting", Quantity::RequestsWaiting, 1.0),
    ("sglang:num_queue_reqs", Quantity::RequestsWaiting, 1.0),
    ("trtllm_num_requests_waiting", Quantity::RequestsWaiting, 1.0),
    ("tgi_queue_size", Quantity::RequestsWaiting, 1.0),
    ("nv_inference_pending_request_count", Quantity::RequestsWaiting, 1.0),
    ("llamacpp:requests_deferred", Quantity::RequestsWaiting, 1.0),
    ("vllm:num_requests_running", Quantity::RequestsRunning, 1.0),
    ("ray_vllm_num_requests_running", Quantity::RequestsRunning, 1.0),
    ("sglang:num_running_reqs", Quantity::RequestsRunning, 1.0),
    ("trtllm_num_requests_running", Quantity::RequestsRunning, 1.0),
    ("tgi_batch_current_size", Quantity::RequestsRunning, 1.0),
    ("llamacpp:requests_processing", Quantity::RequestsRunning, 1.0),
    ("vllm:kv_cache_usage_perc", Quantity::CacheUsage, 1.0),
    ("vllm:gpu_cache_usage_perc", Quantity::CacheUsage, 1.0),
    ("ray_vllm_kv_cache_usage_perc", Quantity::CacheUsage, 1.0),
    ("ray_vllm_gpu_cache_usage_perc", Quantity::CacheUsage, 1.0),
    ("sglang:token_usage", Quantity::CacheUsage, 1.0),
    ("trtllm_kv_cache_utilization", Quantity::CacheUsage, 1.0),
    ("llamacpp:kv_cache_usage_ratio", Quantity::CacheUsage, 1.0),
    ("hw.gpu.utilization", Quantity::GpuUtilization, 1.0),
    ("DCGM_FI_DEV_GPU_UTIL", Quantity::GpuUtilization, 0.01),
    ("nv_gpu_utilization", Quantity::GpuUtilization, 1.0),
    ("hw.gpu.memory.usage", Quantity::GpuMemory, 1.0),
    ("DCGM_FI_DEV_FB_USED", Quantity::GpuMemory, MEBI),
    ("nv_gpu_memory_used_bytes", Quantity::GpuMemory, 1.0),
    ("hw.power", Quantity::GpuPower, 1.0),
    ("DCGM_FI_DEV_POWER_USAGE", Quantity::GpuPower, 1.0),
    ("nv_gpu_power_usage", Quantity::GpuPower, 1.0),
];

/// What a metric tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// The number of the metric: of several that tell the same, the one with the lowest counts.
    pub(super) teller: usize,
    pub(super) quantity: Quantity,
    pub(super) factor: f64,
}

impl Told {
    /// What the metric with this name tells, if it tells anything.
    pub(super) fn by(name: &str) -> Option<Self> {
        let teller = TELLERS.iter().position(|(teller, ..)| *teller == name)?;
        let (_, quantity, factor) = *TELLERS.get(teller)?;
        Some(Self { teller, quantity, factor })
    }
}

impl Quantity {
    /// Its attribute of spans.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::RequestsWaiting => "fluentbit.ai.server.requests_waiting",
            Self::RequestsRunning => "fluentbit.ai.server.requests_running",
            Self::CacheUsage => "fluentbit.ai.server.kv_cache_usage",
            Self::GpuUtilization => "fluentbit.ai.server.gpu_utilization",
            Self::GpuMemory => "fluentbit.ai.server.gpu_memory",
            Self::GpuPower => "fluentbit.ai.server.gpu_power",
        }
    }

    /// What the keys of all begin with.
    pub(super) const PREFIX: &str = "fluentbit.ai.server.";

    /// Whether it is one of GPUs, which others than their user tell of.
    pub(super) const fn is_of_gpu(self) -> bool {
        matches!(self, Self::GpuUtilization | Self::GpuMemory | Self::GpuPower)
    }

    const fn combination(self) -> Combination {
        match self {
            Self::RequestsWaiting | Self::RequestsRunning | Self::GpuMemory | Self::GpuPower => {
                Combination::Sum
            }
            Self::CacheUsage => Combination::Greatest,
            Self::GpuUtilization => Combination::Mean,
        }
    }

    /// The value of several engines or GPUs together; `None` of none.
    pub(super) fn combine(self, values: impl Iterator<Item = f64>) -> Option<f64> {
        let (mut count, mut sum, mut greatest) = (0.0, 0.0, f64::NEG_INFINITY);
        for value in values {
            count += 1.0;
            sum += value;
            greatest = value.max(greatest);
        }
        (count > 0.0).then(|| match self.combination() {
            Combination::Sum => sum,
            Combination::Mean => sum / count,
            Combination::Greatest => greatest,
        })
    }

    /// Adds its attribute: numbers of requests and bytes are whole.
    pub(super) fn write(self, value: f64, pairs: &mut Pairs) {
        let out = pairs.key(self.key());
        match self {
            Self::RequestsWaiting | Self::RequestsRunning | Self::GpuMemory => {
                msgpack::uint(out, whole(value));
            }
            Self::CacheUsage | Self::GpuUtilization | Self::GpuPower => msgpack::f64(out, value),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and the number is whole and not negative"
)]
const fn whole(number: f64) -> u64 {
    number.max(0.0).round() as u64
}

/// Whether a point with these attributes is of a whole GPU: not of one of its tasks, nor of another device.
pub(super) fn is_of_whole(attributes: &[u8]) -> bool {
    MapView::new(attributes).all(|entry| match entry.key {
        b"hw.gpu.task" => text_of(entry.value) == Some("general"),
        b"hw.type" => text_of(entry.value) == Some("gpu"),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_several_become_one() {
        let both = |quantity: Quantity| quantity.combine([0.25, 0.75].into_iter());
        assert_eq!(both(Quantity::GpuUtilization), Some(0.5));
        assert_eq!(both(Quantity::CacheUsage), Some(0.75));
        assert_eq!(both(Quantity::GpuPower), Some(1.0));
        assert_eq!(Quantity::GpuPower.combine(std::iter::empty()), None);
        for quantity in Quantity::ALL {
            assert!(quantity.key().starts_with(Quantity::PREFIX));
            assert!(TELLERS.iter().any(|(_, told, _)| *told == quantity), "{quantity:?}");
        }
    }
}
