//! Bounded reader: request bodies within limits of size, memory and time.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;

use super::connections;
use super::memory_budget::HeldMemory;
use super::refusal::Refusal;
use crate::runtime::buffer_pool;

/// What a declared length may reserve before any of it has arrived. When so much is there, there is
/// room for all of it, so that it need not be moved again and again.
const FIRST_RESERVE: usize = 1024 * 1024;
/// How much of a refused body is read and thrown away, and for how long.
const DISCARD_BYTES: usize = 16 * 1024 * 1024;
const DISCARD_LIMIT: Duration = Duration::from_secs(5);

/// What the first bytes of a body say of its length; 0 is nothing.
pub(super) type AnnouncedLength = fn(&[u8]) -> usize;

/// Reads a body of at most `limit` bytes, which may take `time` to arrive.
///
/// # Errors
/// It is too large or too slow, the budget is used up, or the sender has gone.
pub(super) async fn read<B>(
    body: &mut B,
    limit: usize,
    time: Duration,
    announced: AnnouncedLength,
    held: &mut HeldMemory,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > limit {
        return Err(Refusal::TooLarge { limit, when: "" });
    }
    let _reading = connections::reading();
    match tokio::time::timeout(time, collect(body, declared, limit, announced, held)).await {
        Ok(collected) => collected,
        Err(_elapsed) => Err(Refusal::Slow(time.as_secs())),
    }
}

async fn collect<B>(
    body: &mut B,
    mut declared: usize,
    limit: usize,
    announced: AnnouncedLength,
    held: &mut HeldMemory,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    // A body that comes in one piece, as small ones do, is not copied.
    let mut only = Bytes::new();
    let mut all: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(Refusal::ClientGone) };
        let Ok(data) = frame.into_data() else { continue };
        let length = only.len().saturating_add(all.len()).saturating_add(data.len());
        if length > limit {
            return Err(Refusal::TooLarge { limit, when: "" });
        }
        held.grow(data.len())?;
        if length == data.len() {
            only = data;
            continue;
        }
        if all.is_empty() {
            declared = declared.max(announced(&only)).min(limit);
            all.reserve(declared.min(FIRST_RESERVE).max(length));
            all.extend_from_slice(&only);
            only = Bytes::new();
        } else if length > all.capacity() && declared >= length {
            let mut larger = buffer_pool::buffer(declared);
            larger.extend_from_slice(&all);
            all = larger;
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { only } else { all.into() })
}

/// Takes a body that is no longer needed, so that its buffer can be used again.
pub(super) fn reclaim(body: Bytes) {
    if let Ok(mut body) = body.try_into_mut() {
        body.clear();
        buffer_pool::reclaim(body.into());
    }
}

/// Reads and forgets the rest of a refused body. A connection that is closed with unread data
/// loses the answer on its way, so a sender would never learn why.
pub(super) async fn discard<B>(body: &mut B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let reading = async {
        let mut seen = 0_usize;
        while let Some(Ok(frame)) = body.frame().await {
            seen = seen.saturating_add(frame.data_ref().map_or(0, Bytes::len));
            if seen > DISCARD_BYTES {
                return;
            }
        }
    };
    drop(tokio::time::timeout(DISCARD_LIMIT, reading).await);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::memory::WaitingMemory;
    use crate::receive::memory_budget::MemoryBudget;
    use crate::stats::Counter;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};
    use std::convert::Infallible;

    const READ_LIMIT: Duration = Duration::from_secs(30);
    const NOTHING: AnnouncedLength = |_| 0;

    fn held(limit: usize) -> HeldMemory {
        MemoryBudget::new(limit, Counter::default(), WaitingMemory::unlimited()).share()
    }

    fn pieces() -> StreamBody<impl futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>>> {
        let pieces = ["ab", "", "c", "def"]
            .map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
        StreamBody::new(futures_util::stream::iter(pieces))
    }

    #[tokio::test]
    async fn bodies_in_one_and_many_pieces() {
        let mut held = held(100);
        let one = Bytes::from_static(b"abc");
        let read_one =
            read(&mut Full::new(one.clone()), 3, READ_LIMIT, NOTHING, &mut held).await.unwrap();
        assert_eq!(read_one.as_ptr(), one.as_ptr());
        assert_eq!(read(&mut pieces(), 6, READ_LIMIT, NOTHING, &mut held).await.unwrap(), "abcdef");
        let refusal = read(&mut pieces(), 5, READ_LIMIT, NOTHING, &mut held).await.unwrap_err();
        assert_eq!(refusal, Refusal::TooLarge { limit: 5, when: "" });
    }

    #[tokio::test]
    async fn what_the_length_says_only_makes_room() {
        let piece = || Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; 700_000])));
        for announced in [(|_| 0) as AnnouncedLength, |_| 2_100_000, |_| 1, |_| usize::MAX] {
            let mut body = StreamBody::new(futures_util::stream::iter([piece(), piece(), piece()]));
            let mut held = held(3_000_000);
            let all = read(&mut body, 2_500_000, READ_LIMIT, announced, &mut held).await.unwrap();
            assert_eq!(all.len(), 2_100_000);
            assert!(all.iter().all(|byte| *byte == b'x'));
            reclaim(all);
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_is_slow() {
        type Never = futures_util::stream::Pending<Result<Frame<Bytes>, Infallible>>;
        let never: Never = futures_util::stream::pending();
        let time = Duration::from_millis(5);
        let mut body = StreamBody::new(never);
        let refusal = read(&mut body, 5, time, NOTHING, &mut held(100)).await.unwrap_err();
        assert_eq!(refusal, Refusal::Slow(0));
    }
}
