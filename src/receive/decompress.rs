//! Bounded decompression, within limits of size and memory.
//!
//! A small request can stand for a very large one. So every decoder makes one step at a time, and
//! before each step the step's memory is taken from the budget: what would come after a limit is
//! never made.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::read::Decoder as ZstdDecoder;

use super::encoding::Encoding;
use super::memory_budget::HeldMemory;
use super::refusal::Refusal;

/// How much is decompressed before the limits are looked at again.
const STEP: usize = 256 * 1024;
/// How far back zstd data may refer, as a power of two: 32 MiB. RFC 8878 asks for 8 MiB at least;
/// encoders at their best levels use up to this much.
const ZSTD_WINDOW_LOG: u32 = 25;
const ZSTD_WINDOW: usize = 1 << ZSTD_WINDOW_LOG;

/// Decompresses to at most `limit` bytes. Frames (members) that follow each other are joined, as
/// RFC 1952 and RFC 8878 say. An empty body stays empty.
///
/// # Errors
/// The data is damaged, becomes too large, or the budget is used up.
pub(super) fn decompress(
    encoding: Encoding,
    compressed: Bytes,
    limit: usize,
    held: &mut HeldMemory,
) -> Result<Bytes, Refusal> {
    if compressed.is_empty() {
        return Ok(compressed);
    }
    let out = match encoding {
        Encoding::Identity => return Ok(compressed),
        Encoding::Gzip => {
            let mut decoder = MultiGzDecoder::new(&compressed[..]);
            steps("gzip", limit, 0, held, |room, out| pull(&mut decoder, room, out))
        }
        Encoding::Zstd => zstd(&compressed, limit, held),
        Encoding::Deflate => deflate(&compressed, limit, held),
    };
    out.map(Bytes::from)
}

/// What a step came to.
enum Step {
    More,
    End,
}

/// Calls `step`, which appends at most so many bytes, until the end or a limit. The decoder keeps a
/// copy of what it wrote last, at most `kept` bytes.
fn steps(
    name: &str,
    limit: usize,
    kept: usize,
    held: &mut HeldMemory,
    mut step: impl FnMut(usize, &mut Vec<u8>) -> std::io::Result<Step>,
) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    let mut copied = 0_usize;
    loop {
        // One byte more than allowed shows that the limit is passed.
        let room = limit.saturating_add(1).saturating_sub(out.len()).min(STEP);
        let copy = room.min(kept.saturating_sub(copied));
        held.grow(room.saturating_add(copy))?;
        copied = copied.saturating_add(copy);
        let step = step(room, &mut out).map_err(|error| damaged(name, out.len(), &error))?;
        if out.len() > limit {
            return Err(Refusal::TooLarge { limit, when: " after decompression" });
        }
        if matches!(step, Step::End) {
            held.shrink(copied);
            return Ok(out);
        }
    }
}

fn damaged(name: &str, after: usize, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::Malformed(format!(
        "the {name} data is damaged after {after} decompressed bytes: {error}"
    ))
}

fn pull(decoder: &mut impl Read, room: usize, out: &mut Vec<u8>) -> std::io::Result<Step> {
    let max_bytes = u64::try_from(room).unwrap_or(u64::MAX);
    let read = decoder.by_ref().take(max_bytes).read_to_end(out)?;
    Ok(if read < room { Step::End } else { Step::More })
}

fn zstd(compressed: &[u8], limit: usize, held: &mut HeldMemory) -> Result<Vec<u8>, Refusal> {
    let start = || {
        let mut decoder = ZstdDecoder::with_buffer(compressed)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        Ok(decoder)
    };
    let mut decoder = start().map_err(|error: std::io::Error| damaged("zstd", 0, &error))?;
    steps("zstd", limit, ZSTD_WINDOW, held, |room, out| pull(&mut decoder, room, out))
}

/// The zlib format, or bare deflate: which one, the first two bytes say. A zlib header names the
/// method 8 and is a multiple of 31 (RFC 1950, section 2.2); a bare block cannot start so, unless
/// it is a stored one with padding that no encoder writes.
fn deflate(compressed: &[u8], limit: usize, held: &mut HeldMemory) -> Result<Vec<u8>, Refusal> {
    let zlib = match compressed {
        [first, second, ..] => {
            first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31)
        }
        _ => false,
    };
    let mut inflate = Decompress::new(zlib);
    let mut rest = compressed;
    steps("deflate", limit, 0, held, |room, out| {
        let (before_in, before_out) = (inflate.total_in(), out.len());
        out.resize(before_out.saturating_add(room), 0);
        let space = out.get_mut(before_out..).unwrap_or_default();
        let total_out = inflate.total_out();
        let status = inflate.decompress(rest, space, FlushDecompress::None);
        let written = usize::try_from(inflate.total_out().saturating_sub(total_out)).unwrap_or(0);
        out.truncate(before_out.saturating_add(written));
        let used = usize::try_from(inflate.total_in().saturating_sub(before_in)).unwrap_or(0);
        rest = rest.get(used..).unwrap_or_default();
        match status? {
            Status::StreamEnd if rest.is_empty() => Ok(Step::End),
            Status::StreamEnd => Err(std::io::Error::other("data follows its end")),
            Status::Ok | Status::BufError if written == 0 && used == 0 => {
                Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof))
            }
            Status::Ok | Status::BufError => Ok(Step::More),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::memory::WaitingMemory;
    use crate::receive::memory_budget::MemoryBudget;
    use crate::receive::tests::packed::{self, ALL};
    use crate::stats::Counter;
    use std::time::Duration;

    fn held(limit: usize) -> HeldMemory {
        MemoryBudget::new(limit, Counter::default(), WaitingMemory::unlimited()).share()
    }

    fn run(encoding: Encoding, data: &[u8], limit: usize) -> Result<Bytes, Refusal> {
        decompress(encoding, Bytes::copy_from_slice(data), limit, &mut held(1 << 30))
    }

    #[test]
    fn what_was_packed_comes_out() {
        let long: Vec<u8> = (0..1_000_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for (name, encoding, pack) in ALL {
            for data in [&b"x"[..], b"hello world", &long] {
                let packed = pack(data);
                assert_eq!(run(encoding, &packed, data.len()).unwrap(), data, "{name}");
                let refusal = run(encoding, &packed, data.len() - 1).unwrap_err();
                assert!(matches!(refusal, Refusal::TooLarge { .. }), "{name}: {refusal}");
            }
            assert_eq!(run(encoding, b"", 10).unwrap(), b""[..]);
            assert_eq!(run(encoding, &pack(b""), 10).unwrap(), b""[..], "{name}");
        }
        assert_eq!(run(Encoding::Identity, b"as it is", 10).unwrap(), b"as it is"[..]);
    }

    #[test]
    fn damage_is_reported() {
        for (name, encoding, pack) in ALL {
            let packed = pack(b"hello world, hello again");
            for cut in 1..packed.len() {
                let end = run(encoding, &packed[..cut], 100);
                assert!(matches!(end, Err(Refusal::Malformed(_))), "{name} cut at {cut}: {end:?}");
            }
            let mut longer = packed.clone();
            longer.extend_from_slice(b"rest");
            let end = run(encoding, &longer, 100);
            let tolerated = encoding == Encoding::Gzip && end.is_ok();
            assert!(tolerated || matches!(end, Err(Refusal::Malformed(_))), "{name}: {end:?}");
            let end = run(encoding, b"certainly not compressed", 100);
            assert!(matches!(end, Err(Refusal::Malformed(_))), "{name}: {end:?}");
        }
        let Err(Refusal::Malformed(message)) = run(Encoding::Zstd, b"rubbish", 100) else {
            panic!()
        };
        assert!(message.starts_with("the zstd data is damaged after 0 "), "{message}");
    }

    #[test]
    fn frames_are_joined_and_skippable_ones_skipped() {
        let twice = |pack: fn(&[u8]) -> Vec<u8>| [pack(b"hello "), pack(b"world")].concat();
        let gzip = twice(packed::gzip);
        assert_eq!(run(Encoding::Gzip, &gzip, 11).unwrap(), b"hello world"[..]);
        assert!(matches!(run(Encoding::Gzip, &gzip, 10), Err(Refusal::TooLarge { .. })));
        // RFC 8878, section 3.1.2: a magic number, a length, and data of a user's own.
        let skippable = b"\x5a\x2a\x4d\x18\x03\0\0\0abc";
        let zstd = [&skippable[..], &packed::zstd(b"hello "), skippable, &packed::zstd(b"world")];
        assert_eq!(run(Encoding::Zstd, &zstd.concat(), 11).unwrap(), b"hello world"[..]);
        assert_eq!(run(Encoding::Zstd, skippable, 11).unwrap(), b""[..]);
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let zeros = vec![0; 16 << 20];
        for (name, encoding, pack) in ALL {
            let bomb = Bytes::from(pack(&zeros));
            assert!(bomb.len() < 1 << 20);
            let gauge = Counter::default();
            let budget = MemoryBudget::new(1 << 30, gauge.clone(), WaitingMemory::unlimited());
            let mut held = budget.share();
            let limit = 1 << 20;
            let start = crate::clock::now();
            let refusal = decompress(encoding, bomb, limit, &mut held).unwrap_err();
            assert!(matches!(refusal, Refusal::TooLarge { .. }), "{name}");
            let kept = if encoding == Encoding::Zstd { 2 } else { 1 };
            assert!(gauge.value() <= (kept * (limit + STEP)) as u64, "{name} {}", gauge.value());
            assert!(crate::clock::now().since(start) < Duration::from_secs(2));
        }
    }

    #[test]
    fn many_empty_frames_take_bounded_time() {
        for (name, encoding, pack) in ALL {
            if encoding == Encoding::Deflate {
                continue;
            }
            let empty = pack(b"");
            let many = empty.repeat((1 << 18) / empty.len());
            let start = crate::clock::now();
            assert_eq!(run(encoding, &many, 100).unwrap(), b""[..], "{name}");
            let took = crate::clock::now().since(start);
            assert!(took < Duration::from_secs(5), "{name} took {took:?}");
        }
    }

    #[test]
    fn a_window_beyond_the_limit_is_refused() {
        // A frame header by RFC 8878, section 3.1.1.1: a window of 2^(10 + 17) bytes.
        let header = b"\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00";
        let refusal = run(Encoding::Zstd, header, 100).unwrap_err();
        assert!(refusal.to_string().contains("memory"), "{refusal}");
        let allowed = b"\x28\xb5\x2f\xfd\x00\x78\x01\x00\x00";
        assert_eq!(run(Encoding::Zstd, allowed, 100).unwrap(), b""[..]);
    }

    #[test]
    fn the_budget_is_kept_and_given_back() {
        let packed = Bytes::from(packed::zstd(&vec![7; 1 << 20]));
        let gauge = Counter::default();
        let budget = MemoryBudget::new(1 << 20, gauge.clone(), WaitingMemory::unlimited());
        // Another request is beyond the budget.
        let mut other = budget.share();
        other.grow((1 << 20) + 1).unwrap();
        let mut held = budget.share();
        let refusal = decompress(Encoding::Zstd, packed.clone(), 1 << 20, &mut held).unwrap_err();
        assert_eq!(refusal, Refusal::QueueFull);
        drop((held, other));
        let mut held = budget.share();
        // Now this one may be.
        let out = decompress(Encoding::Zstd, packed, 1 << 20, &mut held).unwrap();
        assert_eq!(out.len(), 1 << 20);
        assert!(gauge.value() <= (out.len() + STEP) as u64, "{}", gauge.value());
    }
}
