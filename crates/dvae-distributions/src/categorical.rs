//! Categorical likelihood from logits.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use dvae_kernels::LogSoftmax;
use dvae_random::RowStreams;

use crate::error::at_least;
use crate::likelihood_config::FromOutputs;
use crate::sampling::choose;
use crate::{DistributionError, Likelihood, Support};

/// Independent entries that are one of several classes, numbered from 0 and stored as whole floats.
///
/// ```text
/// log p(x | l) = lₓ − ln Σₖ e^{lₖ}
/// ```
#[derive(Clone, Debug)]
pub struct Categorical<const D: usize> {
    logits: Tensor<D>,
    density: LogSoftmax,
}

impl<const D: usize> Categorical<D> {
    /// From logits `[batch, classes · c, …]` for rows `[batch, c, …]`. Axis 1 has the logits of class 0 for
    /// all entries, then those of class 1, and so on. There are at least 2 classes.
    ///
    /// # Panics
    ///
    /// If axis 1 is not a multiple of the number of classes.
    pub fn new(logits: Tensor<D>, classes: usize) -> Result<Self, DistributionError> {
        at_least("classes", classes, 2)?;
        let shape = logits.dims();
        assert!(shape[1].is_multiple_of(classes), "axis 1 of {shape:?} for {classes} classes");
        Ok(Self { logits, density: LogSoftmax { classes } })
    }

    /// The shape of the entries.
    fn shape(&self) -> [usize; D] {
        let mut shape = self.logits.dims();
        shape[1] /= self.density.classes;
        shape
    }

    /// The logits, `[batch, classes · c, …]`.
    pub(crate) fn logits(&self) -> Tensor<D> {
        self.logits.clone()
    }

    /// The logits, `[batch, classes, features]`.
    pub(crate) fn by_class(&self) -> Tensor<3> {
        self.each_class(self.logits())
    }

    /// What has the shape of the logits, `[batch, classes, features]`.
    pub(crate) fn each_class(&self, of_logits: Tensor<D>) -> Tensor<3> {
        let shape = self.shape();
        let features = shape[1..].iter().product();
        of_logits.reshape([shape[0], self.density.classes, features])
    }

    /// The distribution with probabilities multiplied by weights and normalized; the logarithms of the weights have the
    /// shape of the logits.
    pub(crate) fn tilted(&self, log_weights: Tensor<D>) -> Self {
        Self { logits: self.logits() + log_weights, density: self.density }
    }
}

impl<const D: usize> Likelihood<D> for Categorical<D> {
    /// Entries that are not a class count as the nearest one below, or as the first.
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        self.density.each(&self.logits, x)
    }

    fn log_likelihood(&self, x: Tensor<D>) -> Tensor<1> {
        self.density.rows(&self.logits, x, None)
    }

    fn weighted_log_likelihood(&self, x: Tensor<D>, weights: Tensor<D>) -> Tensor<1> {
        self.density.rows(&self.logits, x, Some(weights))
    }

    /// The most probable class.
    fn mean(&self) -> Tensor<D> {
        self.by_class().argmax(1).float().reshape(self.shape())
    }

    /// The probability of another class than the most probable.
    fn variance(&self) -> Tensor<D> {
        let most = softmax(self.by_class(), 1).max_dim(1);
        (most.neg() + 1.0).clamp_min(0.0).reshape(self.shape())
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        choose(softmax(self.by_class().detach(), 1), draws).reshape(self.shape())
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        vec![("logits", self.logits.clone())]
    }

    fn support(&self, _column: usize) -> Support {
        Support::Classes(self.density.classes)
    }

    fn probabilities(&self, column: usize) -> Option<Tensor<D>> {
        let (shape, classes) = (self.shape(), self.density.classes);
        let rest = shape[2..].iter().product();
        let columns = self.logits.clone().reshape([shape[0], classes, shape[1], rest]);
        let mut one = shape;
        one[1] = classes;
        Some(softmax(columns.narrow(2, column, 1), 1).reshape(one))
    }
}

/// [`Categorical`] in a configuration.
pub(crate) struct Settings {
    pub(crate) classes: usize,
}

impl FromOutputs for Settings {
    fn check(&self, _columns: usize) -> Result<(), DistributionError> {
        at_least("classes", self.classes, 2)?;
        Ok(())
    }

    fn outputs(&self, columns: usize) -> usize {
        columns.saturating_mul(self.classes)
    }

    fn of<const D: usize>(
        self,
        outputs: Tensor<D>,
        _shared: Option<&Tensor<1>>,
    ) -> Result<Box<dyn Likelihood<D>>, DistributionError> {
        Ok(Box::new(Categorical::new(outputs, self.classes)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use dvae_random::Key;

    // Two entries of three classes: weights 1, 2, 1 and 0, 0, e^1e4.
    fn of() -> Categorical<2> {
        let logits = [[0.0, 0.0, 2f32.ln(), -1e4, 0.0, 1e4]];
        Categorical::new(Tensor::from_data(logits, &Device::flex()), 3).unwrap()
    }

    #[test]
    fn log_prob_is_hand_worked() {
        let at = |x: [f32; 2]| -> Vec<f32> {
            let x = Tensor::from_data([x], &Device::flex());
            of().log_prob(x).into_data().try_to_vec().unwrap()
        };
        assert!((at([1.0, 2.0])[0] - 0.5f32.ln()).abs() < 1e-6);
        assert!((at([0.0, 2.0])[0] - 0.25f32.ln()).abs() < 1e-6);
        assert_eq!([at([0.0, 2.0])[1], at([0.0, 0.0])[1]], [0.0, -1e4]);
        let mean: Vec<f32> = of().mean().into_data().try_to_vec().unwrap();
        assert_eq!(mean, [1.0, 2.0]);
    }

    #[test]
    fn samples_have_the_probabilities_of_the_classes() {
        let (n, device) = (50_000, Device::flex());
        let one = Tensor::<2>::from_data([[0.0, 2f32.ln(), 0.0]], &device);
        let ids: Vec<u64> = (0..n).collect();
        let law = Categorical::<2>::new(one.expand([n as usize, 3]), 3).unwrap();
        let drawn: Vec<f32> =
            law.sample(&mut Key::new(3).rows(&ids)).into_data().try_to_vec().unwrap();
        for (class, p) in [(0.0, 0.25), (1.0, 0.5), (2.0, 0.25)] {
            let share = drawn.iter().filter(|&&x| x == class).count() as f64 / n as f64;
            // Six standard deviations of a binomial mean.
            assert!(
                (share - p).abs() < 6.0 * (p * (1.0 - p) / n as f64).sqrt(),
                "{class}: {share}"
            );
        }
    }
}
