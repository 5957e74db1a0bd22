//! The demo's result in a table, and whether everything is accounted for.

use super::traffic::Sent;
use super::view::View;

/// Prints what a person wants to see of it at once.
pub fn print(sent: &Sent, [apm, llm]: &[View; 2], counters: &str) {
    let row = |name: &str, sent: &str, apm: usize, llm: usize| {
        println!("  {name:<26}{sent:>8}{apm:>22}{llm:>16}");
    };
    println!("  {:<26}{:>8}{:>22}{:>16}", "", "sent", "apm, without prompts", "llm, calls only");
    row("spans", &sent.spans.to_string(), apm.spans, llm.spans);
    row("  with prompts", "", apm.with_content, llm.with_content);
    row(
        "metrics of applications",
        &sent.metrics.to_string(),
        apm.captured_metrics,
        llm.captured_metrics,
    );
    row("series of ai_metrics", "", series(apm), series(llm));
    row("log records", &(sent.logs + 1).to_string(), apm.logs, llm.logs);
    row("findings", "", apm.findings.len(), llm.findings.len());
    println!();
    let kept = apm.kept.iter().map(|(policy, spans)| format!("{spans} by {policy}"));
    println!("  kept:    {}", kept.collect::<Vec<_>>().join(", "));
    let total = |name: &str, label: &str| total(counters, name, label);
    println!(
        "  counted: {} tokens in, {} out, {:.2} US dollars, each call once; {} models under one set of names",
        total("counted_tokens_total", "type=\"input\""),
        total("counted_tokens_total", "type=\"output\""),
        total("cost_microdollars_total", "") as f64 / 1e6,
        apm.models.len()
    );
    for finding in &apm.findings {
        println!("  found:   {finding}");
    }
}

fn series(view: &View) -> usize {
    view.model_metrics.values().map(|series| series.len()).sum()
}

/// The sum of a counter of ours over the series that have a label.
fn total(counters: &str, name: &str, label: &str) -> u64 {
    let name = format!("fluentbit_ai_{name}{{");
    let lines = counters.lines().filter(|line| line.starts_with(&name) && line.contains(label));
    let value = |line: &str| line.split_once("} ")?.1.split(' ').next()?.parse::<f64>().ok();
    lines.filter_map(value).sum::<f64>() as u64
}

/// Whether everything is accounted for.
pub fn verdict(sent: &Sent, received: &[View; 2], code: Option<i32>, log: &str) {
    let [apm, llm] = received;
    let problems: Vec<&str> = [
        (apm.spans == 0 || apm.spans > sent.spans, "spans at apm"),
        (llm.spans > apm.spans, "spans at llm"),
        (apm.captured_metrics != sent.metrics, "metrics at apm"),
        (llm.captured_metrics != sent.metrics, "metrics at llm"),
        (apm.logs != sent.logs + 1, "logs at apm"),
        (llm.logs != sent.logs + 1, "logs at llm"),
        (apm.with_content > 0, "prompts at apm, where content is dropped"),
        (apm.model_metrics.is_empty(), "model metrics"),
        (apm.findings.is_empty(), "the model that became slower was not found"),
        (code != Some(0), "the host's exit code"),
    ]
    .into_iter()
    .filter_map(|(wrong, what)| wrong.then_some(what))
    .collect();
    assert!(
        problems.is_empty(),
        "not as it should be: {}\nthe host's log:\n{log}",
        problems.join(", ")
    );
    println!("\n  everything is accounted for: what is not at apm was sampled away");
}
