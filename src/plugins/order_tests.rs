//! The order of our filters, as each says at its start.

use std::sync::Arc;

use super::filter_ai_context::AiContext;
use super::filter_ai_metrics::AiMetrics;
use super::filter_ai_sampling::AiSampling;
use super::testing::environment;
use crate::plugin::{Environment, Filter, GivenOptions};
use crate::stats::Log;

/// Scenario: our filters in each order. Guarantees: one that stands where that means something else
/// says what, and one with other tags or in the order that fits says nothing.
#[test]
fn an_order_that_means_something_else_is_reported() {
    fn lines<F: Filter>(
        environment: &Environment,
        name: &str,
        pairs: &[(&str, &str)],
    ) -> Vec<String> {
        let environment = Environment {
            instance: name.to_owned(),
            log: Arc::new(Log::default()),
            ..environment.clone()
        };
        F::open(&GivenOptions::of(pairs), environment.clone()).map(drop).unwrap();
        environment.log.take().into_iter().map(|line| line.text).collect()
    }
    let tail = [("mode", "tail"), ("keep_errors", "on")];
    let wrong = environment(true);
    assert_eq!(lines::<AiSampling>(&wrong, "ai_sampling.0", &tail), [""; 0]);
    let metrics = lines::<AiMetrics>(&wrong, "ai_metrics.0", &[]);
    assert_eq!(metrics.len(), 1);
    assert!(metrics[0].starts_with("'ai_metrics.0' stands after 'ai_sampling.0', where both"));
    let context = lines::<AiContext>(&wrong, "ai_context.0", &[("redact", "email")]);
    assert_eq!(context.len(), 2, "{context:?}");
    assert!(context[0].contains("'ai_sampling.0'") && context[0].contains("the buffer holds"));
    assert!(context[1].contains("'ai_metrics.0'") && context[1].contains("measured by the names"));
    let fitting = environment(true);
    assert_eq!(lines::<AiContext>(&fitting, "ai_context.0", &[("redact", "email")]), [""; 0]);
    assert_eq!(lines::<AiMetrics>(&fitting, "ai_metrics.0", &[]), [""; 0]);
    assert_eq!(lines::<AiSampling>(&fitting, "ai_sampling.0", &tail), [""; 0]);
}
