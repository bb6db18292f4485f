//! Transparent pictures before a white background.

/// Puts planes of colors in `[0, 1]` before white: `c ↦ a c + (1 − a)`, with one `a` for each pixel.
pub(crate) fn over_white(colors: &mut [f64], alpha: &[f64]) {
    for plane in colors.chunks_mut(alpha.len().max(1)) {
        for (color, alpha) in plane.iter_mut().zip(alpha) {
            *color = alpha * *color + (1.0 - alpha);
        }
    }
}

/// The color of a pixel that looks like `seen` before white, within `[0, 1]`; `alpha` is above 0.
pub(crate) fn under_white(seen: f64, alpha: f64) -> f64 {
    ((seen - (1.0 - alpha)) / alpha).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_before_white_is_found_again() {
        let mut colors = vec![0.0, 0.5, 1.0, 0.25, 0.0, 0.75];
        let alpha = [0.0, 0.25, 1.0];
        let clean = colors.clone();
        over_white(&mut colors, &alpha);
        assert_eq!(colors, [1.0, 0.875, 1.0, 1.0, 0.75, 0.75]);
        for at in [1, 2, 4, 5] {
            assert_eq!(under_white(colors[at], alpha[at % 3]), clean[at]);
        }
        assert_eq!(under_white(0.1, 0.5), 0.0); // Darker than anything of this transparency.
    }
}
