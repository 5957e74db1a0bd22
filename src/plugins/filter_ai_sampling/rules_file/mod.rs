//! A rules file of Refinery as it stands: the sampler of one environment.
//!
//! Its schema is `config/metadata/rulesMeta.yaml` of Refinery 3.2.

mod condition;
mod sampler;

use serde_json::{Map, Value};

use self::sampler::{RulesReader, SAMPLERS, one_in};
use super::policy_list::PolicyList;
use crate::config::{Node, Notes};
use crate::sampling::policy::{PolicyAction, PolicyRule, RuleCondition, SpanRule};

/// The section with the samplers of environments.
const ENVIRONMENTS: &str = "Samplers";
/// The keys that a file may have because it is one of Refinery's.
pub(super) const SECTIONS: [&str; 2] = ["RulesVersion", ENVIRONMENTS];
/// The environment whose sampler decides where no other one is named.
pub(super) const DEFAULT: &str = "__default__";
/// The name under which traces are counted that match no rule.
const NO_RULE: &str = "no_rule_matched";
const RULES: &str = "RulesBasedSampler";
const RULE_KEYS: [&str; 6] = ["Name", "Sampler", "Drop", "SampleRate", "Conditions", "Scope"];

/// Reads the sampler of an environment, if the file has samplers, and adds its rules to the list.
/// `environment` is one that was asked for.
pub(super) fn read(root: Node<'_>, environment: Option<&str>, list: &mut PolicyList) -> Notes {
    let mut reader = RulesReader { notes: Notes::default(), list };
    match (root.map.get(ENVIRONMENTS), environment) {
        (Some(Value::Object(map)), _) => {
            reader.version(root);
            reader.environment(Node { map, at: ENVIRONMENTS }, environment.unwrap_or(DEFAULT));
        }
        (None, None) if !root.map.contains_key("RulesVersion") => {}
        (_, None) => {
            reader.notes.refuse(root, ENVIRONMENTS, "allowed: a map of environments");
        }
        (_, Some(_)) => {
            let problem = "Samplers: option 'rules_environment' needs a rules file of Refinery";
            reader.notes.problem(problem);
        }
    }
    reader.notes
}

/// What is wrong with rules in the form of Refinery 1.x: samplers are in maps of datasets, or at the top.
pub(in crate::plugins::filter_ai_sampling) fn old_rules(
    root: &Map<String, Value>,
) -> Option<String> {
    // Its keys are not told apart by their case.
    let sampler = |map: &Map<String, Value>| {
        let is_one = |(key, value): &(&String, &Value)| {
            key.eq_ignore_ascii_case("Sampler") && value.is_string()
        };
        map.iter().find(is_one).map(|(key, _)| key.clone())
    };
    let in_dataset = |(name, of): (&String, &Value)| {
        of.as_object().and_then(sampler).map(|key| format!("{name}.{key}"))
    };
    let at = sampler(root).or_else(|| root.iter().find_map(in_dataset))?;
    Some(format!(
        "{at}: these are rules of Refinery 1.x; allowed: rules of Refinery 2 or later, with 'RulesVersion' and \
         'Samplers', which Refinery's tool 'convert' makes of them"
    ))
}

/// A map inside of another one, under this location.
fn inner<'v>(map: &'v Value, notes: &mut Notes, at: &str) -> Option<&'v Map<String, Value>> {
    let found = map.as_object();
    if found.is_none() {
        notes.problem(format!("{at} must be a map"));
    }
    found
}

impl RulesReader<'_> {
    fn version(&mut self, root: Node<'_>) {
        if root.map.get("RulesVersion").is_some_and(|version| version.as_u64() != Some(2)) {
            self.notes.refuse(root, "RulesVersion", "allowed: 2");
        }
    }

    fn environment(&mut self, samplers: Node<'_>, name: &str) {
        let Some(value) = samplers.map.get(name) else {
            let allowed = "it is missing; 'rules_environment' names one that is there";
            self.notes.refuse(samplers, name, allowed);
            return;
        };
        let at = format!("{}.{name}", samplers.at);
        let Some(map) = inner(value, &mut self.notes, &at) else { return };
        let known: Vec<&str> = SAMPLERS.iter().map(|(name, ..)| *name).chain([RULES]).collect();
        let node = Node { map, at: &at };
        self.notes.known(node, &known);
        match map.get(RULES) {
            Some(rules) if map.len() == 1 => {
                let at = format!("{at}.{RULES}");
                let Some(map) = inner(rules, &mut self.notes, &at) else { return };
                self.rules(Node { map, at: &at });
            }
            _ => {
                if let Some((name, rule)) = self.sampler(node) {
                    self.list.keep(name, rule);
                }
            }
        }
        self.list.decides_in_order("Samplers");
    }

    /// The one sampler in a map.
    fn sampler(&mut self, node: Node<'_>) -> Option<(&'static str, PolicyRule)> {
        let mut known = SAMPLERS.iter().filter(|(name, ..)| node.map.contains_key(*name));
        let (Some((name, keys, read)), None) = (known.next(), known.next()) else {
            self.notes.problem(format!("{}: allowed: one sampler", node.at));
            return None;
        };
        let at = format!("{}.{name}", node.at);
        let map = inner(node.map.get(*name)?, &mut self.notes, &at)?;
        let settings = Node { map, at: &at };
        self.notes.known(settings, keys);
        Some((name, read(self, settings)?))
    }

    fn rules(&mut self, node: Node<'_>) {
        self.notes.known(node, &["Rules", "CheckNestedFields"]);
        let nested = self.notes.flag(node, "CheckNestedFields", false).unwrap_or_default();
        for (index, value) in self.notes.list(node, "Rules").iter().enumerate() {
            let at = format!("{}.Rules[{index}]", node.at);
            if let Some(map) = inner(value, &mut self.notes, &at) {
                self.rule(Node { map, at: &at }, index, nested);
            }
        }
        self.list.keep(NO_RULE, PolicyRule::Always);
    }

    fn rule(&mut self, node: Node<'_>, index: usize, nested: bool) {
        self.notes.known(node, &RULE_KEYS);
        let name = match node.map.get("Name") {
            None => format!("rule_{}", index + 1),
            Some(_) => self.notes.text(node, "Name").unwrap_or_default(),
        };
        let same_span = match node.map.get("Scope").map(Value::as_str) {
            None | Some(Some("trace" | "")) => false,
            Some(Some("span")) => true,
            Some(_) => {
                self.notes.refuse(node, "Scope", "allowed: trace, span");
                false
            }
        };
        let mut conditions = Vec::new();
        for (index, value) in self.notes.list(node, "Conditions").iter().enumerate() {
            let at = format!("{}.Conditions[{index}]", node.at);
            let Some(map) = inner(value, &mut self.notes, &at) else { continue };
            let node = Node { map, at: &at };
            let condition = condition::read(node, nested, &mut self.notes);
            if same_span && matches!(condition, Some(RuleCondition::HasRoot(_))) {
                let allowed = "has-root-span is not about a span, so that the rule never matches";
                self.notes.refuse(node, "Operator", allowed);
            }
            conditions.extend(condition);
        }
        let Some((rule, action)) = self.decision(node) else { return };
        let rule = match (conditions.is_empty(), rule) {
            (true, rule) => rule,
            (false, rule) => {
                let spans = PolicyRule::Spans(Box::new(SpanRule { conditions, same_span }));
                PolicyRule::All(vec![spans, rule])
            }
        };
        self.list.push(&name, rule, action);
    }

    /// What becomes of traces that match a rule: its sampler says it, or `Drop`, or its rate.
    fn decision(&mut self, node: Node<'_>) -> Option<(PolicyRule, PolicyAction)> {
        if let Some(sampler) = node.map.get("Sampler") {
            let at = format!("{}.Sampler", node.at);
            let map = inner(sampler, &mut self.notes, &at)?;
            let known: Vec<&str> = SAMPLERS.iter().map(|(name, ..)| *name).collect();
            let node = Node { map, at: &at };
            self.notes.known(node, &known);
            return self.sampler(node).map(|(_, rule)| (rule, PolicyAction::Keep));
        }
        if self.notes.flag(node, "Drop", false)? {
            return Some((PolicyRule::Always, PolicyAction::Drop));
        }
        let rate = match node.map.get("SampleRate") {
            None => 0.0,
            Some(_) => self.notes.number(node, "SampleRate", (0.0, f64::MAX))?,
        };
        if rate < 1.0 {
            // By its code, as a rule without a rate does in Refinery.
            return Some((PolicyRule::Always, PolicyAction::Drop));
        }
        Some((one_in(rate), PolicyAction::Keep))
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod toml_tests;
