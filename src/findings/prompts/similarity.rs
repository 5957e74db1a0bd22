//! Similarity: sketches of 64 bits, of which two differ in few bits where their texts share most pairs of words.
//!
//! One permutation hashing (Li, Owen and Zhang 2012): a hash of each pair of words in a row falls into one of 64 bins,
//! and each bin keeps the least. Bins without any borrow that of the next one (rotation, Shrivastava and Li 2014). Of
//! each bin the lowest bit stays (b-bit minwise hashing with b = 1, Li and König 2010), so that a bit of two sketches
//! differs with a probability of `(1 - J) / 2`, where `J` is the share of pairs of words that both texts have.

/// Bins, and bits of a sketch.
const BINS: usize = 64;
/// The bits of a hash that are compared within its bin.
const WIDTH: u32 = 58;
/// No hash fell into the bin.
const EMPTY: u64 = u64::MAX;
/// Bands, of which two sketches have at least one in common if they differ in fewer bits than there are bands.
pub(super) const BANDS: usize = 4;
/// The most bits in which similar texts differ.
pub(super) const MAX_DISTANCE: u32 = 3;
/// Texts of fewer words have too few pairs to be compared.
const LEAST_WORDS: u32 = 8;

/// Spreads the bits of a number over all of its bits (the finalizer of MurmurHash3).
pub(super) const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

/// In how many bits two sketches differ.
pub(super) const fn distance(one: u64, other: u64) -> u32 {
    (one ^ other).count_ones()
}

/// Makes the sketch of a text from hashes of its words.
#[derive(Debug)]
pub(super) struct Sketcher {
    seed: u64,
    minima: [u64; BINS],
    last: u64,
    words: u32,
}

impl Sketcher {
    /// One whose sketches cannot be made without this seed.
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, minima: [EMPTY; BINS], last: 0, words: 0 }
    }

    /// Adds a word by its hash.
    pub(super) fn word(&mut self, hash: u64) {
        if self.words > 0 {
            let pair = self.last.rotate_left(32) ^ hash;
            put(&mut self.minima, WIDTH, mix(pair.wrapping_add(self.seed)));
        }
        self.last = hash;
        self.words = self.words.saturating_add(1);
    }

    /// The sketch; `None` of a text that is too short.
    pub(super) fn finish(&self) -> Option<u64> {
        (self.words >= LEAST_WORDS).then(|| sketch(&self.minima))
    }
}

/// Puts a hash into its bin, which its bits above `width` say.
fn put(minima: &mut [u64], width: u32, hash: u64) {
    let bin = usize::try_from(hash >> width).ok().and_then(|bin| minima.get_mut(bin));
    if let Some(least) = bin {
        *least = (*least).min(hash & ((1 << width) - 1));
    }
}

/// The lowest bits of all bins, where empty ones borrow from the next one. A value that is borrowed over an odd number
/// of bins counts as another one, as it would with any odd offset for each bin.
fn sketch(minima: &[u64; BINS]) -> u64 {
    // What the last bin borrows is that of the first that is not empty.
    let mut full = minima.iter().zip(0_u64..).filter(|(least, _)| **least != EMPTY);
    let Some((first, over)) = full.next() else { return 0 };
    let mut bit = (first ^ over) & 1;
    minima.iter().rev().fold(0, |sketch, least| {
        bit = if *least == EMPTY { bit ^ 1 } else { least & 1 };
        sketch << 1 | bit
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the paper on one permutation hashing: three sets of numbers below 16 in four bins.
    #[test]
    fn bins_keep_what_the_paper_says() {
        let bins = |set: &[u64]| {
            let mut minima = [EMPTY; 4];
            set.iter().for_each(|number| put(&mut minima, 2, *number));
            minima
        };
        assert_eq!(bins(&[2, 4, 7, 13]), [2, 0, EMPTY, 1]);
        assert_eq!(bins(&[0, 6, 13]), [0, 2, EMPTY, 1]);
        assert_eq!(bins(&[0, 1, 10, 12]), [0, EMPTY, 2, 0]);
    }

    #[test]
    fn empty_bins_borrow_from_the_next_one() {
        let mut minima = [EMPTY; BINS];
        assert_eq!(sketch(&minima), 0);
        // The bits of bins 0 to 3 come from bin 3, those of bins 4 to 63 over the end from it too.
        minima[3] = 4;
        let expected = (0..BINS).fold(0_u64, |all, bin| {
            let over = (3 + BINS - bin) % BINS;
            all | (((over % 2) as u64) << bin)
        });
        assert_eq!(sketch(&minima), expected);
        minima[3] = 5;
        assert_eq!(sketch(&minima), !expected);
    }

    /// Guarantees: the share of bits that differ estimates the share of pairs that two texts have in common, and what has
    /// nine of ten in common is mostly similar, what has half of them never.
    #[test]
    fn distances_estimate_what_is_shared() {
        for (words, changed) in [(400, 4), (400, 10), (400, 40), (200, 50)] {
            let (mut sum, mut near) = (0, 0);
            let (mut shared, mut all) = (0, 0);
            for text in 0..400_u64 {
                let word = |at: u64, version: u64| mix(text << 32 | at << 8 | version);
                let is_changed = |at: u64| at % (words / changed) == 1;
                let sketch_of = |version: u64| {
                    let mut sketcher = Sketcher::new(7);
                    let one = |at| word(at, if is_changed(at) { version } else { 0 });
                    (0..words).for_each(|at| sketcher.word(one(at)));
                    sketcher.finish().unwrap()
                };
                let apart = distance(sketch_of(1), sketch_of(2));
                sum += apart;
                near += u32::from(apart <= MAX_DISTANCE);
                let same = words - 1 - 2 * changed;
                (shared, all) = (same, 2 * (words - 1) - same);
            }
            let jaccard = shared as f64 / all as f64;
            let estimated = 1.0 - 2.0 * f64::from(sum) / (400.0 * 64.0);
            println!("J {jaccard:.3} estimated {estimated:.3}, similar {near} of 400");
            assert!((jaccard - estimated).abs() < 0.02, "{jaccard} {estimated}");
            let near = f64::from(near) / 400.0;
            assert!(if jaccard > 0.9 { near > 0.6 } else { near < 0.2 }, "{jaccard}: {near}");
        }
    }

    #[test]
    fn short_texts_have_no_sketch_and_seeds_make_others() {
        let of = |seed, words: u64| {
            let mut sketcher = Sketcher::new(seed);
            (0..words).for_each(|word| sketcher.word(mix(word)));
            sketcher.finish()
        };
        assert_eq!((of(1, 7), of(1, 8).is_some()), (None, true));
        assert!(distance(of(1, 50).unwrap(), of(2, 50).unwrap()) > 10);
    }
}
