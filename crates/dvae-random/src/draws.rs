//! Draws: one random stream per data row, read in order.

use std::sync::Arc;

use burn::tensor::{Bool, Device, Shape, Tensor, TensorData};
use dvae_kernels::streams::Stream;
use pulp::Arch;

use crate::Key;
use crate::fill::{self, Bernoulli, Draw, Law, Normal, Uniform};
use crate::key::DERIVATION;

/// Random tensors whose rows come from the streams of given data rows.
///
/// Axis 0 of every tensor drawn is the data row. What row `i` of a draw holds depends only on the
/// key, on that row's id, on how many draws were made before, and on the place in the row.
#[derive(Clone, Debug)]
pub struct Draws {
    key: Key,
    ids: Arc<[u64]>,
    next: u32,
}

impl Draws {
    pub(crate) fn new(key: Key, ids: Arc<[u64]>) -> Self {
        Self { key, ids, next: 0 }
    }

    /// The ids of the data rows, in the order of axis 0.
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// Independent streams for the same rows: others at each call, and none that are drawn from
    /// here. It counts as a draw.
    pub fn branch(&mut self) -> Self {
        let key = self.key.branch(u64::from(self.advance()));
        Self::new(key, self.ids.clone())
    }

    /// The streams of some of the rows, given by their places on axis 0.
    ///
    /// # Panics
    ///
    /// If a place is not below the number of rows.
    pub fn select(&self, places: &[usize]) -> Self {
        let ids = places.iter().map(|&place| self.ids[place]).collect();
        Self { ids, ..self.clone() }
    }

    /// Independent uniforms on `[0, 1)`, multiples of 2⁻²⁴, shape `[rows, …]`.
    ///
    /// # Panics
    ///
    /// If the first axis of `shape` is not the number of rows.
    pub fn uniform<const D: usize>(
        &mut self,
        shape: impl Into<Shape>,
        device: &Device,
    ) -> Tensor<D> {
        let (shape, draw) = self.draw(shape.into());
        self.stream(draw).uniform(&shape, device).unwrap_or_else(|| {
            Tensor::from_data(TensorData::new(self.fill(&shape, draw, Uniform), shape), device)
        })
    }

    /// Independent standard normals, shape `[rows, …]`, within ±5.77.
    ///
    /// Box and Muller (1958), "A Note on the Generation of Random Normal Deviates".
    ///
    /// # Panics
    ///
    /// If the first axis of `shape` is not the number of rows.
    pub fn normal<const D: usize>(
        &mut self,
        shape: impl Into<Shape>,
        device: &Device,
    ) -> Tensor<D> {
        let (shape, draw) = self.draw(shape.into());
        self.stream(draw).normal(&shape, device).unwrap_or_else(|| {
            Tensor::from_data(TensorData::new(self.fill(&shape, draw, Normal), shape), device)
        })
    }

    /// Independent trials that are true with probability `p`, shape `[rows, …]`.
    ///
    /// `p` is rounded down to a multiple of 2⁻³²; outside `[0, 1]` it counts as the nearer end.
    ///
    /// # Panics
    ///
    /// If the first axis of `shape` is not the number of rows.
    pub fn bernoulli<const D: usize>(
        &mut self,
        p: f64,
        shape: impl Into<Shape>,
        device: &Device,
    ) -> Tensor<D, Bool> {
        let (shape, draw) = self.draw(shape.into());
        let law = Bernoulli { threshold: (p * (1u64 << 32) as f64) as u64 };
        self.stream(draw).bernoulli(law.threshold, &shape, device).unwrap_or_else(|| {
            Tensor::from_data(TensorData::new(self.fill(&shape, draw, law), shape), device)
        })
    }

    /// Independent uniforms on `[0, 1)` that stay on the host: `len` for each row, row after row.
    pub fn uniform_host(&mut self, len: usize) -> Vec<f32> {
        let (shape, draw) = self.draw(Shape::new([self.ids.len(), len]));
        self.fill(&shape, draw, Uniform)
    }

    /// The next draw, of this shape.
    fn draw(&mut self, shape: Shape) -> (Shape, Draw) {
        let rows = self.ids.len();
        assert_eq!(shape[0], rows, "axis 0 of a draw of shape {shape:?} must be its {rows} rows");
        let draw = Draw { key: self.key.words(), index: self.advance() };
        (shape, draw)
    }

    /// The draw as a device makes it.
    fn stream(&self, draw: Draw) -> Stream<'_> {
        Stream { ids: &self.ids, key: draw.key, draw: draw.index }
    }

    /// The draw as the host makes it.
    fn fill<L: Law>(&self, shape: &Shape, draw: Draw, law: L) -> Vec<L::Item> {
        let mut out = vec![L::Item::default(); shape.num_elements()];
        fill::fill(Arch::new(), &mut out, &self.ids, draw, law);
        out
    }

    /// The number of the next draw.
    fn advance(&mut self) -> u32 {
        let index = self.next;
        assert!(index < DERIVATION, "a stream holds 2³² − 1 draws");
        self.next += 1;
        index
    }
}
