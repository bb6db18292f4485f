//! A likelihood made of one likelihood for each group of columns.

use std::sync::Arc;

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::error::at_least;
use crate::likelihood_config::FromOutputs;
use crate::{ColumnGroup, DistributionError, Likelihood, Support};

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
    groups: Vec<(usize, Arc<dyn Likelihood<D>>)>,
}

impl<const D: usize> Columns<D> {
    /// From the number of columns and the likelihood of each group, in the order of axis 1; at least one
    /// group.
    pub fn new(groups: Vec<(usize, Box<dyn Likelihood<D>>)>) -> Self {
        let groups = groups.into_iter().map(|(columns, law)| (columns, Arc::from(law)));
        Self { groups: groups.collect() }
    }

    /// The likelihood of a column, and its place among those of its group.
    fn at(&self, column: usize) -> Option<(&dyn Likelihood<D>, usize)> {
        let mut start = 0;
        self.groups.iter().find_map(|(columns, law)| {
            let place = column.checked_sub(start).filter(|place| place < columns);
            start += columns;
            place.map(|place| (&**law, place))
        })
    }

    /// The same, given what some groups' likelihoods depend on; `None` if none does.
    fn conditioned(
        &self,
        given: impl Fn(&dyn Likelihood<D>, usize, usize) -> Option<Box<dyn Likelihood<D>>>,
    ) -> Option<Box<dyn Likelihood<D>>> {
        let (mut start, mut is_any) = (0, false);
        let groups = self.groups.iter().map(|(columns, law)| {
            let found = given(&**law, start, *columns);
            start += columns;
            is_any |= found.is_some();
            (*columns, found.map_or_else(|| law.clone(), Arc::from))
        });
        let groups = groups.collect();
        is_any.then(|| Box::new(Self { groups }) as Box<dyn Likelihood<D>>)
    }

    /// Concatenates the groups' values.
    fn beside(
        &self,
        mut value: impl FnMut(&dyn Likelihood<D>, usize, usize) -> Tensor<D>,
    ) -> Tensor<D> {
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

    fn variance(&self) -> Tensor<D> {
        self.beside(|law, _, _| law.variance())
    }

    fn sample(&self, draws: &mut RowStreams) -> Tensor<D> {
        let parts = self.groups.iter().map(|(_, law)| law.sample(&mut draws.branch()));
        Tensor::cat(parts.collect(), 1)
    }

    fn log_missingness(&self, x: Tensor<D>, observed: Option<Tensor<D>>) -> Option<Tensor<1>> {
        let mut start = 0;
        let of_groups = self.groups.iter().filter_map(|(columns, law)| {
            let part = |whole: Tensor<D>| whole.narrow(1, start, *columns);
            let found = law.log_missingness(part(x.clone()), observed.clone().map(part));
            start += columns;
            found
        });
        of_groups.reduce(|sum, of_group| sum + of_group)
    }

    /// 0 in groups of which values say nothing.
    fn log_missing_odds(&self, x: Tensor<D>) -> Option<Tensor<D>> {
        let mut is_known = false;
        let odds = self.beside(|law, start, columns| {
            let part = x.clone().narrow(1, start, columns);
            let odds = law.log_missing_odds(part.clone());
            is_known |= odds.is_some();
            odds.unwrap_or_else(|| part.zeros_like())
        });
        is_known.then_some(odds)
    }

    fn given_missing(&self) -> Option<Box<dyn Likelihood<D>>> {
        self.conditioned(|law, _, _| law.given_missing())
    }

    fn with_total_of(&self, x: Tensor<D>) -> Option<Box<dyn Likelihood<D>>> {
        self.conditioned(|law, start, columns| {
            law.with_total_of(x.clone().narrow(1, start, columns))
        })
    }

    /// The parameters of all groups, in order.
    fn parameters(&self) -> Vec<(&'static str, Tensor<D>)> {
        self.groups.iter().flat_map(|(_, law)| law.parameters()).collect()
    }

    fn support(&self, column: usize) -> Support {
        self.at(column).map_or(Support::Real, |(law, column)| law.support(column))
    }

    fn probabilities(&self, column: usize) -> Option<Tensor<D>> {
        self.at(column).and_then(|(law, column)| law.probabilities(column))
    }
}

/// [`Columns`] in a configuration.
pub(crate) struct Settings<'a> {
    pub(crate) groups: &'a [ColumnGroup],
}

impl FromOutputs for Settings<'_> {
    fn check(&self, columns: usize) -> Result<(), DistributionError> {
        for group in self.groups {
            at_least("columns", group.columns, 1)?;
            if group.likelihood.is_of_texts() {
                return Err(DistributionError::Tokens);
            }
            group.likelihood.check(group.columns)?;
        }
        let sum = self.groups.iter().fold(0usize, |n, group| n.saturating_add(group.columns));
        if sum == columns {
            Ok(())
        } else {
            Err(DistributionError::Columns { groups: sum, columns })
        }
    }

    fn outputs(&self, _columns: usize) -> usize {
        let outputs = self.groups.iter().map(|group| group.likelihood.outputs(group.columns));
        outputs.fold(0, usize::saturating_add)
    }

    fn shared_weights(&self, _columns: usize) -> usize {
        self.groups.iter().map(|group| group.likelihood.shared_weights(group.columns)).sum()
    }

    fn of<const D: usize>(
        self,
        outputs: Tensor<D>,
        shared: Option<&Tensor<1>>,
    ) -> Result<Box<dyn Likelihood<D>>, DistributionError> {
        let (mut start, mut used) = (0, 0);
        let groups = self.groups.iter().map(|ColumnGroup { columns, likelihood }| {
            let (width, weights) =
                (likelihood.outputs(*columns), likelihood.shared_weights(*columns));
            let part = outputs.clone().narrow(1, start, width);
            let own = shared.map(|shared| shared.clone().slice([used..used + weights]));
            (start, used) = (start + width, used + weights);
            Ok((*columns, likelihood.of(part, own.as_ref())?))
        });
        Ok(Box::new(Columns::new(groups.collect::<Result<_, DistributionError>>()?)))
    }
}
