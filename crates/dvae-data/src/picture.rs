//! Pictures as rows.

use std::path::Path;

use crate::{DataError, Dataset};

/// One row `[channels, height, width]` from a PNG file: 3 channels of a colour picture, 1 of a grey one;
/// 16 bits become 8, and transparency is dropped.
///
/// An error names a file that cannot be read or is no such picture.
pub fn read_png(path: &Path) -> Result<Dataset, DataError> {
    let bytes =
        std::fs::read(path).map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    png_row(&bytes).map_err(|reason| DataError::Png { path: path.to_owned(), reason })
}

/// What [`read_png`] reads, from the bytes of such a file; an error says what is wrong with them.
pub fn png_row(bytes: &[u8]) -> Result<Dataset, String> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let size = reader.output_buffer_size().ok_or("it is too large")?;
    let mut interleaved = vec![0; size];
    let frame = reader.next_frame(&mut interleaved).map_err(|error| error.to_string())?;
    let stored = frame.color_type.samples();
    // An even number of samples has transparency as its last.
    let channels = stored - usize::from(stored.is_multiple_of(2));
    let pixels = interleaved[..frame.buffer_size()].chunks_exact(stored);
    let planes = (0..channels).flat_map(|channel| pixels.clone().map(move |pixel| pixel[channel]));
    let event = [channels, frame.height as usize, frame.width as usize];
    Dataset::from_bytes(planes.collect(), &event).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(color: png::ColorType, pixels: &[u8]) -> Vec<u8> {
        let mut bytes = vec![];
        let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(color);
        encoder.write_header().unwrap().write_image_data(pixels).unwrap();
        bytes
    }

    #[test]
    fn colours_become_planes_and_transparency_goes() {
        let values = |row: Dataset| -> Vec<f32> {
            let row = row.gather::<4>(&[0], &burn::tensor::Device::flex());
            row.into_data().iter::<f32>().map(|v| v * 255.0).collect()
        };
        let colour = png_row(&png(png::ColorType::Rgba, &[1, 2, 3, 9, 4, 5, 6, 9])).unwrap();
        assert_eq!(colour.event(), [3, 1, 2]);
        assert_eq!(values(colour), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let grey = png_row(&png(png::ColorType::Grayscale, &[7, 8])).unwrap();
        assert_eq!((grey.event(), values(grey.clone())), (&[1, 1, 2][..], vec![7.0, 8.0]));
    }

    #[test]
    fn what_is_no_picture_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        assert!(read_png(&path).unwrap_err().to_string().contains("cannot read"));
        let whole = png(png::ColorType::Rgb, &[1, 2, 3, 4, 5, 6]);
        for bytes in [&b"P5 2 2 255"[..], &whole[..whole.len() / 2], b""] {
            std::fs::write(&path, bytes).unwrap();
            let error = read_png(&path).unwrap_err().to_string();
            assert!(error.contains("a.png is no PNG picture that can be read"), "{error}");
        }
    }
}
