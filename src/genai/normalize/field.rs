//! Semantic conventions: the attributes of the GenAI conventions that normalisation writes.
//!
//! Names and types are those of the OpenTelemetry semantic conventions 1.41, registry `gen_ai`,
//! `openai`, `server` and `user`; where semantic-conventions-genai 0.1.0 has another name, that too.

use crate::codec::msgpack;

/// The type that the conventions give an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// string
    Text,
    /// int
    Int,
    /// double
    Double,
    /// boolean
    Bool,
    /// string[]
    Texts,
    /// string[], of the values of `gen_ai.response.finish_reasons`
    Reasons,
    /// any
    Any,
    /// any, in the form of "gen-ai-input-messages.json" and "gen-ai-output-messages.json"
    Messages,
    /// any, in the form of "gen-ai-tool-definitions.json"
    Tools,
    /// string, of the values of `gen_ai.operation.name`
    Operation,
    /// string, of the values of `gen_ai.provider.name`
    Provider,
}

impl FieldType {
    /// Whether its values are words, one or a list.
    pub const fn has_words(self) -> bool {
        matches!(self, Self::Text | Self::Reasons | Self::Provider)
    }
}

/// The release of the conventions that attributes get the names of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conventions {
    /// OpenTelemetry semantic conventions 1.41.
    #[default]
    V1_41,
    /// semantic-conventions-genai 0.1.0.
    GenAi0_1,
}

impl Conventions {
    /// The schema URL of the release; `None` where none is known.
    #[must_use]
    pub const fn schema_url(self) -> Option<&'static str> {
        match self {
            Self::V1_41 => Some("https://opentelemetry.io/schemas/1.41.0"),
            Self::GenAi0_1 => None,
        }
    }
}

/// A name as msgpack text, in a block that can be copied at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct EncodedName {
    block: [u8; Self::MOST],
    length: usize,
}

impl EncodedName {
    /// The longest encoded name.
    const MOST: usize = 48;

    /// The name as text.
    pub(super) fn new(name: &str) -> Self {
        let mut text = Vec::with_capacity(Self::MOST);
        msgpack::str(&mut text, name);
        let mut block = [0; Self::MOST];
        block.iter_mut().zip(&text).for_each(|(to, from)| *to = *from);
        Self { block, length: text.len().min(Self::MOST) }
    }

    /// Appends the name.
    #[inline]
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let end = out.len().saturating_add(self.length);
        out.extend_from_slice(&self.block);
        out.truncate(end);
    }
}

macro_rules! fields {
    ($($field:ident $name:literal $shape:ident $(or $later:literal)?,)*) => {
        /// One attribute of the conventions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum GenAiField {
            $(#[doc = $name] $field,)*
        }

        impl GenAiField {
            /// All of them, in the order in which they are written.
            pub const ALL: &'static [Self] = &[$(Self::$field,)*];

            /// The attribute's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$field => $name,)* }
            }

            /// The attribute's name in a release of the conventions.
            pub const fn name_in(self, conventions: Conventions) -> &'static str {
                match (conventions, self) {
                    $($((Conventions::GenAi0_1, Self::$field) => $later,)?)*
                    _ => self.name(),
                }
            }

            /// The attribute's type.
            #[inline(always)]
            pub const fn shape(self) -> FieldType {
                match self { $(Self::$field => FieldType::$shape,)* }
            }
        }
    };
}

fields! {
    OperationName "gen_ai.operation.name" Operation,
    ProviderName "gen_ai.provider.name" Provider,
    RequestModel "gen_ai.request.model" Text,
    ResponseModel "gen_ai.response.model" Text,
    ResponseId "gen_ai.response.id" Text,
    FinishReasons "gen_ai.response.finish_reasons" Reasons,
    TimeToFirstChunk "gen_ai.response.time_to_first_chunk" Double,
    InputTokens "gen_ai.usage.input_tokens" Int,
    OutputTokens "gen_ai.usage.output_tokens" Int,
    CacheReadTokens "gen_ai.usage.cache_read.input_tokens" Int,
    CacheCreationTokens "gen_ai.usage.cache_creation.input_tokens" Int
        or "gen_ai.usage.cache_write.input_tokens",
    ReasoningTokens "gen_ai.usage.reasoning.output_tokens" Int,
    ConversationId "gen_ai.conversation.id" Text,
    Temperature "gen_ai.request.temperature" Double,
    TopP "gen_ai.request.top_p" Double,
    TopK "gen_ai.request.top_k" Double,
    MaxTokens "gen_ai.request.max_tokens" Int,
    ChoiceCount "gen_ai.request.choice.count" Int,
    FrequencyPenalty "gen_ai.request.frequency_penalty" Double,
    PresencePenalty "gen_ai.request.presence_penalty" Double,
    StopSequences "gen_ai.request.stop_sequences" Texts,
    Seed "gen_ai.request.seed" Int,
    Stream "gen_ai.request.stream" Bool,
    EncodingFormats "gen_ai.request.encoding_formats" Texts,
    EmbeddingDimensions "gen_ai.embeddings.dimension.count" Int,
    OutputType "gen_ai.output.type" Text,
    ToolName "gen_ai.tool.name" Text,
    ToolType "gen_ai.tool.type" Text,
    ToolCallId "gen_ai.tool.call.id" Text,
    ToolDescription "gen_ai.tool.description" Text,
    ToolArguments "gen_ai.tool.call.arguments" Any,
    ToolResult "gen_ai.tool.call.result" Any,
    ToolDefinitions "gen_ai.tool.definitions" Tools,
    AgentName "gen_ai.agent.name" Text,
    AgentId "gen_ai.agent.id" Text,
    AgentVersion "gen_ai.agent.version" Text,
    WorkflowName "gen_ai.workflow.name" Text or "gen_ai.agent.name",
    PromptName "gen_ai.prompt.name" Text,
    PromptVersion "gen_ai.prompt.version" Text,
    RetrievalQuery "gen_ai.retrieval.query.text" Text,
    RetrievalDocuments "gen_ai.retrieval.documents" Any,
    SystemInstructions "gen_ai.system_instructions" Any,
    InputMessages "gen_ai.input.messages" Messages,
    OutputMessages "gen_ai.output.messages" Messages,
    OpenaiRequestTier "openai.request.service_tier" Text,
    OpenaiResponseTier "openai.response.service_tier" Text,
    OpenaiFingerprint "openai.response.system_fingerprint" Text,
    UserId "user.id" Text,
    ServerAddress "server.address" Text,
    ServerPort "server.port" Int,
    ErrorType "error.type" Text,
    Inferred "fluentbit.ai.inferred" Texts,
}

const _: () = assert!(GenAiField::COUNT <= 64, "a set of fields does not fit its bits");

impl GenAiField {
    /// How many there are; a set of fields fits the bits of a `u64`.
    pub const COUNT: usize = Self::ALL.len();

    /// Whether it has this name in any release of the conventions.
    #[must_use]
    pub fn has_name(self, name: &str) -> bool {
        self.name() == name || self.name_in(Conventions::GenAi0_1) == name
    }

    /// The field's index in [`GenAiField::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The field's bit in a set of fields.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self.index()
    }

    /// The field that says this in a release of the conventions.
    #[must_use]
    pub const fn within(self, conventions: Conventions) -> Self {
        match (conventions, self) {
            (Conventions::GenAi0_1, Self::WorkflowName) => Self::AgentName,
            _ => self,
        }
    }

    /// The fields of a set, in the order of [`GenAiField::ALL`].
    pub fn of_bits(mut bits: u64) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let field = Self::ALL.get(usize::try_from(bits.trailing_zeros()).ok()?)?;
            bits &= bits - 1;
            Some(*field)
        })
    }

    /// The fields that name the model.
    pub const MODELS: u64 = Self::RequestModel.bit() | Self::ResponseModel.bit();

    /// The fields that count all tokens.
    pub const TOKENS: u64 = Self::InputTokens.bit() | Self::OutputTokens.bit();

    /// The fields that count tokens.
    pub const USAGE: u64 = Self::InputTokens.bit()
        | Self::OutputTokens.bit()
        | Self::CacheReadTokens.bit()
        | Self::CacheCreationTokens.bit()
        | Self::ReasoningTokens.bit();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_those_of_the_list() {
        for (index, field) in GenAiField::ALL.iter().enumerate() {
            assert_eq!(field.index(), index);
        }
        let all = GenAiField::ALL.iter().fold(0, |bits, field| bits | field.bit());
        assert!(GenAiField::of_bits(all).eq(GenAiField::ALL.iter().copied()));
        let two = GenAiField::Inferred.bit() | GenAiField::RequestModel.bit();
        let found = [GenAiField::RequestModel, GenAiField::Inferred];
        assert!(GenAiField::of_bits(two).eq(found));
        assert_eq!(GenAiField::of_bits(0).count(), 0);
        for (field, conventions) in GenAiField::ALL
            .iter()
            .flat_map(|field| [Conventions::V1_41, Conventions::GenAi0_1].map(|it| (*field, it)))
        {
            let (mut name, mut written) = (Vec::new(), vec![7]);
            msgpack::str(&mut name, field.name_in(conventions));
            EncodedName::new(field.name_in(conventions)).write(&mut written);
            assert_eq!(written[1..], name, "{}", field.name());
        }
    }
}
