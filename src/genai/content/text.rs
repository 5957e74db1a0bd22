//! Text patterns: logs whose text is content: what servers and frameworks print of requests when
//! they are told to.

use std::sync::LazyLock;

use regex::bytes::Regex;

/// vLLM prints prompts as `Received request ID: prompt: '...'` and, in later releases, as
/// `Request ID details: prompt: '...'`; SGLang prints whole requests; Spring AI's observation
/// handlers put a title before them.
static CONTENT_TEXT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = concat!(
        r"(?-u)(?:Received request |Request )[^ ]{1,256}(?: details)?: prompt: ",
        r"|obj=(?:GenerateReqInput|EmbeddingReqInput)\(",
        r"|(?:Chat Model|Image Model|Chat Client|ChatClient) (?:Prompt Content|Completion):",
        r"|Vector Store Content:",
    );
    Regex::new(pattern).ok()
});

/// Whether a log's text is content, by what is known of those who write such logs.
pub fn is_content_text(text: &[u8]) -> bool {
    CONTENT_TEXT.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// Whether a log has its text under this key.
#[must_use]
pub fn is_text_key(key: &[u8]) -> bool {
    matches!(key, b"log" | b"message" | b"msg" | b"MESSAGE" | b"Message")
}
