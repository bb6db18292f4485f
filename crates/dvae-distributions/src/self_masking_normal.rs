//! How normal entries decide whether they are missing, and what they are if so.

use burn::tensor::Tensor;
use dvae_random::{RowRng, RowStreams};
use rand_distr::{Distribution, Exp1, StandardNormal};

use crate::Likelihood;
use crate::normal_cdf::{hazard, log_cdf, variance_above};
use crate::sampling::each_entry;
use crate::stable::HALF_LN_TAU;

/// `p(missing | x) = Φ(a x + b)`: `a` and `b` of every entry.
#[derive(Debug)]
pub(crate) struct NormalLaw<const D: usize> {
    pub(crate) slope: Tensor<D>,
    pub(crate) offset: Tensor<D>,
}

impl<const D: usize> NormalLaw<D> {
    /// `log p(missing or not | x, z)` of every entry.
    pub(crate) fn log_missingness(
        &self,
        of: &dyn Likelihood<D>,
        x: Tensor<D>,
        observed: Option<Tensor<D>>,
    ) -> Tensor<D> {
        let there = -(self.slope.clone() * x + self.offset.clone());
        log_cdf(match observed {
            Some(observed) => there.mask_where(observed.equal_elem(0.0), self.missing(of).standard),
            None => there,
        })
    }

    /// `log (p(missing | x) / p(observed | x))` of every entry.
    pub(crate) fn log_odds(&self, x: Tensor<D>) -> Tensor<D> {
        let standard = self.slope.clone() * x + self.offset.clone();
        log_cdf(standard.clone()) - log_cdf(-standard)
    }

    /// The entries given that they are missing.
    pub(crate) fn missing(&self, of: &dyn Likelihood<D>) -> MissingNormal<D> {
        let (mean, variance) = (of.mean(), of.variance());
        let (slope, offset) = (self.slope.clone(), self.offset.clone());
        let spread = (slope.clone().square() * variance.clone() + 1.0).sqrt();
        let standard = (slope.clone() * mean.clone() + offset.clone()) / spread.clone();
        MissingNormal { mean, variance, slope, offset, spread, standard }
    }
}

/// Normal entries given that they are missing: `N(x; m, s²) Φ(a x + b) / Φ(t)`, an extended skew-normal distribution.
#[derive(Debug)]
pub(crate) struct MissingNormal<const D: usize> {
    mean: Tensor<D>,
    variance: Tensor<D>,
    slope: Tensor<D>,
    offset: Tensor<D>,
    /// `√(1 + a² s²)`.
    spread: Tensor<D>,
    /// `t = (a m + b) / √(1 + a² s²)`.
    standard: Tensor<D>,
}

impl<const D: usize> MissingNormal<D> {
    /// `a s² / √(1 + a² s²)`, by which an entry moves with the unit normal that decides whether it is missing.
    fn pull(&self) -> Tensor<D> {
        self.slope.clone() * self.variance.clone() / self.spread.clone()
    }
}

impl<const D: usize> Likelihood<D> for MissingNormal<D> {
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        let of_missing = log_cdf(self.slope.clone() * x.clone() + self.offset.clone());
        let square = (x - self.mean.clone()).square() / self.variance.clone();
        let normal = (square + self.variance.clone().log()) * -0.5 - HALF_LN_TAU;
        normal + of_missing - log_cdf(self.standard.clone())
    }

    fn mean(&self) -> Tensor<D> {
        self.mean.clone() + self.pull() * hazard(self.standard.clone())
    }

    fn variance(&self) -> Tensor<D> {
        // Of s², what is independent of the unit normal that decides, and what is left of the rest.
        let independent = self.spread.clone().square().recip();
        let rest = (independent.clone().neg() + 1.0) * variance_above(self.standard.clone());
        self.variance.clone() * (independent + rest)
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        // Given w ~ N(t, 1), which is positive if the entry is missing, the entry is normal.
        let above =
            each_entry([self.standard.clone().detach()], draws, |[t], rng| above_zero(t, rng) - t);
        let noise = draws.normal(self.mean.shape(), &self.mean.device());
        let rest = self.variance.clone().sqrt() / self.spread.clone();
        (self.mean.clone() + self.pull() * above + noise * rest).detach()
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        vec![
            ("mean", self.mean.clone()),
            ("variance", self.variance.clone()),
            ("slope", self.slope.clone()),
            ("offset", self.offset.clone()),
        ]
    }
}

/// A draw from `N(mean, 1)` given that it is above 0. Robert (1995), "Simulation of Truncated Normal Variables", section 2.
fn above_zero(mean: f64, rng: &mut RowRng) -> f64 {
    // Where nothing is known, nothing is drawn.
    if !mean.is_finite() {
        return mean;
    }
    if mean > -0.5 {
        loop {
            let draw: f64 = mean + Distribution::<f64>::sample(&StandardNormal, rng);
            if draw > 0.0 {
                return draw;
            }
        }
    }
    let rate = (-mean + (mean * mean + 4.0).sqrt()) / 2.0;
    loop {
        let above = Distribution::<f64>::sample(&Exp1, rng) / rate;
        let square = (above - mean - rate).powi(2);
        if Distribution::<f64>::sample(&Exp1, rng) > square / 2.0 {
            return above;
        }
    }
}
