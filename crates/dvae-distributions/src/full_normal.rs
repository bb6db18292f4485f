//! The normal posterior with full covariance.

use burn::tensor::{Int, Tensor, TensorData};
use dvae_random::RowStreams;

use crate::stable::HALF_LN_TAU;

/// A normal posterior `q(z | x̃) = N(μ, L Lᵀ)`, given by its mean and the Cholesky factor `L` of its
/// covariance.
///
/// The factor's diagonal is `e^{½ v}` with `v` from the network, so the covariance is positive definite for
/// any network output. Kingma & Welling (2019), "An Introduction to Variational Autoencoders", section 2.5.1.
#[derive(Clone, Debug)]
pub struct FullNormal {
    mean: Tensor<2>,
    log_diagonal: Tensor<2>,
    /// `[batch, latent, latent]`, lower triangular.
    factor: Tensor<3>,
}

impl FullNormal {
    /// From `μ` and `v` `[batch, latent]`, and the entries below the diagonal of `L`, row by row:
    /// `[batch, latent (latent − 1) / 2]`; `None` for a single latent.
    ///
    /// # Panics
    ///
    /// If the shapes do not match.
    pub fn new(mean: Tensor<2>, log_variance: Tensor<2>, below: Option<Tensor<2>>) -> Self {
        let log_diagonal = log_variance * 0.5;
        let [rows, latent] = mean.dims();
        let zero = Tensor::zeros([rows, 1], &mean.device());
        let mut parts = vec![zero, log_diagonal.clone().exp()];
        parts.extend(below);
        // The position of each entry of the factor among the parts: 0, the diagonal, the entries below it.
        let place = |entry: usize| match (entry / latent, entry % latent) {
            (row, column) if column > row => 0,
            (row, column) if column == row => 1 + row,
            (row, column) => 1 + latent + row * (row - 1) / 2 + column,
        };
        let places: Vec<i64> = (0..latent * latent).map(|entry| place(entry) as i64).collect();
        let places = TensorData::new(places, [latent * latent]);
        let places = Tensor::<1, Int>::from_data(places, &mean.device());
        let factor = Tensor::cat(parts, 1).select(1, places).reshape([rows, latent, latent]);
        Self { mean, log_diagonal, factor }
    }

    /// Number of latents.
    #[allow(clippy::len_without_is_empty)] // Never empty.
    pub fn len(&self) -> usize {
        self.mean.dims()[1]
    }

    /// `μ`, shape `[batch, latent]`.
    pub fn mean(&self) -> Tensor<2> {
        self.mean.clone()
    }

    /// `L`, lower triangular: `[batch, latent, latent]`.
    pub fn factor(&self) -> Tensor<3> {
        self.factor.clone()
    }

    /// The same distribution with detached parameters.
    pub fn detach(&self) -> Self {
        Self {
            mean: self.mean.clone().detach(),
            log_diagonal: self.log_diagonal.clone().detach(),
            factor: self.factor.clone().detach(),
        }
    }

    /// A reparameterized draw `z = μ + L ε` `[batch, latent]`, and `log q(z)` `[batch]` from its noise.
    pub fn draw(&self, draws: &mut RowStreams) -> (Tensor<2>, Tensor<1>) {
        let noise = draws.normal::<2>(self.mean.shape(), &self.mean.device());
        let step = self.factor.clone().matmul(noise.clone().unsqueeze_dim(2)).squeeze_dim(2);
        (self.mean.clone() + step, self.log_density(noise))
    }

    /// `log q(z)` of each row of `latent` `[batch, latent]`: `[batch]`, nats.
    pub fn log_prob(&self, latent: Tensor<2>) -> Tensor<1> {
        let [_, size] = latent.dims();
        let mut rest = latent - self.mean.clone();
        // L ε = z − μ, solved from the first row downward.
        let noise = (0..size).map(|i| {
            let column = self.factor.clone().narrow(2, i, 1).squeeze_dim::<2>(2);
            let e = rest.clone().narrow(1, i, 1) / column.clone().narrow(1, i, 1);
            rest = rest.clone() - column * e.clone();
            e
        });
        self.log_density(Tensor::cat(noise.collect(), 1))
    }

    /// `−½ ‖ε‖² − Σ ln Lᵢᵢ − ½ n ln 2π` for the noise of the point.
    fn log_density(&self, noise: Tensor<2>) -> Tensor<1> {
        let each = noise.square() * -0.5 - self.log_diagonal.clone() - HALF_LN_TAU;
        each.sum_dim(1).squeeze_dim(1)
    }

    /// `KL(q ‖ N(0, I))` in closed form, split by latent: `[batch, latent]`, nats.
    ///
    /// ```text
    /// KL = Σᵢ [ ½ (μᵢ² + Σⱼ Lᵢⱼ² − 1) − ln Lᵢᵢ ]
    /// ```
    pub fn kl_to_standard_normal(&self) -> Tensor<2> {
        let variance = self.factor.clone().square().sum_dim(2).squeeze_dim::<2>(2);
        (self.mean.clone().square() + variance - 1.0) * 0.5 - self.log_diagonal.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DiagonalNormal;
    use burn::tensor::Device;
    use dvae_random::Key;

    fn of() -> FullNormal {
        let tensor = |values: [f32; 3]| Tensor::from_data([values], &Device::flex());
        FullNormal::new(
            tensor([0.5, -1.0, 0.2]),
            tensor([0.0, -1.0, 0.6]),
            Some(tensor([0.7, -0.3, 1.1])),
        )
    }

    #[test]
    fn the_factor_is_lower_triangular_row_by_row() {
        let factor: Vec<f32> = of().factor().into_data().try_to_vec().unwrap();
        let [a, b] = [(-0.5f32).exp(), 0.3f32.exp()];
        assert_eq!(factor, [1.0, 0.0, 0.0, 0.7, a, 0.0, -0.3, 1.1, b]);
    }

    #[test]
    fn without_anything_below_the_diagonal_it_is_the_diagonal_normal() {
        let device = Device::flex();
        let [mean, log_variance] = [[[0.5, -1.0]], [[0.3, -0.8]]]
            .map(|values: [[f32; 2]; 1]| Tensor::<2>::from_data(values, &device));
        let below = Tensor::zeros([1, 1], &device);
        let full = FullNormal::new(mean.clone(), log_variance.clone(), Some(below));
        let diagonal = DiagonalNormal::new(mean, log_variance);
        let gap = full.kl_to_standard_normal() - diagonal.kl_to_standard_normal();
        assert!(gap.abs().max().into_scalar::<f32>() < 1e-6);
        let draws = || Key::new(1).rows(&[3]);
        let (z, log_q) = full.draw(&mut draws());
        assert!(
            (z.clone() - diagonal.sample(&mut draws())).abs().max().into_scalar::<f32>() < 1e-6
        );
        let gap = log_q - diagonal.log_prob(z);
        assert!(gap.abs().into_scalar::<f32>() < 1e-5);
    }

    #[test]
    fn a_draw_has_the_density_that_its_point_has_and_its_mean_is_the_kl() {
        let (rows, one) = (100_000, of());
        let repeat = |t: &Tensor<2>| t.clone().expand([rows, 3]);
        let many = FullNormal {
            mean: repeat(&one.mean),
            log_diagonal: repeat(&one.log_diagonal),
            factor: one.factor.clone().expand([rows, 3, 3]),
        };
        let ids: Vec<u64> = (0..rows as u64).collect();
        let (z, log_q) = many.draw(&mut Key::new(4).rows(&ids));
        let gap = many.log_prob(z.clone()) - log_q.clone();
        assert!(gap.abs().max().into_scalar::<f32>() < 1e-4);
        let ratio = log_q - crate::StandardNormal.log_prob(z);
        let mean = ratio.clone().mean().into_scalar::<f32>();
        let variance = (ratio - mean).square().mean().into_scalar::<f32>();
        let kl = one.kl_to_standard_normal().sum().into_scalar::<f32>();
        // Six standard errors.
        assert!((mean - kl).abs() < 6.0 * (variance / rows as f32).sqrt(), "{mean} against {kl}");
    }
}
