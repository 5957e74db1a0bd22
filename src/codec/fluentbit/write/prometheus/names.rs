//! Names of metrics and labels: those of OpenTelemetry as Prometheus has them.
//!
//! OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility", section "OTLP Metric points to
//! Prometheus".

/// Units of UCUM by the words that Prometheus uses.
const UNITS: [(&str, &str); 27] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tebibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
    ("1", ""),
    ("$", "dollars"),
];

/// What a unit is divided by, in the singular.
const PER: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("min", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("mo", "month"),
    ("y", "year"),
];

/// What of a metric its name depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedAs {
    /// A sum that only grows, which ends in `_total`.
    Counter,
    /// A gauge, which ends in `_ratio` if its unit is 1.
    Gauge,
    /// A histogram.
    Histogram,
}

/// The name of a metric with its unit: `gen_ai.client.operation.duration` in `s` is
/// `gen_ai_client_operation_duration_seconds`.
pub(super) fn metric_name(name: &str, unit: &str, kind: NamedAs) -> String {
    let mut words: Vec<String> = words_of(name).collect();
    let (whole, per) = unit.split_once('/').unwrap_or((unit, ""));
    let plain =
        |unit: &str| if unit.contains(['{', '}']) { String::new() } else { unit.trim().to_owned() };
    let (whole, per) = (plain(whole), plain(per));
    for word in words_of(look_up(&UNITS, &whole).unwrap_or(&whole)) {
        add(&mut words, word);
    }
    if !per.is_empty() {
        words.push("per".to_owned());
        words.extend(words_of(look_up(&PER, &per).unwrap_or(&per)));
    }
    match kind {
        NamedAs::Counter => {
            words.retain(|word| word != "total");
            words.push("total".to_owned());
        }
        NamedAs::Gauge if unit == "1" => {
            words.retain(|word| word != "ratio");
            words.push("ratio".to_owned());
        }
        NamedAs::Gauge | NamedAs::Histogram => {}
    }
    let name = words.join("_");
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// The unit that the name of a metric ends in, if it is one that has a word.
pub(super) fn unit_of(name: &str) -> Option<&'static str> {
    let end = name.rsplit('_').next()?;
    let units = UNITS.iter().map(|(_, word)| *word);
    units.into_iter().find(|word| !word.is_empty() && *word == end && end.len() < name.len())
}

fn add(words: &mut Vec<String>, word: String) {
    if !words.contains(&word) {
        words.push(word);
    }
}

fn look_up(table: &[(&'static str, &'static str)], unit: &str) -> Option<&'static str> {
    table.iter().find(|(short, _)| *short == unit).map(|(_, long)| *long)
}

/// The parts of a name between what Prometheus does not have in names.
fn words_of(name: &str) -> impl Iterator<Item = String> {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != ':');
    words.filter(|word| !word.is_empty()).map(str::to_owned)
}

/// The name of a label: `gen_ai.request.model` is `gen_ai_request_model`. Names that Prometheus or the rules
/// above give a meaning begin with `exported_`, as in what Prometheus scrapes.
pub(super) fn label_name(key: &str) -> String {
    let letters =
        key.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' });
    let name: String = letters.collect();
    match name.as_str() {
        "job" | "instance" | "le" | "quantile" => format!("exported_{name}"),
        _ if name.starts_with(|first: char| first.is_ascii_digit()) => format!("key_{name}"),
        _ if name.starts_with('_') => format!("key{name}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_named_by_the_rules() {
        for (name, unit, kind, expected) in [
            (
                "gen_ai.client.operation.duration",
                "s",
                NamedAs::Histogram,
                "gen_ai_client_operation_duration_seconds",
            ),
            (
                "gen_ai.client.token.usage",
                "{token}",
                NamedAs::Histogram,
                "gen_ai_client_token_usage",
            ),
            (
                "gen_ai.client.operation.count",
                "{operation}",
                NamedAs::Counter,
                "gen_ai_client_operation_count_total",
            ),
            (
                "gen_ai.client.inference.usage.cache_read.input_tokens",
                "{token}",
                NamedAs::Counter,
                "gen_ai_client_inference_usage_cache_read_input_tokens_total",
            ),
            (
                "fluentbit.ai.time_per_output_token",
                "s",
                NamedAs::Histogram,
                "fluentbit_ai_time_per_output_token_seconds",
            ),
            ("fluentbit.ai.cost", "{USD}", NamedAs::Counter, "fluentbit_ai_cost_total"),
            ("a.cost", "USD", NamedAs::Counter, "a_cost_USD_total"),
            ("hw.energy.total", "J", NamedAs::Counter, "hw_energy_joules_total"),
            ("cache..hit--share", "1", NamedAs::Gauge, "cache_hit_share_ratio"),
            ("cache.share", "1", NamedAs::Histogram, "cache_share"),
            ("request.seconds", "s", NamedAs::Gauge, "request_seconds"),
            ("tokens", "{token}/s", NamedAs::Gauge, "tokens_per_second"),
            ("disk.io", "By/s", NamedAs::Gauge, "disk_io_bytes_per_second"),
            ("2nd.try", "", NamedAs::Gauge, "_2nd_try"),
            ("größe", "km", NamedAs::Gauge, "gr_e_km"),
        ] {
            assert_eq!(metric_name(name, unit, kind), expected);
        }
    }

    #[test]
    fn labels_are_named_by_the_rules() {
        for (key, expected) in [
            ("gen_ai.request.model", "gen_ai_request_model"),
            ("1st", "key_1st"),
            ("_own", "key_own"),
            ("__name__", "key__name__"),
            ("job", "exported_job"),
            ("le", "exported_le"),
            ("ä", "key_"),
        ] {
            assert_eq!(label_name(key), expected);
        }
    }
}
