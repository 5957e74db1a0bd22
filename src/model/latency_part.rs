//! Parts of the time that a model call took.

use super::listed_enum;

listed_enum! {
    /// A part of the time between the start and the end of a model call's client span.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum LatencyPart {
        /// The client's own, with what none of the others has.
        Client,
        /// On the way from one process to another, where spans of both ends tell.
        Network,
        /// Of gateways and other processes between client and model server.
        Gateway,
        /// The request waited in the model server.
        Queue,
        /// The model read the prompt.
        Prefill,
        /// The model wrote the answer.
        Decode,
        /// Of the model server, beyond waiting, reading and writing.
        Server,
    }
}

impl LatencyPart {
    /// The attribute that has it, in seconds.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Client => "fluentbit.ai.latency.client",
            Self::Network => "fluentbit.ai.latency.network",
            Self::Gateway => "fluentbit.ai.latency.gateway",
            Self::Queue => "fluentbit.ai.latency.queue",
            Self::Prefill => "fluentbit.ai.latency.prefill",
            Self::Decode => "fluentbit.ai.latency.decode",
            Self::Server => "fluentbit.ai.latency.server",
        }
    }

    /// What the keys of all parts begin with.
    pub const PREFIX: &str = "fluentbit.ai.latency.";

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.key().strip_prefix(Self::PREFIX).unwrap_or_default()
    }

    /// Its index in [`LatencyPart::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}
