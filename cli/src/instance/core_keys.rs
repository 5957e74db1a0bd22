//! Properties that the host takes for itself: which, since which release, and which values it refuses.
//!
//! The rest reaches the plugin. Values that the host passes on to plugins are those that it keeps, not
//! those that were written: a switch is on or off, a port is a number.

use fluent_bit_ai::model::Release;

use crate::own::PluginKind;

/// What becomes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is kept as it is, and shown to plugins.
    Text,
    /// It is kept as on or off, and shown to plugins.
    Switch,
    /// It is kept as a number, and shown to plugins unless it is zero.
    Number,
    /// No plugin sees it.
    Unseen(Allowed),
}

/// Which values the host takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    Any,
    Level,
    Size,
    Storage,
}

/// A property of the host's own.
#[derive(Debug, Clone, Copy)]
pub(super) struct CoreKey {
    pub(super) name: &'static str,
    pub(super) kept: Kept,
    /// Whether the host takes it without a value too. What it does not take reaches the plugin.
    pub(super) may_be_empty: bool,
    /// The first release that has it.
    since: (u16, u16),
}

const fn key(name: &'static str, kept: Kept) -> CoreKey {
    CoreKey { name, kept, may_be_empty: false, since: (3, 0) }
}

impl CoreKey {
    const fn or_empty(self) -> Self {
        Self { may_be_empty: true, ..self }
    }

    const fn since(self, major: u16, minor: u16) -> Self {
        Self { since: (major, minor), ..self }
    }
}

const UNSEEN: Kept = Kept::Unseen(Allowed::Any);

const OF_ALL: &[CoreKey] = &[
    key("alias", UNSEEN),
    key("log_level", Kept::Unseen(Allowed::Level)),
    key("log_suppress_interval", UNSEEN),
];

const OF_FILTERS: &[CoreKey] =
    &[key("match", Kept::Text).or_empty(), key("match_regex", UNSEEN).or_empty()];

const OF_INPUTS: &[CoreKey] = &[
    key("tag", Kept::Text),
    key("routable", UNSEEN),
    key("mem_buf_limit", Kept::Unseen(Allowed::Size)),
    key("storage.type", Kept::Unseen(Allowed::Storage)),
    key("storage.pause_on_chunks_overlimit", UNSEEN),
    key("listen", Kept::Text).or_empty(),
    key("threaded", Kept::Switch),
    key("thread.ring_buffer.capacity", UNSEEN).since(4, 0),
    key("thread.ring_buffer.window", UNSEEN).since(4, 0),
    key("rate_window", UNSEEN).since(5, 1),
    key("rate_gate", UNSEEN).since(5, 1),
    key("rate_gate.max_bytes", Kept::Unseen(Allowed::Size)).since(5, 1),
    key("rate_gate.max_records", UNSEEN).since(5, 1),
    key("rate_gate.backpressure", UNSEEN).since(5, 1),
    key("rate_gate.resume_ratio", UNSEEN).since(5, 1),
    key("tls.verify_client_cert", Kept::Switch).since(5, 0),
];

const OF_OUTPUTS: &[CoreKey] = &[
    key("match", Kept::Text).or_empty(),
    key("match_regex", UNSEEN).or_empty(),
    key("retry_limit", UNSEEN).or_empty(),
    key("workers", Kept::Number),
    key("storage.total_limit_size", Kept::Unseen(Allowed::Size)),
    key("tls.proxy.verify", Kept::Switch).since(5, 1),
    key("tls.proxy.verify_hostname", Kept::Switch).since(5, 1),
    key("tls.proxy.ca_path", Kept::Text).or_empty().since(5, 1),
    key("tls.proxy.ca_file", Kept::Text).or_empty().since(5, 1),
];

const OF_NETWORK: &[CoreKey] = &[
    key("host", Kept::Text).or_empty(),
    key("port", Kept::Number).or_empty(),
    key("ipv6", UNSEEN),
    key("tls", Kept::Switch),
    key("tls.verify", Kept::Switch),
    key("tls.verify_hostname", Kept::Switch).since(3, 1),
    key("tls.debug", Kept::Number),
    key("tls.vhost", Kept::Text).or_empty(),
    key("tls.ca_path", Kept::Text).or_empty(),
    key("tls.ca_file", Kept::Text).or_empty(),
    key("tls.crt_file", Kept::Text).or_empty(),
    key("tls.key_file", Kept::Text).or_empty(),
    key("tls.key_passwd", Kept::Text).or_empty(),
    key("tls.min_version", Kept::Text).or_empty().since(4, 0),
    key("tls.max_version", Kept::Text).or_empty().since(4, 0),
    key("tls.ciphers", Kept::Text).or_empty().since(4, 0),
];

/// The host's own property of that name, if its release has it for this kind.
pub(super) fn find(kind: PluginKind, name: &str, release: Release) -> Option<CoreKey> {
    let more: [&[CoreKey]; 2] = match kind {
        PluginKind::Input => [OF_INPUTS, OF_NETWORK],
        PluginKind::Filter => [OF_FILTERS, &[]],
        PluginKind::Output => [OF_OUTPUTS, OF_NETWORK],
    };
    let mut known = OF_ALL.iter().chain(more.into_iter().flatten());
    known
        .find(|known| known.name == name)
        .filter(|known| known.since <= (release.major, release.minor))
        .copied()
}

/// What plugins are told of where nothing is given.
pub(super) const fn defaults(kind: PluginKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        PluginKind::Input => &[("tls", "off"), ("tls.verify", "on"), ("threaded", "off")],
        PluginKind::Filter => &[],
        PluginKind::Output => &[("tls", "off"), ("tls.verify", "on")],
    }
}

/// The host's switch: anything but a word for off is on.
pub(super) fn switch(text: &str) -> &'static str {
    let is_off = ["false", "off", "no"].iter().any(|off| off.eq_ignore_ascii_case(text));
    if is_off { "off" } else { "on" }
}

/// The number that a text begins with, as the host reads numbers.
pub(super) fn number(text: &str) -> i64 {
    let text = text.trim_start();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let sign = text.len().saturating_sub(digits.len());
    text.get(..sign.saturating_add(end)).and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl Allowed {
    /// Whether the host takes a value.
    pub(super) fn takes(self, value: &str) -> bool {
        let is_one_of = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
        match self {
            Self::Any => true,
            Self::Level => {
                is_one_of(&["off", "error", "warn", "warning", "info", "debug", "trace"])
            }
            Self::Storage => is_one_of(&["filesystem", "memory", "memrb"]),
            Self::Size => is_size(value),
        }
    }
}

/// A number with at most two letters of a unit.
fn is_size(value: &str) -> bool {
    if value.eq_ignore_ascii_case("false") {
        return true;
    }
    let digits = value.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = value.get(digits.len()..).unwrap_or_default().to_ascii_lowercase();
    !digits.is_empty() && ["", "k", "kb", "m", "mb", "g", "gb"].contains(&unit.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_belong_to_kinds_and_releases() {
        let newest = Release::new(5, 1, 1);
        let is = |kind, name| find(kind, name, newest).is_some();
        assert!(is(PluginKind::Input, "tag") && !is(PluginKind::Output, "tag"));
        assert!(is(PluginKind::Output, "workers") && !is(PluginKind::Filter, "workers"));
        assert!(is(PluginKind::Filter, "match") && !is(PluginKind::Input, "match"));
        assert!(is(PluginKind::Output, "tls.ciphers"));
        assert!(find(PluginKind::Output, "tls.ciphers", Release::new(3, 2, 10)).is_none());
    }

    #[test]
    fn values_are_read_as_the_host_reads_them() {
        assert_eq!((switch("Off"), switch("yes"), switch("maybe")), ("off", "on", "on"));
        assert_eq!((number("4318"), number(" 12x"), number("-1"), number("x")), (4318, 12, -1, 0));
        for (allowed, good, bad) in [
            (Allowed::Size, "10MB", "10 parsecs"),
            (Allowed::Size, "false", "k"),
            (Allowed::Level, "Debug", "loud"),
            (Allowed::Storage, "filesystem", "disk"),
        ] {
            assert!(allowed.takes(good) && !allowed.takes(bad), "{good} {bad}");
        }
    }
}
