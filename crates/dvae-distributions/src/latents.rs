//! Latents of one or more levels.

use burn::tensor::{Int, Tensor};

/// The shape of the latents of one level, for each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatentShape {
    /// This many numbers.
    Vector(usize),
    /// A map over the positions of an image.
    Map {
        /// Numbers at each position.
        channels: usize,
        /// The number of lines.
        height: usize,
        /// The number of columns.
        width: usize,
    },
}

impl LatentShape {
    /// Numbers at each position; for a vector, all of its numbers.
    pub fn channels(self) -> usize {
        match self {
            Self::Vector(len) => len,
            Self::Map { channels, .. } => channels,
        }
    }

    /// The total number of latents.
    #[allow(clippy::len_without_is_empty)] // A model without latents is rejected when it is built.
    pub fn len(self) -> usize {
        match self {
            Self::Vector(len) => len,
            Self::Map { channels, height, width } => channels * height * width,
        }
    }
}

/// The latents of one level, for each row of a batch.
#[derive(Clone, Debug)]
pub struct Latent {
    values: Tensor<2>,
    shape: LatentShape,
}

impl Latent {
    /// From values `[batch, len]`; a map's values are ordered channel by channel, line by line.
    ///
    /// # Panics
    ///
    /// If the number of values in a row is not that of the shape.
    pub fn new(values: Tensor<2>, shape: LatentShape) -> Self {
        let found = values.dims()[1];
        assert_eq!(found, shape.len(), "{found} latents for {shape:?}");
        Self { values, shape }
    }

    /// `[batch, len]`.
    pub fn values(&self) -> Tensor<2> {
        self.values.clone()
    }

    /// The shape of the latents.
    pub fn shape(&self) -> LatentShape {
        self.shape
    }

    /// The latents as a map `[batch, channels, height, width]`; a vector becomes a map of one position.
    pub fn map(&self) -> Tensor<4> {
        let rows = self.values.dims()[0];
        let [channels, height, width] = match self.shape {
            LatentShape::Vector(len) => [len, 1, 1],
            LatentShape::Map { channels, height, width } => [channels, height, width],
        };
        self.values.clone().reshape([rows, channels, height, width])
    }
}

/// The latents of all levels, top first: `z₁, …, z_L`.
#[derive(Clone, Debug)]
pub struct Latents(Vec<Latent>);

impl From<Tensor<2>> for Latents {
    /// A single level that is a vector, `[batch, latent]`.
    fn from(values: Tensor<2>) -> Self {
        let shape = LatentShape::Vector(values.dims()[1]);
        Self(vec![Latent { values, shape }])
    }
}

impl From<Latent> for Latents {
    /// A single level.
    fn from(level: Latent) -> Self {
        Self(vec![level])
    }
}

impl From<Vec<Latent>> for Latents {
    /// Top first.
    fn from(levels: Vec<Latent>) -> Self {
        Self(levels)
    }
}

impl Latents {
    /// From flat rows of numbers, level by level, as [`Latents::flat`] gives them.
    ///
    /// # Panics
    ///
    /// If `values` `[batch, n]` does not have as many numbers in a row as the levels.
    pub fn from_flat(values: Tensor<2>, shapes: &[LatentShape]) -> Self {
        let total: usize = shapes.iter().map(|shape| shape.len()).sum();
        assert_eq!(values.dims()[1], total, "latents of the levels {shapes:?}");
        if let [shape] = *shapes {
            return Self(vec![Latent { values, shape }]);
        }
        let mut start = 0;
        let level = |&shape: &LatentShape| {
            let values = values.clone().narrow(1, start, shape.len());
            start += shape.len();
            Latent { values, shape }
        };
        Self(shapes.iter().map(level).collect())
    }

    /// All levels side by side, top first: `[batch, latents]`.
    pub fn flat(&self) -> Tensor<2> {
        match &self.0[..] {
            [one] => one.values(),
            levels => Tensor::cat(levels.iter().map(Latent::values).collect(), 1),
        }
    }

    /// The levels, top first.
    pub fn levels(&self) -> &[Latent] {
        &self.0
    }

    /// The shapes of the levels, top first.
    pub fn shapes(&self) -> Vec<LatentShape> {
        self.0.iter().map(Latent::shape).collect()
    }

    /// The latents of some rows, by their positions `[n]`.
    pub fn select(&self, places: Tensor<1, Int>) -> Self {
        self.each(|values| values.select(0, places.clone()))
    }

    /// The latents with the values of each level, `[batch, len]`, changed.
    pub fn each(&self, mut change: impl FnMut(Tensor<2>) -> Tensor<2>) -> Self {
        let level = |level: &Latent| Latent::new(change(level.values()), level.shape);
        Self(self.0.iter().map(level).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn levels_stand_side_by_side_and_come_apart_again() {
        let values = Tensor::<2>::from_data(
            [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [7.0, 8.0, 9.0, 10.0, 11.0, 12.0]],
            &Device::flex(),
        );
        let map = LatentShape::Map { channels: 2, height: 1, width: 2 };
        let latents = Latents::from_flat(values.clone(), &[LatentShape::Vector(2), map]);
        assert_eq!(latents.flat().into_data(), values.into_data());
        assert_eq!(latents.shapes(), [LatentShape::Vector(2), map]);
        let below = latents.levels()[1].map();
        assert_eq!(below.dims(), [2, 2, 1, 2]);
        let data: Vec<f32> = below.into_data().try_to_vec().unwrap();
        assert_eq!(data, [3.0, 4.0, 5.0, 6.0, 9.0, 10.0, 11.0, 12.0]);
    }
}
