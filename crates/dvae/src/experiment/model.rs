//! The model of an experiment, for rows of the shape that its data has.

use std::sync::Arc;

use dvae_corruption::{
    Corruption, CorruptionConfig, CorruptionContext, Domain, ShowMask, TableColumnRows, TableRows,
    TextContext, Units,
};
use dvae_data::{ColumnKind, Dataset, Pairs, Scaler, TableColumn};
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

/// The numbers of files behind scaled ones.
#[derive(Debug)]
struct UnitsOfFiles(Scaler);

impl Units for UnitsOfFiles {
    fn of_file(&self, column: usize, value: f32) -> f64 {
        self.0.undo_at(column, value)
    }

    fn of_model(&self, column: usize, value: f64) -> f32 {
        self.0.apply_at(column, value)
    }
}

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
        // What a process shows does not depend on the rows.
        let table = self.table_rows(data, None).map(Arc::new);
        Ok(with_rank!(rank, D => self.process::<D>(data, table)?.shows_mask()))
    }

    /// The corruption of the training. A network of tables is always shown which cells are hidden or missing.
    pub(super) fn process<const D: usize>(
        &self,
        data: &PreparedData,
        table: Option<Arc<TableRows>>,
    ) -> Result<Box<dyn Corruption<D>>, ExperimentError> {
        let shows_mask = matches!(self.model.network, NetworkConfig::Table(_));
        self.process_of(&self.corruption, data, table, shows_mask)
    }

    /// A corruption of the model's input, with an empty mask added if the model expects one. For a process of tables, `table` has the
    /// training rows. An error says that it does not apply to the data.
    pub(super) fn process_of<const D: usize>(
        &self,
        corruption: &CorruptionConfig,
        data: &PreparedData,
        table: Option<Arc<TableRows>>,
        shows_mask: bool,
    ) -> Result<Box<dyn Corruption<D>>, ExperimentError> {
        if corruption.needs_table() && self.data.binarization.is_some() {
            let text = format!(
                "`{corruption}` is for the cells of tables as they are: leave `data.binarization` out"
            );
            return Err(ExperimentError::Settings(text));
        }
        let is_of_kinds = matches!(self.model.network, NetworkConfig::Table(_));
        // A network of tables is shown what is erased, as it is shown what is missing; what is wrong is for it to find.
        let corruption = match corruption {
            CorruptionConfig::ShowMask { of } if is_of_kinds => of,
            corruption => corruption,
        };
        let likelihood = self.likelihood_for(data);
        let has_classes = (0..data.event[0]).any(|place| likelihood.classes_at(place) > 0);
        if is_of_kinds && has_classes && !corruption.keeps_classes() {
            return Err(ExperimentError::Settings(format!(
                "`{corruption}` would turn classes into fractions: use `masking`, or processes of tables such as `swap`, `jitter` and \
                 `category-flip`"
            )));
        }
        let texts = data.vocabulary.clone().map(|vocabulary| TextContext {
            vocabulary: Arc::new(vocabulary),
            typos: data.typos.clone().map(Arc::new),
        });
        let context = CorruptionContext { domain: self.domain(data), table, texts };
        let process = corruption.build::<D>(context)?;
        match shows_mask && !process.shows_mask() {
            true if is_of_kinds => Ok(Box::new(ShowMask::of_hidden(process)?)),
            true => Ok(Box::new(ShowMask::new(process)?)),
            false => Ok(process),
        }
    }

    /// The columns of data that are a table, with these training rows, for corruptions of tables; without rows, their names and kinds
    /// alone. `None` if rows have several axes.
    pub fn table_rows(&self, data: &PreparedData, train: Option<&Dataset>) -> Option<TableRows> {
        let [width] = data.event[..] else { return None };
        let likelihood = self.likelihood_for(data);
        let name = |place: usize| match &data.columns {
            Some(names) if names.len() == width => names[place].clone(),
            _ => place.to_string(),
        };
        let columns = (0..width).map(|place| {
            let cells = train.into_iter().flat_map(|train| train.cells(place));
            TableColumnRows::new(name(place), likelihood.classes_at(place), cells)
        });
        let table = TableRows::new(columns.collect());
        Some(match &data.scaler {
            Some(scaler) => table.in_units(Arc::new(UnitsOfFiles(scaler.clone()))),
            None => table,
        })
    }

    /// The likelihood of rows of the data: of a table of several kinds, that of the model for columns of numbers, and classes for
    /// the others.
    pub fn likelihood_for(&self, data: &PreparedData) -> LikelihoodConfig {
        if let Some(vocabulary) = &data.vocabulary {
            return LikelihoodConfig::Tokens { classes: vocabulary.len() };
        }
        let Some(columns) = &data.kinds else { return self.model.likelihood.clone() };
        let law = &self.model.likelihood;
        let of_classes = |column: &TableColumn| match (column.classes.len(), column.kind) {
            (classes @ 3.., ColumnKind::Ordinal) if data.orders_classes => {
                LikelihoodConfig::Ordinal { classes }
            }
            (classes, _) => LikelihoodConfig::Categorical { classes },
        };
        let of_column = |column: &TableColumn| match law {
            law if column.classes.is_empty() => law.clone(),
            LikelihoodConfig::SelfMasking { missing, .. } => {
                let of = Box::new(of_classes(column));
                LikelihoodConfig::SelfMasking { of, missing: *missing }
            }
            _ => of_classes(column),
        };
        // Adjacent columns of one likelihood are computed at once.
        let mut groups: Vec<ColumnGroup> = vec![];
        for likelihood in columns.iter().map(of_column) {
            // What columns share, one of each keeps for itself.
            let is_own = likelihood.shared_weights(2) == 2 * likelihood.shared_weights(1);
            let same = |last: &&mut ColumnGroup| is_own && last.likelihood == likelihood;
            match groups.last_mut().filter(|last| data.groups_columns && same(last)) {
                Some(last) => last.columns += 1,
                None => groups.push(ColumnGroup { columns: 1, likelihood }),
            }
        }
        LikelihoodConfig::Columns { groups }
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

    /// Checks that network and likelihood are for texts.
    fn check_texts(&self) -> Result<(), ExperimentError> {
        let network = self.model.network.name();
        if !matches!(self.model.network, NetworkConfig::Tokens(_)) {
            return Err(ExperimentError::Settings(format!(
                "texts have `model.network = \"tokens\"`, but it is `{network}`"
            )));
        }
        // That of an experiment that names none.
        let is_left_out = self.model.likelihood == LikelihoodConfig::default();
        if !is_left_out && !self.model.likelihood.is_of_texts() {
            let text = "texts have the likelihood `tokens`: leave `model.likelihood` out";
            return Err(ExperimentError::Settings(text.to_owned()));
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
        match data.vocabulary {
            Some(_) => self.check_texts()?,
            // Any number would be a token.
            None if matches!(self.model.network, NetworkConfig::Tokens(_)) => {
                let text = "the network `tokens` is for `data.source = \"text\"`";
                return Err(ExperimentError::Settings(text.to_owned()));
            }
            None => {}
        }
        let domain = self.domain(data);
        if model.log_input && domain != Domain::Counts {
            return Err(ExperimentError::Settings(format!(
                "`model.log_input` is for counts, but the model sees {domain}: leave it out, or say that the data are counts by \
                 `data.domain` and leave scaling out"
            )));
        }
        let likelihood = self.likelihood_for(data);
        Ok(AutoencoderConfig { event: event.clone(), mask_input, likelihood, ..model.clone() })
    }
}
