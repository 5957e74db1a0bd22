//! Decompression: compressed bodies.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use crate::receive::encoding::Encoding;

/// A way to pack: its name, what a header calls it, and how it is done.
type Way = (&'static str, Encoding, fn(&[u8]) -> Vec<u8>);

/// Every way in which a sender may pack.
pub(in crate::receive) const ALL: [Way; 4] = [
    ("gzip", Encoding::Gzip, gzip),
    ("zstd", Encoding::Zstd, zstd),
    ("zlib", Encoding::Deflate, zlib),
    ("deflate", Encoding::Deflate, raw),
];

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 3).unwrap()
}

pub(crate) fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn raw(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}
