//! Files that a trained model is used on.

use std::path::Path;

use dvae_checks::Number;
use dvae_data::{DataError, Dataset, Domain, Fit, ReadOptions, Rows};

use super::{ExperimentError, Pretrained};

impl Pretrained {
    /// Opens a file whose rows are to be denoised or embedded.
    ///
    /// A gray model sees color images in gray, and a color model sees gray images in color. An array may have its channels last, axes of length 1, or flat rows. An error names a
    /// file with other rows, with numbers that are not those of the model's data, or a row with a value that no training
    /// input could have.
    pub fn open(&self, path: &Path, options: &ReadOptions) -> Result<Rows, ExperimentError> {
        let fit = Fit::Model(self.event().into());
        let rows = self.data.open(path, &ReadOptions { fit, ..options.clone() })?;
        match self.fits(path, &rows.format.event)? {
            shape if shape == self.event() => Ok(self.checked(path, rows)),
            _ => Err(self.unlike(path, &rows.format.event)),
        }
    }

    /// The same for pictures, which may have any sides: see [`Self::denoise_picture`].
    pub fn open_of_any_size(
        &self,
        path: &Path,
        options: &ReadOptions,
    ) -> Result<Rows, ExperimentError> {
        let rows = self.data.open(path, &ReadOptions { fit: self.fit(), ..options.clone() })?;
        self.fits(path, &rows.format.event)?;
        Ok(self.checked(path, rows))
    }

    /// The rows, of which a value that no training input could have is an error, and a row without a total for a model of such.
    fn checked(&self, path: &Path, rows: Rows) -> Rows {
        let (path, mut number, domain) = (path.to_path_buf(), 0, self.data.domain);
        let needs_totals = self.likelihood.needs_totals();
        let are_counts = domain == Domain::Counts
            && self.data.scaler.is_none()
            && self.experiment.corruption.keeps_counts();
        let range = self.input_range();
        if range.is_none() && !needs_totals && !are_counts {
            return rows;
        }
        rows.checked(move |row| {
            number += 1;
            let wrong = |what: String| {
                let reason = format!("row {} {what}", number - 1);
                Err(DataError::File { path: path.clone(), reason })
            };
            if needs_totals && row.find(f64::is_nan).is_some() {
                let text = "has a missing cell, but the likelihood `proportions` needs the total of each row";
                return wrong(text.to_owned());
            }
            let is_no_count = |value: f64| !value.is_nan() && !Domain::Counts.contains(value as f32);
            if let Some(value) = row.find(is_no_count).filter(|_| are_counts) {
                return wrong(format!("holds {}, but the model is for {domain}", value.show()));
            }
            let Some([low, high]) = range else { return Ok(()) };
            // In single precision, as the model sees them.
            let outside = |value: &f64| !(low as f32..=high as f32).contains(&(*value as f32));
            match row.find(|value| !value.is_nan() && outside(&value)) {
                None => Ok(()),
                Some(value) => wrong(format!(
                    "holds {}, but the model is for {domain}, and saw none outside [{low}, {high}] in training",
                    value.show()
                )),
            }
        })
    }

    /// The range of the encoder's inputs in training, in the units of the files, if the data have a range.
    fn input_range(&self) -> Option<[f64; 2]> {
        let (data, corruption) = (&self.data, &self.experiment.corruption);
        match data.domain {
            // Scaled values have none: not farther from [0, 1] than it is wide.
            Domain::Unit if data.scaler.is_some() => Some([-1.0, 2.0]),
            Domain::Counts if data.scaler.is_none() && corruption.is_never_negative() => {
                Some([0.0, f64::from(f32::MAX)])
            }
            // What they reach is in the model's units.
            _ if data.scaler.is_some() => None,
            _ => corruption.reach(self.experiment.domain(data)),
        }
    }

    /// Reads the rows of a file, prepared as the experiment's test rows are, for [`Self::evaluate`]. Pictures of other
    /// sides than those of training are refused unless the model applies to them whole: see [`Self::reach`].
    pub fn read(&self, path: &Path, options: &ReadOptions) -> Result<Dataset, ExperimentError> {
        let fit = if self.reach().is_some() { self.fit() } else { options.fit.clone() };
        let options = ReadOptions { fit, ..options.clone() };
        let fits = |event: &[usize]| match self.fits(path, event)? {
            shape if shape != self.event() && self.reach().is_none() => {
                Err(self.unlike(path, event))
            }
            shape => Ok(shape),
        };
        self.data.load_other(&self.experiment.data, path, &options, fits)
    }

    /// Which shape rows of files get that the model is applied to.
    fn fit(&self) -> Fit {
        match (self.event(), &self.experiment.data.shape) {
            (&[channels @ (1 | 3), _, _], None) => Fit::Channels(channels),
            _ => Fit::Model(self.event().into()),
        }
    }

    /// Checks that rows of this shape fit the model, and returns the shape that they have for it. Axes of length 1 are
    /// ignored, and a flat row with the same number of entries is accepted; with `data.shape`, any row with as many.
    /// Pictures may have other sides than the model's rows.
    pub fn fits(&self, path: &Path, event: &[usize]) -> Result<Vec<usize>, ExperimentError> {
        if let (3, Some(shape)) = (event.len(), self.picture(event)) {
            return Ok(shape.into());
        }
        let long = |shape: &[usize]| -> Vec<usize> {
            shape.iter().copied().filter(|&axis| axis != 1).collect()
        };
        let width = self.event().iter().product::<usize>();
        let reshaped = self.experiment.data.shape.is_some();
        let as_many = event.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis)) == Some(width);
        if long(event) == long(self.event()) || event == [width] || (reshaped && as_many) {
            return Ok(self.event().into());
        }
        self.picture(event).map(Vec::from).ok_or_else(|| self.unlike(path, event))
    }

    fn unlike(&self, path: &Path, event: &[usize]) -> ExperimentError {
        let (found, expected) = (event.into(), self.event().into());
        ExperimentError::Input { path: path.into(), found, expected }
    }
}
