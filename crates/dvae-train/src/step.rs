//! The denoising bound: where corruption, model and density meet.

use burn::tensor::kind::Basic;
use burn::tensor::{Bool, Float, Tensor};
use dvae_corruption::{CorruptedInput, Corruption};
use dvae_distributions::{Encoding, Inference, Likelihood, Posterior};
use dvae_kernels::log_sum_exp;
use dvae_losses::{BoundTerms, Elbo, Emphasis, Estimator, Objective, importance_shares};
use dvae_models::Vae;
use dvae_random::{Key, Purpose, RowStreams};

/// The noise of a batch: what its rows are damaged by, and what their latents are drawn with.
#[derive(Clone, Debug)]
pub struct BatchNoise {
    /// Randomness of `p(x̃ | x)`.
    pub corruption: RowStreams,
    /// Randomness of `q(z | x̃)`.
    pub latent: RowStreams,
}

impl BatchNoise {
    /// Noise for training on these rows in this epoch: new in every epoch.
    pub fn training(root: Key, epoch: usize, ids: &[u64]) -> Self {
        let rows = |purpose| root.purpose(purpose).epoch(epoch as u64).rows(ids);
        Self { corruption: rows(Purpose::Corruption), latent: rows(Purpose::Latent) }
    }

    /// The same noise at a point of training, 0 to 1: scheduled strengths follow it.
    pub fn at_progress(self, progress: f64) -> Self {
        Self { corruption: self.corruption.at_progress(progress), ..self }
    }

    /// Noise for measuring on these rows: the same whenever it is asked for.
    pub fn evaluation(root: Key, ids: &[u64]) -> Self {
        let rows = |purpose| root.purpose(purpose).rows(ids);
        Self {
            corruption: rows(Purpose::EvaluationCorruption),
            latent: rows(Purpose::EvaluationLatent),
        }
    }
}

/// The terms of the denoising bound of each clean row, with one draw of `x̃` and `z`:
///
/// ```text
/// x̃ ~ p(x̃ | x),   z ~ q(z | x̃),   log p(x | z) − KL( q(z | x̃) ‖ p(z) )
/// ```
///
/// `clean`: `[batch, …event]`. The corruption gets the clean rows by value and the score uses them
/// untouched, so no process can change the target. Im, Ahn, Memisevic & Bengio (2017), "Denoising
/// Criterion for Variational Auto-Encoding Framework" (arXiv 1511.06406), the tractable bound.
pub fn denoising_elbo<const D: usize, K: Basic, V: Vae<D, K>>(
    model: &V,
    clean: Tensor<D, K>,
    corruption: &dyn Corruption<D, K>,
    streams: &mut BatchNoise,
) -> Elbo {
    let objective = Objective::default();
    let mut sampled = denoising_draws(model, clean, None, corruption, &objective, streams);
    sampled.pop().and_then(|mut one| one.draws.pop()).expect("one draw of each")
}

/// Draws `M` corruptions of each clean row and `K` latents from each, as an objective asks for, and scores the
/// clean row: what [`Objective::loss`] takes.
///
/// Entries that were not `observed` (all were, if nothing is given) do not count. A model on a plain device is
/// only measured: then no gradient is prepared.
///
/// # Panics
///
/// If the objective was not checked against the model: [`Objective::check_encoding`].
pub fn denoising_draws<const D: usize, K: Basic, V: Vae<D, K>>(
    model: &V,
    clean: Tensor<D, K>,
    observed: Option<Tensor<D, Bool>>,
    corruption: &dyn Corruption<D, K>,
    objective: &Objective,
    streams: &mut BatchNoise,
) -> Vec<BoundTerms> {
    let damaged = CorruptedBatch::new(
        clean,
        observed,
        corruption,
        objective.corruptions(),
        &mut streams.corruption,
    );
    damaged.score(model, objective, &mut streams.latent)
}

/// Clean rows, and what an encoder is shown of them.
#[derive(Clone, Debug)]
pub(crate) struct CorruptedBatch<const D: usize, K: Basic = Float> {
    clean: Tensor<D, K>,
    /// Which entries were observed; all, if nothing.
    observed: Option<Tensor<D, Bool>>,
    /// Draws of `x̃`.
    corrupted: Vec<CorruptedInput<D, K>>,
}

impl<const D: usize, K: Basic> CorruptedBatch<D, K> {
    /// Draws `x̃` so many times.
    pub(crate) fn new(
        clean: Tensor<D, K>,
        observed: Option<Tensor<D, Bool>>,
        corruption: &dyn Corruption<D, K>,
        corruptions: usize,
        draws: &mut RowStreams,
    ) -> Self {
        let corrupted =
            (0..corruptions).map(|_| corruption.corrupt(clean.clone(), draws)).collect();
        Self { clean, observed, corrupted }
    }

    /// [`denoising_draws`] of what was damaged.
    pub(crate) fn score<V: Vae<D, K>>(
        self,
        model: &V,
        objective: &Objective,
        latent: &mut RowStreams,
    ) -> Vec<BoundTerms> {
        let Self { clean, observed, corrupted } = self;
        let observed = observed.map(Tensor::<D, Bool>::float);
        let mut targets = Vec::with_capacity(corrupted.len());
        let mut inferred = Vec::with_capacity(corrupted.len());
        for CorruptedInput { input, changed } in corrupted {
            let encoding = model.encode(input);
            let draws = (0..objective.latents()).map(|_| encoding.infer(latent)).collect();
            let emphasis = emphasis(objective.emphasis(), &changed, observed.as_ref());
            targets.push(Target { clean: clean.clone(), observed: observed.clone(), emphasis });
            inferred.push(Inferred { encoding, draws });
        }
        if objective.mixture_denominator() {
            divide_by_mixture(&mut inferred);
        }
        let tracked = inferred[0].draws[0].latent.is_tracked();
        match objective.estimator() {
            Estimator::StickingTheLanding if tracked => stick_the_landing(&mut inferred),
            Estimator::DoublyReparameterized if tracked => {
                reparameterize_twice(model, &targets[0], &mut inferred);
            }
            _ => {}
        }
        let score = |(target, Inferred { encoding, draws }): (&Target<D, K>, Inferred)| {
            let draws = draws.into_iter().map(|inference| target.score(model, inference)).collect();
            BoundTerms { encoding, draws }
        };
        targets.iter().zip(inferred).map(score).collect()
    }
}

impl<const D: usize> CorruptedBatch<D> {
    /// The same with what was not observed in the mask, if the process shows one.
    pub(crate) fn showing_holes(mut self, corruption: &dyn Corruption<D>) -> Self {
        if let Some(observed) = self.observed.as_ref().filter(|_| corruption.shows_mask()) {
            for corrupted in &mut self.corrupted {
                corrupted.input = show_holes(corrupted.input.clone(), observed.clone());
            }
        }
        self
    }
}

/// Marks what was not observed in a mask that stands behind damaged rows: `input` `[batch, 2 n, …]`, `observed`
/// `[batch, n, …]`. To the encoder it is then as what the process hid.
pub fn show_holes<const D: usize>(input: Tensor<D>, observed: Tensor<D, Bool>) -> Tensor<D> {
    let n = observed.dims()[1];
    let (values, mask) = (input.clone().narrow(1, 0, n), input.narrow(1, n, n));
    Tensor::cat(vec![values, mask.mask_fill(observed.bool_not(), 1.0)], 1)
}

/// The encoding of one `x̃` for each row, and draws from it.
struct Inferred {
    encoding: Encoding,
    draws: Vec<Inference>,
}

/// What a latent has to explain.
struct Target<const D: usize, K: Basic> {
    clean: Tensor<D, K>,
    /// 1 where an entry was observed.
    observed: Option<Tensor<D>>,
    /// The weights of entries in the reconstruction.
    emphasis: Option<Tensor<D>>,
}

impl<const D: usize, K: Basic> Target<D, K> {
    fn score<V: Vae<D, K>>(&self, model: &V, inference: Inference) -> Elbo {
        let likelihood = model.decode(inference.latent.clone());
        let elbo = Elbo::from_rows(self.log_likelihood(&likelihood), inference);
        match &self.emphasis {
            Some(weights) => {
                let weights = weights.clone();
                elbo.emphasizing(likelihood.weighted_log_likelihood(self.clean.clone(), weights))
            }
            None => elbo,
        }
    }

    /// `log p(observed entries | z)` of each row.
    fn log_likelihood(&self, likelihood: &impl Likelihood<D, K>) -> Tensor<1> {
        match self.observed.clone() {
            Some(observed) => likelihood.weighted_log_likelihood(self.clean.clone(), observed),
            None => likelihood.log_likelihood(self.clean.clone()),
        }
    }
}

/// The weights of the entries, if they are not all 1.
fn emphasis<const D: usize>(
    emphasis: Emphasis,
    changed: &Tensor<D, Bool>,
    observed: Option<&Tensor<D>>,
) -> Option<Tensor<D>> {
    if emphasis.is_even() {
        return None;
    }
    let weights = changed.clone().float() * (emphasis.changed - emphasis.unchanged);
    let weights = weights + emphasis.unchanged;
    Some(match observed {
        Some(observed) => weights * observed.clone(),
        None => weights,
    })
}

/// Puts the density of the mixture of all posteriors in place of that of the one that a latent is from.
fn divide_by_mixture(inferred: &mut [Inferred]) {
    let count = inferred.len();
    if count == 1 {
        return;
    }
    let posteriors: Vec<Posterior> =
        inferred.iter().map(|inferred| inferred.encoding.posterior.clone()).collect();
    for (own, Inferred { draws, .. }) in inferred.iter_mut().enumerate() {
        for inference in draws {
            let density = |(other, posterior): (usize, &Posterior)| match other == own {
                true => inference.log_posterior.clone(),
                false => posterior.log_prob(inference.latent.clone()).expect(CHECKED),
            };
            let densities = posteriors.iter().enumerate().map(density).collect();
            let sum = log_sum_exp(Tensor::stack::<2>(densities, 0), 0).squeeze_dim::<1>(0);
            inference.log_posterior = sum - (count as f64).ln();
        }
    }
}

/// Evaluates `log q(z | x̃)` with parameters that no gradient reaches: what is left flows through `z`.
fn stick_the_landing(inferred: &mut [Inferred]) {
    for Inferred { encoding, draws } in inferred {
        let posterior = encoding.posterior.detach().expect(CHECKED);
        for inference in draws {
            inference.log_posterior = posterior.log_prob(inference.latent.clone()).expect(CHECKED);
        }
    }
}

/// Sticks the landing, and scales the gradient that reaches each latent by its share of the importance weights,
/// which the loss multiplies it with once more. For those shares the latents are decoded once without a graph.
fn reparameterize_twice<const D: usize, K: Basic, V: Vae<D, K>>(
    model: &V,
    target: &Target<D, K>,
    inferred: &mut [Inferred],
) {
    let plain = model.valid();
    let log_weights = inferred.iter().flat_map(|inferred| &inferred.draws).map(|inference| {
        let likelihood = plain.decode(inference.latent.clone().inner());
        target.log_likelihood(&likelihood) - inference.sampled_kl().inner()
    });
    let shares = importance_shares(Tensor::stack::<2>(log_weights.collect(), 0));
    let draws = inferred.iter_mut().flat_map(|Inferred { encoding, draws }| {
        draws.iter_mut().map(|inference| (&*encoding, inference))
    });
    for (place, (encoding, inference)) in draws.enumerate() {
        let share = Tensor::from_inner(shares.clone().narrow(0, place, 1).transpose());
        let value = inference.latent.clone().detach();
        let latent = value.clone() + (inference.latent.clone() - value) * share;
        let posterior = encoding.posterior.detach().expect(CHECKED);
        inference.log_posterior = posterior.log_prob(latent.clone()).expect(CHECKED);
        inference.log_prior = encoding.prior.log_prob(latent.clone());
        inference.latent = latent;
    }
}

const CHECKED: &str = "an objective that was checked against the model";
