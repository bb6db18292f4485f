//! Bounds and regularizers over what a model infers, in nats, term by term.
//!
//! ```text
//! ELBO(x, x̃) = E_{q(z|x̃)} log p(x | z) − KL( q(z | x̃) ‖ p(z) )
//! ```
//!
//! | Piece             | What it is                                                                          |
//! |-------------------|-------------------------------------------------------------------------------------|
//! | [`Elbo`]          | the terms of the bound of each row, for one draw of the latent                      |
//! | [`Objective`]     | the DVAE bound, or the importance-weighted one through the corruption (DIWAE, IWAE)  |
//! | [`KlTerm`]        | weighted with a [`Schedule`], free bits, capacity, total correlation, MMD, DIP-VAE   |
//! | [`ImportanceWeights`] | of their own posterior or the mixture of all; their gradient estimator |
//! | [`Emphasis`]      | weights of changed and of unchanged entries                                         |
//!
//! An [`Elbo`] keeps its terms separate to the end. Both terms are always sums over features and means over
//! rows. A loss takes an [`Inference`](dvae_distributions::Inference) and element-wise log-densities, never a
//! model, so it can be tested with literals and used in any training loop.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use dvae_distributions::{DiagonalNormal, Encoding};
//! use dvae_losses::{LossContext, Elbo, KlTerm, Objective, BoundTerms};
//! use dvae_random::Key;
//!
//! let device = Device::flex();
//! let posterior = DiagonalNormal::new(Tensor::ones([1, 2], &device), Tensor::zeros([1, 2], &device));
//! let encoding = Encoding::from(posterior);
//! let inference = encoding.infer(&mut Key::new(1).rows(&[0])); // KL ½ for each of two latents
//! let elbo = Elbo::from_rows(Tensor::from_data([-3.0], &device), inference);
//! assert_eq!(elbo.bound().into_scalar::<f32>(), -4.0);
//!
//! let free = Objective::from(KlTerm::FreeBits { nats: 0.75, group: 1 });
//! let context = &mut LossContext { progress: 1.0, rows: 1, noise: &mut Key::new(2).rows(&[0]) };
//! let loss = free.loss(&[BoundTerms { encoding, draws: vec![elbo] }], context);
//! assert_eq!(loss.into_scalar::<f32>(), 3.0 + 2.0 * 0.75);
//! # Ok::<(), dvae_losses::LossError>(())
//! ```
//!
//! # What this gives up
//!
//! - Nothing is averaged over features: metrics grow with the size of a row, as the bound does.
//! - A weighted loss is not called a bound: only [`Elbo::bound`] and [`Objective::bound_of`] are.
//! - Regularizers that use a whole batch (total correlation, MMD, DIP-VAE) depend on its size.

mod dip;
mod elbo;
mod error;
mod kl_term;
mod mmd;
mod objective;
mod schedule;
mod total_correlation;

pub use dip::{DipCovariance, dip};
pub use elbo::Elbo;
pub use error::LossError;
pub use kl_term::KlTerm;
pub use mmd::{MmdKernel, mmd};
pub use objective::{
    BoundTerms, Emphasis, Estimator, ImportanceWeights, LossContext, Objective, importance_shares,
    mean_over_draws,
};
pub use schedule::{Schedule, WarmUp};
pub use total_correlation::KlDecomposition;
