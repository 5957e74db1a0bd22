//! Attribute names: which attributes of spans and log events are looked at, found by their names.

use crate::model::{LatencyPart, listed_enum};

listed_enum! {
    /// An attribute that is looked at.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum Attribute {
        /// `gen_ai.operation.name`
        Operation,
        /// `gen_ai.provider.name`
        Provider,
        /// `gen_ai.system`, the provider's name before semantic conventions 1.37
        System,
        /// `gen_ai.request.model`
        RequestModel,
        /// `gen_ai.response.model`
        ResponseModel,
        /// `server.address`
        Address,
        /// `server.port`
        Port,
        /// `error.type`
        ErrorType,
        /// `gen_ai.tool.name`
        ToolName,
        /// `gen_ai.tool.type`
        ToolType,
        /// `gen_ai.agent.name`
        AgentName,
        /// `gen_ai.workflow.name`
        WorkflowName,
        /// `gen_ai.data_source.id`
        DataSource,
        /// `gen_ai.prompt.name`
        PromptName,
        /// `mcp.method.name`
        McpMethod,
        /// `mcp.protocol.version`
        McpVersion,
        /// `network.transport`
        Transport,
        /// `network.protocol.name`
        ProtocolName,
        /// `network.protocol.version`
        ProtocolVersion,
        /// `rpc.response.status_code`
        RpcStatus,
        /// `jsonrpc.protocol.version`
        JsonRpcVersion,
        /// `gen_ai.response.finish_reasons`
        FinishReasons,
        /// `gen_ai.response.id`
        ResponseId,
        /// `gen_ai.tool.call.id`
        ToolCallId,
        /// `gen_ai.usage.input_tokens`
        Input,
        /// `gen_ai.usage.output_tokens`
        Output,
        /// `gen_ai.usage.prompt_tokens`, the input tokens before 1.27
        Prompt,
        /// `gen_ai.usage.completion_tokens`, the output tokens before 1.27
        Completion,
        /// `gen_ai.usage.cache_read.input_tokens`
        CacheRead,
        /// `gen_ai.usage.cache_creation.input_tokens`, in semantic-conventions-genai 0.1.0 `cache_write`
        CacheWrite,
        /// `gen_ai.usage.reasoning.output_tokens`
        Reasoning,
        /// `gen_ai.usage.audio.input_tokens`
        AudioInput,
        /// `gen_ai.usage.audio.output_tokens`
        AudioOutput,
        /// `gen_ai.usage.image.input_tokens`
        ImageInput,
        /// `gen_ai.usage.image.output_tokens`
        ImageOutput,
        /// `gen_ai.response.time_to_first_chunk`
        FirstChunk,
        /// `gen_ai.latency.time_to_first_token` of a model server
        EngineFirstToken,
        /// `gen_ai.latency.e2e` of a model server
        EngineTotal,
        /// `duration_ms` of a coding agent's event
        DurationMillis,
        /// `event.name`
        EventName,
        /// Tokens that were written into a cache for an hour. The conventions have no name for them.
        CacheWriteHour,
        /// `openai.response.service_tier`
        ServiceTier,
        /// `openai.request.service_tier`
        RequestedTier,
        /// What a call cost, by the names that emitters have for it: a number, a text or a JSON object
        Cost,
        /// `gen_ai.usage.cost.currency`
        Currency,
        /// `gen_ai.conversation.id`
        Conversation,
        /// `gen_ai.tool.call.arguments`
        ToolArguments,
        /// `openai.response.system_fingerprint`
        Fingerprint,
        /// `gen_ai.prompt.version`
        PromptVersion,
        /// `gen_ai.evaluation.name`
        EvaluationName,
        /// `gen_ai.input.messages`
        InputMessages,
        /// `gen_ai.system_instructions`
        SystemInstructions,
        /// `fluentbit.ai.latency.client`
        LatencyClient,
        /// `fluentbit.ai.latency.network`
        LatencyNetwork,
        /// `fluentbit.ai.latency.gateway`
        LatencyGateway,
        /// `fluentbit.ai.latency.queue`
        LatencyQueue,
        /// `fluentbit.ai.latency.prefill`
        LatencyPrefill,
        /// `fluentbit.ai.latency.decode`
        LatencyDecode,
        /// `fluentbit.ai.latency.server`
        LatencyServer,
    }
}

const _: () = assert!(Attribute::ALL.len() <= 64, "a set of attributes does not fit its bits");

impl Attribute {
    /// Those that attributes of series are made of, whatever the metric.
    pub(super) const DIMENSIONS: u64 = Self::FinishReasons.bit() - 1;

    /// The parts of the latency.
    pub(super) const LATENCY: u64 = !(Self::LatencyClient.bit() - 1);

    /// Times within a call.
    pub(super) const TIMES: u64 =
        Self::FirstChunk.bit() | Self::EngineFirstToken.bit() | Self::EngineTotal.bit();

    /// Its index in [`Attribute::ALL`].
    #[inline]
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Its bit in a set of attributes.
    #[inline]
    pub(super) const fn bit(self) -> u64 {
        1 << self.index()
    }

    /// The attribute that has a part of the latency.
    pub(super) const fn of_latency(part: LatencyPart) -> Self {
        match part {
            LatencyPart::Client => Self::LatencyClient,
            LatencyPart::Network => Self::LatencyNetwork,
            LatencyPart::Gateway => Self::LatencyGateway,
            LatencyPart::Queue => Self::LatencyQueue,
            LatencyPart::Prefill => Self::LatencyPrefill,
            LatencyPart::Decode => Self::LatencyDecode,
            LatencyPart::Server => Self::LatencyServer,
        }
    }

    /// The attribute of this name. Names are told apart by their lengths first, as most attributes are
    /// none of these, and then by their ends, as many begin alike.
    #[inline(always)]
    pub(super) fn of_key(key: &[u8]) -> Option<Self> {
        let end = key.last_chunk::<END>()?;
        for (name, attribute) in *BY_LENGTH.get(key.len())? {
            let name = name.as_bytes();
            if name.last_chunk() == Some(end) && name == key {
                return Some(*attribute);
            }
        }
        None
    }

    /// Its name, for those that are attributes of series.
    pub(super) fn key(self) -> &'static str {
        let mut all = BY_LENGTH.iter().copied().flatten();
        all.find(|(_, attribute)| *attribute == self).map_or("", |(name, _)| name)
    }
}

/// The longest name.
const MAX_LENGTH: usize = 53;
/// How much of the end of a name is compared first; all names are longer.
const END: usize = 8;

/// The names by their lengths.
#[expect(clippy::indexing_slicing, reason = "a wrong index in a constant does not compile")]
static BY_LENGTH: [&[(&str, Attribute)]; MAX_LENGTH + 1] = {
    let mut all: [&[(&str, Attribute)]; MAX_LENGTH + 1] = [&[]; MAX_LENGTH + 1];
    let mut length = 0;
    while length <= MAX_LENGTH {
        all[length] = of_length(length);
        length += 1;
    }
    all
};

/// The names of a length.
const fn of_length(length: usize) -> &'static [(&'static str, Attribute)] {
    use Attribute as A;
    match length {
        ..=17 => shorter(length),
        18 => &[
            ("gen_ai.response.id", A::ResponseId),
            ("gen_ai.latency.e2e", A::EngineTotal),
            ("gen_ai.prompt.name", A::PromptName),
        ],
        19 => &[("gen_ai.tool.call.id", A::ToolCallId)],
        20 => &[
            ("gen_ai.provider.name", A::Provider),
            ("gen_ai.request.model", A::RequestModel),
            ("gen_ai.workflow.name", A::WorkflowName),
            ("mcp.protocol.version", A::McpVersion),
        ],
        21 => &[
            ("gen_ai.operation.name", A::Operation),
            ("gen_ai.response.model", A::ResponseModel),
            ("gen_ai.data_source.id", A::DataSource),
            ("gen_ai.prompt.version", A::PromptVersion),
            ("network.protocol.name", A::ProtocolName),
            ("gen_ai.input.messages", A::InputMessages),
        ],
        22 => &[
            ("gen_ai.cost.total_cost", A::Cost),
            ("gen_ai.conversation.id", A::Conversation),
            ("gen_ai.evaluation.name", A::EvaluationName),
        ],
        24 => &[
            ("gen_ai.usage.cost.amount", A::Cost),
            ("rpc.response.status_code", A::RpcStatus),
            ("jsonrpc.protocol.version", A::JsonRpcVersion),
            ("network.protocol.version", A::ProtocolVersion),
        ],
        25 => &[("gen_ai.usage.input_tokens", A::Input)],
        26 => &[
            ("gen_ai.usage.output_tokens", A::Output),
            ("gen_ai.usage.prompt_tokens", A::Prompt),
            ("gen_ai.usage.cost.currency", A::Currency),
            ("gen_ai.tool.call.arguments", A::ToolArguments),
            ("gen_ai.system_instructions", A::SystemInstructions),
            ("fluentbit.ai.latency.queue", A::LatencyQueue),
        ],
        27.. => longer(length),
        _ => &[],
    }
}

const fn shorter(length: usize) -> &'static [(&'static str, Attribute)] {
    use Attribute as A;
    match length {
        10 => &[("error.type", A::ErrorType), ("event.name", A::EventName)],
        11 => &[("server.port", A::Port), ("duration_ms", A::DurationMillis)],
        13 => &[("gen_ai.system", A::System)],
        14 => &[
            ("server.address", A::Address),
            ("llm.cost.total", A::Cost),
            ("operation.cost", A::Cost),
        ],
        15 => &[("mcp.method.name", A::McpMethod), ("mlflow.llm.cost", A::Cost)],
        16 => &[("gen_ai.tool.name", A::ToolName), ("gen_ai.tool.type", A::ToolType)],
        17 => &[
            ("gen_ai.agent.name", A::AgentName),
            ("network.transport", A::Transport),
            ("gen_ai.usage.cost", A::Cost),
        ],
        _ => &[],
    }
}

const fn longer(length: usize) -> &'static [(&'static str, Attribute)] {
    use Attribute as A;
    match length {
        27 => &[
            ("fluentbit.ai.latency.client", A::LatencyClient),
            ("fluentbit.ai.latency.decode", A::LatencyDecode),
            ("fluentbit.ai.latency.server", A::LatencyServer),
            ("openai.request.service_tier", A::RequestedTier),
        ],
        28 => &[
            ("fluentbit.ai.latency.network", A::LatencyNetwork),
            ("fluentbit.ai.latency.gateway", A::LatencyGateway),
            ("fluentbit.ai.latency.prefill", A::LatencyPrefill),
            ("openai.response.service_tier", A::ServiceTier),
        ],
        30 => &[
            ("gen_ai.response.finish_reasons", A::FinishReasons),
            ("gen_ai.usage.completion_tokens", A::Completion),
        ],
        31 => &[
            ("gen_ai.usage.audio.input_tokens", A::AudioInput),
            ("gen_ai.usage.image.input_tokens", A::ImageInput),
        ],
        32 => &[
            ("gen_ai.usage.audio.output_tokens", A::AudioOutput),
            ("gen_ai.usage.image.output_tokens", A::ImageOutput),
        ],
        33 => &[("langfuse.observation.cost_details", A::Cost)],
        34 => &[
            ("gen_ai.latency.time_to_first_token", A::EngineFirstToken),
            ("openai.response.system_fingerprint", A::Fingerprint),
        ],
        35 => &[("gen_ai.response.time_to_first_chunk", A::FirstChunk)],
        36 => &[
            ("gen_ai.usage.cache_read.input_tokens", A::CacheRead),
            ("gen_ai.usage.reasoning.output_tokens", A::Reasoning),
        ],
        37 => &[("gen_ai.usage.cache_write.input_tokens", A::CacheWrite)],
        40 => &[
            ("gen_ai.usage.cache_creation.input_tokens", A::CacheWrite),
            ("gen_ai.usage.cache_write_1h_input_tokens", A::CacheWriteHour),
            ("gen_ai.usage.cache_write_1h.input_tokens", A::CacheWriteHour),
        ],
        41 => &[("gen_ai.openai.response.system_fingerprint", A::Fingerprint)],
        43 => &[
            ("gen_ai.usage.cache_creation_1h_input_tokens", A::CacheWriteHour),
            ("gen_ai.usage.cache_creation_1h.input_tokens", A::CacheWriteHour),
        ],
        50 => &[("gen_ai.usage.cache_write.ephemeral_1h_input_tokens", A::CacheWriteHour)],
        53 => &[("gen_ai.usage.cache_creation.ephemeral_1h_input_tokens", A::CacheWriteHour)],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_by_its_length() {
        for length in 0..=MAX_LENGTH {
            for (name, attribute) in of_length(length) {
                assert_eq!(
                    (name.len(), Attribute::of_key(name.as_bytes())),
                    (length, Some(*attribute))
                );
            }
        }
        for attribute in Attribute::ALL {
            assert_eq!(Attribute::of_key(attribute.key().as_bytes()), Some(attribute));
        }
        for part in LatencyPart::ALL {
            assert_eq!(Attribute::of_latency(part).key(), part.key());
        }
        assert_eq!(Attribute::of_key(b"gen_ai.provider.nama"), None);
        assert!(of_length(MAX_LENGTH + 1).is_empty());
    }
}
