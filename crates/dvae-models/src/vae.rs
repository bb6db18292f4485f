//! The one trait of all models.

use burn::module::Module;
use burn::tensor::kind::Basic;
use burn::tensor::{Float, Tensor};
use dvae_distributions::{Encoding, Inference, Likelihood};
use dvae_random::RowStreams;

/// A variational autoencoder over rows of rank `D - 1` and kind `K`; axis 0 is the row.
///
/// It infers a latent from whatever input it is given and decodes a latent into a distribution over
/// clean rows. Whether that input was corrupted is not its business: see `dvae-train` for where the
/// ideas meet.
pub trait Vae<const D: usize, K: Basic = Float>: Module {
    /// `p(x | z)`.
    type Likelihood: Likelihood<D, K>;

    /// `q(z | input)` of each row, and the prior that it is held against.
    ///
    /// `input`: `[batch, …event]`.
    ///
    /// # Panics
    ///
    /// If the input's rows have another shape than the model was configured for.
    fn encode(&self, input: Tensor<D, K>) -> Encoding;

    /// `p(x | z)` for each row of `latent` `[batch, latent]`.
    fn decode(&self, latent: Tensor<2>) -> Self::Likelihood;

    /// One latent from the prior for each row of `draws`: `[rows, latent]`.
    fn prior_sample(&self, draws: &mut RowStreams) -> Tensor<2>;

    /// Draws `z ~ q(z | input)` for each row, with the densities that a bound needs; `draws` holds the
    /// streams of the batch's rows.
    fn infer(&self, input: Tensor<D, K>, draws: &mut RowStreams) -> Inference {
        self.encode(input).infer(draws)
    }

    /// The posterior's mean of each row: `[batch, latent]`. Of a posterior by a flow: where the mean of its
    /// base goes.
    fn embed(&self, input: Tensor<D, K>) -> Tensor<2> {
        self.encode(input).posterior.mean()
    }

    /// Cleans rows: the mean of `p(x | z)` at the posterior's mean `z`, shape of a clean row: that of
    /// `input`, without the mask if the model is shown one.
    fn denoise(&self, input: Tensor<D, K>) -> Tensor<D> {
        self.decode(self.embed(input)).mean()
    }
}
