//! Units: the words of OpenMetrics -> UCUM, by the compatibility specification.

const UNITS: [(&str, &str); 16] = [
    ("seconds", "s"),
    ("milliseconds", "ms"),
    ("microseconds", "us"),
    ("nanoseconds", "ns"),
    ("minutes", "min"),
    ("hours", "h"),
    ("days", "d"),
    ("bytes", "By"),
    ("kibibytes", "KiBy"),
    ("mebibytes", "MiBy"),
    ("gibibytes", "GiBy"),
    ("joules", "J"),
    ("watts", "W"),
    ("celsius", "Cel"),
    ("percent", "%"),
    ("ratio", "1"),
];

/// The unit in UCUM; a word that is not known stays as it is.
pub(super) fn ucum(word: &str) -> &str {
    UNITS.iter().find(|(known, _)| *known == word).map_or(word, |(_, unit)| unit)
}
