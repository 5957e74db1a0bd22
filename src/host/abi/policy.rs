//! Which row a release gets: its own, or the newest one that may fit it.

use super::row::{HostAbi, Release};

/// The environment variable that says how far beyond the table to go.
pub(in crate::host) const VARIABLE: &str = "FLUENT_BIT_AI_HOSTS";
/// The page that explains it.
pub(in crate::host) const PAGE: &str = "docs/HOSTS.md";

/// How far beyond the table to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::host) enum ReleasePolicy {
    /// Releases that have a row run.
    Known,
    /// So does a newer patch of a minor release that has one, if the row is proved.
    #[default]
    Patches,
    /// So does every newer release, if the newest row is proved.
    Newest,
}

impl ReleasePolicy {
    /// What the environment says.
    pub(in crate::host) fn from_environment() -> Result<Self, String> {
        match std::env::var_os(VARIABLE) {
            None => Ok(Self::default()),
            Some(value) => Self::parse(&value.to_string_lossy()),
        }
    }

    fn parse(value: &str) -> Result<Self, String> {
        match value {
            "" => Ok(Self::default()),
            "known" => Ok(Self::Known),
            "newest" => Ok(Self::Newest),
            other => Err(format!(
                "environment variable {VARIABLE}: '{other}' is not allowed; allowed: known, \
                 newest, or not set"
            )),
        }
    }
}

/// Why a row stands for the running release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::host) enum Chosen {
    /// Our own test host said which row it imitates.
    Stated,
    /// The row covers the release.
    Table,
    /// The host does not say its release, and its functions fit several rows, of which this is the
    /// newest.
    Symbols,
    /// The release is a newer patch than the row covers.
    Patch,
    /// The release is newer than every row, and the environment asked for the newest.
    Newest,
}

impl Chosen {
    /// Whether nothing but a proof speaks for the row.
    pub(in crate::host) const fn is_beyond_table(self) -> bool {
        matches!(self, Self::Symbols | Self::Patch | Self::Newest)
    }
}

/// The row of `rows` for a release, or how to tell a user that there is none.
pub(in crate::host) fn choose<'a>(
    rows: &'a [HostAbi],
    release: &str,
    policy: ReleasePolicy,
) -> Result<(&'a HostAbi, Chosen), String> {
    let refuse = |what_to_do: &str| {
        Err(format!(
            "this is Fluent Bit {release}, whose structures fluent-bit-ai {} does not know; \
             supported are {}. {what_to_do} ({PAGE})",
            env!("CARGO_PKG_VERSION"),
            supported(rows)
        ))
    };
    let Some(wanted) = Release::parse(release) else {
        return refuse("That is no release of Fluent Bit's; run an unmodified one");
    };
    if let Some(row) = rows.iter().find(|row| row.covers(wanted)) {
        return Ok((row, Chosen::Table));
    }
    let minor = (wanted.major, wanted.minor);
    let own_minor = rows.iter().rev().find(|row| (row.first.major, row.first.minor) == minor);
    let newest = rows.iter().rev().find(|row| row.last < wanted);
    match (own_minor, newest, policy) {
        (_, None, _) => refuse("Run a newer Fluent Bit"),
        (Some(row), Some(_), ReleasePolicy::Patches | ReleasePolicy::Newest)
            if row.last < wanted =>
        {
            Ok((row, Chosen::Patch))
        }
        (_, Some(row), ReleasePolicy::Newest) => Ok((row, Chosen::Newest)),
        (_, Some(_), ReleasePolicy::Known) => refuse(
            "FLUENT_BIT_AI_HOSTS is 'known', which allows no other: unset it, take a newer \
             fluent-bit-ai, or add a row for this release",
        ),
        (_, Some(row), ReleasePolicy::Patches) => refuse(&format!(
            "Take a newer fluent-bit-ai, add a row for this release, or set \
             {VARIABLE}=newest, which has the layout of {} proved against this host and used if \
             it holds",
            row.since
        )),
    }
}

/// The releases that have a row, in words: a range for each pair of first numbers.
pub(in crate::host) fn supported(rows: &[HostAbi]) -> String {
    let mut ranges: Vec<(Release, Release)> = Vec::new();
    for row in rows {
        match ranges.last_mut() {
            Some((first, last))
                if (first.major, first.minor) == (row.first.major, row.first.minor) =>
            {
                *last = row.last;
            }
            _ => ranges.push((row.first, row.last)),
        }
    }
    let expected: Vec<String> =
        ranges.iter().map(|(first, last)| format!("{first} to {last}")).collect();
    expected.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::rows::ROWS;
    use super::*;

    fn chosen(release: &str, policy: ReleasePolicy) -> Option<(&'static str, Chosen)> {
        choose(ROWS, release, policy).ok().map(|(row, chosen)| (row.since, chosen))
    }

    #[test]
    fn every_known_release_has_its_row() {
        let rows =
            [("3.0.7", "3.0.0"), ("4.2.3.1", "4.2.0"), ("4.2.8", "4.2.4"), ("5.1.1", "5.1.0")];
        for (release, row) in rows {
            for policy in [ReleasePolicy::Known, ReleasePolicy::Patches, ReleasePolicy::Newest] {
                assert_eq!(chosen(release, policy), Some((row, Chosen::Table)));
            }
        }
    }

    #[test]
    fn a_newer_patch_gets_the_newest_row_of_its_minor() {
        let rows =
            [("4.0.15", "4.0.12"), ("4.2.9", "4.2.4"), ("5.0.99", "5.0.6"), ("5.1.2", "5.1.0")];
        for (release, row) in rows {
            assert_eq!(chosen(release, ReleasePolicy::Patches), Some((row, Chosen::Patch)));
            assert_eq!(chosen(release, ReleasePolicy::Newest), Some((row, Chosen::Patch)));
            assert_eq!(chosen(release, ReleasePolicy::Known), None);
        }
    }

    #[test]
    fn an_unknown_minor_is_refused_with_what_to_do_unless_asked_for() {
        for (release, row) in [("5.2.0", "5.1.0"), ("6.0.0", "5.1.0"), ("4.3.0", "4.2.4")] {
            let refusal = choose(ROWS, release, ReleasePolicy::Patches).unwrap_err();
            for word in [
                release,
                "4.2.0 to 4.2.8, 5.0.0 to 5.0.9",
                "newer fluent-bit-ai",
                "add a row",
                "FLUENT_BIT_AI_HOSTS=newest",
                "docs/HOSTS.md",
            ] {
                assert!(refusal.contains(word), "{word}: {refusal}");
            }
            assert_eq!(chosen(release, ReleasePolicy::Newest), Some((row, Chosen::Newest)));
        }
    }

    #[test]
    fn what_is_older_or_no_release_is_refused_whatever_the_policy() {
        for release in ["2.2.3", "nonsense", ""] {
            for policy in [ReleasePolicy::Known, ReleasePolicy::Patches, ReleasePolicy::Newest] {
                let refusal = choose(ROWS, release, policy).unwrap_err();
                assert!(refusal.contains("supported are 3.0.0 to 3.0.7"), "{refusal}");
            }
        }
    }

    #[test]
    fn the_variable_takes_two_words() {
        assert_eq!(ReleasePolicy::parse("known"), Ok(ReleasePolicy::Known));
        assert_eq!(ReleasePolicy::parse("newest"), Ok(ReleasePolicy::Newest));
        assert_eq!(ReleasePolicy::parse(""), Ok(ReleasePolicy::Patches));
        let refusal = ReleasePolicy::parse("all").unwrap_err();
        assert!(
            refusal.contains("FLUENT_BIT_AI_HOSTS: 'all'") && refusal.contains("known, newest")
        );
    }
}
