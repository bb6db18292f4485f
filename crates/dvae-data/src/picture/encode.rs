//! Writing of images.

use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};
use tiff::encoder::TiffEncoder;

use super::tiff as tiff_file;
use crate::beside::{Beside, write_at, write_file};
use crate::rows::Extra;
use crate::{DataError, Domain, Element, Format, Numbers, Row};

/// The quality of JPEG files; colors are stored at full resolution.
const JPEG_QUALITY: u8 = 97;

/// A format of images, by the extension of a file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Png,
    Jpeg,
    Tiff,
    WebP,
    Pnm,
}

impl Encoding {
    fn of(path: &Path) -> Self {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "jpg" | "jpeg" => Self::Jpeg,
            "tif" | "tiff" => Self::Tiff,
            "webp" => Self::WebP,
            "pgm" | "ppm" | "pnm" | "pam" => Self::Pnm,
            _ => Self::Png,
        }
    }

    /// Whether the format holds such numbers; an error says what it holds.
    fn check(self, path: &Path, element: Element, has_alpha: bool) -> Result<(), DataError> {
        let holds = match self {
            Self::Tiff => return Ok(()),
            Self::Png | Self::Pnm => "8 or 16 bits",
            Self::Jpeg => "8 bits without transparency",
            Self::WebP => "8 bits",
        };
        let depth = match self {
            Self::Png | Self::Pnm => matches!(element, Element::U8 | Element::U16),
            _ => element == Element::U8,
        };
        if depth && !(has_alpha && self == Self::Jpeg) {
            return Ok(());
        }
        let what = if depth { "a transparent picture".to_owned() } else { element.to_string() };
        let reason = format!(
            "this format holds {holds}, not {what}: choose a name that ends in .tif or .png"
        );
        Err(DataError::File { path: path.into(), reason })
    }
}

/// Whether writing a file of this name changes the values: that of a JPEG file does.
pub(crate) fn loses(path: &Path) -> bool {
    Encoding::of(path) == Encoding::Jpeg
}

/// Writes the pictures of one file: one, or several pages of a TIFF file. The file is written under a temporary name
/// and renamed when it is finished.
pub(crate) struct PictureWriter {
    path: PathBuf,
    format: Format,
    pages: PagesWriter,
}

enum PagesWriter {
    One { encoding: Encoding, contents: Option<Vec<u8>> },
    Many { place: Beside, encoder: Box<TiffEncoder<File>> },
}

impl std::fmt::Debug for PictureWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PictureWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

impl PictureWriter {
    /// An error names rows that are no pictures, or that the format does not hold.
    pub(crate) fn create(path: &Path, format: &Format) -> Result<Self, DataError> {
        let bad = |reason: String| DataError::File { path: path.into(), reason };
        if !matches!(format.event[..], [1 | 3, _, _]) {
            let event = &format.event;
            return Err(bad(format!("rows of shape {event:?} are no pictures of 1 or 3 channels")));
        }
        let encoding = Encoding::of(path);
        if encoding == Encoding::Tiff {
            let (place, file) = Beside::create(path)?;
            let encoder = Box::new(tiff_file::writer(file).map_err(bad)?);
            let pages = PagesWriter::Many { place, encoder };
            return Ok(Self { path: path.into(), format: format.clone(), pages });
        }
        if format.domain != Domain::Unit {
            return Err(bad(format!(
                "its values are {}, and such a picture shows numbers in [0, 1]: choose a name that ends in .tif, \
                 .npy or .csv",
                format.domain
            )));
        }
        encoding.check(path, format.element, false)?;
        let pages = PagesWriter::One { encoding, contents: None };
        Ok(Self { path: path.into(), format: format.clone(), pages })
    }

    pub(crate) fn write(&mut self, row: &Row) -> Result<(), DataError> {
        let (alpha, profile) = match &row.extra {
            Extra::Picture { alpha, profile } => (alpha.as_ref(), profile.as_deref()),
            _ => (None, None),
        };
        let &[channels, height, width] = &self.format.event[..] else { unreachable!("checked") };
        let samples = interleaved(row.numbers(), alpha, channels, height * width);
        let sides = [height, width];
        let bad = |reason: String| DataError::File { path: self.path.clone(), reason };
        match &mut self.pages {
            PagesWriter::Many { encoder, .. } => {
                let has_alpha = alpha.is_some();
                tiff_file::write_page(encoder, &samples, sides, channels, has_alpha, profile)
                    .map_err(bad)
            }
            PagesWriter::One { contents: Some(_), .. } => Err(bad(
                "one picture is one row, but there are more: choose .tif or .npy".to_owned(),
            )),
            PagesWriter::One { encoding, contents } => {
                encoding.check(&self.path, samples.element(), alpha.is_some())?;
                let color = color(samples.element(), channels, alpha.is_some());
                let encoded = encoded(*encoding, &samples, sides, color, profile).map_err(bad)?;
                *contents = Some(encoded);
                Ok(())
            }
        }
    }

    pub(crate) fn finish(self) -> Result<(), DataError> {
        match self.pages {
            PagesWriter::One { contents: Some(contents), .. } => write_file(&self.path, &contents),
            PagesWriter::One { contents: None, .. } => {
                let reason = "a picture is one row, but there is none".to_owned();
                Err(DataError::File { path: self.path, reason })
            }
            PagesWriter::Many { place, encoder } => {
                drop(encoder); // Without a buffer: what was written is in the file.
                place.finish().map_err(write_at(&self.path))
            }
        }
    }
}

/// Planes as pixels, with the transparency last.
fn interleaved(
    numbers: &Numbers,
    alpha: Option<&Numbers>,
    channels: usize,
    area: usize,
) -> Numbers {
    let mut planes = numbers.clone();
    if let Some(alpha) = alpha {
        planes.extend(alpha);
    }
    let samples = channels + usize::from(alpha.is_some());
    if samples == 1 {
        return planes;
    }
    planes.at((0..area * samples).map(|at| at % samples * area + at / samples))
}

fn color(element: Element, channels: usize, has_alpha: bool) -> ExtendedColorType {
    match (element, channels, has_alpha) {
        (Element::U16, 1, false) => ExtendedColorType::L16,
        (Element::U16, 1, true) => ExtendedColorType::La16,
        (Element::U16, _, false) => ExtendedColorType::Rgb16,
        (Element::U16, _, true) => ExtendedColorType::Rgba16,
        (_, 1, false) => ExtendedColorType::L8,
        (_, 1, true) => ExtendedColorType::La8,
        (_, _, false) => ExtendedColorType::Rgb8,
        (_, _, true) => ExtendedColorType::Rgba8,
    }
}

fn encoded(
    encoding: Encoding,
    samples: &Numbers,
    [height, width]: [usize; 2],
    color: ExtendedColorType,
    profile: Option<&[u8]>,
) -> Result<Vec<u8>, String> {
    let mut out = Cursor::new(vec![]);
    let (width, height) = (width as u32, height as u32);
    macro_rules! write {
        ($encoder:expr) => {{
            let mut encoder = $encoder;
            if let Some(profile) = profile {
                let _ = encoder.set_icc_profile(profile.to_vec()); // Not every format carries one.
            }
            encoder.write_image(samples.as_bytes(), width, height, color)
        }};
    }
    let written = match encoding {
        Encoding::Jpeg => write!(JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY)),
        Encoding::WebP => write!(WebPEncoder::new_lossless(&mut out)),
        Encoding::Pnm => return Ok(pnm(samples, width, height, color)),
        Encoding::Png | Encoding::Tiff => write!(PngEncoder::new(&mut out)),
    };
    written.map_err(|error| error.to_string())?;
    Ok(out.into_inner())
}

/// A binary PGM or PPM file, or a PAM file if it is transparent; the encoder of `image` takes no 16 bits. Words are in
/// big-endian order.
fn pnm(samples: &Numbers, width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
    let most = samples.element().full_scale();
    let channels = color.channel_count();
    let mut file = match channels {
        1 => format!("P5\n{width} {height}\n{most}\n"),
        3 => format!("P6\n{width} {height}\n{most}\n"),
        _ => {
            let kind = if channels == 2 { "GRAYSCALE_ALPHA" } else { "RGB_ALPHA" };
            format!(
                "P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {channels}\nMAXVAL {most}\nTUPLTYPE {kind}\nENDHDR\n"
            )
        }
    }
    .into_bytes();
    let size = samples.element().size();
    for number in samples.as_bytes().chunks(size) {
        match cfg!(target_endian = "little") {
            true => file.extend(number.iter().rev()),
            false => file.extend(number),
        }
    }
    file
}

/// Writes a row `[channels, height, width]` in `[0, 1]`, of 1 or 3 channels, as an image file of 8 bits, in the
/// format that the file's name implies; PNG if it implies none.
pub fn write_picture(path: &Path, row: &[f32], event: &[usize]) -> Result<(), DataError> {
    let format = Format::new(event, Element::U8, Domain::Unit);
    let mut writer = PictureWriter::create(path, &format)?;
    let values: Vec<f64> = row.iter().copied().map(f64::from).collect();
    writer.write(&format.row(&values))?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReadOptions, read_rows};

    /// What is read of a file that a row of these values was written to.
    fn written(name: &str, event: &[usize], element: Element, has_alpha: bool) -> (Row, Row) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let format = Format::new(
            event,
            element,
            if element.is_whole() { Domain::Unit } else { Domain::Real },
        );
        let width: usize = event.iter().product();
        let values: Vec<f64> = (0..width).map(|at| (at * 5 % 17) as f64 / 17.0).collect();
        let area = event[1] * event[2];
        let alpha = Numbers::of_values(element, Domain::Unit, &values[..area]);
        let extra = Extra::Picture { alpha: has_alpha.then_some(alpha), profile: None };
        let row = Row { extra, ..format.row(&values) };
        let mut writer = PictureWriter::create(&path, &format).unwrap();
        writer.write(&row).unwrap();
        writer.finish().unwrap();
        let mut rows = read_rows(&path, &ReadOptions::default()).unwrap();
        assert_eq!((&rows.format.event[..], rows.format.element), (event, element), "{name}");
        (row, rows.next().unwrap().unwrap())
    }

    #[test]
    fn every_format_gives_back_what_it_holds() {
        let kinds: [(&str, &[Element], bool); 7] = [
            ("a.png", &[Element::U8, Element::U16], true),
            ("a.tif", &[Element::U8, Element::U16], true),
            ("b.tif", &[Element::F32, Element::F64], false),
            ("a.webp", &[Element::U8], true),
            ("a.pgm", &[Element::U8, Element::U16], false),
            ("a.ppm", &[Element::U8, Element::U16], false),
            ("a.pam", &[Element::U8, Element::U16], true),
        ];
        for (name, elements, alpha) in kinds {
            for (&element, channels) in elements.iter().flat_map(|e| [(e, 1), (e, 3)]) {
                for has_alpha in [false, alpha] {
                    // WebP has no gray: it is read as color.
                    if name == "a.webp" && channels == 1 {
                        continue;
                    }
                    let (row, read) = written(name, &[channels, 3, 5], element, has_alpha);
                    assert_eq!(
                        read.numbers, row.numbers,
                        "{name} {element} {channels} {has_alpha}"
                    );
                    let (Extra::Picture { alpha, .. }, Extra::Picture { alpha: same, .. }) =
                        (&row.extra, &read.extra)
                    else {
                        panic!("pictures");
                    };
                    assert_eq!(alpha, same, "{name} {element} {channels}");
                }
            }
        }
    }

    #[test]
    fn what_a_format_does_not_hold_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |name: &str, element, domain| {
            let format = Format::new(&[1, 2, 2], element, domain);
            PictureWriter::create(&folder.path().join(name), &format).unwrap_err().to_string()
        };
        assert!(refused("a.jpg", Element::U16, Domain::Unit).contains("holds 8 bits"));
        assert!(refused("a.webp", Element::U16, Domain::Unit).contains("holds 8 bits"));
        assert!(refused("a.png", Element::F32, Domain::Unit).contains("8 or 16 bits"));
        assert!(refused("a.png", Element::U8, Domain::Real).contains("real numbers"));
    }
}
