//! Means of the bound's terms over rows.

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

/// Sums of terms over rows of any number of batches, whatever their sizes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Bits", into = "Bits")]
pub(crate) struct TermSums {
    rows: usize,
    log_likelihood: f64,
    kl: f64,
    objective: f64,
    kl_per_latent: Vec<f64>,
}

/// [`TermSums`] in a file: bits compare exactly, where parsed floats may not.
#[derive(Clone, Serialize, Deserialize)]
struct Bits {
    rows: usize,
    sums: [u64; 3],
    kl_per_latent: Vec<u64>,
}

impl From<TermSums> for Bits {
    fn from(sums: TermSums) -> Self {
        Self {
            rows: sums.rows,
            sums: [sums.log_likelihood, sums.kl, sums.objective].map(f64::to_bits),
            kl_per_latent: sums.kl_per_latent.into_iter().map(f64::to_bits).collect(),
        }
    }
}

impl From<Bits> for TermSums {
    fn from(bits: Bits) -> Self {
        let [log_likelihood, kl, objective] = bits.sums.map(f64::from_bits);
        let kl_per_latent = bits.kl_per_latent.into_iter().map(f64::from_bits).collect();
        Self { rows: bits.rows, log_likelihood, kl, objective, kl_per_latent }
    }
}

impl TermSums {
    pub(crate) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.log_likelihood += other.log_likelihood;
        self.kl += other.kl;
        self.objective += other.objective;
        self.kl_per_latent.resize(other.kl_per_latent.len(), 0.0);
        for (sum, kl) in self.kl_per_latent.iter_mut().zip(&other.kl_per_latent) {
            *sum += kl;
        }
    }

    pub(crate) fn mean(&self) -> MeanElbo {
        let rows = self.rows as f64;
        let (log_likelihood, kl) = (self.log_likelihood / rows, self.kl / rows);
        MeanElbo { elbo: log_likelihood - kl, log_likelihood, kl }
    }

    /// The mean of what the objective says: its loss, or its bound.
    pub(crate) fn objective(&self) -> f64 {
        self.objective / self.rows as f64
    }

    /// The mean KL of each latent; nothing without a closed form.
    pub(crate) fn kl_per_latent(&self) -> Vec<f64> {
        self.kl_per_latent.iter().map(|kl| kl / self.rows as f64).collect()
    }

    /// The first term that is not finite, by name, with its value.
    pub(crate) fn non_finite(&self) -> Option<(&'static str, f64)> {
        [("log-likelihood", self.log_likelihood), ("KL", self.kl), ("loss", self.objective)]
            .into_iter()
            .find(|(_, value)| !value.is_finite())
    }
}

/// Terms of one batch, still on the device: summed over rows.
#[derive(Debug)]
pub(crate) struct PendingTerms {
    rows: usize,
    log_likelihood: Tensor<1>,
    kl: Tensor<1>,
    objective: Tensor<1>,
    kl_per_latent: Option<Tensor<2>>,
}

impl PendingTerms {
    /// From all draws for the rows, and the mean over rows of what the objective says of them.
    pub(crate) fn new(sampled: &[BoundTerms], objective: Tensor<1>) -> Self {
        let sum = |term: fn(&Elbo) -> Tensor<1>| mean_over_draws(sampled, term).inner().sum();
        let rows = sampled[0].draws[0].log_likelihood().dims()[0];
        // Of all draws from one encoding the closed form is the same.
        let each = sampled.iter().map(|sampled| sampled.draws[0].kl_per_latent());
        let each = each.collect::<Option<Vec<_>>>().and_then(|each| {
            let encodings = each.len() as f64;
            let sum = each.into_iter().map(|kl| kl.inner().sum_dim(0)).reduce(|a, b| a + b)?;
            Some(sum / encodings)
        });
        Self {
            rows,
            log_likelihood: sum(Elbo::log_likelihood),
            kl: sum(Elbo::kl),
            objective: objective.inner() * rows as f64,
            kl_per_latent: each,
        }
    }

    /// Reads all of them in one transaction: the only place where training waits for the device.
    pub(crate) fn read(pending: &mut Vec<Self>) -> Vec<TermSums> {
        let shapes: Vec<(usize, bool)> =
            pending.iter().map(|terms| (terms.rows, terms.kl_per_latent.is_some())).collect();
        let transaction = pending.drain(..).fold(Transaction::default(), |all, terms| {
            let all =
                all.register(terms.log_likelihood).register(terms.kl).register(terms.objective);
            match terms.kl_per_latent {
                Some(each) => all.register(each),
                None => all,
            }
        });
        let mut read =
            transaction.execute().into_iter().map(|data| data.iter::<f64>().collect::<Vec<f64>>());
        let mut next = || read.next().unwrap_or_default();
        let mut terms = |(rows, per_latent)| {
            let [log_likelihood, kl, objective] = [next(), next(), next()].map(|term| term[0]);
            let kl_per_latent = if per_latent { next() } else { vec![] };
            TermSums { rows, log_likelihood, kl, objective, kl_per_latent }
        };
        shapes.into_iter().map(&mut terms).collect()
    }
}
