//! Recipes: how lines of text of each server are read. Their shapes are those of the servers' sources; `tests/data/server_logs`
//! has lines of each.

use memchr::memmem::Finder;

use super::facts::{LogFacts, ServerFacts};
use super::format::{ServerLogFormat as F, ServerLogFormats};
use super::measures::ServerMeasure as M;
use super::text::{
    between, duration, is_unquoted, number, number_after, operation_of, status_error,
};

/// How a kind of line is read.
struct Recipe {
    /// What all such lines have.
    needle: &'static str,
    format: F,
    /// Whether quotes may stand before the needle. Elsewhere what follows a quote is not the server's own word.
    may_be_quoted: bool,
    read: ReadLine,
}

type ReadLine = for<'t> fn(&Line<'t>, &mut ServerFacts<'t>) -> LineKind;

/// A line, split at its needle.
struct Line<'t> {
    before: &'t str,
    after: &'t str,
}

/// What a line turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineKind {
    Read,
    /// It is of another kind, or of a request that calls no model.
    Other,
    /// Something is missing.
    Incomplete,
}

impl From<Option<()>> for LineKind {
    fn from(read: Option<()>) -> Self {
        if read.is_some() { Self::Read } else { Self::Incomplete }
    }
}

/// What access lines of Uvicorn have, which several servers stand on.
const UVICORN: &str = " - \"POST ";

/// All recipes; of two that fit the first one counts.
static RECIPES: [Recipe; 11] = [
    recipe("Avg prompt throughput: ", F::Vllm, vllm_statistics),
    recipe("Generated response ", F::Vllm, vllm_response),
    recipe("Finish: obj=", F::Sglang, sglang_finish),
    recipe("#queue-req: ", F::Sglang, sglang_batch),
    recipe(UVICORN, F::Vllm, uvicorn),
    recipe(UVICORN, F::Sglang, uvicorn),
    Recipe { needle: "text_generation_router", format: F::Tgi, may_be_quoted: true, read: tgi },
    recipe("[GIN] ", F::Ollama, gin),
    recipe("eval time =", F::LlamaCpp, llama_timings),
    recipe("total time =", F::LlamaCpp, llama_total),
    recipe("request: POST ", F::LlamaCpp, llama_request),
];

const fn recipe(needle: &'static str, format: F, read: ReadLine) -> Recipe {
    Recipe { needle, format, may_be_quoted: false, read }
}

/// Reads lines of the formats that are asked for.
#[derive(Debug)]
pub(super) struct LineReader {
    formats: ServerLogFormats,
    needles: Vec<Finder<'static>>,
}

impl LineReader {
    pub(super) fn new(formats: ServerLogFormats) -> Self {
        let needles = RECIPES.iter().map(|recipe| Finder::new(recipe.needle)).collect();
        Self { formats, needles }
    }

    /// What a text says, if it is of a known kind. `known` is whose logs the source had before.
    pub(super) fn read<'t>(&self, text: &'t str, known: Option<F>) -> Option<LogFacts<'t>> {
        let recipes = RECIPES.iter().zip(&self.needles);
        let wanted = recipes.filter(|(recipe, _)| self.formats.has(recipe.format));
        for (recipe, needle) in wanted {
            let Some(at) = needle.find(text.as_bytes()) else { continue };
            let end = at.saturating_add(recipe.needle.len());
            let Some((before, after)) = text.get(..at).zip(text.get(end..)) else { continue };
            // Access lines of two servers look alike.
            let is_others = known.is_some_and(|known| known != recipe.format);
            let is_others = is_others && recipe.needle == UVICORN;
            if is_others || !(recipe.may_be_quoted || is_unquoted(before)) {
                continue;
            }
            let mut facts = ServerFacts::new(recipe.format);
            match (recipe.read)(&Line { before, after }, &mut facts) {
                LineKind::Read => return Some(LogFacts::Server(facts)),
                LineKind::Incomplete => return Some(LogFacts::Incomplete),
                LineKind::Other => {}
            }
        }
        None
    }
}

/// `Engine 000: Avg prompt throughput: 1.0 tokens/s, ..., Running: 1 reqs, Waiting: 0 reqs, GPU KV cache usage: 0.1%, ...`;
/// before 0.9 without the engine and with `Pending`.
fn vllm_statistics<'t>(line: &Line<'t>, facts: &mut ServerFacts<'t>) -> LineKind {
    let Line { before, after } = *line;
    if let Some((_, engine)) = before.rsplit_once("Engine ") {
        let engine = engine.trim_ascii_end().trim_end_matches(':').trim_start_matches('0');
        let is_number = engine.len() < 6 && engine.bytes().all(|byte| byte.is_ascii_digit());
        facts.engine = if engine.is_empty() { "0" } else { engine };
        if !is_number {
            facts.engine = "";
        }
    }
    let waiting = number_after(after, "Waiting:").or_else(|| number_after(after, "Pending:"));
    let usage = number_after(after, "GPU KV cache usage:");
    // It is not said where it is not known.
    facts.set(M::CacheUsage, usage.map(|percent| percent / 100.0));
    facts
        .set(M::Running, number_after(after, "Running:"))
        .and(facts.set(M::Waiting, waiting))
        .into()
}

/// `Generated response ID[ (streaming delta)]: output: '...', ... finish_reason: stop`.
fn vllm_response<'t>(line: &Line<'t>, facts: &mut ServerFacts<'t>) -> LineKind {
    // The output may have anything, but nothing follows the reason.
    let Some((_, reason)) = line.after.rsplit_once("finish_reason: ") else {
        return LineKind::Incomplete;
    };
    match reason.trim_ascii_end() {
        "None" | "streaming_complete" => LineKind::Other,
        reason => {
            facts.finish(reason);
            Some(()).filter(|()| !facts.finish_reason.is_empty()).into()
        }
    }
}

/// `Finish: obj=..., out={'text': '...', 'meta_info': {'id': '...', 'finish_reason': {'type': 'stop', ...}, 'prompt_tokens': 5, ...}}`.
fn sglang_finish<'t>(line: &Line<'t>, facts: &mut ServerFacts<'t>) -> LineKind {
    // What the model said stands before the last of these.
    let Some((_, meta)) = line.after.rsplit_once("'meta_info': {") else {
        return LineKind::Incomplete;
    };
    facts.finish(between(meta, "'finish_reason': {'type': '", '\'').unwrap_or_default());
    facts.set(M::Duration, number_after(meta, "'e2e_latency': "));
    facts.set(M::CachedTokens, number_after(meta, "'cached_tokens': "));
    let input = facts.set(M::InputTokens, number_after(meta, "'prompt_tokens': "));
    let output = facts.set(M::OutputTokens, number_after(meta, "'completion_tokens': "));
    input.or(output).into()
}

/// `[2026-01-01 00:00:00 DP1 TP0] Decode batch, #running-req: 1, ... token usage: 0.02, ..., #queue-req: 0`.
fn sglang_batch<'t>(line: &Line<'t>, facts: &mut ServerFacts<'t>) -> LineKind {
    let Some((head, fields)) = line.before.split_once(" batch") else { return LineKind::Other };
    if !(head.ends_with("Prefill") || head.ends_with("Decode")) {
        return LineKind::Other;
    }
    facts.engine = head.split([' ', ']']).find_map(|word| word.strip_prefix("DP")).unwrap_or("");
    facts.set(M::CacheUsage, number_after(fields, "token usage:"));
    facts
        .set(M::Running, number_after(fields, "#running-req:"))
        .and(facts.set(M::Waiting, number(line.after)))
        .into()
}

/// `INFO:     127.0.0.1:49874 - "POST /v1/chat/completions HTTP/1.1" 200 OK`.
fn uvicorn<'t>(line: &Line<'t>, facts: &mut ServerFacts<'t>) -> LineKind {
    let Some((path, rest)) = line.after.split_once(' ') else { return LineKind::Incomplete };
    let Some((_, status)) = rest.split_once('"') else { return LineKind::Incomplete };
    access(facts, path, status)
}

/// `srv  log_server_r: done request: POST /v1/chat/completions 127.0.0.1 200`; `done` is new.
fn llama_request<'t>(line: &Line<'t>, facts: &mut ServerFacts<'t>) -> LineKind {
    let mut words = line.after.split_ascii_whitespace();
    let (Some(path), Some(_), Some(status)) = (words.next(), words.next(), words.next()) else {
        return LineKind::Incomplete;
    };
    access(facts, path, status)
}

/// `2026/01/01 - 00:00:00 | 200 |  1.2s |  127.0.0.1 | POST     "/api/chat"`.
fn gin<'t>(line: &Line<'t>, facts: &mut ServerFacts<'t>) -> LineKind {
    let mut columns = line.after.splitn(5, '|').skip(1);
    let (Some(status), Some(took), Some(_), Some(request)) =
        (columns.next(), columns.next(), columns.next(), columns.next())
    else {
        return LineKind::Incomplete;
    };
    let Some((method, path)) = request.split_once('"') else { return LineKind::Incomplete };
    let path = path.split('"').next().unwrap_or_default();
    if method.trim_ascii() != "POST" {
        return LineKind::Other;
    }
    let kind = access(facts, path, status);
    if kind != LineKind::Read {
        return kind;
    }
    facts.set(M::Duration, duration(took)).into()
}

fn access<'t>(facts: &mut ServerFacts<'t>, path: &str, status: &'t str) -> LineKind {
    let Some(operation) = operation_of(path) else { return LineKind::Other };
    let Some(error) = status_error(status) else { return LineKind::Incomplete };
    facts.request(operation, error);
    LineKind::Read
}

/// What the router says of requests that it could not serve, and what kind its own metric calls that.
const TGI_ERRORS: [(&str, &str); 4] = [
    ("Request failed during generation", "generation"),
    ("Model is overloaded", "overloaded"),
    ("Input validation error", "validation"),
    ("Incomplete generation", "incomplete"),
];

/// `INFO generate{parameters=... total_time="1s" ... time_per_token="9ms" seed="None"}: text_generation_router::server: ...: Success`,
/// or the same as JSON.
fn tgi<'t>(line: &Line<'t>, facts: &mut ServerFacts<'t>) -> LineKind {
    let Line { before, after } = *line;
    let is_chat = before.contains("chat_completions");
    let operation = if is_chat { "chat" } else { "text_completion" };
    let Some((_, times)) = before.rsplit_once("total_time=\"") else {
        let is_error = before.contains("ERROR ");
        let known = TGI_ERRORS.iter().find(|(words, _)| after.contains(words));
        let Some((_, error)) = known.filter(|_| is_error) else { return LineKind::Other };
        facts.request(operation, error);
        return LineKind::Read;
    };
    if !after.trim_ascii_end().ends_with("Success") {
        return LineKind::Other;
    }
    let value = |name: &str| between(times, name, '"').and_then(duration);
    let total = times.split('"').next().and_then(duration);
    tgi_times(
        facts,
        operation,
        [total, value("queue_time=\""), value("inference_time=\""), value("time_per_token=\"")],
    )
    .into()
}

/// Notes the times of a generation: in all, in the queue, at work, and per token.
pub(super) fn tgi_times(
    facts: &mut ServerFacts<'_>,
    operation: &'static str,
    [total, queue, inference, per_token]: [Option<f64>; 4],
) -> Option<()> {
    facts.request(operation, "");
    facts.set(M::Queue, queue);
    facts.set(M::PerToken, per_token);
    // The time per token is that at work through the tokens, to the nanosecond.
    let tokens = inference.zip(per_token).filter(|(_, one)| *one > 0.0);
    facts.set(M::OutputTokens, tokens.map(|(all, one)| (all / one).round()));
    facts.set(M::Duration, total)
}

/// `slot print_timing: id 0 | task 0 | prompt eval time = 12.5 ms / 10 tokens (...)`, `eval time = ...` and `total time = ...`,
/// in one log or in three.
fn llama_timings<'t>(line: &Line<'t>, facts: &mut ServerFacts<'t>) -> LineKind {
    let Line { before, after } = *line;
    if is_of_whole_run(before) {
        return LineKind::Other;
    }
    let (first, rest) = match after.split_once("eval time =") {
        Some((first, rest)) => (first, Some(rest)),
        None => (after, None),
    };
    let read = if before.trim_ascii_end().ends_with("prompt") {
        let read = timing(facts, first, M::Prefill, M::InputTokens);
        rest.map_or(read, |rest| read.and(timing(facts, rest, M::Decode, M::OutputTokens)))
    } else {
        timing(facts, first, M::Decode, M::OutputTokens)
    };
    let decoded = rest.unwrap_or(first);
    if facts.values().any(|(measure, _)| measure == M::Decode) {
        let per_token = decoded.split_once('(').and_then(|(_, rest)| number(rest));
        facts.set(M::PerToken, per_token.map(|millis| millis / 1e3));
    }
    facts.set(M::Duration, number_after(decoded, "total time =").map(|millis| millis / 1e3));
    read.into()
}

/// `total time = 12.5 ms / 10 tokens` by itself.
fn llama_total<'t>(line: &Line<'t>, facts: &mut ServerFacts<'t>) -> LineKind {
    if is_of_whole_run(line.before) || !line.after.contains(" tokens") {
        return LineKind::Other;
    }
    facts.set(M::Duration, number(line.after).map(|millis| millis / 1e3)).into()
}

/// Programs of llama.cpp say at their end what all they did took.
fn is_of_whole_run(before: &str) -> bool {
    before.contains("perf_context_print") || before.contains("perf_print")
}

/// A duration in milliseconds and the tokens that it was for.
fn timing(facts: &mut ServerFacts<'_>, text: &str, time: M, tokens: M) -> Option<()> {
    facts.set(time, number(text).map(|millis| millis / 1e3))?;
    facts.set(tokens, number_after(text, "/"))
}
