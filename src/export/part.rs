//! One request, encoded once for every endpoint that gets it.

use std::io::Write;
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::write::GzEncoder;

use super::settings::Compression;
use crate::model::Signal;
use crate::runtime::heavy;

/// An encoded export request.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) signal: Signal,
    /// Spans, data points or log records in it.
    pub(super) items: usize,
    body: Bytes,
    compressed: OnceLock<Bytes>,
}

impl Part {
    pub(super) fn new(signal: Signal, items: usize, body: Vec<u8>) -> Self {
        Self { signal, items, body: Bytes::from(body), compressed: OnceLock::new() }
    }

    /// The uncompressed length.
    pub(super) fn size(&self) -> usize {
        self.body.len()
    }

    /// The body in the given compression; compressed when it is first asked for.
    pub(super) fn body(&self, compression: Compression) -> Bytes {
        match compression {
            Compression::None => self.body.clone(),
            Compression::Gzip => {
                self.compressed.get_or_init(|| heavy(self.body.len(), || gzip(&self.body))).clone()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_body_is_compressed_once() {
        let part = Part::new(Signal::Logs, 1, b"text ".repeat(1000));
        let compressed = part.body(Compression::Gzip);
        assert!(compressed.len() < 200);
        assert_eq!(part.body(Compression::Gzip).as_ptr(), compressed.as_ptr());
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, part.body(Compression::None));
    }
}
