//! Line reader: one line of a page -> what it says.

use std::borrow::Cow;

/// Names and values, unescaped.
pub(super) type Labels<'p> = Vec<(Cow<'p, str>, Cow<'p, str>)>;

/// What a line says.
#[derive(Debug, PartialEq)]
pub(super) enum PageLine<'p> {
    /// The description of a family.
    Help(Cow<'p, str>, Cow<'p, str>),
    /// The type of a family.
    Type(Cow<'p, str>, &'p str),
    /// The unit of a family.
    Unit(Cow<'p, str>, &'p str),
    /// A value.
    Sample(Sample<'p>),
    /// The end of an OpenMetrics page.
    End,
    /// A remark, or nothing.
    Nothing,
}

/// A value with its name and labels.
#[derive(Debug, PartialEq)]
pub(super) struct Sample<'p> {
    pub(super) name: Cow<'p, str>,
    pub(super) labels: Labels<'p>,
    pub(super) value: f64,
    /// When it was taken, in the unit of the format.
    pub(super) timestamp: Option<f64>,
    pub(super) exemplar: Option<Exemplar<'p>>,
}

/// An example of what was measured.
#[derive(Debug, PartialEq)]
pub(super) struct Exemplar<'p> {
    pub(super) labels: Labels<'p>,
    pub(super) value: f64,
    /// Seconds since the Unix epoch.
    pub(super) timestamp: Option<f64>,
}

/// What is wrong with a line.
pub(super) type Malformed = &'static str;

/// Reads a line, without its end.
pub(super) fn read(line: &str) -> Result<PageLine<'_>, Malformed> {
    let mut cursor = Cursor { rest: line.trim_end_matches('\r') };
    cursor.blanks();
    if cursor.rest.trim_end().is_empty() {
        return Ok(PageLine::Nothing);
    }
    if cursor.take('#') { cursor.metadata() } else { cursor.sample().map(PageLine::Sample) }
}

/// The rest of a line.
struct Cursor<'p> {
    rest: &'p str,
}

impl<'p> Cursor<'p> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn take(&mut self, expected: char) -> bool {
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// What stands before the first character that `ends` it.
    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'p str {
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        token
    }

    /// What stands before the next blank; the blanks after it are taken too.
    fn word(&mut self) -> &'p str {
        let word = self.until(|c| c == ' ' || c == '\t');
        self.blanks();
        word
    }

    fn metadata(mut self) -> Result<PageLine<'p>, Malformed> {
        self.blanks();
        let kind = self.word();
        match kind {
            "EOF" => return Ok(PageLine::End),
            "HELP" | "TYPE" | "UNIT" => {}
            _ => return Ok(PageLine::Nothing),
        }
        let name = self.name()?;
        self.blanks();
        Ok(match kind {
            "HELP" => PageLine::Help(name, unescaped(self.rest)),
            "TYPE" => PageLine::Type(name, self.rest.trim_end()),
            _ => PageLine::Unit(name, self.rest.trim_end()),
        })
    }

    fn sample(mut self) -> Result<Sample<'p>, Malformed> {
        let mut name = if self.rest.starts_with('{') { Cow::Borrowed("") } else { self.name()? };
        self.blanks();
        let labels = if self.take('{') { self.labels(Some(&mut name))? } else { Labels::new() };
        if name.is_empty() {
            return Err("it has no name");
        }
        self.blanks();
        let value = number(self.word())?;
        let mut timestamp = None;
        if !self.rest.is_empty() && !self.rest.starts_with('#') {
            timestamp = Some(number(self.word())?);
        }
        let exemplar = if self.take('#') { Some(self.exemplar()?) } else { None };
        if !self.rest.trim_end().is_empty() {
            return Err("something follows the value");
        }
        Ok(Sample { name, labels, value, timestamp, exemplar })
    }

    fn exemplar(&mut self) -> Result<Exemplar<'p>, Malformed> {
        self.blanks();
        if !self.take('{') {
            return Err("the exemplar has no labels");
        }
        let labels = self.labels(None)?;
        self.blanks();
        let value = number(self.word())?;
        let timestamp =
            if self.rest.trim_end().is_empty() { None } else { Some(number(self.word())?) };
        Ok(Exemplar { labels, value, timestamp })
    }

    /// The labels after the opening brace. `name` takes the quoted name of the metric that may stand among
    /// them.
    fn labels(&mut self, mut name: Option<&mut Cow<'p, str>>) -> Result<Labels<'p>, Malformed> {
        let mut labels = Labels::new();
        loop {
            self.blanks();
            if self.take('}') {
                return Ok(labels);
            }
            let is_quoted = self.rest.starts_with('"');
            let label = self.name()?;
            self.blanks();
            if self.take('=') {
                self.blanks();
                if !self.take('"') {
                    return Err("the value of a label is not quoted");
                }
                labels.push((label, self.quoted()?));
            } else {
                match name.take() {
                    Some(name) if is_quoted && name.is_empty() => *name = label,
                    _ => return Err("a label has no value"),
                }
            }
            self.blanks();
            if !self.take(',') && !self.rest.starts_with('}') {
                return Err("labels are not separated by commas");
            }
        }
    }

    /// A name, bare or quoted.
    fn name(&mut self) -> Result<Cow<'p, str>, Malformed> {
        let name = if self.take('"') {
            self.quoted()?
        } else {
            let name = self.until(|c| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
            if name.starts_with(|first: char| first.is_ascii_digit()) {
                return Err("a name starts with a digit");
            }
            Cow::Borrowed(name)
        };
        if name.is_empty() { Err("a name is missing") } else { Ok(name) }
    }

    /// Text after its opening quote, and the closing one.
    fn quoted(&mut self) -> Result<Cow<'p, str>, Malformed> {
        let whole = self.rest;
        let mut is_escaped = false;
        let mut has_escapes = false;
        let end = whole.find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            has_escapes |= is_escaped;
            ends
        });
        let (text, rest) =
            end.and_then(|end| whole.split_at_checked(end)).ok_or("a quote is not closed")?;
        self.rest = rest.strip_prefix('"').unwrap_or(rest);
        Ok(if has_escapes { unescaped(text) } else { Cow::Borrowed(text) })
    }
}

/// Text whose `\\`, `\"` and `\n` are what they stand for; what else follows a backslash stays.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match characters.next() {
            Some('n') => plain.push('\n'),
            Some(c @ ('\\' | '"')) => plain.push(c),
            Some(c) => plain.extend(['\\', c]),
            None => plain.push('\\'),
        }
    }
    Cow::Owned(plain)
}

fn number(word: &str) -> Result<f64, Malformed> {
    word.parse().map_err(|_| "a value is no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(line: &str) -> Sample<'_> {
        match read(line).unwrap() {
            PageLine::Sample(sample) => sample,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn labels<'a>(labels: &'a Labels<'_>) -> Vec<(&'a str, &'a str)> {
        labels.iter().map(|(name, value)| (&**name, &**value)).collect()
    }

    #[test]
    fn samples_have_names_labels_values_and_times() {
        let plain = sample("vllm:num_requests_running 3");
        assert_eq!(
            (&*plain.name, plain.value, plain.timestamp),
            ("vllm:num_requests_running", 3.0, None)
        );
        let full = sample("  a{ b = \"x,y}\" ,c=\"\\\\ \\\" \\n \\t\",}\t+Inf 1395066363000 ");
        assert_eq!(labels(&full.labels), [("b", "x,y}"), ("c", "\\ \" \n \\t")]);
        assert_eq!((full.value, full.timestamp), (f64::INFINITY, Some(1_395_066_363_000.0)));
        assert!(sample("a NaN").value.is_nan());
        assert_eq!(sample("a{}-1.5e-3").value, -0.0015);
    }

    #[test]
    fn names_of_prometheus_3_are_quoted() {
        let quoted = sample("{\"http.status \\\"x\\\"\",\"server.address\"=\"a\",b=\"c\"} 1");
        assert_eq!(quoted.name, "http.status \"x\"");
        assert_eq!(labels(&quoted.labels), [("server.address", "a"), ("b", "c")]);
        let kind = read("# TYPE \"http.status\" counter\r").unwrap();
        assert_eq!(kind, PageLine::Type("http.status".into(), "counter"));
    }

    #[test]
    fn openmetrics_has_exemplars_units_and_an_end() {
        let line = "f_bucket{le=\"0.1\"} 8 # {trace_id=\"KOO5S4vxi0o\"} 0.067 1520879607.789";
        let exemplar = sample(line).exemplar.unwrap();
        assert_eq!(labels(&exemplar.labels), [("trace_id", "KOO5S4vxi0o")]);
        assert_eq!((exemplar.value, exemplar.timestamp), (0.067, Some(1_520_879_607.789)));
        let timed = sample("a_total 17 1520879607.789 # {} 0.5");
        assert_eq!(
            (timed.timestamp, timed.exemplar.unwrap().timestamp),
            (Some(1_520_879_607.789), None)
        );
        assert_eq!(read("# EOF").unwrap(), PageLine::End);
        assert_eq!(read("# UNIT a seconds").unwrap(), PageLine::Unit("a".into(), "seconds"));
        let help = read("# HELP a What \\\\ is\\nsaid.").unwrap();
        assert_eq!(help, PageLine::Help("a".into(), "What \\ is\nsaid.".into()));
    }

    #[test]
    fn remarks_and_blanks_say_nothing() {
        for line in ["", "   ", "\r", "# anything {", "#", "#HELPLESS"] {
            assert_eq!(read(line).unwrap(), PageLine::Nothing, "{line}");
        }
    }

    #[test]
    fn wrong_lines_are_refused_in_words() {
        for (line, problem) in [
            ("<html>", "a name is missing"),
            ("1a 1", "a name starts with a digit"),
            ("a", "a value is no number"),
            ("a one", "a value is no number"),
            ("a{b=\"c\" 1", "labels are not separated by commas"),
            ("a{b=\"c", "a quote is not closed"),
            ("a{b=\"c\\\"} 1", "a quote is not closed"),
            ("a{b=c} 1", "the value of a label is not quoted"),
            ("a{b} 1", "a label has no value"),
            ("a{\"b\"} 1", "a label has no value"),
            ("{b=\"c\"} 1", "it has no name"),
            ("a 1 2 3", "something follows the value"),
            ("a 1 # 3", "the exemplar has no labels"),
            ("# TYPE", "a name is missing"),
        ] {
            assert_eq!(read(line).unwrap_err(), problem, "{line}");
        }
    }
}
