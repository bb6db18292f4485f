//! Means of the bound's terms over rows.

use burn::tensor::{Tensor, Transaction};
use dvae_losses::Elbo;
use serde::{Deserialize, Serialize};

/// The bound and its terms, as means over rows, in nats.
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
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TermSums {
    rows: usize,
    log_likelihood: f64,
    kl: f64,
}

impl TermSums {
    pub(crate) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.log_likelihood += other.log_likelihood;
        self.kl += other.kl;
    }

    pub(crate) fn mean(&self) -> MeanElbo {
        let rows = self.rows as f64;
        let (log_likelihood, kl) = (self.log_likelihood / rows, self.kl / rows);
        MeanElbo { elbo: log_likelihood - kl, log_likelihood, kl }
    }

    /// The first term that is not finite, by name, with its value.
    pub(crate) fn non_finite(&self) -> Option<(&'static str, f64)> {
        [("log-likelihood", self.log_likelihood), ("KL", self.kl)]
            .into_iter()
            .find(|(_, value)| !value.is_finite())
    }
}

/// Terms of one batch, still on the device.
#[derive(Debug)]
pub(crate) struct PendingTerms {
    rows: usize,
    log_likelihood: Tensor<1>,
    kl: Tensor<1>,
}

impl PendingTerms {
    pub(crate) fn new(elbo: &Elbo) -> Self {
        let rows = elbo.log_likelihood().dims()[0];
        let sum = |term: Tensor<1>| term.inner().sum();
        Self { rows, log_likelihood: sum(elbo.log_likelihood()), kl: sum(elbo.kl()) }
    }

    /// Reads all of them in one transaction: the only place where training waits for the device.
    pub(crate) fn read(pending: &mut Vec<Self>) -> Vec<TermSums> {
        let rows: Vec<usize> = pending.iter().map(|terms| terms.rows).collect();
        let transaction = pending.drain(..).fold(Transaction::default(), |all, terms| {
            all.register(terms.log_likelihood).register(terms.kl)
        });
        let read: Vec<f64> =
            transaction.execute().iter().filter_map(|data| data.iter::<f64>().next()).collect();
        rows.into_iter()
            .zip(read.chunks(2))
            .map(|(rows, terms)| TermSums { rows, log_likelihood: terms[0], kl: terms[1] })
            .collect()
    }
}
