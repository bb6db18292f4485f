//! Dead pixels: a fixed pattern of stuck pixels, as in one sensor.

use burn::tensor::Tensor;
use dvae_random::RowStreams;

use crate::rows::each_image;
use crate::sensor::{Part, pattern, stick};
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Scale, Strength};

/// Dead and hot pixels of one sensor.
///
/// ```text
/// x̃(y, x) = s(y, x) where the sensor's pixel is stuck, x(y, x) elsewhere,
/// P(stuck) = ν,   s ~ Bernoulli(½), drawn once for the sensor
/// ```
///
/// The pattern depends only on the sensor's seed and the size of the image: it is the same for every row,
/// epoch and channel. A higher rate adds pixels to those of a lower rate. If the rate is drawn for each row,
/// a row gets the part of the pattern that belongs to its rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeadPixels {
    level: Level,
    sensor: u64,
}

impl DeadPixels {
    /// The meaning of the level.
    pub const SCALE: Scale = Scale {
        name: "rate",
        meaning: "share of pixels that are stuck",
        range: [0.0, 1.0],
        null: 0.0,
        severities: [0.005, 0.01, 0.03, 0.06, 0.12],
    };

    /// A sensor of seed 0 whose pixels are stuck with probability `rate`, in `[0, 1]`.
    pub fn new(rate: impl Into<Level>) -> Result<Self, CorruptionError> {
        Ok(Self { level: Self::SCALE.resolve(rate)?, sensor: 0 })
    }

    /// Uses the pattern of another sensor.
    pub fn sensor(self, seed: u64) -> Self {
        Self { sensor: seed, ..self }
    }
}

impl Corruption<4> for DeadPixels {
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        let [_, _, height, width] = clean.dims();
        let pattern = pattern(self.sensor, Part::Pixel, height * width);
        each_image(self.strength(), clean, draws, |_, out, rate, _| stick(out, &pattern, rate))
    }

    fn strength(&self) -> Strength {
        Strength { level: self.level, scale: Self::SCALE }
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<4>>, CorruptionError> {
        Ok(Box::new(Self { level: Self::SCALE.resolve(level)?, ..*self }))
    }
}
