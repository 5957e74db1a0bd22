//! Value parsers: text -> value, with Fluent Bit's spellings.

use std::time::Duration;

/// `on`, `true`, `yes`, `1` and their opposites.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    let is = |choices: &[&str]| choices.iter().any(|choice| choice.eq_ignore_ascii_case(text));
    if is(&["on", "true", "yes", "1"]) {
        return Some(true);
    }
    is(&["off", "false", "no", "0"]).then_some(false)
}

/// A number with `ms`, `s`, `m`, `h` or `d`; seconds without one.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number: f64 = number.parse().ok()?;
    let seconds = match unit.trim().to_ascii_lowercase().as_str() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * seconds).ok()
}

/// A number of bytes with `k`, `m` or `g`, which are powers of 1000 as in Fluent Bit; `kib`, `mib`
/// and `gib` are powers of 1024.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Texts separated by commas, trimmed, without empty ones.
#[must_use]
pub fn parse_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|choice| !choice.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("10"), Some(Duration::from_secs(10)));
        assert_eq!(parse_duration("1.5m"), Some(Duration::from_secs(90)));
        assert_eq!(parse_duration("10 parsecs"), None);
        assert_eq!(parse_duration("-1s"), None);
    }

    #[test]
    fn sizes_count_in_thousands_as_the_host_does() {
        assert_eq!(parse_size("4m"), Some(4_000_000));
        assert_eq!(parse_size("4MiB"), Some(4 << 20));
        assert_eq!(parse_size("99999999999g"), None);
        assert_eq!(parse_size("many"), None);
    }

    #[test]
    fn lists_and_switches() {
        assert_eq!(parse_list(" a, b,,c "), ["a", "b", "c"]);
        assert_eq!(parse_bool("On"), Some(true));
        assert_eq!(parse_bool("maybe"), None);
    }
}
