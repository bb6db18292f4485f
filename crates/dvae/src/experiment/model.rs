//! The model of an experiment, for rows of the shape that its data has.

use dvae_corruption::Domain;
use dvae_data::Pairs;
use dvae_models::AutoencoderConfig;

use super::units::{is_discrete, is_for_unit};
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
        let domain = self.domain(data);
        let rank = Rank::of(&data.event)?;
        Ok(with_rank!(rank, D => self.corruption.build::<D>(domain)?.shows_mask()))
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
        Ok(AutoencoderConfig { event: event.clone(), mask_input, ..model.clone() })
    }
}
