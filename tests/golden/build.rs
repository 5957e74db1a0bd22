//! Test data builder: msgpack by hand, so that keys have the order, number and types that a test
//! wants.

use fluent_bit_ai::codec::msgpack as m;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value,
};

pub(crate) type Encoded = Vec<u8>;

pub(crate) fn map(pairs: &[(&str, Encoded)]) -> Encoded {
    let mut out = Vec::new();
    m::map_header(&mut out, u32::try_from(pairs.len()).unwrap());
    for (key, value) in pairs {
        m::str(&mut out, key);
        out.extend_from_slice(value);
    }
    out
}

pub(crate) fn list(items: &[Encoded]) -> Encoded {
    let mut out = Vec::new();
    m::array_header(&mut out, u32::try_from(items.len()).unwrap());
    out.extend(items.iter().flatten());
    out
}

pub(crate) fn s(text: &str) -> Encoded {
    let mut out = Vec::new();
    m::str(&mut out, text);
    out
}

pub(crate) fn bin(bytes: &[u8]) -> Encoded {
    let mut out = Vec::new();
    m::bin(&mut out, bytes);
    out
}

pub(crate) fn n(number: i64) -> Encoded {
    let mut out = Vec::new();
    m::int(&mut out, number);
    out
}

pub(crate) fn u(number: u64) -> Encoded {
    let mut out = Vec::new();
    m::uint(&mut out, number);
    out
}

pub(crate) fn f(number: f64) -> Encoded {
    let mut out = Vec::new();
    m::f64(&mut out, number);
    out
}

pub(crate) fn yes() -> Encoded {
    vec![0xc3]
}

pub(crate) fn nil() -> Encoded {
    vec![0xc0]
}

pub(crate) fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

pub(crate) fn text(text: &str) -> Value {
    Value::StringValue(text.into())
}

pub(crate) fn array(values: Vec<Value>) -> Value {
    Value::ArrayValue(ArrayValue { values: values.into_iter().map(any).collect() })
}

pub(crate) fn kvlist(pairs: Vec<(&str, Value)>) -> Value {
    Value::KvlistValue(KeyValueList { values: attributes(pairs) })
}

pub(crate) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(any(value)), ..KeyValue::default() }
}

pub(crate) fn attributes(pairs: Vec<(&str, Value)>) -> Vec<KeyValue> {
    pairs.into_iter().map(|(key, value)| attribute(key, value)).collect()
}

/// A chunk that Fluent Bit wrote.
pub(crate) fn golden(name: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/native/");
    std::fs::read(format!("{path}{name}.msgpack")).unwrap()
}
