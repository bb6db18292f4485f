//! The trait of all models.

use burn::module::Module;
use burn::tensor::Tensor;
use dvae_distributions::{Encoding, Inference, Latent, LatentShape, Latents, Likelihood, Prior};
use dvae_random::RowStreams;

/// A variational autoencoder over rows of rank `D - 1`; axis 0 is the row.
///
/// It infers latents from any input and decodes latents into a distribution over clean rows. It does not know
/// whether the input was corrupted: `dvae-train` combines model and corruption.
/// [`Autoencoder`](crate::Autoencoder) implements it for any [`Network`](crate::Network).
pub trait Vae<const D: usize>: Module {
    /// `p(x | z)`.
    type Likelihood: Likelihood<D>;

    /// The shapes of the levels of latents, top first, for a row of the size that the model was built for.
    fn latent_shapes(&self) -> Vec<LatentShape>;

    /// `p(z)` of the top level. It is the same for every input, so it is computed once per step.
    fn prior(&self) -> Prior;

    /// `q(z | input)` of each row, together with that prior.
    ///
    /// `input`: `[batch, …event]`.
    ///
    /// # Panics
    ///
    /// If the input's rows have another shape than the model can be applied to: the one that it was configured for, except
    /// that a ladder takes images of any sides.
    fn encode(&self, input: Tensor<D>, prior: &Prior) -> Encoding;

    /// `p(x | z)` for each row of latents. For one level that is a vector, a tensor `[batch, latent]` is
    /// accepted.
    fn decode(&self, latents: impl Into<Latents>) -> Self::Likelihood;

    /// `p(x | z)` at the latents of an inference by this model. It is [`Vae::decode`], except that a model with several
    /// levels need not compute again what led to the last one.
    fn explain(&self, inference: &Inference) -> Self::Likelihood {
        self.decode(inference.latents.clone())
    }

    /// The given latents of the first levels, for each row of `draws`, and below them one draw from the prior, level by
    /// level.
    ///
    /// # Panics
    ///
    /// If there are more of them than levels, if their shapes are not those of [`Vae::latent_shapes`], or if they have
    /// another number of rows than `draws`.
    fn sample_below(&self, above: &[Latent], draws: &mut RowStreams) -> Latents;

    /// One draw from the prior for each row of `draws`, level by level.
    fn sample_prior(&self, draws: &mut RowStreams) -> Latents {
        self.sample_below(&[], draws)
    }

    /// Draws `z ~ q(z | input)` for each row, with the densities that a bound needs; `draws` holds the
    /// streams of the batch's rows.
    fn infer(&self, input: Tensor<D>, draws: &mut RowStreams) -> Inference {
        self.encode(input, &self.prior()).infer(draws)
    }

    /// The posterior's mean of each row, level by level, given the means above. For a flow posterior, the
    /// image of its base's mean.
    fn embed(&self, input: Tensor<D>) -> Latents {
        // No mean depends on the prior of the top level.
        self.encode(input, &Prior::Standard).means()
    }

    /// Denoises rows: the mean of `p(x | z)` at the posterior's mean `z`, of rows with the totals of the input if the likelihood is
    /// of such. It has the shape of a clean row: that of `input`, without the mask if the model is shown one.
    fn denoise(&self, input: Tensor<D>) -> Tensor<D> {
        let law = self.decode(self.embed(input.clone()));
        match law.with_total_of(input) {
            Some(law) => law.mean(),
            None => law.mean(),
        }
    }
}
