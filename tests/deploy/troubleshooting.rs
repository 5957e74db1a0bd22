//! `docs/TROUBLESHOOTING.md`: each message that it quotes is one that we print.

use std::path::Path;

use crate::read;

/// All sources of the plugins and the program, with literals over several lines made one.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let mut rest = read(&path).replace("\\\"", "\"");
            while let Some(at) = rest.find("\\\n") {
                text.push_str(&rest[..at]);
                rest = rest[at + 2..].trim_start().to_owned();
            }
            text.push_str(&rest);
        }
    }
}

/// The messages that the page quotes: lines of its blocks of text, without places and names, which stand in capitals
/// or as "...".
fn quoted(page: &str) -> Vec<String> {
    let blocks = page.split("```text\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Scenario: the page. Guarantees: every part of a quoted message between what varies (written as `...`) is in the source; each
/// counter that it names is on a reference page.
#[test]
fn quoted_messages_are_in_the_source() {
    let mut text = String::new();
    for folder in ["src", "cli/src"] {
        sources(&testkit::root().join(folder), &mut text);
    }
    let page = read(&testkit::root().join("docs/TROUBLESHOOTING.md"));
    let messages = quoted(&page);
    let mut missing = Vec::new();
    for message in &messages {
        let parts: Vec<&str> =
            message.split("...").map(str::trim).filter(|part| !part.is_empty()).collect();
        let said: usize = parts.iter().map(|part| part.len()).sum();
        assert!(said >= 15, "{message}: says too little to be found");
        missing.extend(parts.into_iter().filter(|part| !text.contains(part)).map(str::to_owned));
    }
    assert!(missing.is_empty(), "not in the source: {missing:#?}");
    assert!(messages.len() >= 25, "{}", messages.len());
    let reference: String =
        crate::files("docs/reference", "md").iter().map(|path| read(path)).collect();
    for name in page.split('`').skip(1).step_by(2).filter(|name| name.ends_with("_total")) {
        assert!(reference.contains(&format!("`fluentbit_ai_{name}`")), "{name}");
    }
    println!("{} quoted messages are in the source", messages.len());
}
