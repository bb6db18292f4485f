//! Models from PyTorch, and for it.

use std::path::{Path, PathBuf};

use dvae_checks::{shown, shown_path};
use dvae_data::write_file;
use dvae_models::AutoencoderConfig;
use dvae_train::{WeightFile, export_state_dict, import_state_dict};
use serde::Deserialize;

use super::identity::model_settings;
use super::start::{check, density};
use super::{Experiment, ExperimentError, PreparedData, Pretrained};

/// The module that is written beside weights for PyTorch.
const MODULE: &str = include_str!("../../assets/pytorch.py");

/// What messages call a file of weights.
const STATE_DICT: &str = "the state dict";

/// Modules that it imports.
const IMPORTED: [&str; 5] = ["json", "safetensors", "struct", "tomllib", "torch"];

impl Pretrained {
    /// Loads the model of an experiment with the weights of a PyTorch state dict: [`import_state_dict`]. The
    /// data is read, unless the model's configuration has the shape of a row and nothing is scaled. An error names a network or
    /// likelihood that is not that of the weights, if their file says it, as one of [`Self::export_pytorch`] does.
    pub fn import(experiment: &Experiment, state_dict: &Path) -> Result<Self, ExperimentError> {
        let event = &experiment.model.event;
        let (experiment, data) = if event.is_empty() || experiment.data.is_scaled() {
            let prepared = experiment.prepare()?;
            (prepared.experiment, prepared.data)
        } else {
            let mut data = PreparedData { event: event.clone(), ..PreparedData::default() };
            data.domain = experiment.domain_of_files(experiment.data.domain.unwrap_or_default());
            (experiment.clone(), data)
        };
        check_settings(&experiment.model_for(&data)?, state_dict)?;
        let device = experiment.device()?;
        // A number takes two bytes at least.
        let length = std::fs::metadata(state_dict).map_or(0, |file| file.len());
        Self::with_weights(experiment, data, device, length as usize / 2, |model| {
            import_state_dict(state_dict, model)
        })
    }

    /// Writes the weights for PyTorch, a safetensors file in the layout of its state dicts, and beside it the source of a module that has
    /// the model in PyTorch: `model.py` beside `model.safetensors`. Returns the path of the source. [`Self::import`] reads the weights
    /// again.
    ///
    /// An error names a file that is not called as a module of Python can be, with `.safetensors`, and a source beside it that is another
    /// one, or was changed.
    pub fn export_pytorch(&self, file: &Path) -> Result<PathBuf, ExperimentError> {
        self.data.check_numbers("modules of PyTorch")?;
        let source = module_beside(file)?;
        let is_free = std::fs::symlink_metadata(&source).is_err();
        if !is_free && std::fs::read_to_string(&source).ok().as_deref() != Some(MODULE) {
            return Err(ExperimentError::Settings(format!(
                "the module of the model would replace {}, which is another one, or was changed: choose another name, or remove it",
                shown_path(&source)
            )));
        }
        let model = self.experiment.model_for(&self.data)?;
        export_state_dict(file, &self.model, &model_settings(&model, &self.data)?)?;
        if is_free {
            write_file(&source, MODULE.as_bytes())?;
        }
        Ok(source)
    }
}

/// The path of the module beside a file of weights.
fn module_beside(file: &Path) -> Result<PathBuf, ExperimentError> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let is_letter = |c: char| c == '_' || c.is_ascii_alphabetic();
    let is_name = stem.starts_with(is_letter)
        && stem.chars().all(|c| is_letter(c) || c.is_ascii_digit())
        && !IMPORTED.contains(&stem);
    let is_weights = file.extension().is_some_and(|kind| kind == "safetensors");
    if is_name && is_weights {
        return Ok(file.with_extension("py"));
    }
    Err(ExperimentError::Settings(format!(
        "{} names a module for PyTorch too, so it must be letters, digits and _ with .safetensors, such as model.safetensors, and none of {}",
        shown_path(file),
        IMPORTED.join(", ")
    )))
}

/// An error if a file of weights says that they are of another network or likelihood: weights of equal shapes may be of another function.
fn check_settings(model: &AutoencoderConfig, state_dict: &Path) -> Result<(), ExperimentError> {
    #[derive(Deserialize)]
    struct Stored {
        model: AutoencoderConfig,
    }
    let is_safe = state_dict.extension().is_some_and(|kind| kind == "safetensors");
    let file = if is_safe { Some(WeightFile::open(state_dict)?) } else { None };
    let Some(text) = file.as_ref().and_then(WeightFile::settings) else { return Ok(()) };
    let own: Stored = toml::from_str(text).map_err(|error| ExperimentError::Config {
        place: format!("the settings in {}", shown_path(state_dict)),
        reason: shown(&error.to_string()),
    })?;
    let own = own.model;
    check(STATE_DICT, "model.network", &own.network, &model.network, state_dict)?;
    check(STATE_DICT, "model.log_input", &own.log_input, &model.log_input, state_dict)?;
    let [of_file, asked] = [&own.likelihood, &model.likelihood].map(density);
    check(STATE_DICT, "model.likelihood", &of_file, &asked, state_dict)
}
