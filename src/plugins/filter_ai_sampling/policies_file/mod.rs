//! The YAML file of `ai_sampling`: policies that flat options cannot express, in our form and in that
//! of the Collector's `tail_sampling`.

use serde_json::Value;

use super::policy_list::PolicyList;
use super::policy_settings::Settings;
use super::{adaptive_settings, model_settings, ottl, tenant_settings};
use crate::codec::records::ContentHint;
use crate::config::{Node, Notes};
use crate::sampling::policy::{Composite, Limit, LimitUnit, PolicyAction, PolicyRule, SpanTest};

/// How deep policies may be nested.
const MAX_DEPTH: usize = 8;
/// Labels of counters, so policies cannot have these names.
const TAKEN: [&str; 7] =
    ["no_trace_id", "not_sampled", "dry_run", "shedding", "no_decision", "buffer_full", "shutdown"];

/// The key that says what becomes of the content of what a policy keeps.
const CONTENT: &str = "content";

/// How a file lays out a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Ours: settings beside `name` and `type`.
    Flat,
    /// The Collector's: settings in a map that is named as the type is.
    Collector,
}

/// Reads the list `policies` of a map into the list, and notes every mistake in it.
pub(super) fn read(node: Node<'_>, layout: Layout, list: &mut PolicyList) -> Notes {
    let settings = Settings { notes: Notes::default(), list };
    let mut walk = Walk { settings, layout };
    let dot = if node.at.is_empty() { "" } else { "." };
    for (index, policy) in walk.settings.notes.list(node, "policies").iter().enumerate() {
        walk.policy(policy, &format!("{}{dot}policies[{index}]", node.at));
    }
    walk.settings.notes
}

struct Walk<'l> {
    settings: Settings<'l>,
    layout: Layout,
}

impl Walk<'_> {
    fn policy(&mut self, value: &Value, at: &str) {
        let Some(node) = self.map(value, at, "'name' and 'type'") else { return };
        let name = self.notes().text(node, "name").unwrap_or_default();
        if name.is_empty() || TAKEN.contains(&name.as_str()) {
            self.notes().refuse(
                node,
                "name",
                &format!("allowed: a text other than {}", TAKEN.join(", ")),
            );
        }
        if self.settings.list.has(&name) {
            self.notes().refuse(node, "name", "allowed: a name that no other policy has");
        }
        let content = self.content(node);
        if let Some((rule, action)) = self.rule(node, 0) {
            self.settings.list.push(&name, rule, action);
            if let Some(content) = content {
                self.settings.list.hint(content);
                if action == PolicyAction::Drop {
                    let allowed = "allowed: none, as the policy keeps nothing";
                    self.notes().refuse(node, CONTENT, allowed);
                }
            }
        }
    }

    /// What a policy says of the content of what it keeps.
    fn content(&mut self, node: Node<'_>) -> Option<ContentHint> {
        if self.layout == Layout::Collector || !node.map.contains_key(CONTENT) {
            return None;
        }
        let hint = ContentHint::named(&self.notes().text(node, CONTENT)?);
        if hint.is_none() {
            self.notes().refuse(node, CONTENT, "allowed: keep, drop");
        }
        hint
    }

    const fn notes(&mut self) -> &mut Notes {
        &mut self.settings.notes
    }

    fn map<'v>(&mut self, value: &'v Value, at: &'v str, with: &str) -> Option<Node<'v>> {
        let map = value.as_object();
        if map.is_none() {
            self.notes().problem(format!("{at} must be a map with {with}"));
        }
        map.map(|map| Node { map, at })
    }

    /// The rules under a key of an `and`, an `or` or a `drop`.
    fn rules(&mut self, node: Node<'_>, key: &str, depth: usize) -> Vec<PolicyRule> {
        let values = self.notes().list(node, key);
        if values.is_empty() {
            self.notes().refuse(node, key, "allowed: a list of at least one policy");
        }
        let mut rules = Vec::new();
        for (index, value) in values.iter().enumerate() {
            rules.extend(self.inner(value, &format!("{}.{key}[{index}]", node.at), depth));
        }
        rules
    }

    fn inner(&mut self, value: &Value, at: &str, depth: usize) -> Option<PolicyRule> {
        let node = self.map(value, at, "'type'")?;
        self.rule(node, depth).map(|(rule, _)| rule)
    }

    /// A policy's rule, and what becomes of the traces that it matches. Inside other policies there are none
    /// that drop.
    fn rule(&mut self, node: Node<'_>, depth: usize) -> Option<(PolicyRule, PolicyAction)> {
        if depth > MAX_DEPTH {
            self.notes().problem(format!("{} is nested deeper than {MAX_DEPTH} levels", node.at));
            return None;
        }
        let kind = self.notes().text(node, "type")?;
        let layout = self.layout;
        let types = POLICY_TYPES.iter().filter(|policy| {
            policy.form(layout).is_some() && (depth == 0 || policy.place == Place::Anywhere)
        });
        let Some(policy) = types.clone().find(|policy| policy.name == kind) else {
            let names: Vec<&str> = types.map(|policy| policy.name).collect();
            let mut allowed = format!("allowed: {}", names.join(", "));
            if layout == Layout::Collector {
                if let Some(rule) = self.settings.list.extensions.rule(&kind) {
                    self.notes().known(node, &["name", "type", &kind]);
                    return Some((rule, PolicyAction::Keep));
                }
                allowed.push_str(super::extension_policies::NOT_RUN);
            }
            self.notes().refuse(node, "type", &allowed);
            return None;
        };
        let form = policy.form(layout)?;
        let action =
            if policy.place == Place::TopDrops { PolicyAction::Drop } else { PolicyAction::Keep };
        let rule = match layout {
            Layout::Flat => {
                // What is said of content is said at the top.
                let common: &[&str] =
                    if depth == 0 { &["name", "type", CONTENT] } else { &["name", "type"] };
                let all: Vec<&str> = common.iter().chain(form.keys).copied().collect();
                self.notes().known(node, &all);
                (form.read)(self, node, depth)
            }
            Layout::Collector => self.nested(node, policy.name, form, depth),
        };
        Some((rule?, action))
    }

    /// A policy whose settings are in a map of their own.
    fn nested(
        &mut self,
        node: Node<'_>,
        name: &str,
        form: Form,
        depth: usize,
    ) -> Option<PolicyRule> {
        self.notes().known(node, &["name", "type", name]);
        let at = format!("{}.{name}", node.at);
        let none = serde_json::Map::new();
        let map = match node.map.get(name) {
            Some(Value::Object(map)) => map,
            None | Some(Value::Null) => &none,
            Some(_) => {
                self.notes().refuse(node, name, "allowed: a map of settings");
                return None;
            }
        };
        let settings = Node { map, at: &at };
        self.notes().known(settings, form.keys);
        (form.read)(self, settings, depth)
    }

    /// A `drop`: chance and limits have no part in it.
    fn drop(&mut self, node: Node<'_>, key: &str, depth: usize) -> PolicyRule {
        let rules = self.rules(node, key, depth + 1);
        rules.iter().for_each(|rule| self.refuse_chance(node, key, rule, "a drop policy"));
        PolicyRule::All(rules)
    }

    fn or(&mut self, node: Node<'_>, depth: usize) -> PolicyRule {
        let rules = self.rules(node, "policies", depth + 1);
        if rules.iter().any(PolicyRule::is_limited) {
            self.notes().refuse(node, "policies", "an 'or' cannot have a limit");
        }
        self.refuse_adaptive(node, "policies", &rules, "an 'or'");
        PolicyRule::Any(rules)
    }

    fn not(&mut self, node: Node<'_>, key: &str, depth: usize) -> Option<PolicyRule> {
        let Some(value) = node.map.get(key) else {
            self.notes().refuse(node, key, "it is missing");
            return None;
        };
        let rule = self.inner(value, &format!("{}.{key}", node.at), depth + 1)?;
        self.refuse_chance(node, key, &rule, "a 'not'");
        Some(PolicyRule::Not(Box::new(rule)))
    }

    /// An `and`, of which each part is asked of its own.
    fn and(&mut self, node: Node<'_>, key: &str, depth: usize) -> PolicyRule {
        let rules = self.rules(node, key, depth + 1);
        if rules.iter().filter(|rule| rule.is_novel()).count() > 1 {
            self.notes().refuse(node, key, "an 'and' has one of 'rare' and 'diverse' at most");
        }
        PolicyRule::All(rules)
    }

    fn refuse_chance(&mut self, node: Node<'_>, key: &str, rule: &PolicyRule, what: &str) {
        if rule.is_novel() {
            self.notes().refuse(node, key, &format!("{what} cannot have 'rare' or 'diverse'"));
        }
        if rule.is_probabilistic() {
            self.notes().refuse(node, key, &format!("{what} cannot be probabilistic"));
        }
        if rule.is_limited() {
            self.notes().refuse(node, key, &format!("{what} cannot have a limit"));
        }
    }

    /// Whether a part of these rules is adaptive would not say how likely all of them are.
    fn refuse_adaptive(&mut self, node: Node<'_>, key: &str, rules: &[PolicyRule], what: &str) {
        if rules.iter().any(|rule| rule.adaptive_sampler().is_some()) {
            self.notes().refuse(node, key, &format!("{what} cannot be adaptive"));
        }
        if rules.iter().any(PolicyRule::is_novel) {
            self.notes().refuse(node, key, &format!("{what} cannot have 'rare' or 'diverse'"));
        }
    }

    /// Rules in an order, each with a share of a limit. Those without one share what is left.
    fn composite(&mut self, node: Node<'_>, key: &str, depth: usize) -> Option<PolicyRule> {
        let total = self.notes().number(node, "max_total_spans_per_second", (0.0, f64::MAX));
        let mut named = self.named_rules(node, key, depth);
        let order = self.notes().texts(node, "policy_order");
        let mut shares = self.shares(node, &order)?;
        let total = total?;
        let left = (100.0 - shares.iter().map(|(_, percent)| percent).sum::<f64>()).max(0.0);
        let without = order.len().saturating_sub(shares.len()).max(1);
        let limit =
            |percent: f64| Limit { rate: total * percent / 100.0, burst: total * percent / 100.0 };
        let (mut rules, mut limits) = (Vec::new(), Vec::new());
        for name in &order {
            let Some(at) = named.iter().position(|(known, _)| known == name) else {
                let allowed = "allowed: the name of each policy under it, once";
                self.notes().refuse(node, "policy_order", allowed);
                return None;
            };
            rules.push(named.swap_remove(at).1);
            let share = shares.iter().position(|(known, _)| known == name);
            let percent = share.map_or(left / without as f64, |share| shares.swap_remove(share).1);
            limits.push(self.settings.list.limit(limit(percent)));
        }
        if !named.is_empty() {
            self.notes().refuse(node, "policy_order", "a policy under it is missing here");
        }
        self.refuse_adaptive(node, key, &rules, "a composite");
        let total = self.settings.list.limit(limit(100.0));
        Some(PolicyRule::Composite(Box::new(Composite { rules, shares: limits, total })))
    }

    /// The rules of a composite with their names.
    fn named_rules(
        &mut self,
        node: Node<'_>,
        key: &str,
        depth: usize,
    ) -> Vec<(String, PolicyRule)> {
        let mut named = Vec::new();
        for (index, value) in self.notes().list(node, key).iter().enumerate() {
            let at = format!("{}.{key}[{index}]", node.at);
            let Some(inner) = self.map(value, &at, "'name' and 'type'") else { continue };
            let name = self.notes().text(inner, "name");
            let rule = self.rule(inner, depth + 1);
            named.extend(name.zip(rule.map(|(rule, _)| rule)));
        }
        named
    }

    /// The percentages of `rate_allocation`, by policy.
    fn shares(&mut self, node: Node<'_>, order: &[String]) -> Option<Vec<(String, f64)>> {
        let mut shares: Vec<(String, f64)> = Vec::new();
        for (index, value) in self.notes().list(node, "rate_allocation").iter().enumerate() {
            let at = format!("{}.rate_allocation[{index}]", node.at);
            let inner = self.map(value, &at, "'policy' and 'percent'")?;
            self.notes().known(inner, &["policy", "percent"]);
            let policy = self.notes().text(inner, "policy")?;
            let percent = self.notes().number(inner, "percent", (0.0, 100.0))?;
            if !order.contains(&policy) || shares.iter().any(|(known, _)| *known == policy) {
                self.notes().refuse(inner, "policy", "allowed: a name of policy_order, once");
            }
            shares.push((policy, percent));
        }
        Some(shares)
    }

    /// Conditions in OTTL, of which one must be true of a span, or of a span's event.
    fn ottl(&mut self, node: Node<'_>) -> Option<PolicyRule> {
        if node.map.contains_key("error_mode") {
            let mode = self.notes().text(node, "error_mode")?;
            if !["ignore", "silent", "propagate"].contains(&mode.as_str()) {
                self.notes().refuse(node, "error_mode", "allowed: ignore, silent, propagate");
            }
        }
        let mut translate = |key: &str, context: ottl::Context| {
            let mut all = Vec::new();
            for (index, value) in self.settings.notes.list(node, key).iter().enumerate() {
                match ottl::to_cel(value.as_str().unwrap_or_default(), context) {
                    Ok(text) => all.push(text),
                    Err(problem) => {
                        self.settings
                            .notes
                            .problem(format!("{}.{key}[{index}]: {problem}", node.at));
                    }
                }
            }
            all
        };
        let spans = translate("span", ottl::Context::Span);
        let events = translate("spanevent", ottl::Context::SpanEvent);
        let Some(condition) = ottl::of_trace(spans, &events) else {
            self.notes().refuse(
                node,
                "span",
                "allowed: a list of conditions, here or in 'spanevent'",
            );
            return None;
        };
        match crate::condition::Condition::compile(&condition) {
            Ok(condition) => Some(PolicyRule::Cel(Box::new(condition))),
            Err(error) => {
                self.notes().problem(format!("{}: {error}", node.at));
                None
            }
        }
    }
}

/// Where a policy may stand, and what becomes of the traces that it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Anywhere; they stay.
    Anywhere,
    /// Not inside another policy; they stay.
    Top,
    /// Not inside another policy; they go.
    TopDrops,
}

/// The keys of a policy's settings, and what reads them; the number is how deep it is nested.
#[derive(Clone, Copy)]
struct Form {
    keys: &'static [&'static str],
    read: fn(&mut Walk<'_>, Node<'_>, usize) -> Option<PolicyRule>,
}

/// A type of policies: a row without a reader does not compile.
struct PolicyType {
    name: &'static str,
    place: Place,
    /// In our layout, if we have it.
    flat: Option<Form>,
    /// In the Collector's, if it has it.
    collector: Option<Form>,
}

impl PolicyType {
    const fn form(&self, layout: Layout) -> Option<Form> {
        match layout {
            Layout::Flat => self.flat,
            Layout::Collector => self.collector,
        }
    }
}

const fn form(
    keys: &'static [&'static str],
    read: fn(&mut Walk<'_>, Node<'_>, usize) -> Option<PolicyRule>,
) -> Option<Form> {
    Some(Form { keys, read })
}

const fn policy_type(
    name: &'static str,
    flat: Option<Form>,
    collector: Option<Form>,
) -> PolicyType {
    PolicyType { name, place: Place::Anywhere, flat, collector }
}

/// A type with the same settings in both layouts.
const fn shared(
    name: &'static str,
    keys: &'static [&'static str],
    read: fn(&mut Walk<'_>, Node<'_>, usize) -> Option<PolicyRule>,
) -> PolicyType {
    policy_type(name, form(keys, read), form(keys, read))
}

const POLICY_TYPES: [PolicyType; 37] = [
    shared("always_sample", &[], |_, _, _| Some(PolicyRule::Always)),
    shared("status_code", &["status_codes"], |walk, node, _| walk.settings.status(node)),
    policy_type("error", form(&[], |walk, _, _| walk.settings.span_test(SpanTest::Failure)), None),
    shared("trace_state", &["key", "values"], |walk, node, _| walk.settings.trace_state(node)),
    shared("trace_flags", &[], |walk, _, _| walk.settings.span_test(SpanTest::Sampled)),
    policy_type(
        "latency",
        form(&["threshold", "upper_threshold"], |walk, node, _| walk.settings.latency(node)),
        form(&["threshold_ms", "upper_threshold_ms"], |walk, node, _| {
            walk.settings.latency_ms(node)
        }),
    ),
    shared("span_count", &["min_spans", "max_spans"], |walk, node, _| {
        walk.settings.span_count(node)
    }),
    policy_type(
        "string_attribute",
        form(&["key", "values", "regex", "invert_match"], |walk, node, _| {
            walk.settings.text(node, "regex")
        }),
        form(
            &["key", "values", "enabled_regex_matching", "cache_max_size", "invert_match"],
            |walk, node, _| walk.settings.text(node, "enabled_regex_matching"),
        ),
    ),
    policy_type(
        "numeric_attribute",
        form(&["key", "min", "max", "invert_match"], |walk, node, _| {
            walk.settings.number(node, ("min", "max"))
        }),
        form(&["key", "min_value", "max_value", "invert_match"], |walk, node, _| {
            walk.settings.number(node, ("min_value", "max_value"))
        }),
    ),
    policy_type(
        "boolean_attribute",
        form(&["key", "value", "invert_match"], |walk, node, _| walk.settings.boolean(node, true)),
        form(&["key", "value", "invert_match"], |walk, node, _| walk.settings.boolean(node, false)),
    ),
    policy_type(
        "probabilistic",
        form(&["sampling_percentage"], |walk, node, _| walk.settings.probability(node)),
        form(&["sampling_percentage", "hash_salt"], |walk, node, _| {
            walk.settings.collector_probability(node)
        }),
    ),
    policy_type(
        "adaptive_percentage",
        form(&adaptive_settings::PERCENTAGE_KEYS, |walk, node, _| {
            adaptive_settings::percentage(&mut walk.settings, node)
        }),
        None,
    ),
    policy_type(
        "adaptive_throughput",
        form(&adaptive_settings::THROUGHPUT_KEYS, |walk, node, _| {
            adaptive_settings::throughput(&mut walk.settings, node)
        }),
        None,
    ),
    policy_type(
        "tenant_throughput",
        form(&tenant_settings::POLICY_KEYS, |walk, node, _| {
            tenant_settings::policy(&mut walk.settings, node)
        }),
        None,
    ),
    policy_type(
        "rare",
        form(&model_settings::RARE_KEYS, |walk, node, _| {
            model_settings::rare(&mut walk.settings, node)
        }),
        None,
    ),
    policy_type(
        "diverse",
        form(&model_settings::DIVERSE_KEYS, |walk, node, _| {
            model_settings::diverse(&mut walk.settings, node)
        }),
        None,
    ),
    shared("rate_limiting", &["spans_per_second", "burst_capacity"], |walk, node, _| {
        walk.settings.limit(node, "spans_per_second", LimitUnit::Spans)
    }),
    shared("bytes_limiting", &["bytes_per_second", "burst_capacity"], |walk, node, _| {
        walk.settings.limit(node, "bytes_per_second", LimitUnit::Bytes)
    }),
    PolicyType {
        place: Place::Top,
        ..policy_type(
            "composite",
            form(
                &["max_total_spans_per_second", "policy_order", "policies", "rate_allocation"],
                |walk, node, depth| walk.composite(node, "policies", depth),
            ),
            form(
                &[
                    "max_total_spans_per_second",
                    "policy_order",
                    "composite_sub_policy",
                    "rate_allocation",
                ],
                |walk, node, depth| walk.composite(node, "composite_sub_policy", depth),
            ),
        )
    },
    policy_type(
        "tokens",
        form(&["min_total", "min_input", "min_output"], |walk, node, _| walk.settings.tokens(node)),
        None,
    ),
    policy_type("cost", form(&["min"], |walk, node, _| walk.settings.cost(node)), None),
    policy_type(
        "time_to_first_token",
        form(&["min"], |walk, node, _| walk.settings.first_token(node)),
        None,
    ),
    policy_type(
        "finish_reason",
        form(&["values"], |walk, node, _| walk.settings.finish_reason(node)),
        None,
    ),
    policy_type(
        "model",
        form(&["values", "regex"], |walk, node, _| walk.settings.model(node)),
        None,
    ),
    policy_type("tool_error", form(&[], |walk, _, _| walk.settings.tool_error()), None),
    policy_type(
        "refusal",
        form(&[], |walk, _, _| model_settings::refusal(&mut walk.settings)),
        None,
    ),
    policy_type(
        "prompt",
        form(&["names", "versions"], |walk, node, _| {
            model_settings::prompt(&mut walk.settings, node)
        }),
        None,
    ),
    policy_type(
        "guardrail",
        form(&[], |walk, _, _| model_settings::guardrail(&mut walk.settings)),
        None,
    ),
    policy_type(
        "evaluation",
        form(&["evaluations", "min_score", "max_score", "labels"], |walk, node, _| {
            model_settings::evaluation(&mut walk.settings, node)
        }),
        None,
    ),
    policy_type("finding", form(&[], |_, _, _| Some(PolicyRule::Finding)), None),
    policy_type(
        "exemplar",
        form(&["max_per_second"], |walk, node, _| walk.settings.exemplar(node)),
        None,
    ),
    policy_type("cel", form(&["expression"], |walk, node, _| walk.settings.cel(node)), None),
    policy_type(
        "ottl_condition",
        None,
        form(&["error_mode", "span", "spanevent"], |walk, node, _| walk.ottl(node)),
    ),
    policy_type(
        "and",
        form(&["policies"], |walk, node, depth| Some(walk.and(node, "policies", depth))),
        form(&["and_sub_policy"], |walk, node, depth| {
            Some(walk.and(node, "and_sub_policy", depth))
        }),
    ),
    policy_type("or", form(&["policies"], |walk, node, depth| Some(walk.or(node, depth))), None),
    policy_type(
        "not",
        form(&["policy"], |walk, node, depth| walk.not(node, "policy", depth)),
        form(&["not_sub_policy"], |walk, node, depth| walk.not(node, "not_sub_policy", depth)),
    ),
    PolicyType {
        place: Place::TopDrops,
        ..policy_type(
            "drop",
            form(&["policies"], |walk, node, depth| Some(walk.drop(node, "policies", depth))),
            form(&["drop_sub_policy"], |walk, node, depth| {
                Some(walk.drop(node, "drop_sub_policy", depth))
            }),
        )
    },
];

#[cfg(test)]
mod tests;
