//! Gradient estimators: changes to the densities of draws before they are scored.

use burn::tensor::Tensor;
use dvae_distributions::Encoding;
use dvae_kernels::log_sum_exp;
use dvae_losses::importance_shares;
use dvae_models::Vae;

use crate::step::{EncodingDraws, Target};

/// Replaces the density of the posterior that a latent was drawn from by the density of the mixture of all
/// posteriors.
pub(crate) fn divide_by_mixture(inferred: &mut [EncodingDraws]) {
    let count = inferred.len();
    if count == 1 {
        return;
    }
    let encodings: Vec<Encoding> =
        inferred.iter().map(|inferred| inferred.encoding.clone()).collect();
    for (own, EncodingDraws { draws, .. }) in inferred.iter_mut().enumerate() {
        for inference in draws {
            let density = |(other, encoding): (usize, &Encoding)| match other == own {
                true => inference.log_posterior.clone(),
                false => encoding.log_posterior(&inference.latents).expect(CHECKED),
            };
            let densities = encodings.iter().enumerate().map(density).collect();
            let sum = log_sum_exp(Tensor::stack::<2>(densities, 0), 0).squeeze_dim::<1>(0);
            inference.log_posterior = sum - (count as f64).ln();
        }
    }
}

/// Evaluates `log q(z | x̃)` with detached parameters: the remaining gradient flows through `z`. For one
/// level of latents.
pub(crate) fn stick_the_landing(inferred: &mut [EncodingDraws]) {
    for EncodingDraws { encoding, draws } in inferred {
        let posterior = encoding.posterior.detach().expect(CHECKED);
        for inference in draws {
            let latent = inference.latents.flat();
            inference.log_posterior = posterior.log_prob(latent).expect(CHECKED);
        }
    }
}

/// Sticks the landing, and scales the gradient that reaches each latent by its share of the importance
/// weights; the loss multiplies it by that share once more. To find the shares, the latents are decoded once
/// without a graph. For one level of latents.
pub(crate) fn reparameterize_twice<const D: usize, V: Vae<D>>(
    model: &V,
    target: &Target<D>,
    inferred: &mut [EncodingDraws],
) {
    let plain = model.valid();
    let log_weights = inferred.iter().flat_map(|inferred| &inferred.draws).map(|inference| {
        let likelihood = plain.decode(inference.latents.each(Tensor::inner));
        target.log_likelihood(&likelihood) - inference.sampled_kl().inner()
    });
    let shares = importance_shares(Tensor::stack::<2>(log_weights.collect(), 0));
    let draws = inferred.iter_mut().flat_map(|EncodingDraws { encoding, draws }| {
        draws.iter_mut().map(|inference| (&*encoding, inference))
    });
    for (place, (encoding, inference)) in draws.enumerate() {
        let share = Tensor::from_inner(shares.clone().narrow(0, place, 1).transpose());
        let own = inference.latents.flat();
        let value = own.clone().detach();
        let latent = value.clone() + (own - value) * share;
        let posterior = encoding.posterior.detach().expect(CHECKED);
        inference.log_posterior = posterior.log_prob(latent.clone()).expect(CHECKED);
        inference.log_prior = encoding.prior.log_prob(latent.clone());
        inference.latents = inference.latents.each(|_| latent.clone());
        inference.context = None;
    }
}

const CHECKED: &str = "an objective that was checked against the model";
