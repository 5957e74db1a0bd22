//! Options of the filters with a value that is not allowed, each by itself.

use super::form::{Wrong, filter};
use super::{CONTEXT, METRICS, SAMPLING};

/// A filter whose option has a value that is not allowed; the lines after that are beside it.
macro_rules! not_allowed {
    ($kind:literal, $plugin:ident, $option:literal: $value:literal, $allowed:literal $(, $beside:literal)*) => {
        filter(
            $kind,
            &[&[$plugin, concat!($option, ": '", $value, "'") $(, $beside)*]],
            concat!("option '", $option, "': '", $value, "' is not allowed; ", $allowed),
            concat!(" ", $option, ":"),
        )
    };
}

/// The same of a tail sampler.
macro_rules! not_in_tail_mode {
    ($kind:literal, $option:literal: $value:literal, $allowed:literal) => {
        not_allowed!($kind, SAMPLING, $option: $value, $allowed, "mode: tail", "sampling_percentage: 5")
    };
}

pub(super) const OF_SAMPLING: &[Wrong] = &[
    not_in_tail_mode!("duration", "decision_wait_after_root_received": "later", "allowed: a duration such as 500ms"),
    not_in_tail_mode!("switch", "keep_errors": "most", "allowed: on, off"),
    not_in_tail_mode!("name", "errors": "none", "allowed: status, all"),
    not_in_tail_mode!("duration", "keep_slower_than": "usual", "allowed: a duration such as 500ms"),
    not_in_tail_mode!("name", "keep_attribute": "=gold", "allowed: KEY or KEY=VALUE"),
    not_in_tail_mode!("size", "max_traces": "0", "allowed: a number from 1 to 10000000"),
    not_in_tail_mode!("duration", "reload_compare_for": "a while", "allowed: a duration such as 500ms"),
    not_in_tail_mode!("size", "kept_cache_size": "-5", "allowed: a number from 0 to 10000000"),
    not_in_tail_mode!("size", "dropped_cache_size": "10000001", "allowed: a number from 0 to 10000000"),
    not_allowed!(
        "duration", SAMPLING, "tombstone_interval": "10ms", "allowed: a duration of at least 1s",
        "mode: tail", "keep_errors: on", "tombstones: counts"
    ),
    not_allowed!(
        "size", SAMPLING, "journal_limit": "1k", "allowed: at least 1m",
        "mode: tail", "keep_errors: on", "journal_path: /tmp"
    ),
    filter(
        "name",
        &[&[SAMPLING, "sampling_percentage: 5", "session_attributes: session.id", "session_hash_key: short"]],
        "option 'session_hash_key': the key is too short; allowed: at least 16 bytes",
        "session_hash_key",
    ),
    filter(
        "name",
        &[&[SAMPLING, "sampling_percentage: 5", "session_hash_key: 0123456789abcdef"]],
        "option 'session_hash_key': it is given, but needs 'session_attributes'",
        "session_hash_key",
    ),
    filter(
        "file",
        &[&[SAMPLING, "mode: tail", "keep_errors: on", "config_file: /nowhere/policies.yaml"]],
        "option 'config_file': '/nowhere/policies.yaml' cannot be read",
        "config_file",
    ),
    filter(
        "policy",
        &[&[SAMPLING, "mode: tail", "config_file: @FILE@", "extension_policy: audit"]],
        "option 'extension_policy': 'audit' is not allowed; allowed: TYPE=EXPRESSION",
        "extension_policy",
    )
    .file("processors:\n  tail_sampling:\n    policies:\n      - {name: x, type: always_sample}\n"),
    filter(
        "CEL",
        &[&[SAMPLING, "mode: tail", "config_file: @FILE@", "extension_policy: 'audit=spans.exists('"]],
        "option 'extension_policy': 'spans.exists(' is not allowed; ",
        "extension_policy",
    )
    .file("processors:\n  tail_sampling:\n    policies:\n      - {name: x, type: audit}\n      - {name: rest, type: always_sample}\n"),
    filter(
        "policy",
        &[&[SAMPLING, "mode: tail", "config_file: @FILE@", "extension_policy: 'audit=size(spans) > 1'"]],
        "option 'extension_policy': 'audit' is not allowed; allowed: the type of a policy in the tail_sampling block",
        "extension_policy",
    )
    .file("processors:\n  tail_sampling:\n    policies:\n      - {name: x, type: always_sample}\n"),
    filter(
        "policy",
        &[&[SAMPLING, "mode: tail", "config_file: @FILE@"]],
        "policies[0].type: \"audit\" is not allowed; allowed: always_sample, ",
        "",
    )
    .file("processors:\n  tail_sampling:\n    policies:\n      - {name: x, type: audit}\n      - {name: rest, type: always_sample}\n"),
];

pub(super) const OF_METRICS: &[Wrong] = &[
    not_allowed!("name", METRICS, "temporality": "sometimes", "allowed: cumulative, delta"),
    not_allowed!("name", METRICS, "histogram": "linear", "allowed: explicit, exponential"),
    not_allowed!("name", METRICS, "exemplars": "none", "allowed: latest, kept"),
    not_allowed!("size", METRICS, "max_series": "10", "allowed: a number from 100 to 1000000"),
    not_allowed!("duration", METRICS, "series_expiry": "never", "allowed: a duration such as 500ms"),
    not_allowed!("duration", METRICS, "call_window": "short", "allowed: a duration such as 500ms"),
    not_allowed!("name", METRICS, "find_usage": "loud", "allowed: off, warn, on"),
    not_allowed!("name", METRICS, "find_served_model": "loud", "allowed: off, warn, on"),
    not_allowed!("name", METRICS, "find_runaway": "loud", "allowed: off, warn, on"),
    not_allowed!("name", METRICS, "find_drift": "loud", "allowed: off, warn, on"),
    not_allowed!("name", METRICS, "find_pairs": "on", "allowed: with pairs of models in 'compare' only"),
    not_allowed!("name", METRICS, "compare": "gpt-4o", "", "find_pairs: on"),
    not_allowed!("name", METRICS, "find_prompts": "loud", "allowed: off, warn, on"),
    not_allowed!("size", METRICS, "finding_prompts": "1", "allowed: a number from 100 to 1000000"),
    not_allowed!("name", METRICS, "server_logs": "apache", "allowed: off, on, vllm, "),
    filter(
        "file",
        &[&[METRICS, "config_file: /nowhere/metrics.yaml"]],
        "option 'config_file': '/nowhere/metrics.yaml' cannot be read",
        "config_file",
    ),
];

pub(super) const OF_CONTEXT: &[Wrong] = &[
    not_allowed!("switch", CONTEXT, "normalize": "partly", "allowed: on, off"),
    not_allowed!("name", CONTEXT, "conventions": "2.0", "allowed: 1.41, genai-0.1.0"),
    not_allowed!("switch", CONTEXT, "correlate": "partly", "allowed: on, off"),
    not_allowed!("name", CONTEXT, "correlate_by": "order", "allowed: request, response, "),
    not_allowed!("name", CONTEXT, "correlate_keys": "...", "allowed: a key with letters or digits"),
    not_allowed!("duration", CONTEXT, "correlate_window": "1h", "allowed: a duration from 1s to 10m", "correlate_by: request"),
    not_allowed!("size", CONTEXT, "correlate_max_memory": "1k", "allowed: at least 64k", "correlate_by: request"),
    not_allowed!("name", CONTEXT, "inherit": "colour", "allowed: tenant, user, "),
    not_allowed!("name", CONTEXT, "inherit_tenant_keys": "a, b, c, d, e, f, g, h, i", "allowed: one to eight keys", "inherit: tenant"),
    not_allowed!("duration", CONTEXT, "inherit_window": "1ms", "allowed: a duration from 1s to 1h", "inherit: user"),
    not_allowed!("duration", CONTEXT, "inherit_wait": "1h", "allowed: a duration up to 5m", "inherit: user"),
    not_allowed!("size", CONTEXT, "inherit_max_memory": "1k", "allowed: at least 64k", "inherit: user"),
    not_allowed!("switch", CONTEXT, "split_latency": "partly", "allowed: on, off"),
    not_allowed!("duration", CONTEXT, "split_latency_wait": "1h", "allowed: a duration from 1s to 5m", "split_latency: on"),
    not_allowed!("size", CONTEXT, "split_latency_max_memory": "1k", "allowed: at least 64k", "split_latency: on"),
    not_allowed!("switch", CONTEXT, "server_state": "partly", "allowed: on, off"),
    not_allowed!("duration", CONTEXT, "server_state_max_age": "1d", "allowed: a duration from 1s to 1h", "server_state: on"),
    not_allowed!("size", CONTEXT, "server_state_max_memory": "1k", "allowed: at least 64k", "server_state: on"),
    not_allowed!("switch", CONTEXT, "find_broken": "partly", "allowed: on, off"),
    not_allowed!("duration", CONTEXT, "find_broken_window": "1d", "allowed: a duration from 1s to 1h", "find_broken: on"),
    not_allowed!("duration", CONTEXT, "find_broken_tolerance": "1d", "allowed: a duration up to 1h", "find_broken: on"),
    not_allowed!("size", CONTEXT, "find_broken_max_memory": "1k", "allowed: at least 64k", "find_broken: on"),
    not_allowed!("name", CONTEXT, "find_broken_temporality": "gauge", "allowed: delta, cumulative", "find_broken: on"),
    not_allowed!("name", CONTEXT, "baggage_keys": "a=b", "allowed: keys of letters, digits and marks"),
    not_allowed!("name", CONTEXT, "redact_content": "images", "allowed: conversation, tools, errors"),
    not_allowed!("switch", CONTEXT, "redact_resource": "partly", "allowed: on, off", "redact: email"),
    not_allowed!("name", CONTEXT, "redact_with": "stars", "allowed: mask, hash, drop", "redact: email"),
    filter(
        "name",
        &[&[CONTEXT, "redact: email", "redact_with: hash", "redact_hash_key: short"]],
        "option 'redact_hash_key': the key is too short; allowed: at least 16 bytes",
        "redact_hash_key",
    ),
    not_allowed!("switch", CONTEXT, "mark_findings": "partly", "allowed: on, off", "redact: email"),
    not_allowed!("name", CONTEXT, "on_failure": "shrug", "allowed: drop, quarantine, pass", "redact: email"),
    filter(
        "name",
        &[&[CONTEXT, "redact: email", "quarantine_tag: aside"]],
        "option 'quarantine_tag': it is given, but needs 'on_failure: quarantine'",
        "quarantine_tag",
    ),
    not_allowed!("switch", CONTEXT, "copy_metadata": "partly", "allowed: on, off"),
    not_allowed!("name", CONTEXT, "record_key": "", "allowed: a key, such as payload"),
    not_allowed!("switch", CONTEXT, "identify_override": "partly", "allowed: on, off", "identify: env"),
    not_allowed!("switch", CONTEXT, "identify_well_known_labels": "partly", "allowed: on, off", "identify: env"),
    not_allowed!("name", CONTEXT, "identify_process": "me", "allowed: a number such as 1, self, ", "identify: process"),
    not_allowed!("file", CONTEXT, "identify_podinfo": "podinfo", "allowed: a path such as /etc/podinfo", "identify: env"),
    not_allowed!("file", CONTEXT, "identify_root": "host", "allowed: a path such as /etc/podinfo", "identify: env"),
    not_allowed!("duration", CONTEXT, "identify_refresh": "1ms", "allowed: a duration from 1s on", "identify: env"),
];
