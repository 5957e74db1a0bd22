//! Option readers that the stages of a trace share: correlation, inheritance, broken context.

use crate::config::Parser;
use crate::config::read::{self, Read};
use crate::plugin::OptionSpec;

const MIN_MEMORY: usize = 64_000;

/// How much memory they take.
pub(super) fn max_memory(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<usize> {
    let size = read::size(parser, option)?;
    if size < MIN_MEMORY {
        let given = parser.text(option.name).unwrap_or_default();
        parser.refuse(option.name, given, "allowed: at least 64k");
    }
    Some(size)
}

/// A list of what has a name, each one of `all`.
pub(super) fn named<T: Copy>(
    parser: &mut Parser<'_>,
    option: &OptionSpec,
    all: &[T],
    name_of: impl Fn(T) -> &'static str,
) -> Read<Vec<T>> {
    let mut found = Vec::new();
    for name in read::list(parser, option)? {
        match all.iter().find(|one| name_of(**one).eq_ignore_ascii_case(&name)) {
            Some(one) => found.push(*one),
            None => {
                let names: Vec<&str> = all.iter().map(|one| name_of(*one)).collect();
                parser.refuse(option.name, &name, &format!("allowed: {}", names.join(", ")));
            }
        }
    }
    Some(found)
}

/// Refuses an option that was given something and means nothing.
pub(super) fn refuse_idle(parser: &mut Parser<'_>, option: &OptionSpec, needs: &str) {
    if let Some(given) = parser.text(option.name).filter(|given| Some(*given) != option.default) {
        parser.refuse(option.name, given, needs);
    }
}
