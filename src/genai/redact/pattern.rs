//! User-defined detectors: patterns and words of a user's own.

use regex::bytes::{Regex, RegexBuilder};

use super::text::{TextRange, after_escape, breaks_json};
use super::words::WordList;

/// The longest regular expression, in bytes.
const MAX_EXPRESSION: usize = 4096;
/// The most memory that a compiled expression may take, in bytes.
const MAX_COMPILED: usize = 1 << 20;
/// The longest name or replacement, in bytes.
const MAX_TEXT: usize = 256;

/// A regular expression, or a list of words, that finds what must not leave.
///
/// Both take time in proportion to the text, whatever they are.
#[derive(Debug, Clone)]
pub struct Pattern {
    name: String,
    finder: Finder,
    with: Option<String>,
}

#[derive(Debug, Clone)]
enum Finder {
    Expression(Regex),
    Words(WordList),
}

impl Pattern {
    /// The most patterns of one filter.
    pub const MAX: usize = 32;

    /// A pattern. What it finds becomes `with`, or, without that, what the settings say.
    ///
    /// # Errors
    /// The part that is wrong (`name`, `regex` or `replacement`) and why.
    pub fn new(
        name: &str,
        expression: &str,
        with: Option<&str>,
    ) -> Result<Self, (&'static str, String)> {
        check(name, with)?;
        let regex = compile(expression).map_err(|allowed| ("regex", allowed))?;
        Ok(Self::of(name, Finder::Expression(regex), with))
    }

    /// A pattern that finds whole words, whatever their case: up to 10 000 of up to 256 bytes.
    ///
    /// # Errors
    /// The part that is wrong (`name`, `words` or `replacement`) and why.
    pub fn of_words<'w>(
        name: &str,
        words: impl IntoIterator<Item = &'w str>,
        with: Option<&str>,
    ) -> Result<Self, (&'static str, String)> {
        check(name, with)?;
        let words = WordList::new(words).map_err(|allowed| ("words", allowed))?;
        Ok(Self::of(name, Finder::Words(words), with))
    }

    fn of(name: &str, finder: Finder, with: Option<&str>) -> Self {
        Self { name: name.to_owned(), finder, with: with.map(str::to_owned) }
    }

    /// The name, for masks and counters.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it finds becomes, if the pattern itself says so.
    pub(super) fn with(&self) -> Option<&str> {
        self.with.as_deref()
    }

    /// The next place that it finds; escape sequences are not cut.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<TextRange> {
        match &self.finder {
            Finder::Expression(regex) => find_expression(regex, text, from),
            Finder::Words(words) => words.find(text, from),
        }
    }
}

fn find_expression(regex: &Regex, text: &[u8], mut from: usize) -> Option<TextRange> {
    loop {
        let found = regex.find_at(text, from)?;
        let start = after_escape(text, found.start()).max(from);
        let end = after_escape(text, found.end()).min(text.len());
        if start < end {
            return Some(TextRange { start, end });
        }
        // An empty match, or one inside an escape sequence.
        from = found.end().max(found.start().saturating_add(1));
        if from > text.len() {
            return None;
        }
    }
}

fn check(name: &str, with: Option<&str>) -> Result<(), (&'static str, String)> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > MAX_TEXT || !name.bytes().all(is_word) {
        let allowed = "allowed: up to 256 lower-case letters, digits and underscores";
        return Err(("name", allowed.to_owned()));
    }
    if with.is_some_and(|with| with.len() > MAX_TEXT || with.contains(breaks_json)) {
        let allowed = "allowed: up to 256 bytes without quotation marks, backslashes and control \
                       characters";
        return Err(("replacement", allowed.to_owned()));
    }
    Ok(())
}

/// The expression, or what is allowed.
fn compile(expression: &str) -> Result<Regex, String> {
    if expression.len() > MAX_EXPRESSION {
        return Err(format!("allowed: up to {MAX_EXPRESSION} bytes"));
    }
    let mut builder = RegexBuilder::new(expression);
    let builder = builder.size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED);
    let regex = builder.build().map_err(|error| one_line(&error))?;
    if regex.is_match(b"") {
        return Err("allowed: an expression that does not match nothing".to_owned());
    }
    Ok(regex)
}

/// What is wrong with an expression; the regex crate shows it in several lines.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(name: &str, expression: &str, with: Option<&str>) -> (&'static str, String) {
        Pattern::new(name, expression, with).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_reported() {
        assert_eq!(wrong("A b", "x", None).0, "name");
        assert_eq!(wrong("a", "(", None), ("regex", "unclosed group".to_owned()));
        assert_eq!(wrong("a", "x*", None).0, "regex");
        assert!(wrong("a", r"\w{9}{90}{90}{90}", None).1.contains("size limit"));
        assert_eq!(wrong("a", &"x".repeat(5000), None).0, "regex");
        assert_eq!(wrong("a", "x", Some("\"")).0, "replacement");
        assert!(Pattern::new("a", "x", Some("")).is_ok());
    }

    #[test]
    fn escape_sequences_are_not_cut() {
        let pattern = Pattern::new("n", "n[a-z]+|u00|é", None).unwrap();
        assert_eq!(pattern.find(br"\njoe", 0), Some(TextRange { start: 2, end: 5 }));
        assert_eq!(pattern.find(br"\u00e9 nx", 0), Some(TextRange { start: 7, end: 9 }));
        assert_eq!(pattern.find("xé".as_bytes(), 0), Some(TextRange { start: 1, end: 3 }));
        assert_eq!(pattern.find(b"", 0), None);
        let end = Pattern::new("n", r"a\\", None).unwrap();
        assert_eq!(end.find(br"a\n", 0), Some(TextRange { start: 0, end: 3 }));
        let boundary = Pattern::new("b", r"\bx|$\b", None).unwrap();
        assert_eq!(boundary.find(b"a", 0), None);
    }
}
