//! Windows of maps: parts of draws.

use std::ops::Range;

use rayon::prelude::*;

use crate::fill::{self, BLOCK, Draw, Normal};

/// A part of a map `[channels, height, width]`: some lines and columns of every channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width of the whole map.
    pub sides: [usize; 2],
    /// The lines.
    pub lines: Range<usize>,
    /// The columns.
    pub columns: Range<usize>,
}

impl Window {
    /// The window's part of a draw of normals of the whole map: `len` numbers for all rows together.
    ///
    /// # Panics
    ///
    /// If the window does not lie within the map, or `len` is not that of whole channels for each row.
    pub(crate) fn fill(&self, rows: &[u64], draw: Draw, len: usize) -> Vec<f32> {
        let [height, width] = self.sides;
        let (lines, columns) = (self.lines.len(), self.columns.len());
        let is_within = self.lines.end <= height && self.columns.end <= width;
        assert!(is_within, "{self:?} lies within its map");
        let area = lines * columns * rows.len();
        assert!(area > 0 && len.is_multiple_of(area), "a draw of {len} numbers of {self:?}");
        let channels = len / area;
        let mut out = vec![0.0; len];
        out.par_chunks_mut(columns).enumerate().for_each(|(at, out)| {
            let (line, at) = (at % lines, at / lines);
            let (channel, row) = (at % channels, at / channels);
            let first = (channel * height + self.lines.start + line) * width + self.columns.start;
            // Draws are made block by block.
            let before = first % BLOCK;
            let mut whole = vec![0.0; before + columns];
            fill::fill_row(&mut whole, rows[row], first - before, draw, Normal);
            out.copy_from_slice(&whole[before..]);
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;
    use burn::tensor::{Device, Tensor};

    #[test]
    fn a_window_holds_what_the_whole_map_has_there_level_by_level() {
        let device = Device::flex();
        let streams = || Key::new(1).rows(&[3, 9]);
        let [small, large] = [[3, 5], [31, 70]];
        let windows = [
            Window { sides: small, lines: 1..3, columns: 0..4 },
            Window { sides: large, lines: 7..20, columns: 13..70 },
        ];
        let (mut whole, mut part) = (streams(), streams().within(&windows));
        // Two rounds through both levels, of 2 and 3 channels.
        for draw in 0..4 {
            let window = &windows[draw % 2];
            let (channels, [height, width]) = (2 + draw % 2, window.sides);
            let all: Tensor<2> = whole.normal([2, channels * height * width], &device);
            let [lines, columns] = [window.lines.clone(), window.columns.clone()];
            let expected = all.reshape([2, channels, height, width]).slice([
                0..2,
                0..channels,
                lines.clone(),
                columns.clone(),
            ]);
            let found: Tensor<2> =
                part.normal([2, channels * lines.len() * columns.len()], &device);
            assert_eq!(found.into_data(), expected.flatten::<2>(1, 3).into_data(), "{draw}");
        }
    }
}
