//! TOML as the values that YAML would be, with the lines where they stand.

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::lines::Lines;

/// The values of a text.
///
/// # Errors
/// The line where it is no TOML, and why.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let problem = |error: toml::de::Error| {
        let line = line_at(text, error.span().map_or(0, |span| span.start));
        format!("it is not TOML: line {line}: {}", error.message())
    };
    let root = DeTable::parse(text).map_err(problem)?;
    Ok(Value::Object(map(root.get_ref())))
}

/// The lines of a text; none where it is no TOML.
pub(super) fn lines(text: &str) -> Option<Lines> {
    Some(lines_of_table(text, DeTable::parse(text).ok()?.get_ref()))
}

fn map(table: &DeTable<'_>) -> Map<String, Value> {
    let pair = |(key, of): (&Spanned<_>, &Spanned<_>)| (name(key), value(of.get_ref()));
    table.iter().map(pair).collect()
}

fn name<S: AsRef<str>>(key: &Spanned<S>) -> String {
    key.get_ref().as_ref().to_owned()
}

fn value(of: &DeValue<'_>) -> Value {
    match of {
        DeValue::String(text) => Value::String(text.as_ref().to_owned()),
        DeValue::Integer(number) => integer(number).map_or(Value::Null, Value::Number),
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok().and_then(Number::from_f64);
            number.map_or(Value::Null, Value::Number)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(values) => values.iter().map(|of| value(of.get_ref())).collect(),
        DeValue::Table(table) => Value::Object(map(table)),
    }
}

fn integer(number: &DeInteger<'_>) -> Option<Number> {
    let (text, radix) = (number.as_str(), number.radix());
    let signed = i64::from_str_radix(text, radix).ok().map(Number::from);
    signed.or_else(|| u64::from_str_radix(text, radix).ok().map(Number::from))
}

fn lines_of_table(text: &str, table: &DeTable<'_>) -> Lines {
    let pair = |(key, of): (&Spanned<_>, &Spanned<_>)| {
        // Where a table is made of several, that of its name is the first of them.
        (name(key), line_at(text, key.span().start), lines_of(text, of.get_ref()))
    };
    Lines::Map(table.iter().map(pair).collect())
}

fn lines_of(text: &str, of: &DeValue<'_>) -> Lines {
    match of {
        DeValue::Table(table) => lines_of_table(text, table),
        DeValue::Array(values) => {
            let element = |of: &Spanned<DeValue<'_>>| {
                (line_at(text, of.span().start), lines_of(text, of.get_ref()))
            };
            Lines::List(values.iter().map(element).collect())
        }
        _ => Lines::Leaf,
    }
}

fn line_at(text: &str, at: usize) -> u64 {
    let before = text.get(..at).unwrap_or(text);
    let lines = memchr::memchr_iter(b'\n', before.as_bytes()).count();
    u64::try_from(lines).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = "RulesVersion = 2 # the version\n[Samplers.__default__.DeterministicSampler]\nSampleRate = 1\n\n\
        [Samplers.\"env.1\".RulesBasedSampler]\nCheckNestedFields = false\n\
        [[Samplers.\"env.1\".RulesBasedSampler.Rules]]\nName = 'a'\n\
        [[Samplers.\"env.1\".RulesBasedSampler.Rules.Conditions]]\nField = \"x\"\nValue = 0x1F\n\
        [[Samplers.\"env.1\".RulesBasedSampler.Rules]]\nDrop = true\nConditions = [{Field = 'y', Value = 1.5},\n\
        {Fields = ['z'], Value = -3}]\n";

    #[test]
    fn values_are_those_that_yaml_would_have() {
        let wanted = json!({
            "RulesVersion": 2,
            "Samplers": {
                "__default__": {"DeterministicSampler": {"SampleRate": 1}},
                "env.1": {"RulesBasedSampler": {"CheckNestedFields": false, "Rules": [
                    {"Name": "a", "Conditions": [{"Field": "x", "Value": 31}]},
                    {"Drop": true, "Conditions": [
                        {"Field": "y", "Value": 1.5}, {"Fields": ["z"], "Value": -3},
                    ]},
                ]}},
            },
        });
        assert_eq!(read(TEXT), Ok(wanted));
        let times = read("a = 1979-05-27\nb = inf\nc = 9223372036854775808\n");
        assert!(times.is_ok() || times.is_err_and(|problem| problem.contains("line 3")));
        let problem = read("a = 1\nb = = 2\n").unwrap_err();
        assert!(problem.starts_with("it is not TOML: line 2: "), "{problem}");
        assert!(read("a = 1\na = 2\n").unwrap_err().contains("line 2"));
    }

    #[test]
    fn keys_and_elements_have_lines() {
        let lines = lines(TEXT).unwrap();
        for (location, line) in [
            ("RulesVersion", 1),
            ("Samplers.__default__.DeterministicSampler.SampleRate", 3),
            ("Samplers.env.1.RulesBasedSampler.CheckNestedFields", 6),
            ("Samplers.env.1.RulesBasedSampler.Rules[0].Name", 8),
            ("Samplers.env.1.RulesBasedSampler.Rules[0].Conditions[0].Value", 11),
            ("Samplers.env.1.RulesBasedSampler.Rules[1].Drop", 13),
            ("Samplers.env.1.RulesBasedSampler.Rules[1].Conditions[1].Fields", 15),
        ] {
            assert_eq!(lines.line_of(location), Some(line), "{location}");
        }
        assert!(super::lines("= 1").is_none());
    }
}
