//! Checkpoints: written to a temporary folder, renamed when complete, used only if their checksums match.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use dvae_checks::contained;
use dvae_data::sync_folder;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::early_stopping::Measured;
use crate::identity::Identity;
use crate::run_folder::read_file;
use crate::terms::TermSums;

const MODEL: &str = "model.bpk";
const AVERAGE: &str = "average.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const MANIFEST: &str = "manifest.json";
/// The checksum of the manifest.
const SEAL: &str = "manifest.crc32";

/// The manifest of a checkpoint, written last.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    /// The version of the program that wrote it.
    version: String,
    state: State,
    run: Identity,
    files: Vec<Checksum>,
}

/// The progress of a training, besides its weights. Noise, order and schedules all follow from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Steps done since the beginning.
    pub(crate) steps: usize,
    pub(crate) measured: Measured,
    /// Terms of the training rows since the last measurement.
    pub(crate) terms: TermSums,
    /// Bits of the largest gradient norm since the last measurement.
    pub(crate) gradient_norm: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Checksum {
    name: String,
    crc32: u32,
}

const FORMAT: u32 = 3;

/// The state to be saved.
pub(crate) struct Snapshot<'a, M> {
    pub(crate) state: &'a State,
    pub(crate) model: &'a M,
    pub(crate) average: Option<&'a M>,
    pub(crate) optimizer: &'a ModuleOptimizer,
    pub(crate) run: &'a Identity,
}

/// Saves a snapshot in a new folder under `root`, keeps the newest `keep` checkpoints, and returns the new
/// folder.
pub(crate) fn save<M: Module>(
    root: &Path,
    snapshot: &Snapshot<M>,
    keep: usize,
) -> Result<PathBuf, TrainError> {
    let target = root.join(format!("step-{:08}", snapshot.state.steps));
    let beside = root.join(format!("step-{:08}.tmp", snapshot.state.steps));
    remove(&beside)?;
    fs::create_dir_all(root).map_err(TrainError::io("make the folder", root))?;
    // Nothing may be there: what lies in this folder was written by this process.
    fs::create_dir(&beside).map_err(TrainError::io("make the folder", &beside))?;
    if let Err(error) = write(&beside, &target, snapshot) {
        // An unfinished checkpoint is removed, so that it does not take up space on a full disk.
        let _ = fs::remove_dir_all(&beside);
        return Err(error);
    }
    // Only an unusable checkpoint, or one of this very training, can have this name.
    remove(&target)?;
    fs::rename(&beside, &target).map_err(TrainError::io("write", &target))?;
    // The new checkpoint is durable before an old one is removed.
    sync_folder(root).map_err(TrainError::io("write", root))?;
    // Checkpoints of later steps were unusable; half-written ones were left by processes that died.
    let later = |number: u64| number > snapshot.state.steps as u64;
    let (stale, own): (Vec<_>, Vec<_>) =
        list(root)?.into_iter().partition(|(number, _)| later(*number));
    let stale = stale.into_iter().map(|(_, path)| path).chain(half_written(root)?);
    let old = own.into_iter().rev().skip(keep).map(|(_, path)| path);
    stale.chain(old).try_for_each(|path| remove(&path))?;
    Ok(target)
}

fn remove(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::io("replace", folder)(error))
        }
        _ => Ok(()),
    }
}

fn write<M: Module>(
    folder: &Path,
    target: &Path,
    snapshot: &Snapshot<M>,
) -> Result<(), TrainError> {
    let io = |error: io::Error| TrainError::io("write", target)(error);
    let mut files = vec![];
    let mut add = |name: &str, bytes: Result<Bytes, burn::store::RecordError>| {
        let bytes = bytes.map_err(|error| unusable(target, error))?;
        files.push(Checksum { name: name.into(), crc32: crc32fast::hash(&bytes) });
        write_new(&folder.join(name), &bytes).map_err(io)
    };
    add(MODEL, snapshot.model.valid().into_record().into_bytes())?;
    add(OPTIMIZER, snapshot.optimizer.into_bytes())?;
    if let Some(average) = snapshot.average {
        add(AVERAGE, average.clone().into_record().into_bytes())?;
    }
    let (state, run) = (snapshot.state.clone(), snapshot.run.clone());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let manifest = Manifest { format: FORMAT, version, state, run, files };
    let manifest = serde_json::to_vec_pretty(&manifest).map_err(|error| unusable(target, error))?;
    let seal = format!("{:08x}", crc32fast::hash(&manifest));
    write_new(&folder.join(SEAL), seal.as_bytes()).map_err(io)?;
    write_new(&folder.join(MANIFEST), &manifest).map_err(io)?;
    sync_folder(folder).map_err(io)
}

/// Writes a file that does not exist, and waits until it is on the disk.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The contents of a checkpoint.
pub(crate) struct Loaded<M> {
    pub(crate) folder: PathBuf,
    pub(crate) model: M,
    pub(crate) average: Option<M>,
    pub(crate) optimizer: ModuleOptimizer,
    pub(crate) state: State,
    pub(crate) run: Identity,
}

/// Loads the newest intact checkpoint under `root` into `model` and `optimizer`, with its state.
pub(crate) fn load<M: Module>(
    root: &Path,
    model: M,
    optimizer: ModuleOptimizer,
) -> Result<Loaded<M>, TrainError> {
    let (folder, manifest) = newest_intact(root)?;
    let average = manifest.files.iter().any(|file| file.name == AVERAGE);
    let average = average.then(|| load_model(&folder, AVERAGE, model.clone())).transpose()?;
    let model = load_model(&folder, MODEL, model)?;
    let bytes = read(&folder, OPTIMIZER)?;
    // Burn loads to its own default device first, and panics if there is none.
    let optimizer = contained(|| optimizer.from_bytes(bytes))
        .map_err(|panic| {
            let advice = "if Burn's default device does not work, set BURN_DEVICE=flex";
            unusable(&folder, format!("its optimizer cannot be read: {panic}; {advice}"))
        })?
        .map_err(|error| unusable(&folder, error))?;
    let Manifest { state, run, .. } = manifest;
    Ok(Loaded { folder, model, average, optimizer, state, run })
}

/// Whether there is any checkpoint under `root`, intact or not.
pub(crate) fn any(root: &Path) -> Result<bool, TrainError> {
    match fs::metadata(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        _ => Ok(!list(root)?.is_empty()),
    }
}

/// Loads the weights of the newest intact checkpoint under `root`: the averaged ones, if they are kept.
pub(crate) fn load_weights<M: Module>(root: &Path, model: M) -> Result<M, TrainError> {
    let (folder, manifest) = newest_intact(root)?;
    let average = manifest.files.iter().any(|file| file.name == AVERAGE);
    load_model(&folder, if average { AVERAGE } else { MODEL }, model)
}

fn load_model<M: Module>(folder: &Path, name: &str, model: M) -> Result<M, TrainError> {
    let bytes = read(folder, name)?;
    let unfit =
        |reason: String| unusable(folder, format!("its weights do not fit this model: {reason}"));
    // Weights of another element type make Burn panic.
    contained(|| ModuleRecord::from_bytes(bytes).and_then(|record| model.try_load_record(record)))
        .map_err(unfit)?
        .map_err(|error| unfit(error.to_string()))
}

/// Reads a whole file at once. Burn would read it lazily, and the checkpoint may have been removed by then.
fn read(folder: &Path, name: &str) -> Result<Bytes, TrainError> {
    read_file(&folder.join(name)).map(Bytes::from_bytes_vec)
}

fn newest_intact(root: &Path) -> Result<(PathBuf, Manifest), TrainError> {
    let mut newest_error = None;
    for (steps, folder) in list(root)?.into_iter().rev() {
        match intact(&folder, steps) {
            Ok(manifest) => return Ok((folder, manifest)),
            Err(error) => newest_error = newest_error.or(Some(error)),
        }
    }
    Err(newest_error.unwrap_or_else(|| unusable(root, "the folder holds no checkpoint")))
}

/// The manifest of the folder of so many steps, if it and every file match.
fn intact(folder: &Path, steps: u64) -> Result<Manifest, TrainError> {
    let text = read(folder, MANIFEST)?;
    let seal = read(folder, SEAL)?;
    if format!("{:08x}", crc32fast::hash(&text)).as_bytes() != &*seal {
        return Err(unusable(folder, format!("{MANIFEST} is damaged")));
    }
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| unusable(folder, error))?;
    if manifest.format != FORMAT {
        let reason = format!("its format is {}, this version reads {FORMAT}", manifest.format);
        return Err(unusable(folder, reason));
    }
    if manifest.state.steps as u64 != steps {
        let reason = format!("{MANIFEST} is of another one, of {} steps", manifest.state.steps);
        return Err(unusable(folder, reason));
    }
    let names: Vec<&str> = manifest.files.iter().map(|file| &*file.name).collect();
    // No other file is looked at, whatever the manifest names.
    if names != [MODEL, OPTIMIZER] && names != [MODEL, OPTIMIZER, AVERAGE] {
        return Err(unusable(
            folder,
            format!("{MANIFEST} does not list the files of a checkpoint"),
        ));
    }
    for expected in &manifest.files {
        if checksum(folder, &expected.name)? != *expected {
            return Err(unusable(folder, format!("{} is damaged", expected.name)));
        }
    }
    Ok(manifest)
}

fn checksum(folder: &Path, name: &str) -> Result<Checksum, TrainError> {
    let bytes = read(folder, name)?;
    Ok(Checksum { name: name.into(), crc32: crc32fast::hash(&bytes) })
}

/// Checkpoints by the number of steps done, the oldest first; other folders are ignored.
fn list(root: &Path) -> Result<Vec<(u64, PathBuf)>, TrainError> {
    let entries = fs::read_dir(root).map_err(TrainError::io("read the folder", root))?;
    let mut checkpoints: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let number = path.file_name()?.to_str()?.strip_prefix("step-")?;
            let digits = number.len() >= 8 && number.bytes().all(|byte| byte.is_ascii_digit());
            (digits && path.is_dir()).then_some((number.parse().ok()?, path))
        })
        .collect();
    checkpoints.sort();
    Ok(checkpoints)
}

/// Folders left half-written by a process that died.
fn half_written(root: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let entries = fs::read_dir(root).map_err(TrainError::io("read the folder", root))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_half = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("step-") && name.ends_with(".tmp") && path.is_dir()
    };
    Ok(paths.filter(is_half).collect())
}

fn unusable(path: &Path, reason: impl ToString) -> TrainError {
    TrainError::Checkpoint { path: path.into(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_named_as_checkpoints_count_and_in_the_order_of_their_numbers() {
        let root = tempfile::tempdir().unwrap();
        let names =
            ["data", "step-00000009.tmp", "step-x", "step-100000000", "step-99999999", "step-1"];
        for name in names {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let numbers: Vec<u64> = list(root.path()).unwrap().into_iter().map(|(n, _)| n).collect();
        assert_eq!(numbers, [99_999_999, 100_000_000]);
    }
}
