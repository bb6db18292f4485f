//! What is made of a file: results, and what says how sure they are.

use dvae::data::{Format, Row, RowWriter};
use dvae::random::Window;
use dvae::{PictureOptions, Pretrained};

use crate::Error;
use crate::jobs::{Beside, Job};

/// A cleaned picture, and what is written beside it.
pub(crate) fn cleaned_picture(
    model: &Pretrained,
    row: &Row,
    shape: [usize; 3],
    options: PictureOptions,
    writers: &Writers,
) -> (Row, Vec<Row>) {
    let mut cleaned = row.in_format(&writers.format);
    let mut beside: Vec<Row> = match &writers.beside {
        BesideWriters::Nothing => vec![],
        BesideWriters::Deviation(format, _) => vec![row.zeros(format)],
        BesideWriters::Interval(_) => vec![cleaned.clone(); 2],
    };
    let write = |part: &Window, values: &[f64], spread: Option<&[f64]>| {
        cleaned.replace_part(part, values);
        match (&writers.beside, spread) {
            (BesideWriters::Deviation(..), Some(spread)) => beside[0].replace_part(part, spread),
            (BesideWriters::Interval(_), Some(half_width)) => {
                let ends = model.interval(values, half_width);
                beside.iter_mut().zip(ends).for_each(|(row, end)| row.replace_part(part, &end));
            }
            _ => {}
        }
    };
    model.denoise_picture(shape, options, |part| row.part(part), write);
    (cleaned, beside)
}

/// The outputs of a file.
pub(crate) struct Writers {
    /// The format of a result.
    format: Format,
    /// The rows that were written.
    pub(crate) rows: usize,
    cleaned: RowWriter,
    beside: BesideWriters,
}

/// What says how sure the results are.
enum BesideWriters {
    Nothing,
    Deviation(Format, RowWriter),
    /// The low ends and the high ones.
    Interval([RowWriter; 2]),
}

impl Writers {
    pub(crate) fn create(job: &Job, input: &Format, beside: Beside) -> Result<Self, Error> {
        let format = input.of_results();
        let cleaned = RowWriter::create(&job.output, &format)?;
        let beside = match (beside, &job.beside[..]) {
            (Beside::Deviation, [path]) => {
                let format = input.of_deviations();
                BesideWriters::Deviation(format.clone(), RowWriter::create(path, &format)?)
            }
            (Beside::Interval, [low, high]) => BesideWriters::Interval([
                RowWriter::create(low, &format)?,
                RowWriter::create(high, &format)?,
            ]),
            _ => BesideWriters::Nothing,
        };
        Ok(Self { format, rows: 0, cleaned, beside })
    }

    /// Writes what was made of a row.
    pub(crate) fn write_values(
        &mut self,
        model: &Pretrained,
        row: &Row,
        cleaned: &[f64],
        spread: Option<&[f64]>,
    ) -> Result<(), Error> {
        let beside: Vec<Row> = match (&self.beside, spread) {
            (BesideWriters::Deviation(format, _), Some(spread)) => {
                vec![row.with_distances(format, spread)]
            }
            (BesideWriters::Interval(_), Some(half_width)) => {
                let ends = model.interval(cleaned, half_width);
                ends.iter().map(|end| row.with_values(&self.format, end)).collect()
            }
            _ => vec![],
        };
        self.write(&row.with_values(&self.format, cleaned), &beside)
    }

    pub(crate) fn write(&mut self, cleaned: &Row, beside: &[Row]) -> Result<(), Error> {
        self.rows += 1;
        self.cleaned.write(cleaned)?;
        match (&mut self.beside, beside) {
            (BesideWriters::Deviation(_, writer), [row]) => writer.write(row)?,
            (BesideWriters::Interval(writers), rows) => {
                for (writer, row) in writers.iter_mut().zip(rows) {
                    writer.write(row)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), Error> {
        self.cleaned.finish()?;
        match self.beside {
            BesideWriters::Nothing => {}
            BesideWriters::Deviation(_, writer) => writer.finish()?,
            BesideWriters::Interval(writers) => {
                for writer in writers {
                    writer.finish()?;
                }
            }
        }
        Ok(())
    }
}
