//! Tables in Parquet files: read as lines of text, and written with the types of the file that they come from.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_select::zip::zip;
use dvae_checks::{contained, shown};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;

use crate::beside::{Beside, write_at};
use crate::cells::Cells;
use crate::format::{Layout, TableLayout};
use crate::rows::Extra;
use crate::table_text::quoted;
use crate::table_writer::changed_cells;
use crate::{DataError, Decimal, Format, FurtherColumn, Row};

/// What is said of rows that are not those of the file, one after the other.
const MORE: &str = "a Parquet file is written with the rows of the one that was read, all of them";

/// What stands between the cells of the lines.
const DELIMITER: u8 = b',';

fn bad(path: &Path, reason: impl ToString) -> DataError {
    DataError::File { path: path.into(), reason: reason.to_string() }
}

/// A line of texts, quoted where it is needed.
fn line<T: AsRef<str>>(cells: impl Iterator<Item = T>) -> Vec<u8> {
    let mut text = vec![];
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            text.push(DELIMITER);
        }
        text.extend_from_slice(quoted(cell.as_ref(), DELIMITER).as_bytes());
    }
    text.push(b'\n');
    text
}

/// Calls Arrow or Parquet, which panic on some broken files; an error names the file.
fn guarded<T, E: ToString>(
    path: &Path,
    call: impl FnOnce() -> Result<T, E>,
) -> Result<T, DataError> {
    let result = contained(call).and_then(|result| result.map_err(|error| error.to_string()));
    result.map_err(|error| bad(path, format!("it is no Parquet file that can be read ({error})")))
}

fn reader(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, DataError> {
    let file = File::open(path).map_err(|source| DataError::Io { path: path.into(), source })?;
    guarded(path, || ParquetRecordBatchReaderBuilder::try_new(file))
}

/// The next rows that a file has.
fn next_batch(
    path: &Path,
    batches: &mut ParquetRecordBatchReader,
) -> Result<Option<RecordBatch>, DataError> {
    guarded(path, || batches.next().transpose())
}

/// The rows of a Parquet file as lines of a table.
pub(crate) struct ParquetLines {
    path: PathBuf,
    batches: ParquetRecordBatchReader,
    /// The lines of the batch that come next.
    waiting: std::vec::IntoIter<Vec<u8>>,
    /// Rows that were read before, and the line of names.
    lines: u64,
}

impl ParquetLines {
    /// Opens a file; returns the names of its columns, the line of them, and the places of those that hold no single values.
    #[allow(clippy::type_complexity)] // Each is said.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<String>, Vec<u8>, Vec<usize>), DataError> {
        let builder = reader(path)?;
        let fields = builder.schema().fields().clone();
        let titles: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        if titles.is_empty() {
            return Err(bad(path, "it has no columns"));
        }
        let header = line(titles.iter());
        let opaque = (0..fields.len()).filter(|&at| !is_plain(fields[at].data_type())).collect();
        let batches = guarded(path, || builder.build())?;
        let waiting = vec![].into_iter();
        Ok((Self { path: path.into(), batches, waiting, lines: 1 }, titles, header, opaque))
    }

    /// The next row as a line, and its number, from 2; `None` at the end.
    pub(crate) fn read(&mut self) -> Result<Option<(Vec<u8>, u64)>, DataError> {
        loop {
            if let Some(line) = self.waiting.next() {
                self.lines += 1;
                return Ok(Some((line, self.lines)));
            }
            let Some(batch) = next_batch(&self.path, &mut self.batches)? else { return Ok(None) };
            self.waiting = guarded(&self.path, || lines(&batch))?.into_iter();
        }
    }
}

/// The rows of a batch as lines; a cell without a value is empty.
fn lines(batch: &RecordBatch) -> Result<Vec<Vec<u8>>, ArrowError> {
    let options = FormatOptions::new().with_display_error(false);
    let columns: Vec<ArrayRef> = batch.columns().iter().map(without_zone).collect();
    let mut formatters: Vec<Option<ArrayFormatter>> = vec![];
    for column in &columns {
        let formatter = ArrayFormatter::try_new(column, &options);
        // Some of those that pass through cannot be shown.
        let is_shown = formatter.is_ok() || is_plain(column.data_type());
        formatters.push(if is_shown { Some(formatter?) } else { None });
    }
    let of_row = |row: usize| {
        let texts = formatters.iter().zip(&columns).map(|(formatter, column)| match formatter {
            Some(formatter) => formatter.value(row).try_to_string(),
            None if column.is_null(row) => Ok(String::new()),
            None => Ok("…".to_owned()),
        });
        Ok(line(texts.collect::<Result<Vec<String>, _>>()?.iter()))
    };
    (0..batch.num_rows()).map(of_row).collect()
}

/// Whether the values of a type are numbers, texts, truth values, or times.
fn is_plain(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, of) => is_plain(of),
        kind => {
            let is_text = matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
            kind.is_numeric() || kind.is_temporal() || is_text || *kind == DataType::Boolean
        }
    }
}

/// Points in time as the times that they are in UTC; other columns as they are.
fn without_zone(column: &ArrayRef) -> ArrayRef {
    with_zone(column, None)
}

/// Times of another zone, or of none: the same numbers.
fn with_zone(column: &ArrayRef, zone: Option<Arc<str>>) -> ArrayRef {
    let DataType::Timestamp(unit, _) = column.data_type() else { return column.clone() };
    match unit {
        TimeUnit::Second => {
            Arc::new(column.as_primitive::<TimestampSecondType>().clone().with_timezone_opt(zone))
        }
        TimeUnit::Millisecond => Arc::new(
            column.as_primitive::<TimestampMillisecondType>().clone().with_timezone_opt(zone),
        ),
        TimeUnit::Microsecond => Arc::new(
            column.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(zone),
        ),
        TimeUnit::Nanosecond => Arc::new(
            column.as_primitive::<TimestampNanosecondType>().clone().with_timezone_opt(zone),
        ),
    }
}

/// Writes rows that were read from a Parquet file to another one: cells that did not change keep their values and types.
pub(crate) struct ParquetWriter {
    place: Beside,
    layout: Arc<TableLayout>,
    source: PathBuf,
    batches: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    cells: Arc<[Cells]>,
    further: Vec<FurtherColumn>,
    /// Of each column of the file, the rows of the batch with new cells, and the texts of these.
    changes: Vec<Vec<(usize, String)>>,
    /// The cells of the columns that follow, for the rows of the batch that were written.
    beside: Vec<Vec<f64>>,
    /// Rows of the batch that were written.
    at: usize,
    is_changed: bool,
}

impl std::fmt::Debug for ParquetWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetWriter").field("source", &self.source).finish_non_exhaustive()
    }
}

impl ParquetWriter {
    /// Begins a file for rows that come from a Parquet file; an error says that they do not.
    pub(crate) fn create(path: &Path, format: &Format) -> Result<Self, DataError> {
        let of_parquet = match &format.layout {
            Layout::Table(layout) => layout.parquet.clone().map(|source| (layout.clone(), source)),
            _ => None,
        };
        let Some((layout, source)) = of_parquet else {
            let reason = "only what is read from a Parquet file is written as one: name a .csv";
            return Err(bad(path, reason));
        };
        let builder = reader(&source)?;
        let own = builder.schema().clone();
        let properties = properties(builder.metadata());
        let batches = guarded(&source, || builder.build())?;
        let further = format.appended.clone();
        let of_further = further.iter().map(|column| {
            let place = column.values_of.map(|at| layout.places[at]);
            // What lies between whole numbers or dates is one too; else they are floats.
            let kind = match place.map(|place| own.field(place).data_type()) {
                Some(kind) if !kind.is_floating() => kind.clone(),
                _ => DataType::Float64,
            };
            Arc::new(Field::new(&column.name, kind, true))
        });
        let fields: Vec<Arc<Field>> = own.fields().iter().cloned().chain(of_further).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, own.metadata().clone()));
        let (place, file) = Beside::create(path)?;
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|error| bad(path, error))?;
        Ok(Self {
            place,
            changes: vec![vec![]; own.fields().len()],
            is_changed: !further.is_empty(),
            layout,
            source,
            batches,
            batch: None,
            writer,
            schema,
            cells: format.cells.clone(),
            further,
            beside: vec![],
            at: 0,
        })
    }

    /// Appends a row; rows are those of the file, in its order.
    pub(crate) fn write(&mut self, row: &Row) -> Result<(), DataError> {
        while self.batch.as_ref().is_none_or(|batch| self.at == batch.num_rows()) {
            self.flush()?;
            let Some(batch) = next_batch(&self.source, &mut self.batches)? else {
                return Err(bad(self.place.path(), MORE));
            };
            self.batch = Some(batch);
        }
        let Extra::Line(line) = &row.extra else {
            return Err(bad(self.place.path(), "a row of it is no line of a table"));
        };
        let values = row.numbers.values(row.domain);
        for (place, column, value) in changed_cells(line, &self.layout, &self.cells, &values) {
            let cells = self.cells.get(column).unwrap_or(&Cells::Numbers);
            self.changes[place].push((self.at, cells.text(value, Decimal::Point)));
            self.is_changed = true;
        }
        self.beside.push(line.appended.clone());
        self.at += 1;
        Ok(())
    }

    /// Writes the rows of the batch.
    fn flush(&mut self) -> Result<(), DataError> {
        let Some(batch) = self.batch.take() else { return Ok(()) };
        let mut columns = vec![];
        for (place, column) in batch.columns().iter().enumerate() {
            let changes = std::mem::take(&mut self.changes[place]);
            let name = self.schema.field(place).name();
            let column = changed(column, &changes).map_err(|error| {
                bad(
                    self.place.path(),
                    format!(
                        "column `{}` is of {} and cannot hold what it is given ({error}): name a .csv",
                        shown(name),
                        column.data_type()
                    ),
                )
            });
            columns.push(column?);
        }
        for (at, further) in self.further.iter().enumerate() {
            let values = self.beside.iter().map(|cells| cells.get(at).copied());
            let values = values.map(|value| value.filter(|value| !value.is_nan()));
            let kind = self.schema.field(batch.num_columns() + at).data_type().clone();
            let cells = further.values_of.and_then(|at| self.cells.get(at));
            columns.push(if kind == DataType::Float64 {
                Arc::new(values.collect::<Float64Array>())
            } else {
                let text = |value| cells.unwrap_or(&Cells::Numbers).text(value, Decimal::Point);
                let texts: StringArray = values.map(|value| value.map(text)).collect();
                parsed(&texts, &kind).map_err(|error| bad(self.place.path(), error))?
            });
        }
        (self.at, self.beside) = (0, vec![]);
        let fields = self.schema.fields().iter().zip(&columns);
        let mut required = fields.filter(|(field, _)| !field.is_nullable());
        if let Some((field, _)) = required.find(|(_, column)| column.null_count() > 0) {
            let name = shown(field.name());
            let text = format!("column `{name}` has to have a value in each row: name a .csv");
            return Err(bad(self.place.path(), text));
        }
        let batch = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|error| bad(self.place.path(), error))?;
        let path = self.place.path().to_owned();
        self.writer.write(&batch).map_err(|error| failed(&path, error))
    }

    /// Moves the file to its final name. One in which nothing has changed is the same bytes.
    pub(crate) fn finish(mut self) -> Result<(), DataError> {
        let is_whole = self.batch.as_ref().is_none_or(|batch| self.at == batch.num_rows());
        let more = next_batch(&self.source, &mut self.batches)?;
        if !is_whole || more.is_some_and(|batch| batch.num_rows() > 0) {
            return Err(bad(self.place.path(), MORE));
        }
        self.flush()?;
        let path = self.place.path().to_owned();
        self.writer.finish().map_err(|error| failed(&path, error))?;
        if !self.is_changed {
            self.place.copy(&self.source).map_err(write_at(&path))?;
        }
        self.place.finish().map_err(write_at(&path))
    }
}

/// The error of a file that cannot be written.
fn failed(path: &Path, error: ParquetError) -> DataError {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => write_at(path)(*source),
            Err(other) => bad(path, other),
        },
        error => bad(path, error),
    }
}

/// A column with other cells in some of its rows; an empty text becomes one without a value.
fn changed(column: &ArrayRef, changes: &[(usize, String)]) -> Result<ArrayRef, ArrowError> {
    if changes.is_empty() {
        return Ok(column.clone());
    }
    match column.data_type() {
        DataType::Dictionary(_, of) => {
            let plain = strict(column, of)?;
            return strict(&changed(&plain, changes)?, column.data_type());
        }
        DataType::Timestamp(_, Some(zone)) => {
            let changed = changed(&without_zone(column), changes)?;
            return Ok(with_zone(&changed, Some(zone.clone())));
        }
        _ => {}
    }
    let mut texts: Vec<Option<&str>> = vec![None; column.len()];
    let mut is_changed = vec![false; column.len()];
    for (row, text) in changes {
        texts[*row] = Some(&**text).filter(|text| !text.is_empty());
        is_changed[*row] = true;
    }
    let new = parsed(&StringArray::from(texts), column.data_type())?;
    zip(&BooleanArray::from(is_changed), &new, column)
}

/// Texts as values of a type.
fn parsed(texts: &StringArray, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    if let DataType::Timestamp(unit, Some(zone)) = kind {
        let times = parsed(texts, &DataType::Timestamp(*unit, None))?;
        return Ok(with_zone(&times, Some(zone.clone())));
    }
    strict(&(Arc::new(texts.clone()) as ArrayRef), kind)
}

fn strict(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, kind, &options)
}

/// The compression of the file, and what its writer says of it.
fn properties(of: &ParquetMetaData) -> WriterProperties {
    let first = of.row_groups().first().and_then(|group| group.columns().first());
    let own = of.file_metadata().key_value_metadata().cloned().unwrap_or_default();
    let own = own.into_iter().filter(|entry| entry.key != "ARROW:schema").collect();
    let mut properties = WriterProperties::builder().set_key_value_metadata(Some(own));
    if let Some(first) = first {
        properties = properties.set_compression(first.compression());
    }
    properties.build()
}
