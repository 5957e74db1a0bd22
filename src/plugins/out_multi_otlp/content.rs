//! Option `endpoint.NAME.content`.

use crate::config::parse_size;
use crate::export::{ContentHandling, KeepContentWhen};
use crate::sampling::Threshold;

const ALLOWED: &str = "allowed: keep, drop, truncate:BYTES, or one or more of errors_only, \
                       findings_only, hinted and sample:PERCENT, separated by commas";
const ALLOWED_CUT: &str = "allowed: truncate:BYTES, as in truncate:500 or truncate:4k";
const ALLOWED_UNLISTED: &str = "allowed: keep, or drop:BYTES, as in drop:200 or drop:1k";
const ALLOWED_SAMPLE: &str =
    "allowed: sample:PERCENT with a number above 0, up to 100, as in sample:10 or sample:0.5";

/// Reads a content policy: one name for all items, or the reasons for which content is kept, of
/// which one is enough. `|` separates them as well as a comma.
///
/// # Errors
/// What is allowed.
pub(super) fn parse(value: &str) -> Result<ContentHandling, String> {
    let lower = value.to_ascii_lowercase();
    let reasons: Vec<&str> =
        lower.split([',', '|']).map(str::trim).filter(|reason| !reason.is_empty()).collect();
    if let [reason] = reasons.as_slice() {
        match (*reason, reason.strip_prefix("truncate:")) {
            ("keep", _) => return Ok(ContentHandling::Keep),
            ("drop", _) => return Ok(ContentHandling::Drop),
            (_, Some(bytes)) => return truncate(bytes.trim()),
            _ => {}
        }
    }
    let mut kept = KeepContentWhen::default();
    for reason in reasons {
        match (reason, reason.strip_prefix("sample:")) {
            ("errors_only", _) => kept.errors = true,
            ("findings_only", _) => kept.findings = true,
            ("hinted", _) => kept.hinted = true,
            (_, Some(_)) if kept.sample.is_some() => {
                return Err("sample:PERCENT is given twice".to_owned());
            }
            (_, Some(percent)) => kept.sample = Some(sample(percent.trim())?),
            ("keep" | "drop", _) => return Err(format!("'{reason}' stands alone; {ALLOWED}")),
            _ if reason.starts_with("truncate") => {
                return Err(format!("'truncate:BYTES' stands alone; {ALLOWED}"));
            }
            _ => return Err(ALLOWED.to_owned()),
        }
    }
    if kept == KeepContentWhen::default() {
        return Err(ALLOWED.to_owned());
    }
    Ok(ContentHandling::Only(kept))
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

fn truncate(bytes: &str) -> Result<ContentHandling, String> {
    let bytes = parse_size(bytes).and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = bytes.filter(|bytes| *bytes > 0);
    bytes.map(ContentHandling::Truncate).ok_or_else(|| ALLOWED_CUT.to_owned())
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
        let only = |errors, findings, sample| {
            ContentHandling::Only(KeepContentWhen { errors, findings, sample, hinted: false })
        };
        let hinted = KeepContentWhen { hinted: true, ..KeepContentWhen::default() };
        for (text, expected) in [
            ("keep", ContentHandling::Keep),
            ("DROP", ContentHandling::Drop),
            ("truncate: 4k", ContentHandling::Truncate(4_000)),
            ("errors_only", only(true, false, None)),
            ("findings_only", only(false, true, None)),
            ("sample:10", only(false, false, ten)),
            ("hinted", ContentHandling::Only(hinted)),
            ("hinted, sample:10", ContentHandling::Only(KeepContentWhen { sample: ten, ..hinted })),
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
    fn what_means_nothing_is_refused_with_a_message() {
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
