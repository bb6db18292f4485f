//! Numbers as the normal scores of their ranks.

use serde::{Deserialize, Serialize};

/// The most knots of a map.
const MOST: usize = 200;

/// An increasing map from numbers to the normal scores of their ranks, linear between knots: whatever the numbers are, the scores are
/// about standard normal. Beyond the last knots a score grows with the square root of the distance, so that a gross error stays within
/// what a model can tell.
///
/// The score of a number is `Φ⁻¹(p)`, where `p` is the share of numbers below it, plus half of the share of those that are equal to it
/// (van der Waerden 1952, "Order tests for the two-sample problem and their power", with mid-ranks).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ranks(
    /// Numbers with their scores, both increasing: two at least, or none for no map.
    Vec<[f64; 2]>,
);

impl Ranks {
    /// Fits a map to numbers, of which NaN does not count. `None` if they are fewer than two different ones.
    pub fn fit(numbers: impl Iterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.filter(|x| !x.is_nan()).map(|x| x + 0.0).collect();
        sorted.sort_by(f64::total_cmp);
        let (n, mut below) = (sorted.len() as f64, 0.0);
        let knots: Vec<[f64; 2]> = sorted
            .chunk_by(|a, b| a == b)
            .map(|equal| {
                let half = 0.5 * equal.len() as f64;
                let score = normal_score((below + half) / n);
                below += 2.0 * half;
                [equal[0], score]
            })
            .collect();
        let last = knots.len().checked_sub(1).filter(|&last| last > 0)?;
        let count = knots.len().min(MOST) - 1;
        let chosen = (0..=count).map(|at| knots[(at * last + count / 2) / count]);
        Some(Self(chosen.collect()))
    }

    /// The numbers with their scores, both increasing: two at least, or none for no map.
    pub fn knots(&self) -> &[[f64; 2]] {
        &self.0
    }

    /// Whether it is no map.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is an increasing map of finite numbers, or none.
    pub(crate) fn is_right(&self) -> bool {
        if self.is_empty() {
            return true;
        }
        let finite = self.0.iter().flatten().all(|x| x.is_finite());
        let increases = |pair: &[[f64; 2]]| pair[0][0] < pair[1][0] && pair[0][1] < pair[1][1];
        self.0.len() >= 2 && finite && self.0.windows(2).all(increases)
    }

    /// The knots around a place on one of the axes, or those nearest to it.
    fn around(&self, axis: usize, place: f64) -> [[f64; 2]; 2] {
        let above = self.0.partition_point(|knot| knot[axis] <= place);
        let above = above.clamp(1, self.0.len() - 1);
        [self.0[above - 1], self.0[above]]
    }

    /// How far a place on one of the axes is beyond the last knot on its side, and that knot; 0 between them.
    fn beyond(&self, axis: usize, place: f64) -> (f64, [f64; 2]) {
        let [first, last] = [self.0[0], self.0[self.0.len() - 1]];
        if place < first[axis] {
            (place - first[axis], first)
        } else {
            ((place - last[axis]).max(0.0), last)
        }
    }

    /// The score of a number.
    ///
    /// # Panics
    ///
    /// As the next two, if it is no map.
    pub fn score(&self, x: f64) -> f64 {
        let [[x0, y0], [x1, y1]] = self.around(0, x);
        let slope = (x1 - x0) / (y1 - y0);
        match self.beyond(0, x) {
            (0.0, _) => y0 + (x - x0) / slope,
            (distance, end) => {
                let steps = distance.abs() / slope;
                end[1] + (2.0 * steps / (1.0 + (1.0 + 2.0 * steps).sqrt())).copysign(distance)
            }
        }
    }

    /// The number that has this score.
    pub fn number(&self, score: f64) -> f64 {
        let [[x0, y0], [x1, y1]] = self.around(1, score);
        let slope = (x1 - x0) / (y1 - y0);
        match self.beyond(1, score) {
            (0.0, _) => x0 + (score - y0) * slope,
            (distance, end) => {
                let steps = distance.abs() * (1.0 + 0.5 * distance.abs());
                end[0] + (slope * steps).copysign(distance)
            }
        }
    }

    /// How far the number moves for a step of its score.
    pub fn slope(&self, score: f64) -> f64 {
        let [[x0, y0], [x1, y1]] = self.around(1, score);
        let (distance, _) = self.beyond(1, score);
        (x1 - x0) / (y1 - y0) * (1.0 + distance.abs())
    }
}

/// `Φ⁻¹(p)` for `p` in `(0, 1)`, to 10⁻⁷: Wichura (1988), "Algorithm AS 241: The Percentage Points of the Normal Distribution", PPND7.
fn normal_score(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        let top =
            ((59.109_374_720 * r + 159.291_132_02) * r + 50.434_271_938) * r + 3.387_132_717_9;
        let bottom = ((67.187_563_600 * r + 78.757_757_664) * r + 17.895_169_469) * r + 1.0;
        return q * top / bottom;
    }
    let r = (-p.min(1.0 - p).ln()).sqrt();
    let size = if r <= 5.0 {
        let r = r - 1.6;
        let top = ((0.170_238_210_3 * r + 1.306_728_481_6) * r + 2.756_815_3) * r + 1.423_437_277_7;
        top / ((0.120_211_329_75 * r + 0.737_001_642_5) * r + 1.0)
    } else {
        let r = r - 5.0;
        let top =
            ((0.017_337_203_997 * r + 0.428_682_943_37) * r + 3.081_226_386) * r + 6.657_905_115;
        top / ((0.012_258_202_635 * r + 0.241_978_942_25) * r + 1.0)
    };
    size.copysign(q)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of Φ: 0.841345 at 1, 0.977250 at 2, 0.9986501 at 3, 0.9999999990 at 6.
    #[test]
    fn scores_are_those_of_the_normal_distribution() {
        for (p, expected) in [
            (0.5, 0.0),
            (0.841_344_746, 1.0),
            (0.022_750_132, -2.0),
            (0.998_650_102, 3.0),
            (9.865_876e-10, -6.0),
            (0.9, 1.281_551_566),
        ] {
            let found = normal_score(p);
            assert!((found - expected).abs() < 1e-6, "{p}: {found}, not {expected}");
        }
    }

    #[test]
    fn equal_numbers_share_a_score_and_come_back() {
        let numbers = [3.0, 1.0, 1.0, f64::NAN, 100.0];
        let ranks = Ranks::fit(numbers.into_iter()).unwrap();
        assert!(ranks.is_right());
        // Shares of 1/4, 5/8 and 7/8.
        for (x, p) in [(1.0, 0.25), (3.0, 0.625), (100.0, 0.875)] {
            assert!((ranks.score(x) - normal_score(p)).abs() < 1e-12, "{x}");
            assert!((ranks.number(ranks.score(x)) - x).abs() < 1e-12, "{x}");
        }
        // Between and beyond, in both directions.
        for x in [-50.0, 2.0, 40.0, 1000.0, 1e9] {
            assert!((ranks.number(ranks.score(x)) / x - 1.0).abs() < 1e-9, "{x}");
            let (score, step) = (ranks.score(x), 1e-6);
            let moved = (ranks.number(score + step) - ranks.number(score)) / step;
            assert!((moved / ranks.slope(score) - 1.0).abs() < 1e-5, "{x}");
        }
        // A million times too large is some deviations too large.
        assert!(ranks.score(1e6) < 150.0 && ranks.score(1e6) > 10.0);
        assert_eq!(Ranks::fit([2.0, 2.0].into_iter()), None);
        assert_eq!(Ranks::fit([f64::NAN].into_iter()), None);
        // 0 and -0 are one number.
        assert_eq!(Ranks::fit([0.0, -0.0].into_iter()), None);
    }

    // Of the exponential of a skewed law scores are nearly standard normal, and there are not more knots than may be.
    #[test]
    fn scores_of_many_numbers_are_standard_normal() {
        let numbers =
            || (0..10_000).map(|at| (1.0 / (1.0 - (f64::from(at) + 0.5) / 10_000.0)).powi(3));
        let ranks = Ranks::fit(numbers()).unwrap();
        assert!(ranks.is_right() && ranks.0.len() == MOST);
        let scores: Vec<f64> = numbers().map(|x| ranks.score(x)).collect();
        let mean = scores.iter().sum::<f64>() / 1e4;
        let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / 1e4;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        assert_eq!(ranks.0[0][0], numbers().next().unwrap());
    }
}
