//! Option readers: text -> value, with what is allowed in the message about a wrong one.
//!
//! Each gives a [`Read`], which is there unless an option has neither a value nor a default: see
//! [`Parser::value`](super::Parser::value). Readers of options that may be missing read nothing then.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Parser, parse_bool, parse_duration, parse_list, parse_size};
use crate::plugin::OptionSpec;

/// What was read, or nothing, if the declaration has no default that can be read.
pub type Read<T> = Option<T>;

/// An option that may be missing: what `parse` makes of its value.
pub fn optional<T>(
    allowed: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> impl Fn(&mut Parser<'_>, &OptionSpec) -> Read<Option<T>> {
    move |parser, option| Some(parser.value(option, allowed, &parse))
}

/// The same by another reader: nothing where that has neither a value nor a default.
pub fn some<T>(
    read: impl Fn(&mut Parser<'_>, &OptionSpec) -> Read<T>,
) -> impl Fn(&mut Parser<'_>, &OptionSpec) -> Read<Option<T>> {
    move |parser, option| Some(read(parser, option))
}

/// A switch: `on`, `off`, `true`, `false`, `yes`, `no`.
pub fn bool(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<bool> {
    parser.value(option, "allowed: on, off", parse_bool)
}

/// A duration such as `500ms`, `10s`, `5m`; a bare number is seconds.
pub fn duration(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    parser.value(option, "allowed: a duration such as 500ms, 10s, 5m", parse_duration)
}

/// A size in bytes such as `512k`, `4m`, `1g`; what no address space holds is as much as one does.
pub fn size(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<usize> {
    parser.value(option, "allowed: a size such as 512k, 4m, 1g", |text| {
        parse_size(text).map(|size| usize::try_from(size).unwrap_or(usize::MAX))
    })
}

/// A whole number of a range.
pub fn count(range: RangeInclusive<usize>) -> impl Fn(&mut Parser<'_>, &OptionSpec) -> Read<usize> {
    move |parser, option| {
        let allowed = format!("allowed: a number from {} to {}", range.start(), range.end());
        parser
            .value(option, &allowed, |text| text.parse().ok().filter(|count| range.contains(count)))
    }
}

/// A number from 0 to 100, which may be missing.
pub fn percentage(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<f64>> {
    optional("allowed: a number from 0 to 100", |text| {
        let number = text.trim_end_matches('%').parse().ok();
        number.filter(|value| (0.0..=100.0).contains(value))
    })(parser, option)
}

/// One of a set of names.
pub fn choice<T: Copy>(choices: &[(&str, T)]) -> impl Fn(&mut Parser<'_>, &OptionSpec) -> Read<T> {
    move |parser, option| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        parser.value(option, &format!("allowed: {}", names.join(", ")), |text| {
            choices
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(text))
                .map(|(_, value)| *value)
        })
    }
}

/// The text as it was given, if it was.
pub fn text(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<String>> {
    Some(parser.text(option.name).map(str::to_owned))
}

/// The text without blanks around it; an empty one is none.
pub fn trimmed(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Option<String>> {
    let text = parser.text(option.name).map(str::trim).filter(|text| !text.is_empty());
    Some(text.map(str::to_owned))
}

/// Texts separated by commas, of all that was given or of the default.
pub fn list(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<String>> {
    let given = parser.texts(option.name);
    let texts = if given.is_empty() { option.default.into_iter().collect() } else { given };
    Some(texts.into_iter().flat_map(parse_list).collect())
}
