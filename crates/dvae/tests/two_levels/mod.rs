//! A network with two levels of latents: a vector above a map.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use dvae::distributions::{Latent, LatentShape, LikelihoodConfig};
use dvae::models::{
    Activation, Autoencoder, Conv2d, Distributions, Features, Initializer, Level, Linear, Network,
};
use dvae::random::{Key, Purpose};

/// Latents of the top level.
pub(crate) const TOP: usize = 3;
/// Latents of the level below it, at each pixel.
pub(crate) const BELOW: usize = 2;
const CHANNELS: usize = 4;

#[derive(Module, Debug)]
pub(crate) struct TwoLevels {
    bottom_up: Conv2d,
    to_top: Linear,
    from_top: Linear,
    last: Conv2d,
    #[module(skip)]
    sides: [usize; 2],
}

/// The model for pictures of one channel and these sides, with weights of seed 1.
pub(crate) fn model(sides: [usize; 2], device: &Device) -> Autoencoder<TwoLevels> {
    let init = &mut Initializer::new(Key::new(1).purpose(Purpose::Weights), device);
    let (pixels, act) = (sides[0] * sides[1], Activation::Softplus);
    let network = TwoLevels {
        bottom_up: init.conv(1, CHANNELS, act),
        to_top: init.linear(CHANNELS * pixels, 8, act),
        from_top: init.linear(TOP, CHANNELS * pixels, act),
        last: init.conv(CHANNELS + BELOW, 1, Activation::Identity),
        sides,
    };
    let distributions =
        Distributions { likelihood: LikelihoodConfig::Normal { scale: 0.3 }, ..Default::default() };
    Autoencoder::new(network, &[1, sides[0], sides[1]], 1, &distributions, init).unwrap()
}

impl Network<4> for TwoLevels {
    fn levels(&self) -> Vec<Level> {
        let [height, width] = self.sides;
        let map = LatentShape::Map { channels: BELOW, height, width };
        vec![
            Level { latents: LatentShape::Vector(TOP), features: 8, context: 0 },
            Level { latents: map, features: CHANNELS, context: CHANNELS },
        ]
    }

    fn features(&self, input: Tensor<4>) -> Vec<Features> {
        let map = self.bottom_up.forward(input);
        let top = self.to_top.forward(map.clone().flatten(1, 3));
        vec![Features::Vector(top), Features::Map(map)]
    }

    fn descend(
        &self,
        level: usize,
        context: Option<Features>,
        latent: &Latent,
        _below: Option<LatentShape>,
    ) -> Features {
        match context {
            Some(context) => context.beside(latent.into()),
            None => {
                assert_eq!(level, 0);
                let [height, width] = self.sides;
                let flat = self.from_top.forward(latent.values());
                let rows = flat.dims()[0];
                Features::Map(flat.reshape([rows, CHANNELS, height, width]))
            }
        }
    }

    fn outputs(&self, context: Features) -> Tensor<4> {
        match context {
            Features::Map(map) => self.last.forward(map),
            Features::Vector(_) => unreachable!("a map came down"),
        }
    }
}
