//! Discretized logistic likelihood, and mixtures of it.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use dvae_kernels::{Formula, Mixture, Parameters, Scalar};
use dvae_random::RowStreams;

use crate::error::{at_least, scale};
use crate::likelihood_config::FromOutputs;
use crate::sampling::choose;
use crate::stable::{log_decay, positive};
use crate::{DistributionError, Likelihood, Support};

/// Independent entries with `levels` values `0, 1/(levels − 1), …, 1`. Each is a mixture of logistic
/// distributions whose mass is collected into bins around the levels.
///
/// ```text
/// p(x) = Σₖ πₖ [ σ((x + h − mₖ)/sₖ) − σ((x − h − mₖ)/sₖ) ],   h = ½/(levels − 1)
/// ```
///
/// The first bin begins at −∞ and the last ends at +∞. `s = s₀ + ln(1 + eʳ)`. One component is the
/// discretized logistic of Kingma et al. (2016), "Improved Variational Inference with Inverse Autoregressive
/// Flow", section 5.2; several are that of Salimans et al. (2017), "PixelCNN++", section 2.1, but with
/// independent color channels.
///
/// A bin's mass is computed as `ln σ(a) + ln σ(−b) + ln(1 − e^{b − a})`, exact however small it is.
#[derive(Clone, Debug)]
pub struct DiscretizedLogistic<const D: usize> {
    outputs: Tensor<D>,
    density: Mixture<Bin>,
}

/// The log-mass of the bin about a level, under one logistic distribution.
#[derive(Clone, Copy, Debug)]
struct Bin {
    /// The distance between two levels.
    width: f64,
    min_scale: f64,
}

impl Formula<2, 1> for Bin {
    #[inline(always)]
    fn at<S: Scalar>(&self, [location, raw_scale]: [S; 2], [x]: [S::Constant; 1]) -> S {
        let (half, scale) = (0.5 * self.width, positive(raw_scale, self.min_scale));
        // In this order the first difference is exact if the two are close.
        let gap = location - x.clone();
        let below = ((-gap.clone() + half) / scale.clone()).log_sigmoid();
        let above = ((gap + half) / scale.clone()).log_sigmoid();
        let wide = scale.recip() * self.width;
        let between = wide.clone().log() + log_decay(wide);
        let inner = below.clone() + above.clone() + between;
        inner
            .mask_where(x.clone().lower_elem(half), below)
            .mask_where(x.greater_elem(1.0 - half), above)
    }
}

impl<const D: usize> DiscretizedLogistic<D> {
    /// From `outputs` `[batch, 3 components · c, …]` for rows `[batch, c, …]`. Axis 1 has the logits of all
    /// components, then their locations, then their raw scales; a single component has no logits.
    ///
    /// It needs at least 2 levels and 1 component, and a finite lower limit of the scale above 0, in units of
    /// the data.
    ///
    /// # Panics
    ///
    /// If axis 1 cannot be split that way.
    pub fn new(
        outputs: Tensor<D>,
        components: usize,
        levels: usize,
        min_scale: f64,
    ) -> Result<Self, DistributionError> {
        at_least("levels", levels, 2)?;
        at_least("components", components, 1)?;
        let component =
            Bin { width: 1.0 / (levels - 1) as f64, min_scale: scale("min_scale", min_scale)? };
        let shape = outputs.dims();
        let groups = Self::outputs_per_entry(components);
        assert!(shape[1].is_multiple_of(groups), "axis 1 of {shape:?}");
        Ok(Self { outputs, density: Mixture { component, components } })
    }

    /// The number of outputs that a network has for each entry.
    pub fn outputs_per_entry(components: usize) -> usize {
        if components == 1 { 2 } else { components.saturating_mul(3) }
    }

    /// The shape of the entries.
    fn shape(&self) -> [usize; D] {
        let mut shape = self.outputs.dims();
        shape[1] /= Self::outputs_per_entry(self.density.components);
        shape
    }

    /// Logits, locations and scales, `[batch, components, features]` each.
    fn of_components(&self) -> [Tensor<3>; 3] {
        let (shape, k) = (self.shape(), self.density.components);
        let features = shape[1..].iter().product();
        let groups = Self::outputs_per_entry(k) / k;
        let outputs = self.outputs.clone().reshape([shape[0], groups * k, features]);
        let part = |i: usize| outputs.clone().narrow(1, i * k, k);
        let logits = if groups == 3 { part(0) } else { part(0).zeros_like().detach() };
        let scale = positive(part(groups - 1), self.density.component.min_scale);
        [logits, part(groups - 2), scale]
    }

    /// The highest level's number.
    fn last(&self) -> f64 {
        self.density.component.width.recip().round()
    }

    /// The mean of each component `[batch, components, features]`, from its survival function.
    ///
    /// ```text
    /// E[x] = h Σⱼ S(j − ½), j = 1 … n,   S(t) = σ((u − t)/r),   u = m/h, r = s/h, n = levels − 1, h = 1/n
    /// ```
    ///
    /// The terms within 4 of `u` are summed; those before and after are approximated by the midpoint rule
    /// with its first two corrections (Euler–Maclaurin): `Σ = ∫ S − ΔS′/24 + 7 ΔS‴/5760`. The next correction
    /// is below 1.3 · 10⁻⁶.
    fn component_means(&self, location: Tensor<3>, scale: Tensor<3>) -> Tensor<3> {
        const REACH: f64 = 4.0;
        let last = self.last();
        let (u, r) = (location * last, scale * last);
        let nearest = (u.clone().detach() + 0.5).floor();
        let (low, high) =
            ((nearest.clone() - REACH).clamp(0.0, last), (nearest + REACH).clamp(0.0, last));
        let (first, end) = (low.zeros_like(), low.full_like(last));
        let ends = [(first, 1.0), (low.clone(), -1.0), (high.clone(), 1.0), (end, -1.0)];
        let mut mean = low.clone();
        for (end, sign) in ends {
            mean = mean + rest_beyond(u.clone() - end, r.clone()) * sign;
        }
        for step in 0..(2.0 * REACH).min(last) as usize {
            let t = low.clone() + (step as f64 + 0.5);
            let term = dvae_kernels::sigmoid((u.clone() - t.clone()) / r.clone());
            mean = mean + term.mask_fill(t.greater_equal(high.clone()), 0.0);
        }
        mean / last
    }

    /// The variance of each component `[batch, components, features]`, from its survival function about the level `c`
    /// that is nearest to its mean; no term is below 0.
    ///
    /// ```text
    /// E[(x/h − c)²] = Σⱼ (2 (j − c) − 1) S(j − ½) over j > c, and Σⱼ (2 (c − j) + 1) (1 − S(j − ½)) over j ≤ c
    /// ```
    fn component_variances(
        &self,
        means: &Tensor<3>,
        location: Tensor<3>,
        scale: Tensor<3>,
    ) -> Tensor<3> {
        const MOST: f64 = 1023.0;
        let last = self.last().min(MOST);
        let (u, r) = (location * last, scale * last);
        let mean = means.clone() * last;
        let nearest = (mean.clone().detach() + 0.5).floor();
        let mut square = u.zeros_like();
        for step in 1..=last as usize {
            let ahead = nearest.clone().neg() + step as f64;
            let above = ahead.clone().greater_elem(0.0);
            let distance = ((u.clone() - (step as f64 - 0.5)) / r.clone()).mul(side(&above));
            square = square + (ahead * 2.0 - 1.0).abs() * dvae_kernels::sigmoid(distance);
        }
        let variance = square - (mean - nearest).square();
        variance.clamp_min(0.0) / (last * last)
    }
}

/// 1 where it is true, −1 elsewhere.
fn side(above: &Tensor<3, burn::tensor::Bool>) -> Tensor<3> {
    above.clone().float() * 2.0 - 1.0
}

/// `r ln(1 + e^{−|d|/r}) + S′/24 − 7 S‴/5760` at a distance `d` from `u`: the contribution of one end of a
/// midpoint sum of `S`, minus the part of the integral that is linear in `u`.
fn rest_beyond(distance: Tensor<3>, r: Tensor<3>) -> Tensor<3> {
    let z = distance / r.clone();
    let tail = z.clone().abs().neg().exp().log1p() * r.clone();
    let upper = dvae_kernels::sigmoid(z);
    let slope = upper.clone() * (upper.neg() + 1.0);
    // Where r is smaller, slopes are below 10⁻⁶ at both ends of the sum: no power of r overflows.
    let inverse = r.clamp_min(0.25).recip();
    let third = slope.clone() * (slope.clone() * -6.0 + 1.0) * inverse.clone().powi_scalar(3);
    tail - slope * inverse * (1.0 / 24.0) + third * (7.0 / 5760.0)
}

impl<const D: usize> Likelihood<D> for DiscretizedLogistic<D> {
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        match self.density.components {
            1 => self.density.component.each(&Parameters::Beside(self.outputs.clone()), [x]),
            _ => self.density.each(&self.outputs, x),
        }
    }

    fn log_likelihood(&self, x: Tensor<D>) -> Tensor<1> {
        self.rows(x, None)
    }

    fn weighted_log_likelihood(&self, x: Tensor<D>, weights: Tensor<D>) -> Tensor<1> {
        self.rows(x, Some(weights))
    }

    /// The mean of the discretized distribution, `Σₖ πₖ Σ_x x pₖ(x)`: accurate to 2 · 10⁻⁶ of the distance
    /// between two levels, and rounding.
    fn mean(&self) -> Tensor<D> {
        let [logits, location, scale] = self.of_components();
        let means = softmax(logits, 1) * self.component_means(location, scale);
        means.sum_dim(1).clamp(0.0, 1.0).reshape(self.shape())
    }

    /// The variance of the discretized distribution, by the law of total variance over its components. With more than
    /// 1024 levels it is that of 1024.
    fn variance(&self) -> Tensor<D> {
        let [logits, location, scale] = self.of_components();
        let weights = softmax(logits, 1);
        let means = self.component_means(location.clone(), scale.clone());
        let mean = (weights.clone() * means.clone()).sum_dim(1);
        let own = self.component_variances(&means, location, scale);
        let variance = (weights * (own + (means - mean).square())).sum_dim(1);
        variance.reshape(self.shape())
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        let [logits, location, scale] = self.of_components().map(Tensor::detach);
        let chosen = choose(softmax(logits, 1), draws).int();
        let [location, scale] = [location, scale].map(|t| t.gather(1, chosen.clone()));
        let u = draws.uniform::<3>(location.shape(), &location.device()).clamp(3e-8, 1.0 - 6e-8);
        let x = location + scale * (u.clone().log() - u.neg().log1p());
        let last = self.last();
        ((x.clamp(0.0, 1.0) * last).round() / last).reshape(self.shape())
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        let mut shape = self.shape();
        shape[1] *= self.density.components;
        let [logits, location, scale] = self.of_components();
        [("logits", logits), ("location", location), ("scale", scale)]
            .map(|(name, values)| (name, values.reshape(shape)))
            .into()
    }

    fn support(&self, _column: usize) -> Support {
        Support::Levels(self.last() as usize + 1)
    }
}

impl<const D: usize> DiscretizedLogistic<D> {
    fn rows(&self, x: Tensor<D>, weights: Option<Tensor<D>>) -> Tensor<1> {
        match self.density.components {
            1 => {
                let parameters = Parameters::Beside(self.outputs.clone());
                self.density.component.rows(&parameters, [x], weights)
            }
            _ => self.density.rows(&self.outputs, x, weights),
        }
    }
}

/// [`DiscretizedLogistic`] in a configuration.
pub(crate) struct Settings {
    pub(crate) levels: usize,
    pub(crate) components: usize,
    pub(crate) min_scale: f64,
}

impl FromOutputs for Settings {
    fn check(&self, _columns: usize) -> Result<(), DistributionError> {
        at_least("levels", self.levels, 2)?;
        at_least("components", self.components, 1)?;
        scale("min_scale", self.min_scale)?;
        Ok(())
    }

    fn outputs(&self, columns: usize) -> usize {
        columns.saturating_mul(DiscretizedLogistic::<2>::outputs_per_entry(self.components))
    }

    fn of<const D: usize>(
        self,
        outputs: Tensor<D>,
        _shared: Option<&Tensor<1>>,
    ) -> Result<Box<dyn Likelihood<D>>, DistributionError> {
        let Self { levels, components, min_scale } = self;
        Ok(Box::new(DiscretizedLogistic::new(outputs, components, levels, min_scale)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    /// One component of fixed scale: a raw scale this low adds nothing to the lower limit.
    fn of(locations: &[f32], scale: f64, levels: usize, device: &Device) -> DiscretizedLogistic<2> {
        let n = locations.len();
        let outputs = [locations, &vec![-1e4; n]].concat();
        let outputs = Tensor::from_data(TensorData::new(outputs, [1, 2 * n]), device);
        DiscretizedLogistic::new(outputs, 1, levels, scale).unwrap()
    }

    /// `Σⱼ σ((m − (j − ½)h)/s) h` in double precision.
    fn exact(location: f32, scale: f64, levels: usize) -> f64 {
        let width = 1.0 / (levels - 1) as f64;
        let survival = |j: usize| {
            let z = (f64::from(location) - (j as f64 - 0.5) * width) / f64::from(scale as f32);
            1.0 / (1.0 + (-z).exp())
        };
        (1..levels).map(survival).sum::<f64>() * width
    }

    // Two levels, a location of 0.6 and a scale of 0.01: σ(10).
    #[test]
    fn the_mean_is_that_of_the_levels_whatever_the_scale() {
        let device = Device::flex();
        let mean = |m, s, levels| of(&[m], s, levels, &device).mean().into_scalar::<f64>();
        assert!((mean(0.6, 0.01, 2) - 1.0 / (1.0 + (-10f64).exp())).abs() < 1e-6);
        assert!((mean(0.45, 0.01, 4) - 0.3356).abs() < 1e-4);
        let locations: Vec<f32> =
            (-150..=250).map(|i| i as f32 * 0.01).chain([-1e4, 1e4]).collect();
        for levels in [2, 3, 4, 9, 10, 64, 256, 1000] {
            for scale in [1e-30, 1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0] {
                let means = of(&locations, scale, levels, &device).mean().into_data();
                for (&m, got) in locations.iter().zip(means.iter::<f64>()) {
                    let (expected, width) = (exact(m, scale, levels), 1.0 / (levels - 1) as f64);
                    let bound = 2e-6 * width + 1e-6 * scale.max(1.0);
                    // At a step of the mean, the location's rounding decides.
                    let bound = bound + 1e-7 * f64::from(m.abs()).min(3.0) / scale * width;
                    assert!(
                        (got - expected).abs() < bound,
                        "{levels} {m} {scale}: {got} {expected}"
                    );
                }
            }
        }
    }

    // By central differences of the exact mean.
    #[test]
    fn the_mean_has_a_gradient() {
        let device = Device::flex().autodiff();
        for (m, scale, levels) in [(0.6, 0.2, 2), (0.45, 0.05, 4), (0.3, 0.01, 256), (1.1, 0.2, 64)]
        {
            let outputs = Tensor::<2>::from_data([[m, -1e4]], &device).require_grad();
            let law = DiscretizedLogistic::new(outputs.clone(), 1, levels, scale).unwrap();
            let gradient = outputs.grad(&law.mean().sum().backward()).unwrap();
            let got = gradient.into_data().iter::<f64>().next().unwrap();
            let step = 1e-3f32;
            let slope = exact(m + step, scale, levels) - exact(m - step, scale, levels);
            let expected = slope / f64::from((m + step) - (m - step));
            assert!(
                (got - expected).abs() < 2e-3 * expected.max(1.0),
                "{m} {scale}: {got} {expected}"
            );
        }
    }
}
