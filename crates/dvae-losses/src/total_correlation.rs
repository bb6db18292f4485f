//! Decomposition of the KL from the posteriors to the prior.

use burn::tensor::{Tensor, TensorData};
use dvae_distributions::{DiagonalNormal, StandardNormal};
use dvae_kernels::log_sum_exp;

/// `ln 2π`.
const LN_TAU: f64 = 1.837_877_066_409_345_3;

/// The three parts of the mean KL to a factorized prior, each `[1]`, in nats:
///
/// ```text
/// E KL(q(z|x) ‖ p(z)) = I(x; z) + KL(q(z) ‖ Π q(zⱼ)) + Σ KL(q(zⱼ) ‖ p(zⱼ))
/// ```
///
/// Chen et al. (2018), "Isolating Sources of Disentanglement in VAEs", equation 2. `q(z)` is the mean of the
/// posteriors of all rows of the set. A batch estimates it with stratified weights (appendix C.2): of its
/// `M + 1` rows, the row that `z` came from has weight `1/N`, one other row `(N − M)/NM`, and the rest `1/M`.
/// The one other row is the next one of the batch.
#[derive(Clone, Debug)]
pub struct KlDecomposition {
    /// `I(x; z)`: how much a latent tells about its row.
    pub mutual_information: Tensor<1>,
    /// `KL(q(z) ‖ Π q(zⱼ))`: how much latents depend on each other.
    pub total_correlation: Tensor<1>,
    /// `Σ KL(q(zⱼ) ‖ p(zⱼ))`.
    pub per_latent: Tensor<1>,
}

impl KlDecomposition {
    /// Estimates the parts from the posteriors of a batch, one draw `[batch, latent]` from each, and the
    /// number of rows of the set that the batch is from. A batch of one row shows no correlation: only the
    /// last part is not 0.
    pub fn new(posterior: &DiagonalNormal, latent: Tensor<2>, rows: usize) -> Self {
        let [batch, _] = latent.dims();
        // log q(zᵢ | xⱼ) of each latent: [i, j, latent].
        let gap = latent.clone().unsqueeze_dim::<3>(1) - posterior.mean().unsqueeze_dim(0);
        let log_variance = posterior.log_variance().unsqueeze_dim::<3>(0);
        let squared = (gap * (log_variance.clone() * -0.5).exp()).square();
        let each = (squared + log_variance + LN_TAU) * -0.5;
        let weights = Tensor::<2>::from_data(log_weights(batch, rows), &latent.device());
        let joint = each.clone().sum_dim(2).squeeze_dim::<2>(2) + weights.clone();
        let of_all = log_sum_exp(joint, 1).squeeze_dim::<1>(1);
        let apart = log_sum_exp(each + weights.unsqueeze_dim(2), 1);
        let of_each = apart.sum_dim(2).reshape([batch]);
        let own = posterior.log_prob(latent.clone());
        Self {
            mutual_information: (own - of_all.clone()).mean(),
            total_correlation: (of_all - of_each.clone()).mean(),
            per_latent: (of_each - StandardNormal.log_prob(latent)).mean(),
        }
    }
}

/// The logarithms of the stratified weights `[batch, batch]` of a batch from a set of `rows` rows.
fn log_weights(batch: usize, rows: usize) -> TensorData {
    let rows = rows.max(batch) as f64;
    let others = (batch - 1) as f64;
    let weight = |i: usize, j: usize| match j {
        _ if batch == 1 => 1.0,
        _ if j == i => 1.0 / rows,
        _ if j == (i + 1) % batch => (rows - others) / (rows * others),
        _ => 1.0 / others,
    };
    let each = (0..batch * batch).map(|at| weight(at / batch, at % batch).ln() as f32);
    TensorData::new(each.collect::<Vec<f32>>(), [batch, batch])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use dvae_random::Key;

    #[test]
    fn weights_of_a_batch_sum_to_one() {
        for (batch, rows) in [(1, 10), (2, 10), (5, 5), (7, 1000)] {
            let weights = log_weights(batch, rows).try_to_vec::<f32>().unwrap();
            for row in weights.chunks(batch) {
                let sum: f32 = row.iter().map(|w| w.exp()).sum();
                assert!((sum - 1.0).abs() < 1e-6, "{batch} of {rows}: {sum}");
            }
        }
        // Three of ten rows: 1/10, (10 − 2)/20, 1/2, the next row second.
        let weights = log_weights(3, 10).try_to_vec::<f32>().unwrap();
        for (got, expected) in weights.iter().zip([0.1, 0.4, 0.5, 0.5, 0.1, 0.4, 0.4, 0.5, 0.1f32])
        {
            assert!((got.exp() - expected).abs() < 1e-6, "{weights:?}");
        }
    }

    // The aggregated posterior of many rows with means from N(1, R) and variance s² is N(1, R + s²): with a
    // correlation ρ of the means all three parts have closed forms. The whole set is the batch, so that only
    // the mean over draws is estimated. Bounds are six standard errors of 3000 terms, whose standard
    // deviations are at most 1.1, 0.7 and 2.3, plus the error of 3000 rows for the aggregate.
    #[test]
    fn the_parts_are_those_of_known_normals() {
        let (n, rho, s2) = (3000, 0.9f64, 0.5f64);
        let device = Device::flex();
        let ids: Vec<u64> = (0..n).collect();
        let mut draws = Key::new(11).rows(&ids);
        let e = draws.normal::<2>([n as usize, 2], &device);
        let (a, b) = (e.clone().narrow(1, 0, 1), e.narrow(1, 1, 1));
        let second = a.clone() * rho + b * (1.0 - rho * rho).sqrt();
        let mean = Tensor::cat(vec![a, second], 1) + 1.0;
        let posterior = DiagonalNormal::new(mean.clone(), mean.full_like(s2.ln()));
        let latent = posterior.sample(&mut draws);
        let parts = KlDecomposition::new(&posterior, latent, n as usize);
        let v = 1.0 + s2;
        let determinant = v * v - rho * rho;
        let information = 0.5 * (determinant / (s2 * s2)).ln();
        let correlation = 0.5 * (v * v / determinant).ln();
        let per_latent = v - 1.0 - v.ln() + 1.0;
        for (what, got, exact, bound) in [
            ("mutual information", parts.mutual_information, information, 0.13),
            ("total correlation", parts.total_correlation, correlation, 0.09),
            ("per latent", parts.per_latent, per_latent, 0.27),
        ] {
            let got = got.into_scalar::<f64>();
            assert!((got - exact).abs() < bound, "{what}: {got}, not {exact}");
        }
    }

    #[test]
    fn the_parts_add_up_to_the_kl_of_the_draws() {
        let device = Device::flex();
        let ids: Vec<u64> = (0..16).collect();
        let mut draws = Key::new(1).rows(&ids);
        let mean = draws.normal::<2>([16, 3], &device);
        let posterior = DiagonalNormal::new(mean.clone(), mean.full_like(-1.0));
        let (latent, log_q) = posterior.draw(&mut draws);
        let parts = KlDecomposition::new(&posterior, latent.clone(), 100);
        let sum = parts.mutual_information + parts.total_correlation + parts.per_latent;
        let kl = (log_q - StandardNormal.log_prob(latent)).mean();
        assert!((sum - kl).abs().into_scalar::<f32>() < 1e-4);
    }
}
