//! ONNX graphs, written node by node.
//!
//! A [`Graph`] has inputs, constants, nodes and outputs, and becomes a file that ONNX Runtime and other programs load.
//!
//! ```
//! use dvae_onnx::{Axis, Element, Graph};
//!
//! let mut graph = Graph::new("softplus");
//! let x = graph.input("x", Element::Float, &[Axis::any("batch"), Axis::Fixed(3)]);
//! let doubled = graph.times(&x, 2.0);
//! let y = graph.op("Softplus", &[&doubled]);
//! graph.output("y", Element::Float, &[Axis::any("batch"), Axis::Fixed(3)], &y);
//! let bytes = graph.into_bytes(&[("what", "ln(1 + e^2x)".to_owned())])?;
//! assert!(bytes.len() < 1000);
//! # Ok::<(), dvae_onnx::OnnxError>(())
//! ```
//!
//! # What this gives up
//!
//! - Graphs are written, not read.
//! - Nothing is checked while a graph grows: shapes and operators are checked by the program that loads it.
//! - All weights are inside the file, which can then have 2 GiB at most.

mod graph;
mod math;
mod proto;

pub use graph::{Attribute, Graph, Value};

/// The type of the numbers of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// Single precision.
    Float,
    /// Integers of 64 bits.
    Int,
    /// True or false.
    Bool,
    /// Double precision.
    Double,
}

impl Element {
    /// The number of the type in the format.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Float => 1,
            Self::Int => 7,
            Self::Bool => 9,
            Self::Double => 11,
        }
    }
}

/// The length of an axis of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Always this length.
    Fixed(usize),
    /// Any length, the same wherever the name is the same.
    Any(String),
}

impl Axis {
    /// Any length, under this name.
    pub fn any(name: &str) -> Self {
        Self::Any(name.to_owned())
    }
}

/// Why a graph could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// More bytes than a file of the format can have.
    #[error("the graph takes {bytes} bytes with its weights: a file of ONNX has 2 GiB at most")]
    Large {
        /// The size of the file.
        bytes: usize,
    },
}
