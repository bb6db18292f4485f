//! Metrics that stay on the device until they are read.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use dvae_kernels::weight_norm;

use crate::communicator::gathered;
use crate::module_path::ModulePath;
use crate::terms::{PendingTerms, TermSums};
use crate::{Communicator, TrainError};

/// One optimizer step whose metrics have not been read from the device yet.
pub(crate) struct PendingStep {
    /// The step's number, from the beginning of the training.
    pub(crate) step: usize,
    /// The ids of the rows of each of the step's batches that this process made.
    pub(crate) rows: Vec<Vec<u64>>,
    /// The terms of each of them.
    pub(crate) terms: Vec<PendingTerms>,
    /// The norm of the gradient, before clipping: `[1]`.
    pub(crate) gradient_norm: Tensor<1>,
}

/// The metrics of the steps that were read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// The terms of each batch: added up one by one, sums do not depend on how often they are read.
    pub(crate) terms: Vec<TermSums>,
    /// The largest gradient norm.
    pub(crate) gradient_norm: f64,
}

/// The ids of a batch's rows, and its terms.
type Batch = (Vec<u64>, TermSums);

/// Reads the metrics of all pending steps, of the batches of all processes. An error names the first value that is not finite: a term, a
/// gradient, or a resulting weight of `model`.
///
/// This is the only place where training waits for the device.
pub(crate) fn read<M: Module>(
    pending: &mut Vec<PendingStep>,
    model: &M,
    per_epoch: usize,
    device: &Device,
    group: &dyn Communicator,
) -> Result<Read, TrainError> {
    let mut steps = vec![];
    let (mut terms, mut norms) = (vec![], vec![]);
    for pending in pending.drain(..) {
        steps.push((pending.step, pending.rows));
        terms.extend(pending.terms);
        norms.push(pending.gradient_norm);
    }
    norms.push(weight_norm(model, device));
    let mut terms = PendingTerms::read(&mut terms).into_iter();
    let norms: Vec<f64> = Tensor::cat(norms, 0).into_data().iter::<f64>().collect();

    let own = steps.into_iter().map(|(step, rows)| {
        let batches: Vec<Batch> = rows.into_iter().zip(terms.by_ref()).collect();
        (step, batches)
    });
    let own: Vec<(usize, Vec<Batch>)> = own.collect();
    let mut steps = vec![];
    for (step, batches) in own {
        let (rows, terms): (Vec<Vec<u64>>, Vec<TermSums>) =
            gathered(group, batches).into_iter().unzip();
        steps.push((step, rows.concat(), terms));
    }

    let mut read = Read::default();
    let last = steps.last().map(|(step, rows, _)| (*step, rows.clone()));
    let error = |term: String, value: f64, step: usize, rows: Vec<u64>| TrainError::NonFinite {
        term,
        value,
        epoch: step / per_epoch + 1,
        step: step % per_epoch + 1,
        rows,
    };
    for ((step, rows, batches), &norm) in steps.into_iter().zip(&norms) {
        for sums in batches {
            if let Some((term, value)) = sums.non_finite() {
                return Err(error(term.to_owned(), value, step, rows));
            }
            read.terms.push(sums);
        }
        if !norm.is_finite() {
            return Err(error("norm of the gradient".to_owned(), norm, step, rows));
        }
        read.gradient_norm = read.gradient_norm.max(norm);
    }
    match (norms.last(), last) {
        (Some(norm), Some((step, rows))) if !norm.is_finite() => {
            let (name, value) =
                non_finite_weight(model).unwrap_or_else(|| ("norm of the weights".into(), *norm));
            Err(error(name, value, step, rows))
        }
        _ => Ok(read),
    }
}

/// The first weight that is not finite, by its name in the model.
fn non_finite_weight<M: Module>(model: &M) -> Option<(String, f64)> {
    let mut search = Search { path: ModulePath::default(), found: None };
    model.visit(&mut search);
    search.found
}

struct Search {
    path: ModulePath,
    found: Option<(String, f64)>,
}

impl ModuleVisitor for Search {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if self.found.is_none() {
            let data = parameter.val().into_data();
            let value = data.iter::<f64>().find(|value| !value.is_finite());
            self.found = value.map(|value| (format!("weight {}", self.path.name()), value));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::ModuleMapper;
    use dvae_models::AutoencoderConfig;
    use dvae_random::Key;

    use super::*;
    use crate::Single;

    /// Makes the biases non-finite.
    struct Ruin;

    impl ModuleMapper for Ruin {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match D {
                1 => parameter.map(|bias| bias * f32::NAN),
                _ => parameter,
            }
        }
    }

    #[test]
    fn a_weight_that_is_not_finite_is_named() {
        let device = Device::flex();
        let config = AutoencoderConfig::mlp(&[3], 2);
        let model = config.init(Key::new(1), &device).unwrap();
        let step = |norm: f32| {
            let gradient_norm = Tensor::from_floats([norm], &device);
            let (rows, terms) = (vec![vec![3, 5]], vec![PendingTerms::zero(2, &device)]);
            vec![PendingStep { step: 7, rows, terms, gradient_norm }]
        };
        assert_eq!(read(&mut step(2.5), &model, 5, &device, &Single).unwrap().gradient_norm, 2.5);
        let error =
            read(&mut step(f32::INFINITY), &model, 5, &device, &Single).unwrap_err().to_string();
        let expected = "the norm of the gradient became inf at epoch 2, step 3, on rows 3, 5";
        assert!(error.starts_with(expected), "{error}");
        let ruined = model.map(&mut Ruin);
        let error = read(&mut step(1.0), &ruined, 5, &device, &Single).unwrap_err().to_string();
        let expected = "the weight network.encoder.0.bias became NaN at epoch 2, step 3";
        assert!(error.starts_with(expected), "{error}");
    }
}
