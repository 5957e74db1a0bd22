//! Rules of Refinery in TOML: what they mean, and how mistakes in them are told.

use super::*;
use crate::config::{CONFIG_FILE, FileOptions, Parser};
use crate::plugin::GivenOptions;
use crate::plugins::filter_ai_sampling::AiSampling;
use crate::plugins::testing::problems;

const TOML: &str = r#"
RulesVersion = 2

[Samplers.__default__.DeterministicSampler]
SampleRate = 10

[Samplers.models.RulesBasedSampler]
CheckNestedFields = true

[[Samplers.models.RulesBasedSampler.Rules]]
Name = "probes"
Drop = true
    [[Samplers.models.RulesBasedSampler.Rules.Conditions]]
    Field = "url.path"
    Operator = "starts-with"
    Value = "/health"

[[Samplers.models.RulesBasedSampler.Rules]]
Name = "failed"
SampleRate = 1
Scope = "span"
Conditions = [
    { Field = "status_code", Operator = "=", Value = 2, Datatype = "int" },
    { Fields = ["a", "root.b"], Operator = "in", Value = ["x", "z"] },
    { Field = "c", Operator = ">=", Value = 0.5, Datatype = "float" },
]

[[Samplers.models.RulesBasedSampler.Rules]]
Name = "calls"
    [Samplers.models.RulesBasedSampler.Rules.Sampler.EMAThroughputSampler]
    GoalThroughputPerSec = 100
    UseClusterSize = true
    AdjustmentInterval = "30s"
    FieldList = ["gen_ai.request.model"]
"#;

const YAML: &str = r#"
RulesVersion: 2
Samplers:
  __default__: {DeterministicSampler: {SampleRate: 10}}
  models:
    RulesBasedSampler:
      CheckNestedFields: true
      Rules:
        - {Name: probes, Drop: true, Conditions: [{Field: url.path, Operator: starts-with, Value: /health}]}
        - Name: failed
          SampleRate: 1
          Scope: span
          Conditions:
            - {Field: status_code, Operator: '=', Value: 2, Datatype: int}
            - {Fields: [a, root.b], Operator: in, Value: [x, z]}
            - {Field: c, Operator: '>=', Value: 0.5, Datatype: float}
        - Name: calls
          Sampler:
            EMAThroughputSampler:
              {GoalThroughputPerSec: 100, UseClusterSize: true, AdjustmentInterval: 30s, FieldList: [gen_ai.request.model]}
"#;

/// What the rules of an environment are, and what is wrong with them, in a file of that name.
fn rules(name: &str, text: &str, environment: &str) -> (String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let given = GivenOptions::of(&[(CONFIG_FILE, path.to_str().unwrap())]);
    let options = FileOptions::read_unless(&given, &[], &SECTIONS, old_rules);
    let mut parser = Parser::over(&options);
    let mut list = PolicyList::default();
    parser.file_problems(read(options.root(), Some(environment), &mut list));
    parser.file_problems(list.in_fleet(Some(1)));
    let problems = parser.finish(()).err().map(|error| error.0).unwrap_or_default();
    (format!("{:?}", list.finish()), problems)
}

/// Guarantees: the page that compares samplers has every sampler and every operator of the published schema.
#[test]
fn every_sampler_and_operator_is_compared() {
    let page = include_str!("../../../../docs/SAMPLERS.md");
    let operators = condition::OPERATORS.trim_start_matches("allowed: ").split(", ");
    let names = SAMPLERS.iter().map(|(name, ..)| *name).chain(operators);
    let missing: Vec<&str> = names.filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, [""; 0]);
}

/// Guarantees: the same rules in TOML and in YAML are the same policies.
#[test]
fn rules_in_toml_are_those_in_yaml() {
    for environment in [DEFAULT, "models"] {
        let (toml, problems) = rules("rules.TOML", TOML, environment);
        assert_eq!(problems, [""; 0]);
        let (yaml, problems) = rules("rules.yaml", YAML, environment);
        assert_eq!(problems, [""; 0]);
        assert_eq!(toml, yaml, "{environment}");
        assert!(toml.len() > 200, "{toml}");
    }
}

/// Guarantees: mistakes in TOML are named with their line, as those in YAML are.
#[test]
fn mistakes_in_toml_have_their_line() {
    for (from, to, line, part) in [
        ("= \"starts-with\"", "= \"starts\"", 15, "Operator: \"starts\" is not allowed"),
        ("Scope = \"span\"", "Scope = \"spans\"", 21, "Scope: \"spans\" is not allowed"),
        ("AdjustmentInterval", "AdjustmentIntervall", 33, "this key is not known"),
        ("Datatype = \"float\"", "Datatype = \"real\"", 25, "Datatype: \"real\""),
        ("RulesVersion = 2", "RulesVersion = 3", 2, "RulesVersion: 3 is not allowed"),
        ("SampleRate = 1\n", "SampleRate = = 1\n", 20, "it is not TOML"),
    ] {
        let text = TOML.replacen(from, to, 1);
        assert_ne!(text, TOML, "{from}");
        let (_, problems) = rules("rules.toml", &text, "models");
        let all = problems.join("\n");
        assert!(all.contains(part) && all.contains(&format!("line {line}: ")), "{to}: {all}");
    }
}

/// Cases: the forms of `rules_complete.1.x.toml` and of a file with datasets alone. Guarantees: rules of Refinery
/// 1.x are told from others, with the line by which they are.
#[test]
fn rules_of_refinery_1_are_refused_with_their_line() {
    let at_the_top = "# rules\nSampler = \"DeterministicSampler\"\nSampleRate = 1\n\n[dataset1]\n\tSampler = \"DynamicSampler\"\n";
    let of_datasets = "DryRun = true\n[dataset4]\n\tsampler = \"RulesBasedSampler\"\n\t[[dataset4.rule]]\n\tname = \"x\"\n";
    for (text, line, at) in [(at_the_top, 2, "Sampler"), (of_datasets, 3, "dataset4.sampler")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.toml");
        std::fs::write(&path, text).unwrap();
        let options = [("mode", "tail"), ("config_file", path.to_str().unwrap())];
        let found = problems::<AiSampling>(&options, true).join("\n");
        let wanted = format!("line {line}: {at}: these are rules of Refinery 1.x; allowed: ");
        assert!(found.contains(&wanted), "{found}");
    }
}
