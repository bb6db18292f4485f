//! The weights of a model, to compare them.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Every weight of a model, to the bit.
pub(crate) fn bits(model: &impl Module) -> Vec<u8> {
    let mut bits = Bits(vec![]);
    model.visit(&mut bits);
    bits.0
}

struct Bits(Vec<u8>);

impl ModuleVisitor for Bits {
    fn visit_float<const D: usize>(&mut self, weight: &Param<Tensor<D>>) {
        self.0.extend(weight.val().into_data().iter::<f32>().flat_map(f32::to_le_bytes));
    }
}
