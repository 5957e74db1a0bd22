//! Tenants and the size of a fleet, as the filter reads them, decides by them and counts them.

use std::time::Duration;

use crate::clock;
use crate::codec::records::Events;
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::hub::Drain;
use crate::plugin::{Environment, Filter, GivenOptions};
use crate::plugins::filter_ai_sampling::AiSampling;
use crate::plugins::testing::{environment, pass, problems};

const POLICY: &str = "
policies:
  - name: tenants
    type: tenant_throughput
    tenant_attribute: tenant.id
    traces_per_second: 10
    max_tenants: 2
    default: {weight: 2, minimum: 1}
    tenants:
      - {tenant: acme, minimum: 5, priority: 3}
      - {tenant: '7', weight: 0.5}
";

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn count(environment: &Environment, name: &str, labels: &[&str]) -> Option<u64> {
    let readings = environment.counters.readings();
    let found = readings.iter().find(|it| it.family.name == name && it.labels == labels);
    found.map(|reading| reading.counter.value())
}

fn span(trace: u64, tenant: &str) -> SpanRecord {
    // With the highest randomness.
    SpanRecord::new(0x00ff_ffff_ffff_0000 | trace, trace).with("tenant.id", tenant)
}

/// Scenario: traces of three tenants, of which two have room, through a policy and through a rate of head
/// sampling. Guarantees: what is decided is counted by tenant, and what has no room under one name.
#[test]
fn tenants_are_counted_within_their_bound() {
    let rate = POLICY
        .replace("policies", "rates")
        .replace("    type: tenant_throughput\n", "")
        .replace("traces_per", "spans_per");
    for (mode, text) in
        [("tail", POLICY.to_owned()), ("head", format!("sampling_percentage: 1\n{rate}"))]
    {
        let file = file(&text);
        let path = file.path().to_str().unwrap();
        let environment = environment(true);
        let options = GivenOptions::of(&[("mode", mode), ("config_file", path)]);
        let mut filter = AiSampling::open(&options, environment.clone()).unwrap();
        let of = |tenant, decision| {
            count(&environment, "tenant_spans_total", &["tenants", tenant, decision])
        };
        assert_eq!((of("other", "keep"), of("acme", "keep")), (Some(0), None), "{mode}");
        // Without a name, and with the lowest randomness.
        let unnamed = SpanRecord::new(9, 9);
        let spans = [span(1, "acme"), span(2, "b"), span(3, "c"), span(4, "b"), unnamed];
        let out = pass(&mut filter, &chunk(&spans));
        let kept = match environment.hub.sources().pop() {
            None => Events::new(&out).count(),
            Some(source) => {
                let emissions = source.take(Drain::Everything, clock::now(), 0);
                emissions.iter().map(|emission| emission.records).sum()
            }
        };
        assert_eq!(kept, 4, "{mode}");
        let found = ["acme", "b", "c", "none", "other"].map(|it| of(it, "keep"));
        assert_eq!(found, [Some(1), Some(2), None, None, Some(1)], "{mode}");
        assert_eq!((of("other", "drop"), of("b", "drop")), (Some(1), Some(0)), "{mode}");
        assert_eq!(count(&environment, "fleet_size", &[]), Some(1));
    }
}

#[test]
fn mistakes_are_named_with_their_line() {
    let policy = "type: tenant_throughput, tenant_attribute: t, spans_per_second: 10";
    for (more, part) in [
        ("", ""),
        (", tenants: [5]", "policies[0].tenants[0] must be a map"),
        (", tenants: [{weight: 5}]", "policies[0].tenants[0].tenant: nothing"),
        (", tenants: [{tenant: a}, {tenant: a}]", "allowed: a name that no other one has"),
        (", tenants: [{tenant: a, weight: 0}]", "policies[0].tenants[0].weight: 0"),
        (", tenants: [{tenant: a, minimum: -1}]", "policies[0].tenants[0].minimum: -1"),
        (", tenants: [{tenant: a, priority: 1.5}]", "allowed: a whole number from 0 to 100"),
        (", tenants: [{tenant: a, priority: 101}]", "allowed: a whole number from 0 to 100"),
        (", tenants: [{tenant: a, share: 1}]", "share: this key is not known"),
        (
            ", tenants: [{tenant: a, minimum: 6}, {tenant: b, minimum: 5}]",
            "allowed: minimums that are not more than the goal together",
        ),
        (", default: 5", "policies[0].default: 5"),
        (", default: {tenant: a}", "policies[0].default.tenant: this key is not known"),
        (", max_tenants: 10001", "policies[0].max_tenants: 10001"),
        (", bytes_per_second: 5", "allowed: one goal"),
        (", keys: [a]", "policies[0].keys: this key is not known"),
        (", weight: 2", "it is of another algorithm"),
    ] {
        let file = file(&format!("policies:\n  - {{name: p, {policy}{more}}}\n"));
        let options = [("mode", "tail"), ("config_file", file.path().to_str().unwrap())];
        let found = problems::<AiSampling>(&options, true).join("\n");
        assert!(found.contains(part), "{more}: {found}");
        assert_eq!(found.contains("line 2: "), !part.is_empty(), "{more}: {found}");
    }
    for (rate, part) in [
        ("tenant_attribute: t, spans_per_second: 5", ""),
        ("tenants: [{tenant: a}], keys: [a], spans_per_second: 5", "it needs 'tenant_attribute'"),
        ("tenant_attribute: t, sampling_percentage: 5", "it needs 'spans_per_second'"),
        ("tenant_attribute: t, keys: [a], spans_per_second: 5", "tenants take the place of keys"),
        ("tenant_attribute: root., spans_per_second: 5", "allowed: the name of an attribute"),
    ] {
        let file = file(&format!("sampling_percentage: 1\nrates:\n  - {{name: p, {rate}}}\n"));
        let path = file.path().to_str().unwrap();
        let found = problems::<AiSampling>(&[("config_file", path)], false).join("\n");
        assert!(found.contains(part), "{rate}: {found}");
        assert_eq!(found.contains("line 3: "), !part.is_empty(), "{rate}: {found}");
    }
}

/// Scenario: a size in a file that changes, becomes wrong, goes away and comes back, under both modes. Guarantees:
/// it is taken without a restart, told of once, and holds while the file is wrong; wrong values stop the start.
#[test]
fn the_size_of_a_fleet_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("replicas");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    let size_file = path.display().to_string();
    for mode in ["tail", "head"] {
        write("3\n");
        let environment = environment(true);
        let options = GivenOptions::of(&[
            ("mode", mode),
            ("sampling_percentage", "10"),
            ("fleet_size_file", &size_file),
        ]);
        let mut filter = AiSampling::open(&options, environment.clone()).unwrap();
        let start = clock::now();
        let source = environment.hub.sources().pop();
        let mut size_at = |seconds| {
            let now = start.after(Duration::from_secs(seconds));
            match (&source, &mut filter.form) {
                (Some(source), _) => drop(source.take(Drain::Due, now, 0)),
                (None, crate::plugins::filter_ai_sampling::Form::Head(head)) => {
                    drop(head.on_chunk(crate::plugin::Chunk { tag: b"t", bytes: b"" }, now));
                }
                (None, _) => panic!("a tail sampler is a source"),
            }
            count(&environment, "fleet_size", &[])
        };
        let said = || {
            let lines: Vec<String> = environment.log.take().into_iter().map(|it| it.text).collect();
            lines.join("\n")
        };
        assert_eq!((size_at(3), said().as_str()), (Some(3), ""), "{mode}");
        write("12");
        assert_eq!(size_at(4), Some(3), "not so often");
        assert_eq!(size_at(6), Some(12), "{mode}");
        assert!(said().contains("the fleet has 12 instances"));
        write("many");
        assert_eq!(size_at(9), Some(12), "{mode}");
        assert!(said().contains("the size that it said before holds"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!((size_at(12), size_at(15)), (Some(12), Some(12)), "{mode}");
        assert_eq!(said().matches("holds").count(), 1, "{mode}");
        write("\"4\"");
        assert_eq!(size_at(18), Some(4), "{mode}");
    }
    for (name, value, part) in [
        ("fleet_size", "0", "allowed: a number from 1 to 1000000"),
        ("fleet_size", "many", "allowed: a number from 1 to 1000000"),
        ("fleet_size_file", "/nowhere/replicas", "allowed: a file with a number from 1"),
    ] {
        let found = problems::<AiSampling>(&[("sampling_percentage", "5"), (name, value)], false);
        let found = found.join("\n");
        assert!(found.contains(part) && found.contains(&format!("'{name}'")), "{found}");
    }
    let both = [
        ("sampling_percentage", "5"),
        ("fleet_size", "5"),
        ("fleet_size_file", size_file.as_str()),
    ];
    let found = problems::<AiSampling>(&both, false).join("\n");
    assert!(found.contains("allowed: one of 'fleet_size' and 'fleet_size_file'"), "{found}");
}

/// Guarantees: goals that others' files have for a fleet need its size, which is said with the line.
#[test]
fn goals_of_a_fleet_in_files_of_others_need_its_size() {
    let rules = "RulesVersion: 2\nSamplers:\n  __default__:\n    EMAThroughputSampler:\n      \
                 GoalThroughputPerSec: 100\n      UseClusterSize: true\n      FieldList: [a]\n";
    let block = "adaptive_tail_sampling:\n  rules:\n    - name: all\n      sampler:\n        \
                 type: adaptive_throughput\n        goal_throughput: 100\n        \
                 fingerprint_attributes: ['resource.attributes[\"a\"]']\n        \
                 shared_counters: {extension: redis}\n";
    for (text, line, name) in [(rules, 6, "UseClusterSize"), (block, 8, "shared_counters")] {
        let file = file(text);
        let path = file.path().to_str().unwrap();
        let options = [("mode", "tail"), ("config_file", path)];
        let found = problems::<AiSampling>(&options, true).join("\n");
        let wanted = format!("{name}: it needs option 'fleet_size' or 'fleet_size_file'");
        assert!(found.contains(&wanted) && found.contains(&format!("line {line}: ")), "{found}");
        let options = [&options[..], &[("fleet_size", "3")]].concat();
        assert_eq!(problems::<AiSampling>(&options, true), [""; 0]);
    }
}
