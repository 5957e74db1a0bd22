//! File section `patterns` of `ai_context`: what to redact beside what is built in.

use std::path::Path;

use serde_json::Value;

use crate::config::{Node, Notes};
use crate::files;
use crate::genai::{Detector, Pattern};

/// The largest file of words, in bytes.
const MAX_WORDS_FILE: u64 = 4 << 20;

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
            notes.problem(format!("{at} must be a map with 'name' and 'regex' or 'words'"));
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
    notes.known(node, &["name", "regex", "words", "words_file", "replacement"]);
    let name = notes.text(node, "name");
    let read = reader(node, notes)?;
    let replacement = match node.map.get("replacement") {
        Some(_) => Some(notes.text(node, "replacement")?),
        None => None,
    };
    // Without a name the rest is still looked at.
    match read(node, notes, name.as_deref().unwrap_or("_"), replacement.as_deref())? {
        Ok(pattern) => name.is_some().then_some(pattern),
        Err((key, allowed)) => {
            notes.refuse(node, key, &allowed);
            None
        }
    }
}

/// A pattern, or the key that is wrong and what is allowed; `None` where that was noted.
type Made = Option<Result<Pattern, (&'static str, String)>>;

/// Makes a pattern of one of the keys that say what it finds.
type Reader = fn(Node<'_>, &mut Notes, &str, Option<&str>) -> Made;

/// The keys that say what a pattern finds, of which it has one.
const SOURCES: [(&str, Reader); 3] =
    [("regex", expression), ("words", words), ("words_file", words_file)];

fn reader(node: Node<'_>, notes: &mut Notes) -> Option<Reader> {
    let mut given = SOURCES.into_iter().filter(|(key, _)| node.map.contains_key(*key));
    if let (Some((_, reader)), None) = (given.next(), given.next()) {
        return Some(reader);
    }
    notes.problem(format!("{} must have one of 'regex', 'words' and 'words_file'", node.at));
    None
}

fn expression(node: Node<'_>, notes: &mut Notes, name: &str, with: Option<&str>) -> Made {
    Some(Pattern::new(name, &notes.text(node, "regex")?, with))
}

fn words(node: Node<'_>, notes: &mut Notes, name: &str, with: Option<&str>) -> Made {
    let words = notes.texts(node, "words");
    let words = words.iter().map(String::as_str);
    // Where there is none, that was noted.
    (words.len() > 0).then(|| Pattern::of_words(name, words, with))
}

fn words_file(node: Node<'_>, notes: &mut Notes, name: &str, with: Option<&str>) -> Made {
    let path = notes.text(node, "words_file")?;
    let wrong = |problem| Err(("words_file", problem));
    Some(match files::read_text(Path::new(&path), MAX_WORDS_FILE) {
        Ok(text) => {
            let lines = text.lines().map(str::trim);
            let words = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
            Pattern::of_words(name, words, with).or_else(|(key, allowed)| match key {
                "words" => wrong(allowed),
                _ => Err((key, allowed)),
            })
        }
        Err(problem) => wrong(problem.of(Path::new(&path))),
    })
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
  - {name: customer, words: [Acme, Project Aurora]}
",
        );
        assert_eq!(problems, [""; 0]);
        let names: Vec<&str> = patterns.iter().map(Pattern::name).collect();
        assert_eq!(names, ["staff", "ticket", "customer"]);
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
  - {name: c, regex: x, words: [ab]}
  - {name: d}
  - {name: e, words: [ab, c]}
  - {name: f, words_file: /no/such/file}
",
        );
        let want = [
            "patterns[0].name: \"email\" is not allowed; allowed: a name that no other",
            "patterns[1].regex: \"(\" is not allowed; unclosed group",
            "patterns[2].name: \"A\" is not allowed; allowed: up to 256 lower-case letters",
            "patterns[3].replacment: this key is not known; allowed keys: name, regex, words, words_file, \
             replacement",
            "patterns[4].name: nothing is not allowed; allowed: a text",
            "patterns[4].regex: 5 is not allowed; allowed: a text",
            "patterns[5] must be a map",
            "patterns[6] must have one of 'regex', 'words' and 'words_file'",
            "patterns[7] must have one of 'regex', 'words' and 'words_file'",
            "patterns[8].words: [\"ab\",\"c\"] is not allowed; \"c\": allowed: 2 to 256 bytes",
            "patterns[9].words_file: \"/no/such/file\" is not allowed; '/no/such/file' cannot be read",
        ];
        assert_eq!(problems.len(), want.len(), "{problems:#?}");
        for (problem, want) in problems.iter().zip(want) {
            assert!(problem.starts_with(want), "{problem} is not {want}");
        }
        let many = "  - {name: x, regex: x}\n".repeat(40);
        assert!(parsed(&format!("patterns:\n{many}")).1[0].contains("40 are given; allowed: 32"));
    }

    /// Scenario: a file of words with a comment, an empty line, and then one that is not allowed.
    /// Guarantees: the words are those of its other lines, and the one that is wrong is told.
    #[test]
    fn words_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names.txt");
        std::fs::write(&path, "# customers\n\n Acme \nProject Aurora\n").unwrap();
        let text = format!("patterns:\n  - {{name: customer, words_file: {}}}\n", path.display());
        let (patterns, problems) = parsed(&text);
        assert_eq!((patterns.len(), problems), (1, vec![]));
        std::fs::write(&path, "Acme\nx\n").unwrap();
        let (_, problems) = parsed(&text);
        assert!(problems[0].starts_with("patterns[0].words_file: "), "{problems:?}");
        assert!(problems[0].contains("\"x\": allowed: 2 to 256 bytes"), "{problems:?}");
    }
}
