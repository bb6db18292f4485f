//! Flows with learned weights.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use dvae_distributions::{Bijection, Flow, FlowOutput};

use crate::layers::Linear;
use crate::made::Made;
use crate::{Activation, Initializer};

/// The steps of an inverse autoregressive flow, and the layers that give each its context.
#[derive(Module, Debug)]
pub(crate) struct InverseAutoregressive {
    context: Vec<Linear>,
    steps: Vec<Made>,
}

impl InverseAutoregressive {
    pub(crate) fn new(
        [features, latent, hidden]: [usize; 3],
        flows: usize,
        init: &mut Initializer,
    ) -> Self {
        let context = (0..flows).map(|_| init.small_linear(features, hidden));
        let context = context.collect();
        let steps = (0..flows).map(|_| Made::new(latent, hidden, init)).collect();
        Self { context, steps }
    }

    /// The steps for rows of these features `[batch, features]`.
    pub(crate) fn of(&self, features: &Tensor<2>) -> Vec<AutoregressiveStep> {
        let steps = self.steps.iter().zip(&self.context);
        let step = |(made, context): (&Made, &Linear)| AutoregressiveStep {
            made: made.clone(),
            context: context.forward(features.clone()),
        };
        steps.map(step).collect()
    }
}

/// One step of an inverse autoregressive flow.
///
/// ```text
/// z′ = g ∘ z + (1 − g) ∘ m,   g = σ(s + 1),   (m, s) = MADE(z, context),   ln det = Σ ln g
/// ```
///
/// Kingma et al. (2016), "Improved Variational Inference with Inverse Autoregressive Flow", algorithm 1 and
/// equations 13 and 14; the order of the latents is reversed after each step.
#[derive(Debug)]
pub(crate) struct AutoregressiveStep {
    made: Made,
    context: Tensor<2>,
}

impl Flow for AutoregressiveStep {
    fn forward(&self, z: Tensor<2>) -> FlowOutput {
        let [mean, gate] = self.made.forward(z.clone(), self.context.clone());
        let gate = gate + 1.0;
        let open = sigmoid(gate.clone());
        let point = mean.clone() + open * (z - mean);
        FlowOutput { point: point.flip([1]), log_determinant: sum(log_sigmoid(gate)) }
    }
}

/// The coupling init of a RealNVP flow.
#[derive(Module, Debug)]
pub(crate) struct RealNvp {
    couplings: Vec<Coupling>,
}

/// One coupling layer: the first half of the latents determines the scale and shift of the second.
#[derive(Module, Debug)]
struct Coupling {
    hidden: Linear,
    log_scale: Linear,
    shift: Linear,
}

impl RealNvp {
    /// A flow for at least two latents.
    pub(crate) fn new(
        latent: usize,
        couplings: usize,
        hidden: usize,
        init: &mut Initializer,
    ) -> Self {
        let stay = latent / 2;
        let coupling = |_| Coupling {
            hidden: init.linear(stay, hidden, Activation::Relu),
            log_scale: init.small_linear(hidden, latent - stay),
            shift: init.small_linear(hidden, latent - stay),
        };
        Self { couplings: (0..couplings).map(coupling).collect() }
    }

    pub(crate) fn map(&self) -> Arc<dyn Bijection> {
        Arc::new(self.clone())
    }
}

impl Coupling {
    /// The log-scale, within ±2, and the shift of the second half, from the first half.
    fn parameters(&self, stay: Tensor<2>) -> [Tensor<2>; 2] {
        let hidden = self.hidden.forward(stay);
        let log_scale = (self.log_scale.forward(hidden.clone()) * 0.5).tanh() * 2.0;
        [log_scale, self.shift.forward(hidden)]
    }
}

/// The first half of the latents, and the second.
fn halves(z: Tensor<2>) -> [Tensor<2>; 2] {
    let latent = z.dims()[1];
    let stay = latent / 2;
    [z.clone().narrow(1, 0, stay), z.narrow(1, stay, latent - stay)]
}

/// Dinh, Sohl-Dickstein & Bengio (2017), "Density estimation using Real NVP", equations 7 and 8. The order of
/// the latents is reversed after each layer.
impl Flow for RealNvp {
    fn forward(&self, z: Tensor<2>) -> FlowOutput {
        let mut log_determinant = Tensor::zeros([z.dims()[0]], &z.device());
        let mut point = z;
        for coupling in &self.couplings {
            let [stay, go] = halves(point);
            let [log_scale, shift] = coupling.parameters(stay.clone());
            let went = go * log_scale.clone().exp() + shift;
            point = Tensor::cat(vec![stay, went], 1).flip([1]);
            log_determinant = log_determinant + sum(log_scale);
        }
        FlowOutput { point, log_determinant }
    }
}

impl Bijection for RealNvp {
    fn inverse(&self, z: Tensor<2>) -> FlowOutput {
        let mut log_determinant = Tensor::zeros([z.dims()[0]], &z.device());
        let mut point = z;
        for coupling in self.couplings.iter().rev() {
            let [stay, went] = halves(point.flip([1]));
            let [log_scale, shift] = coupling.parameters(stay.clone());
            let go = (went - shift) * log_scale.clone().neg().exp();
            point = Tensor::cat(vec![stay, go], 1);
            log_determinant = log_determinant - sum(log_scale);
        }
        FlowOutput { point, log_determinant }
    }
}

fn sum(each: Tensor<2>) -> Tensor<1> {
    each.sum_dim(1).squeeze_dim(1)
}

#[cfg(feature = "onnx")]
impl InverseAutoregressive {
    /// The image of a point `[batch, latent]`, as the steps of [`Self::of`] give it.
    pub(crate) fn in_graph(
        &self,
        graph: &mut crate::ModelGraph,
        features: &dvae_onnx::Value,
        point: dvae_onnx::Value,
    ) -> dvae_onnx::Value {
        self.steps.iter().zip(&self.context).fold(point, |z, (made, context)| {
            let context = context.in_graph(graph, features);
            let [mean, gate] = made.in_graph(graph, &z, &context);
            let gate = graph.plus(&gate, 1.0);
            let open = graph.op("Sigmoid", &[&gate]);
            let rest = graph.sub(&z, &mean);
            let rest = graph.mul(&open, &rest);
            let point = graph.add(&mean, &rest);
            graph.flipped(&point)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use dvae_distributions::{Chain, Planar};
    use dvae_random::{Key, RowStreams};

    fn noise(rows: usize, columns: usize, seed: u64) -> Tensor<2> {
        let ids: Vec<u64> = (0..rows as u64).collect();
        let mut draws: RowStreams = Key::new(seed).rows(&ids);
        draws.normal([rows, columns], &Device::flex())
    }

    /// `ln |det ∂f/∂z|` of each row from the Jacobian that autodiff gives, one output at a time.
    fn by_autodiff(flow: &dyn Flow, z: &Tensor<2>) -> Vec<f64> {
        let [rows, latent] = z.dims();
        let device = Device::flex().autodiff();
        let mut jacobians = vec![vec![0.0; latent * latent]; rows];
        for output in 0..latent {
            let leaf = Tensor::<2>::from_data(z.to_data(), &device).require_grad();
            let gradients = flow.forward(leaf.clone()).point.narrow(1, output, 1).sum().backward();
            let rows = leaf.grad(&gradients).unwrap().into_data().iter::<f64>().collect::<Vec<_>>();
            for (jacobian, row) in jacobians.iter_mut().zip(rows.chunks(latent)) {
                jacobian[output * latent..][..latent].copy_from_slice(row);
            }
        }
        jacobians.into_iter().map(|jacobian| log_determinant(jacobian, latent)).collect()
    }

    /// The log-determinant by Gaussian elimination with pivots.
    fn log_determinant(mut a: Vec<f64>, n: usize) -> f64 {
        let mut sum = 0.0;
        for i in 0..n {
            let pivot = (i..n).max_by(|&p, &q| a[p * n + i].abs().total_cmp(&a[q * n + i].abs()));
            let pivot = pivot.unwrap();
            for j in 0..n {
                a.swap(i * n + j, pivot * n + j);
            }
            sum += a[i * n + i].abs().ln();
            for row in i + 1..n {
                let factor = a[row * n + i] / a[i * n + i];
                for j in i..n {
                    a[row * n + j] -= factor * a[i * n + j];
                }
            }
        }
        sum
    }

    fn assert_right(flow: &dyn Flow, z: &Tensor<2>) {
        let got = flow.forward(z.clone()).log_determinant.into_data();
        for (got, expected) in got.iter::<f64>().zip(by_autodiff(flow, z)) {
            // Determinants, which in single precision are accurate up to the rounding of their terms.
            let (got, expected) = (got.exp(), expected.exp());
            assert!((got - expected).abs() < 2e-5 * (1.0 + expected), "{got}, not {expected}");
        }
    }

    fn planar(rows: usize, latent: usize, seed: u64) -> Planar {
        let scale = 2.0;
        let of = |columns, seed| noise(rows, columns, seed) * scale;
        Planar::new(of(latent, seed), of(latent, seed + 1), of(1, seed + 2))
    }

    #[test]
    fn log_determinants_are_those_of_the_jacobian() {
        let device = Device::flex();
        for latent in [1, 2, 3, 6] {
            let z = noise(7, latent, 1);
            assert_right(&planar(7, latent, 2), &z);
            assert_right(&Chain(vec![planar(7, latent, 5), planar(7, latent, 8)]), &z);
            let init = &mut Initializer::new(Key::new(4), &device);
            let flow = InverseAutoregressive::new([3, latent, 8], 2, init);
            assert_right(&Chain(flow.of(&noise(7, 3, 9))), &z);
            if latent > 1 {
                assert_right(&RealNvp::new(latent, 3, 8, init), &z);
            }
        }
    }

    #[test]
    fn a_coupling_flow_and_its_inverse_cancel() {
        for latent in [2, 3, 8] {
            let flow =
                RealNvp::new(latent, 4, 16, &mut Initializer::new(Key::new(4), &Device::flex()));
            let z = noise(50, latent, 3);
            let there = flow.forward(z.clone());
            let back = flow.inverse(there.point);
            assert!((back.point - z).abs().max().into_scalar::<f32>() < 1e-4);
            let sum = back.log_determinant + there.log_determinant;
            assert!(sum.abs().max().into_scalar::<f32>() < 1e-4);
        }
    }

    // Solved for one latent after another: MADE's outputs for a latent need only those before it.
    #[test]
    fn an_autoregressive_step_can_be_undone() {
        let latent = 5;
        let device = Device::flex();
        let init = &mut Initializer::new(Key::new(4), &device);
        let flow = InverseAutoregressive::new([3, latent, 16], 1, init);
        let steps = flow.of(&noise(20, 3, 9));
        let step = &steps[0];
        let z = noise(20, latent, 3);
        let target = step.forward(z.clone()).point.flip([1]);
        let mut solved = Tensor::zeros(z.shape(), &z.device());
        for _ in 0..latent {
            let [mean, gate] = step.made.forward(solved, step.context.clone());
            solved = (target.clone() - mean.clone()) / sigmoid(gate + 1.0) + mean;
        }
        assert!((solved - z).abs().max().into_scalar::<f32>() < 1e-4);
    }

    // Along w the map is z + wᵀû tanh(z + b) with wᵀû > −1: it increases, so no two points are mapped to one.
    #[test]
    fn a_planar_map_rises_along_its_direction() {
        let rows = 40;
        let flow = planar(rows, 3, 6);
        let w = noise(rows, 3, 7) * 2.0;
        let mut last: Option<Tensor<2>> = None;
        for i in -40..=40 {
            let z = w.clone() * (f64::from(i) / 10.0);
            let along = (flow.forward(z).point * w.clone()).sum_dim(1);
            if let Some(last) = last {
                let step = (along.clone() - last).min().into_scalar::<f32>();
                assert!(step > -1e-4, "{i}: {step}");
            }
            last = Some(along);
        }
    }
}
