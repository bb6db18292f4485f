//! The columns that `dvae impute --intervals` adds.

use std::path::Path;

use dvae::data::{FurtherColumn, ReadOptions, table_columns};
use dvae::{Imputation, ImputationIntervals, Pretrained};

use super::impute::Places;
use crate::Error;

/// Columns that say how sure the filled cells are.
pub(super) struct Intervals {
    learned: ImputationIntervals,
    /// The columns with holes, and whether they are classes.
    columns: Vec<(usize, bool)>,
    /// The columns that are added.
    pub(super) further: Vec<FurtherColumn>,
}

impl Intervals {
    const SHARE: f64 = 0.95;

    pub(super) fn learn(
        model: &Pretrained,
        file: &Path,
        options: &ReadOptions,
        places: &Places,
        samples: usize,
    ) -> Result<Self, Error> {
        if places.columns.is_none() || options.no_header {
            let text =
                "--intervals adds columns, and is for tables with names of columns (.csv, .tsv)";
            return Err(text.into());
        }
        let (mut rows, mut holes) = (0.0, vec![0.0; places.names.len()]);
        let all = model.open(file, options)?;
        let format = all.format.clone();
        for row in all {
            let row = row?;
            rows += 1.0;
            for (holes, value) in holes.iter_mut().zip(row.values()) {
                *holes += f64::from(u8::from(value.is_nan()));
            }
            // A class that is not known is no hole.
            row.unseen(&format).iter().for_each(|(place, _)| holes[*place] -= 1.0);
        }
        let shares: Vec<f64> = holes.iter().map(|holes| holes / f64::max(rows, 1.0)).collect();
        let with_holes = (0..shares.len()).filter(|&at| shares[at] > 0.0);
        let columns: Vec<(usize, bool)> = with_holes.map(|at| (at, model.is_class(at))).collect();
        let of_column = |&(at, is_class): &(usize, bool)| {
            let ends: &[&str] = if is_class { &["probability"] } else { &["low", "high"] };
            let values_of = if is_class { None } else { Some(at) };
            let name = |end| format!("{}_{end}", places.names[at]);
            ends.iter()
                .map(move |end| FurtherColumn { name: name(end), values_of })
                .collect::<Vec<_>>()
        };
        let further: Vec<FurtherColumn> = columns.iter().flat_map(of_column).collect();
        let own = table_columns(file, options)?;
        if let Some(column) =
            own.iter().find(|column| further.iter().any(|other| other.name == column.name))
        {
            let text = format!("the table has a column {} already: rename it first", column.name);
            return Err(text.into());
        }
        let learned = model.imputation_intervals(Self::SHARE, &shares, samples)?;
        Ok(Self { learned, columns, further })
    }

    /// The cells of the added columns for a row; NaN where nothing was filled in.
    pub(super) fn cells(
        &self,
        places: &Places,
        filled: &Imputation,
        missing: &[usize],
    ) -> Vec<f64> {
        let of_column = |&(at, is_class): &(usize, bool)| {
            let is_filled = missing.contains(&at);
            let (value, deviation) = (filled.values[at], filled.deviations[at]);
            if is_class {
                return vec![if is_filled { rounded(1.0 - deviation) } else { f64::NAN }];
            }
            let about = self.learned.about(at, value, deviation).filter(|_| is_filled);
            let column = places.columns.as_ref().map(|columns| &columns[at]);
            let fitted = about.zip(column).map(|(about, column)| column.fitted_interval(about));
            fitted.unwrap_or([f64::NAN; 2]).to_vec()
        };
        self.columns.iter().flat_map(of_column).collect()
    }
}

/// A probability in thousandths.
fn rounded(probability: f64) -> f64 {
    (probability * 1000.0).round() / 1000.0
}
