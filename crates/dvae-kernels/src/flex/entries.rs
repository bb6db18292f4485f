//! Functions of entries as Burn operations: under flex, and under autodiff over it.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, Dispatch, ExtensionType, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::Shape;

use super::density::{self, Entry, FixedNormal, Weighted};
use super::laws::{self, Outputs};
use super::ops::{contiguous, tensor, values};
use crate::laws::Law;

/// A function of entries. Its inputs begin with the parameters, with respect to which it is differentiated;
/// where noted, a weight for each entry may come last.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Function {
    /// Logits; then `x`, and weights if any.
    Bernoulli,
    /// Means; then `x`, and weights if any.
    FixedNormal(FixedNormal),
    /// Means and scales; then `x`, and weights if any.
    Normal,
    /// Means and log-variances; then noise.
    Reparameterize,
    /// Means and log-variances.
    Kl,
    /// The outputs of the law; then `x`, and weights if any.
    Law(Law),
    /// One number.
    Sigmoid,
    /// One positive number.
    LnGamma,
    /// One positive number.
    Digamma,
}

impl Function {
    /// The number of parameters among the inputs.
    fn parameters(self) -> usize {
        match self {
            Self::Bernoulli | Self::FixedNormal(_) => 1,
            Self::Sigmoid | Self::LnGamma | Self::Digamma => 1,
            Self::Law(law) => law.outputs(),
            Self::Normal | Self::Reparameterize | Self::Kl => 2,
        }
    }
}

/// Tensors of one shape.
#[derive(Clone, Debug, ExtensionType)]
pub(crate) enum Inputs<B: Backend> {
    One(FloatTensor<B>),
    Two(FloatTensor<B>, FloatTensor<B>),
    Three(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
    Four(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
    Five(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>),
}

impl Inputs<Dispatch> {
    /// From one to five tensors.
    pub(crate) fn of(tensors: Vec<FloatTensor<Dispatch>>) -> Self {
        let mut tensors = tensors.into_iter();
        match [0; 5].map(|_| tensors.next()) {
            [Some(a), Some(b), Some(c), Some(d), Some(e)] => Self::Five(a, b, c, d, e),
            [Some(a), Some(b), Some(c), Some(d), None] => Self::Four(a, b, c, d),
            [Some(a), Some(b), Some(c), None, _] => Self::Three(a, b, c),
            [Some(a), Some(b), None, ..] => Self::Two(a, b),
            [Some(a), None, ..] => Self::One(a),
            [None, ..] => unreachable!("an entry has inputs"),
        }
    }
}

impl<B: Backend> Inputs<B> {
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

/// Fused functions of entries with a gradient.
///
/// Callers check [`covers`](crate::covers) first: no other back end has them.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait FusedEntries: Backend {
    /// The function of each entry, or its sum over each row.
    fn fused_entries(
        #[extension_type] inputs: Inputs<Self>,
        function: Function,
        by_row: bool,
    ) -> FloatTensor<Self>;
}

impl FusedEntries for Flex {
    fn fused_entries(inputs: Inputs<Self>, function: Function, by_row: bool) -> FlexTensor {
        Self::run(inputs.into_vec(), function, by_row).0
    }
}

/// The derivative of each entry with respect to one parameter.
#[derive(Clone, Debug)]
pub(crate) enum Derivative<B: Backend> {
    One,
    Each(FloatTensor<B>),
}

/// The gradient functions of a back end: implemented for flex alone.
pub(crate) trait EntryGradients: Backend {
    /// Values, for each entry or summed over each row, and a derivative for each parameter.
    fn run(
        inputs: Vec<FloatTensor<Self>>,
        function: Function,
        by_row: bool,
    ) -> (FloatTensor<Self>, Vec<Derivative<Self>>);

    /// Each row times its factor.
    fn scale_rows(rows: FloatTensor<Self>, factors: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl EntryGradients for Flex {
    fn run(
        inputs: Vec<FlexTensor>,
        function: Function,
        by_row: bool,
    ) -> (FlexTensor, Vec<Derivative<Self>>) {
        // The derivative with respect to the mean is the mean itself for the KL, and 1 for the latent draw.
        let first = match function {
            Function::Kl => Some(Derivative::Each(inputs[0].clone())),
            Function::Reparameterize => Some(Derivative::One),
            _ => None,
        };
        let (out, derivatives) = match (function, inputs.len()) {
            (Function::Bernoulli, 2) => run(density::Bernoulli, inputs, by_row),
            (Function::Bernoulli, _) => run(Weighted(density::Bernoulli), inputs, by_row),
            (Function::FixedNormal(law), 2) => run(law, inputs, by_row),
            (Function::FixedNormal(law), _) => run(Weighted(law), inputs, by_row),
            (Function::Normal, 3) => run(density::Normal, inputs, by_row),
            (Function::Normal, _) => run(Weighted(density::Normal), inputs, by_row),
            (Function::Reparameterize, _) => run(density::Reparameterize, inputs, by_row),
            (Function::Kl, _) => run(density::Kl, inputs, by_row),
            (Function::Law(law), _) => run_law(law, inputs, by_row),
            (Function::Sigmoid, _) => run(density::Sigmoid, inputs, by_row),
            (Function::LnGamma, _) => run(density::LnGamma, inputs, by_row),
            (Function::Digamma, _) => run(density::Digamma, inputs, by_row),
        };
        (out, first.into_iter().chain(derivatives).collect())
    }

    fn scale_rows(rows: FlexTensor, factors: FlexTensor) -> FlexTensor {
        let (mut rows, factors) = (contiguous(rows), contiguous(factors));
        density::scale_rows(rows.storage_mut::<f32>(), values(&factors));
        rows
    }
}

/// Runs a law on its outputs, `x`, and weights if there are any.
fn run_law(law: Law, inputs: Vec<FlexTensor>, by_row: bool) -> (FlexTensor, Vec<Derivative<Flex>>) {
    macro_rules! run_formula {
        ($formula:expr, $bare:literal, $weighted:literal, $parameters:literal) => {
            match inputs.len() {
                $bare => run::<_, $bare, $parameters>(Outputs($formula), inputs, by_row),
                _ => run::<_, $weighted, $parameters>(Weighted(Outputs($formula)), inputs, by_row),
            }
        };
    }
    match law {
        Law::ContinuousBernoulli => run_formula!(laws::ContinuousBernoulli {}, 2, 3, 1),
        Law::Poisson => run_formula!(laws::Poisson {}, 2, 3, 1),
        Law::Normal { min_scale } => run_formula!(laws::Normal { min_scale }, 3, 4, 2),
        Law::Laplace { min_scale } => run_formula!(laws::Laplace { min_scale }, 3, 4, 2),
        Law::Logistic { width, min_scale } => {
            run_formula!(laws::Logistic { width, min_scale }, 3, 4, 2)
        }
        Law::NegativeBinomial { floor } => {
            run_formula!(laws::NegativeBinomial { floor }, 3, 4, 2)
        }
        Law::StudentT { min_scale, min_degrees } => {
            run_formula!(laws::StudentT { min_scale, min_degrees }, 4, 5, 3)
        }
        Law::ZeroInflated { floor } => run_formula!(laws::ZeroInflated { floor }, 4, 5, 3),
    }
}

/// Runs a function on its tensors, which have one shape.
fn run<E: Entry<I, N>, const I: usize, const N: usize>(
    entry: E,
    inputs: Vec<FlexTensor>,
    by_row: bool,
) -> (FlexTensor, Vec<Derivative<Flex>>) {
    let inputs: Vec<FlexTensor> = inputs.into_iter().map(contiguous).collect();
    let inputs: &[FlexTensor; I] = inputs.as_slice().try_into().expect("as many as it takes");
    let shape = inputs[0].shape();
    let rows = by_row.then(|| shape[0]);
    let (out, derivatives) = density::run(entry, inputs.each_ref().map(values), rows);
    let out_shape = rows.map_or_else(|| shape.clone(), |rows| Shape::new([rows]));
    let each = |derivative| Derivative::Each(tensor(derivative, shape.clone()));
    (tensor(out, out_shape), derivatives.map(each).into())
}

#[derive(Debug)]
struct Entries;

impl<B: EntryGradients, const N: usize> Backward<B, N> for Entries {
    /// The derivatives of each entry, and whether the values were summed by row.
    type State = (Vec<Derivative<B>>, bool);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (derivatives, by_row) = ops.state;
        for (node, derivative) in ops.parents.into_iter().zip(derivatives) {
            let Some(node) = node else { continue };
            let gradient = match (derivative, by_row) {
                (Derivative::One, _) => gradient.clone(),
                (Derivative::Each(each), true) => B::scale_rows(each, gradient.clone()),
                (Derivative::Each(each), false) => B::float_mul(each, gradient.clone()),
            };
            grads.register::<B>(node.id, gradient);
        }
    }
}

impl<B: EntryGradients + FusedEntries, C: CheckpointStrategy> FusedEntries for Autodiff<B, C> {
    fn fused_entries(inputs: Inputs<Self>, function: Function, by_row: bool) -> FloatTensor<Self> {
        match function.parameters() {
            1 => tracked::<B, C, 1>(inputs, function, by_row),
            2 => tracked::<B, C, 2>(inputs, function, by_row),
            _ => tracked::<B, C, 3>(inputs, function, by_row),
        }
    }
}

/// The values of a function, tracked for its `N` parameters.
fn tracked<B: EntryGradients, C: CheckpointStrategy, const N: usize>(
    inputs: Inputs<Autodiff<B, C>>,
    function: Function,
    by_row: bool,
) -> FloatTensor<Autodiff<B, C>> {
    let parts = inputs.into_vec().into_iter().map(FloatTensor::<Autodiff<B, C>>::into_parts);
    let (tensors, mut nodes): (Vec<_>, Vec<_>) = parts.unzip();
    nodes.truncate(N);
    let Ok(nodes) = <[_; N]>::try_from(nodes) else { unreachable!("parameters are inputs") };
    let (out, derivatives) = B::run(tensors, function, by_row);
    match Entries.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((derivatives, by_row), out),
        OpsKind::UnTracked(prepared) => prepared.finish(out),
    }
}
