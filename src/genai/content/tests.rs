use super::*;
use crate::genai::dialects::DIALECTS;

#[test]
fn every_listed_name_is_found_and_what_goes_on_after_it() {
    for dialect in DIALECTS {
        let list = &dialect.content;
        let listed = list.names.len() + list.words.len() + list.families.len();
        assert!(listed > 0, "{} has no content names", dialect.name);
        for name in list.names {
            assert_eq!(content_class(name.as_bytes()), ContentClass::Content, "{name}");
            let indexed = format!("{name}.0.content");
            assert_eq!(content_class(indexed.as_bytes()), ContentClass::Content, "{indexed}");
            let other = format!("{name}x");
            let mut names = DIALECTS.iter().flat_map(|dialect| dialect.content.names);
            let covered = names.any(|name| {
                other
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            assert_eq!(is_content(&other), covered, "{other}");
        }
        for name in list.exceptions {
            assert_eq!(content_class(name.as_bytes()), ContentClass::Unlisted, "{name}");
        }
        for word in list.words {
            assert_eq!(content_class(word.as_bytes()), ContentClass::Word, "{word}");
        }
        for word in list.common_words {
            let class = content_class(word.as_bytes());
            assert!(matches!(class, ContentClass::CommonWord | ContentClass::Word), "{word}");
        }
        for name in list.events {
            assert!(is_content_event(name), "{name}");
        }
        for family in list.families {
            assert!(family.root.len() >= 4 && family.root.ends_with('.'), "{}", family.root);
        }
        for mark in dialect.detection.beginnings {
            assert!(is_dialect_mark(mark.as_bytes()), "{mark}");
        }
    }
}

#[test]
fn families_are_distinguished_by_their_last_part() {
    for name in [
        "crewai.task.description",
        "crewai.agent.backstory",
        "crewai.flow.state",
        "mastra.agent_run.input",
        "confident.span.output",
        "copilot_chat.user_request",
        "github.copilot.reasoning_content",
        "llm.openai.messages",
        "llm.bedrock.choices",
        "llm.some_new_provider.some_new_field",
        "llm.openai.stringified_raw_response",
    ] {
        assert_eq!(content_class(name.as_bytes()), ContentClass::Content, "{name}");
    }
    for name in [
        "crewai.crew.key",
        "crewai.crew.execution_duration_ms",
        "crewai.llm.call_id",
        "crewai.mcp.server_name",
        "mastra.span.type",
        "confident.llm.model",
        "confident.llm.input_token_count",
        "copilot_chat.turn_count",
        "github.copilot.session_id",
        "llm.openai.usage",
        "llm.openai.id",
        "llm.token_count.prompt",
        "llm.usage.total_tokens",
        "llm.request.type",
    ] {
        assert_eq!(content_class(name.as_bytes()), ContentClass::Unlisted, "{name}");
    }
}

#[test]
fn what_says_nothing_is_no_content() {
    for name in [
        "",
        "gen_ai.prompt.name",
        "gen_ai.prompt.version",
        "gen_ai.prompt.0.role",
        "gen_ai.completion.0.finish_reason",
        "retrieval.documents.0.document.score",
        "gen_ai.request.model",
        "gen_ai.usage.input_tokens",
        "gen_ai.tool.name",
        "gen_ai.tool.call.id",
        "http.request.method",
        "service.name",
        "exception.message",
        "db.query.text",
        "prompt.id",
        "prompt_length",
        "prompt_id",
        "metadata.user_api_key_hash",
        "hidden_params",
        "tool_input_size_bytes",
    ] {
        assert_eq!(content_class(name.as_bytes()), ContentClass::Unlisted, "{name}");
    }
    assert!(!is_content_event("exception") && !is_content_event("gen_ai.evaluation.result"));
    assert!(!is_dialect_mark(b"http.request.method") && !is_dialect_mark(b""));
}

#[test]
fn logs_of_requests_are_known_by_their_text() {
    for text in [
        "INFO 11-28 10:00:00 [logger.py:39] Received request chatcmpl-1: prompt: 'hush', params: x",
        "DEBUG Request cmpl-2 details: prompt: 'hush', prompt_token_ids: None",
        "Receive: obj=GenerateReqInput(rid='1', text='hush')",
        "Chat Model Prompt Content:\n[\"hush\"]",
        "Chat Model Completion:\n[\"hush\"]",
    ] {
        assert!(is_content_text(text.as_bytes()), "{text}");
    }
    for text in ["", "Received request chatcmpl-1: params: SamplingParams(n=1)", "prompt: yes?"] {
        assert!(!is_content_text(text.as_bytes()), "{text}");
    }
}
