//! Rows of arrays that may stay in their files: of one file, of several, and of a tensor.

use std::fs::File;
use std::path::{Path, PathBuf};

use dvae_checks::shown_path;

use crate::format::Layout;
use crate::npy::{bad, channels, io_at, read_npy_rows};
use crate::npy_header::{Header, Order};
use crate::rows::Extra;
use crate::stored_numbers::StoredNumbers;
use crate::{Channels, DataError, Domain, Element, Format, Numbers, ReadOptions, Row, Rows};

/// The numbers of a file that is not compressed, if rows of them follow each other, in a type whose numbers double precision holds.
pub(crate) fn numbers_of_npy(
    path: &Path,
    options: &ReadOptions,
) -> Result<Option<StoredNumbers>, DataError> {
    let mut file = File::open(path).map_err(io_at(path))?;
    let header = Header::read(&mut file).map_err(|reason| bad(path, reason))?;
    let is_turned = header.order != Order::C || options.transposed;
    let event = header.shape.get(1..).unwrap_or_default();
    if is_turned || is_channels_last(event, options) || !stays(header.element) {
        return Ok(None);
    }
    let count = header.shape.iter().product();
    let big_endian = header.big_endian;
    StoredNumbers::new(path, header.length, count, header.element, big_endian).map(Some)
}

/// Whether rows of this shape have several channels on their last axis.
fn is_channels_last(event: &[usize], options: &ReadOptions) -> bool {
    matches!(channels(event, options), Ok(Channels::Last)) && event.last() != Some(&1)
}

/// Whether numbers of a type may stay in their file: they do not have to be seen before it is known what they are.
fn stays(element: Element) -> bool {
    !matches!(element, Element::U64 | Element::I64)
}

/// Opens the rows of a tensor of a safetensors file: axis 0.
pub(crate) fn read_safetensors_rows(path: &Path, options: &ReadOptions) -> Result<Rows, DataError> {
    let (numbers, mut shape) = crate::safetensors::stored(path, options)?;
    if options.transposed {
        let reason = "`transposed` is for NPY files and sparse matrices: save x.T.contiguous()";
        return Err(bad(path, reason));
    }
    if shape.is_empty() {
        return Err(bad(path, "it holds one number, not rows"));
    }
    let count = shape.remove(0);
    let event = if shape.is_empty() { vec![1] } else { shape };
    let width = numbers.len().checked_div(count).unwrap_or(0);
    if width == 0 {
        return Err(bad(path, format!("rows of shape {event:?} are empty")));
    }
    if is_channels_last(&event, options) {
        let reason = "its channels are on the last axis: save x.permute(0, 3, 1, 2).contiguous()";
        return Err(bad(path, reason));
    }
    // One channel is the same first and last.
    let event = match (channels(&event, options).map_err(|reason| bad(path, reason))?, &event[..]) {
        (Channels::Last, &[height, width, 1]) => vec![1, height, width],
        _ => event,
    };
    Ok(stored_rows(path, numbers, &event, count, options))
}

/// The rows of numbers that stay in their files.
fn stored_rows(
    path: &Path,
    numbers: StoredNumbers,
    event: &[usize],
    count: usize,
    options: &ReadOptions,
) -> Rows {
    let domain = options.domain.unwrap_or(numbers.element.domain());
    let layout = Layout::Array(Channels::First);
    let format = Format { layout, ..Format::new(event, numbers.element, domain) };
    let width: usize = event.iter().product();
    let checked = Checks::new(path, &format, count);
    let own = numbers.clone();
    let rows = (0..count).scan(checked, move |checked, row| {
        let numbers = own.numbers(row * width..(row + 1) * width);
        Some(numbers.and_then(|numbers| checked.row(numbers)))
    });
    let bytes = (numbers.len() * numbers.element.size()) as u64;
    let is_large = options.memory.is_some_and(|memory| bytes > memory);
    let stored = (is_large && stays(numbers.element)).then_some(numbers);
    Rows { stored, ..Rows::new(format, Some(count), rows) }
}

/// Opens the rows of several NPY files, one after the other. An error names one whose rows are others than those of the first.
pub(crate) fn read_npy_parts(paths: &[PathBuf], options: &ReadOptions) -> Result<Rows, DataError> {
    let (mut all, mut total): (Vec<StoredNumbers>, usize) = (vec![], 0);
    let mut first: Option<Format> = None;
    for path in paths {
        if !path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("npy")) {
            return Err(bad(path, "of several files at once, each is an .npy array"));
        }
        // Read as it would be by itself, for its errors.
        let rows = read_npy_rows(path, &ReadOptions { memory: None, ..options.clone() })?;
        let format = rows.format;
        let own = first.get_or_insert_with(|| format.clone());
        if (&format.event, format.element) != (&own.event, own.element) {
            return Err(bad(
                path,
                format!(
                    "its rows are {} of shape {:?}, but those of {} are {} of shape {:?}",
                    format.element,
                    format.event,
                    shown_path(&paths[0]),
                    own.element,
                    own.event
                ),
            ));
        }
        all.push(numbers_of_npy(path, options)?.ok_or_else(|| {
            bad(
                path,
                "of several files at once, each is an .npy array in C's order, with its channels first, and not of 64-bit integers",
            )
        })?);
        total += rows.count.unwrap_or(0);
    }
    let (Some(path), Some(format)) = (paths.first(), first) else {
        unreachable!("a pattern that no file has is an error");
    };
    let numbers = StoredNumbers::joined(&all)
        .ok_or_else(|| bad(path, "the files beside it have another byte order"))?;
    Ok(stored_rows(path, numbers, &format.event, total, options))
}

/// What is checked of rows as they come.
pub(crate) struct Checks {
    path: PathBuf,
    domain: Domain,
    /// Whether 255 stands for 1: of such bytes all rows have to be seen.
    is_scaled: bool,
    largest: u8,
    row: usize,
    count: usize,
}

impl Checks {
    pub(crate) fn new(path: &Path, format: &Format, count: usize) -> Self {
        let is_scaled = format.element == Element::U8 && format.domain == Domain::Unit;
        Self { path: path.into(), domain: format.domain, is_scaled, largest: 0, row: 0, count }
    }

    pub(crate) fn row(&mut self, numbers: Numbers) -> Result<Row, DataError> {
        self.row += 1;
        if numbers.has_infinite() {
            let reason = format!("row {} holds an infinite value", self.row - 1);
            return Err(bad(&self.path, reason));
        }
        if self.is_scaled {
            self.largest =
                numbers.as_bytes().iter().fold(self.largest, |most, &byte| most.max(byte));
        }
        if self.is_scaled && self.row == self.count && self.largest == 1 {
            return Err(bad(&self.path, BINARY));
        }
        Ok(Row { numbers, domain: self.domain, extra: Extra::None })
    }
}

pub(crate) const BINARY: &str = "its bytes are 0 and 1, which would be read as 0 and 1/255: save it as bool or float32, or declare \
                      `data.domain = \"counts\"`";
