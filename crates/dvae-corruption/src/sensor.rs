//! The fixed pattern of a sensor's defects, which all its images share.

use dvae_random::{Key, Purpose};

/// The part of a sensor that can be defective.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Pixel = 0,
    Line = 1,
}

/// One uniform for each part of the sensor with this seed; a part is stuck if its uniform is below the rate.
pub(crate) fn pattern(seed: u64, part: Part, parts: usize) -> Vec<f32> {
    let mut pattern = vec![0.0; parts];
    let key = Key::new(seed).purpose(Purpose::Sensor).branch(part as u64);
    key.rows(&[0]).row(0).uniform(&mut pattern);
    pattern
}

/// Sets entries whose uniform is below the rate to 0 or 1; every plane, or every line, gets the same pattern.
pub(crate) fn stick(pixels: &mut [f32], pattern: &[f32], rate: f32) {
    for (pixel, &u) in pixels.iter_mut().zip(pattern.iter().cycle()) {
        if u < rate {
            // A uniform's last bit is independent of its size.
            *pixel = f32::from((u * 16_777_216.0) as u32 % 2 == 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2⁻²⁴ times an odd number is stuck at 1, times an even one at 0.
    #[test]
    fn sticks_what_is_below_the_rate() {
        let (odd, even) = (3.0 / 16_777_216.0, 4.0 / 16_777_216.0);
        let mut pixels = [0.5; 6];
        stick(&mut pixels, &[odd, even, 0.5], 0.1);
        assert_eq!(pixels, [1.0, 0.0, 0.5, 1.0, 0.0, 0.5]);
    }

    #[test]
    fn sensors_and_their_parts_have_patterns_of_their_own() {
        let first = pattern(1, Part::Pixel, 9);
        assert_eq!(first, pattern(1, Part::Pixel, 9));
        assert_ne!(first, pattern(2, Part::Pixel, 9));
        assert_ne!(first, pattern(1, Part::Line, 9));
    }
}
