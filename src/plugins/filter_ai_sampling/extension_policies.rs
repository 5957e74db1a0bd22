//! What stands for the policies of a Collector's extensions, whose code is not here: an expression for each type.

use crate::condition::Condition;
use crate::config::Parser;
use crate::config::read::Read;
use crate::plugin::OptionSpec;
use crate::sampling::policy::PolicyRule;

/// The option.
pub(super) const OPTION: &str = "extension_policy";

/// What is said of a type that no expression stands for.
pub(super) const NOT_RUN: &str = "; an extension's policies are not run here, but the option 'extension_policy' may give \
                                  an expression for its type";

/// Types of policies, their expressions, and whether a policy has the type.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ExtensionPolicies(Vec<(String, String, bool)>);

/// Reads what is given: `TYPE=EXPRESSION`, once for each type.
pub(super) fn read(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<ExtensionPolicies> {
    let mut policies = ExtensionPolicies::default();
    for given in parser.texts(option.name) {
        let (kind, text) = given.split_once('=').unwrap_or_default();
        let (kind, text) = (kind.trim(), text.trim());
        if kind.is_empty() || text.is_empty() {
            parser.refuse(option.name, given, "allowed: TYPE=EXPRESSION");
        } else if policies.0.iter().any(|(known, ..)| known == kind) {
            parser.refuse(option.name, given, "allowed: one expression for each type");
        } else {
            if let Err(error) = Condition::compile(text) {
                parser.refuse(option.name, text, &error.to_string());
            }
            policies.0.push((kind.to_owned(), text.to_owned(), false));
        }
    }
    Some(policies)
}

impl ExtensionPolicies {
    /// The rule that stands for policies of a type, if there is one. Their settings mean something to the extension alone.
    pub(super) fn rule(&mut self, kind: &str) -> Option<PolicyRule> {
        let (_, text, is_used) = self.0.iter_mut().find(|(known, ..)| known == kind)?;
        *is_used = true;
        // What is no expression was refused where it was read.
        Condition::compile(text).ok().map(|condition| PolicyRule::Cel(Box::new(condition)))
    }

    /// Notes expressions for types that no policy has.
    pub(super) fn refuse_unused(&self, parser: &mut Parser<'_>) {
        for (kind, ..) in self.0.iter().filter(|(.., is_used)| !is_used) {
            let allowed = "allowed: the type of a policy in the tail_sampling block of config_file that is an extension's";
            parser.refuse(OPTION, kind, allowed);
        }
    }
}
