//! Sparse matrices as SciPy's `save_npz` writes them: an archive of the arrays `format`, `shape`, `data`, and those that say where the
//! entries are.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::budget::Budget;
use crate::npy::{array_names, bad, io_at, open_array, read_exactly, row_bytes};
use crate::npy_header::Header;
use crate::sparse::{Entries, check_shape};
use crate::{DataError, Domain, Numbers};

/// The rows and columns of a sparse matrix as SciPy's `save_npz` writes it, and its stored entries; `None` for any other file.
pub(crate) fn read(
    path: &Path,
    budget: Budget,
) -> Result<Option<([usize; 2], Entries)>, DataError> {
    let names = array_names(path)?;
    let has = |name: &str| names.iter().any(|known| known == name);
    if !["format", "shape", "data"].into_iter().all(has) {
        return Ok(None);
    }
    let open =
        |name: &'static str| open_array(path, File::open(path).map_err(io_at(path))?, Some(name));
    let mut format = vec![];
    open("format")?.0.take(1024).read_to_end(&mut format).map_err(io_at(path))?;
    // A text of three letters, of one or of four bytes each.
    let format: Vec<u8> = format.into_iter().filter(|&byte| byte != 0).collect();
    let form = ["csr", "csc", "coo"].into_iter().find(|form| format.ends_with(form.as_bytes()));
    let Some(form) = form else {
        return Err(bad(
            path,
            "a sparse matrix of another form: save x.tocsr() by scipy.sparse.save_npz",
        ));
    };
    let array = |name: &'static str, most: usize| -> Result<Numbers, DataError> {
        let (reader, length) = open(name)?;
        whole_array(reader, length, most, budget)
            .map_err(|reason| bad(path, format!("`{name}`: {reason}")))
    };
    let integers = |name: &'static str, most: usize| -> Result<Vec<usize>, DataError> {
        let whole = |value: f64| (value >= 0.0 && value.fract() == 0.0).then_some(value as usize);
        let numbers = array(name, most)?.values(Domain::Integers);
        let integers: Option<Vec<usize>> = numbers.into_iter().map(whole).collect();
        integers
            .ok_or_else(|| bad(path, format!("`{name}` holds numbers that are not valid indices")))
    };
    let &[rows, columns] = &integers("shape", 2)?[..] else {
        return Err(bad(path, "its `shape` is not that of a matrix"));
    };
    let numbers = array("data", usize::MAX)?;
    let stored = numbers.len();
    check_shape([rows, columns], stored, budget).map_err(|reason| bad(path, reason))?;
    let short = |places: Vec<usize>, name: &str| -> Result<Vec<u32>, DataError> {
        let places: Option<Vec<u32>> =
            places.into_iter().map(|place| u32::try_from(place).ok()).collect();
        let fits = places.filter(|places| places.len() == numbers.len());
        fits.ok_or_else(|| {
            bad(path, format!("`{name}` does not fit the {} entries", numbers.len()))
        })
    };
    let (of_rows, of_columns) = if form == "coo" {
        (short(integers("row", stored)?, "row")?, short(integers("col", stored)?, "col")?)
    } else {
        let lines = if form == "csr" { rows } else { columns };
        let starts = integers("indptr", lines + 1)?;
        let is_right = starts.len() == lines + 1
            && starts[0] == 0
            && starts.is_sorted()
            && starts[lines] == stored;
        if !is_right {
            return Err(bad(path, "its `indptr` does not divide the entries into lines"));
        }
        let line =
            |(line, ends): (usize, &[usize])| std::iter::repeat_n(line as u32, ends[1] - ends[0]);
        let of_lines = starts.windows(2).enumerate().flat_map(line).collect();
        let within = short(integers("indices", stored)?, "indices")?;
        if form == "csr" { (of_lines, within) } else { (within, of_lines) }
    };
    Ok(Some(([rows, columns], Entries { rows: of_rows, columns: of_columns, numbers })))
}

/// All numbers of an array of one axis, which has so many at most.
fn whole_array(
    mut reader: impl Read,
    length: u64,
    most: usize,
    budget: Budget,
) -> Result<Numbers, String> {
    let header = Header::read(&mut reader)?;
    let &[count] = &header.shape[..] else {
        return Err(format!("it has {} axes, not one", header.shape.len()));
    };
    if count > most {
        return Err(format!("it has {count} numbers, and not {most}"));
    }
    let size = row_bytes(&header, &[1], count, Some(length))?;
    budget.check_numbers(count as u128)?;
    let mut bytes = read_exactly(&mut reader, size * count).map_err(|error| error.to_string())?;
    // At the end, which verifies the checksum.
    let _ = reader.read(&mut [0]).map_err(|error| error.to_string())?;
    if header.big_endian != cfg!(target_endian = "big") {
        bytes.chunks_mut(size).for_each(<[u8]>::reverse);
    }
    Ok(Numbers::new(header.element, bytes))
}
