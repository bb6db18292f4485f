//! Philox 4×32-10: a random function of a 128-bit counter and a 64-bit key.
//!
//! After Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3", section 3.3,
//! with the constants that Random123 publishes. There is no state, so any number of any stream can be
//! computed in any order, on any machine.

const ROUNDS: usize = 10;
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const LOW: u64 = 0xFFFF_FFFF;

/// The number of counters that [`block`] handles at once: the widest vector register holds sixteen words.
pub const LANES: usize = 16;

/// `LANES` counters or outputs, word by word: `words[w][lane]`.
pub type Words = [[u32; LANES]; 4];

/// The random words of `LANES` counters under one key.
#[inline(always)]
pub fn block(counter: Words, mut key: [u32; 2]) -> Words {
    // One word in each 64-bit lane, as a vector multiplication reads and writes it. The upper half of a lane
    // is never read.
    let mut c = [[0; LANES]; 4];
    for (wide, word) in c.iter_mut().flatten().zip(counter.as_flattened()) {
        *wide = u64::from(*word);
    }
    for _ in 0..ROUNDS {
        // Indexed by lane, so that the compiler sees one operation on each word of all lanes.
        #[allow(clippy::needless_range_loop)]
        for lane in 0..LANES {
            let product0 = (c[0][lane] & LOW) * u64::from(MULTIPLIERS[0]);
            let product1 = (c[2][lane] & LOW) * u64::from(MULTIPLIERS[1]);
            c[0][lane] = (product1 >> 32) ^ c[1][lane] ^ u64::from(key[0]);
            c[1][lane] = product1;
            c[2][lane] = (product0 >> 32) ^ c[3][lane] ^ u64::from(key[1]);
            c[3][lane] = product0;
        }
        key[0] = key[0].wrapping_add(WEYL[0]);
        key[1] = key[1].wrapping_add(WEYL[1]);
    }
    let mut words = counter;
    for (word, wide) in words.as_flattened_mut().iter_mut().zip(c.as_flattened()) {
        *word = *wide as u32;
    }
    words
}

/// The four random words of one counter.
pub fn one(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    block(counter.map(|word| [word; LANES]), key).map(|lanes| lanes[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    // The known answers that the authors publish with Random123 (`kat_vectors`, philox4x32 10).
    #[test]
    fn gives_the_published_known_answers() {
        let zeros = one([0; 4], [0; 2]);
        assert_eq!(zeros, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);

        let ones = one([u32::MAX; 4], [u32::MAX; 2]);
        assert_eq!(ones, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);

        let digits_of_pi =
            one([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]);
        assert_eq!(digits_of_pi, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn every_lane_computes_the_same_function() {
        let counter: Words = std::array::from_fn(|w| std::array::from_fn(|l| (w * 100 + l) as u32));
        let together = block(counter, [5, 6]);
        for lane in 0..LANES {
            let alone = one(counter.map(|word| word[lane]), [5, 6]);
            assert_eq!(together.map(|word| word[lane]), alone, "lane {lane}");
        }
    }
}
