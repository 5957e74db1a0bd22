//! Prices of `ai_metrics`: which calls are priced, and the user's own list, looked at again for changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Tick;
use crate::config::Parser;
use crate::files::{self, FileVersion};
use crate::pricing::PriceTable;

/// The largest list that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// How often the file is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What calls are priced by, beside what their spans report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CostBasis {
    /// Costs are not asked for.
    Off,
    /// Nothing.
    Reported,
    /// The user's own prices.
    Own,
    /// These, and the list prices that are shipped.
    List,
}

/// The user's own list, and what calls are priced by with it.
#[derive(Debug)]
pub(super) struct PricesFile {
    path: PathBuf,
    basis: CostBasis,
    seen: Option<FileVersion>,
    looked: Tick,
}

impl PricesFile {
    /// Reads the list.
    ///
    /// # Errors
    /// What is wrong with it.
    fn open(path: &Path, basis: CostBasis, now: Tick) -> Result<(Self, PriceTable), Vec<String>> {
        let mut file = Self { path: path.to_owned(), basis, seen: None, looked: now };
        let prices = file.read()?;
        Ok((file, prices))
    }

    fn read(&mut self) -> Result<PriceTable, Vec<String>> {
        // Its version comes first, so that a change in between is seen the next time.
        self.seen = FileVersion::of(&self.path);
        let named = |problem: String| format!("prices_file '{}': {problem}", self.path.display());
        let text = files::read_text(&self.path, MAX_FILE)
            .map_err(|problem| vec![format!("prices_file {}", problem.of(&self.path))])?;
        let own = PriceTable::read(&text)
            .map_err(|problems| problems.into_iter().map(named).collect::<Vec<_>>())?;
        Ok(shipped(self.basis).with_own(own))
    }

    /// The prices anew if the file may have changed, or what is wrong with it now.
    pub(super) fn changed(&mut self, now: Tick) -> Option<Result<PriceTable, Vec<String>>> {
        if now.since(self.looked) < LOOK_AGAIN {
            return None;
        }
        self.looked = now;
        (FileVersion::of(&self.path) != self.seen).then(|| self.read())
    }

    /// What to say of new prices.
    pub(super) fn told(&self, prices: &PriceTable) -> String {
        let (path, count) = (self.path.display(), prices.count());
        format!("prices_file '{path}' has changed: {count} names of models have a price now")
    }
}

fn shipped(basis: CostBasis) -> PriceTable {
    if basis == CostBasis::List { PriceTable::shipped() } else { PriceTable::default() }
}

/// The prices that are asked for, if costs are, and the file that they are from in part.
pub(super) fn read(
    parser: &mut Parser<'_>,
    basis: CostBasis,
    path: Option<&str>,
    now: Tick,
) -> (Option<PriceTable>, Option<PricesFile>) {
    let Some(path) = path else {
        return ((basis != CostBasis::Off).then(|| shipped(basis)), None);
    };
    if matches!(basis, CostBasis::Off | CostBasis::Reported) {
        parser.refuse("prices_file", path, "allowed: with 'cost: list' and 'cost: own' only");
        return (None, None);
    }
    match PricesFile::open(Path::new(path), basis, now) {
        Ok((file, prices)) => (Some(prices), Some(file)),
        Err(problems) => {
            problems.into_iter().for_each(|problem| parser.problem(problem));
            (None, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pricing::UsedTokens;

    const LATER: Tick = Tick(2_000_000_000);

    fn price(prices: &PriceTable, provider: &str, model: &str) -> Option<u64> {
        let used = UsedTokens { input: 1, ..UsedTokens::default() };
        prices.find(provider, &[model])?.cost("", &used)
    }

    #[test]
    fn a_list_is_read_again_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prices.csv");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write("provider,model,input,output\nopenai,gpt-4o,2,8\n");
        let (mut file, prices) = PricesFile::open(&path, CostBasis::List, Tick(0)).unwrap();
        assert_eq!(price(&prices, "openai", "gpt-4o"), Some(2_000_000));
        assert_eq!(price(&prices, "openai", "o1"), Some(15_000_000));
        assert!(file.changed(LATER).is_none());
        write("provider,model,input,output\nopenai,gpt-4o,1,8\n");
        assert!(file.changed(Tick(LATER.0 + 1)).is_none(), "not so often");
        let prices = file.changed(Tick(LATER.0 * 2)).unwrap().unwrap();
        assert_eq!(price(&prices, "openai", "gpt-4o"), Some(1_000_000));
        assert!(file.told(&prices).contains("has changed: "));
        write("provider,model,input,output\nopenai,gpt-4o,cheap,8\n");
        let problems = file.changed(Tick(LATER.0 * 3)).unwrap().unwrap_err();
        let named =
            format!("prices_file '{}': line 2: input 'cheap' is not allowed", path.display());
        assert!(problems.len() == 1 && problems[0].starts_with(&named), "{problems:?}");
        assert!(file.changed(Tick(LATER.0 * 4)).is_none(), "once for each change");
        std::fs::remove_file(&path).unwrap();
        let problems = file.changed(Tick(LATER.0 * 5)).unwrap().unwrap_err();
        assert!(problems[0].contains("cannot be read"), "{problems:?}");
    }

    #[test]
    fn own_prices_may_be_the_only_ones() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "provider,model,input,output\n*,ours,2,8\n").unwrap();
        let (_, prices) = PricesFile::open(file.path(), CostBasis::Own, Tick(0)).unwrap();
        assert_eq!(price(&prices, "openai", "gpt-4o"), None);
        assert_eq!(price(&prices, "vllm", "ours"), Some(2_000_000));
        let missing = PricesFile::open(Path::new("/no/such/file"), CostBasis::Own, Tick(0));
        assert!(missing.unwrap_err()[0].starts_with("prices_file '/no/such/file' cannot be read"));
    }
}
