//! The trait of networks: layers between rows, features, latents and the outputs of a decoder.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;
use dvae_distributions::{Latent, LatentShape, Likelihood};
use dvae_kernels::{Activation as Fused, MapConv, Resize};

use crate::layers::Linear;

/// The layers of an autoencoder over rows of rank `D - 1`; axis 0 is the row.
///
/// A network contains no distribution: an [`Autoencoder`](crate::Autoencoder) computes the parameters of the
/// posterior and the prior from its features, and a likelihood from its outputs. With one level of latents
/// two functions are enough: [`Network::features`] of an input, and [`Network::outputs`] of a latent. With
/// more levels, [`Network::descend`] passes the latent of each level on to the level below.
pub trait Network<const D: usize>: Module + ModuleDisplay + 'static {
    /// The levels of latents, top first, at least one.
    fn levels(&self) -> Vec<Level>;

    /// The features of an input `[batch, …]` for each level, top first.
    ///
    /// # Panics
    ///
    /// If the input's rows have another shape than the network can be applied to: the one that it was built for, unless
    /// its weights fit any.
    fn features(&self, input: Tensor<D>) -> Vec<Features>;

    /// The context for the level below, whose latents have the shape `below`, from this level's context and latent. Below
    /// the last level, where `below` is `None`, it is the input of [`Network::outputs`]. The top level has no context. By
    /// default, the latent alone.
    fn descend(
        &self,
        level: usize,
        context: Option<Features>,
        latent: &Latent,
        below: Option<LatentShape>,
    ) -> Features {
        let _ = (level, context, below);
        latent.into()
    }

    /// The decoder's outputs, `[batch, …]`: all of the likelihood's parameters, side by side on axis 1.
    fn outputs(&self, context: Features) -> Tensor<D>;

    /// `p(x | z)` itself, if the network computes it, because entries depend on those before them: then there are no outputs. By
    /// default `None`.
    fn likelihood(&self, context: &Features) -> Option<Box<dyn Likelihood<D>>> {
        let _ = context;
        None
    }
}

/// How far what a network makes of a pixel depends on others, if it applies to images of any sides.
///
/// A part of an image that begins at multiples of `grid`, and ends at one or with the image, gives the same outputs as the
/// whole image at least `pixels` away from where it was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The distance of an output, in pixels along an axis, from the farthest input that it may depend on.
    pub pixels: usize,
    /// The pixels along an axis that one place of the coarsest level stands for.
    pub grid: usize,
    /// How many numbers denoising holds at once for each pixel, about.
    pub numbers: usize,
}

/// The sizes of one level of latents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The latents of a row of the size that the network was built for.
    pub latents: LatentShape,
    /// Length of axis 1 of its features.
    pub features: usize,
    /// Length of axis 1 of its context: 0 for the top level.
    pub context: usize,
}

/// The features of each row for a level: a vector, or a map over the positions of an image.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One value per step; tensor handles are large with wgpu.
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
    /// Concatenates both on axis 1.
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

    /// The shape of latents over these features: `channels` at each position of a map.
    pub(crate) fn latent_shape(&self, channels: usize) -> LatentShape {
        match self {
            Self::Vector(_) => LatentShape::Vector(channels),
            Self::Map(map) => {
                let [_, _, height, width] = map.dims();
                LatentShape::Map { channels, height, width }
            }
        }
    }

    /// The features as a map for each row.
    ///
    /// # Panics
    ///
    /// If they are a vector.
    pub fn map(self) -> Tensor<4> {
        match self {
            Self::Map(map) => map,
            Self::Vector(vector) => panic!("features must be a map, but are {:?}", vector.dims()),
        }
    }

    /// The features as a vector for each row.
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

/// The input of the layers of a level's posterior and prior: its features, and beside them on axis 1 the context from the
/// level above.
#[derive(Debug)]
pub(crate) struct HeadInput {
    pub(crate) features: Features,
    pub(crate) context: Option<Features>,
}

impl From<Features> for HeadInput {
    fn from(features: Features) -> Self {
        Self { features, context: None }
    }
}

impl HeadInput {
    /// A layer's outputs, at each position of a map: `[batch, outputs · places]`.
    ///
    /// # Panics
    ///
    /// If the layer has not as many inputs as features and context are long on axis 1.
    pub(crate) fn linear(&self, layer: &Linear) -> Tensor<2> {
        let Features::Map(features) = &self.features else {
            return layer.forward(self.vector());
        };
        let context = self.context.clone().map(Features::map);
        let channels =
            [Some(features), context.as_ref()].map(|map| map.map_or(0, |map| map.dims()[1]));
        let inputs = layer.weight.lazy_shape()[0];
        assert_eq!(
            channels[0] + channels[1],
            inputs,
            "channels of features and context: {channels:?}"
        );
        // Maps are not copied to lie side by side: each has its part of the weights.
        let first = features.dims()[1];
        let part = |start, inputs| {
            let weight = layer.weight.val().narrow(0, start, inputs);
            let outputs = weight.dims()[1];
            weight.transpose().reshape([outputs, inputs, 1, 1])
        };
        let conv = MapConv { activation: Fused::Identity, resize: Resize::Keep };
        let sum = conv.forward(features.clone(), part(0, first), layer.bias.val(), None);
        let sum = match context {
            Some(context) => {
                let weight = part(first, context.dims()[1]);
                let bias = Tensor::zeros([weight.dims()[0]], &context.device());
                conv.forward(context, weight, bias, Some(sum))
            }
            None => sum,
        };
        layer.activation.apply(sum).flatten(1, 3)
    }

    /// Features and context side by side, as a vector for each row.
    ///
    /// # Panics
    ///
    /// If they are maps.
    pub(crate) fn vector(&self) -> Tensor<2> {
        let features = self.features.clone();
        match &self.context {
            Some(context) => features.beside(context.clone()).vector(),
            None => features.vector(),
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
        let input = |features: &Tensor<4>| HeadInput::from(Features::Map(features.clone()));
        let whole = input(&map).linear(&layer).reshape([2, 2, 4, 5]);
        let context = Some(Features::Map(map.clone().narrow(1, 1, 2)));
        let parts = HeadInput { context, ..input(&map.clone().narrow(1, 0, 1)) };
        let gap = parts.linear(&layer).reshape([2, 2, 4, 5]) - whole.clone();
        assert!(gap.abs().max().into_scalar::<f32>() < 1e-6);
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
