//! Processes by name, for files and command lines: one table.

use std::any::Any;
use std::collections::BTreeMap;

use dvae_checks::within;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::clip::ClipRange;
use crate::masking::Fill;
use crate::occlusion::Shape;
use crate::table::processes;
use crate::{
    Clean, Corruption, CorruptionContext, CorruptionError, Domain, Keyboard, Level, Strength,
    TextContext, TextCorruption, TokenProcess, TypoKind,
};

processes! {
    /// The configuration of a corruption process.
    ///
    /// ```toml
    /// process = "one-of"
    /// of = [
    ///     { process = "gaussian", level = 0.3 },
    ///     { process = "motion-blur", level = { severity = 4 } },
    ///     { process = "sequence", of = [{ process = "jpeg" }, { process = "masking", level = "0.1..0.5" }] },
    /// ]
    /// ```
    ///
    /// The default level is severity 3. The meaning of a level is defined by the process's own `SCALE`;
    /// [`CorruptionConfig::catalog`] lists them all. What depends on the data is asked of their [`Domain`] by
    /// [`CorruptionConfig::build`]: noise on numbers in `[0, 1]` is clipped to that range, unless `clip` says
    /// otherwise, and noise on others is not.
    ///
    /// As a string, for command lines: `gaussian`, `gaussian:0.3`, `gaussian:0.1..0.5` (uniform for each
    /// row), `gaussian@4` (a severity), several joined by `+` (one after the other); `mixed` is one of none
    /// and [`CorruptionConfig::standard_three`]. It is the same process as the table with this name and level.
    #[derive(
        Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, IntoStaticStr, VariantNames,
    )]
    #[serde(tag = "process", rename_all = "kebab-case", deny_unknown_fields)]
    #[strum(serialize_all = "kebab-case")]
    #[non_exhaustive]
    processes(domain, context) {
        // Any rank.
        /// [`Gaussian`].
        Gaussian(level) {
            /// The range that the result is clipped to, or "none"; that of the data's domain if left out.
            #[serde(default, skip_serializing_if = "ClipRange::is_default")]
            clip: ClipRange,
        } from gaussian => any_rank(clipped(Gaussian::new(*level)?, *clip, domain, Gaussian::clipped));
        /// [`Uniform`].
        Uniform(level) {
            /// The range that the result is clipped to, or "none"; that of the data's domain if left out.
            #[serde(default, skip_serializing_if = "ClipRange::is_default")]
            clip: ClipRange,
        } from uniform => any_rank(clipped(Uniform::new(*level)?, *clip, domain, Uniform::clipped));
        /// [`Laplace`].
        Laplace(level) {
            /// The range that the result is clipped to, or "none"; that of the data's domain if left out.
            #[serde(default, skip_serializing_if = "ClipRange::is_default")]
            clip: ClipRange,
        } from laplace => any_rank(clipped(Laplace::new(*level)?, *clip, domain, Laplace::clipped));
        /// [`Speckle`].
        Speckle(level) {
            /// The range that the result is clipped to, or "none"; that of the data's domain if left out.
            #[serde(default, skip_serializing_if = "ClipRange::is_default")]
            clip: ClipRange,
        } from speckle => any_rank(clipped(Speckle::new(*level)?, *clip, domain, Speckle::clipped));
        /// [`Masking`].
        Masking(level) {
            /// The value of erased entries; 0 if left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            fill: Option<Fill>,
        } from masking => any_rank(Masking::new(*level)?.filled(fill.as_ref()));
        /// [`Dropout`].
        Dropout(level) from dropout => any_rank(Dropout::new(*level));
        /// [`SaltAndPepper`].
        SaltAndPepper(level) {
            /// Pepper and salt; the ends of the domain's range if left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            values: Option<[f64; 2]>,
        } from salt_and_pepper => any_rank({
            let ends = ends("values", *values, domain)?;
            SaltAndPepper::new(*level)?.values(ends[0], ends[1])
        });
        /// [`SaltAndPepper::mostly_pepper`].
        MostlyPepper(level) {
            /// Pepper and salt; the ends of the domain's range if left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            values: Option<[f64; 2]>,
        } => any_rank({
            let ends = ends("values", *values, domain)?;
            SaltAndPepper::new(*level)?.mostly_pepper().values(ends[0], ends[1])
        });
        /// [`Impulse`].
        Impulse(level) {
            /// The range of the values that entries are replaced by; the domain's range if left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            values: Option<[f64; 2]>,
        } from impulse => any_rank({
            let ends = ends("values", *values, domain)?;
            Impulse::new(*level)?.values(ends[0], ends[1])
        });
        /// [`Shot`].
        Shot(level) from shot => any_rank(clipped(
            Shot::new(*level)?,
            ClipRange::Domain,
            domain,
            Shot::clipped,
        ));
        /// [`Quantization`].
        Quantization(level) {
            /// The range that the result is clipped to, or "none"; that of the data's domain if left out.
            #[serde(default, skip_serializing_if = "ClipRange::is_default")]
            clip: ClipRange,
        } from quantization => any_rank(clipped(
            Quantization::new(*level)?,
            *clip,
            domain,
            Quantization::clipped,
        ));
        /// [`Clipping`].
        Clipping(level) {
            /// The range of the data before clipping; the domain's range if left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            range: Option<[f64; 2]>,
        } from clipping => any_rank({
            let ends = ends("range", *range, domain)?;
            Clipping::new(*level)?.of_range(ends[0], ends[1])
        });
        /// [`Brightness`].
        Brightness(level) from brightness => any_rank(clipped(
            Brightness::new(*level)?,
            ClipRange::Domain,
            domain,
            Brightness::clipped,
        ));
        /// [`Gamma`].
        Gamma(level) from gamma => any_rank(in_unit(
            domain,
            "a power law that keeps both ends",
            Gamma::new(*level),
        ));

        // Images.
        /// [`Contrast`].
        Contrast(level) from contrast => images(in_unit(
            domain,
            "what leaves them is clipped",
            Contrast::new(*level),
        ));
        /// [`Saturation`].
        Saturation(level) from saturation => images(in_unit(
            domain,
            "colors, of which what leaves them is clipped",
            Saturation::new(*level),
        ));
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
        Jpeg(level) from jpeg => images(in_unit(
            domain,
            "bytes, whose coefficients are rounded",
            Jpeg::new(*level),
        ));
        /// [`Haze`].
        Haze(level) from haze => images(in_unit(
            domain,
            "a veil toward the white of 1",
            Haze::new(*level),
        ));
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
        } from occlusion => images({
            let fill = inside("fill", *fill, domain)?;
            Occlusion::new(*level)?.count(*count)?.shape(*shape).fill(fill)
        });
        /// [`DeadPixels`].
        DeadPixels(level) {
            /// The sensor's seed; all images of a sensor have the same defects.
            #[serde(default)]
            sensor: u64,
        } from dead_pixels => images(in_unit(
            domain,
            "defects are stuck at 0 or 1",
            DeadPixels::new(*level).map(|process| process.sensor(*sensor)),
        ));
        /// [`DeadLines`].
        DeadLines(level) {
            /// The sensor's seed; all images of a sensor have the same defects.
            #[serde(default)]
            sensor: u64,
        } from dead_lines => images(in_unit(
            domain,
            "defects are stuck at 0 or 1",
            DeadLines::new(*level).map(|process| process.sensor(*sensor)),
        ));
        /// [`Banding`].
        Banding(level) from banding => images(in_unit(
            domain,
            "what leaves them is clipped",
            Banding::new(*level),
        ));
        /// [`Zigzag`].
        Zigzag(level) from zigzag => images(in_unit(
            domain,
            "a line between the black of 0 and the white of 1",
            Zigzag::new(*level),
        ));
        /// [`Spatter`].
        Spatter(level) from spatter => images(in_unit(
            domain,
            "drops of the white of 1",
            Spatter::new(*level),
        ));
        /// [`Rotation`].
        Rotation(level) from rotation => images(Rotation::new(*level));
        /// [`Shear`].
        Shear(level) from shear => images(Shear::new(*level));
        /// [`Zoom`].
        Zoom(level) from zoom => images(Zoom::new(*level));
        /// [`Translation`].
        Translation(level) from translation => images(Translation::new(*level));
    }
    tables {
        /// [`Swap`].
        Swap(level) from swap => any_rank(Swap::new(*level, context.rows()?));
        /// [`MaskingByValue`].
        MaskingByValue(level) {
            /// How much the logarithm of the odds of being hidden grows with a standard deviation of the column.
            #[serde(default = "two")]
            slope: f64,
        } from masking_by => any_rank(MaskingByValue::new(*level, *slope, context.rows()?));
        /// [`MaskingByColumn`].
        MaskingByColumn(level) {
            /// How much the logarithm of the odds of being hidden grows with a standard deviation of the column that decides.
            #[serde(default = "two")]
            slope: f64,
            /// The name of the column that decides; the first one if left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            by: Option<String>,
        } from masking_by => any_rank(MaskingByColumn::new(*level, *slope, by.as_deref(), context.rows()?));
        /// [`CategoryFlip`].
        CategoryFlip(level) from cells => any_rank(CategoryFlip::new(*level, context.rows()?));
        /// [`Jitter`].
        Jitter(level) from cells => any_rank(Jitter::new(*level, context.rows()?));
        /// [`Outliers`].
        Outliers(level) {
            /// How many standard deviations of the column a number is off, in the mean.
            #[serde(default = "five")]
            size: f64,
        } from cells => any_rank(Outliers::new(*level, *size, context.rows()?));
        /// [`Rounding`].
        Rounding(level) from cells => any_rank(Rounding::new(*level, context.rows()?));
        /// [`UnitSlip`].
        UnitSlip(level) from cells => any_rank(UnitSlip::new(*level, context.rows()?));
    }
    texts {
        /// [`Typos`].
        Typos(level) {
            /// The kinds of errors with their weights, such as `{ delete = 2, neighbor = 1 }`; four with equal weights if left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            kinds: Option<BTreeMap<TypoKind, f64>>,
            /// The keyboard: `qwerty`, `qwertz` or `azerty`.
            #[serde(default)]
            keyboard: Keyboard,
        } from typos => any_rank(Typos::new(*level)?.configured(kinds.as_ref(), *keyboard, context.texts()?));
        /// [`LearnedTypos`].
        LearnedTypos(level) from typos => any_rank({
            let texts = context.texts()?;
            let process = LearnedTypos::new(*level, texts.typos()?)?;
            Ok(TokenProcess::new(process, texts.vocabulary))
        });
    }
    counts {
        /// [`BinomialThinning`].
        BinomialThinning(level) from binomial_thinning => any_rank(match domain {
            Domain::Counts => BinomialThinning::new(*level),
            domain => Err(CorruptionError::CountsOnly { domain }),
        });
    }
    combinations {
        /// [`Sequence`].
        Sequence {
            /// The processes, in the order of application.
            of: Vec<CorruptionConfig>,
        } from sequence => any_rank(Sequence::new(all(of, context)?));
        /// [`OneOf`].
        OneOf {
            /// The processes.
            of: Vec<CorruptionConfig>,
            /// The weights of the choice; equal if left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            weights: Option<Vec<f64>>,
        } from one_of => any_rank(match weights {
            Some(weights) => OneOf::weighted(all(of, context)?, weights),
            None => OneOf::new(all(of, context)?),
        });
        /// [`Sometimes`].
        Sometimes {
            /// The probability that a row is corrupted.
            probability: f64,
            /// The process.
            of: Box<CorruptionConfig>,
        } from sometimes => any_rank(Sometimes::new(*probability, of.build(context)?));
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
        } from part => images(part(of.build(context)?, channels.as_deref(), [*lines, *columns]));
        /// [`ShowMask`].
        ShowMask {
            /// The process.
            of: Box<CorruptionConfig>,
        } from show_mask => any_rank(ShowMask::new(of.build(context)?));
    }
}

fn one() -> usize {
    1
}

fn two() -> f64 {
    2.0
}

fn five() -> f64 {
    5.0
}

impl CorruptionConfig {
    /// The corruptions that the examples measure: Gaussian noise of σ = 0.3, masking of half the entries, and
    /// salt and pepper on a fifth of them.
    pub fn standard_three() -> [Self; 3] {
        [
            Self::Gaussian { level: 0.3.into(), clip: ClipRange::Domain },
            Self::Masking { level: 0.5.into(), fill: None },
            Self::SaltAndPepper { level: 0.2.into(), values: None },
        ]
    }

    /// The process's name, as in a file.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// The level and its meaning, which do not depend on the data; `None` if the parameters are out of range.
    pub fn strength(&self) -> Option<Strength> {
        // Every process is for one of these domains. What is right does not depend on a table or on texts.
        let domains = [Domain::Unit, Domain::Real, Domain::Counts, Domain::Tokens];
        let contexts = domains.map(CorruptionContext::of_any);
        let process = contexts.iter().find_map(|context| self.build::<4>(context).ok())?;
        Some(process.strength())
    }

    /// Builds the process for texts as they stand, with the letters of the vocabulary. An error says that it is not one of texts, or is a
    /// combination.
    pub fn build_for_texts(
        &self,
        texts: &TextContext,
    ) -> Result<Box<dyn TextCorruption>, CorruptionError> {
        let process = match self {
            Self::Typos { level, kinds, keyboard } => Typos::new(*level)
                .and_then(|typos| typos.configured(kinds.as_ref(), *keyboard, texts.clone()))
                .map(TokenProcess::into_process),
            Self::LearnedTypos { level } => texts.typos().and_then(|model| {
                Ok(Box::new(LearnedTypos::new(*level, model)?) as Box<dyn TextCorruption>)
            }),
            _ => Err(CorruptionError::NotForText),
        };
        process.map_err(|source| CorruptionError::In {
            process: self.name(),
            source: Box::new(source),
        })
    }

    /// Builds the process for data of this domain, or for a table or texts, in tensors of rank `D`.
    ///
    /// An error names the process, and either the parameter that is out of range or why the process is not
    /// for the data.
    pub fn build<const D: usize>(
        &self,
        context: impl Into<CorruptionContext>,
    ) -> Result<Box<dyn Corruption<D>>, CorruptionError> {
        let context = context.into();
        let built = match context.domain {
            Domain::Tokens if !self.is_for_text() => Err(CorruptionError::NotForText),
            _ => self.built(&context),
        };
        built.map_err(|source| CorruptionError::In {
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
    context: &CorruptionContext,
) -> Result<Vec<Box<dyn Corruption<D>>>, CorruptionError> {
    of.iter().map(|config| config.build(context)).collect()
}

fn part(
    process: Box<dyn Corruption<4>>,
    channels: Option<&[usize]>,
    [lines, columns]: [Option<[usize; 2]>; 2],
) -> Result<Part, CorruptionError> {
    let part = Part::new(process)?;
    let part = match channels {
        Some(channels) => part.channels(channels)?,
        None => part,
    };
    let range = |ends: Option<[usize; 2]>| ends.map(|[start, end]| start..end);
    part.region(range(lines), range(columns))
}

/// Clips the process as the file says; if it does not, to the domain's range.
fn clipped<P>(
    process: P,
    clip: ClipRange,
    domain: Domain,
    to: fn(P, f64, f64) -> Result<P, CorruptionError>,
) -> Result<P, CorruptionError> {
    match clip.of(domain) {
        Some([low, high]) => to(process, low, high),
        None => Ok(process),
    }
}

/// The two numbers given, or else the ends of the domain's range; an error if it has none.
fn ends(
    name: &'static str,
    given: Option<[f64; 2]>,
    domain: Domain,
) -> Result<[f64; 2], CorruptionError> {
    given.or(domain.range()).ok_or(CorruptionError::NoRange { name, domain })
}

/// A value within the domain's range, or any value if it has none.
fn inside(name: &'static str, value: f64, domain: Domain) -> Result<f64, CorruptionError> {
    match domain.range() {
        Some([low, high]) => Ok(within(name, value, low..=high)?),
        None => Ok(value),
    }
}

/// A process that is only for numbers in `[0, 1]`; `why` says what it does there.
fn in_unit<P>(
    domain: Domain,
    why: &'static str,
    process: Result<P, CorruptionError>,
) -> Result<P, CorruptionError> {
    match domain {
        Domain::Unit => process,
        _ => process.and(Err(CorruptionError::UnitOnly { domain, why })),
    }
}
