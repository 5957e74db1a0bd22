//! Needles: many short texts that are looked for at once, in any case.
//!
//! A table says of each two bytes whether a needle begins with them. Most of a text is passed over by
//! one look at the table for each byte, several times faster than an automaton is stepped.

/// Every two bytes.
const PAIRS: usize = 1 << 16;

/// Texts to look for, each with what it stands for.
pub(super) struct Needles<T> {
    /// For each two bytes the number of the bucket of the needles that begin so; 0 for none.
    pairs: Box<[u8; PAIRS]>,
    buckets: Vec<Bucket<T>>,
}

/// The needles with the same first two bytes.
struct Bucket<T> {
    /// Which third bytes there are; all, if a needle has none.
    thirds: [bool; 256],
    needles: Vec<(&'static [u8], T)>,
}

impl<T> Bucket<T> {
    const fn new() -> Self {
        Self { thirds: [false; 256], needles: Vec::new() }
    }

    fn push(&mut self, needle: &'static [u8], means: T) {
        match needle.get(2) {
            None => self.thirds = [true; 256],
            Some(third) => {
                for case in [third.to_ascii_lowercase(), third.to_ascii_uppercase()] {
                    if let Some(slot) = self.thirds.get_mut(usize::from(case)) {
                        *slot = true;
                    }
                }
            }
        }
        self.needles.push((needle, means));
    }

    /// Whether a needle may begin where this is the third byte.
    #[inline]
    fn has_third(&self, third: u8) -> bool {
        self.thirds.get(usize::from(third)).copied().unwrap_or(false)
    }
}

impl<T> std::fmt::Debug for Needles<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Needles").field("buckets", &self.buckets.len()).finish()
    }
}

fn pair(first: u8, second: u8) -> usize {
    usize::from(u16::from_be_bytes([first, second]))
}

impl<T> Needles<T> {
    /// Needles of two bytes or more; `None` if one is shorter, or their beginnings are too many.
    pub(super) fn new(needles: impl IntoIterator<Item = (&'static str, T)>) -> Option<Self> {
        let mut pairs: Box<[u8; PAIRS]> = vec![0; PAIRS].into_boxed_slice().try_into().ok()?;
        let mut buckets = vec![Bucket::new()];
        for (needle, means) in needles {
            let &[first, second, ..] = needle.as_bytes() else { return None };
            let [first, second] = [first, second].map(|byte| byte.to_ascii_lowercase());
            let slot = pairs.get_mut(pair(first, second))?;
            if *slot == 0 {
                *slot = u8::try_from(buckets.len()).ok()?;
                buckets.push(Bucket::new());
            }
            buckets.get_mut(usize::from(*slot))?.push(needle.as_bytes(), means);
        }
        // Each beginning also in capitals.
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let folded = pair(first.to_ascii_lowercase(), second.to_ascii_lowercase());
                let bucket = pairs.get(folded).copied()?;
                *pairs.get_mut(pair(first, second))? = bucket;
            }
        }
        Some(Self { pairs, buckets })
    }

    /// The next place where needles may begin, and what all needles there mean, with their ends.
    pub(super) fn next(&self, text: &[u8], from: usize) -> Option<(usize, Vec<(usize, &T)>)> {
        let mut position = from;
        loop {
            let rest = text.get(position..)?;
            position += self.candidate(rest)?;
            let rest = text.get(position..)?;
            let &[first, second, ..] = rest else { return None };
            let bucket = self.pairs.get(pair(first, second)).copied().unwrap_or(0);
            let bucket = self.buckets.get(usize::from(bucket))?;
            if !bucket.has_third(rest.get(2).copied().unwrap_or(0)) {
                position += 1;
                continue;
            }
            let here = bucket.needles.iter().filter(|(needle, _)| {
                rest.get(..needle.len()).is_some_and(|head| head.eq_ignore_ascii_case(needle))
            });
            let found: Vec<(usize, &T)> =
                here.map(|(needle, means)| (position + needle.len(), means)).collect();
            if !found.is_empty() {
                return Some((position, found));
            }
            position += 1;
        }
    }

    /// Where the first two bytes stand with which a needle begins.
    #[inline]
    fn candidate(&self, text: &[u8]) -> Option<usize> {
        let mut first = *text.first()?;
        text.get(1..)?.iter().position(|second| {
            let at = pair(first, *second);
            first = *second;
            self.pairs.get(at).copied().unwrap_or(0) != 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needles_are_found_in_any_case_and_all_of_them() {
        let needles = Needles::new([("sk-", 1), ("SK", 2), ("://", 3), ("key", 4)]).unwrap();
        let found = |text: &str, from| {
            let (position, found) = needles.next(text.as_bytes(), from)?;
            Some((
                position,
                found.into_iter().map(|(end, means)| (end, *means)).collect::<Vec<_>>(),
            ))
        };
        assert_eq!(found("a sk-b", 0), Some((2, vec![(5, 1), (4, 2)])));
        assert_eq!(found("a sK b", 0), Some((2, vec![(4, 2)])));
        assert_eq!(found("kettle KEY", 0), Some((7, vec![(10, 4)])));
        assert_eq!(found("x://", 0), Some((1, vec![(4, 3)])));
        assert_eq!(found("x://", 2), None);
        assert_eq!((found("", 0), found("s", 0), found("k", 5)), (None, None, None));
        assert!(Needles::new([("a", 1)]).is_none());
    }
}
