//! The likelihood of classes that are missing because of what they are.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, log_softmax};
use dvae_kernels::{log_sum_exp, sum_features};
use dvae_random::RowStreams;

use crate::self_masking::along;
use crate::{Categorical, Likelihood, Support};

/// Classes that are missing because of what they are.
///
/// ```text
/// p(missing | x) = σ(bₓ),   p(missing | z) = Σₖ p(k | z) σ(bₖ)
/// ```
#[derive(Debug)]
pub struct SelfMaskingClasses<const D: usize> {
    of: Categorical<D>,
    /// `b` of each class of every entry, `[batch, classes · c, …]` as the logits are.
    offsets: Tensor<D>,
}

impl<const D: usize> SelfMaskingClasses<D> {
    /// From a categorical likelihood and an offset of each class of each column, `[classes · columns]` in the order of its logits.
    ///
    /// # Panics
    ///
    /// If there are not so many classes and columns.
    pub fn new(of: Categorical<D>, offsets: Tensor<1>) -> Self {
        let offsets = along(offsets, of.logits().dims());
        Self { of, offsets }
    }
}

impl<const D: usize> Likelihood<D> for SelfMaskingClasses<D> {
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        self.of.log_prob(x)
    }

    fn log_likelihood(&self, x: Tensor<D>) -> Tensor<1> {
        self.of.log_likelihood(x)
    }

    fn weighted_log_likelihood(&self, x: Tensor<D>, weights: Tensor<D>) -> Tensor<1> {
        self.of.weighted_log_likelihood(x, weights)
    }

    fn mean(&self) -> Tensor<D> {
        self.of.mean()
    }

    fn variance(&self) -> Tensor<D> {
        self.of.variance()
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        self.of.sample(draws)
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        let own = ("offsets", self.offsets.clone());
        self.of.parameters().into_iter().chain([own]).collect()
    }

    fn support(&self, column: usize) -> Support {
        self.of.support(column)
    }

    fn probabilities(&self, column: usize) -> Option<Tensor<D>> {
        self.of.probabilities(column)
    }

    fn log_missingness(&self, x: Tensor<D>, observed: Option<Tensor<D>>) -> Option<Tensor<1>> {
        let offset = self.offset_of(x);
        let there = log_sigmoid(-offset);
        let entries = match observed {
            Some(observed) => {
                let log_shares = log_softmax(self.of.by_class(), 1);
                let masked = log_shares + log_sigmoid(self.of.each_class(self.offsets.clone()));
                let missing = log_sum_exp(masked, 1).reshape(there.dims());
                there.mask_where(observed.equal_elem(0.0), missing)
            }
            None => there,
        };
        Some(sum_features(entries))
    }

    fn log_missing_odds(&self, x: Tensor<D>) -> Option<Tensor<D>> {
        Some(self.offset_of(x))
    }

    fn given_missing(&self) -> Option<Box<dyn Likelihood<D>>> {
        Some(Box::new(self.of.tilted(log_sigmoid(self.offsets.clone()))))
    }
}

impl<const D: usize> SelfMaskingClasses<D> {
    /// `bₓ` of entries; of what is no class, 0.
    fn offset_of(&self, x: Tensor<D>) -> Tensor<D> {
        let shape = x.dims();
        let offsets = self.of.each_class(self.offsets.clone());
        let [rows, classes, features] = offsets.dims();
        let class = Tensor::arange(0..classes as i64, &x.device()).float();
        let class = class.reshape([1, classes, 1]).expand([rows, classes, features]);
        let entries = x.reshape([rows, 1, features]).expand([rows, classes, features]);
        (offsets * entries.equal(class).float()).sum_dim(1).reshape(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    // Classes with probabilities ½, ¼ and ¼, missing with ½, ¼ and ¾: together 1/4 + 1/16 + 3/16 = 1/2.
    #[test]
    fn missing_classes_are_hand_worked() {
        let device = Device::flex();
        let logits = Tensor::from_data([[2f32.ln(), 0.0, 0.0]], &device);
        let offsets = Tensor::from_data([0.0, -(3f32.ln()), 3f32.ln()], &device);
        let law = SelfMaskingClasses::new(Categorical::<2>::new(logits, 3).unwrap(), offsets);
        let at = |class: f32, observed: f32| {
            let [x, observed] = [class, observed].map(|x| Tensor::from_data([[x]], &device));
            numbers(law.log_missingness(x, Some(observed)).unwrap())[0]
        };
        assert!((at(0.0, 0.0) - 0.5f64.ln()).abs() < 1e-6);
        assert!((at(1.0, 1.0) - 0.75f64.ln()).abs() < 1e-6);
        assert!((at(2.0, 1.0) - 0.25f64.ln()).abs() < 1e-6);
        let given = numbers(law.given_missing().unwrap().probabilities(0).unwrap());
        for (found, expected) in given.iter().zip([0.5, 0.125, 0.375]) {
            assert!((found - expected).abs() < 1e-6, "{given:?}");
        }
    }
}
