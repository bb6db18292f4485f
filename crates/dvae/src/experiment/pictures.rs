//! Pictures of other sides than a model was trained on, piece by piece.

use dvae_data::{Domain, Element, Format};
use dvae_models::Reach;
use dvae_random::{Key, Purpose, Window};

use super::Pretrained;
use super::flips::{Flip, Sums};
use super::inference::{Denoised, Uncertainty};
use super::patches::{Band, patch};
use super::tiles::{Tile, starts, tiles};

/// How a picture of any size is denoised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PictureOptions {
    /// The memory, in bytes, that the model may take for its work on one picture, about. A picture that needs more is cut
    /// into tiles.
    pub memory: usize,
    /// How the latents are found.
    pub latents: LatentChoice,
    /// Whether the result is the mean of those of the eight turns and mirrors of the picture, as Weigert et al. (2018),
    /// "Content-Aware Image Restoration", and others do: it takes eight times as long, and a copy of the picture in double
    /// precision. What is said of how sure the results are is the mean of the eight.
    pub flips: bool,
}

/// How latents are found when a picture is denoised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LatentChoice {
    /// The posterior's mean of each level.
    Mean,
    /// Draws of the posterior: the mean of the results, and how sure they are.
    Draws {
        /// The number of draws, at least 2.
        samples: usize,
        /// The number of the row, which decides what is drawn.
        id: u64,
        /// What is said of how sure the result is.
        uncertainty: Uncertainty,
    },
}

impl Default for PictureOptions {
    /// A quarter of a gigabyte, and the posterior's mean.
    fn default() -> Self {
        Self { memory: 256 << 20, latents: LatentChoice::Mean, flips: false }
    }
}

impl Pretrained {
    /// The shape `[channels, height, width]` that rows of this shape have as pictures for the model, if it can clean them:
    /// as many channels as those that it was trained on, and any sides.
    pub fn picture(&self, event: &[usize]) -> Option<[usize; 3]> {
        let (&[channels, _, _], false) = (self.event(), self.experiment.data.shape.is_some())
        else {
            return None;
        };
        match *event {
            [own, height, width] if own == channels => Some([own, height, width]),
            // Three or four columns are the channels of a color picture.
            [height, width] if channels == 1 && !matches!(width, 3 | 4) => Some([1, height, width]),
            _ => None,
        }
    }

    /// How the model applies to pictures of other sides than those of [`Self::event`]; `None` if it does not. Then it
    /// denoises them patch by patch.
    pub fn reach(&self) -> Option<Reach> {
        self.experiment.model_for(&self.data).ok()?.reach()
    }

    /// Denoises a picture of any sides piece by piece: the mean of `p(x | z)`. `read` gives the values of a part of the
    /// picture, `[channels, lines, columns]`, in the units of the files, and `write` gets the results of a part, and how
    /// sure they are if latents are drawn. Each pixel is written once.
    ///
    /// A model that applies to any sides ([`Self::reach`]) sees tiles that overlap so far that the result is that of the
    /// whole picture, and latents are drawn for the pixels of the picture, whatever the tiles. Any other model sees patches
    /// of the size that it was trained on, which overlap by half; the results are averaged with weights that fall off to
    /// the edges of a patch. A picture smaller than a patch is mirrored at its edges.
    ///
    /// # Panics
    ///
    /// If the shape has no pixel, or as many channels as no picture of the model: see [`Self::picture`]; or if intervals are
    /// asked for as [`Self::denoise_by_samples`] refuses them.
    pub fn denoise_picture(
        &self,
        shape: [usize; 3],
        options: PictureOptions,
        read: impl FnMut(&Window) -> Vec<f64>,
        write: impl FnMut(&Window, &[f64], Option<&[f64]>),
    ) {
        match options.flips {
            true => self.denoise_flips(shape, options, read, write),
            false => self.denoise_pieces(shape, options, read, write),
        }
    }

    /// The same for the values of a whole picture, `[channels, height, width]`: the results, and how sure they are if latents
    /// are drawn.
    ///
    /// # Panics
    ///
    /// As [`Self::denoise_picture`], and if there are not as many values as the shape says.
    pub fn denoise_values(
        &self,
        shape: [usize; 3],
        options: PictureOptions,
        values: &[f64],
    ) -> (Vec<f64>, Option<Vec<f64>>) {
        let format = Format::new(&shape, Element::F64, Domain::Real);
        let input = format.row(values);
        let (mut mean, mut spread) = (input.clone(), input.clone());
        let mut has_spread = false;
        let write = |part: &Window, values: &[f64], of_part: Option<&[f64]>| {
            mean.replace_part(part, values);
            if let Some(of_part) = of_part {
                has_spread = true;
                spread.replace_part(part, of_part);
            }
        };
        self.denoise_picture(shape, options, |part| input.part(part), write);
        (mean.values(), has_spread.then(|| spread.values()))
    }

    fn denoise_pieces(
        &self,
        shape: [usize; 3],
        options: PictureOptions,
        read: impl FnMut(&Window) -> Vec<f64>,
        write: impl FnMut(&Window, &[f64], Option<&[f64]>),
    ) {
        match self.reach() {
            Some(reach) => self.denoise_tiles(shape, reach, options, read, write),
            None => self.denoise_patches(shape, options, read, write),
        }
    }

    /// The mean over the turns and mirrors of the picture.
    fn denoise_flips(
        &self,
        shape @ [channels, height, width]: [usize; 3],
        options: PictureOptions,
        mut read: impl FnMut(&Window) -> Vec<f64>,
        mut write: impl FnMut(&Window, &[f64], Option<&[f64]>),
    ) {
        let sides = [height, width];
        let mut sums = Sums { sides, mean: vec![0.0; channels * height * width], spread: None };
        if options.latents != LatentChoice::Mean {
            sums.spread = Some(sums.mean.clone());
        }
        for flip in Flip::ALL {
            let [lines, columns] = flip.sides(sides);
            self.denoise_pieces(
                [channels, lines, columns],
                options,
                |part| flip.part(part, shape, &mut read),
                |part, mean, spread| sums.add(flip, part, mean, spread),
            );
        }
        for line in 0..height {
            let of_line = |values: &Vec<f64>| -> Vec<f64> {
                let start = |channel: usize| (channel * height + line) * width;
                let line = |channel| &values[start(channel)..start(channel) + width];
                (0..channels).flat_map(line).copied().collect()
            };
            let window = Window { sides, lines: line..line + 1, columns: 0..width };
            write(&window, &of_line(&sums.mean), sums.spread.as_ref().map(of_line).as_deref());
        }
    }

    fn denoise_tiles(
        &self,
        [channels, height, width]: [usize; 3],
        reach: Reach,
        PictureOptions { memory, latents, .. }: PictureOptions,
        mut read: impl FnMut(&Window) -> Vec<f64>,
        mut write: impl FnMut(&Window, &[f64], Option<&[f64]>),
    ) {
        let levels = self.levels();
        let drawn = if latents == LatentChoice::Mean { 1 } else { 3 };
        // In single precision; the values of files are in double precision.
        let bytes = 4 * drawn * reach.numbers + 40 * channels;
        let side = ((memory / bytes) as f64).sqrt() as usize;
        let is_whole = height.saturating_mul(width) <= side * side;
        let side = if is_whole { height.max(width) } else { side };
        for tile in tiles([height, width], reach, side) {
            let shape = [channels, tile.seen.lines.len(), tile.seen.columns.len()];
            let values = vec![read(&tile.seen)];
            let Denoised { mean, spread } = match latents {
                LatentChoice::Mean => self.denoised(&values, &shape),
                LatentChoice::Draws { samples, id, uncertainty } => {
                    let draws = self.sampling().rows(&[id]).within(&tile.latents(&levels));
                    self.denoised_by_draws(&values, &shape, draws, samples, uncertainty)
                }
            };
            let kept = |rows: &Vec<Vec<f64>>| part(&rows[0], channels, &tile);
            write(&tile.kept, &kept(&mean), spread.as_ref().map(kept).as_deref());
        }
    }

    fn denoise_patches(
        &self,
        [channels, height, width]: [usize; 3],
        PictureOptions { latents, .. }: PictureOptions,
        mut read: impl FnMut(&Window) -> Vec<f64>,
        mut write: impl FnMut(&Window, &[f64], Option<&[f64]>),
    ) {
        let own = [self.event()[1], self.event()[2]];
        let (tops, lefts) = (starts(height, own[0]), starts(width, own[1]));
        let at_once = self.rows_at_once(self.event(), super::pretrained::ROWS_AT_ONCE);
        let mut band = Band::new(channels, own, width, latents != LatentChoice::Mean);
        for (line, &top) in tops.iter().enumerate() {
            let lines = top..height.min(top + own[0]);
            let window = Window { sides: [height, width], lines, columns: 0..width };
            let values = read(&window);
            for (at, lefts) in lefts.chunks(at_once).enumerate() {
                let patch = |&left: &usize| {
                    patch(&values, [channels, window.lines.len(), width], own, left)
                };
                let patches: Vec<Vec<f64>> = lefts.iter().map(patch).collect();
                let Denoised { mean, spread } = match latents {
                    LatentChoice::Mean => self.denoised(&patches, self.event()),
                    LatentChoice::Draws { samples, id, uncertainty } => {
                        let first = ((line as u64) << 32) + (at * at_once) as u64;
                        let ids: Vec<u64> = (first..first + lefts.len() as u64).collect();
                        let draws = self.sampling().branch(id).rows(&ids);
                        self.denoised_by_draws(&patches, self.event(), draws, samples, uncertainty)
                    }
                };
                for (place, &left) in lefts.iter().enumerate() {
                    let spread = spread.as_ref().map(|rows| &rows[place][..]);
                    band.add(left, &mean[place], spread);
                }
            }
            let end = tops.get(line + 1).map_or(height, |&next| next);
            let (mean, spread) = band.take(end - top);
            let lines = top..end;
            write(&Window { lines, ..window }, &mean, spread.as_deref());
        }
    }

    /// The key of what is drawn when files are denoised.
    pub(super) fn sampling(&self) -> Key {
        Key::new(self.experiment.train.seed).purpose(Purpose::Sampling)
    }
}

/// What is kept of a tile's results.
fn part(values: &[f64], channels: usize, tile: &Tile) -> Vec<f64> {
    let Window { sides: [height, width], lines, columns } = tile.inner();
    let line = |channel: usize, line: usize| {
        let start = (channel * height + line) * width;
        &values[start + columns.start..start + columns.end]
    };
    (0..channels)
        .flat_map(|channel| lines.clone().flat_map(move |at| line(channel, at)))
        .copied()
        .collect()
}
