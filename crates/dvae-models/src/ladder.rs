//! A ladder of convolutional levels for images of any size.

use burn::module::Module;
use burn::tensor::Tensor;
use dvae_checks::within;
use dvae_distributions::{Latent, LatentShape};
use dvae_kernels::Resize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conv_net::Stages;
use crate::error::{row, weights};
use crate::layers::Conv2d;
use crate::networks::{Bundled, InputOutput, same_rank};
use crate::{Activation, Features, Initializer, Level, ModelError, Network, Reach};

/// Configuration of a [`Ladder`].
///
/// In a file: `network = { type = "ladder", channels = [16, 32, 32] }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LadderConfig {
    /// Channels of each level, finest first, at least one. The first level has the sides of the image, and each one after
    /// it half of those before.
    pub channels: Vec<usize>,
    /// Residual blocks of each level on the way up, and as many on the way down, at least 1.
    pub blocks: usize,
    /// How many of the finest levels have no latents, fewer than there are levels. Where the gist of an image is what
    /// matters (digits), latents of single pixels would stay unused. A ladder with such levels takes images of the sides
    /// of its training alone.
    pub deterministic: usize,
    /// The non-linearity before each convolution of a block.
    pub activation: Activation,
}

impl Default for LadderConfig {
    /// Three levels of 16, 32 and 32 channels with one block each, ReLU.
    fn default() -> Self {
        Self {
            channels: vec![16, 32, 32],
            blocks: 1,
            deterministic: 0,
            activation: Activation::Relu,
        }
    }
}

impl LadderConfig {
    /// Levels of these channels, finest first, one block each.
    pub fn new(channels: &[usize]) -> Self {
        Self { channels: channels.into(), ..Self::default() }
    }

    /// How the network applies to images of any sides; `None` if it does not, as with deterministic levels.
    pub fn reach(&self) -> Option<Reach> {
        if self.deterministic > 0 {
            return None;
        }
        let grid = 1 << self.channels.len().saturating_sub(1).min(32);
        let convolutions = self.blocks.saturating_mul(2);
        // Of each level: a convolution and the blocks on the way up, a convolution and the blocks on the way down.
        let of_level = |level: usize| {
            let step = 1usize << level.min(32);
            let first = if level == 0 { 1 } else { step / 2 };
            convolutions
                .saturating_mul(2)
                .saturating_add(1)
                .saturating_mul(step)
                .saturating_add(first)
        };
        // The last convolution reaches one pixel farther, and a place of the top level is `grid` pixels wide.
        let pixels = (0..self.channels.len()).map(of_level).fold(grid, usize::saturating_add);
        let of_pixel = |(level, channels): (usize, &usize)| channels >> (2 * level).min(63);
        let numbers = self.channels.iter().enumerate().map(of_pixel).fold(0, usize::saturating_add);
        Some(Reach { pixels, grid, numbers: numbers.saturating_mul(2) })
    }

    /// The levels with latents, top first.
    fn levels(&self, latents: usize, stages: &Stages) -> Vec<Level> {
        let top = self.channels.len() - 1;
        let level = |at: usize| {
            let [height, width] = stages.sides(at);
            Level {
                latents: LatentShape::Map { channels: latents, height, width },
                features: self.channels[at],
                context: if at == top { 0 } else { self.channels[at] },
            }
        };
        (self.deterministic..=top).rev().map(level).collect()
    }

    fn blocks(&self, channels: usize, init: &mut Initializer) -> Vec<Block> {
        let activation = self.activation;
        let mut block = || Block {
            first: init.conv(channels, channels, Activation::Identity),
            second: init.small_conv(channels, channels),
            activation,
        };
        (0..self.blocks).map(|_| block()).collect()
    }
}

impl Bundled for LadderConfig {
    type Encoder = Vec<Rung>;
    type Network = Ladder;

    fn check(&self, io: &InputOutput) -> Result<Vec<Level>, ModelError> {
        let stages = Stages::residual(io, &self.channels, self.blocks)?;
        within("deterministic", self.deterministic, 0..=self.channels.len() - 1)?;
        for (level, &channels) in self.channels.iter().enumerate().skip(self.deterministic) {
            weights(&[io.latent.saturating_mul(9), channels])?;
            row("latent", stages.area(level).saturating_mul(io.latent))?;
        }
        Ok(self.levels(io.latent, &stages))
    }

    fn encoder(&self, io: &InputOutput, init: &mut Initializer) -> Vec<Rung> {
        let before = [&io.input[..1], &self.channels[..]].concat();
        let rung = |level: usize| {
            let [from, to] = [before[level], before[level + 1]];
            let conv = match level {
                0 => init.conv(from, to, Activation::Identity),
                _ => init.downsampling_conv(from, to, Activation::Identity),
            };
            Rung { conv, blocks: self.blocks(to, init) }
        };
        (0..self.channels.len()).map(rung).collect()
    }

    fn network(&self, up: Vec<Rung>, io: &InputOutput, init: &mut Initializer) -> Ladder {
        let channels = &self.channels;
        let stages = Stages::new([io.input[1], io.input[2]], channels);
        let lowest = self.deterministic;
        let step = |level: usize| Step {
            merge: init.conv(io.latent, channels[level], Activation::Identity),
            blocks: self.blocks(channels[level], init),
            down: (level > lowest)
                .then(|| init.pointwise_conv(channels[level], channels[level - 1])),
        };
        let steps = (lowest..channels.len()).rev().map(step).collect();
        let finish = |level: usize| Finish {
            down: init.pointwise_conv(channels[level + 1], channels[level]),
            blocks: self.blocks(channels[level], init),
            sides: stages.sides(level),
        };
        let finish = (0..lowest).rev().map(finish).collect();
        let last = init.conv(channels[0], io.output[0], Activation::Identity);
        let levels = self.levels(io.latent, &stages);
        Ladder { up, steps, finish, last, levels, activation: self.activation }
    }
}

/// Levels of maps of latents over images `[batch, channels, height, width]`, from coarse to fine.
///
/// ```text
/// x̃ → rung → rung → … → features of each level       z₁ → step → context, z₂ → step → … → outputs
/// ```
///
/// A rung is a convolution and residual blocks; all but the first halve the sides. A step adds the latents of its level,
/// by a convolution, to what comes down, passes residual blocks, doubles the sides by repeating pixels, crops odd ones,
/// and convolves. Prior and posterior of a level are normals whose parameters are linear in the context at each place,
/// and in context and features: Sønderby et al. (2016), "Ladder Variational Autoencoders", section 2, with the posterior
/// as a residual on the prior of Vahdat & Kautz (2020), "NVAE", section 3.2. Nothing is normalized over an image, so
/// what is made of a place depends on its surroundings alone, and a ladder that was trained on crops is the same function
/// on whole images: it encodes rows of any sides, and decodes latents of the shapes that they have then.
#[derive(Module, Debug)]
pub struct Ladder {
    /// Finest first.
    up: Vec<Rung>,
    /// Coarsest first.
    steps: Vec<Step>,
    /// The levels without latents, coarsest first.
    finish: Vec<Finish>,
    last: Conv2d,
    /// Top first.
    #[module(skip)]
    levels: Vec<Level>,
    #[module(skip)]
    activation: Activation,
}

#[derive(Module, Debug)]
pub(crate) struct Rung {
    conv: Conv2d,
    blocks: Vec<Block>,
}

#[derive(Module, Debug)]
struct Step {
    merge: Conv2d,
    blocks: Vec<Block>,
    /// To the level below, if there is one.
    down: Option<Conv2d>,
}

/// What a level without latents makes of what comes down.
#[derive(Module, Debug)]
struct Finish {
    down: Conv2d,
    blocks: Vec<Block>,
    #[module(skip)]
    sides: [usize; 2],
}

/// `x + f(x)`, where `f` applies non-linearity and convolution twice.
#[derive(Module, Debug)]
struct Block {
    first: Conv2d,
    second: Conv2d,
    #[module(skip)]
    activation: Activation,
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let inner = self.first.after(self.activation, Resize::Keep, x.clone(), None);
        self.second.after(self.activation, Resize::Keep, inner, Some(x))
    }
}

fn through(blocks: &[Block], x: Tensor<4>) -> Tensor<4> {
    blocks.iter().fold(x, |x, block| block.forward(x))
}

/// # Panics
///
/// If `D` is not 4, or latents of a level do not have the sides of those above, doubled, less one if they were odd.
impl<const D: usize> Network<D> for Ladder {
    fn levels(&self) -> Vec<Level> {
        self.levels.clone()
    }

    fn features(&self, input: Tensor<D>) -> Vec<Features> {
        let mut x: Tensor<4> = same_rank(input);
        let mut features = Vec::with_capacity(self.up.len());
        for (level, rung) in self.up.iter().enumerate() {
            let resize = if level == 0 { Resize::Keep } else { Resize::Halve };
            x = through(&rung.blocks, rung.conv.after(Activation::Identity, resize, x, None));
            if level >= self.finish.len() {
                features.push(Features::Map(self.activation.apply(x.clone())));
            }
        }
        features.reverse();
        features
    }

    fn descend(
        &self,
        level: usize,
        context: Option<Features>,
        latent: &Latent,
        below: Option<LatentShape>,
    ) -> Features {
        let step = &self.steps[level];
        let context = context.map(Features::map);
        let merged = step.merge.after(Activation::Identity, Resize::Keep, latent.map(), context);
        let x = through(&step.blocks, merged);
        Features::Map(match (&step.down, below) {
            (Some(conv), Some(LatentShape::Map { height, width, .. })) => {
                conv.after(self.activation, Resize::Double { height, width }, x, None)
            }
            (None, None) => x,
            (_, below) => panic!("level {level} has {below:?} below it"),
        })
    }

    fn outputs(&self, context: Features) -> Tensor<D> {
        let finish = |x, level: &Finish| {
            let [height, width] = level.sides;
            let x = level.down.after(self.activation, Resize::Double { height, width }, x, None);
            through(&level.blocks, x)
        };
        let x = self.finish.iter().fold(context.map(), finish);
        same_rank(self.last.after(self.activation, Resize::Keep, x, None))
    }
}

#[cfg(feature = "onnx")]
mod onnx {
    use dvae_kernels::Resize;
    use dvae_onnx::Value;

    use super::{Block, Ladder};
    use crate::{Activation, GraphNetwork, ModelGraph};

    impl Block {
        fn in_graph(&self, graph: &mut ModelGraph, x: &Value) -> Value {
            let how = (self.activation, Resize::Keep);
            let inner = self.first.after_in(graph, how, x, None);
            let inner = self.second.after_in(graph, how, &inner, None);
            graph.add(&inner, x)
        }
    }

    fn through(blocks: &[Block], graph: &mut ModelGraph, x: Value) -> Value {
        blocks.iter().fold(x, |x, block| block.in_graph(graph, &x))
    }

    impl GraphNetwork for Ladder {
        fn features_in(&self, graph: &mut ModelGraph, input: &Value) -> Vec<Value> {
            let mut x = input.clone();
            let mut features = vec![];
            for (level, rung) in self.up.iter().enumerate() {
                let resize = if level == 0 { Resize::Keep } else { Resize::Halve };
                x = rung.conv.after_in(graph, (Activation::Identity, resize), &x, None);
                x = through(&rung.blocks, graph, x);
                if level >= self.finish.len() {
                    features.push(self.activation.in_graph(graph, &x));
                }
            }
            features.reverse();
            features
        }

        fn descend_in(
            &self,
            graph: &mut ModelGraph,
            level: usize,
            context: Option<&Value>,
            latent: &Value,
            below: Option<&Value>,
        ) -> Value {
            let step = &self.steps[level];
            let keep = (Activation::Identity, Resize::Keep);
            let mut merged = step.merge.after_in(graph, keep, latent, None);
            if let Some(context) = context {
                merged = graph.add(&merged, context);
            }
            let x = through(&step.blocks, graph, merged);
            match (&step.down, below) {
                (Some(conv), Some(below)) => {
                    let double = Resize::Double { height: 0, width: 0 };
                    conv.after_in(graph, (self.activation, double), &x, Some(below))
                }
                _ => x,
            }
        }

        fn outputs_in(&self, graph: &mut ModelGraph, context: &Value) -> Value {
            let mut x = context.clone();
            for level in &self.finish {
                let active = self.activation.in_graph(graph, &x);
                let doubled = graph.doubled_to(&active, level.sides);
                let keep = (Activation::Identity, Resize::Keep);
                x = level.down.after_in(graph, keep, &doubled, None);
                x = through(&level.blocks, graph, x);
            }
            self.last.after_in(graph, (self.activation, Resize::Keep), &x, None)
        }
    }
}
