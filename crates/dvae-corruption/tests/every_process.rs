//! What every process promises, whatever its law.

#![allow(clippy::unwrap_used)] // A test may panic.

use burn::tensor::{Bool, Device, Tensor};
use dvae_corruption::{
    ClipRange, CorruptedInput, Corruption, CorruptionConfig, Domain, Fill, Level, Shape, Strength,
};
use dvae_random::{Key, Purpose, RowStreams};
use proptest::prelude::*;

/// Processes whose input leaves `[0, 1]`: dropout rescales.
const LEAVES_THE_RANGE: [&str; 1] = ["dropout"];
/// Processes that count an entry as touched although its value may stay.
const TOUCHES_WITHOUT_CHANGING: [&str; 4] =
    ["masking", "salt-and-pepper", "mostly-pepper", "impulse"];
/// Processes that draw nothing of a row's own: it meets the same damage in every epoch.
const SAME_EVERY_TIME: [&str; 14] = [
    "quantization",
    "clipping",
    "brightness",
    "gamma",
    "contrast",
    "saturation",
    "gaussian-blur",
    "defocus",
    "pixelate",
    "jpeg",
    "dead-pixels",
    "dead-lines",
    "none",
    "clean",
];

fn draws(ids: &[u64], epoch: u64) -> RowStreams {
    Key::new(11).purpose(Purpose::Corruption).epoch(epoch).rows(ids)
}

/// Smooth pictures in color, one for each id.
fn pictures(ids: &[u64], [channels, height, width]: [usize; 3]) -> Tensor<4> {
    let mut pixels = Vec::new();
    for &id in ids {
        for c in 0..channels {
            for y in 0..height {
                for x in 0..width {
                    let phase = 0.35 * x as f32 + 0.2 * y as f32 + id as f32 + 2.0 * c as f32;
                    pixels.push(0.5 + 0.5 * phase.sin());
                }
            }
        }
    }
    Tensor::<1>::from_data(pixels.as_slice(), &Device::flex()).reshape([
        ids.len(),
        channels,
        height,
        width,
    ])
}

const SHAPE: [usize; 3] = [3, 20, 23];

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn flags(tensor: Tensor<4, Bool>) -> Vec<bool> {
    tensor.into_data().iter::<bool>().collect()
}

/// Every process, and some combinations.
fn configs() -> Vec<CorruptionConfig> {
    let combined = [
        r#"{"process": "sequence", "of": [{"process": "gaussian-blur"}, {"process": "masking"}]}"#,
        r#"{"process": "one-of", "of": [{"process": "jpeg"}, {"process": "haze"}], "weights": [3, 1]}"#,
        r#"{"process": "sometimes", "probability": 0.5, "of": {"process": "zigzag"}}"#,
        r#"{"process": "part", "channels": [2, 0], "lines": [3, 9], "of": {"process": "impulse"}}"#,
        r#"{"process": "gaussian", "level": {"uniform": [0.0, 0.5]}}"#,
        r#"{"process": "spatter", "level": {"log-uniform": [0.01, 0.5]}}"#,
        r#"{"process": "rotation", "level": {"cosine": [0.0, 30.0]}}"#,
    ];
    let combined = combined.map(|text| serde_json::from_str::<CorruptionConfig>(text).unwrap());
    CorruptionConfig::all().into_iter().chain(combined).collect()
}

/// [`configs`] for data in `[0, 1]`.
fn all() -> Vec<(String, Box<dyn Corruption<4>>)> {
    let built = |config: &CorruptionConfig| config.build(Domain::Unit).unwrap();
    configs().iter().map(|config| (config.name().to_owned(), built(config))).collect()
}

const DOMAINS: [Domain; 4] = [Domain::Unit, Domain::Counts, Domain::Integers, Domain::Real];

/// [`pictures`] with values of this domain.
fn pictures_in(domain: Domain, ids: &[u64]) -> Tensor<4> {
    let pictures = pictures(ids, SHAPE);
    match domain {
        Domain::Unit => pictures,
        Domain::Tokens => (pictures * 40.0).round(),
        Domain::Counts => (pictures * 90.0).round(),
        Domain::Integers => (pictures * 90.0 - 40.0).round(),
        Domain::Real => pictures * 1234.5 - 600.0,
    }
}

fn bits(tensor: Tensor<4>) -> Vec<u32> {
    values(tensor).into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_row_meets_the_same_damage_in_any_batch() {
    for (name, process) in all() {
        let on = |ids: &[u64]| process.corrupt(pictures(ids, SHAPE), &mut draws(ids, 2));
        let together = on(&[3, 4, 5, 9]);
        let reversed = on(&[9, 5, 4, 3]);
        assert_eq!(values(together.input.clone()), values(reversed.input.flip([0])), "{name}");
        assert_eq!(flags(together.changed.clone()), flags(reversed.changed.flip([0])), "{name}");
        for (place, id) in [3, 4, 5, 9].into_iter().enumerate() {
            let alone = on(&[id]);
            let row = together.input.clone().slice([place..place + 1]);
            assert_eq!(values(row), values(alone.input), "{name}, row {id}");
        }
    }
}

#[test]
fn what_is_drawn_is_drawn_anew_in_every_epoch_and_for_every_row() {
    let ids = [1, 2];
    let same = pictures(&[5, 5], SHAPE);
    for (name, process) in all() {
        let damaged = |epoch| values(process.corrupt(same.clone(), &mut draws(&ids, epoch)).input);
        let (first, again, other) = (damaged(0), damaged(0), damaged(1));
        assert_eq!(first, again, "{name}");
        let (one, two) = first.split_at(first.len() / 2);
        let fixed = SAME_EVERY_TIME.contains(&name.as_str());
        assert_eq!(one == two, fixed, "{name}: two rows");
        assert_eq!(first == other, fixed, "{name}: two epochs");
    }
}

#[test]
fn changed_is_where_the_input_differs_and_the_range_is_kept() {
    let ids = [1, 2, 3, 8];
    for (name, process) in all() {
        let clean = pictures(&ids, SHAPE);
        let CorruptedInput { input, changed, .. } =
            process.corrupt(clean.clone(), &mut draws(&ids, 0));
        assert_eq!(input.dims(), clean.dims());
        let (clean, input, changed) = (values(clean), values(input), flags(changed));
        let silent = ["sequence", "part"].contains(&name.as_str())
            || TOUCHES_WITHOUT_CHANGING.contains(&name.as_str());
        let mut touched = 0;
        for ((clean, input), changed) in clean.iter().zip(&input).zip(changed) {
            assert!(changed || clean == input, "{name}: {clean} became {input} unseen");
            assert!(!changed || clean != input || silent, "{name}: {clean} stayed");
            touched += usize::from(changed);
            let leaves = LEAVES_THE_RANGE.contains(&name.as_str());
            assert!(leaves || (0.0..=1.0).contains(input), "{name}: {input}");
        }
        assert!(touched > 0, "{name} touches nothing");
    }
}

#[test]
fn the_null_level_changes_nothing_on_any_row() {
    let ids = [1, 2, 3];
    for domain in DOMAINS {
        let mut built = 0;
        for config in configs() {
            let Ok(process) = config.build::<4>(domain) else { continue };
            let process = process.at_null().unwrap();
            let clean = pictures_in(domain, &ids);
            let damaged = process.corrupt(clean.clone(), &mut draws(&ids, 0));
            assert_eq!(bits(damaged.input), bits(clean), "{config} on {domain}");
            assert!(!flags(damaged.changed).contains(&true), "{config} on {domain}");
            built += 1;
        }
        // Most processes are for every domain.
        assert!(built >= 20 && (domain != Domain::Unit || built == configs().len()), "{domain}");
    }
}

// On other domains nothing is cut off at 0 or 1: each process leaves most values near their own size, so the
// mean over all entries keeps its size too. Dropout and masking erase some of them.
#[test]
fn noise_is_of_the_size_of_its_domain() {
    let ids = [1, 2, 3, 8];
    for domain in [Domain::Counts, Domain::Integers, Domain::Real] {
        let size = |tensor: Tensor<4>| tensor.abs().mean().into_scalar::<f32>();
        let clean = size(pictures_in(domain, &ids));
        for config in configs() {
            let Ok(process) = config.build::<4>(domain) else { continue };
            let rows = pictures_in(domain, &ids);
            if values(rows.clone()).iter().any(|&value| process.check_value(value).is_err()) {
                assert!(config.name() == "shot" && domain != Domain::Counts, "{config}");
                continue;
            }
            let damaged = process.corrupt(rows, &mut draws(&ids, 0));
            let share = size(damaged.input.clone()) / clean;
            assert!(values(damaged.input).iter().all(|value| value.is_finite()));
            let allowed = if config.to_string().contains("masking") { 0.4 } else { 0.6 };
            assert!(share > allowed && share < 1.6, "{config} on {domain}: {share}");
        }
    }
}

// Far below the reach of normal noise at 6 σ, and exactly at that of others.
#[test]
fn corrupted_values_stay_within_reach() {
    let loose = [
        r#"{"process": "gaussian", "clip": "none"}"#,
        r#"{"process": "uniform", "clip": "none", "level": "0.1..0.9"}"#,
        r#"{"process": "laplace", "clip": "none", "level": {"log-uniform": [0.01, 2]}}"#,
        r#"{"process": "speckle", "clip": [-0.5, 1.25]}"#,
        r#"{"process": "speckle", "clip": "none", "level": 3}"#,
        r#"{"process": "quantization", "clip": "none", "level": 0.7}"#,
        r#"{"process": "masking", "fill": -2}"#,
        r#"{"process": "salt-and-pepper", "values": [-1, 3]}"#,
        r#"{"process": "mostly-pepper", "values": [-1, 3]}"#,
        r#"{"process": "impulse", "values": [-1, 3]}"#,
        r#"{"process": "clipping", "range": [-1, 3], "level": 0.9}"#,
        r#"{"process": "dropout", "level": "0..1"}"#,
        r#"{"process": "sequence", "of": [{"process": "dropout"}, {"process": "gaussian", "clip": "none"},
            {"process": "speckle", "clip": "none"}, {"process": "sometimes", "probability": 0.5, "of":
            {"process": "one-of", "of": [{"process": "uniform", "clip": "none"}, {"process": "jpeg"}]}}]}"#,
    ];
    let loose = loose.map(|text| serde_json::from_str::<CorruptionConfig>(text).unwrap());
    let ids: Vec<u64> = (0..16).collect();
    for config in configs().into_iter().chain(loose) {
        let process = config.build::<4>(Domain::Unit).unwrap();
        let input = process.corrupt(pictures(&ids, SHAPE), &mut draws(&ids, 0)).input;
        let [low, high] = config.reach(Domain::Unit).unwrap();
        let rounding = 1e-6 * low.abs().max(high.abs());
        for value in values(input).into_iter().map(f64::from) {
            let within = (low - rounding..=high + rounding).contains(&value);
            assert!(within, "{config}: {value} is beyond [{low}, {high}]");
        }
    }
}

// A range that begins at the null level: rows near it are hardly changed. The level that is drawn is
// the row's own, so a fixed level of the same size gives the same row.
#[test]
fn a_drawn_level_is_what_a_fixed_level_would_have_been() {
    let ids: Vec<u64> = (0..6).collect();
    for config in CorruptionConfig::all() {
        let process = config.build::<4>(Domain::Unit).unwrap();
        let scale = process.strength().scale;
        let (a, b) = (scale.null, scale.severities[4]);
        let range = Level::Uniform([a.min(b), a.max(b)]);
        let drawn = process.at_level(range).unwrap();
        let drawn = values(drawn.corrupt(pictures(&ids, SHAPE), &mut draws(&ids, 0)).input);
        let levels = Strength { level: range, scale }.of_rows(&mut draws(&ids, 0));
        for (row, level) in
            drawn.chunks(drawn.len() / 6).zip(levels).enumerate().map(|(i, (r, l))| ((i, r), l))
        {
            let (place, row) = row;
            let fixed = process.at_level(f64::from(level).into()).unwrap();
            // The level took the first draw of the row.
            let mut after = draws(&ids, 0);
            let _ = after.uniform_host(1);
            let fixed = values(fixed.corrupt(pictures(&ids, SHAPE), &mut after).input);
            assert_eq!(
                row,
                &fixed[place * row.len()..(place + 1) * row.len()],
                "{}",
                config.name()
            );
        }
    }
}

// Every process at its five severities hurts more and more, by the mean squared error over rows.
#[test]
fn severities_grow() {
    let ids: Vec<u64> = (0..24).collect();
    for config in CorruptionConfig::all() {
        let process = config.build::<4>(Domain::Unit).unwrap();
        // Wide enough for a line or two to be dead at the lowest rate.
        let shape = if config.name() == "dead-lines" { [3, 20, 200] } else { SHAPE };
        let error = |severity| {
            let process = process.at_level(Level::Severity(severity)).unwrap();
            let clean = pictures(&ids, shape);
            let damaged = process.corrupt(clean.clone(), &mut draws(&ids, 0)).input;
            f64::from((damaged - clean).square().mean().into_scalar::<f32>())
        };
        let errors: Vec<f64> = (1..=5).map(error).collect();
        assert!(
            errors[0] > 0.0 && errors.windows(2).all(|e| e[0] < e[1]),
            "{}: {errors:?}",
            config.name()
        );
    }
}

// What is flat has nothing to blur, and a mean of whites is white.
#[test]
fn plain_images_stay_in_the_range_and_plain_under_blur() {
    let ids = [1, 2];
    for (name, process) in all() {
        for value in [0.0, 1.0] {
            let flat = Tensor::<4>::full([2, 3, 9, 7], value, &Device::flex());
            let CorruptedInput { input, changed, .. } = process.corrupt(flat, &mut draws(&ids, 0));
            let input = values(input);
            let leaves = LEAVES_THE_RANGE.contains(&name.as_str());
            assert!(leaves || input.iter().all(|v| (0.0..=1.0).contains(v)), "{name}: {input:?}");
            if ["gaussian-blur", "defocus", "motion-blur", "pixelate"].contains(&name.as_str()) {
                assert!(!flags(changed).contains(&true), "{name}");
            }
        }
    }
}

#[test]
fn a_schedule_is_read_from_the_progress_of_training() {
    let ids = [4];
    let scheduled = CorruptionConfig::Masking { level: Level::Linear([0.0, 1.0]), fill: None };
    let process = scheduled.build::<4>(Domain::Unit).unwrap();
    let share = |progress| {
        let mut draws = draws(&ids, 0).at_progress(progress);
        let changed = process.corrupt(pictures(&ids, SHAPE), &mut draws).changed;
        changed.float().mean().into_scalar::<f32>()
    };
    assert_eq!((share(0.0), share(1.0)), (0.0, 1.0));
    // 1380 trials of probability ½: within six standard deviations.
    assert!((share(0.5) - 0.5).abs() < 6.0 * 0.5 / 1380f32.sqrt());
    let later = draws(&ids, 0).at_progress(0.25).branch();
    assert_eq!(later.progress(), 0.25);
}

fn any_level() -> impl Strategy<Value = f64> {
    prop_oneof![
        0.0..1.0f64,
        0.0..100.0f64,
        -10.0..10.0f64,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(-0.0),
        Just(1e-300),
        Just(1e-40),
        Just(3e-38),
        Just(1e-20),
        Just(1e300),
        Just(1e30),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// Any process, at any level, on images of any size: an error that names the value, or damage.
    #[test]
    fn nothing_panics(
        which in 0..CorruptionConfig::all().len(),
        level in any_level(),
        ids in prop::collection::vec(any::<u64>(), 0..3),
        shape in [1..5usize, 1..20usize, 1..20usize],
        scale in prop_oneof![Just(1.0f32), Just(-3.0), Just(1e20), Just(f32::NAN), Just(f32::INFINITY)],
    ) {
        let config = &CorruptionConfig::all()[which];
        let process = config.build::<4>(Domain::Unit).unwrap();
        match process.at_level(level.into()) {
            Err(error) => {
                let (plain, power) = (level.to_string(), format!("{level:e}"));
                let error = error.to_string();
                prop_assert!(error.contains(&plain) || error.contains(&power), "{error}");
            }
            Ok(process) => {
                let [c, h, w] = shape;
                let clean = pictures(&ids, shape).reshape([ids.len(), c, h, w]) * scale;
                let fits = match config.name() {
                    "saturation" => c == 3,
                    "pixelate" => level <= h.max(w) as f64,
                    _ => true,
                };
                prop_assert_eq!(process.check(&shape).is_ok(), fits, "{}", config.name());
                let damaged = process.corrupt(clean.clone(), &mut draws(&ids, 0));
                prop_assert_eq!(damaged.input.dims(), clean.dims());
                prop_assert_eq!(damaged.changed.dims(), clean.dims());
                if scale == 1.0 && config.name() != "dropout" {
                    let input = values(damaged.input);
                    prop_assert!(input.iter().all(|v| (0.0..=1.0).contains(v)), "{}", config.name());
                }
            }
        }
    }
}

fn level() -> impl Strategy<Value = Level> {
    let ends = || [0.0..1.2f64, 0.0..1.2f64];
    prop_oneof![
        (0.0..1.2f64).prop_map(Level::Fixed),
        (0..8u8).prop_map(Level::Severity),
        ends().prop_map(Level::Uniform),
        ends().prop_map(Level::LogUniform),
        ends().prop_map(Level::Linear),
        ends().prop_map(Level::Cosine),
        (0.0..1.2f64, 0.0..1.2f64, 0..4u32).prop_map(|(from, to, steps)| Level::Step {
            from,
            to,
            steps
        }),
        (0.0..1.2f64, 0.0..1.2f64, 0..4u32).prop_map(|(from, to, cycles)| Level::Cyclical {
            from,
            to,
            cycles
        }),
    ]
}

/// Any process with any parameters, some of them wrong, alone and combined.
fn config() -> impl Strategy<Value = CorruptionConfig> {
    use CorruptionConfig as C;
    let range = || [-1.0..2.0f64, -1.0..2.0f64];
    let clip = || {
        prop_oneof![
            Just(ClipRange::Domain),
            Just(ClipRange::None),
            range().prop_map(ClipRange::Range)
        ]
    };
    let alone = prop_oneof![
        (0..C::all().len()).prop_map(|i| C::all()[i].clone()),
        (level(), clip()).prop_map(|(level, clip)| C::Gaussian { level, clip }),
        (level(), clip()).prop_map(|(level, clip)| C::Laplace { level, clip }),
        (level(), clip()).prop_map(|(level, clip)| C::Quantization { level, clip }),
        (level(), -1.0..2.0f64)
            .prop_map(|(level, f)| C::Masking { level, fill: Some(Fill::Constant(f)) }),
        (level(), prop::collection::vec(0.0..1.0f32, 0..9))
            .prop_map(|(level, f)| C::Masking { level, fill: Some(Fill::Features(f)) }),
        (level(), prop::option::of(range()))
            .prop_map(|(level, values)| C::Impulse { level, values }),
        (level(), prop::option::of(range()))
            .prop_map(|(level, range)| C::Clipping { level, range }),
        level().prop_map(|level| C::Shot { level }),
        level().prop_map(|level| C::Zoom { level }),
        (level(), prop::option::of(0..9usize))
            .prop_map(|(level, kernel)| C::GaussianBlur { level, kernel }),
        (level(), 0..40usize, any::<bool>(), -0.5..1.5f64).prop_map(
            |(level, count, stripes, fill)| {
                let shape = if stripes { Shape::Stripes } else { Shape::Blocks };
                C::Occlusion { level, count, shape, fill }
            }
        ),
        (level(), any::<u32>())
            .prop_map(|(level, sensor)| C::DeadPixels { level, sensor: sensor.into() }),
    ];
    alone.prop_recursive(3, 8, 3, |inner| {
        let several = || prop::collection::vec(inner.clone(), 0..3);
        let lines = || prop::option::of([0..6usize, 0..6usize]);
        prop_oneof![
            several().prop_map(|of| C::Sequence { of }),
            (several(), prop::option::of(prop::collection::vec(-0.2..1.0f64, 0..3)))
                .prop_map(|(of, weights)| C::OneOf { of, weights }),
            (-0.1..1.1f64, inner.clone())
                .prop_map(|(probability, of)| C::Sometimes { probability, of: Box::new(of) }),
            (
                inner.clone(),
                prop::option::of(prop::collection::vec(0..4usize, 0..3)),
                lines(),
                lines()
            )
                .prop_map(|(of, channels, lines, columns)| {
                    C::Part { of: Box::new(of), channels, lines, columns }
                }),
            inner.clone().prop_map(|of| C::ShowMask { of: Box::new(of) }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// What can be built and fits the rows damages them, and can be rebuilt at any share; the rest is an
    /// error. A file says the same.
    #[test]
    fn any_configuration_is_refused_or_works(
        config in config(),
        share in level(),
        shape in [1..4usize, 1..7usize, 1..7usize],
        progress in 0.0..1.0f64,
        domain in prop::sample::select(DOMAINS.to_vec()),
    ) {
        let file = toml::to_string(&config).unwrap();
        prop_assert_eq!(&toml::from_str::<CorruptionConfig>(&file).unwrap(), &config);
        let _ = config.to_string(); // Whatever the parameters are.
        if let Some([low, high]) = config.reach(domain) {
            prop_assert!(low <= 0.0 && high >= 1.0);
        }
        let Ok(process) = config.build::<4>(domain) else { return Ok(()) };
        let rebuilt = process.at_level(share);
        for process in [Ok(process), rebuilt].into_iter().flatten() {
            if process.check(&shape).is_err() {
                continue;
            }
            let clean = pictures(&[5, 6], shape);
            let mut draws = draws(&[5, 6], 0).at_progress(progress);
            let CorruptedInput { input, changed, .. } = process.corrupt(clean.clone(), &mut draws);
            let mut seen = clean.dims();
            seen[1] *= 1 + usize::from(process.shows_mask());
            prop_assert_eq!(input.dims(), seen);
            prop_assert_eq!(changed.dims(), clean.dims());
            prop_assert!(values(input).iter().all(|value| !value.is_nan()));
        }
    }
}
