//! Release numbers of the host.

use std::fmt;

/// A release of Fluent Bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
    /// The third number.
    pub patch: u16,
}

impl Release {
    /// The release `major.minor.patch`.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// What a text says as far as it does, for readers that must go on: a number that is missing or none
    /// counts as 0, which is older than every release.
    #[must_use]
    pub fn parse_lossy(text: &str) -> Self {
        let mut numbers = text.split('.').map(|number| number.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self::new(next(), next(), next())
    }

    /// Reads `4.2.8`. A fourth number, as in `4.2.3.1`, never changed a layout and is left out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse::<u16>);
        let release =
            Self::new(numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        numbers.all(|number| number.is_ok()).then_some(release)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_strictly_or_as_far_as_they_go() {
        let release = Release::new(4, 2, 8);
        assert_eq!(
            (Release::parse("4.2.8"), Release::parse("4.2.8.1")),
            (Some(release), Some(release))
        );
        for text in ["", "4", "4.2", "4.2.x", "4.2.8-rc", "4.2.8.x"] {
            assert_eq!(Release::parse(text), None, "{text}");
        }
        assert_eq!(Release::parse_lossy("4.2.8-rc"), Release::new(4, 2, 0));
        assert_eq!(Release::parse_lossy("unknown"), Release::new(0, 0, 0));
        assert_eq!(Release::parse_lossy("5.1"), Release::new(5, 1, 0));
        assert_eq!(Release::new(5, 0, 10).to_string(), "5.0.10");
        assert!(Release::new(5, 0, 10) > Release::new(5, 0, 9));
    }
}
