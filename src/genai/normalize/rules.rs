//! Which attribute of which dialect means what.
//!
//! Where several attributes say the same, the one that stands first in [`RULES`] wins.

use super::field::Field;
use crate::genai::dialect::Marks;

/// What an attribute of a dialect says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The attribute has its current name already.
    Own(Field),
    /// The attribute's value is that of a field.
    To(Field),
    /// As `To`, but the name is too common to mean this outside `OpenInference`.
    Common(Field),
    /// The model that answered, and the one that was asked for if nothing else says that.
    Model,
    /// The kind of the span.
    Kind(KindOf),
    /// A JSON object of request parameters.
    Parameters,
    /// The base URL of the provider's API.
    ApiBase,
    /// LiteLLM's JSON object that has, among others, the base URL.
    HiddenParams,
    /// Name, input or output of what the span's kind says it is.
    EntityName,
    /// See [`Action::EntityName`].
    EntityInput,
    /// See [`Action::EntityName`].
    EntityOutput,
    /// `OpenInference`'s input and output of any kind of span, and what they are.
    InputValue,
    /// See [`Action::InputValue`].
    OutputValue,
    /// See [`Action::InputValue`].
    InputMime,
    /// See [`Action::InputValue`].
    OutputMime,
    /// A JSON object that splits the input tokens.
    InputDetails,
    /// A JSON object that splits the output tokens.
    OutputDetails,
    /// A list of prompts without roles.
    Prompts,
    /// Messages as one JSON text.
    PromptJson,
    /// See [`Action::PromptJson`].
    CompletionJson,
    /// A total that follows from the parts.
    Total,
    /// One attribute of a list that is spread over many keys.
    Flat(Family),
    /// Nothing but whose dialect it is.
    Marker,
}

/// Who names the span's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KindOf {
    /// `openinference.span.kind`
    OpenInference,
    /// `traceloop.span.kind`
    Traceloop,
    /// `langsmith.span.kind`
    LangSmith,
    /// `llm.request.type`
    RequestType,
}

/// A list that is spread over many keys, `PREFIX.N.REST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// `llm.input_messages.`
    InferenceInput,
    /// `llm.output_messages.`
    InferenceOutput,
    /// `gen_ai.prompt.`
    Prompt,
    /// `gen_ai.completion.`
    Completion,
    /// `llm.tools.`
    Tools,
    /// `llm.request.functions.`
    Functions,
    /// `retrieval.documents.`
    Documents,
}

impl Family {
    pub(crate) const ALL: [Self; 7] = [
        Self::InferenceInput,
        Self::InferenceOutput,
        Self::Prompt,
        Self::Completion,
        Self::Tools,
        Self::Functions,
        Self::Documents,
    ];

    pub(crate) const fn prefix(self) -> &'static [u8] {
        match self {
            Self::InferenceInput => b"llm.input_messages.",
            Self::InferenceOutput => b"llm.output_messages.",
            Self::Prompt => b"gen_ai.prompt.",
            Self::Completion => b"gen_ai.completion.",
            Self::Tools => b"llm.tools.",
            Self::Functions => b"llm.request.functions.",
            Self::Documents => b"retrieval.documents.",
        }
    }

    pub(crate) const fn marks(self) -> Marks {
        match self {
            Self::InferenceInput | Self::InferenceOutput | Self::Tools => Marks::OPEN_INFERENCE,
            Self::Prompt | Self::Completion | Self::Functions => Marks::TRACELOOP,
            Self::Documents => Marks::NONE,
        }
    }

    /// The field that the list becomes.
    pub(crate) const fn field(self) -> Field {
        match self {
            Self::InferenceInput | Self::Prompt => Field::InputMessages,
            Self::InferenceOutput | Self::Completion => Field::OutputMessages,
            Self::Tools | Self::Functions => Field::ToolDefinitions,
            Self::Documents => Field::RetrievalDocuments,
        }
    }
}

/// One attribute of a dialect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) key: &'static str,
    pub(crate) marks: Marks,
    pub(crate) action: Action,
}

const fn rule(key: &'static str, marks: Marks, action: Action) -> Rule {
    Rule { key, marks, action }
}

const OI: Marks = Marks::OPEN_INFERENCE;
const TL: Marks = Marks::TRACELOOP;
const LL: Marks = Marks::LITELLM;
const LS: Marks = Marks::LANGSMITH;
const GA: Marks = Marks::GEN_AI;
const NO: Marks = Marks::NONE;

use Action::{Common, Marker, To, Total};

/// Every attribute that is known by its whole key.
pub(crate) const RULES: &[Rule] = &[
    // Kinds of spans.
    rule("openinference.span.kind", OI, Action::Kind(KindOf::OpenInference)),
    rule("traceloop.span.kind", TL, Action::Kind(KindOf::Traceloop)),
    rule("langsmith.span.kind", LS, Action::Kind(KindOf::LangSmith)),
    rule("llm.request.type", TL, Action::Kind(KindOf::RequestType)),
    // Providers.
    rule("llm.provider", OI, To(Field::ProviderName)),
    rule("gen_ai.system", GA, To(Field::ProviderName)),
    rule("llm.system", OI, To(Field::ProviderName)),
    // Models.
    rule("llm.request.model_name", OI, To(Field::RequestModel)),
    rule("embedding.model_name", OI, To(Field::RequestModel)),
    rule("reranker.model_name", OI, To(Field::RequestModel)),
    rule("llm.response.model_name", OI, To(Field::ResponseModel)),
    rule("llm.model_name", OI, Action::Model),
    // Tokens.
    rule("llm.token_count.prompt", OI, To(Field::InputTokens)),
    rule("gen_ai.usage.prompt_tokens", GA, To(Field::InputTokens)),
    rule("llm.usage.prompt_tokens", TL, To(Field::InputTokens)),
    rule("llm.token_count.completion", OI, To(Field::OutputTokens)),
    rule("gen_ai.usage.completion_tokens", GA, To(Field::OutputTokens)),
    rule("llm.usage.completion_tokens", TL, To(Field::OutputTokens)),
    rule("llm.token_count.prompt_details.cache_read", OI, To(Field::CacheReadTokens)),
    rule("llm.token_count.prompt_details.cache_input", OI, To(Field::CacheReadTokens)),
    rule("gen_ai.usage.cache_read_input_tokens", TL, To(Field::CacheReadTokens)),
    rule("gen_ai.usage.cached_tokens", GA, To(Field::CacheReadTokens)),
    rule("llm.token_count.prompt_details.cache_write", OI, To(Field::CacheCreationTokens)),
    rule("llm.token_count.prompt_details.cache_creation", OI, To(Field::CacheCreationTokens)),
    rule("gen_ai.usage.cache_creation_input_tokens", TL, To(Field::CacheCreationTokens)),
    rule("gen_ai.usage.cache_write.input_tokens", GA, To(Field::CacheCreationTokens)),
    rule("llm.token_count.completion_details.reasoning", OI, To(Field::ReasoningTokens)),
    rule("gen_ai.usage.reasoning_tokens", TL, To(Field::ReasoningTokens)),
    rule("llm.usage.reasoning_tokens", TL, To(Field::ReasoningTokens)),
    rule("gen_ai.usage.input_token_details", LS, Action::InputDetails),
    rule("gen_ai.usage.output_token_details", LS, Action::OutputDetails),
    rule("llm.token_count.total", OI, Total),
    rule("gen_ai.usage.total_tokens", GA, Total),
    rule("llm.usage.total_tokens", TL, Total),
    // Responses.
    rule("llm.finish_reason", OI, To(Field::FinishReasons)),
    rule("gen_ai.response.finish_reason", TL, To(Field::FinishReasons)),
    rule("llm.response.finish_reason", TL, To(Field::FinishReasons)),
    rule("gen_ai.response.stop_reason", TL, To(Field::FinishReasons)),
    rule("gen_ai.openai.request.service_tier", GA, To(Field::OpenaiRequestTier)),
    rule("gen_ai.openai.response.service_tier", GA, To(Field::OpenaiResponseTier)),
    rule("gen_ai.response.service_tier", LS, To(Field::OpenaiResponseTier)),
    rule("gen_ai.openai.response.system_fingerprint", GA, To(Field::OpenaiFingerprint)),
    rule("gen_ai.openai.system_fingerprint", TL, To(Field::OpenaiFingerprint)),
    rule("gen_ai.response.system_fingerprint", LS, To(Field::OpenaiFingerprint)),
    // Requests.
    rule("llm.invocation_parameters", OI, Action::Parameters),
    rule("embedding.invocation_parameters", OI, Action::Parameters),
    rule("gen_ai.is_streaming", TL, To(Field::Stream)),
    rule("llm.is_streaming", TL, To(Field::Stream)),
    rule("gen_ai.request.is_stream", GA, To(Field::Stream)),
    rule("langsmith.request.streaming", LS, To(Field::Stream)),
    rule("llm.request.temperature", TL, To(Field::Temperature)),
    rule("llm.top_k", TL, To(Field::TopK)),
    rule("llm.top_p", TL, To(Field::TopP)),
    rule("llm.frequency_penalty", TL, To(Field::FrequencyPenalty)),
    rule("llm.presence_penalty", TL, To(Field::PresencePenalty)),
    rule("llm.chat.stop_sequences", TL, To(Field::StopSequences)),
    rule("gen_ai.request.max_completion_tokens", TL, To(Field::MaxTokens)),
    rule("gen_ai.request.n", TL, To(Field::ChoiceCount)),
    rule("gen_ai.openai.request.seed", GA, To(Field::Seed)),
    rule("gen_ai.openai.request.response_format", GA, To(Field::OutputType)),
    rule("gen_ai.openai.api_base", TL, Action::ApiBase),
    rule("hidden_params", LL, Action::HiddenParams),
    // Whose conversation it is.
    rule("session.id", NO, Common(Field::ConversationId)),
    rule("traceloop.association.properties.session_id", TL, To(Field::ConversationId)),
    rule("langsmith.metadata.conversation_id", LS, To(Field::ConversationId)),
    rule("langsmith.metadata.thread_id", LS, To(Field::ConversationId)),
    rule("langsmith.metadata.session_id", LS, To(Field::ConversationId)),
    rule("traceloop.association.properties.user_id", TL, To(Field::UserId)),
    rule("litellm.end_user.id", LL, To(Field::UserId)),
    rule("llm.user", TL, To(Field::UserId)),
    rule("gen_ai.user", TL, To(Field::UserId)),
    rule("metadata.user_api_key_end_user_id", LL, To(Field::UserId)),
    rule("metadata.user_api_key_user_id", LL, To(Field::UserId)),
    // Tools, agents, workflows, prompts.
    rule("tool.name", NO, Common(Field::ToolName)),
    rule("tool.id", NO, Common(Field::ToolCallId)),
    rule("tool.description", NO, Common(Field::ToolDescription)),
    rule("tool.parameters", NO, Common(Field::ToolArguments)),
    rule("agent.name", NO, Common(Field::AgentName)),
    rule("traceloop.workflow.name", TL, To(Field::WorkflowName)),
    rule("traceloop.prompt.key", TL, To(Field::PromptName)),
    rule("traceloop.entity.name", TL, Action::EntityName),
    rule("traceloop.entity.input", TL, Action::EntityInput),
    rule("traceloop.entity.output", TL, Action::EntityOutput),
    // Content.
    rule("input.value", NO, Action::InputValue),
    rule("output.value", NO, Action::OutputValue),
    rule("input.mime_type", NO, Action::InputMime),
    rule("output.mime_type", NO, Action::OutputMime),
    rule("llm.prompts", OI, Action::Prompts),
    rule("gen_ai.prompt", GA, Action::PromptJson),
    rule("gen_ai.completion", GA, Action::CompletionJson),
    // Nothing but signs.
    rule("litellm.call_id", LL, Marker),
    rule("litellm.provider.model", LL, Marker),
    rule("litellm.team.id", LL, Marker),
    rule("metadata.user_api_key_hash", LL, Marker),
    rule("gen_ai.cost.total_cost", LL, Marker),
    rule("traceloop.entity.path", TL, Marker),
    rule("langsmith.trace.name", LS, Marker),
];
