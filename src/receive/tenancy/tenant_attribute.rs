//! Attribute stamping: the tenant as an attribute of every resource, in place of what the sender
//! claims.

use super::resource::key_of;
use crate::codec::wire::{self, NestedMessage, WireError, WireFields, WireValue, each};

/// What is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct TenantAttribute<'a> {
    pub(super) key: &'a str,
    /// `None` only takes away what the sender claims.
    pub(super) value: Option<&'a str>,
    /// Whether the request has a `ProfilesDictionary`, where keys may stand instead.
    pub(super) profiles: bool,
}

impl TenantAttribute<'_> {
    /// The request with the attribute, in one pass over its envelopes and resources. Everything
    /// else is copied as it came.
    pub(super) fn apply(self, request: &[u8]) -> Result<Vec<u8>, WireError> {
        let indexes = if self.profiles { self.dictionary_indexes(request)? } else { Vec::new() };
        let mut out = Vec::with_capacity(request.len().saturating_add(request.len() / 8));
        let mut fields = WireFields::new(request);
        while let Some(field) = fields.read()? {
            if let (1, WireValue::Bytes(envelope)) = (field.number, field.value) {
                self.envelope(envelope, &indexes, &mut out)?;
            } else {
                out.extend_from_slice(field.raw);
            }
        }
        Ok(out)
    }

    /// Where the key stands in the dictionary's table of strings.
    fn dictionary_indexes(self, request: &[u8]) -> Result<Vec<u64>, WireError> {
        let mut indexes = Vec::new();
        let mut index = 0_u64;
        each(request, 2, |dictionary| {
            each(dictionary, 5, |text| {
                if text == self.key.as_bytes() {
                    indexes.push(index);
                }
                index = index.saturating_add(1);
                Ok(())
            })
        })?;
        Ok(indexes)
    }

    fn envelope(
        self,
        envelope: &[u8],
        indexes: &[u64],
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let nested = NestedMessage::open(out, 1, envelope.len().saturating_add(self.size()));
        let mut value = self.value;
        let mut fields = WireFields::new(envelope);
        while let Some(field) = fields.read()? {
            if let (1, WireValue::Bytes(resource)) = (field.number, field.value) {
                // A resource may come in parts; the first gets the attribute.
                let estimate = resource.len().saturating_add(self.size());
                let nested = NestedMessage::open(out, 1, estimate);
                self.resource(resource, indexes, out)?;
                self.attribute(value.take(), out);
                nested.close(out);
            } else {
                out.extend_from_slice(field.raw);
            }
        }
        if value.is_some() {
            let nested = NestedMessage::open(out, 1, self.size());
            self.attribute(value, out);
            nested.close(out);
        }
        nested.close(out);
        Ok(())
    }

    /// Copies what is in a resource, but for the attribute.
    fn resource(
        self,
        resource: &[u8],
        indexes: &[u64],
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let mut fields = WireFields::new(resource);
        while let Some(field) = fields.read()? {
            let claimed = match (field.number, field.value) {
                (1, WireValue::Bytes(pair)) => self.is_key(pair, indexes)?,
                _ => false,
            };
            if !claimed {
                out.extend_from_slice(field.raw);
            }
        }
        Ok(())
    }

    fn is_key(self, pair: &[u8], indexes: &[u64]) -> Result<bool, WireError> {
        if key_of(pair)? == self.key.as_bytes() {
            return Ok(true);
        }
        if indexes.is_empty() {
            return Ok(false);
        }
        let mut index = None;
        let mut fields = WireFields::new(pair);
        while let Some(field) = fields.read()? {
            if let (3, WireValue::Varint(number)) = (field.number, field.value) {
                index = Some(number);
            }
        }
        Ok(index.is_some_and(|index| indexes.contains(&index)))
    }

    /// About the size of the attribute.
    const fn size(self) -> usize {
        match self.value {
            Some(value) => self.key.len().saturating_add(value.len()).saturating_add(16),
            None => 0,
        }
    }

    fn attribute(self, value: Option<&str>, out: &mut Vec<u8>) {
        let Some(value) = value else { return };
        let pair = NestedMessage::open(out, 1, self.size());
        wire::bytes(out, 1, self.key.as_bytes());
        let any = NestedMessage::open(out, 2, value.len().saturating_add(2));
        wire::bytes(out, 1, value.as_bytes());
        any.close(out);
        pair.close(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
    use prost::Message;

    fn pair(key: &str, value: &str) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
            ..KeyValue::default()
        }
    }

    fn spans(attributes: Option<Vec<KeyValue>>) -> ResourceSpans {
        ResourceSpans {
            resource: attributes.map(|attributes| Resource { attributes, ..Resource::default() }),
            schema_url: "s".to_owned(),
            ..ResourceSpans::default()
        }
    }

    fn stamped(value: Option<&str>, spans: Vec<ResourceSpans>) -> Vec<ResourceSpans> {
        let request = ExportTraceServiceRequest { resource_spans: spans }.encode_to_vec();
        let stamp = TenantAttribute { key: "tenant.id", value, profiles: false };
        let bytes = stamp.apply(&request).unwrap();
        let decoded = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
        assert_eq!(decoded.encoded_len(), bytes.len());
        decoded.resource_spans
    }

    #[test]
    fn the_attribute_replaces_what_the_sender_claims() {
        let before = vec![
            spans(Some(vec![pair("tenant.id", "evil"), pair("a", "1"), pair("tenant.id", "x")])),
            spans(Some(vec![])),
            spans(None),
        ];
        let after = [
            spans(Some(vec![pair("a", "1"), pair("tenant.id", "acme")])),
            spans(Some(vec![pair("tenant.id", "acme")])),
            spans(Some(vec![pair("tenant.id", "acme")])),
        ];
        let result = stamped(Some("acme"), before.clone());
        assert_eq!(result, after);
        let none = vec![spans(Some(vec![pair("a", "1")])), spans(Some(vec![])), spans(None)];
        assert_eq!(stamped(None, before), none);
        assert_eq!(stamped(Some(&"long ".repeat(100)), none).len(), 3);
    }

    #[test]
    fn a_resource_in_parts_and_unknown_fields_are_kept() {
        // Two parts of a resource, an unknown field in each level.
        let mut resource = Vec::new();
        wire::uint(&mut resource, 2, 5);
        wire::uint(&mut resource, 900, 1);
        let mut claim = Vec::new();
        wire::bytes(&mut claim, 1, &pair("tenant.id", "evil").encode_to_vec());
        let mut envelope = Vec::new();
        wire::bytes(&mut envelope, 1, &resource);
        wire::bytes(&mut envelope, 2, b"");
        wire::bytes(&mut envelope, 1, &claim);
        wire::fixed32(&mut envelope, 901, 2);
        let mut request = Vec::new();
        wire::bytes(&mut request, 1, &envelope);
        wire::bytes(&mut request, 902, b"more");
        let stamp = TenantAttribute { key: "tenant.id", value: Some("acme"), profiles: false };
        let bytes = stamp.apply(&request).unwrap();
        let decoded = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
        let resource = decoded.resource_spans[0].resource.clone().unwrap();
        assert_eq!(resource.attributes, [pair("tenant.id", "acme")]);
        assert_eq!(resource.dropped_attributes_count, 5);
        for key in [&[0xa0_u8, 0x38][..], &[0xad, 0x38], &[0xb2, 0x38]] {
            assert!(bytes.windows(2).any(|two| two == key), "{key:x?}");
        }
        assert!(stamp.apply(&request[..request.len() - 1]).is_err());
    }

    #[test]
    fn keys_in_a_dictionary_are_found_too() {
        let mut dictionary = Vec::new();
        for text in ["", "service.name", "tenant.id"] {
            wire::bytes(&mut dictionary, 5, text.as_bytes());
        }
        let by_index = |index: u64| {
            let mut pair = Vec::new();
            wire::uint(&mut pair, 3, index);
            let mut resource = Vec::new();
            wire::bytes(&mut resource, 1, &pair);
            let mut envelope = Vec::new();
            wire::bytes(&mut envelope, 1, &resource);
            let mut request = Vec::new();
            wire::bytes(&mut request, 1, &envelope);
            wire::bytes(&mut request, 2, &dictionary);
            request
        };
        let stamp = TenantAttribute { key: "tenant.id", value: None, profiles: true };
        assert_eq!(stamp.apply(&by_index(1)).unwrap(), by_index(1));
        let without = stamp.apply(&by_index(2)).unwrap();
        assert!(without.starts_with(&[0x0a, 2, 0x0a, 0, 0x12]), "{without:x?}");
    }
}
