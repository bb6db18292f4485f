//! Posteriors in graphs.

use dvae_onnx::Value;

use super::{NormalHead, PlanarHead, PosteriorHead};
use crate::{LevelGraph, ModelGraph};

impl NormalHead {
    /// The mean and log-variance, of features that are a map or not.
    fn parameters_in(&self, graph: &mut ModelGraph, features: &Value, is_map: bool) -> [Value; 2] {
        [&self.mean, &self.log_variance].map(|layer| match is_map {
            true => layer.at_places_in(graph, features),
            false => layer.in_graph(graph, features),
        })
    }

    /// As `bounded`.
    pub(crate) fn bounded_in(
        &self,
        graph: &mut ModelGraph,
        features: &Value,
        is_map: bool,
    ) -> [Value; 2] {
        let [mean, log_variance] = self.parameters_in(graph, features, is_map);
        [mean, soft_bound(graph, &log_variance)]
    }
}

fn soft_bound(graph: &mut ModelGraph, x: &Value) -> Value {
    let x = graph.times(x, 0.25);
    let x = graph.op("Sigmoid", &[&x]);
    let x = graph.times(&x, 16.0);
    graph.plus(&x, -8.0)
}

impl PosteriorHead {
    /// The posterior of features, beside its prior below the top.
    pub(crate) fn in_graph(
        &self,
        graph: &mut ModelGraph,
        features: &Value,
        is_map: bool,
        prior: Option<&[Value; 2]>,
    ) -> LevelGraph {
        let base = match self {
            Self::DiagonalNormal(head) => head,
            Self::FullNormal(head) => {
                return LevelGraph {
                    mean: head.mean.in_graph(graph, features),
                    log_variance: None,
                };
            }
            Self::Planar(PlanarHead { base, .. }) => base,
            Self::InverseAutoregressive(head) => &head.base,
        };
        let [mean, log_variance] = base.parameters_in(graph, features, is_map);
        match (self, prior) {
            (Self::DiagonalNormal(_), Some([prior_mean, prior_log_variance])) => {
                let deviation = graph.times(prior_log_variance, 0.5);
                let deviation = graph.op("Exp", &[&deviation]);
                let distance = graph.mul(&mean, &deviation);
                let log_ratio = soft_bound(graph, &log_variance);
                let log_variance = graph.add(prior_log_variance, &log_ratio);
                LevelGraph {
                    mean: graph.add(prior_mean, &distance),
                    log_variance: Some(log_variance),
                }
            }
            (Self::Planar(head), _) => {
                let maps = head.maps.in_graph(graph, features);
                let latent = base.latent();
                let flows = head.maps.weight.lazy_shape()[1] / (2 * latent + 1);
                let point = (0..flows).fold(mean, |z, flow| planar(graph, &maps, latent, flow, &z));
                LevelGraph { mean: point, log_variance: None }
            }
            (Self::InverseAutoregressive(head), _) => {
                let point = head.flow.in_graph(graph, features, mean);
                LevelGraph { mean: point, log_variance: None }
            }
            _ => LevelGraph { mean, log_variance: Some(log_variance) },
        }
    }
}

/// As `Planar`.
fn planar(graph: &mut ModelGraph, maps: &Value, latent: usize, flow: usize, z: &Value) -> Value {
    let start = flow * (2 * latent + 1);
    let [u, w] = [start, start + latent].map(|at| graph.narrow(maps, 1, at, latent));
    let b = graph.narrow(maps, 1, start + 2 * latent, 1);
    let dot = |graph: &mut ModelGraph, a: &Value, b: &Value| {
        let product = graph.mul(a, b);
        graph.sum(&product, 1)
    };
    let along = dot(graph, &w, &u);
    let above = graph.op("Softplus", &[&along]);
    let above = graph.plus(&above, -1.0);
    let gap = graph.sub(&above, &along);
    let length = dot(graph, &w, &w);
    let tiny = graph.float(1e-12);
    let length = graph.op("Max", &[&length, &tiny]);
    let step = graph.div(&gap, &length);
    let turned = graph.mul(&w, &step);
    let u = graph.add(&u, &turned);
    let bent = dot(graph, &w, z);
    let bent = graph.add(&bent, &b);
    let bent = graph.op("Tanh", &[&bent]);
    let moved = graph.mul(&u, &bent);
    graph.add(z, &moved)
}
