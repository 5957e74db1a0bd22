//! Formats: whose logs are read.

use crate::model::listed_enum;

listed_enum! {
    /// A program whose logs are read, or a form that logs of several have.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum ServerLogFormat {
        /// vLLM: statistics of the engine, finish reasons, access lines.
        Vllm,
        /// SGLang: batches, finished requests as text or JSON, access lines.
        Sglang,
        /// Text Generation Inference: generations that ended, as text or JSON.
        Tgi,
        /// Ollama: access lines.
        Ollama,
        /// llama.cpp's server: timings and access lines.
        LlamaCpp,
        /// LiteLLM: its standard logging payload.
        LiteLlm,
        /// Answers of the OpenAI API as JSON, whoever logs them.
        OpenAi,
    }
}

impl ServerLogFormat {
    /// Its name, as an option has it and as the value of `fluentbit.ai.server.engine`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::Tgi => "tgi",
            Self::Ollama => "ollama",
            Self::LlamaCpp => "llama.cpp",
            Self::LiteLlm => "litellm",
            Self::OpenAi => "openai",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerLogFormats(u8);

impl ServerLogFormats {
    /// The set that names say: `off`, `on` for all, or formats.
    ///
    /// # Errors
    /// The first name that is none.
    pub fn of_names(names: &[String]) -> Result<Self, &str> {
        let mut set = 0;
        for name in names {
            let name = name.as_str();
            set |= match name {
                "off" => 0,
                "on" => ServerLogFormat::ALL.iter().fold(0, |all, one| all | one.bit()),
                _ => ServerLogFormat::ALL.iter().find(|one| one.name() == name).ok_or(name)?.bit(),
            };
        }
        Ok(Self(set))
    }

    /// Whether no logs are read.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a format is in it.
    #[must_use]
    pub const fn has(self, format: ServerLogFormat) -> bool {
        self.0 & format.bit() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_make_sets() {
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            ServerLogFormats::of_names(&names).map_err(str::to_owned)
        };
        assert!(of(&[]).unwrap().is_empty() && of(&["off"]).unwrap().is_empty());
        let two = of(&["tgi", "llama.cpp"]).unwrap();
        for format in ServerLogFormat::ALL {
            let is_named = matches!(format, ServerLogFormat::Tgi | ServerLogFormat::LlamaCpp);
            assert_eq!(two.has(format), is_named);
            assert!(of(&["on"]).unwrap().has(format));
        }
        assert_eq!(of(&["tgi", "vLLM"]), Err("vLLM".to_owned()));
    }
}
