//! Pictures of any size: crops in training, whole pictures and pieces of them afterwards.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::path::Path;

use burn::tensor::Tensor;
use dvae::data::{Element, Format, ReadOptions, Row, RowWriter, Scaling, read_rows, write_picture};
use dvae::models::LadderConfig;
use dvae::prelude::*;
use dvae::random::Window;
use dvae::train::Interrupt;
use dvae::{
    Bundled, DataSource, Experiment, LatentChoice, PictureOptions, Pretrained, Run, Start,
    Uncertainty, Weights,
};

/// A folder of pictures of several sizes.
fn photographs(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for (at, [height, width]) in [[20, 33], [17, 16], [40, 21], [16, 50]].into_iter().enumerate() {
        let pixel = |i: usize| {
            let (y, x) = ((i / width) as f32, (i % width) as f32);
            0.5 + 0.3 * (0.3 * y + at as f32).sin() + 0.2 * (0.4 * x).cos()
        };
        let pixels: Vec<f32> = (0..height * width).map(pixel).collect();
        write_picture(&folder.join(format!("{at}.png")), &pixels, &[1, height, width]).unwrap();
    }
}

fn experiment(folder: &Path, network: &str) -> Experiment {
    let text = format!(
        "corruption = \"gaussian:0.2\"\n\
         [data]\nsource = \"images\"\npath = {:?}\nvalidation = 0.2\n\
         crops = {{ shape = [1, 16, 16], flips = true, turns = true }}\n\
         [model]\nlatent = 2\nnetwork = {network}\n\
         likelihood = {{ type = \"learned-normal\", min_scale = 0.02, initial_scale = 0.2 }}\n\
         [train]\nepochs = 2\nbatch_size = 4\n",
        folder.join("photographs")
    );
    std::fs::write(folder.join("experiment.toml"), text).unwrap();
    Experiment::load(Some(&folder.join("experiment.toml")), &[]).unwrap()
}

/// A model that was trained on crops of 16 × 16 for two epochs.
fn trained(folder: &Path, network: &str) -> Pretrained {
    photographs(&folder.join("photographs"));
    let mut run = Run::create_at(&experiment(folder, network), folder.join("run")).unwrap();
    run.train(vec![], &Interrupt::new()).unwrap();
    run.model(Weights::Last, None).unwrap()
}

const LADDER: &str = "{ type = \"ladder\", channels = [3, 4, 5] }";

/// A row of noise of this shape, as a file would have it.
fn noise(shape: [usize; 3]) -> Row {
    let length: usize = shape.iter().product();
    let values: Vec<f64> = (0..length).map(|i| (i * i * 7 % 101) as f64 / 100.0).collect();
    Format::new(&shape, Element::F32, Domain::Unit).row(&values)
}

/// What a model makes of a picture, with its deviations.
fn denoised(model: &Pretrained, shape: [usize; 3], options: PictureOptions) -> [Vec<f64>; 2] {
    let picture = noise(shape);
    let mut out = [noise(shape), noise(shape)];
    let mut written = 0;
    let write = |part: &Window, values: &[f64], deviation: Option<&[f64]>| {
        written += values.len();
        out[0].replace_part(part, values);
        out[1].replace_part(part, deviation.unwrap_or(values));
    };
    model.denoise_picture(shape, options, |part| picture.part(part), write);
    assert_eq!(written, shape.iter().product::<usize>());
    out.map(|row| row.values())
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

// 130 × 171 pixels in tiles of the least size, which see 44 pixels around: nine of them, one in the middle.
#[test]
fn tiles_are_the_whole_picture_with_means_and_with_draws() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), LADDER);
    let shape = [1, 130, 171];
    let draws = LatentChoice::Draws { samples: 3, id: 7, uncertainty: Uncertainty::Predictive };
    for latents in [LatentChoice::Mean, draws] {
        let whole =
            denoised(&model, shape, PictureOptions { latents, memory: 1 << 30, flips: false });
        let tiled = denoised(&model, shape, PictureOptions { latents, memory: 1, flips: false });
        for (whole, tiled) in whole.iter().zip(&tiled) {
            let gap = distance(whole, tiled);
            assert!(gap < 1e-5, "{latents:?}: {gap}");
        }
        let spread = whole[1].iter().fold(f64::INFINITY, |least, &value| least.min(value));
        assert!(latents == LatentChoice::Mean || spread > 0.0, "{spread}");
    }
    // A picture of the size of training is what the batch makes of it.
    let own = denoised(&model, [1, 16, 16], PictureOptions::default());
    let row = model.denoise(&[noise([1, 16, 16]).values()]).remove(0);
    assert!(distance(&own[0], &row) < 1e-6);
}

// The result for a turned picture is the turned result, whatever the model, and tiles are the whole picture.
#[test]
fn the_mean_over_flips_turns_with_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    let shape = [1, 90, 131];
    for network in [LADDER, "{ type = \"mlp\", hidden = [8] }"] {
        let model = trained(folder.path(), network);
        std::fs::remove_dir_all(folder.path().join("run")).unwrap();
        let options = PictureOptions { flips: true, ..PictureOptions::default() };
        let [mean, _] = denoised(&model, shape, options);
        let [tiled, _] = denoised(&model, shape, PictureOptions { memory: 1, ..options });
        assert!(distance(&mean, &tiled) < 1e-5);
        let [plain, _] = denoised(&model, shape, PictureOptions::default());
        assert!(distance(&mean, &plain) > 1e-6);
        // A quarter turn to the right of both.
        let picture = noise(shape);
        let turn = |values: &[f64]| -> Vec<f64> {
            (0..131 * 90).map(|at| values[(89 - at % 90) * 131 + at / 90]).collect()
        };
        let turned = turn(&picture.values());
        let format = Format::new(&[1, 131, 90], Element::F32, Domain::Unit);
        let (input, mut out) = (format.row(&turned), format.row(&turned));
        model.denoise_picture(
            [1, 131, 90],
            options,
            |part| input.part(part),
            |part, values, _| out.replace_part(part, values),
        );
        assert!(distance(&out.values(), &turn(&mean)) < 1e-5, "{network}");
    }
}

// The reach is what the network promises to tiles: an input farther away changes nothing, to the bit, and one that is
// nearer does.
#[test]
fn nothing_beyond_its_reach_changes_what_a_ladder_makes_of_a_pixel() {
    for (channels, blocks) in [(vec![2], 1), (vec![2, 3], 2), (vec![2, 3, 2, 2], 1)] {
        let config = LadderConfig { channels, blocks, ..LadderConfig::default() };
        let reach = config.reach().unwrap();
        let width = 4 * reach.pixels;
        let device = Device::flex();
        let config = AutoencoderConfig::new(config, &[1, 3, width], 2);
        assert_eq!(config.reach(), Some(reach));
        let config =
            AutoencoderConfig { likelihood: LikelihoodConfig::Normal { scale: 0.1 }, ..config };
        let model = config.init(Key::new(3).purpose(Purpose::Weights), &device).unwrap();
        let input: Tensor<4> = Key::new(4).rows(&[0]).normal([1, 1, 3, width], &device);
        let place = width / 2;
        let changed = input.clone().slice_assign(
            [0..1, 0..1, 0..3, place..place + 1],
            Tensor::full([1, 1, 3, 1], 5.0, &device),
        );
        let gap = (model.denoise(input) - model.denoise(changed)).abs();
        let gap: Vec<f32> = gap.max_dim(2).into_data().iter().collect();
        let far = |x: usize| x.abs_diff(place) > reach.pixels;
        assert!((0..width).filter(|&x| far(x)).all(|x| gap[x] == 0.0), "{reach:?}");
        let farthest = (0..width).filter(|&x| gap[x] > 0.0).map(|x| x.abs_diff(place)).max();
        // It is no wild guess either.
        assert!(farthest.unwrap() * 2 > reach.pixels, "{farthest:?} of {reach:?}");
    }
}

// A fully connected network cleans patches; one that returns about what it was trained on gives no seams: here it is
// enough that a constant picture comes back constant inside, and that the parts are averages of patches.
#[test]
fn a_network_of_one_size_cleans_other_sizes_in_patches() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), "{ type = \"mlp\", hidden = [8] }");
    assert_eq!(model.reach(), None);
    for shape in [[1, 16, 16], [1, 5, 40], [1, 33, 16], [1, 41, 29], [1, 1, 1]] {
        let values = denoised(&model, shape, PictureOptions::default());
        assert!(values[0].iter().all(|value| value.is_finite()), "{shape:?}");
    }
    let own = denoised(&model, [1, 16, 16], PictureOptions::default());
    assert!(distance(&own[0], &model.denoise(&[noise([1, 16, 16]).values()])[0]) < 1e-6);
    // Two patches side by side: the first eight columns are the first one's alone.
    let wide = denoised(&model, [1, 16, 24], PictureOptions::default());
    let values = noise([1, 16, 24]).values();
    let patch = |left: usize| -> Vec<f64> {
        (0..256).map(|at| values[at / 16 * 24 + left + at % 16]).collect()
    };
    let patches = model.denoise(&[patch(0), patch(8)]);
    for (at, value) in wide[0].iter().enumerate() {
        let (y, x) = (at / 24, at % 24);
        let weight = |place: usize| (place.min(15 - place) + 1) as f64;
        let of = |which: usize, left: usize| {
            let within = x >= left && x < left + 16;
            within.then(|| (weight(x - left), patches[which][y * 16 + x - left]))
        };
        let terms = [of(0, 0), of(1, 8)].into_iter().flatten();
        let (weights, sum) = terms.fold((0.0, 0.0), |(w, s), (a, v)| (w + a, s + a * v));
        assert!((value - sum / weights).abs() < 1e-6, "{y} {x}");
    }
    let draws = LatentChoice::Draws { samples: 2, id: 1, uncertainty: Uncertainty::Posterior };
    let options = PictureOptions { latents: draws, ..PictureOptions::default() };
    assert_eq!(denoised(&model, [1, 20, 40], options), denoised(&model, [1, 20, 40], options));
}

#[test]
fn training_on_crops_goes_on_to_the_same_bits_and_holds_pictures_out() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), LADDER);
    assert_eq!(model.event(), [1, 16, 16]);
    let held = model.held_out().unwrap();
    assert_eq!((held.set, held.rows.event()), ("validation", &[1, 16, 16][..]));
    // One epoch, and then another one after a resume.
    let mut experiment = experiment(folder.path(), LADDER);
    experiment.train.epochs = 1;
    let again = folder.path().join("again");
    Run::create_at(&experiment, &again).unwrap().train(vec![], &Interrupt::new()).unwrap();
    let mut run = Run::resume_with(&again, &["train.epochs=2".to_owned()]).unwrap();
    run.train(vec![], &Interrupt::new()).unwrap();
    let weights = |path: &Path| {
        let model = Pretrained::load(path, Weights::Last, None).unwrap();
        model.denoise(&[noise([1, 16, 16]).values()])
    };
    assert_eq!(weights(&again), weights(&folder.path().join("run")));
}

#[test]
fn training_starts_from_the_weights_of_another_run_and_goes_on_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let first = trained(folder.path(), LADDER);
    let file = folder.path().join("experiment.toml");
    let with = |settings: &[String]| Experiment::load(Some(&file), settings).unwrap();
    let start = format!("start={}", folder.path().join("run").display());
    // With steps of nearly 0, the weights stay those of the start.
    let still = "train.learning_rate.rate=1e-12".to_owned();
    let again = folder.path().join("again");
    let mut run = Run::create_at(&with(&[start.clone(), still]), &again).unwrap();
    run.train(vec![], &Interrupt::new()).unwrap();
    drop(run);
    let row = [noise([1, 16, 16]).values()];
    let model = Pretrained::load(&again, Weights::Last, None).unwrap();
    let best = Pretrained::load(&folder.path().join("run"), Weights::Best, None).unwrap();
    assert!(distance(&model.denoise(&row)[0], &best.denoise(&row)[0]) < 1e-5);
    assert_ne!(first.denoise(&row), vec![row[0].clone()]);
    // A run that goes on has weights of its own.
    std::fs::rename(folder.path().join("run"), folder.path().join("moved")).unwrap();
    let mut run = Run::resume_with(&again, &["train.epochs=3".to_owned()]).unwrap();
    run.train(vec![], &Interrupt::new()).unwrap();
    drop(run);
    // Nothing is begun with what is not there, or does not fit.
    let error = |settings: &[String]| {
        Run::create_at(&with(settings), folder.path().join("none")).err().unwrap().to_string()
    };
    assert!(error(&[start]).contains("run"));
    let moved = format!("start={}", folder.path().join("moved").display());
    let other = "model.network={ type = \"ladder\", channels = [3, 4, 6] }".to_owned();
    let wrong = error(&[moved, other]);
    assert!(wrong.contains("moved") && wrong.contains("[3,4,5]"), "{wrong}");
    let moved = format!("start={}", folder.path().join("moved").display());
    let wrong = error(&[moved.clone(), "model.likelihood.min_scale=0.01".to_owned()]);
    assert!(wrong.contains("`model.likelihood`") && wrong.contains("0.02"), "{wrong}");
    let refused = Run::resume_with(&again, &[moved]).err().unwrap().to_string();
    assert!(refused.contains("`start`"), "{refused}");
    Run::resume_with(&again, &["data.memory=1".to_owned()]).unwrap();
    assert!(!folder.path().join("none").exists());
    assert_eq!(
        with(&["start=photographs-gray".to_owned()]).start,
        Some(Start::Bundled(Bundled::GrayPhotographs))
    );
}

// With no memory for them, pictures are cut from a temporary file.
#[test]
fn training_does_not_depend_on_where_the_pictures_are() {
    let folder = tempfile::tempdir().unwrap();
    let held = trained(folder.path(), LADDER);
    let settings = ["data.memory=0".to_owned()];
    let file = folder.path().join("experiment.toml");
    let experiment = Experiment::load(Some(&file), &settings).unwrap();
    let mut run = Run::create_at(&experiment, folder.path().join("file")).unwrap();
    run.train(vec![], &Interrupt::new()).unwrap();
    let model = run.model(Weights::Last, None).unwrap();
    assert_eq!(model.data(), held.data());
    let row = [noise([1, 16, 16]).values()];
    assert_eq!(model.denoise(&row), held.denoise(&row));
}

#[test]
fn pictures_that_give_no_crop_are_named() {
    let folder = tempfile::tempdir().unwrap();
    photographs(&folder.path().join("photographs"));
    let small = folder.path().join("photographs/small.png");
    write_picture(&small, &[0.5; 15 * 20], &[1, 15, 20]).unwrap();
    let error = experiment(folder.path(), LADDER).prepare().unwrap_err().to_string();
    assert!(error.contains("small.png") && error.contains("15 × 20"), "{error}");
    let settings = |setting: &str| {
        let file = folder.path().join("experiment.toml");
        Experiment::load(Some(&file), &[setting.to_owned()])
            .and_then(|experiment| experiment.prepare())
            .unwrap_err()
            .to_string()
    };
    let error = settings("data.binarization=\"static\"");
    assert!(error.contains("`data.binarization` does not go with `data.crops`"), "{error}");
    let error = settings("data.crops.shape=[1, 8, 9]");
    assert!(error.contains("8 × 9"), "{error}");
}

/// Flips sum in double precision: numbers far from 0 keep the digits that the file has.
#[test]
fn flips_keep_the_digits_of_large_numbers() {
    let folder = tempfile::tempdir().unwrap();
    photographs(&folder.path().join("photographs"));
    let large = |i: usize| 1e6 + (i * 7 % 101) as f64 / 100.0;
    let format = Format::new(&[1, 16, 16], Element::F64, Domain::Real);
    let path = folder.path().join("large.npy");
    let mut writer = RowWriter::create(&path, &format).unwrap();
    for row in 0..20 {
        let values: Vec<f64> = (0..256).map(|i| large(i + row)).collect();
        writer.write(&format.row(&values)).unwrap();
    }
    writer.finish().unwrap();
    let mut experiment = experiment(folder.path(), LADDER);
    experiment.data.source = DataSource::Npy {
        path,
        test_path: None,
        key: None,
        test_key: None,
        transposed: false,
        memory: 4000,
        channels: None,
    };
    experiment.data.scaling = Scaling::Standard;
    let mut run = Run::create_at(&experiment, folder.path().join("run")).unwrap();
    run.train(vec![], &Interrupt::new()).unwrap();
    let model = run.model(Weights::Last, None).unwrap();
    let format = Format::new(&[1, 20, 24], Element::F64, Domain::Real);
    let picture = format.row(&(0..480).map(large).collect::<Vec<f64>>());
    let cleaned = |flips: bool| {
        let mut out = picture.clone();
        let options = PictureOptions { flips, ..PictureOptions::default() };
        let write =
            |part: &Window, values: &[f64], _: Option<&[f64]>| out.replace_part(part, values);
        model.denoise_picture([1, 20, 24], options, |part| picture.part(part), write);
        let mut values: Vec<u64> = out.values().into_iter().map(f64::to_bits).collect();
        values.sort_unstable();
        values.dedup();
        values.len()
    };
    assert!(cleaned(true) * 2 > cleaned(false), "{} {}", cleaned(true), cleaned(false));
}

// Parts of pictures, transparent ones of 8 and 16 bits too, are what the whole picture has there.
#[test]
fn a_part_of_a_row_is_read_and_replaced_alone() {
    let shape = [3, 7, 9];
    let picture = noise(shape);
    let part = Window { sides: [7, 9], lines: 2..5, columns: 4..9 };
    let within = |values: &[f64], channels: usize| -> Vec<f64> {
        (0..channels * 15)
            .map(|at| values[(at / 15 * 7 + 2 + at / 5 % 3) * 9 + 4 + at % 5])
            .collect()
    };
    let expected = within(&picture.values(), 3);
    assert_eq!(picture.part(&part), expected);
    let mut changed = picture.clone();
    changed.replace_part(&part, &vec![0.25; expected.len()]);
    assert!(changed.part(&part).iter().all(|&value| value == 0.25));
    let both = changed.values().into_iter().zip(picture.values());
    assert!(both.filter(|(a, b)| a == b).count() >= 3 * (63 - 15));
    let folder = tempfile::tempdir().unwrap();
    for deep in [false, true] {
        let path = folder.path().join("transparent.png");
        transparent(&path, deep);
        let row = read_rows(&path, &ReadOptions::default()).unwrap().next().unwrap().unwrap();
        let values = row.values();
        assert_eq!(row.part(&part), within(&values, 1));
        assert_eq!(row.find(|value| value < 0.2), values.iter().copied().find(|&v| v < 0.2));
        // A pixel that nobody sees keeps its color, and the others look as they were told.
        let mut changed = row.clone();
        changed.replace_part(&part, &[1.0; 15]);
        let (old, new) = (row.numbers().as_bytes(), changed.numbers().as_bytes());
        let size = if deep { 2 } else { 1 };
        let invisible = (2 * 9 + 5) * size;
        assert_eq!(old[invisible..invisible + size], new[invisible..invisible + size]);
        assert!(changed.part(&part).iter().all(|&value| value > 0.99), "{:?}", changed.part(&part));
        assert_ne!(old, new);
    }
}

/// A gray picture of 7 × 9 pixels, half of which are partly transparent, and one not to be seen.
fn transparent(path: &Path, deep: bool) {
    use image::{ExtendedColorType, ImageEncoder};
    let alpha = |at: usize| [0xffff, 0x8000][at % 2] * u16::from(at != 2 * 9 + 5);
    let pixels: Vec<[u16; 2]> = (0..63).map(|at| [(at * 901 % 0xffff) as u16, alpha(at)]).collect();
    let (color, bytes): (_, Vec<u8>) = match deep {
        true => (
            ExtendedColorType::La16,
            pixels.as_flattened().iter().flat_map(|v| v.to_ne_bytes()).collect(),
        ),
        false => {
            (ExtendedColorType::La8, pixels.as_flattened().iter().map(|v| (v >> 8) as u8).collect())
        }
    };
    let file = std::fs::File::create(path).unwrap();
    image::codecs::png::PngEncoder::new(file).write_image(&bytes, 9, 7, color).unwrap();
}
