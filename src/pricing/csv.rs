//! Price lists: CSV, a line for each model, service tier and length of the prompt.
//!
//! The first line names the columns, in any order. Lines that are empty or begin with `#` are left out. There
//! are no quotes: no field has a comma.

use super::amount;
use super::rates::Rates;

/// The columns that there may be; those that must be there come first.
const COLUMNS: [&str; 11] = [
    "provider",
    "model",
    "input",
    "output",
    "tier",
    "above",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "date",
    "source",
];
const REQUIRED: usize = 4;
/// The most mistakes that are reported.
const MAX_PROBLEMS: usize = 20;

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PriceLine<'t> {
    /// Its number, from 1 on.
    pub(super) line: usize,
    /// Names of providers, with blanks between them.
    pub(super) providers: &'t str,
    /// Names of models, likewise; one that ends with `*` stands for all that begin so.
    pub(super) models: &'t str,
    pub(super) tier: &'t str,
    pub(super) above: u64,
    pub(super) rates: Rates,
}

/// What is wrong with a list, each with its line.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<String>,
    count: usize,
}

impl Problems {
    pub(super) fn add(&mut self, line: usize, problem: &str) {
        self.count = self.count.saturating_add(1);
        if self.found.len() < MAX_PROBLEMS {
            self.found.push(format!("line {line}: {problem}"));
        }
    }

    /// `value` if there are none.
    pub(super) fn finish<T>(mut self, value: T) -> Result<T, Vec<String>> {
        let more = self.count.saturating_sub(self.found.len());
        if more > 0 {
            self.found.push(format!("and {more} more mistakes"));
        }
        if self.found.is_empty() { Ok(value) } else { Err(self.found) }
    }
}

/// Reads a list, and notes what is wrong with it.
pub(super) fn read<'t>(text: &'t str, problems: &mut Problems) -> Vec<PriceLine<'t>> {
    let text = text.trim_start_matches('\u{feff}');
    let numbered = (1..).zip(text.lines().map(str::trim));
    let mut lines = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let Some((number, first)) = lines.next() else {
        problems.add(1, "there is no line with the names of the columns");
        return Vec::new();
    };
    let columns: Vec<&str> = first.split(',').map(str::trim).collect();
    if !are_columns(number, &columns, problems) {
        return Vec::new();
    }
    lines.filter_map(|(number, line)| read_line(number, line, &columns, problems)).collect()
}

fn are_columns(number: usize, columns: &[&str], problems: &mut Problems) -> bool {
    let before = problems.count;
    for (index, column) in columns.iter().enumerate() {
        if !COLUMNS.contains(column) {
            let allowed = COLUMNS.join(", ");
            problems.add(number, &format!("there is no column '{column}'; allowed: {allowed}"));
        } else if columns.iter().take(index).any(|earlier| earlier == column) {
            problems.add(number, &format!("the column '{column}' is there twice"));
        }
    }
    for column in COLUMNS.iter().take(REQUIRED).filter(|column| !columns.contains(column)) {
        problems.add(number, &format!("the column '{column}' is missing"));
    }
    problems.count == before
}

fn read_line<'t>(
    line: usize,
    text: &'t str,
    columns: &[&str],
    problems: &mut Problems,
) -> Option<PriceLine<'t>> {
    let cells: Vec<&str> = text.split(',').map(str::trim).collect();
    if cells.len() != columns.len() {
        let (there, named) = (cells.len(), columns.len());
        problems.add(line, &format!("it has {there} fields, and the first line names {named}"));
        return None;
    }
    let before = problems.count;
    let cell = |name: &str| {
        let found = columns.iter().zip(&cells).find(|(column, _)| **column == name);
        found.map_or("", |(_, cell)| *cell)
    };
    for name in ["provider", "model"].into_iter().filter(|name| cell(name).is_empty()) {
        problems.add(line, &format!("the {name} is missing"));
    }
    let above = match cell("above") {
        "" => 0,
        text => text.parse().unwrap_or_else(|_| {
            let allowed = "allowed: a number of tokens";
            problems.add(line, &format!("above '{text}' is not allowed; {allowed}"));
            0
        }),
    };
    let mut price = |name: &str, otherwise: Option<u64>| {
        match (cell(name), otherwise) {
        ("", Some(otherwise)) => otherwise,
        (text, _) => amount::per_token(text).unwrap_or_else(|| {
            let allowed = "allowed: US dollars per million tokens, such as 2.5, with at most 6 digits \
                           before the point and behind it";
            problems.add(line, &format!("{name} '{text}' is not allowed; {allowed}"));
            0
        }),
    }
    };
    let input = price("input", None);
    let output = price("output", None);
    // What has no price of its own is billed as any other input.
    let cache_read = price("cache_read", Some(input));
    let cache_write = price("cache_write", Some(input));
    let cache_write_1h = price("cache_write_1h", Some(cache_write));
    let rates = Rates { input, output, cache_read, cache_write, cache_write_1h };
    let (providers, models, tier) = (cell("provider"), cell("model"), cell("tier"));
    (problems.count == before).then_some(PriceLine { line, providers, models, tier, above, rates })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(text: &str) -> Vec<String> {
        let mut problems = Problems::default();
        drop(read(text, &mut problems));
        problems.finish(()).err().unwrap_or_default()
    }

    #[test]
    fn columns_may_be_in_any_order_and_missing() {
        let text = "\u{feff}# ours\r\n\r\noutput, input ,model,provider\r\n10,2.5,gpt-4o gpt-4o-x,openai\r\n";
        let mut problems = Problems::default();
        let lines = read(text, &mut problems);
        let rates = Rates {
            input: 2_500_000,
            output: 10_000_000,
            cache_read: 2_500_000,
            cache_write: 2_500_000,
            cache_write_1h: 2_500_000,
        };
        let line = PriceLine {
            line: 4,
            providers: "openai",
            models: "gpt-4o gpt-4o-x",
            tier: "",
            above: 0,
            rates,
        };
        assert_eq!(problems.finish(lines), Ok(vec![line]));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        assert_eq!(
            problems_of(" \n# nothing"),
            ["line 1: there is no line with the names of the columns"]
        );
        assert_eq!(
            problems_of("provider,model,input,inptu,input"),
            [
                "line 1: there is no column 'inptu'; allowed: provider, model, input, output, tier, above, \
                 cache_read, cache_write, cache_write_1h, date, source",
                "line 1: the column 'input' is there twice",
                "line 1: the column 'output' is missing",
            ]
        );
        let text = "provider,model,above,input,output\n\
                    a,b,,1,2\n\
                    a,b,,1\n\
                    ,,,1,2\n\
                    a,b,many,,$3\n";
        let price = "is not allowed; allowed: US dollars per million tokens, such as 2.5, with at most 6 \
                     digits before the point and behind it";
        assert_eq!(
            problems_of(text),
            [
                "line 3: it has 4 fields, and the first line names 5".to_owned(),
                "line 4: the provider is missing".to_owned(),
                "line 4: the model is missing".to_owned(),
                "line 5: above 'many' is not allowed; allowed: a number of tokens".to_owned(),
                format!("line 5: input '' {price}"),
                format!("line 5: output '$3' {price}"),
            ]
        );
        let many = format!("provider,model,input,output\n{}", "x\n".repeat(50));
        let problems = problems_of(&many);
        assert_eq!((problems.len(), &*problems[20]), (21, "and 30 more mistakes"));
    }
}
