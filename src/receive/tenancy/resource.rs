//! Resource view: the attributes of a resource on the wire, without decoding the rest.

use std::borrow::Cow;

use crate::codec::wire::{WireError, WireFields, WireValue, each};

/// The value of an attribute of the resource in a `ResourceSpans` or one of its likes, as text:
/// strings as they are, integers in decimal, booleans as `true` and `false`. `None` if it is not
/// there or has another type.
pub(super) fn attribute<'a>(
    envelope: &'a [u8],
    key: &str,
) -> Result<Option<Cow<'a, [u8]>>, WireError> {
    let mut found = None;
    each(envelope, 1, |resource| {
        each(resource, 1, |pair| {
            if found.is_none() && key_of(pair)? == key.as_bytes() {
                found = Some(value_of(pair)?);
            }
            Ok(())
        })
    })?;
    Ok(found.flatten())
}

/// The key of a `KeyValue`.
pub(super) fn key_of(pair: &[u8]) -> Result<&[u8], WireError> {
    let mut key: &[u8] = &[];
    each(pair, 1, |text| {
        key = text;
        Ok(())
    })?;
    Ok(key)
}

fn value_of(pair: &[u8]) -> Result<Option<Cow<'_, [u8]>>, WireError> {
    let mut value = None;
    each(pair, 2, |any| {
        let mut fields = WireFields::new(any);
        while let Some(field) = fields.read()? {
            value = match (field.number, field.value) {
                (1, WireValue::Bytes(text)) => Some(Cow::Borrowed(text)),
                (2, WireValue::Varint(flag)) => {
                    Some(Cow::Borrowed(if flag == 0 { &b"false"[..] } else { b"true" }))
                }
                (3, WireValue::Varint(number)) => {
                    Some(Cow::Owned(number.cast_signed().to_string().into_bytes()))
                }
                (4..=8, _) => None,
                _ => continue,
            };
        }
        Ok(())
    })?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
    use prost::Message;

    #[test]
    fn attributes_are_found_and_shown_as_text() {
        let pair = |key: &str, value: Option<Value>| KeyValue {
            key: key.to_owned(),
            value: value.map(|value| AnyValue { value: Some(value) }),
            ..KeyValue::default()
        };
        let resource = Resource {
            attributes: vec![
                pair("text", Some(Value::StringValue("a b".to_owned()))),
                pair("int", Some(Value::IntValue(-7))),
                pair("bool", Some(Value::BoolValue(true))),
                pair("double", Some(Value::DoubleValue(1.0))),
                pair("unset", None),
                pair("text", Some(Value::StringValue("second".to_owned()))),
            ],
            ..Resource::default()
        };
        let envelope = ResourceSpans { resource: Some(resource), ..ResourceSpans::default() };
        let bytes = envelope.encode_to_vec();
        let read = |key| attribute(&bytes, key).unwrap().map(Cow::into_owned);
        assert_eq!(read("text"), Some(b"a b".to_vec()));
        assert_eq!(read("int"), Some(b"-7".to_vec()));
        assert_eq!(read("bool"), Some(b"true".to_vec()));
        assert_eq!([read("double"), read("unset"), read("other")], [None, None, None]);
        assert_eq!(attribute(b"", "text").unwrap(), None);
        assert!(attribute(&bytes[..bytes.len() - 1], "text").is_err());
    }
}
