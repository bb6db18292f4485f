//! How classes decide whether they are missing.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, log_softmax};
use dvae_kernels::log_sum_exp;

use crate::Categorical;

/// `p(missing | x) = σ(bₓ)` of entries that are classes.
#[derive(Debug)]
pub(crate) struct ClassLaw<const D: usize> {
    pub(crate) of: Categorical<D>,
    /// `b` of each class of every entry, `[batch, classes · c, …]` as the logits are.
    pub(crate) offsets: Tensor<D>,
}

impl<const D: usize> ClassLaw<D> {
    /// `log p(missing or not | x, z)` of every entry.
    pub(crate) fn log_missingness(&self, x: Tensor<D>, observed: Option<Tensor<D>>) -> Tensor<D> {
        let there = log_sigmoid(-self.log_odds(x));
        let Some(observed) = observed else { return there };
        let log_shares = log_softmax(self.of.by_class(), 1);
        let masked = log_shares + log_sigmoid(self.of.each_class(self.offsets.clone()));
        let missing = log_sum_exp(masked, 1).reshape(there.dims());
        there.mask_where(observed.equal_elem(0.0), missing)
    }

    /// `bₓ` of entries; of what is no class, 0.
    pub(crate) fn log_odds(&self, x: Tensor<D>) -> Tensor<D> {
        let shape = x.dims();
        let offsets = self.of.each_class(self.offsets.clone());
        let [rows, classes, features] = offsets.dims();
        let class = Tensor::arange(0..classes as i64, &x.device()).float();
        let class = class.reshape([1, classes, 1]).expand([rows, classes, features]);
        let entries = x.reshape([rows, 1, features]).expand([rows, classes, features]);
        (offsets * entries.equal(class).float()).sum_dim(1).reshape(shape)
    }

    /// The classes given that they are missing.
    pub(crate) fn missing(&self) -> Categorical<D> {
        self.of.tilted(log_sigmoid(self.offsets.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Likelihood, SelfMasking};
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
        let law = SelfMasking::classes(Categorical::<2>::new(logits, 3).unwrap(), offsets);
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
