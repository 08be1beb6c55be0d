//! Repeatable chance.

/// A stream of numbers that depends on its seeds alone.
///
/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014), written out here because
/// a simulated story must stay the same when the `rand` crate changes its generators, and because one is made for each
/// request: seeding costs nothing.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

/// The generator's step: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    /// A stream of its own for each list of seeds.
    pub(crate) fn new(seeds: &[u64]) -> Self {
        Dice(seeds.iter().fold(0, |state, seed| mix(state ^ seed).wrapping_add(STEP)))
    }

    /// Sixty-four random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number from 0 (may occur) to 1 (may not).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number of the normal distribution with mean 0 and deviation 1 (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A hash of `bytes` that depends on nothing else, eight bytes a step; `seed` lets it go on from an earlier one.
pub(crate) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = seed ^ (bytes.len() as u64).wrapping_mul(STEP);
    for word in words {
        state = (state ^ u64::from_le_bytes(*word)).wrapping_mul(STEP).rotate_left(29);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(state ^ u64::from_le_bytes(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seeds_tell_the_same_story_and_others_another() {
        let story = |seeds: &[u64]| {
            let mut dice = Dice::new(seeds);
            [dice.bits(), dice.bits(), dice.bits()]
        };
        assert_eq!(story(&[1, 2]), story(&[1, 2]));
        assert_ne!(story(&[1, 2]), story(&[2, 1]));
        assert_ne!(story(&[0]), story(&[0, 0]));
    }

    #[test]
    fn unit_and_normal_have_their_means_and_deviations() {
        let mut dice = Dice::new(&[7]);
        let n = 20_000;
        let mean = (0..n).map(|_| dice.unit()).sum::<f64>() / f64::from(n);
        assert!((mean - 0.5).abs() < 0.01, "mean of unit: {mean}");
        let normals: Vec<f64> = (0..n).map(|_| dice.normal()).collect();
        let mean = normals.iter().sum::<f64>() / f64::from(n);
        let variance = normals.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.04, "{mean} {variance}");
    }

    #[test]
    fn a_hash_sees_every_byte_and_the_length() {
        let base = hash(0, b"0123456789abcdef!");
        for i in 0..17 {
            let mut other = *b"0123456789abcdef!";
            other[i] ^= 1;
            assert_ne!(hash(0, &other), base, "byte {i}");
        }
        assert_ne!(hash(0, b"a"), hash(0, b"a\0"));
        assert_ne!(hash(0, b""), hash(1, b""));
    }
}
