//! No damage: what a plain VAE is trained with.

use burn::tensor::Tensor;
use dvae_random::Draws;

use crate::{Corrupted, Corruption};

/// The process that changes nothing, `x̃ = x`: with it, a DVAE is a plain VAE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clean;

impl<const D: usize> Corruption<D> for Clean {
    fn corrupt(&self, clean: Tensor<D>, _draws: &mut Draws) -> Corrupted<D> {
        let changed = Tensor::<D>::zeros(clean.shape(), &clean.device()).bool();
        Corrupted { input: clean, changed }
    }
}
