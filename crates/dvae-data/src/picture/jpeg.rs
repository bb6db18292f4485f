//! What a decoder of JPEG does not tell.

/// Checks that a JPEG file goes on to its end: decoders fill what is missing with gray and say nothing.
///
/// ITU-T T.81, annex B: segments begin with a marker and their length; coded data follow a start of scan, with a zero
/// after each byte `FF` that is data, and end with a marker; the last one is the end of the image.
pub(super) fn check_complete(bytes: &[u8]) -> Result<(), String> {
    let cut = || "it is cut off: its end is missing".to_owned();
    let mut at = 2;
    let mut in_scan = false;
    loop {
        let rest = bytes.get(at..).ok_or_else(cut)?;
        let ahead = rest.iter().position(|&byte| byte == 0xff).ok_or_else(cut)?;
        if ahead > 0 && !in_scan {
            return Err("its segments are damaged".to_owned());
        }
        at += ahead + 1;
        match *bytes.get(at).ok_or_else(cut)? {
            END => return Ok(()),
            0 if in_scan => at += 1,
            0xff => {} // Fill bytes.
            RESTART_0..=RESTART_7 | TEMPORARY => at += 1,
            marker => {
                let length = bytes.get(at + 1..at + 3).ok_or_else(cut)?;
                in_scan = marker == SCAN;
                at += 1 + usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
            }
        }
    }
}

const END: u8 = 0xd9;
const SCAN: u8 = 0xda;
const RESTART_0: u8 = 0xd0;
const RESTART_7: u8 = 0xd7;
const TEMPORARY: u8 = 0x01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_its_end_is_cut_off_wherever_that_was() {
        let pixels: Vec<u8> = (0..64 * 64 * 3).map(|at| (at * 31 % 251) as u8).collect();
        let mut bytes = vec![];
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95);
        image::ImageEncoder::write_image(encoder, &pixels, 64, 64, image::ExtendedColorType::Rgb8)
            .unwrap();
        assert_eq!(check_complete(&bytes), Ok(()));
        for length in 0..bytes.len() {
            assert!(check_complete(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
        }
        // What follows the end is no part of the picture.
        bytes.extend(b"and more");
        assert_eq!(check_complete(&bytes), Ok(()));
    }
}
