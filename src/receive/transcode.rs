//! Transcoding: requests -> log events, with a limit on how much larger the events may be.

use std::sync::atomic::{AtomicU32, Ordering};

use super::memory_budget::HeldMemory;
use super::refusal::Refusal;
use crate::clock;
use crate::codec::fluentbit::write::{
    FormatLoss, ReaderCapabilities, WrittenRequest, metrics_to_cmetrics, traces_to_ctraces,
};
use crate::codec::records::{
    DecodeError, LogOptions, Transcoded, logs_to_groups, logs_to_records, logs_to_records_under,
    metrics_to_records, profiles_to_records, traces_to_records,
};
use crate::codec::wire::{WireError, WireFields, WireValue};
use crate::model::Signal;
use crate::plugin::NativeKind;
use crate::runtime::buffer_pool;
use crate::stats::{Counter, CounterFamily, Counters};

/// What the events of one request may take at least.
const MIN_LIMIT: usize = 256 * 1024 * 1024;
/// What they may take in requests of the largest size, if that is more.
const MAX_GROWTH: usize = 4;
/// What a record takes beside its content, its resource and its scope.
const PER_RECORD: usize = 128;

/// The next id for the resources and scopes of log groups. They only have to differ within a
/// chunk, so they may wrap.
static NEXT_GROUP: AtomicU32 = AtomicU32::new(1);

/// Which signals become the host's own structures, and in which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeSettings {
    /// What the running release reads.
    pub(crate) forms: ReaderCapabilities,
    /// Whether traces do.
    pub(crate) traces: bool,
    /// Whether metrics do.
    pub(crate) metrics: bool,
    /// Whether logs do.
    pub(crate) logs: bool,
}

impl NativeSettings {
    /// Whether a signal does; profiles have no such structure.
    #[must_use]
    pub const fn has(&self, signal: Signal) -> bool {
        match signal {
            Signal::Traces => self.traces,
            Signal::Metrics => self.metrics,
            Signal::Logs => self.logs,
            Signal::Profiles => false,
        }
    }
}

/// Writes the events of requests.
#[derive(Debug)]
pub(super) struct Transcoder {
    log_groups: bool,
    largest: usize,
    /// The key under which the bodies of logs stand, if there is one for all.
    body_key: Option<String>,
    native: Option<Native>,
}

const LOSSES: CounterFamily = CounterFamily::counter(
    "native_losses_total",
    "What items lost on their way into the host's own form, by reason.",
    &["reason"],
);

/// The host's own forms in place of records, and what items lose in them.
#[derive(Debug)]
struct Native {
    settings: NativeSettings,
    losses: Vec<(FormatLoss, Counter)>,
}

impl Native {
    fn contexts(
        &self,
        signal: Signal,
        request: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Transcoded, DecodeError> {
        let WrittenRequest { transcoded, losses } = if signal == Signal::Metrics {
            metrics_to_cmetrics(request, out, self.settings.forms)?
        } else {
            traces_to_ctraces(request, out, self.settings.forms)?
        };
        for (loss, counter) in &self.losses {
            counter.add_items(losses.of(*loss));
        }
        Ok(transcoded)
    }
}

impl Transcoder {
    pub(super) fn new(log_groups: bool, max_request_size: usize) -> Self {
        let largest = max_request_size.saturating_mul(MAX_GROWTH).max(MIN_LIMIT);
        Self { log_groups, largest, body_key: None, native: None }
    }

    /// The same with a key for the bodies of all logs.
    pub(super) fn body_key(mut self, key: Option<&str>) -> Self {
        self.body_key = key.map(str::to_owned);
        self
    }

    /// The same that writes the host's own forms, if there are any. Where logs have no groups
    /// they stay records, because only records have their resource and scope with them then.
    pub(super) fn native(mut self, settings: Option<NativeSettings>, counters: &Counters) -> Self {
        self.native = settings.map(|settings| {
            let counter = |loss: FormatLoss| (loss, counters.counter(LOSSES, &[loss.name()]));
            Native { settings, losses: FormatLoss::ALL.map(counter).into() }
        });
        self
    }

    fn native_of(&self, signal: Signal) -> Option<&Native> {
        self.native.as_ref().filter(|native| native.settings.has(signal))
    }

    /// What the output is for a signal, if it is not log events.
    pub(super) fn kind(&self, signal: Signal) -> Option<NativeKind> {
        self.native_of(signal)?;
        match signal {
            Signal::Traces => Some(NativeKind::Traces),
            Signal::Metrics => Some(NativeKind::Metrics),
            Signal::Logs | Signal::Profiles => None,
        }
    }

    /// The events of a request. Afterwards `held` is what they take.
    ///
    /// # Errors
    /// The request is not valid, its events would be too large, or the budget is used up.
    pub(super) fn run(
        &self,
        signal: Signal,
        request: &[u8],
        held: &mut HeldMemory,
    ) -> Result<(Transcoded, Vec<u8>), Refusal> {
        let mut events = self.reserve(signal, request, held)?;
        let transcoded = self.append(signal, request, &mut events)?;
        held.settle(events.capacity());
        Ok((transcoded, events))
    }

    /// Room for the events of a request, which `held` holds from now on.
    ///
    /// # Errors
    /// The request is not valid, its events would be too large, or the budget is used up.
    pub(super) fn reserve(
        &self,
        signal: Signal,
        request: &[u8],
        held: &mut HeldMemory,
    ) -> Result<Vec<u8>, Refusal> {
        let expected = expected_size(signal, request).map_err(|broken| {
            let Broken { path, error } = broken;
            let path = if path.is_empty() { "request" } else { &path };
            Refusal::Malformed(format!("the request is not OTLP: {path}: {error}"))
        })?;
        if expected > self.largest {
            return Err(Refusal::TooLarge {
                limit: self.largest,
                when: " once each item carries its resource and scope",
            });
        }
        held.grow(expected)?;
        // What the codec asks for anyway, so that it need not move what is empty.
        let usual = request.len().saturating_add(request.len() / 2).saturating_add(256);
        Ok(buffer_pool::buffer(expected.max(usual)))
    }

    /// Appends the events of a request, or of a part of one.
    ///
    /// # Errors
    /// The request is not valid; nothing is appended.
    pub(super) fn append(
        &self,
        signal: Signal,
        request: &[u8],
        events: &mut Vec<u8>,
    ) -> Result<Transcoded, Refusal> {
        let now_unix_nanos = clock::unix_nanos();
        let native = self.native_of(signal);
        let transcoded = match signal {
            Signal::Traces | Signal::Metrics if native.is_some() => native
                .map_or(Ok(Transcoded::default()), |native| {
                    native.contexts(signal, request, events)
                }),
            Signal::Traces => traces_to_records(request, events),
            Signal::Metrics => metrics_to_records(request, events, now_unix_nanos),
            Signal::Logs => {
                let groups = self.log_groups;
                let first_group = reserve_groups(request.len());
                let options = LogOptions { groups, first_group, now_unix_nanos };
                let key = self.body_key.as_deref();
                match key {
                    _ if groups && native.is_some() => {
                        logs_to_groups(request, events, options, key)
                    }
                    Some(key) => logs_to_records_under(request, events, options, key),
                    None => logs_to_records(request, events, options),
                }
            }
            Signal::Profiles => profiles_to_records(request, events, now_unix_nanos),
        };
        transcoded.map_err(|error| Refusal::Malformed(error.to_string()))
    }
}

/// As many ids as a request of this size can need: a resource or a scope takes two bytes at least.
fn reserve_groups(request_bytes: usize) -> u32 {
    let count = u32::try_from(request_bytes / 2).unwrap_or(u32::MAX).saturating_add(1);
    NEXT_GROUP.fetch_add(count, Ordering::Relaxed)
}

/// About how large the events will be. Each record carries its resource and its scope, so a small
/// request can stand for very much: a large resource and many small items. This looks at lengths
/// only, down to the items, by the field numbers that all three signals share.
fn expected_size(signal: Signal, request: &[u8]) -> Result<usize, Broken> {
    let [resources, scopes] = match signal {
        Signal::Traces => ["resource_spans", "scope_spans"],
        Signal::Metrics => ["resource_metrics", "scope_metrics"],
        Signal::Logs => ["resource_logs", "scope_logs"],
        // One record for the whole request.
        Signal::Profiles => return Ok(request.len().saturating_add(PER_RECORD)),
    };
    let mut total = request.len();
    let mut resource_index = 0_usize;
    each_message(request, |number, resource_items| {
        if number != 1 {
            return Ok(());
        }
        let (mut resource, mut items, mut scope_index) = (0_usize, 0_usize, 0_usize);
        each_message(resource_items, |number, content| {
            if number != 2 {
                // The resource itself, its schema URL, and what we do not know.
                resource = resource.saturating_add(content.len());
                return Ok(());
            }
            let (mut scope, mut count) = (PER_RECORD, 0_usize);
            each_message(content, |number, content| {
                if number == 2 {
                    count = count.saturating_add(1);
                } else {
                    scope = scope.saturating_add(content.len());
                }
                Ok(())
            })
            .map_err(|broken| broken.within(scopes, scope_index))?;
            scope_index = scope_index.saturating_add(1);
            total = total.saturating_add(count.saturating_mul(scope));
            items = items.saturating_add(count);
            Ok(())
        })
        .map_err(|broken| broken.within(resources, resource_index))?;
        resource_index = resource_index.saturating_add(1);
        total = total.saturating_add(items.saturating_mul(resource));
        Ok(())
    })?;
    Ok(total)
}

/// Protobuf that is broken around the items, and where.
#[derive(Debug)]
struct Broken {
    path: String,
    error: WireError,
}

impl Broken {
    #[cold]
    fn new(error: WireError) -> Self {
        Self { path: String::new(), error }
    }

    #[cold]
    fn within(self, name: &str, index: usize) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{name}[{index}]{dot}{}", self.path), ..self }
    }
}

fn each_message<'a>(
    message: &'a [u8],
    mut see: impl FnMut(u32, &'a [u8]) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let mut fields = WireFields::new(message);
    while let Some(field) = fields.read().map_err(Broken::new)? {
        if let WireValue::Bytes(content) = field.value {
            see(field.number, content)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::fluentbit::write::ReaderCapabilities;
    use crate::receive::memory_budget::MemoryBudget;
    use crate::receive::tests::samples;
    use crate::stats::Counter;

    fn run(transcoder: &Transcoder, request: &[u8]) -> Result<(Transcoded, usize), Refusal> {
        let gauge = Counter::default();
        let budget = MemoryBudget::new(
            1 << 30,
            gauge.clone(),
            crate::receive::memory::WaitingMemory::unlimited(),
        );
        let mut held = budget.share();
        let (transcoded, events) = transcoder.run(Signal::Traces, request, &mut held)?;
        assert_eq!(usize::try_from(gauge.value()).unwrap(), events.capacity());
        Ok((transcoded, events.len()))
    }

    #[test]
    fn the_expected_size_is_near_the_real_one() {
        for (spans, resource) in [(1, 10), (100, 10), (100, 5000)] {
            let request = samples::traces(spans, resource);
            let (transcoded, real) = run(&Transcoder::new(true, 1 << 20), &request).unwrap();
            assert_eq!(transcoded.items, spans);
            let expected = expected_size(Signal::Traces, &request).unwrap();
            assert!(expected * 2 >= real && expected <= real * 3, "{expected} for {real}");
        }
    }

    #[test]
    fn a_resource_cannot_be_copied_without_bounds() {
        let request = samples::traces(5000, 100_000);
        assert!(request.len() < 1 << 20);
        let refusal = run(&Transcoder::new(true, 1 << 20), &request).unwrap_err();
        assert!(matches!(refusal, Refusal::TooLarge { limit: MIN_LIMIT, .. }), "{refusal}");
    }

    #[test]
    fn rubbish_is_malformed() {
        let mut request = samples::traces(1, 10);
        request.pop();
        let refusal = run(&Transcoder::new(true, 1 << 20), &request).unwrap_err();
        let Refusal::Malformed(message) = refusal else { panic!("{refusal}") };
        assert!(message.contains("request: protobuf ends in the middle"), "{message}");
        // A ResourceSpans with a good and a broken ScopeSpans.
        let request = b"\x0a\x05\x12\x00\x12\x01\x08";
        let refusal = run(&Transcoder::new(true, 1 << 20), request).unwrap_err();
        assert!(refusal.to_string().contains("resource_spans[0].scope_spans[1]: "), "{refusal}");
    }

    #[test]
    fn group_ids_are_not_used_twice() {
        let first = reserve_groups(1000);
        assert!(reserve_groups(0).wrapping_sub(first) >= 500);
    }

    #[test]
    fn each_signal_is_written_in_its_own_form() {
        let forms = ReaderCapabilities::of_release("5.1.1");
        let only = NativeSettings { forms, traces: false, metrics: true, logs: false };
        let transcoder = Transcoder::new(true, 1 << 20).native(Some(only), &Counters::default());
        let records = Transcoder::new(true, 1 << 20);
        assert_eq!(transcoder.kind(Signal::Traces), None);
        assert_eq!(transcoder.kind(Signal::Metrics), Some(NativeKind::Metrics));
        // `resource_spans`, `resource_metrics` and `resource_logs` with an empty scope and item.
        let request = [10, 4, 18, 2, 18, 0];
        for (signal, same) in
            [(Signal::Traces, true), (Signal::Metrics, false), (Signal::Logs, true)]
        {
            let of = |transcoder: &Transcoder| {
                let mut events = Vec::new();
                transcoder.append(signal, &request, &mut events).map(|_| events.len())
            };
            assert_eq!(of(&transcoder).ok() == of(&records).ok(), same, "{signal:?}");
        }
    }
}
