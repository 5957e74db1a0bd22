//! Writer of `external`: the resource and the scope of a context of metrics, as Fluent Bit's own
//! input keeps them.

use super::capabilities::ReaderCapabilities;
use super::loss::FormatLoss;
use super::scan::{FieldScan, WriteResult, known};
use super::value::{MapHead, OutputBuffer};
use super::walk::ContextEnvelope;
use crate::codec::msgpack;

const RESOURCE: u32 = known(&[1, 2, 3]);
const SCOPE: u32 = known(&[1, 2, 3, 4]);

/// Writes the pairs of a resource, and says how many they are.
pub(super) fn resource(out: &mut OutputBuffer, envelope: &ContextEnvelope<'_>) -> WriteResult<u32> {
    let mut pairs = 0;
    if let Some(resource) = &envelope.header {
        let scan = FieldScan::new(resource, RESOURCE)?;
        if scan.has(3) {
            out.losses.add(FormatLoss::EntityRefs);
        }
        owner(out, "resource", &scan, (1, 2, &[]), true)?;
        pairs = 1;
    }
    pairs += schema_url(out, "resource_metrics", envelope)?;
    Ok(pairs)
}

/// Writes the pairs of a scope, and says how many they are.
pub(super) fn scope(
    out: &mut OutputBuffer,
    envelope: &ContextEnvelope<'_>,
    capabilities: ReaderCapabilities,
) -> WriteResult<u32> {
    let mut pairs = 0;
    if let Some(scope) = &envelope.header {
        let scan = FieldScan::new(scope, SCOPE)?;
        let names = [("name", scan.bytes(1)?), ("version", scan.bytes(2)?)];
        owner(out, "scope", &scan, (3, 4, &names), capabilities.scope_attributes)?;
        pairs = 1;
    }
    pairs += schema_url(out, "scope_metrics", envelope)?;
    Ok(pairs)
}

fn owner(
    out: &mut OutputBuffer,
    key: &str,
    scan: &FieldScan<'_>,
    (attributes, dropped, names): (u32, usize, &[(&str, &[u8])]),
    has_attributes: bool,
) -> WriteResult {
    if scan.has_unknown {
        out.losses.add(FormatLoss::UnknownFields);
    }
    msgpack::str(&mut out.bytes, key);
    msgpack::map_header(&mut out.bytes, 2);
    msgpack::str(&mut out.bytes, "attributes");
    let count = scan.count(attributes as usize);
    let lost = if has_attributes || count == 0 {
        out.attributes(scan.message(), attributes, count)?
    } else {
        out.losses.add(FormatLoss::ScopeAttributes);
        msgpack::map_header(&mut out.bytes, 0);
        count
    };
    msgpack::str(&mut out.bytes, "metadata");
    let head = MapHead::map(&mut out.bytes, 3);
    let mut pairs = 0;
    for (key, text) in names.iter().filter(|(_, text)| !text.is_empty()) {
        msgpack::str(&mut out.bytes, key);
        out.text(text, usize::MAX)?;
        pairs += 1;
    }
    let dropped = scan.varint32(dropped)?.saturating_add(u64::from(lost));
    if dropped > 0 {
        msgpack::str(&mut out.bytes, "dropped_attributes_count");
        msgpack::uint(&mut out.bytes, dropped.min(u64::from(u32::MAX)));
        pairs += 1;
    }
    head.close(&mut out.bytes, pairs);
    Ok(())
}

fn schema_url(
    out: &mut OutputBuffer,
    key: &str,
    envelope: &ContextEnvelope<'_>,
) -> WriteResult<u32> {
    if envelope.has_unknown {
        out.losses.add(FormatLoss::UnknownFields);
    }
    if envelope.schema_url.is_empty() {
        return Ok(0);
    }
    msgpack::str(&mut out.bytes, key);
    msgpack::map_header(&mut out.bytes, 1);
    msgpack::str(&mut out.bytes, "metadata");
    msgpack::map_header(&mut out.bytes, 1);
    msgpack::str(&mut out.bytes, "schema_url");
    out.text(envelope.schema_url, usize::MAX)?;
    Ok(1)
}
