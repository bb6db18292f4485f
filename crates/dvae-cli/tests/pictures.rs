//! Pictures of any size on the command line.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::fs;
use std::path::Path;

use ::dvae::data::{Domain, Element, Format, RowWriter};
use common::{dvae, ok, picture, refused, rows, run, trained};

/// A run of a small ladder on crops of a folder of pictures.
const CROPS: &str = r#"
corruption = "gaussian:0.2"
[data]
source = "images"
path = "photographs"
crops = { shape = [1, 16, 16], flips = true, turns = true }
validation = 0.3
[model]
latent = 1
network = { type = "ladder", channels = [2, 2, 2] }
likelihood = { type = "learned-normal", min_scale = 0.02, initial_scale = 0.2 }
[train]
epochs = 1
batch_size = 4
"#;

fn on_crops() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("photographs")).unwrap();
    for (name, height, width) in [("a.png", 20, 41), ("b.png", 33, 16), ("c.jpg", 24, 24)] {
        picture(&folder.path().join("photographs").join(name), height, width);
    }
    fs::write(folder.path().join("crops.toml"), CROPS).unwrap();
    ok(folder.path(), &["train", "crops.toml", "--out", "run", "--quiet"]);
    folder
}

fn pixels(path: &Path) -> Vec<f64> {
    rows(path).1.remove(0)
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_folder_of_several_sizes_trains_a_model_that_cleans_all_of_them() {
    let folder = on_crops();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("noisy")).unwrap();
    for (name, height, width) in [("1.png", 1, 1), ("2.png", 7, 31), ("3.png", 200, 150)] {
        picture(&at("noisy").join(name), height, width);
    }
    ok(folder.path(), &["denoise", "run", "noisy", "-o", "clean"]);
    for (name, sides) in [("1.png", [1, 1]), ("2.png", [7, 31]), ("3.png", [200, 150])] {
        assert_eq!(rows(&at("clean").join(name)).0[1..], sides, "{name}");
    }
    // Tiles of the least size are the whole picture, with draws too.
    for samples in [&[][..], &["--samples", "2"]] {
        let denoise = |memory: &str, out: &str| {
            let arguments = ["denoise", "run", "noisy/3.png", "-o", out, "--memory", memory];
            ok(folder.path(), &[&arguments, samples].concat());
            pixels(&at(out))
        };
        let whole = denoise("4000", "whole.tif");
        assert_eq!(whole, denoise("1", "tiles.tif"), "{samples:?}");
    }
    let deviations = pixels(&at("whole-deviation.npy"));
    let tiled = pixels(&at("tiles-deviation.npy"));
    let gap = deviations.iter().zip(&tiled).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(gap < 1e-5 && deviations.iter().all(|&value| value > 0.0), "{gap}");
    // Its own data, another size, and what has too many latents for one file.
    ok(folder.path(), &["evaluate", "run"]);
    let text = ok(folder.path(), &["evaluate", "run", "--data", "noisy/3.png"]);
    // Two latents at each place would be twice as many; 200 × 150 pixels have 41,500 places.
    let latents = 200 * 150 + 100 * 75 + 50 * 38;
    assert!(text.starts_with("1 given row;") && text.contains(&format!("of {latents} latents")));
    let text = ok(folder.path(), &["evaluate", "run", "--data", "noisy/1.png"]);
    assert!(text.contains("of 3 latents are active (0, 0, 0 by level"), "{text}");
    ok(folder.path(), &["embed", "run", "noisy/3.png", "-o", "z.npy"]);
    assert_eq!(rows(&at("z.npy")).0, [latents]);
    let error = refused(folder.path(), &["embed", "run", "noisy", "-o", "z.csv"]);
    assert!(error.contains("2.png has rows of shape [1, 7, 31], but those before"), "{error}");
    let error = refused(folder.path(), &["evaluate", "run", "--data", "noisy"]);
    assert!(
        error.contains("1.png") && error.contains("fewer than the crops of 16 × 16"),
        "{error}"
    );
    // Crops of the training are of several sizes, and cover 3 + 2 + 2 of 256 pixels.
    let args = ["evaluate", "run", "--data", "photographs", "--per-row", "rows.csv"];
    let text = ok(folder.path(), &args);
    assert!(text.starts_with("7 cropped rows;"), "{text}");
    let table = fs::read_to_string(at("rows.csv")).unwrap();
    let places: Vec<&str> = table.lines().skip(1).map(|line| &line[..20]).collect();
    assert_eq!(
        places[..3],
        ["photographs/a.png,0,", "photographs/a.png,1,", "photographs/a.png,2,"]
    );
    assert!(
        places[3] == "photographs/b.png,0," && places[6] == "photographs/c.jpg,1,",
        "{places:?}"
    );
}

// Lines of one color picture are no gray pictures, and a picture on its side is not one of the model's size.
#[test]
fn what_only_looks_like_a_picture_of_the_model_is_not_taken_for_one() {
    let folder = on_crops();
    let at = |name: &str| folder.path().join(name);
    common::array(&at("color.npy"), &[60, 3], 40, |at| (at % 5) as f64 / 5.0);
    for command in ["denoise", "embed"] {
        let error = refused(folder.path(), &[command, "run", "color.npy", "-o", "o.npy"]);
        assert!(error.contains("rows of shape [60, 3], but the model is for"), "{error}");
    }
    let error = refused(folder.path(), &["benchmark", "run", "color.npy"]);
    assert!(error.contains("rows of shape [60, 3]"), "{error}");
    fs::write(
        at("narrow.toml"),
        CROPS.replace("[1, 16, 16], flips = true, turns = true", "[1, 1, 16]"),
    )
    .unwrap();
    ok(folder.path(), &["train", "narrow.toml", "--out", "narrow", "--quiet"]);
    picture(&at("tall.png"), 16, 1);
    ok(folder.path(), &["denoise", "narrow", "tall.png", "-o", "clean.png"]);
    assert_eq!(rows(&at("clean.png")).0, [1, 16, 1]);
}

// The first picture is written while the second one is still on its way.
#[cfg(unix)]
#[test]
fn a_picture_is_written_before_the_next_one_is_read() {
    use std::io::Write;
    use std::process::Stdio;

    let folder = on_crops();
    let at = |name: &str| folder.path().join(name);
    picture(&at("first.png"), 40, 50);
    picture(&at("second.png"), 50, 40);
    let arguments = ["denoise", "run", "first.png", "-", "--format", "png", "-o", "clean"];
    let mut command = dvae(folder.path());
    let mut child = command.args(arguments).stdin(Stdio::piped()).spawn().unwrap();
    while !at("clean/first.png").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child.stdin.take().unwrap().write_all(&fs::read(at("second.png")).unwrap()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(rows(&at("clean/standard-input.png")).0, [1, 50, 40]);
}

#[test]
fn a_model_of_one_size_says_that_it_cleans_patches() {
    let folder = trained();
    let at = |name: &str| folder.path().join(name);
    for (name, height, width) in [("large.png", 70, 45), ("small.png", 9, 90)] {
        picture(&at(name), height, width);
        let output = dvae(folder.path()).args(["denoise", "run", name, "-o", "o.png"]).output();
        let output = output.unwrap();
        let note = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && note.contains("in patches of 28 × 28"), "{note}");
        assert_eq!(rows(&at("o.png")).0[1..], [height, width]);
    }
    // What has no latents of the model's.
    for arguments in [
        &["embed", "run", "large.png", "-o", "z.csv"][..],
        &["evaluate", "run", "--data", "large.png"],
        &["traverse", "run", "--input", "large.png", "-o", "t.png"],
        &["interpolate", "run", "large.png", "large.png", "-o", "i.png"],
    ] {
        let error = refused(folder.path(), arguments);
        assert!(error.contains("large.png") && error.contains("[1, 70, 45]"), "{error}");
    }
}

#[test]
fn a_benchmark_measures_the_model_beside_filters_and_says_which_wins() {
    let folder = on_crops();
    let at = |name: &str| folder.path().join(name);
    let arguments = ["benchmark", "run", "photographs", "--corruption", "gaussian:0.1"];
    let text = ok(folder.path(), &[&arguments[..], &["--picture", "beside.png"]].concat());
    assert!(text.starts_with("gaussian, sigma 0.1: 3 pictures"), "{text}");
    for method in ["input", "median", "Gaussian", "non-local means", "total variation", "model"] {
        assert!(text.lines().any(|line| line.starts_with(method)), "{method}: {text}");
    }
    assert!(text.contains("highest mean PSNR"), "{text}");
    assert!(rows(&at("beside.png")).0[1] > 7 * 16);
    // Of one picture, all figures; the noise is the same again, and stays the input of each method.
    let json = |more: &[&str]| -> Vec<serde_json::Value> {
        let arguments = ["benchmark", "run", "photographs/a.png", "--json", "--corruption"];
        let text = ok(folder.path(), &[&arguments[..], &["gaussian:0.1"], more].concat());
        serde_json::from_str(&text).unwrap()
    };
    let lines = json(&[]);
    assert_eq!(lines.len(), 6);
    let psnr = |line: &serde_json::Value| line["psnr"].as_f64().unwrap();
    // Noise of 0.1 is 20 dB; what is cut off at black and white makes it less.
    assert_eq!(lines[0]["method"], "input");
    assert!((19.9..21.5).contains(&psnr(&lines[0])), "{:?}", lines[0]);
    assert!(lines.iter().all(|line| line["ssim"].as_f64().is_some()));
    let flipped = json(&["--flips"]);
    assert_eq!(psnr(&flipped[0]), psnr(&lines[0]));
    assert_ne!(psnr(&flipped[5]), psnr(&lines[5]));
    // What is measured is what `denoise` makes.
    ok(folder.path(), &["denoise", "run", "photographs/a.png", "-o", "f.png", "--flips"]);
    assert_eq!(rows(&at("f.png")).0, rows(&at("photographs/a.png")).0);
    let error = refused(folder.path(), &["benchmark", "run", "crops.toml"]);
    assert!(error.contains("crops.toml"), "{error}");
    // What cannot be measured is said.
    common::array(&at("holes.npy"), &[20, 30], 1, |at| if at == 7 { f64::NAN } else { 0.5 });
    let error = refused(folder.path(), &["benchmark", "run", "holes.npy"]);
    assert!(error.contains("row 0 has pixels that were not observed"), "{error}");
    common::array(&at("none.npy"), &[20, 30], 0, |_| 0.0);
    let error = refused(folder.path(), &["benchmark", "run", "none.npy"]);
    assert!(error.contains("there is no picture to measure"), "{error}");
    let error = refused(folder.path(), &["benchmark", "run", "photographs", "--picture", "b.jpg"]);
    assert!(error.contains("b.jpg: such a picture is written as PNG"), "{error}");
    // Floats in [0, 1] are pictures as well.
    common::array(&at("floats.npy"), &[20, 30], 2, |at| (at % 5) as f64 / 5.0);
    let text = ok(folder.path(), &["benchmark", "run", "floats.npy"]);
    assert!(text.starts_with("gaussian, sigma 0.2: 2 pictures"), "{text}");
    // Rows that are no pictures cannot be turned.
    let table: String = (0..30).map(|row| format!("{row},{}\n", row * row)).collect();
    fs::write(at("t.csv"), format!("a,b\n{table}")).unwrap();
    let settings =
        ["data.source=csv", "data.path=t.csv", "data.scaling=standard", "train.epochs=1"];
    let network = ["model.network=mlp", "model.likelihood.type=learned-normal"];
    let settings = settings.iter().chain(&network).flat_map(|setting| ["--set", setting]);
    let arguments: Vec<&str> =
        ["train", "--out", "table", "--quiet"].into_iter().chain(settings).collect();
    ok(folder.path(), &arguments);
    let error = refused(folder.path(), &["denoise", "table", "t.csv", "-o", "o.csv", "--flips"]);
    assert!(error.contains("--flips is for pictures"), "{error}");
}

// Rows of a table that are pictures keep what stands beside their numbers, in the file of deviations too.
#[test]
fn pictures_in_a_table_keep_its_other_columns() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let names: Vec<String> = (0..36).map(|at| format!("p{at}")).collect();
    let cells = |row: usize| -> Vec<String> {
        (0..36).map(|at| format!("{}", (row * 5 + at * 7) % 11)).collect()
    };
    let lines: Vec<String> =
        (0..30).map(|row| format!("r{row},{}", cells(row).join(","))).collect();
    fs::write(at("t.csv"), format!("name,{}\n{}\n", names.join(","), lines.join("\n"))).unwrap();
    let columns: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let experiment = format!(
        "corruption = \"gaussian:0.2\"\n[data]\nsource = \"csv\"\npath = \"t.csv\"\nscaling = \"standard\"\n\
         shape = [1, 6, 6]\ncolumns = [{}]\n[model]\nnetwork = \"mlp\"\n\
         likelihood = {{ type = \"learned-normal\" }}\n[train]\nepochs = 1\n",
        columns.join(", ")
    );
    fs::write(at("t.toml"), experiment).unwrap();
    ok(folder.path(), &["train", "t.toml", "--out", "run", "--quiet"]);
    let arguments = ["denoise", "run", "t.csv", "-o", "c.csv", "--samples", "2", "--flips"];
    ok(folder.path(), &arguments);
    for name in ["c.csv", "c-deviation.csv"] {
        let text = fs::read_to_string(at(name)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0].split(',').next()), (31, Some("name")), "{name}");
        for (row, line) in lines[1..].iter().enumerate() {
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!((cells.len(), cells[0]), (37, &*format!("r{row}")), "{name}");
        }
    }
}

// The corruption of a model of scaled rows is in scaled units: 0.3 standard deviations, not 0.3. And one that is shown a
// mask is told which pixels are missing, as a filter beside it is.
#[test]
fn a_benchmark_damages_pictures_as_training_does() {
    let folder = on_crops();
    let at = |name: &str| folder.path().join(name);
    let scaled = CROPS.replace("validation = 0.3", "validation = 0.3\nscaling = \"standard\"");
    fs::write(at("scaled.toml"), scaled).unwrap();
    ok(folder.path(), &["train", "scaled.toml", "--out", "scaled", "--quiet"]);
    let input = |run: &str| -> f64 {
        let text = ok(folder.path(), &["benchmark", run, "photographs/a.png", "--json"]);
        serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap()[0]["psnr"].as_f64().unwrap()
    };
    // The pixels' standard deviation is about 0.29, which makes the noise weaker by 10.9 dB.
    let gap = input("scaled") - input("run");
    assert!((9.0..12.5).contains(&gap), "{gap}");
    let masked = CROPS.replace(
        "corruption = \"gaussian:0.2\"",
        "corruption = { process = \"show-mask\", of = { process = \"masking\", level = 0.3 } }",
    );
    fs::write(at("masked.toml"), masked).unwrap();
    ok(folder.path(), &["train", "masked.toml", "--out", "masked", "--quiet"]);
    let text = ok(folder.path(), &["benchmark", "masked", "photographs"]);
    assert!(text.contains("normalized, told the holes"), "{text}");
}

// 24 megapixels, whose file alone is 24 MB, are read, cleaned and written within 600 MB.
#[cfg(target_os = "linux")]
#[test]
fn a_picture_of_24_megapixels_is_cleaned_within_600_megabytes() {
    let folder = on_crops();
    let at = |name: &str| folder.path().join(name);
    let mut bytes = b"P5\n6000 4000\n255\n".to_vec();
    bytes.extend((0..24_000_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8));
    fs::write(at("large.pgm"), bytes).unwrap();
    let arguments = ["denoise", "run", "large.pgm", "-o", "clean.pgm"];
    let mut child = dvae(folder.path()).args(arguments).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let code = loop {
        if let Ok(text) = fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            peak = peak.max(now.unwrap_or(0usize));
        }
        if let Some(code) = child.try_wait().unwrap() {
            break code;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(code.success());
    assert!((1 << 15..600 << 10).contains(&peak), "{peak} kB");
    assert_eq!(fs::metadata(at("clean.pgm")).unwrap().len(), 24_000_017);
}

// The measured noise is that of the pairs: a model of them cleans it, and what has no counterpart is named.
#[test]
fn pairs_of_pictures_train_a_model_and_broken_ones_can_be_skipped() {
    let folder = on_crops();
    let at = |name: &str| folder.path().join(name);
    ok(folder.path(), &["corrupt", "gaussian:0.2", "photographs", "-o", "noisy"]);
    let text = CROPS.replace("\"gaussian:0.2\"", "\"none\"").replace(
        "validation = 0.3",
        "validation = 0.3\npairs = { type = \"damaged\", path = \"noisy\" }",
    );
    fs::write(at("pairs.toml"), &text).unwrap();
    ok(folder.path(), &["train", "pairs.toml", "--out", "pairs", "--quiet"]);
    let metrics = json(&ok(folder.path(), &["evaluate", "pairs", "--json"]));
    let noise = metrics["corruptions"][0]["psnr_input"].as_f64();
    assert!(noise.is_some_and(|ratio| (10.0..20.0).contains(&ratio)), "{metrics}");
    // The folder of the damaged pictures belongs to the data too.
    let error = refused(folder.path(), &["denoise", "pairs", "photographs", "-o", "noisy"]);
    assert!(error.contains("belongs to the data"), "{error}");
    fs::write(at("noisy/a.png"), b"not a picture").unwrap();
    let error = refused(folder.path(), &["train", "pairs.toml", "--out", "broken", "--quiet"]);
    assert!(error.contains("a.png"), "{error}");
    let arguments = ["train", "pairs.toml", "--out", "skipped", "--quiet", "--skip-broken"];
    let output = run(folder.path(), &arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("a.png"), "{said}");
    let config = fs::read_to_string(at("skipped/config.toml")).unwrap();
    assert!(config.contains("leave_out = [\"a.png\"]"), "{config}");
    ok(folder.path(), &["evaluate", "skipped"]);
}

// 12 bits in files of 16: results are in the numbers of the files, and nothing above the range is trained on.
#[test]
fn a_range_says_what_is_white() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("photographs")).unwrap();
    let format = Format::new(&[1, 24, 24], Element::U16, Domain::Unit);
    for (name, most) in [("a.png", 4095.0), ("b.png", 4000.0), ("c.png", 3000.0)] {
        let values: Vec<f64> =
            (0..576).map(|i| (f64::from(i) / 575.0 * most).round() / 65_535.0).collect();
        let mut writer = RowWriter::create(&at("photographs").join(name), &format).unwrap();
        writer.write(&format.row(&values)).unwrap();
        writer.finish().unwrap();
    }
    let text = |range: &str| CROPS.replace("validation", &format!("range = {range}\nvalidation"));
    fs::write(at("range.toml"), text("{ between = [0, 4095] }")).unwrap();
    ok(folder.path(), &["train", "range.toml", "--out", "run", "--quiet"]);
    ok(folder.path(), &["denoise", "run", "photographs/a.png", "-o", "clean.png"]);
    // In sixteen bits again, and about as bright.
    let mean = |path: &Path| pixels(path).iter().sum::<f64>() / 576.0;
    let (before, after) = (mean(&at("photographs/a.png")), mean(&at("clean.png")));
    assert!((after - before).abs() < 0.4 * before && after > 0.0, "{before} {after}");
    let metrics = json(&ok(folder.path(), &["evaluate", "run", "--json"]));
    let noise = metrics["corruptions"][0]["psnr_input"].as_f64();
    // Noise of 0.2 of the range, clipped to it: 14 to 16 dB.
    assert!(noise.is_some_and(|ratio| (12.0..18.0).contains(&ratio)), "{metrics}");
    // As a benchmark measures it, too.
    let lines = json(&ok(folder.path(), &["benchmark", "run", "photographs/a.png", "--json"]));
    let noise = lines[0]["psnr"].as_f64();
    assert!(noise.is_some_and(|ratio| (12.0..18.0).contains(&ratio)), "{lines}");
    fs::write(at("narrow.toml"), text("{ between = [0, 2000] }")).unwrap();
    let error = refused(folder.path(), &["train", "narrow.toml", "--out", "narrow", "--quiet"]);
    assert!(error.contains("outside of the range"), "{error}");
    fs::write(at("percentiles.toml"), text("{ percentiles = [1, 99] }")).unwrap();
    ok(folder.path(), &["train", "percentiles.toml", "--out", "percentiles", "--quiet"]);
}

// Written beside the result, in its format; the ends hold the result between them.
#[test]
fn intervals_need_a_calibration_and_hold_the_result() {
    let folder = on_crops();
    let at = |name: &str| folder.path().join(name);
    let clean = ["denoise", "run", "photographs/a.png", "-o", "clean.png"];
    let with = |share| [&clean[..], &["--interval", share]].concat();
    let error = refused(folder.path(), &with("0.95"));
    assert!(error.contains("dvae calibrate run"), "{error}");
    let error = refused(folder.path(), &with("0.96"));
    assert!(error.contains("0.5, 0.8, 0.9, 0.95, 0.99"), "{error}");
    // The validation crops of one picture are too few.
    let error = refused(folder.path(), &["calibrate", "run", "--samples", "2"]);
    assert!(error.contains("too few"), "{error}");
    picture(&at("large.png"), 64, 80);
    let text = ok(folder.path(), &["calibrate", "run", "large.png", "--samples", "2"]);
    assert!(text.contains("95.0 %") && text.contains("held"), "{text}");
    ok(folder.path(), &with("0.95"));
    let [low, middle, high] =
        ["clean-low.png", "clean.png", "clean-high.png"].map(|name| pixels(&at(name)));
    for ((low, middle), high) in low.iter().zip(&middle).zip(&high) {
        assert!(low <= middle && middle <= high, "{low} {middle} {high}");
    }
    assert!(low != high && !at("clean-deviation.npy").exists());
}

// Without a set-up, whatever the channels of a file; a folder of that name may stand there.
#[test]
fn the_models_in_the_box_clean_gray_and_color_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let clean = ["denoise", "photographs"];
    picture(&at("gray.png"), 20, 31);
    ok(folder.path(), &[&clean[..], &["gray.png", "-o", "clean.png"]].concat());
    assert_eq!(rows(&at("clean.png")).0, [1, 20, 31]);
    fs::create_dir(at("photographs")).unwrap();
    picture(&at("photographs/gray.png"), 20, 31);
    let values: Vec<f32> = (0..3 * 20 * 31).map(|at| (at % 11) as f32 / 11.0).collect();
    ::dvae::data::write_picture(&at("photographs/color.png"), &values, &[3, 20, 31]).unwrap();
    let with = ["photographs", "-o", "cleaned", "--interval", "0.9"];
    ok(folder.path(), &[&clean[..], &with].concat());
    assert_eq!(rows(&at("cleaned/gray.png")).0, [1, 20, 31]);
    assert_eq!(rows(&at("cleaned/color.png")).0, [3, 20, 31]);
    assert!(at("cleaned/color-low.png").exists() && at("cleaned/gray-high.png").exists());
    let error = refused(folder.path(), &["calibrate", "photographs"]);
    assert!(error.contains("comes with the program"), "{error}");
    let error = refused(folder.path(), &["benchmark", "photographs", "photographs"]);
    assert!(error.contains("not both gray"), "{error}");
}
