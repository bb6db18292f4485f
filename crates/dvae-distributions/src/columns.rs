//! A likelihood made of one likelihood for each group of columns.

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::{Likelihood, Support};

/// Rows whose columns (places on axis 1) have different likelihoods: a mixed table, or an image with
/// different kinds of channels.
///
/// ```text
/// log p(x | z) = Σ over groups of log p_group(x_group | z)
/// ```
///
/// After Nazábal et al. (2020), "Handling incomplete heterogeneous data using VAEs" (HI-VAE), section 3.1.
#[derive(Debug)]
pub struct Columns<const D: usize> {
    groups: Vec<(usize, Box<dyn Likelihood<D>>)>,
}

impl<const D: usize> Columns<D> {
    /// From the number of columns and the likelihood of each group, in the order of axis 1; at least one
    /// group.
    pub fn new(groups: Vec<(usize, Box<dyn Likelihood<D>>)>) -> Self {
        Self { groups }
    }

    /// Concatenates the groups' values.
    fn beside(&self, value: impl Fn(&dyn Likelihood<D>, usize, usize) -> Tensor<D>) -> Tensor<D> {
        let mut start = 0;
        let parts = self.groups.iter().map(|(columns, law)| {
            let part = value(&**law, start, *columns);
            start += columns;
            part
        });
        Tensor::cat(parts.collect(), 1)
    }
}

impl<const D: usize> Likelihood<D> for Columns<D> {
    fn log_prob(&self, x: Tensor<D>) -> Tensor<D> {
        self.beside(|law, start, columns| law.log_prob(x.clone().narrow(1, start, columns)))
    }

    fn mean(&self) -> Tensor<D> {
        self.beside(|law, _, _| law.mean())
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        let parts = self.groups.iter().map(|(_, law)| law.sample(&mut draws.branch()));
        Tensor::cat(parts.collect(), 1)
    }

    /// The parameters of all groups, in order.
    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        self.groups.iter().flat_map(|(_, law)| law.parameters()).collect()
    }

    fn support(&self, column: usize) -> Support {
        let mut rest = column;
        for (columns, law) in &self.groups {
            if rest < *columns {
                return law.support(rest);
            }
            rest -= columns;
        }
        Support::Real
    }
}
