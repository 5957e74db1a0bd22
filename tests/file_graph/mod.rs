//! Import graph: which file of the source names items of which other file.
//!
//! A name counts for the file that defines it, also where another file re-exports it; so a facade
//! such as a `mod.rs` of `mod` and `pub use` lines alone has no edges. Methods and macros are not
//! followed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module: its crate's root folder, and its path in the crate.
type Module = (String, Vec<String>);

/// An imported path and the name that it has here; the name `*` stands for all of a module.
struct Import {
    path: Vec<String>,
    name: String,
    public: bool,
}

/// What one file says.
struct File {
    /// The path below the source folder.
    name: String,
    imports: Vec<Import>,
    /// Paths of two segments and more.
    paths: BTreeSet<Vec<String>>,
    /// Names of the items that it defines.
    items: BTreeSet<String>,
}

/// The files of a source folder, and the names of other files' items in each.
pub(crate) struct FileGraph {
    files: BTreeMap<Module, File>,
}

impl FileGraph {
    /// Reads the files that are no tests: of the folder `source`, or of a tool beside it.
    pub(crate) fn read(source: &Path, all: Vec<PathBuf>, is_test: impl Fn(&Path) -> bool) -> Self {
        let mut files = BTreeMap::new();
        let mut only_tests = BTreeSet::new();
        for path in all {
            let beside = || path.strip_prefix(source.parent().unwrap());
            let inside = path.strip_prefix(source).or_else(|_| beside()).unwrap();
            if is_test(&path) {
                continue;
            }
            let module = module_of(inside);
            let tokens = tokens(&std::fs::read_to_string(&path).unwrap());
            let (tokens, tests) = without_tests(&tokens);
            for name in tests {
                let mut below = module.clone();
                below.1.push(name);
                only_tests.insert(below);
            }
            let name = inside.to_string_lossy().into_owned();
            files.insert(module, read_file(name, &tokens));
        }
        let is_test_only = |module: &Module| {
            (0..=module.1.len())
                .any(|length| only_tests.contains(&(module.0.clone(), module.1[..length].to_vec())))
        };
        files.retain(|module, _| !is_test_only(module));
        Self { files }
    }

    /// The files whose items each file names.
    pub(crate) fn edges(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut edges = BTreeMap::new();
        for (module, file) in &self.files {
            let imported = file.imports.iter().filter(|import| !import.public);
            let paths = imported.map(|import| &import.path).chain(&file.paths);
            let named = paths.filter_map(|path| self.definition(module, path, 0));
            let others = named.filter(|other| *other != file.name).collect();
            edges.insert(file.name.as_str(), others);
        }
        edges
    }

    /// The file that defines what `path` names in `module`; `None` for a module, and for what other
    /// crates define.
    fn definition(&self, module: &Module, path: &[String], depth: u32) -> Option<&str> {
        let (first, rest) = path.split_first()?;
        let mut at = module.clone();
        match first.as_str() {
            "crate" => at.1.clear(),
            "self" => {}
            "super" => drop(at.1.pop()?),
            _ => return self.below(module, path, depth),
        }
        match rest {
            [next, ..] if next == "super" => self.definition(&at, rest, depth),
            _ => self.below(&at, rest, depth),
        }
    }

    /// The same for a path that begins in `module`.
    fn below(&self, module: &Module, path: &[String], depth: u32) -> Option<&str> {
        let file = self.files.get(module)?;
        let (first, rest) = path.split_first()?;
        let mut child = module.clone();
        child.1.push(first.clone());
        if self.files.contains_key(&child) {
            return self.below(&child, rest, depth);
        }
        if file.items.contains(first) {
            return Some(&file.name);
        }
        if depth > 8 {
            return None;
        }
        if let Some(import) = file.imports.iter().find(|import| import.name == *first) {
            // An import of the crate itself under its own name would never end.
            if import.path.first() == Some(first) && import.path.len() == 1 {
                return None;
            }
            let whole: Vec<String> = import.path.iter().chain(rest).cloned().collect();
            return self.definition(module, &whole, depth + 1);
        }
        file.imports.iter().filter(|import| import.name == "*").find_map(|import| {
            let whole: Vec<String> = import.path.iter().chain(path).cloned().collect();
            self.definition(module, &whole, depth + 1)
        })
    }

    /// The sets of files that reach each other, each in order.
    pub(crate) fn circles(&self) -> BTreeSet<BTreeSet<&str>> {
        let edges = self.edges();
        let reach: BTreeMap<&str, BTreeSet<&str>> =
            edges.keys().map(|file| (*file, reachable(&edges, file))).collect();
        let circle = |file: &&'_ str| -> BTreeSet<&str> {
            reach[*file].iter().copied().filter(|other| reach[other].contains(*file)).collect()
        };
        edges.keys().map(circle).filter(|circle| circle.len() > 1).collect()
    }
}

/// The files that can be reached from one.
fn reachable<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&str> = edges[from].iter().copied().collect();
    while let Some(file) = next.pop() {
        if found.insert(file) {
            next.extend(edges.get(file).into_iter().flatten());
        }
    }
    found
}

/// The module that a file below the source folder is.
fn module_of(inside: &Path) -> Module {
    let mut parts: Vec<String> =
        inside.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let mut root = String::new();
    // A crate of its own: `tools/NAME/src`.
    if parts.first().is_some_and(|first| first == "tools") {
        root = parts.drain(..3).collect::<Vec<_>>().join("/");
    }
    if parts.last().is_some_and(|last| last == "mod")
        || matches!(&parts[..], [one] if one == "lib" || one == "main")
    {
        parts.pop();
    }
    (root, parts)
}

/// Words and signs of Rust code, without comments and literals. `::` is one sign.
fn tokens(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string_length(rest),
            'r' if rest.starts_with("r\"") || rest.starts_with("r#\"") => raw_length(rest),
            '\'' => quote_length(rest),
            _ if first.is_alphabetic() || first == '_' => {
                let end = |c: char| !(c.is_alphanumeric() || c == '_');
                let length = rest.find(end).unwrap_or(rest.len());
                found.push(rest[..length].to_owned());
                length
            }
            ':' if rest.starts_with("::") => {
                found.push("::".to_owned());
                2
            }
            _ if first.is_whitespace() => first.len_utf8(),
            _ => {
                found.push(first.to_string());
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    found
}

/// The length of the string literal that a text starts with.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the raw string literal that a text starts with.
fn raw_length(text: &str) -> usize {
    let end = if text.starts_with("r#") { "\"#" } else { "\"" };
    let start = text.find('"').map_or(0, |at| at + 1);
    text[start..].find(end).map_or(text.len(), |at| start + at + end.len())
}

/// The length of the character literal that a text starts with, or of a lifetime's quote.
fn quote_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let from = at + escaped.len_utf8();
            text[from..].find('\'').map_or(text.len(), |end| from + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// The code without what only tests have, and the names of the modules that only they have.
fn without_tests(tokens: &[String]) -> (Vec<String>, Vec<String>) {
    const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut code, mut modules) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let is_test = TEST.iter().zip(&tokens[at..]).filter(|(one, other)| *one == other).count();
        if is_test < TEST.len() {
            code.push(token.clone());
            at += 1;
            continue;
        }
        at += TEST.len();
        let end = at + item_length(&tokens[at..]);
        let item = &tokens[at..end];
        if let [.., name, sign] = item
            && sign == ";"
            && item.iter().any(|token| token == "mod")
        {
            modules.push(name.clone());
        }
        at = end;
    }
    (code, modules)
}

/// How many tokens an item has: up to its semicolon, or to the end of its block.
fn item_length(tokens: &[String]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth -= 1;
                if depth == 0 && token == "}" {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

fn read_file(name: String, tokens: &[String]) -> File {
    const DEFINES: [&str; 9] =
        ["fn", "struct", "enum", "trait", "const", "static", "type", "mod", "union"];
    let mut file =
        File { name, imports: Vec::new(), paths: BTreeSet::new(), items: BTreeSet::new() };
    let mut at = 0;
    while at < tokens.len() {
        let before = at.checked_sub(1).and_then(|before| tokens.get(before)).map(String::as_str);
        if tokens[at] == "use" {
            let end = at + item_length(&tokens[at..]);
            let public = before == Some("pub") || before == Some(")");
            import_tree(&tokens[at + 1..end], &[], public, &mut file.imports);
            at = end;
            continue;
        }
        let next = tokens.get(at + 1).map(String::as_str);
        if DEFINES.contains(&tokens[at].as_str())
            && let Some(item) = next.filter(|next| is_word(next))
            && !(tokens[at] == "mod" && tokens.get(at + 2).is_some_and(|sign| sign == ";"))
        {
            file.items.insert(item.to_owned());
        }
        let mut path = vec![tokens[at].clone()];
        let mut end = at + 1;
        if is_word(&tokens[at]) && before != Some("::") {
            while tokens.get(end).is_some_and(|sign| sign == "::")
                && let Some(word) = tokens.get(end + 1).filter(|word| is_word(word))
            {
                path.push(word.clone());
                end += 2;
            }
        }
        if path.len() > 1 {
            file.paths.insert(path);
        }
        at = end;
    }
    file
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The imports of a `use` tree, which ends with a semicolon, a comma or a brace.
fn import_tree(tokens: &[String], before: &[String], public: bool, found: &mut Vec<Import>) {
    let mut path = before.to_vec();
    let mut name = None;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => {}
            ";" | "," | "}" => break,
            "{" => {
                let end = at + item_length(&tokens[at..]);
                let mut depth = 0_usize;
                let mut start = at + 1;
                for inner in at + 1..end {
                    match tokens[inner].as_str() {
                        "{" => depth += 1,
                        "}" if depth > 0 => depth -= 1,
                        "," | "}" if depth == 0 => {
                            import_tree(&tokens[start..=inner], &path, public, found);
                            start = inner + 1;
                        }
                        _ => {}
                    }
                }
                return;
            }
            "as" => {
                name = tokens.get(at + 1).cloned();
                break;
            }
            "*" => {
                found.push(Import { path, name: "*".to_owned(), public });
                return;
            }
            word => path.push(word.to_owned()),
        }
        at += 1;
    }
    if path.len() > before.len() {
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
        found.push(Import { path, name, public });
    }
}
