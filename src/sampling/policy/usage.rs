//! What the model calls of a trace used: tokens, and what they cost.

use crate::codec::msgpack::{Reader, Token, text_of};
use crate::model::MODEL_CALLS;

/// The attributes that say what a call cost, of which a span's largest counts: the proposal of the
/// conventions, OpenLIT's and LiteLLM's.
const COSTS: [&[u8]; 3] =
    [b"gen_ai.usage.cost.amount", b"gen_ai.usage.cost", b"gen_ai.cost.total_cost"];

/// Tokens and money.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Amounts {
    input: f64,
    output: f64,
    cost: f64,
}

/// What a span says of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SpanUsage {
    amounts: Amounts,
    /// It is the span of an operation that is no call of a model, such as an agent's.
    sums_up: bool,
}

impl SpanUsage {
    /// Takes in one attribute.
    pub fn attribute(&mut self, key: &[u8], value: &[u8]) {
        let Some(rest) = key.strip_prefix(b"gen_ai.") else { return };
        let slot = match rest {
            b"usage.input_tokens" | b"usage.prompt_tokens" => &mut self.amounts.input,
            b"usage.output_tokens" | b"usage.completion_tokens" => &mut self.amounts.output,
            b"operation.name" => {
                self.sums_up = text_of(value).is_some_and(|name| !MODEL_CALLS.contains(&name));
                return;
            }
            _ if COSTS.contains(&key) => &mut self.amounts.cost,
            _ => return,
        };
        *slot = slot.max(amount(value));
    }
}

/// What the spans of a trace say of it.
///
/// The spans of calls are added up. Those of agents and workflows repeat what their calls used, so
/// that only the largest of them counts, and only where it is more than that sum.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TraceUsage {
    calls: Amounts,
    sums: Amounts,
}

impl TraceUsage {
    /// Takes in one span.
    pub fn add(&mut self, span: &SpanUsage) {
        let SpanUsage { amounts, sums_up } = *span;
        if sums_up {
            self.sums = self.sums.zip(amounts, f64::max);
        } else {
            self.calls = self.calls.zip(amounts, |sum, more| sum + more);
        }
    }

    /// Tokens that went in.
    #[must_use]
    pub fn input_tokens(&self) -> f64 {
        self.amounts().input
    }

    /// Tokens that came out.
    #[must_use]
    pub fn output_tokens(&self) -> f64 {
        self.amounts().output
    }

    /// What was paid, in whatever currency the spans say.
    #[must_use]
    pub fn cost(&self) -> f64 {
        self.amounts().cost
    }

    fn amounts(&self) -> Amounts {
        self.calls.zip(self.sums, f64::max)
    }
}

impl Amounts {
    fn zip(self, other: Self, join: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            input: join(self.input, other.input),
            output: join(self.output, other.output),
            cost: join(self.cost, other.cost),
        }
    }
}

/// The amount that an encoded value is; 0 for what is negative, not finite or no number.
fn amount(encoded: &[u8]) -> f64 {
    let number = match Reader::new(encoded).token() {
        Ok(Token::Uint(value)) => value as f64,
        Ok(Token::Float(value)) => value,
        _ => 0.0,
    };
    if number.is_finite() { number.max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{f64, int, str};

    fn encoded(write: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    fn span(attributes: &[(&str, Vec<u8>)]) -> SpanUsage {
        let mut usage = SpanUsage::default();
        for (key, value) in attributes {
            usage.attribute(key.as_bytes(), value);
        }
        usage
    }

    fn call(operation: &str, tokens: i64) -> SpanUsage {
        span(&[
            ("gen_ai.usage.input_tokens", encoded(|out| int(out, tokens))),
            ("gen_ai.operation.name", encoded(|out| str(out, operation))),
            ("gen_ai.usage.output_tokens", encoded(|out| int(out, tokens / 10))),
            ("gen_ai.usage.cost", encoded(|out| f64(out, tokens as f64 / 1000.0))),
        ])
    }

    #[test]
    fn calls_are_added_up_and_what_agents_repeat_is_not() {
        let mut trace = TraceUsage::default();
        for usage in [call("chat", 100), call("invoke_agent", 300), call("embeddings", 200)] {
            trace.add(&usage);
        }
        assert_eq!((trace.input_tokens(), trace.output_tokens()), (300.0, 30.0));
        assert!((trace.cost() - 0.3).abs() < 1e-9);
        trace.add(&call("invoke_agent", 500));
        assert_eq!(trace.input_tokens(), 500.0, "calls whose spans are missing");
    }

    #[test]
    fn odd_values_count_nothing() {
        let usage = span(&[
            ("gen_ai.usage.input_tokens", encoded(|out| int(out, -5))),
            ("gen_ai.usage.output_tokens", encoded(|out| f64(out, f64::NAN))),
            ("gen_ai.usage.cost", encoded(|out| str(out, "1"))),
            ("usage.input_tokens", encoded(|out| int(out, 5))),
        ]);
        assert_eq!(usage, SpanUsage::default());
        let older = span(&[
            ("gen_ai.usage.prompt_tokens", encoded(|out| int(out, 7))),
            ("gen_ai.usage.completion_tokens", encoded(|out| int(out, 2))),
            ("gen_ai.cost.total_cost", encoded(|out| f64(out, 0.5))),
        ]);
        let mut trace = TraceUsage::default();
        trace.add(&older);
        assert_eq!((trace.input_tokens(), trace.output_tokens(), trace.cost()), (7.0, 2.0, 0.5));
    }
}
