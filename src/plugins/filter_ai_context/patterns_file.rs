//! File section `patterns` of `ai_context`: what to redact beside what is built in.

use serde_json::Value;

use crate::config::{Node, Notes};
use crate::genai::{Detector, Pattern};

/// Reads the section, and every mistake in it.
pub(super) fn read(root: Node<'_>) -> (Vec<Pattern>, Notes) {
    let mut notes = Notes::default();
    let mut patterns: Vec<Pattern> = Vec::new();
    let values = notes.list(root, "patterns");
    if values.len() > Pattern::MAX {
        notes.problem(format!("patterns: {} are given; allowed: {}", values.len(), Pattern::MAX));
    }
    for (index, value) in values.iter().enumerate() {
        let at = format!("patterns[{index}]");
        let Value::Object(map) = value else {
            notes.problem(format!("{at} must be a map with 'name' and 'regex'"));
            continue;
        };
        let node = Node { map, at: &at };
        let Some(pattern) = pattern(node, &mut notes) else { continue };
        let taken = patterns.iter().any(|other| other.name() == pattern.name())
            || Detector::named(pattern.name()).is_some()
            || pattern.name() == "key";
        if taken {
            notes.refuse(node, "name", "allowed: a name that no other pattern or detector has");
        }
        patterns.push(pattern);
    }
    (patterns, notes)
}

fn pattern(node: Node<'_>, notes: &mut Notes) -> Option<Pattern> {
    notes.known(node, &["name", "regex", "replacement"]);
    let name = notes.text(node, "name");
    let regex = notes.text(node, "regex");
    let replacement = match node.map.get("replacement") {
        Some(_) => Some(notes.text(node, "replacement")?),
        None => None,
    };
    match Pattern::new(&name?, &regex?, replacement.as_deref()) {
        Ok(pattern) => Some(pattern),
        Err((key, allowed)) => {
            notes.refuse(node, key, &allowed);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<Pattern>, Vec<String>) {
        let root: Value = serde_saphyr::from_str(text).unwrap();
        let (patterns, notes) = read(Node { map: root.as_object().unwrap(), at: "" });
        (patterns, notes.finish())
    }

    #[test]
    fn patterns_are_read_in_their_order() {
        let (patterns, problems) = parsed(
            r"
patterns:
  - {name: staff, regex: '\w+@corp\.example'}
  - {name: ticket, regex: 'TCK-[0-9]+', replacement: ''}
",
        );
        assert_eq!(problems, [""; 0]);
        let names: Vec<&str> = patterns.iter().map(Pattern::name).collect();
        assert_eq!(names, ["staff", "ticket"]);
    }

    #[test]
    fn every_mistake_is_reported_with_its_place() {
        let (_, problems) = parsed(
            r"
patterns:
  - {name: email, regex: 'x'}
  - {name: a, regex: '('}
  - {name: 'A', regex: 'x'}
  - {name: b, regex: 'x', replacment: z}
  - {regex: 5}
  - 7
",
        );
        let want = [
            "patterns[0].name: \"email\" is not allowed; allowed: a name that no other",
            "patterns[1].regex: \"(\" is not allowed; unclosed group",
            "patterns[2].name: \"A\" is not allowed; allowed: up to 256 lower-case letters",
            "patterns[3].replacment: this key is not known; allowed keys: name, regex, replacement",
            "patterns[4].name: nothing is not allowed; allowed: a text",
            "patterns[4].regex: 5 is not allowed; allowed: a text",
            "patterns[5] must be a map",
        ];
        assert_eq!(problems.len(), want.len(), "{problems:#?}");
        for (problem, want) in problems.iter().zip(want) {
            assert!(problem.starts_with(want), "{problem} is not {want}");
        }
        let many = "  - {name: x, regex: x}\n".repeat(40);
        assert!(parsed(&format!("patterns:\n{many}")).1[0].contains("40 are given; allowed: 32"));
    }
}
