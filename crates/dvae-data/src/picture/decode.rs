//! Decoding of images.

use std::io::Cursor;

use dvae_checks::contained;
use image::codecs::pnm::PnmDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::{Header, Picture, convert, jpeg, png, tiff};
use crate::budget::Budget;
use crate::{Element, Numbers};

/// The largest ratio by which a compressed image can expand, which is that of Deflate.
pub(super) const EXPANSION: u64 = 1032;

/// What the file says of its first image, without decoding it.
pub(super) fn header(bytes: &[u8]) -> Result<Header, String> {
    contained(|| header_of(bytes)).flatten()
}

fn header_of(bytes: &[u8]) -> Result<Header, String> {
    if tiff::is_tiff(bytes) {
        return tiff::header(bytes);
    }
    let Opened { mut decoder, gray_palette, .. } = open(bytes)?;
    let (width, height) = decoder.dimensions();
    let how = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let color = decoder.color_type();
    let channels = if color.has_color() && !gray_palette { 3 } else { 1 };
    let event = convert::upright_event([channels, height as usize, width as usize], how);
    Ok(Header { event, element: element(color)? })
}

/// The first image of a file.
pub(super) fn picture(bytes: &[u8]) -> Result<Picture, String> {
    contained(|| picture_of(bytes)).flatten()
}

fn picture_of(bytes: &[u8]) -> Result<Picture, String> {
    if tiff::is_tiff(bytes) {
        let mut pages = tiff::pages(bytes.to_vec())?;
        return pages.next().unwrap_or_else(|| Err("it has no page".to_owned()));
    }
    let Opened { mut decoder, format, gray_palette } = open(bytes)?;
    if format == ImageFormat::Jpeg {
        jpeg::check_complete(bytes)?;
    }
    if decoder.total_bytes() > most_bytes(bytes, format) {
        let (width, height) = decoder.dimensions();
        return Err(format!("it claims {width} × {height} pixels, more than its length allows"));
    }
    let how = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten().map(Into::into);
    let decoded = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    let picture = Picture { profile, ..planes(&decoded)? };
    let picture = if gray_palette { first_channel(picture) } else { picture };
    Ok(convert::upright(picture, how))
}

/// All images of a file.
#[allow(clippy::type_complexity)] // Named where it is used: `Pages`.
pub(super) fn pages(
    bytes: Vec<u8>,
) -> Result<Box<dyn Iterator<Item = Result<Picture, String>> + Send>, String> {
    if tiff::is_tiff(&bytes) {
        return Ok(Box::new(contained(|| tiff::pages(bytes)).flatten()?));
    }
    Ok(Box::new(std::iter::once_with(move || picture(&bytes))))
}

struct Opened<'a> {
    decoder: Box<dyn ImageDecoder + 'a>,
    format: ImageFormat,
    gray_palette: bool,
}

fn open(bytes: &[u8]) -> Result<Opened<'_>, String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| error.to_string())?;
    let format = reader.format().ok_or("its first bytes are those of no picture")?;
    let gray_palette = match format {
        ImageFormat::Png => png::chunks(bytes)?.gray_palette,
        ImageFormat::Pnm => check_depth(bytes).map(|()| false)?,
        ImageFormat::WebP => check_still(bytes).map(|()| false)?,
        _ => false,
    };
    // A header may claim any size, but an image cannot be larger than its file allows.
    let mut limits = Limits::default();
    limits.max_alloc = Some(most_bytes(bytes, format));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err("it has no pixels".to_owned());
    }
    let samples = decoder.color_type().channel_count();
    let numbers = u128::from(width) * u128::from(height) * u128::from(samples);
    Budget::of_length(bytes.len() as u64).check_numbers(numbers)?;
    Ok(Opened { decoder: Box::new(decoder), format, gray_palette })
}

/// The largest size, in bytes, of a decoded image. WebP stores a large area of one color in a few bytes.
fn most_bytes(bytes: &[u8], format: ImageFormat) -> u64 {
    let any = if format == ImageFormat::WebP { 1 << 26 } else { 1 << 20 };
    let length = bytes.len() as u64;
    (EXPANSION * length + any).min(Budget::of_length(length).bytes() / 4)
}

/// A PNM file may have any number of gray levels. Those that are neither of 8 nor of 16 bits would be changed.
fn check_depth(bytes: &[u8]) -> Result<(), String> {
    let decoder = PnmDecoder::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let (_, header) = decoder.into_inner();
    match header.maximal_sample() {
        1 | 255 | 65535 => Ok(()),
        other => Err(format!(
            "its largest value is {other}: only pictures of 1, 255 or 65535 are kept unchanged"
        )),
    }
}

/// The flag of an animation in the extended header of WebP, and the lengths of its chunks, which the library makes room
/// for: RFC 9649, sections 2.3 and 2.7.1.
fn check_still(bytes: &[u8]) -> Result<(), String> {
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((head, data)) = rest.split_at_checked(8) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if length > data.len() {
            return Err(format!("a part of it claims {length} bytes"));
        }
        // A part of odd length is followed by a byte.
        rest = data.get(length + length % 2..).unwrap_or_default();
    }
    let is_extended = bytes.get(12..16) == Some(b"VP8X");
    match bytes.get(20) {
        Some(flags) if is_extended && flags & 2 != 0 => Err("it is an animation".to_owned()),
        _ => Ok(()),
    }
}

fn element(color: ColorType) -> Result<Element, String> {
    Ok(match color {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => Element::U8,
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => Element::U16,
        other => return Err(format!("its pixels are of the kind {other:?}")),
    })
}

/// The planes of a decoded image.
fn planes(picture: &DynamicImage) -> Result<Picture, String> {
    let color = picture.color();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let numbers = Numbers::new(element(color)?, picture.as_bytes().to_vec());
    let samples = usize::from(color.channel_count());
    Ok(from_samples(&numbers, [height, width], samples, color.has_alpha()))
}

/// The planes of interleaved samples.
pub(super) fn from_samples(
    samples: &Numbers,
    [height, width]: [usize; 2],
    per_pixel: usize,
    has_alpha: bool,
) -> Picture {
    let channels = per_pixel - usize::from(has_alpha);
    let area = height * width;
    let plane = |channel: usize| (0..area).map(move |pixel| pixel * per_pixel + channel);
    let numbers = match per_pixel {
        1 => samples.clone(),
        _ => samples.at((0..channels).flat_map(plane)),
    };
    let alpha = has_alpha.then(|| samples.at(plane(channels)));
    Picture { event: [channels, height, width], numbers, alpha, profile: None }
}

/// A picture of three equal channels in one.
fn first_channel(picture: Picture) -> Picture {
    let [_, height, width] = picture.event;
    let numbers = picture.numbers.at(0..height * width);
    Picture { event: [1, height, width], numbers, ..picture }
}
