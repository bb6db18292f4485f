//! Keyed random streams that become tensors, equal on every back end.
//!
//! Every number is a pure function of *its purpose*: the seed, the purpose, the epoch, the data row, and its
//! place in the draw. Nothing depends on the batch that contains a row, on the number of threads, on the
//! instruction set, on the back end (except for the last bits of normals made on a GPU), or on draws before a
//! resume.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use dvae_random::{Key, Purpose};
//!
//! let device = Device::flex();
//! let key = Key::new(7).purpose(Purpose::Corruption).epoch(3);
//! let all: Tensor<2> = key.rows(&[10, 11, 12]).normal([3, 5], &device);
//! let one: Tensor<2> = key.rows(&[12]).normal([1, 5], &device);
//! assert_eq!(all.slice([2..3]).into_data(), one.into_data()); // row 12, alone or in company
//! ```
//!
//! | Piece       | What it is                                                                     |
//! |-------------|--------------------------------------------------------------------------------|
//! | [`philox`]  | Philox 4×32-10, the counter-based generator of Salmon et al. (2011)            |
//! | [`Key`]     | 64 bits that name a family of streams, derived from seed, purpose and epoch    |
//! | [`RowStreams`]   | one stream per data row, drawn from in order: uniform, normal, Bernoulli       |
//! | [`RowStream`], [`Pieces`] | the same numbers on the host: one row's stream, or part of a draw |
//! | [`Shuffle`] | a random order of any length, computed place by place in constant memory     |
//! | [`Window`]  | a part of a map: a tile meets the noise that it meets in the whole picture     |
//! | [`RowRng`]  | one row's words as a generator of the `rand` family, for rejection sampling     |
//!
//! # Layout
//!
//! The mapping from bits to numbers is part of the interface: seeded results do not change, and other
//! programs can compute them. [`Key`] describes the derivation of keys. Draw `d` of row `r` reads the words
//! `w = 0, 1, 2, 3` of the Philox counters `(c, r mod 2³², ⌊r / 2³²⌋, d)`, `c = 0, 1, 2, …`, sixteen counters
//! `c = 16 b + l` at a time:
//!
//! | Draw      | Element `64 b + 16 w + l`, `u(word) = ⌊word / 2⁸⌋ · 2⁻²⁴`                           |
//! |-----------|------------------------------------------------------------------------------------|
//! | uniform   | `u(word w)`                                                                        |
//! | Bernoulli | `word w < ⌊p · 2³²⌋`                                                               |
//! | normal    | with `v = w` rounded down to even: `√(−2 ln(u(word v) + 2⁻²⁴)) · cos 2πu(word v+1)` |
//! |           | for even `w`, the same with `sin` for odd `w` (Box & Muller 1958)                   |
//!
//! # What this gives up
//!
//! - On wgpu, CUDA and ROCm the device makes its own numbers ([`dvae_kernels::streams`]). Integers, uniforms
//!   and trials have the host's bits; normals are within 10⁻⁶ of the host's (measured on Vulkan: 5 · 10⁻⁷),
//!   because shader compilers fuse multiplications and additions. With `DVAE_KERNELS=off` the host's numbers
//!   are uploaded.
//! - Uniforms have 24 random bits, so normals reach ±5.77 standard deviations and no further
//!   (a true normal exceeds that once in 1.2 · 10⁸ draws).
//! - The generator is statistically strong, not cryptographic.

mod fill;
mod key;
pub mod philox;
mod row_streams;
mod shuffle;
mod window;

pub use key::{Key, Purpose};
pub use row_streams::{Pieces, RowRng, RowStream, RowStreams};
pub use shuffle::Shuffle;
pub use window::Window;
