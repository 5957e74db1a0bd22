//! Observed calls: what is measured, as [`crate::findings`] takes it.

use super::attribute::Attribute;
use super::export_mode::ExportMode;
use super::measured::MeasuredSpan;
use super::number::signed;
use super::usage::TokenCounts;
use crate::findings::{
    CallOrigin, Findings, FindingsConfig, ObservedCall, ObservedTool, UsedTokens,
};
use crate::model::Emission;

/// What looks for findings, if anything does.
pub(super) fn findings(config: Option<&FindingsConfig>, unix_nanos: u64) -> Option<Box<Findings>> {
    let config = config.filter(|config| config.is_on())?;
    Some(Box::new(Findings::new(config.clone(), unix_nanos)))
}

/// Tells of a call of a model or of a tool. What else is measured goes unseen.
pub(super) fn tell(
    findings: &mut Findings,
    origin: &CallOrigin<'_>,
    measured: &MeasuredSpan<'_, '_>,
    counts: Option<&TokenCounts>,
) {
    let fields = measured.fields;
    let (conversation, unix_nanos) = (fields.get(Attribute::Conversation), measured.to);
    if fields.calls_model() {
        let number = |attribute| signed(fields.get(attribute));
        let cached = [number(Attribute::CacheRead), number(Attribute::CacheWrite)];
        findings.call(&ObservedCall {
            origin,
            unix_nanos,
            operation: fields.get(Attribute::Operation),
            provider: measured.dimension(Attribute::Provider),
            request_model: fields.get(Attribute::RequestModel),
            response_model: fields.get(Attribute::ResponseModel),
            fingerprint: fields.get(Attribute::Fingerprint),
            conversation,
            input_messages: fields.get(Attribute::InputMessages),
            system_instructions: fields.get(Attribute::SystemInstructions),
            finish_reasons: fields.get(Attribute::FinishReasons),
            events: measured.events,
            prompt_name: fields.get(Attribute::PromptName),
            prompt_version: fields.get(Attribute::PromptVersion),
            response_id: fields.get(Attribute::ResponseId),
            seconds: measured.seconds(),
            first_chunk: fields.amount(Attribute::FirstChunk),
            tokens: UsedTokens {
                input: number(Attribute::Input).or_else(|| number(Attribute::Prompt)),
                output: number(Attribute::Output).or_else(|| number(Attribute::Completion)),
                cached: cached.into_iter().flatten().reduce(|read, written| read + written),
                reasoning: number(Attribute::Reasoning),
            },
            cost: counts.and_then(|counts| counts.cost?.usd()),
            has_failed: !fields.error(measured.status).is_empty(),
            ids: measured.ids,
        });
    } else if measured.is_operation("execute_tool") {
        findings.tool(&ObservedTool {
            origin,
            unix_nanos,
            conversation,
            name: fields.get(Attribute::ToolName),
            arguments: fields.get(Attribute::ToolArguments),
            ids: measured.ids,
        });
    }
}

/// Adds the metric of findings to what is exported: to the one emission where there is to be one.
pub(super) fn export(
    findings: &mut Findings,
    (tag, is_whole): (Option<&[u8]>, bool),
    mode: ExportMode,
    batches: &mut Vec<Emission>,
    unix_nanos: u64,
) {
    let mut own =
        Emission { tag: tag.unwrap_or(findings.tag()).to_vec(), records: 0, events: Vec::new() };
    let whole = batches.last_mut().filter(|_| is_whole);
    let batch = whole.unwrap_or(&mut own);
    batch.records += match mode {
        ExportMode::Page => findings.export_page(&mut batch.events, unix_nanos),
        _ => findings.export(&mut batch.events, unix_nanos),
    };
    if own.records > 0 {
        batches.push(own);
    }
}
