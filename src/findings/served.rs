//! Served model: whether the model that answers is the requested one, and the one that answered before; the same
//! for the fingerprint of the configuration that served it.

use super::call::ObservedCall;
use super::config::Check;
use super::finding::{Finding, FindingKind, Subject, cut};
use super::report::Report;
use crate::codec::msgpack::text_of;

/// Names that are known of one key; of more there are no findings, as the service chooses each time.
const MAX_KNOWN: usize = 8;
/// Calls after which another name is a change. Before that it is one of several that there are.
const LEARNED_MODELS: u32 = 20;
const LEARNED_FINGERPRINTS: u32 = 50;

/// Names that came.
#[derive(Debug, Default)]
struct KnownNames {
    hashes: [u64; MAX_KNOWN],
    count: usize,
    calls: u32,
    last_hash: u64,
    last: Box<str>,
}

impl KnownNames {
    /// Notes a name, and says the one before it if it is new.
    #[inline]
    fn note(&mut self, encoded: &[u8]) -> Option<Box<str>> {
        if encoded.is_empty() {
            return None;
        }
        let hash = xxhash_rust::xxh3::xxh3_64(encoded);
        if hash == self.last_hash {
            self.calls = self.calls.saturating_add(1);
            return None;
        }
        self.other(hash, encoded)
    }

    #[cold]
    fn other(&mut self, hash: u64, encoded: &[u8]) -> Option<Box<str>> {
        let name = cut(text_of(encoded).filter(|name| !name.is_empty())?);
        let is_known = self.hashes.iter().take(self.count).any(|known| *known == hash);
        let before = std::mem::replace(&mut self.last, name.into());
        self.last_hash = hash;
        if is_known {
            self.calls = self.calls.saturating_add(1);
            return None;
        }
        *self.hashes.get_mut(self.count)? = hash;
        self.count += 1;
        Some(before)
    }

    /// Ends the learning of a name that is new, and says whether those before it were learned.
    fn restart(&mut self, learned: u32) -> bool {
        std::mem::replace(&mut self.calls, 1) >= learned
    }
}

/// What answers the calls of one key.
#[derive(Debug, Default)]
pub(super) struct ServedModels {
    models: KnownNames,
    fingerprints: KnownNames,
}

impl ServedModels {
    pub(super) fn call(&mut self, call: &ObservedCall<'_>, subject: &Subject, report: &mut Report) {
        if let Some(before) = self.models.note(call.response_model) {
            let is_learned = self.models.restart(LEARNED_MODELS);
            let requested = text_of(call.request_model).unwrap_or_default();
            let is_other = !requested.is_empty() && !is_same_model(requested, &self.models.last);
            if is_other || (is_learned && !before.is_empty()) {
                let names = [requested, &before, &self.models.last];
                tell_model(is_other, names, call, subject, report);
            }
        }
        if let Some(before) = self.fingerprints.note(call.fingerprint)
            && self.fingerprints.restart(LEARNED_FINGERPRINTS)
        {
            tell_fingerprint([&before, &self.fingerprints.last], call, subject, report);
        }
    }
}

#[cold]
fn tell_model(
    is_other: bool,
    [requested, before, served]: [&str; 3],
    call: &ObservedCall<'_>,
    subject: &Subject,
    report: &mut Report,
) {
    let says = if is_other {
        format!("'{served}' answers, '{requested}' was requested")
    } else {
        format!("'{served}' answers, '{before}' did before")
    };
    report.add(&Finding {
        check: Check::ServedModel,
        kind: FindingKind::ServedModel,
        signal: if is_other { "requested" } else { "former" },
        subject,
        numbers: &[],
        texts: &[("gen_ai.response.model", served), ("fluentbit.ai.finding.former", before)],
        says,
        span: call.ids,
        unix_nanos: call.unix_nanos,
    });
}

#[cold]
fn tell_fingerprint(
    [before, now]: [&str; 2],
    call: &ObservedCall<'_>,
    subject: &Subject,
    report: &mut Report,
) {
    report.add(&Finding {
        check: Check::ServedModel,
        kind: FindingKind::Fingerprint,
        signal: "former",
        subject,
        numbers: &[],
        texts: &[
            ("openai.response.system_fingerprint", now),
            ("fluentbit.ai.finding.former", before),
        ],
        says: format!("the model is served with fingerprint '{now}', '{before}' was it before"),
        span: call.ids,
        unix_nanos: call.unix_nanos,
    });
}

/// Whether two names are of one model: equal but for a path before them and for what says a snapshot.
fn is_same_model(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let (one, other) = (bare(one), bare(other));
    one == other || without_snapshot(&one) == without_snapshot(&other)
}

/// A name without the date, number or word of a snapshot at its end.
fn without_snapshot(mut name: &str) -> &str {
    const WORDS: [&str; 4] = ["latest", "preview", "exp", "experimental"];
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    loop {
        let Some((rest, last)) = name.rsplit_once(['-', '@', ':', '_']) else { return name };
        let is_version = last.strip_prefix('v').is_some_and(is_number);
        let is_day = || {
            // `-2024-08-06` and `-05-20`
            let month = rest.rsplit_once('-').map_or("", |(_, month)| month);
            is_number(last) && last.len() == 2 && is_number(month) && month.len() == 2
        };
        if is_day() {
            name = rest.rsplit_once('-').map_or(rest, |(rest, _)| rest);
            continue;
        }
        let is_snapshot = is_number(last) && (last.len() >= 3 || last == "0");
        if !is_snapshot && !is_version && !WORDS.contains(&last) {
            return name;
        }
        name = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_the_same_model_and_others_are_not() {
        for (one, other) in [
            ("gpt-4o", "gpt-4o-2024-08-06"),
            ("models/gemini-2.5-pro", "gemini-2.5-pro-preview-05-20"),
            ("claude-sonnet-4-5-latest", "claude-sonnet-4-5-20250929"),
            ("claude-opus-4-1@20250805", "claude-opus-4-1"),
            ("anthropic.claude-3-haiku-20240307-v1:0", "anthropic.claude-3-haiku"),
            ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"),
            ("gpt-3.5-turbo", "gpt-3.5-turbo-0125"),
        ] {
            assert!(is_same_model(one, other), "{one}, {other}");
            assert!(is_same_model(other, one), "{one}, {other}");
        }
        for (one, other) in [
            ("gpt-4o", "gpt-4o-mini"),
            ("gpt-4", "gpt-4o"),
            ("gpt-4", "gpt-3"),
            ("claude-opus-4-1", "claude-opus-4-5"),
            ("gpt-5.4", "gpt-5"),
            ("o1", "o3"),
        ] {
            assert!(!is_same_model(one, other), "{one}, {other}");
        }
    }
}
