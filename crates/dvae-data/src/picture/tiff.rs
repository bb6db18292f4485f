//! TIFF files: integers of 8 to 32 bits and floats, of one page or several.

use std::io::{Cursor, Seek, Write};

use image::metadata::Orientation;
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder, colortype};
use tiff::tags::{ExtraSamples, SampleFormat, Tag};

use super::decode::{EXPANSION, from_samples};
use super::{Header, Picture, convert};
use crate::budget::Budget;
use crate::{Element, Numbers};

type Reader<B> = Decoder<Cursor<B>>;

/// Whether a file begins like a TIFF file, of either byte order, of 32 or 64 bits.
pub(super) fn is_tiff(bytes: &[u8]) -> bool {
    const MARKS: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
    MARKS.iter().any(|mark| bytes.starts_with(mark))
}

fn open<B: AsRef<[u8]>>(bytes: B) -> Result<Reader<B>, String> {
    check_claims(bytes.as_ref())?;
    // A header may claim any size, but a page cannot be larger than the file allows.
    let most = EXPANSION as usize * bytes.as_ref().len() + (1 << 20);
    let mut limits = Limits::default();
    let most = most.min(Budget::of_length(bytes.as_ref().len() as u64).bytes() as usize / 4);
    limits.decoding_buffer_size = most;
    limits.intermediate_buffer_size = most;
    limits.ifd_value_size = bytes.as_ref().len().max(1 << 16);
    Ok(Decoder::new(Cursor::new(bytes)).map_err(text)?.with_limits(limits))
}

/// Checks that no tag of the pages claims more values than the file could hold: the library makes room for them before
/// it reads them.
///
/// TIFF 6.0, section 2: a byte order, a mark, and the place of the first directory; a directory is a count of entries,
/// entries of a tag, a type, a count and a place, and the place of the next directory. BigTIFF has longer numbers.
fn check_claims(bytes: &[u8]) -> Result<(), String> {
    let is_big = bytes.get(2) == Some(&43) || bytes.get(3) == Some(&43);
    let number = |at: usize, length: usize| -> Option<u64> {
        let digits = bytes.get(at..at.checked_add(length)?)?;
        let join = |sum: u64, digit: &u8| sum << 8 | u64::from(*digit);
        Some(match bytes[0] {
            b'I' => digits.iter().rev().fold(0, join),
            _ => digits.iter().fold(0, join),
        })
    };
    // Lengths of a place, of a number of entries, and of an entry.
    let (place, count, entry) = if is_big { (8, 8, 20) } else { (4, 2, 12) };
    let mut at = number(if is_big { 8 } else { 4 }, place);
    // Each entry lies in a place of its own, unless directories form a circle.
    let mut left = bytes.len() / entry;
    let place_of =
        |at: Option<u64>| at.and_then(|at| usize::try_from(at).ok()).filter(|&at| at > 0);
    while let Some(directory) = place_of(at) {
        let Some(entries) = number(directory, count) else { break };
        let first = directory + count;
        left = match usize::try_from(entries)
            .ok()
            .and_then(|entries| left.checked_sub(entries.max(1)))
        {
            Some(left) => left,
            None => {
                return Err(format!(
                    "its directories have {entries} entries, more than its length allows"
                ));
            }
        };
        for entry_at in (0..entries.min(bytes.len() as u64) as usize).map(|i| first + i * entry) {
            let Some(values) = number(entry_at + 4, place) else { break };
            if values > bytes.len() as u64 {
                return Err(format!("a tag of it claims {values} values"));
            }
        }
        let end = usize::try_from(entries).ok().and_then(|entries| entries.checked_mul(entry));
        at = end.and_then(|end| number(first.checked_add(end)?, place));
    }
    Ok(())
}

fn text(error: tiff::TiffError) -> String {
    error.to_string()
}

/// The tag value of transparency that colors are not multiplied by: TIFF 6.0, section 18.
const UNASSOCIATED: u16 = 2;

/// What the current page says of itself.
struct Page {
    /// `[height, width]`, as stored.
    sides: [usize; 2],
    samples: usize,
    has_alpha: bool,
    element: Element,
    how: Orientation,
}

impl Page {
    fn read<B: AsRef<[u8]>>(decoder: &mut Reader<B>) -> Result<Self, String> {
        let (width, height) = decoder.dimensions().map_err(text)?;
        if width == 0 || height == 0 {
            return Err("it has no pixels".to_owned());
        }
        let color = decoder.colortype().map_err(text)?;
        let (bits, samples, has_alpha) = match color {
            ColorType::Gray(bits) => (bits, 1, false),
            ColorType::GrayA(bits) => (bits, 2, true),
            ColorType::RGB(bits) => (bits, 3, false),
            ColorType::RGBA(bits) => (bits, 4, true),
            // Gray with a second sample, which is its transparency.
            ColorType::Multiband { bit_depth, num_samples: 2 } => (bit_depth, 2, true),
            other => return Err(format!("its pixels are {other:?}, not gray or RGB")),
        };
        let number = |tag| decoder.find_tag_unsigned_vec::<u16>(tag).map_err(text);
        let mut number = number;
        let format = number(Tag::SampleFormat)?.and_then(|all| all.first().copied()).unwrap_or(1);
        if samples > 1
            && number(Tag::PlanarConfiguration)?.is_some_and(|all| all.first() == Some(&2))
        {
            return Err("its channels are stored apart: save it with interleaved pixels".to_owned());
        }
        match number(Tag::ExtraSamples)?.as_deref() {
            Some([UNASSOCIATED]) if has_alpha => {}
            _ if !has_alpha => {}
            Some([1]) => {
                return Err("its colors are multiplied by its transparency: save it without that"
                    .to_owned());
            }
            _ => return Err("it does not say that its last channel is transparency".to_owned()),
        }
        let orientation = number(Tag::Orientation)?.and_then(|all| all.first().copied());
        let how = orientation.and_then(|exif| Orientation::from_exif(u8::try_from(exif).ok()?));
        let element = match (SampleFormat::from_u16_exhaustive(format), bits) {
            (SampleFormat::Uint, 8) => Element::U8,
            (SampleFormat::Uint, 16) => Element::U16,
            (SampleFormat::Uint, 32) => Element::U32,
            (SampleFormat::Int, 8) => Element::I8,
            (SampleFormat::Int, 16) => Element::I16,
            (SampleFormat::Int, 32) => Element::I32,
            (SampleFormat::IEEEFP, 16) => Element::F16,
            (SampleFormat::IEEEFP, 32) => Element::F32,
            (SampleFormat::IEEEFP, 64) => Element::F64,
            (format, bits) => return Err(format!("its pixels are of {bits} bits, {format:?}")),
        };
        let how = how.unwrap_or(Orientation::NoTransforms);
        Ok(Self { sides: [height as usize, width as usize], samples, has_alpha, element, how })
    }

    fn header(&self) -> Header {
        let [height, width] = self.sides;
        let channels = self.samples - usize::from(self.has_alpha);
        let event = convert::upright_event([channels, height, width], self.how);
        Header { event, element: self.element }
    }
}

pub(super) fn header(bytes: &[u8]) -> Result<Header, String> {
    let page = Page::read(&mut open(bytes)?)?;
    let [height, width] = page.sides;
    let numbers = (height * width) as u128 * page.samples as u128;
    Budget::of_length(bytes.len() as u64).check_numbers(numbers)?;
    Ok(page.header())
}

/// The pages of a file, one after another. Nothing follows an error.
pub(super) fn pages(
    bytes: Vec<u8>,
) -> Result<impl Iterator<Item = Result<Picture, String>> + Send, String> {
    let mut decoder = Some(open(bytes)?);
    Ok(std::iter::from_fn(move || {
        let mut current = decoder.take()?;
        let page = decoded(&mut current);
        if page.is_ok() && current.more_images() {
            match current.next_image() {
                Ok(()) => decoder = Some(current),
                Err(error) => return Some(Err(text(error))),
            }
        }
        Some(page)
    }))
}

fn decoded<B: AsRef<[u8]>>(decoder: &mut Reader<B>) -> Result<Picture, String> {
    let page = Page::read(decoder)?;
    let profile = decoder.find_tag(Tag::IccProfile).ok().flatten();
    let profile = profile.and_then(|value| value.into_u8_vec().ok()).map(Into::into);
    let numbers = match decoder.read_image().map_err(text)? {
        DecodingResult::U8(values) => Numbers::new(Element::U8, values),
        DecodingResult::I8(values) => native(Element::I8, &values, i8::to_ne_bytes),
        DecodingResult::U16(values) => native(Element::U16, &values, u16::to_ne_bytes),
        DecodingResult::I16(values) => native(Element::I16, &values, i16::to_ne_bytes),
        DecodingResult::U32(values) => native(Element::U32, &values, u32::to_ne_bytes),
        DecodingResult::I32(values) => native(Element::I32, &values, i32::to_ne_bytes),
        DecodingResult::F16(values) => native(Element::F16, &values, half::f16::to_ne_bytes),
        DecodingResult::F32(values) => native(Element::F32, &values, f32::to_ne_bytes),
        DecodingResult::F64(values) => native(Element::F64, &values, f64::to_ne_bytes),
        _ => return Err("its pixels have 64 bits".to_owned()),
    };
    let [height, width] = page.sides;
    if numbers.element() != page.element || numbers.len() != height * width * page.samples {
        return Err("its pixels are not as many as it says".to_owned());
    }
    let picture = from_samples(&numbers, page.sides, page.samples, page.has_alpha);
    Ok(convert::upright(Picture { profile, ..picture }, page.how))
}

fn native<T: Copy, const BYTES: usize>(
    element: Element,
    values: &[T],
    bytes: impl Fn(T) -> [u8; BYTES],
) -> Numbers {
    Numbers::new(element, values.iter().flat_map(|&value| bytes(value)).collect())
}

/// Writes pages to a TIFF file, compressed without loss.
pub(super) fn writer<W: Write + Seek>(file: W) -> Result<TiffEncoder<W>, String> {
    let encoder = TiffEncoder::new(file).map_err(text)?;
    Ok(encoder.with_compression(Compression::Deflate(DeflateLevel::Balanced)))
}

/// Appends a page of interleaved samples.
pub(super) fn write_page<W: Write + Seek>(
    encoder: &mut TiffEncoder<W>,
    samples: &Numbers,
    sides: [usize; 2],
    channels: usize,
    has_alpha: bool,
    profile: Option<&[u8]>,
) -> Result<(), String> {
    macro_rules! page {
        ($color:ty, $number:ty) => {{
            let [height, width] = sides.map(|side| side as u32);
            let mut page = encoder.new_image::<$color>(width, height).map_err(text)?;
            if has_alpha {
                page.extra_samples(&[ExtraSamples::UnassociatedAlpha]).map_err(text)?;
            }
            if let Some(profile) = profile {
                page.encoder().write_tag(Tag::IccProfile, profile).map_err(text)?;
            }
            let values = samples.as_bytes().as_chunks().0.iter();
            let values: Vec<$number> =
                values.map(|bytes| <$number>::from_ne_bytes(*bytes)).collect();
            page.write_data(&values).map_err(text)
        }};
    }
    match (samples.element(), channels) {
        (Element::U8, 1) => page!(colortype::Gray8, u8),
        (Element::U8, 3) => page!(colortype::RGB8, u8),
        (Element::U16, 1) => page!(colortype::Gray16, u16),
        (Element::U16, 3) => page!(colortype::RGB16, u16),
        (Element::U32, 1) => page!(colortype::Gray32, u32),
        (Element::U32, 3) => page!(colortype::RGB32, u32),
        (Element::I8, 1) => page!(colortype::GrayI8, i8),
        (Element::I16, 1) => page!(colortype::GrayI16, i16),
        (Element::I32, 1) => page!(colortype::GrayI32, i32),
        (Element::F32, 1) => page!(colortype::Gray32Float, f32),
        (Element::F32, 3) => page!(colortype::RGB32Float, f32),
        (Element::F64, 1) => page!(colortype::Gray64Float, f64),
        (Element::F64, 3) => page!(colortype::RGB64Float, f64),
        (element, channels) => {
            Err(format!("TIFF files of {channels} channels of {element} are not written"))
        }
    }
}
