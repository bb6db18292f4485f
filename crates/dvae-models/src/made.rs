//! Masked autoregressive networks.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::Initializer;

/// A network of one hidden layer whose outputs for latent `i` depend only on the latents before `i` and on a
/// context.
///
/// ```text
/// h = relu((W ∘ M) z + b + c),   (m, s) = (V ∘ N) h + d
/// ```
///
/// Hidden unit `k` has degree `k mod latents`. It sees as many latents as its degree, and only the latents
/// after those see it; a unit of degree 0 is seen by all, so that the first latent depends on the context
/// too. Germain et al. (2015), "MADE: Masked Autoencoder for Distribution Estimation", equations 8 to 10,
/// with degrees assigned cyclically rather than drawn.
#[derive(Module, Debug)]
pub(crate) struct Made {
    hidden: Param<Tensor<2>>,
    hidden_bias: Param<Tensor<1>>,
    mean: Param<Tensor<2>>,
    mean_bias: Param<Tensor<1>>,
    gate: Param<Tensor<2>>,
    gate_bias: Param<Tensor<1>>,
    #[module(skip)]
    into_hidden: Tensor<2>,
    #[module(skip)]
    out_of_hidden: Tensor<2>,
}

impl Made {
    pub(crate) fn new(latent: usize, hidden: usize, init: &mut Initializer) -> Self {
        let degree = |unit: usize| unit % latent;
        let sees = |from: usize, unit: usize| from < degree(unit);
        let is_seen = |unit: usize, by: usize| by >= degree(unit);
        Self {
            hidden: init.xavier_uniform([latent, hidden], latent, hidden),
            hidden_bias: init.zeros(hidden),
            mean: init.small_weight([hidden, latent]),
            mean_bias: init.zeros(latent),
            gate: init.small_weight([hidden, latent]),
            gate_bias: init.zeros(latent),
            into_hidden: init.constant([latent, hidden], |i, k| f32::from(u8::from(sees(i, k)))),
            out_of_hidden: init
                .constant([hidden, latent], |k, i| f32::from(u8::from(is_seen(k, i)))),
        }
    }

    /// `m` and `s` `[batch, latent]` from `z` `[batch, latent]` and a context `[batch, hidden]`.
    pub(crate) fn forward(&self, z: Tensor<2>, context: Tensor<2>) -> [Tensor<2>; 2] {
        let row = |bias: &Param<Tensor<1>>| bias.val().unsqueeze_dim::<2>(0);
        let seen = self.hidden.val() * self.into_hidden.clone();
        let hidden = relu(z.matmul(seen) + row(&self.hidden_bias) + context);
        let out = |weight: &Param<Tensor<2>>, bias| {
            hidden.clone().matmul(weight.val() * self.out_of_hidden.clone()) + row(bias)
        };
        [out(&self.mean, &self.mean_bias), out(&self.gate, &self.gate_bias)]
    }
}

#[cfg(feature = "onnx")]
impl Made {
    /// As `forward`, in a graph.
    pub(crate) fn in_graph(
        &self,
        graph: &mut crate::ModelGraph,
        z: &dvae_onnx::Value,
        context: &dvae_onnx::Value,
    ) -> [dvae_onnx::Value; 2] {
        let masked =
            |graph: &mut crate::ModelGraph, weight: &Param<Tensor<2>>, mask: &Tensor<2>| {
                let (weight, mask) = (graph.weight(weight), graph.tensor(mask));
                graph.mul(&weight, &mask)
            };
        let seen = masked(graph, &self.hidden, &self.into_hidden);
        let bias = graph.weight(&self.hidden_bias);
        let sum = graph.op("Gemm", &[z, &seen, &bias]);
        let sum = graph.add(&sum, context);
        let hidden = graph.op("Relu", &[&sum]);
        [(&self.mean, &self.mean_bias), (&self.gate, &self.gate_bias)].map(|(weight, bias)| {
            let weight = masked(graph, weight, &self.out_of_hidden);
            let bias = graph.weight(bias);
            graph.op("Gemm", &[&hidden, &weight, &bias])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};
    use dvae_random::Key;

    // Changing latent j changes the outputs of the latents after it, and no others.
    #[test]
    fn an_output_depends_on_the_latents_before_it_alone() {
        let device = Device::flex();
        for (latent, hidden) in [(1, 3), (2, 5), (5, 16)] {
            let made = Made::new(latent, hidden, &mut Initializer::new(Key::new(3), &device));
            let context = Tensor::full([1, hidden], 0.3, &device);
            let at = |moved: Option<usize>| {
                let z = (0..latent).map(|i| if moved == Some(i) { 2.0 } else { 0.1 });
                let z = TensorData::new(z.collect::<Vec<f32>>(), [1, latent]);
                made.forward(Tensor::from_data(z, &device), context.clone())
                    .map(|out| out.into_data().try_to_vec::<f32>().unwrap())
            };
            let before = at(None);
            for moved in 0..latent {
                let after = at(Some(moved));
                for (before, after) in before.iter().zip(&after) {
                    assert_eq!(before[..=moved], after[..=moved], "{latent}: {moved}");
                }
                let all =
                    |part: &[Vec<f32>; 2]| [&part[0][moved + 1..], &part[1][moved + 1..]].concat();
                assert!(moved + 1 == latent || all(&before) != all(&after));
            }
        }
    }
}
