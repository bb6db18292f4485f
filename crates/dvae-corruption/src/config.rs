//! Processes by name, for files and command lines: one table.

use std::any::Any;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::masking::Fill;
use crate::occlusion::Shape;
use crate::table::processes;
use crate::{Clean, Corruption, CorruptionError, Level, Strength};

processes! {
    /// The configuration of a corruption process.
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
    /// The default level is severity 3. The meaning of a level is defined by the process's own `SCALE`;
    /// [`CorruptionConfig::catalog`] lists them all.
    ///
    /// As a string, for command lines: `gaussian`, `gaussian:0.3`, `gaussian:0.1..0.5` (uniform for each
    /// row), `gaussian@4` (a severity), several joined by `+` (one after the other); `mixed` is one of none
    /// and [`CorruptionConfig::standard_three`]. In this form additive noise is clipped to `[0, 1]`.
    #[derive(
        Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, IntoStaticStr, VariantNames,
    )]
    #[serde(tag = "process", rename_all = "kebab-case", deny_unknown_fields)]
    #[strum(serialize_all = "kebab-case")]
    #[non_exhaustive]
    processes {
        // Any rank.
        /// [`Gaussian`].
        Gaussian(level) {
            /// The range that the result is clipped to.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            clip: Option<[f64; 2]>,
        } from gaussian => any_rank(clipped(Gaussian::new(*level)?, *clip, Gaussian::clipped));
        /// [`Uniform`].
        Uniform(level) {
            /// The range that the result is clipped to.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            clip: Option<[f64; 2]>,
        } from uniform => any_rank(clipped(Uniform::new(*level)?, *clip, Uniform::clipped));
        /// [`Laplace`].
        Laplace(level) {
            /// The range that the result is clipped to.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            clip: Option<[f64; 2]>,
        } from laplace => any_rank(clipped(Laplace::new(*level)?, *clip, Laplace::clipped));
        /// [`Speckle`].
        Speckle(level) {
            /// The range that the result is clipped to.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            clip: Option<[f64; 2]>,
        } from speckle => any_rank(clipped(Speckle::new(*level)?, *clip, Speckle::clipped));
        /// [`Masking`].
        Masking(level) {
            /// The value of erased entries; 0 if left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            fill: Option<Fill>,
        } from masking => any_rank(Masking::new(*level)?.filled(fill.as_ref()));
        /// [`Dropout`].
        Dropout(level) from dropout => any_rank(Dropout::new(*level));
        /// [`SaltAndPepper`].
        SaltAndPepper(level) from salt_and_pepper => any_rank(SaltAndPepper::new(*level));
        /// [`SaltAndPepper::mostly_pepper`].
        MostlyPepper(level) => any_rank(SaltAndPepper::new(*level).map(SaltAndPepper::mostly_pepper));
        /// [`Impulse`].
        Impulse(level) {
            /// The range of the values that entries are replaced by.
            #[serde(default = "unit")]
            values: [f64; 2],
        } from impulse => any_rank(Impulse::new(*level)?.values(values[0], values[1]));
        /// [`Shot`].
        Shot(level) from shot => any_rank(Shot::new(*level));
        /// [`Quantization`].
        Quantization(level) {
            /// The range that the result is clipped to.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            clip: Option<[f64; 2]>,
        } from quantization => any_rank(clipped(Quantization::new(*level)?, *clip, Quantization::clipped));
        /// [`Clipping`].
        Clipping(level) {
            /// The range of the data before clipping.
            #[serde(default = "unit")]
            range: [f64; 2],
        } from clipping => any_rank(Clipping::new(*level)?.of_range(range[0], range[1]));
        /// [`Brightness`].
        Brightness(level) from brightness => any_rank(Brightness::new(*level));
        /// [`Gamma`].
        Gamma(level) from gamma => any_rank(Gamma::new(*level));

        // Images.
        /// [`Contrast`].
        Contrast(level) from contrast => images(Contrast::new(*level));
        /// [`Saturation`].
        Saturation(level) from saturation => images(Saturation::new(*level));
        /// [`GaussianBlur`].
        GaussianBlur(level) {
            /// The side of the kernel in pixels, odd; chosen to fit `σ` if left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            kernel: Option<usize>,
        } from gaussian_blur => images(match kernel {
            Some(size) => GaussianBlur::new(*level)?.kernel(*size),
            None => GaussianBlur::new(*level),
        });
        /// [`Defocus`].
        Defocus(level) from defocus => images(Defocus::new(*level));
        /// [`MotionBlur`].
        MotionBlur(level) from motion_blur => images(MotionBlur::new(*level));
        /// [`Pixelate`].
        Pixelate(level) from pixelate => images(Pixelate::new(*level));
        /// [`Jpeg`].
        Jpeg(level) from jpeg => images(Jpeg::new(*level));
        /// [`Haze`].
        Haze(level) from haze => images(Haze::new(*level));
        /// [`Occlusion`].
        Occlusion(level) {
            /// The number of shapes that share the hidden area.
            #[serde(default = "one")]
            count: usize,
            /// The kind of shapes.
            #[serde(default)]
            shape: Shape,
            /// The value of the shapes.
            #[serde(default)]
            fill: f64,
        } from occlusion => images(Occlusion::new(*level)?.count(*count)?.shape(*shape).fill(*fill));
        /// [`DeadPixels`].
        DeadPixels(level) {
            /// The sensor's seed; all images of a sensor have the same defects.
            #[serde(default)]
            sensor: u64,
        } from dead_pixels => images(Ok(DeadPixels::new(*level)?.sensor(*sensor)));
        /// [`DeadLines`].
        DeadLines(level) {
            /// The sensor's seed; all images of a sensor have the same defects.
            #[serde(default)]
            sensor: u64,
        } from dead_lines => images(Ok(DeadLines::new(*level)?.sensor(*sensor)));
        /// [`Banding`].
        Banding(level) from banding => images(Banding::new(*level));
        /// [`Zigzag`].
        Zigzag(level) from zigzag => images(Zigzag::new(*level));
        /// [`Spatter`].
        Spatter(level) from spatter => images(Spatter::new(*level));
        /// [`Rotation`].
        Rotation(level) from rotation => images(Rotation::new(*level));
        /// [`Shear`].
        Shear(level) from shear => images(Shear::new(*level));
        /// [`Zoom`].
        Zoom(level) from zoom => images(Zoom::new(*level));
        /// [`Translation`].
        Translation(level) from translation => images(Translation::new(*level));
    }
    combinations {
        /// [`Sequence`].
        Sequence {
            /// The processes, in the order of application.
            of: Vec<CorruptionConfig>,
        } from sequence => any_rank(Sequence::new(all(of)?));
        /// [`OneOf`].
        OneOf {
            /// The processes.
            of: Vec<CorruptionConfig>,
            /// The weights of the choice; equal if left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            weights: Option<Vec<f64>>,
        } from one_of => any_rank(match weights {
            Some(weights) => OneOf::weighted(all(of)?, weights),
            None => OneOf::new(all(of)?),
        });
        /// [`Sometimes`].
        Sometimes {
            /// The probability that a row is corrupted.
            probability: f64,
            /// The process.
            of: Box<CorruptionConfig>,
        } from sometimes => any_rank(Sometimes::new(*probability, of.build()?));
        /// [`Part`]; the ends of line and column ranges are exclusive.
        Part {
            /// The process.
            of: Box<CorruptionConfig>,
            /// The channels; all if left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            channels: Option<Vec<usize>>,
            /// The first line and the one after the last; all lines if left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            lines: Option<[usize; 2]>,
            /// The first column and the one after the last; all columns if left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            columns: Option<[usize; 2]>,
        } from part => images(part(of, channels.as_deref(), [*lines, *columns]));
        /// [`ShowMask`].
        ShowMask {
            /// The process.
            of: Box<CorruptionConfig>,
        } from show_mask => any_rank(ShowMask::new(of.build()?));
    }
}

pub(crate) fn unit() -> [f64; 2] {
    [0.0, 1.0]
}

fn one() -> usize {
    1
}

impl CorruptionConfig {
    /// The corruptions that the examples measure: Gaussian noise of σ = 0.3 clipped to `[0, 1]`, masking of
    /// half the entries, and salt and pepper on a fifth of them.
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

    /// The level and its meaning; `None` if the parameters are out of range.
    pub fn strength(&self) -> Option<Strength> {
        Some(self.build::<4>().ok()?.strength())
    }

    /// Builds the process for tensors of rank `D`; an error names the process and the parameter that is out
    /// of range.
    pub fn build<const D: usize>(&self) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        self.built().map_err(|source| CorruptionError::In {
            process: self.name(),
            source: Box::new(source),
        })
    }
}

/// Boxes a process that accepts any rank.
fn any_rank<const D: usize, P: Corruption<D> + 'static>(
    process: Result<P, CorruptionError>,
) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
    Ok(Box::new(process?))
}

/// Boxes a process of images; an error if the rank is not 4.
fn images<const D: usize, P: Corruption<4> + 'static>(
    process: Result<P, CorruptionError>,
) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
    let process: Box<dyn Corruption<4>> = Box::new(process?);
    let process: Box<dyn Any> = Box::new(process);
    // The same type if `D` is 4.
    let process = process.downcast::<Box<dyn Corruption<D>>>();
    process.map(|process| *process).map_err(|_| CorruptionError::Rank { rank: D })
}

fn all<const D: usize>(
    of: &[CorruptionConfig],
) -> Result<Vec<Box<dyn Corruption<D>>>, CorruptionError> {
    of.iter().map(CorruptionConfig::build).collect()
}

fn part(
    of: &CorruptionConfig,
    channels: Option<&[usize]>,
    [lines, columns]: [Option<[usize; 2]>; 2],
) -> Result<Part, CorruptionError> {
    let part = Part::new(of.build()?)?;
    let part = match channels {
        Some(channels) => part.channels(channels)?,
        None => part,
    };
    let range = |ends: Option<[usize; 2]>| ends.map(|[start, end]| start..end);
    part.region(range(lines), range(columns))
}

/// Clips the process if a range is given.
fn clipped<P>(
    process: P,
    clip: Option<[f64; 2]>,
    to: fn(P, f64, f64) -> Result<P, CorruptionError>,
) -> Result<P, CorruptionError> {
    match clip {
        Some([low, high]) => to(process, low, high),
        None => Ok(process),
    }
}
