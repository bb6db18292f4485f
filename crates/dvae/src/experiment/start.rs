//! Weights that a training starts from.

use std::path::{Path, PathBuf};

use burn::module::Module;
use dvae_checks::shown_path;
use dvae_distributions::LikelihoodConfig;
use dvae_models::AutoencoderConfig;
use dvae_train::WeightFile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::identity::{Described, described};
use super::pretrained::weights_of;
use super::{Bundled, ExperimentError, PreparedData, Weights};

/// Weights that a training starts from, in place of random ones: those of a model that comes with the crate, by its name,
/// or else of a run's folder (the best ones) or a file of weights. The network and the likelihood must be the
/// same, apart from `mean_scale`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "PathBuf", into = "PathBuf")]
#[schemars(with = "PathBuf")]
pub enum Start {
    /// A model that comes with the crate.
    Bundled(Bundled),
    /// A run's folder, or a file of weights.
    Path(PathBuf),
}

impl From<PathBuf> for Start {
    fn from(path: PathBuf) -> Self {
        let named = Bundled::ALL.into_iter().find(|model| path == Path::new(model.name()));
        named.map_or(Self::Path(path), Self::Bundled)
    }
}

impl From<Start> for PathBuf {
    fn from(start: Start) -> Self {
        match start {
            Start::Bundled(model) => Self::from(model.name()),
            Start::Path(path) => path,
        }
    }
}

/// The key of weights to start from, for messages.
const START: &str = "`start`";

/// An error if a part of the model is another one in weights that are to be loaded.
pub(super) fn check<T: PartialEq + Serialize>(
    what: &str,
    key: &str,
    of_start: &T,
    asked: &T,
    place: &Path,
) -> Result<(), ExperimentError> {
    if of_start == asked {
        return Ok(());
    }
    let text = |value: &T| serde_json::to_string(value).unwrap_or_default();
    Err(ExperimentError::Settings(format!(
        "{what}: the weights in {} were trained with the `{key}` {}, and not {}",
        shown_path(place),
        text(of_start),
        text(asked)
    )))
}

/// A likelihood without what weights do not depend on.
pub(super) fn density(likelihood: &LikelihoodConfig) -> LikelihoodConfig {
    let mut likelihood = likelihood.clone();
    match &mut likelihood {
        LikelihoodConfig::LearnedNormal { mean_scale, .. } => *mean_scale = None,
        LikelihoodConfig::SelfMasking { of, .. } => **of = density(of),
        // No row that is trained on has it.
        LikelihoodConfig::Proportions { total, .. } => *total = 1.0,
        LikelihoodConfig::Columns { groups } => {
            groups.iter_mut().for_each(|group| group.likelihood = density(&group.likelihood));
        }
        _ => {}
    }
    likelihood
}

/// The columns of a table of several kinds, with the texts of their classes.
fn meaning(data: &PreparedData) -> Option<Vec<(&str, &[String])>> {
    let columns = data.kinds.as_ref()?;
    Some(columns.iter().map(|column| (&*column.name, &column.classes[..])).collect())
}

impl Start {
    /// The model of this configuration with these weights. An error names what does not fit it.
    pub(super) fn load<M: Module>(
        &self,
        config: &AutoencoderConfig,
        of_data: &PreparedData,
        model: M,
    ) -> Result<M, ExperimentError> {
        let place = PathBuf::from(self.clone());
        let weights = match self {
            Self::Bundled(bundled) => bundled.file()?,
            Self::Path(path) => WeightFile::open(&weights_of(path, Weights::Best)?)?,
        };
        // Weights of equal shapes may be of another function.
        if let Some(text) = weights.config().filter(|text| !text.is_empty()) {
            let Described { experiment: own, data, .. } =
                described(text, &format!("the configuration in {}", shown_path(&place)))?;
            check(START, "model.network", &own.model.network, &config.network, &place)?;
            check(START, "model.log_input", &own.model.log_input, &config.log_input, &place)?;
            let of_start = own.likelihood_for(&data);
            let [of_start, asked] = [&of_start, &config.likelihood].map(density);
            check(START, "model.likelihood", &of_start, &asked, &place)?;
            if data.vocabulary != of_data.vocabulary {
                return Err(ExperimentError::Settings(format!(
                    "{START}: the weights in {} are for other characters than those of these texts",
                    shown_path(&place)
                )));
            }
            // Of classes the numbers mean the texts.
            check(START, "data.kinds", &meaning(&data), &meaning(of_data), &place)?;
        }
        Ok(weights.load(model)?)
    }

    /// The path, if it is one.
    pub(super) fn path_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::Bundled(_) => None,
            Self::Path(path) => Some(path),
        }
    }
}
