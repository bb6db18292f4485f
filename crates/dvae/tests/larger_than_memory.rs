//! Rows that stay in their files: the training is that of rows in memory, and memory does not grow with their number.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use dvae::train::{End, Interrupt};
use dvae::{Experiment, Run};
use peak_alloc::PeakAlloc;
use serde_json::Value;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const EXPERIMENT: &str = r#"
corruption = "masking:0.3"
[data]
source = "npy"
[model]
network = { type = "mlp", hidden = [16] }
latent = 2
[train]
epochs = 2
batch_size = 32
"#;

/// An NPY file of these bytes.
fn npy(path: &Path, descr: &str, shape: &str, bytes: &[u8]) {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let size = (text.len() as u16).to_le_bytes();
    let parts = [&b"\x93NUMPY\x01\x00"[..], &size, text.as_bytes(), bytes];
    fs::write(path, parts.concat()).unwrap();
}

/// A safetensors file of a tensor `x`.
fn safetensors(path: &Path, kind: &str, shape: &str, bytes: &[u8]) {
    let end = bytes.len();
    let text =
        format!("{{\"x\":{{\"dtype\":\"{kind}\",\"shape\":{shape},\"data_offsets\":[0,{end}]}}}}");
    let parts = [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), bytes];
    fs::write(path, parts.concat()).unwrap();
}

/// Numbers in `[0, 1)` of 300 rows of 12.
fn numbers() -> Vec<f64> {
    (0..3600u32).map(|at| f64::from(at.wrapping_mul(2_654_435_761) >> 16) / 65536.0).collect()
}

fn experiment(folder: &Path, data: &Path, settings: &[&str]) -> Result<Experiment, String> {
    let file = folder.join("e.toml");
    fs::write(&file, EXPERIMENT).unwrap();
    let settings = settings.iter().map(|&setting| setting.to_owned());
    let settings: Vec<String> = settings.chain([format!("data.path={}", data.display())]).collect();
    Experiment::load(Some(&file), &settings).map_err(|error| error.to_string())
}

/// What the training of a run has measured.
fn measured(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut report: Value = serde_json::from_str(line).unwrap();
        report.as_object_mut().unwrap().remove("seconds").unwrap();
        report
    };
    text.lines().map(line).collect()
}

/// What a training measures.
fn reports(folder: &Path, data: &Path, settings: &[&str]) -> Result<Vec<Value>, String> {
    let place = tempfile::tempdir_in(folder).unwrap();
    let experiment = experiment(folder, data, settings)?;
    let run = Run::create_at(&experiment, place.path().join("run"));
    let mut run = run.map_err(|error| error.to_string())?;
    run.train(vec![], &Interrupt::new()).map_err(|error| error.to_string())?;
    Ok(measured(run.path()))
}

#[test]
fn rows_in_their_files_are_trained_on_as_rows_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let singles = |values: &[f64], bytes: fn(f32) -> [u8; 4]| -> Vec<u8> {
        values.iter().flat_map(|&x| bytes(x as f32)).collect()
    };
    let all = numbers();
    let little = singles(&all, f32::to_le_bytes);
    let bytes: Vec<u8> = all.iter().map(|x| (x * 256.0) as u8).collect();
    let words: Vec<u8> = all.iter().flat_map(|x| ((x * 65536.0) as u16).to_le_bytes()).collect();
    let doubles: Vec<u8> = all.iter().flat_map(|x| x.to_le_bytes()).collect();
    npy(&at("f4.npy"), "<f4", "(300, 12)", &little);
    npy(&at("big.npy"), ">f4", "(300, 12)", &singles(&all, f32::to_be_bytes));
    npy(&at("u1.npy"), "|u1", "(300, 12)", &bytes);
    npy(&at("u2.npy"), "<u2", "(300, 12)", &words);
    npy(&at("f8.npy"), "<f8", "(300, 12)", &doubles);
    npy(&at("part-1.npy"), "<f4", "(100, 12)", &little[..4800]);
    npy(&at("part-2.npy"), "<f4", "(199, 12)", &little[4800..14352]);
    npy(&at("part-3.npy"), "<f4", "(1, 12)", &little[14352..]);
    safetensors(&at("f4.safetensors"), "F32", "[300,12]", &little);
    let unit = "data.domain=unit";
    let counts =
        ["data.domain=counts", "model.log_input=true", "model.likelihood={ type = \"poisson\" }"];
    let scaled = ["data.scaling=standard", "model.likelihood={ type = \"learned-normal\" }"];
    let of = |name: &str, settings: &[&str], memory: &str| {
        let memory = format!("data.memory={memory}");
        let settings = [settings, &[&*memory]].concat();
        reports(folder.path(), &at(name), &settings)
            .unwrap_or_else(|error| panic!("{name} {settings:?}: {error}"))
    };
    for (name, settings) in [
        ("f4.npy", &[unit][..]),
        ("f4.npy", &scaled),
        ("big.npy", &[unit]),
        ("u1.npy", &[]),
        ("u1.npy", &counts),
        ("u1.npy", &["data.binarization=static"]),
        ("u2.npy", &[unit]),
        ("u2.npy", &scaled),
        ("f8.npy", &[unit]),
        ("f8.npy", &scaled),
        ("f4.safetensors", &[unit]),
    ] {
        let held = of(name, settings, "4000");
        assert_eq!(held.len(), 2);
        assert_eq!(of(name, settings, "0"), held, "{name} {settings:?}");
    }
    // Parts that follow each other are the whole.
    let whole = of("f4.npy", &[unit], "4000");
    for memory in ["0", "4000"] {
        assert_eq!(of("part-*.npy", &[unit], memory), whole, "{memory}");
        assert_eq!(of("f4.safetensors", &[unit, "data.key=x"], memory), whole);
    }
    // A run goes on from its file where it began in memory.
    let started = experiment(folder.path(), &at("f4.npy"), &[unit, "train.epochs=1"]).unwrap();
    let mut run = Run::create_at(&started, at("run")).unwrap();
    run.train(vec![], &Interrupt::new()).unwrap();
    drop(run);
    let settings = ["train.epochs=2".to_owned(), "data.memory=0".to_owned()];
    let mut run = Run::resume_with(at("run"), &settings).unwrap();
    run.train(vec![], &Interrupt::new()).unwrap();
    assert_eq!(measured(run.path()), whole);
}

/// Pictures of IDX files, of which some may be compressed: 200 to train on, and 50 to test on, of 12 bytes each.
fn idx(folder: &Path, is_compressed: bool) {
    fs::create_dir(folder).unwrap();
    let bytes: Vec<u8> = numbers().iter().map(|x| (x * 256.0) as u8).collect();
    for (name, count, from) in [("train", 200u32, 0), ("t10k", 50, 2400)] {
        let axes = [count, 3, 4].map(u32::to_be_bytes).concat();
        let all = [&[0, 0, 8, 3][..], &axes, &bytes[from..from + 12 * count as usize]].concat();
        let name = format!("{name}-images-idx3-ubyte");
        if !is_compressed {
            fs::write(folder.join(name), all).unwrap();
            continue;
        }
        let file = fs::File::create(folder.join(format!("{name}.gz"))).unwrap();
        let mut writer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        writer.write_all(&all).unwrap();
        writer.finish().unwrap();
    }
}

// What cannot stay in its file is copied into one that can be read row by row.
#[test]
fn compressed_arrays_pictures_and_tables_are_trained_on_as_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let all = numbers();
    idx(&at("idx"), false);
    idx(&at("idx-gz"), true);
    fs::create_dir_all(at("pictures")).unwrap();
    for (number, row) in all.chunks(12).enumerate() {
        let bytes = row.iter().map(|x| (x * 256.0) as u8).collect();
        let picture = image::GrayImage::from_raw(4, 3, bytes).unwrap();
        picture.save(at("pictures").join(format!("{number:03}.png"))).unwrap();
    }
    let lines = all.chunks(12).map(|row| {
        let cells: Vec<String> = row.iter().map(f64::to_string).collect();
        cells.join(",") + "\n"
    });
    let names: Vec<String> = (0..12).map(|at| format!("c{at}")).collect();
    fs::write(at("table.csv"), names.join(",") + "\n" + &lines.collect::<String>()).unwrap();
    let words: Vec<u8> = all.iter().flat_map(|x| ((x * 1e6) as i64).to_le_bytes()).collect();
    npy(&at("i8.npy"), "<i8", "(300, 12)", &words);
    let singles: Vec<u8> = all.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect();
    npy(&at("last.npy"), "<f4", "(300, 2, 2, 3)", &singles);
    let file = fs::File::create(at("x.npz")).unwrap();
    let mut archive = zip::ZipWriter::new(file);
    archive.start_file("x.npy", zip::write::SimpleFileOptions::default()).unwrap();
    npy(&at("f4.npy"), "<f4", "(300, 12)", &singles);
    archive.write_all(&fs::read(at("f4.npy")).unwrap()).unwrap();
    archive.finish().unwrap();
    let scaled = ["data.scaling=standard", "model.likelihood={ type = \"learned-normal\" }"];
    let counts =
        ["data.domain=counts", "model.log_input=true", "model.likelihood={ type = \"poisson\" }"];
    for (name, source, settings) in [
        ("idx", "idx", &[][..]),
        ("idx", "idx", &counts),
        ("idx-gz", "idx", &[]),
        ("pictures", "images", &[]),
        ("table.csv", "csv", &["data.domain=unit"]),
        ("table.csv", "csv", &scaled),
        ("i8.npy", "npy", &scaled),
        ("last.npy", "npy", &["data.domain=unit", "data.channels=last"]),
        ("x.npz", "npy", &["data.domain=unit"]),
    ] {
        let of = |memory: u32| {
            let own = [format!("data.source={source}"), format!("data.memory={memory}")];
            let settings: Vec<&str> =
                own.iter().map(String::as_str).chain(settings.iter().copied()).collect();
            reports(folder.path(), &at(name), &settings)
                .unwrap_or_else(|error| panic!("{name} {settings:?}: {error}"))
        };
        let held = of(4000);
        assert_eq!(held.len(), 2);
        assert_eq!(of(0), held, "{name} {settings:?}");
    }
    // A file that ends too early, or goes on, is named wherever its rows are.
    let path = at("idx").join("train-images-idx3-ubyte");
    for change in [-1i64, 1] {
        let length = fs::metadata(&path).unwrap().len();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(length.checked_add_signed(change).unwrap()).unwrap();
        let [stored, held] = ["data.memory=0", "data.memory=4000"].map(|memory| {
            reports(folder.path(), &at("idx"), &["data.source=idx", memory]).unwrap_err()
        });
        assert!(stored.contains("train-images-idx3-ubyte"), "{stored}");
        assert_eq!(stored, held);
        file.set_len(length).unwrap();
    }
}

#[test]
fn files_that_cannot_stay_or_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let ones = 1f32.to_le_bytes().repeat(12 * 40);
    npy(&at("a-1.npy"), "<f4", "(40, 12)", &ones);
    npy(&at("a-2.npy"), "<f4", "(60, 8)", &ones);
    npy(&at("b-1.npy"), "<f4", "(40, 12)", &ones);
    npy(&at("b-2.npy"), "<f8", "(20, 12)", &ones);
    npy(&at("beyond.npy"), "<f4", "(40, 12)", &f32::INFINITY.to_le_bytes().repeat(12 * 40));
    npy(&at("zero-one.npy"), "|u1", "(40, 12)", &[0, 1].repeat(240));
    safetensors(&at("short.safetensors"), "F32", "[41,12]", &ones);
    safetensors(&at("half.safetensors"), "BF16", "[80,12]", &ones);
    fs::write(at("none.safetensors"), "12345678").unwrap();
    for (name, settings, why) in [
        (
            "a-*.npy",
            &[][..],
            "a-2.npy cannot be used: its rows are floats of 32 bits of shape [8], but those of",
        ),
        ("b-*.npy", &[], "b-2.npy cannot be used: its rows are floats of 64 bits"),
        ("c-*.npy", &[], "c-*.npy cannot be used: no file has such a name"),
        ("beyond.npy", &[], "inf"),
        ("zero-one.npy", &[], "its bytes are 0 and 1"),
        ("short.safetensors", &[], "its header is not understood"),
        ("half.safetensors", &[], "`x` holds numbers of type BF16"),
        ("none.safetensors", &[], "it is no safetensors file"),
        ("b-1.npy", &["data.key=y"], ""),
    ] {
        for memory in ["data.memory=0", "data.memory=4000"] {
            let settings = [settings, &[memory]].concat();
            let found = experiment(folder.path(), &at(name), &settings)
                .and_then(|experiment| experiment.prepare().map_err(|error| error.to_string()));
            match found {
                Err(error) => assert!(!why.is_empty() && error.contains(why), "{name}: {error}"),
                Ok(_) => assert!(why.is_empty(), "{name}"),
            }
        }
    }
}

/// A sparse file of 26,000,000 pictures of 784 bytes: 20 GB, of which the first rows are written.
fn sparse(folder: &Path) -> PathBuf {
    let path = folder.join("large.npy");
    let bytes: Vec<u8> = (0..784 * 1000u32).map(|at| (at % 251) as u8).collect();
    npy(&path, "|u1", "(26000000, 1, 28, 28)", &bytes);
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.flush().unwrap();
    let header = file.metadata().unwrap().len() - bytes.len() as u64;
    file.set_len(header + 26_000_000 * 784).unwrap();
    path
}

#[test]
fn twenty_gigabytes_are_trained_on_within_five_hundred_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = sparse(folder.path());
    let settings = ["data.validation=1e-4", "train.epochs=1", "train.time_limit={ seconds = 10 }"];
    let experiment = experiment(folder.path(), &path, &settings).unwrap();
    ALLOCATED.reset_peak_usage();
    let mut run = Run::create_at(&experiment, folder.path().join("run")).unwrap();
    assert_eq!(run.train(vec![], &Interrupt::new()).unwrap(), End::OutOfTime);
    let most = ALLOCATED.peak_usage_as_mb();
    assert!(most < 100.0, "{most} MB");
}
