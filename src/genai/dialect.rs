//! The dialects that normalisation knows.

/// Whose attribute names a span speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenInference: `openinference.span.kind`, `llm.token_count.*`, `llm.input_messages.N.*`.
    OpenInference,
    /// OpenLLMetry and the Traceloop SDK: `traceloop.*`, `gen_ai.prompt.N.*`.
    Traceloop,
    /// LiteLLM: `litellm.*`, `metadata.user_api_key_*`, values as text.
    LiteLlm,
    /// LangSmith's OpenTelemetry export: `langsmith.*`.
    LangSmith,
    /// Names that earlier releases of the GenAI conventions had, or that later ones have.
    GenAi,
    /// The current names with values of a wrong type, for example a number as text.
    Retyped,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::OpenInference,
        Self::Traceloop,
        Self::LiteLlm,
        Self::LangSmith,
        Self::GenAi,
        Self::Retyped,
    ];

    /// The word for it in counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenInference => "openinference",
            Self::Traceloop => "traceloop",
            Self::LiteLlm => "litellm",
            Self::LangSmith => "langsmith",
            Self::GenAi => "gen_ai",
            Self::Retyped => "retyped",
        }
    }

    /// Its place in [`Dialect::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Which dialects the attribute keys of a span point to, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Marks(pub(crate) u8);

impl Marks {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const OPEN_INFERENCE: Self = Self(1);
    pub(crate) const TRACELOOP: Self = Self(2);
    pub(crate) const LITELLM: Self = Self(4);
    pub(crate) const LANGSMITH: Self = Self(8);
    pub(crate) const GEN_AI: Self = Self(16);

    /// Both sets together.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any bit of `other` is set.
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The dialect of the most telling mark. LiteLLM comes first since it borrows the names of
    /// OpenLLMetry, and the GenAI names last since everybody uses them.
    pub(crate) const fn dialect(self) -> Dialect {
        if self.has(Self::LITELLM) {
            Dialect::LiteLlm
        } else if self.has(Self::OPEN_INFERENCE) {
            Dialect::OpenInference
        } else if self.has(Self::TRACELOOP) {
            Dialect::Traceloop
        } else if self.has(Self::LANGSMITH) {
            Dialect::LangSmith
        } else if self.has(Self::GEN_AI) {
            Dialect::GenAi
        } else {
            Dialect::Retyped
        }
    }
}
