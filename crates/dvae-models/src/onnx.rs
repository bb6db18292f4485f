//! Models as graphs of ONNX.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use burn::module::{Module, ModuleDisplay, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use dvae_distributions::LatentShape;
use dvae_onnx::{Attribute, Graph, Value};

use crate::Autoencoder;

/// A [`Graph`] with the weights of a model under the names that they have in it, such as `network.encoder.0.weight`.
#[derive(Debug)]
pub struct ModelGraph {
    graph: Graph,
    names: HashMap<ParamId, String>,
    weights: HashMap<ParamId, Value>,
}

impl Deref for ModelGraph {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        &self.graph
    }
}

impl DerefMut for ModelGraph {
    fn deref_mut(&mut self) -> &mut Graph {
        &mut self.graph
    }
}

impl ModelGraph {
    /// An empty graph for a model.
    pub fn new<M: Module>(name: &str, model: &M) -> Self {
        let mut names = Names::default();
        model.visit(&mut names);
        Self { graph: Graph::new(name), names: names.found, weights: HashMap::new() }
    }

    /// The graph.
    pub fn into_graph(self) -> Graph {
        self.graph
    }

    /// A weight of the model.
    ///
    /// # Panics
    ///
    /// If the model of the graph has no such weight.
    pub fn weight<const D: usize>(&mut self, weight: &Param<Tensor<D>>) -> Value {
        if let Some(known) = self.weights.get(&weight.id) {
            return known.clone();
        }
        let name = self.names.get(&weight.id).expect("a weight of the model");
        let (values, shape) = numbers(weight.val());
        let value = self.graph.weights(name, &shape, &values);
        self.weights.insert(weight.id, value.clone());
        value
    }

    /// A constant tensor.
    pub fn tensor<const D: usize>(&mut self, tensor: &Tensor<D>) -> Value {
        let (values, shape) = numbers(tensor.clone());
        self.graph.floats(&shape, &values)
    }

    /// Images `[batch, channels, h, w]` with their sides doubled by repeating pixels, and cropped to those of another value.
    pub fn doubled(&mut self, images: &Value, like: &Value) -> Value {
        let doubled = self.twice(images);
        let shape = self.op("Shape", &[like]);
        let ends = self.narrow(&shape, 0, 2, 2);
        let (starts, axes) = (self.ints(&[0, 0]), self.ints(&[2, 3]));
        self.op("Slice", &[&doubled, &starts, &ends, &axes])
    }

    /// The same, cropped to these sides.
    pub fn doubled_to(&mut self, images: &Value, sides: [usize; 2]) -> Value {
        let doubled = self.twice(images);
        self.cropped(&doubled, sides)
    }

    /// The upper left `sides` of images.
    pub fn cropped(&mut self, images: &Value, sides: [usize; 2]) -> Value {
        let ends = self.ints(&sides.map(|side| side as i64));
        let (starts, axes) = (self.ints(&[0, 0]), self.ints(&[2, 3]));
        self.op("Slice", &[images, &starts, &ends, &axes])
    }

    fn twice(&mut self, images: &Value) -> Value {
        // The second input is a region of interest, which this mode does not have.
        let none = self.floats(&[0], &[]);
        let scales = self.floats(&[4], &[1.0, 1.0, 2.0, 2.0]);
        let how = [
            ("mode", Attribute::Name("nearest")),
            ("coordinate_transformation_mode", Attribute::Name("asymmetric")),
            ("nearest_mode", Attribute::Name("floor")),
        ];
        self.op_with("Resize", &[images, &none, &scales], &how)
    }

    /// `[batch, n]` in the reverse order.
    pub fn flipped(&mut self, x: &Value) -> Value {
        let (start, end) = (self.ints(&[-1]), self.ints(&[i64::MIN]));
        let (axis, step) = (self.ints(&[1]), self.ints(&[-1]));
        self.op("Slice", &[x, &start, &end, &axis, &step])
    }
}

/// The names of all weights of a model. Enum variants are not part of a name, because a model has only one of them.
#[derive(Default)]
struct Names {
    path: Vec<Option<String>>,
    found: HashMap<ParamId, String>,
}

impl ModuleVisitor for Names {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push((!container.starts_with("Enum:")).then(|| name.to_owned()));
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, weight: &Param<Tensor<D>>) {
        let parts: Vec<&str> = self.path.iter().flatten().map(String::as_str).collect();
        self.found.insert(weight.id, parts.join("."));
    }
}

/// The numbers of a tensor, and its shape.
fn numbers<const D: usize>(tensor: Tensor<D>) -> (Vec<f32>, Vec<usize>) {
    let data = tensor.into_data();
    let shape = data.shape().to_vec();
    (data.iter().collect(), shape)
}

/// A [`Network`](crate::Network) as a part of a graph: each method does what its counterpart without `_in` does.
///
/// Features, contexts and latents of a level are `[batch, n]`, or maps `[batch, channels, height, width]`.
pub trait GraphNetwork {
    /// The features of an input `[batch, …]` for each level, top first.
    fn features_in(&self, graph: &mut ModelGraph, input: &Value) -> Vec<Value>;

    /// The context for the level below, whose latents have the sides of `below`; below the last level there is none.
    fn descend_in(
        &self,
        graph: &mut ModelGraph,
        level: usize,
        context: Option<&Value>,
        latent: &Value,
        below: Option<&Value>,
    ) -> Value {
        let _ = (graph, level, context, below);
        latent.clone()
    }

    /// The decoder's outputs, `[batch, …]`.
    fn outputs_in(&self, graph: &mut ModelGraph, context: &Value) -> Value;
}

/// The posterior of a level in a graph.
#[derive(Clone, Debug)]
pub struct LevelGraph {
    /// Its mean: what [`Vae::embed`](crate::Vae::embed) gives.
    pub mean: Value,
    /// Its log-variance, if it is a diagonal normal.
    pub log_variance: Option<Value>,
}

impl<N: GraphNetwork + Module + ModuleDisplay> Autoencoder<N> {
    /// The posteriors of an input `[batch, …]`, level by level at the means of the levels above, and what the decoder makes its
    /// outputs of at the means of all.
    pub fn encode_in(&self, graph: &mut ModelGraph, input: &Value) -> (Vec<LevelGraph>, Value) {
        let seen = self.seen_in(graph, input);
        let features = self.network.features_in(graph, &seen);
        let (mut found, mut context) = (vec![], None);
        for (level, features_of) in features.iter().enumerate() {
            let heads = &self.levels[level];
            let is_map = matches!(self.shapes[level], LatentShape::Map { .. });
            let prior =
                context.as_ref().and_then(|context| heads.prior.given_in(graph, context, is_map));
            let beside: Vec<&Value> = std::iter::once(features_of).chain(&context).collect();
            let beside = graph.concat(&beside, 1);
            let posterior = heads.posterior.in_graph(graph, &beside, is_map, prior.as_ref());
            let below = features.get(level + 1);
            let next =
                self.network.descend_in(graph, level, context.as_ref(), &posterior.mean, below);
            context = Some(next);
            found.push(posterior);
        }
        (found, context.expect("a level at least"))
    }

    /// What the decoder makes its outputs of, from latents of all levels.
    pub fn descend_in(&self, graph: &mut ModelGraph, latents: &[Value]) -> Value {
        let mut context = None;
        for (level, latent) in latents.iter().enumerate() {
            let below = latents.get(level + 1);
            context = Some(self.network.descend_in(graph, level, context.as_ref(), latent, below));
        }
        context.expect("a level at least")
    }

    /// The mean of `p(x | z)` of rows of so many columns, from what [`Self::encode_in`] or [`Self::descend_in`] gives. `totals` are the
    /// rows whose totals it has, if its likelihood is of such.
    pub fn mean_in(
        &self,
        graph: &mut ModelGraph,
        context: &Value,
        columns: usize,
        totals: Option<&Value>,
    ) -> Value {
        let outputs = self.network.outputs_in(graph, context);
        self.likelihood.mean_in(graph, &outputs, columns, totals)
    }

    /// What the network sees of an input: logarithms of counts, if it was made so.
    fn seen_in(&self, graph: &mut ModelGraph, input: &Value) -> Value {
        if self.logarithms == 0 {
            return input.clone();
        }
        let counts = graph.narrow(input, 1, 0, self.logarithms);
        let counts = graph.op("Relu", &[&counts]);
        let counts = graph.plus(&counts, 1.0);
        let counts = graph.op("Log", &[&counts]);
        match self.seen[0] - self.logarithms {
            0 => counts,
            mask => {
                let mask = graph.narrow(input, 1, self.logarithms, mask);
                graph.concat(&[&counts, &mask], 1)
            }
        }
    }
}
