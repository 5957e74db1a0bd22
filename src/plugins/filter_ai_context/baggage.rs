//! Baggage as the filter `ai_context` reads it: its option and its numbers.

use crate::config::Parser;
use crate::config::read::{self, Read};
use crate::correlation::{BaggageKeys, BaggageTally};
use crate::plugin::OptionSpec;
use crate::stats::{Counter, CounterFamily, Counters};

const ATTRIBUTES: CounterFamily = CounterFamily::counter(
    "baggage_attributes_total",
    "Attributes that spans and logs got from the baggage that they show",
    &[],
);
const REFUSED: CounterFamily = CounterFamily::counter(
    "baggage_refused_members_total",
    "Members of baggage that did not become attributes although their key is allowed: without a valid \
     value, or beyond 64 members or 8192 bytes",
    &[],
);

/// Keys of baggage.
pub(super) fn keys(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<String>> {
    let keys = read::list(parser, option)?;
    for key in keys.iter().filter(|key| !BaggageKeys::is_usable(key)) {
        let allowed = "allowed: keys of letters, digits and marks without separators, or a beginning of \
                       keys with * behind it, such as acme.*";
        parser.refuse(option.name, key, allowed);
    }
    Some(keys)
}

/// What became of baggage.
pub(super) struct BaggageCounters {
    attributes: Counter,
    refused: Counter,
}

impl BaggageCounters {
    pub(super) fn new(counters: &Counters) -> Self {
        Self {
            attributes: counters.counter(ATTRIBUTES, &[]),
            refused: counters.counter(REFUSED, &[]),
        }
    }

    pub(super) fn add(&self, tally: BaggageTally) {
        self.attributes.add(tally.attributes);
        self.refused.add(tally.refused);
    }
}
