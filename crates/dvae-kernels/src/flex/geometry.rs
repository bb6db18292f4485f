//! Geometry of a convolution: which pixels, features and kernel taps are multiplied with each other.

/// The shapes of a convolution from an image to features.
///
/// A transposed convolution has the same geometry, used from features to image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Channels, height and width of the image.
    pub(crate) image: [usize; 3],
    /// Channels, height and width of the features.
    pub(crate) features: [usize; 3],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    /// Padding before the first row and the first column.
    pub(crate) padding: [usize; 2],
    pub(crate) dilation: [usize; 2],
}

/// A kernel tap, and the source position that it reads.
pub(crate) type Meeting = (usize, usize);

/// Positions along an axis that read their sources through the same taps.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: usize,
    /// The distance from one position to the next.
    pub(crate) step: usize,
    pub(crate) count: usize,
    /// The taps and sources of the first position.
    pub(crate) meetings: Vec<Meeting>,
    /// The distance from the sources of one position to those of the next.
    pub(crate) source_step: usize,
}

impl Geometry {
    pub(crate) fn image_len(&self) -> usize {
        self.image.iter().product()
    }

    pub(crate) fn features_len(&self) -> usize {
        self.features.iter().product()
    }

    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The pixel that a feature reads through a tap, along one axis; `None` if it is padding.
    fn pixel(&self, axis: usize, feature: usize, tap: usize) -> Option<usize> {
        let padded = feature * self.stride[axis] + tap * self.dilation[axis];
        padded.checked_sub(self.padding[axis]).filter(|pixel| *pixel < self.image[axis + 1])
    }

    /// Feature and pixel of each pair that one tap connects, along one axis.
    pub(crate) fn through(&self, axis: usize, tap: usize) -> Vec<(usize, usize)> {
        let features = 0..self.features[axis + 1];
        features.filter_map(|f| Some((f, self.pixel(axis, f, tap)?))).collect()
    }

    /// The pixels that each feature reads, along one axis.
    pub(crate) fn of_features(&self, axis: usize) -> Vec<Vec<Meeting>> {
        let of = |feature| {
            let taps = 0..self.kernel[axis];
            taps.filter_map(|tap| Some((tap, self.pixel(axis, feature, tap)?))).collect()
        };
        (0..self.features[axis + 1]).map(of).collect()
    }

    /// The features that read each pixel, along one axis.
    pub(crate) fn of_pixels(&self, axis: usize) -> Vec<Vec<Meeting>> {
        let mut meetings = vec![Vec::new(); self.image[axis + 1]];
        for tap in 0..self.kernel[axis] {
            for (feature, pixel) in self.through(axis, tap) {
                meetings[pixel].push((tap, feature));
            }
        }
        meetings
    }
}

/// Runs of positions `step` apart, with sources `source_step` apart.
pub(crate) fn runs(meetings: &[Vec<Meeting>], step: usize, source_step: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for first in 0..step.min(meetings.len()) {
        let mut begun = false;
        for position in (first..meetings.len()).step_by(step) {
            let goes_on = |run: &&mut Run| {
                let shift = run.count * source_step;
                let shifted = run.meetings.iter().map(|&(tap, source)| (tap, source + shift));
                begun && shifted.eq(meetings[position].iter().copied())
            };
            match runs.last_mut().filter(goes_on) {
                Some(run) => run.count += 1,
                None => {
                    let meetings = meetings[position].clone();
                    runs.push(Run { first: position, step, count: 1, meetings, source_step });
                    begun = true;
                }
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALVING: Geometry = Geometry {
        image: [1, 5, 6],
        features: [1, 3, 3],
        kernel: [3, 3],
        stride: [2, 2],
        padding: [1, 1],
        dilation: [1, 1],
    };

    #[test]
    fn features_meet_no_padding() {
        let along_width = HALVING.of_features(1);
        assert_eq!(along_width[0], [(1, 0), (2, 1)]);
        assert_eq!(along_width[1], [(0, 1), (1, 2), (2, 3)]);
        assert_eq!(along_width[2], [(0, 3), (1, 4), (2, 5)]);
        assert_eq!(HALVING.of_features(0)[2], [(0, 3), (1, 4)]);
    }

    #[test]
    fn pixels_meet_the_features_that_meet_them() {
        for axis in 0..2 {
            for (pixel, meetings) in HALVING.of_pixels(axis).iter().enumerate() {
                for (tap, feature) in meetings {
                    assert!(HALVING.of_features(axis)[*feature].contains(&(*tap, pixel)));
                }
            }
        }
    }

    #[test]
    fn runs_hold_every_position_with_what_it_meets() {
        let wide = Geometry { image: [1, 9, 20], features: [1, 5, 10], ..HALVING };
        let cases = [(wide.of_features(1), 1, 2), (wide.of_pixels(1), 2, 1)];
        for (meetings, step, source_step) in cases {
            let runs = runs(&meetings, step, source_step);
            assert!(runs.len() <= 4, "{runs:?}");
            let mut met = vec![None; meetings.len()];
            for run in &runs {
                for i in 0..run.count {
                    let shift = |&(tap, source): &Meeting| (tap, source + i * run.source_step);
                    let of = run.meetings.iter().map(shift).collect::<Vec<_>>();
                    assert!(met[run.first + i * run.step].replace(of).is_none());
                }
            }
            assert!(met.into_iter().map(Option::unwrap).eq(meetings));
        }
    }
}
