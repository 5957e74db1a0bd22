//! Texts of JSON.

use std::fmt::{self, Debug, Formatter};
use std::ops::Deref;

/// A text of JSON, without its escapes.
#[derive(Clone, Copy, Default)]
pub struct Text<'a> {
    text: &'a str,
    /// Whether it is known that JSON writes it as it is.
    is_plain: bool,
}

impl<'a> Text<'a> {
    /// A word without quotes, backslashes and control characters.
    pub const fn word(word: &'static str) -> Self {
        Self::plain(word)
    }

    /// A text that stood in JSON without an escape, so that it can be written without one.
    pub(super) const fn plain(text: &'a str) -> Self {
        Self { text, is_plain: true }
    }

    pub const fn as_str(self) -> &'a str {
        self.text
    }

    /// Whether it is known that JSON writes it as it is.
    pub(super) const fn is_plain(self) -> bool {
        self.is_plain
    }

    /// What stands for it, which is itself or a word.
    pub fn map(self, word: impl FnOnce(&'a str) -> &'a str) -> Self {
        Self { text: word(self.text), is_plain: self.is_plain }
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, is_plain: false }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.text
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Debug for Text<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.text.fmt(formatter)
    }
}
