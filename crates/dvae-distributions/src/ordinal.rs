//! Classes that have an order.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, softplus};
use dvae_checks::within;

use crate::error::at_least;
use crate::likelihood_config::{FromOutputs, GAIN};
use crate::{Categorical, DistributionError, Likelihood};

/// The least distance of thresholds.
pub(crate) const CLOSEST: f64 = 1e-3;

/// The most classes: each has a threshold of its own.
const MOST: usize = 1000;

impl<const D: usize> Categorical<D> {
    /// Classes that have an order, by cumulative logits:
    ///
    /// ```text
    /// p(x ≤ k) = σ(p (θₖ − h)),   θ₀ < θ₁ < … for all classes k but the last
    /// ```
    ///
    /// `h` is the location of an entry, `p` its precision, above 0, and the thresholds `θ`, which rise by some thousandths at least, are those of
    /// its column: a larger location makes higher classes more likely. McCullagh (1980), "Regression Models for Ordinal Data", sections 2.2 and 6.1;
    /// as a likelihood of a VAE, Nazábal et al. (2020), "Handling incomplete heterogeneous data using VAEs", section 3.1.
    ///
    /// `location` and `precision` are `[batch, c, …]`, `thresholds` `[(classes − 1) · c]`: those of class 0 for all columns, then
    /// those of class 1, and so on.
    ///
    /// # Panics
    ///
    /// If the shapes differ from these.
    pub fn ordinal(
        location: Tensor<D>,
        precision: Tensor<D>,
        thresholds: Tensor<1>,
        classes: usize,
    ) -> Result<Self, DistributionError> {
        at_least("classes", classes, 2)?;
        let (columns, limits) = (location.dims()[1], classes - 1);
        assert_eq!(thresholds.dims(), [limits * columns], "thresholds of {columns} columns");
        let mut one = [1; D];
        one[1] = limits * columns;
        let thresholds = thresholds.reshape(one);
        let precision = precision.repeat_dim(1, limits);
        let above = (thresholds.clone() - location.repeat_dim(1, limits)) * precision.clone();
        // p(x ≤ k) and p(x > k), by logarithms.
        let (below, beyond) = (log_sigmoid(above.clone()), log_sigmoid(-above.clone()));
        let part = |of: &Tensor<D>, from: usize, count: usize| {
            of.clone().narrow(1, from * columns, count * columns)
        };
        let mut logits = vec![part(&below, 0, 1)];
        if limits > 1 {
            // σ(v) − σ(u) = σ(v) σ(−u) (1 − e^(u − v)), and 1 − e⁻ᵈ = tanh(d/2) (1 + e⁻ᵈ), which is accurate near 0 too.
            let gap = part(&thresholds, 1, limits - 1) - part(&thresholds, 0, limits - 1);
            let gap = gap * part(&precision, 1, limits - 1);
            let between = (gap.clone() * 0.5).tanh().log() - log_sigmoid(gap);
            logits.push(part(&below, 1, limits - 1) + part(&beyond, 0, limits - 1) + between);
        }
        logits.push(part(&beyond, limits - 1, 1));
        Self::new(Tensor::cat(logits, 1), classes)
    }
}

/// Ordinal classes in a configuration: each entry has two outputs, and each column its thresholds.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) classes: usize,
}

impl Settings {
    /// The classes of entries with these outputs and shared weights.
    pub(crate) fn classes<const D: usize>(
        self,
        outputs: Tensor<D>,
        shared: &Tensor<1>,
    ) -> Result<Categorical<D>, DistributionError> {
        let columns = outputs.dims()[1] / 2;
        let [location, raw] = [0, 1].map(|at| outputs.clone().narrow(1, at * columns, columns));
        // An output of 0 is a precision of 1.
        let precision = softplus(raw + 1f64.exp_m1().ln(), 1.0) + CLOSEST;
        let thresholds = self.thresholds(shared.clone() * GAIN, columns);
        Categorical::ordinal(location, precision, thresholds, self.classes)
    }

    /// Thresholds from their weights, `[(classes − 1) · columns]`: weights of 0 give classes of equal probability at the location 0.
    pub(crate) fn thresholds(self, weights: Tensor<1>, columns: usize) -> Tensor<1> {
        let weight = |at: usize| weights.clone().narrow(0, at * columns, columns);
        let logit = |at: usize| {
            let share = (at + 1) as f64 / self.classes as f64;
            (share / (1.0 - share)).ln()
        };
        let mut found = vec![weight(0) + logit(0)];
        for at in 1..self.classes - 1 {
            let step = logit(at) - logit(at - 1) - CLOSEST;
            let step = softplus(weight(at) + step.exp_m1().ln(), 1.0) + CLOSEST;
            found.push(found[at - 1].clone() + step);
        }
        Tensor::cat(found, 0)
    }
}

impl FromOutputs for Settings {
    fn check(&self, _columns: usize) -> Result<(), DistributionError> {
        within("classes", self.classes, 2..=MOST)?;
        Ok(())
    }

    fn outputs(&self, columns: usize) -> usize {
        columns.saturating_mul(2)
    }

    fn shared_weights(&self, columns: usize) -> usize {
        columns.saturating_mul(self.classes.saturating_sub(1))
    }

    fn of<const D: usize>(
        self,
        outputs: Tensor<D>,
        shared: Option<&Tensor<1>>,
    ) -> Result<Box<dyn Likelihood<D>>, DistributionError> {
        Ok(Box::new(self.classes(outputs, shared.expect("the thresholds of the likelihood"))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LikelihoodConfig;
    use burn::tensor::Device;

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    // Two columns of four classes, whose thresholds are −1, 0, 2 and −2, 1, 1.5; by differences in double precision.
    #[test]
    fn probabilities_are_differences_of_cumulative_ones() {
        let device = Device::flex();
        let thresholds = [[-1.0, 0.0, 2.0], [-2.0, 1.0, 1.5]];
        let flat: Vec<f64> = (0..3).flat_map(|k| [thresholds[0][k], thresholds[1][k]]).collect();
        let (location, precision) = ([0.3, -4.0], [2.0, 0.5]);
        let [h, p] = [location, precision].map(|row| Tensor::<2>::from_data([row], &device));
        let law = Categorical::ordinal(h, p, Tensor::from_data(&flat[..], &device), 4).unwrap();
        for column in 0..2 {
            let found = numbers(law.probabilities(column).unwrap());
            let below = |k: usize| match k {
                3 => 1.0,
                k => sigmoid(precision[column] * (thresholds[column][k] - location[column])),
            };
            for (class, found) in found.iter().enumerate() {
                let expected = below(class) - if class == 0 { 0.0 } else { below(class - 1) };
                assert!((found - expected).abs() < 1e-6, "{column} {class}: {found} {expected}");
            }
        }
    }

    #[test]
    fn before_training_all_classes_are_as_likely() {
        let device = Device::flex();
        for classes in [2, 3, 7, 100] {
            let config = LikelihoodConfig::Ordinal { classes };
            config.check(3).unwrap();
            let shared = Tensor::zeros([config.shared_weights(3)], &device);
            let outputs = Tensor::<2>::zeros([1, config.outputs(3)], &device);
            let law = config.of(outputs, Some(&shared)).unwrap();
            for probability in numbers(law.probabilities(2).unwrap()) {
                // The least precision makes a difference of a thousandth.
                let error = probability * classes as f64 - 1.0;
                assert!(error.abs() < 5e-3, "{classes}: {probability}");
            }
        }
        assert!(LikelihoodConfig::Ordinal { classes: 1 }.check(1).is_err());
    }

    #[test]
    fn a_larger_location_makes_higher_classes_more_likely() {
        let device = Device::flex();
        let shared = Tensor::<1>::from_data([0.1, -2.0, 0.0], &device);
        let mut before = [1.0; 3];
        for step in -30..=30 {
            let outputs = Tensor::<2>::from_data([[f64::from(step) * 0.3, 0.5]], &device);
            let law = Settings { classes: 4 }.classes(outputs, &shared).unwrap();
            let found = numbers(law.probabilities(0).unwrap());
            for class in 0..3 {
                let below: f64 = found[..=class].iter().sum();
                assert!(below <= before[class] + 1e-6, "{step} {class}");
                before[class] = below;
            }
        }
        assert!(before[2] < 0.05, "{before:?}");
    }

    #[test]
    fn extremes_are_finite() {
        let device = Device::flex().autodiff();
        for location in [-1e4, -3.0, 0.0, 0.7, 1e4] {
            for raw in [-1e4, -5.0, 0.0, 8.0] {
                let outputs = Tensor::<2>::from_data([[location, raw]], &device).require_grad();
                let shared = Tensor::<1>::from_data([0.0, -2.0, 0.01, 3.0], &device).require_grad();
                // Of a law that was followed to its gradients no others come.
                let law = || Settings { classes: 5 }.classes(outputs.clone(), &shared).unwrap();
                let logits = numbers(law().logits());
                assert!(logits.iter().all(|logit| logit.is_finite()), "{logits:?}");
                let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
                assert!((total - 1.0).abs() < 1e-4, "{location} {raw}: {total}");
                for class in 0..5 {
                    let x = Tensor::full([1, 1], f64::from(class), &device);
                    let gradients = law().log_prob(x).sum().backward();
                    let of_outputs = outputs.grad(&gradients).unwrap();
                    let of_shared = shared.grad(&gradients).unwrap();
                    let all: Vec<f64> =
                        numbers(of_outputs).into_iter().chain(numbers(of_shared)).collect();
                    assert!(all.iter().all(|x| x.is_finite()), "{location} {raw} {class}: {all:?}");
                }
            }
        }
    }
}
