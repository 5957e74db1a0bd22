//! Label writer: the attributes of data points, which are text in the host's form.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::capabilities::MAX_DEPTH;
use super::loss::{Loss, Losses};
use super::scan::{Problem, Written, each};
use super::value::{Any, Pair, utf8};
use crate::codec::records::DecodeKind;

/// One attribute of a data point.
#[derive(Debug)]
pub(super) struct Label<'a> {
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
    losses: &mut Losses,
) -> Written<Vec<Label<'a>>> {
    let mut labels = Vec::new();
    each(point, number, |pair| {
        let pair = Pair::read(pair)?;
        let key = clean(Cow::Borrowed(utf8(pair.key)?), losses);
        if key.is_empty() {
            losses.add(Loss::KeyLength);
            return Ok(());
        }
        let text = match pair.value {
            Cow::Borrowed(value) => text(value, losses)?,
            Cow::Owned(value) => Cow::Owned(text(&value, losses)?.into_owned()),
        };
        let text = clean(text, losses);
        if key.len().max(text.len()) > longest {
            return Err(Problem::Form(
                "an attribute is longer than the 1024 bytes that this release of Fluent Bit takes",
            ));
        }
        labels.push(Label { key, text });
        Ok(())
    })?;
    Ok(labels)
}

/// Text without zero bytes, which end a text for the host.
pub(super) fn clean<'a>(text: Cow<'a, str>, losses: &mut Losses) -> Cow<'a, str> {
    if memchr::memchr(0, text.as_bytes()).is_none() {
        return text;
    }
    losses.add(Loss::Nul);
    Cow::Owned(text.replace('\0', "\u{fffd}"))
}

fn text<'a>(value: &'a [u8], losses: &mut Losses) -> Written<Cow<'a, str>> {
    let any = Any::read(value)?;
    match any {
        Any::Text(text) => return Ok(Cow::Borrowed(utf8(text)?)),
        Any::Unset => losses.add(Loss::Unset),
        _ => losses.add(Loss::LabelType),
    }
    Ok(Cow::Owned(match any {
        Any::Text(_) | Any::Unset => String::new(),
        Any::Bool(value) => value.to_string(),
        Any::Int(value) => value.to_string(),
        Any::Double(value) => {
            number(value).as_str().map_or_else(|| number(value).to_string(), str::to_owned)
        }
        Any::Bytes(bytes) => STANDARD.encode(bytes),
        Any::List(_) | Any::Map(_) => json(&any, MAX_DEPTH)?.to_string(),
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

fn json(any: &Any<'_>, depth: u32) -> Written<Value> {
    let deeper = || depth.checked_sub(1).ok_or(Problem::Otlp(DecodeKind::Depth));
    Ok(match any {
        Any::Unset => Value::Null,
        Any::Text(text) => Value::from(utf8(text)?),
        Any::Bool(value) => Value::from(*value),
        Any::Int(value) => Value::from(*value),
        Any::Double(value) => number(*value),
        Any::Bytes(bytes) => Value::from(STANDARD.encode(bytes)),
        Any::List(list) => {
            let depth = deeper()?;
            let mut values = Vec::new();
            each(list, 1, |element| {
                values.push(json(&Any::read(element)?, depth)?);
                Ok(())
            })?;
            Value::Array(values)
        }
        Any::Map(list) => {
            let depth = deeper()?;
            let mut map = Map::new();
            each(list, 1, |pair| {
                let pair = Pair::read(pair)?;
                map.insert(utf8(pair.key)?.to_owned(), json(&Any::read(&pair.value)?, depth)?);
                Ok(())
            })?;
            Value::Object(map)
        }
    })
}
