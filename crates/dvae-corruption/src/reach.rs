//! The interval that corrupted values stay in.

use crate::masking::Fill;
use crate::{ClipRange, CorruptionConfig, Domain, Laplace, Level, Strength};

/// A bound of standard normals, in standard deviations: those of the streams end at 5.77.
const NORMAL: f64 = 6.0;
/// The smallest share of an entry that dropout divides by: uniforms have 24 bits.
const SMALLEST_SHARE: f64 = 1.0 / (1 << 24) as f64;

impl CorruptionConfig {
    /// The interval that values of clean and corrupted rows stay in, up to the rounding of a float; `None` for
    /// a domain without a range, and if the parameters are out of range.
    ///
    /// Any level that the process may have counts: the largest one that is drawn or scheduled. Use it to
    /// refuse inputs that no training input could have looked like.
    ///
    /// ```
    /// use dvae_corruption::{CorruptionConfig, Domain};
    ///
    /// let clipped: CorruptionConfig = "gaussian:0.3".parse()?;
    /// assert_eq!(clipped.reach(Domain::Unit), Some([0.0, 1.0]));
    /// assert_eq!(clipped.reach(Domain::Real), None);
    /// # Ok::<(), dvae_corruption::CorruptionError>(())
    /// ```
    pub fn reach(&self, domain: Domain) -> Option<[f64; 2]> {
        let clean = domain.range()?;
        Some(union(clean, self.reach_from(clean, domain)?))
    }

    /// Whether values of at least 0 stay so, whatever their size: they are erased, counted anew or scaled.
    pub fn is_never_negative(&self) -> bool {
        match self {
            Self::None {} | Self::Masking { fill: None, .. } | Self::Dropout { .. } => true,
            Self::Shot { .. } | Self::BinomialThinning { .. } => true,
            Self::Swap { .. } | Self::MaskingByValue { .. } | Self::MaskingByColumn { .. } => true,
            Self::CategoryFlip { .. } => true,
            Self::Sequence { of } | Self::OneOf { of, .. } => {
                of.iter().all(Self::is_never_negative)
            }
            Self::Sometimes { of, .. } | Self::Part { of, .. } | Self::ShowMask { of } => {
                of.is_never_negative()
            }
            _ => false,
        }
    }

    /// Whether counts stay counts: they are erased, thinned, or become others of the same data.
    pub fn keeps_counts(&self) -> bool {
        match self {
            Self::None {} | Self::Masking { fill: None, .. } => true,
            Self::Swap { .. } | Self::MaskingByValue { .. } | Self::MaskingByColumn { .. } => true,
            Self::CategoryFlip { .. } | Self::BinomialThinning { .. } => true,
            Self::Sequence { of } | Self::OneOf { of, .. } => of.iter().all(Self::keeps_counts),
            Self::Sometimes { of, .. } | Self::Part { of, .. } | Self::ShowMask { of } => {
                of.keeps_counts()
            }
            _ => false,
        }
    }

    /// Whether it, or a part of it, is one of these processes.
    fn has_part(&self, of_names: &[&str]) -> bool {
        match self {
            Self::Sequence { of } | Self::OneOf { of, .. } => {
                of.iter().any(|part| part.has_part(of_names))
            }
            Self::Sometimes { of, .. } | Self::Part { of, .. } | Self::ShowMask { of } => {
                of.has_part(of_names)
            }
            alone => of_names.contains(&alone.name()),
        }
    }

    /// Whether it, or a part of it, is for counts alone.
    pub fn needs_counts(&self) -> bool {
        self.has_part(Self::of_counts())
    }

    /// Whether it, or a part of it, is for texts alone.
    pub fn needs_text(&self) -> bool {
        self.has_part(Self::of_texts())
    }

    /// Whether rows of tokens stay such: errors in texts, none, or one of several such processes. Errors of one process after another's
    /// would say wrongly which characters changed, since places move.
    pub(crate) fn is_for_text(&self) -> bool {
        match self {
            Self::None {} => true,
            Self::OneOf { of, .. } => of.iter().all(Self::is_for_text),
            Self::Sometimes { of, .. } => of.is_for_text(),
            alone => Self::of_texts().contains(&alone.name()),
        }
    }

    /// Whether it is for tables in which some columns are classes: a cell is erased, or becomes another one of its column's kind.
    pub fn keeps_classes(&self) -> bool {
        match self {
            Self::None {} | Self::Masking { .. } => true,
            Self::Sequence { of } | Self::OneOf { of, .. } => of.iter().all(Self::keeps_classes),
            Self::Sometimes { of, .. } | Self::ShowMask { of } => of.keeps_classes(),
            _ => self.needs_table(),
        }
    }

    /// Whether it, or a part of it, is for tables alone: [`Self::build`] then wants the training rows.
    pub fn needs_table(&self) -> bool {
        self.has_part(Self::of_tables())
    }

    /// The interval that values from `range` stay in when they are corrupted.
    fn reach_from(&self, range: [f64; 2], domain: Domain) -> Option<[f64; 2]> {
        match self {
            Self::None {} => Some(range),
            Self::Sequence { of } => {
                of.iter().try_fold(range, |range, of| of.reach_from(range, domain))
            }
            Self::OneOf { of, .. } => {
                let each = of.iter().map(|of| of.reach_from(range, domain));
                each.reduce(|all, one| Some(union(all?, one?)))?
            }
            // Other rows, and what is beside the part, keep their values.
            Self::Sometimes { of, .. } | Self::Part { of, .. } => {
                Some(union(range, of.reach_from(range, domain)?))
            }
            Self::ShowMask { of } => of.reach_from(range, domain),
            _ => self.noise_from(range, domain).or_else(|| self.values_from(range, domain)),
        }
    }

    /// [`Self::reach_from`] of the processes that add to every value and may clip it.
    fn noise_from(&self, range: [f64; 2], domain: Domain) -> Option<[f64; 2]> {
        let Strength { level, scale } = self.strength()?;
        let largest = level.largest()?;
        let (clip, distance) = match self {
            Self::Gaussian { clip, .. } => (*clip, NORMAL * largest),
            Self::Uniform { clip, .. } => (*clip, largest),
            Self::Laplace { clip, .. } => (*clip, Laplace::REACH * largest),
            Self::Speckle { clip, .. } => {
                let [low, high] = range.map(f64::abs);
                (*clip, NORMAL * largest * low.max(high))
            }
            // The nearest multiple is at most half a step away.
            Self::Quantization { clip, .. } => (*clip, 0.5 * largest),
            Self::Shot { .. } | Self::Brightness { .. } => (ClipRange::Domain, 0.0),
            _ => return None,
        };
        Some(match clip.of(domain) {
            Some(clip) if level.is_always_beside(scale.null) => clip,
            Some(clip) => union(range, clip),
            None => [range[0] - distance, range[1] + distance],
        })
    }

    /// [`Self::reach_from`] of the other processes that stand alone: they keep a value or replace it.
    fn values_from(&self, range: [f64; 2], domain: Domain) -> Option<[f64; 2]> {
        let replaced = match self {
            Self::Masking { fill, .. } => filled(fill.as_ref()),
            Self::MaskingByValue { .. } | Self::MaskingByColumn { .. } => [0.0; 2],
            Self::Swap { .. } | Self::CategoryFlip { .. } => range,
            Self::Jitter { .. }
            | Self::Outliers { .. }
            | Self::Rounding { .. }
            | Self::UnitSlip { .. } => return None,
            Self::Dropout { .. } => dropped(range, self.strength()?.level)?,
            Self::SaltAndPepper { values, .. }
            | Self::MostlyPepper { values, .. }
            | Self::Impulse { values, .. } => values.or(domain.range())?,
            Self::Clipping { range, .. } => range.or(domain.range())?,
            Self::Occlusion { fill, .. } => [*fill; 2],
            Self::GaussianBlur { .. }
            | Self::Defocus { .. }
            | Self::MotionBlur { .. }
            | Self::Pixelate { .. }
            | Self::Rotation { .. }
            | Self::Shear { .. }
            | Self::Zoom { .. }
            | Self::Translation { .. } => range,
            // The others are for domains with a range, which they keep.
            _ => domain.range()?,
        };
        self.strength()?;
        Some(union(range, replaced))
    }
}

/// The interval of entries that dropout erases or scales up; at a fixed rate of 1 all are erased.
fn dropped([low, high]: [f64; 2], level: Level) -> Option<[f64; 2]> {
    if level == Level::Fixed(1.0) {
        return Some([0.0; 2]);
    }
    let share = (1.0 - level.largest()?).max(SMALLEST_SHARE);
    Some(union([0.0; 2], [low / share, high / share]))
}

fn union([a, b]: [f64; 2], [c, d]: [f64; 2]) -> [f64; 2] {
    [a.min(c), b.max(d)]
}

/// The interval of the values that erased entries get.
fn filled(fill: Option<&Fill>) -> [f64; 2] {
    match fill {
        None => [0.0; 2],
        Some(Fill::Constant(value)) => [*value; 2],
        Some(Fill::Features(values)) => {
            let each = values.iter().map(|&value| [f64::from(value); 2]);
            each.reduce(union).unwrap_or([0.0; 2])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(toml: &str) -> [f64; 2] {
        let config: CorruptionConfig = toml::from_str(toml).unwrap();
        for domain in [Domain::Counts, Domain::Integers, Domain::Real] {
            assert_eq!(config.reach(domain), None, "{toml}");
        }
        config.reach(Domain::Unit).unwrap()
    }

    fn assert_reach(toml: &str, [low, high]: [f64; 2]) {
        let [got_low, got_high] = reach(toml);
        let close = (got_low - low).abs() < 1e-9 && (got_high - high).abs() < 1e-9;
        assert!(close, "{toml}: [{got_low}, {got_high}]");
    }

    #[test]
    fn a_process_reaches_as_far_as_its_largest_noise() {
        for (toml, expected) in [
            ("process = 'none'", [0.0, 1.0]),
            ("process = 'gaussian'\nlevel = 0.5", [0.0, 1.0]),
            ("process = 'gaussian'\nlevel = 0.5\nclip = [-1, 3]", [-1.0, 3.0]),
            ("process = 'gaussian'\nlevel = 0.5\nclip = 'none'", [-3.0, 4.0]),
            ("process = 'uniform'\nlevel = 0.5\nclip = 'none'", [-0.5, 1.5]),
            ("process = 'laplace'\nlevel = 0.5\nclip = 'none'", [-8.35, 9.35]),
            ("process = 'speckle'\nlevel = 0.5\nclip = 'none'", [-3.0, 4.0]),
            ("process = 'quantization'\nlevel = 0.5\nclip = 'none'", [-0.25, 1.25]),
            ("process = 'masking'", [0.0, 1.0]),
            ("process = 'masking'\nfill = -2", [-2.0, 1.0]),
            ("process = 'masking'\nfill = [0.5, 3]", [0.0, 3.0]),
            ("process = 'dropout'\nlevel = 0.75", [0.0, 4.0]),
            ("process = 'dropout'\nlevel = 1", [0.0, 1.0]),
            ("process = 'impulse'\nvalues = [-1, 2]", [-1.0, 2.0]),
            ("process = 'salt-and-pepper'\nvalues = [0.2, 2]", [0.0, 2.0]),
            ("process = 'shot'", [0.0, 1.0]),
            ("process = 'rotation'", [0.0, 1.0]),
            ("process = 'jpeg'", [0.0, 1.0]),
        ] {
            assert_reach(toml, expected);
        }
    }

    #[test]
    fn what_erases_and_counts_makes_no_value_negative() {
        let never = |text: &str| text.parse::<CorruptionConfig>().unwrap().is_never_negative();
        assert!(never("none") && never("masking:0.5+shot:0.1") && never("dropout"));
        assert!(!never("gaussian") && !never("masking+gaussian") && !never("mixed"));
    }

    #[test]
    fn the_largest_level_counts() {
        for level in ["'0.1..0.5'", "{ linear = [0.5, 0] }", "{ cosine = [0, 0.5] }"] {
            let toml = format!("process = 'uniform'\nclip = 'none'\nlevel = {level}");
            assert_reach(&toml, [-0.5, 1.5]);
        }
        // Severity 4 of uniform noise.
        assert_reach("process = 'uniform'\nclip = 'none'\nlevel = '@4'", [-0.7, 1.7]);
        // Near a rate of 1 a survivor can become as large as uniforms of 24 bits let it.
        let largest = f64::from(1 << 24);
        assert_reach("process = 'dropout'\nlevel = { linear = [0, 1] }", [0.0, largest]);
    }

    // Noise of half a unit, twice. What is clipped in the end forgets what was before, unless its level can be
    // 0.
    #[test]
    fn combinations_reach_as_far_as_their_parts() {
        let loose = "{ process = 'uniform', level = 0.5, clip = 'none' }";
        let drop = "{ process = 'dropout', level = 0.5 }";
        for (toml, expected) in [
            (format!("process = 'sequence'\nof = [{loose}, {loose}]"), [-1.0, 2.0]),
            (format!("process = 'sequence'\nof = [{loose}, {drop}]"), [-1.0, 3.0]),
            (
                format!("process = 'sequence'\nof = [{drop}, {{ process = 'gaussian' }}]"),
                [0.0, 1.0],
            ),
            (
                format!(
                    "process = 'sequence'\nof = [{drop}, {{ process = 'gaussian', level = '0..1' }}]"
                ),
                [0.0, 2.0],
            ),
            (format!("process = 'one-of'\nof = [{loose}, {drop}]"), [-0.5, 2.0]),
            (format!("process = 'sometimes'\nprobability = 0.5\nof = {loose}"), [-0.5, 1.5]),
            (format!("process = 'part'\nchannels = [0]\nof = {loose}"), [-0.5, 1.5]),
            (format!("process = 'show-mask'\nof = {loose}"), [-0.5, 1.5]),
        ] {
            assert_reach(&toml, expected);
        }
    }
}
