//! Passes as Burn operations: under flex, and under autodiff over it.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, Dispatch, ExtensionType, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::{Shape, Tensor};

use super::ops::{contiguous, tensor, values};
use super::pass::{self, Inputs, Pass};
use crate::{Parameters, covered};

/// The operands of a pass over entries.
pub(crate) struct Operands<'a, const D: usize> {
    /// The shape of the entries.
    shape: [usize; D],
    /// Each of the entries' shape, or with several parameters side by side on axis 1.
    parameters: &'a [Tensor<D>],
    constants: &'a [Tensor<D>],
    weights: Option<&'a Tensor<D>>,
}

impl<'a, const D: usize> Operands<'a, D> {
    pub(crate) fn of<const P: usize>(
        parameters: &'a Parameters<D, P>,
        constants: &'a [Tensor<D>],
        weights: Option<&'a Tensor<D>>,
    ) -> Self {
        Self { shape: parameters.shape(), parameters: parameters.tensors(), constants, weights }
    }

    /// The entries `x`, whose parameters are outputs side by side.
    pub(crate) fn at(
        outputs: &'a Tensor<D>,
        x: &'a Tensor<D>,
        weights: Option<&'a Tensor<D>>,
    ) -> Self {
        let (parameters, constants) = (std::slice::from_ref(outputs), std::slice::from_ref(x));
        Self { shape: x.dims(), parameters, constants, weights }
    }

    /// Entries whose parameters are all that is on axis 1.
    pub(crate) fn over_axis_1(x: &'a Tensor<D>) -> Self {
        let mut shape = x.dims();
        shape[1] = 1;
        Self { shape, parameters: std::slice::from_ref(x), constants: &[], weights: None }
    }

    /// How many parameters each tensor has side by side; `None` if one does not have the shape for it, or is not
    /// where fused operations run, or a constant is tracked: there are no derivatives with respect to constants.
    fn counts(&self) -> Option<Vec<usize>> {
        let constant = |t: &Tensor<D>| covered!(t) && t.dims() == self.shape && !t.is_tracked();
        let constants = self.constants.iter().chain(self.weights).all(constant);
        if !constants || self.shape.contains(&0) {
            return None;
        }
        let count = |t: &Tensor<D>| {
            let dims = t.dims();
            let count = if D > 1 { dims[1] / self.shape[1] } else { 1 };
            let mut expected = self.shape;
            if D > 1 {
                expected[1] *= count;
            }
            (count > 0 && covered!(t) && dims == expected).then_some(count)
        };
        self.parameters.iter().map(count).collect()
    }
}

/// The value of each entry, or its sum over each row; `None` if the operands are not covered.
pub(crate) fn fused<P: Pass + 'static, const D: usize, const E: usize>(
    pass: impl FnOnce() -> P,
    operands: Operands<'_, D>,
    by_row: bool,
) -> Option<Tensor<E>> {
    let counts = operands.counts().filter(|counts| counts.len() <= MOST)?;
    let pass = pass();
    let all = operands.parameters.iter().chain(operands.constants).chain(operands.weights);
    let inputs = Tensors::of(all.map(|t| t.clone().into_dispatch()).collect())?;
    if counts.iter().sum::<usize>() != pass.parameters()
        || operands.constants.len() != pass.constants()
    {
        return None;
    }
    let job = Job { pass: Arc::new(pass), counts, shape: operands.shape.into(), by_row };
    Some(Tensor::from_dispatch(Dispatch::fused_pass(inputs, job)))
}

/// A pass and how it reads its tensors: parameters first, with how many each has side by side, then constants,
/// then weights if there is one more.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pass: Arc<dyn Pass>,
    counts: Vec<usize>,
    /// The shape of the entries.
    shape: Shape,
    by_row: bool,
}

impl Job {
    fn rows_and_features(&self) -> [usize; 2] {
        let rows = self.shape[0];
        [rows, self.shape.num_elements() / rows]
    }
}

/// The most tensors of parameters.
const MOST: usize = 4;

/// From one to five tensors.
#[derive(Clone, Debug, ExtensionType)]
pub(crate) enum Tensors<B: Backend> {
    One(FloatTensor<B>),
    Two(FloatTensor<B>, FloatTensor<B>),
    Three(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
    Four(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
    Five(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
}

impl Tensors<Dispatch> {
    /// `None` if there are others than one to five.
    fn of(tensors: Vec<FloatTensor<Dispatch>>) -> Option<Self> {
        let mut tensors = tensors.into_iter();
        Some(match [0; 6].map(|_| tensors.next()) {
            [Some(a), None, ..] => Self::One(a),
            [Some(a), Some(b), None, ..] => Self::Two(a, b),
            [Some(a), Some(b), Some(c), None, ..] => Self::Three(a, b, c),
            [Some(a), Some(b), Some(c), Some(d), None, _] => Self::Four(a, b, c, d),
            [Some(a), Some(b), Some(c), Some(d), Some(e), None] => Self::Five(a, b, c, d, e),
            _ => return None,
        })
    }
}

impl<B: Backend> Tensors<B> {
    fn into_vec(self) -> Vec<FloatTensor<B>> {
        match self {
            Self::One(a) => vec![a],
            Self::Two(a, b) => vec![a, b],
            Self::Three(a, b, c) => vec![a, b, c],
            Self::Four(a, b, c, d) => vec![a, b, c, d],
            Self::Five(a, b, c, d, e) => vec![a, b, c, d, e],
        }
    }
}

/// A fused pass with a gradient.
///
/// Callers check [`covers`](crate::covers) first: no other back end has it.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FusedPass: Backend {
    /// The values of each entry, or their sums over each row.
    fn fused_pass(#[extension_type] tensors: Tensors<Self>, job: Job) -> FloatTensor<Self>;
}

impl FusedPass for Flex {
    fn fused_pass(tensors: Tensors<Self>, job: Job) -> FlexTensor {
        Self::run(tensors.into_vec(), &job, false).0
    }
}

/// The gradient functions of a back end: implemented for flex alone.
pub(crate) trait PassGradients: Backend {
    /// Values, for each entry or summed over each row, and if wanted the derivatives in the shapes of the parameters.
    fn run(
        tensors: Vec<FloatTensor<Self>>,
        job: &Job,
        want_slopes: bool,
    ) -> (FloatTensor<Self>, Vec<FloatTensor<Self>>);

    /// Derivatives times the gradient of their entry, or row.
    fn scale(
        slopes: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        job: &Job,
    ) -> FloatTensor<Self>;
}

impl PassGradients for Flex {
    fn run(
        tensors: Vec<FlexTensor>,
        job: &Job,
        want_slopes: bool,
    ) -> (FlexTensor, Vec<FlexTensor>) {
        let tensors: Vec<FlexTensor> = tensors.into_iter().map(contiguous).collect();
        let [rows, features] = job.rows_and_features();
        let (parameters, rest) = tensors.split_at(job.counts.len());
        let (constants, weights) = rest.split_at(job.pass.constants());
        let inputs = Inputs {
            rows,
            features,
            parameters: parameters.iter().map(values).zip(job.counts.iter().copied()).collect(),
            constants: constants.iter().map(values).collect(),
            weights: weights.first().map(values),
        };
        let (out, slopes) = pass::run(&*job.pass, inputs, job.by_row, want_slopes);
        let shape = if job.by_row { Shape::new([rows]) } else { job.shape.clone() };
        let slopes = slopes.into_iter().zip(parameters);
        (tensor(out, shape), slopes.map(|(slopes, of)| tensor(slopes, of.shape())).collect())
    }

    fn scale(slopes: FlexTensor, gradient: FlexTensor, job: &Job) -> FlexTensor {
        let (mut slopes, gradient) = (contiguous(slopes), contiguous(gradient));
        let sizes = job.rows_and_features();
        pass::scale_slopes(slopes.storage_mut::<f32>(), values(&gradient), sizes, job.by_row);
        slopes
    }
}

#[derive(Debug)]
struct Slopes;

impl<B: PassGradients, const N: usize> Backward<B, N> for Slopes {
    type State = (Vec<FloatTensor<B>>, Job);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (slopes, job) = ops.state;
        for (node, slopes) in ops.parents.into_iter().zip(slopes) {
            if let Some(node) = node {
                grads.register::<B>(node.id, B::scale(slopes, gradient.clone(), &job));
            }
        }
    }
}

impl<B: PassGradients + FusedPass, C: CheckpointStrategy> FusedPass for Autodiff<B, C> {
    fn fused_pass(tensors: Tensors<Self>, job: Job) -> FloatTensor<Self> {
        match job.counts.len() {
            1 => tracked::<B, C, 1>(tensors, job),
            2 => tracked::<B, C, 2>(tensors, job),
            3 => tracked::<B, C, 3>(tensors, job),
            _ => tracked::<B, C, MOST>(tensors, job),
        }
    }
}

/// The values of a pass, tracked for its `N` tensors of parameters.
fn tracked<B: PassGradients, C: CheckpointStrategy, const N: usize>(
    tensors: Tensors<Autodiff<B, C>>,
    job: Job,
) -> FloatTensor<Autodiff<B, C>> {
    let parts = tensors.into_vec().into_iter().map(FloatTensor::<Autodiff<B, C>>::into_parts);
    let (tensors, mut nodes): (Vec<_>, Vec<_>) = parts.unzip();
    nodes.truncate(N);
    let Ok(nodes) = <[_; N]>::try_from(nodes) else { unreachable!("parameters are inputs") };
    match Slopes.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (out, slopes) = B::run(tensors, &job, true);
            prepared.finish((slopes, job), out)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(B::run(tensors, &job, false).0),
    }
}
