//! Random streams of data rows, read in order.

use std::convert::Infallible;
use std::sync::Arc;

use burn::tensor::{Bool, Device, Shape, Tensor, TensorData};
use dvae_kernels::streams::KeyedDraw;
use pulp::Arch;
use rand_core::TryRng;

use crate::fill::{self, Bernoulli, Distribution, Draw, Normal, Uniform};
use crate::key::DERIVATION;
use crate::{Key, Window};

/// Random tensors whose rows come from the streams of given data rows.
///
/// Axis 0 of every drawn tensor is the data row. Row `i` of a draw depends only on the key, on that row's id,
/// on the number of earlier draws, and on the place in the row.
#[derive(Clone, Debug)]
pub struct RowStreams {
    key: Key,
    ids: Arc<[u64]>,
    next: u32,
    progress: f64,
    /// Which parts of the draws are made, in turn, if it is not all.
    windows: Option<Arc<[Window]>>,
}

impl RowStreams {
    pub(crate) fn new(key: Key, ids: Arc<[u64]>) -> Self {
        Self { key, ids, next: 0, progress: 1.0, windows: None }
    }

    /// The same draws at a given training progress: 0 in the first epoch, 1 in the last.
    ///
    /// No number depends on it, but scheduled strengths do.
    pub fn at_progress(self, progress: f64) -> Self {
        Self { progress, ..self }
    }

    /// The training progress of the draws, in `[0, 1]`; 1 by default.
    pub fn progress(&self) -> f64 {
        self.progress
    }

    /// The same draws of normals, of which only a part is made: of the first draw what lies in the first window, and so on,
    /// and of the draw after the last window in the first one again. So a tile of a picture meets the noise that it meets
    /// in the whole picture, of which each level of latents is a map.
    ///
    /// # Panics
    ///
    /// If there is no window. Afterwards every draw panics that is not one of normals, or not of the shape of its window.
    pub fn within(self, windows: &[Window]) -> Self {
        assert!(!windows.is_empty(), "a window at least");
        Self { windows: Some(windows.into()), ..self }
    }

    /// The ids of the data rows, in the order of axis 0.
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// Independent streams for the same rows. Each call gives different streams, which share no numbers with
    /// these. It counts as a draw.
    pub fn branch(&mut self) -> Self {
        let key = self.key.branch(u64::from(self.advance()));
        Self { next: 0, ..Self::new(key, self.ids.clone()).at_progress(self.progress) }
    }

    /// The streams of some of the rows, given by their positions on axis 0.
    ///
    /// # Panics
    ///
    /// If a position is not below the number of rows.
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
        let window = self.window();
        let (shape, draw) = self.counted(shape.into());
        if let Some(window) = window {
            let values = window.fill(&self.ids, draw, shape.num_elements());
            return Tensor::from_data(TensorData::new(values, shape), device);
        }
        self.stream(draw).normal(&shape, device).unwrap_or_else(|| {
            Tensor::from_data(TensorData::new(self.fill(&shape, draw, Normal), shape), device)
        })
    }

    /// Independent trials that are true with probability `p`, shape `[rows, …]`.
    ///
    /// `p` is rounded down to a multiple of 2⁻³² and clipped to `[0, 1]`.
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

    /// Independent uniforms on `[0, 1)` on the host: `len` for each row, row by row.
    pub fn uniform_host(&mut self, len: usize) -> Vec<f32> {
        let (shape, draw) = self.draw(Shape::new([self.ids.len(), len]));
        self.fill(&shape, draw, Uniform)
    }

    /// The next draw, to be made on the host piece by piece.
    pub fn pieces(&mut self) -> Pieces {
        assert!(self.windows.is_none(), "only normals are drawn within windows");
        let draw = Draw { key: self.key.words(), index: self.advance() };
        Pieces { ids: self.ids.clone(), draw }
    }

    /// The stream of the row at `place` on axis 0, on the host, from its next draw on. Draws from it are not
    /// counted here: draw either from single rows or from all of them together, or use
    /// [`RowStreams::branch`].
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn row(&self, place: usize) -> RowStream {
        RowStream { key: self.key, row: self.ids[place], next: self.next }
    }

    /// The window of the next draw.
    fn window(&self) -> Option<Window> {
        let windows = self.windows.as_ref()?;
        Some(windows[self.next as usize % windows.len()].clone())
    }

    /// The next draw, of this shape, which must be all of it.
    fn draw(&mut self, shape: Shape) -> (Shape, Draw) {
        assert!(self.windows.is_none(), "only normals are drawn within windows");
        self.counted(shape)
    }

    fn counted(&mut self, shape: Shape) -> (Shape, Draw) {
        let rows = self.ids.len();
        assert_eq!(shape[0], rows, "axis 0 of a draw of shape {shape:?} must be its {rows} rows");
        let draw = Draw { key: self.key.words(), index: self.advance() };
        (shape, draw)
    }

    /// The draw as a device makes it.
    fn stream(&self, draw: Draw) -> KeyedDraw<'_> {
        KeyedDraw { ids: &self.ids, key: draw.key, draw: draw.index }
    }

    /// The draw as the host makes it.
    fn fill<L: Distribution>(&self, shape: &Shape, draw: Draw, law: L) -> Vec<L::Item> {
        let mut out = vec![L::Item::default(); shape.num_elements()];
        fill::fill(Arch::new(), &mut out, &self.ids, draw, law);
        out
    }

    /// The number of the next draw.
    fn advance(&mut self) -> u32 {
        advance(&mut self.next)
    }
}

fn advance(next: &mut u32) -> u32 {
    let index = *next;
    assert!(index < DERIVATION, "a stream holds 2³² − 1 draws");
    *next += 1;
    index
}

/// One draw of all rows that is made on the host, part by part on demand: the same numbers as the tensor of
/// that draw.
#[derive(Clone, Debug)]
pub struct Pieces {
    ids: Arc<[u64]>,
    draw: Draw,
}

/// # Panics
///
/// Every function panics if there is no such row, or if `start` is not a multiple of
/// [`Pieces::ALIGNMENT`].
impl Pieces {
    /// The starts of pieces must be multiples of this number of elements.
    pub const ALIGNMENT: usize = fill::BLOCK;

    /// Uniforms on `[0, 1)` of the row at `place`, from element `start` on.
    pub fn uniform(&self, place: usize, start: usize, out: &mut [f32]) {
        fill::fill_row(out, self.ids[place], start, self.draw, Uniform);
    }

    /// Standard normals of the row at `place`, from element `start` on.
    pub fn normal(&self, place: usize, start: usize, out: &mut [f32]) {
        fill::fill_row(out, self.ids[place], start, self.draw, Normal);
    }
}

/// The stream of one row on the host, read in order.
#[derive(Clone, Debug)]
pub struct RowStream {
    key: Key,
    row: u64,
    next: u32,
}

impl RowStream {
    /// Fills with independent uniforms on `[0, 1)`: one draw.
    pub fn uniform(&mut self, out: &mut [f32]) {
        let draw = self.draw();
        fill::fill_row(out, self.row, 0, draw, Uniform);
    }

    /// Fills with independent standard normals: one draw.
    pub fn normal(&mut self, out: &mut [f32]) {
        let draw = self.draw();
        fill::fill_row(out, self.row, 0, draw, Normal);
    }

    /// `N` independent uniforms on `[0, 1)`: one draw.
    pub fn uniforms<const N: usize>(&mut self) -> [f32; N] {
        let mut out = [0.0; N];
        self.uniform(&mut out);
        out
    }

    /// A generator of the `rand` family, for algorithms that need a variable number of random numbers: one
    /// draw.
    pub fn rng(&mut self) -> RowRng {
        RowRng { row: self.row, draw: self.draw(), words: [0; fill::BLOCK], taken: 0 }
    }

    fn draw(&mut self) -> Draw {
        Draw { key: self.key.words(), index: advance(&mut self.next) }
    }
}

/// The random words of one draw of one row, in the crate's layout, one by one.
#[derive(Clone, Debug)]
pub struct RowRng {
    row: u64,
    draw: Draw,
    words: [u32; fill::BLOCK],
    taken: usize,
}

impl TryRng for RowRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let place = self.taken % fill::BLOCK;
        if place == 0 {
            fill::fill_row(&mut self.words, self.row, self.taken, self.draw, fill::Bits);
        }
        self.taken += 1;
        Ok(self.words[place])
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        rand_core::utils::next_u64_via_u32(self)
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        rand_core::utils::fill_bytes_via_next_word(dst, || self.try_next_u32())
    }
}
