//! The denoising bound: where corruption, model and density meet.

use burn::tensor::{Bool, Tensor};
use dvae_corruption::{CorruptedInput, Corruption};
use dvae_data::Batch;
use dvae_distributions::{Encoding, Inference, Latents, Likelihood};
use dvae_losses::{BoundTerms, Elbo, Emphasis, Estimator, Objective};
use dvae_models::Vae;
use dvae_random::RowStreams;

use crate::BatchNoise;
use crate::estimators::{divide_by_mixture, reparameterize_twice, stick_the_landing};

/// The terms of the denoising bound of each clean row, with one draw of `x̃` and `z`:
///
/// ```text
/// x̃ ~ p(x̃ | x),   z ~ q(z | x̃),   log p(x | z) − KL( q(z | x̃) ‖ p(z) )
/// ```
///
/// `clean`: `[batch, …event]`. It scores a [`CorruptedBatch`] once. Im, Ahn, Memisevic & Bengio (2017),
/// "Denoising Criterion for Variational Auto-Encoding Framework" (arXiv 1511.06406), the tractable bound.
pub fn denoising_elbo<const D: usize, V: Vae<D>>(
    model: &V,
    clean: Tensor<D>,
    corruption: &dyn Corruption<D>,
    noise: &mut BatchNoise,
) -> Elbo {
    let batch = CorruptedBatch::new(clean, None, corruption, 1, &mut noise.corruption);
    let mut terms = batch.score(model, &Objective::default(), &mut noise.latent);
    terms.pop().and_then(|mut one| one.draws.pop()).expect("one draw of each")
}

/// A batch of clean rows and their corrupted versions. Training, evaluation and every metric work with it.
///
/// The corruption gets the clean rows by value and the score uses them unchanged, so no process can change
/// the target.
#[derive(Clone, Debug)]
pub struct CorruptedBatch<const D: usize> {
    clean: Tensor<D>,
    observed: Option<Tensor<D, Bool>>,
    /// Draws of `x̃`.
    corrupted: Vec<CorruptedInput<D>>,
}

impl<const D: usize> CorruptedBatch<D> {
    /// Draws `x̃` the given number of times for a batch of a data set: see [`Self::new`]. If its rows have damaged counterparts, the process gets these: measured damage,
    /// and that of the process on top.
    pub fn of(
        batch: Batch<D>,
        corruption: &dyn Corruption<D>,
        corruptions: usize,
        draws: &mut RowStreams,
    ) -> Self {
        let Batch { clean, damaged, observed, .. } = batch;
        let Some(damaged) = damaged else {
            return Self::new(clean, observed, corruption, corruptions, draws);
        };
        let measured = damaged.clone().not_equal(clean.clone());
        let mut batch = Self::new(damaged, observed, corruption, corruptions, draws);
        for corrupted in &mut batch.corrupted {
            corrupted.changed = corrupted.changed.clone().bool_or(measured.clone());
        }
        Self { clean, ..batch }
    }
}

impl<const D: usize> CorruptedBatch<D> {
    /// Draws `x̃` the given number of times, at least once, for clean rows `[batch, …event]`.
    ///
    /// Entries that were not `observed` (`None`: all were) do not count in a score. If the process shows the
    /// encoder a mask, they are marked there like the entries that the process hid.
    pub fn new(
        clean: Tensor<D>,
        observed: Option<Tensor<D, Bool>>,
        corruption: &dyn Corruption<D>,
        corruptions: usize,
        draws: &mut RowStreams,
    ) -> Self {
        let corrupt = |_| {
            let mut corrupted = corruption.corrupt(clean.clone(), draws);
            if let Some(observed) = observed.as_ref().filter(|_| corruption.shows_mask()) {
                corrupted.input = show_holes(corrupted.input, observed.clone());
            }
            corrupted
        };
        let corrupted = (0..corruptions).map(corrupt).collect();
        Self { clean, observed, corrupted }
    }

    /// The clean rows.
    pub fn clean(&self) -> Tensor<D> {
        self.clean.clone()
    }

    /// Which entries were observed; `None` if all were.
    pub fn observed(&self) -> Option<Tensor<D, Bool>> {
        self.observed.clone()
    }

    /// The first draw of `x̃`: the encoder's input, and where it was changed.
    ///
    /// # Panics
    ///
    /// If there is no draw.
    pub fn corrupted(&self) -> &CorruptedInput<D> {
        &self.corrupted[0]
    }

    /// The values of the first draw of `x̃`, without the mask that may follow them in the encoder's input:
    /// `[batch, …event]`.
    pub fn values(&self) -> Tensor<D> {
        self.corrupted().input.clone().narrow(1, 0, self.clean.dims()[1])
    }

    /// [`Vae::embed`] of the first draw of `x̃`.
    pub fn embed<V: Vae<D>>(&self, model: &V) -> Latents {
        model.embed(self.corrupted().input.clone())
    }

    /// [`Vae::denoise`] of the first draw of `x̃`: `[batch, …event]`.
    pub fn denoise<V: Vae<D>>(&self, model: &V) -> Tensor<D> {
        model.denoise(self.corrupted().input.clone())
    }

    /// Draws latents from each `x̃`, as many as the objective asks for, and scores the clean rows. The
    /// result, one item for each draw of `x̃`, is the input of [`Objective::loss`]. On a plain device the
    /// model is only measured: no gradient is prepared.
    ///
    /// # Panics
    ///
    /// If the objective was not checked against the model: [`Objective::check_encoding`].
    pub fn score<V: Vae<D>>(
        self,
        model: &V,
        objective: &Objective,
        latent: &mut RowStreams,
    ) -> Vec<BoundTerms> {
        let Self { clean, observed, corrupted } = self;
        let observed = observed.map(Tensor::<D, Bool>::float);
        let prior = model.prior();
        let mut targets = Vec::with_capacity(corrupted.len());
        let mut inferred = Vec::with_capacity(corrupted.len());
        for CorruptedInput { input, changed, .. } in corrupted {
            let encoding = model.encode(input, &prior);
            let draws = (0..objective.latents()).map(|_| encoding.infer(latent)).collect();
            let emphasis = emphasis(objective.emphasis(), &changed, observed.as_ref());
            targets.push(Target { clean: clean.clone(), observed: observed.clone(), emphasis });
            inferred.push(EncodingDraws { encoding, draws });
        }
        if objective.mixture_denominator() {
            divide_by_mixture(&mut inferred);
        }
        let tracked = inferred[0].draws[0].latents.levels()[0].values().is_tracked();
        match objective.estimator() {
            Estimator::StickingTheLanding if tracked => stick_the_landing(&mut inferred),
            Estimator::DoublyReparameterized if tracked => {
                reparameterize_twice(model, &targets[0], &mut inferred);
            }
            _ => {}
        }
        let score = |(target, EncodingDraws { encoding, draws }): (&Target<D>, EncodingDraws)| {
            let draws = draws.into_iter().map(|inference| target.score(model, inference)).collect();
            BoundTerms { encoding, draws }
        };
        targets.iter().zip(inferred).map(score).collect()
    }
}

/// Marks unobserved entries in the mask that follows corrupted rows: `input` `[batch, 2 n, …]`, `observed`
/// `[batch, n, …]`. The encoder then sees them like the entries that the process hid.
fn show_holes<const D: usize>(input: Tensor<D>, observed: Tensor<D, Bool>) -> Tensor<D> {
    let n = observed.dims()[1];
    let (values, mask) = (input.clone().narrow(1, 0, n), input.narrow(1, n, n));
    Tensor::cat(vec![values, mask.mask_fill(observed.bool_not(), 1.0)], 1)
}

/// The encoding of one `x̃` for each row, and draws from it.
pub(crate) struct EncodingDraws {
    pub(crate) encoding: Encoding,
    pub(crate) draws: Vec<Inference>,
}

/// What a latent must explain.
pub(crate) struct Target<const D: usize> {
    clean: Tensor<D>,
    /// 1 where an entry was observed.
    observed: Option<Tensor<D>>,
    /// The weights of entries in the reconstruction.
    emphasis: Option<Tensor<D>>,
}

impl<const D: usize> Target<D> {
    fn score<V: Vae<D>>(&self, model: &V, inference: Inference) -> Elbo {
        let likelihood = model.explain(&inference);
        let elbo = Elbo::from_rows(self.log_likelihood(&likelihood), inference);
        match &self.emphasis {
            Some(weights) => {
                let weights = weights.clone();
                let entries = likelihood.weighted_log_likelihood(self.clean.clone(), weights);
                elbo.emphasizing(self.with_missingness(entries, &likelihood))
            }
            None => elbo,
        }
    }

    /// `log p(observed entries | z)` of each row and, if the likelihood says it, which entries these are.
    pub(crate) fn log_likelihood(&self, likelihood: &impl Likelihood<D>) -> Tensor<1> {
        let entries = match self.observed.clone() {
            Some(observed) => likelihood.weighted_log_likelihood(self.clean.clone(), observed),
            None => likelihood.log_likelihood(self.clean.clone()),
        };
        self.with_missingness(entries, likelihood)
    }

    fn with_missingness(&self, entries: Tensor<1>, likelihood: &impl Likelihood<D>) -> Tensor<1> {
        match likelihood.log_missingness(self.clean.clone(), self.observed.clone()) {
            Some(missingness) => entries + missingness,
            None => entries,
        }
    }
}

/// The weights of the entries, unless they are all 1.
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
