//! What is looked for, and what becomes of what is found.

use super::budgets::{BudgetConfig, attributes};
use crate::codec::records::metric_writer::Temporality;
use crate::model::{Position, listed_enum};

listed_enum! {
    /// What is looked for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Check {
        /// Spikes and shifts of levels.
        Changes,
        /// Token counts that are missing or cannot be.
        Usage,
        /// Another model than the requested or the former one.
        ServedModel,
        /// Agents that go round in circles.
        Runaway,
        /// Distributions that are not what they were in the days before.
        Drift,
        /// Two models that differ.
        Pairs,
        /// The same prompt, and similar ones, with different outcomes.
        Prompts,
        /// Budgets that are spent, or burn too fast.
        Budgets,
    }
}

impl Check {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Usage => "usage",
            Self::ServedModel => "served_model",
            Self::Runaway => "runaway",
            Self::Drift => "drift",
            Self::Pairs => "pairs",
            Self::Prompts => "prompts",
            Self::Budgets => "budgets",
        }
    }
}

/// What becomes of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckMode {
    /// Nothing is looked for.
    #[default]
    Off,
    /// They are counted and said in the log of the host.
    Warn,
    /// They are counted, told as log events, and hinted to the sampler.
    On,
}

/// Two models that are compared, by their names in requests or answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPair {
    /// The one that the other is held against.
    pub primary: Box<str>,
    /// The shadow or canary.
    pub shadow: Box<str>,
}

/// What prompts are hashed under: a seed, and a key for what is told of them. It is in no debug output.
#[derive(Clone, Copy)]
pub struct PromptSecret(pub [u64; 2]);

impl std::fmt::Debug for PromptSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PromptSecret")
    }
}

/// What is looked for, and how.
#[derive(Debug, Clone)]
pub struct FindingsConfig {
    /// In the order of [`Check::ALL`].
    pub modes: [CheckMode; Check::ALL.len()],
    /// Of how many services, models and operations levels are learned at most.
    pub max_keys: usize,
    /// Beyond how many tokens in a minute a conversation has run away; 0 for none.
    pub tokens_per_minute: u64,
    /// The models that are compared.
    pub pairs: Vec<ModelPair>,
    /// How many prompts are remembered as hashes at most.
    pub max_prompts: usize,
    /// What prompts are hashed under.
    pub prompt_secret: PromptSecret,
    /// The budgets that are watched.
    pub budgets: Vec<BudgetConfig>,
    /// The tag of log events and of the metric; that of the spans where there is none.
    pub tag: Option<Vec<u8>>,
    /// What the points of the metric say.
    pub temporality: Temporality,
    /// Marks what is emitted, so that the filters up to here leave it alone.
    pub position: Position,
}

impl FindingsConfig {
    /// How a check is set.
    #[must_use]
    pub fn mode(&self, check: Check) -> CheckMode {
        self.modes.get(check as usize).copied().unwrap_or_default()
    }

    /// The attributes that budgets are of, if these are looked for.
    #[must_use]
    pub fn budget_attributes(&self) -> Vec<String> {
        match self.mode(Check::Budgets) {
            CheckMode::Off => Vec::new(),
            _ => attributes(&self.budgets),
        }
    }

    /// Whether anything is looked for.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.modes.iter().any(|mode| *mode != CheckMode::Off)
    }
}
