//! One request, encoded once for every endpoint that gets it.

pub(super) mod items;
pub(super) mod metric_kinds;

use std::io::Write;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::write::GzEncoder;

use crate::export::settings::Compression;
use crate::export::transport::json::Json;
use crate::model::Signal;
use crate::runtime::heavy;

/// Much faster than gzip at about the same size.
const ZSTD_LEVEL: i32 = 1;

/// An encoded export request.
#[derive(Debug)]
pub(in crate::export) struct EncodedRequest {
    pub(in crate::export) signal: Signal,
    /// Spans, data points or log records in it.
    pub(in crate::export) items: usize,
    /// Whether all of it is what our own filters derived: metrics that travel apart from those of
    /// applications, so that an endpoint that refuses the one still gets the other.
    pub(in crate::export) is_derived: bool,
    body: Bytes,
    compressed: OnceLock<Bytes>,
    json: OnceLock<Option<Box<Json>>>,
    zstd: OnceLock<Bytes>,
}

impl EncodedRequest {
    pub(in crate::export) fn new(signal: Signal, items: usize, body: Vec<u8>) -> Self {
        Self {
            signal,
            items,
            is_derived: false,
            body: Bytes::from(body),
            compressed: OnceLock::new(),
            zstd: OnceLock::new(),
            json: OnceLock::new(),
        }
    }

    /// The same, known as derived or not.
    pub(in crate::export) const fn derived(mut self, is_derived: bool) -> Self {
        self.is_derived = is_derived;
        self
    }

    /// The request as JSON, written when it is first asked for; `None` if it is not OTLP.
    pub(in crate::export) fn json(&self) -> Option<&Json> {
        self.json.get_or_init(|| Json::of(self)).as_deref()
    }

    /// The same items, rewritten.
    pub(in crate::export) fn with(&self, rewrite: impl FnOnce(Signal, &[u8]) -> Vec<u8>) -> Self {
        let body = rewrite(self.signal, &self.body);
        Self::new(self.signal, self.items, body).derived(self.is_derived)
    }

    /// The same request for another endpoint.
    pub(in crate::export) fn again(&self) -> Self {
        let (compressed, zstd) = (self.compressed.clone(), self.zstd.clone());
        Self {
            signal: self.signal,
            items: self.items,
            is_derived: self.is_derived,
            body: self.body.clone(),
            compressed,
            zstd,
            json: OnceLock::new(),
        }
    }

    /// The request in protobuf.
    pub(in crate::export) fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The uncompressed length.
    pub(in crate::export) fn size(&self) -> usize {
        self.body.len()
    }

    /// The body in the given compression; compressed when it is first asked for.
    pub(in crate::export) fn body(&self, compression: Compression) -> Bytes {
        match compression {
            Compression::None => self.body.clone(),
            Compression::Gzip => {
                self.compressed.get_or_init(|| heavy(self.body.len(), || gzip(&self.body))).clone()
            }
            Compression::Zstd => {
                self.zstd.get_or_init(|| heavy(self.body.len(), || zstd(&self.body))).clone()
            }
        }
    }
}

fn gzip(body: &[u8]) -> Bytes {
    let buffer = Vec::with_capacity(body.len() / 4);
    let mut encoder = GzEncoder::new(buffer, flate2::Compression::fast());
    // Writing to memory does not fail; were it to, the endpoint would refuse the broken body.
    match encoder.write_all(body).and_then(|()| encoder.finish()) {
        Ok(compressed) => Bytes::from(compressed),
        Err(_) => Bytes::new(),
    }
}

fn zstd(body: &[u8]) -> Bytes {
    // Compressing from memory to memory fails only for want of memory; see `gzip`.
    zstd::bulk::compress(body, ZSTD_LEVEL).map(Bytes::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_body_is_compressed_once() {
        let part = EncodedRequest::new(Signal::Logs, 1, b"text ".repeat(1000));
        let compressed = part.body(Compression::Gzip);
        assert!(compressed.len() < 200);
        assert_eq!(part.body(Compression::Gzip).as_ptr(), compressed.as_ptr());
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, part.body(Compression::None));
        let compressed = part.body(Compression::Zstd);
        assert!(compressed.len() < 200);
        assert_eq!(part.body(Compression::Zstd).as_ptr(), compressed.as_ptr());
        assert_eq!(zstd::bulk::decompress(&compressed, 10_000).unwrap(), plain);
    }
}
