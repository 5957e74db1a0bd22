//! Memoised compression: the bytes of a body, and their compressed forms, each made once.

use std::io::Write;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::write::GzEncoder;

use crate::export::settings::Compression;
use crate::runtime::heavy;

/// Much faster than gzip at about the same size.
const ZSTD_LEVEL: i32 = 1;

/// A body that is compressed when that is first asked for.
#[derive(Debug, Clone)]
pub(in crate::export) struct EncodedBody {
    plain: Bytes,
    gzip: OnceLock<Bytes>,
    zstd: OnceLock<Bytes>,
}

impl EncodedBody {
    pub(super) fn new(body: Vec<u8>) -> Self {
        Self { plain: Bytes::from(body), gzip: OnceLock::new(), zstd: OnceLock::new() }
    }

    /// The uncompressed bytes.
    pub(super) fn plain(&self) -> &Bytes {
        &self.plain
    }

    /// The bytes in the given compression.
    pub(in crate::export) fn in_compression(&self, compression: Compression) -> Bytes {
        let length = self.plain.len();
        match compression {
            Compression::None => self.plain.clone(),
            Compression::Gzip => {
                self.gzip.get_or_init(|| heavy(length, || gzip(&self.plain))).clone()
            }
            Compression::Zstd => {
                self.zstd.get_or_init(|| heavy(length, || zstd(&self.plain))).clone()
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
        let body = EncodedBody::new(b"text ".repeat(1000));
        let compressed = body.in_compression(Compression::Gzip);
        assert!(compressed.len() < 200);
        assert_eq!(body.in_compression(Compression::Gzip).as_ptr(), compressed.as_ptr());
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, body.plain()[..]);
        let compressed = body.in_compression(Compression::Zstd);
        assert!(compressed.len() < 200);
        assert_eq!(body.in_compression(Compression::Zstd).as_ptr(), compressed.as_ptr());
        assert_eq!(zstd::bulk::decompress(&compressed, 10_000).unwrap(), plain);
    }
}
