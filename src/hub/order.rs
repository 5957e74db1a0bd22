//! Order check: what a user should know about the order of our filters.
//!
//! The host runs filters in the order of the configuration. The one that fits all pipelines is
//! `ai_context`, `ai_metrics`, `ai_sampling`; any other one works, but means something else.

/// What a filter does, as far as its position matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterRole {
    /// `ai_context`, and what it does.
    Context {
        /// It maps names to the current conventions.
        normalizes: bool,
        /// Mapped attributes go that current ones say all of.
        drops_originals: bool,
        /// It redacts.
        redacts: bool,
        /// It takes whole records out of a key of the body.
        unpacks: bool,
    },
    /// `ai_metrics`.
    Metrics,
    /// `ai_sampling`.
    Sampling {
        /// Whether it decides about whole traces, by policies.
        tail: bool,
    },
}

/// A filter in the order of starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedFilter {
    /// The instance's name.
    pub instance: String,
    /// The tags that it gets, where the host says so: not with `match_regex`, and not where it runs
    /// as a processor.
    pub tags: Option<String>,
    /// What it does.
    pub role: FilterRole,
}

impl StartedFilter {
    /// Whether it takes away the originals of spans that an output with these tags may get.
    pub(super) fn drops_originals_of(&self, tags: Option<&str>) -> bool {
        let both = match (self.tags.as_deref(), tags) {
            (Some(ours), Some(theirs)) => overlap(ours.as_bytes(), theirs.as_bytes()),
            _ => true,
        };
        both && matches!(self.role, FilterRole::Context { drops_originals: true, .. })
    }
}

/// What is wrong with a filter `later` that stands after a filter `earlier`; `None` if nothing is, or
/// if the two never see the same data.
#[must_use]
pub fn warning(earlier: &StartedFilter, later: &StartedFilter) -> Option<String> {
    let both = match (&earlier.tags, &later.tags) {
        (Some(first), Some(second)) if !overlap(first.as_bytes(), second.as_bytes()) => {
            return None;
        }
        (Some(_), Some(_)) => "",
        _ => ", where both get the same data",
    };
    let consequence = consequence(earlier.role, later.role)?;
    let (first, second) = (&earlier.instance, &later.instance);
    Some(format!("'{second}' stands after '{first}'{both}: {consequence}"))
}

fn consequence(earlier: FilterRole, later: FilterRole) -> Option<String> {
    match (earlier, later) {
        (FilterRole::Sampling { tail: false }, FilterRole::Metrics) => Some(
            "metrics see only the spans that sampling keeps: counts and token sums are scaled up from \
             them, so that they are estimates; put ai_metrics first"
                .to_owned(),
        ),
        (FilterRole::Sampling { tail: true }, FilterRole::Metrics) => Some(
            "metrics see only the spans that sampling keeps, after its decision_wait: what its policies \
             drop is missing in counts, token sums and durations, and what probability keeps is scaled \
             up; put ai_metrics first"
                .to_owned(),
        ),
        (FilterRole::Metrics, FilterRole::Context { normalizes, redacts, unpacks, .. }) => {
            let wrong = [
                (unpacks, "spans that ai_context takes out of record_key are not measured"),
                (normalizes, "spans whose names ai_context maps are measured by the names that they had, or not at all"),
                (redacts, "dimensions of metrics hold what ai_context redacts later"),
            ];
            joined(&wrong, "put ai_context first")
        }
        (FilterRole::Sampling { tail }, FilterRole::Context { normalizes, redacts, unpacks, .. }) => {
            let wrong = [
                (unpacks, "spans that ai_context takes out of record_key are not sampled"),
                (tail && normalizes, "policies ask for the names that spans had before ai_context maps them"),
                (tail && redacts, "policies see, and the buffer holds, what ai_context redacts later"),
                (!tail && (normalizes || redacts), "ai_context sees, and its counters count, only what sampling keeps"),
            ];
            joined(&wrong, "put ai_context first")
        }
        _ => None,
    }
}

fn joined(wrong: &[(bool, &str)], remedy: &str) -> Option<String> {
    let problems: Vec<&str> =
        wrong.iter().filter(|(is_so, _)| *is_so).map(|(_, problems)| *problems).collect();
    (!problems.is_empty()).then(|| format!("{}; {remedy}", problems.join("; ")))
}

/// Whether a tag can match both patterns, in which `*` stands for anything.
fn overlap(first: &[u8], second: &[u8]) -> bool {
    // Row by row: whether what is left of both patterns has a text in common.
    let mut below = vec![false; second.len().saturating_add(1)];
    for at in (0..=first.len()).rev() {
        let mut row = vec![false; second.len().saturating_add(1)];
        for with in (0..=second.len()).rev() {
            let skip_first = below.get(with).copied().unwrap_or(false);
            let skip_second = row.get(with.saturating_add(1)).copied().unwrap_or(false);
            let skip_both = below.get(with.saturating_add(1)).copied().unwrap_or(false);
            let common = match (first.get(at), second.get(with)) {
                (None, None) => true,
                (Some(b'*'), None) => skip_first,
                (None, Some(b'*')) => skip_second,
                (Some(b'*'), Some(_)) | (Some(_), Some(b'*')) => skip_first || skip_second,
                (Some(one), Some(other)) => one == other && skip_both,
                (None, Some(_)) | (Some(_), None) => false,
            };
            if let Some(slot) = row.get_mut(with) {
                *slot = common;
            }
        }
        below = row;
    }
    below.first().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: FilterRole = FilterRole::Context {
        normalizes: true,
        drops_originals: true,
        redacts: true,
        unpacks: true,
    };

    fn placed(instance: &str, tags: Option<&str>, role: FilterRole) -> StartedFilter {
        StartedFilter { instance: instance.to_owned(), tags: tags.map(str::to_owned), role }
    }

    #[test]
    fn patterns_overlap_if_a_tag_matches_both() {
        for (first, second, both) in [
            ("*", "ai", true),
            ("ai", "ai", true),
            ("ai*", "*ai", true),
            ("ai.*", "ai*x", true),
            ("a*c", "abc", true),
            ("a*", "b*", false),
            ("ai", "ai.x", false),
            ("*x", "*y", false),
            ("a*b*c", "a*c*d", false),
            ("", "*", true),
            ("", "a", false),
        ] {
            assert_eq!(overlap(first.as_bytes(), second.as_bytes()), both, "{first} {second}");
            assert_eq!(overlap(second.as_bytes(), first.as_bytes()), both, "{second} {first}");
        }
    }

    #[test]
    fn each_order_that_means_something_else_is_reported() {
        let tail = FilterRole::Sampling { tail: true };
        let head = FilterRole::Sampling { tail: false };
        for (earlier, later, part) in [
            (tail, FilterRole::Metrics, "is missing in counts"),
            (head, FilterRole::Metrics, "they are estimates; put ai_metrics first"),
            (FilterRole::Metrics, CONTEXT, "are not measured; spans whose names"),
            (tail, CONTEXT, "policies ask for the names"),
            (head, CONTEXT, "only what sampling keeps; put ai_context first"),
        ] {
            let one = placed("one", Some("ai*"), earlier);
            let two = placed("two", Some("*"), later);
            let text = warning(&one, &two).unwrap();
            assert!(
                text.starts_with("'two' stands after 'one': ") && text.contains(part),
                "{text}"
            );
            assert_eq!(warning(&two, &one), None, "the order that fits");
            let elsewhere = placed("two", Some("b*"), later);
            assert_eq!(warning(&one, &elsewhere), None);
            let unknown = placed("two", None, later);
            assert!(warning(&one, &unknown).unwrap().contains(", where both get the same data: "));
        }
    }

    #[test]
    fn what_a_filter_does_not_do_is_not_reported() {
        let context = |redacts| FilterRole::Context {
            normalizes: false,
            drops_originals: false,
            redacts,
            unpacks: false,
        };
        let idle = context(false);
        let redacting = context(true);
        let metrics = placed("m", Some("*"), FilterRole::Metrics);
        assert_eq!(warning(&metrics, &placed("c", Some("*"), idle)), None);
        let text = warning(&metrics, &placed("c", Some("*"), redacting)).unwrap();
        assert!(text.contains("dimensions of metrics") && !text.contains("names"), "{text}");
    }
}
