//! Which models `ai_metrics` compares: the option `compare`.

use crate::config::Parser;
use crate::config::read::{self, Read};
use crate::findings::{CheckMode, ModelPair};
use crate::plugin::OptionSpec;

/// Pairs that are compared at most.
const MAX_PAIRS: usize = 16;
const ALLOWED: &str =
    "allowed: up to 16 pairs 'PRIMARY SHADOW' of different models, separated by commas";

/// Pairs of names, separated by commas: those that are right, so that what else is wrong is said too.
pub(super) fn model_pairs(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<ModelPair>> {
    let given = read::list(parser, option)?;
    let pairs: Vec<ModelPair> = given.iter().filter_map(|text| pair(text)).collect();
    if pairs.len() != given.len() || pairs.len() > MAX_PAIRS {
        let wrong = given.iter().find(|text| pair(text).is_none());
        parser.refuse(option.name, wrong.map_or("", |text| text), ALLOWED);
    }
    Some(pairs)
}

fn pair(text: &str) -> Option<ModelPair> {
    let mut names = text.split_ascii_whitespace();
    let (primary, shadow) = names.next().zip(names.next())?;
    let is_pair = names.next().is_none() && primary != shadow;
    is_pair.then(|| ModelPair { primary: primary.into(), shadow: shadow.into() })
}

/// Refuses to compare nothing.
pub(super) fn check_pairs(parser: &mut Parser<'_>, mode: CheckMode, pairs: &[ModelPair]) {
    let are_wrong = parser.text("compare").is_some_and(|text| !text.trim().is_empty());
    if mode != CheckMode::Off && pairs.is_empty() && !are_wrong {
        parser.refuse("find_pairs", "on", "allowed: with pairs of models in 'compare' only");
    }
}
