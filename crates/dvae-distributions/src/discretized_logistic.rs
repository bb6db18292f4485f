//! Discretized logistic likelihood, and mixtures of it.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, softmax, softplus};
use dvae_kernels::{Law, log_sum_exp};
use dvae_random::RowStreams;

use crate::error::{DistributionError, at_least, scale};
use crate::formula::Formula;
use crate::sampling::choose;
use crate::stable::{log_decay, positive};
use crate::{Likelihood, Support};

/// Independent entries with `levels` values `0, 1/(levels − 1), …, 1`, each a mixture of logistic laws
/// whose mass was gathered into bins about the levels.
///
/// ```text
/// p(x) = Σₖ πₖ [ σ((x + h − mₖ)/sₖ) − σ((x − h − mₖ)/sₖ) ],   h = ½/(levels − 1)
/// ```
///
/// The first bin begins at −∞ and the last ends at +∞. `s = s₀ + ln(1 + eʳ)`. One component is the
/// discretized logistic law of Kingma et al. (2016), "Improved Variational Inference with Inverse
/// Autoregressive Flow", section 5.2; several are that of Salimans et al. (2017), "PixelCNN++", section 2.1,
/// here with each entry on its own: colors are not tied.
///
/// A bin's mass is computed as `ln σ(a) + ln σ(−b) + ln(1 − e^{b − a})`, exact however small it is.
#[derive(Clone, Debug)]
pub struct DiscretizedLogistic<const D: usize> {
    /// `[batch, components, features]` each.
    logits: Tensor<3>,
    location: Tensor<3>,
    raw_scale: Tensor<3>,
    min_scale: f64,
    levels: usize,
    shape: [usize; D],
}

impl<const D: usize> DiscretizedLogistic<D> {
    /// From `outputs` `[batch, 3 components · c, …]` for rows `[batch, c, …]`: along axis 1 the logits of all
    /// components, then their locations, then their raw scales; of one component, no logit.
    ///
    /// At least 2 levels and 1 component, and a finite floor of the scale above 0, in units of the data.
    ///
    /// # Panics
    ///
    /// If axis 1 cannot be cut that way.
    pub fn new(
        outputs: Tensor<D>,
        components: usize,
        levels: usize,
        min_scale: f64,
    ) -> Result<Self, DistributionError> {
        at_least("levels", levels, 2)?;
        at_least("components", components, 1)?;
        let groups = Self::outputs_per_entry(components) / components;
        let mut shape = outputs.dims();
        assert!(shape[1].is_multiple_of(groups * components), "axis 1 of {shape:?}");
        shape[1] /= groups * components;
        let features = shape[1..].iter().product();
        let outputs = outputs.reshape([shape[0], groups * components, features]);
        let part = |i: usize| outputs.clone().narrow(1, i * components, components);
        let logits = if groups == 3 { part(0) } else { part(0).zeros_like().detach() };
        let (location, raw_scale) = (part(groups - 2), part(groups - 1));
        let min_scale = scale("min_scale", min_scale)?;
        Ok(Self { logits, location, raw_scale, min_scale, levels, shape })
    }

    /// Outputs that a network makes for each entry.
    pub fn outputs_per_entry(components: usize) -> usize {
        if components == 1 { 2 } else { 3 * components }
    }

    fn entries(&self, x: Tensor<3>) -> Tensor<D> {
        x.reshape(self.shape)
    }

    fn scale(&self) -> Tensor<3> {
        positive(self.raw_scale.clone(), self.min_scale)
    }

    /// The distance of two levels.
    fn width(&self) -> f64 {
        1.0 / (self.levels - 1) as f64
    }
}

/// A component's log-mass of the bin about each `x` `[batch, components, features]`.
impl<const D: usize> Formula<3> for DiscretizedLogistic<D> {
    fn law(&self) -> Law {
        Law::Logistic { width: self.width() as f32, min_scale: self.min_scale as f32 }
    }

    fn outputs(&self) -> Vec<&Tensor<3>> {
        vec![&self.location, &self.raw_scale]
    }

    fn plain(&self, x: Tensor<3>) -> Tensor<3> {
        let (width, scale) = (self.width(), self.scale());
        let gap = x.clone() - self.location.clone();
        let to_upper = (gap.clone() + 0.5 * width) / scale.clone();
        let to_lower = (gap - 0.5 * width) / scale.clone();
        let (below_upper, above_lower) = (log_sigmoid(to_upper), log_sigmoid(to_lower.neg()));
        let wide = scale.recip() * width;
        let between = wide.clone().log() + log_decay(wide);
        let inner = below_upper.clone() + above_lower.clone() + between;
        inner
            .mask_where(x.clone().lower_elem(0.5 * width), below_upper)
            .mask_where(x.greater_elem(1.0 - 0.5 * width), above_lower)
    }
}

impl<const D: usize> Likelihood<D> for DiscretizedLogistic<D> {
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        let [rows, components, features] = self.location.dims();
        let x = x.reshape([rows, 1, features]).expand([rows, components, features]);
        let mass = self.each(x);
        if components == 1 {
            return self.entries(mass);
        }
        let log_weights = self.logits.clone() - log_sum_exp(self.logits.clone(), 1);
        let joint = log_weights + mass;
        self.entries(log_sum_exp(joint, 1))
    }

    /// To half the distance of two levels: that of the law before it is gathered, cut off at 0 and 1,
    /// `Σₖ πₖ sₖ [ln(1 + e^{m/s}) − ln(1 + e^{(m − 1)/s})]`.
    fn mean(&self) -> Tensor<D> {
        let scale = self.scale();
        let area = |end: f64| {
            let reach = (self.location.clone() - end) / scale.clone();
            softplus(reach, 1.0) * scale.clone()
        };
        let mean = (area(0.0) - area(1.0)).clamp(0.0, 1.0);
        self.entries((softmax(self.logits.clone(), 1) * mean).sum_dim(1))
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        let chosen = choose(softmax(self.logits.clone().detach(), 1), draws).int();
        let pick = |t: &Tensor<3>| t.clone().detach().gather(1, chosen.clone());
        let (location, scale) = (pick(&self.location), pick(&self.scale()));
        let u = draws.uniform::<3>(location.shape(), &location.device()).clamp(3e-8, 1.0 - 6e-8);
        let x = location + scale * (u.clone().log() - u.neg().log1p());
        let last = (self.levels - 1) as f64;
        self.entries((x.clamp(0.0, 1.0) * last).round() / last)
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        let mut shape = self.shape;
        shape[1] *= self.logits.dims()[1];
        let named = [
            ("logits", self.logits.clone()),
            ("location", self.location.clone()),
            ("scale", self.scale()),
        ];
        named.map(|(name, values)| (name, values.reshape(shape))).into()
    }

    fn support(&self, _column: usize) -> Support {
        Support::Levels(self.levels)
    }
}
