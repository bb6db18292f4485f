//! Image files as rows.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat, ImageReader, Limits};

use crate::beside::{gray, write_at, write_file};
use crate::{DataError, Dataset, Rows};

/// The largest ratio by which a compressed image can expand, which is that of Deflate.
const EXPANSION: u64 = 1032;

/// Reads a PNG or JPEG file as one row `[channels, height, width]`: 3 channels for color, 1 for gray. 16 bits
/// are reduced to 8, and transparency is dropped.
///
/// An error names a file that cannot be read or is not such an image.
pub fn read_picture(path: &Path) -> Result<Dataset, DataError> {
    let picture = open(path)?;
    let (values, event) = planes(&picture);
    Dataset::from_bytes(values, &event)
}

/// Decodes the bytes of a PNG or JPEG file as [`read_picture`] does; an error says what is wrong with them.
pub fn picture_row(bytes: &[u8]) -> Result<Dataset, String> {
    let (values, event) = planes(&decode(bytes)?);
    Dataset::from_bytes(values, &event).map_err(|error| error.to_string())
}

fn open(path: &Path) -> Result<DynamicImage, DataError> {
    let bytes =
        std::fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    decode(&bytes).map_err(|reason| DataError::Picture { path: path.to_owned(), reason })
}

fn decode(bytes: &[u8]) -> Result<DynamicImage, String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| error.to_string())?;
    // A header may claim any size, but an image cannot be larger than its file allows.
    let mut limits = Limits::default();
    limits.max_alloc = Some(EXPANSION * bytes.len() as u64 + (1 << 20));
    reader.limits(limits);
    reader.decode().map_err(|error| error.to_string())
}

/// Values plane by plane, and their shape.
fn planes(picture: &DynamicImage) -> (Vec<u8>, [usize; 3]) {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    if !picture.color().has_color() {
        return (picture.to_luma8().into_raw(), [1, height, width]);
    }
    let interleaved = picture.to_rgb8().into_raw();
    let plane = |channel| interleaved.iter().skip(channel).step_by(3).copied();
    ((0..3).flat_map(plane).collect(), [3, height, width])
}

/// Reads one row for each of these images. They are converted to the shape `[channels, height, width]` if one
/// is given; otherwise all must have the shape of the first.
pub fn picture_rows(paths: Vec<PathBuf>, shape: Option<[usize; 3]>) -> Result<Rows, DataError> {
    if let Some(shape) = shape
        && !is_possible(shape)
    {
        return Err(DataError::PictureShape { shape });
    }
    let first = paths.first().ok_or_else(|| DataError::NoPicture { path: PathBuf::new() })?;
    let event = match shape {
        Some(shape) => shape,
        None => planes(&open(first)?).1,
    };
    let count = Some(paths.len());
    let mut paths = paths.into_iter();
    let mut failed = false;
    let rows = std::iter::from_fn(move || {
        let path = paths.next().filter(|_| !failed)?;
        let row = picture_as(&path, event, shape.is_some());
        failed = row.is_err();
        Some(row)
    });
    Ok(Rows { event: event.into(), names: None, bytes: true, count, rows: Box::new(rows) })
}

/// Reads one row for each of these images, in gray (1 channel) or color (3); all must have the height and
/// width of the first.
pub fn picture_rows_in(paths: Vec<PathBuf>, channels: usize) -> Result<Rows, DataError> {
    let first = paths.first().ok_or_else(|| DataError::NoPicture { path: PathBuf::new() })?;
    let [_, height, width] = planes(&open(first)?).1;
    picture_rows(paths, Some([channels, height, width]))
}

fn is_possible([channels, height, width]: [usize; 3]) -> bool {
    let sides = [height, width].iter().all(|side| (1..=usize::from(u16::MAX)).contains(side));
    matches!(channels, 1 | 3) && sides && channels * height * width <= 1 << 28
}

/// Reads an image as a row of this shape.
fn picture_as(path: &Path, event: [usize; 3], change: bool) -> Result<Vec<f32>, DataError> {
    let mut picture = open(path)?;
    if change {
        let [channels, height, width] = event;
        picture = match channels {
            1 => DynamicImage::ImageLuma8(picture.to_luma8()),
            _ => DynamicImage::ImageRgb8(picture.to_rgb8()),
        };
        if (picture.height() as usize, picture.width() as usize) != (height, width) {
            let filter = image::imageops::FilterType::Triangle;
            picture = picture.resize_exact(width as u32, height as u32, filter);
        }
    }
    let (values, found) = planes(&picture);
    if found != event {
        return Err(DataError::Unlike {
            path: path.into(),
            found: found.into(),
            expected: event.into(),
            advice: "give a shape that all are brought to",
        });
    }
    Ok(values.into_iter().map(|byte| f32::from(byte) / 255.0).collect())
}

/// Writes a row `[channels, height, width]` in `[0, 1]`, of 1 or 3 channels, as an image file: JPEG if the
/// file name has its extension, PNG otherwise.
pub fn write_picture(path: &Path, row: &[f32], event: &[usize]) -> Result<(), DataError> {
    let &[channels @ (1 | 3), height, width] = event else {
        let reason = format!("rows of shape {event:?} are no pictures of 1 or 3 channels");
        return Err(DataError::File { path: path.into(), reason });
    };
    let area = height * width;
    let pixels =
        (0..area).flat_map(|at| (0..channels).map(move |channel| row[channel * area + at]));
    let bytes: Vec<u8> = pixels.map(gray).collect();
    let (width, height) = (width as u32, height as u32);
    let picture = match channels {
        1 => image::GrayImage::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8),
        _ => image::RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8),
    };
    let picture = picture.expect("as many pixels as the shape says");
    let is_jpeg = |extension: &std::ffi::OsStr| {
        ["jpg", "jpeg"].iter().any(|jpeg| extension.eq_ignore_ascii_case(jpeg))
    };
    let format = match path.extension().is_some_and(is_jpeg) {
        true => ImageFormat::Jpeg,
        false => ImageFormat::Png,
    };
    let mut encoded = Cursor::new(vec![]);
    picture
        .write_to(&mut encoded, format)
        .map_err(|error| write_at(path)(std::io::Error::other(error.to_string())))?;
    write_file(path, &encoded.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(picture: &DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(vec![]);
        picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    fn color() -> DynamicImage {
        let pixels = vec![1, 2, 3, 9, 4, 5, 6, 9];
        DynamicImage::ImageRgba8(image::RgbaImage::from_raw(2, 1, pixels).unwrap())
    }

    fn values(row: &Dataset) -> Vec<f32> {
        let row = row.gather::<4>(&[0], &burn::tensor::Device::flex());
        row.into_data().iter::<f32>().map(|v| (v * 255.0).round()).collect()
    }

    #[test]
    fn colors_become_planes_and_transparency_goes() {
        let row = picture_row(&png(&color())).unwrap();
        assert_eq!(row.event(), [3, 1, 2]);
        assert_eq!(values(&row), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let gray = image::GrayImage::from_raw(2, 1, vec![7, 8]).unwrap();
        let row = picture_row(&png(&DynamicImage::ImageLuma8(gray))).unwrap();
        assert_eq!((row.event(), values(&row)), (&[1, 1, 2][..], vec![7.0, 8.0]));
    }

    #[test]
    fn what_is_no_picture_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        assert!(read_picture(&path).unwrap_err().to_string().contains("cannot read"));
        let whole = png(&color());
        for bytes in [&b"P5 2 2 255"[..], &whole[..whole.len() / 2], b""] {
            std::fs::write(&path, bytes).unwrap();
            let error = read_picture(&path).unwrap_err().to_string();
            assert!(error.contains("a.png is no picture that can be read"), "{error}");
        }
    }

    // A header of 60,000 × 60,000 pixels followed by a few bytes.
    #[test]
    fn a_picture_larger_than_its_file_allows_is_refused() {
        let mut bytes = png(&color());
        bytes[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        let crc = crc32fast::hash(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        assert!(picture_row(&bytes).is_err());
    }

    #[test]
    fn pictures_are_alike_or_made_so() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write_picture(&at("a.png"), &[0.0, 1.0, 0.0, 1.0], &[1, 2, 2]).unwrap();
        write_picture(&at("b.jpeg"), &[0.5; 27], &[3, 3, 3]).unwrap();
        let paths = vec![at("a.png"), at("b.jpeg")];
        let rows = picture_rows(paths.clone(), None).unwrap();
        let error = rows.collect::<Result<Vec<_>, _>>().unwrap_err().to_string();
        assert!(error.contains("b.jpeg is of shape [3, 3, 3], but the rows before"), "{error}");
        let rows: Vec<Vec<f32>> =
            picture_rows(paths, Some([1, 2, 2])).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows[0], [0.0, 1.0, 0.0, 1.0]);
        assert!(rows[1].iter().all(|value| (value - 0.5).abs() < 0.02), "{rows:?}");
        assert!(picture_rows(vec![at("a.png")], Some([2, 2, 2])).is_err());
        assert!(write_picture(&at("c.png"), &[0.0; 8], &[2, 2, 2]).is_err());
    }
}
