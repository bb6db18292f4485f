//! Pictures of other sides than a model was trained on, piece by piece.

use dvae_models::Reach;
use dvae_random::{Key, Purpose, Window};

use super::Pretrained;
use super::inference::Denoised;
use super::tiles::{Tile, mirrored, starts, tiles, weight};

/// How a picture of any size is denoised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureOptions {
    /// The memory, in bytes, that the model may take for its work on one picture, about. A picture that needs more is cut
    /// into tiles.
    pub memory: usize,
    /// How the latents are found.
    pub latents: LatentChoice,
    /// Whether the result is the mean of those of the eight turns and mirrors of the picture, as Weigert et al. (2018),
    /// "Content-Aware Image Restoration", and others do: it takes eight times as long, and a copy of the picture in double
    /// precision. Deviations are the means of the eight.
    pub flips: bool,
}

/// How latents are found when a picture is denoised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatentChoice {
    /// The posterior's mean of each level.
    Mean,
    /// Draws of the posterior: the mean of the results, and their standard deviation.
    Draws {
        /// The number of draws, at least 2.
        samples: usize,
        /// The number of the row, which decides what is drawn.
        id: u64,
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
    /// picture, `[channels, lines, columns]`, in the units of the files, and `write` gets the results of a part, and their
    /// deviations if latents are drawn. Each pixel is written once.
    ///
    /// A model that applies to any sides ([`Self::reach`]) sees tiles that overlap so far that the result is that of the
    /// whole picture, and latents are drawn for the pixels of the picture, whatever the tiles. Any other model sees patches
    /// of the size that it was trained on, which overlap by half; the results are averaged with weights that fall off to
    /// the edges of a patch. A picture smaller than a patch is mirrored at its edges.
    ///
    /// # Panics
    ///
    /// If the shape has no pixel, or as many channels as no picture of the model: see [`Self::picture`].
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
        let mut sums = Sums { sides, mean: vec![0.0; channels * height * width], deviation: None };
        if options.latents != LatentChoice::Mean {
            sums.deviation = Some(sums.mean.clone());
        }
        for flip in Flip::ALL {
            let [lines, columns] = flip.sides(sides);
            self.denoise_pieces(
                [channels, lines, columns],
                options,
                |part| flip.part(part, shape, &mut read),
                |part, mean, deviation| sums.add(flip, part, mean, deviation),
            );
        }
        for line in 0..height {
            let of_line = |values: &Vec<f64>| -> Vec<f64> {
                let start = |channel: usize| (channel * height + line) * width;
                let line = |channel| &values[start(channel)..start(channel) + width];
                (0..channels).flat_map(line).copied().collect()
            };
            let window = Window { sides, lines: line..line + 1, columns: 0..width };
            write(&window, &of_line(&sums.mean), sums.deviation.as_ref().map(of_line).as_deref());
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
            let Denoised { mean, deviation } = match latents {
                LatentChoice::Mean => self.denoised(&values, &shape),
                LatentChoice::Draws { samples, id } => {
                    let draws = self.sampling().rows(&[id]).within(&tile.latents(&levels));
                    self.denoised_by_draws(&values, &shape, draws, samples)
                }
            };
            let kept = |rows: &Vec<Vec<f64>>| part(&rows[0], channels, &tile);
            write(&tile.kept, &kept(&mean), deviation.as_ref().map(kept).as_deref());
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
                let Denoised { mean, deviation } = match latents {
                    LatentChoice::Mean => self.denoised(&patches, self.event()),
                    LatentChoice::Draws { samples, id } => {
                        let first = ((line as u64) << 32) + (at * at_once) as u64;
                        let ids: Vec<u64> = (first..first + lefts.len() as u64).collect();
                        let draws = self.sampling().branch(id).rows(&ids);
                        self.denoised_by_draws(&patches, self.event(), draws, samples)
                    }
                };
                for (place, &left) in lefts.iter().enumerate() {
                    let deviation = deviation.as_ref().map(|rows| &rows[place][..]);
                    band.add(left, &mean[place], deviation);
                }
            }
            let end = tops.get(line + 1).map_or(height, |&next| next);
            let (mean, deviation) = band.take(end - top);
            let lines = top..end;
            write(&Window { lines, ..window }, &mean, deviation.as_deref());
        }
    }

    /// The key of what is drawn when files are denoised.
    pub(super) fn sampling(&self) -> Key {
        Key::new(self.experiment.train.seed).purpose(Purpose::Sampling)
    }
}

/// A mirroring of the columns, or none, after some quarter turns: one of the eight symmetries of a square.
#[derive(Clone, Copy, Debug)]
struct Flip {
    is_mirrored: bool,
    turns: usize,
}

impl Flip {
    const ALL: [Self; 8] = {
        let mut all = [Self { is_mirrored: false, turns: 0 }; 8];
        let mut at = 0;
        while at < 8 {
            all[at] = Self { is_mirrored: at >= 4, turns: at % 4 };
            at += 1;
        }
        all
    };

    /// The sides of the picture after it.
    fn sides(self, [height, width]: [usize; 2]) -> [usize; 2] {
        if self.turns.is_multiple_of(2) { [height, width] } else { [width, height] }
    }

    /// Where the pixel at a place after it was in a picture of these sides.
    fn source(self, [y, x]: [usize; 2], sides @ [height, width]: [usize; 2]) -> [usize; 2] {
        let x = if self.is_mirrored { self.sides(sides)[1] - 1 - x } else { x };
        match self.turns {
            0 => [y, x],
            1 => [x, width - 1 - y],
            2 => [height - 1 - y, width - 1 - x],
            _ => [height - 1 - x, y],
        }
    }

    /// A part of the picture after it.
    fn part(
        self,
        part: &Window,
        [channels, height, width]: [usize; 3],
        read: &mut impl FnMut(&Window) -> Vec<f64>,
    ) -> Vec<f64> {
        let sides = [height, width];
        let corners = [
            self.source([part.lines.start, part.columns.start], sides),
            self.source([part.lines.end - 1, part.columns.end - 1], sides),
        ];
        let between = |axis: usize| {
            let [a, b] = [corners[0][axis], corners[1][axis]];
            a.min(b)..a.max(b) + 1
        };
        let window = Window { sides, lines: between(0), columns: between(1) };
        let values = read(&window);
        let (lines, columns) = (window.lines.len(), window.columns.len());
        let value = |channel: usize, y: usize, x: usize| {
            let [y, x] = self.source([y, x], sides);
            let line = channel * lines + y - window.lines.start;
            values[line * columns + x - window.columns.start]
        };
        let mut turned = Vec::with_capacity(values.len());
        for channel in 0..channels {
            for y in part.lines.clone() {
                turned.extend(part.columns.clone().map(|x| value(channel, y, x)));
            }
        }
        turned
    }
}

/// Means over the turns and mirrors of a picture, `[channels, height, width]`.
struct Sums {
    sides: [usize; 2],
    mean: Vec<f64>,
    deviation: Option<Vec<f64>>,
}

impl Sums {
    /// Adds an eighth of the results for a part of a turned picture.
    fn add(&mut self, flip: Flip, part: &Window, mean: &[f64], deviation: Option<&[f64]>) {
        let (sides, columns) = (self.sides, part.columns.len());
        let area = part.lines.len() * columns;
        let place = |at: usize| {
            let within = at % area;
            let turned =
                [part.lines.start + within / columns, part.columns.start + within % columns];
            let [y, x] = flip.source(turned, sides);
            (at / area * sides[0] + y) * sides[1] + x
        };
        let add = |sums: &mut [f64], values: &[f64]| {
            values.iter().enumerate().for_each(|(at, value)| sums[place(at)] += value / 8.0);
        };
        add(&mut self.mean, mean);
        if let (Some(sums), Some(values)) = (&mut self.deviation, deviation) {
            add(sums, values);
        }
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

/// The patch of these sides that begins at a column of some lines, mirrored where it goes beyond them.
fn patch(
    values: &[f64],
    [channels, height, width]: [usize; 3],
    [rows, columns]: [usize; 2],
    left: usize,
) -> Vec<f64> {
    let mut patch = Vec::with_capacity(channels * rows * columns);
    for channel in 0..channels {
        for row in 0..rows {
            let start = (channel * height + mirrored(row, height)) * width;
            patch.extend((left..left + columns).map(|x| values[start + mirrored(x, width)]));
        }
    }
    patch
}

/// Lines of a picture to which patches are added, from the first line that is not complete on.
struct Band {
    channels: usize,
    patch: [usize; 2],
    width: usize,
    mean: Vec<f64>,
    deviation: Option<Vec<f64>>,
    /// The sum of the weights of each pixel of a channel.
    weights: Vec<f64>,
}

impl Band {
    fn new(channels: usize, patch: [usize; 2], width: usize, with_deviation: bool) -> Self {
        let area = patch[0] * width;
        let zeros = || vec![0.0; channels * area];
        let deviation = with_deviation.then(zeros);
        Self { channels, patch, width, mean: zeros(), deviation, weights: vec![0.0; area] }
    }

    /// Adds a patch that begins at a column of the first line.
    fn add(&mut self, left: usize, mean: &[f64], deviation: Option<&[f64]>) {
        let [rows, columns] = self.patch;
        let within = columns.min(self.width - left);
        for row in 0..rows {
            for column in 0..within {
                let weight = weight(row, rows) * weight(column, columns);
                let place = row * self.width + left + column;
                self.weights[place] += weight;
                for channel in 0..self.channels {
                    let from = (channel * rows + row) * columns + column;
                    let to = channel * rows * self.width + place;
                    self.mean[to] += weight * mean[from];
                    if let (Some(sums), Some(deviation)) = (&mut self.deviation, deviation) {
                        sums[to] += weight * deviation[from];
                    }
                }
            }
        }
    }

    /// The means of the first lines, which are complete, and of their deviations; the lines after them become the first.
    fn take(&mut self, lines: usize) -> (Vec<f64>, Option<Vec<f64>>) {
        let (all, taken) = (self.patch[0] * self.width, lines * self.width);
        let weights = &self.weights;
        let take = |sums: &mut Vec<f64>| {
            let mut means = Vec::with_capacity(self.channels * taken);
            for plane in sums.chunks_mut(all) {
                means.extend(plane[..taken].iter().zip(weights).map(|(sum, weight)| sum / weight));
                plane.copy_within(taken.., 0);
                plane[all - taken..].fill(0.0);
            }
            means
        };
        let mean = take(&mut self.mean);
        let deviation = self.deviation.as_mut().map(take);
        self.weights.copy_within(taken.., 0);
        self.weights[all - taken..].fill(0.0);
        (mean, deviation)
    }
}
