//! Request walk: the attributes of spans and log records, each left, given an address or replaced by it.
//! Pure: bytes in, bytes out.

use crate::codec::wire::{self, NestedMessage, WireError, WireFields, WireValue, nested};
use crate::export::request::items::{attributes_field, pair_of};
use crate::model::Signal;

/// What the name of an attribute gets at its end where the value is an address.
const SUFFIX: &[u8] = b"_ref";

/// `start_time_unix_nano` of `Span`.
const SPAN_TIME: u32 = 7;
/// `time_unix_nano` of `LogRecord`.
const LOG_TIME: u32 = 1;
/// `observed_time_unix_nano` of `LogRecord`.
const LOG_OBSERVED: u32 = 11;

/// One attribute of a span or log record.
#[derive(Debug, Clone, Copy)]
pub(super) struct ContentAttribute<'a> {
    pub(super) name: &'a [u8],
    /// The `AnyValue`, encoded.
    pub(super) value: &'a [u8],
    /// When its item was, in Unix nanoseconds.
    pub(super) time: u64,
}

/// What its item gets.
#[derive(Debug)]
pub(super) enum ContentForm {
    /// The value, and this address beside it.
    Whole(String),
    /// This address in its place.
    Address(String),
}

/// Decides about the attributes of requests.
pub(super) trait DecideContent {
    /// Whether an attribute may be given by its address.
    fn may_replace(&self, name: &[u8], value: &[u8]) -> bool;

    /// How it is given.
    fn decide(&mut self, attribute: ContentAttribute<'_>) -> ContentForm;
}

/// The request after these decisions; `None` if it cannot be read. Items that have no time, and attributes
/// that have an address already, stay as they are.
pub(super) fn rewrite(
    signal: Signal,
    request: &[u8],
    decide: &mut impl DecideContent,
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(request.len().saturating_add(256));
    let written = nested(&mut out, request, &mut |number, resource, out| {
        (number == 1).then(|| {
            nested(out, resource, &mut |number, scope, out| {
                (number == 2).then(|| {
                    nested(out, scope, &mut |number, item, out| {
                        (number == 2).then(|| rewrite_item(out, signal, item, decide))
                    })
                })
            })
        })
    });
    written.ok().map(|()| out)
}

fn rewrite_item(
    out: &mut Vec<u8>,
    signal: Signal,
    item: &[u8],
    decide: &mut impl DecideContent,
) -> Result<(), WireError> {
    let time = time_of(signal, item)?;
    let list = attributes_field(signal, 0);
    let mut fields = WireFields::new(item);
    while let Some(field) = fields.read()? {
        let pair = match field.value {
            WireValue::Bytes(pair) if field.number == list && time > 0 => pair,
            _ => {
                out.extend_from_slice(field.raw);
                continue;
            }
        };
        let (name, value) = pair_of(pair);
        if !decide.may_replace(name, value) || has_address(item, list, name)? {
            out.extend_from_slice(field.raw);
            continue;
        }
        let address = match decide.decide(ContentAttribute { name, value, time }) {
            ContentForm::Whole(address) => {
                out.extend_from_slice(field.raw);
                address
            }
            ContentForm::Address(address) => address,
        };
        write_address(out, list, name, &address);
    }
    Ok(())
}

/// When an item was: a span's start, and of a log its time or when it was observed. 0 if it does not say.
fn time_of(signal: Signal, item: &[u8]) -> Result<u64, WireError> {
    let (mut time, mut observed) = (0, 0);
    let mut fields = WireFields::new(item);
    while let Some(field) = fields.read()? {
        match (signal, field.number, field.value) {
            (Signal::Traces, SPAN_TIME, WireValue::Fixed64(value))
            | (Signal::Logs, LOG_TIME, WireValue::Fixed64(value)) => time = value,
            (Signal::Logs, LOG_OBSERVED, WireValue::Fixed64(value)) => observed = value,
            _ => {}
        }
    }
    Ok(if time == 0 { observed } else { time })
}

/// Whether an item has the address of an attribute, as of content that its sender uploaded.
fn has_address(item: &[u8], list: u32, name: &[u8]) -> Result<bool, WireError> {
    let mut found = false;
    wire::each(item, list, |pair| {
        found |= pair_of(pair).0.strip_suffix(SUFFIX) == Some(name);
        Ok(())
    })?;
    Ok(found)
}

fn write_address(out: &mut Vec<u8>, list: u32, name: &[u8], address: &str) {
    let pair = NestedMessage::open(out, list, name.len().saturating_add(address.len()));
    wire::key(out, 1, 2);
    wire::varint(out, name.len().saturating_add(SUFFIX.len()) as u64);
    out.extend_from_slice(name);
    out.extend_from_slice(SUFFIX);
    let value = NestedMessage::open(out, 2, address.len());
    wire::bytes(out, 1, address.as_bytes());
    value.close(out);
    pair.close(out);
}
