//! Rows in safetensors files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use dvae_checks::listed;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::npy::{bad, io_at};
use crate::stored_numbers::StoredNumbers;
use crate::{DataError, Element, ReadOptions};

/// The longest header, as the format has it.
const LONGEST_HEADER: u64 = 100_000_000;

pub(crate) fn is_safetensors(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("safetensors"))
}

/// The numbers of a tensor, and its shape. An error names the tensors if one has to be chosen.
pub(crate) fn stored(
    path: &Path,
    options: &ReadOptions,
) -> Result<(StoredNumbers, Vec<usize>), DataError> {
    let (header, start, length) = header(path)?;
    let names = names_in(&header);
    let name = match (&options.key, &names[..]) {
        (Some(key), names) if names.contains(key) => key,
        (None, [only]) => only,
        (Some(key), _) => {
            return Err(bad(path, format!("it has no array `{key}`, but {}", listed(&names))));
        }
        (None, []) => return Err(bad(path, "it has no array")),
        (None, several) => {
            let reason = format!("it has several arrays: choose one by `key`: {}", listed(several));
            return Err(bad(path, reason));
        }
    };
    let info = header.info(name).ok_or_else(|| bad(path, NONE))?;
    let element = element(info.dtype).ok_or_else(|| {
        let text =
            format!("`{name}` holds numbers of type {:?}: save x.float() instead", info.dtype);
        bad(path, text)
    })?;
    let (from, to) = info.data_offsets;
    let count = info.shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
    let bytes = count.and_then(|count| count.checked_mul(element.size()));
    let fits = (to as u64).checked_add(start).is_some_and(|end| end <= length);
    match (count, bytes) {
        (Some(count), Some(bytes)) if fits && to.checked_sub(from) == Some(bytes) => {
            let numbers = StoredNumbers::new(path, start + from as u64, count, element, false)?;
            Ok((numbers, info.shape.clone()))
        }
        _ => Err(bad(
            path,
            format!(
                "its header says {:?} of {:?}, which is not its length",
                info.shape, info.dtype
            ),
        )),
    }
}

/// The names of the tensors of a file.
pub(crate) fn names(path: &Path) -> Result<Vec<String>, DataError> {
    Ok(names_in(&header(path)?.0))
}

fn names_in(header: &Metadata) -> Vec<String> {
    let mut names: Vec<String> = header.tensors().into_keys().collect();
    names.sort();
    names
}

const NONE: &str = "it is no safetensors file";

/// The header of a file, where the numbers begin, and the length of the file.
fn header(path: &Path) -> Result<(Metadata, u64, u64), DataError> {
    let mut file = File::open(path).map_err(io_at(path))?;
    let length = file.metadata().map_err(io_at(path))?.len();
    let none = || bad(path, NONE);
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(|_| none())?;
    let size = u64::from_le_bytes(size);
    if size > LONGEST_HEADER || size > length.saturating_sub(8) {
        return Err(none());
    }
    let mut header = vec![];
    (&file).take(size).read_to_end(&mut header).map_err(io_at(path))?;
    let header: Metadata = serde_json::from_slice(&header)
        .map_err(|error| bad(path, format!("its header is not understood: {error}")))?;
    Ok((header, 8 + size, length))
}

fn element(of: Dtype) -> Option<Element> {
    Some(match of {
        Dtype::BOOL => Element::Bool,
        Dtype::U8 => Element::U8,
        Dtype::I8 => Element::I8,
        Dtype::U16 => Element::U16,
        Dtype::I16 => Element::I16,
        Dtype::U32 => Element::U32,
        Dtype::I32 => Element::I32,
        Dtype::U64 => Element::U64,
        Dtype::I64 => Element::I64,
        Dtype::F16 => Element::F16,
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        _ => return None,
    })
}
