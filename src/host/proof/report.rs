//! What a proof found.

/// The fields of a row, as they were found in a host.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::host) struct ProofReport {
    /// Found where the row says.
    held: Vec<&'static str>,
    /// Found elsewhere, or something else was found there.
    wrong: Vec<&'static str>,
    /// The host gives no means to find them.
    unproved: Vec<&'static str>,
    /// Found, but not beyond doubt; they are not used.
    spared: Vec<&'static str>,
}

impl ProofReport {
    /// Notes whether a field is where the row says; tells it as well.
    pub(super) fn note(&mut self, field: &'static str, holds: bool) -> bool {
        if holds { &mut self.held } else { &mut self.wrong }.push(field);
        holds
    }

    /// Notes a field that nothing was found out about.
    pub(super) fn leave(&mut self, field: &'static str) {
        self.unproved.push(field);
    }

    /// Notes a structure that is not to be written to.
    pub(super) fn spare(&mut self, structure: &'static str) {
        self.spared.push(structure);
    }

    /// Whether a structure is not to be written to.
    pub(in crate::host) fn spares(&self, structure: &str) -> bool {
        self.spared.contains(&structure)
    }

    /// How many fields were found where the row says.
    pub(in crate::host) fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing that was found speaks against the row.
    pub(in crate::host) fn is_unopposed(&self) -> bool {
        self.wrong.is_empty()
    }

    /// Whether every field was found where the row says.
    pub(in crate::host) fn is_whole(&self) -> bool {
        self.wrong.is_empty() && self.unproved.is_empty()
    }

    /// What speaks against the row, for a message.
    pub(in crate::host) fn problems(&self) -> String {
        let mut all = self.wrong.clone();
        all.extend(&self.unproved);
        let shown = 4;
        let mut text =
            all.iter().take(shown).map(|field| format!("'{field}'")).collect::<Vec<_>>().join(", ");
        if let Some(more) = all.len().checked_sub(shown).filter(|more| *more > 0) {
            text = format!("{text} and {more} more");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_field_that_is_elsewhere_is_enough() {
        let mut report = ProofReport::default();
        assert!(report.note("tag", true) && report.is_whole());
        report.leave("cmt");
        assert!(report.is_unopposed() && !report.is_whole());
        assert!(!report.note("p", false) && !report.is_unopposed());
        assert_eq!((report.held(), report.problems()), (1, "'p', 'cmt'".to_owned()));
    }
}
