//! The option `endpoint.NAME.content`.

use crate::config::parse_size;
use crate::export::{Content, KeptFor};
use crate::sampling::Threshold;

const ALLOWED: &str = "allowed: keep, drop, truncate:BYTES, or one or more of errors_only, \
                       findings_only and sample:PERCENT, separated by commas";
const ALLOWED_CUT: &str = "allowed: truncate:BYTES, as in truncate:500 or truncate:4k";
const ALLOWED_UNLISTED: &str = "allowed: keep, or drop:BYTES, as in drop:200 or drop:1k";
const ALLOWED_SAMPLE: &str =
    "allowed: sample:PERCENT with a number above 0, up to 100, as in sample:10 or sample:0.5";

/// Reads a content policy: one word for all items, or the reasons for which content is kept, of
/// which one is enough. `|` separates them as well as a comma.
///
/// # Errors
/// What is allowed.
pub(super) fn parse(value: &str) -> Result<Content, String> {
    let lower = value.to_ascii_lowercase();
    let words: Vec<&str> =
        lower.split([',', '|']).map(str::trim).filter(|word| !word.is_empty()).collect();
    if let [word] = words.as_slice() {
        match (*word, word.strip_prefix("truncate:")) {
            ("keep", _) => return Ok(Content::Keep),
            ("drop", _) => return Ok(Content::Drop),
            (_, Some(bytes)) => return truncate(bytes.trim()),
            _ => {}
        }
    }
    let mut kept = KeptFor::default();
    for word in words {
        match (word, word.strip_prefix("sample:")) {
            ("errors_only", _) => kept.errors = true,
            ("findings_only", _) => kept.findings = true,
            (_, Some(_)) if kept.sample.is_some() => {
                return Err("sample:PERCENT is given twice".to_owned());
            }
            (_, Some(percent)) => kept.sample = Some(sample(percent.trim())?),
            ("keep" | "drop", _) => return Err(format!("'{word}' stands alone; {ALLOWED}")),
            _ if word.starts_with("truncate") => {
                return Err(format!("'truncate:BYTES' stands alone; {ALLOWED}"));
            }
            _ => return Err(ALLOWED.to_owned()),
        }
    }
    if kept == KeptFor::default() {
        return Err(ALLOWED.to_owned());
    }
    Ok(Content::Only(kept))
}

/// Reads what happens to text under names that no list of content has: the bytes above which it
/// is removed, or `None`.
///
/// # Errors
/// What is allowed.
pub(super) fn parse_unlisted(value: &str) -> Result<Option<usize>, String> {
    let lower = value.to_ascii_lowercase();
    if lower == "keep" {
        return Ok(None);
    }
    let bytes = lower.strip_prefix("drop:").map(str::trim).and_then(parse_size);
    let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
    bytes.map(Some).ok_or_else(|| ALLOWED_UNLISTED.to_owned())
}

fn truncate(bytes: &str) -> Result<Content, String> {
    let bytes = parse_size(bytes).and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = bytes.filter(|bytes| *bytes > 0);
    bytes.map(Content::Truncate).ok_or_else(|| ALLOWED_CUT.to_owned())
}

fn sample(percent: &str) -> Result<Threshold, String> {
    let number: Option<f64> = percent.strip_suffix('%').unwrap_or(percent).trim().parse().ok();
    number.and_then(Threshold::from_percentage).ok_or_else(|| ALLOWED_SAMPLE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_or_several_reasons() {
        let ten = Threshold::from_percentage(10.0);
        let only = |errors, findings, sample| Content::Only(KeptFor { errors, findings, sample });
        for (text, expected) in [
            ("keep", Content::Keep),
            ("DROP", Content::Drop),
            ("truncate: 4k", Content::Truncate(4_000)),
            ("errors_only", only(true, false, None)),
            ("findings_only", only(false, true, None)),
            ("sample:10", only(false, false, ten)),
            ("Errors_Only, findings_only, sample: 10%", only(true, true, ten)),
            ("errors_only|sample:100", only(true, false, Some(Threshold::ALWAYS))),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn unlisted_text_has_a_length() {
        for (text, expected) in [
            ("keep", None),
            ("KEEP", None),
            ("drop:200", Some(200)),
            ("Drop: 1k", Some(1_000)),
            ("drop:0", Some(0)),
        ] {
            assert_eq!(parse_unlisted(text), Ok(expected), "{text}");
        }
        for text in ["", "drop", "drop:", "drop:x", "200", "truncate:5", "drop:-1"] {
            assert_eq!(parse_unlisted(text), Err(ALLOWED_UNLISTED.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused_in_words() {
        for (text, expected) in [
            ("", "allowed: keep, drop, truncate:BYTES, or one or more of errors_only"),
            ("errors", "allowed: keep"),
            ("keep, errors_only", "'keep' stands alone"),
            ("errors_only, drop", "'drop' stands alone"),
            ("errors_only, truncate:500", "'truncate:BYTES' stands alone"),
            ("truncate:0", "allowed: truncate:BYTES"),
            ("truncate", "'truncate:BYTES' stands alone"),
            ("sample:0", "with a number above 0, up to 100"),
            ("sample:101", "with a number above 0, up to 100"),
            ("sample:nan", "with a number above 0, up to 100"),
            ("sample:x", "with a number above 0, up to 100"),
            ("sample", "allowed: keep"),
            ("sample:5, sample:6", "given twice"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }
}
