//! Bounds and regularisers over what a model infers, in nats, term by term.
//!
//! ```text
//! ELBO(x, x̃) = E_{q(z|x̃)} log p(x | z) − KL( q(z | x̃) ‖ p(z) )
//! ```
//!
//! [`Elbo`] keeps the two terms apart until the last line: sums over features, means over rows, in
//! both terms, always. A loss takes an [`Inference`](dvae_distributions::Inference) and element-wise
//! log-densities, never a model, so it can be tested with literals and used in any loop.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use dvae_distributions::DiagonalNormal;
//! use dvae_losses::{Elbo, KlWeight};
//! use dvae_random::Key;
//!
//! let device = Device::flex();
//! let posterior = DiagonalNormal::new(Tensor::ones([1, 2], &device), Tensor::zeros([1, 2], &device));
//! let inference = posterior.infer(&mut Key::new(1).rows(&[0])); // KL ½ for each of two latents
//! let elbo = Elbo::from_rows(Tensor::from_data([-3.0], &device), &inference);
//! assert_eq!(elbo.bound().into_scalar::<f32>(), -4.0);
//! assert_eq!(elbo.loss(KlWeight::new(0.0)?).into_scalar::<f32>(), 3.0);
//! # Ok::<(), dvae_losses::LossError>(())
//! ```
//!
//! # What this gives up
//!
//! - Nothing is averaged over features: figures grow with the size of a row, as the bound does.
//! - A weighted loss is not called a bound: only [`Elbo::bound`] is one.

mod elbo;

pub use elbo::{Elbo, KlWeight, LossError};
