//! What the decoder of PNG files does not tell.

/// What a PNG file says of itself before its pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    /// Whether all colors of its palette are gray and none is transparent.
    pub(super) gray_palette: bool,
}

/// Walks the chunks before the pixels; an error names a palette that decoders fail on, or an animation.
///
/// W3C (2003), "Portable Network Graphics (PNG) Specification", section 5: eight bytes, then chunks of length, type,
/// data and checksum.
pub(super) fn chunks(bytes: &[u8]) -> Result<Chunks, String> {
    let mut found = Chunks::default();
    let mut at = SIGNATURE;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(data) = bytes.get(at + 8..at + 8 + length) else { break };
        match &head[4..] {
            b"PLTE" if length == 0 || !length.is_multiple_of(3) || length > 768 => {
                return Err(format!("its palette of {length} bytes is not one of 1 to 256 colors"));
            }
            b"PLTE" => {
                found.gray_palette = data.chunks(3).all(|c| c[0] == c[1] && c[1] == c[2]);
            }
            b"tRNS" => found.gray_palette = false,
            b"acTL" => return Err("it is an animation".to_owned()),
            b"IDAT" => break,
            _ => {}
        }
        at += 12 + length;
    }
    // A palette of a picture that does not use it is a suggestion.
    found.gray_palette &= bytes.get(COLOR_TYPE) == Some(&INDEXED);
    Ok(found)
}

const SIGNATURE: usize = 8;
/// The place of the color type in the first chunk.
const COLOR_TYPE: usize = 25;
const INDEXED: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn png(palette: &[u8], transparent: bool) -> Vec<u8> {
        let mut bytes = vec![];
        let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(palette.to_vec());
        if transparent {
            encoder.set_trns(vec![0]);
        }
        encoder.write_header().unwrap().write_image_data(&[0, 1]).unwrap();
        bytes
    }

    #[test]
    fn a_palette_of_grays_is_gray() {
        let gray = |bytes: &[u8]| chunks(bytes).unwrap().gray_palette;
        assert!(gray(&png(&[1, 1, 1, 200, 200, 200], false)));
        assert!(!gray(&png(&[1, 1, 1, 200, 200, 201], false)));
        assert!(!gray(&png(&[1, 1, 1, 200, 200, 200], true)));
    }

    #[test]
    fn a_palette_that_is_none_is_refused() {
        let error = chunks(&png(&[1, 1, 1, 2], false)).unwrap_err();
        assert!(error.contains("palette of 4 bytes"), "{error}");
    }
}
