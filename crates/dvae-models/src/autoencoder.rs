//! The model: a network with a posterior, a prior and a likelihood.

use std::sync::Arc;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;
use dvae_distributions::{
    Context, Encoding, Inference, Latent, LatentShape, Latents, LevelBelow, Likelihood,
    LikelihoodConfig, Posterior, Prior,
};
use dvae_random::RowStreams;

use crate::error::sizes;
use crate::likelihood_head::LikelihoodHead;
use crate::network::HeadInput;
use crate::posterior::PosteriorHead;
use crate::prior::PriorHead;
use crate::{Features, Initializer, Level, ModelError, Network, PosteriorConfig, PriorConfig, Vae};

/// The distributions that an [`Autoencoder`] adds to its network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distributions {
    /// `q(z | x̃)`, for every level.
    pub posterior: PosteriorConfig,
    /// `p(z)` of the top level; each level below has a normal prior, given the levels above.
    pub prior: PriorConfig,
    /// `p(x | z)`.
    pub likelihood: LikelihoodConfig,
}

/// A variational autoencoder: a network, and the layers of its posterior, prior and likelihood.
///
/// ```text
/// x̃ → features → q(z₁ | x̃), q(z₂ | z₁, x̃), …        z₁ → context → p(z₂ | z₁), …        z → outputs → p(x | z)
/// ```
///
/// One level of latents is the VAE of Kingma & Welling (2014), "Auto-Encoding Variational Bayes". With
/// several levels, each level's posterior sees the features of the input and the context from the levels
/// above (Sønderby et al. 2016, "Ladder Variational Autoencoders", section 2) and, if it is a diagonal normal, is a residual
/// on the level's prior (Vahdat & Kautz 2020, "NVAE", section 3.2).
#[derive(Module, Debug)]
pub struct Autoencoder<N: Module + ModuleDisplay> {
    pub(crate) network: N,
    /// Top first.
    pub(crate) levels: Vec<LevelHeads>,
    pub(crate) likelihood: LikelihoodHead,
    /// The shape of a row of the encoder's input.
    #[module(skip)]
    pub(crate) seen: Vec<usize>,
    #[module(skip)]
    pub(crate) shapes: Vec<LatentShape>,
    /// How many places on axis 1 of the input the encoder sees the logarithms of.
    #[module(skip)]
    pub(crate) logarithms: usize,
}

/// The layers of one level.
#[derive(Module, Debug)]
pub(crate) struct LevelHeads {
    pub(crate) posterior: PosteriorHead,
    pub(crate) prior: PriorHead,
}

impl LevelHeads {
    /// The layers of all levels of a network whose encoder sees `inputs` numbers of each row; an error names
    /// settings that contradict each other.
    pub(crate) fn all(
        levels: &[Level],
        inputs: usize,
        distributions: &Distributions,
        init: &mut Initializer,
    ) -> Result<Vec<Self>, ModelError> {
        let &Distributions { posterior, prior, .. } = distributions;
        sizes("levels", &[levels.len()])?;
        levels.iter().try_for_each(|level| posterior.check(level))?;
        prior.check(&levels[0], posterior, inputs)?;
        let mut heads = |(place, level): (usize, &Level)| Self {
            posterior: match place {
                0 => PosteriorHead::new(posterior, level, init),
                _ => PosteriorHead::below(posterior, level, init),
            },
            prior: match place {
                0 => PriorHead::new(prior, level.latents.len(), inputs, init),
                _ => PriorHead::below(level, init),
            },
        };
        Ok(levels.iter().enumerate().map(&mut heads).collect())
    }

    /// The level's posterior beside its prior.
    fn posterior(&self, prior: &Prior, input: &HeadInput) -> Posterior {
        match &self.prior {
            PriorHead::Conditional(_) => self.posterior.given(prior, input),
            _ => self.posterior.forward(input),
        }
    }
}

impl<N: Module + ModuleDisplay> Autoencoder<N> {
    /// Builds a model from a network of your own and its distributions. `seen` is the shape of a row of the
    /// encoder's input; for a model that is shown a mask it is twice as long on its first axis. `channels` is
    /// the length of that axis without the mask, which the likelihood describes. The network must have
    /// [`LikelihoodConfig::outputs`] of `channels` as outputs on axis 1.
    ///
    /// An error names what is out of range, or which settings contradict each other.
    pub fn new<const D: usize>(
        network: N,
        seen: &[usize],
        channels: usize,
        distributions: &Distributions,
        init: &mut Initializer,
    ) -> Result<Self, ModelError>
    where
        N: Network<D>,
    {
        distributions.likelihood.check(channels)?;
        let (levels, inputs) = (network.levels(), seen.iter().product());
        let heads = LevelHeads::all(&levels, inputs, distributions, init)?;
        let likelihood = LikelihoodHead::new(distributions.likelihood.clone(), channels, init);
        Ok(Self::assembled(network, heads, &levels, seen, likelihood))
    }

    /// Assembles a model from parts that were checked.
    pub(crate) fn assembled(
        network: N,
        heads: Vec<LevelHeads>,
        levels: &[Level],
        seen: &[usize],
        likelihood: LikelihoodHead,
    ) -> Self {
        let shapes = levels.iter().map(|level| level.latents).collect();
        Self { network, levels: heads, likelihood, seen: seen.into(), shapes, logarithms: 0 }
    }

    /// The model with an encoder that sees `ln(1 + x)` of its input at the first `channels` places on axis 1: all but a mask that
    /// follows. That is for counts, of which a few are a hundred times the others; what is below 0 counts as 0.
    ///
    /// # Panics
    ///
    /// When it is used, if axis 1 of its input is shorter.
    pub fn with_log_input(self, channels: usize) -> Self {
        Self { logarithms: channels, ..self }
    }

    /// The features of an input for each level.
    fn features<const D: usize>(&self, input: Tensor<D>) -> Vec<Features>
    where
        N: Network<D>,
    {
        if self.logarithms == 0 {
            return self.network.features(input);
        }
        let rest = input.dims()[1] - self.logarithms;
        let numbers = input.clone().narrow(1, 0, self.logarithms).clamp_min(0.0).log1p();
        let seen = match rest {
            0 => numbers,
            _ => Tensor::cat(vec![numbers, input.narrow(1, self.logarithms, rest)], 1),
        };
        self.network.features(seen)
    }

    /// The network.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// The decoder's outputs for latents, before a likelihood makes parameters of them: `[batch, …]`, those of all
    /// parameters side by side on axis 1.
    ///
    /// # Panics
    ///
    /// If the latents are not those of the model's levels, or the network has a [`Network::likelihood`] of its own.
    pub fn outputs<const D: usize>(&self, latents: impl Into<Latents>) -> Tensor<D>
    where
        N: Network<D>,
    {
        self.network.outputs(self.context(&latents.into()))
    }

    /// The context below the last level.
    fn context<const D: usize>(&self, latents: &Latents) -> Features
    where
        N: Network<D>,
    {
        assert_eq!(latents.levels().len(), self.levels.len(), "levels of latents");
        let below = |level: usize| latents.levels().get(level + 1).map(Latent::shape);
        let down = |context, (level, latent)| {
            Some(self.network.descend(level, context, latent, below(level)))
        };
        let context = latents.levels().iter().enumerate().fold(None, down);
        context.expect("a level at least")
    }

    /// `p(x | z)` from the context below the last level.
    fn explained<const D: usize>(&self, context: Features) -> Box<dyn Likelihood<D>>
    where
        N: Network<D>,
    {
        match self.network.likelihood(&context) {
            Some(likelihood) => likelihood,
            None => self.likelihood.forward(self.network.outputs(context)),
        }
    }

    /// The shape of a level's latents, of rows that have these features.
    fn latent_shape(&self, level: usize, features: &[Features]) -> LatentShape {
        features[level].latent_shape(self.shapes[level].channels())
    }

    /// `p(x | z)` from the context of the last level and its latent.
    fn below<const D: usize>(&self, context: Features, latent: &Latent) -> Box<dyn Likelihood<D>>
    where
        N: Network<D>,
    {
        let last = self.levels.len() - 1;
        self.explained(self.network.descend(last, Some(context), latent, None))
    }

    /// The encoding of a level from the features of all levels, with the levels below it.
    fn level<const D: usize>(&self, from: Descent, prior: Prior) -> Encoding
    where
        N: Network<D>,
    {
        let Descent { level, features, context } = &from;
        let input = HeadInput { features: features[*level].clone(), context: context.clone() };
        let posterior = self.levels[*level].posterior(&prior, &input);
        let encoding = Encoding::new(posterior, prior).shaped(self.latent_shape(*level, features));
        let encoding = match context {
            Some(context) => encoding.with_context(Context::new(context.clone())),
            None => encoding,
        };
        match level + 1 < self.levels.len() {
            true => encoding.above(Arc::new(Below::<D, N> { model: self.clone(), from })),
            false => encoding,
        }
    }
}

/// A position between the top level and the decoder.
#[derive(Clone, Debug)]
struct Descent {
    level: usize,
    features: Arc<[Features]>,
    context: Option<Features>,
}

/// The levels below a given one.
#[derive(Debug)]
struct Below<const D: usize, N: Module + ModuleDisplay> {
    model: Autoencoder<N>,
    from: Descent,
}

impl<const D: usize, N: Network<D>> LevelBelow for Below<D, N> {
    fn given(&self, above: &Latent) -> Encoding {
        let Descent { level, features, context } = self.from.clone();
        let below = self.model.latent_shape(level + 1, &features);
        let context = self.model.network.descend(level, context, above, Some(below));
        let level = level + 1;
        let prior = self.model.levels[level].prior.given(&context);
        self.model.level::<D>(Descent { level, features, context: Some(context) }, prior)
    }
}

impl<const D: usize, N: Network<D>> Vae<D> for Autoencoder<N> {
    type Likelihood = Box<dyn Likelihood<D>>;

    fn latent_shapes(&self) -> Vec<LatentShape> {
        self.shapes.clone()
    }

    fn prior(&self) -> Prior {
        let LevelHeads { posterior, prior } = &self.levels[0];
        prior.top(|rows| {
            let shape = [&[rows.dims()[0]], &self.seen[..]].concat();
            let shape: [usize; D] = shape.try_into().expect("the rank that the model is for");
            // These rows are weights, and are what the network sees: logarithms, if the encoder sees such.
            let features = self.network.features(rows.reshape(shape));
            posterior
                .diagonal()
                .expect("checked with the prior")
                .forward(&features[0].clone().into())
        })
    }

    fn encode(&self, input: Tensor<D>, prior: &Prior) -> Encoding {
        let features = self.features(input).into();
        self.level::<D>(Descent { level: 0, features, context: None }, prior.clone())
    }

    /// # Panics
    ///
    /// If the latents do not have the shapes of the model's levels.
    fn decode(&self, latents: impl Into<Latents>) -> Box<dyn Likelihood<D>> {
        self.explained(self.context::<D>(&latents.into()))
    }

    fn explain(&self, inference: &Inference) -> Box<dyn Likelihood<D>> {
        match inference.context.as_ref().and_then(Context::get::<Features>) {
            Some(context) => {
                let levels = inference.latents.levels();
                self.below(context.clone(), &levels[levels.len() - 1])
            }
            None => self.decode(inference.latents.clone()),
        }
    }

    fn denoise(&self, input: Tensor<D>) -> Tensor<D> {
        // What one level needs is freed before the next one is computed: a large picture takes a lot of memory.
        let totals = self.likelihood.needs_totals().then(|| input.clone());
        let features = self.features(input);
        let shape = |level| self.latent_shape(level, &features);
        let shapes: Vec<_> = (0..features.len()).map(shape).collect();
        // No mean depends on the prior of the top level.
        let (mut prior, mut context) = (Prior::Standard, None);
        for (level, features) in features.into_iter().enumerate() {
            let mean = {
                let prior = std::mem::replace(&mut prior, Prior::Standard);
                let input = HeadInput { features, context: context.clone() };
                self.levels[level].posterior(&prior, &input).mean()
            };
            let latent = Latent::new(mean, shapes[level]);
            let below = shapes.get(level + 1).copied();
            let below = self.network.descend(level, context, &latent, below);
            if let Some(next) = self.levels.get(level + 1) {
                prior = next.prior.given(&below);
            }
            context = Some(below);
        }
        let law = self.explained(context.expect("a level at least"));
        match totals.and_then(|rows| law.with_total_of(rows)) {
            Some(law) => law.mean(),
            None => law.mean(),
        }
    }

    fn sample_below(&self, above: &[Latent], draws: &mut RowStreams) -> Latents {
        let shapes: Vec<_> = above.iter().map(Latent::shape).collect();
        assert!(
            self.shapes.starts_with(&shapes),
            "latents of {shapes:?}, not of {:?}",
            self.shapes
        );
        let rows = above.iter().map(|latent| latent.values().dims()[0]);
        rows.for_each(|rows| assert_eq!(rows, draws.ids().len(), "rows of latents, and of draws"));
        let device = self.levels[0].posterior.device();
        let mut prior = Vae::<D>::prior(self);
        let mut context = None;
        let mut latents = Vec::with_capacity(self.shapes.len());
        for (level, &shape) in self.shapes.iter().enumerate() {
            let latent = match above.get(level) {
                Some(latent) => latent.clone(),
                None => Latent::new(prior.sample(shape.len(), draws, &device), shape),
            };
            if let Some(below) = self.levels.get(level + 1) {
                let next = self.network.descend(
                    level,
                    context.take(),
                    &latent,
                    Some(self.shapes[level + 1]),
                );
                prior = below.prior.given(&next);
                context = Some(next);
            }
            latents.push(latent);
        }
        latents.into()
    }
}
