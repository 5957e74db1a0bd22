//! YAML as a tree of texts with their lines: the host takes scalars as they are written.

use granit_parser::{Event, Parser};

/// How deep a file may be nested.
const MAX_DEPTH: usize = 64;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// What it is.
    pub content: Content,
}

/// What a part of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A text; a number and its likes are texts too.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file; of each key the line.
    Map(Vec<(String, usize, Node)>),
}

impl Node {
    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            Content::List(_) | Content::Map(_) => None,
        }
    }

    /// The list, if it is one.
    #[must_use]
    pub fn list(&self) -> Option<&[Node]> {
        match &self.content {
            Content::List(list) => Some(list),
            Content::Text(_) | Content::Map(_) => None,
        }
    }

    /// The map, if it is one.
    #[must_use]
    pub fn map(&self) -> Option<&[(String, usize, Node)]> {
        match &self.content {
            Content::Map(map) => Some(map),
            Content::Text(_) | Content::List(_) => None,
        }
    }

    /// The line of what a path such as `policies[2].name` leads to, as far as there is anything.
    #[must_use]
    pub fn line_of(&self, path: &str) -> Option<usize> {
        let (mut node, mut line) = (self, None);
        for step in path.split(['.', '[']) {
            let next = match (&node.content, step.strip_suffix(']')) {
                (Content::List(list), Some(index)) => {
                    let element = index.parse().ok().and_then(|index: usize| list.get(index));
                    element.map(|element| (element.line, element))
                }
                (Content::Map(map), None) => map
                    .iter()
                    .find(|(key, _, _)| key.eq_ignore_ascii_case(step))
                    .map(|(_, line, value)| (*line, value)),
                _ => None,
            };
            let Some((next_line, next)) = next else { break };
            (line, node) = (Some(next_line), next);
        }
        line
    }
}

/// What cannot be read, and on which line.
pub type Unreadable = (usize, String);

/// Reads a file of one document; `None` if there is nothing in it.
///
/// # Errors
/// The line, and what is wrong there.
pub fn parse(text: &str) -> Result<Option<Node>, Unreadable> {
    let mut tree = Tree { open: Vec::new(), root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| (error.marker().line(), error.info()))?;
        let line = span.start.line();
        match event {
            Event::Scalar(text, ..) => {
                tree.add(Node { line, content: Content::Text(text.into_owned()) })?;
            }
            Event::SequenceStart(..) => tree.begin(line, Content::List(Vec::new()))?,
            Event::MappingStart(..) => tree.begin(line, Content::Map(Vec::new()))?,
            Event::SequenceEnd | Event::MappingEnd => tree.end()?,
            Event::Alias(_) => return Err((line, "Fluent Bit takes no aliases".to_owned())),
            _ => {}
        }
    }
    Ok(tree.root)
}

struct Open {
    node: Node,
    /// The key of a map whose value is to come.
    key: Option<(String, usize)>,
}

struct Tree {
    open: Vec<Open>,
    root: Option<Node>,
}

impl Tree {
    fn begin(&mut self, line: usize, content: Content) -> Result<(), Unreadable> {
        if self.open.len() >= MAX_DEPTH {
            return Err((line, format!("it is nested deeper than {MAX_DEPTH} levels")));
        }
        self.open.push(Open { node: Node { line, content }, key: None });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Unreadable> {
        match self.open.pop() {
            Some(open) => self.add(open.node),
            None => Ok(()),
        }
    }

    fn add(&mut self, node: Node) -> Result<(), Unreadable> {
        let Some(Open { node: parent, key }) = self.open.last_mut() else {
            if self.root.is_some() {
                return Err((node.line, "Fluent Bit takes one document".to_owned()));
            }
            self.root = Some(node);
            return Ok(());
        };
        match (&mut parent.content, key.take()) {
            (Content::List(list), _) => list.push(node),
            (Content::Map(map), Some((key, line))) => map.push((key, line, node)),
            (Content::Map(_), None) => match node.content {
                Content::Text(text) => *key = Some((text, node.line)),
                Content::List(_) | Content::Map(_) => {
                    return Err((node.line, "a key is a text".to_owned()));
                }
            },
            (Content::Text(_), _) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_stay_as_they_are_written() {
        let text = "a: 0755\nb:\n  - on\n  - 1.50\n  - 'x y'\nc: {d: null, e: ~}\n";
        let root = parse(text).unwrap().unwrap();
        let map = root.map().unwrap();
        assert_eq!(map[0].2.text(), Some("0755"));
        let list: Vec<_> = map[1].2.list().unwrap().iter().map(|one| one.text().unwrap()).collect();
        assert_eq!(list, ["on", "1.50", "x y"]);
        assert_eq!(map[2].2.map().unwrap()[0].2.text(), Some("null"));
        for (path, line) in
            [("a", Some(1)), ("B[1]", Some(4)), ("c.e", Some(6)), ("c.x", Some(6)), ("x", None)]
        {
            assert_eq!(root.line_of(path), line, "{path}");
        }
    }

    #[test]
    fn what_is_not_yaml_says_where() {
        for (text, line, expected) in [
            ("a: 1\nb: [1, 2\n", 2, ""),
            ("a: &x 1\nb: *x\n", 2, "no aliases"),
            ("? [1]\n: 2\n", 1, "a key is a text"),
            ("a: 1\n---\nb: 1\n", 3, "one document"),
        ] {
            let (at, problem) = parse(text).unwrap_err();
            assert!(at == line && problem.contains(expected), "{text}: {at} {problem}");
        }
        let deep = "[".repeat(70) + &"]".repeat(70);
        assert!(parse(&deep).unwrap_err().1.contains("nested deeper"));
        assert_eq!(parse("# nothing\n"), Ok(None));
    }
}
