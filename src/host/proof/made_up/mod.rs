//! The proof of the proof: hosts made up by one layout meet the rows of all others.
//!
//! A made-up host is memory that is laid out by figures of real headers, or by such figures with
//! bytes inserted, and functions that set options in it as the host's own do.

mod flushes;
mod instances;
mod memory;
mod truth;

use std::collections::BTreeSet;

use super::super::abi::moves::Machine;
use super::super::abi::row::HostAbi;
use super::super::abi::rows::rows;
use super::super::kind::PluginKind;
use super::super::proof::{OWN, OwnPlugin, ProcessMemory, plugins};
use super::report::ProofReport;
use memory::{Blocks, Rest, poke, put, put_int};
use truth::{Truth, used};

/// Ones are what a status is that nothing happened to, so that they look most like the truth.
const RESTS: [Rest; 3] = [Rest::Zeros, Rest::Ones, Rest::Noise];
const KINDS: [PluginKind; 3] = [PluginKind::Input, PluginKind::Filter, PluginKind::Output];

/// What a row is found to be when the library is loaded.
fn load(truth: &Truth, row: &HostAbi, rest: Rest) -> ProofReport {
    let mut blocks = Blocks::new(rest);
    let code = blocks.block(4096);
    let own: Vec<OwnPlugin> = OWN
        .iter()
        .map(|(kind, symbol)| {
            let structure = match kind {
                PluginKind::Input => "input_plugin",
                PluginKind::Filter => "filter_plugin",
                PluginKind::Output => "output_plugin",
            };
            let at = |field: &str| truth.at(&format!("{structure}.{field}"));
            let plugin = blocks.block(at("size"));
            poke(plugin, &vec![0; at("size")]);
            let described = OwnPlugin::new(*kind, symbol, plugin, at("size"));
            let texts = [blocks.text(&described.name), blocks.text("Does something")];
            put(plugin + at("name"), texts[0]);
            put(plugin + at("description"), texts[1]);
            put(plugin + at("config_map"), table(truth, &mut blocks));
            for callback in ["cb_init", "cb_exit", "cb_pause", "cb_resume", "cb_filter", "cb_flush"]
            {
                if let Some(offset) = truth.find(&format!("{structure}.{callback}")) {
                    put(plugin + offset, code + offset);
                }
            }
            described
        })
        .collect();
    plugins(&ProcessMemory::own().unwrap(), row, std::slice::from_ref(&(code..code + 4096)), &own)
}

/// A table of three options.
fn table(truth: &Truth, blocks: &mut Blocks) -> usize {
    let at = |field: &str| truth.at(&format!("config_map.{field}"));
    let table = blocks.block(4 * at("size"));
    poke(table, &vec![0; 4 * at("size")]);
    for (index, (kind, name)) in [(0, "first"), (3, "second"), (31, "third")].iter().enumerate() {
        let entry = table + index * at("size");
        put_int(entry + at("kind"), *kind);
        for (field, text) in [("name", *name), ("def_value", "7"), ("desc", "What it does")] {
            let text = blocks.text(text);
            put(entry + at(field), text);
        }
        put_int(entry + at("flags"), 1);
        put_int(entry + at("set_property"), 1);
        put(entry + at("offset"), 40);
    }
    table
}

/// One of all that is proved before the host is written to: at load, at `cb_init`, at a flush.
fn proof(number: usize, truth: &Truth, row: &HostAbi, rest: Rest) -> ProofReport {
    match number {
        0 => load(truth, row, rest),
        1..=3 => instances::prove(truth, row, KINDS[number - 1], rest),
        _ => flushes::prove(truth, row, rest, number == 4),
    }
}

const PROOFS: usize = 6;

/// The proof that most likely finds a difference in a field.
fn likeliest(field: &str) -> usize {
    match field.split('.').next().unwrap() {
        "input" | "config" | "kv" | "list" | "net_host" => 1,
        "filter" => 2,
        "output" => 3,
        "task" | "route" | "event_chunk" | "flush" | "coro" | "out_thread" => 4,
        _ => 0,
    }
}

/// Whether a row would run in such a host and use what `differing` names.
fn runs(truth: &Truth, row: &HostAbi, rest: Rest, differing: &[&str]) -> bool {
    let first = differing.first().map_or(0, |field| likeliest(field));
    let mut reports = Vec::new();
    for number in 0..PROOFS {
        let report = proof((first + number) % PROOFS, truth, row, rest);
        if !report.is_whole() {
            return false;
        }
        reports.push(report);
    }
    let spares = |field: &&str| {
        let structure = field.split('.').next().unwrap();
        reports.iter().any(|report| report.spares(structure))
    };
    differing.is_empty() || !differing.iter().all(spares)
}

/// The used fields that a row does not have where the truth does. Routes and properties are found by
/// the links in them, so that only distances from those count.
fn differences(truth: &Truth, row: &HostAbi) -> Vec<&'static str> {
    let claims = used(row);
    let distance = |field: &str, offset: Option<usize>, link: &dyn Fn(&str) -> Option<usize>| {
        let structure = field.split('.').next().unwrap();
        match structure {
            "route" | "kv" => offset
                .zip(link(&format!("{structure}.head")))
                .map(|(at, link)| link.wrapping_sub(at)),
            _ => offset,
        }
    };
    let claimed =
        |field: &str| claims.iter().find(|(name, _)| *name == field).and_then(|(_, at)| *at);
    let differs = |(field, offset): &&(&'static str, Option<usize>)| {
        distance(field, *offset, &claimed)
            != distance(field, truth.find(field), &|field| truth.find(field))
    };
    claims.iter().filter(differs).map(|(field, _)| *field).collect()
}

/// Scenario: on each machine, the host of every layout that ever was under every row.
/// Guarantees: a row runs exactly where all that is used is equal, whatever the rest of memory holds.
#[test]
fn every_layout_meets_every_row() {
    for machine in Machine::ALL {
        let rows = rows(machine);
        let (mut pairs, mut equal, mut caught) = (0, BTreeSet::new(), 0);
        for truth in Truth::all(machine) {
            for row in &rows {
                let differing = differences(&truth, row);
                let fits = differing.is_empty();
                for rest in RESTS {
                    assert_eq!(
                        runs(&truth, row, rest, &differing),
                        fits,
                        "{}: host {} under row {}, {rest:?}: {differing:?}",
                        machine.name,
                        truth.since,
                        row.since,
                    );
                }
                pairs += 1;
                if fits {
                    equal.insert(format!("{} {}", truth.since, row.since));
                } else {
                    caught += 1;
                }
            }
        }
        println!("{}: {pairs} pairs, {caught} caught, equal: {equal:?}", machine.name);
        assert_eq!((pairs, caught + equal.len()), (23 * 18, 23 * 18));
        // Each layout has the row that covers it.
        for truth in Truth::all(machine) {
            let covers = |row: &&HostAbi| row.since == truth.since || fits_before(&truth, row);
            let own = rows.iter().rfind(covers);
            let pair = format!("{} {}", truth.since, own.unwrap().since);
            assert!(equal.contains(&pair), "{}: {pair}", machine.name);
        }
    }
}

/// Scenario: on each machine, hosts that are laid out as the other machine's are.
/// Guarantees: none runs, for fields of inputs are elsewhere in all of them.
#[test]
fn layouts_of_another_machine_are_found() {
    for (machine, other) in
        [(Machine::X86_64, Machine::AARCH64), (Machine::AARCH64, Machine::X86_64)]
    {
        for truth in Truth::all(other) {
            for row in &rows(machine) {
                let differing = differences(&truth, row);
                assert!(differing.iter().any(|field| field.starts_with("input.")));
                for rest in RESTS {
                    assert!(!runs(&truth, row, rest, &differing), "{} {}", truth.since, row.since);
                }
            }
        }
    }
}

fn fits_before(truth: &Truth, row: &HostAbi) -> bool {
    super::super::abi::row::Release::parse(&truth.since).is_some_and(|since| row.covers(since))
}

/// The layouts of a machine that began a row, and their rows.
fn hosts_of_rows(machine: Machine) -> Vec<(Truth, HostAbi)> {
    let rows = rows(machine);
    let row_of = |truth: &Truth| rows.iter().find(|row| row.since == truth.since).copied();
    Truth::all(machine)
        .into_iter()
        .filter_map(|truth| row_of(&truth).map(|row| (truth, row)))
        .collect()
}

/// Scenario: 4, 8 or 16 bytes inserted before each field that is used, in the host of each row of each
/// machine.
/// Guarantees: no row runs in a host where anything that is used is elsewhere.
#[test]
fn whatever_is_inserted_is_found() {
    let (mut tried, mut equal, mut survivors) = (0, BTreeSet::new(), Vec::new());
    for (truth, row) in Machine::ALL.into_iter().flat_map(hosts_of_rows) {
        for (field, offset) in used(&row) {
            if offset.is_none() || field.ends_with(".size") {
                continue;
            }
            for bytes in [4, 8, 16] {
                // A list is two pointers, which no compiler puts at four bytes.
                if field.starts_with("list.") && bytes == 4 {
                    continue;
                }
                let mutated = truth.with_inserted(field, bytes);
                let differing = differences(&mutated, &row);
                if differing.is_empty() {
                    equal.insert(format!("{field} +{bytes}"));
                    continue;
                }
                for rest in RESTS {
                    tried += 1;
                    if runs(&mutated, &row, rest, &differing) {
                        survivors.push(format!("{} {field} +{bytes} {rest:?}", row.since));
                    }
                }
            }
        }
    }
    println!("{tried} hosts made up, {} not found, equal in use: {equal:?}", survivors.len());
    assert!(survivors.is_empty(), "{survivors:#?}");
}
