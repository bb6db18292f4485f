//! Experiments, runs, checkpoints and weights with changed bytes, by the million: an error or what they are, never a panic
//! that nobody contains, and no more memory than the file allows. Checksums are made right after a change, so that what
//! lies behind them is reached.
//!
//! `DVAE_MUTATIONS=1000000 cargo test --release --workspace --test mutations -- --nocapture` tries as many as it says.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "../../dvae-data/tests/common/mod.rs"]
mod common;

use std::cell::Cell;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::mutated;
use dvae::burn::tensor::Device;
use dvae::models::AnyNetwork;
use dvae::prelude::*;
use dvae::train::{Interrupt, WeightFile, import_state_dict, load_checkpoint};
use dvae::{Experiment, Pretrained, Run, Weights};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const EXPERIMENT: &str = r#"
corruption = "mixed"
data = { source = "csv", path = "DATA", scaling = "standard" }

[model]
network = { type = "mlp", hidden = [5, 4] }
latent = 2
likelihood = { type = "normal", scale = 0.5 }

[train]
epochs = 2
batch_size = 16
ema = 0.9
"#;

/// A run that is done, and its checkpoint.
struct Whole {
    folder: tempfile::TempDir,
    run: PathBuf,
    checkpoint: PathBuf,
    /// The files that are other ones in the changed checkpoint, if there is one.
    changed: Cell<Option<Vec<String>>>,
}

impl Whole {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data.csv");
        let rows: String =
            (0..40).map(|row| format!("{},{},{}\n", row, row * 7 % 11, row % 3)).collect();
        fs::write(&data, format!("a,b,c\n{rows}")).unwrap();
        let file = folder.path().join("e.toml");
        fs::write(&file, EXPERIMENT.replace("DATA", data.to_str().unwrap())).unwrap();
        let settings = ["corruption=gaussian:0.3".to_owned()];
        let experiment = Experiment::load(Some(&file), &settings).unwrap();
        let run = folder.path().join("run");
        Run::create_at(&experiment, &run).unwrap().train(vec![], &Interrupt::new()).unwrap();
        let mut checkpoints: Vec<_> = fs::read_dir(run.join("checkpoints"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        checkpoints.sort();
        let checkpoint = checkpoints.pop().unwrap();
        Self { folder, run, checkpoint, changed: Cell::default() }
    }

    /// A folder with one checkpoint, some files of which are other ones.
    fn checkpoint_with(&self, files: &[(&str, &[u8])]) -> PathBuf {
        let root = self.folder.path().join("checkpoints");
        let own = root.join(self.checkpoint.file_name().unwrap());
        // What was changed the last time is what it was.
        let names: Vec<String> = match self.changed.take() {
            Some(names) => names,
            None => {
                fs::create_dir_all(&own).unwrap();
                let entries = fs::read_dir(&self.checkpoint).unwrap();
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
            }
        };
        for name in names {
            fs::copy(self.checkpoint.join(&name), own.join(&name)).unwrap();
        }
        for (name, bytes) in files {
            fs::write(own.join(name), bytes).unwrap();
        }
        self.changed.set(Some(files.iter().map(|(name, _)| (*name).to_owned()).collect()));
        root
    }

    /// The same after a change of one of its files, whose checksum is made right.
    fn sealed(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let manifest = match name {
            "manifest.json" => bytes.to_vec(),
            name => {
                let text = fs::read(self.checkpoint.join("manifest.json")).unwrap();
                let mut manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
                let files = manifest["files"].as_array_mut().unwrap();
                let file = files.iter_mut().find(|file| file["name"] == name).unwrap();
                file["crc32"] = crc32fast::hash(bytes).into();
                serde_json::to_vec(&manifest).unwrap()
            }
        };
        let seal = format!("{:08x}", crc32fast::hash(&manifest));
        let files =
            [(name, bytes), ("manifest.json", &manifest), ("manifest.crc32", seal.as_bytes())];
        self.checkpoint_with(&files)
    }
}

/// A safetensors file with a right length of its header and a right checksum, if it can be had.
fn checked(bytes: &[u8]) -> Vec<u8> {
    let attempt = || -> Option<Vec<u8>> {
        let length = u64::from_le_bytes(*bytes.first_chunk()?) as usize;
        let mut header: serde_json::Value =
            serde_json::from_slice(bytes.get(8..8 + length)?).ok()?;
        let weights = bytes.get(8 + length..)?;
        let metadata = header.get_mut("__metadata__")?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(metadata["config"].as_str()?.as_bytes());
        hasher.update(weights);
        *metadata.get_mut("crc32")? = format!("{:08x}", hasher.finalize()).into();
        let header = serde_json::to_vec(&header).ok()?;
        Some([&(header.len() as u64).to_le_bytes()[..], &header, weights].concat())
    };
    attempt().unwrap_or_else(|| bytes.to_vec())
}

/// PyTorch's archive with another pickle in it.
fn state_dict_with(archive: &[u8], pickle: &[u8]) -> Vec<u8> {
    let mut from = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut to = zip::ZipWriter::new(Cursor::new(vec![]));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for at in 0..from.len() {
        let mut file = from.by_index(at).unwrap();
        let name = file.name().unwrap().into_owned();
        to.start_file(&*name, stored).unwrap();
        let mut bytes = vec![];
        file.read_to_end(&mut bytes).unwrap();
        to.write_all(if name.ends_with("data.pkl") { pickle } else { &bytes }).unwrap();
    }
    to.finish().unwrap().into_inner()
}

fn pickle_of(archive: &[u8]) -> Vec<u8> {
    let mut from = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut bytes = vec![];
    from.by_name("mlp/data.pkl").unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// The model that the state dict is of.
fn twin(device: &Device) -> Autoencoder<AnyNetwork> {
    let config = AutoencoderConfig::new(MlpConfig::new(&[5, 4]), &[6], 2);
    config.init(Key::new(1), device).unwrap()
}

fn small(device: &Device) -> Autoencoder<AnyNetwork> {
    let config = AutoencoderConfig {
        likelihood: normal(),
        ..AutoencoderConfig::new(MlpConfig::new(&[5, 4]), &[3], 2)
    };
    config.init(Key::new(1), device).unwrap()
}

fn normal() -> LikelihoodConfig {
    serde_json::from_str("{ \"type\": \"normal\", \"scale\": 0.5 }").unwrap()
}

/// What is changed, and what then reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Toml,
    DataToml,
    Metrics,
    Manifest,
    Model,
    Optimizer,
    Weights,
    StateDict,
    Pickle,
}

const KINDS: [Kind; 9] = [
    Kind::Toml,
    Kind::DataToml,
    Kind::Metrics,
    Kind::Manifest,
    Kind::Model,
    Kind::Optimizer,
    Kind::Weights,
    Kind::StateDict,
    Kind::Pickle,
];

struct Driver {
    whole: Whole,
    device: Device,
    state_dict: Vec<u8>,
}

impl Driver {
    fn bytes(&self, kind: Kind) -> Vec<u8> {
        let read = |path: PathBuf| fs::read(path).unwrap();
        let (run, checkpoint) = (&self.whole.run, &self.whole.checkpoint);
        match kind {
            Kind::Toml => read(run.join("config.toml")),
            Kind::DataToml => read(run.join("data.toml")),
            Kind::Metrics => read(run.join("metrics.jsonl")),
            Kind::Manifest => read(checkpoint.join("manifest.json")),
            Kind::Model => read(checkpoint.join("model.bpk")),
            Kind::Optimizer => read(checkpoint.join("optimizer.bpk")),
            Kind::Weights => read(run.join("best.safetensors")),
            Kind::StateDict => self.state_dict.clone(),
            Kind::Pickle => pickle_of(&self.state_dict),
        }
    }

    /// Writes the changed file and what belongs to it; returns what reads it.
    fn prepared(&self, kind: Kind, bytes: &[u8]) -> Box<dyn FnOnce() -> bool + '_> {
        let file = |name: &str, bytes: &[u8]| {
            let path = self.whole.folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let run = |name: &str| {
            let folder = self.whole.folder.path().join("changed");
            fs::create_dir_all(&folder).unwrap();
            for other in ["config.toml", "data.toml", "metrics.jsonl"] {
                fs::copy(self.whole.run.join(other), folder.join(other)).unwrap();
            }
            fs::write(folder.join(name), bytes).unwrap();
            folder
        };
        match kind {
            Kind::Toml => {
                let path = file("changed.toml", bytes);
                Box::new(move || Experiment::load(Some(&path), &[]).is_ok())
            }
            Kind::DataToml => {
                let folder = run("data.toml");
                Box::new(move || Run::open(folder).is_ok())
            }
            Kind::Metrics => {
                let folder = run("metrics.jsonl");
                Box::new(move || Run::open(folder).and_then(|run| run.metrics()).is_ok())
            }
            Kind::Manifest => self.checkpoint("manifest.json", bytes),
            Kind::Model => self.checkpoint("model.bpk", bytes),
            Kind::Optimizer => {
                let root = self.whole.sealed("optimizer.bpk", bytes);
                Box::new(move || self.resumes(&root))
            }
            Kind::Weights => {
                let path = file("changed.safetensors", &checked(bytes));
                Box::new(move || {
                    let _ = WeightFile::open(&path).map(|file| file.load(small(&self.device)));
                    Pretrained::load(&path, Weights::Best, Some(&self.device)).is_ok()
                })
            }
            Kind::StateDict => self.import(file("changed.pt", bytes)),
            Kind::Pickle => {
                self.import(file("changed.pt", &state_dict_with(&self.state_dict, bytes)))
            }
        }
    }

    fn checkpoint(&self, name: &str, bytes: &[u8]) -> Box<dyn FnOnce() -> bool + '_> {
        let root = self.whole.sealed(name, bytes);
        Box::new(move || load_checkpoint(&root, small(&self.device)).is_ok())
    }

    fn import(&self, path: PathBuf) -> Box<dyn FnOnce() -> bool + '_> {
        Box::new(move || import_state_dict(&path, twin(&self.device)).is_ok())
    }

    fn resumes(&self, root: &Path) -> bool {
        let process = Box::new(Masking::new(0.5).unwrap());
        let config = TrainConfig { ema: Some(0.9), ..TrainConfig::default() };
        let trainer =
            Trainer::<2, _>::new(small(&self.device), process, config, &self.device).unwrap();
        trainer.resume(root).is_ok()
    }
}

/// What a file may take: parsed, it is a multiple of its length.
fn most(length: usize) -> usize {
    (8 << 20) + 200 * length
}

#[test]
fn changed_files_of_runs_are_an_error_or_what_they_are() {
    let count: u64 = std::env::var("DVAE_MUTATIONS").map_or(4_000, |text| text.parse().unwrap());
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dvae-cli/tests/fixtures/mlp.pt");
    let driver = Driver {
        whole: Whole::new(),
        device: Device::flex(),
        state_dict: fs::read(fixture).unwrap(),
    };
    let wholes: Vec<(Kind, Vec<u8>)> = KINDS.map(|kind| (kind, driver.bytes(kind))).into();
    for (kind, bytes) in &wholes {
        let is_usable = driver.prepared(*kind, bytes)();
        assert!(is_usable, "{kind:?}: what is whole is read");
    }
    // Panics that are contained would be printed a thousand times.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let (mut worst, mut slowest, mut wrong) = (0, Duration::ZERO, None);
    for number in 0..count {
        let which = number as usize % wholes.len();
        let (kind, whole) = &wholes[which];
        let other = &wholes[(which + 1 + number as usize / 9 % 8) % wholes.len()].1;
        let bytes = mutated(whole, other, number);
        let read = driver.prepared(*kind, &bytes);
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let since = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(read));
        slowest = slowest.max(since.elapsed());
        let taken = MEMORY.peak_usage().saturating_sub(before);
        worst = worst.max(taken);
        if result.is_err() || taken > most(bytes.len()) {
            wrong =
                Some(format!("mutation {number}, {kind:?}, {taken} bytes of memory: {result:?}"));
            break;
        }
    }
    std::panic::set_hook(hook);
    assert_eq!(wrong, None);
    println!("{count} files; {worst} bytes of memory at most; {slowest:?} at most");
}
