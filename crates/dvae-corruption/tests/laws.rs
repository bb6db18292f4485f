//! What every process promises, and the law of each one, with bounds that hold for any seed.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::tensor::{Bool, Device, Tensor};
use dvae_corruption::{Corrupted, Corruption, CorruptionConfig, OneOf};
use dvae_random::{Key, Purpose};

const ROWS: u64 = 64;
const WIDTH: usize = 500;

fn build(text: &str) -> Box<dyn Corruption<2>> {
    text.parse::<CorruptionConfig>().unwrap().build().unwrap()
}

fn corrupt_rows(process: &dyn Corruption<2>, clean: Tensor<2>, ids: &[u64]) -> Corrupted<2> {
    process.corrupt(clean, &mut Key::new(11).purpose(Purpose::Corruption).epoch(2).rows(ids))
}

/// Rows of one grey value each, `0.25 + id / 256`.
fn grey(ids: &[u64]) -> Tensor<2> {
    let levels: Vec<f32> = ids.iter().map(|&id| 0.25 + id as f32 / 256.0).collect();
    Tensor::<1>::from_data(levels.as_slice(), &Device::flex())
        .reshape([ids.len(), 1])
        .repeat_dim(1, WIDTH)
}

fn corrupt(text: &str) -> (Tensor<2>, Corrupted<2>) {
    let ids: Vec<u64> = (0..ROWS).collect();
    (grey(&ids), corrupt_rows(&*build(text), grey(&ids), &ids))
}

fn rate(mask: Tensor<2, Bool>) -> f64 {
    f64::from(mask.float().mean().into_scalar::<f32>())
}

/// Six standard deviations of the mean of `n` trials: holds for any seed.
fn six_sigma(p: f64, n: f64) -> f64 {
    6.0 * (p * (1.0 - p) / n).sqrt()
}

const ENTRIES: f64 = (ROWS as usize * WIDTH) as f64;

const ALL: [&str; 6] =
    ["none", "gaussian:0.3", "masking:0.5", "salt-and-pepper:0.2", "mostly-pepper:0.1", "mixed"];

#[test]
fn a_row_meets_the_same_noise_in_any_batch() {
    for text in ALL {
        let process = build(text);
        let together = corrupt_rows(&*process, grey(&[3, 4, 5, 9]), &[3, 4, 5, 9]);
        let reversed = corrupt_rows(&*process, grey(&[9, 5, 4, 3]), &[9, 5, 4, 3]);
        assert_eq!(together.input.clone().into_data(), reversed.input.flip([0]).into_data());
        for (place, id) in [3, 4, 5, 9].into_iter().enumerate() {
            let alone = corrupt_rows(&*process, grey(&[id]), &[id]);
            let row = together.input.clone().slice([place..place + 1]);
            assert_eq!(row.into_data(), alone.input.into_data(), "{text}, row {id}");
        }
    }
}

#[test]
fn unchanged_entries_keep_their_value_and_the_range_is_kept() {
    for text in ALL {
        let (clean, Corrupted { input, changed }) = corrupt(text);
        let differs = input.clone().not_equal(clean);
        let silent = differs.bool_and(changed.bool_not());
        assert!(!silent.any().into_scalar::<bool>(), "{text}");
        let outside = input.clone().lower_elem(0.0).bool_or(input.greater_elem(1.0));
        assert!(!outside.any().into_scalar::<bool>(), "{text}");
    }
}

#[test]
fn the_null_level_changes_nothing() {
    for text in ["none", "gaussian:0", "masking:0", "salt-and-pepper:0", "mostly-pepper:0"] {
        let (clean, Corrupted { input, changed }) = corrupt(text);
        assert_eq!(input.into_data(), clean.into_data(), "{text}");
        assert!(!changed.any().into_scalar::<bool>(), "{text}");
    }
}

#[test]
fn unclipped_gaussian_noise_has_mean_zero_and_variance_sigma_squared() {
    let ids: Vec<u64> = (0..ROWS).collect();
    let config = CorruptionConfig::Gaussian { sigma: 0.3, clip: None };
    let noisy = corrupt_rows(&*config.build::<2>().unwrap(), grey(&ids), &ids);
    let noise = noisy.input - grey(&ids);
    let mean = f64::from(noise.clone().mean().into_scalar::<f32>());
    let variance = f64::from(noise.square().mean().into_scalar::<f32>());
    assert!(mean.abs() < 6.0 * 0.3 / ENTRIES.sqrt(), "mean {mean}");
    // The variance of ε² is 2.
    assert!((variance / 0.09 - 1.0).abs() < 6.0 * (2.0 / ENTRIES).sqrt(), "variance {variance}");
}

#[test]
fn masking_erases_a_fraction_nu() {
    let (_, Corrupted { input, changed }) = corrupt("masking:0.3");
    let erased = rate(changed);
    assert!((erased - 0.3).abs() < six_sigma(0.3, ENTRIES), "erased {erased}");
    assert_eq!(erased, rate(input.equal_elem(0.0)));
}

#[test]
fn salt_follows_its_law_among_the_replaced() {
    for (text, replaced, salt) in
        [("salt-and-pepper:0.2", 0.2, 0.5), ("mostly-pepper:0.1", 0.1, 0.1)]
    {
        let (_, Corrupted { input, changed }) = corrupt(text);
        let changed = rate(changed);
        assert!((changed - replaced).abs() < six_sigma(replaced, ENTRIES), "{text}: {changed}");
        let salted = rate(input.equal_elem(1.0)) / changed;
        let bound = six_sigma(salt, changed * ENTRIES);
        assert!((salted - salt).abs() < bound, "{text}: {salted}");
    }
}

// Each process leaves its mark on a row of one grey value: none, few zeros and ones, many zeros, or
// a new value in every entry.
#[test]
fn a_mixture_damages_each_row_by_one_process_and_uses_all() {
    let (_, Corrupted { input, changed }) = corrupt("mixed");
    let share = |mask: Tensor<2, Bool>| -> Vec<f32> {
        mask.float().mean_dim(1).into_data().try_to_vec().unwrap()
    };
    let zeros = share(input.clone().equal_elem(0.0));
    let ones = share(input.equal_elem(1.0));
    let changes = share(changed);
    let mut seen = [0; 4];
    for row in 0..ROWS as usize {
        let process = match (changes[row], zeros[row], ones[row]) {
            (0.0, 0.0, 0.0) => 0,
            (c, z, o) if o > 0.0 && (z + o - c).abs() < 1e-6 && (0.1..0.3).contains(&c) => 1,
            (c, z, 0.0) if (z - c).abs() < 1e-6 && (0.35..0.65).contains(&c) => 2,
            (c, ..) if c > 0.99 => 3,
            marks => panic!("row {row} is no process's work: {marks:?}"),
        };
        seen[process] += 1;
    }
    // Some process is missed by all 64 rows once in 2 · 10⁷ times.
    assert!(seen.iter().all(|&n| n > 0), "rows per process: {seen:?}");
}

// Half of the entries are erased each time, and a quarter by both: the same noise would erase half.
#[test]
fn a_mixture_meets_new_noise_each_time() {
    let one = OneOf::<2>::new(vec![build("masking:0.5")]).unwrap();
    let ids: Vec<u64> = (0..ROWS).collect();
    let mut draws = Key::new(1).rows(&ids);
    let [first, second] = [0, 1].map(|_| one.corrupt(grey(&ids), &mut draws).changed);
    let both = rate(first.bool_and(second));
    assert!((both - 0.25).abs() < six_sigma(0.25, ENTRIES), "{both}");
}

#[test]
fn a_mixture_of_one_is_that_process_on_its_own_stream() {
    let one = OneOf::<2>::new(vec![build("masking:0.5")]).unwrap();
    let ids = [1, 2, 3];
    let mixed = corrupt_rows(&one, grey(&ids), &ids);
    let mut draws = Key::new(11).purpose(Purpose::Corruption).epoch(2).rows(&ids);
    let _ = draws.uniform_host(1); // the choice
    let plain = build("masking:0.5").corrupt(grey(&ids), &mut draws.branch());
    assert_eq!(mixed.input.into_data(), plain.input.into_data());
    assert!(OneOf::<2>::new(vec![]).is_err());
}

#[test]
fn texts_name_processes_or_say_what_is_wrong() {
    for (text, needle) in [
        ("gauss", "known are none, gaussian"),
        ("gaussian:x", "`gaussian:x`"),
        ("gaussian:-1", "`sigma`"),
        ("masking:nan", "[0, 1], but is NaN"),
        ("masking:1.5", "`rate`"),
        ("mixed:3", "`mixed:3`"),
    ] {
        let error = text.parse::<CorruptionConfig>().unwrap_err().to_string();
        assert!(error.contains(needle), "{text}: {error}");
    }
}

#[test]
fn files_name_processes_and_refuse_what_they_do_not_know() {
    for text in ALL {
        let config: CorruptionConfig = text.parse().unwrap();
        let file = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<CorruptionConfig>(&file).unwrap(), config, "{file}");
    }
    for (file, needle) in [
        (r#"{"process": "none", "rate": 0.5}"#, "unknown field `rate`"),
        (r#"{"process": "masking", "rate": 0.5, "sigma": 1}"#, "unknown field `sigma`"),
        (r#"{"process": "masking"}"#, "missing field `rate`"),
        (r#"{"process": "mask", "rate": 0.5}"#, "unknown variant `mask`"),
    ] {
        let error = serde_json::from_str::<CorruptionConfig>(file).unwrap_err().to_string();
        assert!(error.contains(needle), "{file}: {error}");
    }
}
