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
//! # What this gives up
//!
//! - Nothing is averaged over features: figures grow with the size of a row, as the bound does.
//! - A weighted loss is not called a bound: only [`Elbo::bound`] is one.

mod elbo;

pub use elbo::{Elbo, KlWeight, LossError};
