//! Experiments: data, corruption, model, objective and training in one file.

mod bundled;
mod calibration;
mod data;
mod error;
mod flips;
mod identity;
mod impute;
mod impute_intervals;
mod inference;
mod layer_errors;
mod layers;
mod measures;
mod model;
#[cfg(feature = "onnx")]
mod onnx;
mod patches;
mod pictures;
mod prepared;
mod pretrained;
mod pytorch;
mod reading;
mod repair;
mod repair_calibration;
mod run;
mod schema;
mod source;
mod source_texts;
mod start;
mod tiles;
mod units;

use std::path::Path;

use dvae_corruption::CorruptionConfig;
use dvae_models::AutoencoderConfig;
use dvae_train::TrainConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

pub use bundled::Bundled;
pub use calibration::Coverage;
pub use data::DataConfig;
pub use error::ExperimentError;
pub use impute::Imputation;
pub use impute_intervals::ImputationIntervals;
pub use inference::Uncertainty;
#[cfg(feature = "onnx")]
pub use onnx::GraphPart;
pub use pictures::{LatentChoice, PictureOptions};
pub use prepared::{Prepared, PreparedData, Splits};
pub use pretrained::{HeldOut, Pretrained, Weights, from_pretrained};
pub use repair::{Bonus, KnownTexts, RepairCandidate, RepairOptions, TextRepair};
pub use repair_calibration::RepairCalibration;
pub use run::{Run, Status};
pub use source::DataSource;
pub use start::Start;

use crate::Backend;

/// An experiment: data, corruption, model, objective and training settings. Every key may be left out of a
/// file.
///
/// ```toml
/// corruption = "mixed"              # or a table: { process = "gaussian", level = 0.3 }
///
/// [data]
/// source = "fashion-mnist"
///
/// [model]
/// network = "conv"
/// latent = 32
///
/// [train]
/// epochs = 30
/// learning_rate = { rate = 0.002, decay = { cosine = { to = 0.0001 } } }
///
/// [train.objective]
/// kl = { type = "weighted", beta = 1.0 }
/// ```
///
/// Keys are layered: the file overrides the defaults, the environment overrides the file
/// (`DVAE__TRAIN__EPOCHS=5`), and single settings override the environment (`train.epochs=5`).
///
/// ```
/// use dvae::Experiment;
///
/// let environment = [("DVAE__TRAIN__EPOCHS".to_owned(), "5".to_owned())];
/// let experiment = Experiment::layered(None, environment, &["model.latent=8".to_owned()])?;
/// assert_eq!(experiment.train.epochs, 5);
/// let error = Experiment::layered(None, [], &["train.epohs=5".to_owned()]).unwrap_err().to_string();
/// assert!(error.contains("unknown key `train.epohs`: did you mean `epochs`?"), "{error}");
/// # Ok::<(), dvae::ExperimentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Experiment {
    /// The name of the run's folder, to which a number is appended.
    pub name: String,
    /// The back end that the model runs on; the first one compiled in if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,
    /// How the input is corrupted in training: a string as on the command line, or a table. Left out, it is
    /// "mixed", or "masking:0.25" for tables and arrays (csv and npy).
    #[serde(deserialize_with = "text_or_table")]
    #[schemars(transform = or_text)]
    pub corruption: CorruptionConfig,
    /// The data to train on.
    pub data: DataConfig,
    /// The model.
    pub model: AutoencoderConfig,
    /// Weights to start from, in place of random ones: the folder of a run, a file of weights, `photographs-gray` or
    /// `photographs-color`. `model.network` and `model.likelihood` must be those that they were trained with, apart from
    /// `mean_scale`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// The training settings.
    pub train: TrainConfig,
}

impl Default for Experiment {
    /// A convolutional network on a part of Fashion-MNIST; each row gets one of three corruptions or none.
    fn default() -> Self {
        Self {
            name: "run".to_owned(),
            backend: None,
            corruption: "mixed".parse().expect("a corruption"),
            data: DataConfig::default(),
            model: AutoencoderConfig::default(),
            start: None,
            train: TrainConfig::default(),
        }
    }
}

impl Experiment {
    /// Loads the experiment from a file, then applies the environment and the single settings `key=value`.
    ///
    /// An error names the place of a wrong key or value, and the nearest known key.
    pub fn load(file: Option<&Path>, settings: &[String]) -> Result<Self, ExperimentError> {
        let mut variables = vec![];
        for (name, value) in std::env::vars_os() {
            let (Some(name), value) = (name.to_str(), value.into_string()) else { continue };
            match value {
                Ok(value) => variables.push((name.to_owned(), value)),
                Err(_) if name.starts_with(layers::PREFIX) => {
                    let place = format!("the environment variable {name}");
                    let reason = "its value is not Unicode text".to_owned();
                    return Err(ExperimentError::Config { place, reason });
                }
                Err(_) => {}
            }
        }
        Self::layered(file, variables, settings)
    }

    /// [`Experiment::load`] with a given environment.
    pub fn layered(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        settings: &[String],
    ) -> Result<Self, ExperimentError> {
        layers::read(file, environment, settings)
    }

    /// The experiment as a TOML file, with each key's description above it.
    ///
    /// An error names what TOML cannot hold: a path that is not valid Unicode, or a seed above 2⁶³ − 1.
    pub fn to_commented_toml(&self) -> Result<String, ExperimentError> {
        schema::commented(self)
    }

    /// The JSON schema of experiment files, for editors.
    pub fn schema() -> String {
        schema::schema()
    }

    /// The experiment as TOML.
    pub(crate) fn to_toml(&self) -> Result<String, ExperimentError> {
        toml::to_string(self).map_err(|error| {
            ExperimentError::Settings(format!("the experiment cannot be written: {error}"))
        })
    }
}

fn text_or_table<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CorruptionConfig, D::Error> {
    struct TextOrTable;

    impl<'de> serde::de::Visitor<'de> for TextOrTable {
        type Value = CorruptionConfig;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text such as \"gaussian:0.3\", or a table with a `process`")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<CorruptionConfig, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            map: A,
        ) -> Result<CorruptionConfig, A::Error> {
            CorruptionConfig::deserialize(serde::de::value::MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(TextOrTable)
}

/// Extends a schema to accept a string as well.
fn or_text(schema: &mut schemars::Schema) {
    let mut table = std::mem::take(schema);
    let description = table.remove("description");
    *schema = schemars::json_schema!({ "anyOf": [{ "type": "string" }, table] });
    if let Some(description) = description {
        schema.insert("description".to_owned(), description);
    }
}
