//! Consistent hashing: which member of a group gets a key, so that a member's coming and going
//! moves only its own share.

/// Points of each member on the ring: more make the shares more even.
const POINTS: u64 = 160;

/// Members on a ring of hashes.
#[derive(Debug, Clone, Default)]
pub struct HashRing {
    /// Hash and member, in the order of the hashes.
    points: Vec<(u64, usize)>,
}

impl HashRing {
    /// A ring of members by their names, which decide alone where a member is.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut points = Vec::new();
        for (member, name) in names.into_iter().enumerate() {
            for point in 0..POINTS {
                let hash = xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), point);
                points.push((hash, member));
            }
        }
        points.sort_unstable();
        Self { points }
    }

    /// The member for a key's hash: the first one from there on that is usable; `None` if none is.
    pub fn pick(&self, hash: u64, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let start = self.points.partition_point(|(point, _)| *point < hash);
        let (before, after) = self.points.split_at_checked(start)?;
        after.iter().chain(before).map(|(_, member)| *member).find(|member| usable(*member))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes() -> impl Iterator<Item = u64> {
        (0_u64..10_000).map(|key| xxhash_rust::xxh3::xxh3_64(&key.to_le_bytes()))
    }

    #[test]
    fn only_the_share_of_a_member_that_goes_is_moved() {
        let ring = HashRing::new(["a", "b", "c", "d"]);
        let smaller = HashRing::new(["a", "b", "c"]);
        let mut shares = [0; 4];
        for hash in hashes() {
            let member = ring.pick(hash, |_| true).unwrap();
            shares[member] += 1;
            let without = ring.pick(hash, |member| member != 3).unwrap();
            assert_eq!(smaller.pick(hash, |_| true), Some(without));
            assert!(member == 3 || member == without);
        }
        assert!(shares.iter().all(|share| (1_500..3_700).contains(share)), "{shares:?}");
    }

    #[test]
    fn without_a_usable_member_there_is_none() {
        assert_eq!(HashRing::default().pick(7, |_| true), None);
        assert_eq!(HashRing::new(["a"]).pick(7, |_| false), None);
        assert_eq!(HashRing::new(["a"]).pick(u64::MAX, |_| true), Some(0));
    }
}
