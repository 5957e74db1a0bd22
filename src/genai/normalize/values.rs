//! Value mapping: values of the dialects -> values of the conventions.

/// Providers by the names that dialects give them, in lower case, and their name in
/// `gen_ai.provider.name`.
const PROVIDERS: &[(&str, &str)] = &[
    ("anthropic", "anthropic"),
    ("aws", "aws.bedrock"),
    ("aws.anthropic", "aws.bedrock"),
    ("aws.bedrock", "aws.bedrock"),
    ("bedrock", "aws.bedrock"),
    ("az.ai.inference", "azure.ai.inference"),
    ("azure.ai.inference", "azure.ai.inference"),
    ("azure_ai", "azure.ai.inference"),
    ("az.ai.openai", "azure.ai.openai"),
    ("azure", "azure.ai.openai"),
    ("azure.ai.openai", "azure.ai.openai"),
    ("azure.openai", "azure.ai.openai"),
    ("cohere", "cohere"),
    ("deepseek", "deepseek"),
    ("gcp.gemini", "gcp.gemini"),
    ("gemini", "gcp.gemini"),
    ("gcp.gen_ai", "gcp.gen_ai"),
    ("google", "gcp.gen_ai"),
    ("gcp.anthropic", "gcp.vertex_ai"),
    ("gcp.vertex.agent", "gcp.vertex_ai"),
    ("gcp.vertex_ai", "gcp.vertex_ai"),
    ("vertex_ai", "gcp.vertex_ai"),
    ("vertexai", "gcp.vertex_ai"),
    ("groq", "groq"),
    ("ibm.watson.ai", "ibm.watsonx.ai"),
    ("ibm.watsonx.ai", "ibm.watsonx.ai"),
    ("watsonx", "ibm.watsonx.ai"),
    ("mistral", "mistral_ai"),
    ("mistral_ai", "mistral_ai"),
    ("mistralai", "mistral_ai"),
    ("moonshot", "moonshot_ai"),
    ("moonshot_ai", "moonshot_ai"),
    ("openai", "openai"),
    ("perplexity", "perplexity"),
    ("x_ai", "x_ai"),
    ("xai", "x_ai"),
];

/// The provider's name in the conventions; a name that they do not know stays as it is.
pub(crate) fn provider(name: &str) -> &str {
    PROVIDERS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map_or(name, |(_, current)| current)
}

/// `gen_ai.output.type` of an `OpenAI` response format.
pub(crate) fn output_type(format: &str) -> &str {
    match format {
        "json_object" | "json_schema" => "json",
        other => other,
    }
}

/// Whether what a span of this operation reports sums up the model calls beneath it, so that its
/// token counts must not be added to theirs.
pub(crate) fn sums_up(operation: &str) -> bool {
    matches!(
        operation,
        "invoke_agent"
            | "invoke_workflow"
            | "create_agent"
            | "execute_tool"
            | "execute_task"
            | "retrieval"
            | "rerank"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_of_all_dialects() {
        assert_eq!(provider("OpenAI"), "openai");
        assert_eq!(provider("bedrock"), "aws.bedrock");
        assert_eq!(provider("xai"), "x_ai");
        assert_eq!(provider("My Provider"), "My Provider");
    }
}
