//! A process applied to part of an image: some channels, or a region.

use std::ops::Range;

use burn::tensor::{Bool, Tensor};
use dvae_random::RowStreams;

use crate::sequence::no_mask;
use crate::{CorruptedInput, Corruption, CorruptionError, Level, Strength};

/// Corrupts some channels, or a rectangle, as if that part were the whole image.
///
/// ```
/// use dvae_corruption::{Masking, Part};
///
/// // The upper left quarter of the first channel of images of 28 × 28.
/// let part = Part::new(Masking::new(0.5)?)?.channels(&[0])?.region(0..14, 0..14)?;
/// # Ok::<(), dvae_corruption::CorruptionError>(())
/// ```
#[derive(Debug)]
pub struct Part {
    process: Box<dyn Corruption<4>>,
    channels: Option<Vec<usize>>,
    /// Lines and columns.
    region: [Option<Range<usize>>; 2],
}

impl Part {
    /// Applies the process to the whole image until a part is selected; an error if it shows a mask.
    pub fn new(process: impl Corruption<4> + 'static) -> Result<Self, CorruptionError> {
        let process: Box<dyn Corruption<4>> = Box::new(process);
        no_mask("part", std::slice::from_ref(&process))?;
        Ok(Self { process, channels: None, region: [None, None] })
    }

    /// Selects these channels, counted from 0: at least one, none twice. The process sees them in this order.
    pub fn channels(self, channels: &[usize]) -> Result<Self, CorruptionError> {
        let mut sorted = channels.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.is_empty() || sorted.len() < channels.len() {
            return Err(CorruptionError::Channels { channels: channels.into() });
        }
        Ok(Self { channels: Some(channels.into()), ..self })
    }

    /// Selects these lines and columns, counted from 0, neither empty; an omitted range selects all.
    pub fn region(
        self,
        lines: impl Into<Option<Range<usize>>>,
        columns: impl Into<Option<Range<usize>>>,
    ) -> Result<Self, CorruptionError> {
        let region = [lines.into(), columns.into()];
        for (name, range) in ["lines", "columns"].into_iter().zip(&region) {
            if let Some(Range { start, end }) = range
                && start >= end
            {
                let (low, high) = (*start as f64, *end as f64);
                return Err(CorruptionError::Ends { name, low, high });
            }
        }
        Ok(Self { region, ..self })
    }

    /// The planes, lines and columns of the part in an image of this shape.
    fn of(&self, [_, channels, height, width]: [usize; 4]) -> (Vec<usize>, [Range<usize>; 2]) {
        let channels = match &self.channels {
            Some(chosen) => chosen.iter().copied().filter(|&c| c < channels).collect(),
            None => (0..channels).collect(),
        };
        let inside = |range: &Option<Range<usize>>, len: usize| match range {
            Some(range) => range.start.min(len)..range.end.min(len),
            None => 0..len,
        };
        let [lines, columns] = &self.region;
        (channels, [inside(lines, height), inside(columns, width)])
    }
}

impl Corruption<4> for Part {
    /// `changed`: as reported by the process within the part; false elsewhere. The part is cropped to the
    /// image; [`Corruption::check`] reports this beforehand.
    fn corrupt(&self, clean: Tensor<4>, draws: &mut RowStreams) -> CorruptedInput<4> {
        let rows = clean.dims()[0];
        let (channels, [lines, columns]) = self.of(clean.dims());
        let mut whole = CorruptedInput::unchanged(clean.clone());
        if channels.is_empty() || lines.is_empty() || columns.is_empty() {
            return whole;
        }
        let place = |c: usize| [0..rows, c..c + 1, lines.clone(), columns.clone()];
        let planes = channels.iter().map(|&c| clean.clone().slice(place(c))).collect();
        let part = self.process.corrupt(Tensor::cat(planes, 1), draws);
        let nothing = whole.changed.int();
        let within = |flags: Tensor<4, Bool>| -> Tensor<4, Bool> {
            let flags = flags.int();
            let assigned = channels.iter().enumerate().fold(nothing.clone(), |all, (i, &c)| {
                all.slice_assign(place(c), flags.clone().narrow(1, i, 1))
            });
            assigned.bool()
        };
        for (i, &c) in channels.iter().enumerate() {
            whole.input = whole.input.slice_assign(place(c), part.input.clone().narrow(1, i, 1));
        }
        let (changed, hidden) = (within(part.changed), part.hidden.map(within));
        CorruptedInput { input: whole.input, changed, hidden }
    }

    /// The strength of the process.
    fn strength(&self) -> Strength {
        self.process.strength()
    }

    fn at_level(&self, level: Level) -> Result<Box<dyn Corruption<4>>, CorruptionError> {
        let process = self.process.at_level(level)?;
        let (channels, region) = (self.channels.clone(), self.region.clone());
        Ok(Box::new(Self { process, channels, region }))
    }

    fn schedule_end(&self) -> f64 {
        self.process.schedule_end()
    }

    fn check(&self, event: &[usize]) -> Result<(), CorruptionError> {
        let shape = |name, why: String| CorruptionError::Shape { name, event: event.into(), why };
        let &[channels, height, width] = event else {
            return Err(shape("part", "it must be [channels, height, width]".into()));
        };
        if let Some(&last) = self.channels.as_ref().and_then(|chosen| chosen.iter().max())
            && last >= channels
        {
            return Err(shape("channels", format!("there is no channel {last}")));
        }
        let [lines, columns] = self.region.clone();
        let (lines, columns) = (lines.unwrap_or(0..height), columns.unwrap_or(0..width));
        if lines.end > height || columns.end > width {
            let why = format!("it ends at line {} and column {}", lines.end, columns.end);
            return Err(shape("region", why));
        }
        let channels = self.channels.as_ref().map_or(channels, Vec::len);
        self.process.check(&[channels, lines.len(), columns.len()])
    }

    fn check_value(&self, value: f32) -> Result<(), CorruptionError> {
        self.process.check_value(value)
    }
}
