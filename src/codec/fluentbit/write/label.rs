//! Label writer: the attributes of data points, which are text in the host's form.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::capabilities::MAX_DEPTH;
use super::loss::{FormatLoss, FormatLosses};
use super::scan::{WriteProblem, WriteResult, each};
use super::value::{AnyContent, AttributePair, utf8};
use crate::codec::records::DecodeKind;

/// One attribute of a data point.
#[derive(Debug)]
pub(super) struct PointLabel<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) text: Cow<'a, str>,
}

/// Reads the attributes in the fields `number` of a data point.
///
/// What is no text becomes text by the OpenTelemetry specification, "Representing AnyValue in
/// non-OTLP protocols": decimal numbers, `true` and `false`, base64, and JSON.
pub(super) fn labels<'a>(
    point: &'a [u8],
    number: u32,
    longest: usize,
    losses: &mut FormatLosses,
) -> WriteResult<Vec<PointLabel<'a>>> {
    let mut labels = Vec::new();
    each(point, number, |pair| {
        let pair = AttributePair::read(pair)?;
        let key = clean(Cow::Borrowed(utf8(pair.key)?), losses);
        if key.is_empty() {
            losses.add(FormatLoss::KeyLength);
            return Ok(());
        }
        let text = match pair.value {
            Cow::Borrowed(value) => text(value, losses)?,
            Cow::Owned(value) => Cow::Owned(text(&value, losses)?.into_owned()),
        };
        let text = clean(text, losses);
        if key.len().max(text.len()) > longest {
            return Err(WriteProblem::Form(
                "an attribute is longer than the 1024 bytes that this release of Fluent Bit takes",
            ));
        }
        labels.push(PointLabel { key, text });
        Ok(())
    })?;
    Ok(labels)
}

/// Text without zero bytes, which end a text for the host.
pub(super) fn clean<'a>(text: Cow<'a, str>, losses: &mut FormatLosses) -> Cow<'a, str> {
    if memchr::memchr(0, text.as_bytes()).is_none() {
        return text;
    }
    losses.add(FormatLoss::Nul);
    Cow::Owned(text.replace('\0', "\u{fffd}"))
}

fn text<'a>(value: &'a [u8], losses: &mut FormatLosses) -> WriteResult<Cow<'a, str>> {
    let any = AnyContent::read(value)?;
    match any {
        AnyContent::Text(text) => return Ok(Cow::Borrowed(utf8(text)?)),
        AnyContent::Unset => losses.add(FormatLoss::Unset),
        _ => losses.add(FormatLoss::LabelType),
    }
    Ok(Cow::Owned(match any {
        AnyContent::Text(_) | AnyContent::Unset => String::new(),
        AnyContent::Bool(value) => value.to_string(),
        AnyContent::Int(value) => value.to_string(),
        AnyContent::Double(value) => {
            number(value).as_str().map_or_else(|| number(value).to_string(), str::to_owned)
        }
        AnyContent::Bytes(bytes) => STANDARD.encode(bytes),
        AnyContent::List(_) | AnyContent::Map(_) => json(&any, MAX_DEPTH)?.to_string(),
    }))
}

/// A number, or the name of what JSON has no number for.
fn number(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => Value::from("NaN"),
        None if value > 0.0 => Value::from("Infinity"),
        None => Value::from("-Infinity"),
    }
}

fn json(any: &AnyContent<'_>, depth: u32) -> WriteResult<Value> {
    let deeper = || depth.checked_sub(1).ok_or(WriteProblem::Otlp(DecodeKind::Depth));
    Ok(match any {
        AnyContent::Unset => Value::Null,
        AnyContent::Text(text) => Value::from(utf8(text)?),
        AnyContent::Bool(value) => Value::from(*value),
        AnyContent::Int(value) => Value::from(*value),
        AnyContent::Double(value) => number(*value),
        AnyContent::Bytes(bytes) => Value::from(STANDARD.encode(bytes)),
        AnyContent::List(list) => {
            let depth = deeper()?;
            let mut values = Vec::new();
            each(list, 1, |element| {
                values.push(json(&AnyContent::read(element)?, depth)?);
                Ok(())
            })?;
            Value::Array(values)
        }
        AnyContent::Map(list) => {
            let depth = deeper()?;
            let mut map = Map::new();
            each(list, 1, |pair| {
                let pair = AttributePair::read(pair)?;
                map.insert(
                    utf8(pair.key)?.to_owned(),
                    json(&AnyContent::read(&pair.value)?, depth)?,
                );
                Ok(())
            })?;
            Value::Object(map)
        }
    })
}
