//! How a picture is cut into pieces that are cleaned one after another.

use std::ops::Range;

use dvae_distributions::LatentShape;
use dvae_models::Reach;
use dvae_random::Window;

/// A piece of a picture with its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    /// What the model sees.
    pub(super) seen: Window,
    /// What is kept of its results.
    pub(super) kept: Window,
}

impl Tile {
    /// The part of what is kept in what is seen.
    pub(super) fn inner(&self) -> Window {
        let shifted = |range: &Range<usize>, start| range.start - start..range.end - start;
        let Window { lines, columns, .. } = &self.seen;
        Window {
            sides: [lines.len(), columns.len()],
            lines: shifted(&self.kept.lines, lines.start),
            columns: shifted(&self.kept.columns, columns.start),
        }
    }

    /// The windows of latents of what is seen, for levels of which each has half the sides of the one below it.
    pub(super) fn latents(&self, levels: &[LatentShape]) -> Vec<Window> {
        let window = |level: usize| {
            let scale = 1 << (levels.len() - 1 - level);
            let scaled = |range: &Range<usize>| range.start / scale..range.end.div_ceil(scale);
            Window {
                sides: self.seen.sides.map(|side| side.div_ceil(scale)),
                lines: scaled(&self.seen.lines),
                columns: scaled(&self.seen.columns),
            }
        };
        (0..levels.len()).map(window).collect()
    }
}

/// The tiles of a picture of these sides. A tile is at most `side` pixels wide and high with its surroundings, or as small as
/// they allow.
pub(super) fn tiles(sides: [usize; 2], reach: Reach, side: usize) -> impl Iterator<Item = Tile> {
    let Reach { pixels, grid, .. } = reach;
    let around = pixels.next_multiple_of(grid);
    let step = (side.saturating_sub(2 * around) / grid * grid).max(LEAST.next_multiple_of(grid));
    let pieces = move |length: usize| -> Vec<[Range<usize>; 2]> {
        if length <= side {
            return vec![[0..length, 0..length]];
        }
        let piece = |start: usize| {
            let end = length.min(start + step);
            [start..end, start.saturating_sub(around)..length.min(end + around)]
        };
        (0..length).step_by(step).map(piece).collect()
    };
    let [lines, columns] = sides.map(pieces);
    lines.into_iter().flat_map(move |[kept, seen]| {
        let tile = |[of_kept, of_seen]: &[Range<usize>; 2]| Tile {
            seen: Window { sides, lines: seen.clone(), columns: of_seen.clone() },
            kept: Window { sides, lines: kept.clone(), columns: of_kept.clone() },
        };
        columns.iter().map(tile).collect::<Vec<_>>()
    })
}

/// The least that is kept of a tile, in pixels along an axis.
const LEAST: usize = 64;

/// Where patches of this length begin that cover a line of `length` pixels and overlap by half; only at 0 if the line is
/// shorter than a patch.
pub(super) fn starts(length: usize, patch: usize) -> Vec<usize> {
    let last = length.saturating_sub(patch);
    let mut starts: Vec<usize> = (0..last).step_by((patch / 2).max(1)).collect();
    starts.push(last);
    starts
}

/// The pixel of a line of `length` pixels at a place, with the line mirrored at its ends.
pub(super) fn mirrored(place: usize, length: usize) -> usize {
    let place = place % (2 * length);
    if place < length { place } else { 2 * length - 1 - place }
}

/// The weight of a pixel of a patch along an axis: largest in the middle.
pub(super) fn weight(place: usize, patch: usize) -> f64 {
    (place.min(patch - 1 - place) + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACH: Reach = Reach { pixels: 43, grid: 4, numbers: 1 };

    #[test]
    fn tiles_keep_every_pixel_once_and_see_as_far_as_the_network() {
        for sides in [[1, 1], [7, 31], [300, 200], [1001, 333]] {
            let [height, width] = sides;
            let mut kept = vec![0; height * width];
            for tile in tiles(sides, REACH, 160) {
                let (seen, part) = (&tile.seen, &tile.kept);
                for (seen, part, length) in
                    [(&seen.lines, &part.lines, height), (&seen.columns, &part.columns, width)]
                {
                    assert!(seen.start % 4 == 0 && (seen.end % 4 == 0 || seen.end == length));
                    assert!(seen.start == 0 || seen.start + 43 <= part.start);
                    assert!(seen.end == length || seen.end >= part.end + 43);
                    assert!(seen.len() <= 160);
                }
                let pixels =
                    part.lines.clone().flat_map(|y| part.columns.clone().map(move |x| (y, x)));
                pixels.for_each(|(y, x)| kept[y * width + x] += 1);
            }
            assert!(kept.iter().all(|&times| times == 1), "{sides:?}");
        }
    }

    #[test]
    fn patches_cover_a_line() {
        assert_eq!(starts(10, 4), [0, 2, 4, 6]);
        assert_eq!(starts(9, 4), [0, 2, 4, 5]);
        assert_eq!(starts(4, 4), [0]);
        assert_eq!(starts(3, 4), [0]);
        assert_eq!(starts(3, 1), [0, 1, 2]);
        let line: Vec<usize> = (0..7).map(|place| mirrored(place, 3)).collect();
        assert_eq!(line, [0, 1, 2, 2, 1, 0, 0]);
        let weights: Vec<f64> = (0..5).map(|place| weight(place, 5)).collect();
        assert_eq!(weights, [1.0, 2.0, 3.0, 2.0, 1.0]);
    }
}
