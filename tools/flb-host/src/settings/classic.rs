//! Fluent Bit's classic form: sections in brackets with lines of a name and a value.

use super::document::{Document, PropertyValue, Section};

/// Reads a configuration or a file of plugins.
///
/// # Errors
/// One line that says what is wrong, and on which line.
pub(super) fn parse(text: &str) -> Result<Document, String> {
    let mut document = Document::default();
    let mut current: Option<(&str, Section)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| format!("line {number}: {what}");
        if let Some(name) = line.strip_prefix('[') {
            let name = name.strip_suffix(']').ok_or_else(|| wrong("a section without its ']'"))?;
            if let Some((name, section)) = current.replace((name, Section::default())) {
                add(&mut document, name, section)?;
            }
            continue;
        }
        let Some((_, section)) = &mut current else {
            return Err(wrong("a property before the first section"));
        };
        let (key, value) =
            line.split_once(char::is_whitespace).ok_or_else(|| wrong("a name without a value"))?;
        section.options.push((key.to_owned(), PropertyValue::One(value.trim().to_owned())));
    }
    if let Some((name, section)) = current {
        add(&mut document, name, section)?;
    }
    Ok(document)
}

fn add(document: &mut Document, name: &str, section: Section) -> Result<(), String> {
    match name.to_ascii_lowercase().as_str() {
        "service" => document.service.options.extend(section.options),
        "input" => document.pipeline.inputs.push(section),
        "filter" => document.pipeline.filters.push(section),
        "output" => document.pipeline.outputs.push(section),
        "plugins" => {
            for (key, path) in section.pairs() {
                if !key.eq_ignore_ascii_case("path") {
                    return Err(format!("[PLUGINS] knows Path and not '{key}'"));
                }
                document.plugins.push(path.to_owned());
            }
        }
        _ => return Err(format!("unknown section [{name}]")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_have_their_properties_in_order() {
        let text = "# ours\n[SERVICE]\n    Flush 1\n[INPUT]\n    Name ai_otlp\n    Tag  ai\n\
                    [Filter]\n    Name x\n    Rule a b\n    Rule c\n[OUTPUT]\n    Name null\n";
        let document = parse(text).unwrap();
        assert_eq!(document.service.get("flush").as_deref(), Some("1"));
        assert_eq!(document.pipeline.inputs[0].get("tag").as_deref(), Some("ai"));
        let rules: Vec<_> = document.pipeline.filters[0].pairs().skip(1).collect();
        assert_eq!(rules, [("Rule", "a b"), ("Rule", "c")]);
        assert_eq!(document.pipeline.outputs[0].get("Name").as_deref(), Some("null"));
    }

    #[test]
    fn mistakes_say_where() {
        for (text, expected) in [
            ("Flush 1\n", "line 1"),
            ("[SERVICE\n", "line 1"),
            ("[SERVICE]\n\n    Flush\n", "line 3"),
            ("[SERVICES]\n", "[SERVICES]"),
            ("[PLUGINS]\n    Pat x\n", "'Pat'"),
        ] {
            assert!(parse(text).unwrap_err().contains(expected), "{text}");
        }
    }
}
