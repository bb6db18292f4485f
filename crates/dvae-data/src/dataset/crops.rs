//! Random crops of pictures of any size.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use dvae_random::Key;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pairs::Inputs;
use super::{Dataset, Draws};
use crate::DataError;
use crate::values::Values;

/// How rows are cut from pictures of any size.
///
/// A picture gives as many rows as are needed to cover its area once, at least one. In each epoch of training every row is
/// another crop of its picture; outside of training it is always the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crops {
    /// The shape of a crop, `[channels, height, width]`; colors are converted to the channels.
    pub shape: [usize; 3],
    /// Whether half of the crops are mirrored, left to right.
    #[serde(default)]
    pub flips: bool,
    /// Whether crops are turned by a random number of quarter turns; their sides must be equal.
    #[serde(default)]
    pub turns: bool,
}

impl Crops {
    /// Crops of this shape, neither mirrored nor turned.
    pub fn new(shape: [usize; 3]) -> Self {
        Self { shape, flips: false, turns: false }
    }

    /// An error names what cannot be.
    pub fn check(&self) -> Result<(), DataError> {
        let [channels, height, width] = self.shape;
        let is_side = |side: usize| (1..=usize::from(u16::MAX)).contains(&side);
        if !matches!(channels, 1 | 3) || !is_side(height) || !is_side(width) {
            return Err(DataError::CropShape { shape: self.shape });
        }
        if self.turns && height != width {
            return Err(DataError::Turns { height, width });
        }
        Ok(())
    }
}

/// A picture in a buffer, `[channels, height, width]` from `start` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    pub(super) start: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// Pictures side by side in a buffer, and how rows are cut from them.
#[derive(Clone, Debug)]
pub(super) struct Cropped {
    pub(super) crops: Crops,
    pub(super) pictures: Arc<[Picture]>,
    /// The picture of each row.
    pub(super) of_row: Arc<[u32]>,
    pub(super) draws: Draws,
    /// What the inputs of each picture of a row are drawn from; none if the rows themselves are the inputs.
    pub(super) inputs: Arc<HashMap<u32, Inputs>>,
    /// Whether an input is drawn.
    pub(super) is_paired: bool,
}

/// A window of a picture, and how it is mirrored and turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    /// Channels, and the sides of the crop.
    shape: [usize; 3],
    /// The place of its first pixel in the buffer, and the steps to the next channel and line.
    first: usize,
    plane: usize,
    stride: usize,
    /// Where the crop's pixel at (0, 0) lies in the window, and the steps in it to the next line and column.
    corner: isize,
    steps: [isize; 2],
}

impl Placement {
    /// Copies the row from the buffer.
    pub(super) fn copy(self, values: &Values, out: &mut [f32]) {
        let [channels, height, width] = self.shape;
        let mut window = vec![0.0; height * width];
        for (channel, out) in out.chunks_mut(height * width).enumerate().take(channels) {
            for (line, window) in window.chunks_mut(width).enumerate() {
                let start = self.first + channel * self.plane + line * self.stride;
                values.singles(start..start + width, window);
            }
            for (y, out) in out.chunks_mut(width).enumerate() {
                let start = self.corner + y as isize * self.steps[0];
                out.iter_mut().enumerate().for_each(|(x, out)| {
                    *out = window[(start + x as isize * self.steps[1]) as usize];
                });
            }
        }
    }
}

impl Cropped {
    /// The same crops as they are in this epoch.
    pub(super) fn at_epoch(self, epoch: u64) -> Self {
        Self { draws: self.draws.at_epoch(epoch), ..self }
    }

    /// The picture of a row.
    pub(super) fn picture(&self, id: u64) -> u32 {
        self.of_row[id as usize]
    }

    /// The number of pictures.
    pub(super) fn pictures(&self) -> usize {
        self.pictures.len()
    }

    /// The entries of a picture in the buffer.
    pub(super) fn entries(&self, picture: u32) -> Range<usize> {
        let Picture { start, height, width } = self.pictures[picture as usize];
        start..start + self.crops.shape[0] * height * width
    }

    /// Whether rows have inputs of their own.
    pub(super) fn is_paired(&self) -> bool {
        self.is_paired
    }

    /// The same rows as their own inputs.
    pub(super) fn unpaired(self) -> Self {
        Self { is_paired: false, ..self }
    }

    /// What the inputs of a row are drawn from.
    fn inputs(&self, id: u64) -> Option<&Inputs> {
        self.inputs.get(&self.picture(id))
    }

    /// The picture that the input of a row is cut from, at the epoch of the draws.
    fn drawn(&self, id: u64) -> u32 {
        let Some(Inputs { pictures, .. }) = self.inputs(id) else { return self.picture(id) };
        let mut draws = self.draws.now.rows(&[id]).row(0);
        draws.uniforms::<4>(); // They place the crop.
        let [draw] = draws.uniforms::<1>();
        pictures[within(draw, pictures.len())]
    }

    /// The input of a row.
    pub(super) fn input(&self, id: u64) -> Placement {
        self.crop_of(id, self.drawn(id))
    }

    /// Copies a row: its picture, or the mean of those of its scene that are not the input, of each pixel where it was
    /// observed.
    pub(super) fn target(&self, id: u64, values: &Values, out: &mut [f32]) {
        let Some(Inputs { pictures, are_targets: true }) = self.inputs(id) else {
            return self.crop(id).copy(values, out);
        };
        let input = self.is_paired.then(|| self.drawn(id));
        let others: Vec<u32> = pictures.iter().copied().filter(|own| Some(*own) != input).collect();
        let (mut one, mut observed) = (vec![0.0; out.len()], vec![0.0f32; out.len()]);
        out.fill(0.0);
        for &picture in &others {
            self.crop_of(id, picture).copy(values, &mut one);
            for ((sum, observed), value) in out.iter_mut().zip(&mut observed).zip(&one) {
                if !value.is_nan() {
                    *sum += value;
                    *observed += 1.0;
                }
            }
        }
        // NaN where no other shot was observed.
        out.iter_mut().zip(observed).for_each(|(sum, observed)| *sum /= observed);
    }

    /// The entries of what the inputs of a row are drawn from.
    pub(super) fn input_entries(&self, id: u64) -> Vec<Range<usize>> {
        let pictures = self.inputs(id).map_or(&[][..], |inputs| &inputs.pictures);
        pictures.iter().map(|&picture| self.entries(picture)).collect()
    }

    /// The crop that a row is, at the epoch of the draws.
    pub(super) fn crop(&self, id: u64) -> Placement {
        self.crop_of(id, self.picture(id))
    }

    /// The crop of a row, of a picture of its scene.
    fn crop_of(&self, id: u64, picture: u32) -> Placement {
        let Picture { start, height, width } = self.pictures[picture as usize];
        let [channels, rows, columns] = self.crops.shape;
        let [top, left, mirror, turn] = self.draws.now.rows(&[id]).row(0).uniforms::<4>();
        let (top, left) = (within(top, height - rows + 1), within(left, width - columns + 1));
        // The pixel at (y, x) of the crop is at `corner + y · down + x · right` of the window: a turn exchanges the axes.
        let (mut corner, mut down, mut right) = (0, columns as isize, 1);
        if self.crops.flips && mirror < 0.5 {
            (corner, right) = (corner + right * (columns as isize - 1), -right);
        }
        if self.crops.turns {
            for _ in 0..within(turn, 4) {
                // A quarter turn to the left: what was the last column becomes the first line.
                (corner, down, right) = (corner + right * (rows as isize - 1), -right, down);
            }
        }
        Placement {
            shape: [channels, rows, columns],
            first: start + top * width + left,
            plane: height * width,
            stride: width,
            corner,
            steps: [down, right],
        }
    }

    /// Adds what decides the rows to a checksum, apart from the values.
    pub(super) fn hash(&self, hasher: &mut crc32fast::Hasher) {
        let Crops { shape, flips, turns } = self.crops;
        shape.iter().for_each(|&side| hasher.update(&(side as u64).to_le_bytes()));
        hasher.update(&[u8::from(flips), u8::from(turns)]);
        // The key, by what it draws.
        let draws = self.draws.root.rows(&[0]).row(0).uniforms::<4>();
        draws.iter().for_each(|draw| hasher.update(&draw.to_le_bytes()));
    }
}

/// Which of so many places a draw in `[0, 1)` is.
fn within(draw: f32, places: usize) -> usize {
    (f64::from(draw) * places as f64) as usize
}

impl Dataset {
    /// The number of the picture that a row is cut from, and the row's place among those of that picture; `None` if rows are
    /// not crops.
    ///
    /// # Panics
    ///
    /// If there is no row of this id.
    pub fn picture_of(&self, id: u64) -> Option<[usize; 2]> {
        let of_row = &self.crops.as_ref()?.of_row;
        let picture = of_row[id as usize];
        // Rows are in the order of their pictures.
        let first = of_row.partition_point(|&other| other < picture);
        Some([picture as usize, id as usize - first])
    }

    /// Holds out whole pictures, of so many crops at least: see [`Dataset::split`].
    pub(super) fn split_pictures(
        &self,
        crops: &Cropped,
        held_out: usize,
        key: Key,
    ) -> Result<(Self, Self), DataError> {
        let mut pictures: Vec<u32> = self.ids.iter().map(|id| crops.picture(id)).collect();
        pictures.dedup();
        let order = key.permutation(pictures.len());
        let (mut held, mut rows) = (HashSet::new(), 0);
        for place in order {
            if rows >= held_out {
                break;
            }
            held.insert(pictures[place]);
            rows += self.ids.iter().filter(|&id| crops.picture(id) == pictures[place]).count();
        }
        if held.len() == pictures.len() {
            return Err(DataError::HeldOutPictures { held_out, pictures: pictures.len() });
        }
        let is_held = |&place: &usize| held.contains(&crops.picture(self.ids.at(place)));
        let (held, rest): (Vec<usize>, Vec<usize>) = (0..self.len()).partition(is_held);
        Ok((self.view(&rest), self.view(&held)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_crops::Layout;
    use super::*;
    use burn::tensor::Device;
    use dvae_random::Purpose;

    /// Pictures of one channel whose pixels are numbered, and 100 more in each next one.
    fn numbered(sides: &[[usize; 2]], crops: Crops) -> Dataset {
        let (mut values, mut pictures) = (vec![], vec![]);
        for (at, &[height, width]) in sides.iter().enumerate() {
            pictures.push(Picture { start: values.len(), height, width });
            values.extend((0..height * width).map(|pixel| (1000 * at + pixel) as f32));
        }
        let key = Key::new(1).purpose(Purpose::Data);
        let rows = (0..pictures.len() as u32).collect();
        let layout = Layout { crops, pictures, rows, inputs: HashMap::new(), memory: u64::MAX };
        let whole = Dataset::from_floats(values, &[sides.iter().map(|[h, w]| h * w).sum()]);
        layout.rows_of(whole.unwrap(), key)
    }

    fn rows(data: &Dataset) -> Vec<Vec<f32>> {
        let all = data.gather::<4>(&data.ids(), &Device::flex());
        let width: usize = data.event().iter().product();
        let all: Vec<f32> = all.into_data().try_to_vec().unwrap();
        all.chunks(width).map(<[f32]>::to_vec).collect()
    }

    // A picture of 6 × 5 = 30 pixels holds 5 crops of 6 pixels, and one of 2 × 4 holds one.
    #[test]
    fn a_picture_has_as_many_rows_as_cover_it_and_each_is_a_window_of_it() {
        let data = numbered(&[[6, 5], [2, 4]], Crops::new([1, 2, 3]));
        assert_eq!((data.len(), data.event()), (6, &[1, 2, 3][..]));
        for (at, row) in rows(&data).into_iter().enumerate() {
            let width = if at < 5 { 5.0 } else { 4.0 };
            let first = row[0];
            let window = [0.0, 1.0, 2.0, width, width + 1.0, width + 2.0];
            assert_eq!(row, window.map(|step| first + step), "{at}");
            assert_eq!(first >= 1000.0, at == 5, "{at}");
            let place = if at < 5 { [0, at] } else { [1, 0] };
            assert_eq!(data.picture_of(at as u64), Some(place));
        }
        // Sums are of the rows, not of the pictures.
        let sum: f32 = rows(&data).concat().iter().sum();
        assert_eq!(data.sum(|_, x| f64::from(x)), f64::from(sum));
        assert_eq!(data.sum(|_, _| 1.0), 36.0);
    }

    #[test]
    fn crops_change_with_the_epoch_and_never_outside_of_training() {
        let data = numbered(&[[40, 40]], Crops::new([1, 8, 8]));
        assert_eq!(rows(&data), rows(&data.clone()));
        assert_ne!(rows(&data.at_epoch(0)), rows(&data.at_epoch(1)));
        assert_ne!(rows(&data.at_epoch(0)), rows(&data));
        assert_eq!(rows(&data.at_epoch(1)), rows(&data.at_epoch(0).at_epoch(1)));
        assert_eq!(data.checksum(), data.at_epoch(1).checksum());
    }

    // Of a picture that is one crop, all eight turns and mirrors appear; 400 rows miss one of them with a
    // probability of 8 · (7/8)^400 < 1e-22.
    #[test]
    fn all_turns_and_mirrors_of_a_square_appear_and_nothing_else() {
        let square = [[2, 2]; 400];
        let plain = numbered(&square, Crops::new([1, 2, 2]));
        assert!(rows(&plain).iter().enumerate().all(|(at, row)| row[3] == (1000 * at + 3) as f32));
        let crops = Crops { flips: true, turns: true, ..Crops::new([1, 2, 2]) };
        let mut seen: Vec<Vec<u32>> = rows(&numbered(&square, crops))
            .into_iter()
            .map(|row| row.iter().map(|&value| value as u32 % 1000).collect())
            .collect();
        seen.sort();
        seen.dedup();
        let all = [
            [0, 1, 2, 3],
            [0, 2, 1, 3],
            [1, 0, 3, 2],
            [1, 3, 0, 2],
            [2, 0, 3, 1],
            [2, 3, 0, 1],
            [3, 1, 2, 0],
            [3, 2, 1, 0],
        ];
        assert_eq!(seen, all);
        // Mirrors alone keep top and bottom.
        let crops = Crops { flips: true, ..Crops::new([1, 2, 2]) };
        let seen = rows(&numbered(&square, crops));
        assert!(seen.iter().all(|row| row[0] < row[2] && row[1] < row[3]));
    }

    #[test]
    fn a_split_holds_out_whole_pictures() {
        let data = numbered(&[[8, 8]; 10], Crops::new([1, 4, 4]));
        let (train, held) = data.split(5, Key::new(1).purpose(Purpose::Split)).unwrap();
        // Five rows are more than the four of one picture: two are held out.
        assert_eq!((train.len(), held.len()), (32, 8));
        let pictures = |rows: &Dataset| rows.ids().iter().map(|id| id / 4).collect::<Vec<u64>>();
        let (train, held) = (pictures(&train), pictures(&held));
        assert!(held.iter().all(|picture| !train.contains(picture)));
        let one = numbered(&[[8, 8]], Crops::new([1, 4, 4]));
        let error = one.split(1, Key::new(1)).unwrap_err().to_string();
        assert!(error.contains("of 1 picture"), "{error}");
    }

    #[test]
    fn crops_that_cannot_be_are_refused() {
        let error = |crops: Crops| crops.check().unwrap_err().to_string();
        assert!(error(Crops::new([2, 8, 8])).contains("[2, 8, 8]"));
        assert!(error(Crops::new([1, 0, 8])).contains("[1, 0, 8]"));
        let turned = Crops { turns: true, ..Crops::new([1, 8, 9]) };
        assert!(error(turned).contains("8 × 9"), "{}", error(turned));
    }
}
