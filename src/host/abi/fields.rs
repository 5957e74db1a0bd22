//! A table of a TOML document, read field by field: what is missing, unknown or wrong is told, with where.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// What is wrong, and where in the text.
pub(super) type FieldProblem = (usize, String);

/// A table of the file, of which every field is to be asked for.
pub(super) struct TableFields<'a> {
    name: &'a str,
    at: usize,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
    problem: Option<FieldProblem>,
}

impl<'a> TableFields<'a> {
    /// A table of that name, which starts there.
    pub(super) fn new(name: &'a str, at: usize, table: &'a DeTable<'a>) -> Self {
        Self { name, at, table, asked: Vec::new(), problem: None }
    }

    fn value(&mut self, field: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.push(field);
        self.table.get(field)
    }

    fn missing(&self, field: &str) -> FieldProblem {
        (self.at, format!("{} has no field '{field}'", self.name))
    }

    fn required_value(&mut self, field: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        let value = self.value(field);
        if value.is_none() {
            let missing = self.missing(field);
            self.problem.get_or_insert(missing);
        }
        value
    }

    /// A text that has to be there, and where it stands.
    pub(super) fn text(&mut self, field: &'static str) -> Result<(usize, &'a str), FieldProblem> {
        let value = self.value(field).ok_or_else(|| self.missing(field))?;
        let at = value.span().start;
        let text = value.get_ref().as_str();
        Ok((at, text.ok_or((at, format!("{}.{field} is no text", self.name)))?))
    }

    /// A list of tables that has to be there.
    pub(super) fn list(&mut self, field: &'static str) -> Result<&'a DeArray<'a>, FieldProblem> {
        let value = self.value(field).ok_or_else(|| self.missing(field))?;
        let wrong = format!("{}.{field} is no list; write '[[{field}]]'", self.name);
        value.get_ref().as_array().ok_or((value.span().start, wrong))
    }

    /// A table that has to be there, and where it starts.
    pub(super) fn table(&mut self, field: &'static str) -> Option<(usize, &'a DeTable<'a>)> {
        let value = self.required_value(field)?;
        let at = value.span().start;
        let table = value.get_ref().as_table();
        if table.is_none() {
            let problem = (at, format!("{}.{field} is no table", self.name));
            self.problem.get_or_insert(problem);
        }
        Some((at, table?))
    }

    /// An offset that every release has.
    pub(super) fn required(&mut self, field: &'static str) -> usize {
        let value = self.required_value(field);
        self.offset(field, value).unwrap_or_default()
    }

    /// An offset that some releases have.
    pub(super) fn optional(&mut self, field: &'static str) -> Option<usize> {
        let value = self.value(field);
        self.offset(field, value)
    }

    fn offset(
        &mut self,
        field: &'static str,
        value: Option<&Spanned<DeValue<'_>>>,
    ) -> Option<usize> {
        let value = value?;
        let offset = number(value);
        if offset.is_none() {
            let problem = format!("{}.{field} is no number of bytes", self.name);
            self.problem.get_or_insert((value.span().start, problem));
        }
        offset
    }

    /// Refuses fields that were not asked for, after what was wrong with those that were.
    pub(super) fn finish(self) -> Result<(), FieldProblem> {
        let unknown = self.table.keys().find(|key| !self.asked.contains(&&**key.get_ref()));
        if let Some(key) = unknown {
            let problem = format!("{} has an unknown field '{}'", self.name, key.get_ref());
            return Err((key.span().start, problem));
        }
        self.problem.map_or(Ok(()), Err)
    }
}

/// A number that is no less than zero.
pub(super) fn number(value: &Spanned<DeValue<'_>>) -> Option<usize> {
    let integer = value.get_ref().as_integer()?;
    usize::from_str_radix(integer.as_str(), integer.radix()).ok()
}
