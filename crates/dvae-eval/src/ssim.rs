//! Structural similarity.

/// The side of the squares that are compared.
const SIDE: usize = 7;
/// What keeps the ratios finite, for values on the scale `[0, 1]`.
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// Structural similarity (SSIM) of one channel of an image to its clean original, both `[height, width]`, row by row, on the
/// scale `[0, 1]`: at most 1, which equal images have.
///
/// ```text
/// SSIM = mean over squares of (2 m m' + C₁)(2 c + C₂) / ((m² + m'² + C₁)(v + v' + C₂))
/// ```
///
/// `m`, `v` and `c` are means, variances and the covariance of a square of 7 pixels: Wang et al. (2004), "Image Quality
/// Assessment: From Error Visibility to Structural Similarity", equation 13, with `C₁ = 0.01²` and `C₂ = 0.03²`, squares
/// of equal weights and sample covariances, as scikit-image's `structural_similarity` by default. `None` if a side is
/// shorter than a square.
///
/// # Panics
///
/// If there are not as many pixels as the sides say.
pub fn ssim(clean: &[f64], other: &[f64], sides: [usize; 2]) -> Option<f64> {
    let [height, width] = sides;
    assert_eq!([clean.len(), other.len()], [height * width; 2], "pixels of images of {sides:?}");
    if height < SIDE || width < SIDE {
        return None;
    }
    let moments = |at: usize| {
        let (x, y) = (clean[at], other[at]);
        [x, y, x * x, y * y, x * y]
    };
    // Sums over the lines of the squares that begin at a line, for each column.
    let mut columns = vec![[0.0; 5]; width];
    let add = |columns: &mut [[f64; 5]], line: usize, sign: f64| {
        for (x, sums) in columns.iter_mut().enumerate() {
            for (sum, moment) in sums.iter_mut().zip(moments(line * width + x)) {
                *sum += sign * moment;
            }
        }
    };
    (0..SIDE).for_each(|line| add(&mut columns, line, 1.0));
    let mut total = 0.0;
    for top in 0..=height - SIDE {
        if top > 0 {
            add(&mut columns, top - 1, -1.0);
            add(&mut columns, top + SIDE - 1, 1.0);
        }
        for square in columns.windows(SIDE) {
            let mut sums = [0.0; 5];
            square.iter().for_each(|column| (0..5).for_each(|at| sums[at] += column[at]));
            total += similarity(sums);
        }
    }
    Some(total / ((height - SIDE + 1) * (width - SIDE + 1)) as f64)
}

/// The similarity of a square from its sums of `x`, `y`, `x²`, `y²` and `xy`.
fn similarity(sums: [f64; 5]) -> f64 {
    let count = (SIDE * SIDE) as f64;
    let [mean, other, squares, others, products] = sums.map(|sum| sum / count);
    let sample = count / (count - 1.0);
    let variances = sample * (squares - mean * mean + others - other * other);
    let covariance = sample * (products - mean * other);
    let means = (2.0 * mean * other + C1) / (mean * mean + other * other + C1);
    means * (2.0 * covariance + C2) / (variances + C2)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The reference is scikit-image 0.26: structural_similarity(a, b, data_range=1.0).
    #[test]
    fn is_that_of_scikit_image() {
        let (clean, other) = crate::filters::reference_images();
        let similarity = ssim(&clean, &other, [11, 13]).unwrap();
        assert!((similarity - 0.946_361_217_632_701).abs() < 1e-12, "{similarity}");
        assert!((ssim(&clean, &clean, [11, 13]).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(ssim(&clean[..78], &other[..78], [6, 13]), None);
    }
}
