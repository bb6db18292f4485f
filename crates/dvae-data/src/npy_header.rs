//! The header of an NPY file.

use std::io::Read;

use dvae_checks::shown;

use crate::Element;

pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";
/// NumPy itself rejects longer headers.
const LONGEST_HEADER: usize = 10_000;

/// Which axis is the fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The last one.
    C,
    /// The first one.
    Fortran,
}

/// The header of an NPY file.
pub(crate) struct Header {
    pub(crate) element: Element,
    pub(crate) big_endian: bool,
    pub(crate) descr: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) order: Order,
    /// The number of bytes before the values.
    pub(crate) length: u64,
}

impl Header {
    /// Reads a header; an error says what is wrong with it.
    pub(crate) fn read(reader: &mut impl Read) -> Result<Self, String> {
        const NONE: &str = "it is no NPY file";
        let mut start = [0; 8];
        reader.read_exact(&mut start).map_err(|_| NONE)?;
        if !start.starts_with(MAGIC) {
            return Err(NONE.to_owned());
        }
        let mut size = [0; 4];
        let size_bytes = if start[6] == 1 { 2 } else { 4 };
        reader.read_exact(&mut size[..size_bytes]).map_err(|_| NONE)?;
        let size = u32::from_le_bytes(size) as usize;
        if size > LONGEST_HEADER {
            return Err(format!("a header of {size} bytes is too long"));
        }
        let mut text = vec![0; size];
        reader.read_exact(&mut text).map_err(|_| "it ends within its header")?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let unknown = || format!("its header is not understood: {}", text.trim());
        let descr = quoted(after(&text, "descr").ok_or_else(unknown)?).ok_or_else(unknown)?;
        let shape = tuple(after(&text, "shape").ok_or_else(unknown)?).ok_or_else(unknown)?;
        let order = after(&text, "fortran_order").ok_or_else(unknown)?;
        // With one axis both orders are the same.
        let is_c = order.starts_with("False") || shape.len() < 2;
        let order = if is_c { Order::C } else { Order::Fortran };
        let Some((element, big_endian)) = element(descr) else {
            return Err(format!(
                "its values are of type {}: save x.astype(\"float32\") instead",
                shown(descr)
            ));
        };
        let length = (8 + size_bytes + size) as u64;
        Ok(Self { element, big_endian, descr: descr.to_owned(), shape, order, length })
    }

    /// Exchanges the two axes of a matrix: the same numbers, read in the other order. `None` for other arrays.
    pub(crate) fn transpose(&mut self) -> Option<()> {
        let &[rows, columns] = &self.shape[..] else { return None };
        self.shape = vec![columns, rows];
        self.order = match self.order {
            Order::C => Order::Fortran,
            Order::Fortran => Order::C,
        };
        Some(())
    }
}

/// The text after the colon of a key in a Python dictionary.
fn after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let at = text.find(&format!("'{key}'")).or_else(|| text.find(&format!("\"{key}\"")))?;
    Some(text[at + key.len() + 2..].trim_start().strip_prefix(':')?.trim_start())
}

fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|quote| "'\"".contains(*quote))?;
    text[1..].split_once(quote).map(|(inside, _)| inside)
}

fn tuple(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let axes = inside.split(',').map(str::trim).filter(|axis| !axis.is_empty());
    axes.map(|axis| axis.trim_end_matches('L').parse().ok()).collect()
}

/// The type that a description means, and whether its bytes are in big-endian order.
fn element(descr: &str) -> Option<(Element, bool)> {
    let (order, kind) = descr.split_at_checked(1)?;
    let element = KINDS.iter().find(|(_, known)| *known == kind)?.0;
    match order {
        "<" => Some((element, false)),
        ">" => Some((element, true)),
        "=" => Some((element, cfg!(target_endian = "big"))),
        "|" if element.size() == 1 => Some((element, false)),
        _ => None,
    }
}

const KINDS: [(Element, &str); 12] = [
    (Element::Bool, "b1"),
    (Element::U8, "u1"),
    (Element::I8, "i1"),
    (Element::U16, "u2"),
    (Element::I16, "i2"),
    (Element::U32, "u4"),
    (Element::I32, "i4"),
    (Element::U64, "u8"),
    (Element::I64, "i8"),
    (Element::F16, "f2"),
    (Element::F32, "f4"),
    (Element::F64, "f8"),
];

/// The description of numbers of the type in little-endian order.
pub(crate) fn descr(element: Element) -> String {
    let (_, kind) =
        KINDS.iter().find(|(known, _)| *known == element).expect("every type is listed");
    let order = if element.size() == 1 { '|' } else { '<' };
    format!("{order}{kind}")
}
