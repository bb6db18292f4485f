//! Means and sums of the bound's terms over rows.

use burn::tensor::{Tensor, Transaction};
use dvae_losses::{BoundTerms, Elbo, mean_over_draws};
use serde::{Deserialize, Serialize};

/// The bound and its terms, as means over rows and draws, in nats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanElbo {
    /// `log p(x | z) − KL`, never weighted.
    pub elbo: f64,
    /// `log p(x | z)`: the reconstruction.
    pub log_likelihood: f64,
    /// `KL(q ‖ p)`.
    pub kl: f64,
}

/// Sums of terms over rows of any number of batches of any sizes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Bits", into = "Bits")]
pub(crate) struct TermSums {
    rows: usize,
    log_likelihood: f64,
    kl: f64,
    objective: f64,
    /// Level by level; empty for a level without a closed form.
    kl_per_latent: Vec<Vec<f64>>,
}

/// [`TermSums`] as stored in a file: bits compare exactly, where parsed floats may not.
#[derive(Clone, Serialize, Deserialize)]
struct Bits {
    rows: usize,
    sums: [u64; 3],
    kl_per_latent: Vec<Vec<u64>>,
}

impl From<TermSums> for Bits {
    fn from(sums: TermSums) -> Self {
        Self {
            rows: sums.rows,
            sums: [sums.log_likelihood, sums.kl, sums.objective].map(f64::to_bits),
            kl_per_latent: each(sums.kl_per_latent, f64::to_bits),
        }
    }
}

impl From<Bits> for TermSums {
    fn from(bits: Bits) -> Self {
        let [log_likelihood, kl, objective] = bits.sums.map(f64::from_bits);
        let kl_per_latent = each(bits.kl_per_latent, f64::from_bits);
        Self { rows: bits.rows, log_likelihood, kl, objective, kl_per_latent }
    }
}

fn each<A, B>(levels: Vec<Vec<A>>, change: fn(A) -> B) -> Vec<Vec<B>> {
    levels.into_iter().map(|level| level.into_iter().map(change).collect()).collect()
}

impl TermSums {
    pub(crate) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.log_likelihood += other.log_likelihood;
        self.kl += other.kl;
        self.objective += other.objective;
        self.kl_per_latent.resize(other.kl_per_latent.len(), vec![]);
        for (sums, level) in self.kl_per_latent.iter_mut().zip(&other.kl_per_latent) {
            if sums.len() != level.len() {
                *sums = vec![0.0; level.len()];
            }
            sums.iter_mut().zip(level).for_each(|(sum, kl)| *sum += kl);
        }
    }

    pub(crate) fn mean(&self) -> MeanElbo {
        let rows = self.rows as f64;
        let (log_likelihood, kl) = (self.log_likelihood / rows, self.kl / rows);
        MeanElbo { elbo: log_likelihood - kl, log_likelihood, kl }
    }

    /// The mean of the objective's value: its loss or its bound.
    pub(crate) fn objective(&self) -> f64 {
        self.objective / self.rows as f64
    }

    /// The mean KL of each latent, level by level; empty for a level without a closed form.
    pub(crate) fn kl_per_latent(&self) -> Vec<Vec<f64>> {
        let mean = |level: &Vec<f64>| level.iter().map(|kl| kl / self.rows as f64).collect();
        self.kl_per_latent.iter().map(mean).collect()
    }

    /// The first term that is not finite, by name, with its value.
    pub(crate) fn non_finite(&self) -> Option<(&'static str, f64)> {
        [("log-likelihood", self.log_likelihood), ("KL", self.kl), ("loss", self.objective)]
            .into_iter()
            .find(|(_, value)| !value.is_finite())
    }
}

/// Terms of one batch, summed over rows and not read from the device yet.
#[derive(Debug)]
pub(crate) struct PendingTerms {
    rows: usize,
    log_likelihood: Tensor<1>,
    kl: Tensor<1>,
    objective: Tensor<1>,
    /// One for each level, top first.
    kl_per_latent: Vec<Option<Tensor<2>>>,
}

impl PendingTerms {
    /// Sums the terms of all draws for the rows; `objective` is the objective's mean over rows.
    pub(crate) fn new(sampled: &[BoundTerms], objective: Tensor<1>) -> Self {
        let sum = |term: fn(&Elbo) -> Tensor<1>| mean_over_draws(sampled, term).inner().sum();
        let rows = sampled[0].draws[0].log_likelihood().dims()[0];
        let levels = sampled[0].draws[0].inference().kl.len();
        let kl_per_latent = (0..levels).map(|level| kl_of_level(sampled, level)).collect();
        Self {
            rows,
            log_likelihood: sum(Elbo::log_likelihood),
            kl: sum(Elbo::kl),
            objective: objective.inner() * rows as f64,
            kl_per_latent,
        }
    }

    /// Terms of 0 of so many rows.
    #[cfg(test)]
    pub(crate) fn zero(rows: usize, device: &burn::tensor::Device) -> Self {
        let zero = || Tensor::zeros([1], device);
        Self { rows, log_likelihood: zero(), kl: zero(), objective: zero(), kl_per_latent: vec![] }
    }

    /// Reads all of them in one transaction; training waits for the device only here.
    pub(crate) fn read(pending: &mut Vec<Self>) -> Vec<TermSums> {
        let shapes: Vec<(usize, Vec<bool>)> = pending
            .iter()
            .map(|terms| (terms.rows, terms.kl_per_latent.iter().map(Option::is_some).collect()))
            .collect();
        let transaction = pending.drain(..).fold(Transaction::default(), |all, terms| {
            let all =
                all.register(terms.log_likelihood).register(terms.kl).register(terms.objective);
            terms.kl_per_latent.into_iter().flatten().fold(all, Transaction::register)
        });
        let mut read =
            transaction.execute().into_iter().map(|data| data.iter::<f64>().collect::<Vec<f64>>());
        let mut next = || read.next().unwrap_or_default();
        let mut terms = |(rows, levels): (usize, Vec<bool>)| {
            let [log_likelihood, kl, objective] = [next(), next(), next()].map(|term| term[0]);
            let each = levels.into_iter().map(|has_one| if has_one { next() } else { vec![] });
            let kl_per_latent = each.collect();
            TermSums { rows, log_likelihood, kl, objective, kl_per_latent }
        };
        shapes.into_iter().map(&mut terms).collect()
    }
}

/// The KL of each latent of a level, or of each channel of a map with all its positions, summed over rows: a mean over
/// all draws of the levels above it. `None` without a closed form.
fn kl_of_level(sampled: &[BoundTerms], level: usize) -> Option<Tensor<2>> {
    // For the top level it is the same for all draws from one encoding.
    let draws = |terms: &BoundTerms| if level == 0 { 1 } else { terms.draws.len() };
    let all = sampled.iter().flat_map(|terms| &terms.draws[..draws(terms)]);
    let all = all.map(|elbo| elbo.inference().kl[level].per_latent());
    let all = all.collect::<Option<Vec<_>>>()?;
    let count = all.len() as f64;
    let sum = all.into_iter().map(|kl| kl.inner().sum_dim(0)).reduce(|a, b| a + b)?;
    let channels = sampled[0].draws[0].inference().latents.levels()[level].shape().channels();
    let positions = sum.dims()[1] / channels;
    let of_channels = sum.reshape([channels, positions]).sum_dim(1);
    Some(of_channels.reshape([1, channels]) / count)
}
