//! A share of rows, and how sure it is.

use serde::Serialize;

/// A share of rows with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Proportion {
    /// The rows that count.
    pub count: usize,
    /// The rows that could.
    pub of: usize,
    /// The first over the second, in `[0, 1]`; `None` of no rows.
    pub share: Option<f64>,
    /// The ends of the 95 % interval, in `[0, 1]`; all of that, of no rows.
    pub interval: [f64; 2],
}

/// The 97.5 % quantile of a standard normal.
const QUANTILE: f64 = 1.959_963_984_540_054;

impl Proportion {
    /// The share, and the Wilson score interval about it, without a correction for continuity:
    ///
    /// ```text
    /// (p + z²/2n ± z √(p (1 − p)/n + z²/4n²)) / (1 + z²/n),   z = 1.96
    /// ```
    ///
    /// After Wilson (1927), "Probable Inference, the Law of Succession, and Statistical Inference". Rows are taken to be
    /// independent: with rows that are alike, the interval is too narrow.
    ///
    /// ```
    /// let share = dvae_eval::Proportion::of(9, 10);
    /// assert_eq!(share.share, Some(0.9));
    /// println!("between {} and {}", share.interval[0], share.interval[1]);
    /// ```
    ///
    /// # Panics
    ///
    /// If more rows count than could.
    pub fn of(count: usize, of: usize) -> Self {
        assert!(count <= of, "{count} of {of} rows");
        if of == 0 {
            return Self { count, of, share: None, interval: [0.0, 1.0] };
        }
        let (n, z2) = (of as f64, QUANTILE * QUANTILE);
        let p = count as f64 / n;
        let middle = p + z2 / (2.0 * n);
        let half = QUANTILE * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        // Of none and of all, one end is exact: rounding would miss it.
        let low = if count == 0 { 0.0 } else { (middle - half) / (1.0 + z2 / n) };
        let high = if count == of { 1.0 } else { (middle + half) / (1.0 + z2 / n) };
        Self { count, of, share: Some(p), interval: [low, high] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Newcombe (1998), "Two-Sided Confidence Intervals for the Single Proportion", table I, method 3.
    #[test]
    fn intervals_are_those_of_newcombe() {
        for (count, of, [low, high]) in [
            (81, 263, [0.2553, 0.3662]),
            (15, 148, [0.0624, 0.1605]),
            (0, 20, [0.0, 0.1611]),
            (1, 29, [0.0061, 0.1718]),
        ] {
            let interval = Proportion::of(count, of).interval;
            let is_near = (interval[0] - low).abs() < 5e-5 && (interval[1] - high).abs() < 5e-5;
            assert!(is_near, "{count} of {of}: {interval:?}");
        }
    }

    #[test]
    fn none_and_all_are_ends() {
        assert_eq!(Proportion::of(0, 7).interval[0], 0.0);
        assert_eq!(Proportion::of(7, 7).interval[1], 1.0);
        let none = Proportion::of(0, 0);
        assert_eq!((none.share, none.interval), (None, [0.0, 1.0]));
    }
}
