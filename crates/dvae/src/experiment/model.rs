//! The model of an experiment, for rows of the shape that its data has.

use dvae_corruption::{Corruption, CorruptionConfig, Domain, ShowMask};
use dvae_data::{Pairs, TableColumn};
use dvae_distributions::{ColumnGroup, LikelihoodConfig};
use dvae_models::{AutoencoderConfig, NetworkConfig};

use super::units::{is_density_at, is_discrete, is_for_unit};
use super::{DataSource, Experiment, ExperimentError, PreparedData};

/// The number of axes of a row. A batch tensor has one more, and that number is part of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    One,
    Two,
    Three,
}

impl Rank {
    /// The rank of rows of this shape.
    pub(super) fn of(event: &[usize]) -> Result<Self, ExperimentError> {
        match event.len() {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            3 => Ok(Self::Three),
            axes => Err(ExperimentError::Settings(format!(
                "rows of {axes} axes are not modeled: give them a shape of one to three by `data.shape`"
            ))),
        }
    }
}

/// Evaluates an expression in which the constant `D` is the rank of a batch tensor.
macro_rules! with_rank {
    ($rank:expr, $D:ident => $body:expr) => {
        match $rank {
            $crate::experiment::model::Rank::One => {
                const $D: usize = 2;
                $body
            }
            $crate::experiment::model::Rank::Two => {
                const $D: usize = 3;
                $body
            }
            $crate::experiment::model::Rank::Three => {
                const $D: usize = 4;
                $body
            }
        }
    };
}
pub(super) use with_rank;

impl Experiment {
    /// The domain of the data, as the model sees them.
    pub(super) fn domain(&self, data: &PreparedData) -> Domain {
        data.model_domain(&self.data)
    }

    /// What values of files are: numbers of which nothing is declared lie in `[0, 1]` if the likelihood is for such
    /// numbers, and they are not scaled.
    pub fn domain_of_files(&self, stored: Domain) -> Domain {
        let undeclared = self.data.domain.is_none() && !self.data.is_scaled();
        let is_unit = undeclared && stored == Domain::Real && is_for_unit(&self.model.likelihood);
        if is_unit { Domain::Unit } else { stored }
    }

    /// Whether the encoder is shown a mask. An error if the corruption does not apply to the data.
    fn shows_mask(&self, data: &PreparedData) -> Result<bool, ExperimentError> {
        let rank = Rank::of(&data.event)?;
        Ok(with_rank!(rank, D => self.process::<D>(data)?.shows_mask()))
    }

    /// The corruption of the training. A network of tables is always shown which cells are hidden or missing.
    pub(super) fn process<const D: usize>(
        &self,
        data: &PreparedData,
    ) -> Result<Box<dyn Corruption<D>>, ExperimentError> {
        let shows_mask = matches!(self.model.network, NetworkConfig::Table(_));
        self.process_of(&self.corruption, data, shows_mask)
    }

    /// A corruption of the model's input, with an empty mask added if the model expects one. An error says that it does not apply
    /// to the data, or that a network of tables would see nothing of what it leaves.
    pub(super) fn process_of<const D: usize>(
        &self,
        corruption: &CorruptionConfig,
        data: &PreparedData,
        shows_mask: bool,
    ) -> Result<Box<dyn Corruption<D>>, ExperimentError> {
        if matches!(self.model.network, NetworkConfig::Table(_)) && !corruption.only_erases() {
            return Err(ExperimentError::Settings(format!(
                "the network `table` is shown which cells were changed, and looks at the others alone: of `{corruption}` it \
                 would see none; erase cells by `masking`, or leave them by `none`"
            )));
        }
        let process = corruption.build::<D>(self.domain(data))?;
        if shows_mask && !process.shows_mask() {
            return Ok(Box::new(ShowMask::new(process)?));
        }
        Ok(process)
    }

    /// The likelihood of rows of the data: of a table of several kinds, that of the model for columns of numbers, and classes for
    /// the others.
    pub(super) fn likelihood_for(&self, data: &PreparedData) -> LikelihoodConfig {
        let Some(columns) = &data.kinds else { return self.model.likelihood.clone() };
        let groups = columns.iter().map(|column| ColumnGroup {
            columns: 1,
            likelihood: match column.classes.len() {
                0 => self.model.likelihood.clone(),
                classes => LikelihoodConfig::Categorical { classes },
            },
        });
        LikelihoodConfig::Columns { groups: groups.collect() }
    }

    /// Checks that network and likelihood are for columns of these kinds.
    fn check_kinds(&self, columns: &[TableColumn]) -> Result<(), ExperimentError> {
        let wrong = |text: String| Err(ExperimentError::Settings(text));
        let NetworkConfig::Table(_) = self.model.network else {
            let network = self.model.network.name();
            return wrong(format!(
                "`data.kinds` is for the network `table`, which tells classes from numbers, but `model.network` is `{network}`"
            ));
        };
        let law = &self.model.likelihood;
        let is_for_reals = is_density_at(law, 0) && !is_for_unit(law);
        let has_numbers = columns.iter().any(|column| column.classes.is_empty());
        // One scale for a batch cannot be told from holes.
        let is_odd = matches!(
            law,
            LikelihoodConfig::Columns { .. } | LikelihoodConfig::OptimalNormal { .. }
        );
        if has_numbers && (!is_for_reals || is_odd) {
            return wrong(
                "with `data.kinds`, `model.likelihood` is that of the columns of numbers, scaled: \"student-t\" or \
                 \"learned-normal\", for example"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// The model for rows of the data's shape. An error if the configuration states a different shape.
    pub(super) fn model_for(
        &self,
        data: &PreparedData,
    ) -> Result<AutoencoderConfig, ExperimentError> {
        let (model, event) = (&self.model, &data.event);
        if !model.event.is_empty() && model.event != *event {
            return Err(ExperimentError::Settings(format!(
                "`model.event` is {:?}, but the rows of the data are of shape {event:?}: leave the key out",
                model.event
            )));
        }
        let mask_input = self.shows_mask(data)?;
        if model.mask_input && !mask_input {
            let text = "`model.mask_input` is for a corruption that shows its mask: { process = \"show-mask\", \
                        of = { … } }";
            return Err(ExperimentError::Settings(text.to_owned()));
        }
        if let DataSource::Images { pairs: Some(Pairs::Shots {}), .. } = &self.data.source
            && is_discrete(&model.likelihood)
        {
            let text = "means of shots are between the values that the likelihood is for: use a normal one";
            return Err(ExperimentError::Settings(text.to_owned()));
        }
        if let Some(columns) = &data.kinds {
            self.check_kinds(columns)?;
        }
        let likelihood = self.likelihood_for(data);
        Ok(AutoencoderConfig { event: event.clone(), mask_input, likelihood, ..model.clone() })
    }
}
