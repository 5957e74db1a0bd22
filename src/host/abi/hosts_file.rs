//! Rows that a file adds, for releases that came after this build.
//!
//! A row in a file is a whole row: it says for which machine and releases it is and where every field
//! is. `make abi` writes one from a release's headers. It is treated as a row in code is, and proved
//! against the running host in the same way.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::super::loaded_objects;
use super::fields::{FieldProblem, TableFields, number};
use super::moves::Machine;
use super::row::{HostAbi, MAX_PLUGIN_SIZE, Release};
use super::structs::{
    Config, ConfigMap, Coro, EventChunk, FilterInstance, FilterPlugin, InputInstance, InputPlugin,
    Kv, Log, MkList, NetHost, OutThread, OutputFlush, OutputInstance, OutputPlugin, Task,
    TaskRoute,
};
use crate::files;

/// The environment variable that names the file, instead of the one beside the plugins.
const VARIABLE: &str = "FLUENT_BIT_AI_HOSTS_FILE";
/// Its name beside the plugins.
const NAME: &str = "hosts.toml";
/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The rows that the user added for this machine; none where there is no file.
///
/// # Errors
/// The file and the line that is wrong, in words.
pub(super) fn added(rows: &[HostAbi]) -> Result<Vec<HostAbi>, String> {
    let named = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(path) = named.or_else(beside_plugins) else { return Ok(Vec::new()) };
    let at = path.display();
    let text = files::read_text(&path, MAX_FILE)
        .map_err(|problem| format!("the rows of {at}: the file {problem}"))?;
    read(&text, Machine::OWN, rows).map_err(|problem| format!("{at}, {problem}"))
}

/// The file beside the plugin that was loaded, which may be a link, or beside what it links to.
fn beside_plugins() -> Option<PathBuf> {
    /// Lies in this library.
    static OWN: u32 = 1;
    let own = (&raw const OWN).addr();
    let own = loaded_objects::loaded().into_iter().find(|object| object.holds(own))?;
    let own = if own.name.is_empty() {
        std::env::current_exe().ok()?
    } else {
        PathBuf::from(own.name.to_str().ok()?)
    };
    let real = std::fs::canonicalize(&own).ok();
    [Some(own), real]
        .into_iter()
        .flatten()
        .map(|own| own.with_file_name(NAME))
        .find(|path| is_there(path))
}

/// Whether there is something of that name, though it may be unreadable.
fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// The rows of a file's text that are for `machine`; those for others are checked and left out.
///
/// # Errors
/// The line that is wrong and what is wrong with it.
pub(super) fn read(text: &str, machine: Machine, rows: &[HostAbi]) -> Result<Vec<HostAbi>, String> {
    read_all(text, machine, rows).map_err(|(at, problem)| {
        let before = text.get(..at).unwrap_or(text);
        let line = memchr::memchr_iter(b'\n', before.as_bytes()).count().saturating_add(1);
        format!("line {line}: {problem}")
    })
}

fn read_all(text: &str, machine: Machine, rows: &[HostAbi]) -> Result<Vec<HostAbi>, FieldProblem> {
    let file = DeTable::parse(text)
        .map_err(|error| (error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
    let mut root = TableFields::new("the file", file.span().start, file.get_ref());
    let tables = root.list("row");
    root.finish()?;
    let mut read: Vec<(&str, HostAbi)> = Vec::new();
    for table in tables? {
        let at = table.span().start;
        let (of, row) = row(at, table.get_ref())?;
        let is_also = |other: &&HostAbi| other.first <= row.last && row.first <= other.last;
        let mut earlier = read.iter().filter(|(other, _)| *other == of).map(|(_, other)| other);
        if let Some(other) = earlier.find(is_also) {
            return Err((at, format!("Fluent Bit {} has two rows", other.first.max(row.first))));
        }
        if of == machine.name
            && let Some(other) =
                rows.iter().find(|other| is_also(other) && !row.is_laid_out_as(other))
        {
            return Err((
                at,
                format!(
                    "Fluent Bit {} has another row in fluent-bit-ai {}; take this one out",
                    other.first.max(row.first),
                    env!("CARGO_PKG_VERSION")
                ),
            ));
        }
        read.push((of, row));
    }
    Ok(read.into_iter().filter(|(of, _)| *of == machine.name).map(|(_, row)| row).collect())
}

/// A row, and the name of the machine that it is for.
fn row(at: usize, table: &DeValue<'_>) -> Result<(&'static str, HostAbi), FieldProblem> {
    let table = table.as_table().ok_or((at, "a row is a table, '[[row]]'".to_owned()))?;
    let mut fields = TableFields::new("row", at, table);
    let machine = fields.text("machine").and_then(|(at, name)| {
        let machine = Machine::ALL.into_iter().find(|machine| machine.name == name);
        machine.ok_or_else(|| {
            let known = Machine::ALL.map(|machine| machine.name).join(", ");
            (at, format!("machine '{name}' is not one of {known}"))
        })
    });
    let releases = releases(&mut fields);
    let mut structures = Structures { row: &mut fields, problem: None };
    let mut row = HostAbi {
        since: "",
        first: Release::new(0, 0, 0),
        last: Release::new(0, 0, 0),
        input_plugin: structures.read("input_plugin", InputPlugin::read),
        filter_plugin: structures.read("filter_plugin", FilterPlugin::read),
        output_plugin: structures.read("output_plugin", OutputPlugin::read),
        config_map: structures.read("config_map", ConfigMap::read),
        input: structures.read("input", InputInstance::read),
        filter: structures.read("filter", FilterInstance::read),
        output: structures.read("output", OutputInstance::read),
        config: structures.read("config", Config::read),
        log: structures.read("log", Log::read),
        task: structures.read("task", Task::read),
        route: structures.read("route", TaskRoute::read),
        event_chunk: structures.read("event_chunk", EventChunk::read),
        flush: structures.read("flush", OutputFlush::read),
        coro: structures.read("coro", Coro::read),
        out_thread: structures.read("out_thread", OutThread::read),
        kv: structures.read("kv", Kv::read),
        net_host: structures.read("net_host", NetHost::read),
        list: structures.read("list", MkList::read),
    };
    let problem = structures.problem;
    let machine = machine?;
    let (first, last) = releases?;
    fields.finish()?;
    if let Some(problem) = problem {
        return Err(problem);
    }
    // Headers may have been configured where Valgrind's were not installed.
    row.coro = if row.coro.caller == 0 { row.coro.with_valgrind() } else { row.coro };
    (row.first, row.last) = (first, last);
    // Kept for the life of the process, as rows in code are.
    row.since = Box::leak(first.to_string().into_boxed_str());
    Ok((machine.name, row))
}

/// The first and the last release of a row.
fn releases(fields: &mut TableFields<'_>) -> Result<(Release, Release), FieldProblem> {
    let mut release = |name| {
        let (at, text) = fields.text(name)?;
        let release = Release::parse(text);
        Ok((at, release.ok_or((at, format!("'{text}' is no release such as 5.1.1")))?))
    };
    let ((_, first), (at, last)) = (release("first")?, release("last")?);
    if first > last || (first.major, first.minor) != (last.major, last.minor) {
        let problem = format!("'{last}' is no later patch of {first}, or {first} itself");
        return Err((at, problem));
    }
    Ok((first, last))
}

/// The structures of a row, with the first problem found in one of them.
struct Structures<'f, 'a> {
    row: &'f mut TableFields<'a>,
    problem: Option<FieldProblem>,
}

impl Structures<'_, '_> {
    /// Reads the structure of that name by its fields.
    fn read<T>(&mut self, name: &'static str, read: impl FnOnce(&mut TableFields<'_>) -> T) -> T {
        let empty = DeTable::new();
        let found = self.row.table(name);
        let (at, table) = *found.as_ref().unwrap_or(&(0, &empty));
        let mut fields = TableFields::new(name, at, table);
        let structure = read(&mut fields);
        let checked = fields.finish().and_then(|()| check(name, table));
        if let Some(problem) = found.and_then(|_| checked.err()) {
            self.problem.get_or_insert(problem);
        }
        structure
    }
}

/// Whether every field lies in its structure, and a plugin in the symbol that the host copies.
fn check(name: &str, table: &DeTable<'_>) -> Result<(), FieldProblem> {
    let Some((at, size)) = table.get("size").and_then(|size| Some((size.span(), number(size)?)))
    else {
        return Ok(());
    };
    if name.ends_with("_plugin") && size > MAX_PLUGIN_SIZE {
        let problem = format!("{name}.size is {size}, and we export {MAX_PLUGIN_SIZE} bytes");
        return Err((at.start, problem));
    }
    for (field, offset) in table {
        if let Some(at) = number(offset)
            && field.get_ref() != "size"
            && at >= size
        {
            let field = field.get_ref();
            let problem = format!("{name}.{field} is {at}, behind the {size} bytes of {name}");
            return Err((offset.span().start, problem));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::super::rows::rows;
    use super::*;

    /// A whole row for a release that no build knows, with the layout of 5.1.1.
    fn whole(machine: Machine) -> String {
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/abi/fixtures");
        let mut text = format!(
            "[[row]]\nmachine = \"{}\"\nfirst = \"5.9.0\"\nlast = \"5.9.3\"\n",
            machine.name
        );
        let mut structure = String::new();
        let path = format!("{fixture}/{}/5.1.1.txt", machine.name);
        for line in std::fs::read_to_string(path).unwrap().lines().skip(1) {
            let (name, offset) = line.split_once(' ').unwrap();
            let (table, field) = name.split_once('.').unwrap();
            if table != structure {
                structure = table.to_owned();
                writeln!(text, "[row.{table}]").unwrap();
            }
            writeln!(text, "{field} = {offset}").unwrap();
        }
        text
    }

    fn refusal(text: &str) -> String {
        read(text, Machine::X86_64, &rows(Machine::X86_64)).unwrap_err()
    }

    #[test]
    fn a_row_is_added_for_its_own_machine() {
        let text = whole(Machine::X86_64) + &whole(Machine::AARCH64);
        for machine in Machine::ALL {
            let known = rows(machine);
            let read = read(&text, machine, &known).unwrap();
            assert_eq!(read.len(), 1);
            assert_eq!((read[0].since, read[0].last), ("5.9.0", Release::new(5, 9, 3)));
            assert!(read[0].is_laid_out_as(known.last().unwrap()));
        }
    }

    #[test]
    fn a_wrong_file_is_refused_by_line() {
        let good = whole(Machine::X86_64);
        let line_of =
            |text: &str, what: &str| text.split(what).next().unwrap().matches('\n').count() + 1;
        for (from, to, at, expected) in [
            (
                "machine = \"x86_64\"",
                "machine = \"riscv64\"",
                "machine",
                "not one of x86_64, aarch64",
            ),
            ("first = \"5.9.0\"", "first = \"five\"", "first", "'five' is no release"),
            ("last = \"5.9.3\"", "last = \"5.8.0\"", "last", "'5.8.0' is no later patch of 5.9.0"),
            ("last = \"5.9.3\"", "last = \"6.0.0\"", "last", "'6.0.0' is no later patch of 5.9.0"),
            (
                "tag_len = 240",
                "tag_length = 240",
                "tag_length",
                "input has an unknown field 'tag_length'",
            ),
            ("tag_len = 240\n", "", "[row.input]", "input has no field 'tag_len'"),
            ("tag_len = 240", "tag_len = -1", "tag_len", "input.tag_len is no number of bytes"),
            (
                "tag_len = 240",
                "tag_len = 1552",
                "tag_len",
                "input.tag_len is 1552, behind the 1552",
            ),
            (
                "size = 232",
                "size = 520",
                "size = 520",
                "input_plugin.size is 520, and we export 512",
            ),
            ("[row.kv]", "[row.kw]", "[row.kw]", "row has an unknown field 'kw'"),
            ("[[row]]", "[[row]", "[[row]", ""),
        ] {
            assert!(good.contains(from), "{from}");
            let text = good.replacen(from, to, 1);
            let refusal = refusal(&text);
            let line = format!("line {}: ", line_of(&text, at));
            assert!(
                refusal.starts_with(&line) && refusal.contains(expected),
                "{to}: {line}{refusal}"
            );
        }
    }

    #[test]
    fn a_release_has_one_layout() {
        let good = whole(Machine::X86_64);
        let twice = good.clone() + &good.replace("5.9.0", "5.9.3");
        let line = good.lines().count() + 1;
        assert_eq!(refusal(&twice), format!("line {line}: Fluent Bit 5.9.3 has two rows"));
        let other = good.replace("5.9.", "5.1.").replace("tag_len = 240", "tag_len = 236");
        let refusal = refusal(&other);
        assert!(refusal.starts_with("line 1: Fluent Bit 5.1.0 has another row"), "{refusal}");
    }

    #[test]
    fn what_is_no_row_is_refused() {
        assert!(refusal("").contains("the file has no field 'row'"));
        assert!(refusal("rows = []").contains("the file has an unknown field 'rows'"));
        for text in ["row = 3", "[row]\nmachine = \"x86_64\""] {
            assert!(refusal(text).contains("the file.row is no list; write '[[row]]'"), "{text}");
        }
        let good = whole(Machine::X86_64);
        let (before, after) = good.split_once("[row.kv]").unwrap();
        let rest = after.split_once("[row.").unwrap().1;
        let without = before.replacen("last =", "kv = 3\nlast =", 1) + "[row." + rest;
        assert!(
            refusal(&without).starts_with("line 4: row.kv is no table"),
            "{}",
            refusal(&without)
        );
    }
}
