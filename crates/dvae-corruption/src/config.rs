//! Processes by name, for files and command lines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::{
    Banding, Brightness, Clean, Clipping, Contrast, Corruption, CorruptionError, DeadLines,
    DeadPixels, Defocus, Dropout, Gamma, Gaussian, GaussianBlur, Haze, Impulse, Jpeg, Laplace,
    Level, Masking, MotionBlur, Occlusion, OneOf, Part, Pixelate, Quantization, Rotation,
    SaltAndPepper, SaltLaw, Saturation, Sequence, Shape, Shear, Shot, ShowMask, Sometimes, Spatter,
    Speckle, Strength, Translation, Uniform, Zigzag, Zoom,
};

/// A corruption process as it stands in a configuration file.
///
/// ```toml
/// process = "one-of"
/// of = [
///     { process = "gaussian", level = 0.3, clip = [0.0, 1.0] },
///     { process = "motion-blur", level = { severity = 4 } },
///     { process = "sequence", of = [{ process = "jpeg" }, { process = "masking", level = "0.1..0.5" }] },
/// ]
/// ```
///
/// A level that is left out is severity 3. What a level means is the process's own `SCALE`;
/// [`CorruptionConfig::catalog`] lists them all.
///
/// As text, for command lines: `gaussian`, `gaussian:0.3`, `gaussian:0.1..0.5` (uniform for each row),
/// `gaussian@4` (a severity), several joined by `+` (one after the other); `mixed` is one of none and
/// [`CorruptionConfig::standard_three`]. Additive noise is then clipped to `[0, 1]`.
#[derive(
    Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, IntoStaticStr, VariantNames,
)]
#[serde(tag = "process", rename_all = "kebab-case", deny_unknown_fields)]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
#[allow(missing_docs)] // A variant's fields are the parameters of the process that it names.
pub enum CorruptionConfig {
    /// [`Clean`].
    None {},

    // Any rank.
    /// [`Gaussian`].
    Gaussian {
        #[serde(default)]
        level: Level,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clip: Option<[f64; 2]>,
    },
    /// [`Uniform`].
    Uniform {
        #[serde(default)]
        level: Level,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clip: Option<[f64; 2]>,
    },
    /// [`Laplace`].
    Laplace {
        #[serde(default)]
        level: Level,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clip: Option<[f64; 2]>,
    },
    /// [`Speckle`].
    Speckle {
        #[serde(default)]
        level: Level,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clip: Option<[f64; 2]>,
    },
    /// [`Masking`].
    Masking {
        #[serde(default)]
        level: Level,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fill: Option<Fill>,
    },
    /// [`Dropout`].
    Dropout {
        #[serde(default)]
        level: Level,
    },
    /// [`SaltAndPepper`] by [`SaltLaw::Symmetric`].
    SaltAndPepper {
        #[serde(default)]
        level: Level,
    },
    /// [`SaltAndPepper`] by [`SaltLaw::MostlyPepper`].
    MostlyPepper {
        #[serde(default)]
        level: Level,
    },
    /// [`Impulse`].
    Impulse {
        #[serde(default)]
        level: Level,
        #[serde(default = "unit")]
        values: [f64; 2],
    },
    /// [`Shot`].
    Shot {
        #[serde(default)]
        level: Level,
    },
    /// [`Quantization`].
    Quantization {
        #[serde(default)]
        level: Level,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clip: Option<[f64; 2]>,
    },
    /// [`Clipping`].
    Clipping {
        #[serde(default)]
        level: Level,
        #[serde(default = "unit")]
        range: [f64; 2],
    },
    /// [`Brightness`].
    Brightness {
        #[serde(default)]
        level: Level,
    },
    /// [`Gamma`].
    Gamma {
        #[serde(default)]
        level: Level,
    },

    // Images.
    /// [`Contrast`].
    Contrast {
        #[serde(default)]
        level: Level,
    },
    /// [`Saturation`].
    Saturation {
        #[serde(default)]
        level: Level,
    },
    /// [`GaussianBlur`].
    GaussianBlur {
        #[serde(default)]
        level: Level,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kernel: Option<usize>,
    },
    /// [`Defocus`].
    Defocus {
        #[serde(default)]
        level: Level,
    },
    /// [`MotionBlur`].
    MotionBlur {
        #[serde(default)]
        level: Level,
    },
    /// [`Pixelate`].
    Pixelate {
        #[serde(default)]
        level: Level,
    },
    /// [`Jpeg`].
    Jpeg {
        #[serde(default)]
        level: Level,
    },
    /// [`Haze`].
    Haze {
        #[serde(default)]
        level: Level,
    },
    /// [`Occlusion`].
    Occlusion {
        #[serde(default)]
        level: Level,
        #[serde(default = "one")]
        count: usize,
        #[serde(default)]
        shape: Shape,
        #[serde(default)]
        fill: f64,
    },
    /// [`DeadPixels`].
    DeadPixels {
        #[serde(default)]
        level: Level,
        #[serde(default)]
        sensor: u64,
    },
    /// [`DeadLines`].
    DeadLines {
        #[serde(default)]
        level: Level,
        #[serde(default)]
        sensor: u64,
    },
    /// [`Banding`].
    Banding {
        #[serde(default)]
        level: Level,
    },
    /// [`Zigzag`].
    Zigzag {
        #[serde(default)]
        level: Level,
    },
    /// [`Spatter`].
    Spatter {
        #[serde(default)]
        level: Level,
    },
    /// [`Rotation`].
    Rotation {
        #[serde(default)]
        level: Level,
    },
    /// [`Shear`].
    Shear {
        #[serde(default)]
        level: Level,
    },
    /// [`Zoom`].
    Zoom {
        #[serde(default)]
        level: Level,
    },
    /// [`Translation`].
    Translation {
        #[serde(default)]
        level: Level,
    },

    // Combinations.
    /// [`Sequence`].
    Sequence { of: Vec<CorruptionConfig> },
    /// [`OneOf`]; equal weights if none are given.
    OneOf {
        of: Vec<CorruptionConfig>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weights: Option<Vec<f64>>,
    },
    /// [`Sometimes`].
    Sometimes { probability: f64, of: Box<CorruptionConfig> },
    /// [`Part`]; the ends of lines and columns are not part of it.
    Part {
        of: Box<CorruptionConfig>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channels: Option<Vec<usize>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lines: Option<[usize; 2]>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<[usize; 2]>,
    },
    /// [`ShowMask`].
    ShowMask { of: Box<CorruptionConfig> },
}

/// What masked entries become.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "`fill` must be a number, or a list of one number for each entry")]
pub enum Fill {
    /// The same value for all.
    Constant(f64),
    /// One for each entry of a row.
    Features(Vec<f32>),
}

pub(crate) fn unit() -> [f64; 2] {
    [0.0, 1.0]
}

fn one() -> usize {
    1
}

impl CorruptionConfig {
    /// The damages that the examples measure: Gaussian noise of σ = 0.3 clipped to `[0, 1]`,
    /// masking of half the entries, and salt and pepper on a fifth of them.
    pub fn standard_three() -> [Self; 3] {
        [
            Self::Gaussian { level: 0.3.into(), clip: Some(unit()) },
            Self::Masking { level: 0.5.into(), fill: None },
            Self::SaltAndPepper { level: 0.2.into() },
        ]
    }

    /// The process's name, as in a file.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// What the level is and means; nothing if the parameters are out of range.
    pub fn strength(&self) -> Option<Strength> {
        Some(self.build::<4>().ok()?.strength())
    }

    /// The process, for tensors of rank `D`; an error names the process and the parameter that is out of
    /// range.
    pub fn build<const D: usize>(&self) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        self.of_any_rank().unwrap_or_else(|| self.of_images()).map_err(|source| {
            CorruptionError::In { process: self.name(), source: Box::new(source) }
        })
    }

    /// A process or a combination that takes any rank; nothing of the others.
    fn of_any_rank<const D: usize>(
        &self,
    ) -> Option<Result<Box<dyn Corruption<D>>, CorruptionError>> {
        // Each line may fail, and says so at the end.
        let built = || -> Result<Option<Box<dyn Corruption<D>>>, CorruptionError> {
            let all = |of: &[Self]| of.iter().map(Self::build).collect::<Result<Vec<_>, _>>();
            Ok(Some(match self {
                Self::None {} => Box::new(Clean),
                Self::Gaussian { level, clip } => {
                    clipped(Gaussian::new(*level)?, *clip, Gaussian::clipped)?
                }
                Self::Uniform { level, clip } => {
                    clipped(Uniform::new(*level)?, *clip, Uniform::clipped)?
                }
                Self::Laplace { level, clip } => {
                    clipped(Laplace::new(*level)?, *clip, Laplace::clipped)?
                }
                Self::Speckle { level, clip } => {
                    clipped(Speckle::new(*level)?, *clip, Speckle::clipped)?
                }
                Self::Masking { level, fill } => Box::new(match fill {
                    None => Masking::new(*level)?,
                    Some(Fill::Constant(value)) => Masking::new(*level)?.fill(*value)?,
                    Some(Fill::Features(values)) => {
                        Masking::new(*level)?.fill_features(values.clone())?
                    }
                }),
                Self::Dropout { level } => Box::new(Dropout::new(*level)?),
                Self::SaltAndPepper { level } => {
                    Box::new(SaltAndPepper::new(*level, SaltLaw::Symmetric)?)
                }
                Self::MostlyPepper { level } => {
                    Box::new(SaltAndPepper::new(*level, SaltLaw::MostlyPepper)?)
                }
                Self::Impulse { level, values: [low, high] } => {
                    Box::new(Impulse::new(*level)?.values(*low, *high)?)
                }
                Self::Shot { level } => Box::new(Shot::new(*level)?),
                Self::Quantization { level, clip } => {
                    clipped(Quantization::new(*level)?, *clip, Quantization::clipped)?
                }
                Self::Clipping { level, range: [low, high] } => {
                    Box::new(Clipping::new(*level)?.of_range(*low, *high)?)
                }
                Self::Brightness { level } => Box::new(Brightness::new(*level)?),
                Self::Gamma { level } => Box::new(Gamma::new(*level)?),
                Self::Sequence { of } => Box::new(Sequence::new(all(of)?)?),
                Self::OneOf { of, weights: None } => Box::new(OneOf::new(all(of)?)?),
                Self::OneOf { of, weights: Some(weights) } => {
                    Box::new(OneOf::weighted(all(of)?, weights)?)
                }
                Self::Sometimes { probability, of } => {
                    Box::new(Sometimes::new(*probability, of.build()?)?)
                }
                Self::ShowMask { of } => Box::new(ShowMask::new(of.build()?)?),
                _ => return Ok(None),
            }))
        };
        built().transpose()
    }

    /// A process that knows lines and columns; an error if the rank is not that of images.
    fn of_images<const D: usize>(&self) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        let process: Box<dyn std::any::Any> = Box::new(self.build_for_images()?);
        // The same type if `D` is 4.
        let process = process.downcast::<Box<dyn Corruption<D>>>();
        process.map(|process| *process).map_err(|_| CorruptionError::Rank { rank: D })
    }

    fn build_for_images(&self) -> Result<Box<dyn Corruption<4>>, CorruptionError> {
        Ok(match self {
            Self::Contrast { level } => Box::new(Contrast::new(*level)?),
            Self::Saturation { level } => Box::new(Saturation::new(*level)?),
            Self::GaussianBlur { level, kernel } => {
                let process = GaussianBlur::new(*level)?;
                Box::new(kernel.map_or(Ok(process), |size| process.kernel(size))?)
            }
            Self::Defocus { level } => Box::new(Defocus::new(*level)?),
            Self::MotionBlur { level } => Box::new(MotionBlur::new(*level)?),
            Self::Pixelate { level } => Box::new(Pixelate::new(*level)?),
            Self::Jpeg { level } => Box::new(Jpeg::new(*level)?),
            Self::Haze { level } => Box::new(Haze::new(*level)?),
            Self::Occlusion { level, count, shape, fill } => {
                Box::new(Occlusion::new(*level)?.count(*count)?.shape(*shape).fill(*fill)?)
            }
            Self::DeadPixels { level, sensor } => {
                Box::new(DeadPixels::new(*level)?.sensor(*sensor))
            }
            Self::DeadLines { level, sensor } => Box::new(DeadLines::new(*level)?.sensor(*sensor)),
            Self::Banding { level } => Box::new(Banding::new(*level)?),
            Self::Zigzag { level } => Box::new(Zigzag::new(*level)?),
            Self::Spatter { level } => Box::new(Spatter::new(*level)?),
            Self::Rotation { level } => Box::new(Rotation::new(*level)?),
            Self::Shear { level } => Box::new(Shear::new(*level)?),
            Self::Zoom { level } => Box::new(Zoom::new(*level)?),
            Self::Translation { level } => Box::new(Translation::new(*level)?),
            Self::Part { of, channels, lines, columns } => {
                let mut part = Part::new(of.build()?)?;
                if let Some(channels) = channels {
                    part = part.channels(channels)?;
                }
                if lines.is_some() || columns.is_some() {
                    let range = |ends: &Option<[usize; 2]>| ends.map(|[start, end]| start..end);
                    part = part.region(range(lines), range(columns))?;
                }
                Box::new(part)
            }
            _ => unreachable!("every other process takes any rank"),
        })
    }
}

/// The process, clipped if a range is given.
fn clipped<const D: usize, P: Corruption<D> + 'static>(
    process: P,
    clip: Option<[f64; 2]>,
    to: fn(P, f64, f64) -> Result<P, CorruptionError>,
) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
    Ok(match clip {
        Some([low, high]) => Box::new(to(process, low, high)?),
        None => Box::new(process),
    })
}
