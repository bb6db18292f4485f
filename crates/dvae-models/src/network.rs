//! What a network is: layers between rows, features, latents and the outputs of a decoder.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;
use dvae_distributions::{Latent, LatentShape};

use crate::layers::Linear;

/// The layers of an autoencoder over rows of rank `D - 1`; axis 0 is the row.
///
/// A network knows no distribution: an [`Autoencoder`](crate::Autoencoder) puts the posterior's and the prior's
/// parameters on its features, and a likelihood on its outputs. With one level of latents two functions are all:
/// [`Network::features`] of an input, and [`Network::outputs`] of a latent. With more, [`Network::descend`] takes
/// the latent of each level on to the level below.
pub trait Network<const D: usize>: Module + ModuleDisplay + 'static {
    /// The levels of latents, top first, at least one.
    fn levels(&self) -> Vec<Level>;

    /// What an input `[batch, …]` says to each level, top first.
    ///
    /// # Panics
    ///
    /// If the input's rows have another shape than the network was built for.
    fn features(&self, input: Tensor<D>) -> Vec<Features>;

    /// What the latent of a level makes of its context, for the level below; below the last one, for
    /// [`Network::outputs`]. The top has no context. Unless said otherwise, the latent alone.
    fn descend(&self, level: usize, context: Option<Features>, latent: &Latent) -> Features {
        let _ = (level, context);
        latent.into()
    }

    /// The decoder's outputs, `[batch, …]`: of all the likelihood's parameters, side by side on axis 1.
    fn outputs(&self, context: Features) -> Tensor<D>;
}

/// What a network has for one level of latents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The latents of a row of the size that the network was built for.
    pub latents: LatentShape,
    /// Length of axis 1 of its features.
    pub features: usize,
    /// Length of axis 1 of its context: 0 of the top.
    pub context: usize,
}

/// Numbers of each row that say something to a level: a vector, or a map over the places of a picture.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One lives for a step; a tensor's handle is large with wgpu.
pub enum Features {
    /// `[batch, features]`.
    Vector(Tensor<2>),
    /// `[batch, features, height, width]`.
    Map(Tensor<4>),
}

impl From<&Latent> for Features {
    fn from(latent: &Latent) -> Self {
        match latent.shape() {
            LatentShape::Vector(_) => Self::Vector(latent.values()),
            LatentShape::Map { .. } => Self::Map(latent.map()),
        }
    }
}

impl Features {
    /// Both on axis 1.
    ///
    /// # Panics
    ///
    /// If one is a vector and the other a map, or if maps differ in size.
    pub fn beside(self, other: Self) -> Self {
        match (self, other) {
            (Self::Vector(a), Self::Vector(b)) => Self::Vector(Tensor::cat(vec![a, b], 1)),
            (Self::Map(a), Self::Map(b)) => Self::Map(Tensor::cat(vec![a, b], 1)),
            (a, b) => panic!("features of two kinds: {a:?} and {b:?}"),
        }
    }

    /// What latents on them are: `channels` at each place of a map.
    pub(crate) fn latent_shape(&self, channels: usize) -> LatentShape {
        match self {
            Self::Vector(_) => LatentShape::Vector(channels),
            Self::Map(map) => {
                let [_, _, height, width] = map.dims();
                LatentShape::Map { channels, height, width }
            }
        }
    }

    /// A layer's outputs, at each place of a map: `[batch, outputs · places]`.
    pub(crate) fn linear(&self, layer: &Linear) -> Tensor<2> {
        match self {
            Self::Vector(vector) => layer.forward(vector.clone()),
            Self::Map(map) => {
                let [rows, features, height, width] = map.dims();
                let places = map.clone().permute([0, 2, 3, 1]);
                let places = places.reshape([rows * height * width, features]);
                let outputs = layer.forward(places);
                let size = outputs.dims()[1];
                let outputs = outputs.reshape([rows, height * width, size]).swap_dims(1, 2);
                outputs.reshape([rows, size * height * width])
            }
        }
    }

    /// The vector of each row.
    ///
    /// # Panics
    ///
    /// If they are a map.
    pub fn vector(self) -> Tensor<2> {
        match self {
            Self::Vector(vector) => vector,
            Self::Map(map) => panic!("features must be a vector, but are a map {:?}", map.dims()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Initializer};
    use burn::tensor::Device;
    use dvae_random::Key;

    #[test]
    fn a_layer_on_a_map_is_the_layer_at_each_place() {
        let device = Device::flex();
        let layer = Initializer::new(Key::new(1), &device).linear(3, 2, Activation::Identity);
        let map = Key::new(2).rows(&[0, 1]).normal::<4>([2, 3, 4, 5], &device);
        let whole = Features::Map(map.clone()).linear(&layer).reshape([2, 2, 4, 5]);
        for (y, x) in [(0, 0), (3, 4), (1, 2)] {
            let place = |map: &Tensor<4>| {
                let place = map.clone().narrow(2, y, 1).narrow(3, x, 1);
                let channels = place.dims()[1];
                place.reshape([2, channels])
            };
            let gap = place(&whole) - layer.forward(place(&map));
            assert!(gap.abs().max().into_scalar::<f32>() < 1e-6);
        }
    }
}
