//! The law of each process that draws, with bounds that hold for any seed; combinations; texts and files.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::tensor::{Bool, Device, Tensor};
use dvae_corruption::{
    Banding, Clean, ClipRange, CorruptedInput, Corruption, CorruptionConfig, DeadLines, DeadPixels,
    Domain, Level, Masking, MotionBlur, Occlusion, OneOf, Part, Rotation, Sequence, Shear, Shot,
    ShowMask, Sometimes, Translation, Zoom,
};
use dvae_random::{Key, Purpose};

const ROWS: u64 = 64;
const WIDTH: usize = 500;

fn build(text: &str) -> Box<dyn Corruption<2>> {
    text.parse::<CorruptionConfig>().unwrap().build(Domain::Unit).unwrap()
}

fn corrupt_rows(process: &dyn Corruption<2>, clean: Tensor<2>, ids: &[u64]) -> CorruptedInput<2> {
    process.corrupt(clean, &mut Key::new(11).purpose(Purpose::Corruption).epoch(2).rows(ids))
}

/// Rows of one gray value each, `0.25 + id / 256`.
fn gray(ids: &[u64]) -> Tensor<2> {
    let levels: Vec<f32> = ids.iter().map(|&id| 0.25 + id as f32 / 256.0).collect();
    Tensor::<1>::from_data(levels.as_slice(), &Device::flex())
        .reshape([ids.len(), 1])
        .repeat_dim(1, WIDTH)
}

fn corrupt(text: &str) -> (Tensor<2>, CorruptedInput<2>) {
    let ids: Vec<u64> = (0..ROWS).collect();
    (gray(&ids), corrupt_rows(&*build(text), gray(&ids), &ids))
}

fn rate(mask: Tensor<2, Bool>) -> f64 {
    f64::from(mask.float().mean().into_scalar::<f32>())
}

/// Six standard deviations of the mean of `n` trials: holds for any seed.
fn six_sigma(p: f64, n: f64) -> f64 {
    6.0 * (p * (1.0 - p) / n).sqrt()
}

const ENTRIES: f64 = (ROWS as usize * WIDTH) as f64;

#[test]
fn unclipped_gaussian_noise_has_mean_zero_and_variance_sigma_squared() {
    let ids: Vec<u64> = (0..ROWS).collect();
    let config = CorruptionConfig::Gaussian { level: 0.3.into(), clip: ClipRange::None };
    let noisy = corrupt_rows(&*config.build::<2>(Domain::Unit).unwrap(), gray(&ids), &ids);
    let noise = noisy.input - gray(&ids);
    let mean = f64::from(noise.clone().mean().into_scalar::<f32>());
    let variance = f64::from(noise.square().mean().into_scalar::<f32>());
    assert!(mean.abs() < 6.0 * 0.3 / ENTRIES.sqrt(), "mean {mean}");
    // The variance of ε² is 2.
    assert!((variance / 0.09 - 1.0).abs() < 6.0 * (2.0 / ENTRIES).sqrt(), "variance {variance}");
}

#[test]
fn masking_erases_a_fraction_nu() {
    let (_, CorruptedInput { input, changed, .. }) = corrupt("masking:0.3");
    let erased = rate(changed);
    assert!((erased - 0.3).abs() < six_sigma(0.3, ENTRIES), "erased {erased}");
    assert_eq!(erased, rate(input.equal_elem(0.0)));
}

#[test]
fn salt_follows_its_law_among_the_replaced() {
    for (text, replaced, salt) in
        [("salt-and-pepper:0.2", 0.2, 0.5), ("mostly-pepper:0.1", 0.1, 0.1)]
    {
        let (_, CorruptedInput { input, changed, .. }) = corrupt(text);
        let changed = rate(changed);
        assert!((changed - replaced).abs() < six_sigma(replaced, ENTRIES), "{text}: {changed}");
        let salted = rate(input.equal_elem(1.0)) / changed;
        let bound = six_sigma(salt, changed * ENTRIES);
        assert!((salted - salt).abs() < bound, "{text}: {salted}");
    }
}

// Each process leaves its mark on a row of one gray value: none, few zeros and ones, many zeros, or
// a new value in every entry.
#[test]
fn a_mixture_damages_each_row_by_one_process_and_uses_all() {
    let (_, CorruptedInput { input, changed, .. }) = corrupt("mixed");
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
    let [first, second] = [0, 1].map(|_| one.corrupt(gray(&ids), &mut draws).changed);
    let both = rate(first.bool_and(second));
    assert!((both - 0.25).abs() < six_sigma(0.25, ENTRIES), "{both}");
}

#[test]
fn a_mixture_of_one_is_that_process_on_its_own_stream() {
    let one = OneOf::<2>::new(vec![build("masking:0.5")]).unwrap();
    let ids = [1, 2, 3];
    let mixed = corrupt_rows(&one, gray(&ids), &ids);
    let mut draws = Key::new(11).purpose(Purpose::Corruption).epoch(2).rows(&ids);
    let _ = draws.uniform_host(1); // the choice
    let plain = build("masking:0.5").corrupt(gray(&ids), &mut draws.branch());
    assert_eq!(mixed.input.into_data(), plain.input.into_data());
    assert!(OneOf::<2>::new(vec![]).is_err());
}

/// The Kolmogorov–Smirnov distance that a right sample of size `n` exceeds once in 10⁹ times:
/// `√(ln(2 · 10⁹) / 2n)` (Massart 1990).
fn assert_law(name: &str, mut sample: Vec<f64>, cdf: impl Fn(f64) -> f64) {
    sample.sort_by(f64::total_cmp);
    let n = sample.len() as f64;
    let gap = |(i, &x): (usize, &f64)| {
        let f = cdf(x);
        (f - i as f64 / n).abs().max(((i + 1) as f64 / n - f).abs())
    };
    let distance = sample.iter().enumerate().map(gap).fold(0.0, f64::max);
    let bound = (2e9f64.ln() / (2.0 * n)).sqrt();
    assert!(n > 1000.0 && distance < bound, "{name}: {distance} of {bound} with {n} values");
}

/// What a process adds to rows of 0.5, where it changes anything.
fn added(config: &CorruptionConfig) -> Vec<f64> {
    let ids: Vec<u64> = (0..ROWS).collect();
    let half = Tensor::<2>::full([ROWS as usize, WIDTH], 0.5, &Device::flex());
    let out = corrupt_rows(&*config.build::<2>(Domain::Unit).unwrap(), half, &ids);
    let changed = out.changed.into_data();
    let values = out.input.into_data();
    let both = values.iter::<f64>().zip(changed.iter::<bool>());
    both.filter(|(_, changed)| *changed).map(|(value, _)| value - 0.5).collect()
}

/// `Φ(x)` by Simpson's rule on the density.
fn normal_cdf(x: f64) -> f64 {
    let density = |t: f64| (-0.5 * t * t).exp() / std::f64::consts::TAU.sqrt();
    let h = x / 200.0;
    let inner: f64 =
        (1..200).map(|i| density(f64::from(i) * h) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    0.5 + h / 3.0 * (density(0.0) + inner + density(x))
}

#[test]
fn additive_and_multiplicative_noise_follows_its_law() {
    let level = Level::Fixed(0.3);
    let gaussian = CorruptionConfig::Gaussian { level, clip: ClipRange::None };
    assert_law("Gaussian", added(&gaussian), |x| normal_cdf(x / 0.3));
    let uniform = CorruptionConfig::Uniform { level, clip: ClipRange::None };
    assert_law("uniform", added(&uniform), |x| ((x + 0.3) / 0.6).clamp(0.0, 1.0));
    let laplace = CorruptionConfig::Laplace { level, clip: ClipRange::None };
    assert_law("Laplace", added(&laplace), |x| {
        let tail = 0.5 * (-x.abs() / 0.3).exp();
        if x < 0.0 { tail } else { 1.0 - tail }
    });
    let speckle = CorruptionConfig::Speckle { level, clip: ClipRange::None };
    assert_law("speckle", added(&speckle), |x| normal_cdf(x / 0.15));
    let impulse = CorruptionConfig::Impulse { level, values: Some([-1.0, 2.0]) };
    let values = added(&impulse);
    let share = values.len() as f64 / ENTRIES;
    assert!((share - 0.3).abs() < six_sigma(0.3, ENTRIES), "{share}");
    assert_law("impulse", values, |x| (x + 1.5) / 3.0);
}

#[test]
fn dropout_keeps_the_mean() {
    let (clean, CorruptedInput { input, .. }) = corrupt("dropout:0.3");
    let erased = rate(input.clone().equal_elem(0.0));
    assert!((erased - 0.3).abs() < six_sigma(0.3, ENTRIES), "erased {erased}");
    // Each entry is at most 0.5 / 0.7, or 0: six standard deviations of the mean.
    let gap = f64::from((input - clean).mean().into_scalar::<f32>());
    assert!(gap.abs() < 6.0 * 0.5 * (0.3f64 / 0.7).sqrt() / ENTRIES.sqrt(), "{gap}");
}

// Counts of 0.5 / 0.05 = 10 photons, and of 0.5 / 0.0125 = 40, where the law is approximated to 0.002.
#[test]
fn shot_noise_counts_photons() {
    for (gain, mean, allowed) in [(0.05, 10.0f64, 0.0), (0.0125, 40.0, 0.002)] {
        let ids: Vec<u64> = (0..ROWS).collect();
        let half = Tensor::<2>::full([ROWS as usize, WIDTH], 0.5, &Device::flex());
        let process = Shot::new(gain).unwrap();
        let input = corrupt_rows(&process, half, &ids).input.into_data();
        let counts: Vec<f64> = input.iter::<f64>().map(|v| (v / gain).round()).collect();
        let (mut probability, mut sum) = ((-mean).exp(), 0.0);
        for k in 0..=(1.0 / gain) as usize - 1 {
            sum += probability;
            probability *= mean / (k + 1) as f64;
            let below = counts.iter().filter(|&&count| count <= k as f64).count() as f64;
            let gap = (below / ENTRIES - sum).abs();
            assert!(gap < six_sigma(sum, ENTRIES) + allowed + 1e-6, "{gain}, {k}: {gap}");
        }
    }
}

#[test]
fn directions_and_places_are_uniform() {
    // A rotation by up to 180° of a picture that shows its angle.
    let ids: Vec<u64> = (0..4000).collect();
    let across: Vec<f32> = (0..9).map(|i| (i % 3) as f32 / 2.0).collect();
    let picture = Tensor::<1>::from_data(across.as_slice(), &Device::flex());
    let pictures = picture.reshape([1, 1, 3, 3]).expand([4000, 1, 3, 3]);
    let draws = || Key::new(3).rows(&ids);
    let turned = Rotation::new(180.0).unwrap().corrupt(pictures, &mut draws()).input;
    let [up, right] = [[0..4000, 0..1, 0..1, 1..2], [0..4000, 0..1, 1..2, 2..3]].map(|place| {
        turned.clone().slice(place).into_data().iter::<f64>().map(|v| v - 0.5).collect::<Vec<_>>()
    });
    let angles = up.iter().zip(&right).map(|(up, right)| up.atan2(*right));
    assert_law("rotation", angles.collect(), |a| a / std::f64::consts::TAU + 0.5);

    // A block of one pixel of 20 × 20: its place is one of 400.
    let blank = Tensor::<4>::ones([4000, 1, 20, 20], &Device::flex());
    let hidden = Occlusion::new(1.0 / 400.0).unwrap().corrupt(blank, &mut draws()).changed;
    let places: Vec<f64> =
        hidden.float().reshape([4000, 400]).argmax(1).into_data().iter().collect();
    // As a continuous law: each place is spread over its own step, by the row's number.
    let spread =
        places.iter().enumerate().map(|(i, p)| (p + (i as f64 * 0.618_034).fract()) / 400.0);
    assert_law("occlusion", spread.collect(), |x| x);
}

#[test]
fn a_sensor_has_its_own_pattern() {
    let ids: Vec<u64> = (0..3).collect();
    let gray = Tensor::<4>::full([3, 2, 40, 40], 0.5, &Device::flex());
    let on = |process: &dyn Corruption<4>, epoch| {
        let mut draws = Key::new(1).epoch(epoch).rows(&ids);
        process.corrupt(gray.clone(), &mut draws).input.into_data().try_to_vec::<f32>().unwrap()
    };
    let sensor = DeadPixels::new(0.1).unwrap();
    let pattern = on(&sensor, 0);
    assert_eq!(pattern, on(&sensor, 1));
    assert_ne!(pattern, on(&sensor.sensor(2), 0));
    for plane in pattern.chunks(1600) {
        assert_eq!(plane, &pattern[..1600]);
    }
    let share =
        |value: f32| pattern[..1600].iter().filter(|&&v| v == value).count() as f64 / 1600.0;
    assert!((share(0.0) - 0.05).abs() < six_sigma(0.05, 1600.0), "{}", share(0.0));
    assert!((share(1.0) - 0.05).abs() < six_sigma(0.05, 1600.0), "{}", share(1.0));
    let lines = on(&DeadLines::new(0.3).unwrap(), 0);
    assert!(lines.chunks(40).all(|line| line == &lines[..40]));
    assert!(lines.contains(&0.0) && lines.contains(&1.0) && lines.contains(&0.5));
}

// Each row by the first process with probability 0.8.
#[test]
fn weights_say_how_often() {
    let ids: Vec<u64> = (0..5000).collect();
    let rows = Tensor::<2>::full([5000, 1], 0.5, &Device::flex());
    let fill = |value| -> Box<dyn Corruption<2>> {
        Box::new(Masking::new(1.0).unwrap().fill(value).unwrap())
    };
    let share = |process: &dyn Corruption<2>, value: f32| {
        let input = process.corrupt(rows.clone(), &mut Key::new(1).rows(&ids)).input;
        rate(input.equal_elem(value))
    };
    let weighted =
        OneOf::weighted(vec![fill(1.0), fill(2.0), fill(3.0)], &[4.0, 0.0, 1.0]).unwrap();
    assert!((share(&weighted, 1.0) - 0.8).abs() < six_sigma(0.8, 5000.0));
    assert_eq!(share(&weighted, 2.0), 0.0);
    let sometimes = Sometimes::new(0.3, fill(1.0)).unwrap();
    assert!((share(&sometimes, 1.0) - 0.3).abs() < six_sigma(0.3, 5000.0));
    assert_eq!(share(&Sometimes::new(1.0, fill(1.0)).unwrap(), 1.0), 1.0);
    assert_eq!(share(&Sometimes::new(0.0, fill(1.0)).unwrap(), 0.5), 1.0);
    for weights in [vec![0.0, 0.0], vec![1.0], vec![-1.0, 2.0], vec![f64::NAN, 1.0]] {
        let error = OneOf::weighted(vec![fill(1.0), fill(2.0)], &weights).unwrap_err().to_string();
        assert!(error.contains("`weights`") && error.contains("2 processes"), "{error}");
    }
}

// Half of the entries become 0.25, and then half of all become 0.75: a quarter is 0.25, half 0.75.
#[test]
fn a_sequence_damages_again_with_noise_of_its_own() {
    let part = |value| -> Box<dyn Corruption<2>> {
        Box::new(Masking::new(0.5).unwrap().fill(value).unwrap())
    };
    let sequence = Sequence::new(vec![part(0.125), part(0.75)]).unwrap();
    let ids: Vec<u64> = (0..ROWS).collect();
    let rows = Tensor::<2>::full([ROWS as usize, WIDTH], 0.5, &Device::flex());
    let CorruptedInput { input, changed, .. } = corrupt_rows(&sequence, rows, &ids);
    for (value, share) in [(0.5, 0.25), (0.125, 0.25), (0.75, 0.5)] {
        let got = rate(input.clone().equal_elem(value));
        assert!((got - share).abs() < six_sigma(share, ENTRIES), "{value}: {got}");
    }
    assert!((rate(changed) - 0.75).abs() < six_sigma(0.75, ENTRIES));
    assert!(Sequence::<2>::new(vec![]).is_err());
}

#[test]
fn a_part_is_damaged_and_the_rest_stays() {
    let ids = [3, 4];
    let clean = Tensor::<4>::full([2, 3, 4, 5], 0.5, &Device::flex());
    let part = Part::new(Masking::new(1.0).unwrap()).unwrap().channels(&[2, 0]).unwrap();
    let part = part.region(1..3, None).unwrap();
    let CorruptedInput { input, changed, .. } = part.corrupt(clean, &mut Key::new(1).rows(&ids));
    let input: Vec<f32> = input.into_data().try_to_vec().unwrap();
    let changed: Vec<bool> = changed.into_data().iter::<bool>().collect();
    for (i, (value, changed)) in input.iter().zip(changed).enumerate() {
        let (line, channel) = (i / 5 % 4, i / 20 % 3);
        let inside = channel != 1 && (1..3).contains(&line);
        assert_eq!((*value == 0.0, changed), (inside, inside), "entry {i}");
    }
    assert!(part.check(&[3, 4, 5]).is_ok());
    for (event, needle) in [
        (&[2, 4, 5][..], "there is no channel 2"),
        (&[3, 2, 5], "ends at line 3"),
        (&[12], "must be [channels, height, width]"),
    ] {
        let error = part.check(event).unwrap_err().to_string();
        assert!(error.contains(needle), "{error}");
    }
    let whole = || Part::new(Box::new(Clean)).unwrap();
    assert!(whole().channels(&[]).is_err() && whole().channels(&[1, 1]).is_err());
    #[allow(clippy::reversed_empty_ranges)] // What is to be refused.
    let backwards = whole().region(3..1, None);
    assert!(backwards.unwrap_err().to_string().contains("`lines`"));
}

#[test]
fn a_mask_stands_beside_what_it_is_the_mask_of() {
    let ids: Vec<u64> = (0..ROWS).collect();
    let masking = Masking::new(0.3).unwrap().fill(0.5).unwrap();
    let plain = corrupt_rows(&masking, gray(&ids), &ids);
    let shown = ShowMask::new(Box::new(masking)).unwrap();
    let CorruptedInput { input, changed, .. } = corrupt_rows(&shown, gray(&ids), &ids);
    assert_eq!(input.dims(), [ROWS as usize, 2 * WIDTH]);
    let [values, mask] = [0, WIDTH].map(|start| input.clone().narrow(1, start, WIDTH).into_data());
    assert_eq!(values, plain.input.into_data());
    assert_eq!(mask, plain.changed.clone().float().into_data());
    assert_eq!(changed.into_data(), plain.changed.into_data());
    let undamaged = shown.at_level(Level::Fixed(0.0)).unwrap();
    let input = corrupt_rows(&*undamaged, gray(&ids), &ids).input;
    assert_eq!(input.clone().narrow(1, 0, WIDTH).into_data(), gray(&ids).into_data());
    assert_eq!(input.narrow(1, WIDTH, WIDTH).max().into_scalar::<f32>(), 0.0);
    assert!(ShowMask::<1>::new(Box::new(Clean)).is_err());
}

// Nothing can be done to rows that have their mask beside them.
#[test]
fn a_mask_is_shown_by_the_outermost_process() {
    let shown = || -> Box<dyn Corruption<4>> {
        Box::new(ShowMask::new(Masking::new(0.3).unwrap()).unwrap())
    };
    for error in [
        Sequence::new(vec![Box::new(Clean), shown()]).unwrap_err(),
        OneOf::new(vec![shown()]).unwrap_err(),
        Sometimes::new(0.5, shown()).unwrap_err(),
        Part::new(shown()).unwrap_err(),
        ShowMask::new(shown()).unwrap_err(),
    ] {
        assert!(error.to_string().starts_with("`show-mask` must be outermost"), "{error}");
    }
}

#[test]
#[should_panic(expected = "2 rows cannot be damaged with the noise of 3")]
fn rows_without_a_stream_of_their_own_are_refused() {
    corrupt_rows(&Masking::new(0.5).unwrap(), gray(&[1, 2]), &[1, 2, 3]);
}

// On a ramp from left to right a pixel tells the column that it was read from, and on one from top to
// bottom the line; read near the middle, where no edge counts.
#[test]
fn geometry_moves_by_its_law() {
    let ids: Vec<u64> = (0..3000).collect();
    let axis: Vec<f32> = (0..41).map(|i| i as f32 / 40.0).collect();
    let axis = Tensor::<1>::from_data(axis.as_slice(), &Device::flex());
    let across = axis.clone().reshape([1, 1, 1, 41]).expand([3000, 1, 41, 41]);
    let down = axis.reshape([1, 1, 41, 1]).expand([3000, 1, 41, 41]);
    // How far from the middle line or column the pixel at (y, x) was read.
    let read = |process: &dyn Corruption<4>, picture: &Tensor<4>, y: usize, x: usize| {
        let out = process.corrupt(picture.clone(), &mut Key::new(9).rows(&ids)).input;
        let pixels = out.slice([0..3000, 0..1, y..y + 1, x..x + 1]).into_data();
        pixels.iter::<f64>().map(|value| 40.0 * value - 20.0).collect::<Vec<_>>()
    };
    let uniform = |width: f64| move |x: f64| ((x / width + 1.0) / 2.0).clamp(0.0, 1.0);

    let shear = Shear::new(0.5).unwrap();
    assert_law("shear", read(&shear, &across, 30, 20), uniform(5.0));
    assert!(read(&shear, &down, 30, 20).iter().all(|line| (line - 10.0).abs() < 1e-4));

    let zoom = Zoom::new(2.0).unwrap();
    let factors = read(&zoom, &across, 20, 26).into_iter().map(|x| (6.0 / x).ln()).collect();
    assert_law("zoom", factors, uniform(2f64.ln()));

    let translation = Translation::new(0.2).unwrap();
    assert_law("translation across", read(&translation, &across, 20, 20), uniform(0.2 * 41.0));
    assert_law("translation down", read(&translation, &down, 20, 20), uniform(0.2 * 41.0));
}

#[test]
fn lines_have_normal_offsets_and_motion_any_direction() {
    let ids: Vec<u64> = (0..4000).collect();
    let gray = Tensor::<4>::full([4000, 2, 3, 2], 0.5, &Device::flex());
    let banded = Banding::new(0.05).unwrap().corrupt(gray, &mut Key::new(9).rows(&ids)).input;
    let line = |channel: usize, line: usize, column: usize| -> Vec<f64> {
        let place = [0..4000, channel..channel + 1, line..line + 1, column..column + 1];
        banded.clone().slice(place).into_data().iter::<f64>().map(|v| (v - 0.5) / 0.05).collect()
    };
    assert_law("banding", line(0, 1, 0), normal_cdf);
    assert_eq!(line(0, 1, 0), line(1, 1, 1));
    assert_ne!(line(0, 1, 0), line(0, 2, 0));

    // The direction of a blurred point, by the second moments of what it became.
    let mut point = vec![0.0f32; 31 * 31];
    point[15 * 31 + 15] = 1.0;
    let point = Tensor::<1>::from_data(point.as_slice(), &Device::flex());
    let points = point.reshape([1, 1, 31, 31]).expand([4000, 1, 31, 31]);
    let blurred = MotionBlur::new(24.0).unwrap().corrupt(points, &mut Key::new(9).rows(&ids)).input;
    let pixels: Vec<f32> = blurred.into_data().try_to_vec().unwrap();
    let direction = |image: &[f32]| {
        let mut moments = [0.0; 3];
        for (i, &value) in image.iter().enumerate() {
            let (y, x) = ((i / 31) as f64 - 15.0, (i % 31) as f64 - 15.0);
            let value = f64::from(value);
            moments = [
                moments[0] + value * x * x,
                moments[1] + value * y * y,
                moments[2] + value * x * y,
            ];
        }
        0.5 * (2.0 * moments[2]).atan2(moments[0] - moments[1])
    };
    let angles: Vec<f64> = pixels.chunks(31 * 31).map(direction).collect();
    assert_law("motion blur", angles, |a| a / std::f64::consts::PI + 0.5);
}

#[test]
fn stuck_lines_are_as_many_as_the_rate_says() {
    let wide = Tensor::<4>::full([1, 1, 1, 20_000], 0.5, &Device::flex());
    let stuck = DeadLines::new(0.1).unwrap().corrupt(wide, &mut Key::new(9).rows(&[1])).input;
    for value in [0.0, 1.0] {
        let share = f64::from(stuck.clone().equal_elem(value).float().mean().into_scalar::<f32>());
        assert!((share - 0.05).abs() < six_sigma(0.05, 20_000.0), "{value}: {share}");
    }
}
