//! Checkpoints: written beside, renamed when whole, trusted only if their checksums hold.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use serde::{Deserialize, Serialize};

use crate::run_folder::write_atomically;
use crate::{TrainConfig, TrainError};

const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const MANIFEST: &str = "manifest.json";
/// How many checkpoints are kept: the last, and the one before in case the last is damaged.
const KEPT: usize = 2;

/// What a checkpoint says of itself, written last.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    epochs_done: usize,
    train: TrainConfig,
    files: Vec<Checksum>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Checksum {
    name: String,
    crc32: u32,
}

const FORMAT: u32 = 1;

/// Saves the state after `epochs_done` epochs in a folder of its own under `root`.
pub(crate) fn save<M: Module>(
    root: &Path,
    epochs_done: usize,
    model: &M,
    optimizer: &ModuleOptimizer,
    train: &TrainConfig,
) -> Result<(), TrainError> {
    let target = root.join(format!("epoch-{epochs_done:05}"));
    let beside = root.join(format!("epoch-{epochs_done:05}.tmp"));
    for stale in [&beside, &target] {
        if stale.exists() {
            fs::remove_dir_all(stale).map_err(TrainError::io("replace", stale))?;
        }
    }
    fs::create_dir_all(&beside).map_err(TrainError::io("make the folder", &beside))?;
    let failed = |error: burn::store::RecordError| unusable(&target, error);
    model.valid().into_record().save(beside.join(MODEL)).map_err(failed)?;
    optimizer.save(beside.join(OPTIMIZER)).map_err(failed)?;
    let files = [MODEL, OPTIMIZER].map(|name| checksum(&beside, name));
    let files = files.into_iter().collect::<Result<_, _>>()?;
    let manifest = Manifest { format: FORMAT, epochs_done, train: train.clone(), files };
    let manifest =
        serde_json::to_vec_pretty(&manifest).map_err(|error| unusable(&target, error))?;
    write_atomically(&beside.join(MANIFEST), &manifest)?;
    fs::rename(&beside, &target).map_err(TrainError::io("write", &target))?;
    for old in list(root)?.into_iter().rev().skip(KEPT) {
        fs::remove_dir_all(&old).map_err(TrainError::io("remove", &old))?;
    }
    Ok(())
}

/// The newest intact checkpoint under `root`: the model and optimiser with its state, and the
/// epochs it has behind it.
pub(crate) fn load<M: Module>(
    root: &Path,
    model: M,
    optimizer: ModuleOptimizer,
    train: &TrainConfig,
) -> Result<(M, ModuleOptimizer, usize), TrainError> {
    let (folder, manifest) = newest_intact(root)?;
    if manifest.train != *train {
        let (saved, train) = (&manifest.train, train);
        return Err(unusable(
            &folder,
            format!("it was trained with {saved:?}, not with {train:?}"),
        ));
    }
    let model = load_model(&folder, model)?;
    let optimizer =
        optimizer.load(folder.join(OPTIMIZER)).map_err(|error| unusable(&folder, error))?;
    Ok((model, optimizer, manifest.epochs_done))
}

/// The weights of the newest intact checkpoint under `root`.
pub(crate) fn load_weights<M: Module>(root: &Path, model: M) -> Result<M, TrainError> {
    load_model(&newest_intact(root)?.0, model)
}

fn load_model<M: Module>(folder: &Path, model: M) -> Result<M, TrainError> {
    ModuleRecord::load(folder.join(MODEL))
        .and_then(|record| model.try_load_record(record))
        .map_err(|error| unusable(folder, format!("its weights do not fit this model: {error}")))
}

fn newest_intact(root: &Path) -> Result<(PathBuf, Manifest), TrainError> {
    let mut newest_error = None;
    for folder in list(root)?.into_iter().rev() {
        match intact(&folder) {
            Ok(manifest) => return Ok((folder, manifest)),
            Err(error) => newest_error = newest_error.or(Some(error)),
        }
    }
    Err(newest_error.unwrap_or_else(|| unusable(root, "the folder holds no checkpoint")))
}

/// The manifest, if every file is what it says.
fn intact(folder: &Path) -> Result<Manifest, TrainError> {
    let path = folder.join(MANIFEST);
    let text = fs::read(&path).map_err(TrainError::io("read", &path))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| unusable(folder, error))?;
    if manifest.format != FORMAT {
        let reason = format!("its format is {}, this version reads {FORMAT}", manifest.format);
        return Err(unusable(folder, reason));
    }
    for expected in &manifest.files {
        if checksum(folder, &expected.name)? != *expected {
            return Err(unusable(folder, format!("{} is damaged", expected.name)));
        }
    }
    Ok(manifest)
}

fn checksum(folder: &Path, name: &str) -> Result<Checksum, TrainError> {
    let path = folder.join(name);
    let bytes = fs::read(&path).map_err(TrainError::io("read", &path))?;
    Ok(Checksum { name: name.into(), crc32: crc32fast::hash(&bytes) })
}

/// Complete checkpoints, the oldest first.
fn list(root: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let entries = fs::read_dir(root).map_err(TrainError::io("read the folder", root))?;
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir() && path.extension().is_none())
        .collect();
    folders.sort();
    Ok(folders)
}

fn unusable(path: &Path, reason: impl ToString) -> TrainError {
    TrainError::Checkpoint { path: path.into(), reason: reason.to_string() }
}
